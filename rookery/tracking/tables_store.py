"""Couriers' code tables by version, events whose code no table knew, and scans of numbers that are no parcel's.

Within the transaction of the connection: as the party for what is its own, as the system for what is derived.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import polars as pl
import psycopg
from msgspec import Struct
from psycopg import sql
from psycopg.rows import class_row

from rookery.base import sets

_AT = pl.Datetime("us", "UTC")
UNMAPPED = {"event_no": pl.Int64, "event_at": _AT, "code": pl.String}
STRAYS = {"epc": pl.String, "event_no": pl.Int64, "event_at": _AT, "number": pl.String}


class Version(Struct, frozen=True):
    """A version of a party's code table; the highest counts."""

    version: int
    created_at: datetime
    created_by: str


class Unknown(NamedTuple):
    """A code of a party that no table knew: how many scans, of when, the first to come, and a number that had it."""

    party_id: str
    code: str
    scans: int
    first_at: datetime
    last_at: datetime
    event_no: int
    epc: str | None


def tables(conn: psycopg.Connection, party_id: str, test: bool, most: int) -> list[tuple[datetime, str]]:
    """A party's newest tables, since when each counted and its text, the one in force first."""
    return conn.execute(
        "select created_at, content from tracking.code_tables where party_id = %s and test = %s"
        " order by version desc limit %s",
        (party_id, test, most),
    ).fetchall()


def table(conn: psycopg.Connection, party_id: str, test: bool, version: int | None) -> tuple[int, str] | None:
    """One version, by default the one in force."""
    return conn.execute(
        "select version, content from tracking.code_tables where party_id = %s and test = %s"
        " and version = coalesce(%s::integer, version) order by version desc limit 1",
        (party_id, test, version),
    ).fetchone()


def versions(conn: psycopg.Connection, party_id: str, test: bool, before: int, limit: int) -> list[Version]:
    """A party's versions, the newest first, those before one."""
    with conn.cursor(row_factory=class_row(Version)) as cursor:
        return cursor.execute(
            "select version, created_at, created_by from tracking.code_tables where party_id = %s and test = %s"
            " and version < %s order by version desc limit %s",
            (party_id, test, before, limit),
        ).fetchall()


def add_table(conn: psycopg.Connection, party_id: str, test: bool, content: str, now: datetime, by: str) -> int:
    """The number of the new version, which counts from now on."""
    row = conn.execute(
        "insert into tracking.code_tables (party_id, test, version, content, created_at, created_by)"
        " select %(party)s, %(test)s, coalesce(max(version), 0) + 1, %(content)s, %(now)s, %(by)s"
        " from tracking.code_tables where party_id = %(party)s and test = %(test)s returning version",
        {"party": party_id, "test": test, "content": content, "now": now, "by": by},
    ).fetchone()
    assert row is not None
    return row[0]


def add_unmapped(conn: psycopg.Connection, rows: pl.DataFrame, party_id: str, test: bool) -> None:
    """Keep that no table knew the code of these events (columns UNMAPPED)."""
    types = {"event_no": "bigint", "event_at": "timestamptz", "code": "text", "party_id": "text", "test": "boolean"}
    sets.insert(conn, "tracking.unmapped", rows.with_columns(party_id=pl.lit(party_id), test=pl.lit(test)), types)


def add_strays(conn: psycopg.Connection, rows: pl.DataFrame, party_id: str, test: bool) -> None:
    """Keep that these things (columns STRAYS) are no parcels that the party has to do with."""
    types = {
        "epc": "text", "event_no": "bigint", "event_at": "timestamptz", "number": "text", "party_id": "text",
        "test": "boolean",
    }  # fmt: skip
    rows = rows.with_columns(party_id=pl.lit(party_id), test=pl.lit(test))
    sets.insert(conn, "tracking.strays", rows, types, "on conflict do nothing")


def drop_strays(conn: psycopg.Connection, epcs: Sequence[str], party_id: str, test: bool) -> None:
    """They turned out to be containers."""
    conn.execute(
        "delete from tracking.strays where epc = any(%s) and party_id = %s and test = %s", (list(epcs), party_id, test)
    )


def holders(conn: psycopg.Connection, epcs: Sequence[str], test: bool) -> set[str]:
    """Those of the things that something ever lay in. As the system."""
    rows = conn.execute(
        "select g.epc from unnest(%s::text[]) as g (epc) where exists (select from tracking.containment c"
        ' where c.parent = g.epc collate "C" and c.test = %s)',
        (list(epcs), test),
    )
    return {epc for (epc,) in rows}


class Kept(NamedTuple):
    """What is kept of a scan: whether it is itself, and when it was declared wrong."""

    itself: bool
    declared_at: datetime | None


def kept_before(
    conn: psycopg.Connection, hashes: Sequence[bytes], first: datetime, last: datetime, party_id: str, test: bool
) -> dict[bytes, Kept]:
    """Those of the hashes that events of the party have which happened within these instants."""
    rows = conn.execute(
        "select hash, bool_or(declared_at = '-infinity'), max(nullif(declared_at, '-infinity')) from tracking.events"
        " where hash = any(%s) and event_at between %s and %s and party_id = %s and test = %s group by hash",
        (list(hashes), first, last, party_id, test),
    )
    return {bytes(digest): Kept(itself, declared) for digest, itself, declared in rows}


def unknown_codes(conn: psycopg.Connection, party_id: str | None, test: bool, after: int, limit: int) -> list[Unknown]:
    """Codes that no table knew, in the order in which they first came. party_id: None = of all parties."""
    rows = conn.execute(
        "select u.party_id, u.code, u.n, u.first_at, u.last_at, u.event_no, (select e.epc from tracking.event_epcs e"
        "   where e.event_no = u.event_no and e.event_at = f.event_at order by e.role, e.place limit 1)"
        " from (select party_id, code, count(*) n, min(event_at) first_at, max(event_at) last_at,"
        "     min(event_no) event_no from tracking.unmapped"
        "   where test = %(test)s and party_id = coalesce(%(party)s, party_id)"
        "   group by party_id, code having min(event_no) > %(after)s order by min(event_no) limit %(limit)s) u"
        " join tracking.unmapped f on f.event_no = u.event_no order by u.event_no",
        {"party": party_id, "test": test, "after": after, "limit": limit},
    )
    return [Unknown(*row) for row in rows]


def counts(conn: psycopg.Connection, party_id: str, test: bool) -> dict[str, int]:
    """How many kept scans of a party have each code that no table knew."""
    return dict(
        conn.execute(
            "select code, count(*) from tracking.unmapped where party_id = %s and test = %s group by code",
            (party_id, test),
        ).fetchall()
    )


def unmapped_codes(conn: psycopg.Connection, party_id: str, test: bool) -> list[str]:
    """The codes of a party's kept scans that no table knew; the index is gone through by leaps from one to the next."""
    leap = "select code from tracking.unmapped where party_id = %(party)s and test = %(test)s{} order by code limit 1"
    rows = conn.execute(
        (
            f"with recursive found(code) as (({leap.format('')}) union all"
            f" select ({leap.format(' and code > f.code')}) from found f where f.code is not null)"
            " select code from found where code is not null"
        ).encode(),
        {"party": party_id, "test": test},
    )
    return [code for (code,) in rows]


def new_tables(conn: psycopg.Connection, test: bool, since: datetime) -> list[tuple[str, str]]:
    """Parties whose table in force came since then, with its text. As the system."""
    return conn.execute(
        "select party_id, content from (select distinct on (party_id) party_id, content, created_at"
        "   from tracking.code_tables where test = %s order by party_id, version desc) t where created_at >= %s",
        (test, since),
    ).fetchall()


class Explained(NamedTuple):
    """What a code means, for all scans that have it."""

    code: str
    status: str | None
    detail: str | None


def explain(
    conn: psycopg.Connection, party_id: str, test: bool, known: Sequence[Explained], limit: int, things: int
) -> tuple[int, list[str]]:
    """Give up to `limit` kept scans, which name up to `things` (but one scan always), the meaning their code has by
    now; how many, and what they name. As the system.

    Events stay as they are: what they mean stands beside them. A scan is explained once.
    """
    frame = pl.DataFrame(known, schema=dict.fromkeys(Explained._fields, pl.String), orient="row")
    rows, values = sets.source(frame, {"code": "text", "status": "tracking.status", "detail": "text"})
    query = sql.SQL(
        "with waiting as (select o.event_no, o.event_at, given.status, given.detail"
        '   from tracking.unmapped o join {} on given.code collate "C" = o.code'
        "   where o.party_id = %(party)s and o.test = %(test)s order by o.event_no limit %(limit)s),"
        " sized as (select s.*, sum(coalesce(v.epcs, 0)) over (order by s.event_no) as up_to,"
        "     row_number() over (order by s.event_no) as nth from waiting s"
        "   left join tracking.events v on v.event_no = s.event_no and v.event_at = s.event_at),"
        " gone as (delete from tracking.unmapped u using sized s where u.event_no = s.event_no"
        "   and (s.nth = 1 or s.up_to <= %(things)s) returning u.event_no, u.event_at, s.status, s.detail),"
        " told as (update tracking.event_epcs e set status = gone.status, detail = gone.detail from gone"
        "   where e.event_no = gone.event_no and e.event_at = gone.event_at and e.party_id = %(party)s"
        "     and e.test = %(test)s and e.role <= 2 returning e.epc)"
        " select (select count(*) from gone), array(select distinct epc from told)"
    ).format(rows)
    row = conn.execute(query, {**values, "party": party_id, "test": test, "limit": limit, "things": things}).fetchone()
    assert row is not None
    return row[0], row[1]


class Stray(NamedTuple):
    """A scan of a number that is no parcel's of its party; `mark` tells it apart within its event."""

    party_id: str
    number: str
    event_no: int
    event_at: datetime
    record_at: datetime
    code: str | None
    mark: str


def strays(
    conn: psycopg.Connection, party_id: str | None, test: bool, after: tuple[int, str], limit: int
) -> list[Stray]:
    """Strays in the order in which they came. party_id: None = of all parties."""
    own = " and s.party_id = %(party)s" if party_id is not None else ""
    rows = conn.execute(
        f"select s.party_id, s.number, s.event_no, s.event_at, e.record_at, e.body->>'rookery:code', s.mark"
        f" from (select s.*, md5(s.epc) mark from tracking.strays s where s.test = %(test)s{own}"
        "   and (s.event_no, md5(s.epc)) > (%(event)s, %(mark)s) and s.event_no >= %(event)s"
        "   order by s.event_no, md5(s.epc) limit %(limit)s) s"
        " join tracking.events e on e.event_no = s.event_no and e.event_at = s.event_at"
        " order by s.event_no, s.mark".encode(),
        {"party": party_id, "test": test, "event": after[0], "mark": after[1], "limit": limit},
    )
    return [Stray(*row) for row in rows]


def some_strays(conn: psycopg.Connection, test: bool, most: int) -> list[str]:
    """Things that are strays: all, or where there are more than `most`, about so many by chance. As the system."""
    row = conn.execute("select reltuples from pg_class where oid = 'tracking.strays'::regclass").fetchone()
    share = min(100.0, 100.0 * most / max(row[0], 1.0)) if row else 100.0
    rows = conn.execute(
        "select distinct epc from tracking.strays tablesample system (%s) where test = %s limit %s",
        (share, test, 2 * most),
    )
    return [epc for (epc,) in rows]


def claim(conn: psycopg.Connection, whose: pl.DataFrame, parcels: pl.DataFrame, test: bool) -> list[str]:
    """What was kept of parcels whose party has to do with them by now counts, by whichever door it came: those of which
    there was some. As the system.

    whose: epc, party_id of who has to do with the parcels (epc, parcel_id, owner_id); those who run the network have
    with all.
    """
    if parcels.is_empty():
        return []
    known, values = sets.source(parcels, {"epc": "text", "parcel_id": "text", "owner_id": "text"}, "parcel")
    may, more = sets.source(whose, {"epc": "text", "party_id": "text"}, "may")
    query = sql.SQL(
        "with told as (update tracking.event_epcs e set parcel_id = parcel.parcel_id, owner_id = parcel.owner_id"
        '   from {known} where e.epc = parcel.epc collate "C" and e.parcel_id is null and e.test = %(test)s'
        "     and (e.standing = 2 or exists (select from {may} where may.epc = e.epc and may.party_id = e.party_id))"
        "   returning e.epc, e.party_id, e.event_no),"
        ' gone as (delete from tracking.strays s using {known} where s.epc = parcel.epc collate "C"'
        "   and s.test = %(test)s and (exists (select from {may} where may.epc = s.epc and may.party_id = s.party_id)"
        "     or exists (select from told where told.epc = s.epc and told.party_id = s.party_id)))"
        " select distinct epc from told"
    ).format(known=known, may=may)
    return [epc for (epc,) in conn.execute(query, {**values, **more, "test": test})]
