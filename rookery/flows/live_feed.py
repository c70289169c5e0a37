"""The network as it is now: the active version with the live closures laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from rookery.base.operations import Context
from rookery.network.live import closures, overlaid, stamp
from rookery.network.store import Feeds, active_feed
from rookery.terms.frames import Feed

MOST_DELAY = timedelta(days=30)
"""By how much one closure may delay what leaves in it."""
LOOK_BACK = 3 * MOST_DELAY
"""Closures that ended so long ago still count: of a departure, its lane and its node, each may delay it."""


@dataclass(frozen=True)
class LiveFeed:
    """The network that counts now. stamp: another one as soon as a closure was entered or lifted; feed_id and stamp
    together tell networks apart.
    """

    feed_id: str
    stamp: str
    feed: Feed


def live_feed(ctx: Context) -> LiveFeed:
    """The active network under the live closures, live or test as `ctx` says. Raises NotFound when none is active."""
    feed_id = active_feed(ctx.conn, ctx.who.test).feed_id
    told = stamp(ctx.conn, ctx.who.test)  # before the closures are read: one that comes between changes the next stamp
    return LiveFeed(feed_id, told, laid_over(ctx, ctx.part(Feeds).get(ctx.conn, feed_id)))


def laid_over(ctx: Context, feed: Feed) -> Feed:
    """A version of the network under the closures that count now."""
    return overlaid(feed, closures(ctx.conn, ctx.who.test, ctx.clock.now() - LOOK_BACK))
