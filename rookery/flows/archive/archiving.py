"""Months of tracking events from PostgreSQL to files and back.

Killed at any moment, nothing is lost and nothing is twice: a file counts when it is noted, and it is noted in the
transaction in which its events go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date
from pathlib import Path

import polars as pl
import psycopg
from msgspec import Struct
from psycopg import sql

from rookery.base import sets
from rookery.base.clock import Clock
from rookery.base.db import Database
from rookery.base.progress import Progress, silent
from rookery.flows.archive.months import KINDS, Month, Place, measured, months_with_rows, places_of, plus, span_of
from rookery.flows.archive.moves import archive, hold
from rookery.terms.errors import Conflict, NotFound, Unavailable
from rookery.tracking import archive_files as files
from rookery.tracking.archive import LOCK
from rookery.tracking.archive_files import COLUMNS, named

_ONE_AT_A_TIME = LOCK + 1
_PUT_BACK = 20_000  # rows that are inserted at once
_AGAIN = "the same command again: what was done stays done, and it goes on from there"


class Wrong(Struct, frozen=True):
    """A file of the archive that is not as it was noted. what: "missing", "changed" or "unknown" (no note of it)."""

    file: str
    what: str


def waiting(database: Database, clock: Clock, keep_months: int) -> list[Month]:
    """What `run` would archive: months that ended more than `keep_months` (1 or more) months ago.

    bytes: in PostgreSQL, without indexes.
    """
    with _owner(database) as conn:
        return [measured(conn, month) for month in months_with_rows(conn, _until(clock, keep_months))]


def run(
    database: Database,
    clock: Clock,
    folder: Path,
    keep_months: int,
    progress: Progress = silent,
    wait: Callable[[float], object] = time.sleep,
) -> list[Month]:
    """Archive every month that ended more than `keep_months` (1 or more) months ago; returns them, bytes in files.

    folder: archive/tracking of the data folder. A month in which late events came is archived again, beside what is
    archived of it. wait: called with seconds, after which a month that others hold is tried again. Raises Conflict when
    another run is under way or a month does not hold still, Unavailable when others hold it all the time.
    """
    with _alone(database) as conn:
        _sweep(conn, folder)
        months = months_with_rows(conn, _until(clock, keep_months))
        done = [archive(conn, folder, month, clock.now(), progress, wait) for month in months]
        return [month for month in done if month.files]


def listed(database: Database) -> list[Month]:
    """The archived months; bytes in files, archived_at of the last run that added to it."""
    with _owner(database) as conn:
        rows = conn.execute(
            "select to_char(month, 'YYYY-MM'), coalesce(sum(rows) filter (where kind = 'events'), 0)::bigint,"
            " coalesce(sum(rows) filter (where kind = 'epcs'), 0)::bigint, sum(bytes)::bigint, count(*),"
            " max(archived_at) from tracking.archived group by month order by month"
        ).fetchall()
    return [Month(*row) for row in rows]


def verify(database: Database, folder: Path, progress: Progress = silent) -> list[Wrong]:
    """Files that are missing, are other than they were written, or are no part of the archive."""
    with _owner(database) as conn:
        noted = {
            f"{named(month)}/{name}": (bytes(sha256), size)
            for month, name, sha256, size in conn.execute("select month, name, sha256, bytes from tracking.archived")
        }
    wrong: list[Wrong] = []
    for done, (name, told) in enumerate(sorted(noted.items())):
        progress("archive: verify", done, len(noted))
        if not (folder / name).is_file():
            wrong.append(Wrong(name, "missing"))
        elif files.digest_of(folder / name) != told:
            wrong.append(Wrong(name, "changed"))
    progress("archive: verify", len(noted), len(noted))
    return wrong + [Wrong(name, "unknown") for name in sorted(_there(folder) - set(noted))]


def restore(database: Database, folder: Path, month: date, progress: Progress = silent) -> Month:
    """Put an archived month's events back into PostgreSQL, and drop its files.

    Raises NotFound when it is not archived, Conflict when a file is not as it was noted: nothing was changed then.
    """
    stage = f"archive {named(month)}: restore"
    with _alone(database) as conn:
        noted = conn.execute(
            "select name, kind, rows, bytes, sha256, content from tracking.archived where month = %s"
            " order by kind desc, first_key",
            (month,),
        ).fetchall()
        if not noted:
            raise NotFound("archive.none", f"The month {named(month)} is not archived.", "rookery archive list")
        total = sum(row[2] for row in noted)
        done = 0
        with conn.transaction():
            conn.execute("set local lock_timeout = '20s'")
            hold(conn)
            places = {place.kind: place for place in places_of(conn, month)}
            for name, kind, rows, size, sha256, content in noted:
                progress(stage, done, total)
                file = folder / named(month) / name
                if files.digest_of(file) != (bytes(sha256), size):
                    raise Conflict(
                        "archive.changed", f"The archived file {named(month)}/{name} is not as it was written.",
                        "bring the folder archive/tracking back from a copy, then: rookery archive verify",
                    )  # fmt: skip
                frame = files.read(file, kind)
                assert str(files.content_of(kind, frame)) == content
                _put_back(conn, places[kind], frame)
                done += rows
            conn.execute("update tracking.archive set changes = changes + 1")
            conn.execute("delete from tracking.archived where month = %s", (month,))
            conn.execute(
                "delete from tracking.archived_declarations where event_at >= %s and event_at < %s", span_of(month)
            )
            progress(stage, total, total)
        for name, *_ in noted:
            (folder / named(month) / name).unlink(missing_ok=True)
        counts = {kind: sum(row[2] for row in noted if row[1] == kind) for kind in KINDS}
        return Month(named(month), counts["events"], counts["epcs"], sum(row[3] for row in noted), len(noted))


def _put_back(conn: psycopg.Connection, place: Place, frame: pl.DataFrame) -> None:
    """Archived rows into their table, with the numbers they had."""
    types = COLUMNS[place.kind]
    if place.kind == "events":
        written = pl.col("declared_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00")
        frame = frame.with_columns(written.fill_null("-infinity"))
    for portion in frame.iter_slices(_PUT_BACK):
        rows, values = sets.source(portion, types)
        names = sql.SQL(", ").join(map(sql.Identifier, types))
        into = sql.SQL("insert into {} ({}) overriding system value select {} from {}").format(
            sql.Identifier(*place.table.split(".")), names, names, rows
        )
        conn.execute(into, values)


# around it


def _until(clock: Clock, keep_months: int) -> date:
    """What happened before then may go."""
    return plus(clock.now().astimezone(UTC).date().replace(day=1), -keep_months)


@contextmanager
def _owner(database: Database) -> Iterator[psycopg.Connection]:
    """The owner's connection, whose errors are told to somebody at a command line."""
    try:
        with database.owner() as conn:
            yield conn
    except Unavailable as fault:
        if not fault.code.startswith("database.") or fault.code == "database.disk_full":
            raise
        raise Unavailable(fault.code, fault.what, _AGAIN, fault.retry_after_s) from fault


@contextmanager
def _alone(database: Database) -> Iterator[psycopg.Connection]:
    """The owner's connection, where nobody else archives."""
    with _owner(database) as conn:
        if conn.execute("select pg_try_advisory_lock(%s)", (_ONE_AT_A_TIME,)).fetchone() != (True,):
            raise Conflict("archive.running", "Another `rookery archive` is at work.", "wait until it is done")
        conn.execute("set timezone = 'UTC'")
        try:
            yield conn
        finally:  # PostgreSQL notices a closed connection only a moment later
            if not conn.closed:
                conn.execute("select pg_advisory_unlock(%s)", (_ONE_AT_A_TIME,))


def _there(folder: Path) -> set[str]:
    """What lies in the archive's folders, as month/name."""
    return (
        {f"{file.parent.name}/{file.name}" for file in folder.glob("[0-9]*-[0-9][0-9]/*")} if folder.is_dir() else set()
    )


def _sweep(conn: psycopg.Connection, folder: Path) -> None:
    """Files without a note were left by a run that was ended: their events are in PostgreSQL."""
    noted = {f"{named(month)}/{name}" for month, name in conn.execute("select month, name from tracking.archived")}
    for name in _there(folder) - noted:
        if name.endswith(("-events.parquet", "-epcs.parquet", ".part")):
            (folder / name).unlink()
    for month in folder.glob("[0-9]*-[0-9][0-9]"):
        with suppress(OSError):
            month.rmdir()  # an empty one
