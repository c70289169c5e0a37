"""Prices, bounds and costs of small networks whose best plan can be told by hand."""

from __future__ import annotations

import pytest

pytest.importorskip("highspy")

import capacity_lp
from capacity_cases import BEGIN, is_sound, lane, parcels, planned

from rookery.flows.planning import Plan

EIGHT, TEN, NOON, TWO, SIX = 480, 600, 720, 840, 1080
NEXT_DAY = 1440


def _best(feed, orders, made: Plan, cost: float, horizon_days: int = 21) -> None:
    """The plan costs `cost`, which is the least there is, and proves it within a thousandth."""
    is_sound(feed, orders, made)
    optimum = capacity_lp.lp_optimum(feed, orders, BEGIN, BEGIN + horizon_days * 1440, 1)
    assert optimum == pytest.approx(cost)
    assert made.manifest["prices"] == "capacity"
    assert made.summary["cost"] == pytest.approx(cost)
    assert cost * (1 - 1e-3) <= made.summary["lower_bound"] <= cost * (1 + 1e-9)


def _prices(made: Plan, column: str = "shadow_price") -> dict[str, float]:
    """The highest price of each departure, on whatever day."""
    highest = made.loads.group_by("departure_id").agg(made.loads[column].name)
    return {name: max(prices) for name, prices in highest.iter_rows()}


def test_alike_parcels_fill_one_departure_after_the_other(make_feed, make_orders) -> None:
    """Twelve alike parcels and three seats every two hours: the four earliest departures go full."""
    feed = lane(make_feed, [{"depart_minute": at, "capacity_parcels": 3.0} for at in (EIGHT, TEN, NOON, TWO, SIX)])
    orders = parcels(make_orders, 12)
    made = planned(feed, orders, gap=1e-3)
    _best(feed, orders, made, 3 * (9 + 11 + 13 + 15))
    assert sorted(made.loads.filter(made.loads["parcels"] > 0).select("departure_id", "parcels").iter_rows()) == [
        (f"d{i}", 3.0) for i in range(4)
    ]


def test_the_cheaper_of_two_lanes_goes_full_first(make_feed, make_orders) -> None:
    """Three of ten parcels find room on the lane for 1, the others pay 4 on the one that leaves at the same time."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": name, "from_node": "A", "to_node": "B"} for name in ("cheap", "dear")],
        departures=[
            {"departure_id": "c", "lane_id": "cheap", "depart_minute": EIGHT, "cost_per_parcel": 1.0,
             "capacity_parcels": 3.0},
            {"departure_id": "d", "lane_id": "dear", "depart_minute": EIGHT, "cost_per_parcel": 4.0},
        ],
        services=[{"service_id": "s", "late_cost": 0.0, "time_cost_per_day": 24.0}],
    )  # fmt: skip
    orders = parcels(make_orders, 10)
    made = planned(feed, orders, gap=1e-3)
    _best(feed, orders, made, 10 * 9 + 3 * 1 + 7 * 4)
    assert _prices(made)["c"] == pytest.approx(3.0, rel=0.02)


def test_a_second_leg_can_be_what_is_full(make_feed, make_orders) -> None:
    """Where the only onward departure has two seats, two of five parcels go that way and three go straight, dearer."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "H"}, {"node_id": "B"}],
        lanes=[{"lane_id": a + b, "from_node": a, "to_node": b} for a, b in ("AH", "HB", "AB")],
        departures=[
            {"departure_id": "AH", "lane_id": "AH", "depart_minute": EIGHT, "cost_per_parcel": 1.0},
            {"departure_id": "HB", "lane_id": "HB", "depart_minute": TEN, "cost_per_parcel": 1.0,
             "capacity_parcels": 2.0},
            {"departure_id": "AB", "lane_id": "AB", "depart_minute": TEN, "cost_per_parcel": 7.0},
        ],
        services=[{"service_id": "s", "late_cost": 0.0, "time_cost_per_day": 24.0}],
    )  # fmt: skip
    orders = parcels(make_orders, 5)
    made = planned(feed, orders, gap=1e-3)
    _best(feed, orders, made, 5 * 11 + 2 * 2 + 3 * 7)
    assert _prices(made)["HB"] == pytest.approx(5.0, rel=0.02)
    assert _prices(made)["AH"] == 0


@pytest.mark.parametrize("seats", [1, 2, 3, 4])
def test_a_seat_is_worth_what_the_next_parcel_would_save(make_feed, make_orders, seats: int) -> None:
    """The price lies between what the last parcel with a seat would lose and what the first without one would gain."""
    feed = lane(make_feed, [{"depart_minute": EIGHT, "capacity_parcels": float(seats)}, {"depart_minute": SIX}])
    late = [3.0, 7.0, 12.0, 18.0, 30.0]
    orders = parcels(make_orders, 5, due_at=BEGIN + TEN, late_cost=lambda i: late[i])
    made = planned(feed, orders, gap=1e-3, seconds=10.0)
    regrets = sorted((10 + cost for cost in late), reverse=True)  # ten hours later, and late
    _best(feed, orders, made, 5 * 19 + sum(late) - sum(regrets[:seats]))
    near = 0.02 * regrets[0]
    assert regrets[seats] - near <= _prices(made)["d0"] <= regrets[seats - 1] + near


def test_a_kilogram_is_worth_what_it_would_save(make_feed, make_orders) -> None:
    """Alike parcels of two kilograms on a departure for six: the price a kilogram is half of what one would save."""
    feed = lane(make_feed, [{"depart_minute": EIGHT, "capacity_g": 6000.0}, {"depart_minute": SIX}])
    orders = parcels(make_orders, 8, weight_g=2000.0)
    made = planned(feed, orders, gap=1e-3)
    _best(feed, orders, made, 3 * 9 + 5 * 19)
    assert _prices(made, "shadow_price_per_kg")["d0"] == pytest.approx(5.0, rel=0.02)
    assert _prices(made)["d0"] == 0


def test_an_hour_is_worth_what_waiting_costs(make_feed, make_orders) -> None:
    """Four parcels an hour: what comes at nine is handled at nine or takes the departure handled at ten, for 1 more."""
    feed = lane(make_feed, [{"depart_minute": EIGHT}, {"depart_minute": EIGHT + 60}], {"capacity_per_hour": 4.0})
    orders = parcels(make_orders, 7)
    made = planned(feed, orders, gap=1e-3)
    _best(feed, orders, made, 4 * 9 + 3 * 10)
    assert made.hours["parcels"].to_list() == [4.0, 3.0]
    assert made.hours["shadow_price"][0] == pytest.approx(1.0, rel=0.05)


def test_refusing_sets_the_price_where_nothing_else_is_left(make_feed, make_orders) -> None:
    """One departure of three seats for ten parcels: seven are refused, and a seat is worth a refusal less the ride."""
    feed = lane(make_feed, [{"depart_minute": EIGHT, "capacity_parcels": 3.0}], unassigned_cost=200.0)
    orders = parcels(make_orders, 10)
    made = planned(feed, orders, gap=1e-3, horizon_days=1, seconds=10.0)
    _best(feed, orders, made, 3 * 9 + 7 * 200, horizon_days=1)
    assert _prices(made)["d0"] == pytest.approx(191.0, rel=0.02)


def test_a_price_of_refusal_that_is_low_keeps_parcels_home(make_feed, make_orders) -> None:
    """Where full departures make later ones dearer than refusing, the bound counts refusing and the cost is no less."""
    feed = lane(
        make_feed, [{"depart_minute": EIGHT, "capacity_parcels": 3.0}, {"depart_minute": SIX}], unassigned_cost=12.0
    )
    orders = parcels(make_orders, 5)
    made = planned(feed, orders, gap=1e-3)
    is_sound(feed, orders, made)
    optimum = capacity_lp.lp_optimum(feed, orders, BEGIN, BEGIN + 21 * 1440, 1)
    assert optimum == pytest.approx(3 * 9 + 2 * 12)
    assert made.summary["lower_bound"] <= optimum * (1 + 1e-9)
    assert made.summary["cost"] >= optimum * (1 - 1e-9)
