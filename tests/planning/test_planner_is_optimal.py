"""The planner finds what trying everything finds, and the check finds nothing to say about it."""

from __future__ import annotations

from datetime import datetime

import exhaustive
import polars as pl
import pytest
import random_feeds
from hypothesis import HealthCheck, given, settings

from rookery.flows.planning import plan
from rookery.planning.check import check_plan
from rookery.terms.frames import Orders


def _minutes(at: datetime) -> float:
    return at.timestamp() / 60


def _agrees(case: random_feeds.Case) -> None:
    """Holds every parcel of the planner's plan against the exhaustive reference's, and the plan against the check."""
    begin = exhaustive.minute(case.start)
    network = exhaustive.Network(case.feed, begin, begin + case.horizon_days * 1440, case.outcomes)
    found = plan(
        case.feed, Orders(case.orders), start=case.start, horizon_days=case.horizon_days, outcomes=case.outcomes
    )
    parcels = {row["order_id"]: row for row in found.parcels.iter_rows(named=True)}
    for order in (exhaustive.Order(network, row) for row in case.orders.to_dicts()):
        parcel, best, pieces = parcels.pop(order.row["order_id"]), order.best(), order.row["pieces"]
        if best is None:
            assert parcel["status"] == "unassigned"
            assert parcel["cost"] == pytest.approx(order.unassigned_cost * pieces, rel=1e-6)
            assert set(parcel["reasons"]) == order.reasons()
            continue
        assert parcel["status"] == "planned"
        assert parcel["cost"] == pytest.approx(float(best.cost) * pieces, rel=1e-6, abs=1e-6)
        if best.tied or best.margin < 1e-6:  # other policies are as good: which one is taken is not told
            continue
        assert parcel["on_time_probability"] == pytest.approx(float(order.on_time(best)), abs=1e-6)
        assert _minutes(parcel["expected_at"]) == pytest.approx(float(best.expected), abs=0.51)
        assert parcel["promised_at"] == exhaustive.instant(order.promised(best))
    assert not parcels
    report = check_plan(case.feed, case.orders, found.parcels, found.legs, found.loads, found.manifest, found.summary)
    assert report.violations == []
    assert report.checked["costs_rederived"] >= found.parcels.filter(pl.col("status") == "planned").height


@given(case=random_feeds.cases(outcomes=(1,)))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_deterministic_plans_are_cheapest(case: random_feeds.Case) -> None:
    """With known transit times every parcel costs what the exhaustive reference says, ties to the earlier delivery."""
    _agrees(case)


@given(case=random_feeds.cases(outcomes=(2, 3, 4, 8)))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_stochastic_plans_are_cheapest(case: random_feeds.Case) -> None:
    """With K outcomes every parcel's expected cost, chance and delivery are the exhaustive reference's policy's."""
    _agrees(case)
