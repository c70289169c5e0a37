"""Outlooks kept ready in a worker: the policies under which parcels on the way are looked up.

An outlook is made in a thread of its own and takes the place of the one before at once; until then parcels are looked
up in that one. What calls for a new one: another network, a closure entered or lifted, another day, kinds of parcels
that the present one does not know; and, less urgently, other prices of room, departures that are full by now, and
kinds that it knows by a neighbour only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
import psycopg
from numpy.typing import NDArray

from rookery.base.jobs import Desk
from rookery.base.progress import Progress
from rookery.flows.live_feed import live_feed
from rookery.flows.living import looking_again, turning
from rookery.flows.living.looking_again import Queue
from rookery.flows.living.outlook_classes import CLASS, booked_since, classes_of, never_looked_at, placed, under_way
from rookery.flows.planning import cores, horizon_of, model_of
from rookery.flows.quotes.counter import OUTCOMES, Room
from rookery.flows.quotes.room_left import room_left
from rookery.network.live import stamp
from rookery.network.store import find_active
from rookery.planning.ops import Model
from rookery.planning.outlook import Outlook, make_outlook
from rookery.planning.outlook_classes import STRAND
from rookery.terms.frames import Feed
from rookery.terms.time import DAY, to_minute

Cause = Literal["first", "network", "closures", "day", "kinds", "prices"]
"""What called for an outlook. The last two are lesser ones."""

DAYS_BEFORE = 2
"""Departures that left so long ago still stand in the timetable: parcels ride them."""
KINDS_S = 2.0
"""How often parcels are looked for whose kind the outlook does not know."""
LESSER_S = 60.0
"""How often prices, what is full, and kinds that are known by a neighbour only are looked at."""
RESTS = 3.0
"""After an outlook was made nothing lesser is made anew for so many times as long as that took."""
LOOK_S = 0.5
"""How often the making of one for another day, or of a lesser one, looks whether a closure calls."""
USUAL_G = 1000.0
"""A departure without room for a parcel of this weight counts as full."""


class _Network(NamedTuple):
    """Which network counts: its id, and the stamp of its closures."""

    feed_id: str
    closures: str


@dataclass(frozen=True)
class _Kept:
    """An outlook with what it was made of."""

    outlook: Outlook
    network: _Network
    feed: Feed  # closures laid over it
    room: Room
    full: NDArray[np.int64]
    classes: pl.DataFrame
    at: datetime  # who was booked by then is among them

    @property
    def model(self) -> Model:
        return self.outlook.model


@dataclass
class _State:
    kept: _Kept | None = None
    queue: Queue | None = None
    kinds_at: float = 0.0  # when they are looked for next, by the machine's own clock
    lesser_at: float = 0.0


class _Overtaken(Exception):
    """Something greater calls for an outlook, or the worker is to stop."""


@dataclass
class Outlooks:
    """The outlooks of a worker, live and test: a process-wide part. `current` may be asked from any thread; `build` and
    `enter_next` are one thread's.
    """

    horizon_days: int | None = None
    _of: dict[bool, _State] = field(default_factory=lambda: {False: _State(), True: _State()})

    def current(self, test: bool) -> Outlook | None:
        """The outlook that counts now; None before the first one is made, and where no network is active."""
        kept = self._of[test].kept
        return kept.outlook if kept else None

    def build(
        self, desk: Desk, test: bool, stopped: Callable[[], bool] = lambda: False, *, at_once: bool = False
    ) -> Cause | None:
        """Make a new outlook if anything calls for one: what did, or None when there was nothing to make.

        From then on it counts, and parcels whose chances may be others by it are to be looked at again: those whose
        departures changed first, all of them by `enter_next`. stopped: asked now and then whether to stop; at_once:
        what is less urgent does not wait either.
        """
        state, begun = self._of[test], time.monotonic()
        with desk.context(test, readonly=True) as ctx:
            conn, now = ctx.conn, ctx.clock.now()
            network = _network(conn, test)
            cause = None if network is None else self._cause(conn, test, network, now, at_once)
            if network is None or cause is None:
                return None
            lesser, kept = cause in ("kinds", "prices"), state.kept
            if kept and lesser:
                feed = kept.feed
            else:
                under = live_feed(ctx)
                feed, network = under.feed, _Network(under.feed_id, under.stamp)
            new = booked_since(conn, test, kept.at) if kept else never_looked_at(conn, test, now)
            if kept and cause not in ("network", "day"):  # whoever ended is forgotten once a day
                more = _unknown(kept, pl.concat([under_way(conn, test, unknown=True), new.drop("epc")]))
                classes = pl.concat([kept.classes, more])
            else:
                classes = classes_of(feed, pl.concat([under_way(conn, test), new.drop("epc")]))
        if kept and lesser:
            model = kept.model
        else:
            model = model_of(feed, _start(now), horizon_of(feed, self.horizon_days) + DAYS_BEFORE, OUTCOMES)
        with desk.context(test, readonly=True) as ctx:
            room = room_left(ctx.conn, model, test, now)
        full = _full(room)
        threads = max(1, cores() // 2) if lesser else cores()
        watch = _watching(desk, test, network if lesser or cause == "day" else None, stopped)
        try:
            version = _version(feed, network, model, room, full)
            outlook = make_outlook(model, room.prices, full, classes, threads=threads, version=version, progress=watch)
        except _Overtaken:
            return None
        state.kept = _Kept(outlook, network, feed, room, full, classes, now)
        ended = time.monotonic()
        state.kinds_at, state.lesser_at = ended + RESTS * (ended - begun), ended + LESSER_S
        before = kept.model if kept and kept.network.feed_id == network.feed_id else model
        changed = looking_again.changes(before, model, to_minute(now))
        # never looked at: those of earlier times; who is booked from now on is entered by whoever books
        if kept is not None:  # of whoever goes by another version anyway nothing more is told
            new = _of_unknown_kind(kept, new) if cause == "kinds" else new.clear()
        state.queue = Queue(version, changed, tuple(new["epc"]))
        return cause

    def told(self, test: bool) -> tuple[str | None, datetime | None, int]:
        """The version of the outlook that counts now, as of when it was made, and how many parcels are still to be
        entered for its sake; asked from any thread.
        """
        kept, queue = self._of[test].kept, self._of[test].queue
        left = 0 if queue is None else queue.left
        return (None, None, left) if kept is None else (kept.outlook.version, kept.at, left)

    def enter_next(self, desk: Desk, test: bool) -> bool:
        """Enter more parcels that are to be looked at again, if any are left and few wait; False when none are left."""
        queue = self._of[test].queue
        if queue is None:
            return False
        try:
            if not queue.begun:  # what is still looked up in the outlook before is to be seen
                turning.await_turn(desk, test)
            with desk.context(test) as ctx:
                left = queue.enter_next(ctx.conn, test)
        except BaseException:
            self._of[test].queue = queue.anew()
            raise
        if not left:
            self._of[test].queue = None
        return left

    def _cause(
        self, conn: psycopg.Connection, test: bool, network: _Network, now: datetime, at_once: bool
    ) -> Cause | None:
        """What calls for a new outlook now, if anything does."""
        state, steady = self._of[test], time.monotonic()
        kept = state.kept
        if kept is None:
            return "first"
        if kept.network.feed_id != network.feed_id:
            return "network"
        if kept.network.closures != network.closures:
            return "closures"
        if _start(now) > kept.model.timetable.start:
            return "day"
        if steady < state.kinds_at and not at_once:
            return None
        state.kinds_at = steady + KINDS_S
        unknown = _unknown(kept, under_way(conn, test, unknown=True))
        if not kept.outlook.knows(unknown).all():
            return "kinds"
        if steady < state.lesser_at and not at_once:
            return None
        state.lesser_at = steady + LESSER_S
        room = room_left(conn, kept.model, test, now)
        if not _alike(room, kept.room) or not np.array_equal(_full(room), kept.full):
            return "prices"
        return "kinds" if _by_neighbours(kept, _unknown(kept, booked_since(conn, test, kept.at))) else None


def _network(conn: psycopg.Connection, test: bool) -> _Network | None:
    active = find_active(conn, test)
    return None if active is None else _Network(active.feed_id, stamp(conn, test))


def _start(now: datetime) -> int:
    """The first minute of the timetable of an outlook: a day's begin, so that it changes once a day."""
    return to_minute(now) // DAY * DAY - DAYS_BEFORE * DAY


def _full(room: Room) -> NDArray[np.int64]:
    """Rows of the timetable without room for one more parcel."""
    return np.array(sorted(room.closed(1.0, USUAL_G)), np.int64)


def _alike(one: Room, other: Room) -> bool:
    """Whether room costs the same."""
    same = (np.array_equal(getattr(one.prices, what), getattr(other.prices, what)) for what in ("seat", "kilogram"))
    return all(same)


def _version(feed: Feed, network: _Network, model: Model, room: Room, full: NDArray[np.int64]) -> str:
    """Names what policies follow from, but for the kinds of parcels they are for: made again from the same they are the
    same, also after a restart. Before the dot: the stamp of the closures that are laid over the network.
    """
    named = f"{network.feed_id} {feed.sha256} {network.closures} {model.timetable.start}".encode()
    parts = (named, room.prices.seat.tobytes(), room.prices.kilogram.tobytes(), full.tobytes())
    return f"{network.closures}.{sha256(b'|'.join(parts)).hexdigest()[:16]}"


def _unknown(kept: _Kept, parcels: pl.DataFrame) -> pl.DataFrame:
    """The classes of parcels that the outlook was not made for."""
    return classes_of(kept.feed, parcels).join(kept.classes, on=CLASS, how="anti")


def _of_unknown_kind(kept: _Kept, parcels: pl.DataFrame) -> pl.DataFrame:
    """Those (epc) of booked parcels that the outlook was not made for, and that may go by another policy now."""
    kinds = placed(kept.feed, parcels).select(CLASS).insert_column(0, parcels["epc"])
    return kinds.filter(pl.col("destination") >= 0).join(kept.classes, on=CLASS, how="anti").select("epc")


def _by_neighbours(kept: _Kept, classes: pl.DataFrame) -> bool:
    """Whether some of the classes go by a policy that was made for others."""
    keyed = kept.outlook.kinds.keyed(classes, enter=False)
    return not keyed.join(kept.outlook.columns, on=[*STRAND, "hour"], how="anti").is_empty()


def _watching(desk: Desk, test: bool, network: _Network | None, stopped: Callable[[], bool]) -> Progress:
    """Ends a making, by _Overtaken, when the worker is to stop, or when the network is no more as told."""
    next_at = time.monotonic() + LOOK_S

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal next_at
        if stopped():
            raise _Overtaken
        if network is None or time.monotonic() < next_at:
            return
        next_at = time.monotonic() + LOOK_S
        with desk.context(test, readonly=True) as ctx:
            if _network(ctx.conn, test) != network:
                raise _Overtaken

    return progress
