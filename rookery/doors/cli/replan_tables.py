"""What closures change in a plan, as a person likes to read it."""

from __future__ import annotations

import polars as pl
from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from rookery.doors.cli.plan_tables import table_of
from rookery.doors.cli.words import percent, safe, seconds
from rookery.flows.replanning import Replan
from rookery.terms.frames import Feed

MOST_CHANGES = 8
REASONS = {
    "cancelled": "a departure does not run",
    "missed_connection": "a connection is missed",
    "delayed": "late, on the way planned",
    "better": "late, and better off elsewhere",
    "no_room": "room is reduced, and theirs is gone",
}


def print_replan(made: Replan, feed: Feed, console: Console) -> None:
    """What is different, in a screen: figures, reasons, and the parcels that lose the most."""
    console.print(_headline(made, feed))
    if made.changes.is_empty():
        console.print("No parcel of the plan is affected.\n")
    else:
        console.print(_reasons(made.changes, feed.info.currency))
        console.print(_worst(made.changes, feed))
    stages = ", ".join(
        f"{stage} {seconds(spent)}" for stage, spent in made.summary["seconds"].items() if spent >= 0.005
    )
    console.print(f"[dim]{stages}[/]")


def _headline(made: Replan, feed: Feed) -> Panel:
    told, currency = made.summary, feed.info.currency
    grid = Table.grid(padding=(0, 3))
    for justify in ("left", "right", "left", "right"):
        grid.add_column(justify=justify)
    more = told["cost_after"] - told["cost_before"]
    grid.add_row("parcels", f"[bold]{told['parcels']:,}[/]", "cost before", f"{told['cost_before']:,.2f} {currency}")
    grid.add_row("affected", f"{told['affected']:,}", "cost now", f"[bold]{told['cost_after']:,.2f} {currency}[/]")
    grid.add_row("go another way", f"[bold]{told['changed']:,}[/]", "difference", f"{more:+,.2f} {currency}")
    grid.add_row("newly late", f"{told['newly_late']:,}", "proved gap", percent(told["gap"], 3))
    over = told["hours_beyond_help"]
    crowded = f"[yellow]{over:,}[/] hours of nodes" if over else "nothing"
    grid.add_row("newly unassigned", f"{told['newly_unassigned']:,}", "too full by what is under way", crowded)
    title = f"Changed at {made.manifest['replanned_at']}: {safe(feed.info.name)}"
    foot = f"bound of {told['bound_of']}"
    return Panel.fit(grid, title=title, subtitle=f"[dim]{foot}[/]", box=box.ROUNDED, padding=(1, 3))


def _reasons(changes: pl.DataFrame, currency: str) -> Table:
    table = table_of("Why")
    table.add_column("reason")
    table.add_column("that is", style="dim")
    table.add_column("closure")
    for name in ("orders", "go another way", "newly late", "unassigned", f"{currency} more"):
        table.add_column(name, justify="right")
    grouped = (
        changes.group_by("reason", "closure")
        .agg(
            pl.len().alias("orders"),
            pl.col("changed", "newly_late", "newly_unassigned").sum(),
            (pl.col("new_cost") - pl.col("old_cost")).sum().alias("more"),
        )
        .sort("orders", "reason", descending=[True, False])
    )
    for row in grouped.iter_rows(named=True):
        table.add_row(
            row["reason"],
            REASONS[row["reason"]],
            safe(row["closure"] or "-"),
            *(f"{row[name]:,}" for name in ("orders", "changed", "newly_late", "newly_unassigned")),
            f"{row['more']:+,.2f}",
        )
    return table


def _worst(changes: pl.DataFrame, feed: Feed) -> Table:
    lost = changes.with_columns(more=pl.col("new_cost") - pl.col("old_cost")).sort(
        "more", "order_id", descending=[True, False]
    )
    table = table_of(f"Who loses the most (first {min(MOST_CHANGES, changes.height)} of {changes.height:,})")
    for name in ("order", "reason", "departure concerned"):
        table.add_column(name)
    for name in ("expected", "now", f"{feed.info.currency} more"):
        table.add_column(name, justify="right")
    for row in lost.head(MOST_CHANGES).iter_rows(named=True):
        when = [
            "-" if row[name] is None else f"{row[name]:%a %d %b %H:%M}"
            for name in ("old_expected_at", "new_expected_at")
        ]
        now = "unassigned" if row["newly_unassigned"] else when[1]
        table.add_row(
            safe(row["order_id"]), row["reason"], safe(row["departure_id"]), when[0], now, f"{row['more']:+,.2f}"
        )
    return table
