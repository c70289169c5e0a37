"""Orders placed in a network: their nodes, zones, service, due time and prices, as the planner takes them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.base.columns import keep
from rookery.base.notices import Findings
from rookery.network.model import NOTICES
from rookery.network.zones import find_zones
from rookery.terms.frames import PARCELS, Feed
from rookery.terms.goods import DEFAULT_CONFIDENCE, DEFAULT_LATE_COST, GOODS, MODES, UNASSIGNED_PER_LATE
from rookery.terms.notice import Notice
from rookery.terms.time import DAY, NEVER, local_to_utc, utc_to_local

_DAY_END = 23 * 60 + 59
_ALL_MODES = 2 ** len(MODES) - 1


def place(feed: Feed, orders: pl.DataFrame, file: str = "orders") -> tuple[pl.DataFrame, tuple[Notice, ...]]:
    """Orders (ORDERS) as parcels placed in the network (PARCELS, order kept), and a notice for each order left out.

    A node that is named wins over an address; a place the network lacks is flagged and gets -1. An order for a service
    the feed does not offer is left out with an error notice, which calls the orders' file `file`. Prices are per
    piece, in the feed's currency.
    """
    services = feed.services
    service = _rows_of(services["service_id"], orders["service_id"])
    offered = orders["service_id"].is_null() | (service >= 0)
    findings = Findings(NOTICES)
    orders = keep(orders, offered, findings, file, "unknown_service", column="service_id")
    service = service.filter(offered)

    origin = _find_ends(feed, orders, "from")
    destination = _find_ends(feed, orders, "to")
    pickup_zone, ready_at = origin["zone"], orders["ready_at"]
    late_cost = orders["late_cost"].fill_null(_value(services, "late_cost", service, DEFAULT_LATE_COST))
    sides = ("length_mm", "width_mm", "height_mm")
    volume_g = orders["length_mm"] * orders["width_mm"] * orders["height_mm"] / feed.info.volumetric_divisor_mm3_per_g
    bits = services.select(pl.col("modes").map_elements(_mode_bits, pl.Int32))
    parcels = orders.select(
        "order_id",
        origin["node"].alias("origin"),
        destination["node"].alias("destination"),
        destination["zone"],
        pickup_zone.alias("pickup_zone"),
        (origin["unknown_node"] | destination["unknown_node"]).alias("unknown_node"),
        (origin["unknown_zone"] | destination["unknown_zone"]).alias("unknown_zone"),
        "ready_at",
        (ready_at + _value(feed.zones, "pickup_minutes", pickup_zone, 0)).alias("start_at"),
        _due_at(feed, orders, service, origin["node"], destination["node"]).alias("due_at"),
        "weight_g",
        pl.max_horizontal(*sides).fill_null(0.0).alias("side_mm"),
        pl.max_horizontal("weight_g", volume_g).alias("chargeable_g"),  # without all three sides volume_g is null
        pl.col("goods").replace_strict(list(GOODS), list(range(len(GOODS))), default=0).alias("goods"),
        _value(bits, "modes", service, _ALL_MODES).alias("modes"),
        service.alias("service"),
        _value(services, "confidence", service, DEFAULT_CONFIDENCE).alias("confidence"),
        late_cost.alias("late_cost"),
        _value(services, "late_cost_per_day", service, 0.0).alias("late_cost_per_day"),
        _value(services, "time_cost_per_day", service, 0.0).alias("time_cost_per_day"),
        _value(services, "unassigned_cost", service, UNASSIGNED_PER_LATE * late_cost).alias("unassigned_cost"),
        _value(feed.zones, "pickup_cost", pickup_zone, 0.0).alias("pickup_cost"),
        pl.col("pieces").fill_null(1),
    )
    return parcels.cast(pl.Schema(PARCELS)), findings.notices()


def _rows_of(ids: pl.Series, asked: pl.Series) -> pl.Series:
    """The first row of `ids` that holds each id asked for (Int32), -1 where none does."""
    known = pl.DataFrame({"id": ids, "row": pl.int_range(len(ids), dtype=pl.Int32, eager=True)})
    known = known.drop_nulls("id").unique("id", keep="first")
    return asked.replace_strict(known["id"], known["row"], default=-1, return_dtype=pl.Int32)


def _value(frame: pl.DataFrame, column: str, row: pl.Series, default: Any) -> pl.Series:
    """The column's value at each row number; `default` (one, or one per row) where that is -1 or nothing is there."""
    at = row.to_numpy()
    return frame[column].extend_constant(None, 1)[np.where(at < 0, len(frame), at)].fill_null(default)


def _mode_bits(modes: pl.Series) -> int:
    return sum(1 << MODES.index(mode) for mode in set(modes)) or _ALL_MODES


def _whole_minutes(hours: float) -> int:
    return int(Fraction(str(hours)) * 60)


def _find_ends(feed: Feed, orders: pl.DataFrame, side: str) -> pl.DataFrame:
    """Where orders start (`from`) or end (`to`): node, zone (-1 when the node is named), unknown_node, unknown_zone."""
    named = orders[f"{side}_node"].is_not_null()
    country = orders.select(pl.when(~named).then(f"{side}_country")).to_series()
    zone = find_zones(feed.zones, country, orders[f"{side}_postal_code"])
    serving = pl.DataFrame({"node": _rows_of(feed.nodes["node_id"], feed.zones["node_id"])})
    node = _rows_of(feed.nodes["node_id"], orders[f"{side}_node"])
    return pl.select(
        node=pl.when(named).then(node).otherwise(_value(serving, "node", zone, -1)),
        zone=zone,
        named=named,
    ).select(
        "node",
        zone=pl.when(pl.col("node") >= 0).then("zone").otherwise(-1),
        unknown_node=pl.col("named") & (pl.col("node") < 0),
        unknown_zone=~pl.col("named") & (pl.col("node") < 0),
    )


def _due_at(
    feed: Feed, orders: pl.DataFrame, service: pl.Series, origin: pl.Series, destination: pl.Series
) -> pl.Series:
    """When each order is due, NEVER without a due time: its own due_at, else its service's hours, else its days."""
    ready_at, start, finish = orders["ready_at"].to_numpy(), origin.to_numpy(), destination.to_numpy()
    # exact: 4.35 h are 261 minutes, though 4.35 * 60 is less as floats go
    elapsed = feed.services.select(pl.col("due_hours").map_elements(_whole_minutes, pl.Int64))
    minutes = _value(elapsed, "due_hours", service, -1).to_numpy()
    days = _value(feed.services, "due_days", service, -1).to_numpy()
    due = np.full(len(orders), int(NEVER), np.int64)

    timed = minutes >= 0
    due[timed] = ready_at[timed] + minutes[timed]

    dated = ~timed & (days >= 0) & (start >= 0) & (finish >= 0)
    timezones = feed.nodes["timezone"].to_numpy()
    ready_on = _each_timezone(utc_to_local, timezones, start[dated], ready_at[dated]) // DAY
    day_end = (ready_on + days[dated]) * DAY + _DAY_END
    due[dated] = _each_timezone(local_to_utc, timezones, finish[dated], day_end)

    own = orders["due_at"].fill_null(pl.Series(due))
    return own.clip(upper_bound=int(NEVER))


def _each_timezone(
    convert: Callable[[str, NDArray], NDArray[np.int64]], timezones: NDArray, node: NDArray, minutes: NDArray
) -> NDArray[np.int64]:
    """`convert` (local_to_utc or utc_to_local) applied to each minute in the time zone of its node."""
    names, zone_of_node = np.unique(timezones.astype(str), return_inverse=True)
    zone = zone_of_node.astype(np.int16)[node]
    order = np.argsort(zone, kind="stable")
    limits = np.searchsorted(zone[order], np.arange(len(names) + 1))
    converted = np.empty(len(minutes), np.int64)
    for name, begin, end in zip(names, limits[:-1], limits[1:]):
        part = order[begin:end]
        converted[part] = convert(str(name), minutes[part])
    return converted
