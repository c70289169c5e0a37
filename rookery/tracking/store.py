"""Events into PostgreSQL, each once; which are parcels, and which of them were withdrawn.

Within the transaction of the connection, as the system.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets
from rookery.tracking.capture import EPCS, EVENTS, NONE, Batch
from rookery.tracking.reading import OF_NUMBER

_KEPT = {name: kind for name, kind in EVENTS.items() if name != "i"}
_NAMED = {name: kind for name, kind in EPCS.items() if name != "i"}
ADDED = {"i": pl.Int64, "event_no": pl.Int64}


def add(
    conn: psycopg.Connection,
    batch: Batch,
    *,
    party_id: str,
    test: bool,
    now: datetime,
    capture_id: str | None,
) -> pl.DataFrame:
    """Keep the events that are new, numbered in the order of the batch; returns these in it (columns ADDED). What the
    party captured before is not kept again.
    """
    if batch.events.is_empty():
        return pl.DataFrame(schema=ADDED)
    rows, values = sets.source(batch.events, EVENTS)
    names = sql.SQL(", ").join(map(sql.Identifier, _KEPT))
    mine = {"party": party_id, "test": test, "now": now, "capture": capture_id}
    # numbers are drawn in the order of sending, and rows kept in that of their marks, so that two that keep the same
    # events at once wait for each other in one direction
    kept = sql.SQL(
        "insert into tracking.events (event_no, batch_no, record_at, party_id, test, capture_id, {names})"
        " overriding system value"
        " select event_no, min(event_no) over (), %(now)s, %(party)s, %(test)s, %(capture)s, {names}"
        " from (select nextval('tracking.events_event_no_seq') as event_no, {names} from {rows} order by i) numbered"
        " order by mark"
        " on conflict (mark, declared_at, event_at) do nothing"
        " returning event_no, mark, nullif(declared_at, '-infinity')"
    ).format(names=names, rows=rows)
    schema = {"event_no": pl.Int64, "mark": pl.Binary, "declared": pl.Datetime("us", "UTC")}
    new = pl.DataFrame(conn.execute(kept, {**values, **mine}).fetchall(), schema=schema, orient="row")
    declared = pl.col("declared_at").replace(NONE, None).str.to_datetime(time_unit="us", time_zone="UTC", strict=True)
    ours = batch.events.select("i", "mark", declared=declared)
    return ours.join(new, on=["mark", "declared"], nulls_equal=True).select(*ADDED).sort("event_no")


def add_things(
    conn: psycopg.Connection,
    batch: Batch,
    added: pl.DataFrame,
    *,
    party_id: str,
    test: bool,
    standing: int,
    parcels: pl.DataFrame,
) -> None:
    """Keep what the added events name.

    parcels: epc, parcel_id, owner_id of the parcels among what is named that the party has to do with.
    """
    named = batch.epcs.join(added, on="i").join(parcels, on="epc", how="left")
    types = {**_NAMED, "event_no": "bigint", "parcel_id": "text", "owner_id": "text"}
    given, values = sets.source(named, types)
    columns = sql.SQL(", ").join(map(sql.Identifier, types))
    if not named.is_empty():
        conn.execute(
            sql.SQL(
                "insert into tracking.event_epcs (party_id, test, standing, withdrawn, {columns})"
                " select %(party)s, %(test)s, %(standing)s, false, {columns} from {given}"
            ).format(columns=columns, given=given),
            {**values, "party": party_id, "test": test, "standing": standing},
        )


def in_turn(conn: psycopg.Connection, batch: Batch, party_id: str, test: bool) -> None:
    """A party's captures with error declarations wait for its others, and these for them, until a transaction ends:
    else of a declaration and the event it takes back, kept at once, neither would see the other.
    """
    declares = batch.events.filter(pl.col("declared_at") != NONE).height > 0
    lock = "pg_advisory_xact_lock" if declares else "pg_advisory_xact_lock_shared"
    conn.execute(f"select {lock}(1919252069, hashtext(%s))".encode(), (f"{party_id}\n{test}",))


def withdraw(conn: psycopg.Connection, batch: Batch, added: pl.DataFrame) -> pl.DataFrame:
    """Events that an error declaration says did not occur so move nothing any more, and no declaration itself does.

    Returns the things they name (epc). A declaration may come before what it declares.
    """
    fresh = batch.events.join(added, on="i")
    rows, values = sets.source(fresh, {"mark": "bytea", "event_at": "timestamptz"})
    query = sql.SQL(
        "select v.event_no, v.event_at from {rows}"
        " join tracking.events d on d.mark = given.mark and d.event_at = given.event_at"
        "   and d.declared_at <> '-infinity'"
        " join tracking.events v on v.mark = d.mark and v.event_at = d.event_at"
    ).format(rows=rows)
    gone = conn.execute(query, values).fetchall()
    if not gone:
        return pl.DataFrame(schema={"epc": pl.String})
    return pl.DataFrame({"epc": count_no_more(conn, gone)}, schema={"epc": pl.String})


def count_no_more(conn: psycopg.Connection, gone: Sequence[tuple[int, datetime]]) -> list[str]:
    """Marks events (number, instant; one at least) as withdrawn; returns what they name that was not so before."""
    numbers, instants = zip(*gone)
    # bounds that stand in the statement, so that months it has nothing to do with are not even locked
    change = sql.SQL(
        "update tracking.event_epcs e set withdrawn = true"
        " from unnest(%s::bigint[], %s::timestamptz[]) as gone (event_no, event_at)"
        " where e.event_no = gone.event_no and e.event_at = gone.event_at and not e.withdrawn"
        "   and e.event_at between {first} and {last} returning e.epc"
    ).format(first=sql.Literal(min(instants)), last=sql.Literal(max(instants)))
    return sorted({epc for (epc,) in conn.execute(change, (list(numbers), list(instants)))})


def find_events(conn: psycopg.Connection, event_id: str, test: bool) -> list[tuple[int, datetime]]:
    """Events (number, instant) by an id as it is told: as sent, the hash's, or made of the number."""
    number = event_id.removeprefix(OF_NUMBER)
    digest = event_id.removeprefix("ni:///sha-256;").partition("?")[0].lower()
    hashed = event_id.startswith("ni:") and re.fullmatch("[0-9a-f]{64}", digest)
    numbered = event_id.startswith(OF_NUMBER) and re.fullmatch("[0-9]{1,18}", number)
    rows = conn.execute(
        "select event_no, event_at from tracking.events where test = %(test)s"
        " and (event_id = %(id)s or hash = %(hash)s or event_no = %(number)s)",
        {
            "test": test, "id": event_id, "hash": bytes.fromhex(digest) if hashed else None,
            "number": int(number) if numbered else None,
        },
    )  # fmt: skip
    return rows.fetchall()


def overrule(conn: psycopg.Connection, events: list[tuple[int, datetime]], overruled: bool, test: bool) -> list[str]:
    """Has events count no more, or as they would have; returns the things that they name."""
    rows = conn.execute(
        "update tracking.event_epcs e set withdrawn = %(overruled)s or exists (select from tracking.events v"
        "     join tracking.events d on d.mark = v.mark and d.event_at = v.event_at and d.declared_at <> '-infinity'"
        "   where v.event_no = e.event_no and v.event_at = e.event_at)"
        " from unnest(%(numbers)s::bigint[], %(instants)s::timestamptz[]) as g (event_no, event_at)"
        " where e.event_no = g.event_no and e.event_at = g.event_at and e.test = %(test)s returning e.epc",
        {
            "overruled": overruled, "numbers": [no for no, _ in events], "instants": [at for _, at in events],
            "test": test,
        },
    )  # fmt: skip
    return sorted({epc for (epc,) in rows})
