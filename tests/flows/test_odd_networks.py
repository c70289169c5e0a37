"""Networks and orders at the edge of sense: a plan comes out, with reasons, never a traceback."""

from datetime import UTC, date, datetime

import pytest

import rookery as rk
from rookery.flows.planning import plan
from rookery.terms.frames import Orders
from rookery.terms.time import to_minute

READY = 29_825_760  # 2026-09-16T08:00Z


@pytest.mark.parametrize("outcomes", [1, 8])
@pytest.mark.parametrize(
    ("departures", "reason"),
    [
        ([], "no_lane"),
        ([{"departure_id": "d", "lane_id": "AB", "calendar_id": "never"}], "after_last_departure"),
    ],
)
def test_a_network_without_a_dated_departure_gives_reasons(make_feed, make_orders, departures, reason, outcomes):
    """No departure at all, or none that ever runs: every parcel is unassigned and says why, and the check agrees."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=departures,
        calendars=[{"calendar_id": "never", "monday": False, **dict.fromkeys(
            ("tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), False),
            "start_on": date(2026, 1, 1), "end_on": date(2026, 12, 31)}],
    )  # fmt: skip
    orders = make_orders({"order_id": "o", "from_node": "A", "to_node": "B", "ready_at": READY})
    made = plan(feed, orders, outcomes=outcomes)
    assert made.parcels["reasons"].to_list() == [[reason]]
    assert made.summary["cost"] == 1000.0 and made.summary["unassigned"] == {reason: 1}
    assert rk.check(feed, orders, made).violations == []


def test_orders_to_nowhere_only(make_feed, make_orders):
    """All nodes unknown: nothing planned, everything told."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": "d", "lane_id": "AB"}],
    )
    orders = make_orders(
        {"order_id": "1", "from_node": "X", "to_node": "B"},
        {"order_id": "2", "from_node": "A", "to_country": "FR", "to_postal_code": "1"},
    )
    made = plan(feed, orders)
    assert made.parcels["reasons"].to_list() == [["unknown_node"], ["unknown_zone"]]
    assert made.legs.height == made.loads.height == 0
    assert rk.check(feed, orders, made).violations == []


def test_a_parcel_ready_before_the_start_waits_for_it(make_feed, make_orders):
    """With a later start, earlier departures do not count; a parcel ready after the horizon is beyond it."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": "d", "lane_id": "AB", "depart_minute": 600}],
    )
    start = datetime(2026, 9, 20, 12, tzinfo=UTC)
    orders = make_orders(
        {"order_id": "early", "from_node": "A", "to_node": "B", "ready_at": READY},
        {"order_id": "late", "from_node": "A", "to_node": "B", "ready_at": to_minute(start) + 3 * 1440},
    )
    made = plan(feed, orders, start=start, horizon_days=2)
    assert made.legs["depart_at"].to_list() == [datetime(2026, 9, 21, 10, tzinfo=UTC)]
    assert made.parcels["reasons"].to_list() == [[], ["beyond_horizon"]]
    assert rk.check(feed, orders, made).violations == []


def test_a_frame_of_read_orders_may_be_filtered_and_planned(tmp_path):
    """Part of what was read plans without going through a file again."""
    rk.sample_network("tiny", 1, tmp_path / "feed")
    feed = rk.read_feed(tmp_path / "feed")
    rk.write_orders(rk.sample_orders(feed, 20, 1), tmp_path / "orders.csv")
    orders = rk.read_orders(tmp_path / "orders.csv")
    part = plan(feed, orders.frame.head(5))
    assert part.parcels.equals(plan(feed, Orders(orders.frame.head(5))).parcels) and part.parcels.height == 5


@pytest.mark.parametrize("outcomes", [1, 8])
@pytest.mark.parametrize(
    ("node", "ready"),
    [
        ({"open_from": 540, "open_until": 600, "handling_minutes": 6000}, datetime(2026, 12, 25, 10, tzinfo=UTC)),
        ({"calendar_id": "once", "handling_minutes": 30}, datetime(2027, 1, 15, 0, 30, tzinfo=UTC)),
        ({"calendar_id": "once"}, datetime(2027, 1, 15, tzinfo=UTC)),
    ],
    ids=["a hundred days of work", "one day next year", "no work on one day next year"],
)
def test_a_parcel_may_be_handled_long_after_the_horizon(make_feed, make_orders, node, ready, outcomes):
    """The horizon limits departures, not arrivals: handling goes on for as long as the node's hours make it."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B", **node}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": "d", "lane_id": "AB"}],
        calendar_dates=[{"calendar_id": "once", "date": date(2027, 1, 15)}],
    )
    orders = make_orders({"order_id": "o", "from_node": "A", "to_node": "B", "ready_at": READY})
    made = plan(feed, orders, outcomes=outcomes)
    assert made.parcels["expected_at"].to_list() == [ready]
    assert rk.check(feed, orders, made).violations == []


def test_one_stale_order_does_not_silently_spoil_the_plan(make_feed, make_orders):
    """An order from months ago moves the horizon there: a notice says how many orders lie behind it and what to do."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": "d", "lane_id": "AB"}],
    )
    orders = make_orders(
        {"order_id": "stale", "from_node": "A", "to_node": "B", "ready_at": READY - 90 * 1440},
        {"order_id": "fresh", "from_node": "A", "to_node": "B", "ready_at": READY},
    )
    notices = {notice.code: notice for notice in plan(feed, orders).notices}
    assert "1 of 2 orders" in notices["orders_beyond_horizon"].message
    assert "--start" in notices["orders_beyond_horizon"].remedy


def test_days_without_departures_are_told(make_feed, make_orders):
    """When every calendar is over, the plan says so instead of only refusing parcels."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": "d", "lane_id": "AB"}],
    )
    orders = make_orders({"order_id": "o", "from_node": "A", "to_node": "B", "ready_at": READY + 400 * 1440})
    assert "no_departures" in {notice.code for notice in plan(feed, orders).notices}


def test_capacities_too_small_for_any_order_are_told(make_feed, make_orders):
    """A departure, and a node, that none of the orders fits in is warned of by the plan too."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B", "capacity_per_hour": 2.0}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": "d", "lane_id": "AB", "capacity_g": 400.0}],
    )
    orders = make_orders({"from_node": "A", "to_node": "B", "ready_at": READY, "pieces": 3})
    told = [(notice.code, notice.column) for notice in plan(feed, orders).notices]
    assert told == [("capacity_below_lightest", "capacity_g"), ("capacity_below_lightest", "capacity_per_hour")]


def test_orders_may_be_given_as_a_path(tmp_path):
    """`plan(feed, "orders.csv")` reads the file."""
    rk.sample_network("tiny", 1, tmp_path / "feed")
    feed = rk.read_feed(tmp_path / "feed")
    rk.write_orders(rk.sample_orders(feed, 20, 1), tmp_path / "orders.csv")
    assert plan(feed, str(tmp_path / "orders.csv")).parcels.height == 20
