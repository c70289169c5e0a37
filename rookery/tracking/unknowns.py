"""Cases about scans that could not be understood: of numbers that no parcel has, with codes that no table knows.

As the system, within the transaction of the connection. Such cases have no parcels.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets
from rookery.terms.ids import new_ids
from rookery.tracking.rules.unknown_code import UNMAPPED
from rookery.tracking.rules.unknown_parcel import STRAYS


class Told(NamedTuple):
    """A case that was opened or, with a reason why, closed."""

    case_id: str
    kind: str
    cause: str
    reason: str
    closed_why: str | None


AT_ONCE = 1000
"""Causes that are looked at in one transaction; the next minute goes on."""
# a case that is open, or was closed by hand while what it is about is still there
_KNOWN = (
    "exists (select from tracking.cases c where c.test = %(test)s and c.kind = %(kind)s and c.cause = {} "
    "and c.clear_at is null)"
)
# causes are "number:<party>:<epc>" and "code:<party>:<code>"; a party's id has no colon
_ABOUT = "substr(c.cause, length(split_part(c.cause, ':', 1)) + length(split_part(c.cause, ':', 2)) + 3)"
_GONE = (
    "c.kind = 'unknown_parcel' and not exists (select from tracking.strays s"
    f"   where s.epc = {_ABOUT} and s.party_id = split_part(c.cause, ':', 2) and s.test = %(test)s)"
    " or c.kind = 'unknown_code' and not exists (select from tracking.unmapped u"
    f"   where u.party_id = split_part(c.cause, ':', 2) and u.test = %(test)s and u.code = {_ABOUT})"
)
SETTLE = (
    # the kinds as the index cases_unsettled has them; skip locked: another worker is at it, or a person; the next
    # minute goes on
    "with settled as (select c.case_id, c.state <> 'closed' as was_open from tracking.cases c"
    "   where c.test = %(test)s and c.clear_at is null and c.kind in ('unknown_parcel', 'unknown_code')"
    f"   and ({_GONE}) for update skip locked)"
    " update tracking.cases c set clear_at = %(now)s, state = 'closed',"
    "   updated_at = case when s.was_open then %(now)s else c.updated_at end,"
    "   closed_at = coalesce(c.closed_at, %(now)s), closed_why = coalesce(c.closed_why, 'mended'),"
    "   version = c.version + s.was_open::integer from settled s where c.case_id = s.case_id"
    " returning c.case_id, c.kind, c.cause, c.reason, c.closed_why, s.was_open"
)
"""Closes cases whose scans are understood by now."""


def strays(conn: psycopg.Connection, kind: str, test: bool) -> pl.DataFrame:
    """Numbers that no parcel has and no case is about, the first to come first (STRAYS)."""
    known = _KNOWN.format("'number:' || s.party_id || ':' || s.epc")
    query = (
        "select s.party_id, s.epc, s.number, s.scans, e.record_at from (select s.party_id, s.epc, min(s.number) number,"
        "     count(*) scans, min(s.event_no) event_no, min(s.event_at) event_at from tracking.strays s"
        f"   where s.test = %(test)s and not {known} group by s.party_id, s.epc order by min(s.event_no)"
        "   limit %(limit)s) s"
        " left join tracking.events e on e.event_no = s.event_no and e.event_at = s.event_at"
    )
    return sets.read(conn, query, STRAYS, {"test": test, "kind": kind, "limit": AT_ONCE})


def unmapped(conn: psycopg.Connection, kind: str, test: bool) -> pl.DataFrame:
    """Codes that no table knows and no case is about, the first to come first (UNMAPPED)."""
    known = _KNOWN.format("'code:' || u.party_id || ':' || u.code")
    query = (
        "select u.party_id, u.code, u.scans, e.record_at from (select u.party_id, u.code, count(*) scans,"
        "     min(u.event_no) event_no, min(u.event_at) event_at from tracking.unmapped u"
        f"   where u.test = %(test)s group by u.party_id, u.code having not {known} order by min(u.event_no)"
        "   limit %(limit)s) u"
        " left join tracking.events e on e.event_no = u.event_no and e.event_at = u.event_at"
    )
    return sets.read(conn, query, UNMAPPED, {"test": test, "kind": kind, "limit": AT_ONCE})


def open_unknown(conn: psycopg.Connection, kind: str, found: pl.DataFrame, test: bool, now: datetime) -> list[Told]:
    """A case for each cause (cause, reason, since) that has none open; those that are new."""
    if found.is_empty():
        return []
    rows = found.with_columns(pl.Series("case_id", new_ids("cas", now, found.height)))
    given, values = sets.source(rows, {"case_id": "text", "cause": "text", "reason": "text"})
    new = conn.execute(
        sql.SQL(
            "insert into tracking.cases (case_id, test, kind, cause, reason, opened_at, updated_at)"
            " select case_id, %(test)s, %(kind)s, cause, reason, %(now)s, %(now)s from {} on conflict do nothing"
            " returning case_id, kind, cause, reason, null"
        ).format(given),
        {**values, "test": test, "kind": kind, "now": now},
    )
    return [Told(*row) for row in new]


def close_settled(conn: psycopg.Connection, test: bool, now: datetime) -> list[Told]:
    """Close the cases whose scans are understood by now, and forget that others were closed by hand; those closed."""
    settled = conn.execute(SETTLE.encode(), {"test": test, "now": now})
    return [Told(*row) for *row, was_open in settled if was_open]
