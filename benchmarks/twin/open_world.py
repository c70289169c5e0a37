"""The world sample with room for everyone: what a plan predicts of a million parcels, and what comes of them."""

from __future__ import annotations

from benchmarks.form import Result, Say, Show, Table
from benchmarks.twin.sizes import Size
from benchmarks.twin.worlds import roomy, sampled, set_up
from rookery.flows.rehearsals.rehearsed import Report, report_of
from rookery.flows.rehearsals.rehearsing import rehearse

OFF, COST_OFF = 0.3, 0.2
"""Percentage points, and per cent, by which realised and predicted may differ."""


def run(size: Size, say: Say) -> Result:
    """Plan, move through several worlds by the policy, and hold shares on time and costs together.

    Once for many orders and few days of departures, once for fewer orders and all the days that a plan looks at.
    """
    figures, tables = [], []
    for count, days in ((size.open_orders, size.open_days), (size.open_fewer, None)):
        say(f"{count:,} orders on the {size.sample} sample, planned with K = {size.open_outcomes}")
        feed, orders = sampled(size.sample, count, roomy)
        made, setting = set_up(feed, orders, size.open_outcomes, size.threads, horizon_days=days)
        say(f"planned; moved through {size.open_runs} worlds")
        report = report_of(setting, rehearse(setting, "follow", runs=size.open_runs))
        span = f"{made.manifest['horizon_days']} days of departures"
        name = f"no limits, {count:,} parcels of the {size.sample} sample, {span}, K = {size.open_outcomes}"
        figures += shows(name, report)
        tables.append(reliability_table(name, report))
    return Result(shows=figures, tables=tables)


def shows(name: str, report: Report) -> list[Show]:
    """Predicted against realised, in figures."""
    told = report.summary
    return [
        Show(f"{name}: predicted share on time", 100 * told["predicted_on_time"], "%"),
        Show(f"{name}: realised share on time", 100 * told["on_time"]["mean"], "%"),
        Show(f"{name}: ... give or take", 100 * (told["on_time"]["plus_minus"] or 0.0), "points"),
        Show(f"{name}: realised and predicted differ by", abs(told["off"]), "points", f"<= {OFF}"),
        Show(f"{name}: largest difference of a tenth that holds 1%", told["largest_off_by_tenth"], "points"),
        Show(f"{name}: cost differs by", abs(told["cost_off"]), "%", f"<= {COST_OFF}"),
        Show(f"{name}: parcels not delivered, a run", told["undelivered"]["mean"], "parcels"),
        Show(f"{name}: time to move them, a run", told["seconds_moving"] / told["runs"], "s"),
    ]


def reliability_table(name: str, report: Report) -> Table:
    """Tenths of predicted chances, and what came of them."""
    return Table(
        f"{name}: predicted and realised",
        ("predicted", "parcels", "share %", "predicted %", "realised %", "points off"),
        [
            (f"{100 * row['from']:.0f} to {100 * row['until']:.0f}%", int(row["parcels"]), 100 * row["share"],
             100 * row["predicted"], 100 * row["realised"], row["off"])
            for row in report.reliability.iter_rows(named=True)
        ],
    )  # fmt: skip
