"""Rehearsals as a person likes to read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from rookery.doors.cli.plan_tables import table_of
from rookery.doors.cli.words import count_of, percent, safe, seconds
from rookery.flows.rehearsals.experimenting import Pair, Trials
from rookery.flows.rehearsals.rehearsed import Report

MOST_ROWS = 8
WORDS = ("", "policy", "service", "node", "kind")
"""Columns of words."""
NAMES = {
    "on_time": "on time",
    "promise_kept": "by the promised day",
    "cost": "cost",
    "late": "delivered late, parcels",
    "hours_late": "hours late, each",
    "undelivered": "undelivered, parcels",
    "lost": "lost, parcels",
    "missed": "rides missed",
    "queue_hours": "parcel-hours in queues",
}


def print_trials(trials: Trials, console: Console) -> None:
    """Policies side by side, then what the first one tells in more detail."""
    console.print(_policies(trials))
    console.print(_promises(trials))
    console.print(_mishaps(trials))
    report = trials.reports[0]
    console.print(_reliability(report))
    console.print(_services(report))
    if report.nodes.height:
        console.print(_queues(report))
    if report.summary["runs"] == 1:
        console.print("[dim]One run shows one day as it may come; --runs 20 tells how sure the figures are.[/]")


def _policies(trials: Trials) -> Any:
    first = trials.reports[0].summary
    table = _table(
        f"{safe(trials.experiment.name)}: {count_of(first['parcels'], 'parcel')}, {count_of(first['runs'], 'run')} "
        f"from seed {first['seed']}",
        ("policy", "on time", "off", f"cost, {first['currency']}", "off"),
    )
    table.add_row("predicted", percent(first["predicted_on_time"], 2), "", f"{first['predicted_cost']:,.0f}", "")
    for report in trials.reports:
        one = report.summary
        table.add_row(
            one["policy"], _share(one["on_time"]), f"{one['off']:+.2f} pp", _figure(one["cost"]),
            f"{one['cost_off']:+.2f}%",
        )  # fmt: skip
    return table


def _promises(trials: Trials) -> Any:
    """Promised days are not due times: each has the confidence of its service."""
    table = _table("delivered by the promised day", ("policy", "share of the planned"))
    for report in trials.reports:
        table.add_row(report.summary["policy"], _share(report.summary["promise_kept"]))
    return table


def _mishaps(trials: Trials) -> Any:
    table = _table("what went wrong, parcels in a run", ("policy", "late", "not delivered", "missed rides", "deciding"))
    for report in trials.reports:
        one = report.summary
        lacking = sum(one[fate]["mean"] for fate in ("undelivered", "lost", "not_sent"))
        table.add_row(
            one["policy"], _figure(one["late"]), _number(lacking), _figure(one["missed"]),
            seconds(one["seconds_deciding"]),
        )  # fmt: skip
    return table


def _reliability(report: Report) -> Any:
    table = _table(
        f"what was promised, and what came of it ({report.summary['policy']})",
        ("chance of being on time", "parcels", "predicted, mean", "realised", "off"),
    )
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
    table = _table(
        f"by service ({report.summary['policy']})",
        ("service", "parcels", "predicted", "realised", "late", "hours late, each"),
    )
    for row in report.services.head(MOST_ROWS).iter_rows(named=True):
        table.add_row(
            safe(row["service_id"] or "(none)"),
            f"{row['parcels']:,.0f}",
            percent(row["predicted_on_time"], 2),
            _share({"mean": row["on_time"], "plus_minus": row["plus_minus"]}),
            _number(row["late"]),
            f"{row['hours_late']:.1f}",
        )
    return table


def _queues(report: Report) -> Any:
    table = _table(
        f"queues: parcels that had to wait for hands in a run ({report.summary['policy']})",
        ("node", "kind", "parcels", "minutes each", "longest"),
    )
    for row in report.nodes.head(MOST_ROWS).iter_rows(named=True):
        table.add_row(
            safe(row["node_id"]), row["kind"], _number(row["queued"]), f"{row['minutes_each']:.0f}",
            f"{row['longest_minutes']:.0f}",
        )  # fmt: skip
    return table


def print_pairs(pairs: Sequence[Pair], console: Console) -> None:
    """What B gave less what A gave, with 95% intervals over paired seeds; what surely differs is marked."""
    for pair in pairs:
        table = _table(
            f"A = {safe(pair.a)}, B = {safe(pair.b)}: {count_of(pair.seeds, 'paired seed')}",
            ("", "A", "B", "B less A", "surely"),
        )
        for name, one in pair.differences.items():
            a, b, mean, wide = (one[key] for key in ("a", "b", "mean", "plus_minus"))
            assert a is not None and b is not None and mean is not None
            share = name in ("on_time", "promise_kept")
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


def _table(title: str, headings: Sequence[str]) -> Any:
    """An empty table: words to the left, figures to the right and never broken."""
    table = table_of(title)
    for heading in headings:
        words = heading in WORDS
        table.add_column(heading, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    return table


def _share(figure: dict[str, float | None]) -> str:
    wide = figure["plus_minus"]
    return percent(figure["mean"] or 0.0, 2) + ("" if wide is None else f" ± {100 * wide:.2f}")


def _figure(figure: dict[str, float | None]) -> str:
    """A mean of runs: whole from ten on; below that a tenth tells something."""
    mean, wide = figure["mean"] or 0.0, figure["plus_minus"]
    digits = 1 if abs(mean) < 10 and (mean % 1 or (wide or 0) % 1) else 0
    return f"{mean:,.{digits}f}" + ("" if wide is None else f" ± {wide:,.{digits}f}")


def _number(mean: float) -> str:
    return _figure({"mean": mean, "plus_minus": None})
