"""Parcels into the room there is: by instalments under moving prices, then improved one by one.

Tables under one set of prices send all parcels that are indifferent the same way: half the departures of equal worth
would be overrun and the others stay empty. So parcels are seated in T instalments, each an even share of every origin,
hour and destination, and after each the prices move by how the demand that is left compares with the room that is left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rookery.base.progress import Progress
from rookery.planning.capacity.ascent import Ascent
from rookery.planning.capacity.demand import Columns, Line, Parcels
from rookery.planning.capacity.passes import Sweeper
from rookery.planning.capacity.resources import Prices, Resources
from rookery.planning.engine.arrays import Block
from rookery.planning.engine.seat import (
    MOST_RIDES,
    ROOM,
    Room,
    Seats,
    by_ready,
    hopeful,
    improve,
    seat,
    together,
    trace,
)

STEP = 0.006
"""Of a price between two instalments, as a share of the mean cost of a parcel."""
LEAST = 3e-5
"""Gain, as a share of the mean cost of a parcel, below which nothing is tried."""
TOO_LITTLE = 0.05
"""Expected room of a parcel below which a departure counts as full when outcomes are uncertain."""


class Seating:
    """Seats given so far, and the room that is left."""

    def __init__(
        self,
        sweeper: Sweeper,
        resources: Resources,
        parcels: Parcels,
        room: Room,
        unit: float,
        lost: NDArray[np.bool_] | None = None,
    ):
        """unit: money, the usual cost of a parcel; lost (n): parcels that have no way even where nothing is full."""
        self.lost = np.zeros(parcels.count, np.bool_) if lost is None else lost
        self.sweeper, self.resources, self.parcels, self.unit = sweeper, resources, parcels, unit
        self.net, self.room = together(sweeper.timetable.net, room)
        self.lightest = float(parcels.actual.min(initial=np.inf))
        self.fewest = 1.0 if sweeper.timetable.outcomes == 1 else TOO_LITTLE
        count = parcels.count
        self.seats = Seats(
            np.zeros(count, np.int64),
            np.zeros(count, np.int32),
            np.full(count, np.inf),
            np.empty(4 * count + 1024, np.int32),
            np.empty(4 * count + 1024, np.float64),
        )
        self.used = 0
        self.trace = trace()

    def cost(self) -> float:
        """Cost of all parcels, those without a seat at the price of refusing them."""
        p = self.parcels
        return float((p.pieces * (np.where(self.seats.size > 0, self.seats.cost, p.refusal) + p.credit)).sum())

    def full(self) -> NDArray[np.bool_]:
        """Departures (N) that take nobody any more."""
        return self._shut(self.fewest, self.lightest * self.fewest)

    def instalments(self, columns: Columns, line: Line, prices: Prices, count: int, progress: Progress) -> None:
        """Seat everyone in `count` instalments, the first under `prices`."""
        mover = Ascent(
            self.resources, self.unit, _mean(self.parcels), STEP, steady=np.inf, smooth=0.7, spread=0.9, soft=0.1
        )
        turns = np.random.default_rng(0).permutation(count)  # which places of the line come when
        for done in range(count):
            left = 1 - done / count
            before = np.concatenate(
                [
                    each[place]
                    for each, place in zip((self.room.seats, self.room.kilograms, self.room.hourly), mover.where)
                ]
            )

            def take(number, block, value, ride, _, turn=int(turns[done])) -> None:
                begin, end = line.begin[number], line.begin[number + 1]
                which = line.order[begin + (turn - begin) % count : end : count]
                self._seat(block, value, ride, line, which, self.parcels.refusal)

            swept = self.sweeper.sweep(columns, prices, shut=self.full(), share=left, then=take)
            prices = mover.step(prices, swept.loads / left, before / left)
            progress("seats", done + 1, count)

    def improve(self, columns: Columns, line: Line, prices: Prices) -> None:
        """Seat again whoever is better off elsewhere, as `prices` see it."""
        per_parcel, least = prices.per_parcel(self.resources), LEAST * self.unit

        def look(number, value) -> NDArray[np.int64]:
            which = line.order[line.begin[number] : line.begin[number + 1]]
            return hopeful(value, line.queue, which, per_parcel, prices.kilogram, least, self.seats)

        def again(_, block, value, ride, which) -> None:
            while len(which):
                done, self.used = improve(
                    self.net, block, value, ride, line.queue, which, per_parcel, prices.kilogram, least,
                    self.room, self.trace, self.seats, self.used,
                )  # fmt: skip
                which = self._rest(which, done)

        self.sweeper.sweep(columns, prices, shut=self.full(), loads=False, look=look, then=again)

    def last_seats(self, columns: Columns, line: Line) -> None:
        """Whoever has no seat takes any way that is left, at any price; who has none then has no way at all (K = 1).

        First all of a block look for one among the departures with room for the least of them. When that seats nobody,
        those who need the same look among the departures with room for them, where whoever is first must find a way,
        if there is one.
        """
        hopeless = self.lost.copy()
        while True:
            seated = 0
            for exact in (False, True):
                if seated:
                    break
                for number in range(len(columns.blocks)):
                    mine = line.order[line.begin[number] : line.begin[number + 1]]
                    mine = mine[(self.seats.size[mine] == 0) & ~hopeless[mine]]
                    for which, need in self._alike(mine) if exact else self._together(mine):
                        seated += self._any_way(columns, line, number, which, need, hopeless)
            if not seated:
                return

    def _needs(self, which: NDArray) -> NDArray[np.float64]:
        """Pieces and kilograms of each parcel of `which`."""
        return self.parcels.pieces[which, None] * np.column_stack([np.ones(len(which)), self.parcels.actual[which]])

    def _together(self, which: NDArray) -> list[tuple[NDArray, NDArray]]:
        return [(which, self._needs(which).min(axis=0))] if len(which) else []

    def _alike(self, which: NDArray) -> list[tuple[NDArray, NDArray]]:
        """Parcels that need the same, and what that is (pieces, kilograms)."""
        distinct, group = np.unique(self._needs(which), axis=0, return_inverse=True)
        return [(which[group.reshape(-1) == number], need) for number, need in enumerate(distinct)]

    def _any_way(self, columns: Columns, line: Line, number: int, which: NDArray, need: NDArray, hopeless) -> int:
        """Seat parcels of one block on departures with room for `need`; marks those that find no way. How many sat."""
        before = int((self.seats.size[which] > 0).sum())
        any_price = np.full(self.parcels.count, np.inf)

        def take(_, block, value, ride, __) -> None:
            hopeless[which[~np.isfinite(value[self.parcels.row[which], line.queue.lane[which]])]] = True
            self._seat(block, value, ride, line, which, any_price)

        free = Prices.none(self.resources)
        self.sweeper.sweep(columns, free, shut=self._shut(*(need * (1 - ROOM))), loads=False, then=take, only=[number])
        return int((self.seats.size[which] > 0).sum()) - before

    def _shut(self, pieces: float, kilograms: float) -> NDArray[np.bool_]:
        """Departures (N) without room for so much."""
        hours = self.room.hourly < pieces
        shut = (self.room.seats < pieces) | (self.room.kilograms < kilograms)
        return shut | hours[self.room.hour].any(axis=1) if hours.any() else shut

    def settle_ties(self) -> None:
        """Where parcels could take each other's seats, give the better ones to who was ready first.

        A seat can be handed to a parcel of the same class and needs that can catch the same first departure; and to one
        without a seat, from a parcel that was ready later at the same node. What the plan costs changes by no more than
        the time that the one was ready earlier.
        """
        p = self.parcels
        need = np.column_stack([p.pieces, p.chargeable, p.actual, np.round(p.refusal + p.credit, 6)])
        self._hand_back(need)
        run = np.cumsum((np.diff(p.class_of, prepend=-1) != 0) | (np.diff(p.row, prepend=-1) != 0))
        by_ready(run, need, self.seats)

    def _hand_back(self, need: NDArray[np.float64]) -> None:
        """Give seats to parcels without one, from the latest ready of those that start at the same node."""
        p, seats, count = self.parcels, self.seats, len(self.net.frm)
        start = np.append(self.net.frm, -1)[p.row]
        place = p.class_of * (len(self.net.node_from) + 1) + start  # what may be alike, in one whole number
        mine = np.flatnonzero(np.isin(place, place[(seats.size == 0) & ~self.lost & (p.row < count)]) & (p.row < count))
        if len(mine) == 0:
            return
        _, group = np.unique(np.column_stack([place[mine], need[mine]]), axis=0, return_inverse=True)
        order = np.argsort(group.reshape(-1), kind="stable")  # in each group by row, which is by becoming ready
        for alike in np.split(mine[order], np.flatnonzero(np.diff(group.reshape(-1)[order])) + 1):
            seated = alike[seats.size[alike] > 0]
            if len(seated) == len(alike):
                continue
            kept = [values[seated].copy() for values in (seats.begin, seats.size, seats.cost)]
            seats.size[alike], seats.cost[alike] = 0, np.inf
            first = alike[: len(seated)]
            seats.begin[first], seats.size[first], seats.cost[first] = kept

    def _seat(self, block: Block, value: NDArray, ride: NDArray, line: Line, which: NDArray, refusal: NDArray) -> None:
        """Seat the parcels `which` of a block, one after the other."""
        while len(which):
            done, self.used = seat(
                self.net, block, value, ride, line.queue, which, refusal, self.room, self.trace, self.seats, self.used
            )
            which = self._rest(which, done)

    def _rest(self, which: NDArray, done: int) -> NDArray:
        """What is left of `which`, with more memory for it if there is any."""
        if done < len(which):
            seats = self.seats
            rides, chances = np.empty(2 * self.used + MOST_RIDES, np.int32), np.empty(2 * self.used + MOST_RIDES)
            rides[: self.used], chances[: self.used] = seats.rides[: self.used], seats.chances[: self.used]
            self.seats = seats._replace(rides=rides, chances=chances)
        return which[done:]


def _mean(parcels: Parcels) -> float:
    """Mean actual kilograms of a parcel."""
    return float(np.average(parcels.actual, weights=parcels.pieces)) if parcels.count else 1.0
