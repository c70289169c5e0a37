"""What a wave looks at: orders that wait for a plan, and shipments on their way into the network."""

from __future__ import annotations

from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets
from rookery.terms.frames import ORDERS

_INSTANT = pl.Datetime("us", "UTC")
_ORDER: dict[str, Any] = {
    "order_id": pl.String,
    "party_id": pl.String,
    "from_node": pl.String,
    "from_country": pl.String,
    "from_postal_code": pl.String,
    "to_node": pl.String,
    "to_country": pl.String,
    "to_postal_code": pl.String,
    "ready_at": _INSTANT,
    "weight_g": pl.Float64,
    "length_mm": pl.Float64,
    "width_mm": pl.Float64,
    "height_mm": pl.Float64,
    "goods": pl.String,
    "value": pl.Float64,
    "currency": pl.String,
    "service_id": pl.String,
    "due_at": _INSTANT,
    "late_cost": pl.Float64,
    "pieces": pl.Int64,
    "pieces_json": pl.String,  # a list of pieces with weights and sides, where they are not alike
    "order_version": pl.Int64,
}
RECEIVED: dict[str, Any] = _ORDER
"""Orders that wait: an order's columns, its version as `order_version`."""
BOOKED: dict[str, Any] = {
    **_ORDER,
    "shipment_id": pl.String,
    "state": pl.String,
    "route": pl.Int32,
    "promised_at": _INSTANT,
    "expected_at": _INSTANT,
    "on_time_probability": pl.Float64,
    "feed_id": pl.String,
    "version": pl.Int64,
}
"""Shipments with their orders' columns; `version` is the shipment's."""
_PIECES = pl.List(
    pl.Struct({"weight_g": pl.Float64, "length_mm": pl.Float64, "width_mm": pl.Float64, "height_mm": pl.Float64})
)
_SELECT = ", ".join(
    {"pieces_json": "o.parcels::text", "order_version": "o.version"}.get(name, f"o.{name}") for name in _ORDER
)


def received(conn: psycopg.Connection, test: bool) -> pl.DataFrame:
    """Orders that wait for a plan, in the order they came (columns RECEIVED)."""
    query = (
        f"select {_SELECT} from orders.orders o where o.test = %(test)s and o.state = 'received' order by o.order_id"
    )
    return sets.read(conn, query, RECEIVED, {"test": test})


def booked(conn: psycopg.Connection, shipment_ids: pl.Series) -> pl.DataFrame:
    """Those of the shipments that are not cancelled, by id (columns BOOKED)."""
    rows, values = sets.source(shipment_ids.alias("shipment_id").to_frame(), {"shipment_id": "text"})
    query = sql.SQL(
        f"select {_SELECT}, s.shipment_id, s.state, s.route, s.promised_at, s.expected_at,"
        " s.on_time_probability, s.feed_id, s.version"  # type: ignore[arg-type]
        " from {} join orders.shipments s using (shipment_id) join orders.orders o on o.order_id = s.order_id"
        " where s.state <> 'cancelled' order by s.shipment_id"
    ).format(rows)
    return pl.DataFrame(conn.execute(query, values).fetchall(), schema=BOOKED, orient="row")


def weights(conn: psycopg.Connection, shipment_ids: pl.Series) -> pl.DataFrame:
    """What shipments weigh: shipment_id, route, feed_id, parcels (how many), grams; cancelled ones are left out."""
    rows, values = sets.source(shipment_ids.alias("shipment_id").to_frame(), {"shipment_id": "text"})
    query = sql.SQL(
        "select s.shipment_id, s.route, s.feed_id, count(*)::double precision, sum(p.weight_g)"
        " from {} join orders.shipments s using (shipment_id) join orders.parcels p on p.shipment_id = s.shipment_id"
        " where s.state <> 'cancelled' group by s.shipment_id, s.route, s.feed_id"
    ).format(rows)
    schema: dict[str, Any] = {
        "shipment_id": pl.String, "route": pl.Int32, "feed_id": pl.String, "parcels": pl.Float64, "grams": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(conn.execute(query, values).fetchall(), schema=schema, orient="row")


def as_ordered(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows (columns RECEIVED or BOOKED) as the planner takes them (ORDERS).

    A plan knows pieces of one kind only: where they differ, it gets their mean weight, rounded up, and the longest of
    each side, so that what it finds room for is never less than what comes.
    """
    pieces = pl.col("pieces_json").str.json_decode(_PIECES)

    def over_pieces(name: str) -> pl.Expr:
        each = pieces.list.eval(pl.element().struct.field(name))
        told = each.list.mean().ceil() if name == "weight_g" else each.list.max()
        return pl.coalesce(told, name).alias(name)

    # in whole minutes: not ready before it is, not due after it is
    ready, due = (pl.col(name).dt.epoch("s") for name in ("ready_at", "due_at"))
    minutes = [((ready + 59) // 60).alias("ready_at"), (due // 60).alias("due_at")]
    sides = [over_pieces(name) for name in ("weight_g", "length_mm", "width_mm", "height_mm")]
    return rows.with_columns(*minutes, *sides, line=pl.int_range(pl.len()) + 2).select(
        pl.col(name).cast(kind) for name, kind in ORDERS.items()
    )


def as_parcels(rows: pl.DataFrame) -> pl.DataFrame:
    """One row for each piece of orders (columns RECEIVED): order_id, piece (from 1), pieces, weight_g and the sides."""
    alike = rows.select(
        "order_id", "pieces", "weight_g", "length_mm", "width_mm", "height_mm",
        own=pl.col("pieces_json").str.json_decode(_PIECES), piece=pl.int_ranges(1, pl.col("pieces") + 1),
    ).explode("piece")  # fmt: skip
    own = pl.col("own").list.get(pl.col("piece") - 1, null_on_oob=True)
    return alike.with_columns(
        pl.coalesce(own.struct.field(name), name).alias(name)
        for name in ("weight_g", "length_mm", "width_mm", "height_mm")
    ).drop("own")


def unchanged(conn: psycopg.Connection, orders: pl.DataFrame) -> list[str]:
    """Of the orders (order_id, order_version) the ids of those that are not cancelled and as they were."""
    if orders.is_empty():
        return []
    rows, values = sets.source(orders, {"order_id": "text", "order_version": "integer"})
    query = sql.SQL(
        "select o.order_id from {} join orders.orders o using (order_id)"
        " where o.version = given.order_version and o.state <> 'cancelled'"
    ).format(rows)
    return [order_id for (order_id,) in conn.execute(query, values).fetchall()]
