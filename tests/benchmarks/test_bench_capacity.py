"""The benchmark of plans under capacity at its smallest: its figures, its own counting, and its picture."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if not all(find_spec(package) for package in ("scipy", "highspy", "ortools")):  # no process can import all of them
    pytest.skip("a peer is not installed", allow_module_level=True)

from benchmarks import run
from benchmarks.capacity import PARTS, SMALLEST, forms, growth
from benchmarks.capacity.case import Case
from benchmarks.capacity.counted import counted
from benchmarks.capacity.fresh import capacities, overloaded
from benchmarks.capacity.instance import laid_out
from benchmarks.capacity.once import judged
from benchmarks.capacity.problem import PeakDay
from rookery.planning.capacity.solve import Effort
from rookery.planning.ops import plan_batch

CASE = Case(PeakDay(12, 3, 3, 300, 3000), "real", 1, 0.01, 1.0, 1)


@pytest.fixture(scope="module")
def line() -> dict:
    """The figures of all parts at the smallest size."""
    return run.measure("capacity", list(PARTS), SMALLEST)


def of(line: dict, what: str) -> dict:
    """The one figure of this name."""
    [entry] = [entry for entry in line["shows"] if entry["what"] == what]
    return entry


def test_the_line_has_the_form_that_readers_of_benchmarks_expect(line: dict) -> None:
    """One JSON object: the benchmark's name, its figures with value, unit, target and verdict, and versions."""
    line = json.loads(json.dumps(line, allow_nan=False))
    assert line["bench"] == "capacity"
    assert {"rookery", "scipy", "highspy", "ortools"} <= set(line["versions"])
    for entry in line["shows"]:
        assert list(entry) == ["what", "value", "unit", "target", "holds"]
    names = [entry["what"] for entry in line["shows"]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "gap", "yardsticks", "gib"),
    [
        ("plain, to 0.5%", "<= 0.5", "<= 190", "<= 8"),
        ("plain, to 0.3%", "<= 0.3", "<= 380", "<= 8"),
        ("real, to 1%", "<= 1", "<= 1400", "<= 12"),
        ("stochastic, to 0.5%", "<= 0.5", None, None),
    ],
)
def test_every_figure_asked_for_is_shown_with_its_target(line: dict, name: str, gap, yardsticks, gib) -> None:
    """Missed targets are told like kept ones, so none may be left out."""
    assert of(line, f"{name}: proved gap of the total cost")["target"] == gap
    graph = "in scipy csgraph solves of the"
    assert of(line, f"{name}: time to plan, {graph} event graph")["target"] == yardsticks
    assert of(line, f"{name}: time to plan, {graph} lean graph")["target"] is None
    assert of(line, f"{name}: peak memory")["target"] == gib
    for more in ("proved gap of what capacities add to the cost", "parcels refused for lack of room"):
        assert of(line, f"{name}: {more}")["value"] >= 0


def test_no_capacity_is_exceeded_however_it_is_counted(line: dict) -> None:
    """By the loads that were told and by the legs; legs connect, cost what was told, and leave no closed hub."""
    kept = [entry for entry in line["shows"] if entry["target"] in ("<= 0", "<= 1e-6")]
    assert len(kept) == 3 * 4 + 1 + 4
    assert all(entry["holds"] for entry in kept)


def test_the_exact_optimum_lies_between_our_bound_and_our_cost(line: dict) -> None:
    """Nobody who shares departures of the smallest day out beats the linear program, nor does it beat the bound."""
    assert of(line, "HiGHS arc LP: its optimum above our lower bound")["holds"]
    assert of(line, "HiGHS arc LP: our cost above its optimum")["holds"]


def test_a_closed_hub_is_shown_with_its_targets(line: dict) -> None:
    """New moves and a fresh certificate are told in yardsticks; somebody is affected, or nothing was measured."""
    name = "hub closed for 24 h"
    for what, most in (("new moves for all affected", "<= 5"), ("a fresh certificate", "<= 40")):
        assert of(line, f"{name}: time of {what}, in scipy csgraph solves of the event graph")["target"] == most
    assert of(line, f"{name}: parcels with new moves")["value"] > 0


def test_departures_are_full_in_the_measured_days() -> None:
    """Otherwise nothing would be measured; the real form counts grams too."""
    assert overloaded(SMALLEST.day) > 20
    assert set(capacities(forms.case_of(SMALLEST, "real", forms.REAL[0]))) == {"capacity_parcels", "capacity_g"}
    assert set(capacities(forms.case_of(SMALLEST, "plain", forms.PLAIN[0]))) == {"capacity_parcels"}


def test_capacities_grow_with_the_parcels() -> None:
    """Of a day with half the parcels each departure holds half, rounded up."""
    whole, half = capacities(CASE), capacities(replace(CASE, day=replace(CASE.day, parcels=1500), scaled_from=3000))
    for name, held in whole.items():
        np.testing.assert_array_equal(half[name], np.ceil(held / 2))


def test_what_is_wrong_with_a_plan_is_counted() -> None:
    """A plan counts as it was told; with its legs turned around, its costs or the capacities changed, it does not."""
    model, parcels = laid_out(CASE, capacities(CASE))
    batch = plan_batch(model, parcels, effort=Effort(CASE.gap, CASE.seconds), threads=1)
    right = counted(model, parcels, batch)
    assert (right.violations, right.broken) == (0, 0) and right.cost_off < 1e-9
    cost, bound, free_bound, refused, stranded = judged(parcels, batch)
    assert free_bound <= bound <= cost
    assert refused + stranded == np.isinf(batch.assignment.cost).sum()

    told = batch.assignment
    turned = replace(batch, assignment=replace(told, legs=told.legs[::-1].copy()))
    assert counted(model, parcels, turned).broken > 0
    dearer = replace(batch, assignment=replace(told, cost=told.cost + 1))
    assert counted(model, parcels, dearer).cost_off == pytest.approx(1)
    departures = model.feed.departures
    for name in ("capacity_parcels", "capacity_g"):
        less = replace(model.feed, departures=departures.with_columns(departures[name] * 0.1))
        assert counted(replace(model, feed=less), parcels, batch).violations > 0


def test_growth_is_drawn_from_a_line_of_figures(line: dict, tmp_path: Path) -> None:
    """The same figures give the same picture; without figures of growth it says what to run."""
    pytest.importorskip("matplotlib")
    for name in ("one.svg", "two.png"):
        growth.draw(line, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
    with pytest.raises(ValueError, match="growth"):
        growth.draw({"shows": []}, tmp_path / "none.svg")


def test_the_whole_day_is_planned_once_for_both_parts_that_show_it() -> None:
    """The plain form to its first gap is also the last but one of the growth: one process, one figure."""
    plain = forms.case_of(SMALLEST, "plain", forms.PLAIN[0])
    assert plain in growth.cases(SMALLEST)
