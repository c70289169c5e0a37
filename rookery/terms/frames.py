"""Columns that pass between rooms: Polars schemas (names, types, units) and the two structs that hold them.

Conventions: `_at` UTC minutes since 1970 (see terms.time), `_g` grams, `_mm` millimetres, plain `minutes`; money in the
feed's currency as float64. A column called `node`, `lane`, `departure`, `zone` or `service` holds a row number of the
frame of that name; one ending in `_id` holds the text the user wrote. `line` is the line of the source file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl
from msgspec import Struct

from rookery.terms.notice import Notice

# --- the feed as read: one frame a file, defaults filled in, bad rows left out -------------------------------------

FEED: dict[str, dict[str, Any]] = {
    "nodes": {
        "node_id": pl.String,
        "name": pl.String,
        "kind": pl.String,
        "lat": pl.Float64,
        "lon": pl.Float64,
        "country": pl.String,
        "timezone": pl.String,
        "handling_minutes": pl.Int32,
        "calendar_id": pl.String,  # null = always worked
        "open_from": pl.Int32,  # minutes after local midnight; null = whole day
        "open_until": pl.Int32,  # > 1440 when it crosses midnight
        "capacity_per_hour": pl.Float64,  # pieces that may finish handling in a clock hour (UTC); null = unlimited
        "line": pl.Int64,
    },
    "lanes": {
        "lane_id": pl.String,
        "from_node": pl.String,
        "to_node": pl.String,
        "mode": pl.String,
        "carrier_id": pl.String,
        "accepts": pl.List(pl.String),
        "max_weight_g": pl.Float64,  # null = no limit
        "max_side_mm": pl.Float64,
        "line": pl.Int64,
    },
    "departures": {
        "departure_id": pl.String,
        "lane_id": pl.String,
        "calendar_id": pl.String,
        "depart_minute": pl.Int32,  # minutes after 00:00 of the service day; may exceed 1440
        "cutoff_minutes": pl.Int32,
        "transit_minutes": pl.Int32,  # >= 1
        "transit_id": pl.String,  # null = deterministic
        "capacity_g": pl.Float64,  # null = unlimited
        "capacity_parcels": pl.Float64,
        "cost_per_parcel": pl.Float64,
        "cost_per_kg": pl.Float64,
        "line": pl.Int64,
    },
    "transit": {"transit_id": pl.String, "quantile": pl.Float64, "factor": pl.Float64, "line": pl.Int64},
    "calendars": {
        "calendar_id": pl.String,
        "monday": pl.Boolean,
        "tuesday": pl.Boolean,
        "wednesday": pl.Boolean,
        "thursday": pl.Boolean,
        "friday": pl.Boolean,
        "saturday": pl.Boolean,
        "sunday": pl.Boolean,
        "start_on": pl.Date,
        "end_on": pl.Date,
        "holidays": pl.String,
        "line": pl.Int64,
    },
    "calendar_dates": {"calendar_id": pl.String, "date": pl.Date, "runs": pl.Boolean, "line": pl.Int64},
    "zones": {
        "zone_id": pl.String,
        "country": pl.String,
        "postal_prefix": pl.String,  # "" = whole country
        "node_id": pl.String,
        "delivery_minutes": pl.Int32,
        "delivery_id": pl.String,  # a transit distribution; null = deterministic
        "delivery_cost": pl.Float64,
        "pickup_minutes": pl.Int32,
        "pickup_cost": pl.Float64,
        "line": pl.Int64,
    },
    "services": {
        "service_id": pl.String,
        "name": pl.String,
        "due_days": pl.Int32,
        "due_hours": pl.Float64,
        "confidence": pl.Float64,
        "late_cost": pl.Float64,
        "late_cost_per_day": pl.Float64,
        "time_cost_per_day": pl.Float64,
        "unassigned_cost": pl.Float64,
        "modes": pl.List(pl.String),  # empty = all
        "line": pl.Int64,
    },
    "closures": {
        "node_id": pl.String,  # exactly one of the three is not null
        "lane_id": pl.String,
        "departure_id": pl.String,
        "from_at": pl.Int64,
        "until_at": pl.Int64,
        "capacity_factor": pl.Float64,
        "delay_minutes": pl.Int32,
        "reason": pl.String,
        "line": pl.Int64,
    },
}


class FeedInfo(Struct, frozen=True):
    """feed.json: what the network is called and the currency its costs are in."""

    name: str
    version: str
    currency: str
    volumetric_divisor_mm3_per_g: float = 5000.0


@dataclass(frozen=True)
class Feed:
    """A network as read: `info`, one frame per file in the FEED schemas, and every notice found on the way."""

    info: FeedInfo
    nodes: pl.DataFrame
    lanes: pl.DataFrame
    departures: pl.DataFrame
    transit: pl.DataFrame
    calendars: pl.DataFrame
    calendar_dates: pl.DataFrame
    zones: pl.DataFrame
    services: pl.DataFrame
    closures: pl.DataFrame
    notices: tuple[Notice, ...] = ()
    sha256: str = ""  # of the files' contents, for the plan's manifest
    source: str = ""
    files: dict[str, str] = field(default_factory=dict)  # frame -> the file it was read from ("nodes": "nodes.csv")


ORDERS: dict[str, Any] = {
    "order_id": pl.String,
    "from_node": pl.String,
    "from_country": pl.String,
    "from_postal_code": pl.String,
    "to_node": pl.String,
    "to_country": pl.String,
    "to_postal_code": pl.String,
    "ready_at": pl.Int64,
    "weight_g": pl.Float64,
    "length_mm": pl.Float64,
    "width_mm": pl.Float64,
    "height_mm": pl.Float64,
    "goods": pl.String,
    "value": pl.Float64,
    "currency": pl.String,
    "service_id": pl.String,
    "due_at": pl.Int64,
    "late_cost": pl.Float64,
    "pieces": pl.Int64,
    "line": pl.Int64,
}


@dataclass(frozen=True)
class Orders:
    """An order file as read: the good rows in the ORDERS schema, file order kept, and every notice."""

    frame: pl.DataFrame
    notices: tuple[Notice, ...] = ()
    sha256: str = ""
    source: str = ""
    file: str = "orders"  # what notices call it
    left_out: int = 0  # rows that had an error


# --- the network over a span of days ------------------------------------------------------------------------------

RUNS: dict[str, Any] = {
    "departure": pl.Int32,  # row of Feed.departures
    "lane": pl.Int32,
    "from_node": pl.Int32,
    "to_node": pl.Int32,
    "scheduled_at": pl.Int32,  # depart_at before any delay: with `departure` it names the run whatever delays it
    "depart_at": pl.Int32,
    "cutoff_at": pl.Int32,
    "transit_minutes": pl.Int32,
    "transit": pl.Int32,  # number of the distribution in Expansion.transit_ids; -1 = deterministic
    "capacity_g": pl.Float64,  # inf = unlimited
    "capacity_parcels": pl.Float64,
    "cost_per_parcel": pl.Float64,
    "cost_per_kg": pl.Float64,
}
"""Dated departures, in order of cutoff_at."""

OPENINGS: dict[str, Any] = {"node": pl.Int32, "open_at": pl.Int32, "close_at": pl.Int32}
"""When nodes with hours, a calendar or a closure work: disjoint [open_at, close_at), merged, sorted."""

HOUR_FACTORS: dict[str, Any] = {"node": pl.Int32, "hour_at": pl.Int32, "factor": pl.Float64}
"""What closures leave of a node's capacity_per_hour in the clock hour (UTC) that begins at minute hour_at; sorted."""


@dataclass(frozen=True)
class Expansion:
    """The dated departures of [start, end), the hours in which nodes work and how much they work off in an hour."""

    start: int
    end: int
    runs: pl.DataFrame
    openings: pl.DataFrame
    always_open: pl.Series  # Boolean, one per node: True = worked at any minute (no rows in openings)
    transit_ids: tuple[str, ...] = ()
    capacity_per_hour: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.Float64))  # a node; inf = unlimited
    hour_factors: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=HOUR_FACTORS))


# --- orders placed in the network: what the planner takes ---------------------------------------------------------

PARCELS: dict[str, Any] = {
    "order_id": pl.String,
    "origin": pl.Int32,  # row of Feed.nodes; -1 = unknown
    "destination": pl.Int32,
    "zone": pl.Int32,  # row of Feed.zones of the delivery; -1 = delivered at the node
    "pickup_zone": pl.Int32,  # row of Feed.zones of the pick-up; -1 = starts at the node
    "unknown_node": pl.Boolean,
    "unknown_zone": pl.Boolean,
    "ready_at": pl.Int64,  # as ordered
    "start_at": pl.Int64,  # ready at the origin node: ready_at + the zone's pickup_minutes
    "due_at": pl.Int64,  # terms.time.NEVER = never late
    "weight_g": pl.Float64,
    "side_mm": pl.Float64,  # the longest given side, 0 when none is given
    "chargeable_g": pl.Float64,
    "goods": pl.Int8,  # place in terms.goods.GOODS
    "modes": pl.Int32,  # bit set over terms.goods.MODES
    "service": pl.Int32,  # row of Feed.services; -1 = none
    "confidence": pl.Float64,
    "late_cost": pl.Float64,
    "late_cost_per_day": pl.Float64,
    "time_cost_per_day": pl.Float64,
    "unassigned_cost": pl.Float64,
    "pickup_cost": pl.Float64,
    "pieces": pl.Int64,
}

# --- a plan -------------------------------------------------------------------------------------------------------

PLAN_PARCELS: dict[str, Any] = {
    "order_id": pl.String,
    "status": pl.String,  # planned | unassigned
    "reasons": pl.List(pl.String),
    "service_id": pl.String,
    "due_at": pl.Datetime("us", "UTC"),
    "promised_at": pl.Datetime("us", "UTC"),
    "expected_at": pl.Datetime("us", "UTC"),
    "on_time_probability": pl.Float64,
    "cost": pl.Float64,
    "transport_cost": pl.Float64,
    "chargeable_g": pl.Float64,
    "legs": pl.Int32,
}
PLAN_LEGS: dict[str, Any] = {
    "order_id": pl.String,
    "seq": pl.Int32,  # from 1
    "departure_id": pl.String,
    "lane_id": pl.String,
    "carrier_id": pl.String,
    "mode": pl.String,
    "from_node": pl.String,
    "to_node": pl.String,
    "cutoff_at": pl.Datetime("us", "UTC"),
    "depart_at": pl.Datetime("us", "UTC"),
    "arrive_at": pl.Datetime("us", "UTC"),
    "cost": pl.Float64,
}
PLAN_LOADS: dict[str, Any] = {
    "departure_id": pl.String,
    "depart_at": pl.Datetime("us", "UTC"),
    "parcels": pl.Float64,
    "grams": pl.Float64,
    "capacity_parcels": pl.Float64,  # null = unlimited
    "capacity_g": pl.Float64,
    "shadow_price": pl.Float64,  # what one more parcel seat would save, in the feed's currency
    "shadow_price_per_kg": pl.Float64,  # what one more kg of actual weight would save
}
PLAN_HOURS: dict[str, Any] = {
    "node_id": pl.String,
    "hour_at": pl.Datetime("us", "UTC"),  # when the clock hour begins
    "parcels": pl.Float64,  # pieces that finish handling in it
    "capacity_parcels": pl.Float64,
    "shadow_price": pl.Float64,  # what handling one more piece in it would save
}
PLAN_CHANGES: dict[str, Any] = {
    "order_id": pl.String,
    "reason": pl.String,  # cancelled | missed_connection | delayed | no_room | better
    "closure": pl.String,  # the closure's own reason, where one is known to be behind it
    "departure_id": pl.String,  # the first departure of the plan that is concerned
    "depart_at": pl.Datetime("us", "UTC"),  # when it was to leave
    "changed": pl.Boolean,  # rides other departures than planned
    "old_departures": pl.List(pl.String),  # of the legs that had not left
    "old_departs_at": pl.List(pl.Datetime("us", "UTC")),  # as planned
    "new_departures": pl.List(pl.String),
    "new_departs_at": pl.List(pl.Datetime("us", "UTC")),
    "old_expected_at": pl.Datetime("us", "UTC"),
    "new_expected_at": pl.Datetime("us", "UTC"),
    "newly_late": pl.Boolean,
    "newly_unassigned": pl.Boolean,
    "old_cost": pl.Float64,
    "new_cost": pl.Float64,
}
"""What closures change in a plan: one row for each order they affect, in the order of the parcels."""
PLAN_CLOSURES: dict[str, Any] = {**FEED["closures"], "known_at": pl.Int64}
"""The closures that a plan has been changed around, and the minute at which each was known."""


# --- scans: what happens to parcels on the way --------------------------------------------------------------------

SCANS: dict[str, Any] = {
    "run": pl.Int32,  # of a rehearsal, from 0
    "order_id": pl.String,
    "scanned_at": pl.Datetime("us", "UTC"),
    "kind": pl.String,  # accepted | departed | arrived | on_hold | ready | damaged | lost | misrouted |
    #                     delivery_failed | delivered
    "node_id": pl.String,
    "departure_id": pl.String,  # null at the ends
    "lane_id": pl.String,
    "carrier_id": pl.String,
}


def empty(schema: dict[str, Any]) -> pl.DataFrame:
    """A frame with these columns and no rows."""
    return pl.DataFrame(schema=schema)
