"""What waits is counted for whoever watches, up to a bound: on real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from rookery.base import outbox
from rookery.base.db import Database
from rookery.base.operations import SYSTEM
from rookery.base.paging import COUNTED
from rookery.base.webhooks import deliveries
from rookery.tracking import live_signs

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MANY = COUNTED + 20_000
NEWS = """
insert into base.outbox (event_id, test, kind, key, parties, at, data)
select 'evt_' || n, %s, 'parcel.chance', 'k' || n, '{}', %s, '{}' from generate_series(1, %s) n
"""
ENDPOINT = """
insert into base.endpoints (endpoint_id, party_id, test, url, kinds, hears_all, enabled, created_at, changed_at)
values (%s, 'pty_shop', false, 'https://example.com', '{}', false, %s, %s, %s)
"""
MESSAGES = """
insert into base.messages (seq, at, body, created_at)
select n, %(now)s, '{}', %(now)s + n * interval '1 second' from generate_series(%(first)s::int, %(last)s) n
"""
DELIVERIES = """
insert into base.deliveries (endpoint_id, seq, party_id, test, event_id, kind, key, state, next_at, created_at)
select %(endpoint)s, n, 'pty_shop', false, 'evt_' || n, 'parcel.chance', 'k' || n %% 1000, %(state)s, %(now)s, %(now)s
  from generate_series(%(first)s::int, %(last)s) n
"""
MOVED = """
insert into tracking.moved (test, parcels, epcs, not_before)
select %s, %s, '{p}', %s from generate_series(1, %s) n
"""


@pytest.fixture
def database(fresh_database: Database) -> Database:
    return fresh_database


def read(conn: psycopg.Connection, query: str) -> float:
    """The most rows that any part of the query read, those that it left out among them. By one process alone: how far
    others run ahead of it is luck.
    """
    conn.execute("set local max_parallel_workers_per_gather = 0")
    row = conn.execute(f"explain (analyze, format json) {query}".encode(), {"test": False}).fetchone()
    assert row is not None
    return max(_rows(row[0][0]["Plan"]))


def _rows(plan: dict[str, Any]) -> list[float]:
    out = sum(plan.get(name, 0) for name in ("Rows Removed by Filter", "Rows Removed by Index Recheck"))
    mine = (plan["Actual Rows"] + out) * plan["Actual Loops"]
    return [mine, *(count for part in plan.get("Plans", []) for count in _rows(part))]


def analyzed(database: Database, *tables: str) -> None:
    with database.owner() as owner:
        for table in tables:
            owner.execute(f"analyze {table}".encode())


def system(database: Database, test: bool = False) -> Any:
    return database.transaction(SYSTEM.party_id, SYSTEM.scopes, test)


def test_news_are_counted_up_to_a_bound(database: Database):
    """With the first's and the last's place, whatever waits of the other mode, before them or behind."""
    with system(database) as conn:
        conn.execute(NEWS, (True, NOW, MANY))
        conn.execute(NEWS, (False, NOW, 3))
        assert outbox.waiting(conn, False) == (3, MANY + 1, MANY + 3)
        assert outbox.waiting(conn, True) == (COUNTED, 1, MANY)
    analyzed(database, "base.outbox")
    with system(database) as conn:
        assert read(conn, outbox.WAITING) <= 3
        conn.execute(NEWS, (False, NOW, 4 * MANY))
    analyzed(database, "base.outbox")
    with system(database) as conn:
        passed_over = MANY  # of the other mode, at the worst
        assert read(conn, outbox.WAITING) <= passed_over + COUNTED
        conn.execute("delete from base.outbox")
        assert outbox.waiting(conn, False) == (0, None, None)


def test_messages_are_counted_up_to_a_bound(database: Database):
    """Those open, of endpoints that are enabled; the oldest is told however many there are, and which one is `next`."""
    done, open_ = range(1, 50_001), range(50_001, 50_001 + MANY)
    with system(database) as conn:
        assert deliveries.undelivered(conn, False) == (0, None)
        for endpoint, enabled in (("ep_on", True), ("ep_off", False), ("ep_new", True)):
            conn.execute(ENDPOINT, (endpoint, enabled, NOW, NOW))
        conn.execute(MESSAGES, {"now": NOW, "first": 1, "last": open_[-1]})
        for endpoint, state, some in (
            ("ep_on", "delivered", done),
            ("ep_off", "next", done),
            ("ep_new", "next", done[-2:]),
        ):
            asked = {"endpoint": endpoint, "state": state, "now": NOW, "first": some[0], "last": some[-1]}
            conn.execute(DELIVERIES, asked)
        assert deliveries.undelivered(conn, False) == (2, NOW + timedelta(seconds=49_999))
        assert deliveries.undelivered(conn, True) == (0, None)
        asked = {"endpoint": "ep_on", "state": "behind", "now": NOW, "first": open_[0], "last": open_[-1]}
        conn.execute(DELIVERIES, asked)
        assert deliveries.undelivered(conn, False) == (COUNTED, NOW + timedelta(seconds=49_999))
    analyzed(database, "base.endpoints", "base.messages", "base.deliveries")
    with system(database) as conn:
        assert read(conn, deliveries.UNDELIVERED) <= COUNTED


def test_parcels_that_wait_are_counted_up_to_a_bound(database: Database):
    """Those that are to be looked at at once, of the mode, also where a row names many."""
    with system(database, True) as conn:
        conn.execute(MOVED, (True, 1, None, 10))
    with system(database) as conn:
        assert live_signs.moved(conn, False) == (0, None, None)
        conn.execute(MOVED, (False, 1, NOW, 5))
        conn.execute(MOVED, (False, 400, None, 100))
        assert live_signs.moved(conn, False) == (40_000, 16, 115)
        conn.execute(MOVED, (False, 400, None, 200))
        assert live_signs.moved(conn, False) == (COUNTED, 16, 315)
        conn.execute(MOVED, (False, 1, None, MANY))
    analyzed(database, "tracking.moved")
    with system(database) as conn:
        passed_over = 10 + 5  # of the other mode, and who is not to be looked at yet
        assert read(conn, live_signs.MOVED) <= passed_over + COUNTED
