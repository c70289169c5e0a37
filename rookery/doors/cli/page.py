"""The demo's page: figures, pictures and itineraries in one HTML file that needs nothing but a browser."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import polars as pl

from rookery.doors.cli.figures import Itinerary, by_mode, by_service
from rookery.doors.cli.words import MODE_COLOURS, Places, percent, seconds, utc_span
from rookery.flows.planning import Plan
from rookery.planning.check import CheckReport
from rookery.terms.frames import Feed

STYLE = """
:root { color-scheme: light; --ink: #2f3640; --faint: #757c85; --line: #e4e0d6; --paper: #fbfaf7; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 72rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.2rem; margin: 2.8rem 0 .6rem; }
p { max-width: 46rem; margin: .4rem 0; }
.faint, caption, th { color: var(--faint); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1rem; margin: 1.8rem 0; }
.figures div { background: #fff; border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; }
.figures b { display: block; font-size: 1.45rem; font-variant-numeric: tabular-nums; }
.figures span { color: var(--faint); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { font-weight: 500; font-size: .85rem; }
th, td { text-align: right; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th.text, td.text { text-align: left; white-space: normal; }
td.mode { font-weight: 600; }
img { width: 100%; height: auto; display: block; border: 1px solid var(--line); border-radius: .6rem; margin: .8rem 0; }
details { border: 1px solid var(--line); border-radius: .6rem; background: #fff; padding: .7rem 1rem; margin: .8rem 0; }
summary { cursor: pointer; font-weight: 600; }
code { background: #f0ede4; border-radius: .3rem; padding: .1rem .35rem; font-size: .9em; }
"""


GENERATOR = '<meta name="generator" content="rookery demo">'
"""What says that a page, and the folder it stands in, is the demo's own."""


def write_page(
    path: Path,
    plan: Plan,
    feed: Feed,
    parcels: pl.DataFrame,
    report: CheckReport,
    itineraries: Sequence[Itinerary],
    pictures: Sequence[tuple[Path, str]],
) -> Path:
    """Write the page; pictures: files with what they show, embedded. parcels: see figures.planned_parcels."""
    body = [_head(plan, feed), _figures(plan, report)]
    for picture, shows in pictures:
        code = base64.b64encode(picture.read_bytes()).decode()
        body.append(f'<img src="data:image/png;base64,{code}" alt="{escape(shows)}">')
    if parcels.height:
        body += [_services(plan, parcels), _modes(plan, parcels)]
    if itineraries:
        body.append("<h2>Three of them</h2>" if len(itineraries) == 3 else "<h2>Some of them</h2>")
        body.append('<p class="faint">Local times of each place; the way when every leg takes its usual time.</p>')
        body += [_itinerary(itinerary, feed) for itinerary in itineraries]
    body.append(_next())
    path.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{GENERATOR}<title>Rookery: {escape(feed.info.name)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n",
        encoding="utf-8",
    )
    return path


def _head(plan: Plan, feed: Feed) -> str:
    summary = plan.summary
    return (
        f"<h1>{summary['parcels']:,} parcels, each with a promise</h1>"
        f"<p>{escape(feed.info.name)}: {feed.nodes.height:,} nodes, {feed.lanes.height:,} lanes, "
        f"{summary['departures']:,} dated departures over {plan.manifest['horizon_days']} days, "
        f"{plan.manifest['outcomes']} equally likely transit times each. Everything about this network but its cities "
        "and airports is invented: no figure says anything about a real carrier.</p>"
    )


def _figures(plan: Plan, report: CheckReport) -> str:
    summary = plan.summary
    spent = sum(summary["seconds"].values())
    cells = [
        (f"{summary['planned']:,}", f"planned of {summary['parcels']:,}"),
        (f"{summary['cost'] / summary['parcels']:,.2f} {summary['currency']}", "expected cost a parcel"),
        (percent(summary["on_time_expected"]), "on time, expected"),
        (percent(summary["gap"], 3), "proved gap to the cheapest plan"),
        (seconds(spent), f"to plan, {summary['parcels_per_second']:,.0f} parcels/s"),
        (f"{len(report.violations):,}", "violations found by the independent check"),
    ]
    if plan.manifest["prices"] == "capacity":
        cells.append((percent(summary["congestion_gap"]), "proved gap of the cost that capacity adds"))
    if report.overloads:
        cells.append((f"{report.overloads:,}", "departures or hours over capacity"))
    inner = "".join(f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>" for value, what in cells)
    return f'<div class="figures">{inner}</div>'


def _services(plan: Plan, parcels: pl.DataFrame) -> str:
    rows = [
        [
            row["service"],
            f"{row['parcels']:,}",
            f"{row['cost_each']:,.2f}",
            f"{row['days']:.1f}",
            f"{row['slow_days']:.1f}",
            percent(row["on_time"]),
        ]
        for row in by_service(parcels).iter_rows(named=True)
    ]
    head = ["service", "parcels", f"{plan.summary['currency']} each", "usual days", "95% within", "on time"]
    return f"<h2>Services</h2>{_table(head, rows)}"


def _modes(plan: Plan, parcels: pl.DataFrame) -> str:
    rows = [
        [row["mode"], f"{row['legs']:,}", percent(row["parcels"]), percent(row["cost"])]
        for row in by_mode(parcels, plan.legs).iter_rows(named=True)
    ]
    return f"<h2>How they travel</h2>{_table(['mode', 'legs', 'parcels on it', 'share of cost'], rows)}"


def _itinerary(itinerary: Itinerary, feed: Feed) -> str:
    parcel, legs = itinerary
    places = Places(feed)
    origin, last = legs[0]["from_node"], legs[-1]["to_node"]
    rows = [
        [
            leg["mode"],
            places.name(leg["from_node"]),
            places.name(leg["to_node"]),
            places.local(leg["depart_at"], leg["from_node"]),
            places.local(leg["arrive_at"], leg["to_node"]),
            utc_span(leg["depart_at"], leg["arrive_at"]),
            f"{leg['cost']:,.2f}",
        ]
        for leg in legs
    ]
    due = "" if parcel["due_at"] is None else f", due {places.local(parcel['due_at'], last)}"
    head = ["by", "from", "to", "leaves", "arrives", "UTC", feed.info.currency]
    title = f"{parcel['order_id']}, {parcel['service']}: {places.name(origin)} to {places.name(last)}"
    told = (
        f"{parcel['chargeable_g'] / 1000:,.2f} kg, ready {places.local(parcel['ready_at'], origin)}, "
        f"expected {places.local(parcel['expected_at'], last)}, promised by {places.local(parcel['promised_at'], last)}"
        f"{due}, on time with {percent(parcel['on_time_probability'])}, "
        f"{parcel['cost']:,.2f} {feed.info.currency} all told"
    )
    return f"<details open><summary>{escape(title)}</summary><p>{escape(told)}.</p>{_table(head, rows, 3)}</details>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    def cell(kind: str, place: int, value: str) -> str:
        colour = f' style="color: {MODE_COLOURS[value]}"' if place == 0 and value in MODE_COLOURS else ""
        name = "text mode" if colour else "text" if place < text_columns else ""
        return f'<{kind} class="{name}"{colour}>{escape(value)}</{kind}>'

    def line(kind: str, values: Sequence[str]) -> str:
        return "<tr>" + "".join(cell(kind, place, value) for place, value in enumerate(values)) + "</tr>"

    return f'<div class="scroll"><table>{line("th", head)}{"".join(line("td", row) for row in rows)}</table></div>'


def _next() -> str:
    commands = (
        "rookery explain feed orders.parquet O00000001",
        "rookery check feed orders.parquet plan",
        "rookery promise feed --from CAN-HUB --to DE:10115 --ready-at 2026-09-15T10:00+08:00 --weight-g 800",
    )
    told = "".join(f"<p><code>{escape(command)}</code></p>" for command in commands)
    return f"<h2>Ask it something, from this folder</h2>{told}"
