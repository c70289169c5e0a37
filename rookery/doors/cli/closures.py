"""`rookery closure`: a node, lane or departure shut for a while in a running network, told first what that touches."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from rookery.doors.cli.options import Json, examples, instant
from rookery.doors.cli.publish import DryRun, Test, system
from rookery.doors.cli.serve import Data

if TYPE_CHECKING:
    from rookery.base.operations import Context
    from rookery.flows.closures.closing import Entered
    from rookery.network.live import Closure

closure_app = typer.Typer(help="Nodes, lanes and departures shut for a while, and opened again.", no_args_is_help=True)

_DURATION = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?")


def moment(text: str) -> datetime | timedelta:
    """An ISO time with offset, or how long from now: "6h", "2d", "1d12h", "90m"."""
    found = _DURATION.fullmatch(text)
    if found is not None and text:
        days, hours, minutes = (int(number or 0) for number in found.groups())
        return timedelta(days=days, hours=hours, minutes=minutes)
    try:
        return instant(text)
    except typer.BadParameter as fault:
        raise typer.BadParameter(f"{fault.message}, or how long from now, like 6h or 2d") from None


@closure_app.command(
    epilog=examples(
        "rookery closure add LEJ-HUB --until 12h",
        "rookery closure add LEJ-HUB --until 2026-03-03T12:00Z --reason Storm --dry-run",
        "rookery closure add LEJ-FRA --lane --from 2h --until 1d --no-replan",
        "rookery closure add LEJ-FRA-21 --departure --until 8h --delay-minutes 90 --json",
    )
)
def add(
    what: Annotated[str, typer.Argument(metavar="NODE", help="What is closed: a node_id of the active network.")],
    until: Annotated[
        datetime, typer.Option(parser=moment, metavar="TIME", help="When it is open again: a time, or 6h, 2d from now.")
    ],
    since: Annotated[
        datetime | None, typer.Option("--from", parser=moment, metavar="TIME", help="When it closes; default: now.")
    ] = None,
    lane: Annotated[bool, typer.Option("--lane", help="NODE is a lane_id.")] = False,
    departure: Annotated[bool, typer.Option("--departure", help="NODE is a departure_id.")] = False,
    capacity_factor: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="What is left of the capacity; default: 0, or 1 with --delay-minutes."),
    ] = None,
    delay_minutes: Annotated[int, typer.Option(min=0, max=43_200, help="By how much later everything leaves.")] = 0,
    reason: Annotated[str, typer.Option(help="Why; read by all who take part.")] = "",
    no_replan: Annotated[bool, typer.Option("--no-replan", help="Leave what it touches on its way.")] = False,
    data: Data = None,
    test: Test = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Close a node, a lane or a departure for a while; everything that plans goes around it from now on.

    Tells which departures of the days ahead that cancels or delays, and what is booked on them. What it touches is
    re-booked at once by the worker of `rookery serve`, unless told not to.
    """
    from rookery.doors.cli import console
    from rookery.flows.closures import closing
    from rookery.flows.closures.closing import NewClosure

    if lane and departure:
        raise typer.BadParameter("it is one of both", param_hint="--lane, --departure")
    named = "lane_id" if lane else "departure_id" if departure else "node_id"
    with system(data, test, keep=not dry_run) as ctx:
        now = ctx.clock.now()
        made = closing.add(
            ctx,
            NewClosure(
                **{named: what},
                from_at=_at(since, now),
                until_at=_at(until, now) or now,
                capacity_factor=capacity_factor,
                delay_minutes=delay_minutes,
                reason=reason,
                replan=not no_replan,
            ),
        )
    if as_json:
        console.print_json(
            {"closure": made.closure, "effect": made.effect, "notices": made.notices, "dry_run": dry_run}
        )
        return
    _tell(made, dry_run)


def _at(told: datetime | timedelta | None, now: datetime) -> datetime | None:
    return now + told if isinstance(told, timedelta) else told


@closure_app.command("list", epilog=examples("rookery closure list", "rookery closure list --all --json"))
def listing(
    every: Annotated[bool, typer.Option("--all", help="Also those that were lifted or are over.")] = False,
    data: Data = None,
    test: Test = False,
    as_json: Json = False,
) -> None:
    """List what is closed now or will be, the newest first."""
    from rich.table import Table

    from rookery.doors.cli import console
    from rookery.doors.cli.words import safe, utc_span

    with system(data, test) as ctx:
        found, now = _all(ctx, open=not every), ctx.clock.now()
    if as_json:
        console.print_json({"closures": found})
        return
    if not found:
        console.out.print("Nothing was ever closed." if every else "Nothing is closed.")
        return
    table = Table("closure", "closed", "from, until (UTC)", "what", "state", "reason", box=None)
    for closure in found:
        span = utc_span(closure.from_at, closure.until_at)
        row = (safe(_name(closure)), span, _severity(closure), _state(closure, now), safe(closure.reason))
        table.add_row(closure.closure_id, *row)
    console.out.print(table)


@closure_app.command(
    epilog=examples("rookery closure lift LEJ-HUB", "rookery closure lift clo_01m8hyvan558x4225mfmdh7nwt --json")
)
def lift(
    which: Annotated[str, typer.Argument(metavar="CLOSURE", help="Its id, or what is closed: all that is open of it.")],
    data: Data = None,
    test: Test = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Open again what was closed: the closure counts no more from now on. What was re-booked stays on its new way."""
    from rookery.doors.cli import console
    from rookery.doors.cli.words import safe
    from rookery.flows.closures import closing
    from rookery.flows.closures.closing import OneClosure

    with system(data, test, keep=not dry_run) as ctx:
        lifted = [closing.lift(ctx, OneClosure(closure_id)) for closure_id in _meant(ctx, which)]
    if as_json:
        console.print_json({"lifted": lifted, "dry_run": dry_run})
        return
    for closure in lifted:
        would = "would be" if dry_run else "is"
        console.out.print(f"{safe(_name(closure))} {would} open again ({closure.closure_id}).", soft_wrap=True)
    if dry_run:
        console.out.print("Nothing was changed (--dry-run).")


def _meant(ctx: Context, which: str) -> list[str]:
    """Ids of the closures that are meant. Raises NotFound, telling what is closed."""
    from rookery.terms.errors import NotFound
    from rookery.terms.ids import ID

    if ID.fullmatch(which) and which.startswith("clo_"):
        return [which]
    closed = _all(ctx, open=True)
    found = [one.closure_id for one in closed if which in (one.node_id, one.lane_id, one.departure_id)]
    if not found:
        names = sorted({_target(one) for one in closed})
        action = f"name one of {', '.join(names[:10])}" if names else "nothing has to be done"
        raise NotFound("closures.none", f"{which} is not closed.", action)
    return found


def _all(ctx: Context, open: bool) -> list[Closure]:
    from rookery.flows.closures import closing

    found: list[Closure] = []
    after: str | None = ""
    while after is not None:
        page = closing.list_closures(ctx, closing.SomeClosures(open=open, limit=1000, after=after))
        found, after = found + page.data, page.next
    return found


def _tell(made: Entered, dry_run: bool) -> None:
    """What is closed, and what that does."""
    from rookery.doors.cli import console
    from rookery.doors.cli.words import count_of, safe, utc_span

    closure, effect = made.closure, made.effect
    would = "would be" if dry_run else "is"
    span = utc_span(closure.from_at, closure.until_at)
    what = f"{safe(_name(closure))} {would} {_severity(closure)}, {span} UTC"
    console.out.print(what + ("." if dry_run else f": {closure.closure_id}."), soft_wrap=True)
    does = {"cancelled": effect.cancelled, "thinned": effect.thinned, "delayed": effect.delayed}
    told = ", ".join(f"{count:,} {word}" for word, count in does.items() if count) or "none touched"
    console.out.print(f"departures of the next {effect.days} days: {told}")
    booked = f"{count_of(effect.shipments, 'shipment')} with {count_of(effect.parcels, 'parcel')}"
    booked = f"{booked}, {effect.under_way:,} of them under way" if effect.shipments else "nothing"
    console.out.print(f"booked legs it touches: {booked}", soft_wrap=True)
    for notice in made.notices:
        console.err.print(f"[yellow]notice[/] {safe(notice)}", soft_wrap=True)
    if dry_run:
        console.out.print("Nothing was changed (--dry-run).")
    elif closure.replan and effect.shipments:
        console.out.print("They are re-booked by the worker of `rookery serve`.", soft_wrap=True)


def _target(closure: Closure) -> str:
    return closure.node_id or closure.lane_id or closure.departure_id or ""


def _name(closure: Closure) -> str:
    kind = "node" if closure.node_id else "lane" if closure.lane_id else "departure"
    return f"{kind} {_target(closure)}"


def _severity(closure: Closure) -> str:
    if closure.capacity_factor == 0:
        return "closed"
    thinned = f"at {closure.capacity_factor:.0%} of its capacity" if closure.capacity_factor < 1 else ""
    delayed = f"delayed by {closure.delay_minutes:,} min" if closure.delay_minutes else ""
    return " and ".join(filter(None, (thinned, delayed))) or "as it was"


def _state(closure: Closure, now: datetime) -> str:
    if closure.lifted_at is not None:
        return "lifted"
    return "over" if closure.until_at <= now else "in force" if closure.from_at <= now else "ahead"
