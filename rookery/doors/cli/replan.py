"""The command `replan`: a plan changed around closures, and what is different."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rookery.doors.cli.options import Feed, Gap, Json, Seconds, examples, instant
from rookery.terms.errors import InvalidInput

if TYPE_CHECKING:
    from rookery.flows.planning import Plan

EXAMPLES = examples(
    "rookery replan feed/ plan/ --closures storm.csv --at 2026-09-16T04:00Z --out changed/",
    "rookery replan feed/ plan/ --closures storm.csv --at 2026-09-16T04:00Z --out changed/ --stability 0.50",
    "rookery replan feed/ changed/ --closures more.csv --at 2026-09-16T09:30Z --out changed/ --json",
)


def _stable(text: str) -> float:
    """0 or more; `inf` keeps every way that can still be gone."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value) or value < 0:
        raise typer.BadParameter(f"{text!r} is not 0 or more")
    return value


def replan(
    feed: Feed,
    plan_dir: Annotated[Path, typer.Argument(metavar="PLAN", help="Folder that `rookery plan` wrote.", readable=False)],
    closures: Annotated[Path, typer.Option(metavar="FILE", help="What is closed: .csv or .parquet.", readable=False)],
    at: Annotated[
        datetime, typer.Option(parser=instant, metavar="TIME", help="Now: what was to leave by then has left.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; an earlier plan there is replaced.")],
    orders: Annotated[
        Path | None,
        typer.Option(metavar="FILE", readable=False, help="The orders of the plan; default: where they were then."),
    ] = None,
    stability: Annotated[
        float,
        typer.Option(
            parser=_stable, metavar="COST", help="A parcel that is only late changes if that saves more; inf = never."
        ),
    ] = 0.0,
    gap: Gap = 0.005,
    seconds: Seconds = 10.0,
    as_json: Json = False,
) -> None:
    """Change a plan around closures: cancelled departures, shut nodes, reduced capacity, delays.

    Parcels keep their past and go on from where they are. Only those affected change, each with its reason.
    Writes a whole plan again, with changes.parquet; the bound is raised until --gap is proved, --seconds
    are over or 18 steps are done. Ctrl-C meanwhile writes the plan with the bound so far, marked so: exit code 130.
    Exit code 1 when feed or orders are not those of the plan.
    """
    from rookery.doors.cli import console
    from rookery.doors.cli.replan_tables import print_replan
    from rookery.doors.cli.stopping import INTERRUPTED, best_so_far
    from rookery.doors.cli.words import percent
    from rookery.flows.checking import read_plan
    from rookery.flows.planning import PLAN_FOLDER
    from rookery.flows.replanning import replan as change
    from rookery.network import read_closures, read_feed
    from rookery.orders import read_orders

    PLAN_FOLDER.refuse_foreign(out)  # now, rather than when the work is done
    with best_so_far(), console.progress_bars() as progress:
        network = read_feed(feed)
        order_book = read_orders(orders or _orders_of(read_plan(plan_dir), plan_dir))
        grown = read_closures(closures, network)
        made = change(
            network, order_book, plan_dir, grown, at, stability=stability, gap=gap, seconds=seconds, progress=progress
        )
        made.write(out)
    console.tell_notices((*network.notices, *made.notices))
    if as_json:
        console.print_json(made.summary)
    else:
        print_replan(made, network, console.out)
        console.out.print(f"Written to [bold]{out}[/].")
    if made.summary["interrupted"]:
        told = f"Stopped; {out} holds the changed plan, proved to be within {percent(made.summary['gap'], 3)} so far."
        console.err.print(told, soft_wrap=True)
        raise typer.Exit(INTERRUPTED)


def _orders_of(plan: Plan, folder: Path) -> Path:
    """Where the orders of a plan were when it was made."""
    source = plan.manifest.get("orders", {}).get("source")
    if not source or not Path(source).exists():
        where = f"{source}, which is not there" if source else "no file"
        raise InvalidInput(
            "replan.orders_not_found", f"The plan in {folder} was made of {where}.", "name the orders with --orders"
        )
    return Path(source)
