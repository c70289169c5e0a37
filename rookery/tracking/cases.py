"""Cases and the parcels in them, in PostgreSQL: written as the system by whoever judges parcels.

A parcel is a *member* of a case until its rule finds it no more (clear_at): of an open case, of one that was closed by
hand, which so is not opened again for it, or of one that is over. Within the transaction of the connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets
from rookery.terms.ids import new_ids

AT = pl.Datetime("us", "UTC")
MEMBERS: dict[str, Any] = {
    "case_id": pl.String,
    "kind": pl.String,
    "case_cause": pl.String,
    "epc": pl.String,
    "case_event_no": pl.Int64,  # the event it went by when it was found
    "open": pl.Boolean,  # false: its case was closed by hand, or is over
}
CAUSES: dict[str, Any] = {"kind": pl.String, "cause": pl.String, "reason": pl.String}
OPEN: dict[str, Any] = {"kind": pl.String, "cause": pl.String, "case_id": pl.String}
_FACTS = {
    "since": "timestamptz", "event_no": "bigint", "reason": "text", "chance": "double precision", "move": "jsonb",
    "move_cost": "double precision", "move_chance": "double precision", "value": "double precision", "currency": "text",
}  # fmt: skip
_JOINED = {
    "case_id": "text", "epc": "text", "parcel_id": "text", "owner_id": "text", "number": "text", "kind": "text",
    "cause": "text", "chance_before": "double precision", **_FACTS,
}  # fmt: skip
BY_HAND = "by_hand"
KEPT = "13 months"
"""So long a case is kept after it closed."""
_UNKNOWN = "('unknown_parcel', 'unknown_code')"
FIGURES = """count(*)::integer parcels, min(p.chance) worst_chance,
  case when min(p.currency) is not distinct from max(p.currency) then sum(p.value) end as value,
  case when min(p.currency) = max(p.currency) then min(p.currency) end as currency,
  count(p.move)::integer moves, sum(p.move_cost) move_cost, min(p.move_chance) move_chance"""
"""What a case comes to, of its parcels p that are in it: a value where all of it is in one currency."""


class Figured(NamedTuple):
    """A case after parcels came or went: closed = the last one left it, and why."""

    case_id: str
    kind: str
    cause: str
    reason: str
    closed: bool
    closed_why: str | None


def members(conn: psycopg.Connection, epcs: Sequence[str], test: bool) -> pl.DataFrame:
    """What these parcels are members of (MEMBERS)."""
    return sets.read(
        conn,
        "select case_id, kind, cause, epc, event_no, closed_at is null from tracking.case_parcels"
        " where epc = any(%(epcs)s) and test = %(test)s and clear_at is null",
        MEMBERS,
        {"epcs": list(epcs), "test": test},
    )


def hold(conn: psycopg.Connection, case_ids: Sequence[str]) -> None:
    """Keep cases from being closed by others until the transaction ends, before anything of their parcels changes."""
    if case_ids:
        query = "select from tracking.cases where case_id = any(%s) order by case_id for update"
        conn.execute(query, (list(case_ids),))


def open_cases(conn: psycopg.Connection, causes: pl.DataFrame, test: bool, now: datetime) -> pl.DataFrame:
    """The open case (OPEN) of each cause (CAUSES, each once), held until the transaction ends; made where none is."""
    keys, values = sets.source(causes, {"kind": "text", "cause": "text"})
    query = sql.SQL(
        "select c.kind, c.cause, c.case_id from tracking.cases c join {} using (kind, cause)"
        " where c.test = %(test)s and c.state <> 'closed' order by c.case_id for update of c"
    ).format(keys)
    known = pl.DataFrame(conn.execute(query, {**values, "test": test}).fetchall(), schema=OPEN, orient="row")
    new = causes.join(known, on=["kind", "cause"], how="anti").sort("kind", "cause")
    if new.is_empty():
        return known
    ids = pl.Series("case_id", new_ids("cas", now, new.height))
    new = new.with_columns(ids, test=pl.lit(test), opened_at=pl.lit(now), updated_at=pl.lit(now))
    types = {
        "case_id": "text", "test": "boolean", "kind": "text", "cause": "text", "reason": "text",
        "opened_at": "timestamptz", "updated_at": "timestamptz",
    }  # fmt: skip
    sets.insert(conn, "tracking.cases", new, types)
    return pl.concat([known, new.select(*OPEN)])


def join(conn: psycopg.Connection, parcels: pl.DataFrame, test: bool, now: datetime) -> None:
    """Put parcels (columns _JOINED) into their cases; one that was there before is there again."""
    types = {**_JOINED, "test": "boolean", "opened_at": "timestamptz"}
    again = ", ".join(f"{name} = excluded.{name}" for name in ("opened_at", "chance_before", *_FACTS))
    sets.insert(
        conn,
        "tracking.case_parcels",
        parcels.with_columns(test=pl.lit(test), opened_at=pl.lit(now)),
        types,
        f"on conflict (case_id, epc) do update set {again}, closed_at = null, closed_why = null, clear_at = null,"
        " acted = null",
    )


def stay(conn: psycopg.Connection, parcels: pl.DataFrame) -> None:
    """What is told now of parcels that stay in their open cases (case_id, epc and _FACTS), where it is another; since
    when it holds stays as it was told first.
    """
    if parcels.is_empty():
        return
    rows, values = sets.source(parcels, {"case_id": "text", "epc": "text", **_FACTS})
    sources = {name: f"given.{name}" for name in _FACTS}
    sources |= {"reason": "coalesce(given.reason, p.reason)", "since": "coalesce(p.since, given.since)"}
    put = ", ".join(f"{name} = {source}" for name, source in sources.items())
    told = [name for name in _FACTS if name not in ("reason", "since")]
    had, has = (", ".join(f"{table}.{name}" for name in told) for table in ("p", "given"))
    conn.execute(
        sql.SQL(
            f"update tracking.case_parcels p set {put} from {{}} where p.case_id = given.case_id and p.epc = given.epc"  # type: ignore[arg-type]
            f" and ({had}) is distinct from ({has})"
        ).format(rows),
        values,
    )


def leave(conn: psycopg.Connection, parcels: pl.DataFrame, now: datetime) -> None:
    """Parcels (case_id, epc, closed_why) whose rule finds them no more: they leave their cases, and are clear."""
    if parcels.is_empty():
        return
    rows, values = sets.source(parcels, {"case_id": "text", "epc": "text", "closed_why": "text"})
    conn.execute(
        sql.SQL(
            "update tracking.case_parcels p set clear_at = %(now)s, closed_at = coalesce(p.closed_at, %(now)s),"
            " closed_why = coalesce(p.closed_why, given.closed_why) from {}"
            " where p.case_id = given.case_id and p.epc = given.epc"
        ).format(rows),
        {**values, "now": now},
    )


def figure(conn: psycopg.Connection, touched: pl.DataFrame, now: datetime) -> list[Figured]:
    """Count open cases anew after parcels came, stayed or went; those that are empty now close.

    touched: case_id, each once, and `why` it closes if it does.
    """
    if touched.is_empty():
        return []
    rows, values = sets.source(touched, {"case_id": "text", "why": "text"})
    figured = conn.execute(
        sql.SQL(
            f"with told as (select given.case_id, given.why, f.* from {{}}, lateral (select {FIGURES}"  # type: ignore[arg-type]
            '   from tracking.case_parcels p where p.case_id = given.case_id collate "C" and p.closed_at is null) f)'
            " update tracking.cases c set parcels = t.parcels, value = t.value, currency = t.currency,"
            "   worst_chance = t.worst_chance, moves = t.moves, move_cost = t.move_cost, move_chance = t.move_chance,"
            "   state = case when t.parcels = 0 then 'closed' else c.state end,"
            "   closed_at = case when t.parcels = 0 then %(now)s::timestamptz end,"
            "   closed_why = case when t.parcels = 0 then t.why end, version = c.version + (t.parcels = 0)::integer,"
            "   updated_at = case when t.parcels = 0 then %(now)s else c.updated_at end"
            " from told t where c.case_id = t.case_id and c.state <> 'closed'"
            " returning c.case_id, c.kind, c.cause, c.reason, c.state = 'closed', c.closed_why"
        ).format(rows),
        {**values, "now": now},
    )
    return [Figured(*row) for row in figured]


def shippers(conn: psycopg.Connection, case_ids: Sequence[str]) -> dict[str, list[str]]:
    """Whose parcels are, or were, in each of these cases."""
    rows = conn.execute(
        "select case_id, array_agg(distinct owner_id order by owner_id) from tracking.case_parcels"
        " where case_id = any(%s) group by case_id",
        (list(case_ids),),
    )
    return dict(rows.fetchall())


def first_of(conn: psycopg.Connection, concerned: pl.DataFrame, test: bool) -> pl.DataFrame:
    """Those of (case_id, owner_id) of whom no parcel is, or was, in the case."""
    rows, values = sets.source(concerned, {"case_id": "text", "owner_id": "text"})
    query = sql.SQL(
        "select case_id, owner_id from {} where not exists (select from tracking.case_parcels p"
        " where p.owner_id = given.owner_id and p.test = %(test)s and p.case_id = given.case_id)"
    ).format(rows)
    found = conn.execute(query, {**values, "test": test}).fetchall()
    return pl.DataFrame(found, schema={"case_id": pl.String, "owner_id": pl.String}, orient="row")


def others_open(conn: psycopg.Connection, kind: str, causes: Sequence[str], test: bool) -> list[str]:
    """The open cases of a kind with none of these causes, held until the transaction ends."""
    found = conn.execute(
        "select case_id from tracking.cases where test = %s and kind = %s and state <> 'closed'"
        " and not cause = any(%s) order by case_id for update",
        (test, kind, list(causes)),
    )
    return [case_id for (case_id,) in found]


def empty(conn: psycopg.Connection, case_ids: Sequence[str], now: datetime) -> list[str]:
    """All that is in cases leaves them, as what made them is over; which parcels those are. They are members until they
    are looked at: so it is told what they come from where they still are in trouble.
    """
    left = conn.execute(
        "update tracking.case_parcels set closed_at = %(now)s, closed_why = 'over'"
        " where case_id = any(%(ids)s) and closed_at is null returning epc",
        {"now": now, "ids": list(case_ids)},
    )
    return [epc for (epc,) in left]


def close_by_hand(conn: psycopg.Connection, case_id: str, why: str, by: str, now: datetime) -> None:
    """Close an open case with all that is in it."""
    conn.execute(
        "update tracking.cases set state = 'closed', closed_at = %s, closed_by = %s, closed_why = %s, updated_at = %s,"
        " version = version + 1, parcels = 0, value = null, currency = null, worst_chance = null, moves = 0,"
        " move_cost = null, move_chance = null where case_id = %s",
        (now, by, why, now, case_id),
    )
    conn.execute(
        "update tracking.case_parcels set closed_at = %s, closed_why = %s where case_id = %s and closed_at is null",
        (now, BY_HAND, case_id),
    )


def forget(conn: psycopg.Connection, test: bool, now: datetime, most: int) -> int:
    """Forget cases that closed 13 months ago, the first to close first, and before them what was in them: so many
    parcels and cases at most. Returns how many; fewer than `most` = there are no more.

    Of scans that nobody understood yet the case that was closed by hand stays: it would be opened again.
    """
    old = (
        "with old as materialized (select case_id from tracking.cases where test = %(test)s and state = 'closed'"
        f" and closed_at < %(now)s - interval '{KEPT}' and (clear_at is not null or kind not in {_UNKNOWN})"
        " order by closed_at limit %(most)s)"
    )
    given = {"test": test, "now": now, "most": most}
    gone = conn.execute(
        (
            f"{old}, few as materialized (select p.case_id, p.epc from old join tracking.case_parcels p"
            "   using (case_id) limit %(most)s)"
            " delete from tracking.case_parcels p using few s where p.case_id = s.case_id and p.epc = s.epc"
        ).encode(),
        given,
    ).rowcount
    if gone < most:
        gone += conn.execute(
            f"{old} delete from tracking.cases c using old where c.case_id = old.case_id".encode(), given
        ).rowcount
    return gone
