"""Feed versions: what is active, what was before, and feeds as they come back from the database."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rookery.base.db import Database
from rookery.network import read_feed, sample_network
from rookery.network.store import Activation, Feeds, add_feed, load_feed, pack, unpack, was_active_before
from rookery.terms.errors import Conflict, InvalidInput, NotFound
from rookery.terms.frames import FEED

NOW = datetime(2026, 3, 2, tzinfo=UTC)
OPERATOR = ("pty_ops", frozenset({"operator"}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_network("tiny", 7, tmp_path_factory.mktemp("feeds") / "tiny")


def lines(text: str) -> list[Activation]:
    """Of "a b <" the lines: a activated, b activated, rolled back to the one before."""
    made: list[Activation] = []
    for word in text.split():
        feed = was_active_before(made) if word == "<" else word
        made.append(Activation(feed, NOW, "pty_ops", "rollback" if word == "<" else "activate"))
    return made


@pytest.mark.parametrize(
    ("history", "back_to"),
    [("a b", "a"), ("a b c", "b"), ("a b c <", "a"), ("a b < c", "a"), ("a b a", "b"), ("a b c < < d", "a")],
)
def test_a_rollback_leads_to_what_was_active_before(history: str, back_to: str) -> None:
    """Twice goes further back; what was rolled back is not come back to."""
    assert was_active_before(lines(history)) == back_to


@pytest.mark.parametrize("history", ["", "a", "a b <"])
def test_with_nothing_before_there_is_no_way_back(history: str) -> None:
    """The first network that was active is the last a rollback leads to."""
    with pytest.raises(Conflict, match="activate the one you want"):
        was_active_before(lines(history))


def test_a_feed_comes_back_from_the_database_as_it_went_in(database: Database, folder: Path) -> None:
    """Every frame is the same after packing, keeping and reading, and so is what the feed is told apart by."""
    before, content = read_feed(folder), pack(folder)
    assert pack(folder) == content
    with database.transaction(*OPERATOR) as conn:
        feed_id = add_feed(conn, "fed_roundtrip", content, before, (), NOW, "pty_ops", {})
        after = load_feed(conn, feed_id)
    assert after.sha256 == before.sha256 and after.info == before.info
    for name in FEED:
        assert getattr(after, name).equals(getattr(before, name)), name


def test_feeds_in_memory_are_bounded_and_read_once(database: Database, folder: Path) -> None:
    """The same object is given while it is kept; an unknown id is not found."""
    with database.transaction(*OPERATOR) as conn:
        feed_id = add_feed(conn, "fed_memory", pack(folder), read_feed(folder), (), NOW, "pty_ops", {})
        feeds = Feeds(most=1)
        first = feeds.get(conn, feed_id)
        assert feeds.get(conn, feed_id) is first
        with pytest.raises(NotFound):
            feeds.get(conn, "fed_none")


def test_what_is_no_archive_is_refused_without_naming_our_files() -> None:
    """Bytes that are no .zip, none at all, and paths that climb out: refused with notices, no path of ours told."""
    stray = io.BytesIO()
    with zipfile.ZipFile(stray, "w") as archive:
        archive.writestr("../../etc/feed.json", "{}")
    for content in (b"", b"PK no", stray.getvalue()):
        with pytest.raises(InvalidInput) as refused:
            unpack(content)
        told = f"{refused.value} {refused.value.notices}"
        assert "/tmp" not in told and "rookery-feed-" not in told
        assert refused.value.notices


def test_an_archive_that_unpacks_without_end_is_refused() -> None:
    """A few kilobytes that become gigabytes are not unpacked to the end."""
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nodes.csv", b"\0" * (80 << 20))
    with pytest.raises(InvalidInput) as refused:
        unpack(bomb.getvalue())
    assert "zip_too_large" in {notice.code for notice in refused.value.notices}
