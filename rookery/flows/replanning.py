"""A plan changed around closures: what has happened stays, only those affected move, each with its reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from math import fsum, inf, isfinite, isnan, nextafter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.base.progress import Progress, silent
from rookery.flows.checking import read_frame, read_plan
from rookery.flows.planning import GAP, Plan, Stages, as_orders, by_reason, cores, effort_of, iso, reasons_of
from rookery.network import closures_outside, expand, place
from rookery.planning.engine.seat import Room
from rookery.planning.replan.affected import CANCELLED, MISSED, NO_ROOM, UNTOUCHED, Affected, affected_by
from rookery.planning.replan.certificate import certify
from rookery.planning.replan.disruption import Disruption, Planned, disruption
from rookery.planning.replan.moves import Settlement, from_here
from rookery.planning.replan.standing import Standing, standing
from rookery.planning.replan.tables import changes_table, loads_after, parcel_tables
from rookery.terms.calibration import Calibration
from rookery.terms.errors import Conflict, InvalidInput
from rookery.terms.frames import PLAN_CHANGES, PLAN_CLOSURES, Feed, Orders, empty
from rookery.terms.policy import refuse_naive
from rookery.terms.time import to_minute

SECONDS = 10.0
"""Seconds of proving how good the changed plan is, after which the bound found so far is told."""
TOLD_AGAIN = ("orders", "parcels", "currency", "orders_left_out")
"""Figures of a plan that no closure changes."""


@dataclass(frozen=True)
class Replan(Plan):
    """A plan as closures have changed it: a whole plan again, and what is different.

    changes: one row for each order that is affected, changed or not (schema PLAN_CHANGES); closures: all those it has
    been changed around, so that the next change can build on it (schema PLAN_CLOSURES).
    """

    changes: pl.DataFrame = field(default_factory=partial(empty, PLAN_CHANGES))
    closures: pl.DataFrame = field(default_factory=partial(empty, PLAN_CLOSURES))

    def write_files(self, folder: Path) -> None:
        """Write the plan's files, the changes and the closures into a folder that is there."""
        super().write_files(folder)
        self.changes.write_parquet(folder / "changes.parquet")
        self.closures.write_parquet(folder / "closures.parquet")


def replan(
    feed: Feed,
    orders: Orders | pl.DataFrame | str | Path,
    plan: Plan | str | Path,
    closures: Feed,
    at: datetime,
    *,
    stability: float = 0.0,
    gap: float = GAP,
    seconds: float = SECONDS,
    threads: int | None = None,
    progress: Progress = silent,
) -> Replan:
    """Change a plan around closures at an instant: only those affected move, from where they are, each with a reason.

    feed, orders: what the plan was made of; closures: the same feed with more closures laid over it (read_closures);
    at: what was to leave by then has left; stability: a parcel whose way is only late keeps it unless a change saves
    more than this (a piece, in the feed's currency); gap, seconds: the lower bound of all that is left to decide is
    raised until the plan is proved to be so good, or for so long; threads: default all cores. Stopped from the
    keyboard while it is, it gives the bound found so far.
    Raises Conflict where feed or orders are not those of the plan, NotFound where there is no plan, InvalidInput for
    a damaged one, for an instant outside it, and for settings that make no sense.
    """
    effort, threads = effort_of(gap, seconds), threads or cores()
    if isnan(stability) or stability < 0:
        raise InvalidInput("replan.stability", f"A stability of {stability} is not 0 or more.", "give 0 or more")
    stages = Stages()
    with stages("place"):
        earlier = _earlier_closures(plan)
        plan = plan if isinstance(plan, Plan) else read_plan(plan)
        orders = as_orders(orders)
        _refuse_others(plan, feed, orders)
        news = _news(feed, closures, earlier)
        begin, end, minute = _span(plan, at)
        parcels, notices = place(feed, orders.frame, orders.file)
    with stages("timetable"):
        outcomes = int(plan.manifest["outcomes"])
        closed = _with(feed, earlier, news)
        planned = _planned(feed, earlier, begin, end, outcomes)
        turn = disruption(planned, closed, expand(closed, begin, end), minute, outcomes)
    with stages("standing"):
        now = standing(turn, parcels, plan.parcels, plan.legs)
    with stages("affected"):
        affected = affected_by(turn, now, parcels, turn.booked(plan.loads))
        which = np.flatnonzero(affected.reason != UNTOUCHED)
        prices = turn.prices(plan.loads, plan.hours)
    pieces = parcels["pieces"].to_numpy()
    cost_before = fsum(plan.parcels["cost"].to_list())
    with stages("moves"):
        unit = max(cost_before / max(pieces.sum(), 1), 1e-6)
        settled = Settlement(
            turn, now, parcels, affected, which, prices=prices, unit=unit, threads=threads, progress=progress
        )
    with stages("certificate"):
        open_, frame, room = _open(turn, now, parcels, plan.parcels, affected, which, settled, outcomes)
        kept = open_[affected.reason[open_] == UNTOUCHED]
        in_hand = float(plan.parcels["cost"].to_numpy()[kept].sum()) + settled.cost()
        proof = certify(
            turn.after, frame, room, prices, in_hand, effort=effort, total=cost_before, threads=threads,
            progress=progress,
        )  # fmt: skip
    with stages("improve"):
        settled.improve(proof.prices, stability, progress)
    with stages("reasons"):
        moves = settled.moves()
        lost = ~moves.planned
        days = int(plan.manifest["horizon_days"])
        reasons = reasons_of(closed, turn.after, moves.frame, lost, lost & moves.reachable, days, threads, progress)
    with stages("results"):
        calibration = plan.manifest.get("calibration")
        told_by = None if calibration is None else msgspec.convert(calibration, Calibration)
        table, legs = parcel_tables(now, which, moves, turn, plan.parcels, plan.legs, reasons, told_by)
        changes = changes_table(turn, now, affected, which, moves, plan.parcels, table, news)
        apart = np.ones(len(pieces), np.bool_)
        apart[open_] = False
        cost = fsum(table["cost"].to_list())
        bound = nextafter(fsum([*table["cost"].filter(pl.Series(apart)).to_list(), proof.bound]), -inf)
        loads, hours, overfull, beyond = loads_after(turn, affected, moves, proof.prices, plan.loads)
    summary = {
        **{name: plan.summary[name] for name in TOLD_AGAIN if name in plan.summary},
        **_figures(table, pieces),
        **_changed(changes, pieces, which),
        "cost_before": cost_before,
        "cost": cost,
        "cost_after": cost,
        "lower_bound": bound,
        "gap": (cost - bound) / cost if cost > 0 else 0.0,
        "bound_of": "all that is left to decide" if outcomes == 1 else "those affected",
        "free_flow_bound": None,
        "congestion_gap": None,
        "iterations": proof.iterations,
        "interrupted": proof.interrupted,
        "capacity_violations": overfull,
        "hours_beyond_help": beyond,
        "departures": len(turn.after.timetable.cutoff),
        "columns": moves.assignment.columns,
        "grouped_weights": not moves.assignment.exact,
        "seconds": stages.seconds,
        "parcels_per_second": round(float(pieces.sum()) / stages.total(), 1) if stages.total() else 0.0,
    }
    manifest = {
        **plan.manifest,
        "program": f"rookery {version('rookery')}",
        "replanned_at": iso(minute),
        "closures": {"sha256": hashlib.sha256(news.write_csv().encode()).hexdigest(), "rows": news.height},
        "stability": stability if isfinite(stability) else None,
        "prices": "capacity" if plan.manifest.get("prices") == "capacity" or proof.priced else "none",
    }
    outside = closures_outside(news, minute, end, closures.files.get("closures", "closures.csv"))
    told = (*orders.notices, *notices, *closures.notices[len(feed.notices) :], *([outside] if outside else []))
    return Replan(
        table,
        legs,
        loads,
        summary,
        manifest,
        told,
        hours=hours,
        changes=changes,
        closures=pl.concat([earlier, news.with_columns(known_at=pl.lit(minute, pl.Int64))]),
    )


def _with(feed: Feed, *closures: pl.DataFrame) -> Feed:
    """The feed with closures laid over it as well."""
    own = feed.closures
    return replace(feed, closures=pl.concat([own, *(each.select(own.columns) for each in closures)]))


def _planned(feed: Feed, earlier: pl.DataFrame, begin: int, end: int, outcomes: int) -> Planned:
    """What the plan was made for: the feed, and every time it was changed the closures known then."""
    planned = Planned(feed, expand(feed, begin, end))
    for minute in earlier["known_at"].unique().sort():
        closed = _with(feed, earlier.filter(pl.col("known_at") <= minute))
        planned = disruption(planned, closed, expand(closed, begin, end), minute, outcomes).onward()
    return planned


def _open(
    turn: Disruption, now: Standing, parcels: pl.DataFrame, told: pl.DataFrame, affected: Affected, which: NDArray,
    settled: Settlement, outcomes: int,
) -> tuple[NDArray[np.int64], pl.DataFrame, Room]:  # fmt: skip
    """What the certificate is about: which parcels, where they stand (schema PARCELS), and the room there is for them.

    All that travel or have no way; with several outcomes the affected alone, for the files of a plan do not tell the
    policies of the others.
    """
    if outcomes > 1:
        return which[settled.travel], settled.frame[settled.travel], affected.room
    destination = parcels["destination"].to_numpy()
    left = now.travelling | (told["status"] != "planned").to_numpy()
    open_ = np.flatnonzero(left & (destination >= 0) & (now.where >= 0) & (now.where != destination))
    # whoever keeps its way has met the first cut-off, even where that is over
    waits = np.isin(affected.reason[open_], (CANCELLED, MISSED, NO_ROOM)) | ~now.travelling[open_]
    return open_, from_here(turn, now, parcels, open_, waits=waits), affected.limits


def _figures(table: pl.DataFrame, pieces: NDArray[np.int64]) -> dict[str, Any]:
    """What a summary tells of the parcels as they are planned now."""
    planned = (table["status"] == "planned").to_numpy()
    full = table["reasons"].list.contains("no_capacity").to_numpy()
    return {
        "planned": int(pieces[planned].sum()),
        "unassigned": by_reason(table["reasons"], pieces),
        "unassigned_parcels": int(pieces[~planned].sum()),
        "refused": int(pieces[full].sum()),
        "on_time_expected": float((table["on_time_probability"].to_numpy() * pieces).sum() / pieces.sum()),
    }


def _changed(changes: pl.DataFrame, pieces: NDArray[np.int64], which: NDArray[np.int64]) -> dict[str, int]:
    """How many parcels the changes are about."""

    def count(column: str) -> int:
        return int(pieces[which[changes[column].to_numpy()]].sum())

    changed = count("changed")
    return {
        "affected": int(pieces[which].sum()),
        "changed": changed,
        "kept": int(pieces.sum()) - changed,
        "newly_late": count("newly_late"),
        "newly_unassigned": count("newly_unassigned"),
    }


def _earlier_closures(plan: Plan | str | Path) -> pl.DataFrame:
    """The closures that a plan has been changed around already."""
    none = empty(PLAN_CLOSURES)
    if isinstance(plan, Plan):
        if not isinstance(plan, Replan) and "replanned_at" in plan.manifest:
            raise InvalidInput(
                "replan.closures_unknown", "The plan was changed around closures that it does not hold.",
                "give the folder it lies in",
            )  # fmt: skip
        return plan.closures if isinstance(plan, Replan) else none
    path = Path(plan) / "closures.parquet"
    if not path.exists():
        return none
    faults: list[str] = []
    earlier = read_frame(path, PLAN_CLOSURES, faults)
    if faults:
        raise InvalidInput("plan.damaged", f"The plan in {plan} is damaged: {'; '.join(faults)}.", "plan again")
    return earlier


def _news(feed: Feed, closures: Feed, earlier: pl.DataFrame) -> pl.DataFrame:
    """The closures that are new: neither the feed's own, nor among those the plan knows."""
    own = feed.closures.height
    if closures.sha256 != feed.sha256 or not closures.closures.head(own).equals(feed.closures):
        raise Conflict(
            "replan.other_closures", "The closures are not laid over the feed that the plan was made of.",
            "read them with read_closures(path, feed)",
        )  # fmt: skip
    told = earlier.drop("line", "known_at").rows()
    more = closures.closures[own:]
    return more.filter(pl.Series([row not in told for row in more.drop("line").rows()], dtype=pl.Boolean))


def _refuse_others(plan: Plan, feed: Feed, orders: Orders) -> None:
    """Raises Conflict where feed or orders are not those that the plan was made of."""
    pairs = (("feed", "its", feed), ("orders", "their", orders))
    others = [
        (what, plan.manifest.get(what, {}).get("source") or "given in memory")
        for what, _, given in pairs
        if plan.manifest.get(what, {}).get("sha256") != given.sha256
    ]
    if others:
        told = " and ".join(f"the {what} (then: {source})" for what, source in others)
        raise Conflict(
            "replan.changed_since",
            f"The plan was made of other {'files' if len(others) > 1 else 'input'}: {told} differ from what is given.",
            "give those it was made of, or plan again",
        )


def _span(plan: Plan, at: datetime) -> tuple[int, int, int]:
    """First and last minute of a plan, and the minute at which it is changed."""
    refuse_naive(at)
    begin, end = (to_minute(datetime.fromisoformat(plan.manifest[name])) for name in ("start", "horizon_end"))
    minute = to_minute(at)
    if not begin <= minute < end:
        raise InvalidInput(
            "replan.outside",
            f"{iso(minute)} lies outside the plan, which runs from {iso(begin)} to {iso(end)}.",
            "give an instant within it, or plan again",
        )
    changed_at = plan.manifest.get("replanned_at")
    if changed_at is not None and minute < to_minute(datetime.fromisoformat(changed_at)):
        raise InvalidInput(
            "replan.too_early",
            f"The plan was changed at {changed_at}, and {iso(minute)} is before that.",
            "give a later instant, or change the plan that came before",
        )
    return begin, end, minute
