"""The commands under capacity: what a plan tells of its gap, the worth of room, and Ctrl-C while it is improved."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

import rookery as rk
from rookery.doors.cli.capacity_tables import print_utilisation
from rookery.doors.cli.console import stage_name
from rookery.doors.cli.main import main
from rookery.network import read_feed, sample_network
from rookery.orders import sample_orders, write_orders

ROUTE = ["--from", "CN-SHENZHEN-W1", "--to", "DE:10115", "--ready-at", "2026-09-15T10:00+08:00", "--weight-g", "800"]


@pytest.fixture(scope="module")
def scarce(tmp_path_factory) -> Path:
    """A folder with feed/ (the tiny sample with a few seats a departure), orders.csv (300 orders) and plan/."""
    folder = tmp_path_factory.mktemp("scarce")
    sample_network("tiny", 7, folder / "feed")
    departures = pl.read_csv(folder / "feed" / "departures.csv", infer_schema=False)
    departures.with_columns(capacity_parcels=pl.lit("12"), capacity_g=pl.lit("20000")).write_csv(
        folder / "feed" / "departures.csv"
    )
    write_orders(sample_orders(read_feed(folder / "feed"), 300, 7), folder / "orders.csv")
    kept = sys.argv
    sys.argv = ["rookery", "plan", *(str(folder / name) for name in ("feed", "orders.csv")), "--out",
                str(folder / "plan"), "--outcomes", "1", "--seconds", "1", "--json"]  # fmt: skip
    with pytest.raises(SystemExit) as end:
        main()
    sys.argv = kept
    assert not end.value.code
    return folder


@pytest.fixture
def rookery(scarce, monkeypatch, capsys):
    """Runs a command in the folder `scarce`: (exit code, stdout, stderr)."""
    monkeypatch.chdir(scarce)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rookery", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    return run


def test_a_plan_under_capacity_tells_its_gaps_and_the_fullest_departures(rookery, tmp_path):
    """Both gaps, refusals, iterations and the fullest departures are told; the plan holds against the check."""
    settings = ("--outcomes", 1, "--gap", 0.9, "--seconds", 5, "--prices", "plan")
    code, told, _ = rookery("plan", "feed", "orders.csv", "--out", tmp_path / "plan", *settings)
    assert code == 0
    for part in ("proved gap", "congestion gap", "refused for lack of room", "iterations", "fullest departures"):
        assert part in told
    assert "over capacity" not in told
    code, told, _ = rookery("check", "feed", "orders.csv", tmp_path / "plan", "--sample", 20)
    assert code == 0, told


def test_capacity_ranks_what_room_is_worth(rookery, tmp_path):
    """Departures, lanes and what goes empty are told in tables and drawn; JSON is one line with the same rankings."""
    code, told, aside = rookery("capacity", "feed", "plan", "--top", 3, "--out", tmp_path / "c.png")
    assert code == 0 and "c.png" in aside
    for part in ("one more seat", "Lanes: what one more", "Flown empty", "saves, EUR"):
        assert part in told
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    code, told, _ = rookery("capacity", "feed", "plan", "--top", 3, "--json")
    answer = json.loads(told)
    assert code == 0 and told.count("\n") == 1
    assert len(answer["seats"]) == 3 and answer["full"] > 0 and answer["empty_lanes"]
    worth = [row["seat"] for row in answer["seats"]]
    assert worth == sorted(worth, reverse=True)


def test_a_departure_without_a_seat_is_ranked_as_full(make_feed, make_orders):
    """One more seat on a departure that has none would save something too; it stands in the table as 0 of 0, full."""
    trucks = {"early": (840, 1.0), "none": (900, 0.0), "late": (1200, 10.0)}
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[
            {"departure_id": name, "lane_id": "AB", "depart_minute": minute, "capacity_parcels": seats}
            for name, (minute, seats) in trucks.items()
        ],
        services=[{"service_id": "s", "due_hours": 4.0}],
    )
    orders = make_orders(*({"from_node": "A", "to_node": "B", "service_id": "s"} for _ in range(4)))
    found = rk.utilisation(feed, rk.plan(feed, orders, outcomes=1, seconds=1.0))
    assert "none" in found.dearest("seat", 9)["departure_id"].to_list()
    told = StringIO()
    print_utilisation(found, feed, 9, Console(file=told, width=200))
    (row,) = (line for line in told.getvalue().splitlines() if "0 of 0" in line)
    assert "100.0%" in row


def test_a_picture_is_a_png(rookery):
    """Another kind of file is not understood: exit code 2, before anything is read."""
    code, told, aside = rookery("capacity", "nowhere", "plan", "--out", "c.pdf")
    assert (code, told) == (2, "") and "--out" in aside


def test_a_plan_of_another_feed_is_refused(rookery, scarce, tmp_path):
    """A feed that was edited since the plan was made: capacity and promise end with 1 and say what to do."""
    for file in (scarce / "feed").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    nodes = (tmp_path / "nodes.csv").read_text()
    (tmp_path / "nodes.csv").write_text(nodes.replace("DE-BERLIN,Berlin", "DE-BERLIN,Neu-Berlin"))
    for command in (("capacity", tmp_path, "plan"), ("promise", tmp_path, *ROUTE, "--prices", "plan")):
        code, told, aside = rookery(*command)
        assert (code, told) == (1, "") and "plan.another_feed" in aside and "Next:" in aside


def test_a_promise_under_prices_shows_both_parts(rookery):
    """With --prices the cost of each offer is told in its two parts, in the table and in JSON."""
    _, told, _ = rookery("promise", "feed", *ROUTE, "--prices", "plan", "--outcomes", 1)
    assert "transport" in told and "congestion" in told
    _, told, _ = rookery("promise", "feed", *ROUTE, "--prices", "plan", "--outcomes", 1, "--json")
    offers = json.loads(told)["offers"]
    assert offers[0]["congestion"] > 0
    assert all(offer["cost"] == pytest.approx(offer["transport"] + offer["congestion"]) for offer in offers)
    _, told, _ = rookery("promise", "feed", *ROUTE, "--outcomes", 1)
    assert "congestion" not in told


def test_an_explanation_takes_a_plans_prices(rookery, scarce):
    """`explain --prices` counts them in every option: none is cheaper than without, and some is dearer."""
    dearer = 0
    for order in rk.read_plan(scarce / "plan").parcels["order_id"][:5]:
        ask = ("explain", "feed", "orders.csv", order, "--outcomes", 1, "--json")
        free, priced = (json.loads(rookery(*ask, *more)[1])["cost"] for more in ((), ("--prices", "plan")))
        assert priced >= free - 1e-6
        dearer += priced > free + 1e-6
    assert dearer


def test_stages_are_told_in_words():
    """Every stage of a solve has words of its own, also behind the name of one of two plans."""
    assert stage_name("before: prices") == f"before: {stage_name('prices')}" != "before: prices"
    assert stage_name("check: optima") != "check: optima" and stage_name("unheard of") == "unheard of"


@pytest.mark.skipif(os.name == "nt", reason="signals and terminals are a POSIX matter")
def test_ctrl_c_while_improving_writes_the_best_plan_so_far(scarce, tmp_path):
    """On a terminal, Ctrl-C while prices are sought ends with 130, a plan that holds, marked so, and a sentence."""
    import pty

    master, slave = pty.openpty()
    command = [sys.executable, "-c", "from rookery.doors.cli.main import main; main()", "plan", "feed", "orders.csv"]
    running = subprocess.Popen(
        [*command, "--out", str(tmp_path / "plan"), "--outcomes", "8", "--gap", "0", "--seconds", "120", "--json"],
        cwd=scarce,
        stdout=subprocess.PIPE,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    os.close(slave)
    told = bytearray()
    pricing = threading.Event()

    def read() -> None:
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            told.extend(part)
            if stage_name("prices").encode() in told:
                pricing.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert pricing.wait(900)
    running.send_signal(signal.SIGINT)
    stdout, _ = running.communicate(timeout=900)
    reader.join()
    os.close(master)
    assert running.returncode == 130, told.decode()
    assert "best plan so far" in told.decode() and "Traceback" not in told.decode()
    summary = json.loads(stdout)
    assert summary["interrupted"] and summary["planned"] and summary["capacity_violations"] == 0
    made = rk.read_plan(tmp_path / "plan")
    assert made.summary["interrupted"] is True
    assert rk.check(read_feed(scarce / "feed"), scarce / "orders.csv", made).violations == []
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]
