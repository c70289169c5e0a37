"""Two plans side by side as a person likes to read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table

from rookery.doors.cli.plan_tables import NAME, bar, table_of
from rookery.doors.cli.words import MODE_COLOURS, REASONS, Places, count_of, percent, safe, utc
from rookery.flows.comparing import FULL, SIDES
from rookery.flows.whatif import Comparison
from rookery.terms.frames import Feed

MOST_COUNTRIES = 10
MOST_DEPARTURES = 8
MOST_LANES = 6
LEAST_POINTS = 0.01  # change of a share that fills a bar, at least
GOOD, BAD, SAME = "green", "red", "dim"
DAY_STEPS = ((1, "1 day"), (2, "2 days"), (3, "3 to 6 days"), (7, "7 days or more"))


def print_comparison(made: Comparison, feed: Feed, console: Console) -> None:
    """What a change does, in a screen or two: figures, lateness, promises, full departures and lanes."""
    console.print(_headline(made, feed))
    if made.summary["before"]["unassigned"] or made.summary["after"]["unassigned"]:
        console.print(_unassigned(made))
    console.print(_kinds(made.services, "service", "By service", feed))
    console.print(_kinds(made.countries, "country", "By country of destination", feed))
    console.print(_promises(made.summary["promises"]))
    if hours := round(made.summary["promises"]["mean_hours_later"], 1):
        when = "later" if hours > 0 else "earlier"
        console.print(f"Parcels planned both times arrive {abs(hours):,.1f} hours {when} on average.\n")
    if (limited := made.departures.filter(pl.max_horizontal("share_before", "share_after").is_not_null())).height:
        console.print(_departures(limited, feed))
    if made.hours.height:
        console.print(_hours(made.hours, feed))
    changed = made.lanes.filter(pl.col("change").abs() >= 0.5)
    console.print(_lanes(changed, feed) if changed.height else "No lane gains or loses parcels.\n")


def _headline(made: Comparison, feed: Feed) -> Panel:
    before, after, currency = made.summary["before"], made.summary["after"], feed.info.currency
    grid = Table(box=None, padding=(0, 2), pad_edge=False, header_style="dim")
    grid.add_column("")
    for name in ("as is", "changed", "difference"):
        grid.add_column(name, justify="right")

    def row(name: str, key: str, tell: Callable[[float], str], better: int, more: Callable | None = None) -> None:
        one, two = before[key], after[key]
        grid.add_row(name, tell(one), f"[bold]{tell(two)}[/]", _difference(two - one, more or tell, better))

    row("parcels", "parcels", _count, 0)
    row("planned", "planned", _count, 1)
    row("unassigned", "unassigned_parcels", _count, -1)
    row("expected late", "late_expected", _share_of_count, -1)
    row("on time, expected", "on_time_expected", percent, 1, _points)
    row(f"cost, {currency}", "cost", _money, -1)
    row(f"a parcel, {currency}", "cost_per_parcel", _money, -1)
    row("proved gap", "gap", lambda share: percent(share, 3), 0, lambda share: f"{100 * share:,.3f} points")
    row("full departures", "full_departures", _count, -1)
    if made.hours.height:
        row("full hours of nodes", "full_hours", _count, -1)
    low, high = made.summary["optimal_cost_change"]
    foot = (
        f"the best plans' costs differ by {low:+,.2f} to {high:+,.2f} {currency}"
        if high - low > 0.01
        else "both plans are optimal to the cent"
    )
    told = "\n".join(f"[bold]{safe(change)}[/]" for change in made.changes)
    return Panel.fit(
        Group(told, "", grid), title=f"What if: {safe(feed.info.name)}", subtitle=f"[dim]{foot}[/]",
        box=box.ROUNDED, padding=(1, 3),
    )  # fmt: skip


def _unassigned(made: Comparison) -> Table:
    before, after = made.summary["before"]["unassigned"], made.summary["after"]["unassigned"]
    table = table_of("Unassigned, by reason (a parcel can have several)")
    table.add_column("reason")
    for name in ("as is", "changed", "difference"):
        table.add_column(name, justify="right")
    table.add_column("that is", style="dim")
    for reason in sorted(before.keys() | after.keys(), key=lambda reason: -after.get(reason, 0)):
        one, two = before.get(reason, 0), after.get(reason, 0)
        table.add_row(reason, _count(one), _count(two), _difference(two - one, _count, -1), REASONS.get(reason, ""))
    return table


def _kinds(kinds: pl.DataFrame, key: str, title: str, feed: Feed) -> Table:
    """Services or countries; of many those where the share that is in time changes for the most parcels."""
    points = pl.col("on_time_after") - pl.col("on_time_before")  # null for a kind that only one plan has
    shown = kinds.with_columns(points=points)
    if kinds.height > MOST_COUNTRIES:
        shown = shown.sort(
            pl.col("points").fill_null(0.0).abs() * pl.col("parcels_after"), "parcels_after", descending=True
        ).head(MOST_COUNTRIES)
        title = f"{title}: the {MOST_COUNTRIES} of {kinds.height} that change most"
    table = table_of(title)
    table.add_column(key)
    for name in ("parcels", "late", "unassigned", "on time: as is", "changed", "points"):
        table.add_column(name, justify="right")
    table.add_column("")
    for name in (f"{feed.info.currency} each: as is", "changed"):
        table.add_column(name, justify="right")
    most = max(LEAST_POINTS, float(shown["points"].abs().max() or 0))  # type: ignore[arg-type]
    for row in shown.iter_rows(named=True):
        change = row["points"]
        each = [row[f"cost_{side}"] / max(1, row[f"parcels_{side}"]) for side in SIDES]
        table.add_row(
            safe(row[key]),
            _count(row["parcels_after"]),
            _share_of_count(row["late_after"]),
            _count(row["unassigned_after"]),
            *("-" if row[name] is None else percent(row[name]) for name in ("on_time_before", "on_time_after")),
            "-" if change is None else _difference(change, lambda share: f"{100 * share:.1f}", 1),
            "" if change is None else f"[{BAD if change < 0 else GOOD}]{bar(abs(change) / most)}[/]",
            *(_money(cost) for cost in each),
        )
    return table


def _promises(figures: dict[str, Any]) -> Table:
    """How many parcels of orders in both plans are promised later, by how much, or no longer at all."""
    table = table_of("Promised dates of the same orders")
    table.add_column("")
    table.add_column("parcels", justify="right")
    table.add_column("share", justify="right")
    table.add_column("")
    rows = [("the same day", figures["same"], SAME), ("earlier", figures["earlier"], GOOD)]
    days = {int(day): count for day, count in figures["by_days_later"].items() if int(day) > 0}
    for (least, name), most in zip(DAY_STEPS, [*(step for step, _ in DAY_STEPS[1:]), 1 << 30]):
        rows.append((f"{name} later", sum(count for day, count in days.items() if least <= day < most), BAD))
    rows += [("no longer planned", figures["no_longer_planned"], BAD), ("planned now", figures["newly_planned"], GOOD)]
    total = max(1, sum(count for _, count, _ in rows))
    for name, count, colour in rows:
        if count:
            share = count / total
            table.add_row(name, _count(count), percent(share), f"[{colour}]{bar(share)}[/]")
    return table


def _departures(limited: pl.DataFrame, feed: Feed) -> Table:
    places, currency = Places(feed), feed.info.currency
    of_seat, of_kg = (
        limited.select(pl.max_horizontal(f"{name}_before", f"{name}_after").max()).item() > 0
        for name in ("shadow_price", "shadow_price_per_kg")
    )
    full = [int((limited[f"share_{side}"] >= FULL).sum()) for side in SIDES]
    table = table_of(f"The fullest departures (as is {count_of(full[0], 'departure')} full, changed {full[1]:,})")
    for name in ("leaves, UTC", "by", "from", "to"):
        table.add_column(name, no_wrap=name != "to")
    for name in ("as is", "changed"):
        table.add_column(name, justify="right")
    table.add_column("")
    prices = [("shadow_price", "a seat")] * of_seat + [("shadow_price_per_kg", "a kg")] * of_kg
    for _, name in prices:
        table.add_column(f"{name} is worth, {currency}", justify="right")
    for row in limited.head(MOST_DEPARTURES).iter_rows(named=True):
        shares = [row[f"share_{side}"] for side in SIDES]
        table.add_row(
            utc(row["depart_at"]),
            _mode(row["mode"]),
            safe(places.name(row["from_node"], NAME)),
            safe(places.name(row["to_node"], NAME)),
            *("-" if share is None else percent(share) for share in shares),
            _filled(shares[1]),
            *(f"{row[f'{column}_before']:,.2f} → {row[f'{column}_after']:,.2f}" for column, _ in prices),
        )
    return table


def _hours(hours: pl.DataFrame, feed: Feed) -> Table:
    places = Places(feed)
    full = [int((hours[f"share_{side}"] >= FULL).sum()) for side in SIDES]
    table = table_of(f"The fullest hours of nodes (as is {count_of(full[0], 'hour')} full, changed {full[1]:,})")
    for name in ("hour from, UTC", "at"):
        table.add_column(name, no_wrap=name != "at")
    for name in ("as is", "changed"):
        table.add_column(name, justify="right")
    table.add_column("")
    table.add_column(f"one more is worth, {feed.info.currency}", justify="right")
    for row in hours.head(MOST_DEPARTURES).iter_rows(named=True):
        shares = [row[f"share_{side}"] for side in SIDES]
        table.add_row(
            utc(row["hour_at"]),
            safe(places.name(row["node_id"], NAME)),
            *("-" if share is None else percent(share) for share in shares),
            _filled(shares[1]),
            f"{row['shadow_price_before']:,.2f} → {row['shadow_price_after']:,.2f}",
        )
    return table


def _filled(share: float | None) -> str:
    colour = SAME if share is None else BAD if share >= FULL else "yellow" if share >= 0.8 else GOOD
    return f"[{colour}]{bar(share or 0.0)}[/]"


def _lanes(changed: pl.DataFrame, feed: Feed) -> Table:
    """The lanes that gain and that lose the most parcels."""
    places = Places(feed)
    gains, losses = changed.filter(pl.col("change") > 0), changed.filter(pl.col("change") < 0)
    title = f"{count_of(gains.height, 'lane')} gain{'s' if gains.height == 1 else ''} parcels, {losses.height:,} lose"
    table = table_of(title + ("s" if losses.height == 1 else ""))
    for name in ("by", "from", "to"):
        table.add_column(name)
    for name in ("as is", "changed", "difference"):
        table.add_column(name, justify="right")
    table.add_column("")
    most = float(changed["change"].abs().max() or 1)  # type: ignore[arg-type]
    for rows, colour in ((gains, GOOD), (losses, BAD)):
        for row in rows.head(MOST_LANES).iter_rows(named=True):
            table.add_row(
                _mode(row["mode"]),
                safe(places.name(row["from_node"], NAME)),
                safe(places.name(row["to_node"], NAME)),
                f"{row['parcels_before']:,.0f}",
                f"{row['parcels_after']:,.0f}",
                _difference(row["change"], _count, 1),
                f"[{colour}]{bar(abs(row['change']) / most)}[/]",
            )
        if rows is gains and gains.height and losses.height:
            table.add_section()
    return table


def _mode(mode: str) -> str:
    return f"[{MODE_COLOURS.get(mode, 'white')}]{mode}[/]"


def _difference(value: float, tell: Callable[[float], str], better: int) -> str:
    """A signed difference, green where it is for the better, red where it is for the worse."""
    told = tell(abs(value))
    if told in (tell(0), tell(0.0)):
        return f"[{SAME}]·[/]"
    colour = SAME if not better else GOOD if (value > 0) == (better > 0) else BAD
    return f"[{colour}]{'+' if value > 0 else '−'}{told}[/]"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _share_of_count(value: float) -> str:
    """An expected number of parcels: "0", "0.3", "1,204"."""
    return "0" if value < 0.05 else f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def _money(value: float) -> str:
    return f"{value:,.2f}"


def _points(share: float) -> str:
    return f"{100 * share:,.1f} points"
