"""Routes, loads and plans in the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets

LEGS: dict[str, str] = {
    "shipment_id": "text",
    "route": "integer",  # from 1; orders.shipments.route tells which counts
    "seq": "integer",  # from 1
    "party_id": "text",  # the shipper
    "courier_id": "text",  # the party that feeds call carrier_id; null = none
    "test": "boolean",
    "plan_id": "text",  # null = as quoted
    "departure_id": "text",
    "lane_id": "text",
    "carrier_id": "text",
    "mode": "text",
    "from_node": "text",
    "to_node": "text",
    "cutoff_at": "timestamptz",
    "depart_at": "timestamptz",
    "arrive_at": "timestamptz",
    "cost": "double precision",
}
LOADS: dict[str, str] = {
    "departure_id": "text",
    "depart_at": "timestamptz",
    "parcels": "double precision",
    "grams": "double precision",
    "capacity_parcels": "double precision",
    "capacity_g": "double precision",
    "shadow_price": "double precision",
    "shadow_price_per_kg": "double precision",
}
UNASSIGNED: dict[str, str] = {
    "order_id": "text",
    "party_id": "text",
    "test": "boolean",
    "plan_id": "text",
    "reasons": "text[]",
}
LOADS_LOCK = "select pg_advisory_xact_lock(hashtext('planning.loads'))"
LOADS_LOCK_SHARED = "select pg_advisory_xact_lock_shared(hashtext('planning.loads'))"
"""Whoever adds to loads holds it shared; a wave, which replaces them, holds it alone. Until the transaction ends."""


def couriers(conn: psycopg.Connection, codes: Iterable[str | None]) -> pl.DataFrame:
    """The parties that feeds call so: columns carrier_id, courier_id; codes that are nobody's are left out."""
    return sets.read(
        conn,
        "select code, party_id from planning.couriers(%(codes)s)",
        {"carrier_id": pl.String, "courier_id": pl.String},
        {"codes": sorted({code for code in codes if code})},
    )


def add_legs(conn: psycopg.Connection, legs: pl.DataFrame) -> None:
    """Add routes of shipments (columns LEGS) beside those that are there."""
    sets.insert(conn, "planning.legs", legs, LEGS)


def grants_of(legs: pl.DataFrame, parcels: pl.DataFrame) -> pl.DataFrame:
    """Who gets to see parcels because it carries them (columns parcel_id, party_id, role, owner_id, test).

    legs: shipment_id, courier_id, party_id, test; parcels: parcel_id, shipment_id.
    """
    return (
        legs.filter(pl.col("courier_id").is_not_null())
        .select("shipment_id", "courier_id", owner_id="party_id", test="test")
        .unique()
        .join(parcels.select("parcel_id", "shipment_id"), on="shipment_id")
        .select("parcel_id", "owner_id", "test", party_id="courier_id", role=pl.lit("courier"))
    )


def replace_loads(conn: psycopg.Connection, test: bool, after: datetime, loads: pl.DataFrame) -> None:
    """What departures that leave after an instant carry from now on (columns LOADS, one row a departure).

    Holds LOADS_LOCK alone; those that have left stay as they were.
    """
    conn.execute(LOADS_LOCK)
    conn.execute("delete from planning.loads where test = %s and depart_at > %s", (test, after))
    sets.insert(
        conn,
        "planning.loads",
        loads.with_columns(test=pl.lit(test)),
        {**LOADS, "test": "boolean"},
        # one that left before `after` may stand there already
        "on conflict do nothing",
    )


def raise_loads(conn: psycopg.Connection, test: bool, loads: pl.DataFrame) -> None:
    """Departures carry at least so much, and hold as much as is told (LOADS without prices). Holds LOADS_LOCK alone."""
    conn.execute(LOADS_LOCK)
    told = {name: kind for name, kind in LOADS.items() if not name.startswith("shadow")}
    sets.insert(
        conn, "planning.loads", loads.with_columns(test=pl.lit(test)), {**told, "test": "boolean"},
        "on conflict (test, departure_id, depart_at) do update set parcels = greatest(loads.parcels, excluded.parcels),"
        " grams = greatest(loads.grams, excluded.grams), capacity_parcels = excluded.capacity_parcels,"
        " capacity_g = excluded.capacity_g",
    )  # fmt: skip


def set_loads(conn: psycopg.Connection, test: bool, loads: pl.DataFrame) -> None:
    """Departures that have loads carry exactly so much (departure_id, depart_at, parcels, grams). Holds LOADS_LOCK
    alone.
    """
    conn.execute(LOADS_LOCK)
    told = {name: LOADS[name] for name in ("departure_id", "depart_at", "parcels", "grams")}
    rows, values = sets.source(loads, told)
    conn.execute(
        sql.SQL(
            "update planning.loads l set parcels = given.parcels, grams = given.grams from {}"
            " where l.test = %(test)s and l.departure_id = given.departure_id and l.depart_at = given.depart_at"
        ).format(rows),
        {**values, "test": test},
    )


def capacities(conn: psycopg.Connection, test: bool, after: datetime) -> pl.DataFrame:
    """What departures that leave after an instant hold, as far as anybody booked on them.

    Columns: departure_id, depart_at, capacity_parcels, capacity_g (null = unlimited).
    """
    columns = ("departure_id", "depart_at", "capacity_parcels", "capacity_g")
    kinds: dict[str, Any] = {"text": pl.String, "timestamptz": pl.Datetime("us", "UTC"), "double precision": pl.Float64}
    return sets.read(
        conn,
        f"select {', '.join(columns)} from planning.loads where test = %(test)s and depart_at > %(after)s",
        {name: kinds[LOADS[name]] for name in columns},
        {"test": test, "after": after},
    )


def future_legs(conn: psycopg.Connection, test: bool, after: datetime) -> pl.DataFrame:
    """Legs of departures that leave after an instant, of all routes, those that count no more included.

    Columns: shipment_id, route, seq, departure_id, cutoff_at, depart_at, cost.
    """
    return sets.read(
        conn,
        "select shipment_id, route, seq, departure_id, cutoff_at, depart_at, cost from planning.legs"
        " where test = %(test)s and depart_at > %(after)s",
        {
            "shipment_id": pl.String, "route": pl.Int32, "seq": pl.Int32, "departure_id": pl.String,
            "cutoff_at": pl.Datetime("us", "UTC"), "depart_at": pl.Datetime("us", "UTC"),
            "cost": pl.Float64,
        },
        {"test": test, "after": after},
    )  # fmt: skip


def replace_unassigned(conn: psycopg.Connection, looked_at: pl.DataFrame, unassigned: pl.DataFrame) -> None:
    """Of the orders a wave looked at (column order_id), those in `unassigned` (columns UNASSIGNED) found no way."""
    if looked_at.is_empty():
        return
    rows, values = sets.source(looked_at, {"order_id": "text"})
    conn.execute(
        sql.SQL("delete from planning.unassigned u using {} where u.order_id = given.order_id").format(rows), values
    )
    sets.insert(conn, "planning.unassigned", unassigned, UNASSIGNED)
