"""The outbox: news of what happened, written in the transaction in which it did: either both are there or none.

A worker takes them from here, makes a delivery for each endpoint that wants to hear of it, and sends these
(base/webhooks). Of one key (a parcel's number, a case) order is kept: whoever writes news of a key must hold what is
written about under a lock until its transaction ends (the parcel's row, the case's row, the live turn). Then two
pieces of news of one key are numbered in the order in which they are committed, and no later one can be seen before
an earlier one. Between different keys transactions may end in any order, and nothing depends on it: news are taken by
deleting them, never by remembering how far one has come.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl
import psycopg

from rookery.base import sets
from rookery.base.paging import COUNTED
from rookery.terms.ids import new_ids

KINDS = (
    "parcel.milestone",
    "parcel.chance",
    "parcel.rerouted",
    "case.opened",
    "case.closed",
    "webhook.test",
)
"""What endpoints can ask to hear of."""
EVERYONE = "*"
"""Stands for all parties where an endpoint hears everything."""
NEWS = {
    "test": pl.Boolean,
    "kind": pl.String,
    "key": pl.String,
    "parties": pl.List(pl.String),
    "at": pl.Datetime("us", "UTC"),
    "data": pl.String,
}
"""News to be told. kind: of KINDS; key: order is kept among equal ones; parties: whom it concerns (ids; those who run
the network hear of everything); at: when it happened; data: an object as JSON, with ids, numbers, places and times,
never anything about people. One more column may say `to_all` (boolean): false = not to those who hear of everything,
who are told the same by other news."""
_TYPES = {
    "event_id": "text",
    "test": "boolean",
    "kind": "text",
    "key": "text",
    "parties": "text[]",
    "at": "timestamptz",
    "data": "json",
    "to_all": "boolean",
}

# Counted in no order: PostgreSQL would sort all of them first. It may pass over news of the other mode.
WAITING = f"""
select (select count(*) from (select from base.outbox where test = %(test)s limit {COUNTED}) as few),
       (select seq from base.outbox where test = %(test)s order by seq limit 1),
       (select seq from base.outbox where test = %(test)s order by seq desc limit 1)
"""


def add(conn: psycopg.Connection, news: pl.DataFrame) -> int:
    """Put news (NEWS, further columns are left alone) into the outbox, in their rows' order; returns how many.

    conn: the transaction of what happened, with the sight of Rookery itself (ctx.as_system). Each piece of news gets
    the id that every attempt to deliver it will bear.
    """
    if news.is_empty():
        return 0
    latest = news["at"].max()
    ids = pl.Series("event_id", new_ids("evt", latest, news.height))  # type: ignore[arg-type]  # `at` is never null
    if "to_all" not in news.columns:
        news = news.with_columns(to_all=pl.lit(True))
    return sets.insert(conn, "base.outbox", news.with_columns(ids), _TYPES)


def waiting(conn: psycopg.Connection, test: bool) -> tuple[int, int | None, int | None]:
    """How many pieces of news wait to be spread (up to COUNTED), and the places of the first and the last; None = of
    none. As the system.
    """
    row = conn.execute(WAITING.encode(), {"test": test}).fetchone()
    assert row is not None
    return row


def wanted(conn: psycopg.Connection, test: bool, kinds: Collection[str]) -> frozenset[str]:
    """The parties some endpoint of which wants to hear of some of these kinds; EVERYONE among them where one hears
    all.

    Empty = nobody: news of these kinds need not be made at all. conn: with the sight of Rookery itself. An endpoint
    that is disabled counts: what it misses can be replayed.
    """
    row = conn.execute(
        "select coalesce(array_agg(distinct case when hears_all then %s else party_id end), '{}') from base.endpoints"
        " where test = %s and (kinds = '{}' or kinds && %s::text[])",
        (EVERYONE, test, list(kinds)),
    ).fetchone()
    return frozenset(row[0] if row else ())
