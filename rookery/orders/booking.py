"""Booking: orders become shipments of parcels, with a promise that is never moved, and couriers are let in."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets

SHIPMENTS: dict[str, str] = {
    "shipment_id": "text",
    "order_id": "text",
    "party_id": "text",  # the shipper
    "test": "boolean",
    "service_id": "text",
    "promised_at": "timestamptz",
    "confidence": "double precision",
    "on_time_probability": "double precision",
    "expected_at": "timestamptz",
    "cost": "double precision",  # expected, all pieces
    "currency": "text",
    "feed_id": "text",
    "plan_id": "text",  # null = as quoted
    "quote_sha256": "bytea",  # null = booked by a wave
    "metadata": "jsonb",  # text of an object
}
PARCELS: dict[str, str] = {
    "parcel_id": "text",
    "shipment_id": "text",
    "order_id": "text",
    "party_id": "text",
    "test": "boolean",
    "piece": "integer",  # from 1
    "pieces": "integer",
    "weight_g": "double precision",
    "length_mm": "double precision",
    "width_mm": "double precision",
    "height_mm": "double precision",
}
GRANTS: dict[str, str] = {
    "parcel_id": "text",
    "party_id": "text",  # who may see it
    "role": "text",  # courier | station | customs
    "owner_id": "text",  # the shipper
    "test": "boolean",
}


def hold_orders(conn: psycopg.Connection, orders: pl.DataFrame) -> list[str]:
    """Keep orders (order_id, order_version) as they are until the transaction ends; returns the ids of those that still
    wait, with that version.
    """
    rows, values = sets.source(orders, {"order_id": "text", "order_version": "integer"})
    held = sql.SQL(
        "select o.order_id from orders.orders o join {} using (order_id)"
        " where o.state = 'received' and o.version = given.order_version order by o.order_id for update of o"
    ).format(rows)
    return [order_id for (order_id,) in conn.execute(held, values).fetchall()]


def hold_shipments(conn: psycopg.Connection, shipments: pl.DataFrame) -> list[str]:
    """Keep shipments (shipment_id, version) as they are until the transaction ends; returns the ids of those that are
    still booked, with that version.
    """
    rows, values = sets.source(shipments, {"shipment_id": "text", "version": "integer"})
    held = sql.SQL(
        "select s.shipment_id from orders.shipments s join {} using (shipment_id)"
        " where s.state = 'booked' and s.version = given.version order by s.shipment_id for update of s"
    ).format(rows)
    return [shipment_id for (shipment_id,) in conn.execute(held, values).fetchall()]


def book(
    conn: psycopg.Connection,
    shipments: pl.DataFrame,
    parcels: pl.DataFrame,
    grants: pl.DataFrame,
    *,
    now: datetime,
    by_party: str,
) -> list[str]:
    """Book orders in one go; returns the ids of the orders booked, no others. Their on_time_probability is what was
    promised, from now on.

    An order that is not in state received any more, or no longer has the version the caller saw, is left as it is, and
    nothing of it is written. shipments, parcels, grants: columns SHIPMENTS, PARCELS, GRANTS (several parcels a
    shipment, any number of grants a parcel); shipments may have `order_version` (int, null = whatever it is) beside
    them.
    """
    if shipments.is_empty():
        return []
    if "order_version" not in shipments.columns:
        shipments = shipments.with_columns(order_version=pl.lit(None, pl.Int64))
    rows, values = sets.source(shipments, {"order_id": "text", "order_version": "integer", "shipment_id": "text"})
    booked = conn.execute(
        sql.SQL(
            "with taken as (update orders.orders o set state = 'booked', version = version + 1, updated_at = %(now)s"
            " from {} where o.order_id = given.order_id and o.state = 'received'"
            "   and o.version = coalesce(given.order_version, o.version)"
            " returning o.order_id, o.party_id, o.test, given.shipment_id),"
            " told as (insert into orders.history (at, order_id, party_id, test, what, by_party, detail)"
            "   select %(now)s, order_id, party_id, test, 'booked', %(by)s,"
            "     jsonb_build_object('shipment_id', shipment_id) from taken)"
            " select order_id, shipment_id from taken"
        ).format(rows),
        {**values, "now": now, "by": by_party},
    ).fetchall()
    if len(booked) < shipments.height:
        mine = pl.DataFrame(booked, schema={"order_id": pl.String, "shipment_id": pl.String}, orient="row")
        shipments = shipments.join(mine, on="shipment_id", how="semi")
        parcels = parcels.join(mine, on="shipment_id", how="semi")
        grants = grants.join(parcels, on="parcel_id", how="semi")
    booked_at = pl.lit(now, pl.Datetime("us", "UTC"))
    sets.insert(
        conn, "orders.shipments",
        shipments.with_columns(
            state=pl.lit("booked"), booked_at=booked_at, updated_at=booked_at, promised_chance="on_time_probability"
        ),
        {
            **SHIPMENTS, "promised_chance": "double precision", "state": "text", "booked_at": "timestamptz",
            "updated_at": "timestamptz",
        },
    )  # fmt: skip
    sets.insert(
        conn, "orders.parcels",
        parcels.with_columns(state=pl.lit("booked"), created_at=booked_at),
        {**PARCELS, "state": "text", "created_at": "timestamptz"},
    )  # fmt: skip
    grant(conn, grants, now)
    return [order_id for order_id, _ in booked]


def grant(conn: psycopg.Connection, grants: pl.DataFrame, now: datetime) -> None:
    """Let parties see parcels (columns GRANTS); one that may already goes on as before."""
    sets.insert(
        conn, "orders.parcel_party",
        grants.with_columns(granted_at=pl.lit(now, pl.Datetime("us", "UTC"))),
        {**GRANTS, "granted_at": "timestamptz"}, "on conflict do nothing",
    )  # fmt: skip


def reroute(
    conn: psycopg.Connection, shipments: pl.DataFrame, *, now: datetime, by_party: str, handed_over: bool = False
) -> list[str]:
    """Put shipments on a newer plan; returns the ids of those that were. The promise and what was asked for it stay.

    shipments: shipment_id, version (as the caller saw it), route (which counts from now), moved (whether it is another
    than before), feed_id, plan_id, expected_at, on_time_probability. One that changed meanwhile, or is no longer
    booked, is left as it is; `handed_over`: those that were handed over may be put on another way as well.
    """
    if shipments.is_empty():
        return []
    rows, values = sets.source(
        shipments,
        {
            "shipment_id": "text", "version": "integer", "route": "integer", "moved": "boolean", "feed_id": "text",
            "plan_id": "text", "expected_at": "timestamptz", "on_time_probability": "double precision",
        },
    )  # fmt: skip
    kept = conn.execute(
        sql.SQL(
            "with kept as (update orders.shipments s set route = given.route, feed_id = given.feed_id,"
            "   plan_id = given.plan_id, expected_at = given.expected_at,"
            "   on_time_probability = given.on_time_probability,"
            "   version = s.version + 1, updated_at = %(now)s"
            " from {} where s.shipment_id = given.shipment_id and s.version = given.version"
            "   and s.state = any(%(states)s)"
            " returning s.shipment_id, s.order_id, s.party_id, s.test, s.route, given.moved),"
            " told as (insert into orders.history (at, order_id, party_id, test, what, by_party, detail)"
            "   select %(now)s, order_id, party_id, test, 'rerouted', %(by)s,"
            "     jsonb_build_object('shipment_id', shipment_id, 'route', route) from kept where moved)"
            " select shipment_id from kept"
        ).format(rows),
        {**values, "now": now, "by": by_party, "states": ["booked", *(["handed_over"] if handed_over else [])]},
    ).fetchall()
    return [shipment_id for (shipment_id,) in kept]


def parcels_of(conn: psycopg.Connection, shipments: pl.DataFrame) -> pl.DataFrame:
    """The parcels (parcel_id, shipment_id) of shipments (column shipment_id)."""
    rows, values = sets.source(shipments, {"shipment_id": "text"})
    query = sql.SQL("select p.parcel_id, p.shipment_id from {} join orders.parcels p using (shipment_id)").format(rows)
    schema = {"parcel_id": pl.String, "shipment_id": pl.String}
    return pl.DataFrame(conn.execute(query, values).fetchall(), schema=schema, orient="row")


def rerouted_numbers(conn: psycopg.Connection, plan_id: str) -> list[str]:
    """The waybill numbers of parcels that a plan has routed and that had another route before."""
    rows = conn.execute(
        "select p.number from orders.shipments s join orders.parcels p using (shipment_id)"
        " where s.plan_id = %s and s.route > 1 and p.number is not null order by p.number",
        (plan_id,),
    )
    return [number for (number,) in rows]


def regrant(conn: psycopg.Connection, parcels: pl.DataFrame, grants: pl.DataFrame, now: datetime) -> None:
    """Others carry parcels (column parcel_id) that have not left yet: they see them now, the ones before no longer."""
    rows, values = sets.source(parcels, {"parcel_id": "text"})
    conn.execute(
        sql.SQL(
            "delete from orders.parcel_party g using {} where g.parcel_id = given.parcel_id and g.role = 'courier'"
        ).format(rows),
        values,
    )
    grant(conn, grants, now)


def label_parcels(conn: psycopg.Connection, codes: pl.DataFrame, numbers: pl.DataFrame) -> None:
    """Give the parcels of shipments their route code (columns shipment_id, route_code), and some of them, or others
    that are where they are going and so have none, their waybill number (columns parcel_id, number).
    """
    if codes.is_empty() and numbers.is_empty():
        return
    coded, values = sets.source(codes, {"shipment_id": "text", "route_code": "text"}, "coded")
    numbered, more = sets.source(numbers, {"parcel_id": "text", "number": "text"}, "numbered")
    conn.execute(
        sql.SQL(
            "update orders.parcels p set route_code = coalesce(given.route_code, p.route_code),"
            " number = coalesce(p.number, given.number)"
            " from (select parcel_id, sorted.route_code, numbered.number"
            "   from (select q.parcel_id, coded.route_code from {coded}"
            "     join orders.parcels q using (shipment_id)) as sorted"
            "   full join {numbered} using (parcel_id)) as given"
            " where p.parcel_id = given.parcel_id"
        ).format(numbered=numbered, coded=coded),
        {**values, **more},
    )
