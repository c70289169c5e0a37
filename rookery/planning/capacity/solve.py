"""The whole of it: prices, seats, improvements, in rounds of growing effort until the gap or the time is reached."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from math import inf, nextafter

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.base.progress import Progress
from rookery.planning.blocks import LastMiles
from rookery.planning.capacity.ascent import FIRST_STEP, Ascent
from rookery.planning.capacity.demand import Parcels, columns_of, line_of, parcels_of
from rookery.planning.capacity.medians import on_medians
from rookery.planning.capacity.passes import Sweeper, Swept
from rookery.planning.capacity.resources import Prices, Resources
from rookery.planning.capacity.seating import Seating
from rookery.planning.engine.seated import Arrivals, arrivals, carried, itineraries
from rookery.planning.timetable import Timetable

EXACT_CELLS = 1e8
"""Columns x departures x outcomes up to which every weight has its own column, in 8-byte numbers."""
COARSE, FINE = 3, 8
"""Weights a class above that: while prices are sought, and for the certificate and the last improvements."""
ROUNDS = ((36, 24), (64, 48), (100, 100), (200, 200), (400, 400))
"""Steps of the prices and instalments of seats in each round; prices go on from where they were."""
CAREFUL = 8
"""So many times smaller are the first steps when prices are nearly right to begin with."""
STEPS_ON_MEDIANS = 60
"""Steps of prices where everything takes its median time: cheap, so many of them."""
TAIL = 10
"""Last prices of a climb whose mean is tried too."""
NEARLY = 1e-4
"""Share of a capacity by which loads may exceed it in 4-byte numbers before something is surely full."""
HASTY = 4
"""Steps, and instalments, when there is no time for more."""
NEAR = 0.02
"""Gap after a round, as a share of the cost, from which the steps of the next are scaled by how large it is."""


@dataclass(frozen=True)
class Effort:
    """When to stop: at this gap (share of the cost), or when a further round would take longer than `seconds`."""

    gap: float = 0.005
    seconds: float = 60.0


@dataclass(frozen=True)
class Solution:
    """Seats of n parcels (costs a piece; infinite = none), and how good they are."""

    cost: NDArray[np.float64]
    on_time: NDArray[np.float64]
    expected_at: NDArray[np.float64]
    by_at: NDArray[np.int64]
    legs: NDArray[np.int32]
    leg_from: NDArray[np.int64]
    loads: NDArray[np.float64]  # (N, 2): pieces, grams
    reachable: NDArray[np.bool_]  # (n): False = no itinerary even where nothing is full
    prices: Prices
    bound: float  # no plan of the reachable parcels costs less
    free_bound: float  # nor, if nothing were ever full
    iterations: int
    columns: int
    exact: bool
    interrupted: bool
    seconds: dict[str, float]


class Problem:
    """What stays the same while a batch is solved."""

    def __init__(self, timetable: Timetable, resources: Resources, miles: LastMiles, frame: pl.DataFrame, threads: int):
        self.timetable, self.resources = timetable, resources
        parcels = parcels_of(timetable, frame, miles, weighed=bool(np.isfinite(resources.kilograms).any()))
        cells = max(1, len(timetable.net.frm) * timetable.outcomes)
        self.exact = float(_distinct(parcels, EXACT_CELLS / cells)) * cells <= EXACT_CELLS
        self.dtype = np.float64 if self.exact else np.float32
        self.coarse = columns_of(parcels, timetable, miles, self.dtype, 0 if self.exact else COARSE)
        self.fine = self.coarse if self.coarse.complete else columns_of(parcels, timetable, miles, self.dtype, FINE)
        self.parcels = parcels
        self.line = line_of(parcels, self.coarse)
        self.fine_line = self.line if self.fine is self.coarse else line_of(parcels, self.fine)
        self.sweeper = Sweeper(timetable, resources, self.dtype, threads)
        self.credit = float((parcels.credit * parcels.pieces).sum())
        # a sum of n terms rounds up by n half units at most; here each term enters a few such sums
        self.rounding = np.finfo(np.float64).eps * (4 * parcels.count + 4 * len(timetable.net.frm) + 1000)
        self.size = float((np.abs(parcels.credit) * parcels.pieces).sum())

    def bound(self, cost: float, prices: Prices) -> float:
        """The Lagrangian value of tables that cost so much under `prices`, lowered by what may have been rounded up."""
        capacity = prices.of_capacity(self.resources)
        return nextafter(cost + self.credit - capacity - self.rounding * (abs(cost) + self.size + capacity), -inf)

    def finely(self, prices: Prices) -> float:
        """What `prices` prove with more weights a class."""
        return self.bound(self.sweeper.sweep(self.fine, prices, loads=False).cost, prices)


def _distinct(parcels: Parcels, enough: float) -> int:
    """How many classes and weights there are, counted no further than the classes when these are more than enough."""
    classes = len(next(iter(parcels.classes.values())))
    if classes > enough:
        return classes
    pairs = np.column_stack([parcels.class_of, parcels.density_of, parcels.chargeable])
    return len(np.unique(pairs, axis=0)) if parcels.count < 1_000_000 else parcels.count


def solve(
    timetable: Timetable,
    resources: Resources,
    miles: LastMiles,
    frame: pl.DataFrame,
    *,
    effort: Effort,
    threads: int,
    progress: Progress,
    warm: Prices | None = None,
    unless_it_fits: bool = False,
) -> Solution | None:
    """Plan parcels (schema PARCELS, origin and destination known and different) within all capacities.

    warm: prices to begin with; unless_it_fits: give None when nothing is full, weights being rounded. Stopped from
    the keyboard, it gives the best plan found so far, marked so.
    """
    watch = _Watch()
    problem = Problem(timetable, resources, miles, frame, threads)
    parcels, none = problem.parcels, Prices.none(resources)
    reachable = np.zeros(parcels.count, np.bool_)

    def see(number, block, value, ride, _) -> None:
        which = problem.line.order[problem.line.begin[number] : problem.line.begin[number + 1]]
        reachable[which] = np.isfinite(value[parcels.row[which], problem.line.queue.lane[which]])

    watch.lap("classes")
    free = problem.sweeper.sweep(problem.coarse, none, then=see)
    if unless_it_fits and resources.fits(free.loads * [1.0, 1000.0], NEARLY):
        return None
    plan: Seating | None = None  # the best one so far
    interrupted = False
    search = Search(problem, free, ~reachable)

    def third() -> float:
        """Of the seconds left: for prices, and for seats."""
        return (effort.seconds - watch.total()) / 3

    try:
        if warm is None and timetable.outcomes > 1:
            warm = _on_medians(timetable, resources, miles, frame, third(), threads, progress)
        if warm is not None:
            search.begin(warm)
        watch.lap("prices")
        for number, (steps, instalments) in enumerate(ROUNDS):
            search.climb(steps // 2 if number == 0 and warm is not None else steps, third(), progress)
            watch.lap("prices")
            made = search.seat(int(np.clip(third() / search.fastest, HASTY, instalments)), progress)
            plan = made if plan is None else plan  # whatever stops it from here on, there is one
            watch.lap("seats")
            _improve(made, problem, search.prices, progress)
            made.settle_ties()
            watch.lap("improve")
            plan = made if made.cost() < plan.cost() else plan
            search.widen(plan.cost())
            ahead = search.fastest * sum(ROUNDS[number + 1]) * 2 if number + 1 < len(ROUNDS) else inf
            if search.gap(plan.cost()) <= effort.gap or watch.total() + ahead > effort.seconds:
                break
    except KeyboardInterrupt:
        interrupted = True
        plan = plan if plan is not None else search.seat(HASTY, progress)
        plan.last_seats(problem.coarse, problem.line)
        plan.settle_ties()
    watch.lap("seats")
    bound, free_bound = search.bound, problem.bound(free.cost, none)
    try:
        if problem.fine is not problem.coarse:
            bound = max(bound, problem.finely(search.prices))
            free_bound = max(free_bound, problem.finely(none))
    except KeyboardInterrupt:
        interrupted = True
    watch.lap("certificate")
    assert plan is not None  # there is at least one round
    told = solution_of(problem, plan, frame, miles, reachable)
    watch.lap("itineraries")
    return replace(
        told,
        prices=search.prices,
        bound=bound,
        free_bound=free_bound,
        iterations=search.sweeps,
        interrupted=interrupted,
        seconds=watch.seconds,
    )


def _on_medians(timetable, resources, miles, frame, seconds: float, threads: int, progress: Progress) -> Prices:
    """Prices to begin with, from the network in which everything takes its median time."""
    certain, limits, last = on_medians(timetable, resources, miles)
    problem = Problem(certain, limits, last, frame, threads)
    search = Search(problem, problem.sweeper.sweep(problem.coarse, Prices.none(limits)))
    search.climb(STEPS_ON_MEDIANS, seconds, progress)
    return search.prices


class _Watch:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.begin = self.since = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Count the time since the last lap as this stage's."""
        now = time.perf_counter()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self.since, 3)
        self.since = now

    def total(self) -> float:
        return time.perf_counter() - self.begin


class Search:
    """The prices of a problem as they climb: the best so far are kept, with the bound that they prove."""

    def __init__(self, problem: Problem, free: Swept, lost: NDArray[np.bool_] | None = None):
        parcels, none = problem.parcels, Prices.none(problem.resources)
        self.problem, self.lost = problem, lost
        self.unit = max((free.cost + problem.credit) / max(parcels.pieces.sum(), 1.0), 1e-6)
        self.weight = float(np.average(parcels.actual, weights=parcels.pieces)) if parcels.count else 1.0
        self.ascent = Ascent(problem.resources, self.unit, self.weight)
        self.prices, self.bound = none, problem.bound(free.cost, none)
        self.now, self.loads = none, free.loads
        self.sweeps, self.fastest = 1, inf

    def begin(self, prices: Prices) -> None:
        """Begin with prices that are nearly right: with small steps."""
        self.ascent = Ascent(self.problem.resources, self.unit, self.weight, FIRST_STEP / CAREFUL)
        self._look(prices)

    def _look(self, prices: Prices) -> None:
        """See what these prices prove, and how loads answer them."""
        begin = time.perf_counter()
        swept = self.problem.sweeper.sweep(self.problem.coarse, prices)
        self.now, self.loads, self.sweeps = prices, swept.loads, self.sweeps + 1
        self.fastest = min(self.fastest, time.perf_counter() - begin)
        self._keep(prices, self.problem.bound(swept.cost, prices))

    def _keep(self, prices: Prices, bound: float) -> None:
        if bound > self.bound:
            self.prices, self.bound = prices, bound

    def climb(self, steps: int, seconds: float, progress: Progress) -> None:
        """Move the prices so many steps, or as many as the time allows, a few at least."""
        end = time.perf_counter() + seconds
        last: deque[NDArray] = deque(maxlen=TAIL)
        for step in range(steps):
            self._look(self.ascent.step(self.now, self.loads))
            last.append(self.ascent.flat(self.now))
            progress("prices", step + 1, steps)
            if step + 1 >= HASTY and time.perf_counter() > end:
                break
        mean = self.ascent.prices(np.mean(last, axis=0))  # prices swing around the best ones
        swept = self.problem.sweeper.sweep(self.problem.coarse, mean, loads=False)
        self._keep(mean, self.problem.bound(swept.cost, mean))

    def seat(self, instalments: int, progress: Progress) -> Seating:
        """Seat everyone under the best prices."""
        problem = self.problem
        room = problem.resources.room()
        made = Seating(problem.sweeper, problem.resources, problem.parcels, room, self.unit, self.lost)
        made.instalments(problem.coarse, problem.line, self.prices, instalments, progress)
        made.last_seats(problem.coarse, problem.line)
        return made

    def gap(self, cost: float) -> float:
        """How much less another plan may cost at most, as a share of this one's cost."""
        return (cost - self.bound) / cost if cost > 0 else 0.0

    def widen(self, cost: float) -> None:
        """Begin again with larger steps when the bound is so far below a plan's cost that prices must be as large."""
        far = (cost - self.bound) / (NEAR * self.unit * self.problem.parcels.pieces.sum())
        if far > 1:
            self.ascent = Ascent(self.problem.resources, self.unit * far, self.weight)
            self._look(self.prices)


def _improve(made: Seating, problem: Problem, prices: Prices, progress: Progress) -> None:
    """Passes over all parcels: first as prices see it, which frees what others need, then by cost alone."""
    none = Prices.none(problem.resources)
    passes = [prices] * 3 + [none] * 2
    for done, guide in enumerate(passes, 1):
        columns, line = (problem.fine, problem.fine_line) if done in (3, 5) else (problem.coarse, problem.line)
        made.improve(columns, line, guide)
        progress("improve", done, len(passes))
    made.last_seats(problem.coarse, problem.line)  # what moved may have left room


def solution_of(problem: Problem, plan: Seating, frame: pl.DataFrame, miles: LastMiles, reachable: NDArray) -> Solution:
    """What the seats mean for each parcel of the frame."""
    net, parcels, seats = problem.timetable.net, problem.parcels, plan.seats
    count, number = parcels.count, parcels.number
    column = {name: frame[name].to_numpy()[number] for name in ("destination", "zone", "due_at", "confidence")}
    zone = np.where(column["zone"] < 0, len(miles.cost) - 1, column["zone"]).astype(np.int32)
    on_time, mean, by = np.zeros(count), np.zeros(count), np.zeros(count, np.int64)
    asked = Arrivals(column["destination"], zone, column["due_at"], column["confidence"], miles.minutes)
    arrivals(net, seats, asked, on_time, mean, by)
    length = np.zeros(count, np.int64)
    legs, size = itineraries(net, seats, parcels.row, column["destination"], np.empty(4 * count + 16, np.int32), length)
    loads = np.zeros((len(net.frm), 2))
    carried(seats, parcels.pieces, parcels.pieces * frame["weight_g"].to_numpy()[number], loads)

    def back(values: NDArray) -> NDArray:
        """As in the frame."""
        given = np.empty_like(values)
        given[number] = values
        return given

    begin = np.concatenate([[0], np.cumsum(length)])[:-1]
    length, begin = back(length), back(begin)
    leg_from = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    source = np.arange(leg_from[-1]) + np.repeat(begin - leg_from[:-1], length)
    return Solution(
        cost=back(np.where(seats.size > 0, seats.cost + parcels.credit, np.inf)),
        on_time=back(on_time),
        expected_at=back(mean),
        by_at=back(by),
        legs=np.asarray(legs[:size][source], np.int32),
        leg_from=leg_from,
        loads=loads,
        reachable=back(reachable),
        prices=Prices.none(problem.resources),
        bound=0.0,
        free_bound=0.0,
        iterations=0,
        columns=problem.coarse.count + (problem.fine.count if problem.fine is not problem.coarse else 0),
        exact=problem.exact and parcels.own_density,
        interrupted=False,
        seconds={},
    )
