"""Events that lie in files no longer than in PostgreSQL, found again by the things they name and by their marks.

Read as the system. What is archived does not change; what is noted of it (tracking.archived) is read anew when it did.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets
from rookery.terms.errors import Unavailable
from rookery.tracking import archive_files as files
from rookery.tracking.archive_files import AT, Kind
from rookery.tracking.store import count_no_more

Found = TypeVar("Found")
FRESH = timedelta(days=28)
"""What happened since then is archived by nobody: at least the month before the present one is kept."""
LOCK = 0x61726368  # "arch": held by whoever archives a month, shared by whoever keeps an event that old
INSTANT: pl.Expr = pl.col("event_at").str.to_datetime(time_unit="us", time_zone="UTC")  # of a batch
EVERY: pl.Expr = pl.lit(True)
MARKS = {"mark": pl.Binary, "event_at": AT}


@dataclass(frozen=True)
class Held:
    """One file as noted."""

    month: date
    name: str
    kind: Kind
    first: str
    last: str


@dataclass(frozen=True)
class Holding:
    """All files as noted, after so many changes."""

    changes: int
    files: tuple[Held, ...]

    @property
    def until(self) -> datetime | None:
        """What happened before then may be archived; None = nothing is."""
        if not self.files:
            return None
        newest = max(one.month for one in self.files)
        return datetime(newest.year + newest.month // 12, newest.month % 12 + 1, 1, tzinfo=UTC)


NOTHING = Holding(0, ())


class Archive:
    """The archive in a folder of its own (archive/tracking of the data folder); nothing is opened until it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen = NOTHING
        """What was archived when somebody last looked."""

    def holding(self, conn: psycopg.Connection) -> Holding:
        """What is archived now."""
        row = conn.execute("select changes from tracking.archive").fetchone()
        changes, seen = row[0] if row else 0, self.seen
        if changes != seen.changes:
            rows = conn.execute(
                "select month, name, kind, first_key, last_key from tracking.archived order by month, kind, first_key"
            ).fetchall()
            self.seen = seen = Holding(changes, tuple(Held(*row) for row in rows))
        return seen

    def steady(self, conn: psycopg.Connection, read: Callable[[Holding], Found]) -> Found:
        """What `read` makes of what is archived and of PostgreSQL; read again where a month went from one to the other
        meanwhile. Costs one look where nothing did.
        """
        while True:
            held = self.seen
            try:
                found = read(held)
            except Unavailable:  # a file that was put back is gone
                if self.holding(conn).changes == held.changes:
                    raise
                continue
            if self.holding(conn).changes == held.changes:
                return found

    def of_things(
        self, conn: psycopg.Connection, held: Holding, things: Sequence[str], test: bool, only: pl.Expr = EVERY
    ) -> pl.DataFrame:
        """What archived events say of things: a file's columns of epcs, with what was withdrawn since as such.

        only: which of these rows, of what the file itself tells.
        """
        wanted = sorted(set(things))
        found = [pl.DataFrame(schema=files.schema_of("epcs"))]
        for one in held.files:
            here = wanted[bisect_left(wanted, one.first) : bisect_right(wanted, one.last)]
            if here and one.kind == "epcs":
                within = pl.col("epc").is_between(pl.lit(here[0]), pl.lit(here[-1])) & pl.col("epc").is_in(here)
                found.append(files.read(self._path(one), "epcs", within & (pl.col("test") == test) & only))
        rows = pl.concat(found)
        gone = self._declared(conn, rows.select(*MARKS).unique())
        if gone.is_empty():
            return rows
        return (
            rows.join(gone.with_columns(gone=pl.lit(True)), on=[*MARKS], how="left")
            .with_columns(withdrawn=pl.col("withdrawn") | pl.col("gone").fill_null(False))
            .drop("gone")
        )

    def events(self, held: Holding, marks: pl.DataFrame) -> pl.DataFrame:
        """The archived events with these marks (columns MARKS): a file's columns of events."""
        found = [pl.DataFrame(schema=files.schema_of("events"))]
        marks = marks.select(*MARKS).drop_nulls().unique()
        asked = marks.with_columns(month=pl.col("event_at").dt.date().dt.month_start()).group_by("month").agg("mark")
        for month, wanted in asked.iter_rows():
            wanted = sorted(wanted)
            for one in held.files:
                if one.kind == "events" and one.month == month:
                    here = [mark for mark in wanted if one.first <= mark.hex() <= one.last]
                    if here:
                        mark = pl.col("mark")
                        within = (mark >= pl.lit(here[0])) & (mark <= pl.lit(here[-1])) & mark.is_in(here)
                        found.append(files.read(self._path(one), "events", within))
        return pl.concat(found).join(marks, on=[*MARKS], how="semi")

    def known(self, conn: psycopg.Connection, events: pl.DataFrame, now: datetime) -> list[int]:
        """Those of events about to be kept (columns of a batch) that are archived: their `i`.

        Until the transaction ends nobody archives a month in which some of them may lie.
        """
        old = events.select("i", "mark", "declared_at", event_at=INSTANT).filter(pl.col("event_at") < now - FRESH)
        if old.is_empty():
            return []
        conn.execute("select pg_advisory_xact_lock_shared(%s)", (LOCK,))
        held = self.holding(conn)
        if not held.files:
            return []
        kept = self.events(held, old).select(*MARKS, declared=pl.col("declared_at"))
        none = pl.when(pl.col("declared_at") != "-infinity").then("declared_at")
        ours = old.with_columns(declared=none.str.to_datetime(time_unit="us", time_zone="UTC"))
        return ours.join(kept, on=[*MARKS, "declared"], how="semi", nulls_equal=True)["i"].to_list()

    def withdraw(self, conn: psycopg.Connection, events: pl.DataFrame, now: datetime) -> list[str]:
        """New events (columns of a batch) that an archived declaration says did not occur move nothing any more.

        Returns the things they name.
        """
        old = events.filter(INSTANT.lt(now - FRESH))
        if old.is_empty() or not self.holding(conn).files:
            return []
        rows, values = sets.source(old, {"mark": "bytea", "event_at": "timestamptz"})
        query = sql.SQL(
            "select v.event_no, v.event_at from {}"
            " join tracking.archived_declarations d on d.mark = given.mark and d.event_at = given.event_at"
            " join tracking.events v on v.mark = d.mark and v.event_at = d.event_at"
        ).format(rows)
        gone = conn.execute(query, values).fetchall()
        if not gone:
            return []
        return count_no_more(conn, gone)

    def _declared(self, conn: psycopg.Connection, marks: pl.DataFrame) -> pl.DataFrame:
        """Those of the marks that were declared not to have occurred, by whatever declaration."""
        if marks.is_empty():
            return marks
        rows, values = sets.source(marks, {"mark": "bytea", "event_at": "timestamptz"})
        query = sql.SQL(
            "select mark, event_at from {0} where exists (select from tracking.archived_declarations d"
            "   where d.mark = given.mark and d.event_at = given.event_at) or exists (select from tracking.events d"
            "   where d.mark = given.mark and d.event_at = given.event_at and d.declared_at > '-infinity')"
        ).format(rows)
        found: list[Any] = conn.execute(query, values).fetchall()
        return pl.DataFrame(found, schema=MARKS, orient="row")

    def _path(self, one: Held) -> Path:
        return self.folder / files.named(one.month) / one.name
