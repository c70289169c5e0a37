"""Planning a batch: every parcel's cheapest policy, block of columns by block of columns.

Destinations are independent, so blocks are made, used and dropped one by one on each thread: memory is a few rows of
sixteen numbers per departure and thread, whatever the number of parcels or destinations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.base.progress import Progress
from rookery.planning.blocks import Itineraries, LastMiles, Work
from rookery.planning.classes import classes_of, limit_classes, weigh
from rookery.planning.engine.arrays import Found
from rookery.planning.engine.catch import first_rows
from rookery.planning.timetable import Timetable

EXACT_WORK = 2e10
"""Classes x departures x outcomes, summed over destinations, up to which every weight is planned exactly.

A class, for this count, is a chargeable weight, due time, costs of lateness and time, goods and limits.
"""
EXACT_ROUNDS = ((4, 1e-9), (0, np.inf))
CLOSE_ROUNDS = ((8, 1e-5), (0, np.inf))
GROUPED_ROUNDS = ((8, 4e-2), (8, np.inf))
"""(columns a class, 0 = one for every weight; error as a share of its cost up to which a parcel is settled)."""
FEW_WEIGHTS = 8
"""Distinct weights a class, on average, up to which those that the first round leaves open get columns of their own."""
ROUNDING = 1e-14
"""What the few sums after the tables may have rounded up, as a share of their terms."""


@dataclass(frozen=True)
class Assignment:
    """What was found for n parcels, costs and times a piece; an infinite cost means no itinerary."""

    cost: NDArray[np.float64]
    bound: NDArray[np.float64]
    on_time: NDArray[np.float64]
    expected_at: NDArray[np.float64]  # minute
    by_at: NDArray[np.int64]  # minute by which it is delivered with the confidence asked for
    legs: NDArray[np.int32]  # rows of the timetable, parcel after parcel
    leg_from: NDArray[np.int64]  # (n + 1)
    loads: NDArray[np.float64]  # (N, 2): pieces and grams expected on each departure
    exact: bool
    columns: int


def assign(
    timetable: Timetable, parcels: pl.DataFrame, miles: LastMiles, *, threads: int, progress: Progress
) -> Assignment:
    """The cheapest policy of every parcel (schema PARCELS; origin and destination known and different)."""
    allowed, kind = limit_classes(timetable.limit_sets, parcels)
    classes, class_of = classes_of(parcels.with_columns(limit_class=pl.Series(kind)), timetable.beside)
    net = timetable.net
    column = {name: parcels[name].to_numpy() for name in parcels.columns if parcels[name].dtype.is_numeric()}
    grams = column["chargeable_g"].astype(np.float64)
    row = first_rows(column["origin"], column["start_at"], net.node_from, net.node_rows, timetable.cutoff, len(net.frm))
    told_apart = [name for name in classes.columns if name not in ("zone", "confidence")]
    distinct = classes.select(told_apart)[class_of].with_columns(grams=pl.Series(grams)).n_unique()
    exact = float(distinct) * len(net.frm) * timetable.outcomes < EXACT_WORK
    # with few weights a class, columns for all that the first round leaves open cost no more than that round did
    few = distinct <= FEW_WEIGHTS * classes.height
    work = Work(timetable, classes, allowed, miles, np.float64 if exact else np.float32, threads)
    # what is common to all policies of a parcel: counted from its own ready time, with pick-up and delivery
    credit = (
        column["pickup_cost"]
        + miles.cost[column["zone"]]
        - column["time_cost_per_day"] / 1440 * (column["ready_at"] - timetable.start)
    )
    count = len(parcels)
    found = Found(
        group=np.zeros(count, np.int64),
        cost=np.full(count, np.inf),
        bound=np.full(count, np.inf),
        settled=np.zeros(count, np.bool_),
        on_time=np.zeros(count),
        mean=np.zeros(count),
        by=np.zeros(count, np.int64),
    )
    book = Itineraries(count)
    for most, tolerance in EXACT_ROUNDS if exact else CLOSE_ROUNDS if few else GROUPED_ROUNDS:
        open_ = np.flatnonzero(~found.settled)
        if len(open_) == 0:
            break
        grid = weigh(class_of[open_], grams[open_], most)
        work.run(grid, open_, row, grams, column, tolerance, found, book, progress)
    legs, leg_from = book.flat()
    return Assignment(
        cost=found.cost + credit,
        bound=found.bound * (1 - ROUNDING) + (credit - ROUNDING * np.abs(credit)),
        on_time=found.on_time,
        expected_at=found.mean,
        by_at=found.by,
        legs=legs,
        leg_from=leg_from,
        loads=work.loads(),
        exact=exact,
        columns=work.columns,
    )
