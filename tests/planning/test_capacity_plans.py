"""Plans within capacities, held against the check, the exact linear program and themselves."""

from __future__ import annotations

import threading
from dataclasses import replace
from random import Random

import pytest

pytest.importorskip("highspy")

import capacity_cases
import capacity_lp
import exhaustive
import numpy as np
import polars as pl
import random_feeds
from capacity_cases import ONE_ROUND, is_sound
from hypothesis import HealthCheck, given, settings
from polars.testing import assert_frame_equal

from rookery.flows.planning import Plan, model_of, plan
from rookery.network import place
from rookery.planning import ops
from rookery.planning.capacity import demand, solve
from rookery.planning.capacity.resources import Prices
from rookery.planning.check import grouping
from rookery.terms.frames import Orders

_some = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def _tight(seed: int, outcomes: int) -> random_feeds.Case:
    """A network with too little room. Planning one takes too long to look for a smaller one when it fails."""
    random = Random(seed)
    return random_feeds.tight(random_feeds.build(random, (outcomes,)), random)


def _planned(case: random_feeds.Case, **options) -> Plan:
    given = {"start": case.start, "horizon_days": case.horizon_days, "outcomes": case.outcomes, "threads": 1}
    return plan(case.feed, Orders(case.orders), **{**given, "gap": 0.01, "seconds": 0.1, **options})


def _within(case: random_feeds.Case, made: Plan) -> None:
    """Bound, optimum and cost come in this order, and the plan keeps what every plan must keep."""
    is_sound(case.feed, case.orders, made, case.outcomes)
    if (
        made.manifest["prices"] == "capacity"
    ):  # without, refusing is no choice: cost and bound may lie above the program
        begin = exhaustive.minute(case.start)
        optimum = capacity_lp.lp_optimum(case.feed, case.orders, begin, begin + case.horizon_days * 1440, case.outcomes)
        slack = 1e-6 + 1e-9 * abs(optimum)
        assert made.summary["lower_bound"] <= optimum + slack
        assert made.summary["cost"] >= optimum - slack


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("outcomes", [1, 2, 4])
def test_no_plan_is_better_than_the_linear_program_nor_its_bound_above(outcomes: int, seed: int) -> None:
    """On tight networks: lower_bound <= optimum of the linear program <= cost, nothing overloaded, the gap as told."""
    case = _tight(seed, outcomes)
    _within(case, _planned(case))


@pytest.mark.parametrize(("seed", "outcomes"), [(1, 1), (6, 1), (14, 1), (20, 1), (5, 4), (9, 4), (18, 4), (21, 4)])
def test_grouped_weights_keep_bounds_and_capacities(seed: int, outcomes: int) -> None:
    """Planned in 4 bytes with few weights a class, the bound is still one and no capacity is broken."""
    case = _tight(seed, outcomes)
    weights = [case.orders.with_columns(weight_g=pl.col("weight_g") + 37.5 * i) for i in range(4)]
    names = [frame.with_columns(order_id=pl.format("{}+{}", "order_id", pl.lit(i))) for i, frame in enumerate(weights)]
    case = replace(case, orders=pl.concat(names))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(solve, "EXACT_CELLS", 0)
        patched.setattr(solve, "COARSE", 2)
        patched.setattr(solve, "FINE", 3)
        patched.setattr(grouping, "EXACT_WORK", 0)
        made = _planned(case)
        priced = made.manifest["prices"] == "capacity"
        assert made.summary["grouped_weights"] == priced
        assert (made.summary["grouping_error_max_per_parcel"] is None) == priced
        _within(case, made)


@pytest.mark.parametrize("seed", [5, 17, 19, 20])
def test_densities_that_share_columns_only_lower_the_bound(seed: int) -> None:
    """Where parcels of different density share their columns, what is proved is less, never too much."""
    case = _tight(seed, 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(demand, "MOST_DENSITIES", 1)
        made = _planned(case, seconds=ONE_ROUND)
    apart = _planned(case, seconds=ONE_ROUND)
    assert made.summary["lower_bound"] != apart.summary["lower_bound"]
    _within(case, made)


def _ample(case: random_feeds.Case, made: Plan) -> random_feeds.Case:
    """The case with exactly as much room on every departure and in every node as a plan of it takes."""
    most = made.loads.group_by("departure_id").agg(capacity_parcels=pl.max("parcels"), capacity_g=pl.max("grams") + 0.5)
    room = case.feed.departures.select("departure_id").join(most, on="departure_id", how="left", maintain_order="left")
    departures = case.feed.departures.with_columns(
        room["capacity_parcels"].fill_null(0.5), room["capacity_g"].fill_null(1.0)
    )
    whole = case.feed.closures.with_columns(
        capacity_factor=pl.when(pl.col("capacity_factor") > 0).then(1.0).otherwise(0.0)
    )
    nodes = case.feed.nodes.with_columns(capacity_per_hour=pl.lit(1e3))
    return replace(case, feed=replace(case.feed, departures=departures, closures=whole, nodes=nodes))


@given(case=random_feeds.tight_cases())
@_some
def test_room_enough_changes_nothing(case: random_feeds.Case) -> None:
    """With just the room that the cheapest plan takes, the plan is that one: no prices, no iterations, the same gap."""
    free = _planned(random_feeds.roomy(case))
    assert free.manifest["prices"] == "none"
    case = _ample(case, free)
    made = _planned(case)
    is_sound(case.feed, case.orders, made, case.outcomes)
    _is_the_same(made, free)


@given(case=random_feeds.tight_cases())
@_some
def test_many_parcels_are_not_planned_twice_to_see_that_nothing_is_full(case: random_feeds.Case) -> None:
    """Where the cheapest plan is not made first, it is made when it fits; ways of equal cost may look full before."""
    free = _planned(random_feeds.roomy(case))
    case = _ample(case, free)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ops, "FREE_FIRST", 0)
        made = _planned(case)
    is_sound(case.feed, case.orders, made, case.outcomes)
    if made.manifest["prices"] == "none":
        _is_the_same(made, free)
    assert made.summary["lower_bound"] <= free.summary["cost"] * (1 + 1e-9)


def _is_the_same(made: Plan, free: Plan) -> None:
    """Both say the same but for the capacities that one of them has."""
    assert made.manifest["prices"] == "none"
    assert_frame_equal(made.parcels, free.parcels)
    assert_frame_equal(made.legs, free.legs)
    limits = ["capacity_parcels", "capacity_g"]
    assert_frame_equal(made.loads.drop(limits), free.loads.drop(limits))
    for figure in ("cost", "lower_bound", "gap", "free_flow_bound", "congestion_gap", "unassigned"):
        assert made.summary[figure] == free.summary[figure]


@pytest.fixture(scope="module", params=[1, 4])
def busy(request, make_feed, make_orders):
    """A hub with too little room on a day of a hundred orders; the number of outcomes to plan them with."""
    return *capacity_cases.busy(make_feed, make_orders, spread=request.param > 1), request.param


def _days(made: Plan) -> dict:
    """The plan as figures that do not depend on how long it took."""
    return {name: value for name, value in made.summary.items() if "second" not in name}


def test_threads_do_not_show(busy) -> None:
    """The plan is the same to the last bit whether one, two or three threads made it."""
    feed, orders, outcomes = busy
    one, *others = (
        capacity_cases.planned(feed, orders, horizon_days=3, outcomes=outcomes, seconds=ONE_ROUND, threads=threads)
        for threads in (1, 2, 3)
    )
    assert one.manifest["prices"] == "capacity"
    is_sound(feed, orders, one, outcomes)
    for other in others:
        assert _days(other) == _days(one)
        for table in ("parcels", "legs", "loads", "hours"):
            assert_frame_equal(getattr(other, table), getattr(one, table), check_exact=True)


def test_earlier_prices_are_a_good_start(busy) -> None:
    """From the prices of an earlier plan the bound is at once what it was, in no more iterations."""
    feed, orders, outcomes = busy
    first = capacity_cases.planned(feed, orders, horizon_days=3, outcomes=outcomes, seconds=0.5)
    again = capacity_cases.planned(feed, orders, horizon_days=3, outcomes=outcomes, seconds=ONE_ROUND, prices=first)
    is_sound(feed, orders, again, outcomes)
    assert again.summary["lower_bound"] >= 0.999 * first.summary["lower_bound"]
    assert again.summary["iterations"] <= first.summary["iterations"]


def test_prices_of_another_day_prove_nothing_false(busy) -> None:
    """Prices of departures that no longer run are dropped, and the plan of the next day is sound."""
    feed, orders, outcomes = busy
    first = capacity_cases.planned(feed, orders, horizon_days=3, outcomes=outcomes, seconds=ONE_ROUND)
    fewer = replace(
        feed,
        departures=feed.departures.filter(pl.int_range(pl.len()) % 7 > 0),
        nodes=feed.nodes.with_columns(capacity_per_hour=pl.lit(None, pl.Float64)),
    )
    later = orders.with_columns(pl.col("ready_at") + 1440)
    made = capacity_cases.planned(fewer, later, horizon_days=3, outcomes=outcomes, seconds=ONE_ROUND, prices=first)
    is_sound(fewer, later, made, outcomes)


class _Interrupts:
    """Interrupts once, at the n-th report of a stage."""

    def __init__(self, stage: str, report: int):
        self.stage, self.left = stage, report

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage == self.stage:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("stage", "report"), [("prices", 1), ("prices", 45), ("seats", 1), ("seats", 13), ("seats", 33), ("improve", 2)]
)
@pytest.mark.parametrize("outcomes", [1, 4])
def test_stopped_from_the_keyboard_it_gives_what_it_has(make_feed, make_orders, outcomes, stage, report) -> None:
    """Interrupted anywhere while it improves, it gives a whole plan within all capacities that says so."""
    feed, orders = capacity_cases.busy(make_feed, make_orders, spread=outcomes > 1)
    stop = _Interrupts(stage, report)
    try:
        made = capacity_cases.planned(
            feed, orders, horizon_days=3, outcomes=outcomes, gap=0.0, seconds=30.0, threads=2, progress=stop
        )
    except KeyboardInterrupt:  # which would end the tests
        pytest.fail("the interrupt came through")
    assert stop.left <= 0  # it went on after that
    assert made.summary["interrupted"] is True
    assert made.manifest["prices"] == "capacity"
    assert made.summary["planned"] > 0
    is_sound(feed, orders, made, outcomes)


def test_a_sweep_that_is_broken_off_leaves_nothing_behind(make_feed, make_orders) -> None:
    """After a sweep was stopped while one thread waited for another, the next finds the loads it always finds."""
    feed, orders = capacity_cases.busy(make_feed, make_orders)
    placed, _ = place(feed, orders)
    model = model_of(feed, capacity_cases.BEGIN, 3, 1)
    problem = solve.Problem(model.timetable, model.resources, model.miles, placed, threads=2)
    none, waits = Prices.none(model.resources), threading.Event()

    def look(number: int, _) -> None:
        if number == 1:
            waits.set()

    def then(*_) -> None:
        assert waits.wait(300)
        raise KeyboardInterrupt

    first = problem.sweeper.sweep(problem.coarse, none)
    with pytest.raises(KeyboardInterrupt):
        problem.sweeper.sweep(problem.coarse, none, look=look, then=then)
    again = problem.sweeper.sweep(problem.coarse, none)
    assert again.cost == first.cost
    np.testing.assert_array_equal(again.loads, first.loads)


def test_a_sweep_tells_the_fault_that_ended_it(make_feed, make_orders) -> None:
    """A fault of one thread is what is raised, also where a thread before it gave up waiting because of it."""
    feed, orders = capacity_cases.busy(make_feed, make_orders)
    placed, _ = place(feed, orders)
    model = model_of(feed, capacity_cases.BEGIN, 3, 1)
    problem = solve.Problem(model.timetable, model.resources, model.miles, placed, threads=2)
    memory = problem.sweeper.memory

    def look(number: int, _) -> None:
        if number == 1:
            raise MemoryError
        if number == 0:
            memory.put(memory.get(timeout=300))  # there is some when the other thread has failed

    with pytest.raises(MemoryError):
        problem.sweeper.sweep(problem.coarse, Prices.none(model.resources), look=look)


def test_what_is_never_interrupted_says_so(make_feed, make_orders) -> None:
    """A plan that was let finish is not marked as interrupted."""
    feed = capacity_cases.lane(make_feed, [{"capacity_parcels": 1.0}, {"depart_minute": 900}])
    made = capacity_cases.planned(feed, capacity_cases.parcels(make_orders, 3))
    assert made.manifest["prices"] == "capacity"
    assert made.summary["interrupted"] is False


@pytest.mark.parametrize("seed", [5, 9, 285])
def test_expected_loads_stay_within_capacities(seed: int) -> None:
    """With several outcomes no departure and no hour is expected to take more than it can."""
    made = _planned(_tight(seed, 4), seconds=ONE_ROUND)
    assert made.manifest["prices"] == "capacity"
    limits = (
        ("loads", "parcels", "capacity_parcels"),
        ("loads", "grams", "capacity_g"),
        ("hours", "parcels", "capacity_parcels"),
    )
    for table, load, limit in limits:
        frame = getattr(made, table)
        assert (frame[load] <= frame[limit].fill_null(float("inf")) * (1 + 1e-6)).all()
