"""How good a changed plan is: a lower bound for all that is still to be decided, from prices that are warm already."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from rookery.base.progress import Progress
from rookery.planning.capacity.ascent import Ascent
from rookery.planning.capacity.resources import Prices
from rookery.planning.capacity.solve import Effort, Problem
from rookery.planning.engine.seat import Room
from rookery.planning.ops import Model

STEPS = 18
FIRST_STEP, SMOOTH, SPREAD, SOFT = 0.03, 0.7, 0.9, 0.2
"""Prices are near already, so that their steps are small and soon forget: in 20 steps on the peak day with its busiest
hub closed, the gap became 0.12% of the cost smaller than with the steps that find prices from nothing. No command
repeats that figure."""
PATIENCE = 8
"""Steps without a better bound after which there is no use in more."""


@dataclass(frozen=True)
class Certificate:
    """No way of carrying these parcels costs less than `bound`; the prices that prove it."""

    bound: float
    prices: Prices
    iterations: int
    interrupted: bool = False

    @property
    def priced(self) -> bool:
        """Whether anything is worth more room."""
        return any(bool((price > 0).any()) for price in (self.prices.seat, self.prices.kilogram, self.prices.hour))


def certify(
    model: Model,
    frame: pl.DataFrame,
    room: Room,
    warm: Prices,
    cost: float,
    *,
    effort: Effort,
    total: float,
    threads: int,
    progress: Progress,
) -> Certificate:
    """A lower bound for parcels (schema PARCELS, origin and destination known and different) in the room there is.

    cost: of the plan in hand, for these parcels; total: of all it carries, which the gap of `effort` is a share of.
    """
    begin = time.perf_counter()
    resources = replace(
        model.resources,
        seats=np.maximum(room.seats, 0.0),
        kilograms=np.maximum(room.kilograms, 0.0),
        hourly=np.maximum(room.hourly[:-1], 0.0),
    )
    problem = Problem(model.timetable, resources, model.miles, frame, threads)
    pieces = problem.parcels.pieces
    unit = max(cost / max(pieces.sum(), 1.0), 1e-6)
    weight = float(np.average(problem.parcels.actual, weights=pieces)) if len(pieces) else 1.0
    ascent = Ascent(resources, unit, weight, FIRST_STEP, smooth=SMOOTH, spread=SPREAD, soft=SOFT)
    prices, best, iterations, since, interrupted = warm, (-np.inf, warm), 0, 0, False
    try:
        while True:
            swept = problem.sweeper.sweep(problem.coarse, prices)
            bound, iterations = problem.bound(swept.cost, prices), iterations + 1
            since = 0 if bound > best[0] else since + 1
            best = max(best, (bound, prices), key=lambda pair: pair[0])
            progress("certificate", iterations, STEPS)
            enough = cost - best[0] <= effort.gap * total
            if enough or since >= PATIENCE or iterations >= STEPS or time.perf_counter() - begin > effort.seconds:
                break
            prices = ascent.step(prices, swept.loads)
        if problem.fine is not problem.coarse and cost - best[0] > effort.gap * total:
            best = max(best[0], problem.finely(best[1])), best[1]
    except KeyboardInterrupt:
        if not np.isfinite(best[0]):
            raise
        interrupted = True
    return Certificate(*best, iterations, interrupted)
