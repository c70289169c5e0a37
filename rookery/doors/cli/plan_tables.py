"""A plan as a person likes to read it."""

from __future__ import annotations

from datetime import datetime
from math import inf
from typing import Any

import polars as pl
from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from rookery.doors.cli.figures import Itinerary, by_mode, by_service, examples, fullest, planned_parcels
from rookery.doors.cli.words import (
    MODE_COLOURS,
    REASONS,
    Places,
    count_of,
    percent,
    safe,
    seconds,
    utc,
    utc_span,
)
from rookery.flows.comparing import FULL
from rookery.flows.planning import Plan
from rookery.terms.frames import Feed, Orders

MOST_DEPARTURES = 8
A_CENT = 0.005  # what shows as more than 0.00
BAR = 10  # characters of a full bar
WIDE = 108  # columns of a terminal that has room for UTC beside local times; below, it goes under them
NAME = 22  # characters of a place's name, beyond which its id is shown


def table_of(title: str = "") -> Table:
    """An empty table in the house style."""
    return Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold", pad_edge=False)


def print_plan(plan: Plan, feed: Feed, orders: Orders, console: Console) -> None:
    """The whole plan in a screen or two: figures, services, modes and one parcel's way."""
    console.print(_headline(plan, feed))
    if plan.summary["unassigned"]:
        console.print(_unassigned(plan.summary))
    if plan.manifest["prices"] == "capacity":
        console.print(_fullest(plan, feed))
    parcels = planned_parcels(plan, orders)
    if parcels.height:
        console.print(_services(plan, parcels))
        if plan.legs.height:
            console.print(_modes(plan, parcels))
            shown = examples(parcels, plan.legs)
            print_itinerary(shown[len(shown) // 2], feed, console)
    stages = ", ".join(
        f"{stage} {seconds(spent)}" for stage, spent in plan.summary["seconds"].items() if spent >= 0.005
    )
    rate = plan.summary["parcels_per_second"]
    console.print(f"[dim]{rate:,.0f} parcels/s ({stages}).[/]")


def _headline(plan: Plan, feed: Feed) -> Panel:
    summary, manifest = plan.summary, plan.manifest
    currency, parcels = summary["currency"], summary["parcels"]
    begin = datetime.fromisoformat(manifest["start"])
    grid = Table.grid(padding=(0, 3))
    for justify in ("left", "right", "left", "right"):
        grid.add_column(justify=justify)
    grid.add_row("parcels", f"[bold]{parcels:,}[/]", "cost", f"[bold]{summary['cost']:,.2f} {currency}[/]")
    grid.add_row(
        "planned",
        f"[bold]{summary['planned']:,}[/] ({percent(summary['planned'] / parcels)})",
        "per parcel",
        f"{summary['cost'] / parcels:,.2f} {currency}",
    )
    grid.add_row("unassigned", f"{parcels - summary['planned']:,}", "proved gap", percent(summary["gap"], 3))
    scarce = manifest["prices"] == "capacity"
    of_congestion = percent(summary["congestion_gap"], 1) if scarce else "nothing is full"
    on_time = f"[bold]{percent(summary['on_time_expected'])}[/]"
    grid.add_row("on time, expected", on_time, "congestion gap" if scarce else "capacity", of_congestion)
    if scarce:
        refused = f"[yellow]{summary['refused']:,}[/]" if summary["refused"] else "none"
        grid.add_row("refused for lack of room", refused, "iterations", f"{summary['iterations']:,}")
    if left_out := summary["orders_left_out"]:
        told = f"[yellow]{left_out:,}[/] (of {summary['orders'] + left_out:,}), see the notices"
        grid.add_row("rows left out", told, "", "")
    since = f"{begin:%a} {begin.day} {begin:%b %Y %H:%M} UTC"
    title = f"{safe(feed.info.name)}, {since} and {manifest['horizon_days']} days on"
    outcomes = f"{manifest['outcomes']} outcomes each" if manifest["outcomes"] > 1 else "medians only"
    foot = f"{summary['departures']:,} dated departures, {outcomes}"
    return Panel.fit(grid, title=title, subtitle=f"[dim]{foot}[/]", box=box.ROUNDED, padding=(1, 3))


def _unassigned(summary: dict[str, Any]) -> Table:
    table = table_of("Unassigned, by reason (a parcel can have several)")
    table.add_column("reason")
    table.add_column("parcels", justify="right")
    table.add_column("that is", style="dim")
    for reason, count in sorted(summary["unassigned"].items(), key=lambda item: -item[1]):
        table.add_row(reason, f"{count:,}", REASONS.get(reason, ""))
    return table


def _fullest(plan: Plan, feed: Feed) -> Table:
    """The departures on which one more seat, or kilogram, would save the most."""
    loads, places, currency = fullest(plan, feed), Places(feed), plan.summary["currency"]
    full = loads.filter(pl.col("share") >= FULL).height
    table = table_of(f"The fullest departures ({full:,} are full), and what one more seat or kilogram would save")
    for name in ("leaves, UTC", "by", "from", "to"):
        table.add_column(name, no_wrap=name != "to")
    for name in ("carries", "full"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", min_width=BAR)
    prices = [
        (column, f"{unit}, {currency}")
        for column, unit in (("shadow_price", "a seat"), ("shadow_price_per_kg", "a kg"))
        if loads.head(MOST_DEPARTURES).filter(pl.col(column) >= A_CENT).height
    ]
    for _, name in prices:
        table.add_column(name, justify="right")
    for row in loads.head(MOST_DEPARTURES).iter_rows(named=True):
        table.add_row(
            utc(row["depart_at"]),
            mode_in_colour(row["mode"]),
            safe(places.name(row["from_node"], NAME)),
            safe(places.name(row["to_node"], NAME)),
            _fuller(row),
            *filled(row["share"]),
            *(f"{row[column]:,.2f}" for column, _ in prices),
        )
    return table


def _fuller(row: dict[str, Any]) -> str:
    """What a departure carries of the limit that it fills more."""
    kilograms, limit = row["grams"] / 1000, (row["capacity_g"] or inf) / 1000
    if row["parcels"] / (row["capacity_parcels"] or inf) >= kilograms / limit:
        return f"{of_limit(row['parcels'], row['capacity_parcels'])} parcels"
    return f"{of_limit(kilograms, limit)} kg"


def of_limit(load: float, limit: float | None) -> str:
    """A load and what it may be at most: "58 of 60"."""
    return f"{load:,.0f}" if limit is None else f"{load:,.0f} of {limit:,.0f}"


def filled(share: float | None) -> tuple[str, str]:
    """How full something is, in figures and as a bar; nothing where there is no limit."""
    if share is None:
        return "", ""
    colour = "red" if share >= FULL else "yellow" if share >= 0.8 else "green"
    return percent(share), f"[{colour}]{bar(share)}[/]"


def mode_in_colour(mode: str) -> str:
    """A mode in its colour."""
    return f"[{MODE_COLOURS.get(mode, 'white')}]{mode}[/]"


def _services(plan: Plan, parcels) -> Table:
    currency = plan.summary["currency"]
    table = table_of("Services")
    table.add_column("service")
    for name in ("parcels", f"{currency} each", "usual days", "95% within", "on time"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in by_service(parcels).iter_rows(named=True):
        table.add_row(
            safe(row["service"]),
            f"{row['parcels']:,}",
            f"{row['cost_each']:,.2f}",
            f"{row['days']:.1f}",
            f"{row['slow_days']:.1f}",
            percent(row["on_time"]),
            f"[green]{bar(row['on_time'])}[/]",
        )
    return table


def _modes(plan: Plan, parcels) -> Table:
    table = table_of("How they travel")
    table.add_column("mode")
    for name in ("legs", "parcels on it", "share of cost"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in by_mode(parcels, plan.legs).iter_rows(named=True):
        colour = MODE_COLOURS.get(row["mode"], "white")
        table.add_row(
            mode_in_colour(row["mode"]),
            f"{row['legs']:,}",
            percent(row["parcels"]),
            percent(row["cost"]),
            f"[{colour}]{bar(row['parcels'])}[/]",
        )
    return table


def print_itinerary(itinerary: Itinerary, feed: Feed, console: Console) -> None:
    """One parcel's way, leg by leg, in local times with UTC beside them."""
    parcel, legs = itinerary
    places = Places(feed)
    last = legs[-1]["to_node"]
    service = "" if parcel["service_id"] is None else f", {safe(parcel['service_id'])}"
    pieces = "" if parcel["pieces"] == 1 else f"{count_of(parcel['pieces'], 'piece')} of "
    weight = f"{pieces}{parcel['chargeable_g'] / 1000:,.2f} kg"
    table = table_of(f"One of them: {safe(parcel['order_id'])}{service}, {weight}")
    for name in ("", "by", "from", "to"):
        table.add_column(name, no_wrap=name == "by")
    for name in ("leaves", "arrives"):
        table.add_column(name, no_wrap=True, justify="right")
    if wide := console.width >= WIDE:
        table.add_column("UTC", style="dim", no_wrap=True, justify="right")
    table.add_column(plan_currency := feed.info.currency, justify="right")
    for leg in legs:
        leaves, arrives = leg["depart_at"], leg["arrive_at"]
        times = [places.local(leaves, leg["from_node"]), places.local(arrives, leg["to_node"])]
        if wide:
            times.append(utc_span(leaves, arrives))
        else:
            times = [f"{time}\n[dim]{utc(at)} UTC[/]" for time, at in zip(times, (leaves, arrives))]
        table.add_row(
            str(leg["seq"]),
            mode_in_colour(leg["mode"]),
            safe(places.name(leg["from_node"], NAME)),
            safe(places.name(leg["to_node"], NAME)),
            *times,
            f"{leg['cost']:,.2f}",
        )
    console.print(table)
    ready = places.local(parcel["ready_at"], legs[0]["from_node"])
    due = "never late" if parcel["due_at"] is None else f"due {places.local(parcel['due_at'], last)}"
    console.print(
        f"Ready {ready}; expected {places.local(parcel['expected_at'], last)}, "
        f"[bold]promised by {places.local(parcel['promised_at'], last)}[/]; {due}, "
        f"on time with {percent(parcel['on_time_probability'])}; {parcel['cost']:,.2f} {plan_currency} all told.\n"
        "[dim]Local times of each place; the way it goes when every leg takes its usual time.[/]\n"
    )


def bar(share: float) -> str:
    """A bar as long as a share of one, with eighths of a character."""
    eighths = round(max(0.0, min(1.0, share)) * BAR * 8)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
