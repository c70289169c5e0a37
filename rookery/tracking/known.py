"""Which words, places and things there are in the events that a party may see, in the order of their values.

An index is gone through by leaps, from each value to the next, where there is one that begins with it. Of a party that
does not see all, its own events are gone through: those it captured, and those of parcels it ships.
"""

from __future__ import annotations

import psycopg

from rookery.tracking.queries import Sight

COLUMNS = ("type", "biz_step", "disposition", "read_point", "biz_location")
EPC = "epc"
_BY_LEAPS = ("biz_step", "read_point", "biz_location")
FEW = 20_000
"""Events of a party that are gone through for every page; with more of them, the things are gone through by leaps."""


def known(conn: psycopg.Connection, what: str, sight: Sight, limit: int, after: str = "") -> list[str]:
    """Up to `limit` values of a column of events (COLUMNS), or things (EPC), that come after `after`."""
    if what == EPC:
        by_leaps = sight.sees_all or not _has_few(conn, sight)
        text = _leaps("tracking.event_epcs", EPC, " and role <= 4") if by_leaps else _OWN_THINGS
    elif sight.sees_all:
        text = _leaps("tracking.events", what) if what in _BY_LEAPS else _plainly(what)
    else:
        text = _of_own(what)
    asked = {"party": sight.party_id, "after": after, "limit": limit}
    return [value for (value,) in conn.execute(text.encode(), asked, prepare=False)]


def _has_few(conn: psycopg.Connection, sight: Sight) -> bool:
    counted = "select count(*) from (select from tracking.events where party_id = %s limit %s) n"
    row = conn.execute(counted, (sight.party_id, FEW + 1)).fetchone()
    return row is not None and row[0] <= FEW


def _leaps(table: str, column: str, also: str = "") -> str:
    leap = f"select {column} from {table} where {column} > {{}}{also} order by {column} limit 1"
    return (
        f"with recursive found(value) as (({leap.format('%(after)s')}) union all"
        f" select ({leap.format('f.value')}) from found f where f.value is not null)"
        " select value from found where value is not null limit %(limit)s"
    )


def _plainly(column: str) -> str:
    return f"select distinct {column} from tracking.events where {column} > %(after)s order by 1 limit %(limit)s"


def _of_own(column: str) -> str:
    return (
        f"select distinct value from (select {column} from tracking.events where party_id = %(party)s union all"
        " select e.told from (select distinct event_no, event_at from tracking.event_epcs"
        "   where owner_id = %(party)s and party_id <> %(party)s) x"
        f" cross join lateral (select {column} from tracking.events"
        "   where event_no = x.event_no and event_at = x.event_at offset 0) e(told)) o(value)"
        " where value > %(after)s order by value limit %(limit)s"
    )


_OWN_THINGS = (
    "select distinct epc from (select x.epc from tracking.events e cross join lateral ("
    "   select epc from tracking.event_epcs"
    "    where event_no = e.event_no and event_at = e.event_at and role <= 4 offset 0) x"
    " where e.party_id = %(party)s union all"
    " select epc from tracking.event_epcs where owner_id = %(party)s and role <= 4) o"
    " where epc > %(after)s order by epc limit %(limit)s"
)
