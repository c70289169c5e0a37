"""Experiments: their faults, their incidents, what they tell, and two of them held together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev

import polars as pl
import pytest
from msgspec.structs import replace as changed

from rookery.flows.rehearsals.experimenting import PAIRED, Trials, compare_trials, run_experiment
from rookery.network import read_feed, sample_network
from rookery.orders import read_orders, sample_orders, write_orders
from rookery.terms.errors import Conflict, InvalidInput, NotFound
from rookery.terms.frames import Feed, Orders
from rookery.twin.experiment import read_experiment
from rookery.twin.model import POLICIES, Experiment, Incident

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "experiments").glob("*.toml"))
AT = datetime(2026, 9, 15, 20, tzinfo=UTC)
LATER = datetime(2026, 9, 16, 20, tzinfo=UTC)
SHUT = Incident(node_id="LEJ-HUB", from_at=AT, until_at=LATER)
T_95_OF_THREE = 4.303


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> tuple[Feed, Orders]:
    """The tiny sample and the 200 orders of the examples."""
    folder = tmp_path_factory.mktemp("tiny")
    feed = read_feed(sample_network("tiny", 7, folder / "feed"))
    write_orders(sample_orders(feed, 200, 7), folder / "orders.csv")
    return feed, read_orders(folder / "orders.csv")


def over(sample: tuple[Feed, Orders], experiment: Experiment, **options) -> Trials:
    """An experiment on a sample, on one thread."""
    return run_experiment(*sample, experiment, threads=1, **options)


def tried(sample: tuple[Feed, Orders], **options) -> Trials:
    """A short experiment on a sample."""
    given = {"name": "x", "runs": 1, "outcomes": 1, **options}
    return over(sample, Experiment(**given))


def test_there_are_examples():
    """The examples that the guide speaks of are there."""
    assert {"closed_hub.toml", "strike.toml", "peak.toml"} <= {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_example_runs_on_the_tiny_sample(tiny, file):
    """Each example is read, fits the sample it names, and delivers something under each of its policies."""
    experiment = read_experiment(file)
    trials = over(tiny, changed(experiment, runs=1, every_hours=24.0))
    assert [report.summary["policy"] for report in trials.reports] == list(experiment.policies)
    assert all(report.summary["delivered"]["mean"] > 0 for report in trials.reports)
    assert not [notice.code for notice in trials.notices if notice.code == "closures_outside_horizon"]
    assert trials.reports[0].summary["incidents"] == len(experiment.incidents)


def test_all_faults_of_a_file_are_told_at_once(tmp_path):
    """Unknown words, wrong kinds, values out of bounds and half an incident stand in one error."""
    file = tmp_path / "x.toml"
    file.write_text(
        'name = 3\npolices = []\nruns = 0\nseed = true\nknown_at = "soon"\n'
        '[trouble]\ncorelation = 1\nlost_share = "x"\n'
        "[[incidents]]\nfrom_at = 2026-01-01\ncapacity_factor = 'none'\n"
    )
    with pytest.raises(InvalidInput) as raised:
        read_experiment(file)
    for part in (
        "name is 3 and should be text", "did you mean policies?", "runs is 0", "seed is True", "known_at is 'soon'",
        "did you mean correlation?", "trouble.lost_share is 'x'", "incidents[0] names nothing",
        "incidents[0].from_at has no offset", "incidents[0].until_at is missing",
        "incidents[0].capacity_factor is 'none'",
    ):  # fmt: skip
        assert part in raised.value.what


def test_all_faults_of_incidents_are_told_at_once(tiny):
    """What the feed lacks, what ends before it begins, and figures without sense stand in one error, each numbered."""
    incidents = (
        SHUT,
        changed(SHUT, node_id="NOWHERE", until_at=AT),
        changed(SHUT, node_id=None, lane_id="none", capacity_factor=-1.0, delay_minutes=-5),
    )
    with pytest.raises(InvalidInput) as raised:
        tried(tiny, incidents=incidents)
    for part in (
        "incidents[1] names node_id 'NOWHERE'", "incidents[1] ends before", "incidents[2] names lane_id 'none'",
        "incidents[2].capacity_factor is -1", "incidents[2].delay_minutes is -5",
    ):  # fmt: skip
        assert part in raised.value.what
    assert "incidents[0]" not in raised.value.what


def test_incidents_are_laid_over_the_world_and_not_over_the_plan(tiny):
    """A closed hub leaves the plan as it was, holds everything that would pass it, and is known when it begins."""
    calm, shut = tried(tiny), tried(tiny, incidents=(SHUT,))
    assert shut.setting.plan.parcels.equals(calm.setting.plan.parcels)
    assert shut.reports[0].summary["known_at"] == AT.isoformat()
    assert shut.reports[0].summary["cost"]["mean"] > calm.reports[0].summary["cost"]["mean"]
    logged = over(tiny, Experiment(name="x", runs=1, outcomes=1, incidents=(SHUT,)), log=True)
    left = logged.reports[0].scans.filter(pl.col("node_id") == "LEJ-HUB", pl.col("kind").is_in(["departed", "ready"]))
    assert left.height and not left["scanned_at"].is_between(AT, LATER, closed="none").any()


def test_a_delay_alone_only_delays(tiny):
    """An incident with a delay and no factor closes nothing: all is delivered, later than without."""
    late = Incident(lane_id="LEJ-HUB:DE-MUNICH:ROAD-A", from_at=AT, until_at=LATER, delay_minutes=90)
    calm, delayed = (tried(tiny, incidents=incidents) for incidents in ((), (late,)))
    one, other = (trials.reports[0] for trials in (calm, delayed))
    assert one.summary["delivered"] == other.summary["delivered"]
    assert (other.orders["delivered_at"] >= one.orders["delivered_at"]).all()
    assert (other.orders["delivered_at"] > one.orders["delivered_at"]).any()


def test_a_scaled_experiment_plans_the_scaled_orders(tiny):
    """Twice the volume is twice the orders, planned anew; a plan of the orders as they are is refused."""
    assert tried(tiny, scale_volume=2.0).setting.parcels.height == 2 * tiny[1].frame.height
    made = tried(tiny).setting.plan
    with pytest.raises(InvalidInput, match="scales the orders"):
        over(tiny, Experiment(name="x", scale_volume=2.0), made=made)


def test_a_plan_of_another_feed_is_a_conflict(tiny):
    """A plan made of another version of the feed or the orders is refused with what to do."""
    feed, orders = tiny
    made = tried(tiny).setting.plan
    for other in ((replace(feed, sha256="other"), orders), (feed, replace(orders, sha256="other"))):
        with pytest.raises(Conflict, match="leave the plan out"):
            over(other, Experiment(name="x"), made=made)


def test_policies_named_twice_run_once(tiny):
    """A policy that is named twice is one trial."""
    assert len(tried(tiny, policies=("follow", "follow")).reports) == 1


def test_a_comparison_is_the_mean_difference_of_paired_runs(tiny, tmp_path):
    """What `compare_trials` tells is what the runs of common seeds give by hand, with Student's interval."""
    tried(tiny, runs=4, seed=1, base="rough").write(tmp_path / "a")
    tried(tiny, runs=4, seed=2, base="rough", incidents=(SHUT,)).write(tmp_path / "b")
    (pair,) = compare_trials(tmp_path / "a", tmp_path / "b")
    a, b = (pl.read_parquet(tmp_path / name / "follow" / "runs.parquet") for name in "ab")
    assert (pair.a, pair.b, pair.seeds) == ("a: follow", "b: follow", 3)
    assert set(pair.differences) == set(PAIRED)
    for name, told in pair.differences.items():
        one, other = (frame.filter(pl.col("seed").is_in([2, 3, 4])).sort("seed")[name].to_list() for frame in (a, b))
        off = [y - x for x, y in zip(one, other)]
        assert told["a"] == pytest.approx(mean(one)) and told["b"] == pytest.approx(mean(other))
        assert told["mean"] == pytest.approx(mean(off), abs=1e-9)
        assert told["plus_minus"] == pytest.approx(T_95_OF_THREE * stdev(off) / 3**0.5, abs=1e-9)


def test_one_policy_is_compared_with_another(tiny, tmp_path):
    """Folders without a policy in common are paired all the same, each policy with each."""
    for policy in ("follow", "itinerary"):
        tried(tiny, policies=(policy,)).write(tmp_path / policy)
    (pair,) = compare_trials(tmp_path / "follow", tmp_path / "itinerary")
    assert (pair.a, pair.b) == ("follow: follow", "itinerary: itinerary")
    assert pair.differences["cost"]["plus_minus"] is None


def test_what_is_no_trial_is_not_found(tmp_path):
    """A folder without twin.json is not found; one without a policy's folder neither."""
    with pytest.raises(NotFound, match=r"twin\.json"):
        compare_trials(tmp_path, tmp_path)
    (tmp_path / "twin.json").write_text('{"program": "rookery twin", "orders": 1}')
    with pytest.raises(NotFound, match="no trial of any policy"):
        compare_trials(tmp_path, tmp_path)


def test_every_policy_moves_through_the_same_worlds(tiny):
    """Where nothing is full and no ride is missed, all policies deliver everything at the same minute."""
    trials = tried(tiny, policies=tuple(POLICIES), every_hours=24.0)
    delivered = [report.orders["delivered_at"] for report in trials.reports if report.summary["missed"]["mean"] == 0]
    assert len(delivered) > 1 and all(one.equals(delivered[0]) for one in delivered)
