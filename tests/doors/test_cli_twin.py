"""The command `twin`: what it prints, writes, holds together and refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from datetime import datetime
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from rookery.doors.cli.main import main
from rookery.doors.cli.twin_tables import print_pairs, print_trials
from rookery.flows.planning import plan
from rookery.flows.rehearsals.experimenting import compare_trials, run_experiment
from rookery.flows.replanning import replan
from rookery.network import read_closures, read_feed, sample_network
from rookery.orders import read_orders, sample_orders, write_orders
from rookery.twin.model import POLICIES, Experiment

STORM = "node_id,from_at,until_at,capacity_factor\nLEJ-HUB,2026-09-15T20:00Z,2026-09-16T20:00Z,0\n"
INCIDENT = 'from_at = 2026-09-15T20:00:00Z\nuntil_at = "2026-09-16T20:00Z"\n'
HUB = f'[[incidents]]\nnode_id = "LEJ-HUB"\n{INCIDENT}'


def run(capsys, monkeypatch, *words: object) -> tuple[int, str, str]:
    """Runs `rookery` with these words: (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["rookery", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0), *capsys.readouterr()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A folder with feed/, orders.csv (60 orders), plan/ and changed/, which is that plan around a storm."""
    folder = tmp_path_factory.mktemp("tiny")
    feed = read_feed(sample_network("tiny", 7, folder / "feed"))
    write_orders(sample_orders(feed, 60, 7), folder / "orders.csv")
    orders = read_orders(folder / "orders.csv")
    plan(feed, orders, outcomes=1, threads=1).write(folder / "plan")
    (folder / "storm.csv").write_text(STORM)
    storm = read_closures(folder / "storm.csv", feed)
    replan(feed, orders, folder / "plan", storm, datetime.fromisoformat("2026-09-15T20:00Z")).write(folder / "changed")
    return folder


@pytest.fixture
def twin(tiny: Path, tmp_path: Path, monkeypatch, capsys):
    """Runs the command on the tiny feed, with an experiment of this text: (exit code, stdout, stderr)."""

    def go(
        *more: object, experiment: str | None = None, feed: Path | None = None, orders: Path | None = None
    ) -> tuple[int, str, str]:
        if experiment is not None:
            (tmp_path / "experiment.toml").write_text(experiment)
            more = ("--experiment", tmp_path / "experiment.toml", *more)
        return run(capsys, monkeypatch, "twin", feed or tiny / "feed", orders or tiny / "orders.csv", *more)

    return go


def refused(answer: tuple[int, str, str], *told: str, codes: tuple[int, ...] = (1,)) -> None:
    """Holds when nothing was printed but a sentence with these words and what to do, and the exit code is right."""
    code, out, err = answer
    words = " ".join(re.sub("[│╭╮╰╯─]", " ", err).split())
    assert code in codes and out == ""
    assert not [part for part in told if part not in words], words
    assert "Traceback" not in err and "Rookery itself failed" not in err
    assert "Next:" in err or code == 2


def test_policies_stand_side_by_side(twin):
    """Every policy asked for has its line, beside what was predicted, who was late, and the reliability table."""
    words = [part for policy in POLICIES for part in ("--policy", policy)]
    code, told, _ = twin("--runs", 2, "--outcomes", 1, "--every", 24, "--trouble", "rough", *words)
    assert code == 0
    for part in (*POLICIES, "predicted", "what went wrong", "chance of being on time", "by service", "60 parcels"):
        assert part in told


def test_json_is_one_line(twin):
    """With --json stdout is every figure on one line, one trial a policy, in the order asked for."""
    code, told, _ = twin("--json", "--runs", 2, "--outcomes", 1, "--policy", "itinerary", "--policy", "follow")
    assert code == 0 and told.count("\n") == 1
    answer = json.loads(told)
    assert [trial["policy"] for trial in answer["trials"]] == ["itinerary", "follow"]
    assert answer["trials"][0]["runs"] == 2 and answer["orders"] == 60


def test_out_holds_a_folder_for_each_policy(twin, tmp_path):
    """--out keeps tables, scans, figures and the picture; an earlier one is replaced, another's folder is not."""
    assert twin("--runs", 1, "--outcomes", 1, "--policy", "greedy", "--out", tmp_path / "out")[0] == 0
    assert twin("--runs", 1, "--outcomes", 1, "--out", tmp_path / "out")[0] == 0
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"follow", "twin.json", "twin.png"}
    scans = pl.read_parquet(tmp_path / "out" / "follow" / "scans.parquet")
    assert set(scans["kind"]) >= {"accepted", "departed", "arrived", "ready", "delivered"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep")
    refused(twin("--out", tmp_path / "mine"), "left alone")
    assert (tmp_path / "mine" / "letter.txt").is_file()


def test_options_go_before_what_the_file_says(twin):
    """An option given beside an experiment's file is what holds."""
    text = 'name = "x"\nruns = 3\nseed = 5\noutcomes = 1\n'
    trial = json.loads(twin("--json", "--runs", 1, "--correlation", 0.5, experiment=text)[1])["trials"][0]
    assert (trial["runs"], trial["seed"], trial["trouble"]["correlation"]) == (1, 5, 0.5)


def test_the_same_seed_gives_the_same_answer(twin):
    """Two calls with one seed agree in every figure that is not a time spent; another seed is another world."""

    def go(seed: int) -> dict:
        told = json.loads(twin("--json", "--runs", 1, "--outcomes", 1, "--trouble", "rough", "--seed", seed)[1])
        return {name: value for name, value in told["trials"][0].items() if not name.startswith("seconds")}

    assert go(3) == go(3)
    assert go(3)["cost"] != go(4)["cost"]


def test_two_trials_are_held_together_seed_by_seed(twin, tmp_path, monkeypatch, capsys):
    """`twin compare` pairs what two folders have in common: the policy, and the seeds."""
    twin("--runs", 3, "--outcomes", 1, "--out", tmp_path / "calm")
    twin("--runs", 3, "--seed", 1, "--outcomes", 1, "--trouble", "rough", "--out", tmp_path / "rough")
    code, told, _ = run(capsys, monkeypatch, "twin", "compare", tmp_path / "calm", tmp_path / "rough")
    assert code == 0 and "calm: follow" in told and "2 paired seeds" in told
    code, told, _ = run(capsys, monkeypatch, "twin", "compare", tmp_path / "calm", tmp_path / "rough", "--json")
    assert code == 0 and told.count("\n") == 1
    (pair,) = json.loads(told)["pairs"]
    cost = pair["differences"]["cost"]
    assert pair["seeds"] == 2 and cost["mean"] == pytest.approx(cost["b"] - cost["a"], abs=1e-5)


def test_what_cannot_be_compared_is_told(twin, tiny, tmp_path, monkeypatch, capsys):
    """No trial there, a damaged one, other orders (as many of them or not), no common seed: a sentence each."""

    def compare(a: Path, b: Path) -> tuple[int, str, str]:
        return run(capsys, monkeypatch, "twin", "compare", a, b)

    lines = (tiny / "orders.csv").read_text().splitlines(keepends=True)
    (tmp_path / "fewer.csv").write_text("".join(lines[:-1]))
    (tmp_path / "others.csv").write_text("".join([lines[0], *reversed(lines[1:])]))
    given = ("--runs", 1, "--outcomes", 1, "--out")
    twin(*given, tmp_path / "a")
    twin(*given, tmp_path / "b", "--seed", 9)
    twin(*given, tmp_path / "c", orders=tmp_path / "fewer.csv")
    twin(*given, tmp_path / "d", orders=tmp_path / "others.csv")
    refused(compare(tmp_path / "a", tiny / "feed"), "holds no trial", "--out")
    refused(compare(tmp_path / "a", tmp_path / "nowhere"), "holds no trial")
    refused(compare(tmp_path / "a", tmp_path / "b"), "no seed", "same --seed")
    refused(compare(tmp_path / "a", tmp_path / "c"), "60 orders", "59 others", "same orders")
    refused(compare(tmp_path / "a", tmp_path / "d"), "same orders")
    (tmp_path / "b" / "follow" / "runs.parquet").write_text("nothing")
    refused(compare(tmp_path / "a", tmp_path / "b"), "cannot be read", "again")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "x"\npolices = ["follow"]\n', ("polices is not known (did you mean policies?)",)),
        ('name = "x"\n[trouble]\ncorelation = 0.5\n', ("trouble.corelation", "did you mean correlation?")),
        ('name = "x"\n[[incidents]]\nnode = "LEJ-HUB"\n', ("did you mean node_id?", "from_at is missing")),
        ('name = "x"\npolicies = ["folow"]\n', ("policies holds 'folow'", "follow, itinerary, greedy, reoptimise")),
        (
            'name = "x"\nruns = "many"\nbase = "stormy"\n',
            ("runs is 'many' and should be a whole number", "calm or rough"),
        ),
        ("runs = 1\n", ("name is missing",)),
        ('name = "x"\nruns = 0\nscale_volume = 0\n', ("runs is 0", "scale_volume is 0")),
        ('name = "x"\n[trouble]\ncancel_share = 2\n', ("cancel_share is 2", "from 0 to 1")),
        ("name = [\n", ("is no TOML", "line")),
        (f'name = "x"\n{HUB}'.replace("LEJ-HUB", "LEJ-HUX"), ("'LEJ-HUX', which the feed does not have",)),
        (f'name = "x"\n{HUB}'.replace("16T20:00Z", "14T20:00Z"), ("incidents[0] ends before it begins",)),
        (f'name = "x"\n{HUB}'.replace("20:00:00Z", "20:00:00"), ("from_at has no offset",)),
        (f'name = "x"\n{HUB}'.replace("2026-09-15", "0001-01-01"), ("from_at is of the year 1",)),
        (f'name = "x"\n{HUB}lane_id = "CAN:LEJ:AIR-A"\n', ("names node_id and lane_id; give one",)),
    ],
)
def test_a_fault_in_an_experiment_is_named(twin, text, told):
    """A typo, a wrong value, what the feed lacks: the place is named, with what was probably meant; nothing runs."""
    refused(twin(experiment=text), *told)


def test_an_experiment_must_be_a_file(twin, tmp_path):
    """A file that is not there, a pipe, a folder and what is no text are refused with a sentence."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    for name, told in (
        ("nothing.toml", "no experiment"),
        ("pipe", "a pipe"),
        ("", "a folder"),
        ("bytes.toml", "no TOML"),
    ):
        refused(twin("--experiment", tmp_path / name), told)


def test_a_plan_must_be_of_these_orders_and_this_feed(twin, tiny, tmp_path):
    """A plan of another version of the feed or the orders is refused with what to do; the right one is taken."""
    assert twin("--plan", tiny / "plan", "--runs", 1)[0] == 0
    shutil.copytree(tiny / "feed", tmp_path / "feed")
    nodes = tmp_path / "feed" / "nodes.csv"
    nodes.write_text(nodes.read_text().replace(",120,", ",121,"))
    refused(twin("--plan", tiny / "plan", feed=tmp_path / "feed"), "another version of the feed", "leave the plan out")
    (tmp_path / "one.csv").write_text("".join((tiny / "orders.csv").read_text().splitlines(keepends=True)[:2]))
    refused(twin("--plan", tiny / "plan", orders=tmp_path / "one.csv"), "another version of the orders")
    refused(twin("--plan", tiny / "nothing"), "holds no plan")
    refused(twin("--plan", tiny / "changed"), "was changed around closures", "incidents of an experiment")
    text = 'name = "x"\nscale_volume = 2\n'
    refused(twin("--plan", tiny / "plan", experiment=text), "scales the orders", "leave the plan out")
    refused(twin("--plan", tiny / "plan", "--outcomes", 4), "--outcomes", codes=(2,))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--policy", "fast"), "'fast' is none of follow, itinerary, greedy, reoptimise"),
        (("--runs", 0), "--runs"),
        (("--correlation", 1.5), "--correlation"),
        (("--correlation", "nan"), "--correlation"),
        (("--every", 0), "--every"),
        (("--trouble", "stormy"), "--trouble"),
    ],
)
def test_options_without_sense_are_not_understood(twin, words, told):
    """A wrong word or number ends with exit code 2 and names the option."""
    refused(twin(*words), told, codes=(2,))


def test_feed_and_orders_are_both_needed(tiny, monkeypatch, capsys):
    """One folder alone is not understood; a feed that is not there is told."""
    refused(run(capsys, monkeypatch, "twin", tiny / "feed"), "FEED and ORDERS", codes=(2,))
    refused(run(capsys, monkeypatch, "twin", tiny / "none", tiny / "orders.csv"), "There is no")


def test_one_parcel_can_be_rehearsed(twin, tiny, tmp_path):
    """An order file of one parcel runs under every policy; where it cannot be planned the exit code is 1."""
    lines = (tiny / "orders.csv").read_text().splitlines()
    one = tmp_path / "one.csv"
    one.write_text("\n".join(lines[:2]) + "\n")
    words = [part for policy in POLICIES for part in ("--policy", policy)]
    code, told, _ = twin("--runs", 1, "--every", 24, "--outcomes", 1, *words, orders=one)
    assert code == 0 and "1 parcel, 1 run" in told
    one.write_text(f"{lines[0]}\n{lines[1].replace('DE-', 'NOWHERE-')}\n")
    code, told, err = twin("--json", "--runs", 1, orders=one)
    assert code == 1 and json.loads(told)["trials"][0]["not_sent"]["mean"] == 1 and "Traceback" not in err


def test_a_feed_without_spreads_comes_true(twin, tiny, tmp_path):
    """Where nothing varies and nothing goes wrong, every run costs what the plan says."""
    shutil.copytree(tiny / "feed", tmp_path / "feed")
    (tmp_path / "feed" / "transit.csv").unlink()
    for name, column in (("departures.csv", "transit_id"), ("zones.csv", "delivery_id")):
        if (tmp_path / "feed" / name).is_file():
            pl.read_csv(tmp_path / "feed" / name, infer_schema=False).drop(column, strict=False).write_csv(
                tmp_path / "feed" / name
            )
    code, told, _ = twin("--json", "--runs", 2, feed=tmp_path / "feed")
    trial = json.loads(told)["trials"][0]
    assert code == 0 and abs(trial["cost_off"]) < 1e-6 and trial["cost"]["plus_minus"] == 0


def test_incidents_that_touch_nothing_are_warned_of(twin):
    """A closure outside the days planned is told, and the rest runs."""
    text = f'name = "x"\noutcomes = 1\nruns = 1\n{HUB}'.replace("2026", "2020")
    code, _, err = twin(experiment=text)
    assert code == 0 and "closures_outside_horizon" in err


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_a_terminal(tiny, tmp_path, width):
    """At 80 and at 120 columns no figure is broken or cut, however large it is."""
    feed, orders = read_feed(tiny / "feed"), read_orders(tiny / "orders.csv")
    tried = Experiment(name="x", runs=2, outcomes=1, base="rough", policies=("follow", "itinerary"))
    trials = run_experiment(feed, orders, tried, threads=1)
    for report in trials.reports:
        report.summary["cost"] = {"mean": 12_345_678.0, "plus_minus": 1_234_567.0}
        report.summary["late"] = report.summary["missed"] = {"mean": 123_456.0, "plus_minus": 12_345.0}
    trials.write(tmp_path / "out")
    console = Console(width=width, record=True, file=StringIO())
    print_trials(trials, console)
    print_pairs(compare_trials(tmp_path / "out", tmp_path / "out"), console)
    told = console.export_text()
    assert told.count("12,345,678 ± 1,234,567") == 2 and told.count("123,456 ± 12,345") == 4
    assert "…" not in told and max(map(len, told.splitlines())) <= width


def test_a_calibration_is_used_and_not_judged_where_it_was_learnt(tmp_path, monkeypatch, capsys):
    """A plan told by a calibration passes the check; rehearsed in the worlds it was learnt in, a warning names more."""
    feed, orders, plan_dir = tmp_path / "feed", tmp_path / "orders.csv", tmp_path / "plan"
    write_orders(sample_orders(read_feed(sample_network("tiny", 7, feed)), 60, 7), orders)
    twin = ("twin", feed, orders, "--trouble", "rough", "--runs", 3)
    assert run(capsys, monkeypatch, *twin, "--out", tmp_path / "out")[0] == 0
    line = tmp_path / "out" / "follow" / "calibration.json"
    assert run(capsys, monkeypatch, "plan", feed, orders, "--out", plan_dir, "--calibration", line)[0] == 0
    assert run(capsys, monkeypatch, "check", feed, orders, plan_dir)[0] == 0
    code, _, told = run(capsys, monkeypatch, *twin, "--plan", plan_dir)
    assert code == 0 and "--seed 3" in told
    assert "--seed" not in run(capsys, monkeypatch, *twin, "--plan", plan_dir, "--seed", 3)[2]
    line.write_text(line.read_text().replace("[", "[2.0,", 1))
    code, _, told = run(capsys, monkeypatch, "plan", feed, orders, "--out", plan_dir, "--calibration", line)
    assert code == 1 and "Traceback" not in told and "calibration" in told
