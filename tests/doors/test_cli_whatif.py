"""The command `whatif`: what it prints, writes and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rookery.doors.cli.main import main
from rookery.flows.whatif import COMPARISON_FOLDER
from rookery.network import read_feed, sample_network
from rookery.orders import sample_orders, write_orders


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A folder with feed/ and orders.csv (60 orders)."""
    folder = tmp_path_factory.mktemp("whatif")
    feed = read_feed(sample_network("tiny", 7, folder / "feed"))
    write_orders(sample_orders(feed, 60, 7), folder / "orders.csv")
    return folder


@pytest.fixture
def whatif(tiny, monkeypatch, capsys):
    """Runs the command on the tiny network: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        words = ["rookery", "whatif", tiny / "feed", tiny / "orders.csv", "--outcomes", 1, *arguments]
        monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    return run


def test_it_tells_what_a_closed_hub_does_and_draws_it(whatif, tmp_path):
    """Figures, services, countries, promises and lanes are told; both plans, the tables and a picture are written."""
    span = ("--from", "2026-09-15T12:00Z", "--until", "2026-09-18T00:00Z")
    code, told, _ = whatif("--close", "LEJ-HUB", *span, "--out", tmp_path / "out")
    assert code == 0
    for part in ("LEJ-HUB closed from", "By service", "By country of destination", "Promised dates", "fullest"):
        assert part in told
    assert {file.name for file in (tmp_path / "out").iterdir()} == COMPARISON_FOLDER.holds
    assert (tmp_path / "out" / "whatif.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_one_line_with_both_plans(whatif):
    """With --json stdout is one line that holds the figures of both plans; changes combine."""
    changes = ("--scale-volume", 1.5, "--drop-lane", "LEJ-HUB:DE-BERLIN:ROAD-A")
    code, told, _ = whatif(*changes, "--json")
    assert code == 0 and told.count("\n") == 1
    answer = json.loads(told)
    assert (answer["before"]["parcels"], answer["after"]["parcels"], len(answer["changes"])) == (60, 90, 2)
    assert answer["services"] and answer["countries"][0]["country"] == "DE"


@pytest.mark.parametrize("arguments", [(), ("--from", "2026-09-15T12:00Z", "--scale-volume", 2), ("--scale-volume", 0)])
def test_nothing_to_compare_is_not_understood(whatif, arguments):
    """A call without a change, a span without a node or a volume of nothing ends with 2 before anything is read."""
    code, told, err = whatif(*arguments)
    assert code == 2 and not told and "Invalid value" in err


def test_bad_names_and_files_are_told(whatif, tmp_path):
    """An unknown node comes with one that is near, a faulty file with every fault; exit 1 and no traceback."""
    code, told, err = whatif("--close", "LEJHUB")
    assert code == 1 and not told and "perhaps LEJ-HUB" in err and "Next:" in err
    (tmp_path / "extra.csv").write_text("departure_id,lane_id,calendar_id,depart_time,transit_minutes\nn,x,y,1:00,-1\n")
    code, told, err = whatif("--add-departures", tmp_path / "extra.csv")
    assert code == 1 and "extra.csv:2:transit_minutes" in err


def test_a_foreign_folder_is_refused_before_the_work(whatif, tmp_path):
    """Somebody's files stay as they are."""
    (tmp_path / "letter.txt").write_text("dear")
    code, _, err = whatif("--scale-volume", 2, "--out", tmp_path)
    assert code == 1 and "left alone" in err
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_exit_1_when_nothing_is_left_to_plan(whatif):
    """When no parcel can be planned with the changes the comparison is told and the exit code is 1."""
    nodes = ("CN-SHENZHEN-W1", "DE-LEIPZIG-W1", "DE-BERLIN", "DE-HAMBURG", "DE-MUNICH", "DE-BERLIN-L1", "DE-HAMBURG-S1")
    code, told, _ = whatif(*(word for node in nodes for word in ("--close", node)))
    assert code == 1 and "no longer planned" in told


def test_without_matplotlib_the_rest_is_written(tiny, tmp_path):
    """Where matplotlib is not installed one sentence says so, and everything but the picture is there."""
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        f"sys.argv = ['rookery', 'whatif', {str(tiny / 'feed')!r}, {str(tiny / 'orders.csv')!r}, '--scale-volume', '2',"
        " '--outcomes', '1', '--out', 'out']\n"
        "from rookery.doors.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "matplotlib is not installed" in done.stderr and "rookery[pictures]" in done.stderr
    assert {file.name for file in (tmp_path / "out").iterdir()} == COMPARISON_FOLDER.holds - {"whatif.png"}
