"""A plan on disk held against the feed and the orders it was made from."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import polars as pl
from msgspec import Meta, Struct

from rookery.base.progress import Progress, silent
from rookery.flows.planning import Plan, as_orders
from rookery.planning.check import CheckReport, check_plan
from rookery.terms.calibration import Calibration
from rookery.terms.errors import InvalidInput, NotFound
from rookery.terms.frames import PLAN_HOURS, PLAN_LEGS, PLAN_LOADS, PLAN_PARCELS, Feed, Orders, empty

TABLES = {"parcels": PLAN_PARCELS, "legs": PLAN_LEGS, "loads": PLAN_LOADS, "hours": PLAN_HOURS}
MAY_LACK = {"hours"}
"""Tables that a plan need not have: a missing one has no rows."""
YEARS = (1900, 2400)
"""The years in which a plan's instants lie."""

_Instant = Annotated[datetime, Meta(tz=True)]


class _Manifest(Struct):
    """What must be known of how a plan was made; a plan may tell more."""

    start: _Instant
    horizon_end: _Instant
    horizon_days: Annotated[int, Meta(ge=1)]
    outcomes: Annotated[int, Meta(ge=1, le=64)]
    prices: Literal["none", "capacity"] = "none"
    feed: dict[str, Any] = {}
    orders: dict[str, Any] = {}
    replanned_at: _Instant | None = None
    calibration: Calibration | None = None


class _Summary(Struct):
    """The kinds of a summary's figures. That one is missing is for the check to say."""

    parcels: int = 0
    planned: int = 0
    unassigned: dict[str, int] = {}
    cost: float = 0.0
    lower_bound: float = 0.0
    free_flow_bound: float | None = None
    gap: float = 0.0
    congestion_gap: float | None = None
    capacity_violations: int = 0
    refused: int = 0
    iterations: int = 0
    interrupted: bool = False
    on_time_expected: float = 0.0
    seconds: dict[str, float] = {}
    parcels_per_second: float = 0.0
    grouped_weights: bool = False
    grouping_error_max_per_parcel: float | None = None


def read_plan(folder: str | Path) -> Plan:
    """A plan as it was written. Raises NotFound when the folder holds none, InvalidInput with every fault in it."""
    folder = Path(folder)
    if not (folder / "manifest.json").is_file():
        raise NotFound(
            "plan.none_here", f"{folder} holds no plan (no manifest.json).", "name the folder given to --out"
        )
    faults: list[str] = []
    manifest = _read_record(folder / "manifest.json", _Manifest, faults)
    summary = _read_record(folder / "summary.json", _Summary, faults)
    frames = {name: read_frame(folder / f"{name}.parquet", schema, faults) for name, schema in TABLES.items()}
    if not faults:
        told = msgspec.convert(manifest, _Manifest)
        if told.horizon_end - told.start != timedelta(told.horizon_days):
            faults.append(f"manifest.json: horizon_end is not start + {told.horizon_days} days (horizon_days)")
    if faults:
        raise InvalidInput("plan.damaged", f"The plan in {folder} is damaged: {'; '.join(faults)}.", "plan again")
    parcels, legs, loads, hours = (frames[name] for name in ("parcels", "legs", "loads", "hours"))
    return Plan(parcels, legs, loads, summary, manifest, hours=hours)


def refuse_another_feed(feed: Feed, plan: Plan) -> None:
    """Raises InvalidInput when the plan was made from another feed, or another version of it: their hashes differ."""
    told = plan.manifest.get("feed", {})
    if told.get("sha256") == feed.sha256:
        refuse_changed(plan)
        return
    version = f"{told.get('name', 'a feed')} {told.get('version', '')}".strip()
    source = f" ({told['source']})" if told.get("source") else ""
    raise InvalidInput(
        "plan.another_feed",
        f"The plan was made from {version}{source}, whose contents are not those of {feed.source or feed.info.name}, "
        f"{feed.info.name} {feed.info.version}.",
        "name the feed it was made from, or plan the orders again with this one",
    )


def refuse_changed(plan: Plan) -> None:
    """Raises InvalidInput when the plan was changed around closures that its feed does not hold."""
    if plan.manifest.get("replanned_at"):
        raise InvalidInput(
            "plan.changed",
            f"The plan was changed at {plan.manifest['replanned_at']} around closures that the feed does not hold.",
            "name the plan before the change, or add the closures to closures.csv of the feed and plan again",
        )


def _read_record(path: Path, kind: type[Struct], faults: list[str]) -> dict[str, Any]:
    """A JSON object whose fields are those of `kind`, whatever else it holds."""
    try:
        record = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as fault:
        faults.append(f"{path.name}: {_first_line(fault)}")
        return {}
    for field in msgspec.structs.fields(kind):
        if field.name not in record:
            if field.required:
                faults.append(f"{path.name} lacks {field.name}")
            continue
        try:
            msgspec.convert(record[field.name], field.type)
        except msgspec.ValidationError as fault:
            faults.append(f"{path.name}: {field.name}: {fault}")
    return record


def read_frame(path: Path, schema: dict[str, Any], faults: list[str]) -> pl.DataFrame:
    """A Parquet file of a plan in its schema, no instant out of the ordinary."""
    if path.stem in MAY_LACK and not path.exists():
        return empty(schema)
    try:
        frame = pl.read_parquet(path, glob=False, hive_partitioning=False)
        missing = [column for column in schema if column not in frame.columns]
        if missing:
            faults.append(f"{path.name} lacks {', '.join(missing)}")
            return pl.DataFrame(schema=schema)
        frame = frame.select(pl.col(column).cast(kind) for column, kind in schema.items())
    # a damaged file can make the decoder panic, which is no Exception
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as fault:
        faults.append(f"{path.name}: {_first_line(fault)}")
        return pl.DataFrame(schema=schema)
    for column in [name for name, kind in schema.items() if isinstance(kind, pl.Datetime)]:
        if not frame[column].dt.year().is_between(*YEARS).all():  # nulls are left to the check
            faults.append(f"{path.name}: {column} is not always within the years {YEARS[0]} to {YEARS[1]}")
    return frame


def _first_line(fault: BaseException) -> str:
    return str(fault).strip().split("\n")[0][:200] or type(fault).__name__


def check(
    feed: Feed,
    orders: Orders | pl.DataFrame | str | Path,
    plan: Plan | str | Path,
    *,
    sample: int | None = None,
    progress: Progress = silent,
) -> CheckReport:
    """Re-derive a plan by code that shares nothing with the planner, and report every violation.

    sample: so many parcels' optima are found again (0: none; default: as many as take seconds).
    Raises InvalidInput when the plan on disk is damaged, was changed around closures, or the sample is less than 0,
    NotFound when there is none.
    """
    if sample is not None and sample < 0:
        raise InvalidInput("check.sample", f"A sample of {sample} parcels cannot be drawn.", "give 0 or more")
    if not isinstance(plan, Plan):
        plan = read_plan(plan)
    refuse_changed(plan)
    orders = as_orders(orders)
    report = check_plan(
        feed,
        orders.frame,
        plan.parcels,
        plan.legs,
        plan.loads,
        plan.manifest,
        plan.summary,
        hours=plan.hours,
        sample=sample,
        progress=progress,
    )
    left_out = orders.left_out + report.checked.get("orders_left_out", 0)  # at reading, and for their service
    return msgspec.structs.replace(report, checked=report.checked | {"orders_left_out": left_out})
