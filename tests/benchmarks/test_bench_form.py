"""The benchmark of the planner at its smallest: its form, and that all who are compared did the same work."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from benchmarks import peak_day, run
from benchmarks.form import Show
from benchmarks.planning import PARTS, SMALLEST
from benchmarks.planning.instance import REAL, Instance, Pass, chance, cost

pytest.importorskip("scipy")
pytest.importorskip("rustworkx")
pytest.importorskip("networkx")


@pytest.fixture(scope="module")
def line() -> dict:
    """The figures of all parts at the smallest size."""
    return run.measure("planning", list(PARTS), SMALLEST)


def of(line: dict, what: str) -> dict:
    """The one figure whose name begins so."""
    [entry] = [entry for entry in line["shows"] if entry["what"].startswith(what)]
    return entry


def test_the_line_has_the_form_that_readers_of_benchmarks_expect(line: dict) -> None:
    """One JSON object: the benchmark's name, its figures with value, unit, target and verdict, and versions."""
    line = json.loads(json.dumps(line, allow_nan=False))
    assert line["bench"] == "planning"
    assert {"python", "rookery", "numpy", "scipy"} <= set(line["versions"])
    for entry in line["shows"]:
        assert list(entry) == ["what", "value", "unit", "target", "holds"]
        assert isinstance(entry["value"], float)
        assert isinstance(entry["holds"], bool)


def test_every_figure_asked_for_is_shown_with_its_target(line: dict) -> None:
    """Missed targets are told like kept ones, so none may be left out."""
    assert of(line, "deterministic scan against scipy csgraph")["target"] == ">= 600"
    assert of(line, "stochastic pass with chances against")["target"] == "<= 20"
    assert of(line, "parcels a second end to end, K = 1")["target"] == ">= 100000"
    assert of(line, "parcels a second end to end, K = 8")["target"] == ">= 10000"
    assert of(line, "promise look-up in process, p99")["target"] == "<= 50"
    for outcomes in (1, 8):
        assert of(line, f"grouping error, K = {outcomes}")["target"] == "<= 0.2"
        assert of(line, f"peak memory, K = {outcomes}")["target"] == "<= 6"


@pytest.mark.parametrize("peer", ["scipy csgraph", "rustworkx", "networkx"])
def test_peers_find_the_same_costs(line: dict, peer: str) -> None:
    """A ratio of times means something only when both found the same costs at every departure."""
    assert of(line, f"largest relative difference from the costs of {peer}")["holds"]


def test_the_feed_holds_the_departures_of_the_plain_form() -> None:
    """The network in the public format, laid out over its days, is departure for departure the plain arrays."""
    instance = Instance(SMALLEST)
    runs = instance.expansion.runs
    price = (runs["cost_per_parcel"] + runs["cost_per_kg"]).to_numpy().astype(np.float32)
    depart = runs["depart_at"].to_numpy() - instance.start
    arrive = depart + runs["transit_minutes"].to_numpy() + peak_day.DWELL
    read = zip(runs["from_node"], runs["to_node"], depart.tolist(), arrive.tolist(), price.tolist())
    plain = zip(*(column.tolist() for column in peak_day.dated(instance.network)[:5]))
    assert Counter(read) == Counter(plain)


def test_the_stochastic_passes_agree_on_costs() -> None:
    """Carrying chances along changes no cost."""
    instance = Instance(SMALLEST)
    blocks = instance.blocks(instance.uncertain, REAL)
    with_chances, alone = (Pass(instance.uncertain, blocks, scan, 1) for scan in (chance, cost))
    for column in (0, 17, 4 * SMALLEST.nodes - 1):
        np.testing.assert_array_equal(with_chances.column(column), alone.column(column))


def test_a_figure_holds_when_it_keeps_its_target() -> None:
    """Both directions of a target, its bound included; without a target there is nothing to miss."""
    assert Show("ratio", 20.0, "times", "<= 20").holds
    assert not Show("ratio", 20.1, "times", "<= 20").holds
    assert Show("rate", 600.0, "times", ">= 600").holds
    assert not Show("rate", 599.0, "times", ">= 600").holds
    assert Show("rate", 1.0, "times").holds


def test_an_unknown_part_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    """The parts that exist are named on stderr, nothing is written to stdout, and the exit code is 2."""
    assert run.main(["planning", "--part", "no_such"]) == 2
    said = capsys.readouterr()
    assert "tables, stochastic, orders" in said.err
    assert said.out == ""
