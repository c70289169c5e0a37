"""Records of shipments that were booked on: what was done at once, what could not be and why, what was undone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec
import polars as pl
import psycopg
from msgspec import Struct
from psycopg import sql
from psycopg.rows import dict_row

from rookery.base import sets
from rookery.terms.errors import NotFound

_COLUMNS = "replan_id, case_id, test, at, by_party, done, refused, undone, reasons, undone_at, undone_by"
KEPT = "13 months"
"""So long a replan is kept."""
SHIPMENTS: dict[str, str] = {
    "shipment_id": "text",
    "state": "text",  # done | refused
    "reason": "text",  # null = done
    "route_before": "integer",
    "route_after": "integer",  # null = refused
    "feed_before": "text",
    "expected_before": "timestamptz",
    "expected_after": "timestamptz",
    "chance_before": "double precision",
    "chance_after": "double precision",
    "pieces": "jsonb",  # refused as they are apart: where each of them stood
}
DONE: dict[str, Any] = {
    "shipment_id": pl.String,
    "route_before": pl.Int32,
    "route_after": pl.Int32,
    "feed_before": pl.String,
    "expected_before": pl.Datetime("us", "UTC"),
    "chance_before": pl.Float64,
}


class Replan(Struct, frozen=True):
    """Shipments booked on at once. done: how many go by it; reasons: how many were refused, by reason; replan_id: null
    when it was only tried.
    """

    replan_id: str | None
    case_id: str | None
    test: bool
    at: datetime
    by_party: str
    done: int
    refused: int
    undone: int
    reasons: dict[str, int]
    undone_at: datetime | None
    undone_by: str | None


class Replanned(Struct, frozen=True):
    """What became of one shipment. reason: why it was refused, or could not be undone; routes count from 1."""

    shipment_id: str
    state: Literal["done", "refused", "undone"]
    reason: str | None
    route_before: int | None
    route_after: int | None
    route_undone: int | None
    expected_before: datetime | None
    expected_after: datetime | None
    chance_before: float | None
    chance_after: float | None


def add(
    conn: psycopg.Connection, replan_id: str, test: bool, case_id: str | None, by: str, now: datetime,
    shipments: pl.DataFrame,
) -> None:  # fmt: skip
    """A replan with what became of each shipment (columns SHIPMENTS), as it was just done."""
    reasons = shipments.filter(state="refused").group_by("reason").len().sort("reason")
    refused = int(reasons["len"].sum())
    conn.execute(
        "insert into planning.replans (replan_id, test, case_id, at, by_party, done, refused, reasons)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            replan_id, test, case_id, now, by, shipments.height - refused, refused,
            msgspec.json.encode(dict(reasons.iter_rows())).decode(),
        ),
    )  # fmt: skip
    sets.insert(
        conn, "planning.replan_shipments",
        shipments.with_columns(replan_id=pl.lit(replan_id), test=pl.lit(test)),
        {"replan_id": "text", "test": "boolean", **SHIPMENTS},
    )  # fmt: skip


def get(conn: psycopg.Connection, replan_id: str, *, hold: bool = False) -> Replan:
    """One replan; `hold` keeps others from undoing it until the transaction ends. Raises NotFound."""
    query = f"select {_COLUMNS} from planning.replans where replan_id = %s{' for update' if hold else ''}"
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(query.encode(), (replan_id,)).fetchone()
    if row is None:
        raise NotFound("replans.none", f"There is no replan {replan_id}.", "list them: GET /replans")
    return msgspec.convert(row, Replan)


def list_replans(
    conn: psycopg.Connection, test: bool, before: str = "", limit: int = 1000, case_id: str | None = None
) -> list[Replan]:
    """Replans, the newest first; those before an id, or about one case, when it is given."""
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"select {_COLUMNS} from planning.replans where test = %(test)s"
            " and (replan_id < %(before)s or %(before)s = '') and case_id is not distinct from"
            " coalesce(%(case)s, case_id) order by replan_id desc limit %(limit)s".encode(),
            {"test": test, "before": before, "case": case_id, "limit": limit},
        ).fetchall()
    return msgspec.convert(rows, list[Replan])


def list_shipments(conn: psycopg.Connection, replan_id: str, after: str = "", limit: int = 1000) -> list[Replanned]:
    """What became of the shipments of a replan, by shipment_id."""
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "select shipment_id, state, reason, route_before, route_after, route_undone, expected_before,"
            " expected_after, chance_before, chance_after from planning.replan_shipments"
            " where replan_id = %s and shipment_id > %s order by shipment_id limit %s",
            (replan_id, after, limit),
        ).fetchall()
    return msgspec.convert(rows, list[Replanned])


def still_done(conn: psycopg.Connection, replan_id: str) -> pl.DataFrame:
    """The shipments of a replan that were done and not undone (columns DONE)."""
    return sets.read(
        conn,
        f"select {', '.join(DONE)} from planning.replan_shipments where replan_id = %(id)s and state = 'done'"
        " order by shipment_id",
        DONE,
        {"id": replan_id},
    )


def tell_undone(conn: psycopg.Connection, replan_id: str, by: str, now: datetime, told: pl.DataFrame) -> None:
    """What came of undoing (shipment_id, reason: null = undone, route_undone): those with a reason stay done.

    When, and by whom, is told of the first time at which something was undone.
    """
    if not told.is_empty():
        rows, values = sets.source(told, {"shipment_id": "text", "reason": "text", "route_undone": "integer"})
        conn.execute(
            sql.SQL(
                "update planning.replan_shipments r set reason = given.reason, route_undone = given.route_undone,"
                " state = case when given.reason is null then 'undone' else 'done' end from {}"
                " where r.replan_id = %(id)s and r.shipment_id = given.shipment_id and r.state = 'done'"
            ).format(rows),
            {**values, "id": replan_id},
        )
    undone = told["reason"].null_count()
    if not undone:
        return
    conn.execute(
        "update planning.replans set done = done - %(n)s, undone = undone + %(n)s,"
        " undone_at = coalesce(undone_at, %(now)s), undone_by = coalesce(undone_by, %(by)s)"
        " where replan_id = %(id)s",
        {"n": undone, "now": now, "by": by, "id": replan_id},
    )


def forget(conn: psycopg.Connection, test: bool, now: datetime, most: int) -> int:
    """Forget replans of 13 months ago, the oldest first, and before them what became of each shipment: so many at most.
    Returns how many; fewer than `most` = there are no more.
    """
    # ids rise with time: only the oldest few are looked at
    old = (
        "with old as materialized (select replan_id from (select replan_id, at from planning.replans"
        "   where test = %(test)s order by replan_id limit %(most)s) oldest"
        f"  where at < %(now)s - interval '{KEPT}')"
    )
    given = {"test": test, "now": now, "most": most}
    gone = conn.execute(
        (
            f"{old}, few as materialized (select r.replan_id, r.shipment_id from old join planning.replan_shipments r"
            "   using (replan_id) limit %(most)s)"
            " delete from planning.replan_shipments r using few s"
            " where r.replan_id = s.replan_id and r.shipment_id = s.shipment_id"
        ).encode(),
        given,
    ).rowcount
    if gone < most:
        query = f"{old} delete from planning.replans r using old where r.replan_id = old.replan_id"
        gone += conn.execute(query.encode(), given).rowcount
    return gone
