"""The demo, on a tiny network: its files, its page and its last line."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from rookery.doors.cli.demo import DEMO, run_demo
from rookery.flows.planning import PLAN_FOLDER
from rookery.network.sample import SAMPLE
from rookery.terms.errors import Conflict


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A finished demo folder."""
    out = tmp_path_factory.mktemp("demo") / "out"
    assert run_demo(out, headless=True, as_json=True, size="tiny", count=80) == 0
    return out


def test_everything_is_there(demo):
    """Network, orders, plan, three pictures and a page are written; nothing is left beside them."""
    assert {file.name for file in demo.iterdir()} == {
        "feed",
        "orders.parquet",
        "plan",
        "map.png",
        "histogram.png",
        "twin.png",
        "index.html",
    }
    assert [file.name for file in demo.parent.iterdir()] == ["out"]
    for name in ("map.png", "histogram.png", "twin.png"):
        assert (demo / name).read_bytes().startswith(b"\x89PNG")


def test_the_page_needs_nothing_else(demo):
    """The page links to nothing outside itself, runs no script and embeds all pictures."""
    page = (demo / "index.html").read_text()
    assert not re.search(r"https?://|<script|<link|src=\"(?!data:)", page)
    assert page.count("data:image/png;base64,") == 3
    assert "promised by" in page


def test_files_name_where_they_are(demo):
    """The plan's manifest names the feed and the orders where they lie, not where they were written aside."""
    manifest = json.loads((demo / "plan" / "manifest.json").read_text())
    assert manifest["feed"]["source"] == str(demo / "feed")
    assert manifest["orders"]["source"] == str(demo / "orders.parquet")


def test_json_ends_with_the_summary(tmp_path, capsys):
    """With --json stdout is one line, the summary with the check's count and the rehearsal; tables go to stderr."""
    assert run_demo(tmp_path / "out", headless=True, as_json=True, size="tiny", count=20) == 0
    told = capsys.readouterr()
    answer = json.loads(told.out)
    assert answer["check_violations"] == 0
    summary = json.loads((tmp_path / "out" / "plan" / "summary.json").read_text())
    rehearsal = answer.pop("rehearsal")
    assert {**summary, "check_violations": 0} == answer
    assert rehearsal["policy"] == "follow" and rehearsal["predicted_on_time"] == summary["on_time_expected"]


def test_without_matplotlib_the_rest_is_made(tmp_path):
    """Where matplotlib is not installed one sentence says so, and everything but the pictures is there."""
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from pathlib import Path; from rookery.doors.cli.demo import run_demo\n"
        "sys.exit(run_demo(Path('out'), headless=True, as_json=False, size='tiny', count=20))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "matplotlib is not installed" in done.stderr and "rookery[pictures]" in done.stderr
    assert "Try next" in done.stdout
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"feed", "orders.parquet", "plan", "index.html"}


def test_a_web_site_is_no_earlier_demo(tmp_path):
    """A folder with somebody's index.html is left alone; the demo's own page says whose it is."""
    (tmp_path / "index.html").write_text("<html>My site</html>")
    with pytest.raises(Conflict, match="left alone"):
        run_demo(tmp_path, headless=True, as_json=True, size="tiny", count=20)
    assert (tmp_path / "index.html").read_text() == "<html>My site</html>"


def test_an_earlier_demo_is_known_by_its_page(demo):
    """What the demo writes is what it would replace, and nothing more."""
    DEMO.refuse_foreign(demo)
    assert {file.name for file in demo.iterdir()} == DEMO.holds
    assert PLAN_FOLDER.holds >= {file.name for file in (demo / "plan").iterdir()}
    assert SAMPLE.holds == {file.name for file in (demo / "feed").iterdir()}
