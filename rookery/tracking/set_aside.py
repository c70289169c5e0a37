"""Parcels that are left alone since every look at them fails, in PostgreSQL. As the system, within the transaction of
the connection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

import psycopg
from msgspec import Struct
from psycopg.rows import class_row

from rookery.base.paging import COUNTED
from rookery.tracking import chances

AGAIN = 10_000
"""So many are entered at most to be looked at again, in one transaction."""


class Aside(Struct, frozen=True):
    """A parcel (canonical identifier) that is left alone. fault: the code of the last one, at `at`; times: so often in
    a row.
    """

    epc: str
    at: datetime
    until_at: datetime
    fault: str
    times: int


_NAMES = ", ".join(Aside.__struct_fields__)


def put(conn: psycopg.Connection, test: bool, epc: str, fault: str, now: datetime) -> None:
    """Leave a parcel alone until it moves, or for a day."""
    chances.leave_alone(conn, test, epc, now)
    conn.execute(
        "insert into tracking.set_aside (epc, test, at, until_at, fault) values (%s, %s, %s, %s, %s)"
        " on conflict (test, epc) do update set at = excluded.at, until_at = excluded.until_at,"
        " fault = excluded.fault, times = set_aside.times + 1",
        (epc, test, now, now + chances.ASIDE, fault),
    )


def forget(conn: psycopg.Connection, test: bool, epcs: Iterable[str]) -> None:
    """These were looked at well."""
    if conn.execute("select from tracking.set_aside where test = %s limit 1", (test,)).fetchone() is None:
        return  # as a rule: nothing is sent along then
    conn.execute(  # in the order in which others hold them
        "with looked as (select epc from tracking.set_aside where test = %(test)s and epc = any(%(epcs)s)"
        " order by epc for update)"
        " delete from tracking.set_aside a using looked l where a.test = %(test)s and a.epc = l.epc",
        {"test": test, "epcs": list(epcs)},
    )


def count(conn: psycopg.Connection, test: bool) -> int:
    """How many are left alone, up to COUNTED."""
    query = f"select count(*) from (select from tracking.set_aside where test = %s limit {COUNTED}) as few"
    row = conn.execute(query.encode(), (test,)).fetchone()
    assert row is not None
    return row[0]


def page(conn: psycopg.Connection, test: bool, after: str, limit: int) -> list[Aside]:
    """Those left alone, by identifier; after: that of the last."""
    with conn.cursor(row_factory=class_row(Aside)) as cursor:
        query = f"select {_NAMES} from tracking.set_aside where test = %s and epc > %s order by epc limit %s"
        return cursor.execute(query.encode(), (test, after, limit)).fetchall()


def enter_again(conn: psycopg.Connection, test: bool, epcs: Collection[str] | None, now: datetime) -> list[str]:
    """Have those of these parcels that are left alone looked at again; None = the first AGAIN of all that do not wait
    for that already. Returns which.
    """
    which = "until_at > %(now)s" if epcs is None else "epc = any(%(epcs)s)"
    rows = conn.execute(
        f"with again as (select epc from tracking.set_aside where test = %(test)s and {which} order by epc"
        f" limit {AGAIN} for update)"
        " update tracking.set_aside a set until_at = least(a.until_at, %(now)s) from again"
        " where a.test = %(test)s and a.epc = again.epc returning a.epc".encode(),
        {"test": test, "epcs": None if epcs is None else list(epcs), "now": now},
    ).fetchall()
    entered = [epc for (epc,) in rows]
    chances.enter(conn, test, entered)
    return entered


def left(conn: psycopg.Connection, test: bool, now: datetime) -> int:
    """How many are left alone and do not wait to be looked at again, up to COUNTED."""
    query = f"select from tracking.set_aside where test = %s and until_at > %s limit {COUNTED}"
    row = conn.execute(f"select count(*) from ({query}) as few".encode(), (test, now)).fetchone()
    assert row is not None
    return row[0]
