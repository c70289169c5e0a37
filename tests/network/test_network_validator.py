"""The validator: a sound feed gives nothing, and each suspicion is told at its place."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

import pytest

from rookery.network import validate_feed, validate_orders
from rookery.network.model import _VALIDATING


def sound() -> dict[str, list[dict[str, Any]]]:
    """Two hubs 170 km apart and a depot, joined both ways."""
    return {
        "nodes": [
            {"node_id": "A", "lat": 50.9, "lon": 4.4},
            {"node_id": "B", "lat": 52.3, "lon": 4.9},
            {"node_id": "C", "lat": 52.4, "lon": 4.9, "kind": "depot"},
        ],
        "lanes": [
            {"lane_id": "AB", "from_node": "A", "to_node": "B"},
            {"lane_id": "BA", "from_node": "B", "to_node": "A"},
            {"lane_id": "BC", "from_node": "B", "to_node": "C"},
        ],
        "departures": [
            {"departure_id": f"D{lane}", "lane_id": lane, "transit_minutes": 180, "cost_per_parcel": 1.0}
            for lane in ("AB", "BA", "BC")
        ],
        "calendars": [{"calendar_id": "daily", "start_on": date(2026, 1, 1), "end_on": date(2026, 12, 31)}],
        "services": [{"service_id": "std", "due_days": 3}],
        "zones": [{"zone_id": "Z", "node_id": "C"}],
    }


def row(table: str, at: int, **values: Any):
    return lambda rows: rows[table][at].update(values)


def more(table: str, **values: Any):
    return lambda rows: rows.setdefault(table, []).append(values)


def both(*changes):
    return lambda rows: [change(rows) for change in changes]


WEEKEND_ONLY = dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday"), False)
NO_DAY = WEEKEND_ONLY | {"saturday": False, "sunday": False}


class Planted(NamedTuple):
    """A suspicious change of the sound feed, and where it must be told."""

    code: str
    file: str
    change: Any
    line: int
    column: str | None
    value: str | None


PLANTED = [
    Planted("calendar_never_runs", "calendars.csv", row("calendars", 0, **NO_DAY), 2, "calendar_id", "daily"),
    Planted(
        "calendar_never_runs",
        "calendars.csv",
        row("calendars", 0, **WEEKEND_ONLY, start_on=date(2026, 1, 5), end_on=date(2026, 1, 9)),
        2,
        "calendar_id",
        "daily",
    ),
    Planted(
        "calendar_never_runs",
        "calendars.csv",
        row("calendars", 0, start_on=date(2026, 12, 25), end_on=date(2026, 12, 25), holidays="BE"),
        2,
        "calendar_id",
        "daily",
    ),
    Planted(
        "calendar_span", "calendars.csv", row("calendars", 0, start_on=date(2027, 1, 1)), 2, "end_on", "2026-12-31"
    ),
    Planted(
        "calendar_apart",
        "calendars.csv",
        both(
            more("calendars", calendar_id="old", start_on=date(2020, 1, 1), end_on=date(2020, 12, 31)),
            row("calendars", 0, calendar_id="x"),
            more("calendars", calendar_id="daily", start_on=date(2026, 6, 1), end_on=date(2026, 12, 31)),
            row("departures", 0, calendar_id="old"),
            row("departures", 1, calendar_id="x"),
        ),
        3,
        "calendar_id",
        "old",
    ),
    Planted("unknown_holidays", "calendars.csv", row("calendars", 0, holidays="XX"), 2, "holidays", "XX"),
    Planted(
        "dates_only_calendar",
        "calendar_dates.csv",
        more("calendar_dates", calendar_id="extra", date=date(2026, 5, 1)),
        2,
        "calendar_id",
        "extra",
    ),
    Planted(
        "unused_calendar",
        "calendars.csv",
        more("calendars", calendar_id="x", start_on=date(2026, 1, 1), end_on=date(2026, 2, 1)),
        3,
        "calendar_id",
        "x",
    ),
    Planted(
        "unused_transit",
        "transit.csv",
        both(more("transit", transit_id="t", quantile=0.5, factor=1.0)),
        2,
        "transit_id",
        "t",
    ),
    Planted(
        "transit_one_point",
        "transit.csv",
        both(more("transit", transit_id="t", quantile=0.5, factor=1.0), row("departures", 0, transit_id="t")),
        2,
        "transit_id",
        "t",
    ),
    Planted("node_without_lanes", "nodes.csv", more("nodes", node_id="N", lat=1.0, lon=1.0), 5, "node_id", "N"),
    Planted(
        "lane_without_departures",
        "lanes.csv",
        more("lanes", lane_id="x", from_node="C", to_node="A"),
        5,
        "lane_id",
        "x",
    ),
    Planted("lane_never_runs", "lanes.csv", row("calendars", 0, **NO_DAY), 2, "lane_id", "AB"),
    Planted("lane_to_itself", "lanes.csv", row("lanes", 2, to_node="B"), 4, "to_node", "B"),
    Planted(
        "disconnected_node",
        "nodes.csv",
        both(
            more("nodes", node_id="N", lat=50.0, lon=5.0),
            more("nodes", node_id="O", lat=50.0, lon=5.1),
            more("lanes", lane_id="NO", from_node="N", to_node="O"),
            more("departures", departure_id="x", lane_id="NO", cost_per_kg=1.0),
        ),
        5,
        "node_id",
        "N",
    ),
    Planted(
        "unreachable_node",
        "nodes.csv",
        both(
            more("nodes", node_id="N", lat=50.9, lon=4.5),
            more("lanes", lane_id="NA", from_node="N", to_node="A"),
            more("departures", departure_id="x", lane_id="NA", cost_per_kg=1.0),
        ),
        5,
        "node_id",
        "N",
    ),
    Planted("dead_end_node", "nodes.csv", row("nodes", 2, kind="hub"), 4, "node_id", "C"),
    Planted("too_fast", "departures.csv", row("departures", 0, transit_minutes=18), 2, "transit_minutes", "18"),
    Planted("too_slow", "departures.csv", row("departures", 0, transit_minutes=90_000), 2, "transit_minutes", "90000"),
    Planted("long_cutoff", "departures.csv", row("departures", 0, cutoff_minutes=5000), 2, "cutoff_minutes", "5000"),
    Planted("null_island", "nodes.csv", row("nodes", 0, lat=0.0, lon=0.0), 2, "lat", "0"),
    Planted("zero_limit", "departures.csv", row("departures", 0, capacity_parcels=0.0), 2, "capacity_parcels", "0"),
    Planted("zero_limit", "lanes.csv", row("lanes", 0, max_weight_g=0.0), 2, "max_weight_g", "0"),
    Planted("zero_limit", "departures.csv", row("departures", 0, capacity_g=0.0), 2, "capacity_g", "0"),
    Planted(
        "capacity_below_one",
        "departures.csv",
        row("departures", 1, capacity_parcels=0.5),
        3,
        "capacity_parcels",
        "0.5",
    ),
    Planted("capacity_below_one", "nodes.csv", row("nodes", 1, capacity_per_hour=0.9), 3, "capacity_per_hour", "0.9"),
    Planted("free_departures", "departures.csv", row("departures", 2, cost_per_parcel=0.0), 4, "cost_per_parcel", "0"),
    Planted("never_due", "services.csv", row("services", 0, due_days=None), 2, "due_days", None),
    Planted("two_dues", "services.csv", row("services", 0, due_hours=30.0), 2, "due_days", "3"),
    Planted("extreme_confidence", "services.csv", row("services", 0, confidence=1.0), 2, "confidence", "1"),
    Planted("refusing_is_cheap", "services.csv", row("services", 0, unassigned_cost=5.0), 2, "unassigned_cost", "5"),
    Planted(
        "capacity_factor_above_one",
        "closures.csv",
        more("closures", node_id="A", capacity_factor=1.5),
        2,
        "capacity_factor",
        "1.5",
    ),
    Planted(
        "closures_contradict",
        "closures.csv",
        both(
            more("closures", node_id="A", from_at=29_000_000, until_at=29_000_600, capacity_factor=0.5),
            more("closures", node_id="A", from_at=29_000_599, until_at=29_001_000, capacity_factor=0.0),
        ),
        3,
        "capacity_factor",
        "0",
    ),
    Planted("zone_abroad", "zones.csv", row("zones", 0, country="NL"), 2, "country", "NL"),
]


def test_a_sound_feed_gives_no_notice(make_feed):
    """Nothing is told of a feed that is as it should be."""
    assert validate_feed(make_feed(**sound())) == ()


@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: f"{fault.code}-{fault.file}")
def test_a_suspicion_is_told_where_it_stands(make_feed, fault):
    """Each suspicious change gives its code at its file, line, column and value."""
    rows = sound()
    fault.change(rows)
    found = [notice for notice in validate_feed(make_feed(**rows)) if notice.code == fault.code]
    assert found, fault.code
    place = found[0]
    assert (place.file, place.line, place.column, place.value) == (fault.file, fault.line, fault.column, fault.value)
    assert place.severity in ("warning", "info")


def test_every_code_of_the_validator_is_planted():
    """No code goes untested."""
    assert {fault.code for fault in PLANTED} == _VALIDATING.keys()


def test_orders_for_places_the_feed_lacks_are_told(make_feed, make_orders):
    """A node and an address that nothing covers are warned of at their line, whichever end; known ones are not."""
    orders = make_orders(
        {"order_id": "good", "from_node": "A", "to_country": "BE", "to_postal_code": "1000"},
        {"order_id": "far", "from_node": "A", "to_country": "ZW", "to_postal_code": "1"},
        {"order_id": "lost", "from_node": "NOWHERE", "to_node": "C"},
    )
    told = validate_orders(make_feed(**sound()), orders, "orders.csv")
    assert [(n.severity, n.code, n.line, n.column, n.value) for n in told] == [
        ("warning", "order_unknown_zone", 3, "to_postal_code", "ZW 1"),
        ("warning", "order_unknown_node", 4, "from_node", "NOWHERE"),
    ]


def test_capacities_too_small_for_any_order_are_counted(make_feed, make_orders):
    """One warning per column, at the first row that not even the lightest order, all its pieces, fits in."""
    rows = sound()
    for at, capacity_g in enumerate((999.0, 1000.0, 1.0)):
        rows["departures"][at]["capacity_g"] = capacity_g
    rows["departures"][1]["capacity_parcels"] = 1.5
    rows["departures"][2]["capacity_parcels"] = 0.0  # told by validate_feed
    rows["nodes"][0]["capacity_per_hour"], rows["nodes"][1]["capacity_per_hour"] = 2.0, 1.0
    feed = make_feed(**rows)
    here = {"from_node": "A", "to_node": "B"}
    two = make_orders({**here, "weight_g": 500.0, "pieces": 2}, {**here, "weight_g": 600.0, "pieces": 3})
    assert [(n.severity, n.code, n.file, n.line, n.column, n.value, n.count) for n in validate_orders(feed, two)] == [
        ("warning", "capacity_below_lightest", "departures.csv", 2, "capacity_g", "999", 2),
        ("warning", "capacity_below_lightest", "departures.csv", 3, "capacity_parcels", "1.5", 1),
        ("warning", "capacity_below_lightest", "nodes.csv", 3, "capacity_per_hour", "1", 1),
    ]
    assert validate_orders(feed, make_orders({**here, "weight_g": 1.0})) == ()
    assert validate_orders(feed, two.clear()) == ()


def test_a_network_in_two_pieces_says_how_many_nodes_are_apart(make_feed):
    """The notice counts the nodes that are not joined."""
    rows = sound()
    for change in (
        more("nodes", node_id="N", lat=50.0, lon=5.0),
        more("nodes", node_id="O", lat=50.0, lon=5.1),
        more("lanes", lane_id="NO", from_node="N", to_node="O"),
        more("departures", departure_id="x", lane_id="NO", cost_per_kg=1.0),
    ):
        change(rows)
    told = [notice for notice in validate_feed(make_feed(**rows)) if notice.code == "disconnected_node"]
    assert [notice.value for notice in told] == ["N", "O"]
    assert "2 of 5 nodes" in told[0].message
