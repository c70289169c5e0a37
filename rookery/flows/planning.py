"""From a network and orders to a plan: the story that joins the rooms network, orders and planning."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from rookery.network import expand, place
from rookery.orders import check_orders, read_orders
from rookery.planning.ops import Model, compile_model, plan_parcels, unassigned_reasons
from rookery.planning.policy import write_policy
from rookery.planning.results import legs_frame, loads_frame, overloaded, parcel_numbers, parcels_frame
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import ORDERS, Feed, Orders
from rookery.terms.notice import Notice
from rookery.terms.time import DAY, from_minute, to_minute

PLAN_FOLDER = Output(
    name="plan",
    marker="manifest.json",
    says_so=json_says("program", "rookery"),
    holds=frozenset({"parcels.parquet", "legs.parquet", "loads.parquet", "summary.json", "manifest.json", "policy"}),
)
EARLIEST_YEAR, LATEST_YEAR = 1970, 2199
LEAST_HORIZON_DAYS = 21
MOST_HORIZON_DAYS = 3650
MOST_OUTCOMES = 64
DAYS_AFTER_DUE = 14


@dataclass(frozen=True)
class Plan:
    """A plan: what happens to every parcel, leg by leg, what each departure carries, and how good it is.

    parcels, legs, loads: frames in the schemas PLAN_PARCELS, PLAN_LEGS, PLAN_LOADS; summary, manifest: what the files
    of these names hold; notices: what was found in the orders; policy: writes the tables, when asked for.
    """

    parcels: pl.DataFrame
    legs: pl.DataFrame
    loads: pl.DataFrame
    summary: dict[str, Any]
    manifest: dict[str, Any]
    notices: tuple[Notice, ...] = ()
    policy: Callable[[Path], None] | None = None

    def write(self, out: str | Path) -> Path:
        """Write the plan's files to folder `out`, whole or not at all. Raises Conflict when `out` is something else.

        The policy tables are made now, straight to disk, when the plan was asked for them.
        """
        out = Path(out)
        with write_aside(out, PLAN_FOLDER) as folder:
            self.parcels.write_parquet(folder / "parcels.parquet")
            self.legs.write_parquet(folder / "legs.parquet")
            self.loads.write_parquet(folder / "loads.parquet")
            (folder / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(self.summary)))
            (folder / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(self.manifest)))
            if self.policy is not None:
                self.policy(folder / "policy")
        return out


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
    policy: bool = False,
    threads: int | None = None,
    progress: Progress = silent,
) -> Plan:
    """Plan a file of orders: for every parcel the policy of least expected cost, its promise and its reasons.

    start: departures from this instant on count (default: the earliest ready_at); horizon_days: and before so many
    days later (default: max(21, longest due_days + 14)); outcomes: K equally likely transit times a departure
    (1 = medians); policy: write the policy tables with the plan; threads: default all cores. Bad orders are left out
    with notices; no itinerary is a result, not an error.
    Raises InvalidInput when there is nothing to plan, or a setting makes no sense.
    """
    refuse_senseless(outcomes, start)
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
        assignment, which = plan_parcels(model, parcels, threads=threads, progress=progress)
        numbers = parcel_numbers(parcels, assignment, which)
    with stages("reasons"):
        reasons = _reasons(feed, model, parcels, ~numbers["planned"], days, threads, progress)
    with stages("results"):
        legs = legs_frame(model, parcels, assignment, which)
        loads = loads_frame(model, assignment)
        table = parcels_frame(model, parcels, numbers, legs, reasons)
    pieces, planned = numbers["pieces"], numbers["planned"]
    cost, bound = fsum(numbers["cost"]), nextafter(fsum(numbers["bound"]), -inf)
    error = np.where(planned, numbers["cost"] - numbers["bound"], 0.0)
    overloads = overloaded(loads)
    notices = (*notices, *_plan_notices(parcels, begin, days, len(model.timetable.cutoff), overloads, orders.file))
    seconds = sum(stages.seconds.values())
    summary = {
        "orders": table.height,
        "parcels": int(pieces.sum()),
        "planned": int(pieces[planned].sum()),
        "unassigned": _by_reason(reasons, pieces),
        "unassigned_parcels": int(pieces[~planned].sum()),
        "currency": feed.info.currency,
        "cost": cost,
        "lower_bound": bound,
        "gap": (cost - bound) / cost if cost > 0 else 0.0,
        "congestion_gap": None,  # nothing to tell while capacity is not enforced
        "capacity_violations": overloads,
        "on_time_expected": float((numbers["on_time"] * pieces).sum() / pieces.sum()),
        "grouped_weights": not assignment.exact,
        "grouping_error": float(error.sum() / cost) if not assignment.exact and cost > 0 else 0.0,
        "grouping_error_max_per_parcel": 0.0 if assignment.exact else float((error / pieces).max(initial=0.0)),
        "orders_left_out": orders.left_out + orders.frame.height - parcels.height,
        "departures": len(model.timetable.cutoff),
        "columns": assignment.columns,
        "seconds": stages.seconds,
        "parcels_per_second": round(float(pieces.sum()) / seconds, 1) if seconds else 0.0,
    }
    manifest = {
        "program": f"rookery {version('rookery')}",
        "feed": {"name": feed.info.name, "version": feed.info.version, "sha256": feed.sha256, "source": feed.source},
        "orders": {"sha256": orders.sha256, "source": orders.source},
        "start": _iso(begin),
        "horizon_days": days,
        "horizon_end": _iso(begin + days * DAY),
        "outcomes": outcomes,
        "prices": "none",
    }
    tables = (
        partial(
            write_policy, model, parcels.filter(planned), exact=assignment.exact, threads=threads, progress=progress
        )
        if policy
        else None
    )
    return Plan(table, legs, loads, summary, manifest, (*orders.notices, *notices), tables)


def _reasons(feed, model, parcels, unassigned, days: int, threads: int, progress: Progress) -> pl.Series:
    """A list of reasons for every parcel, empty for the planned."""
    where = np.flatnonzero(unassigned)
    if len(where) == 0:
        return pl.Series([[]], dtype=pl.List(pl.String)).new_from_index(0, parcels.height)
    later = partial(model_of, feed, model.timetable.start, 2 * days, model.timetable.outcomes)
    found = unassigned_reasons(feed, later, parcels[where], threads=threads, progress=progress)
    place = np.zeros(parcels.height, np.int64)
    place[where] = np.arange(1, len(where) + 1)
    return pl.concat([pl.Series([[]], dtype=pl.List(pl.String)), found]).gather(place)


def _by_reason(reasons: pl.Series, pieces: np.ndarray) -> dict[str, int]:
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


def _plan_notices(
    parcels: pl.DataFrame, begin: int, days: int, departures: int, overloads: int, file: str
) -> list[Notice]:
    """What is odd about a plan as a whole."""
    notices = []
    end = begin + days * DAY
    behind = parcels.filter(pl.col("ready_at") >= end).height
    if behind:
        notices.append(
            Notice(
                severity="warning",
                code="orders_beyond_horizon",
                message=f"{behind} of {parcels.height} orders are ready only after the horizon, {_iso(begin)} to "
                f"{_iso(end)}: it begins with the earliest order unless told otherwise",
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
                message=f"no departure of the feed runs between {_iso(begin)} and {_iso(end)}",
                remedy="Look at the calendars' start_on and end_on, or plan other days",
                file="calendars.csv",
            )
        )
    if overloads:
        notices.append(
            Notice(
                severity="warning",
                code="departures_overloaded",
                message=f"{overloads} dated departures carry more than their capacity, which is reported, not enforced",
                remedy="See loads.parquet; add capacity there or move orders to another service",
                file="loads.parquet",
            )
        )
    return notices


def _iso(minute: int) -> str:
    return from_minute(minute).isoformat().replace("+00:00", "Z")
