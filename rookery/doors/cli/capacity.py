"""The command `capacity`: what room is worth, and what is flown empty."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rookery.doors.cli.options import Feed, Json, examples

if TYPE_CHECKING:
    from rookery.flows.utilisation import Utilisation

EXAMPLES = examples(
    "rookery capacity feed/ plan/",
    "rookery capacity feed/ plan/ --top 30 --out capacity.png",
    "rookery capacity feed/ plan/ --json",
)
PICTURE = ".png"


def capacity(
    feed: Feed,
    plan_dir: Annotated[
        Path, typer.Argument(metavar="PLAN_DIR", help="Folder that `rookery plan` wrote.", readable=False)
    ],
    top: Annotated[int, typer.Option(min=1, help="Rows of each table.")] = 10,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw a picture: a .png, replaced when it is there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What one more seat, tonne or handled parcel would save, and what is flown empty.

    Ranks the departures, the hours of nodes and the lanes of a plan, over the time in which it moves parcels.
    """
    from rookery.doors.cli import console
    from rookery.doors.cli.capacity_tables import print_utilisation
    from rookery.flows.checking import read_plan
    from rookery.flows.utilisation import utilisation
    from rookery.network import read_feed

    if out is not None and out.suffix.lower() != PICTURE:
        raise typer.BadParameter(f"{out} is no {PICTURE} file", param_hint="'--out'")
    with console.progress_bars():
        network, made = read_feed(feed), read_plan(plan_dir)
        found = utilisation(network, made)
    console.tell_notices(network.notices)
    if as_json:
        console.print_json(console.rounded(_answer(found, top)))
    else:
        print_utilisation(found, network, top, console.out)
    if out is not None:
        _draw(found, network, out)


def _answer(found: Utilisation, top: int) -> dict[str, Any]:
    """The same rankings for a program."""
    return {
        **found.summary,
        "seats": found.dearest("seat", top).to_dicts(),
        "tonnes": found.dearest("tonne", top).to_dicts(),
        "node_hours": found.dearest("price", top).to_dicts(),
        "lanes": found.dearest_lanes(top).to_dicts(),
        "empty_lanes": found.emptiest_lanes(top).to_dicts(),
    }


def _draw(found: Utilisation, network: Any, out: Path) -> None:
    """The picture, where matplotlib is installed."""
    from rookery.doors.cli import console

    try:
        from rookery.doors.cli.capacity_picture import draw_utilisation
    except ImportError:
        console.err.print("No picture: matplotlib is not installed. Next: pip install 'rookery\\[pictures]'.")
    else:
        console.err.print(f"Drawn to [bold]{draw_utilisation(found, network, out)}[/].", soft_wrap=True)
