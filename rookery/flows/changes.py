"""What may be changed in a what-if, and the network and the orders that come of it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import polars as pl

from rookery.network.additions import read_more_departures
from rookery.terms.errors import InvalidInput, NotFound
from rookery.terms.frames import FEED, Feed, Orders
from rookery.terms.notice import Notice
from rookery.terms.policy import refuse_naive
from rookery.terms.time import from_minute, to_minute

MOST_ORDERS = 50_000_000
"""As many as a file may hold."""


@dataclass(frozen=True)
class CloseNode:
    """A node works nothing and sends nothing from `from_at` to `until_at` (aware; default: the days planned)."""

    node_id: str
    from_at: datetime | None = None
    until_at: datetime | None = None


@dataclass(frozen=True)
class ScaleVolume:
    """So many times the orders: whole copies of all, and of a share drawn by `seed` one more.

    Below 1 a drawn share is kept. With one seed, what a smaller factor holds a larger one holds too.
    """

    factor: float
    seed: int = 1


@dataclass(frozen=True)
class DropLane:
    """A lane and its departures are given up."""

    lane_id: str


@dataclass(frozen=True)
class AddDepartures:
    """The departures of a file like departures.csv run too, on lanes and calendars of the feed."""

    path: str | Path


Change = CloseNode | ScaleVolume | DropLane | AddDepartures


@dataclass(frozen=True)
class Changed:
    """The network and the orders with all changes made; `told`: each change in words; notices of what was read."""

    feed: Feed
    orders: Orders
    told: tuple[str, ...]
    notices: tuple[Notice, ...] = ()


def apply_changes(feed: Feed, orders: Orders, changes: Sequence[Change], begin: int, end: int) -> Changed:
    """All changes made, one after the other, in a plan of the minutes [begin, end).

    Raises NotFound for nodes and lanes the feed does not have, InvalidInput for no change at all or one that makes no
    sense or would change nothing by its dates.
    """
    if not changes:
        raise InvalidInput(
            "whatif.nothing",
            "No change is asked for.",
            "close a node, scale the volume, drop a lane or add departures",
        )
    _refuse_unknown(feed, changes)
    made = Changed(feed, orders, ())
    for change in changes:
        if isinstance(change, CloseNode):
            made = _close(made, change, begin, end)
        elif isinstance(change, ScaleVolume):
            made = _scale(made, change)
        elif isinstance(change, DropLane):
            made = _drop(made, change)
        else:
            made = _add(made, change)
    if made.feed is not feed:
        source = f"{feed.source}, changed: {'; '.join(made.told)}"
        made = replace(made, feed=replace(made.feed, sha256=_sha256(made.feed), source=source))
    return made


def _refuse_unknown(feed: Feed, changes: Sequence[Change]) -> None:
    """Raises NotFound when a change names a node or a lane that is not there, for all that do."""
    ids = feed.nodes["node_id"]
    nodes = dict(zip(feed.nodes["name"].fill_null(ids), ids)) | dict(zip(ids, ids))
    lanes = dict(zip(feed.lanes["lane_id"], feed.lanes["lane_id"]))
    strangers = [
        f"The feed has no {what} {asked!r}{_perhaps(asked, known)}."
        for what, asked, known in (
            *(("node", change.node_id, nodes) for change in changes if isinstance(change, CloseNode)),
            *(("lane", change.lane_id, lanes) for change in changes if isinstance(change, DropLane)),
        )
        if known.get(asked) != asked
    ]
    if strangers:
        raise NotFound("whatif.unknown", " ".join(strangers), "take a node_id of nodes.csv, a lane_id of lanes.csv")


def _perhaps(asked: str, known: dict[str, str]) -> str:
    """A guess at which id is meant, when a name or an id is near."""
    lower = {name.lower(): meant for name, meant in known.items()}
    close = [asked.lower()] if asked.lower() in lower else get_close_matches(asked.lower(), lower, 3)
    near = dict.fromkeys(lower[name] for name in close)
    return f"; perhaps {' or '.join(near)} is meant" if near else ""


def _close(made: Changed, change: CloseNode, begin: int, end: int) -> Changed:
    refuse_naive(change.from_at)
    refuse_naive(change.until_at)
    from_at = begin if change.from_at is None else to_minute(change.from_at)
    until_at = end if change.until_at is None else to_minute(change.until_at)
    span = f"{_told(from_at)} to {_told(until_at)}"
    if until_at <= from_at:
        raise InvalidInput("whatif.closure_span", f"A closure from {span} ends before it begins.", "correct the span")
    if until_at <= begin or from_at >= end:
        raise InvalidInput(
            "whatif.closure_outside",
            f"A closure from {span} lies outside the days planned, {_told(begin)} to {_told(end)}.",
            "give a span within them, or plan other days",
        )
    row = {
        "node_id": change.node_id,
        "from_at": from_at,
        "until_at": until_at,
        "capacity_factor": 0.0,
        "delay_minutes": 0,
        "reason": "what if",
    }
    closure = pl.DataFrame([{name: row.get(name) for name in FEED["closures"]}], schema=FEED["closures"])
    feed = replace(made.feed, closures=pl.concat([made.feed.closures, closure]))
    whole = from_at <= begin and until_at >= end
    when = "all the days planned" if whole else f"from {span}"
    return replace(made, feed=feed, told=(*made.told, f"{change.node_id} closed {when}"))


def _scale(made: Changed, change: ScaleVolume) -> Changed:
    frame, factor = made.orders.frame, change.factor
    if not 0 < factor < np.inf or change.seed < 0:
        raise InvalidInput(
            "whatif.volume",
            f"The volume cannot be scaled by {factor:g} with seed {change.seed}.",
            "give a factor above 0 and a seed of 0 or more",
        )
    if frame.height * factor > MOST_ORDERS:
        raise InvalidInput(
            "whatif.volume",
            f"{frame.height:,} orders times {factor:g} are more than {MOST_ORDERS:,}.",
            "give a smaller factor",
        )
    scaled = _scaled(frame, factor, change.seed)
    if scaled.is_empty():
        raise InvalidInput(
            "whatif.volume",
            f"No order of {frame.height:,} is left at {factor:g} times.",
            "give a larger factor",
        )
    source = f"{made.orders.source}, times {factor:g} (seed {change.seed})"
    digest = hashlib.sha256(f"{made.orders.sha256} {factor!r} {change.seed}".encode()).hexdigest()
    orders = made.orders if factor == 1 else replace(made.orders, frame=scaled, sha256=digest, source=source)
    told = f"volume times {factor:g}: {frame.height:,} orders become {scaled.height:,}"
    return replace(made, orders=orders, told=(*made.told, told))


def _scaled(frame: pl.DataFrame, factor: float, seed: int) -> pl.DataFrame:
    """Whole copies of all orders and one more of a drawn share; the copies' ids have a suffix that is new."""
    whole = int(factor)
    further = round((factor - whole) * frame.height)
    # the first of one shuffled row: more of them hold fewer of them, so that volumes of one seed can be compared
    drawn = np.sort(np.random.default_rng(seed).permutation(frame.height)[:further])
    mark = "#"
    while frame["order_id"].str.contains(rf"{mark}\d+$").any():
        mark += "#"
    copies = [frame] * whole + [frame[drawn]] * (further > 0)
    return pl.concat(
        [
            copy if number == 1 else copy.with_columns(pl.col("order_id") + f"{mark}{number}")
            for number, copy in enumerate(copies, 1)
        ]
        or [frame.clear()]
    )


def _drop(made: Changed, change: DropLane) -> Changed:
    feed, lane = made.feed, change.lane_id
    gone = feed.departures.filter(pl.col("lane_id") == lane)["departure_id"]
    closures = feed.closures.filter(
        pl.col("lane_id").ne_missing(lane),
        pl.col("departure_id").is_in(gone.implode()).fill_null(False).not_(),
    )
    feed = replace(
        feed,
        lanes=feed.lanes.filter(pl.col("lane_id") != lane),
        departures=feed.departures.filter(pl.col("lane_id") != lane),
        closures=closures,
    )
    departures = f"{len(gone):,} departure{'' if len(gone) == 1 else 's'}"
    return replace(made, feed=feed, told=(*made.told, f"lane {lane} dropped with {departures}"))


def _add(made: Changed, change: AddDepartures) -> Changed:
    more, notices = read_more_departures(change.path, made.feed)
    feed = replace(made.feed, departures=pl.concat([made.feed.departures, more]))
    count, lanes = more.height, more["lane_id"].n_unique()
    told = f"{count:,} departure{'' if count == 1 else 's'} added on {lanes:,} lane{'' if lanes == 1 else 's'}"
    return replace(made, feed=feed, told=(*made.told, told), notices=(*made.notices, *notices))


def _sha256(feed: Feed) -> str:
    """A digest of the feed as read and of the tables that changes touch."""
    digest = hashlib.sha256(feed.sha256.encode())
    for table in (feed.lanes, feed.departures, feed.closures):
        packed = io.BytesIO()
        table.write_ipc(packed)
        digest.update(packed.getbuffer())
    return digest.hexdigest()


def _told(minute: int) -> str:
    return f"{from_minute(minute):%Y-%m-%d %H:%M} UTC"
