"""What is suspicious in a feed that could be read: nothing here is left out, it is only told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import holidays
import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.base.columns import tell as tell_rows
from rookery.base.notices import Findings
from rookery.network.calendars import WEEKDAYS, public_holidays
from rookery.network.model import NOTICES
from rookery.network.overlay import tell_doubts
from rookery.network.zones import find_zones
from rookery.terms.frames import Feed
from rookery.terms.geo import great_circle_km
from rookery.terms.notice import Notice
from rookery.terms.time import day_number

_TOP_SPEED_KMH = {
    "truck": 160,
    "van": 160,
    "air": 1200,
    "sea": 90,
    "rail": 400,
    "bike": 60,
    "foot": 15,
    "drone": 300,
}
_SHORT_KM = 10  # below, whole minutes and rough positions give any speed
_SLOW_MINUTES = 60 * 1440
_LONG_CUTOFF = 3 * 1440
_ONE_WAY_OUT = ("origin",)
_ONE_WAY_IN = ("depot", "station", "locker")


def validate_feed(feed: Feed) -> tuple[Notice, ...]:
    """Everything suspicious in a feed as a whole, beyond the notices of its reading.

    Calendars, distributions, the network's shape, speeds, positions, limits, services and zones are looked at; each
    notice names file, line, column and value. Codes: docs/reference/notices.md.
    """
    findings = Findings(NOTICES)

    def tell(table: str, rows: pl.DataFrame, where: pl.Expr, code: str, column: str, **how: Any) -> None:
        marked = rows.select(where.fill_null(False)).to_series()
        tell_rows(rows, marked, findings, feed.files.get(table, f"{table}.csv"), code, column=column, **how)

    _nodes(feed, tell)
    idle = _calendars(feed, tell)
    _distributions(feed, tell)
    _shape(feed, idle, tell)
    _departures(feed, tell)
    _services_and_zones(feed, tell)
    tell_doubts(feed.closures, feed.files.get("closures", "closures.csv"), findings)
    return findings.notices()


def validate_orders(feed: Feed, orders: pl.DataFrame, file: str = "orders") -> tuple[Notice, ...]:
    """A notice for every end of an order (ORDERS) at a node or an address that the feed does not have.

    And those of `too_small_for_any`. Such parcels are planned to be unassigned, so nothing is left out here. Notices
    call the orders' file `file`.
    """
    findings = Findings(NOTICES)
    for end in ("from", "to"):
        node, address = f"{end}_node", (f"{end}_country", f"{end}_postal_code")
        named = orders[node].is_not_null()
        strange = named & ~orders[node].is_in(feed.nodes["node_id"].implode())
        tell_rows(orders, strange.fill_null(False), findings, file, "order_unknown_node", column=node)
        uncovered = ~named & (find_zones(feed.zones, *(orders[name] for name in address)) < 0)
        tell_rows(orders, uncovered, findings, file, "order_unknown_zone", column=address[1], shows=address)
    return (*findings.notices(), *too_small_for_any(feed, orders))


def too_small_for_any(feed: Feed, orders: pl.DataFrame) -> tuple[Notice, ...]:
    """Notices of departures and nodes that no order (ORDERS) fits in, all pieces of one travelling together.

    One for each kind of capacity; a capacity of zero is told of the feed.
    """
    findings = Findings(NOTICES)
    if orders.is_empty():
        return ()
    pieces = orders["pieces"].fill_null(1)
    for table, rows, column, sizes, unit in (
        ("departures", feed.departures, "capacity_g", orders["weight_g"] * pieces, "g"),
        ("departures", feed.departures, "capacity_parcels", pieces, "pieces"),
        ("nodes", feed.nodes, "capacity_per_hour", pieces, "pieces"),
    ):
        least: Any = sizes.min()
        message = f"less than the lightest order, {least:,.10g} {unit}, so none of these orders fits"
        small = ((rows[column] > 0) & (rows[column] < least)).fill_null(False)
        file = feed.files.get(table, f"{table}.csv")
        tell_rows(rows, small, findings, file, "capacity_below_lightest", column=column, message=message)
    return findings.notices()


Tell = Callable[..., None]


def _nodes(feed: Feed, tell: Tell) -> None:
    at_zero = (pl.col("lat") == 0) & (pl.col("lon") == 0)
    tell("nodes", feed.nodes, at_zero, "null_island", "lat")
    tell("nodes", feed.nodes, pl.col("capacity_per_hour") < 1, "capacity_below_one", "capacity_per_hour")


def _calendars(feed: Feed, tell: Tell) -> frozenset[str]:
    """Tells of calendars; the ids of those that never run."""
    calendars, dates = feed.calendars, feed.calendar_dates
    added = set(dates.filter(pl.col("runs"))["calendar_id"])
    idle = {row["calendar_id"] for row in calendars.iter_rows(named=True) if not _has_days(row, dates)} - added
    only_dates = dates.filter(~pl.col("calendar_id").is_in(calendars["calendar_id"].implode()))
    only_dates = only_dates.unique("calendar_id", keep="first", maintain_order=True)
    idle_dates = set(only_dates["calendar_id"]) - added

    tell("calendars", calendars, pl.col("end_on") < pl.col("start_on"), "calendar_span", "end_on")
    tell("calendars", calendars, pl.col("calendar_id").is_in(idle), "calendar_never_runs", "calendar_id")
    tell("calendar_dates", only_dates, pl.col("calendar_id").is_in(idle_dates), "calendar_never_runs", "calendar_id")
    tell("calendar_dates", only_dates, ~pl.col("calendar_id").is_in(idle_dates), "dates_only_calendar", "calendar_id")
    known = set(holidays.list_supported_countries())
    strange = [country for country in calendars["holidays"].drop_nulls().unique() if country not in known]
    tell("calendars", calendars, pl.col("holidays").is_in(strange), "unknown_holidays", "holidays")

    departing = set(feed.departures["calendar_id"].unique())
    used = departing | set(feed.nodes["calendar_id"].drop_nulls())
    tell("calendars", calendars, ~pl.col("calendar_id").is_in(used), "unused_calendar", "calendar_id")
    spans = calendars.filter(pl.col("calendar_id").is_in(departing - idle - added)).sort("start_on")
    if spans.height == calendars.filter(pl.col("calendar_id").is_in(departing)).height:
        apart = (pl.col("start_on") > pl.col("end_on").cum_max().shift(1)).fill_null(True) & (
            pl.col("start_on").shift(-1) > pl.col("end_on")
        ).fill_null(True)
        tell("calendars", spans, apart & (pl.len() > 1), "calendar_apart", "calendar_id")
    return frozenset(idle | idle_dates)


def _has_days(row: dict[str, Any], dates: pl.DataFrame) -> bool:
    """Whether a calendar runs on a weekday of its span; days taken away are minded only where the span is short."""
    length = (row["end_on"] - row["start_on"]).days + 1
    days = [row["start_on"] + timedelta(days=after) for after in range(min(length, 31))]
    days = [day for day in days if row[WEEKDAYS[day.weekday()]]]
    if length > 31 or not days:
        return bool(days)
    removed = dates.filter((pl.col("calendar_id") == row["calendar_id"]) & ~pl.col("runs"))["date"].to_list()
    closed = {int(day) for year in {day.year for day in days} for day in _holidays(row["holidays"], year)}
    return any(day not in removed and day_number(day) not in closed for day in days)


def _holidays(country: str | None, year: int) -> NDArray[np.int64]:
    return public_holidays(country, year) if country else np.zeros(0, np.int64)


def _distributions(feed: Feed, tell: Tell) -> None:
    groups = feed.transit.group_by("transit_id", maintain_order=True).agg(pl.len(), pl.col("line").min())
    tell("transit", groups, pl.col("len") == 1, "transit_one_point", "transit_id")
    used = pl.concat([feed.departures["transit_id"], feed.zones["delivery_id"]]).drop_nulls().unique()
    tell("transit", groups, ~pl.col("transit_id").is_in(used.implode()), "unused_transit", "transit_id")


def _shape(feed: Feed, idle: frozenset[str], tell: Tell) -> None:
    """Which lanes carry anything, and which nodes they join."""
    lanes, departures, nodes = feed.lanes, feed.departures, feed.nodes
    served = departures["lane_id"].unique()
    running = departures.filter(~pl.col("calendar_id").is_in(idle))["lane_id"].unique()
    has_departures, runs = pl.col("lane_id").is_in(served.implode()), pl.col("lane_id").is_in(running.implode())
    tell("lanes", lanes, pl.col("from_node") == pl.col("to_node"), "lane_to_itself", "to_node")
    tell("lanes", lanes, ~has_departures, "lane_without_departures", "lane_id")
    tell("lanes", lanes, has_departures & ~runs, "lane_never_runs", "lane_id")
    for column in ("max_weight_g", "max_side_mm"):
        tell("lanes", lanes, pl.col(column) == 0, "zero_limit", column)

    ends = pl.concat([lanes["from_node"], lanes["to_node"]])
    joined = pl.col("node_id").is_in(ends.implode())
    tell("nodes", nodes, ~joined, "node_without_lanes", "node_id")
    moving = lanes.filter(runs)
    if moving.is_empty():
        return
    row_of = {node: row for row, node in enumerate(nodes["node_id"])}
    begin = np.array([row_of[node] for node in moving["from_node"]])
    end = np.array([row_of[node] for node in moving["to_node"]])
    centre = _centre(nodes, begin, end)
    from_centre, to_centre = _reached(centre, begin, end, nodes.height), _reached(centre, end, begin, nodes.height)
    reach = nodes.with_columns(reached=pl.Series(from_centre), returns=pl.Series(to_centre))
    away, back = joined & ~pl.col("reached"), joined & ~pl.col("returns")
    asides = (
        ("disconnected_node", away & back, "are joined in neither direction to"),
        ("unreachable_node", away & ~back & ~pl.col("kind").is_in(_ONE_WAY_OUT), "cannot be reached from"),
        ("dead_end_node", back & ~away & ~pl.col("kind").is_in(_ONE_WAY_IN), "cannot reach"),
    )
    for code, where, verb in asides:
        count = reach.select(where.sum()).item()
        message = f"{count} of {nodes.height} nodes {verb} {nodes['node_id'][centre]}"
        tell("nodes", reach, where, code, "node_id", message=message)


def _centre(nodes: pl.DataFrame, begin: NDArray[np.int64], end: NDArray[np.int64]) -> int:
    """The node most lanes meet at, lanes in both directions counting most: the network is seen from there."""
    lanes_out = np.bincount(begin, minlength=nodes.height)
    lanes_in = np.bincount(end, minlength=nodes.height)
    return int(np.argmax(np.minimum(lanes_out, lanes_in) * 1_000_000 + lanes_out + lanes_in))


def _reached(start: int, begin: NDArray[np.int64], end: NDArray[np.int64], nodes: int) -> NDArray[np.bool_]:
    """The nodes that some chain of begin -> end leads to from `start`, itself included."""
    reached = np.zeros(nodes, np.bool_)
    reached[start] = True
    order = np.argsort(begin, kind="stable")
    first = np.searchsorted(begin[order], np.arange(nodes + 1))
    waiting = [start]
    while waiting:
        node = waiting.pop()
        for following in end[order[first[node] : first[node + 1]]]:
            if not reached[following]:
                reached[following] = True
                waiting.append(int(following))
    return reached


def _departures(feed: Feed, tell: Tell) -> None:
    places = feed.nodes.select("node_id", "lat", "lon")
    lanes = (
        feed.lanes.select("lane_id", "mode", "from_node", "to_node")
        .join(places, left_on="from_node", right_on="node_id", how="left", maintain_order="left")
        .join(places, left_on="to_node", right_on="node_id", how="left", maintain_order="left", suffix="_to")
    )
    lanes = lanes.with_columns(km=_kilometres(lanes)).select("lane_id", "mode", "km")
    departures = feed.departures.join(lanes, on="lane_id", how="left", maintain_order="left").with_columns(
        km=pl.col("km").round(0), kmh=pl.col("km") / (pl.col("transit_minutes") / 60)
    )
    limit = pl.col("mode").replace_strict(_TOP_SPEED_KMH, return_dtype=pl.Float64)
    fast = departures.filter((pl.col("km") > _SHORT_KM) & (pl.col("kmh") > limit))
    for mode, rows in fast.group_by("mode", maintain_order=True):
        most = f"faster than {_TOP_SPEED_KMH[str(mode[0])]:,} km/h by {mode[0]}, going by the nodes' positions"
        tell("departures", rows, pl.col("km") > 0, "too_fast", "transit_minutes", message=most)
    tell("departures", departures, pl.col("transit_minutes") > _SLOW_MINUTES, "too_slow", "transit_minutes")
    tell("departures", departures, pl.col("cutoff_minutes") > _LONG_CUTOFF, "long_cutoff", "cutoff_minutes")
    for column in ("capacity_g", "capacity_parcels"):
        tell("departures", departures, pl.col(column) == 0, "zero_limit", column)
    below_one = (pl.col("capacity_parcels") > 0) & (pl.col("capacity_parcels") < 1)
    tell("departures", departures, below_one, "capacity_below_one", "capacity_parcels")
    free = (pl.col("cost_per_parcel") == 0) & (pl.col("cost_per_kg") == 0)
    tell("departures", departures, free, "free_departures", "cost_per_parcel")


def _kilometres(lanes: pl.DataFrame) -> pl.Series:
    """Great-circle length of each lane."""
    return pl.Series(great_circle_km(*(lanes[name].to_numpy() for name in ("lat", "lon", "lat_to", "lon_to"))))


def _services_and_zones(feed: Feed, tell: Tell) -> None:
    services = feed.services
    days, hours = pl.col("due_days").is_not_null(), pl.col("due_hours").is_not_null()
    tell("services", services, ~days & ~hours, "never_due", "due_days")
    tell("services", services, days & hours, "two_dues", "due_days")
    extreme = (pl.col("confidence") < 0.5) | (pl.col("confidence") == 1)
    tell("services", services, extreme, "extreme_confidence", "confidence")
    tell("services", services, pl.col("unassigned_cost") < pl.col("late_cost"), "refusing_is_cheap", "unassigned_cost")
    homes = feed.nodes.select("node_id", home="country")
    zones = feed.zones.join(homes, on="node_id", how="left", maintain_order="left")
    tell("zones", zones, pl.col("home") != pl.col("country"), "zone_abroad", "country")
