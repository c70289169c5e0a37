"""`rookery network publish | activate | rollback | list`: versions of the network in a data folder's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rookery.doors.cli.options import Feed, Json, examples
from rookery.doors.cli.serve import Data

if TYPE_CHECKING:
    from rookery.base.operations import Context
    from rookery.flows.publishing import Change
    from rookery.network.store import FeedRecord

Test = Annotated[bool, typer.Option("--test", help="For test mode; what is live stays as it is.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would change, and change nothing.")]

OF_PUBLISH = examples(
    "rookery network publish feed/ --activate", "rookery network publish feed.zip --data /srv/rookery --json"
)
OF_ACTIVATE = examples("rookery network activate fed_01m8hyvan558x4225mfmdh7nwt --dry-run")
OF_ROLLBACK = examples("rookery network rollback")
OF_LIST = examples("rookery network list --json")


def publish(
    feed: Feed,
    activate: Annotated[bool, typer.Option("--activate", help="Let it count at once.")] = False,
    data: Data = None,
    test: Test = False,
    as_json: Json = False,
) -> None:
    """Keep a version of the network in the database, after validating it.

    One error in the feed and it is refused with everything that was found. The same feed again is the same version.
    """
    from rookery.doors.cli import console
    from rookery.flows import publishing
    from rookery.network.store import pack

    with console.progress_bars():
        content = pack(feed)
        with system(data, test, new=True) as ctx:
            made = publishing.publish(ctx, publishing.NewFeed(content, activate=activate))
    console.tell_notices(made.feed.notices)
    if as_json:
        console.print_json(made)
    else:
        what = "was published before as" if made.again else "is published as"
        counts = " and counts from now on" if made.feed.active else ""
        console.out.print(f"{named(made.feed)} {what} {made.feed.feed_id}{counts}.", soft_wrap=True)


def activate(
    feed_id: Annotated[str, typer.Argument(metavar="FEED_ID", help="As `publish` and `list` tell it.")],
    data: Data = None,
    test: Test = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let a published version of the network count from now on, and tell what that changes."""
    from rookery.flows import publishing

    _change(lambda ctx: publishing.activate(ctx, publishing.OneFeed(feed_id)), data, test, dry_run, as_json)


def rollback(data: Data = None, test: Test = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Go back to the version that was active before; twice goes further back."""
    from rookery.flows import publishing

    _change(lambda ctx: publishing.rollback(ctx, publishing.Back()), data, test, dry_run, as_json)


def listing(data: Data = None, test: Test = False, as_json: Json = False) -> None:
    """List published versions of the network, the newest first."""
    from rich.table import Table

    from rookery.doors.cli import console
    from rookery.doors.cli.words import safe
    from rookery.flows import publishing

    found: list[FeedRecord] = []
    with system(data, test) as ctx:
        after: str | None = ""
        while after is not None:
            page = publishing.list_networks(ctx, publishing.SomeFeeds(limit=1000, after=after))
            found, after = found + page.data, page.next
    if as_json:
        console.print_json(found)
        return
    table = Table("", "feed", "network", "published", "nodes", "departures", box=None)
    for feed in found:
        published = f"{feed.published_at:%Y-%m-%d %H:%M}"
        active = "active" if feed.active else ""
        table.add_row(active, feed.feed_id, safe(named(feed)), published, f"{feed.nodes:,}", f"{feed.departures:,}")
    console.out.print(table)


def _change(act: Any, data: Path | None, test: bool, dry_run: bool, as_json: bool) -> None:
    """Does what changes the active network, tells what changed, and takes it back when it was only to be told."""
    from rookery.doors.cli import console

    with system(data, test, keep=not dry_run) as ctx:
        change: Change = act(ctx)
        told = _differences(ctx, change)
    if as_json:
        console.print_json(
            {
                "feed": change.feed,
                "before": change.before,
                "changes": told,
                "stranded": change.stranded,
                "dry_run": dry_run,
            }
        )
        return
    before = f"{named(change.before)}, {change.before.feed_id}" if change.before else "none"
    console.out.print(f"before: {before}\nnow:    {named(change.feed)}, {change.feed.feed_id}", soft_wrap=True)
    for table, counts in told.items():
        console.out.print(f"{table}: {counts['added']:,} new, {counts['removed']:,} gone, {counts['kept']:,} as before")
    if change.stranded:
        shipments = "1 booked shipment rides" if change.stranded == 1 else f"{change.stranded:,} booked shipments ride"
        told = f"{shipments} departures that this version does not have: plan a wave soon."
        console.out.print(told, soft_wrap=True)
    if dry_run:
        console.out.print("Nothing was changed (--dry-run).")


def _differences(ctx: Context, change: Change) -> dict[str, dict[str, int]]:
    """How many nodes, lanes and departures come and go, by id."""
    from rookery.network.store import load_feed

    after = load_feed(ctx.conn, change.feed.feed_id)
    before = load_feed(ctx.conn, change.before.feed_id) if change.before else None
    told = {}
    for table, key in (("nodes", "node_id"), ("lanes", "lane_id"), ("departures", "departure_id")):
        new = set(getattr(after, table)[key])
        old = set(getattr(before, table)[key]) if before else set()
        told[table] = {"added": len(new - old), "removed": len(old - new), "kept": len(new & old)}
    return told


def named(feed: FeedRecord) -> str:
    """A feed as people call it."""
    return f"{feed.name} {feed.version}".strip()


class _TakenBack(Exception):
    """Ends a transaction that was only to tell."""


@contextmanager
def system(data: Path | None, test: bool, keep: bool = True, new: bool = False) -> Iterator[Context]:
    """One transaction of Rookery itself on a data folder's database, started when need be; keep: commit at the end."""
    from contextlib import suppress

    from msgspec import structs

    from rookery.app import data_folder, open_house
    from rookery.base.operations import SYSTEM

    with (
        open_house(data_folder(data, new), size=2) as house,
        suppress(_TakenBack),
        house.context(structs.replace(SYSTEM, test=test)) as ctx,
    ):
        yield ctx
        if not keep:
            raise _TakenBack
