"""New moves for those affected, within the room that the others leave."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.base.progress import Progress
from rookery.planning.batch import Assignment
from rookery.planning.capacity.resources import Prices
from rookery.planning.capacity.seating import Seating
from rookery.planning.capacity.solve import Problem, Solution, solution_of
from rookery.planning.engine.keep import Ways, hold
from rookery.planning.engine.vector import LANES
from rookery.planning.ops import Model, joined, movers, stay
from rookery.planning.replan.affected import DELAYED, Affected
from rookery.planning.replan.disruption import Disruption
from rookery.planning.replan.standing import Standing
from rookery.terms.time import NEVER

INSTALMENTS = 2
"""So few make new moves at once; they are improved when prices have taken in what is closed."""
PRICED, PLAIN = 2, 1
"""Passes that improve them: first as prices see it, which frees what others need, then by cost alone."""


@dataclass(frozen=True)
class Moves:
    """What m affected parcels do from where they are."""

    frame: pl.DataFrame  # (m) schema PARCELS: they start where they are; what is spent already is in pickup_cost
    assignment: Assignment
    which: NDArray[np.int64]  # the rows of `frame` that the assignment is of
    reachable: NDArray[np.bool_]  # (m) False = no way even where nothing is full
    crowded: NDArray[np.bool_]  # (m) whose way is only late, but has no longer room for all its outcomes

    @property
    def planned(self) -> NDArray[np.bool_]:
        """(m) Who has a way."""
        planned = np.zeros(len(self.frame), np.bool_)
        planned[self.which] = np.isfinite(self.assignment.cost)
        return planned


def from_here(
    turn: Disruption, now: Standing, parcels: pl.DataFrame, which: NDArray, *, waits: NDArray
) -> pl.DataFrame:
    """The parcels `which` as they stand (schema PARCELS): origin where they are, start_at when ready there.

    waits (bool, of which): nothing that has left can be taken, so that these start at `at` at the earliest. The cost
    of legs that have left is lost whether they arrive or not, as is that of picking them up.
    """
    pieces = parcels["pieces"].to_numpy()[which]
    moved = now.flown[which] > 0
    sunk = now.sunk[which] / pieces
    pickup = parcels["pickup_cost"].to_numpy()[which]
    ready = np.where(waits, np.maximum(now.ready[which], turn.at), now.ready[which])
    return parcels[which].with_columns(
        origin=pl.Series(now.where[which], dtype=pl.Int32),
        start_at=pl.Series(ready, dtype=pl.Int64),
        pickup_cost=pl.Series(pickup + sunk),
        unassigned_cost=pl.col("unassigned_cost") + pl.Series(np.where(moved, pickup + sunk, 0.0)),
    )


class Settlement:
    """The affected parcels `which` seated again, from where they are, in the room that the others leave.

    Two groups share the room: those whose way is only late, who may stay on it, and those who must move.
    """

    def __init__(
        self,
        turn: Disruption,
        now: Standing,
        parcels: pl.DataFrame,
        affected: Affected,
        which: NDArray[np.int64],
        *,
        prices: Prices,
        unit: float,
        threads: int,
        progress: Progress,
    ):
        """Those who may stay do, the others take the best seats that are left. unit: the usual cost of a parcel."""
        self.model, self.unit, self.threads = turn.after, unit, threads
        self.frame = from_here(turn, now, parcels, which, waits=np.ones(len(which), np.bool_))
        self.travel, self.there = movers(self.frame)
        self.room = affected.room
        late = self.travel[affected.reason[which[self.travel]] == DELAYED]
        self.may = self._stay(affected.ways, which, late, prices)
        staying = np.zeros(0, np.int64) if self.may is None else self.may.rows
        self.crowded = np.isin(np.arange(len(which)), np.setdiff1d(late, staying, assume_unique=True))
        going = np.setdiff1d(self.travel, staying, assume_unique=True)
        self.must = self._group(going) if len(going) else None
        if self.must is not None:
            self.must.seat(prices, progress)

    def _group(self, rows: NDArray[np.int64]) -> _Group:
        """Parcels with tables and seats of their own; the room is one for all that come after."""
        made = _Group(self.model, self.frame, rows, self.room, self.unit, self.threads)
        self.room = made.seating.room
        return made

    def _stay(self, ways: Ways, which: NDArray, late: NDArray, prices: Prices) -> _Group | None:
        """Those whose way is only `late`, on it; with several outcomes only those for whom all of them find room."""
        rows, room = late, self.room
        while len(rows):
            self.room = room
            group = self._group(rows)
            group.hold(ways, which, prices)
            kept = group.seated()
            if kept.all():
                return group
            rows = rows[kept]
        self.room = room
        return None

    def improve(self, prices: Prices, stability: float, progress: Progress) -> None:
        """Seat again whoever must move and finds better; whoever may stay, where that saves more than `stability`."""
        none = Prices.none(self.model.resources)
        self._share_the_room()
        if self.must is not None:
            guides = [prices] * PRICED + [none] * PLAIN
            for done, guide in enumerate(guides, 1):
                self.must.seating.improve(self.must.problem.coarse, self.must.problem.line, guide)
                progress("improve", done, len(guides))
        if self.may is not None and stability < np.inf:
            self.may.better(stability, none)
        if self.must is not None:
            self.must.seating.last_seats(self.must.problem.coarse, self.must.problem.line)

    def _share_the_room(self) -> None:
        for group in (self.may, self.must):
            if group is not None:
                group.seating.room = self.room

    def moves(self) -> Moves:
        """What everyone does."""
        groups = [group for group in (self.must, self.may) if group is not None]
        solutions = [group.told(self.model, self.frame) for group in groups]
        there = self.there[self.frame["start_at"].to_numpy()[self.there] != int(NEVER)]
        reachable = np.ones(len(self.frame), np.bool_)
        for group, solution in zip(groups, solutions):
            reachable[group.rows] = solution.reachable
        return Moves(
            self.frame,
            joined(_together(self.model, solutions), stay(self.model, self.frame[there])),
            np.concatenate([*(group.rows for group in groups), there]).astype(np.int64),
            reachable,
            self.crowded,
        )

    def cost(self) -> float:
        """Cost of those who travel, those without a seat at the price of refusing them."""
        return sum(group.seating.cost() for group in (self.may, self.must) if group is not None)


class _Group:
    """Some of the affected, their tables and their seats."""

    def __init__(self, model: Model, frame: pl.DataFrame, rows: NDArray[np.int64], room, unit: float, threads: int):
        self.rows = rows
        self.first: NDArray[np.int32] | None = None
        self.problem = Problem(model.timetable, model.resources, model.miles, frame[rows], threads)
        self.seating = Seating(self.problem.sweeper, model.resources, self.problem.parcels, room, unit)

    def seated(self) -> NDArray[np.bool_]:
        """Who has a seat, as in `rows`."""
        given = np.zeros(len(self.rows), np.bool_)
        given[self.problem.parcels.number] = self.seating.seats.size > 0
        return given

    def seat(self, prices: Prices, progress: Progress) -> None:
        """Seat everyone in the best way that is left."""
        self.seating.instalments(self.problem.coarse, self.problem.line, prices, INSTALMENTS, progress)
        self.seating.last_seats(self.problem.coarse, self.problem.line)

    def hold(self, ways: Ways, which: NDArray[np.int64], prices: Prices) -> None:
        """Seat everyone on the way they have."""
        problem, seating = self.problem, self.seating
        way_of = which[self.rows[problem.parcels.number]]

        def take(number, block, value, ride, _) -> None:
            line = problem.line
            mine = line.order[line.begin[number] : line.begin[number + 1]]
            seating.seats, seating.used = hold(
                seating.net, block, value, ride, line.queue, mine, ways, way_of, seating.room, seating.seats,
                seating.used,
            )  # fmt: skip

        if problem.timetable.outcomes > 1:
            problem.sweeper.sweep(problem.coarse, prices, shut=seating.full(), loads=False, then=take)
        else:  # nobody misses a leg: tables that lead nowhere will do
            rows = len(problem.timetable.cutoff) + 1
            nothing = np.zeros((rows, LANES), problem.dtype), np.zeros(rows, np.uint16)
            for number, block in enumerate(problem.coarse.blocks):
                take(number, block, *nothing, None)
        # the way they have may begin with a cut-off that is over: they have met it
        first = ways.rows[ways.begin[way_of]]
        self.first = np.minimum(problem.parcels.row, first)

    def better(self, stability: float, none: Prices) -> None:
        """Whoever saves more than `stability` by it changes."""
        seating, problem = self.seating, self.problem
        was = seating.seats
        size, rides, cost = was.size.copy(), was.rides[: seating.used].copy(), was.cost.copy()
        was.cost[:] -= stability  # a way that is kept counts as so much cheaper
        seating.improve(problem.coarse, problem.line, none)
        seats = seating.seats
        same = seats.size == size
        leg = np.arange(size.sum()) + np.repeat(seats.begin - np.cumsum(size) + size, size)
        owner = np.repeat(np.arange(len(size)), size)
        leg, owner = leg[same[owner]], owner[same[owner]]
        same[owner[seats.rides[leg] != rides[leg]]] = False
        seats.cost[same] = cost[same]

    def told(self, model: Model, frame: pl.DataFrame) -> Solution:
        problem, mine = self.problem, frame[self.rows]
        reachable = self._reachable()
        if self.first is not None:
            problem.parcels = replace(problem.parcels, row=self.first)
        return solution_of(problem, self.seating, mine, model.miles, reachable)

    def _reachable(self) -> NDArray[np.bool_]:
        """Who has a way where nothing is full, as in `problem.parcels`."""
        problem, parcels = self.problem, self.problem.parcels
        reachable = self.seating.seats.size > 0
        if not reachable.all():

            def see(number, block, value, ride, _) -> None:
                which = problem.line.order[problem.line.begin[number] : problem.line.begin[number + 1]]
                reachable[which] |= np.isfinite(value[parcels.row[which], problem.line.queue.lane[which]])

            problem.sweeper.sweep(problem.coarse, Prices.none(problem.resources), loads=False, then=see)
        return reachable


def _together(model: Model, solutions: list[Solution]) -> Assignment:
    """Solutions of several groups as one assignment, in their order."""

    def join(name: str, kind) -> NDArray:
        return np.concatenate([np.zeros(0, kind), *(getattr(each, name) for each in solutions)]).astype(kind)

    sizes = np.concatenate([np.zeros(1, np.int64), *(np.diff(each.leg_from) for each in solutions)])
    loads = np.zeros((len(model.timetable.cutoff), 2))
    cost = join("cost", np.float64)
    return Assignment(
        cost=cost,
        bound=cost,
        on_time=join("on_time", np.float64),
        expected_at=join("expected_at", np.float64),
        by_at=join("by_at", np.int64),
        legs=join("legs", np.int32),
        leg_from=np.cumsum(sizes).astype(np.int64),
        loads=sum((each.loads for each in solutions), loads),
        exact=all(each.exact for each in solutions),
        columns=sum(each.columns for each in solutions),
    )
