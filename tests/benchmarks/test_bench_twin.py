"""The benchmark of the twin at its smallest: its figures, and that what is learnt is judged on other worlds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import run
from benchmarks.twin import LONG, PARTS, SMALLEST, closed_hub, strained
from benchmarks.twin.worlds import crowded, roomy, sampled
from rookery.flows.planning import plan


@pytest.fixture(scope="module")
def line() -> dict:
    """The figures of all parts that need no data, at the smallest size."""
    return run.measure("twin", [part for part in PARTS if part != "india"], SMALLEST)


def of(line: dict, what: str) -> dict:
    """The first figure whose name ends so."""
    return next(entry for entry in line["shows"] if entry["what"].endswith(what))


def test_the_line_has_the_form_that_readers_of_benchmarks_expect(line: dict) -> None:
    """One JSON object: the benchmark's name, its figures with value, unit, target and verdict, and versions."""
    told = json.loads(json.dumps(line, allow_nan=False))
    assert told["bench"] == "twin"
    names = [entry["what"] for entry in told["shows"]]
    assert len(set(names)) == len(names)
    for entry in told["shows"]:
        assert list(entry) == ["what", "value", "unit", "target", "holds"]


@pytest.mark.parametrize(
    ("what", "target"),
    [
        ("realised and predicted differ by", "<= 0.3"),
        (": cost differs by", "<= 0.2"),
        ("after repair, chances off by", "<= 1"),
        ("after repair, worst tenth that holds 1%", "<= 3"),
        ("dearer than everything planned anew each hour by", "<= 10"),
        ("less that of following itineraries blindly, a run", "<= 0"),
    ],
)
def test_every_target_is_shown(line: dict, what: str, target: str) -> None:
    """What was asked for stands beside what was measured."""
    assert of(line, what)["target"] == target


def test_learnt_and_judged_are_apart() -> None:
    """No world that anything is learnt from is one that it is judged in, at any size."""
    for size in (SMALLEST, LONG):
        assert size.strained_runs <= strained.JUDGED_FROM


def test_the_two_numbers_find_what_was_planted() -> None:
    """Chances whose log odds were shifted and scaled are given back within a hundredth."""
    chance = np.linspace(0.01, 0.99, 50)
    a, b = strained._two_numbers(chance, strained._odds(chance, -0.7, 0.6))
    assert (a, b) == (pytest.approx(-0.7, abs=0.02), pytest.approx(0.6, abs=0.02))


def test_the_busiest_hub_is_closed_when_it_is_busy() -> None:
    """Some parcels reach the hub before it closes, and some were to reach it while it is shut."""
    feed, orders = sampled("tiny", 200)
    made = plan(feed, orders, outcomes=1, threads=1)
    hub, closed = closed_hub.busiest_closed(feed, made)
    row = closed.closures.tail(1).to_dicts()[0]
    minutes = made.legs.filter(made.legs["to_node"] == hub)["arrive_at"].dt.epoch("s").to_numpy() // 60
    assert (minutes < row["from_at"]).any()
    assert ((minutes >= row["from_at"]) & (minutes < row["until_at"])).any()


def test_crowded_feeds_hold_less_and_roomy_ones_anything() -> None:
    """A fifth of the seats is left, one at least; without limits none is."""
    feed, _ = sampled("tiny", 10)
    before, after = (each.departures["capacity_parcels"].drop_nulls() for each in (feed, crowded(feed, 0.2)))
    assert (after <= before).all() and after.min() >= 1
    assert roomy(feed).departures["capacity_parcels"].null_count() == feed.departures.height
