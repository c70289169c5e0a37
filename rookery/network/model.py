"""The network feed's files: every column, its kind, bounds and default, and every notice a feed can give."""

from __future__ import annotations

from rookery.base.archive import ARCHIVE_CODES
from rookery.base.kinds import Column
from rookery.base.notices import FILE_CODES, Code
from rookery.terms.goods import DEFAULT_CONFIDENCE, DEFAULT_LATE_COST, GOODS, KINDS, MODES
from rookery.terms.time import DAY

REQUIRED = ("nodes", "lanes", "departures")
"""Files that a feed cannot do without, besides feed.json."""

# Bounds that no network reaches; they keep sums of minutes and of money far from overflow.
_MINUTES = 1_000_000.0  # almost two years
_MONEY = 1e9
_GRAMS = 1e12
_SIDE_MM = 1e6

COLUMNS: dict[str, tuple[Column, ...]] = {
    "nodes": (
        Column("node_id", "text", required=True),
        Column("name", "text"),
        Column("kind", "word", required=True, words=KINDS),
        Column("lat", "number", required=True, low=-90, high=90),
        Column("lon", "number", required=True, low=-180, high=180),
        Column("country", "country", required=True),
        Column("timezone", "timezone", required=True),
        Column("handling_minutes", "whole", default=0, low=0, high=_MINUTES),
        Column("calendar_id", "text"),
        Column("open_from", "clock", high=DAY - 1),
        Column("open_until", "clock", high=DAY),
        Column("capacity_per_hour", "number", above=0, high=_GRAMS),
    ),
    "lanes": (
        Column("lane_id", "text", required=True),
        Column("from_node", "text", required=True),
        Column("to_node", "text", required=True),
        Column("mode", "word", required=True, words=MODES),
        Column("carrier_id", "text"),
        Column("accepts", "words", words=GOODS),
        Column("max_weight_g", "number", low=0, high=_GRAMS),
        Column("max_side_mm", "number", low=0, high=_SIDE_MM),
    ),
    "departures": (
        Column("departure_id", "text", required=True),
        Column("lane_id", "text", required=True),
        Column("calendar_id", "text", required=True),
        Column("depart_time", "clock", required=True, becomes="depart_minute"),
        Column("cutoff_minutes", "whole", default=0, low=0, high=_MINUTES),
        Column("transit_minutes", "whole", required=True, low=1, high=_MINUTES),
        Column("transit_id", "text"),
        Column("capacity_g", "number", low=0, high=_GRAMS),
        Column("capacity_parcels", "number", low=0, high=_GRAMS),
        Column("cost_per_parcel", "number", default=0.0, low=0, high=_MONEY),
        Column("cost_per_kg", "number", default=0.0, low=0, high=_MONEY),
    ),
    "transit": (
        Column("transit_id", "text", required=True),
        Column("quantile", "number", required=True, low=0, high=1),
        Column("factor", "number", required=True, above=0, high=1000),
    ),
    "calendars": (
        Column("calendar_id", "text", required=True),
        Column("monday", "flag", default=False),
        Column("tuesday", "flag", default=False),
        Column("wednesday", "flag", default=False),
        Column("thursday", "flag", default=False),
        Column("friday", "flag", default=False),
        Column("saturday", "flag", default=False),
        Column("sunday", "flag", default=False),
        Column("start_on", "date", required=True),
        Column("end_on", "date", required=True),
        Column("holidays", "country"),
    ),
    "calendar_dates": (
        Column("calendar_id", "text", required=True),
        Column("date", "date", required=True),
        Column("runs", "flag", required=True),
    ),
    "zones": (
        Column("zone_id", "text", required=True),
        Column("country", "country", required=True),
        Column("postal_prefix", "postal", required=True, default=""),
        Column("node_id", "text", required=True),
        Column("delivery_minutes", "whole", default=0, low=0, high=_MINUTES),
        Column("delivery_id", "text"),
        Column("delivery_cost", "number", default=0.0, low=0, high=_MONEY),
        Column("pickup_minutes", "whole", default=0, low=0, high=_MINUTES),
        Column("pickup_cost", "number", default=0.0, low=0, high=_MONEY),
    ),
    "services": (
        Column("service_id", "text", required=True),
        Column("name", "text"),
        Column("due_days", "whole", low=0, high=3650),
        Column("due_hours", "number", low=0, high=87_600),
        Column("confidence", "number", default=DEFAULT_CONFIDENCE, above=0, high=1),
        Column("late_cost", "number", default=DEFAULT_LATE_COST, low=0, high=_MONEY),
        Column("late_cost_per_day", "number", default=0.0, low=0, high=_MONEY),
        Column("time_cost_per_day", "number", default=0.0, low=0, high=_MONEY),
        Column("unassigned_cost", "number", low=0, high=_MONEY * 50),
        Column("modes", "words", words=MODES),
    ),
    "closures": (
        Column("node_id", "text"),
        Column("lane_id", "text"),
        Column("departure_id", "text"),
        Column("from_at", "instant", required=True),
        Column("until_at", "instant", required=True, round_up=True),
        Column("capacity_factor", "number", low=0, high=1000),
        Column("delay_minutes", "whole", low=0, high=_MINUTES),
        Column("reason", "text"),
    ),
}
"""The columns of each file, in the order of the format's description."""

_READING: dict[str, Code] = {
    "bad_feed_info": Code(
        "error", "a field of feed.json cannot be used; its default is taken", "correct the field in feed.json"
    ),
    "two_forms": Code(
        "warning", "the file is there as CSV and as Parquet; the CSV is read", "remove the one that is out of date"
    ),
    "unknown_node_id": Code("error", "no usable row of nodes has this id", "add the node, or correct the id"),
    "unknown_lane_id": Code("error", "no usable row of lanes has this id", "add the lane, or correct the id"),
    "unknown_departure_id": Code(
        "error", "no usable row of departures has this id", "add the departure, or correct the id"
    ),
    "unknown_calendar_id": Code(
        "error",
        "no usable row of calendars or calendar_dates has this id",
        "add the calendar, or correct the id",
    ),
    "unknown_transit_id": Code(
        "error", "no usable row of transit has this id", "add the distribution, or leave the column empty"
    ),
    "open_hours_incomplete": Code(
        "error", "only one of open_from and open_until is given", "give both, or neither for the whole day"
    ),
    "duplicate_zone": Code(
        "error", "the country and postal prefix stand twice; the first row is used", "keep one zone per prefix"
    ),
    "duplicate_quantile": Code(
        "error", "the quantile of this distribution stands twice; the first row is used", "keep one factor per quantile"
    ),
    "duplicate_date": Code(
        "error", "the date of this calendar stands twice; the first row is used", "keep one row per calendar and date"
    ),
    "transit_not_rising": Code(
        "error",
        "the factor is smaller than that of a lower quantile; the whole distribution is left out",
        "sort the factors of the distribution",
    ),
    "transit_median": Code(
        "warning",
        "the factor at quantile 0.5 is not 1, so transit_minutes is not the median",
        "divide the factors by the one at 0.5 and multiply transit_minutes by it",
    ),
    "closure_target": Code(
        "error", "exactly one of node_id, lane_id and departure_id must be given", "write one row for each thing closed"
    ),
    "no_usable_row": Code(
        "error",
        "a feed cannot do without a row in this file, and there is none",
        "add rows",
    ),
    "closure_span": Code("error", "until_at is not after from_at", "correct the span"),
}

_VALIDATING: dict[str, Code] = {
    "calendar_never_runs": Code(
        "warning", "the calendar runs on no day at all", "set weekdays to 1, or add dates in calendar_dates"
    ),
    "calendar_span": Code("warning", "end_on lies before start_on, so no weekday runs", "swap or correct the dates"),
    "calendar_apart": Code(
        "warning",
        "the calendar's days overlap no other departure's, so nothing connects to it",
        "correct start_on and end_on, or remove what is out of date",
    ),
    "unknown_holidays": Code(
        "warning",
        "no public holidays are known for this country, so none are kept",
        "leave holidays empty and list the closed dates in calendar_dates",
    ),
    "dates_only_calendar": Code(
        "info", "the calendar stands in calendar_dates only and runs on dates added there", "nothing, or correct the id"
    ),
    "unused_calendar": Code("info", "no departure and no node uses it", "nothing, or correct the ids that should"),
    "unused_transit": Code("info", "no departure and no zone uses it", "nothing, or correct the ids that should"),
    "transit_one_point": Code(
        "info", "the distribution has one row, so every outcome is the same", "add quantiles, or leave transit_id empty"
    ),
    "node_without_lanes": Code("warning", "no lane begins or ends at the node", "add lanes, or remove the node"),
    "lane_without_departures": Code("warning", "no departure runs on the lane", "add departures, or remove the lane"),
    "lane_never_runs": Code(
        "warning", "every departure of the lane has a calendar that never runs", "correct the departures' calendars"
    ),
    "lane_to_itself": Code("warning", "the lane ends where it begins", "correct from_node or to_node"),
    "disconnected_node": Code(
        "warning",
        "no chain of lanes joins the node to the rest of the network",
        "add the missing lanes or departures, or remove the node",
    ),
    "unreachable_node": Code(
        "info", "lanes lead from the node and none to it", "nothing, or add lanes if parcels should go there", listed=20
    ),
    "dead_end_node": Code(
        "info", "lanes lead to the node and none from it", "nothing, or add lanes if parcels should leave it", listed=20
    ),
    "too_fast": Code(
        "warning", "the distance and transit_minutes give an absurd speed", "check both positions and transit_minutes"
    ),
    "too_slow": Code("warning", "the transit takes over 60 days", "check that transit_minutes is in minutes"),
    "long_cutoff": Code("info", "the cut-off is more than 3 days before departure", "check that it is in minutes"),
    "null_island": Code("warning", "the position is 0, 0, in the ocean off Africa", "correct lat and lon"),
    "zero_limit": Code("warning", "a limit of 0 lets nothing travel", "leave it empty when there is no limit"),
    "capacity_below_one": Code(
        "warning",
        "the capacity is less than one parcel, so none fits",
        "give it in parcels, or leave it empty when there is no limit",
    ),
    "free_departures": Code("info", "the departure costs nothing", "fill cost_per_parcel or cost_per_kg", listed=0),
    "never_due": Code("info", "without due_days and due_hours nothing is ever late", "nothing, or give one"),
    "two_dues": Code("warning", "due_days and due_hours are both given; due_hours is used", "leave one of them empty"),
    "extreme_confidence": Code(
        "warning", "a confidence of 1 or under 0.5 makes promises nobody means", "give one between 0.5 and 0.999"
    ),
    "refusing_is_cheap": Code(
        "warning", "unassigned_cost is below late_cost: refusing costs less than being late", "raise unassigned_cost"
    ),
    "capacity_factor_above_one": Code(
        "warning",
        "a closure with a factor above 1 adds capacity instead of taking it",
        "give the share of the capacity that is left, 0 to 1",
    ),
    "closures_contradict": Code(
        "warning",
        "another closure says otherwise of the same thing at the same time; factors multiply and delays add",
        "let one window end where the other begins, or remove the row that is out of date",
    ),
    "zone_abroad": Code(
        "info", "the zone's node lies in another country", "nothing, or correct country or node_id", listed=20
    ),
}

_PLACING: dict[str, Code] = {
    "order_unknown_node": Code(
        "warning",
        "the feed has no node of this id, so the parcel will be unassigned",
        "correct the id, or add the node to nodes.csv",
    ),
    "order_unknown_zone": Code(
        "warning",
        "no zone of the feed covers this address, so the parcel will be unassigned",
        "correct country and postal code, or add a row to zones.csv",
    ),
    "capacity_below_lightest": Code(
        "warning",
        "the capacity is less than the lightest order, so none of these orders fits",
        "check that capacity_g is in grams, capacity_parcels and capacity_per_hour in pieces",
        listed=0,
    ),
    "closures_outside_horizon": Code(
        "warning",
        "the closure touches nothing of the planned days",
        "correct from_at and until_at, or plan other days",
        listed=0,
    ),
    "unknown_service": Code(
        "error", "the feed offers no service of this id", "correct service_id, or leave it empty for the cheapest way"
    ),
}

NOTICES: dict[str, Code] = FILE_CODES | ARCHIVE_CODES | _READING | _VALIDATING | _PLACING
"""Every notice that reading and validating a feed, and placing orders in it, can give, by code."""
