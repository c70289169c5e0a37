"""Placing: orders become parcels with nodes, due times and prices as the format says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from rookery.network.placing import place
from rookery.terms.frames import PARCELS
from rookery.terms.goods import GOODS, MODES
from rookery.terms.time import NEVER, from_minute, to_minute

TIMEZONES = ["Europe/Brussels", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca"]
NODES = [{"node_id": f"n{i}", "timezone": timezone} for i, timezone in enumerate(TIMEZONES)]


def at(text: str) -> int:
    """The UTC minute of an ISO instant in UTC."""
    return to_minute(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.fixture(scope="module")
def feed(make_feed):
    """Five nodes on five continents' clocks, two zones and three services."""
    return make_feed(
        nodes=NODES,
        zones=[
            {
                "zone_id": "be",
                "node_id": "n0",
                "pickup_minutes": 90,
                "pickup_cost": 1.25,
                "delivery_minutes": 60,
                "delivery_cost": 2.0,
            },
            {"zone_id": "us10", "country": "US", "postal_prefix": "10", "node_id": "n1", "pickup_minutes": 30},
        ],
        services=[
            {
                "service_id": "express",
                "due_days": 2,
                "late_cost": 8.0,
                "late_cost_per_day": 1.5,
                "time_cost_per_day": 0.5,
                "unassigned_cost": 60.0,
                "confidence": 0.9,
                "modes": ["air", "truck"],
            },
            {"service_id": "hours", "due_hours": 4.35, "due_days": 9},
            {"service_id": "whenever", "unassigned_cost": None},
        ],
    )


def placed(feed, make_orders, **order) -> dict:
    """One order placed, as a row."""
    parcels, notices = place(feed, make_orders({"from_node": "n0", "to_node": "n1", **order}))
    assert notices == ()
    assert dict(parcels.schema) == PARCELS
    return parcels.row(0, named=True)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 4),
            st.integers(0, 4),
            st.integers(at("2026-01-01"), at("2026-12-31")),
            st.integers(0, 40),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_due_days_end_at_the_destinations_day_end(make_feed, make_orders, rows):
    """due_days counts local dates from the ready date at the origin and ends at 23:59 local at the destination."""
    feed = make_feed(nodes=NODES, services=[{"service_id": f"s{days}", "due_days": days} for days in range(41)])
    parcels, _ = place(
        feed,
        make_orders(
            *(
                {"from_node": f"n{a}", "to_node": f"n{b}", "ready_at": ready_at, "service_id": f"s{days}"}
                for a, b, ready_at, days in rows
            )
        ),
    )
    expected = []
    for a, b, ready_at, days in rows:
        due_on = from_minute(ready_at).astimezone(ZoneInfo(TIMEZONES[a])).date() + timedelta(days)
        due = datetime(due_on.year, due_on.month, due_on.day, 23, 59, tzinfo=ZoneInfo(TIMEZONES[b]))
        expected.append(to_minute(due))
    assert parcels["due_at"].to_list() == expected


def test_due_times_in_order_of_precedence(feed, make_orders):
    """The order's due time wins, then the service's hours (elapsed, whole minutes), then its days, then never."""
    ready = at("2026-06-01T12:00")
    order = {"ready_at": ready}
    assert placed(feed, make_orders, **order, service_id="hours", due_at=ready + 7)["due_at"] == ready + 7
    assert placed(feed, make_orders, **order, service_id="hours")["due_at"] == ready + 261
    assert placed(feed, make_orders, **order, service_id="express")["due_at"] == at("2026-06-04T03:59")
    assert placed(feed, make_orders, **order, service_id="whenever")["due_at"] == NEVER
    assert placed(feed, make_orders, **order)["due_at"] == NEVER
    assert placed(feed, make_orders, **order, due_at=10**15)["due_at"] == NEVER


def test_due_days_need_both_places(feed, make_orders):
    """Without a known origin or destination there is no local date: never due; hours still count."""
    ready = at("2026-06-01T12:00")
    for end in ("from_node", "to_node"):
        lost = {"ready_at": ready, end: "nowhere"}
        assert placed(feed, make_orders, **lost, service_id="express")["due_at"] == NEVER
        assert placed(feed, make_orders, **lost, service_id="hours")["due_at"] == ready + 261


def test_an_address_start_is_collected_first(feed, make_orders):
    """An order from an address is ready at the zone's node after pick-up, and pays for it; due dates do not move."""
    ready = at("2026-06-01T21:00")  # 23:00 in Brussels, ready at the depot on the next day
    row = placed(
        feed,
        make_orders,
        from_node=None,
        from_country="BE",
        from_postal_code="1000",
        to_node=None,
        to_country="US",
        to_postal_code="10-001",
        ready_at=ready,
        service_id="express",
    )
    assert (row["origin"], row["destination"], row["pickup_zone"], row["zone"]) == (0, 1, 0, 1)
    assert (row["ready_at"], row["start_at"], row["pickup_cost"]) == (ready, ready + 90, 1.25)
    assert row["due_at"] == at("2026-06-04T03:59")
    assert not row["unknown_node"]
    assert not row["unknown_zone"]


def test_a_named_node_wins_over_the_address(feed, make_orders):
    """A node is taken as it is, known or not, whatever the address says."""
    both = {"from_country": "BE", "from_postal_code": "1000", "to_country": "BE", "to_postal_code": "1000"}
    row = placed(feed, make_orders, from_node="n2", to_node="n3", **both)
    assert (row["origin"], row["destination"], row["pickup_zone"], row["zone"]) == (2, 3, -1, -1)
    assert (row["start_at"], row["pickup_cost"]) == (row["ready_at"], 0.0)
    row = placed(feed, make_orders, from_node="nowhere", to_node="n3", **both)
    assert (row["origin"], row["destination"], row["pickup_zone"]) == (-1, 3, -1)
    assert row["unknown_node"]
    assert not row["unknown_zone"]


def test_an_address_outside_all_zones_is_flagged(feed, make_orders):
    """An address no zone covers has no destination; both flags can stand on one order."""
    row = placed(feed, make_orders, from_node="nowhere", to_node=None, to_country="FR", to_postal_code="75001")
    assert (row["origin"], row["destination"], row["zone"]) == (-1, -1, -1)
    assert row["unknown_node"]
    assert row["unknown_zone"]


def test_prices_come_from_order_then_service_then_default(feed, make_orders):
    """Late and refusal prices: the order's own, the service's, 20 and 50 times the late cost."""

    def prices(**order):
        row = placed(feed, make_orders, **order)
        return row["late_cost"], row["unassigned_cost"], row["late_cost_per_day"], row["time_cost_per_day"]

    assert prices() == (20.0, 1000.0, 0.0, 0.0)
    assert prices(late_cost=3.0) == (3.0, 150.0, 0.0, 0.0)
    assert prices(service_id="express") == (8.0, 60.0, 1.5, 0.5)
    assert prices(service_id="express", late_cost=3.0) == (3.0, 60.0, 1.5, 0.5)
    assert prices(service_id="whenever", late_cost=3.0) == (3.0, 150.0, 0.0, 0.0)


def test_service_terms_and_their_defaults(feed, make_orders):
    """Confidence and modes come from the service; without one, 0.95 and every mode."""
    express, none = placed(feed, make_orders, service_id="express"), placed(feed, make_orders)
    assert (express["service"], express["confidence"]) == (0, 0.9)
    assert express["modes"] == (1 << MODES.index("air")) + (1 << MODES.index("truck"))
    assert (none["service"], none["confidence"], none["modes"]) == (-1, 0.95, 255)
    assert placed(feed, make_orders, service_id="hours")["modes"] == 255


def test_size_and_weight(feed, make_orders):
    """Volume counts only when all three sides are known; the longest known side is the side."""
    box = placed(feed, make_orders, length_mm=400.0, width_mm=301.0, height_mm=200.0, weight_g=1500.0)
    assert (box["weight_g"], box["chargeable_g"], box["side_mm"]) == (1500.0, 400 * 301 * 200 / 5000, 400.0)
    heavy = placed(feed, make_orders, length_mm=10.0, width_mm=10.0, height_mm=10.0, weight_g=1500.0)
    assert heavy["chargeable_g"] == 1500.0
    flat = placed(feed, make_orders, length_mm=4000.0, width_mm=3000.0, weight_g=10.0)
    assert (flat["chargeable_g"], flat["side_mm"]) == (10.0, 4000.0)
    assert placed(feed, make_orders)["side_mm"] == 0.0


def test_every_class_of_goods_has_its_place(feed, make_orders):
    """Goods become their place in the vocabulary; none given is general."""
    parcels, _ = place(feed, make_orders(*({"goods": goods} for goods in (*GOODS, None))))
    assert parcels["goods"].to_list() == [*range(len(GOODS)), 0]


def test_an_unknown_service_is_left_out_with_a_notice(feed, make_orders):
    """The order is not planned under other terms than asked: it is left out, named by line and value."""
    orders = make_orders(
        {"from_node": "n0", "to_node": "n1"},
        {"from_node": "n0", "to_node": "n1", "service_id": "overnight"},
        {"from_node": "n1", "to_node": "n2", "service_id": "express"},
    )
    parcels, (notice,) = place(feed, orders)
    assert parcels["order_id"].to_list() == ["o0", "o2"]
    assert parcels["service"].to_list() == [-1, 0]
    assert (notice.severity, notice.file, notice.line) == ("error", "orders", 3)
    assert (notice.column, notice.value) == ("service_id", "overnight")
    assert notice.remedy


def test_no_orders_make_no_parcels(make_feed, make_orders):
    """An empty order file, also on an empty feed, gives an empty frame of the right columns."""
    parcels, notices = place(make_feed(), make_orders())
    assert dict(parcels.schema) == PARCELS
    assert parcels.is_empty()
    assert notices == ()


def test_orders_for_unknown_services_are_counted_and_named_by_their_file(feed, make_orders):
    """Of many alike a hundred are listed, the last notice stands for the others, and all name the file they are in."""
    orders = make_orders(*({"from_node": "n0", "to_node": "n1", "service_id": "overnight"} for _ in range(250)))
    parcels, notices = place(feed, orders, "monday.csv")
    assert parcels.is_empty()
    assert len(notices) == 101 and sum(notice.count for notice in notices) == 250
    assert {notice.file for notice in notices} == {"monday.csv"}
