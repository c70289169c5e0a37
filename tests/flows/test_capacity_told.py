"""What capacity means to those who ask: worth of room, what is flown empty, promises and explanations under prices."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import rookery as rk
from rookery.flows.planning import plan
from rookery.flows.utilisation import utilisation
from rookery.planning import ops

READY = datetime(2026, 9, 14, 8, tzinfo=UTC)
MINUTE = int(READY.timestamp()) // 60


def network(make_feed, **limits):
    """A truck a day from A to B, which costs 1 and has the limits given; a van a day from B to A that nobody needs."""
    return make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B", **{k: v for k, v in limits.items() if k == "capacity_per_hour"}}],
        lanes=[
            {"lane_id": "out", "from_node": "A", "to_node": "B"},
            {"lane_id": "back", "from_node": "B", "to_node": "A", "mode": "van"},
        ],
        departures=[
            {"departure_id": "truck", "lane_id": "out", "cost_per_parcel": 1.0,
             **{k: v for k, v in limits.items() if k != "capacity_per_hour"}},
            {"departure_id": "van", "lane_id": "back", "cost_per_parcel": 0.5, "cost_per_kg": 0.1,
             "capacity_parcels": 10.0, "capacity_g": 50_000.0},
        ],
        services=[{"service_id": "s", "due_hours": 24.0, "late_cost": 8.0, "late_cost_per_day": 1.0,
                   "unassigned_cost": 15.0}],
    )  # fmt: skip


def planned(feed, make_orders, count=5, outcomes=1, **order):
    """`count` parcels of a kilogram from A to B that are late (9, then 10) when they do not ride today."""
    wish = {"from_node": "A", "to_node": "B", "service_id": "s", "ready_at": MINUTE, **order}
    return plan(feed, make_orders(*(wish for _ in range(count))), outcomes=outcomes)


@pytest.mark.parametrize(
    ("limit", "column"),
    [({"capacity_parcels": 2.0}, "seat"), ({"capacity_g": 2000.0}, "tonne"), ({"capacity_per_hour": 2.0}, "price")],
)
def test_what_one_more_unit_would_save_is_ranked(make_feed, make_orders, limit, column):
    """One more on today's truck saves a parcel from being two days late; where there is room it saves nothing."""
    feed = network(make_feed, **limit)
    found = utilisation(feed, planned(feed, make_orders))
    first = found.dearest(column, 9).row(0, named=True)
    assert first[column] == pytest.approx(10.0 * (1000 if column == "tonne" else 1), rel=0.1)
    assert (first["depart_at"] if column != "price" else first["hour_at"]).day == 14
    assert first["parcels"] == 2 and first["share"] == 1
    frame = found.hours if column == "price" else found.departures
    assert frame.filter(pl.col("share") < 0.9)[column].sum() == 0
    others = {"seat", "tonne", "price"} - {column}
    assert all(found.dearest(other, 9).is_empty() for other in others)


def test_what_is_flown_empty_counts_departures_without_parcels(make_feed, make_orders):
    """While the plan moves parcels (three days) the van goes empty: its room is counted and priced at its tariff."""
    feed = network(make_feed, capacity_parcels=2.0)
    found = utilisation(feed, planned(feed, make_orders))
    assert (found.summary["from"].day, found.summary["until"].day) == (14, 16)
    out, back = (found.lanes.filter(pl.col("lane_id") == lane).row(0, named=True) for lane in ("out", "back"))
    assert (out["departures"], out["full"], out["empty"], out["parcels"], out["unused_parcels"]) == (3, 2, 0, 5, 1)
    assert out["empty_cost"] == pytest.approx(0.5 * 2 * 1.0), "half empty on the third day"
    assert (back["departures"], back["empty"], back["unused_parcels"], back["unused_kg"]) == (3, 3, 30, 150)
    assert back["empty_cost"] == pytest.approx(3 * (10 * 0.5 + 50 * 0.1))
    assert found.emptiest_lanes(1)["lane_id"].to_list() == ["back"]
    assert found.summary["carrying_nothing"] == 3 and found.summary["full"] == 2
    assert found.departures.height == 6 and found.summary["unused_parcels"] == 31


def test_a_plan_where_nothing_is_full_has_nothing_to_rank(make_feed, make_orders):
    """Without prices every ranking by worth is empty, and departures without limits have no share."""
    feed = network(make_feed)
    found = utilisation(feed, planned(feed, make_orders))
    assert found.summary["prices"] == "none" and found.summary["priced"] == 0
    assert found.dearest("seat", 9).is_empty() and found.dearest_lanes(9).is_empty()
    assert found.departures.filter(pl.col("lane_id") == "out")["share"].to_list() == [None]


def test_a_plan_that_moves_nothing_can_be_asked_too(make_feed, make_orders):
    """A plan whose only parcel is where it is going has no departures to rank."""
    feed = network(make_feed, capacity_parcels=2.0)
    found = utilisation(feed, planned(feed, make_orders, 1, to_node="A"))
    assert found.departures.is_empty() and found.lanes.is_empty() and found.summary["from"] is None


def test_a_plan_of_another_feed_is_refused(make_feed, make_orders):
    """Utilisation, promise and explanation refuse a plan whose feed had another hash, and say what to do."""
    feed = network(make_feed, capacity_parcels=2.0)
    made = planned(feed, make_orders)
    other = replace(feed, sha256="another")
    orders = make_orders({"order_id": "1", "from_node": "A", "to_node": "B"})
    for ask in (
        lambda: utilisation(other, made),
        lambda: rk.promise(other, origin="A", to="B", ready_at=READY, weight_g=500, prices=made),
        lambda: rk.explain(other, orders, "1", prices=made),
    ):
        with pytest.raises(rk.InvalidInput, match="plan the orders again") as told:
            ask()
        assert told.value.code == "plan.another_feed"


def test_a_promise_under_prices_avoids_what_is_full(make_feed, make_orders):
    """Without prices today's truck is the one offer; with them it costs what it takes from others, and tomorrow's less.

    Cost is transport and congestion together; legs tell the tariff.
    """
    feed = network(make_feed, capacity_parcels=2.0)
    made = planned(feed, make_orders, 3)
    wish = {"origin": "A", "to": "B", "ready_at": READY, "weight_g": 500, "outcomes": 1}
    (free,) = rk.promise(feed, **wish)
    assert (free.cost, free.transport, free.congestion, free.legs[0].depart_at.day) == (1.0, 1.0, 0.0, 14)
    today, tomorrow = rk.promise(feed, **wish, prices=made)
    seat = made.loads["shadow_price"][0]
    assert seat == pytest.approx(9.0, rel=0.1)
    assert today.cost == pytest.approx(1 + seat) and today.congestion == pytest.approx(seat)
    assert (today.transport, today.legs[0].cost, today.legs[0].depart_at.day) == (pytest.approx(1.0), 1.0, 14)
    assert (tomorrow.cost, tomorrow.congestion, tomorrow.legs[0].depart_at.day) == (pytest.approx(1.0), 0.0, 15)


def test_under_prices_a_later_offer_is_cheaper_by_a_thousandth_in_any_currency(make_feed, make_orders):
    """A slower way counts as another choice where it saves more than a thousandth of the cost, however small a coin."""
    for unit in (1.0, 10_000.0):
        ways = {"today": (60, 4.0), "nearly": (2000, 3.997), "cheaper": (4000, 3.99)}
        feed = make_feed(
            nodes=[{"node_id": "A"}, {"node_id": "B"}],
            lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
            departures=[
                {"departure_id": name, "lane_id": "AB", "transit_minutes": minutes, "cost_per_parcel": cost * unit,
                 "capacity_parcels": 2.0 if name == "today" else None}
                for name, (minutes, cost) in ways.items()
            ],
            services=[{"service_id": "s", "due_hours": 24.0, "late_cost": 8.0 * unit}],
        )  # fmt: skip
        made = planned(feed, make_orders, 3)
        wish = {"origin": "A", "to": "B", "ready_at": READY + timedelta(days=7), "weight_g": 500, "outcomes": 1}
        for prices, told in ((None, ["today", "nearly", "cheaper"]), (made, ["today", "cheaper"])):
            offers = rk.promise(feed, **wish, prices=prices)
            assert [offer.legs[0].departure_id for offer in offers] == told


def test_scarce_kilograms_are_paid_by_actual_weight(make_feed, make_orders):
    """Of a light but large parcel the congestion part counts the actual kilograms, the transport the chargeable."""
    feed = network(make_feed, capacity_g=2000.0, cost_per_kg=0.5)
    made = planned(feed, make_orders, 3)
    per_kg = made.loads["shadow_price_per_kg"][0]
    assert per_kg > 5
    sides = dict.fromkeys(("length_mm", "width_mm", "height_mm"), 300.0)  # 5.4 chargeable kilograms
    wish = {"origin": "A", "to": "B", "ready_at": READY, "weight_g": 400, **sides, "outcomes": 1}
    today = rk.promise(feed, **wish, prices=made)[0]
    assert today.congestion == pytest.approx(0.4 * per_kg)
    assert today.transport == pytest.approx(1 + 0.5 * 5.4)


def test_with_outcomes_congestion_is_expected(make_feed, make_orders):
    """A price of an hour that half of the outcomes fall in is paid by half."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B", "capacity_per_hour": 2.0}],
        lanes=[{"lane_id": "out", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": "truck", "lane_id": "out", "transit_id": "t", "transit_minutes": 60}],
        transit=[{"transit_id": "t", "quantile": q, "factor": f} for q, f in ((0.25, 0.9), (0.75, 1.1))],
        services=[{"service_id": "s", "due_hours": 24.0, "late_cost": 9.0}],
    )
    made = planned(feed, make_orders, 6, outcomes=2)
    early, late = made.hours.filter(pl.col("hour_at").dt.day() == 14)["shadow_price"]
    today = rk.promise(feed, origin="A", to="B", ready_at=READY, weight_g=500, outcomes=2, prices=made)[0]
    assert early + late > 10
    assert today.congestion == pytest.approx((early + late) / 2) and today.transport == pytest.approx(0.0)


def test_an_explanation_under_prices_tells_why_the_full_departure_lost(make_feed, make_orders):
    """Under prices the option that is full costs its seat too; a parcel not worth any room is told as refused."""
    feed = network(make_feed, capacity_parcels=2.0)
    made = planned(feed, make_orders, 3)
    wish = {"order_id": "1", "from_node": "A", "to_node": "B", "ready_at": MINUTE}
    orders = make_orders(wish)
    assert rk.explain(feed, orders, "1", outcomes=1).steps[0].options[0].depart_at.day == 14
    assert rk.explain(feed, orders, "1", outcomes=1, prices=made).steps[0].options[0].depart_at.day == 15
    short = make_orders({**wish, "service_id": "s", "due_at": MINUTE + 300})
    cheap = replace(feed, services=feed.services.with_columns(unassigned_cost=pl.lit(5.0)))
    refused = rk.explain(cheap, short, "1", outcomes=1, horizon_days=1, prices=made)
    assert refused.status == "unassigned" and [reason.code for reason in refused.reasons] == ["no_capacity"]
    assert "truck" in refused.reasons[0].fix


def test_what_if_stops_with_an_interrupted_plan(make_feed, make_orders, monkeypatch):
    """Ctrl-C while the first plan is improved ends the comparison: the second is not begun."""
    feed = network(make_feed, capacity_parcels=2.0)
    orders = make_orders(*({"from_node": "A", "to_node": "B", "service_id": "s", "ready_at": MINUTE} for _ in range(5)))
    stages = []

    def stop(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        if stage == "before: prices":
            raise KeyboardInterrupt

    monkeypatch.setattr(ops, "FREE_FIRST", 0)
    with pytest.raises(KeyboardInterrupt):
        rk.what_if(feed, orders, [rk.ScaleVolume(2.0)], outcomes=1, progress=stop)
    assert "before: prices" in stages and not any(stage.startswith("after") for stage in stages)
