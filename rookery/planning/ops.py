"""Planning as a library: frames in, frames out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.base.progress import Progress, silent
from rookery.planning.batch import Assignment, assign
from rookery.planning.blocks import LastMiles, last_miles
from rookery.planning.capacity.resources import Prices, Resources, resources_of
from rookery.planning.capacity.solve import Effort, Solution, solve
from rookery.planning.classes import LIMITS
from rookery.planning.reasons import Roads, why_unassigned
from rookery.planning.timetable import Timetable, compile_timetable, distributions, neighbours
from rookery.terms.frames import Expansion, Feed
from rookery.terms.time import DAY, NEVER, local_to_utc, utc_to_local

FREE_FIRST = 200_000
"""Parcels up to which the cheapest plan is made first, to see whether anything is full at all."""


@dataclass(frozen=True)
class Model:
    """A feed over a span of days, compiled for K outcomes."""

    feed: Feed
    timetable: Timetable
    miles: LastMiles
    resources: Resources

    def priced(self, prices: Prices, density: float = 1.0) -> Model:
        """The model as parcels see it whose actual weight is `density` times the chargeable one: full is dear."""
        net = prices.applied(self.timetable.net, self.resources, density, np.float64)
        return replace(self, timetable=replace(self.timetable, net=net))


@dataclass(frozen=True)
class Batch:
    """A batch of n parcels as planned; where capacity binds, with what certifies the plan."""

    assignment: Assignment
    which: NDArray[np.int64]  # the parcels that the assignment is of
    certificate: Solution | None
    certified: NDArray[np.bool_]  # (n): parcels of whose cost the certificate's bound speaks
    reachable: NDArray[np.bool_]  # (n): certified, and there is a way where nothing is full


def compile_model(feed: Feed, expansion: Expansion, outcomes: int) -> Model:
    """Compile the dated departures of `feed` for K `outcomes` (1 = deterministic, medians)."""
    ids = sorted({*expansion.transit_ids, *feed.zones["delivery_id"].drop_nulls().to_list()})
    tables = distributions(feed.transit, tuple(ids))
    numbers = np.array([ids.index(name) for name in expansion.transit_ids] + [-1], np.int32)
    runs = expansion.runs.with_columns(transit=pl.Series(numbers[expansion.runs["transit"].to_numpy()]))
    timetable = compile_timetable(
        runs,
        feed.lanes,
        feed.nodes["handling_minutes"].to_numpy(),
        expansion.openings,
        expansion.always_open.to_numpy(),
        tables,
        beside=neighbours(feed.nodes["lat"].to_numpy(), feed.nodes["lon"].to_numpy()),
        start=expansion.start,
        end=expansion.end,
        outcomes=outcomes,
    )
    factors = {(node, hour): factor for node, hour, factor in expansion.hour_factors.iter_rows()}
    resources = resources_of(timetable, expansion.capacity_per_hour.to_numpy(), factors)
    return Model(feed, timetable, last_miles(feed.zones, ids, tables, outcomes), resources)


def plan_parcels(
    model: Model, parcels: pl.DataFrame, *, threads: int, progress: Progress = silent
) -> tuple[Assignment, NDArray[np.int64]]:
    """Plan every parcel (schema PARCELS) that has an origin and a destination: (assignment, which parcels it is of).

    Parcels that are where they are going need no leg: they are delivered when ready (and the last mile is over).
    Capacities are not looked at.
    """
    travel, there = movers(parcels)
    moving = assign(model.timetable, parcels[travel], model.miles, threads=threads, progress=progress)
    return joined(moving, stay(model, parcels[there])), np.concatenate([travel, there])


def plan_batch(
    model: Model,
    parcels: pl.DataFrame,
    *,
    effort: Effort,
    threads: int,
    progress: Progress = silent,
    warm: Prices | None = None,
) -> Batch:
    """`plan_parcels` within all capacities: where they do not bind, the cheapest plan; where they do, one with a
    certificate of how far from the cheapest it can be at most.
    """
    travel, there = movers(parcels)
    moving: Assignment | None = None
    if len(travel) <= FREE_FIRST:
        moving = assign(model.timetable, parcels[travel], model.miles, threads=threads, progress=progress)
        if model.resources.fits(moving.loads):
            return _batch(model, parcels, moving, travel, there)
    solution = solve(
        model.timetable,
        model.resources,
        model.miles,
        parcels[travel],
        effort=effort,
        threads=threads,
        progress=progress,
        warm=warm,
        unless_it_fits=moving is None,
    )
    if solution is None:  # weights may have been rounded to see that: now they are not
        moving = assign(model.timetable, parcels[travel], model.miles, threads=threads, progress=progress)
        if model.resources.fits(moving.loads):
            return _batch(model, parcels, moving, travel, there)
        solution = solve(
            model.timetable, model.resources, model.miles, parcels[travel], effort=effort, threads=threads,
            progress=progress, warm=warm,
        )  # fmt: skip
        assert solution is not None
    moving = Assignment(
        cost=solution.cost,
        bound=solution.cost,
        on_time=solution.on_time,
        expected_at=solution.expected_at,
        by_at=solution.by_at,
        legs=solution.legs,
        leg_from=solution.leg_from,
        loads=solution.loads,
        exact=solution.exact,
        columns=solution.columns,
    )
    return _batch(model, parcels, moving, travel, there, solution)


def _batch(model: Model, parcels, moving: Assignment, travel, there, solution: Solution | None = None) -> Batch:
    certified, reachable = np.zeros(len(parcels), np.bool_), np.zeros(len(parcels), np.bool_)
    if solution is not None:
        certified[travel] = True
        reachable[travel] = solution.reachable
    whole = joined(moving, stay(model, parcels[there]))
    return Batch(whole, np.concatenate([travel, there]), solution, certified, reachable)


def movers(parcels: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which parcels (schema PARCELS) have a way to go, and which are there already."""
    origin, destination = parcels["origin"].to_numpy(), parcels["destination"].to_numpy()
    there = np.flatnonzero((origin >= 0) & (origin == destination))
    return np.flatnonzero((origin >= 0) & (destination >= 0) & (origin != destination)), there


def stay(model: Model, parcels: pl.DataFrame) -> dict[str, NDArray]:
    """Delivery of parcels that start at their destination."""
    column = {name: parcels[name].to_numpy() for name in parcels.columns if parcels[name].dtype.is_numeric()}
    delivered = column["start_at"][:, None] + model.miles.minutes[column["zone"]]  # (n, K)
    late = delivered > column["due_at"][:, None]
    days = np.where(late, -(-(delivered - column["due_at"][:, None]) // DAY), 0)
    cost = (
        (late * column["late_cost"][:, None] + days * column["late_cost_per_day"][:, None]).mean(axis=1)
        + column["time_cost_per_day"] / DAY * (delivered.mean(axis=1) - column["ready_at"])
        + column["pickup_cost"]
        + model.miles.cost[column["zone"]]
    )
    ordered = np.sort(delivered, axis=1)
    outcomes = delivered.shape[1]
    needed = np.ceil(column["confidence"] * outcomes - 1e-9).astype(np.int64).clip(1, outcomes)
    return {
        "cost": cost,
        "on_time": 1.0 - late.mean(axis=1),
        "expected_at": delivered.mean(axis=1),
        "by_at": ordered[np.arange(len(ordered)), needed - 1],
    }


def joined(moving: Assignment, stay: dict[str, NDArray]) -> Assignment:
    """What was found for those that travel, and after them those that are there already (`stay`), who ride nothing."""
    count = len(stay["cost"])
    return Assignment(
        cost=np.concatenate([moving.cost, stay["cost"]]),
        bound=np.concatenate([moving.bound, stay["cost"]]),
        on_time=np.concatenate([moving.on_time, stay["on_time"]]),
        expected_at=np.concatenate([moving.expected_at, stay["expected_at"]]),
        by_at=np.concatenate([moving.by_at, stay["by_at"]]),
        legs=moving.legs,
        leg_from=np.concatenate([moving.leg_from, np.full(count, moving.leg_from[-1])]),
        loads=moving.loads,
        exact=moving.exact,
        columns=moving.columns,
    )


def day_end(timezone: str, at: NDArray[np.integer]) -> NDArray[np.int64]:
    """The first 23:59 on the wall of a time zone that is not before each minute `at`."""
    minute = np.asarray(at, np.int64)
    wall = utc_to_local(timezone, minute) // DAY * DAY + DAY - 1
    end = local_to_utc(timezone, wall)
    return np.where(end >= minute, end, local_to_utc(timezone, wall + DAY))


def instants(minutes: NDArray, known: NDArray[np.bool_] | None = None) -> pl.Series:
    """UTC instants of minutes; null where not `known` or NEVER."""
    minutes = np.asarray(minutes, np.float64)
    valid = (minutes != float(NEVER)) & np.isfinite(minutes)
    if known is not None:
        valid &= known
    stamps = pl.Series(np.where(valid, np.round(minutes * 60) * 1_000_000, 0).astype(np.int64))
    return pl.select(pl.when(pl.Series(valid)).then(stamps.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")))[:, 0]


def unassigned_reasons(
    feed: Feed,
    later: Callable[[], Model],
    parcels: pl.DataFrame,
    *,
    threads: int,
    progress: Progress = silent,
) -> pl.Series:
    """Reasons of unassigned parcels (schema PARCELS); `later` compiles the feed over twice the horizon, when needed."""
    roads = Roads(feed.nodes, feed.lanes, feed.departures)
    known = (parcels["origin"].to_numpy() >= 0) & (parcels["destination"].to_numpy() >= 0)
    where = np.flatnonzero(known)
    joined = where[roads.joined(parcels[where], LIMITS)]
    reached = np.zeros(len(parcels), np.bool_)
    if len(joined):
        # whether a parcel can be brought depends on neither its wishes nor its price: alike ones share a column
        bare = {"due_at": int(NEVER), "zone": -1, "pieces": 1} | dict.fromkeys(
            ("late_cost", "late_cost_per_day", "time_cost_per_day", "pickup_cost"), 0.0
        )
        asked = parcels[joined].with_columns(
            *(pl.lit(value).cast(parcels.schema[name]).alias(name) for name, value in bare.items()),
            chargeable_g=pl.lit(1000.0),
            confidence=pl.lit(0.5),
        )
        assignment, which = plan_parcels(later(), asked, threads=threads, progress=progress)
        reached[joined[which]] = np.isfinite(assignment.cost)
    return why_unassigned(roads, parcels, reached)
