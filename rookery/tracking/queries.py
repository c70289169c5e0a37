"""Events looked for in PostgreSQL, a page at a time, under row-level security: nobody finds what it may not see.

Which rows a search goes through stands in query_statements; between two ways that find the same it is chosen here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import psycopg
from msgspec import Struct
from psycopg.rows import namedtuple_row

from rookery.tracking.query_statements import Search, Sight
from rookery.tracking.query_terms import Query
from rookery.tracking.reading import Found


class Page(Struct, frozen=True):
    """Events in the order asked for; `last`: the sort key of the last one, where there are more."""

    events: list[Found]
    last: list[Any] | None


def page(conn: psycopg.Connection, query: Query, sight: Sight, limit: int, after: Sequence[Any] | None = None) -> Page:
    """Up to `limit` events of a query, from behind the key `after` (a page's `last`) on."""
    search = Search(query, sight, is_rarer(conn, query, sight, after))
    text = search.select(limit + 1, after)
    conn.execute(search.settings())
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        rows: list[Any] = cursor.execute(text.encode(), search.values, prepare=True).fetchall()
    more, rows = len(rows) > limit, rows[:limit]
    kept = _few_enough([row.epcs for row in rows])
    last = [*_key(rows[kept - 1])] if rows and (more or kept < len(rows)) else None
    return Page(_with_things(conn, rows[:kept], sight), last)


def exceeds(conn: psycopg.Connection, query: Query, sight: Sight, most: int) -> bool:
    """Whether more than `most` events fit a query."""
    search = Search(query, sight, is_rarer(conn, query, sight))
    text = f"select count(*) from ({search.select(most + 1, None)}) n"
    conn.execute(search.settings())
    row = conn.execute(text.encode(), search.values, prepare=True).fetchone()
    return row is not None and row[0] > most


def is_rarer(conn: psycopg.Connection, query: Query, sight: Sight, after: Sequence[Any] | None = None) -> bool:
    """Whether a step or place that is asked for is expected to have fewer events than the party's parcels have.

    What has fewer is gone through: if one has nothing to do with the other, that fills a page with fewer looks, and it
    is sooner at its end where nothing fits. PostgreSQL is asked what it expects by its statistics: no row is read, and
    the figures, which are of all parties' rows, go no further.
    """
    search = Search(query, sight)
    rows: list[float] = []
    with psycopg.ClientCursor(conn) as cursor:  # with the values in the text, months outside them are left out
        for rival in search.rivals(after):
            plan = cursor.execute(f"explain (format json) {rival}".encode(), search.values).fetchone()
            assert plan is not None
            rows.append(plan[0][0]["Plan"]["Plan Rows"])
    return bool(rows) and min(rows[1:]) < rows[0]


MOST_THINGS = 50_000
"""Things named by the events of one page; a page ends there, though not before its first event."""


def _few_enough(counts: Sequence[int]) -> int:
    total = 0
    for place, count in enumerate(counts):
        total += count
        if total > MOST_THINGS and place:
            return place
    return len(counts)


def _key(row: Any) -> Iterator[Any]:
    for name in row._fields:
        if name.startswith("key"):
            value = getattr(row, name)
            yield value.isoformat() if isinstance(value, datetime) else value
    yield row.event_no


def _with_things(conn: psycopg.Connection, rows: Sequence[Any], sight: Sight) -> list[Found]:
    """Rows of events with those of the things they name that the asker sees."""
    named: dict[int, list[tuple[int, str, str | None]]] = {row.event_no: [] for row in rows}
    things = conn.execute(
        "select x.event_no, x.role, x.epc, x.as_sent from unnest(%s::bigint[], %s::timestamptz[]) k(event_no, event_at)"
        " cross join lateral (select event_no, role, place, epc, as_sent from tracking.event_epcs"
        "   where event_no = k.event_no and event_at = k.event_at and role <= 4 offset 0) x"
        " order by x.event_no, x.role, x.place",
        ([row.event_no for row in rows], [row.event_at for row in rows]),
        prepare=True,
    )
    for number, role, epc, as_sent in things:
        named[number].append((role, epc, as_sent))
    return [
        Found(
            row.event_no, row.record_at, row.event_id, None if row.hash is None else bytes(row.hash), row.body,
            named[row.event_no],
            whole=sight.sees_all or row.party_id == sight.party_id or len(named[row.event_no]) == row.epcs,
        )
        for row in rows
    ]  # fmt: skip
