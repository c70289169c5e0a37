"""Parcels that are left alone since every look at them fails, in PostgreSQL. As the system, within the transaction of
the connection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

import psycopg
from msgspec import Struct
from psycopg.rows import class_row

from rookery.tracking import chances


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
    conn.execute("delete from tracking.set_aside where test = %s and epc = any(%s)", (test, list(epcs)))


def count(conn: psycopg.Connection, test: bool) -> int:
    """How many are left alone."""
    row = conn.execute("select count(*) from tracking.set_aside where test = %s", (test,)).fetchone()
    assert row is not None
    return row[0]


def page(conn: psycopg.Connection, test: bool, after: str, limit: int) -> list[Aside]:
    """Those left alone, by identifier; after: that of the last."""
    with conn.cursor(row_factory=class_row(Aside)) as cursor:
        query = f"select {_NAMES} from tracking.set_aside where test = %s and epc > %s order by epc limit %s"
        return cursor.execute(query.encode(), (test, after, limit)).fetchall()


def enter_again(conn: psycopg.Connection, test: bool, epcs: Collection[str] | None) -> list[str]:
    """Have those of these parcels that are left alone, None = all that are, looked at again; returns which."""
    rows = conn.execute(
        "select epc from tracking.set_aside where test = %(test)s and (%(epcs)s::text[] is null or epc = any(%(epcs)s))"
        " order by epc",
        {"test": test, "epcs": None if epcs is None else list(epcs)},
    ).fetchall()
    entered = [epc for (epc,) in rows]
    chances.enter(conn, test, entered)
    return entered
