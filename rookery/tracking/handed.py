"""What others than its shipper say of a parcel: whether anybody does, not all that was said.

As the system, within the transaction of the connection.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets
from rookery.tracking.archive import Archive, Holding
from rookery.tracking.lying import DEEPEST, PARCELS
from rookery.tracking.states import UP

STANDS = {"epc": pl.String, "status": pl.String, "at": pl.Datetime("us", "UTC")}


def stands(conn: psycopg.Connection, parcels: pl.DataFrame, test: bool) -> pl.DataFrame:
    """Where parcels (columns PARCELS) are by all that counts, and since when (columns STANDS; without those of which
    nothing is known).
    """
    return sets.read(
        conn,
        "select epc, status::text, status_at from tracking.parcels"
        " where epc = any(%(epcs)s) and test = %(test)s and status is not null",
        STANDS,
        {"epcs": parcels["epc"].to_list(), "test": test},
    )


def said_by_others(
    conn: psycopg.Connection,
    parcels: pl.DataFrame,
    statuses: Collection[str],
    involved: pl.DataFrame,
    test: bool,
    archive: Archive,
) -> list[str]:
    """Those of parcels (columns PARCELS) of which an event that counts says one of these statuses, of themselves or by
    way of what they lay in, and not one of their shipper's: what that tells as one who carries (standing 1) is a
    courier's word.

    involved: epc, party_id. The search ends at the first such event of each, however many there are, and looks into the
    archive for those alone of which none is found outside.
    """
    if parcels.is_empty():
        return []
    given, values = sets.source(parcels, dict.fromkeys(PARCELS, "text"), "asked")
    asked: dict[str, Any] = {
        **values, "statuses": list(statuses), "test": test, "deepest": DEEPEST,
        "of": involved["epc"].to_list(), "parties": involved["party_id"].to_list(),
    }  # fmt: skip

    def found(held: Holding) -> set[str]:
        live = sql.SQL("tracking.event_epcs")
        said = _found(conn, live, given, {**asked, "epcs": parcels["epc"].to_list()})
        left = sorted(set(parcels["epc"]) - said)
        if not left or not held.files:
            return said
        asks = {**asked, "epcs": left}
        things = [thing for (thing,) in conn.execute(f"{UP} select distinct thing from up".encode(), asks)]
        shippers = parcels["owner_id"].unique().to_list()
        others = (pl.col("standing") > 0) | ~pl.col("party_id").is_in(shippers)
        past = archive.of_things(conn, held, things, test, others & pl.col("status").is_in(list(statuses)))
        rows, more = sets.source(past.with_columns(test=pl.lit(test)), _PAST)
        return said | _found(conn, rows, given, {**asks, **more})

    return sorted(archive.steady(conn, found))


def _found(conn: psycopg.Connection, events: sql.SQL, given: sql.SQL, asked: dict[str, Any]) -> set[str]:
    """events: rows of event_epcs, as something to select from."""
    query = sql.SQL(
        UP + " select asked.epc from {given} cross join lateral (select from up"  # each by itself, to end at its first
        "   join (select * from {events}) e on e.epc = up.thing and e.event_at >= up.from_at"
        "     and e.event_at < up.until_at and e.role <= 2 and e.test = %(test)s"
        "   where up.root = asked.epc and e.status = any(%(statuses)s::tracking.status[])"
        "     and not e.withdrawn and not e.doubt and (e.standing > 0 or e.party_id <> asked.owner_id)"
        "     and (e.standing = 2 or (e.parcel_id is not null and cardinality(up.via) = 0)"
        "       or (up.root, e.party_id) in (select * from unnest(%(of)s::text[], %(parties)s::text[])))"
        "   limit 1) said where asked.epc = any(%(epcs)s)"
    ).format(events=events, given=given)  # type: ignore[arg-type]
    return {epc for (epc,) in conn.execute(query, asked)}


_PAST = {
    "epc": "text", "event_at": "timestamptz", "role": "smallint", "status": "tracking.status", "party_id": "text",
    "standing": "smallint", "withdrawn": "boolean", "doubt": "boolean", "parcel_id": "text", "test": "boolean",
}  # fmt: skip
