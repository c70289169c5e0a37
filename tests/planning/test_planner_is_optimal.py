"""Where there is room for all, the planner finds what trying everything finds, and the check has nothing to say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import exhaustive
import polars as pl
import pytest
import random_feeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.flows.planning import Plan, plan
from rookery.planning import batch
from rookery.planning.check import check_plan, grouping
from rookery.terms.frames import Orders

_many = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
_some = settings(_many, max_examples=12)


def _cases(outcomes: tuple[int, ...] = (1, 2, 3, 4, 8)) -> st.SearchStrategy[random_feeds.Case]:
    """Random cases in which nothing is ever full."""
    return random_feeds.cases(outcomes).map(random_feeds.roomy)


def _minutes(at: datetime) -> float:
    return at.timestamp() / 60


def _planned(case: random_feeds.Case) -> tuple[Plan, list[exhaustive.Order]]:
    """The planner's plan, and the orders as the exhaustive reference sees them."""
    begin = exhaustive.minute(case.start)
    network = exhaustive.Network(case.feed, begin, begin + case.horizon_days * 1440, case.outcomes)
    found = plan(
        case.feed, Orders(case.orders), start=case.start, horizon_days=case.horizon_days, outcomes=case.outcomes
    )
    assert sorted(found.parcels["order_id"]) == sorted(case.orders["order_id"])
    return found, [exhaustive.Order(network, row) for row in case.orders.to_dicts()]


def _agrees(case: random_feeds.Case) -> None:
    """Holds every parcel of the planner's plan against the exhaustive reference's, and the plan against the check."""
    found, orders = _planned(case)
    parcels = {row["order_id"]: row for row in found.parcels.iter_rows(named=True)}
    for order in orders:
        parcel, best, pieces = parcels[order.row["order_id"]], order.best(), order.row["pieces"]
        if best is None:
            assert parcel["status"] == "unassigned"
            assert parcel["cost"] == pytest.approx(order.unassigned_cost * pieces, rel=1e-6)
            assert set(parcel["reasons"]) == order.reasons()
            continue
        assert parcel["status"] == "planned"
        assert parcel["cost"] == pytest.approx(float(best.cost) * pieces, rel=1e-6, abs=1e-6)
        if best.margin < 1e-6 * max(1.0, float(best.cost)):  # no tie, but too near to one to tell in 8 bytes
            continue
        assert _minutes(parcel["expected_at"]) == pytest.approx(float(best.expected), abs=0.51)
        if best.tied:  # another policy is as cheap and as early: which one is taken is not told
            continue
        assert parcel["on_time_probability"] == pytest.approx(float(order.on_time(best)), abs=1e-6)
        assert parcel["promised_at"] == exhaustive.instant(order.promised(best))
    report = check_plan(case.feed, case.orders, found.parcels, found.legs, found.loads, found.manifest, found.summary)
    assert report.violations == []
    assert report.checked["costs_rederived"] >= found.parcels.filter(pl.col("status") == "planned").height


def _agrees_in_groups(case: random_feeds.Case, *, few_weights: int) -> None:
    """Holds a plan in 4-byte tables to its own word: status exact, cost within its error, bound below the optimum."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(batch, "EXACT_WORK", 0)
        patched.setattr(batch, "FEW_WEIGHTS", few_weights)
        patched.setattr(grouping, "EXACT_WORK", 0)
        found, orders = _planned(case)
        report = check_plan(
            case.feed, case.orders, found.parcels, found.legs, found.loads, found.manifest, found.summary
        )
    assert found.summary["grouped_weights"]
    error, optimum = found.summary["grouping_error_max_per_parcel"], 0.0
    parcels = {row["order_id"]: row for row in found.parcels.iter_rows(named=True)}
    for order in orders:
        parcel, best, pieces = parcels[order.row["order_id"]], order.best(), order.row["pieces"]
        cost = order.unassigned_cost if best is None else float(best.cost)
        optimum += cost * pieces
        assert parcel["status"] == ("unassigned" if best is None else "planned")
        near = 1e-4 * abs(cost) + 1e-6
        assert cost - near <= parcel["cost"] / pieces <= cost + error + near
    assert found.summary["lower_bound"] <= optimum * (1 + 1e-12)
    assert report.violations == []


@given(case=_cases(outcomes=(1,)))
@_many
def test_deterministic_plans_are_cheapest(case: random_feeds.Case) -> None:
    """With known transit times every parcel costs what the exhaustive reference says, ties to the earlier delivery."""
    _agrees(case)


@given(case=_cases(outcomes=(2, 3, 4, 8)))
@_many
def test_stochastic_plans_are_cheapest(case: random_feeds.Case) -> None:
    """With K outcomes every parcel's expected cost, chance and delivery are the exhaustive reference's policy's."""
    _agrees(case)


@pytest.mark.parametrize("change", [random_feeds.timeless, random_feeds.dear, random_feeds.even])
@given(case=_cases())
@_some
def test_odd_prices_are_planned_exactly(change, case: random_feeds.Case) -> None:
    """Where time is free, where one ride costs millions and where all costs tie, plans are the reference's too."""
    _agrees(change(case))


@pytest.mark.parametrize("change", [random_feeds.timeless, random_feeds.dear, random_feeds.even])
@given(case=_cases())
@_some
def test_small_tables_keep_their_word(change, case: random_feeds.Case) -> None:
    """Planned in 4 bytes, weights apart: as deliverable, as cheap but for the admitted error, the bound a bound."""
    _agrees_in_groups(change(case), few_weights=8)


@given(case=_cases(outcomes=(1, 2, 4)).map(random_feeds.weighty))
@_some
def test_grouped_weights_keep_their_word(case: random_feeds.Case) -> None:
    """Planned in 4 bytes, nine weights sharing their columns: the same holds."""
    _agrees_in_groups(case, few_weights=0)


@pytest.mark.parametrize("outcomes", [1, 8])
@pytest.mark.parametrize("work", [0, batch.EXACT_WORK])
def test_the_same_price_on_later_days_waits_for_none(make_feed, make_orders, monkeypatch, work, outcomes) -> None:
    """Where a lane costs the same every day and time nothing, the first departure is taken, in small tables too."""
    monkeypatch.setattr(batch, "EXACT_WORK", work)
    feed = make_feed(
        nodes=[{"node_id": node, "handling_minutes": 30} for node in "ABC"],
        lanes=[{"lane_id": a + b, "from_node": a, "to_node": b} for a, b in ("AB", "BC")],
        departures=[
            {"departure_id": lane, "lane_id": lane, "depart_minute": 600 + i * 300, "cost_per_parcel": 4.37,
             "cost_per_kg": 0.13, "transit_minutes": 100, "transit_id": "spread"}
            for i, lane in enumerate(("AB", "BC"))
        ],
        transit=[{"transit_id": "spread", "quantile": q, "factor": f} for q, f in ((0.0, 0.9), (0.5, 1.0), (1.0, 1.5))],
    )  # fmt: skip
    ready = datetime(2026, 3, 2, 3, tzinfo=UTC)
    orders = make_orders(
        *(
            {"order_id": f"{weight}", "from_node": "A", "to_node": "C", "weight_g": float(weight),
             "ready_at": exhaustive.minute(ready)}
            for weight in range(300, 3300, 100)
        )
    )  # fmt: skip
    found = plan(feed, orders, start=ready - timedelta(hours=3), outcomes=outcomes)
    assert found.summary["grouped_weights"] == (work == 0)
    assert set(found.legs["depart_at"].dt.date()) == {date(2026, 3, 2)}
    assert found.parcels["expected_at"].max() < datetime(2026, 3, 3, tzinfo=UTC)


@pytest.mark.parametrize("lightest", range(100, 1000, 180))
@pytest.mark.parametrize("first", ["by parcel", "by weight"])
def test_equal_at_one_weight_goes_to_the_earlier(make_feed, make_orders, first, lightest) -> None:
    """Two rides that cost the same at exactly one kilogram: that parcel takes the earlier, whatever others weigh."""
    prices = {"by parcel": (4.0, 0.5), "by weight": (3.0, 1.5)}
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": name, "from_node": "A", "to_node": "B"} for name in prices],
        departures=[
            {"departure_id": name, "lane_id": name, "depart_minute": 600 if name == first else 660,
             "cost_per_parcel": fixed, "cost_per_kg": per_kg}
            for name, (fixed, per_kg) in prices.items()
        ],
    )  # fmt: skip
    weights = [lightest, lightest + 5, 1000, 1210, 1500, 1700, 2000, 3000, 5000]
    row = {"from_node": "A", "to_node": "B", "ready_at": exhaustive.minute(datetime(2026, 3, 2, tzinfo=UTC))}
    orders = make_orders(*({"order_id": f"{w}", "weight_g": float(w), **row} for w in weights))
    legs = {row["order_id"]: row["departure_id"] for row in plan(feed, orders).legs.iter_rows(named=True)}
    assert legs["1000"] == first
    assert (legs[f"{lightest}"], legs["5000"]) == ("by weight", "by parcel")
