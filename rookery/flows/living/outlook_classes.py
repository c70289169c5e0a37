"""What kinds of parcels are under way: read from the database, and placed in the network as an outlook takes them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import psycopg

from rookery.base import sets
from rookery.flows.waves.wave import FIRST
from rookery.network import place
from rookery.planning.outlook_classes import CLASSES
from rookery.terms.frames import ORDERS, Feed
from rookery.terms.ids import new_id
from rookery.tracking.chances import UNDER_WAY
from rookery.tracking.epcis.identifiers import sscc_uri

CLASS = tuple(CLASSES)
"""The columns that make a kind of parcel."""
BOOKED_SINCE = timedelta(days=60)
"""A parcel that was booked longer ago, and never looked at, is not waited for any more."""
_KIND: dict[str, Any] = {
    "to_node": pl.String,
    "to_country": pl.String,
    "to_postal_code": pl.String,
    "goods": pl.String,
    "late_cost": pl.Float64,
    "service_id": pl.String,
    "promised_at": pl.Datetime("us", "UTC"),
    "weight_g": pl.Float64,
    "length_mm": pl.Float64,
    "width_mm": pl.Float64,
    "height_mm": pl.Float64,
}
"""What makes a booked parcel of its kind: columns of its order, its shipment and itself."""
_SELECT = (
    "o.to_node, o.to_country, o.to_postal_code, o.goods, o.late_cost, s.service_id, s.promised_at,"
    " p.weight_g, p.length_mm, p.width_mm, p.height_mm"
)
_ENDED = "('delivered', 'cancelled', 'return_to_sender')"
OVERLAP = timedelta(minutes=30)
"""So long after it was named a booked parcel may come to be seen: when the wave that booked it is written."""
_JOINED = "join orders.shipments s on s.shipment_id = p.shipment_id join orders.orders o on o.order_id = s.order_id"


def under_way(conn: psycopg.Connection, test: bool, unknown: bool = False) -> pl.DataFrame:
    """Parcels that were looked at and have not come to an end: a row each (_KIND). unknown: only those whose chance is
    not known for want of a policy. As the system.
    """
    return sets.read(
        conn,
        f"select {_SELECT} from tracking.chances c join orders.parcels p on p.parcel_id = c.parcel_id {_JOINED}"
        f" where c.test = %(test)s and {UNDER_WAY}" + (" and c.why = 'no_policy'" if unknown else ""),
        _KIND,
        {"test": test},
    )


def never_looked_at(conn: psycopg.Connection, test: bool, now: datetime) -> pl.DataFrame:
    """Parcels that are booked, have not come to an end, and whose chances were never looked at: `epc` and _KIND.

    They were booked a moment ago, or by a version of this program that knew no chances. As the system.
    """
    found = sets.read(
        conn,
        f"select p.number, {_SELECT} from orders.parcels p {_JOINED}"
        " left join tracking.chances c on c.parcel_id = p.parcel_id and c.test = p.test"
        " left join tracking.parcels t on t.parcel_id = p.parcel_id and t.test = p.test"
        " where p.test = %(test)s and p.parcel_id > %(since)s and p.number is not null and p.state <> 'cancelled'"
        " and c.parcel_id is null"
        f" and (t.status is null or t.status not in {_ENDED})",
        {"number": pl.String, **_KIND},
        {"test": test, "since": new_id("pcl", now - BOOKED_SINCE)},
    )
    return _by_epc(found)


def booked_since(conn: psycopg.Connection, test: bool, since: datetime) -> pl.DataFrame:
    """Parcels that were booked since an instant, or shortly before it, and not called off: `epc` and _KIND. As the
    system.
    """
    return _by_epc(
        sets.read(
            conn,
            f"select p.number, {_SELECT} from orders.parcels p {_JOINED} where p.test = %(test)s"
            " and p.parcel_id > %(since)s and p.number is not null and p.state <> 'cancelled'",
            {"number": pl.String, **_KIND},
            {"test": test, "since": new_id("pcl", since - OVERLAP)},
        )
    )


def _by_epc(found: pl.DataFrame) -> pl.DataFrame:
    epcs = pl.Series("epc", [sscc_uri(number) for number in found["number"]], pl.String)
    return found.drop("number").insert_column(0, epcs)


def placed(feed: Feed, parcels: pl.DataFrame) -> pl.DataFrame:
    """Parcels that are booked, placed in a network: PARCELS, one row for each, in their order.

    parcels: the columns of _KIND; from_node, from_country, from_postal_code and ready_at too where their origin is
    asked for. A parcel is due when it was promised, and late it costs FIRST times as much as an order does, as waves
    have it. A service that this network does not offer counts as none; a place that it lacks is -1.
    """
    offered = pl.col("service_id").is_in(feed.services["service_id"].implode())
    ready = (pl.col("ready_at").dt.epoch("s") + 59) // 60 if "ready_at" in parcels.columns else pl.lit(0)
    rows = parcels.with_columns(
        order_id=pl.int_range(pl.len()).cast(pl.String),
        service_id=pl.when(offered).then("service_id"),
        ready_at=ready,
        due_at=pl.col("promised_at").dt.epoch("s") // 60,
        pieces=pl.lit(1),
    )
    lacking = [pl.lit(None, kind).alias(name) for name, kind in ORDERS.items() if name not in rows.columns]
    orders = rows.with_columns(lacking).select(pl.col(name).cast(kind) for name, kind in ORDERS.items())
    found, _ = place(feed, orders)
    return found.with_columns(pl.col("late_cost", "late_cost_per_day", "unassigned_cost") * FIRST)


def classes_of(feed: Feed, parcels: pl.DataFrame) -> pl.DataFrame:
    """The classes (schema CLASSES) of parcels (columns _KIND), each once, but of those whose place is unknown."""
    kinds = placed(feed, parcels).select(CLASS)
    return kinds.filter(pl.col("destination") >= 0).unique(maintain_order=True)
