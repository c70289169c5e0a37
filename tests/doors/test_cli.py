"""The command line: exit codes, what goes to stdout and what to stderr, and no traceback whatever is handed in."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
from rich.console import Console

from rookery.doors.cli.answer_tables import print_check
from rookery.doors.cli.console import rounded
from rookery.doors.cli.figures import by_service
from rookery.doors.cli.main import main
from rookery.network import read_feed, sample_network
from rookery.orders import sample_orders, write_orders
from rookery.planning.check import CheckReport, Violation

ROOT = Path(__file__).resolve().parents[2]
ROOKERY = [sys.executable, "-c", "from rookery.doors.cli.main import main; main()"]
ROUTE = ["--from", "CN-SHENZHEN-W1", "--to", "DE:10115", "--ready-at", "2026-03-02T10:00+08:00"]


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def process(*arguments: object, cwd: Path | None = None, **env: str) -> Done:
    """Run the command as a user does, in a process of its own."""
    done = subprocess.run(
        [*ROOKERY, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **env},
        timeout=900,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def rookery(*arguments: object) -> Done:
    """Run the command's entry point here, which saves starting a process."""
    kept = sys.argv, signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["rookery", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = kept[0]
        signal.signal(signal.SIGINT, kept[1])
        signal.signal(signal.SIGTERM, kept[2])
    return Done(int(end.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A folder with feed/, orders.csv (60 orders) and plan/."""
    folder = tmp_path_factory.mktemp("cli")
    feed = read_feed(sample_network("tiny", 7, folder / "feed"))
    write_orders(sample_orders(feed, 60, 7), folder / "orders.csv")
    done = process("plan", "feed", "orders.csv", "--out", "plan", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_version_is_printed():
    """--version prints the package's version alone."""
    done = process("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"rookery \d+\.\d+\.\d+\S*\n", done.stdout)


def test_plan_shows_and_writes(tiny):
    """A plan ends with 0, tells its figures on stdout and leaves its files."""
    done = rookery("plan", tiny / "feed", tiny / "orders.csv", "--out", tiny / "again")
    assert done.returncode == 0
    assert "60" in done.stdout and "Services" in done.stdout and "promised by" in done.stdout
    assert {file.name for file in (tiny / "again").iterdir()} == {
        "parcels.parquet",
        "legs.parquet",
        "loads.parquet",
        "hours.parquet",
        "summary.json",
        "manifest.json",
    }


def test_plan_json_is_the_summary_alone(tiny):
    """With --json stdout is one line, what summary.json holds."""
    arguments = (
        "--out",
        tiny / "json",
        "--outcomes",
        1,
        "--horizon-days",
        20,
        "--start",
        "2026-09-15T00:00Z",
        "--json",
    )
    done = process("plan", tiny / "feed", tiny / "orders.csv", *arguments)
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout) == json.loads((tiny / "json" / "summary.json").read_text())
    assert json.loads((tiny / "json" / "manifest.json").read_text())["outcomes"] == 1


def test_plan_with_policy_writes_tables(tiny):
    """--policy adds the folder of tables."""
    done = rookery("plan", tiny / "feed", tiny / "orders.csv", "--out", tiny / "policed", "--policy", "--json")
    assert done.returncode == 0, done.stderr
    assert any((tiny / "policed" / "policy").iterdir())


def test_bad_rows_are_told_and_the_rest_is_planned(tiny):
    """Faulty orders are told on stderr, at most twenty of them, then counted; the others are planned with exit 0."""
    frame = pl.read_csv(tiny / "orders.csv", infer_schema=False)
    row = pl.int_range(pl.len())
    frame.with_columns(weight_g=pl.when(row < 25).then(pl.lit("heavy")).otherwise("weight_g")).write_csv(
        tiny / "faulty.csv"
    )
    done = rookery("plan", tiny / "feed", tiny / "faulty.csv", "--out", tiny / "faulty", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["orders"] == 35
    assert "faulty.csv:2:weight_g" in done.stderr
    assert done.stderr.count("not_a_number faulty.csv") == 20
    assert "... and 5 more" in done.stderr and "25 not_a_number" in done.stderr


def test_an_earlier_plan_is_replaced_and_nothing_else(tiny, tmp_path):
    """A folder that is no plan is left alone: exit 1, said before any work; an earlier plan is replaced."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    done = rookery("plan", tiny / "feed", tiny / "orders.csv", "--out", tmp_path / "mine")
    assert done.returncode == 1 and done.stdout == ""
    assert "left alone" in done.stderr and "Next:" in done.stderr
    assert [file.name for file in tmp_path.rglob("*")] == ["mine", "diary.txt"]
    assert rookery("plan", tiny / "feed", tiny / "orders.csv", "--out", tiny / "plan", "--json").returncode == 0


def test_check_finds_nothing_in_a_right_plan(tiny):
    """A right plan is checked with exit 0."""
    done = rookery("check", tiny / "feed", tiny / "orders.csv", tiny / "plan", "--sample", 5)
    assert done.returncode == 0, done.stdout
    assert "No violation" in done.stdout
    assert done.stderr == ""


def test_check_ends_with_1_on_a_violation(tiny, tmp_path):
    """A planted fault is printed, in JSON too, and the exit code is 1; changed orders are told."""
    plan = tmp_path / "plan"
    plan.mkdir()
    for file in (tiny / "plan").iterdir():
        (plan / file.name).write_bytes(file.read_bytes())
    parcels = pl.read_parquet(plan / "parcels.parquet")
    parcels.with_columns(cost=pl.col("cost") + 1).write_parquet(plan / "parcels.parquet")
    frame = pl.read_csv(tiny / "orders.csv", infer_schema=False)
    frame.with_columns(value=pl.lit("1")).write_csv(tmp_path / "orders.csv")
    done = process("check", tiny / "feed", tmp_path / "orders.csv", plan, "--sample", 5, "--json")
    assert done.returncode == 1
    assert {fault["code"] for fault in json.loads(done.stdout)["violations"]} >= {"wrong_total"}
    assert "the orders have changed since the plan was made" in done.stderr


def test_promise_lists_offers(tiny):
    """Offers come earliest first and each later one is cheaper; the table shows the way."""
    done = rookery("promise", tiny / "feed", *ROUTE, "--weight-g", 800, "--json")
    assert done.returncode == 0, done.stderr
    offers = json.loads(done.stdout)["offers"]
    assert offers == sorted(offers, key=lambda offer: offer["promised_at"])
    assert offers == sorted(offers, key=lambda offer: -offer["cost"])
    told = rookery("promise", tiny / "feed", *ROUTE, "--weight-g", 800)
    assert "DE-BERLIN" in told.stdout and "air" in told.stdout


def test_a_promise_nobody_can_make_ends_with_1(tiny):
    """A parcel too heavy for every lane has no offer: exit 1, the reason and what would mend it, in JSON too."""
    done = rookery("promise", tiny / "feed", *ROUTE, "--weight-g", 900_000)
    assert done.returncode == 1
    assert "over_weight" in done.stdout and "Fix:" in done.stdout
    answer = json.loads(rookery("promise", tiny / "feed", *ROUTE, "--weight-g", 900_000, "--json").stdout)
    assert answer["offers"] == [] and answer["reasons"][0]["code"] == "over_weight"


def test_a_faulty_wish_is_told_by_its_option(tiny):
    """A quote speaks of the options that were typed, never of the line of a file."""
    for wrong, says in (("Germany:10115", "--to"), ("DE:", "--to")):
        done = rookery("promise", tiny / "feed", *ROUTE[:2], "--to", wrong, *ROUTE[4:], "--weight-g", 1)
        assert done.returncode == 1 and says in done.stderr and "orders:2" not in done.stderr
    done = rookery("promise", tiny / "feed", "--from", "PT:1000", *ROUTE[2:], "--weight-g", 1)
    assert done.returncode == 1 and "pick-up address" in done.stderr


def test_a_file_of_orders_is_not_overwritten(tiny, tmp_path):
    """`orders sample` leaves a file alone that is there, unless told to replace it."""
    (tmp_path / "mine.csv").write_text("mine")
    arguments = ("orders", "sample", tiny / "feed", "--count", 5, "--out", tmp_path / "mine.csv")
    done = rookery(*arguments)
    assert done.returncode == 1 and "--force" in done.stderr
    assert (tmp_path / "mine.csv").read_text() == "mine"
    assert rookery(*arguments, "--force").returncode == 0
    assert (tmp_path / "mine.csv").read_text().startswith("order_id,")


def test_no_input_is_refused_before_it_is_opened(tiny, monkeypatch):
    """A file that may not be read is told by its reader, as a missing one is: the options' parser does not ask."""
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    for arguments in (
        ("validate", tiny / "feed", "--orders", tiny / "orders.csv"),
        ("check", tiny / "feed", tiny / "orders.csv", tiny / "plan", "--sample", 0),
    ):
        done = rookery(*arguments)
        assert done.returncode == 0, done.stderr


def test_rows_left_out_and_pieces_are_shown(tiny, tmp_path):
    """The plan's table tells rows left out; ids with line breaks stay in their line; pieces are counted as such."""
    frame = pl.read_csv(tiny / "orders.csv", infer_schema=False)
    row = pl.int_range(pl.len())
    weight = pl.when(row < 2).then(pl.lit("0")).otherwise("weight_g")
    broken = frame.with_columns(weight_g=weight, pieces=pl.lit("3"), order_id=pl.col("order_id") + "\nX")
    broken.write_csv(tmp_path / "broken.csv")
    done = rookery("plan", tiny / "feed", tmp_path / "broken.csv", "--out", tmp_path / "plan")
    assert "2 (of 60), see the notices" in done.stdout
    assert "\\nX" in done.stdout and "3 pieces of" in done.stdout


def test_usual_days_are_of_pieces_and_violations_are_told_in_one_screen():
    """A large order weighs as its pieces; of many violations twenty are told, with the node, then counts."""
    parcels = pl.DataFrame(
        {
            "service": ["s", "s", "s"],
            "pieces": [1, 1, 8],
            "days": [1.0, 2.0, 5.0],
            "cost": [1.0, 1.0, 8.0],
            "on_time_probability": [1.0, 1.0, 1.0],
        }
    )
    assert by_service(parcels)["days"].to_list() == [5.0]
    lost = Violation("lost_flow", "does not balance", node="HUB")
    with redirect_stdout(io.StringIO()) as out:
        print_check(CheckReport([lost] * 30, 1, {"orders": 3}), Console(file=out, width=200))
        print_check(CheckReport([lost], 0, {"orders": 3}), Console(file=out, width=200))
    assert out.getvalue().count("lost_flow node HUB") == 21
    assert "30 lost_flow" in out.getvalue() and "1 violation." in out.getvalue()


def test_answers_for_programs_have_no_noise_of_floats():
    """Numbers of answers are kept to six decimals, at any depth."""
    assert rounded({"a": [0.8500000000000001, 3, None]}) == {"a": [0.85, 3, None]}


def test_explain_shows_options_and_reasons(tiny, tmp_path):
    """A planned parcel is told node by node; one that is too heavy with its reason and a fix."""
    frame = pl.read_csv(tiny / "orders.csv", infer_schema=False)
    flies = pl.col("from_node") == "CN-SHENZHEN-W1"
    heavy = frame.with_columns(weight_g=pl.when(flies).then(pl.lit("900000")).otherwise("weight_g"))
    heavy.write_csv(tmp_path / "heavy.csv")
    order = frame.filter(flies)["order_id"][0]
    planned = rookery("explain", tiny / "feed", tiny / "orders.csv", order)
    assert planned.returncode == 0 and "cheapest" in planned.stdout and "At " in planned.stdout
    refused = rookery("explain", tiny / "feed", tmp_path / "heavy.csv", order)
    assert "over_weight" in refused.stdout and "Fix:" in refused.stdout
    assert json.loads(rookery("explain", tiny / "feed", tiny / "orders.csv", order, "--json").stdout)["steps"]


def test_validate_tells_place_and_remedy(tiny, tmp_path):
    """An error in a feed is told with file, line and column, exit 1; a feed without errors ends with 0."""
    assert rookery("validate", tiny / "feed").returncode == 0
    feed = tmp_path / "feed"
    feed.mkdir()
    for file in (tiny / "feed").iterdir():
        (feed / file.name).write_bytes(file.read_bytes())
    text = (feed / "departures.csv").read_text().splitlines()
    head = text[0].split(",")
    row = text[1].split(",")
    row[head.index("depart_time")] = "25:61"
    (feed / "departures.csv").write_text("\n".join([text[0], ",".join(row), *text[2:]]) + "\n")
    done = rookery("validate", feed, "--orders", tiny / "orders.csv")
    assert done.returncode == 1
    assert "departures.csv:2:depart_time" in done.stdout and "25:61" in done.stdout
    answer = json.loads(rookery("validate", feed, "--json").stdout)
    assert answer["usable"] and answer["counts"]["error"] == 1


def test_an_unusable_feed_is_still_json(tmp_path):
    """A feed of which nothing can be used gives its notices as JSON too, exit 1."""
    (tmp_path / "feed.json").write_text("{")
    done = rookery("validate", tmp_path, "--json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert not answer["usable"] and answer["notices"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "nowhere", "orders.csv", "--out", "x"),
        ("plan", "feed", "nowhere.csv", "--out", "x"),
        ("plan", "feed", "plan/legs.parquet", "--out", "x"),
        ("plan", "orders.csv", "orders.csv", "--out", "x"),
        ("plan", "feed", "orders.csv", "--out", "/dev/null/x"),
        ("check", "feed", "orders.csv", "feed"),
        ("explain", "feed", "orders.csv", "no-such-order"),
        ("promise", "feed", *ROUTE[:2], "--to", "ATLANTIS", *ROUTE[4:], "--weight-g", 1),
        ("orders", "sample", "feed", "--count", 5, "--out", "orders.xls"),
        ("bench", "nothing"),
    ],
)
def test_what_cannot_be_done_is_said(tiny, monkeypatch, arguments):
    """What cannot be used ends with 1, nothing on stdout, and a sentence with the next action on stderr."""
    monkeypatch.chdir(tiny)
    done = rookery(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Next:" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tiny / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("frobnicate",), "frobnicate"),
        (("plan", "feed", "orders.csv"), "--out"),
        (("plan", "feed", "orders.csv", "--out", "x", "--start", "2026-09-15T00:00"), "no offset"),
        (("plan", "feed", "orders.csv", "--out", "x", "--start", "soon"), "is not a time"),
        (("plan", "feed", "orders.csv", "--out", "x", "--outcomes", "0"), "--outcomes"),
        (("promise", "feed", *ROUTE, "--weight-g", "1", "--goods", "gold"), "--goods"),
        (("promise", "feed", *ROUTE, "--weight-g", "0"), "above 0"),
        (("promise", "feed", *ROUTE, "--weight-g", "nan"), "above 0"),
        (("promise", "feed", *ROUTE, "--weight-g", "-3"), "above 0"),
    ],
)
def test_what_is_not_understood_ends_with_2(tiny, arguments, says):
    """A command that makes no sense ends with 2 and names what was not understood."""
    done = process(*arguments, cwd=tiny)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals are a POSIX matter")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_leaves_nothing(tmp_path, signum):
    """Ctrl-C in the middle of planning ends with 130 (termination: 143) and leaves no folder, not even a hidden one."""
    running = subprocess.Popen(
        [*ROOKERY, "demo", "--headless", "--json", "--out", str(tmp_path / "demo")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a test run started in the background has a shell that ignores Ctrl-C for it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert running.stderr is not None
    while (line := running.stderr.readline()) and "planning" not in line:
        pass
    running.send_signal(signum)
    stdout, stderr = running.communicate(timeout=900)
    assert running.returncode == 128 + signum
    assert stdout == ""
    assert "Stopped" in stderr and "Traceback" not in stderr
    assert not list(tmp_path.iterdir())


TWICE = """
import signal
from rookery.doors.cli.stopping import Stopped, uninterrupted, watch_signals
watch_signals()
try:
    with uninterrupted():
        signal.raise_signal(signal.SIGTERM)
        print("whole")
    print("never")
except Stopped as stopped:
    print(stopped.signum)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    print("cleaned up")
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are a POSIX matter")
def test_what_the_first_signal_begins_no_other_interrupts():
    """What must be whole is finished before the program is stopped; then more signals change nothing."""
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "whole\n15\ncleaned up\n"), done.stderr


TWICE_WHILE_IMPROVED = """
import signal, sys
from rookery.doors.cli.stopping import Stopped, best_so_far, watch_signals
signal.signal(signal.SIGINT, signal.default_int_handler)
watch_signals()
try:
    try:
        with best_so_far():
            signal.raise_signal(int(sys.argv[1]))
    finally:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        print("cleaned up")
except Stopped as stopped:
    print(stopped.signum)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are a POSIX matter")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_what_a_signal_begins_while_a_plan_is_improved_no_other_interrupts(signum):
    """Ctrl-C that no planner answers, or termination, removes what is half-made; more signals change nothing."""
    command = [sys.executable, "-c", TWICE_WHILE_IMPROVED, str(int(signum))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"cleaned up\n{int(signum)}\n"), done.stderr


def test_a_fault_of_ours_is_one_sentence(tmp_path):
    """A broken installation ends with 70 and says how to see where; the traceback comes only when asked for."""
    code = "import sys; sys.modules['polars'] = None; sys.argv = ['rookery', 'validate', 'feed']\n"
    code += "from rookery.doors.cli.main import main; main()"
    for asked in ("", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, "ROOKERY_TRACEBACK": asked},
            check=False,
        )
        assert ("Traceback" in done.stderr) == bool(asked)
        assert asked or (done.returncode == 70 and "ROOKERY_TRACEBACK=1" in done.stderr)


def test_bytes_that_are_no_text_are_told(tmp_path):
    """A word of the command that is not UTF-8 is a mistake of whoever wrote it, not a fault of ours."""
    code = "from rookery.doors.cli.main import main; main()"
    words = ["closure", "add", "X", "--until", "1d", "--reason", b"x\xff", "--data", str(tmp_path / "data")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Rookery itself failed" not in done.stderr and "Next:" in done.stderr


def test_a_horizon_beyond_ten_years_is_not_understood(tiny):
    """--horizon-days is held to its bounds before anything is read."""
    done = rookery("plan", tiny / "feed", tiny / "orders.csv", "--out", tiny / "far", "--horizon-days", 4000)
    assert done.returncode == 2 and "3650" in done.stderr
    assert not (tiny / "far").exists()


def test_the_current_folder_is_refused_before_the_work(tiny, tmp_path):
    """`--out .` cannot be renamed into place: it is refused at once, and the folder stays empty."""
    done = process("plan", tiny / "feed", tiny / "orders.csv", "--out", ".", cwd=tmp_path)
    assert done.returncode == 1 and "output.cannot_be_replaced" in done.stderr and "Next:" in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_sample_spares_a_feed_made_by_hand(tmp_path):
    """Somebody's feed is not taken for an earlier sample."""
    (tmp_path / "feed.json").write_text('{"name": "mine", "version": "1", "currency": "EUR"}')
    done = rookery("network", "sample", "--out", tmp_path)
    assert done.returncode == 1 and "left alone" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["feed.json"]
