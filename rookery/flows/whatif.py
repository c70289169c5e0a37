"""What a change would do: two plans of the same days, as the network is and changed, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from rookery.base.files import Output, json_says, write_aside
from rookery.base.progress import Progress, silent
from rookery.flows.changes import Change, Changed, apply_changes
from rookery.flows.comparing import (
    FULL,
    departures,
    hours,
    kinds,
    lanes,
    loads_of,
    parcels_of,
    promise_figures,
    promises,
)
from rookery.flows.planning import GAP, SECONDS, Plan, as_orders, effort_of, horizon_of, plan, refuse_senseless
from rookery.terms.frames import Feed, Orders
from rookery.terms.notice import Notice
from rookery.terms.time import DAY, from_minute, to_minute

TABLES = ("services", "countries", "promises", "departures", "hours", "lanes")
COMPARISON_FOLDER = Output(
    name="comparison",
    marker="comparison.json",
    says_so=json_says("program", "rookery"),
    holds=frozenset({"comparison.json", "before", "after", "whatif.png", *(f"{name}.parquet" for name in TABLES)}),
)
FIGURES = (
    "orders",
    "parcels",
    "planned",
    "unassigned_parcels",
    "cost",
    "lower_bound",
    "gap",
    "free_flow_bound",
    "congestion_gap",
    "capacity_violations",
    "on_time_expected",
)
"""What is told of both plans out of their summaries, as far as they hold it."""


@dataclass(frozen=True)
class Comparison:
    """Two plans of the same days, `before` and `after` the changes, and what differs; `changes` tells them in words.

    services, countries (of destination): key, then parcels, unassigned, late (expected pieces), on_time (share of all
    pieces that is expected in time) and cost, each `_before` and `_after`. promises: a row an order that both plans
    have, with status, promised_at and expected_at of both, and days_later of the promise. departures: every dated
    departure that carries anything or has a price in one of them: load, share of capacity (parcels or grams, whichever
    is the fuller; null = unlimited) and shadow prices; hours: the same of clock hours of nodes with a limit. lanes:
    expected parcels on each. Prices in the feed's currency.
    """

    changes: tuple[str, ...]
    before: Plan
    after: Plan
    services: pl.DataFrame
    countries: pl.DataFrame
    promises: pl.DataFrame
    departures: pl.DataFrame
    hours: pl.DataFrame
    lanes: pl.DataFrame
    summary: dict[str, Any]
    notices: tuple[Notice, ...] = ()

    def write(self, out: str | Path) -> Path:
        """Write summary, tables and both plans to folder `out`, whole or not at all. Raises Conflict as Plan.write."""
        with write_aside(Path(out), COMPARISON_FOLDER) as folder:
            self.write_files(folder)
        return Path(out)

    def write_files(self, folder: Path) -> None:
        """Write summary, tables and both plans into a folder that is there."""
        for name in TABLES:
            getattr(self, name).write_parquet(folder / f"{name}.parquet")
        self.before.write(folder / "before")
        self.after.write(folder / "after")
        told = {"program": f"rookery {version('rookery')}", **self.summary}
        (folder / "comparison.json").write_bytes(msgspec.json.format(msgspec.json.encode(told)))


def what_if(
    feed: Feed,
    orders: Orders | pl.DataFrame | str | Path,
    changes: Sequence[Change],
    *,
    start: datetime | None = None,
    horizon_days: int | None = None,
    outcomes: int = 8,
    gap: float = GAP,
    seconds: float = SECONDS,
    prices: Plan | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Plan orders as the network is and with all `changes` made, over the same days, and compare the two plans.

    changes: CloseNode, ScaleVolume, DropLane and AddDepartures, made one after the other; the other settings are those
    of `plan`, the same for both (`seconds` each). Nothing is planned before the changes are known to make sense. Ctrl-C
    stops it whole: a plan that was not improved to the end would be compared with one that was.
    Raises InvalidInput and NotFound for changes that do not, and whatever `plan` raises.
    """
    refuse_senseless(outcomes, start)
    effort_of(gap, seconds)
    orders = as_orders(orders)
    days = horizon_of(feed, horizon_days)
    start = start or _earliest(feed, orders)
    begin = to_minute(start)
    changed = apply_changes(feed, orders, changes, begin, begin + days * DAY)

    def planned(of: Feed, book: Orders, which: str) -> Plan:
        def tell(stage: str, done: int, total: int) -> None:
            progress(f"{which}: {stage}", done, total)

        span = {"start": start, "horizon_days": days, "outcomes": outcomes}
        effort = {"gap": gap, "seconds": seconds, "prices": prices, "threads": threads}
        made = plan(of, book, **span, **effort, progress=tell)
        if made.summary["interrupted"]:
            raise KeyboardInterrupt
        return made

    return _compared(
        feed, orders, changed, planned(feed, orders, "before"), planned(changed.feed, changed.orders, "after")
    )


def _earliest(feed: Feed, orders: Orders) -> datetime:
    """When the first order that will be planned is ready: where a plan begins unless told otherwise."""
    service = pl.col("service_id")
    offered = orders.frame.filter(service.is_null() | service.is_in(feed.services["service_id"].implode()))
    ready: Any = (orders.frame if offered.is_empty() else offered)["ready_at"].min()
    return from_minute(ready)


def _compared(feed: Feed, orders: Orders, changed: Changed, before: Plan, after: Plan) -> Comparison:
    told = parcels_of(before, orders.frame, feed), parcels_of(after, changed.orders.frame, feed)
    runs = departures(loads_of(before, feed), loads_of(after, changed.feed), feed.lanes)
    tables = {
        "services": kinds("service", *told),
        "countries": kinds("country", *told),
        "promises": promises(*told),
        "departures": runs,
        "hours": hours(before.hours, after.hours),
        "lanes": lanes(runs),
    }
    first = {notice.code for notice in before.notices}
    return Comparison(
        changes=changed.told,
        before=before,
        after=after,
        **tables,
        summary=_summary(feed, changed, before, after, tables),
        # what both plans tell is told once; the orders' own faults are among them
        notices=(*before.notices, *changed.notices, *(n for n in after.notices if n.code not in first)),
    )


def _summary(
    feed: Feed, changed: Changed, before: Plan, after: Plan, tables: dict[str, pl.DataFrame]
) -> dict[str, Any]:
    one, two = before.summary, after.summary
    return {
        "changes": list(changed.told),
        "currency": feed.info.currency,
        "start": before.manifest["start"],
        "horizon_days": before.manifest["horizon_days"],
        "outcomes": before.manifest["outcomes"],
        "before": _figures(one, tables, "before"),
        "after": _figures(two, tables, "after"),
        "cost_change": two["cost"] - one["cost"],
        # the best plans' costs lie between bound and cost of these two: so much they can differ at least and at most
        "optimal_cost_change": [two["lower_bound"] - one["cost"], two["cost"] - one["lower_bound"]],
        "promises": promise_figures(tables["promises"]),
        "services": tables["services"].to_dicts(),
        "countries": tables["countries"].to_dicts(),
    }


def _figures(summary: dict[str, Any], tables: dict[str, pl.DataFrame], side: str) -> dict[str, Any]:
    return {
        **{name: summary[name] for name in FIGURES if name in summary},
        "cost_per_parcel": summary["cost"] / summary["parcels"],
        "unassigned": summary["unassigned"],
        "late_expected": float(tables["services"][f"late_{side}"].sum()),
        "full_departures": int((tables["departures"][f"share_{side}"] >= FULL).sum()),
        "full_hours": int((tables["hours"][f"share_{side}"] >= FULL).sum()),
    }
