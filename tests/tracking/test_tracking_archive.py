"""Rows of events as files: every column, the same content on both sides, and few rows read for one thing."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.base import sets
from rookery.base.db import Database
from rookery.terms.errors import Unavailable
from rookery.tracking import archive_files as files
from rookery.tracking.archive import Archive, Held, Holding
from rookery.tracking.archive_files import COLUMNS, KEYS, OF_EVENT

TABLES = {"events": "tracking.events", "epcs": "tracking.event_epcs"}
TEXTS = st.one_of(st.none(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8))
INSTANTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), timezones=st.just(UTC))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "timestamptz": INSTANTS, "bigint": st.integers(-(2**62), 2**62), "integer": st.integers(0, 2**31 - 1),
    "smallint": st.integers(0, 9), "boolean": st.booleans(), "bytea": st.binary(min_size=1, max_size=32), "text": TEXTS,
    "tracking.status": st.sampled_from([None, "in_transit", "delivered"]), "jsonb": st.just('{"a": ["\\u0001", 1.50]}'),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["events", "epcs"])
def test_every_column_of_the_tables_is_archived(database: Database, kind: files.Kind):
    """A column that a later migration adds must be archived, too: nothing of an event is lost."""
    with database.owner() as conn:
        rows = conn.execute(
            "select attname, format_type(atttypid, null) from pg_attribute where attrelid = %s::regclass and attnum > 0"
            " and not attisdropped order by attnum", (TABLES[kind],),
        ).fetchall()  # fmt: skip
    told = {name: name_of.replace("timestamp with time zone", "timestamptz") for name, name_of in rows}
    assert told == dict(COLUMNS[kind])


def rows_of(kind: files.Kind) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    row = st.tuples(*(VALUES[told] for told in {**COLUMNS[kind], **(OF_EVENT if kind == "epcs" else {})}.values()))
    return st.lists(row, min_size=1, max_size=5)


KINDS: tuple[files.Kind, ...] = ("events", "epcs")


@given(st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), rows_of(kind))))
@settings(max_examples=40, deadline=None)
def test_content_is_the_same_in_the_database_and_in_a_file(database: Database, told: tuple[files.Kind, list[Any]]):
    """Whatever texts, instants and gaps stand in rows, both sides come to one content; another row, to another."""
    kind, rows = told
    frame = pl.DataFrame(rows, schema=files.schema_of(kind), orient="row")
    plain = frame.select(*COLUMNS[kind])
    with database.owner() as conn:
        conn.execute("set timezone = 'Asia/Kolkata'")
        given_rows, values = sets.source(plain, COLUMNS[kind], "t")
        query = files.content_sql(kind, given_rows.as_string(conn))
        row = conn.execute(query.encode(), values).fetchone()
    assert row is not None
    content = files.content_of(kind, frame)
    assert files.Content(*map(int, row)) == content
    assert files.content_of(kind, frame.reverse()) == content
    other = frame.with_columns(pl.col("event_no") + 1)
    assert files.content_of(kind, other) != content


def test_files_of_an_earlier_release_are_read(tmp_path: Path):
    """A file that lacks a column which came later holds null there, and its content is still what was noted of it."""
    schema = files.schema_of("events")
    row = dict.fromkeys(schema) | {"event_no": 7, "event_at": datetime(2026, 3, 5, tzinfo=UTC), "mark": b"m" * 16}
    frame = pl.DataFrame([row], schema=schema)
    frame.drop(files.LATER).write_parquet(tmp_path / "1-events.parquet")
    back = files.read(tmp_path / "1-events.parquet", "events")
    assert back.equals(frame)
    text = chr(31).join(
        {"event_no": "7", "event_at": "1772668800000000", "mark": "6d" * 16}.get(name, chr(30))
        for name in schema if name not in files.LATER
    )  # fmt: skip
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    assert files.content_of("events", back) == files.Content(1, int(digest[:15], 16), int(digest[-15:], 16))


def epcs(count: int) -> pl.DataFrame:
    at = datetime(2026, 3, 5, tzinfo=UTC)
    epc = pl.format("epc{}", pl.col("event_no").cast(pl.String).str.zfill(7))
    return pl.DataFrame({"event_no": range(count)}).select(
        "event_no", role=0, place=0, event_at=pl.lit(at), epc=epc,
        as_sent=None, parent=None, action=pl.lit("OBSERVE"), status=None, detail=None, party_id=pl.lit("p"), standing=1,
        withdrawn=False, doubt=False, parcel_id=None, owner_id=None, test=False, mark=pl.lit(b"m"), location=None,
    ).cast(files.schema_of("epcs"))  # type: ignore[arg-type]  # fmt: skip


def test_rows_are_portioned_into_sorted_files(tmp_path: Path, monkeypatch):
    """Files follow one another in the order of their key, each told with its bounds, hash and content."""
    monkeypatch.setattr(files, "FILE_ROWS", 2000)
    frame = epcs(5000)
    folder = tmp_path / "archive" / "tracking" / "2026-03"
    written = list(files.write(folder, "epcs", 4, frame.iter_slices(700)))
    assert [one.name for one in written] == ["4-epcs.parquet", "5-epcs.parquet", "6-epcs.parquet"]
    assert [one.rows for one in written] == [2100, 2100, 800]
    assert [one.first for one in written] == ["epc0000000", "epc0002100", "epc0004200"]
    assert all(one.last < after.first for one, after in pairwise(written))
    for one in written:
        content = (folder / one.name).read_bytes()
        assert (one.sha256, one.bytes) == (hashlib.sha256(content).digest(), len(content))
    assert sum((one.content for one in written), files.Content()) == files.content_of("epcs", frame)
    assert pl.concat([files.read(folder / one.name, "epcs") for one in written]).equals(frame)
    assert KEYS["epcs"] == "epc"


def test_things_are_found_in_the_files_that_may_hold_them(fresh_database: Database, tmp_path: Path, monkeypatch):
    """A thing is found in whatever file it lies; a file whose bounds it is beyond is not even opened."""
    monkeypatch.setattr(files, "FILE_ROWS", 2000)
    folder = tmp_path / "archive" / "tracking"
    written = list(files.write(folder / "2026-03", "epcs", 1, epcs(5000).iter_slices(1000)))
    held = Holding(3, tuple(Held(date(2026, 3, 1), one.name, "epcs", one.first, one.last) for one in written))
    (folder / "2026-03" / written[2].name).unlink()
    with fresh_database.owner() as conn:
        found = Archive(folder).of_things(conn, held, ["epc0000007", "epc0003999", "epc0002000", "none"], False)
        assert found["epc"].to_list() == ["epc0000007", "epc0002000", "epc0003999"]
        assert Archive(folder).of_things(conn, held, ["epc0000007"], True).is_empty()
        with pytest.raises(Unavailable):
            Archive(folder).of_things(conn, held, ["epc0004500"], False)


def test_until_when_something_may_be_archived():
    """The end of the newest archived month, at the turn of the year too; nothing is archived, nothing is old."""
    assert Holding(0, ()).until is None
    held = tuple(Held(month, "1-epcs.parquet", "epcs", "", "") for month in (date(2025, 12, 1), date(2024, 2, 1)))
    assert Holding(2, held).until == datetime(2025, 12, 31, tzinfo=UTC) + timedelta(days=1)
