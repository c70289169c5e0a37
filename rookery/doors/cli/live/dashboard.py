"""What a terminal shows of the live demo: one calm page, drawn anew a few times a second; elsewhere, lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.align import Align
from rich.console import RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rookery.doors.cli.live.figures import Figures
from rookery.doors.cli.words import safe

ACCENT, QUIET = "cyan", "grey50"
STATES = {
    "coming": "announced", "waiting": "waiting at a node", "loaded": "on a departure", "riding": "on a departure",
    "at destination": "at the last node", "out for delivery": "out for delivery", "delivered": "delivered",
    "lost": "lost",
}  # fmt: skip
"""The twin's states as they are shown."""
BAR, PART = "█", " ▏▎▍▌▋▊▉"
CASES, EVENTS = 8, 8
"""Rows of the tables at most."""


def page(figures: Figures, data: str) -> Layout:
    """The whole page. data: the folder that commands from outside name."""
    layout = Layout()
    trouble = [Layout(Text(f" {figures.trouble}", style="bold red", no_wrap=True, overflow="ellipsis"), size=1)]
    layout.split_column(
        Layout(_header(figures), size=3, name="header"),
        *(trouble if figures.trouble else ()),
        Layout(name="middle", size=11),
        Layout(_cases(figures), name="cases", size=CASES + 5),
        Layout(name="below", minimum_size=5),
        Layout(footer(figures, data), size=4, name="footer"),
    )
    layout["middle"].split_row(
        Layout(_parcels(figures), ratio=5), Layout(_chances(figures), ratio=4), Layout(_traffic(figures), ratio=4)
    )
    layout["below"].split_row(Layout(_events(figures), ratio=8), Layout(_closures(figures), ratio=5))
    return layout


def line(figures: Figures) -> str:
    """The same in one line, for what is no terminal."""
    states = _by_name(figures)
    now = f"{figures.now:%Y-%m-%d %H:%M}" if figures.now else "-"
    return (
        f"{now}  {figures.doing}  orders {figures.orders:,}  booked {figures.booked:,}"
        f"  under way {sum(n for name, n in states.items() if name not in ('announced', 'delivered', 'lost')):,}"
        f"  delivered {states.get('delivered', 0):,}  scans {figures.taken:,} ({figures.scans_per_s:,.0f}/s)"
        f"  cases {figures.cases_open:,}  rebooked {figures.rebooked:,}"
        + (f"  {figures.trouble}" if figures.trouble else "")
    )


def _panel(inside: RenderableType, title: str, note: str = "") -> Panel:
    shown = Text.assemble((title, f"bold {ACCENT}"), (f"  {note}" if note else "", QUIET))
    return Panel(inside, title=shown, title_align="left", border_style="grey30", box=box.ROUNDED, padding=(0, 1))


def _bar(share: float, width: int) -> str:
    """A share of a bar so many columns wide, to an eighth of a column."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return BAR * whole + (PART[rest] if rest else "")


def _header(figures: Figures) -> Panel:
    when = f"{figures.now:%A %d %B %Y  %H:%M} UTC" if figures.now else "…"
    colour = "green" if figures.doing == "running" else "yellow"
    grid = Table.grid(expand=True)
    for side in ("left", "center", "right"):
        grid.add_column(justify=side)  # type: ignore[arg-type]
    grid.add_row(
        Text.assemble(("Rookery", "bold"), ("  a network at work, simulated", QUIET)),
        Text(when, style=f"bold {ACCENT}"),
        Text.assemble((f"{figures.speed:,.0f}×  ", "bold"), (figures.doing, colour)),
    )
    return Panel(grid, border_style="grey30", box=box.ROUNDED, padding=(0, 1))


def _by_name(figures: Figures) -> dict[str, int]:
    shown = dict.fromkeys(STATES.values(), 0)
    for state, count in figures.states.items():
        shown[STATES[state]] += count
    return shown


def _bars(rows: Iterable[tuple[str, int, str]], width: int, label: int) -> Table:
    rows = list(rows)
    most = max((count for _, count, _ in rows), default=0) or 1
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=label, no_wrap=True)
    grid.add_column(width=width, no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    for name, count, colour in rows:
        style = "" if count else QUIET
        grid.add_row(
            Text(name, style=style), Text(_bar(count / most, width), style=colour), Text(f"{count:,}", style=style)
        )
    return grid


def _parcels(figures: Figures) -> Panel:
    colours = {"delivered": "green", "lost": "red", "announced": QUIET}
    shown = _by_name(figures)
    total = sum(shown.values())
    rows = ((name, count, colours.get(name, ACCENT)) for name, count in shown.items())
    return _panel(_bars(rows, 16, 18), "Parcels", f"{total:,} booked")


def _chances(figures: Figures) -> Panel:
    tenths = figures.chances
    if not tenths:
        return _panel(Align.center(Text("not known yet", style=QUIET), vertical="middle"), "Chances")
    colour = ["red"] * 7 + ["yellow"] * 2 + ["green"]
    rows = [("0–50 %", sum(tenths[:5]), "red")]
    rows += [(f"{10 * i}–{10 * i + 10} %", tenths[i], colour[i]) for i in range(5, 10)]
    return _panel(_bars(reversed(rows), 14, 9), "Chances", f"{figures.known:,} below 100 %")


def _traffic(figures: Figures) -> Panel:
    grid = Table.grid(expand=True)
    grid.add_column(style=QUIET)
    grid.add_column(justify="right")
    for name, value in (
        ("orders handed in", f"{figures.orders:,}"),
        ("waves", f"{figures.waves:,} ({figures.wave_s:.0f} s)"),
        ("scans a second", f"{figures.scans_per_s:,.0f}"),
        ("scans taken", f"{figures.taken:,}"),
        ("sent twice", f"{figures.repeated:,}"),
        ("missed connections", f"{figures.missed:,}"),
        ("booked on", f"{figures.rebooked:,}"),
        ("delivered on time", _share(figures.on_time, figures.states.get("delivered", 0))),
        ("webhooks heard", f"{figures.webhooks:,}"),
    ):
        grid.add_row(name, value)
    return _panel(grid, "Traffic")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _cases(figures: Figures) -> Panel:
    table = Table(box=None, expand=True, header_style=QUIET, padding=(0, 1), pad_edge=False)
    table.add_column("kind", no_wrap=True)
    table.add_column("cause", no_wrap=True, ratio=3, overflow="ellipsis")
    for name in ("parcels", "value", "chance", "ways"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("since", no_wrap=True, justify="right")
    shown = sorted(figures.cases, key=_weight, reverse=True)[:CASES]
    for case in shown:
        table.add_row(*_case(case), style="bold" if case["kind"] == "closure" else "")
    left = figures.cases_open - len(shown)
    note = f"{figures.cases_open:,} open, {figures.cases_seen:,} seen" + (
        f"; {left:,} more not shown" if left > 0 else ""
    )
    inside = table if shown else Align.center(Text("nothing needs anybody", style=QUIET), vertical="middle")
    return _panel(inside, "Cases", note)


def _weight(case: dict[str, Any]) -> tuple[bool, int, float]:
    """What is closed stands first, then what most parcels are in."""
    return case["kind"] == "closure", case["parcels"], case["value"] or 0.0


def _case(case: dict[str, Any]) -> tuple[Text | str, ...]:
    chance = case["worst_chance"]
    colour = QUIET if chance is None else "red" if chance < 0.5 else "yellow" if chance < 0.9 else "green"
    return (
        case["kind"].replace("_", " "),
        safe(case["reason"] or case["cause"]),
        f"{case['parcels']:,}",
        "-" if case["value"] is None else f"{case['value']:,.0f} {case['currency'] or ''}",
        Text("-" if chance is None else f"{100 * chance:.0f} %", style=colour),
        f"{case['moves']:,}",
        f"{case['opened_at'][5:16].replace('T', ' ')}",
    )


def _events(figures: Figures) -> Panel:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=QUIET, no_wrap=True, min_width=9)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for at, what in list(figures.events)[-EVENTS:][::-1]:
        grid.add_row(f"{at:%a %H:%M}" if at else "", Text(what))
    return _panel(grid, "Events")


def _closures(figures: Figures) -> Panel:
    if not figures.closures:
        return _panel(Align.center(Text("everything is open", style=QUIET), vertical="middle"), "Closed")
    grid = Table.grid(padding=(0, 2))
    for closure in figures.closures[:EVENTS]:
        what = closure["node_id"] or closure["lane_id"] or closure["departure_id"]
        grid.add_row(
            Text(what, style="bold red"), Text(f"until {closure['until_at'][5:16].replace('T', ' ')}", style=QUIET)
        )
    return _panel(grid, "Closed")


def footer(figures: Figures, data: str) -> Text:
    """What to try from outside."""
    hub = figures.hub or "NODE"
    closed = next((one["node_id"] for one in figures.closures if one["node_id"]), hub)
    return Text.assemble(
        (" Break it: ", QUIET), (f"rookery closure add {hub} --until 12h --data {data}", "bold"), "\n",
        (" Mend it:  ", QUIET), f"rookery closure lift {closed} --data {data}", "\n",
        (f" Ask it:   {figures.url}/openapi.json    Ctrl-C stops it all; the next start goes on from there.", QUIET),
        no_wrap=True, overflow="ellipsis",
    )  # fmt: skip
