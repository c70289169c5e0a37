"""Ways of finding shadow prices, each given the same number of sweeps over the plain peak day."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.capacity.case import Case
from benchmarks.capacity.fresh import capacities
from benchmarks.capacity.instance import laid_out
from benchmarks.capacity.pricing import METHODS, Day, Method
from benchmarks.capacity.sizes import Size
from benchmarks.form import Result, Say, Show, Table
from rookery.planning.capacity.resources import Prices
from rookery.planning.capacity.solve import Problem

LOOKED_AT = (5, 10, 20, 40, 60)
"""Numbers of sweeps after which the best bound so far is told; the last is where every method ends."""
MEAN_OF = 10
"""Last prices of a simple method, the bound of whose mean is told beside its own: sweeps that are not counted."""
SIMPLE = ("subgradient", "heavy ball")


@dataclass(frozen=True)
class Way:
    """How far a method came. bounds: the best so far, money, after each number of sweeps LOOKED_AT."""

    bounds: list[float]
    of_mean: list[float]  # the same, of the mean of the last prices; empty unless asked for
    seconds: float
    sweep: float  # median seconds of a sweep and of a price update
    update: float


def way(day: Day, method: Method, *, means: bool = False) -> Way:
    """Let a method find prices, from none; means: tell the bounds of mean prices too."""
    prices, bound, loads = np.zeros(len(day.seats)), day.free_bound, day.free_loads
    best = mean_best = bound
    bounds, of_mean, sweeps, updates, last = [], [], [], [], []
    for number in range(1, LOOKED_AT[-1] + 1):
        begin = time.perf_counter()
        prices = method.step(prices, bound, loads)
        updated = time.perf_counter()
        bound, loads = day.sweep(prices)
        sweeps.append(time.perf_counter() - updated)
        updates.append(updated - begin)
        best = max(best, bound)
        last = [*last[1 - MEAN_OF :], prices]
        if number in LOOKED_AT:
            bounds.append(best)
        if means and number in LOOKED_AT:
            mean_best = max(mean_best, day.sweep(np.mean(last, axis=0))[0])
            of_mean.append(mean_best)
    return Way(bounds, of_mean, sum(sweeps) + sum(updates), median(sweeps), median(updates))


def day_of(size: Size) -> Day:
    """The plain peak day of this size, swept once at no price."""
    case = Case(size.day, "plain", 1, 0.0, 0.0, size.threads)
    model, parcels = laid_out(case, capacities(case))
    problem = Problem(model.timetable, model.resources, model.miles, parcels, size.threads)
    none = Prices.none(model.resources)
    swept = problem.sweeper.sweep(problem.coarse, none)
    pieces = float(problem.parcels.pieces.sum())
    return Day(problem, model.resources, problem.bound(swept.cost, none), swept.loads[:, 0], pieces)


def run(size: Size, say: Say) -> Result:
    """Let every method sweep equally often."""
    say(f"{size.day.parcels:,} parcels to be made and placed")
    day = day_of(size)
    found: dict[str, Way] = {}
    for name, made in METHODS.items():
        found[name] = one = way(day, made(day), means=name in SIMPLE)
        say(f"{name}: {one.bounds[-1] / day.pieces:.4f} a parcel after {LOOKED_AT[-1]} sweeps, {one.seconds:.1f} s")
    highest = max(one.bounds[-1] for one in found.values()) - day.free_bound

    def row(name: str, bounds: list[float], more: tuple) -> tuple:
        return (name, *(f"{bound / day.pieces:.4f}" for bound in bounds), *more)

    rows = []
    for name, one in found.items():
        rows.append(row(name, one.bounds, (one.seconds, 1e3 * one.update, 1e3 * one.sweep)))
        if one.of_mean:
            rows.append(row(f"{name}, mean of its last {MEAN_OF} prices", one.of_mean, ("", "", "")))
    return Result(
        shows=[
            *(
                Show(
                    f"{name}: rise of the bound, of the highest", 100 * (one.bounds[-1] - day.free_bound) / highest, "%"
                )
                for name, one in found.items()
            ),
            *(Show(f"{name}: a price update beside its sweep", 1e3 * one.update, "ms") for name, one in found.items()),
        ],
        tables=[
            Table(
                f"shadow prices: bound a parcel after so many sweeps; {len(day.seats):,} departures, no prices:"
                f" {day.free_bound / day.pieces:.4f}",
                ("", *map(str, LOOKED_AT), "s", "ms an update", "ms a sweep"),
                rows,
                "the best bound so far; seconds of all sweeps and updates; sweeps under mean prices are not counted",
            )
        ],
    )
