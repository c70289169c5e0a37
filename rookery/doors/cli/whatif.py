"""The command `whatif`: two plans, as the network is and changed, and what the change does."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import rookery
from rookery.doors.cli.options import (
    Feed,
    Gap,
    Horizon,
    Json,
    OrderFile,
    Outcomes,
    Prices,
    Seconds,
    Seed,
    Start,
    examples,
    instant,
    within,
)

if TYPE_CHECKING:
    from rookery.flows.changes import Change

EXAMPLES = examples(
    "rookery whatif feed/ orders.csv --close LEJ-HUB",
    "rookery whatif feed/ orders.csv --close LEJ-HUB --from 2026-09-15T00:00Z --until 2026-09-17T00:00Z --out closed/",
    "rookery whatif feed/ orders.csv --scale-volume 1.5 --add-departures extra.csv --json",
)
Closed = Annotated[
    list[str] | None, typer.Option("--close", metavar="NODE", help="A node that stops working. Can be repeated.")
]
From = Annotated[
    datetime | None,
    typer.Option("--from", parser=instant, metavar="TIME", help="When --close begins; default: with the horizon."),
]
Until = Annotated[
    datetime | None,
    typer.Option("--until", parser=instant, metavar="TIME", help="When --close ends; default: with the horizon."),
]
Volume = Annotated[
    float | None,
    typer.Option(
        "--scale-volume",
        metavar="FACTOR",
        callback=within(1000, zero=False),
        help="So many times the orders: copies above 1, a drawn share of them below.",
    ),
]
Dropped = Annotated[
    list[str] | None, typer.Option("--drop-lane", metavar="LANE", help="A lane that is given up. Can be repeated.")
]
Added = Annotated[
    Path | None,
    typer.Option(
        "--add-departures", metavar="FILE", readable=False, help="Further departures: a file like departures.csv."
    ),
]


def whatif(
    feed: Feed,
    orders: OrderFile,
    close: Closed = None,
    from_at: From = None,
    until_at: Until = None,
    scale_volume: Volume = None,
    drop_lane: Dropped = None,
    add_departures: Added = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for both plans, the tables and a picture; an earlier one is replaced.")
    ] = None,
    start: Start = None,
    horizon_days: Horizon = None,
    outcomes: Outcomes = 8,
    gap: Gap = 0.005,
    seconds: Seconds = 60.0,
    prices: Prices = None,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """What a change would do: a node closed, more or fewer parcels, a lane given up, departures added.

    Plans the orders twice over the same days, as the network is and with all the changes named, and compares cost,
    lateness, promises, full departures and lanes.
    Exit code 1 when no parcel can be planned with the changes.
    """
    from rookery.base.files import write_aside
    from rookery.doors.cli import console
    from rookery.doors.cli.whatif_tables import print_comparison
    from rookery.flows.checking import read_plan
    from rookery.flows.whatif import COMPARISON_FOLDER, what_if
    from rookery.network import read_feed
    from rookery.orders import read_orders

    changes = _changes(close, from_at, until_at, scale_volume, drop_lane, add_departures, seed)
    if out is not None:
        COMPARISON_FOLDER.refuse_foreign(out)  # now, rather than when the work is done
    with console.progress_bars() as progress:
        earlier = read_plan(prices) if prices is not None else None
        network, order_book = read_feed(feed), read_orders(orders)
        made = what_if(
            network,
            order_book,
            changes,
            start=start,
            horizon_days=horizon_days,
            outcomes=outcomes,
            gap=gap,
            seconds=seconds,
            prices=earlier,
            progress=progress,
        )
        if out is not None:
            with write_aside(out, COMPARISON_FOLDER) as folder:
                made.write_files(folder)
                _draw(network, made, close or [], folder)
    console.tell_notices((*network.notices, *made.notices))
    if as_json:
        console.print_json(console.rounded(made.summary))
    else:
        print_comparison(made, network, console.out)
        where = f"Written to [bold]{out}[/]." if out else "[dim]--out DIR keeps both plans and draws a map.[/]"
        console.out.print(where)
    if not made.after.summary["planned"]:
        raise typer.Exit(1)


def _changes(
    close: list[str] | None,
    from_at: datetime | None,
    until_at: datetime | None,
    scale_volume: float | None,
    drop_lane: list[str] | None,
    add_departures: Path | None,
    seed: int,
) -> list[Change]:
    """The changes that the options ask for."""
    from rookery.flows.changes import AddDepartures, CloseNode, DropLane, ScaleVolume

    if not close and (from_at or until_at):
        raise typer.BadParameter("--from and --until say when --close NODE begins and ends; no node is named")
    changes: list[Change] = [CloseNode(node, from_at, until_at) for node in close or []]
    changes += [DropLane(lane) for lane in drop_lane or []]
    changes += [AddDepartures(add_departures)] if add_departures else []
    changes += [ScaleVolume(scale_volume, seed)] if scale_volume else []
    if not changes:
        raise typer.BadParameter("nothing to compare: give --close, --scale-volume, --drop-lane or --add-departures")
    return changes


def _draw(network: rookery.Feed, made: rookery.Comparison, closed: list[str], folder: Path) -> None:
    """The picture, where matplotlib is installed."""
    from rookery.doors.cli import console

    try:
        from rookery.doors.cli.whatif_picture import draw_comparison
    except ImportError:
        console.err.print("No picture: matplotlib is not installed. Next: pip install 'rookery\\[pictures]'.")
    else:
        draw_comparison(network, made, closed, folder / "whatif.png")
