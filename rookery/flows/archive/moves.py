"""One month of tracking events written to files, and let go by PostgreSQL.

Nobody waits while it is written and compared: that is done in one state of the database (repeatable read), of which a
stamp is kept. Only then, for a moment and in one transaction, the month is held, found to be as it was, noted and
dropped. Captures of other months do not wait even for its being looked at, only while the partition is taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import polars as pl
import psycopg
from psycopg import errors as pg

from rookery.base.progress import Progress
from rookery.flows.archive.months import TABLES, Month, Place, one_row, partitions, places_of
from rookery.terms.errors import Conflict, Unavailable
from rookery.tracking import archive_files as files
from rookery.tracking.archive import LOCK
from rookery.tracking.archive_files import AT, COLUMNS, Content, Kind, Written, named

PAUSES: tuple[float, ...] = (1, 2, 4, 8, 15, 30)
"""Seconds between tries to hold a month that others hold: together as long as the longest statement of a server."""
_FETCHED = 10_000
_TRIES = 3
# Whoever comes after waits behind a lock that is waited for; and after a second (deadlock_timeout) PostgreSQL looks who
# waits for whom and ends one of them: it shall not be a capture.
_MOMENT = "400ms"
_STAMP = "count(*), coalesce(bit_xor(hashtidextended({}, {}::text::bigint)), 0)"
"""SQL for what tells one state of rows from any other: an insert, a change or a delete makes it another. A row that is
changed is another row version, at another place (ctid), of another transaction (xmin)."""
Stamp = tuple[int, int]


@dataclass(frozen=True)
class _Copied:
    """Files that hold what PostgreSQL held, and the stamp of each place then."""

    written: list[Written]
    stamps: Mapping[Kind, Stamp]


def archive(
    conn: psycopg.Connection,
    folder: Path,
    month: date,
    now: datetime,
    progress: Progress,
    wait: Callable[[float], object],
) -> Month:
    """A month into files, and out of PostgreSQL; what changes meanwhile is archived as it became.

    wait: called with seconds, after which it is tried again to hold it. Raises Conflict when it does not hold still,
    Unavailable when others hold it all the time; then it is where it was.
    """
    for _ in range(_TRIES):
        places = places_of(conn, month)
        copied = _copy(conn, folder / named(month), places, progress)
        if _let_go_at_last(conn, folder, places, copied, now, progress, wait):
            counts = {kind: sum(one.rows for one in copied.written if one.kind == kind) for kind in TABLES}
            size = sum(one.bytes for one in copied.written)
            return Month(named(month), counts["events"], counts["epcs"], size, len(copied.written), now)
        _discard(folder / named(month), copied.written)
    raise Conflict(
        "archive.changing",
        f"Events of {named(month)} change while they are archived; they are where they were.",
        "wait until nobody hands in events of that month, then the same command again: it goes on with that month",
    )


# written and compared, while everybody goes on


def _copy(conn: psycopg.Connection, folder: Path, places: Sequence[Place], progress: Progress) -> _Copied:
    """A month's rows as files that hold what PostgreSQL does, of one state of the database."""
    month = places[0].month
    written: list[Written] = []
    first = _next_number(conn, month)
    with conn.transaction():
        conn.execute("set transaction isolation level repeatable read read only")
        for place in places:
            stage = f"archive {named(month)}: {place.kind}"
            (total,) = one_row(conn, f"select count(*) from {place.rows}")
            done = 0
            progress(stage, done, total)
            for one in files.write(folder, place.kind, first, _rows(conn, places, place)):
                written.append(one)
                done += one.rows
                progress(stage, done, total)
        progress(f"archive {named(month)}: compare", 0, 1)
        for place in places:
            held = sum((one.content for one in written if one.kind == place.kind), Content())
            if Content(*map(int, one_row(conn, files.content_sql(place.kind, place.rows)))) != held:
                raise Conflict(
                    "archive.differs",
                    f"The files just written for {named(month)} do not hold what the database does; it was left alone.",
                    "have the disk of the data folder examined, then the same command again",
                )
        stamps: dict[Kind, Stamp] = {place.kind: _stamp(conn, place) for place in places}
    progress(f"archive {named(month)}: compare", 1, 1)
    return _Copied(written, stamps)


def _rows(conn: psycopg.Connection, places: Sequence[Place], place: Place) -> Iterator[pl.DataFrame]:
    """A month's rows in the order of their key, some thousands at a time."""
    outs = {
        "timestamptz": "(extract(epoch from nullif({}, '-infinity')) * 1000000)::bigint",
        "jsonb": "{}::text", "tracking.status": "{}::text",
    }  # fmt: skip
    wanted = [outs.get(kind, "{}").format(f"t.{name}") for name, kind in COLUMNS[place.kind].items()]
    source, order = f"(select * from {place.rows}) t", "t.mark, t.declared_at"
    if place.kind == "epcs":
        events = next(one.table for one in places if one.kind == "events")
        source += f" left join {events} e on e.event_no = t.event_no and e.event_at = t.event_at"
        wanted += ["e.mark", "coalesce(e.biz_location, e.read_point)"]
        order = "t.epc, t.event_at, t.event_no"
    schema = files.schema_of(place.kind)
    plain = {name: pl.Int64 if kind == AT else kind for name, kind in schema.items()}
    with conn.cursor(name="archive") as cursor:
        cursor.execute(f"select {', '.join(wanted)} from {source} order by {order}".encode())
        while rows := cursor.fetchmany(_FETCHED):
            yield pl.DataFrame(rows, schema=plain, orient="row").cast(schema)  # type: ignore[arg-type]


def _stamp(conn: psycopg.Connection, place: Place) -> Stamp:
    return one_row(conn, f"select {_STAMP.format('t.ctid', 't.xmin')} from {place.rows}")


# let go, for which others wait a moment


def _let_go_at_last(
    conn: psycopg.Connection,
    folder: Path,
    places: Sequence[Place],
    copied: _Copied,
    now: datetime,
    progress: Progress,
    wait: Callable[[float], object],
) -> bool:
    """`_let_go`, tried again after growing pauses while others hold the month."""
    month = places[0].month
    for pause in (*PAUSES, None):
        try:
            return _let_go(conn, places, copied, now, progress)
        except (pg.LockNotAvailable, pg.DeadlockDetected) as fault:
            if pause is None:
                _discard(folder / named(month), copied.written)
                raise Unavailable(
                    "archive.busy",
                    f"Others held the events of {named(month)} (tracking.events, tracking.event_epcs) in each of"
                    f" {len(PAUSES) + 1} tries; they are where they were.",
                    "wait, or end long queries of these tables, then the same command again: it goes on from there",
                    60,
                ) from fault
            wait(pause)
    raise AssertionError


def _let_go(
    conn: psycopg.Connection, places: Sequence[Place], copied: _Copied, now: datetime, progress: Progress
) -> bool:
    """Note a month's files and let its rows go, if these are as they were when they were copied; whether they were."""
    month = places[0].month
    stage = f"archive {named(month)}: move"
    own = [place for place in places if place.own]
    done = False
    with conn.transaction() as whole:
        for place in own:  # PostgreSQL's own cleaning of these ends, and begins no more; nobody else waits for that
            for table, begins in partitions(conn, place.kind).items():
                if begins in (None, month):
                    conn.execute(f"lock table {table} in share update exclusive mode".encode())
        events = next(place for place in places if place.kind == "events")
        conn.execute(
            "insert into tracking.archived_declarations select distinct mark, event_at"
            f" from {events.rows} and declared_at > '-infinity' on conflict do nothing".encode()
        )
        conn.execute(f"set local lock_timeout = '{_MOMENT}'".encode())
        hold(conn)
        for place in own:  # read on, but nobody writes here
            conn.execute(f"lock table {place.table} in share mode".encode())
        for place in places:
            now_there = _stamp(conn, place) if place.own else _deleted(conn, place)
            if now_there != copied.stamps[place.kind]:
                raise psycopg.Rollback(whole)
        _note(conn, month, copied.written, now)
        progress(stage, 0, 2)
        for place in own:  # whoever is in there ends, and nobody comes in: not for long, for everybody waits
            conn.execute(f"lock table only {TABLES[place.kind]} in access exclusive mode".encode())
        for place in own:
            conn.execute(f"alter table {TABLES[place.kind]} detach partition {place.table}".encode())
            conn.execute(f"drop table {place.table}".encode())
        progress(stage, 1, 2)
        done = True
    if not done:
        return False
    progress(stage, 2, 2)
    return True


def hold(conn: psycopg.Connection) -> None:
    """Whoever keeps old events has ended, and waits from now on until the transaction ends."""
    conn.execute("select pg_advisory_xact_lock(%s)", (LOCK,))


def _deleted(conn: psycopg.Connection, place: Place) -> Stamp:
    """Delete a month's rows from among others; the stamp of those that went, as they were when they went."""
    gone = f"delete from {place.rows} returning t.ctid, t.xmin"
    return one_row(conn, f"with gone (place, made_by) as ({gone}) select {_STAMP.format('place', 'made_by')} from gone")


def _note(conn: psycopg.Connection, month: date, written: Sequence[Written], now: datetime) -> None:
    conn.execute("update tracking.archive set changes = changes + 1")
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into tracking.archived (month, name, kind, rows, bytes, sha256, content, first_key, last_key,"
            " archived_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [(month, o.name, o.kind, o.rows, o.bytes, o.sha256, str(o.content), o.first, o.last, now) for o in written],
        )


def _discard(folder: Path, written: Sequence[Written]) -> None:
    """Files of which it is certain that they were not noted."""
    for one in written:
        (folder / one.name).unlink()


def _next_number(conn: psycopg.Connection, month: date) -> int:
    row = conn.execute(
        "select coalesce(max(split_part(name, '-', 1)::integer), 0) + 1 from tracking.archived where month = %s",
        (month,),
    ).fetchone()
    return row[0] if row else 1
