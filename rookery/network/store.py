"""Feed versions in the database: published once for good, then active or not; what was active before is never lost."""

from __future__ import annotations

import io
import tempfile
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import psycopg
from msgspec import Struct
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from rookery.base.files import irregular
from rookery.base.jsonb import jsonb
from rookery.network.model import COLUMNS
from rookery.network.reader import read_feed
from rookery.terms.errors import Conflict, InvalidInput, NotFound
from rookery.terms.frames import Feed
from rookery.terms.notice import Notice

MOST_BYTES = 256 << 20
"""Of a packed feed."""
_FILES = ("feed.json", *(table + form for table in COLUMNS for form in (".csv", ".parquet")))
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LOCK = "select pg_advisory_xact_lock(hashtext('network.activations'))"


class FeedRecord(Struct, frozen=True):
    """A published version of the network. notices: what was doubtful in it when it was published."""

    feed_id: str
    name: str
    version: str
    currency: str
    sha256: str
    nodes: int
    departures: int
    notices: list[Notice]
    metadata: dict[str, str]
    published_at: datetime
    published_by: str
    active: bool


class Activation(Struct, frozen=True):
    """From when a feed counted, and by which act: activate or rollback."""

    feed_id: str
    at: datetime
    by_party: str
    why: str


def pack(path: Path) -> bytes:
    """A feed's folder as a .zip of its files, the same bytes for the same files; a .zip as it is.

    Raises InvalidInput when there is nothing to read, or more than 256 MiB of it.
    """
    if path.is_dir():
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in _FILES:
                if irregular(path / name) is None:
                    archive.writestr(zipfile.ZipInfo(name, _EPOCH), (path / name).read_bytes(), zipfile.ZIP_DEFLATED)
        content = packed.getvalue()
    elif why := irregular(path):
        raise InvalidInput("networks.unreadable", f"{path} {why}.", "name the folder or .zip of a network feed")
    else:
        content = path.read_bytes()
    if len(content) > MOST_BYTES:
        raise InvalidInput(
            "networks.too_large", f"{path} has {len(content)} bytes packed.", f"publish {MOST_BYTES} bytes at most"
        )
    return content


def unpack(content: bytes) -> Feed:
    """The feed in a .zip. Raises InvalidInput, with every notice, when it is none."""
    with tempfile.NamedTemporaryFile(prefix="rookery-feed-", suffix=".zip") as file:
        file.write(content)
        file.flush()
        try:
            return read_feed(file.name)
        except InvalidInput as fault:
            # the path is ours and says nothing to whoever sent the feed
            what = fault.what.replace(file.name, "The archive")
            notices = [
                msgspec.structs.replace(n, file="feed.zip" if n.file == Path(file.name).name else n.file)
                for n in fault.notices
            ]
            raise InvalidInput(fault.code, what, fault.action, notices) from None


def add_feed(
    conn: psycopg.Connection, feed_id: str, content: bytes, feed: Feed, notices: Sequence[Notice], now: datetime,
    by: str, metadata: dict[str, str],
) -> str:  # fmt: skip
    """Keep a feed; returns its id, which is that of an earlier one with the same contents if there is one."""
    conn.execute(
        "insert into network.feeds (feed_id, name, version, currency, sha256, archive, nodes, departures, notices,"
        " metadata, published_at, published_by) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (sha256) do nothing",
        (
            feed_id, feed.info.name, feed.info.version, feed.info.currency, feed.sha256, content, feed.nodes.height,
            feed.departures.height, jsonb(list(notices)), Jsonb(metadata), now, by,
        ),
    )  # fmt: skip
    row = conn.execute("select feed_id from network.feeds where sha256 = %s", (feed.sha256,)).fetchone()
    assert row is not None
    return row[0]


def list_feeds(conn: psycopg.Connection, test: bool, before: str = "", limit: int = 1000) -> list[FeedRecord]:
    """Feeds, the newest first; those before an id when one is given. test: whose activations are told."""
    return _records(conn, test, "f.feed_id < %(before)s or %(before)s = ''", {"before": before, "limit": limit})


def get_feed(conn: psycopg.Connection, feed_id: str, test: bool) -> FeedRecord:
    """One feed. Raises NotFound."""
    found = _records(conn, test, "f.feed_id = %(feed_id)s", {"feed_id": feed_id, "limit": 1})
    if not found:
        raise NotFound("network.none", f"There is no feed {feed_id}.", "list the feeds: rookery network list")
    return found[0]


def _records(conn: psycopg.Connection, test: bool, where: str, values: dict[str, object]) -> list[FeedRecord]:
    query = (
        "select f.feed_id, f.name, f.version, f.currency, f.sha256, f.nodes, f.departures, f.notices, f.metadata,"
        " f.published_at, f.published_by, f.feed_id is not distinct from (select a.feed_id from network.activations a"
        "   where a.test = %(test)s order by a.activation_id desc limit 1) as active"
        f" from network.feeds f where {where} order by f.feed_id desc limit %(limit)s"
    )
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query.encode(), {**values, "test": test}).fetchall()
    return msgspec.convert(rows, list[FeedRecord])


def find_active(conn: psycopg.Connection, test: bool) -> FeedRecord | None:
    """The feed that counts now for live or test, if there is one."""
    row = conn.execute(
        "select feed_id from network.activations where test = %s order by activation_id desc limit 1", (test,)
    ).fetchone()
    return get_feed(conn, row[0], test) if row else None


def active_feed(conn: psycopg.Connection, test: bool) -> FeedRecord:
    """The feed that counts now for live or test. Raises NotFound when none does."""
    found = find_active(conn, test)
    if found is None:
        which = "test" if test else "live"
        raise NotFound(
            "network.none_active", f"No network is active for {which} yet.",
            "publish one and activate it: rookery network publish FOLDER --activate" + (" --test" if test else ""),
        )  # fmt: skip
    return found


def activations(conn: psycopg.Connection, test: bool) -> list[Activation]:
    """Which feed counted from when, the first one first; until the transaction ends nobody else adds a line."""
    conn.execute(_LOCK)
    with conn.cursor(row_factory=class_row(Activation)) as cursor:
        return cursor.execute(
            "select feed_id, at, by_party, why from network.activations where test = %s order by activation_id", (test,)
        ).fetchall()


def was_active_before(lines: Sequence[Activation]) -> str:
    """Where a rollback leads: the feed that was active before the one that is, rollbacks made since counted.

    Raises Conflict when there is none.
    """
    stack: list[str] = []
    for line in lines:
        if line.why == "rollback":
            stack.pop()
        else:
            stack.append(line.feed_id)
    if len(stack) < 2:
        raise Conflict(
            "network.nothing_before",
            "No other network was active before this one.",
            "activate the one you want by its id",
        )
    return stack[-2]


def add_activation(conn: psycopg.Connection, feed_id: str, test: bool, now: datetime, by: str, why: str) -> None:
    """From now on this feed counts. why: activate | rollback."""
    conn.execute(
        "insert into network.activations (feed_id, test, at, by_party, why) values (%s, %s, %s, %s, %s)",
        (feed_id, test, now, by, why),
    )


def load_feed(conn: psycopg.Connection, feed_id: str) -> Feed:
    """The feed itself, read anew from its archive. Raises NotFound."""
    row = conn.execute("select archive from network.feeds where feed_id = %s", (feed_id,)).fetchone()
    if row is None:
        raise NotFound("network.none", f"There is no feed {feed_id}.", "list the feeds: rookery network list")
    return unpack(row[0])


class Feeds:
    """Feeds in memory, the ones used last: a process-wide part. A feed's id stands for the same contents for ever."""

    def __init__(self, most: int = 4):
        self._most, self._kept, self._lock = most, OrderedDict[str, Feed](), threading.Lock()

    def get(self, conn: psycopg.Connection, feed_id: str) -> Feed:
        """A feed, read from the database when it is not here. Raises NotFound."""
        with self._lock:
            if feed_id in self._kept:
                self._kept.move_to_end(feed_id)
                return self._kept[feed_id]
        feed = load_feed(conn, feed_id)
        with self._lock:
            self._kept[feed_id] = feed
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return feed
