"""The command `replan`: what it prints, writes and refuses."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from rookery.doors.cli import console
from rookery.doors.cli.main import main
from rookery.network import read_feed, sample_network
from rookery.orders import sample_orders, write_orders

AT = "2026-09-15T20:00Z"
STORM = """node_id,from_at,until_at,capacity_factor,reason
LEJ-HUB,2026-09-15T20:00Z,2026-09-16T20:00Z,0,[storm]
"""


def run(capsys, monkeypatch, *words: object) -> tuple[int, str, str]:
    """Runs `rookery` with these words: (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["rookery", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0), *capsys.readouterr()


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch, capsys) -> Path:
    """A folder with feed/, orders.csv (60 orders), plan/ and storm.csv."""
    feed = read_feed(sample_network("tiny", 7, tmp_path / "feed"))
    write_orders(sample_orders(feed, 60, 7), tmp_path / "orders.csv")
    (tmp_path / "storm.csv").write_text(STORM)
    words = ("plan", tmp_path / "feed", tmp_path / "orders.csv", "--out", tmp_path / "plan", "--outcomes", 1)
    assert run(capsys, monkeypatch, *words)[0] == 0
    return tmp_path


@pytest.fixture
def replan(tiny: Path, monkeypatch, capsys):
    """Runs the command on the tiny plan: (exit code, stdout, stderr)."""

    def go(*more: object, at: str = AT, closures: str = "storm.csv") -> tuple[int, str, str]:
        words = ("replan", tiny / "feed", tiny / "plan", "--closures", tiny / closures, "--at", at)
        return run(capsys, monkeypatch, *words, "--out", tiny / "changed", *more)

    return go


def test_it_tells_what_a_storm_changes(replan, tiny):
    """Figures, reasons with the closure's own words, and who loses the most; a whole plan is written."""
    code, told, _ = replan("--stability", 0.5)
    assert code == 0
    for part in ("affected", "newly late", "cancelled", "[storm]", "Who loses the most", "Written to"):
        assert part in told
    names = {file.name for file in (tiny / "changed").iterdir()}
    assert {"changes.parquet", "closures.parquet", "parcels.parquet", "manifest.json"} <= names


def test_json_is_one_line(replan):
    """With --json stdout is the summary on one line."""
    code, told, _ = replan("--json", "--stability", "inf")
    assert code == 0 and told.count("\n") == 1
    answer = json.loads(told)
    assert answer["affected"] >= answer["changed"] > 0
    assert answer["lower_bound"] <= answer["cost_after"]


def test_ctrl_c_while_the_bound_is_raised_writes_the_changed_plan(replan, tiny, monkeypatch):
    """Ctrl-C during the proof ends with 130 and a sentence; the changed plan is there, marked as interrupted."""

    def press(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("certificate", 1):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(console, "progress_bars", lambda: nullcontext(press))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, told, aside = replan("--json", "--gap", 0)
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130 and "Stopped" in aside and "proved to be within" in aside
    assert json.loads(told)["interrupted"] is True
    assert json.loads((tiny / "changed" / "summary.json").read_text())["interrupted"] is True


def test_the_old_plan_can_be_replaced(replan, tiny):
    """Written over the plan it came from, it is changed again from there."""
    assert replan("--out", tiny / "plan")[0] == 0
    code, told, _ = replan("--json", at="2026-09-15T22:00Z")
    assert (code, json.loads(told)["affected"]) == (0, 0)


def test_orders_are_found_or_asked_for(replan, tiny):
    """The orders are read from where they were; moved ones are named, and others refused."""
    (tiny / "orders.csv").rename(tiny / "moved.csv")
    code, _, told = replan()
    assert code == 1 and "--orders" in told
    assert replan("--orders", tiny / "moved.csv")[0] == 0
    (tiny / "moved.csv").write_text((tiny / "moved.csv").read_text().replace("general", "battery"))
    code, _, told = replan("--orders", tiny / "moved.csv")
    assert code == 1 and "plan again" in told and "Traceback" not in told


@pytest.mark.parametrize(
    ("more", "where", "told"),
    [
        ((), {"at": "2026-01-01T00:00Z"}, "outside the plan"),
        ((), {"at": "2026-09-15T20:00"}, "no offset"),
        (("--stability", "-1"), {}, "not 0 or more"),
        (("--stability", "much"), {}, "not 0 or more"),
        (("--gap", "2"), {}, "at most 1"),
        ((), {"closures": "nothing.csv"}, "nothing.csv"),
    ],
)
def test_what_makes_no_sense_is_refused(replan, more, where, told):
    """A time outside the plan or without offset, a wrong number, missing closures: a sentence each, no traceback."""
    code, out, err = replan(*more, **where)
    assert code in (1, 2) and out == ""
    assert told in err and "Traceback" not in err
