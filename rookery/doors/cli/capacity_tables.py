"""What room is worth and what is flown empty, as a person likes to read it."""

from __future__ import annotations

import polars as pl
from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from rookery.doors.cli.plan_tables import A_CENT, BAR, NAME, bar, filled, mode_in_colour, of_limit, table_of
from rookery.doors.cli.words import Places, count_of, percent, safe, utc
from rookery.flows.utilisation import Utilisation
from rookery.terms.frames import Feed


def print_utilisation(found: Utilisation, feed: Feed, top: int, console: Console) -> None:
    """Figures, then the departures, node hours and lanes where room is worth the most, then what is flown empty."""
    places, currency = Places(feed), found.summary["currency"]
    console.print(_headline(found, feed))
    if found.summary["prices"] != "capacity":
        console.print(
            "Nothing is scarce in this plan: no capacity binds, and one more unit of any would save nothing.\n"
        )
    for what in ("seat", "tonne"):
        dear = found.departures.filter(pl.col(what) >= A_CENT).height
        if dear:
            title = f"{_some(top, dear, 'departure')} on which one more {what} would save the most"
            console.print(_departures(found.dearest(what, min(top, dear)), what, title, places, currency))
    dear = found.hours.filter(pl.col("price") >= A_CENT).height
    if dear:
        title = f"{_some(top, dear, 'node hour')} in which one more parcel handled would save the most"
        console.print(_hours(found.dearest("price", min(top, dear)), title, places, currency))
    lanes = found.dearest_lanes(top)
    if lanes.height:
        console.print(_lanes(lanes, places, currency))
    empty = found.emptiest_lanes(top)
    if empty.height:
        console.print(_empty(empty, found, places, currency))


def _headline(found: Utilisation, feed: Feed) -> Panel:
    summary = found.summary
    grid = Table.grid(padding=(0, 3))
    for justify in ("left", "right", "left", "right"):
        grid.add_column(justify=justify)
    full = f"[bold]{summary['full']:,}[/] of {summary['limited']:,}"
    grid.add_row("departures", f"[bold]{summary['departures']:,}[/]", "full, of those with a limit", full)
    used = [
        "-" if summary[f"share_of_{unit}"] is None else percent(summary[f"share_of_{unit}"])
        for unit in ("parcels", "kg")
    ]
    grid.add_row(
        "carrying nothing", f"{summary['carrying_nothing']:,}", "where more room saves", f"{summary['priced']:,}"
    )
    grid.add_row("seats used", used[0], "kilograms used", used[1])
    unused = f"{summary['empty_cost']:,.0f} {summary['currency']}"
    grid.add_row("full hours of nodes", f"{summary['full_hours']:,}", "empty room, at its tariff", unused)
    span = "" if summary["from"] is None else f", {utc(summary['from'])} to {utc(summary['until'])} UTC"
    foot = "[dim]from the first to the last departure that carries anything[/]"
    return Panel.fit(grid, title=f"Room: {safe(feed.info.name)}{span}", subtitle=foot, box=box.ROUNDED, padding=(1, 3))


def _some(top: int, count: int, thing: str) -> str:
    return f"The {f'{top:,} of ' if top < count else ''}{count_of(count, thing)}"


def _departures(dearest: pl.DataFrame, what: str, title: str, places: Places, currency: str) -> Table:
    unit = "parcels" if what == "seat" else "kg"
    table = table_of(title)
    for name in ("leaves, UTC", "by", "from", "to"):
        table.add_column(name, no_wrap=name != "to")
    for name in (unit, "full"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", min_width=BAR)
    table.add_column(f"saves, {currency}", justify="right", style="bold")
    for row in dearest.iter_rows(named=True):
        room = row[f"capacity_{unit}"]
        table.add_row(
            utc(row["depart_at"]),
            mode_in_colour(row["mode"]),
            safe(places.name(row["from_node"], NAME)),
            safe(places.name(row["to_node"], NAME)),
            of_limit(row[unit], room),
            *filled(row[unit] / room if room else 1.0),  # what never has room is full
            f"{row[what]:,.2f}",
        )
    return table


def _hours(hours: pl.DataFrame, title: str, places: Places, currency: str) -> Table:
    table = table_of(title)
    table.add_column("hour from, UTC", no_wrap=True)
    table.add_column("at")
    for name in ("parcels", "full"):
        table.add_column(name, justify="right")
    table.add_column("")
    table.add_column(f"saves, {currency}", justify="right", style="bold")
    for row in hours.iter_rows(named=True):
        table.add_row(
            utc(row["hour_at"]),
            safe(places.name(row["node_id"])),
            of_limit(row["parcels"], row["capacity_parcels"]),
            *filled(row["share"]),
            f"{row['price']:,.2f}",
        )
    return table


def _lanes(lanes: pl.DataFrame, places: Places, currency: str) -> Table:
    table = table_of("Lanes: what one more on every departure would save")
    for name in ("by", "from", "to"):
        table.add_column(name)
    for name in ("departures", "full", "used"):
        table.add_column(name, justify="right")
    table.add_column("")
    worth = [(what, name) for what, name in (("seat", "a seat"), ("tonne", "a tonne")) if (lanes[what] >= A_CENT).any()]
    for _, name in worth:
        table.add_column(f"{name}, {currency}", justify="right", style="bold")
    for row in lanes.iter_rows(named=True):
        table.add_row(
            mode_in_colour(row["mode"]),
            safe(places.name(row["from_node"], NAME)),
            safe(places.name(row["to_node"], NAME)),
            f"{row['departures']:,}",
            f"{row['full']:,}",
            *filled(row["share"]),
            *(f"{row[what]:,.2f}" for what, _ in worth),
        )
    return table


def _empty(lanes: pl.DataFrame, found: Utilisation, places: Places, currency: str) -> Table:
    table = table_of("Flown empty: lanes by what their unused room costs at its own tariff")
    for name in ("by", "from", "to"):
        table.add_column(name)
    for name in ("departures", "empty", "seats left", "kg left", "left"):
        table.add_column(name, justify="right")
    table.add_column("")
    table.add_column(currency, justify="right", style="bold")
    for row in lanes.iter_rows(named=True):
        unused = [
            f"{row[f'unused_{unit}']:,.0f}" if row[f"capacity_{unit}"] else "no limit" for unit in ("parcels", "kg")
        ]
        table.add_row(
            mode_in_colour(row["mode"]),
            safe(places.name(row["from_node"], NAME)),
            safe(places.name(row["to_node"], NAME)),
            f"{row['departures']:,}",
            f"{row['empty']:,}",
            *unused,
            percent(1 - row["share"]),
            f"[yellow]{bar(1 - row['share'])}[/]",
            f"{row['empty_cost']:,.0f}",
        )
    return table
