"""History put by COPY into the real tables with all their indexes, a chunk at a time: memory does not grow with it."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
import psycopg
from psycopg import sql

from benchmarks.tracking.history import PER_GROUP, chunk
from benchmarks.tracking.life import SPAN_H
from benchmarks.tracking.parcels import GROUP, World, book, put
from rookery.base.db.partitions import tend

DAYS = 120
"""Of history, until now."""
CHUNK = 1_000
"""Groups made at once."""
TABLES = ("tracking.events", "tracking.event_epcs", "tracking.containment", "tracking.parcels")


@dataclass(frozen=True)
class Seeded:
    """What is there by now: groups of twenty parcels with all their events, since when, how long the last part took."""

    since: datetime
    groups: int = 0
    seconds: float = 0.0

    @property
    def events(self) -> int:
        """All events put."""
        return self.groups * PER_GROUP

    @property
    def parcels(self) -> int:
        """All parcels booked; they are numbered from 0."""
        return self.groups * GROUP


def seed(conns: tuple[psycopg.Connection, psycopg.Connection], world: World, before: Seeded, events: int) -> Seeded:
    """Adds history until there are about `events`, spread over the same days as what is there already.

    conns: which row-level security does not bind. The tables are vacuumed and analysed in the end, as they are by
    themselves sooner or later.
    """
    first, groups = before.groups, max(1, round(events / PER_GROUP)) - before.groups
    began = time.perf_counter()
    for month in range(0, DAYS + 28, 28):
        tend(conns[0], before.since + timedelta(days=month))
    conns[0].commit()
    span = timedelta(days=DAYS, hours=-SPAN_H)
    pending: list[Future[None]] = []
    with ThreadPoolExecutor(2) as pool:
        for at in range(0, groups, CHUNK):
            many = min(CHUNK, groups - at)
            frames = chunk(world, first + at, many, before.since + span * (at / groups), span * (many / groups))
            for done in pending:
                done.result()
            events_rows = {TABLES[0]: frames.pop(TABLES[0])}
            pending = [pool.submit(_put, conn, some) for conn, some in zip(conns, (events_rows, frames))]
        for done in pending:
            done.result()
    book(conns[0], world, first * GROUP, groups * GROUP, before.since)
    whole = Seeded(before.since, first + groups, time.perf_counter() - began)
    conns[0].execute("select setval(pg_get_serial_sequence('tracking.events', 'event_no'), %s)", (whole.events,))
    conns[0].commit()
    _tidy(conns[0])
    return whole


def size_of(conn: psycopg.Connection) -> dict[str, int]:
    """Bytes on disk by table, with its indexes and partitions."""
    query = (
        "select coalesce(sum(pg_total_relation_size(relid)), pg_total_relation_size(%(table)s::regclass))::bigint"
        " from pg_partition_tree(%(table)s::regclass) where isleaf"
    )
    found = {}
    for table in TABLES:
        row = conn.execute(query, {"table": table}).fetchone()
        found[table] = int(row[0]) if row else 0
    conn.commit()
    return found


def _put(conn: psycopg.Connection, frames: dict[str, pl.DataFrame]) -> None:
    for table, frame in frames.items():
        put(conn, table, frame)
    conn.commit()


def _tidy(conn: psycopg.Connection) -> None:
    conn.autocommit = True
    for table in (*TABLES, "orders.orders", "orders.shipments", "orders.parcels", "orders.parcel_party",
                  "planning.legs"):  # fmt: skip
        conn.execute(sql.SQL("vacuum (analyze) {}").format(sql.Identifier(*table.split("."))))
    conn.execute("checkpoint")  # what bulk left to be written is not on the clock of who asks afterwards
    conn.autocommit = False
