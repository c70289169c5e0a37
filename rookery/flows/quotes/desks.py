"""Desks kept ready in a server: the active network over the days ahead, under what is closed and full by now."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from rookery.base.operations import Context
from rookery.flows.live_feed import laid_over
from rookery.flows.planning import horizon_of, model_of
from rookery.flows.quotes.counter import OUTCOMES, Counter, counter_of
from rookery.flows.quotes.room_left import loads_stamp, room_left
from rookery.network.live import stamp
from rookery.network.store import Feeds, active_feed
from rookery.planning.capacity.resources import Prices
from rookery.planning.desk import Ask, Desk
from rookery.terms.frames import FEED, Feed, FeedInfo, empty
from rookery.terms.goods import DEFAULT_CONFIDENCE
from rookery.terms.time import DAY, from_minute, to_minute

LOOK_S = 2.0
"""How often a desk asks which network is active, what is closed and what is booked."""


@dataclass
class _Kept:
    counter: Counter
    closed: str  # stamp of the closures laid over its network
    start: int
    loads: tuple
    looked: float


@dataclass
class Desks:
    """The counters of a server, live and test; refreshed when another network is active, a closure was entered or
    lifted, another day has begun, or other loads are booked.
    """

    feeds: Feeds
    horizon_days: int | None = None
    _of: dict[bool, _Kept] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def counter(self, ctx: Context) -> Counter:
        """The counter that counts now. Raises NotFound when no network is active."""
        kept, now = self._of.get(ctx.who.test), time.monotonic()
        if kept is not None and now - kept.looked < LOOK_S:
            return kept.counter
        if kept is not None and not self._lock.acquire(blocking=False):
            return kept.counter  # somebody else is looking
        if kept is None:
            self._lock.acquire()
        try:
            return self._look(ctx, now)
        finally:
            self._lock.release()

    def fresh(self, ctx: Context) -> Counter:
        """The counter under all closures that were entered by now: for who books. Raises NotFound as `counter` does."""
        counter, closed = self.counter(ctx), stamp(ctx.conn, ctx.who.test)
        if self._of[ctx.who.test].closed == closed:
            return counter
        with self._lock:
            kept = self._of[ctx.who.test]
            return kept.counter if kept.closed == closed else self._look(ctx, time.monotonic())

    def _look(self, ctx: Context, now: float) -> Counter:
        active = active_feed(ctx.conn, ctx.who.test)
        kept, at = self._of.get(ctx.who.test), ctx.clock.now()
        loads = loads_stamp(ctx.conn, ctx.who.test, at)
        closed = stamp(ctx.conn, ctx.who.test)
        same = kept is not None and (kept.counter.feed_id, kept.closed) == (active.feed_id, closed)
        if kept is not None and same and kept.start > to_minute(at) - DAY:
            if kept.loads != loads:
                kept.counter = replace(kept.counter, room=room_left(ctx.conn, kept.counter.model, ctx.who.test, at))
                kept.loads = loads
            kept.looked = now
            return kept.counter
        feed, start = laid_over(ctx, self.feeds.get(ctx.conn, active.feed_id)), to_minute(at)
        model = model_of(feed, start, horizon_of(feed, self.horizon_days), OUTCOMES)
        counter = counter_of(active.feed_id, model, room_left(ctx.conn, model, ctx.who.test, at))
        self._of[ctx.who.test] = _Kept(counter, closed, start, loads, now)
        return counter


def warm_up() -> None:
    """Compile what quotes are computed with, or load it as compiled before: half a minute once, then a second."""
    at = 29_600_000  # any minute
    rows: dict[str, dict[str, Any]] = {
        "nodes": {"node_id": "A", "kind": "hub", "lat": 0.0, "lon": 0.0, "country": "BE", "timezone": "UTC"},
        "lanes": {"lane_id": "L", "from_node": "A", "to_node": "B", "mode": "truck", "accepts": ["general"]},
        "departures": {
            "departure_id": "D",
            "lane_id": "L",
            "calendar_id": "C",
            "depart_minute": 600,
            "transit_minutes": 60,
        },
        "calendars": {
            "calendar_id": "C",
            "start_on": from_minute(at).date(),
            "end_on": from_minute(at + 9 * DAY).date(),
        },
    }
    frames: dict[str, Any] = {name: empty(schema) for name, schema in FEED.items()}
    for name, row in rows.items():
        usual = dict.fromkeys(FEED[name]) | {"handling_minutes": 0, "cutoff_minutes": 0, "cost_per_parcel": 1.0}
        usual |= {column: True for column, kind in FEED[name].items() if kind == pl.Boolean} | {"cost_per_kg": 0.0}
        frames[name] = pl.DataFrame([{column: {**usual, **row}[column] for column in FEED[name]}], schema=FEED[name])
    frames["nodes"] = pl.concat([frames["nodes"], frames["nodes"].with_columns(node_id=pl.lit("B"))])
    model = model_of(Feed(FeedInfo("warm-up", "0", "EUR"), **frames), at, 7, OUTCOMES)
    ask = Ask(
        origin=0, destination=1, zone=-1, start_at=at, weight_g=1.0, side_mm=0.0, chargeable_g=1.0, goods=0, modes=255
    )  # fmt: skip
    Desk(model, Prices.none(model.resources)).offers(ask, DEFAULT_CONFIDENCE)
