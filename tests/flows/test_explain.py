"""Explanations: what was chosen and why, and what would mend an unassigned parcel."""

from datetime import date

import pytest

import rookery as rk
from rookery.terms.frames import Orders

READY = 29_825_760  # 2026-09-16T08:00Z


@pytest.fixture(scope="module")
def network(make_feed):
    """A - B - C by truck, a dear flight A - C for general goods only, D apart, E reached by a lane that left early."""
    lanes = [
        {"lane_id": "AB", "from_node": "A", "to_node": "B", "accepts": ["general", "battery"]},
        {"lane_id": "BC", "from_node": "B", "to_node": "C", "accepts": ["general"], "max_weight_g": 2000.0},
        {"lane_id": "AC", "from_node": "A", "to_node": "C", "mode": "air", "max_side_mm": 500.0, "max_weight_g": 900.0},
        {"lane_id": "AE", "from_node": "A", "to_node": "E"},
        {"lane_id": "AF", "from_node": "A", "to_node": "F"},
    ]
    departures = [
        {"departure_id": "AB1", "lane_id": "AB", "depart_minute": 540, "cost_per_parcel": 1.0},
        {"departure_id": "BC1", "lane_id": "BC", "depart_minute": 900, "cost_per_parcel": 1.0},
        {"departure_id": "AC1", "lane_id": "AC", "depart_minute": 700, "cost_per_parcel": 8.0},
        {"departure_id": "AE1", "lane_id": "AE", "calendar_id": "once", "depart_minute": 455},
        {"departure_id": "AF1", "lane_id": "AF", "calendar_id": "later"},
    ]
    every = dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), True)
    spans = {"daily": (1, 1, 12, 31), "once": (9, 16, 9, 16), "later": (10, 12, 12, 31)}
    return make_feed(
        nodes=[{"node_id": name, "lat": float(place)} for place, name in enumerate("ABCDEF")],
        lanes=lanes,
        departures=departures,
        calendars=[
            {"calendar_id": name, **every, "start_on": date(2026, *span[:2]), "end_on": date(2026, *span[2:])}
            for name, span in spans.items()
        ],
        services=[{"service_id": "road", "modes": ["truck"], "due_hours": 48.0}],
    )


def explain(network, make_orders, **order):
    """The explanation of one order from A."""
    row = {"order_id": "o", "from_node": "A", "ready_at": READY, **order}
    return rk.explain(network, Orders(make_orders(row)), "o", outcomes=2)


def test_the_chosen_options_are_the_itinerary(network, make_orders):
    """At every node the chosen option is the leg of the plan, the cheapest, and the others say what they lack."""
    told = explain(network, make_orders, to_node="C", weight_g=500.0)
    plan = rk.plan(network, Orders(make_orders({"order_id": "o", "from_node": "A", "to_node": "C", "ready_at": READY,
                                                "weight_g": 500.0})), outcomes=2)  # fmt: skip
    chosen = [option for step in told.steps for option in step.options if option.chosen]
    assert [option.departure_id for option in chosen] == plan.legs["departure_id"].to_list() == ["AB1", "BC1"]
    assert told.cost == pytest.approx(plan.parcels["cost"][0])
    flight = next(option for option in told.steps[0].options if option.departure_id == "AC1")
    assert flight.cost == pytest.approx(8.0) and "costs 6.00 more" in flight.why


def test_a_barred_option_names_the_limit(network, make_orders):
    """A lane that the parcel may not ride says which limit bars it."""
    told = explain(network, make_orders, to_node="C", weight_g=1500.0)
    flight = next(option for option in told.steps[0].options if option.departure_id == "AC1")
    assert flight.cost is None and "up to 900 g, the parcel weighs 1,500 g" in flight.why


@pytest.mark.parametrize(
    ("order", "code", "words"),
    [
        ({"to_node": "CC"}, "unknown_node", "did you mean 'C'"),
        ({"to_node": None, "to_country": "FR", "to_postal_code": "75"}, "unknown_zone", "FR 75"),
        ({"to_node": "D"}, "no_lane", "111 km, the shortest gap"),
        ({"to_node": "C", "goods": "battery"}, "goods_not_accepted", "a battery lane from"),
        ({"to_node": "C", "weight_g": 3000.0}, "over_weight", "3,000 g"),
        ({"to_node": "E"}, "after_last_departure", "cut-off missed by 25 min"),
        ({"to_node": "F"}, "beyond_horizon", "--horizon-days 27"),
        ({"to_node": "C", "goods": "battery", "weight_g": 5000.0}, "goods_not_accepted", "battery"),
    ],
)
def test_every_reason_says_what_would_mend_it(network, make_orders, order, code, words):
    """An unassigned parcel carries its reason, with the fix in words."""
    told = explain(network, make_orders, **order)
    assert told.status == "unassigned" and told.steps == []
    reason = next(reason for reason in told.reasons if reason.code == code)
    assert words in f"{reason.text}. {reason.fix}"


def test_a_mode_the_service_lacks_is_named(make_feed, make_orders):
    """Only a flight goes there and the service goes by road: the reason is the mode."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B", "mode": "air"}],
        departures=[{"departure_id": "d", "lane_id": "AB"}],
        services=[{"service_id": "road", "modes": ["truck"]}],
    )
    told = explain(feed, make_orders, to_node="B", service_id="road")
    assert [reason.code for reason in told.reasons] == ["mode_not_allowed"]
    assert "a service that allows air" in told.reasons[0].fix


def test_an_unknown_order_is_named(network, make_orders):
    """Asking for an order that is not there is an error."""
    with pytest.raises(rk.NotFound, match="'ghost'"):
        rk.explain(network, Orders(make_orders({"order_id": "o", "from_node": "A", "to_node": "C"})), "ghost")


def test_a_parcel_that_is_there_already_needs_no_step(network, make_orders):
    """From a node to itself: planned, delivered when ready, no legs."""
    told = explain(network, make_orders, to_node="A")
    assert told.status == "planned" and told.steps == [] and told.cost == 0


def test_an_order_behind_the_planned_days_says_so(network, make_orders):
    """When a stale order moves the days that are planned, an order after them is told that, not to be ready earlier."""
    rows = make_orders(
        {"order_id": "stale", "from_node": "A", "to_node": "C", "ready_at": READY - 200 * 1440, "weight_g": 500.0},
        {"order_id": "fresh", "from_node": "A", "to_node": "C", "ready_at": READY, "weight_g": 500.0},
    )
    told = rk.explain(network, Orders(rows), "fresh", outcomes=1)
    assert "ready only after the planned days" in told.reasons[0].text and "--start" in told.reasons[0].fix


def test_plan_and_explanation_tell_the_same_way_among_equal_ones(make_feed, make_orders):
    """Same cost, same delivery: plan and explanation both take the departure that leaves first."""
    feed = make_feed(
        nodes=[{"node_id": name} for name in "ABC"],
        lanes=[
            {"lane_id": "AB", "from_node": "A", "to_node": "B"},
            {"lane_id": "BC", "from_node": "B", "to_node": "C"},
        ],
        departures=[
            *(
                {"departure_id": f"AB{h}", "lane_id": "AB", "depart_minute": 60 * h, "cost_per_kg": 0.7}
                for h in (1, 2, 3)
            ),
            {"departure_id": "BC", "lane_id": "BC", "depart_minute": 600, "cost_per_parcel": 0.1, "cost_per_kg": 0.1},
        ],
    )
    rows = [
        {"order_id": str(w), "from_node": "A", "to_node": "C", "ready_at": READY - 480, "weight_g": float(w)}
        for w in range(100, 2000, 90)
    ]
    orders = Orders(make_orders(*rows))
    for outcomes in (1, 8):
        legs = rk.plan(feed, orders, outcomes=outcomes).legs
        assert set(legs["departure_id"]) == {"AB1", "BC"}
        told = rk.explain(feed, orders, "1000", outcomes=outcomes)
        assert [option.departure_id for step in told.steps for option in step.options if option.chosen] == ["AB1", "BC"]
