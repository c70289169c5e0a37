"""Ways of finding shadow prices at the smallest size: what each gives is a bound, and none gives up."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

if not all(find_spec(package) for package in ("scipy", "highspy", "ortools")):
    pytest.skip("a peer is not installed", allow_module_level=True)

from benchmarks.capacity import SMALLEST, methods, pricing
from benchmarks.capacity.case import Case
from benchmarks.capacity.fresh import capacities
from benchmarks.capacity.once import judged, laid_out
from rookery.planning.capacity.solve import Effort
from rookery.planning.ops import plan_batch


@pytest.fixture(scope="module")
def day() -> pricing.Day:
    """The smallest peak day, swept once at no price."""
    return methods.day_of(SMALLEST)


@pytest.fixture(scope="module")
def found(day: pricing.Day) -> dict[str, methods.Way]:
    """How far every method came."""
    return {name: methods.way(day, made(day), means=True) for name, made in pricing.METHODS.items()}


def test_bounds_rise_and_stay_below_what_a_plan_costs(day: pricing.Day, found: dict[str, methods.Way]) -> None:
    """The best bound so far never falls, is better than that of no prices, and no plan costs less."""
    case = Case(SMALLEST.day, "plain", 1, 0.0, 1.0, 1)
    model, parcels = laid_out(case, capacities(case))
    cost, *_ = judged(parcels, plan_batch(model, parcels, effort=Effort(0.0, 1.0), threads=1))
    for one in found.values():
        bounds = [day.free_bound, *one.bounds]
        assert bounds == sorted(bounds) and bounds[-1] > bounds[0]
        assert max(one.bounds + one.of_mean) <= cost


def test_leaving_slack_prices_out_changes_the_bound_hardly(day: pricing.Day, found: dict[str, methods.Way]) -> None:
    """Nothing is lost by it but what the memory of a price that slept is worth."""
    rise = [found[name].bounds[-1] - day.free_bound for name in ("ours", "ours, slack prices frozen")]
    assert rise[1] == pytest.approx(rise[0], rel=0.01)


def test_shares_of_cuts_are_the_least_on_the_simplex() -> None:
    """No cut alone is better than the shares found: the condition of optimality on a simplex."""
    random = np.random.default_rng(1)
    for count in (1, 2, 9):
        cuts = random.normal(size=(count, 5))
        square, linear = cuts @ cuts.T, random.normal(size=count)
        shares = pricing.shares_of(square, linear)
        slope = linear + square @ shares
        assert shares.sum() == pytest.approx(1) and shares.min() >= 0
        assert slope @ shares <= slope.min() + 1e-5


def test_prices_stay_at_or_above_zero(day: pricing.Day) -> None:
    """A negative price would make the bound wrong."""
    for made in pricing.METHODS.values():
        method, prices, bound, loads = made(day), np.zeros(len(day.seats)), day.free_bound, day.free_loads
        for _ in range(12):
            prices = method.step(prices, bound, loads)
            assert prices.min() >= 0
            bound, loads = day.sweep(prices)


def test_the_part_shows_every_method_twice(found: dict[str, methods.Way]) -> None:
    """How high each came, and what its steps cost; names are different."""
    result = methods.run(SMALLEST, lambda text: None)
    names = [show.what for show in result.shows]
    assert len(names) == len(set(names)) == 2 * len(found)
    assert max(show.value for show in result.shows if show.unit == "%") == pytest.approx(100)
    assert len(result.tables[0].rows) == len(found) + len(methods.SIMPLE)
