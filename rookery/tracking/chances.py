"""Chances in PostgreSQL: which parcels are to be looked at, what was found of each, and how that came to be.

Within the transaction of the connection; all but `find`, `history` and `under_way` as the system.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import psycopg
from msgspec import Struct
from psycopg.rows import class_row

from rookery.base import sets

AT_ONCE = 500
"""Parcels that one row of the queue names at most."""
ASIDE = timedelta(days=1)
"""For how long a parcel that could not be looked at is left alone, unless it moves."""
UNDER_WAY = "status not in ('delivered', 'cancelled', 'return_to_sender') and why is distinct from 'given_up'"
"""Parcels that may still be delivered, in SQL over tracking.chances."""
KEPT = timedelta(days=90)
"""So long the chance of a parcel that came to an end is kept after the last look."""
_AT = pl.Datetime("us", "UTC")

CHANCES: dict[str, str] = {
    "epc": "text", "parcel_id": "text", "shipment_id": "text", "owner_id": "text", "policy": "text",
    "at": "timestamptz", "event_no": "bigint", "status": "text", "detail": "text", "node_id": "text",
    "riding_departure_id": "text", "riding_depart_at": "timestamptz", "chance": "double precision",
    "expected_at": "timestamptz", "by_at": "timestamptz", "promised_at": "timestamptz",
    "confidence": "double precision", "next_departure_id": "text", "next_cutoff_at": "timestamptz", "legs": "jsonb",
    "nodes": "text", "off_plan": "boolean", "below": "boolean", "cost": "double precision", "why": "text",
    "look_again_at": "timestamptz", "due_scan": "text",
}  # fmt: skip
"""What is written of each parcel that was looked at; see the table."""
HISTORY: dict[str, str] = {
    "epc": "text", "at": "timestamptz", "event_no": "bigint", "chance": "double precision",
    "expected_at": "timestamptz", "policy": "text", "why": "text",
}  # fmt: skip


def enter(conn: psycopg.Connection, test: bool, epcs: Iterable[str]) -> None:
    """Have parcels (canonical identifiers) looked at: they moved, or may look otherwise now."""
    every = sorted(set(epcs))
    for begin in range(0, len(every), AT_ONCE):
        some = every[begin : begin + AT_ONCE]
        conn.execute("insert into tracking.moved (test, parcels, epcs) values (%s, %s, %s)", (test, len(some), some))


def take(conn: psycopg.Connection, test: bool, now: datetime, most: int) -> list[str]:
    """Take parcels to look at out of the queue, `most` at most: what moved, oldest first, then what is overdue.

    One alone may take at a time. Where a row of the queue names more than there is room for, the rest goes to its end.
    """
    rows = conn.execute(
        "with ahead as (select seq, sum(parcels) over (order by seq) - parcels as before"
        "   from (select seq, parcels from tracking.moved where test = %(test)s"
        "     and (not_before is null or not_before <= %(now)s) order by seq limit %(most)s) first),"
        " taken as (delete from tracking.moved m using ahead a"
        "   where m.test = %(test)s and m.seq = a.seq and a.before < %(most)s returning m.seq, m.epcs)"
        " select epcs from taken order by seq",
        {"test": test, "most": most, "now": now},
    ).fetchall()
    every = list(dict.fromkeys(epc for (epcs,) in rows for epc in epcs))
    enter(conn, test, every[most:])
    every = every[:most]
    if len(every) < most:
        due = conn.execute(
            "select epc from tracking.chances where test = %s and look_again_at <= %s order by look_again_at limit %s",
            (test, now, most - len(every)),
        ).fetchall()
        every = list(dict.fromkeys([*every, *(epc for (epc,) in due)]))
    return every


def hold(conn: psycopg.Connection, test: bool, epcs: Iterable[str]) -> None:
    """Until the transaction ends nobody else writes what was found of these parcels, nor tells news of them."""
    query = "select from tracking.chances where epc = any(%s) and test = %s order by epc for update"
    conn.execute(query, (list(epcs), test))


def leave_alone(conn: psycopg.Connection, test: bool, epc: str, now: datetime) -> None:
    """A parcel leaves the queue, and is looked at again when it moves, or after a day."""
    rows = conn.execute(
        "delete from tracking.moved where test = %s and %s = any(epcs) returning epcs", (test, epc)
    ).fetchall()
    enter(conn, test, {one for (epcs,) in rows for one in epcs} - {epc})
    known = conn.execute(
        "update tracking.chances set look_again_at = %s where test = %s and epc = %s", (now + ASIDE, test, epc)
    )
    if known.rowcount == 0:  # never looked at: nothing else would remind anybody of it
        conn.execute(
            "insert into tracking.moved (test, parcels, epcs, not_before) values (%s, 1, %s, %s)",
            (test, [epc], now + ASIDE),
        )


def write(conn: psycopg.Connection, test: bool, looked: pl.DataFrame, now: datetime) -> None:
    """Keep what was found of parcels (columns CHANCES), in place of what was found before."""
    rows = looked.sort("epc").with_columns(test=pl.lit(test), looked_at=pl.lit(now, _AT))  # in the order of `hold`
    sets.insert(
        conn, "tracking.chances", rows, {**CHANCES, "test": "boolean", "looked_at": "timestamptz"},
        f"on conflict (epc, test) do update set {_AGAIN}",
    )  # fmt: skip


_AGAIN = ", ".join(f"{name} = excluded.{name}" for name in [*CHANCES, "looked_at"] if name != "epc")


def add_history(conn: psycopg.Connection, test: bool, changed: pl.DataFrame, now: datetime) -> None:
    """Keep for good what was found (columns HISTORY)."""
    rows = changed.with_columns(test=pl.lit(test), looked_at=pl.lit(now, _AT))
    sets.insert(conn, "tracking.chance_history", rows, {**HISTORY, "test": "boolean", "looked_at": "timestamptz"})


def legs_before(conn: psycopg.Connection, test: bool, epcs: Iterable[str]) -> pl.DataFrame:
    """What parcels were likely to ride at the look before: epc, legs (JSON)."""
    return sets.read(
        conn, "select epc, legs::text from tracking.chances where test = %(test)s and epc = any(%(epcs)s)",
        {"epc": pl.String, "legs": pl.String}, {"test": test, "epcs": list(epcs)},
    )  # fmt: skip


class Chance(Struct, frozen=True):
    """A parcel's row; legs: from here, in words."""

    epc: str
    parcel_id: str
    shipment_id: str
    owner_id: str
    policy: str | None
    at: datetime | None
    status: str
    detail: str | None
    node_id: str | None
    riding_departure_id: str | None
    riding_depart_at: datetime | None
    chance: float | None
    expected_at: datetime | None
    by_at: datetime | None
    promised_at: datetime
    confidence: float
    next_departure_id: str | None
    next_cutoff_at: datetime | None
    legs: list[dict[str, Any]]
    off_plan: bool
    why: str | None
    due_scan: str | None
    look_again_at: datetime | None
    looked_at: datetime


def find(conn: psycopg.Connection, test: bool, epc: str) -> Chance | None:
    """What is known of a parcel that the asker may see; None until it was looked at."""
    return next(iter(_chances(conn, "epc = %(epc)s and test = %(test)s", {"epc": epc, "test": test})), None)


def under_way(
    conn: psycopg.Connection, test: bool, below: float, after: tuple[float, str] | None, limit: int
) -> list[Chance]:
    """Parcels under way whose chance is below this, the least first; after: the chance and parcel_id of the last."""
    where = f"test = %(test)s and {UNDER_WAY} and chance < %(below)s"
    asked: dict[str, Any] = {"test": test, "below": below, "limit": limit}
    if after is not None:
        where += " and (chance, parcel_id) > (%(chance)s, %(parcel)s)"
        asked |= {"chance": after[0], "parcel": after[1]}
    return _chances(conn, f"{where} order by chance, parcel_id limit %(limit)s", asked)


def _chances(conn: psycopg.Connection, where: str, asked: dict[str, Any]) -> list[Chance]:
    with conn.cursor(row_factory=class_row(Chance)) as cursor:
        query = f"select {', '.join(Chance.__struct_fields__)} from tracking.chances where {where}"
        return cursor.execute(query.encode(), asked).fetchall()


class Past(Struct, frozen=True):
    """What was found at a look whose answer was another than before; `seq` rises."""

    seq: int
    at: datetime
    looked_at: datetime
    event_no: int | None
    chance: float | None
    expected_at: datetime | None
    policy: str | None
    why: str | None


def history(conn: psycopg.Connection, test: bool, epc: str, after: int, limit: int) -> list[Past]:
    """How a parcel's chance came to be what it is, oldest first; after: the `seq` of the last."""
    with conn.cursor(row_factory=class_row(Past)) as cursor:
        return cursor.execute(
            f"select {', '.join(Past.__struct_fields__)} from tracking.chance_history"
            " where epc = %s and test = %s and seq > %s order by seq limit %s".encode(),
            (epc, test, after, limit),
        ).fetchall()


def forget(conn: psycopg.Connection, test: bool, now: datetime, most: int) -> int:
    """Forget the chances of parcels that came to an end, or were given up, and were not looked at since for 90 days: so
    many at most, and that they were set aside with them. Returns how many; fewer than `most` = there are no more. Their
    history stays.
    """
    row = conn.execute(
        "with gone as (delete from tracking.chances where test = %(test)s and epc in (select epc from tracking.chances"
        " where test = %(test)s and (status in ('delivered', 'cancelled', 'return_to_sender') or why = 'given_up')"
        " and promised_at < %(old)s and looked_at < %(old)s order by promised_at limit %(most)s) returning epc),"
        " aside as (delete from tracking.set_aside a using gone g where a.test = %(test)s and a.epc = g.epc)"
        " select count(*) from gone",
        {"test": test, "old": now - KEPT, "most": most},
    ).fetchone()
    assert row is not None
    return row[0]
