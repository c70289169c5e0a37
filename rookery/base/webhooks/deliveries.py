"""Deliveries: what is said to whom, and what came of it.

Of one key at one endpoint a single delivery is `next`; what came later is `behind`, until that one is delivered or
dead. One deliverer at a time spreads news and notes results; acts replay and disable, holding the endpoint first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal

import polars as pl
import psycopg
from msgspec import Struct
from psycopg.rows import class_row

from rookery.base import sets
from rookery.base.paging import COUNTED
from rookery.terms.ids import new_id

KEPT = timedelta(days=30)
"""So long deliveries that ended are kept, to be looked at and replayed."""
MOST_REPLAYED = 50_000
DISABLED = "the endpoint is disabled"

# News are taken by deleting them, so that it does not matter in which order transactions end; within a key the order of
# `seq` is that of commits (base/outbox.py). `for share`: nobody disables, deletes or replays at an endpoint meanwhile.
_SPREAD = """
with taken as (
  delete from base.outbox where seq in (select seq from base.outbox order by seq limit %(most)s) returning *
), ears as materialized (
  select endpoint_id, party_id, test, kinds, hears_all, enabled from base.endpoints for share
), heard as materialized (
  select t.seq, t.event_id, t.kind, t.key, t.test, e.endpoint_id, e.party_id, e.enabled
    from taken t join ears e on e.test = t.test
     and case when e.hears_all then t.to_all else e.party_id = any(t.parties) end
     and (e.kinds = '{}' or t.kind = any(e.kinds))
), said as (
  insert into base.messages (seq, at, body, created_at)
  select seq, at, '{"type":"' || kind || '","timestamp":"'
         || to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '","data":' || data || '}', %(now)s
    from taken where seq in (select seq from heard)
), told as (
  insert into base.deliveries (endpoint_id, seq, party_id, test, event_id, kind, key, state, next_at, ended_at, error,
                               created_at)
  select h.endpoint_id, h.seq, h.party_id, h.test, h.event_id, h.kind, h.key,
         case when not h.enabled then 'dead'
              when row_number() over (partition by h.endpoint_id, h.key order by h.seq) > 1 or exists (
                select from base.deliveries o where o.endpoint_id = h.endpoint_id and o.key = h.key
                   and o.state in ('next', 'behind')) then 'behind' else 'next' end,
         %(now)s, case when not h.enabled then %(now)s end, case when not h.enabled then %(disabled)s end, %(now)s
    from heard h
)
select count(*) from taken
"""

_DUE = """
select d.endpoint_id, d.seq, d.event_id, d.attempts, d.first_at, m.body
  from unnest(%(endpoints)s::text[]) as e (endpoint_id) cross join lateral (
    select * from base.deliveries d where d.endpoint_id = e.endpoint_id and d.state = 'next' and d.next_at <= %(now)s
       and (d.endpoint_id, d.seq) not in (select * from unnest(%(at)s::text[], %(held)s::bigint[]))
     order by d.next_at, d.seq limit %(most)s) as d
  join base.messages m using (seq)
"""

RESULTS = {
    "endpoint_id": pl.String,
    "seq": pl.Int64,
    "state": pl.String,  # delivered, dead, or next: to be tried again
    "attempts": pl.Int32,
    "first_at": pl.Datetime("us", "UTC"),
    "next_at": pl.Datetime("us", "UTC"),
    "ended_at": pl.Datetime("us", "UTC"),
    "status": pl.Int16,
    "error": pl.String,
}
"""What came of attempts."""
_RESULT_TYPES = {
    "endpoint_id": "text", "seq": "bigint", "state": "text", "attempts": "integer", "first_at": "timestamptz",
    "next_at": "timestamptz", "ended_at": "timestamptz", "status": "smallint", "error": "text",
}  # fmt: skip

# Results, and of each key whose `next` ended the first that is behind it. Only what still is `next` counts: an act may
# have made something else of it meanwhile.
_NOTE = b"""
with told as (
  update base.deliveries d set state = r.state, attempts = r.attempts, first_at = r.first_at, next_at = r.next_at,
         ended_at = r.ended_at, status = r.status, error = r.error
    from %s where d.endpoint_id = r.endpoint_id and d.seq = r.seq and d.state = 'next'
  returning d.endpoint_id, d.key, d.state
)
update base.deliveries d set state = 'next', next_at = %%(now)s
  from told cross join lateral (
    select o.seq from base.deliveries o where o.endpoint_id = told.endpoint_id and o.key = told.key
       and o.state = 'behind' order by o.seq limit 1) as first
 where told.state <> 'next' and d.endpoint_id = told.endpoint_id and d.seq = first.seq
"""

_MOVE_UP = """
update base.deliveries d set state = 'next', next_at = %(now)s
  from (select min(seq) as seq from base.deliveries where endpoint_id = %(endpoint)s and state in ('next', 'behind')
         group by key having not bool_or(state = 'next')) as first
 where d.endpoint_id = %(endpoint)s and d.seq = first.seq
"""

# Of each endpoint by itself, by the index of what is open: in no order where they are counted, so that
# PostgreSQL does not sort all of them first.
_OPEN = """
from base.endpoints e cross join lateral (
  select seq from base.deliveries d where d.endpoint_id = e.endpoint_id and d.state in ('next', 'behind')
   {which}) as d
 where e.test = %(test)s and e.enabled
"""
_FIRST = _OPEN.format(which="order by seq limit 1")
UNDELIVERED = f"""
select (select count(*) from (select {_OPEN.format(which=f"limit {COUNTED}")} limit {COUNTED}) as few),
       (select created_at from base.messages where seq = (select min(d.seq) {_FIRST}))
"""


class Due(Struct, frozen=True):
    """A delivery that is to be attempted now."""

    endpoint_id: str
    seq: int
    event_id: str
    attempts: int
    first_at: datetime | None
    body: str

    @property
    def which(self) -> tuple[str, int]:
        """Names the delivery: one message goes to several endpoints."""
        return self.endpoint_id, self.seq


class Delivery(Struct, frozen=True, kw_only=True):
    """One message to one endpoint. state: pending, delivered or dead; next_at: of the next attempt, where it waits
    for no other message of its key; status, error: of the last attempt.
    """

    event_id: str
    kind: str
    key: str
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    created_at: datetime
    next_at: datetime | None
    ended_at: datetime | None
    status: int | None
    error: str | None


def spread(conn: psycopg.Connection, now: datetime, most: int) -> int:
    """Makes a delivery of each of the first `most` news for each endpoint that wants it; returns how many news those
    were.

    What nobody wants to hear is gone. An endpoint that is disabled has it among its dead letters.
    """
    row = conn.execute(_SPREAD, {"now": now, "most": most, "disabled": DISABLED}).fetchone()
    return row[0] if row else 0


def say_to(conn: psycopg.Connection, endpoint_id: str, kind: str, key: str, data: str, now: datetime) -> str:
    """A message for one endpoint alone, of which nobody else hears; returns its event's id. data: an object as JSON."""
    stamp = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return say_as_it_is(conn, endpoint_id, kind, key, f'{{"type":"{kind}","timestamp":"{stamp}","data":{data}}}', now)


def say_as_it_is(conn: psycopg.Connection, endpoint_id: str, kind: str, key: str, body: str, now: datetime) -> str:
    """As `say_to`, of a body of another standard's: these characters and no others. An endpoint that is disabled has it
    among its dead letters.
    """
    row = conn.execute("select nextval('base.outbox_seq_seq')").fetchone()
    assert row is not None
    event_id, seq = new_id("evt", now), row[0]
    conn.execute("insert into base.messages (seq, at, body, created_at) values (%s, %s, %s, %s)", (seq, now, body, now))
    conn.execute(
        "insert into base.deliveries"
        " (endpoint_id, seq, party_id, test, event_id, kind, key, state, next_at, ended_at, error, created_at)"
        " select endpoint_id, %(seq)s, party_id, test, %(event)s, %(kind)s, %(key)s, case when not enabled then 'dead'"
        " when exists (select from base.deliveries o where o.endpoint_id = e.endpoint_id and o.key = %(key)s"
        " and o.state in ('next', 'behind')) then 'behind' else 'next' end, %(now)s, case when not enabled then"
        " %(now)s end, case when not enabled then %(disabled)s end, %(now)s from base.endpoints e"
        " where endpoint_id = %(endpoint)s",
        {
            "seq": seq,
            "event": event_id,
            "kind": kind,
            "key": key,
            "now": now,
            "endpoint": endpoint_id,
            "disabled": DISABLED,
        },
    )
    return event_id


def due(
    conn: psycopg.Connection, endpoints: Sequence[str], held: Collection[tuple[str, int]], now: datetime, most: int
) -> list[Due]:
    """What is to be attempted now, of each endpoint at most so many, the longest waiting first. held: those that the
    asker has already (Due.which).
    """
    at, seqs = [endpoint_id for endpoint_id, _ in held], [seq for _, seq in held]
    values = {"endpoints": list(endpoints), "at": at, "held": seqs, "now": now, "most": most}
    with conn.cursor(row_factory=class_row(Due)) as cursor:
        return cursor.execute(_DUE, values).fetchall()


def note_results(conn: psycopg.Connection, results: pl.DataFrame, now: datetime) -> None:
    """Writes what came of attempts (RESULTS), and lets the next of each key come up. What was disabled or deleted
    meanwhile stays as it is.
    """
    table, values = sets.source(results, _RESULT_TYPES, "r")
    conn.execute(_NOTE % table.as_bytes(conn), {**values, "now": now})


def list_deliveries(
    conn: psycopg.Connection, endpoint_id: str, state: str | None, before: int, limit: int
) -> list[tuple[int, Delivery]]:
    """An endpoint's deliveries with their seq, the newest first. state: pending, delivered, dead; None = all."""
    states = {None: ["next", "behind", "delivered", "dead"], "pending": ["next", "behind"]}.get(state, [state])
    rows = conn.execute(
        "select seq, event_id, kind, key, state, attempts, created_at, next_at, ended_at, status, error"
        " from base.deliveries where endpoint_id = %s and seq < %s and state = any(%s) order by seq desc limit %s",
        (endpoint_id, before, states, limit),
    ).fetchall()
    return [
        (seq, Delivery(
            event_id=event_id, kind=kind, key=key, attempts=attempts, created_at=created_at, ended_at=ended_at,
            state="pending" if kept in ("next", "behind") else kept,
            next_at=next_at if kept == "next" else None, status=status, error=error,
        ))
        for seq, event_id, kind, key, kept, attempts, created_at, next_at, ended_at, status, error in rows
    ]  # fmt: skip


def undelivered(conn: psycopg.Connection, test: bool) -> tuple[int, datetime | None]:
    """How many messages wait for endpoints that are enabled (up to COUNTED), and since when the oldest does. As the
    system.
    """
    row = conn.execute(UNDELIVERED.encode(), {"test": test}).fetchone()
    assert row is not None
    return row


def replay(
    conn: psycopg.Connection, endpoint_id: str, since: datetime | None, events: Sequence[str] | None, now: datetime
) -> int:
    """What ended is pending again, under the ids it had; returns how many, at most MOST_REPLAYED, the oldest.

    since: all that was to be said since; events: those of these ids; neither: the dead letters. The endpoint is held.
    """
    if events is not None:
        which, values = "event_id = any(%(events)s)", {"events": list(events)}
    elif since is not None:
        which, values = "created_at >= %(since)s", {"since": since}
    else:
        which, values = "state = 'dead'", {}
    count = conn.execute(
        f"update base.deliveries set state = 'behind', attempts = 0, first_at = null, ended_at = null, error = null,"
        f" status = null, next_at = %(now)s where (endpoint_id, seq) in (select endpoint_id, seq from base.deliveries"
        f" where endpoint_id = %(endpoint)s and state in ('delivered', 'dead') and {which}"
        " order by seq limit %(most)s)",
        {"now": now, "endpoint": endpoint_id, "most": MOST_REPLAYED, **values},
    ).rowcount
    conn.execute(_MOVE_UP, {"endpoint": endpoint_id, "now": now})
    return count


def forget(conn: psycopg.Connection, now: datetime, most: int) -> int:
    """Removes deliveries that ended and are older than KEPT, then messages that nobody is told any more; some at a
    time.
    """
    old = now - KEPT
    gone = conn.execute(
        "delete from base.deliveries where (endpoint_id, seq) in (select endpoint_id, seq from base.deliveries"
        " where created_at < %s and state in ('delivered', 'dead') limit %s)",
        (old, most),
    ).rowcount
    if gone < most:  # what is left of that age is pending, and little: a message is as old as its deliveries
        gone += conn.execute(
            "delete from base.messages where seq in (select seq from base.messages where created_at < %s and seq not in"
            " (select seq from base.deliveries where created_at < %s) limit %s)",
            (old, old, most),
        ).rowcount
    return gone
