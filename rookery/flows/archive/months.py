"""Months of tracking events in PostgreSQL: which there are, where their rows lie, and how much that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from msgspec import Struct

from rookery.tracking.archive_files import Kind, named

KINDS: tuple[Kind, ...] = ("events", "epcs")
TABLES: dict[Kind, str] = {"events": "tracking.events", "epcs": "tracking.event_epcs"}


class Month(Struct, frozen=True):
    """A month's events, and the things they name: how many rows, and bytes in PostgreSQL or in files."""

    month: str
    events: int
    epcs: int
    bytes: int
    files: int = 0
    archived_at: datetime | None = None


@dataclass(frozen=True)
class Place:
    """Where a month's rows of a table lie: in a partition of their own, or among others in the default one."""

    kind: Kind
    table: str
    own: bool
    month: date

    @property
    def rows(self) -> str:
        """These rows as SQL, called t: a FROM item and what is WHERE."""
        begins, ends = span_of(self.month)
        return f"{self.table} t where " + ("true" if self.own else f"event_at >= '{begins}' and event_at < '{ends}'")


def months_with_rows(conn: psycopg.Connection, until: date) -> list[date]:
    """Months before `until` (a first of a month) that have rows, or partitions; oldest first."""
    found: set[date] = set()
    for kind in KINDS:
        for table, begins in partitions(conn, kind).items():
            if begins is None:
                rows = conn.execute(
                    f"select distinct date_trunc('month', event_at at time zone 'UTC')::date from {table}"
                    " where event_at < %s".encode(), (span_of(until)[0],),
                )  # fmt: skip
                found |= {month for (month,) in rows}
            elif begins < until:
                found.add(begins)
    return sorted(found)


def places_of(conn: psycopg.Connection, month: date) -> list[Place]:
    """Where a month's rows lie now, events first."""
    places = []
    for kind in KINDS:
        tables = {begins: name for name, begins in partitions(conn, kind).items()}
        own = month in tables
        places.append(Place(kind, tables[month if own else None], own, month))
    return places


def measured(conn: psycopg.Connection, month: date) -> Month:
    """A month as it lies in PostgreSQL; bytes without indexes."""
    counts, size = {}, 0
    for place in places_of(conn, month):
        query = f"select count(*), coalesce(sum(pg_column_size(t.*)), 0)::bigint from {place.rows}"
        counts[place.kind], more = one_row(conn, query)
        size += more
    return Month(named(month), counts["events"], counts["epcs"], size)


def partitions(conn: psycopg.Connection, kind: Kind) -> Mapping[str, date | None]:
    """A table's partitions with the months they are for; None = the default one."""
    rows = conn.execute(
        "select n.nspname || '.' || c.relname, pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' from pg_inherits i"
        " join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace"
        " where i.inhparent = %s::regclass order by 1",
        (TABLES[kind],),
    )
    return {name: None if default else date(int(name[-7:-3]), int(name[-2:]), 1) for name, default in rows}


def one_row(conn: psycopg.Connection, query: str) -> tuple[Any, ...]:
    """The one row that a query gives."""
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row


def span_of(month: date) -> tuple[datetime, datetime]:
    """When a month (its first day) begins, and when it has ended."""
    after = plus(month, 1)
    return datetime(month.year, month.month, 1, tzinfo=UTC), datetime(after.year, after.month, 1, tzinfo=UTC)


def plus(month: date, months: int) -> date:
    """So many months later (or, negative, earlier)."""
    count = month.year * 12 + month.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)
