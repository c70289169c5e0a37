"""From a network and orders to a plan: the story that joins the rooms network, orders and planning."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib.metadata import version
from math import fsum, inf, nextafter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from rookery.base.files import Output, json_says, write_aside
from rookery.base.progress import Progress, silent
from rookery.network import closures_outside, expand, place, too_small_for_any
from rookery.orders import check_orders, read_orders
from rookery.planning.capacity.resources import Prices
from rookery.planning.capacity.solve import Effort
from rookery.planning.ops import Batch, Model, compile_model, plan_batch, unassigned_reasons
from rookery.planning.policy import write_policy
from rookery.planning.results import (
    calibrated,
    hours_frame,
    legs_frame,
    loads_frame,
    parcel_numbers,
    parcels_frame,
    prices_of,
    violations,
)
from rookery.terms.calibration import Calibration
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import ORDERS, PLAN_HOURS, Feed, Orders, empty
from rookery.terms.notice import Notice
from rookery.terms.time import DAY, from_minute, to_minute

PLAN_FOLDER = Output(
    name="plan",
    marker="manifest.json",
    says_so=json_says("program", "rookery"),
    holds=frozenset(
        {
            *(f"{table}.parquet" for table in ("parcels", "legs", "loads", "hours", "changes", "closures")),
            *("summary.json", "manifest.json", "policy"),
        }
    ),
)
EARLIEST_YEAR, LATEST_YEAR = 1970, 2199
LEAST_HORIZON_DAYS = 21
MOST_HORIZON_DAYS = 3650
MOST_OUTCOMES = 64
DAYS_AFTER_DUE = 14
GAP = 0.005
"""Proved gap at which a plan within capacities is good enough, unless told otherwise."""
SECONDS = 60.0
"""Seconds of improving after which it has to be good enough."""


@dataclass(frozen=True)
class Plan:
    """A plan: what happens to every parcel, leg by leg, what each departure carries, and how good it is.

    parcels, legs, loads, hours: frames in the schemas PLAN_PARCELS, PLAN_LEGS, PLAN_LOADS, PLAN_HOURS; summary,
    manifest: what the files of these names hold; notices: what was found in the orders; policy: writes the tables, when
    asked for.
    """

    parcels: pl.DataFrame
    legs: pl.DataFrame
    loads: pl.DataFrame
    summary: dict[str, Any]
    manifest: dict[str, Any]
    notices: tuple[Notice, ...] = ()
    policy: Callable[[Path], None] | None = None
    hours: pl.DataFrame = field(default_factory=partial(empty, PLAN_HOURS))

    def write(self, out: str | Path) -> Path:
        """Write the plan's files to folder `out`, whole or not at all. Raises Conflict when `out` is something else.

        The policy tables are made now, straight to disk, when the plan was asked for them.
        """
        with write_aside(Path(out), PLAN_FOLDER) as folder:
            self.write_files(folder)
        return Path(out)

    def write_files(self, folder: Path) -> None:
        """Write the plan's files into a folder that is there."""
        self.parcels.write_parquet(folder / "parcels.parquet")
        self.legs.write_parquet(folder / "legs.parquet")
        self.loads.write_parquet(folder / "loads.parquet")
        self.hours.write_parquet(folder / "hours.parquet")
        (folder / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(self.summary)))
        (folder / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(self.manifest)))
        if self.policy is not None:
            self.policy(folder / "policy")


class Stages:
    """Seconds spent in each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - begin, 4)

    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def as_orders(orders: Orders | pl.DataFrame | str | Path) -> Orders:
    """Orders as read: a path is read, a frame goes through the same checks, unless it is (part of) what was read."""
    if isinstance(orders, str | Path):
        return read_orders(orders)
    if isinstance(orders, Orders):
        return orders
    return Orders(orders) if dict(orders.schema) == ORDERS else check_orders(orders)


def horizon_of(feed: Feed, horizon_days: int | None) -> int:
    """Days of departures to plan over: as told (1 to 3650), else max(21, longest due_days + 14), 3650 at most.

    Raises InvalidInput for any other number.
    """
    if horizon_days is not None:
        if not 1 <= horizon_days <= MOST_HORIZON_DAYS:
            raise InvalidInput(
                "plan.horizon",
                f"A horizon of {horizon_days} days is not between 1 and {MOST_HORIZON_DAYS}.",
                f"give 1 to {MOST_HORIZON_DAYS} days",
            )
        return horizon_days
    longest: Any = feed.services["due_days"].max() if feed.services.height else None
    return min(max(LEAST_HORIZON_DAYS, int(longest or 0) + DAYS_AFTER_DUE), MOST_HORIZON_DAYS)


def refuse_senseless(outcomes: int, start: datetime | None = None) -> None:
    """Raises InvalidInput for a number of outcomes, or a start, that no plan can be made with."""
    if not 1 <= outcomes <= MOST_OUTCOMES:
        raise InvalidInput(
            "plan.outcomes", f"{outcomes} outcomes are not between 1 and {MOST_OUTCOMES}.", "use the default, 8"
        )
    if start is not None and start.tzinfo is None:
        raise InvalidInput("plan.start", f"The start {start} has no time zone.", "write it with an offset, e.g. ...Z")
    if start is not None and not EARLIEST_YEAR <= start.year <= LATEST_YEAR:
        raise InvalidInput(
            "plan.start", f"The start {start} is not between {EARLIEST_YEAR} and {LATEST_YEAR}.", "mend the year"
        )


def effort_of(gap: float, seconds: float) -> Effort:
    """When to stop improving. Raises InvalidInput for a gap that is not a share, or for no time at all."""
    if not 0 <= gap < 1:
        raise InvalidInput("plan.gap", f"A gap of {gap} is not a share from 0 to below 1.", "use the default, 0.005")
    if not 0 < seconds < inf:
        raise InvalidInput("plan.seconds", f"{seconds} seconds are not above 0.", "use the default, 60")
    return Effort(gap, seconds)


def model_of(feed: Feed, start: int, horizon_days: int, outcomes: int) -> Model:
    """The feed compiled over `horizon_days` from minute `start`."""
    return compile_model(feed, expand(feed, start, start + horizon_days * DAY), outcomes)


def plan(
    feed: Feed,
    orders: Orders | pl.DataFrame | str | Path,
    *,
    start: datetime | None = None,
    horizon_days: int | None = None,
    outcomes: int = 8,
    gap: float = GAP,
    seconds: float = SECONDS,
    prices: Plan | None = None,
    calibration: Calibration | None = None,
    policy: bool = False,
    threads: int | None = None,
    progress: Progress = silent,
) -> Plan:
    """Plan a file of orders within all capacities: for every parcel its policy, its promise and its reasons.

    start: departures from this instant on count (default: the earliest ready_at); horizon_days: and before so many
    days later (default: max(21, longest due_days + 14)); outcomes: K equally likely transit times a departure
    (1 = medians); gap, seconds: where capacity binds, the plan is improved until it costs at most this share more than
    the least possible, or for about so long; prices: an earlier plan whose shadow prices are a good start; calibration:
    what rehearsals made of chances and promises, which are then told so; policy: write the policy tables with the plan;
    threads: default all cores. Bad orders are left out with notices; no itinerary is a result, not an error. Stopped
    from the keyboard while it improves, it gives the best plan so far.
    Raises InvalidInput when there is nothing to plan, or a setting makes no sense.
    """
    refuse_senseless(outcomes, start)
    effort = effort_of(gap, seconds)
    threads = threads or cores()
    stages = Stages()
    with stages("place"):
        orders = as_orders(orders)
        parcels, notices = place(feed, orders.frame, orders.file)
    if parcels.height == 0:
        raise InvalidInput(
            "plan.no_orders",
            "No order is left to plan.",
            "mend the orders named in the notices",
            (*orders.notices, *notices),
        )
    days = horizon_of(feed, horizon_days)
    earliest: Any = parcels["ready_at"].min()
    begin = to_minute(start) if start is not None else int(earliest)
    with stages("timetable"):
        progress("timetable", 0, 1)
        model = model_of(feed, begin, days, outcomes)
        progress("timetable", 1, 1)
    with stages("plan"):
        warm = None if prices is None else prices_of(model, prices.loads, prices.hours)
        batch = plan_batch(model, parcels, effort=effort, threads=threads, progress=progress, warm=warm)
        assignment, which, certificate = batch.assignment, batch.which, batch.certificate
        numbers = parcel_numbers(parcels, assignment, which)
    pieces, planned = numbers["pieces"], numbers["planned"]
    refused = batch.reachable & ~planned
    with stages("reasons"):
        reasons = reasons_of(feed, model, parcels, ~planned, refused, days, threads, progress)
    with stages("results"):
        legs = legs_frame(model, parcels, assignment, which)
        shadow = certificate.prices if certificate is not None else Prices.none(model.resources)
        loads, hours = loads_frame(model, assignment, shadow), hours_frame(model, assignment, shadow)
        table = parcels_frame(model, parcels, numbers, legs, reasons)
        if calibration is not None:
            table = calibrated(model, parcels, table, calibration)
    notices = (
        *notices,
        *too_small_for_any(feed, orders.frame),
        *_plan_notices(feed, parcels, begin, days, len(model.timetable.cutoff), orders.file),
    )
    summary = {
        "orders": table.height,
        "parcels": int(pieces.sum()),
        "planned": int(pieces[planned].sum()),
        "unassigned": by_reason(reasons, pieces),
        "unassigned_parcels": int(pieces[~planned].sum()),
        "currency": feed.info.currency,
        **_quality(numbers, batch),
        "capacity_violations": violations(model, assignment.loads),
        "refused": int(pieces[refused].sum()),
        "on_time_expected": float((table["on_time_probability"].to_numpy() * pieces).sum() / pieces.sum()),
        "orders_left_out": orders.left_out + orders.frame.height - parcels.height,
        "departures": len(model.timetable.cutoff),
        "columns": assignment.columns,
        "seconds": stages.seconds,
        "seconds_planning": certificate.seconds if certificate is not None else {},
        "parcels_per_second": round(float(pieces.sum()) / stages.total(), 1) if stages.total() else 0.0,
    }
    manifest = {
        "program": f"rookery {version('rookery')}",
        "feed": {"name": feed.info.name, "version": feed.info.version, "sha256": feed.sha256, "source": feed.source},
        "orders": {"sha256": orders.sha256, "source": orders.source},
        "start": iso(begin),
        "horizon_days": days,
        "horizon_end": iso(begin + days * DAY),
        "outcomes": outcomes,
        "prices": "none" if certificate is None else "capacity",
        "calibration": None if calibration is None else msgspec.to_builtins(calibration),
    }
    tables = (
        partial(
            write_policy,
            _as_seen(model, shadow, parcels),
            parcels.filter(planned),
            exact=assignment.exact,
            threads=threads,
            progress=progress,
        )
        if policy
        else None
    )
    return Plan(table, legs, loads, summary, manifest, (*orders.notices, *notices), tables, hours)


def _quality(numbers: dict[str, np.ndarray], batch: Batch) -> dict[str, Any]:
    """What the plan costs and how far from the least possible that can be."""
    cost, certificate = fsum(numbers["cost"]), batch.certificate
    # what the certificate does not speak of; where it counts refusing as a choice, so does this
    apart = numbers["bound" if certificate is None else "least"][~batch.certified]
    bound = nextafter(fsum([*apart, certificate.bound if certificate else 0.0]), -inf)
    free = nextafter(fsum([*apart, certificate.free_bound]), -inf) if certificate else bound
    exact = batch.assignment.exact
    error = np.where(numbers["planned"], numbers["cost"] - numbers["bound"], 0.0)
    share = float(error.sum() / cost) if not exact and cost > 0 else 0.0
    most = 0.0 if exact else float((error / numbers["pieces"]).max(initial=0.0))
    return {
        "cost": cost,
        "lower_bound": bound,
        "gap": (cost - bound) / cost if cost > 0 else 0.0,
        "free_flow_bound": free,
        "congestion_gap": None if certificate is None else (cost - bound) / (cost - free) if cost > free else 0.0,
        "iterations": certificate.iterations if certificate else 0,
        "interrupted": certificate.interrupted if certificate else False,
        "grouped_weights": not exact,
        # where there is a certificate, what grouping costs stands in its gap
        "grouping_error": share if certificate is None else None,
        "grouping_error_max_per_parcel": most if certificate is None else None,
    }


def _as_seen(model: Model, prices: Prices, parcels: pl.DataFrame) -> Model:
    """The model with prices for parcels of the usual density: what policy tables are written for."""
    actual, chargeable = float(parcels["weight_g"].sum()), float(parcels["chargeable_g"].sum())
    return model.priced(prices, actual / chargeable if chargeable else 1.0)


def reasons_of(feed, model, parcels, unassigned, refused, days: int, threads: int, progress: Progress) -> pl.Series:
    """A list of reasons for every parcel, empty for the planned; refused: those that only lack room."""
    none = pl.Series([[], ["no_capacity"]], dtype=pl.List(pl.String))
    place = refused.astype(np.int64)
    where = np.flatnonzero(unassigned & ~refused)
    if len(where) == 0:
        return none.gather(place)
    later = partial(model_of, feed, model.timetable.start, 2 * days, model.timetable.outcomes)
    found = unassigned_reasons(feed, later, parcels[where], threads=threads, progress=progress)
    place[where] = np.arange(len(none), len(none) + len(where))
    return pl.concat([none, found]).gather(place)


def by_reason(reasons: pl.Series, pieces: np.ndarray) -> dict[str, int]:
    """Parcels that carry each reason (one with two counts in both)."""
    counted = (
        pl.DataFrame({"reason": reasons, "pieces": pieces})
        .explode("reason")
        .drop_nulls()
        .group_by("reason")
        .agg(pl.col("pieces").sum())
        .sort("reason")
    )
    return {reason: int(count) for reason, count in counted.iter_rows()}


def _plan_notices(feed: Feed, parcels: pl.DataFrame, begin: int, days: int, departures: int, file: str) -> list[Notice]:
    """What is odd about a plan as a whole."""
    notices = []
    end = begin + days * DAY
    behind = parcels.filter(pl.col("ready_at") >= end).height
    if behind:
        notices.append(
            Notice(
                severity="warning",
                code="orders_beyond_horizon",
                message=f"{behind} of {parcels.height} orders are ready only after the horizon, {iso(begin)} to "
                f"{iso(end)}: it begins with the earliest order unless told otherwise",
                remedy="Mend stale ready_at, or give a later --start or more --horizon-days",
                file=file,
                column="ready_at",
            )
        )
    if departures == 0:
        notices.append(
            Notice(
                severity="warning",
                code="no_departures",
                message=f"no departure of the feed runs between {iso(begin)} and {iso(end)}",
                remedy="Look at the calendars' start_on and end_on, or plan other days",
                file="calendars.csv",
            )
        )
    outside = closures_outside(feed.closures, begin, end, feed.files.get("closures", "closures.csv"))
    return [*notices, outside] if outside else notices


def iso(minute: int) -> str:
    """A UTC minute as a manifest tells it."""
    return from_minute(minute).isoformat().replace("+00:00", "Z")
