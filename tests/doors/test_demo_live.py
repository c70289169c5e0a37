"""The live demo, tiny and for a few seconds: parcels move over real HTTP, and nothing of it is left running."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from rookery.base.clock import clock_in
from rookery.doors.cli.live.dashboard import line, page
from rookery.doors.cli.live.figures import Figures, Wanted
from rookery.doors.cli.live.house import BEGINS, Folder, opened
from rookery.terms.errors import Conflict
from rookery.twin.live import STATES

COMMAND = [sys.executable, "-m", "rookery.doors.cli.main"]
ENDS_S = 900.0
GONE_S = 60.0


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A folder with a short name: sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="rookery-live-"))
    yield folder / "demo"
    shutil.rmtree(folder, ignore_errors=True)


def demo(root: Path, *more: str) -> subprocess.Popen[str]:
    """A demo with a process of its own, slow machines' patience included."""
    command = [*COMMAND, "demo", "--size", "tiny", "--json", "--out", str(root), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def left_of(root: Path) -> list[str]:
    """Commands of processes that were started for the folder and go on; PostgreSQL's warden ends a second after it."""
    until = time.monotonic() + GONE_S
    while (found := alive_of(root)) and time.monotonic() < until:
        pass
    return found


def alive_of(root: Path) -> list[str]:
    """Commands of processes that were started for the folder, those on their way out left apart."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command, state = (entry / "cmdline").read_bytes(), (entry / "stat").read_text()
            except OSError:
                continue
            if str(root).encode() in command and state.rpartition(")")[2].split()[0] != "Z":
                found.append(command.replace(b"\0", b" ").decode())
    return found


def test_parcels_move_until_it_is_stopped(root: Path):
    """Orders come in, a wave books them, couriers' scans are taken, none is refused; SIGTERM ends it with exit code 0,
    a summary, and no process left. What it kept is taken up by the next start, which ends by itself.
    """
    first = demo(root)
    assert first.stderr is not None
    for told in first.stderr:  # a line every few seconds, until parcels move
        if "running" in told and " scans 0 " not in told:
            break
    first.send_signal(signal.SIGTERM)
    out, err = first.communicate(timeout=ENDS_S)
    assert first.returncode == 0, err[-2000:]
    summary = json.loads(out)
    assert summary["booked"] > 0 and summary["waves"] >= 1
    assert summary["scans"]["taken"] > 0 and summary["scans"]["refused"] == 0
    assert sum(summary["parcels"].values()) == summary["booked"]
    assert left_of(root) == []
    stood = clock_in(Folder(root).data).now()
    assert stood > BEGINS and stood == clock_in(Folder(root).data).now()

    again = demo(root, "--seconds", "4")
    out, err = again.communicate(timeout=ENDS_S)
    assert again.returncode == 0, err[-2000:]
    later = json.loads(out)
    assert sum(later["parcels"].values()) >= summary["booked"] and later["scans"]["taken"] > 0
    assert clock_in(Folder(root).data).now() > stood
    assert left_of(root) == []


def test_its_folder_is_its_own(tmp_path: Path):
    """What is no demo's folder is left alone, and so is one of another size; --reset begins anew."""
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(Conflict, match="left alone"), opened(Wanted(tmp_path)):
        pass
    root = tmp_path / "demo"
    with opened(Wanted(root, size="tiny")) as folder:
        (folder.data / "kept").touch()
    with pytest.raises(Conflict, match="holds a demo of size tiny"), opened(Wanted(root, size="country")):
        pass
    with opened(Wanted(root, size="tiny")) as folder:
        assert (folder.data / "kept").exists()
    with opened(Wanted(root, size="country", reset=True)) as folder:
        assert list(folder.data.iterdir()) == []
    assert [file.name for file in tmp_path.iterdir() if file.name != "demo"] == ["mine.txt"]


def shown(figures: Figures, width: int, height: int) -> str:
    """The page as text."""
    console = Console(width=width, height=height, file=io.StringIO(), record=True)
    console.print(page(figures, "demo-live/data"))
    return console.export_text()


def test_the_page_shows_what_there_is():
    """Before anything is known the page says so; afterwards the clock, counts, cases, closures and what to try."""
    figures = Figures(Wanted(Path("demo-live")))
    empty = shown(figures, 120, 40)
    assert "not known yet" in empty and "nothing needs anybody" in empty and "everything is open" in empty
    figures.now, figures.doing, figures.speed, figures.hub = BEGINS, "running", 600.0, "CAN-HUB"
    figures.states = dict.fromkeys(STATES, 1_234)
    figures.chances, figures.known = [0, 0, 0, 0, 3, 4, 5, 6, 7, 8], 33
    figures.cases_open = figures.cases_seen = 9
    case = {
        "case_id": "cas_1", "kind": "closure", "cause": "closure:clo_1", "reason": "CAN-HUB [is] closed",
        "parcels": 10_000, "value": 250_000.0, "currency": "EUR", "worst_chance": 0.25, "moves": 9_876,
        "opened_at": "2026-09-15T08:30:00Z",
    }  # fmt: skip
    figures.cases = [case] * 9
    closure = {"node_id": "CAN-HUB", "lane_id": None, "departure_id": None, "until_at": "2026-09-16T00:00:00Z"}
    figures.closures = [closure]
    figures.tell("a wave booked 874")
    full = shown(figures, 120, 42)
    for word in (
        "Tuesday 15 September 2026  06:00 UTC", "600×", "running", "2,468", "90–100 %", "CAN-HUB [is] closed",
        "10,000", "250,000 EUR", "25 %", "9,876", "1 more not shown", "until 09-16 00:00", "a wave booked 874",
        "rookery closure add CAN-HUB --until 12h --data demo-live/data",
    ):  # fmt: skip
        assert word in full, (word, full)
    for width, height in ((60, 20), (200, 60)):
        shown(figures, width, height)
    assert "delivered 1,234" in line(figures) and "under way 6,170" in line(figures)


def test_scans_a_second_are_counted_and_the_first_is_noted():
    """The first scan that is taken is the first movement; none is forgotten."""
    figures = Figures(Wanted(Path("demo-live")))
    figures.scanned(0)
    assert figures.first_movement_s is None
    figures.scanned(7)
    figures.scanned(3)
    assert figures.taken == 10 and figures.scans_per_s > 0
    assert figures.first_movement_s is not None and figures.first_movement_s <= time.monotonic() - figures.began
