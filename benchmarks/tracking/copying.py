"""The limit of capture: every row that it wrote, put by COPY into fresh tables with the same indexes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rookery.base.db import MAIN, Cluster, upgrade
from rookery.base.db.partitions import tend

NAME = "bench_copy"
BY_EVENT = {
    "tracking.events": "event_no", "tracking.event_epcs": "event_no", "tracking.containment": "from_event",
    "tracking.parcels": "event_no", "tracking.unmapped": "event_no", "tracking.strays": "event_no",
}  # fmt: skip
"""Tables that capture writes, and the column that tells with which event a row came (of a state: the last)."""


@dataclass(frozen=True)
class Copied:
    """How long COPY took, in one transaction of all rows and in one for each batch of events; rows by table."""

    events: int
    whole_s: float
    batched_s: float
    rows: dict[str, int] = field(default_factory=dict)


def copy_of(cluster: Cluster, batch: int, since: datetime) -> Copied:
    """All that tracking holds, out of the database and into one of its own beside it in the same PostgreSQL; the copy
    is dropped in the end. since: the earliest event's month, from which on both have partitions.
    """
    maintain = cluster.urls().maintain
    options = "-c timezone=UTC"
    source = make_conninfo(maintain, dbname=MAIN, options=options)
    target = make_conninfo(maintain, dbname=NAME, options=options)
    _drop(maintain)
    with psycopg.connect(maintain, autocommit=True) as conn:
        conn.execute(sql.SQL("create database {} owner rookery").format(sql.Identifier(NAME)))
    try:
        upgrade(cluster.url(NAME))
        with psycopg.connect(source) as conn:
            events, last = _span(conn)
            whole = _taken(conn, 0, last)
            step = max(1, round(batch * last / max(1, events)))  # numbers are used up by what was not kept, too
            parts = [_taken(conn, at, min(at + step, last)) for at in range(0, last, step)]
        with psycopg.connect(target) as conn:
            for month in range(0, 62, 28):
                tend(conn, since + timedelta(days=month))
            conn.commit()
            _put(conn, whole)  # files grow for the first time
            _empty(conn)
            whole_s, rows = _put(conn, whole)
            _empty(conn)
            batched_s = sum(_put(conn, part)[0] for part in parts)
            copied, _ = _span(conn)
    finally:
        _drop(maintain)
    if copied != events:
        raise RuntimeError(f"of {events} events {copied} were copied")
    return Copied(events, whole_s, batched_s, rows)


Rows = dict[str, tuple[list[str], list[bytes]]]


def _drop(maintain: str) -> None:
    with psycopg.connect(maintain, autocommit=True) as conn:
        conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(NAME)))


def _span(conn: psycopg.Connection) -> tuple[int, int]:
    """(events, the highest number)"""
    row = conn.execute("select count(*), coalesce(max(event_no), 0) from tracking.events").fetchone()
    assert row is not None
    return row[0], row[1]


def _columns(conn: psycopg.Connection, table: str) -> list[str]:
    schema, name = table.split(".")
    query = (
        "select column_name from information_schema.columns where table_schema = %s and table_name = %s"
        " and is_generated = 'NEVER' order by ordinal_position"
    )
    return [row[0] for row in conn.execute(query, (schema, name))]


def _taken(conn: psycopg.Connection, after: int, until: int) -> Rows:
    """Rows of the events numbered so: more than `after`, up to `until`."""
    found: Rows = {}
    for table, number in BY_EVENT.items():
        columns = _columns(conn, table)
        text = sql.SQL(
            "copy (select {} from {} where {number} > {} and {number} <= {}) to stdout (format binary)"
        ).format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(*table.split(".")), sql.Literal(after),
            sql.Literal(until), number=sql.Identifier(number),
        )  # fmt: skip
        with conn.cursor() as cursor, cursor.copy(text) as copy:
            found[table] = columns, [bytes(part) for part in copy]
    return found


def _empty(conn: psycopg.Connection) -> None:
    conn.execute(sql.SQL("truncate {}").format(
        sql.SQL(", ").join(sql.Identifier(*table.split(".")) for table in BY_EVENT)
    ))  # fmt: skip
    conn.commit()


def _put(conn: psycopg.Connection, rows: Rows) -> tuple[float, dict[str, int]]:
    """(seconds of one transaction, rows by table)"""
    many: dict[str, int] = {}
    began = time.perf_counter()
    for table, (columns, parts) in rows.items():
        text = sql.SQL("copy {} ({}) from stdin (format binary)").format(
            sql.Identifier(*table.split(".")), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with conn.cursor() as cursor:
            with cursor.copy(text) as copy:
                for part in parts:
                    copy.write(part)
            many[table] = cursor.rowcount
    conn.commit()
    return time.perf_counter() - began, many
