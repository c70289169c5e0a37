"""The kernels of capacity against plain Python: demand spread over departures, seats taken, given back, exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from test_engine import random_block, random_net

from rookery.planning.engine.arrays import Block, Net
from rookery.planning.engine.scan import buffers, rounding_down, scan_certain, scan_cost
from rookery.planning.engine.seat import Queue, Room, Seats, hopeful, improve, seat, together, trace
from rookery.planning.engine.spread import Demand, collect, spread, spread_buffers, worth
from rookery.terms.time import NEVER

COLUMNS = 11
KINDS = [(np.float64, 1), (np.float64, 4), (np.float32, 1), (np.float32, 4)]


@dataclass
class Small:
    """A random timetable with its tables, room that is soon used up, and parcels that want some of it."""

    net: Net
    block: Block
    value: np.ndarray
    ride: np.ndarray
    queue: Queue
    full: Room  # all there is
    random: np.random.Generator
    used: int = 0

    def __post_init__(self) -> None:
        n = len(self.queue.row)
        self.refusal = np.where(self.random.random(n) < 0.1, 0.5, np.inf)
        self.seats = Seats(
            np.zeros(n, np.int64), np.zeros(n, np.int32), np.full(n, np.inf), np.empty(40, np.int32), np.empty(40)
        )
        self.packed, self.room = together(self.net, self.full)
        self.which = self.random.permutation(n)

    def seat(self) -> None:
        which = self.which
        while len(which):
            done, self.used = seat(
                self.packed, self.block, self.value, self.ride, self.queue, which, self.refusal, self.room, trace(),
                self.seats, self.used,
            )  # fmt: skip
            which = self._rest(which, done)

    def improve(self, per_parcel: np.ndarray, per_kg: np.ndarray, least: float) -> None:
        net = self.net._replace(fixed=self.net.fixed + per_parcel, per_kg=self.net.per_kg + per_kg)
        value, ride = _tables(net, self.block, np.float64)
        which = hopeful(value, self.queue, self.which, per_parcel, per_kg, least, self.seats)
        while len(which):
            done, self.used = improve(
                self.packed, self.block, value, ride, self.queue, which, per_parcel, per_kg, least, self.room, trace(),
                self.seats, self.used,
            )  # fmt: skip
            which = self._rest(which, done)

    def send_away(self, which: np.ndarray) -> None:
        """Parcels give back what they ride, which leaves something to move to."""
        for parcel in which.tolist():
            pieces, actual = self.queue.pieces[parcel], self.queue.actual[parcel]
            for row, chance in self.rides(parcel).items():
                self.room.seats[row] += chance * pieces
                self.room.kilograms[row] += chance * pieces * actual
                np.add.at(self.room.hourly, self.room.hour[row], chance * pieces / self.room.hour.shape[1])
            self.seats.size[parcel], self.seats.cost[parcel] = 0, np.inf

    def _rest(self, which: np.ndarray, done: int) -> np.ndarray:
        """What is not done yet, with a little more memory for it."""
        if done < len(which):
            rides, chances = (np.append(part, part[:40]) for part in (self.seats.rides, self.seats.chances))
            self.seats = self.seats._replace(rides=rides, chances=chances)
        return which[done:]

    def rides(self, parcel: int) -> dict[int, float]:
        part = slice(self.seats.begin[parcel], self.seats.begin[parcel] + self.seats.size[parcel])
        return dict(zip(self.seats.rides[part].tolist(), self.seats.chances[part].tolist(), strict=True))


def _tables(net: Net, block: Block, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    memory = buffers(net, dtype)
    scan = scan_certain if net.ready.shape[1] == 1 else scan_cost
    cast = net._replace(**{name: getattr(net, name).astype(dtype) for name in ("fixed", "per_kg", "catch_share")})
    tables = (memory[name] for name in ("value", "held", "spare", "ride"))
    scan(cast, block, 0, rounding_down(dtype, net.ready.shape[1]), int(NEVER), *tables)
    return memory["value"], memory["ride"]


def _small(seed: int, outcomes: int, dtype: type = np.float64, parcels: int = 80) -> Small:
    net, _ = random_net(seed, outcomes)
    block = random_block(seed, outcomes, dtype=dtype)
    value, ride = _tables(net, block, dtype)
    r = np.random.default_rng(seed + 99)
    count = len(net.frm)
    queue = Queue(
        r.integers(0, COLUMNS, parcels).astype(np.int16), r.integers(0, count // 2, parcels).astype(np.int32),
        r.integers(1, 3, parcels).astype(float), r.integers(1, 90, parcels) / 10, r.integers(1, 50, parcels) / 10,
    )  # fmt: skip
    hours = 12
    room = Room(
        np.where(r.random(count) < 0.7, r.integers(0, 7, count).astype(float), np.inf),
        np.where(r.random(count) < 0.3, r.integers(5, 30, count).astype(float), np.inf),
        np.append(r.integers(3, 40, hours).astype(float), np.inf),
        np.where(net.ready // 60 < hours, net.ready // 60, hours).astype(np.int32),
    )
    return Small(net, block, value, ride, queue, room, r)


def _ride(net: Net, ride: np.ndarray, column: int, row: int) -> int:
    """The first departure of the row's node, from the row on, that the column's policy rides; N = none."""
    none = len(net.frm)
    if row == none:
        return none
    mine = net.node_rows[net.node_from[net.frm[row]] : net.node_from[net.frm[row] + 1]]
    return next((int(e) for e in mine if e >= row and int(ride[net.place[e]]) >> column & 1), none)


def _home(net: Net, block: Block, column: int, row: int) -> bool:
    return bool(block.first[net.to[row]] <= column < block.last[net.to[row]])


def _catches(net: Net, row: int) -> list[tuple[int, float]]:
    part = slice(net.catch_from[row], net.catch_from[row + 1])
    return list(zip(net.catch_row[part].tolist(), net.catch_share[part].tolist(), strict=True))


def _walk(small: Small, column: int, row: int, fits=lambda taken, chance: True) -> dict[int, float] | None:
    """Rides and their chances when the policy is followed, waiting wherever a ride does not fit; None = led nowhere.

    A place waiting leads to is left to the tables only where they know a way on from it.
    """
    net, found = small.net, {}
    ahead = {_ride(net, small.ride, column, row): 1.0}
    while ahead:
        taken = min(ahead)
        chance = ahead.pop(taken)
        if taken == len(net.frm):
            return None
        if fits(taken, chance):
            found[taken] = chance
            onward = [] if _home(net, small.block, column, taken) else _catches(net, taken)
            steps = [(_ride(net, small.ride, column, caught), chance * share) for caught, share in onward]
        else:
            later = [e for e in range(taken + 1, len(net.frm)) if net.frm[e] == net.frm[taken]]
            known = later and np.isfinite(small.value[later[0], column])
            steps = [(_ride(net, small.ride, column, later[0]) if known else len(net.frm), chance)]
        for to, part in steps:
            ahead[to] = ahead.get(to, 0.0) + part
    return found


def _fits(room: Room, pieces: float, actual: float, taken: int, chance: float) -> bool:
    """Takes what a parcel needs of a departure, if that is there."""
    need = chance * pieces
    if not (
        room.seats[taken] >= need - 1e-9
        and room.kilograms[taken] >= need * actual - 1e-9
        and all(room.hourly[hour] >= need - 1e-9 for hour in room.hour[taken])
    ):
        return False
    room.seats[taken] -= need
    room.kilograms[taken] -= need * actual
    for hour in room.hour[taken]:
        room.hourly[hour] -= need / room.hour.shape[1]
    return True


def _cost(small: Small, parcel: int, rides: dict[int, float]) -> float:
    """Of one piece: prices of the rides, and what is due when it is delivered."""
    net, block, column = small.net, small.block, int(small.queue.lane[parcel])
    total = 0.0
    for row, chance in rides.items():
        total += chance * (net.fixed[row] + net.per_kg[row] * small.queue.chargeable[parcel])
        if _home(net, block, column, row):
            ends = net.ready[row][:, None] + block.delivery[column][None, :]
            late = np.maximum(0, -(-(ends - block.due[column]) // 1440))
            lateness = np.where(late > 0, block.late[column] + block.late_day[column] * late, 0.0)
            total += chance * float((lateness + block.rate[column] * (ends - net.start)).mean())
    return total


def _taken(small: Small) -> Room:
    """What is left of the room when all seats are subtracted, one by one."""
    left = Room(*(part.copy() for part in small.full))
    outcomes = left.hour.shape[1]
    for parcel in range(len(small.queue.row)):
        pieces, actual = small.queue.pieces[parcel], small.queue.actual[parcel]
        for row, chance in small.rides(parcel).items():
            left.seats[row] -= chance * pieces
            left.kilograms[row] -= chance * pieces * actual
            for k in range(outcomes):
                left.hourly[left.hour[row, k]] -= chance * pieces / outcomes
    return left


def _agree(room: Room, other: Room) -> None:
    for name in ("seats", "kilograms", "hourly"):
        np.testing.assert_allclose(getattr(room, name), getattr(other, name), atol=1e-9)


def _nothing_is_broken(small: Small) -> None:
    assert min(part.min() for part in (small.room.seats, small.room.kilograms, small.room.hourly)) >= -1e-7
    _agree(small.room, _taken(small))


@pytest.mark.parametrize(("dtype", "outcomes"), KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_all_demand_is_carried_to_its_end(seed: int, dtype: type, outcomes: int) -> None:
    """Loads are those of a plain walk, whatever is not refused arrives once, and nothing is left behind in memory."""
    small = _small(seed, outcomes, dtype)
    net, block, r = small.net, small.block, small.random
    entries, share, exact = 40, 0.25, 1e-9 if dtype is np.float64 else 1e-4
    rows = np.where(r.random(entries) < 0.05, len(net.frm), r.integers(0, len(net.frm), entries)).astype(np.int32)
    demand = Demand(
        rows, r.integers(0, COLUMNS, entries).astype(np.int16), r.integers(1, 9, entries).astype(float),
        np.where(r.random(entries) < 0.2, 0.7, np.inf),
    )  # fmt: skip
    loads, home, injected, cost = np.zeros((len(net.frm), 2)), 0.0, 0.0, 0.0
    for row, lane, pieces, refusal in zip(*(part.tolist() for part in demand), strict=True):
        if not small.value[row, lane] < refusal:
            cost += share * pieces * refusal
            continue
        injected += share * pieces
        cost += share * pieces * float(small.value[row, lane])
        found = _walk(small, lane, row)
        assert found is not None
        for taken, chance in found.items():
            loads[taken] += share * pieces * chance * np.array([1.0, float(block.kilograms[0, lane])])
            home += share * pieces * chance * _home(net, block, lane, taken)
    memory = spread_buffers(net, dtype)
    cast = net._replace(catch_share=net.catch_share.astype(dtype))
    work = memory["inbox"], memory["waiting"], memory["loads"]
    spread(cast, block, small.value, small.ride, demand, share, *work)
    np.testing.assert_allclose(memory["loads"], loads, rtol=exact, atol=exact)
    assert home == pytest.approx(injected)
    assert injected > 0
    assert (memory["inbox"] == 0).all()
    assert worth(small.value, demand, share) == pytest.approx(cost)
    carried = np.ones((len(net.frm), 2))
    collect(memory["loads"], 0.5, carried)
    np.testing.assert_allclose(carried, 1 + loads * [1.0, 0.5], rtol=exact, atol=exact)
    assert (memory["loads"] == 0).all()


@pytest.mark.parametrize(("dtype", "outcomes"), KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_seats_are_what_a_plain_walk_through_the_room_takes(seed: int, dtype: type, outcomes: int) -> None:
    """One after the other parcels ride what a slow walk finds room for, at its cost, and just that room is gone."""
    small, slow = _small(seed, outcomes, dtype), _small(seed, outcomes, dtype).full
    small.seat()
    waited = 0
    for parcel in small.which.tolist():
        row, column = int(small.queue.row[parcel]), int(small.queue.lane[parcel])
        found = None
        if small.value[row, column] < small.refusal[parcel]:
            before = Room(*(part.copy() for part in slow))
            fits = partial(_fits, slow, float(small.queue.pieces[parcel]), float(small.queue.actual[parcel]))
            found = _walk(small, column, row, fits)
            waited += found != _walk(small, column, row)
            if found is None:
                slow = before
        assert small.rides(parcel) == pytest.approx(found or {})
        assert small.seats.cost[parcel] == pytest.approx(np.inf if found is None else _cost(small, parcel, found))
    _agree(small.room, slow)
    _nothing_is_broken(small)
    assert waited > 5, "room was short"


@pytest.mark.parametrize("priced", [False, True])
@pytest.mark.parametrize("outcomes", [1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_improving_lowers_costs_and_breaks_nothing(seed: int, outcomes: int, priced: bool) -> None:
    """Once room is found, whoever moves pays less under the prices, whoever does not keeps all, and capacities hold."""
    small = _small(seed, outcomes)
    small.seat()
    r, count = small.random, len(small.net.frm)
    per_parcel, per_kg = (r.integers(0, 9, count) / 5.0 * priced for _ in range(2))
    per_kg = per_kg / 4
    small.send_away(small.which[:25])

    def priced_cost(parcel: int) -> float:
        actual = small.queue.actual[parcel]
        return small.seats.cost[parcel] + sum(
            chance * (per_parcel[row] + per_kg[row] * actual) for row, chance in small.rides(parcel).items()
        )

    before = [(small.rides(parcel), priced_cost(parcel)) for parcel in range(len(small.queue.row))]
    small.improve(per_parcel, per_kg, least=1e-3)
    for parcel, (rides, cost) in enumerate(before):
        now = small.rides(parcel)
        assert bool(now) == bool(rides)
        if now != rides:
            assert priced_cost(parcel) < cost - 1e-3
        if now:
            assert small.seats.cost[parcel] == pytest.approx(_cost(small, parcel, now))
            home = [c for row, c in now.items() if _home(small.net, small.block, int(small.queue.lane[parcel]), row)]
            assert sum(home) == pytest.approx(1.0)
    _nothing_is_broken(small)


def test_somebody_does_move() -> None:
    """Among the random cases above there are parcels that improve: the test says something."""
    moved = 0
    for seed in range(5):
        small = _small(seed, 1)
        small.seat()
        small.send_away(small.which[:25])
        before = [small.rides(parcel) for parcel in range(len(small.queue.row))]
        free = np.zeros(len(small.net.frm))
        small.improve(free, free, least=1e-3)
        moved += sum(small.rides(parcel) != rides for parcel, rides in enumerate(before))
    assert moved > 0
