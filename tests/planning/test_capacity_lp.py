"""The linear program that plans under capacity are held against is itself right."""

from __future__ import annotations

import pytest

pytest.importorskip("highspy")

import capacity_lp
import exhaustive
import random_feeds
from hypothesis import HealthCheck, given, settings

_many = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def _solved(case: random_feeds.Case) -> capacity_lp.Optimum:
    begin = exhaustive.minute(case.start)
    return capacity_lp.solve(case.feed, case.orders, begin, begin + case.horizon_days * 1440, case.outcomes)


def _alone(case: random_feeds.Case) -> float:
    """What all orders cost when each takes its cheapest policy or is refused, nothing ever being full."""
    begin = exhaustive.minute(case.start)
    network = exhaustive.Network(case.feed, begin, begin + case.horizon_days * 1440, case.outcomes)
    total = 0.0
    for order in (exhaustive.Order(network, row) for row in case.orders.to_dicts()):
        best = order.best()
        cost = order.unassigned_cost if best is None else min(float(best.cost), order.unassigned_cost)
        total += cost * order.row["pieces"]
    return total


@given(case=random_feeds.tight_cases((1, 2, 3, 4)))
@_many
def test_without_capacities_every_order_takes_its_cheapest_policy(case: random_feeds.Case) -> None:
    """The program's optimum is the sum of the exhaustive reference's."""
    case = random_feeds.roomy(case)
    assert _solved(case).cost == pytest.approx(_alone(case), rel=1e-7, abs=1e-6)


@given(case=random_feeds.tight_cases((1, 2)))
@_many
def test_capacities_only_add_cost(case: random_feeds.Case) -> None:
    """With capacities nothing gets cheaper, and something is dearer or somewhere a limit is just not felt."""
    free, limited = _alone(case), _solved(case)
    assert limited.cost >= free - 1e-6 - 1e-7 * abs(free)
    felt = [*limited.seats.values(), *limited.kilograms.values(), *limited.hours.values()]
    if limited.cost > free + 1e-4 * max(1.0, free):
        assert max(felt) > 0


def _two_rides(make_feed, **limits):
    """An order of A to B: at once for 1, or two hours later for 4; refusing costs 100."""
    return make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B", "handling_minutes": 30, **limits.get("node", {})}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[
            {"departure_id": name, "lane_id": "AB", "depart_minute": minute, "cost_per_parcel": cost,
             "transit_minutes": 60, **limits.get(name, {})}
            for name, minute, cost in (("cheap", 480, 1.0), ("dear", 600, 4.0))
        ],
        services=[{"service_id": "s", "unassigned_cost": 100.0, "late_cost": 0.0}],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "cost", "price"),
    [
        ({}, 10.0, {}),
        ({"cheap": {"capacity_parcels": 4.0}}, 4 * 1 + 6 * 4, {"seats": 3.0}),
        ({"cheap": {"capacity_g": 8000.0}}, 4 * 1 + 6 * 4, {"kilograms": 1.5}),
        ({"node": {"capacity_per_hour": 4.0}}, 4 * 1 + 4 * 4 + 2 * 100, {"hours": 99.0}),
    ],
)
def test_every_kind_of_limit_is_kept_and_priced(make_feed, make_orders, limits, cost, price) -> None:
    """Ten parcels of two kilograms: seats, grams and clock hours hold back what they must, priced by the next way."""
    feed = _two_rides(make_feed, **limits)
    begin = exhaustive.minute(exhaustive.datetime(2026, 3, 2, tzinfo=exhaustive.UTC))
    orders = make_orders(
        {"order_id": "o", "from_node": "A", "to_node": "B", "ready_at": begin, "weight_g": 2000.0, "pieces": 10,
         "service_id": "s"}
    )  # fmt: skip
    found = capacity_lp.solve(feed, orders, begin, begin + 1440, 1)
    assert found.cost == pytest.approx(cost)
    for kind, most in price.items():
        assert max(getattr(found, kind).values()) == pytest.approx(most)
