"""What is known of parcels that are looked at: where they were seen, what was promised, which way they are booked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets
from rookery.tracking import chances
from rookery.tracking.epcis.identifiers import number_of, sscc_uri

_AT = pl.Datetime("us", "UTC")
_PROMISED = "coalesce(s.promised_chance, s.on_time_probability)"
"""Whatever way it was put on since: on a hopeless one its chance has fallen, and was not promised so. Of what was
cancelled or came to its end before this was kept (0077) it is null: should a delivery be withdrawn, the chance it has
is the best that is known.
"""
FACTS: dict[str, tuple[str, Any]] = {
    # the parcel
    "epc": ("given.epc", pl.String),
    "parcel_id": ("p.parcel_id", pl.String),
    "shipment_id": ("p.shipment_id", pl.String),
    "owner_id": ("p.party_id", pl.String),
    "number": ("p.number", pl.String),
    "weight_g": ("p.weight_g", pl.Float64),
    "length_mm": ("p.length_mm", pl.Float64),
    "width_mm": ("p.width_mm", pl.Float64),
    "height_mm": ("p.height_mm", pl.Float64),
    # what it was ordered and promised
    "from_node": ("o.from_node", pl.String),
    "from_country": ("o.from_country", pl.String),
    "from_postal_code": ("o.from_postal_code", pl.String),
    "to_node": ("o.to_node", pl.String),
    "to_country": ("o.to_country", pl.String),
    "to_postal_code": ("o.to_postal_code", pl.String),
    "ready_at": ("o.ready_at", _AT),
    "goods": ("o.goods", pl.String),
    "late_cost": ("o.late_cost", pl.Float64),
    "value": ("coalesce(o.value, i.value) / p.pieces", pl.Float64),
    "currency": ("case when o.value is null then i.currency else o.currency end", pl.String),
    "service_id": ("s.service_id", pl.String),
    "route": ("s.route", pl.Int64),
    "promised_at": ("s.promised_at", _AT),
    "confidence": ("s.confidence", pl.Float64),
    "promised_chance": (_PROMISED, pl.Float64),
    # what was seen; until that is more than a label, what the books say, as trackers tell it. Of a shipment that was
    # cancelled nothing counts that is seen, but an end: nobody waits for it, wherever it goes
    "called_off": ("(p.state = 'cancelled')::text", pl.Boolean),
    "status": (
        "case when t.status is not null and (t.status <> 'pre_transit' or p.state = 'booked') then t.status::text"
        " when p.state = 'handed_over' then 'picked_up' when p.state = 'cancelled' then 'cancelled'"
        " else 'pre_transit' end",
        pl.String,
    ),
    "detail": ("t.detail", pl.String),
    "at": ("t.status_at", _AT),
    "event_no": ("t.event_no", pl.Int64),
    "place": ("t.place", pl.String),
    # what was found at the look before
    "looked_before": ("c.looked_at", _AT),
    "status_before": ("c.status", pl.String),
    "detail_before": ("c.detail", pl.String),
    "event_before": ("c.event_no", pl.Int64),
    "node_before": ("c.node_id", pl.String),
    "chance_before": ("c.chance", pl.Float64),
    "expected_before": ("c.expected_at", _AT),
    "by_before": ("c.by_at", _AT),
    "why_before": ("c.why", pl.String),
    "next_before": ("c.next_departure_id", pl.String),
    "next_cutoff_before": ("c.next_cutoff_at", _AT),
    "nodes_before": ("c.nodes", pl.String),
    "off_plan_before": ("c.off_plan::text", pl.Boolean),
    "below_before": (f"coalesce(c.below, {_PROMISED} < s.confidence, false)::text", pl.Boolean),
    "cost_before": ("c.cost", pl.Float64),
    "policy_before": ("c.policy", pl.String),
}
"""What is read of each parcel: where it stands in the database, and its type as a column."""
LEGS: dict[str, Any] = {
    "epc": pl.String,
    "seq": pl.Int64,
    "departure_id": pl.String,
    "lane_id": pl.String,
    "from_node": pl.String,
    "to_node": pl.String,
    "cutoff_at": pl.Int64,  # UTC minutes
    "depart_at": pl.Int64,
    "arrive_at": pl.Int64,
}
_SELECT = ", ".join(
    f"(extract(epoch from {source}) * 1000000)::bigint" if kind == _AT else source for source, kind in FACTS.values()
)
_SCHEMA = {name: kind for name, (_, kind) in FACTS.items()}
_MINUTE = "(extract(epoch from l.{}) / 60)::bigint"
_ITEMS = (
    # what an order is worth by what is in it, if no value was told for the whole: all of it told, in one currency
    "select sum(n.quantity * n.value) as value, min(n.currency) as currency from orders.items n"
    " where o.value is null and n.order_id = o.order_id"
    " having count(*) = count(n.value) and count(*) = count(n.currency) and min(n.currency) = max(n.currency)"
)
_LEGS = (
    "select l.shipment_id, l.seq, l.departure_id, l.lane_id, l.from_node, l.to_node, "
    + ", ".join(_MINUTE.format(name) for name in ("cutoff_at", "depart_at", "arrive_at"))
    + " from {} join planning.legs l on l.shipment_id = given.shipment_id and l.route = given.route"
)


def facts_of(conn: psycopg.Connection, test: bool, epcs: Iterable[str]) -> pl.DataFrame:
    """What is known of parcels (canonical identifiers): FACTS; what is no parcel has no row. As the system."""
    numbers = {number: epc for epc in epcs if (number := number_of(epc)) is not None}
    asked = pl.DataFrame(
        {"epc": list(numbers.values()), "number": list(numbers)}, schema=dict.fromkeys(("epc", "number"), pl.String)
    )
    rows, values = sets.source(asked, {"epc": "text", "number": "text"})
    query = sql.SQL(
        f"select {_SELECT}"  # type: ignore[arg-type]
        " from {} join orders.parcels p on p.number = given.number and p.test = %(test)s"
        " join orders.shipments s on s.shipment_id = p.shipment_id join orders.orders o on o.order_id = p.order_id"
        " left join lateral (" + _ITEMS + ") i on true"
        " left join tracking.parcels t on t.epc = given.epc and t.test = p.test"
        "   and (p.state <> 'cancelled' or t.status in ('delivered', 'return_to_sender', 'cancelled'))"
        " left join tracking.chances c on c.epc = given.epc and c.test = p.test"
    ).format(rows)
    return _copied(conn, query, _SCHEMA, {**values, "test": test})


def legs_of(conn: psycopg.Connection, facts: pl.DataFrame) -> pl.DataFrame:
    """The legs of the routes that count of parcels (FACTS): LEGS. As the system."""
    rows, values = sets.source(
        facts.select("shipment_id", "route").unique("shipment_id"), {"shipment_id": "text", "route": "integer"}
    )
    schema = {"shipment_id": pl.String, **{name: kind for name, kind in LEGS.items() if name != "epc"}}
    found = _copied(conn, sql.SQL(_LEGS).format(rows), schema, values)
    return found.join(facts.select("epc", "shipment_id"), on="shipment_id").select(*LEGS).sort("epc", "seq")


def _copied(
    conn: psycopg.Connection, query: sql.SQL | sql.Composed, schema: dict[str, Any], values: dict[str, Any]
) -> pl.DataFrame:
    """What a query finds, as columns: taken over as text, which is several times faster than row by row. Times are
    microseconds, booleans words.
    """
    with (
        conn.cursor() as cursor,
        cursor.copy(sql.SQL("copy ({}) to stdout (format csv)").format(query), values) as copy,
    ):
        text = b"".join(copy)
    raw = {name: pl.Int64 if kind == _AT else kind for name, kind in schema.items()}
    if not text:
        return pl.DataFrame(schema=schema)
    return pl.read_csv(text, has_header=False, schema=raw).cast(pl.Schema(schema))


def departures_of(conn: psycopg.Connection, facts: pl.DataFrame) -> pl.DataFrame:
    """Which departures the events name by which parcels (FACTS) have departed: event_no, departure_id."""
    left = facts.filter(pl.col("detail") == "departed").drop_nulls("event_no").unique("event_no")
    schema = {"event_no": pl.Int64, "departure_id": pl.String}
    if left.is_empty():
        return pl.DataFrame(schema=schema)
    return sets.read(
        conn,
        "select event_no, body->>'rookery:departure' from tracking.events"
        " where event_no = any(%(numbers)s) and event_at = any(%(instants)s)",
        schema,
        {"numbers": left["event_no"].to_list(), "instants": left["at"].unique().to_list()},
    )


def enter_parcels(conn: psycopg.Connection, test: bool, shipment_ids: Iterable[str]) -> None:
    """Have the parcels of shipments looked at: they were booked, go another way, or are called off. As the system."""
    rows = conn.execute(
        "select number from orders.parcels where shipment_id = any(%s) and test = %s and number is not null",
        (list(shipment_ids), test),
    )
    chances.enter(conn, test, [sscc_uri(number) for (number,) in rows.fetchall()])
