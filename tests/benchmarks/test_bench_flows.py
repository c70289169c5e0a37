"""Who plans under capacity beside the planner, at tiny sizes: all keep the capacities, and none beats the bound."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if not all(find_spec(package) for package in ("scipy", "highspy", "ortools")):  # no process can import all of them
    pytest.skip("a peer is not installed", allow_module_level=True)

from benchmarks import peak_day
from benchmarks.capacity import free_flow
from benchmarks.capacity.problem import PeakDay, problem_of
from benchmarks.capacity.yardstick import yardstick
from benchmarks.peers.flows import FLOWS, answer, largest
from benchmarks.peers.problem import Answer, Problem
from benchmarks.peers.ways import ways_to
from rookery.flows.planning import plan
from rookery.terms.frames import Orders
from rookery.terms.time import from_minute

TINY = PeakDay(nodes=12, hubs=3, days=3, per_day=300, parcels=6000)
LP, FLOW, GREEDY = FLOWS
LIMIT = 60


@pytest.fixture(scope="module")
def problem() -> Problem:
    return problem_of(TINY)


@pytest.fixture(scope="module")
def answers(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """What each peer found for the tiny peak day; `answer` itself refuses overloaded departures."""
    folder = tmp_path_factory.mktemp("peers")
    found = {name: answer(name, problem, folder, LIMIT) for name in FLOWS}
    return {name: one for name, one in found.items() if one is not None}


def test_no_plan_of_whole_parcels_beats_the_linear_program(answers: dict[str, Answer]) -> None:
    """It is the optimum with parts of parcels: the flows and the queue cost at least as much, and a little more."""
    assert set(answers) == set(FLOWS)
    bound = answers[LP].cost
    for name in (FLOW, GREEDY):
        assert bound - 1e-6 * bound <= answers[name].cost <= 1.05 * bound
        np.testing.assert_array_equal(answers[name].loads, np.round(answers[name].loads))


def test_some_departures_are_full(problem: Problem, answers: dict[str, Answer]) -> None:
    """Otherwise nothing would be compared: in each plan some departure carries all that it holds."""
    for found in answers.values():
        assert (found.loads > problem.capacity - 1e-6).any()


def test_with_room_for_all_everyone_finds_the_cheapest_ways(problem: Problem, tmp_path: Path) -> None:
    """Without limits the linear program, the flows and the queue agree with the tables, cost and loads."""
    roomy = replace(problem, capacity=np.full(len(problem.capacity), 10.0 * TINY.parcels))
    rows = roomy.rows
    value, ride = np.empty(len(rows.frm) + 1), np.empty(len(rows.frm) + 1, np.bool_)
    begin, cost = roomy.begin(rows), -roomy.waited
    for node in range(TINY.nodes):
        ways_to(rows, node, roomy.cost_per_minute, value, ride)
        mine = roomy.destination == node
        each = np.where(np.isfinite(value), value, np.inf)[begin[mine]]
        each = np.minimum(each, roomy.refusal + roomy.cost_per_minute * roomy.ready[mine])
        cost += float(each @ roomy.count[mine])
    for name in FLOWS:
        found = answer(name, roomy, tmp_path, LIMIT)
        assert found is not None
        assert found.cost == pytest.approx(cost, rel=1e-5)  # OR-Tools counts in ten-thousandths


def _lines(refusal: float) -> Problem:
    """Two lines with a departure at 10 (cost 1, one seat) and one at 20 (cost 5: five seats on the first, one on the
    second line); on each three parcels, ready at 1, 0 and 2."""
    return Problem(
        frm=np.array([0, 2, 0, 2]), to=np.array([1, 3, 1, 3]), depart=np.array([10, 10, 20, 20]),
        arrive=np.array([15, 15, 25, 25]), cost=np.array([1.0, 1.0, 5.0, 5.0]), capacity=np.array([1.0, 1.0, 5.0, 1.0]),
        origin=np.repeat([0, 2], 3), destination=np.repeat([1, 3], 3), ready=np.tile([1, 0, 2], 2),
        count=np.ones(6, int), cost_per_minute=0.01, refusal=refusal,
    )  # fmt: skip


@pytest.mark.parametrize("name", FLOWS)
def test_seats_are_shared_out_and_refusals_paid(name: str, tmp_path: Path) -> None:
    """One cheap seat for three: two take the dear departure, or one of them is refused where that has one seat."""
    found = answer(name, _lines(60.0), tmp_path, LIMIT)
    assert found is not None
    assert found.loads.tolist() == pytest.approx([1, 1, 2, 1], abs=1e-6)
    assert found.refused == pytest.approx(1, abs=1e-6)
    first, second = 1 + 5 + 5 + 0.01 * (15 + 25 + 25 - 3), 1 + 5 + 60 + 0.01 * (15 + 25 - 2)
    assert found.cost == pytest.approx(first + second, abs=0.021)  # which of the three is refused is not told


def test_the_queue_serves_who_was_ready_first(tmp_path: Path) -> None:
    """Of three for one seat the one that was ready first has it, wherever it stands in the file."""
    found = answer(GREEDY, _lines(2.0), tmp_path, LIMIT)
    assert found is not None and found.refused == 4
    assert found.cost == pytest.approx(2 * (1 + 2 + 2 + 0.15), abs=1e-9)


def test_who_takes_too_long_is_left_behind(problem: Problem, tmp_path: Path) -> None:
    """No answer within the limit is told as none; of ascending sizes the last one finished counts."""
    assert answer(GREEDY, problem, tmp_path, 0.01) is None
    assert largest(GREEDY, [TINY], problem_of, tmp_path, 0.01) is None
    sizes = [replace(TINY, parcels=count) for count in (100, 200)]
    best = largest(GREEDY, sizes, problem_of, tmp_path, LIMIT)
    assert best is not None and best[0] == sizes[-1] and best[1].parcels == 200


def test_an_overloaded_departure_is_seen() -> None:
    """What was booked beyond a capacity is told as a share of it."""
    assert Answer(0.0, np.array([0.0, 1.5, 0.0, 0.0]), 0).over(_lines(60.0)) == pytest.approx(0.5)
    assert Answer(0.0, np.array([1.0, 1.0, 5.0, 1.0]), 0).over(_lines(60.0)) == 0


def test_the_yardstick_does_the_planners_work(problem: Problem, tmp_path: Path) -> None:
    """All ways of asking scipy find the costs of the plain tables at every departure."""
    measured = yardstick(problem, [0, 7], tmp_path, rounds=1)
    assert all(0 < seconds < LIMIT for seconds in (measured.one_call, measured.batched, measured.events))
    rows = problem.rows
    value, ride = np.empty(len(rows.frm) + 1), np.empty(len(rows.frm) + 1, np.bool_)
    for costs, node in zip(measured.costs, (0, 7)):
        ways_to(rows, node, problem.cost_per_minute, value, ride)
        np.testing.assert_allclose(costs, value[:-1], rtol=1e-12)


def test_free_flow_is_the_plan_without_capacities() -> None:
    """The loads from which capacities follow are the planner's own, departure for departure, parcels and grams."""
    net, count = TINY.network, 600
    parcels, grams = free_flow.loads(net, count)
    rows = peak_day.order_rows(peak_day.orders(count, TINY.nodes, "plain"))
    _, weight, _ = peak_day.kinds(count)
    start = from_minute(peak_day.START)
    found = plan(peak_day.feed(net, "plain"), Orders(rows), start=start, horizon_days=TINY.days, outcomes=1)
    got = {(row["departure_id"], row["depart_at"]): row["parcels"] for row in found.loads.iter_rows(named=True)}
    depart = peak_day.dated(net)[2]
    repeating = peak_day.every_day(net, np.arange(len(net.frm)))
    want = {
        (f"{repeating[row]:06d}", start + timedelta(minutes=int(depart[row]))): parcels[row]
        for row in np.flatnonzero(parcels)
    }
    assert {at: load for at, load in got.items() if load} == want
    carried = grams.sum() / parcels.sum()
    assert 0.5 * weight.mean() < carried < 2 * weight.mean()


def test_capacities_follow_the_mean_of_a_lane() -> None:
    """Half as much again as a lane's departures carry over two days, rounded up, and never less than forty parcels."""
    net = TINY.network
    loads = np.arange(len(net.frm) * net.days, dtype=float)
    depart = peak_day.dated(net)[2]
    capacity, grams = peak_day.capacity_parcels(net, loads), peak_day.capacity_g(net, 1000 * loads)
    frm, to = peak_day.dated(net)[:2]
    for place in range(0, len(net.frm), 17):
        lane = (frm == net.frm[place]) & (to == net.to[place]) & (depart < 2880)
        assert capacity[place] == max(40, np.ceil(1.5 * loads[lane].mean()))
        assert grams[place] == pytest.approx(max(20_000, 1500 * loads[lane].mean()))


@pytest.mark.parametrize("form", ["plain", "real"])
def test_both_forms_are_feeds_with_capacities(form: peak_day.Form) -> None:
    """Prices add up to the same for a kilogram; only the real form has weights, due days and barred lanes."""
    net = TINY.network
    room = free_flow.capacities(net, 500)
    feed = peak_day.feed(net, form, **room)
    assert feed.departures["capacity_parcels"].to_list() == room["capacity_parcels"].tolist()
    assert feed.departures["capacity_g"].to_list() == room["capacity_g"].tolist()
    whole = feed.departures["cost_per_parcel"] + feed.departures["cost_per_kg"]
    np.testing.assert_allclose(whole.to_numpy(), net.cost.astype(float))
    orders = peak_day.orders(500, TINY.nodes, form)
    assert set(orders["service_id"]) == set(feed.services["service_id"])
    plain = form == "plain"
    assert (feed.services["due_days"].null_count() == 1) == plain
    assert (feed.departures["cost_per_kg"] == 0).all() == plain
    assert (orders["weight_g"].n_unique() == 1) == plain
    assert (feed.lanes["accepts"].list.len().min() == 2) == plain
