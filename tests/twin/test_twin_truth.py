"""The twin in a world without surprises does what was planned, to the minute and the cent."""

from __future__ import annotations

import numpy as np
import pytest
import random_feeds
import twin_cases
from hypothesis import HealthCheck, Phase, given, settings
from msgspec.structs import replace

from rookery.flows.rehearsals.rehearsing import rehearse
from rookery.terms.time import NEVER
from rookery.twin.model import ROUGH
from rookery.twin.outcome import DELIVERED, UNSENT

# planning a case takes too long to look for a smaller one when it fails
_some = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
_fewer = settings(_some, max_examples=12)


def _is_the_plan(setting, policy: str) -> None:
    plan = setting.plan.parcels
    outcome = rehearse(setting, policy).outcomes[0]
    planned = (plan["status"] == "planned").to_numpy()
    assert ((outcome.fate == DELIVERED) == planned).all()
    assert (outcome.fate[~planned] == UNSENT).all()
    expected = plan["expected_at"].dt.epoch("us").to_numpy()[planned] // 60_000_000
    np.testing.assert_array_equal(outcome.delivered_at[planned], expected)
    np.testing.assert_allclose(outcome.cost, plan["cost"].to_numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(outcome.on_time, plan["on_time_probability"].to_numpy() > 0.5)
    np.testing.assert_array_equal(outcome.legs[planned], plan["legs"].to_numpy()[planned])
    assert (outcome.missed == 0).all()


@given(case=random_feeds.cases(outcomes=(1,)))
@_some
def test_without_chance_the_plan_comes_true(case) -> None:
    """With transit times at their medians and room for all, every policy that has a plan gives exactly that plan."""
    setting = twin_cases.setting(twin_cases.certain(random_feeds.roomy(case)))
    for policy in ("follow", "itinerary"):
        _is_the_plan(setting, policy)


@given(case=random_feeds.cases(outcomes=(1,)))
@_some
def test_of_ways_that_cost_the_same_the_earlier_delivery_is_ridden(case) -> None:
    """Where all rides cost the same and time nothing, the policy tables break ties as the plan does."""
    setting = twin_cases.setting(twin_cases.certain(random_feeds.even(random_feeds.roomy(case))))
    _is_the_plan(setting, "follow")


@given(case=random_feeds.tight_cases(outcomes=(1,)))
@_some
def test_without_chance_every_seat_is_taken_as_planned(case) -> None:
    """The same where departures and nodes are full: whoever has a seat rides it."""
    setting = twin_cases.setting(twin_cases.certain(case))
    for policy in ("follow", "itinerary"):
        _is_the_plan(setting, policy)


NOTHING_STRAYS = replace(ROUGH, misrouted_share=0.0)
"""Rough, but nothing is loaded onto a departure that has no room for it."""


@pytest.mark.parametrize("policy", ["follow", "itinerary", "greedy", "reoptimise"])
@given(case=random_feeds.tight_cases(outcomes=(1, 4)))
@_fewer
def test_no_departure_takes_more_than_it_holds(policy, case) -> None:
    """Whatever goes wrong and however parcels choose: capacities hold, and every order has exactly one fate."""
    setting = twin_cases.setting(case)
    rehearsal = rehearse(setting, policy, trouble=NOTHING_STRAYS, seed=3, runs=1, every_hours=12)
    net = setting.net
    for load, limit in zip(rehearsal.carried.T, (net.seats, net.kilograms)):
        assert (load <= limit * (1 + 2e-6)).all()
    for outcome in rehearsal.outcomes:
        assert len(outcome.fate) == setting.parcels.height
        delivered = outcome.fate == DELIVERED
        assert (outcome.delivered_at[delivered] < NEVER).all() and (outcome.delivered_at[~delivered] == NEVER).all()
        assert (outcome.cost >= 0).all()
        assert not (outcome.on_time & ~delivered).any()
