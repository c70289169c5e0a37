"""A plan on disk held against the feed and the orders it was made from."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl

from rookery.base.progress import Progress, silent
from rookery.flows.planning import Plan, as_orders
from rookery.planning.check import CheckReport, check_plan
from rookery.terms.errors import InvalidInput, NotFound
from rookery.terms.frames import PLAN_LEGS, PLAN_LOADS, PLAN_PARCELS, Feed, Orders

TABLES = {"parcels": PLAN_PARCELS, "legs": PLAN_LEGS, "loads": PLAN_LOADS}


def read_plan(folder: str | Path) -> Plan:
    """A plan as it was written. Raises NotFound when the folder holds none, InvalidInput when it is damaged."""
    folder = Path(folder)
    if not (folder / "manifest.json").is_file():
        raise NotFound(
            "plan.none_here", f"{folder} holds no plan (no manifest.json).", "name the folder given to --out"
        )
    try:
        frames = {name: pl.read_parquet(folder / f"{name}.parquet") for name in TABLES}
        summary = msgspec.json.decode((folder / "summary.json").read_bytes(), type=dict)
        manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=dict)
    except (OSError, pl.exceptions.PolarsError, msgspec.DecodeError) as fault:
        raise InvalidInput("plan.damaged", f"The plan in {folder} cannot be read: {fault}.", "plan again") from fault
    for name, schema in TABLES.items():
        missing = [column for column in schema if column not in frames[name].columns]
        if missing:
            raise InvalidInput("plan.damaged", f"{name}.parquet lacks {', '.join(missing)}.", "plan again")
        try:
            frames[name] = frames[name].select(pl.col(column).cast(kind) for column, kind in schema.items())
        except pl.exceptions.PolarsError as fault:
            raise InvalidInput(
                "plan.damaged", f"{name}.parquet has columns of a wrong type: {fault}.", "plan again"
            ) from fault
    absent = [key for key in ("start", "horizon_end", "outcomes") if key not in manifest]
    if absent:
        raise InvalidInput("plan.damaged", f"manifest.json lacks {', '.join(absent)}.", "plan again")
    return Plan(frames["parcels"], frames["legs"], frames["loads"], summary, manifest)


def check(
    feed: Feed,
    orders: Orders | pl.DataFrame,
    plan: Plan | str | Path,
    *,
    sample: int | None = None,
    progress: Progress = silent,
) -> CheckReport:
    """Re-derive a plan by code that shares nothing with the planner, and report every violation."""
    if not isinstance(plan, Plan):
        plan = read_plan(plan)
    return check_plan(
        feed,
        as_orders(orders).frame,
        plan.parcels,
        plan.legs,
        plan.loads,
        plan.manifest,
        plan.summary,
        sample=sample,
        progress=progress,
    )
