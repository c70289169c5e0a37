"""Public acts about versions of the network: publish, activate, roll back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import polars as pl
from msgspec import Meta, Struct

from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.base.paging import Limit, Page, page
from rookery.flows.waves.room import RUN, keep_books
from rookery.network import expand, validate_feed
from rookery.network.store import (
    MOST_BYTES,
    FeedRecord,
    Feeds,
    activations,
    active_feed,
    add_activation,
    add_feed,
    find_active,
    get_feed,
    list_feeds,
    unpack,
    was_active_before,
)
from rookery.orders.waiting import booked
from rookery.planning.store import future_legs
from rookery.terms.errors import InvalidInput
from rookery.terms.ids import new_id
from rookery.terms.time import DAY, to_minute

FeedId = Annotated[str, Meta(max_length=40, examples=["fed_01m8hyvan558x4225mfmdh7nwt"])]
READERS = ("merchant", "courier", "operator")


class NewFeed(Struct, frozen=True, forbid_unknown_fields=True):
    """A network feed, packed."""

    content: Annotated[bytes, Meta(description="The feed as a .zip of its files.")]
    activate: Annotated[bool, Meta(description="Let it count at once.")] = False


class Published(Struct, frozen=True):
    """A feed as kept. again: the same contents were published before, and nothing was added."""

    feed: FeedRecord
    again: bool


@operation(
    "networks.publish", kind="command", http="POST /networks", scope="operator", status=201,
    body="application/zip", most_bytes=MOST_BYTES,
)  # fmt: skip
def publish(ctx: Context, ask: NewFeed) -> Published:
    """Publish a version of the network.

    The feed is read and validated first: one error in it and it is refused, with everything that was found; warnings
    are kept with it. It counts for new parcels once it is activated.
    """
    feed = unpack(ask.content)
    notices = (*feed.notices, *validate_feed(feed))
    errors = sum(notice.count for notice in notices if notice.severity == "error")
    if errors:
        raise InvalidInput(
            "networks.has_errors", f"The feed has {errors} {'error' if errors == 1 else 'errors'}.",
            "mend the rows that the notices name, then publish it again", notices,
        )  # fmt: skip
    made = new_id("fed", ctx.clock.now())
    feed_id = add_feed(ctx.conn, made, ask.content, feed, notices, ctx.clock.now(), ctx.who.party_id, {})
    if feed_id == made:
        note(ctx, "networks.publish", feed_id, sha256=feed.sha256)
    if ask.activate:
        activate(ctx, OneFeed(feed_id))
    return Published(get_feed(ctx.conn, feed_id, ctx.who.test), again=feed_id != made)


class SomeFeeds(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of the list."""

    limit: Limit = 100
    after: Annotated[str, Meta(max_length=64, pattern=r"^[ -~]*$", description="`next` of the page before.")] = ""


@operation("networks.list", kind="query", http="GET /networks", scope=READERS)
def list_networks(ctx: Context, ask: SomeFeeds) -> Page[FeedRecord]:
    """List versions of the network, the newest first."""
    return page(list_feeds(ctx.conn, ctx.who.test, ask.after, ask.limit + 1), ask.limit, lambda feed: feed.feed_id)


class OneFeed(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a feed."""

    feed_id: FeedId


@operation("networks.get", kind="query", http="GET /networks/{feed_id}", scope=READERS)
def get_network(ctx: Context, ask: OneFeed) -> FeedRecord:
    """Get one version of the network."""
    return get_feed(ctx.conn, ask.feed_id, ctx.who.test)


class Change(Struct, frozen=True):
    """Which feed counts now, and which did before; the same when nothing changed.

    stranded: booked shipments whose way on has a departure that this version does not have: until a wave finds them
    another they keep a route that nobody runs.
    """

    feed: FeedRecord
    before: FeedRecord | None
    stranded: int


@operation("networks.activate", kind="command", http="POST /networks/{feed_id}/activate", scope="operator")
def activate(ctx: Context, ask: OneFeed) -> Change:
    """Let a version of the network count from now on.

    Parcels in flight keep theirs until they are planned again. Live and test are apart: the key says which.
    """
    test = ctx.who.test
    get_feed(ctx.conn, ask.feed_id, test)
    activations(ctx.conn, test)  # nobody else changes it meanwhile
    before = find_active(ctx.conn, test)
    if before is None or before.feed_id != ask.feed_id:
        add_activation(ctx.conn, ask.feed_id, test, ctx.clock.now(), ctx.who.party_id, "activate")
        keep_books(ctx, ask.feed_id)
        note(ctx, "networks.activate", ask.feed_id, before=before.feed_id if before else None)
    return Change(get_feed(ctx.conn, ask.feed_id, test), before, _stranded(ctx, ask.feed_id))


class Back(Struct, frozen=True, forbid_unknown_fields=True):
    """To the version before."""


@operation("networks.rollback", kind="command", http="POST /networks/rollback", scope="operator")
def rollback(ctx: Context, ask: Back) -> Change:
    """Go back to the version of the network that was active before; twice goes further back."""
    test = ctx.who.test
    feed_id = was_active_before(activations(ctx.conn, test))
    before = active_feed(ctx.conn, test)
    add_activation(ctx.conn, feed_id, test, ctx.clock.now(), ctx.who.party_id, "rollback")
    keep_books(ctx, feed_id)
    note(ctx, "networks.rollback", feed_id, before=before.feed_id)
    return Change(get_feed(ctx.conn, feed_id, test), before, _stranded(ctx, feed_id))


def _stranded(ctx: Context, feed_id: str) -> int:
    """How many booked shipments are to ride a departure that a network does not have, or has at another time of day."""
    conn, now = ctx.conn, ctx.clock.now()
    legs = future_legs(conn, ctx.who.test, now)
    riding = booked(conn, legs["shipment_id"].unique()).select("shipment_id", "route")
    legs = legs.join(riding, on=["shipment_id", "route"])
    if legs.is_empty():
        return 0
    feed = ctx.part(Feeds).get(conn, feed_id)
    last: datetime = legs["depart_at"].max()  # type: ignore[assignment]
    days = max(1, (last - now).days + 2)
    start = to_minute(now)
    runs = expand(feed, start, start + days * DAY).runs
    known = pl.DataFrame(
        {"departure_id": feed.departures["departure_id"].gather(runs["departure"]), "depart_at": runs["depart_at"]}
    )
    minute = (pl.col("depart_at").dt.epoch("s") // 60).cast(pl.Int32)
    return legs.with_columns(depart_at=minute).join(known, on=RUN, how="anti")["shipment_id"].n_unique()
