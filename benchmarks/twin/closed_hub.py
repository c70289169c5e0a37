"""The busiest hub closed for a day that nobody foresaw: four ways of going on, in the same twenty worlds."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from benchmarks.form import Result, Say, Show, Table
from benchmarks.twin.sizes import Size
from benchmarks.twin.worlds import alike, crowded, sampled
from rookery.flows.planning import Plan, plan
from rookery.flows.rehearsals.rehearsed import Report, report_of
from rookery.flows.rehearsals.rehearsing import rehearse, setting_of
from rookery.terms.frames import FEED, Feed
from rookery.terms.time import DAY, to_minute
from rookery.twin.model import POLICIES, Trouble
from rookery.twin.reliability import measured

TROUBLE = Trouble(correlation=0.3, delay_share=0.1, delay_minutes=45.0)
DAYS = 14
NEAR = 10.0
"""Per cent by which following the policy may be dearer than planning everything anew each hour."""


def run(size: Size, say: Say) -> Result:
    """Plan a day, close the hub that most parcels reach, and let each policy go on from there."""
    feed, orders = sampled(size.hub_sample, size.hub_orders, lambda feed: crowded(feed, size.hub_share))
    orders = alike(orders)
    made = plan(feed, orders, outcomes=size.hub_outcomes, threads=size.threads, horizon_days=DAYS, seconds=20.0)
    hub, closed = busiest_closed(feed, made)
    setting = setting_of(feed, orders, made, closed=closed, threads=size.threads)
    reports: dict[str, Report] = {}
    for policy in POLICIES:
        say(f"{hub} closed for 24 h, {policy}: {size.hub_runs} worlds")
        reports[policy] = report_of(setting, rehearse(setting, policy, runs=size.hub_runs, trouble=TROUBLE))
    name = "hub closed for 24 h"
    costs = {policy: report.runs["cost"] for policy, report in reports.items()}
    per_run = {policy: report.summary["seconds_deciding"] / size.hub_runs for policy, report in reports.items()}
    against = measured((costs["follow"] - costs["itinerary"]).to_list())
    dearer = 100 * (float(costs["follow"].sum()) / float(costs["reoptimise"].sum()) - 1)
    on_time = reports["follow"].runs["on_time"] - reports["itinerary"].runs["on_time"]
    punctual = measured((100 * on_time).to_list())
    return Result(
        shows=[
            Show(f"{name}: cost of following the policy less that of following itineraries blindly, a run",
                 against.mean, feed.info.currency, "<= 0"),
            Show(f"{name}: ... of cost, give or take (95%, paired)", against.plus_minus or 0.0, feed.info.currency),
            Show(f"{name}: share on time of the policy less that of itineraries", punctual.mean, "points", ">= 0"),
            Show(f"{name}: ... of punctuality, give or take (95%, paired)", punctual.plus_minus or 0.0, "points"),
            Show(f"{name}: the policy dearer than everything planned anew each hour by", dearer, "%", f"<= {NEAR:g}"),
            Show(f"{name}: time of deciding, policy", per_run["follow"], "s a run"),
            Show(f"{name}: time of deciding, everything anew each hour", per_run["reoptimise"], "s a run"),
            Show(f"{name}: ... as a share", 100 * per_run["follow"] / max(per_run["reoptimise"], 1e-9), "%"),
        ],
        tables=[
            Table(
                f"{hub} closed for 24 h, {made.summary['parcels']:,} parcels, {size.hub_runs} paired seeds",
                ("policy", "on time %", "+-", "cost", "+-", "late", "hours late", "not delivered", "rides missed",
                 "s deciding a run"),
                [_row(policy, report, per_run[policy]) for policy, report in reports.items()],
                "known when it begins; delays of one departure in ten, correlation 0.3; follow and greedy decide once, "
                "when the closure is known: by making their tables anew",
            )
        ],
    )  # fmt: skip


def busiest_closed(feed: Feed, made: Plan) -> tuple[str, Feed]:
    """The hub that most legs reach, and the feed with it closed for a day from when a third of them have arrived."""
    hubs = feed.nodes.filter(pl.col("kind").is_in(["hub", "airport"])).select("node_id")
    legs = made.legs.join(hubs, left_on="to_node", right_on="node_id")
    hub = legs["to_node"].value_counts(sort=True).sort("count", "to_node", descending=[True, False])["to_node"][0]
    arrivals = legs.filter(pl.col("to_node") == hub)["arrive_at"].sort()
    begin = to_minute(arrivals[len(arrivals) // 3]) // 60 * 60
    row = {"node_id": hub, "from_at": begin, "until_at": begin + DAY, "capacity_factor": 0.0, "delay_minutes": 0,
           "reason": "closed", "line": 2}  # fmt: skip
    news = pl.DataFrame([{name: row.get(name) for name in FEED["closures"]}], schema=FEED["closures"])
    return hub, replace(feed, closures=pl.concat([feed.closures, news]))


def _row(policy: str, report: Report, deciding: float) -> tuple:
    told = report.summary
    return (
        policy, 100 * told["on_time"]["mean"], 100 * (told["on_time"]["plus_minus"] or 0.0), told["cost"]["mean"],
        told["cost"]["plus_minus"] or 0.0, told["late"]["mean"], told["hours_late"]["mean"],
        told["undelivered"]["mean"], told["missed"]["mean"], deciding,
    )  # fmt: skip
