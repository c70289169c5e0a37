"""Rehearsals as a person likes to read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from rookery.doors.cli.plan_tables import table_of
from rookery.doors.cli.words import percent, safe, seconds
from rookery.flows.experimenting import Pair, Trials
from rookery.flows.rehearsed import Report

MOST_ROWS = 8
NAMES = {
    "on_time": "on time",
    "cost": "cost",
    "late": "delivered late, parcels",
    "hours_late": "hours late, each",
    "undelivered": "not delivered, parcels",
    "missed": "rides missed",
    "queue_hours": "parcel-hours in queues",
}


def print_trials(trials: Trials, console: Console) -> None:
    """Policies side by side, then what the first one tells in more detail."""
    console.print(_policies(trials))
    report = trials.reports[0]
    console.print(_reliability(report))
    console.print(_services(report))
    if report.nodes.height:
        console.print(_queues(report))
    if report.summary["runs"] == 1:
        console.print("[dim]One run shows one day as it may come; --runs 20 tells how sure the figures are.[/]")


def _policies(trials: Trials) -> Any:
    summary = trials.reports[0].summary
    table = table_of(
        f"{safe(trials.experiment.name)}: {summary['parcels']:,} parcels, {summary['runs']} "
        f"{'run' if summary['runs'] == 1 else 'runs'} from seed {summary['seed']}"
    )
    for heading in ("policy", "predicted on time", "realised", "off", f"cost, {summary['currency']}", "against plan",
                    "late", "not delivered", "missed rides", "deciding"):  # fmt: skip
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    for report in trials.reports:
        one = report.summary
        table.add_row(
            one["policy"],
            percent(one["predicted_on_time"], 2),
            _share(one["on_time"]),
            f"{one['off']:+.2f} pp",
            _figure(one["cost"]),
            f"{one['cost_off']:+.2f}%",
            _figure(one["late"]),
            f"{one['undelivered']['mean'] + one['lost']['mean'] + one['not_sent']['mean']:,.0f}",
            _figure(one["missed"]),
            seconds(one["seconds_deciding"]),
        )
    return table


def _reliability(report: Report) -> Any:
    table = table_of("what was promised, and what came of it: parcels by their predicted chance of being on time")
    for heading in ("predicted", "parcels", "predicted, mean", "realised", "off"):
        table.add_column(heading, justify="right")
    for row in report.reliability.iter_rows(named=True):
        table.add_row(
            f"{100 * row['from']:.0f} to {100 * row['until']:.0f}%",
            f"{row['parcels']:,.0f}",
            percent(row["predicted"], 2),
            percent(row["realised"], 2),
            f"{row['off']:+.2f} pp",
        )
    return table


def _services(report: Report) -> Any:
    table = table_of("by service")
    for heading in ("service", "parcels", "predicted on time", "realised", "late", "hours late, each"):
        table.add_column(heading, justify="left" if heading == "service" else "right")
    for row in report.services.head(MOST_ROWS).iter_rows(named=True):
        table.add_row(
            safe(row["service_id"] or "(none)"),
            f"{row['parcels']:,.0f}",
            percent(row["predicted_on_time"], 2),
            _share({"mean": row["on_time"], "plus_minus": row["plus_minus"]}),
            f"{row['late']:,.1f}",
            f"{row['hours_late']:.1f}",
        )
    return table


def _queues(report: Report) -> Any:
    table = table_of("queues: parcels that had to wait for hands, in a run")
    for heading in ("node", "kind", "parcels", "minutes each", "longest"):
        table.add_column(heading, justify="left" if heading in ("node", "kind") else "right")
    for row in report.nodes.head(MOST_ROWS).iter_rows(named=True):
        table.add_row(
            safe(row["node_id"]), row["kind"], f"{row['queued']:,.0f}", f"{row['minutes_each']:.0f}",
            f"{row['longest_minutes']:.0f}",
        )  # fmt: skip
    return table


def print_pairs(pairs: Sequence[Pair], console: Console) -> None:
    """What B gave less what A gave, with 95% intervals over paired seeds; what surely differs is marked."""
    for pair in pairs:
        table = table_of(f"A = {safe(pair.a)}, B = {safe(pair.b)}: {pair.seeds} paired seeds")
        for heading in ("", "A", "B", "B less A", "surely"):
            table.add_column(heading, justify="left" if heading == "" else "right")
        for name, one in pair.differences.items():
            a, b, mean, wide = (one[key] for key in ("a", "b", "mean", "plus_minus"))
            assert a is not None and b is not None and mean is not None
            share = name == "on_time"
            sure = "" if wide is None else "yes" if abs(mean) > wide else "no"
            told = f"{100 * mean:+.2f} pp" if share else f"{mean:+,.1f}"
            give = "" if wide is None else f" ± {100 * wide if share else wide:,.2f}"
            table.add_row(
                NAMES[name], percent(a, 2) if share else f"{a:,.1f}", percent(b, 2) if share else f"{b:,.1f}",
                told + give, sure,
            )  # fmt: skip
        console.print(table)
        if pair.seeds == 1:
            console.print("[dim]One seed cannot tell chance from cause; run both with --runs 20.[/]")


def _share(figure: dict[str, float | None]) -> str:
    wide = figure["plus_minus"]
    return percent(figure["mean"] or 0.0, 2) + ("" if wide is None else f" ± {100 * wide:.2f}")


def _figure(figure: dict[str, float | None]) -> str:
    wide = figure["plus_minus"]
    return f"{figure['mean']:,.0f}" + ("" if wide is None else f" ± {wide:,.0f}")
