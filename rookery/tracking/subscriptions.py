"""Subscriptions in PostgreSQL: in which order events came, what of that each subscription has looked at.

Within the transaction of the connection. `add`, `find` and `of_query` also as the party whose they are, all else as the
system.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import polars as pl
import psycopg
from msgspec import Struct
from psycopg.rows import class_row

from rookery.base.jsonb import jsonb
from rookery.tracking.schedule import Schedule

KIND = "epcis.subscription"
"""What the endpoint of a subscription hears of, and nothing else."""
NUMBERED, FORGOTTEN = 5_000, 20_000
"""Rows of arrivals that are numbered, and removed, at once."""
_LOCK = 0x61727276  # "arrv": the advisory lock, by mode, of whoever numbers what came
Keys = list[tuple[int, datetime]]
"""Events by number and instant."""


class Subscription(Struct, frozen=True, kw_only=True):
    """A subscription; see the table."""

    subscription_id: str
    party_id: str
    test: bool
    scopes: list[str]
    sees_all: bool
    query_name: str
    endpoint_id: str
    epc_format: str
    schedule: Any
    report_if_empty: bool
    initial_record_time: datetime | None
    created_at: datetime
    begins: int
    place: int
    recalled_at: datetime | None
    recalled_no: int | None
    due_at: datetime | None
    until_place: int | None
    told: bool
    come_to: datetime | None = None

    @property
    def next_since(self) -> datetime:
        """What it is told next was recorded since then. It follows from its own events and times alone: when it looked
        would tell when other parties' events came.
        """
        return self.come_to or self.initial_record_time or self.created_at

    @property
    def times(self) -> Schedule | None:
        """When it reports; None = as events come."""
        return None if self.schedule is None else msgspec.convert(self.schedule, Schedule)


_FIELDS = ", ".join(Subscription.__struct_fields__)


def enter(conn: psycopg.Connection, test: bool, events: pl.DataFrame) -> None:
    """Events that were kept (event_no, event_at as text) came, in this transaction: one row for all of them."""
    conn.execute(
        "insert into tracking.arrivals (test, event_nos, event_ats) values (%s, %s, %s::timestamptz[])",
        (test, events["event_no"].to_list(), events["event_at"].to_list()),
    )


def begin_here(conn: psycopg.Connection, test: bool) -> int:
    """A place behind all that came so far: what is not yet to be seen comes after it. Nobody numbers what came until
    this transaction ends.
    """
    _hold_order(conn, test)
    while _number(conn, test) == NUMBERED:
        pass
    row = conn.execute("select nextval('tracking.arrivals_places')").fetchone()
    assert row is not None
    return row[0]


def settle(conn: psycopg.Connection, test: bool) -> bool:
    """Give what came its place, and remove what lies behind every subscription; whether more may be left to do."""
    new = conn.execute("select from tracking.arrivals where test = %s and place is null limit 1", (test,)).fetchone()
    old = conn.execute(
        "select from tracking.arrivals where test = %(test)s and place <= (select coalesce(min(place),"
        " 9223372036854775807) from tracking.subscriptions where test = %(test)s) order by place limit 1",
        {"test": test},
    ).fetchone()
    if new is None and old is None:
        return False
    _hold_order(conn, test)
    row = conn.execute("select min(place) from tracking.subscriptions where test = %s", (test,)).fetchone()
    if row is None or row[0] is None:  # nobody waits for anything
        gone = "seq in (select seq from tracking.arrivals where test = %(test)s order by seq limit %(most)s)"
        numbered = 0
    else:
        numbered = _number(conn, test)
        gone = (
            "seq in (select seq from tracking.arrivals where test = %(test)s and place <= %(place)s"
            " order by place limit %(most)s)"
        )
    removed = conn.execute(
        f"delete from tracking.arrivals where test = %(test)s and {gone}".encode(),
        {"test": test, "most": FORGOTTEN, "place": row and row[0]},
    ).rowcount
    return numbered == NUMBERED or removed == FORGOTTEN


def _hold_order(conn: psycopg.Connection, test: bool) -> None:
    """By a statement of its own, so that the next one sees all that was numbered before."""
    conn.execute("select pg_advisory_xact_lock(%s, %s)", (_LOCK, int(test)))


def _number(conn: psycopg.Connection, test: bool) -> int:
    return conn.execute(
        "update tracking.arrivals a set place = n.place from (select seq, nextval('tracking.arrivals_places') as place"
        "   from (select seq from tracking.arrivals where test = %(test)s and place is null"
        "     order by seq limit %(most)s) first) n"
        " where a.test = %(test)s and a.seq = n.seq",
        {"test": test, "most": NUMBERED},
    ).rowcount


def came(conn: psycopg.Connection, test: bool, after: int, until: int | None, most: int) -> tuple[Keys, int | None]:
    """Events whose place lies behind `after` (and not behind `until`), in order, `most` or somewhat more of them; and
    the last place that was looked at, None = there are none.
    """
    rows = conn.execute(
        "with ahead as (select place, event_nos, event_ats, sum(cardinality(event_nos)) over (order by place)"
        "     - cardinality(event_nos) as before"
        "   from (select place, event_nos, event_ats from tracking.arrivals where test = %(test)s"
        "     and place > %(after)s and (%(until)s::bigint is null or place <= %(until)s)"
        "     order by place limit %(most)s) first)"
        " select place, event_nos, event_ats from ahead where before < %(most)s order by place",
        {"test": test, "after": after, "until": until, "most": most},
    ).fetchall()
    keys = [key for _, numbers, instants in rows for key in zip(numbers, instants)]
    return keys, rows[-1][0] if rows else None


def recorded(
    conn: psycopg.Connection, test: bool, since: tuple[datetime, int], begins: int, most: int
) -> list[tuple[int, datetime, datetime]]:
    """Events (number, instant, recorded at) recorded behind `since`, in that order, but those that came behind
    `begins`.
    """
    return conn.execute(
        "with later as materialized (select unnest(event_nos) as event_no from tracking.arrivals"
        "   where test = %(test)s and (place is null or place > %(begins)s))"
        " select event_no, event_at, record_at from tracking.events where test = %(test)s"
        " and record_at >= %(at)s and (record_at, event_no) > (%(at)s, %(number)s)"
        " and event_no not in (select event_no from later) order by record_at, event_no limit %(most)s",
        {"test": test, "at": since[0], "number": since[1], "begins": begins, "most": most},
    ).fetchall()


def add(conn: psycopg.Connection, new: Subscription) -> None:
    """Keep a new subscription."""
    told = msgspec.structs.asdict(new)
    told["schedule"] = None if new.schedule is None else jsonb(new.schedule)
    values = ", ".join(f"%({name})s" for name in told)
    conn.execute(f"insert into tracking.subscriptions ({_FIELDS}) values ({values})".encode(), told)


def hold_query(conn: psycopg.Connection, party_id: str, test: bool, name: str) -> None:
    """Nobody else subscribes to a named query, or deletes it, until this transaction ends."""
    conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"query {party_id} {test} {name}",))


def find(conn: psycopg.Connection, party_id: str, name: str, subscription_id: str) -> Subscription | None:
    """One subscription to a party's named query, as far as the asker sees it."""
    return _one(conn, "party_id = %s and query_name = %s and subscription_id = %s", (party_id, name, subscription_id))


def of_query(
    conn: psycopg.Connection, party_id: str, test: bool, name: str, after: str = "", limit: int | None = None
) -> list[Subscription]:
    """Subscriptions to a party's named query by id, as far as the asker sees them."""
    with conn.cursor(row_factory=class_row(Subscription)) as cursor:
        return cursor.execute(
            f"select {_FIELDS} from tracking.subscriptions where party_id = %s and test = %s and query_name = %s"
            " and subscription_id > %s order by subscription_id limit %s".encode(),
            (party_id, test, name, after, limit),
        ).fetchall()


def remove(conn: psycopg.Connection, subscription_id: str) -> bool:
    """It is gone, when nobody is at work on it any more; whether it was there. Its endpoint is the caller's to
    remove.
    """
    gone = conn.execute("delete from tracking.subscriptions where subscription_id = %s", (subscription_id,))
    return gone.rowcount == 1


class Waiting(Struct, frozen=True):
    """A subscription that has something to look at, and who looks."""

    subscription_id: str
    party_id: str
    scopes: list[str]


def waiting(conn: psycopg.Connection, test: bool, now: datetime) -> list[Waiting]:
    """Subscriptions that have something to look at now."""
    with conn.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(
            "select subscription_id, party_id, scopes from tracking.subscriptions s where test = %(test)s"
            " and (rests_until is null or rests_until <= %(now)s) and case"
            "   when schedule is not null then until_place is not null or due_at <= %(now)s"
            "   else recalled_at is not null"
            "     or exists (select from tracking.arrivals a where a.test = %(test)s and a.place > s.place) end"
            " order by subscription_id",
            {"test": test, "now": now},
        ).fetchall()


def hold(conn: psycopg.Connection, subscription_id: str) -> Subscription | None:
    """A subscription, nobody else's to work on until this transaction ends; None when it is gone or somebody is."""
    return _one(conn, "subscription_id = %s for update skip locked", (subscription_id,))


def last_place(conn: psycopg.Connection, test: bool, begins: int) -> int:
    """The place of what came last; `begins` when nothing came behind that."""
    row = conn.execute("select max(place) from tracking.arrivals where test = %s", (test,)).fetchone()
    return max(begins, row[0] or begins) if row else begins


def move(conn: psycopg.Connection, now: Subscription) -> None:
    """Write how far a subscription that is held has come."""
    conn.execute(
        "update tracking.subscriptions set place = %(place)s, recalled_at = %(recalled_at)s,"
        " recalled_no = %(recalled_no)s, due_at = %(due_at)s, until_place = %(until_place)s, told = %(told)s,"
        " come_to = %(come_to)s, rests_until = null where subscription_id = %(subscription_id)s",
        {name: getattr(now, name) for name in Subscription.__struct_fields__},
    )


class Rests(Struct, frozen=True):
    """A subscription that is left alone for a while; again: it was already, and nothing went well with it since."""

    query_name: str
    endpoint_id: str
    again: bool


def rest(conn: psycopg.Connection, subscription_id: str, until: datetime) -> Rests | None:
    """Leave a subscription alone for a while: something went wrong with it. None when it is gone."""
    with conn.cursor(row_factory=class_row(Rests)) as cursor:
        return cursor.execute(
            "with had as (select rests_until from tracking.subscriptions where subscription_id = %(id)s for update)"
            " update tracking.subscriptions set rests_until = %(until)s from had where subscription_id = %(id)s"
            " returning query_name, endpoint_id, had.rests_until is not null as again",
            {"id": subscription_id, "until": until},
        ).fetchone()


def _one(conn: psycopg.Connection, where: str, values: Sequence[Any]) -> Subscription | None:
    with conn.cursor(row_factory=class_row(Subscription)) as cursor:
        return cursor.execute(f"select {_FIELDS} from tracking.subscriptions where {where}".encode(), values).fetchone()
