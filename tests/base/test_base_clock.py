"""The simulated clock: one instant for all processes, never going back, standing still when it is told to."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.base.clock import FILE, WALL, Driver, Rule, clock_in, clock_of
from rookery.terms.errors import InvalidInput

START = datetime(2026, 9, 15, 6, tzinfo=UTC)


def test_it_stands_until_it_is_resumed(tmp_path: Path):
    """A clock that was made stands at its instant, for its driver and for everyone who reads its file."""
    driver = Driver.make(tmp_path / FILE, START, 600)
    assert driver.now() == clock_of(tmp_path / FILE).now() == START
    driver.resume()
    clock = clock_of(tmp_path / FILE)
    while clock.now() == START:
        pass
    driver.pause()
    stands = clock.now()
    assert stands == clock.now() == clock.now() > START


def test_it_never_goes_back(tmp_path: Path):
    """Whatever its driver does, whoever reads it sees instants that do not fall."""
    driver = Driver.make(tmp_path / FILE, START, 1e6)
    clock = clock_of(tmp_path / FILE)
    seen = []
    for turn in range(500):
        for change in (driver.resume, driver.pause, partial(driver.set_speed, 1 + turn), partial(driver.run_on, 0.001)):
            change()
            seen += [clock.now(), clock.now()]
    assert all(earlier <= later for earlier, later in pairwise(seen))


def test_two_processes_agree(tmp_path: Path):
    """Another process reads the same instant from the file, also after the driver has changed it."""
    driver = Driver.make(tmp_path / FILE, START, 1e6)
    code = (
        "import sys; from pathlib import Path; from rookery.base.clock import clock_of\n"
        "clock = clock_of(Path(sys.argv[1]))\n"
        "for line in sys.stdin: print(clock.now().isoformat(), flush=True)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / FILE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin and other.stdout
    mine = clock_of(tmp_path / FILE)
    for _ in range(20):
        driver.resume()
        before = mine.now()
        other.stdin.write("\n")
        other.stdin.flush()
        between = datetime.fromisoformat(other.stdout.readline().strip())
        assert before <= between <= mine.now()
        driver.pause()
        other.stdin.write("\n")
        other.stdin.flush()
        assert datetime.fromisoformat(other.stdout.readline().strip()) == driver.now() == mine.now()
    other.stdin.close()
    assert other.wait() == 0


def test_a_driver_that_is_gone_leaves_it_standing(tmp_path: Path):
    """After the time it may run without a word it stands, and whoever drives it next goes on from there."""
    driver = Driver.make(tmp_path / FILE, START, 1e6)
    driver.resume()
    driver.run_on(0.002)
    clock, rule = clock_of(tmp_path / FILE), driver.rule
    end = rule.at(rule.until)
    while clock.now().timestamp() * 1e6 < end - 1:
        pass
    stands = clock.now()
    assert stands == clock.now() and stands > START + timedelta(seconds=1999)
    again = Driver(tmp_path / FILE)
    again.pause()
    assert abs(again.now() - stands) <= timedelta(microseconds=1)


@given(
    st.integers(0, 4 * 10**15), st.integers(0, 10**15), st.integers(0, 10**15),
    st.floats(0.001, 1e6), st.lists(st.integers(0, 3 * 10**15), min_size=2, max_size=6),
)  # fmt: skip
def test_a_rule_only_goes_forward(origin: int, since: int, runs: int, speed: float, steady: list[int]):
    """By any rule later readings of the steady clock mean no earlier instant; before its begin it is the origin."""
    rule = Rule(origin, since, since + runs, speed, 0)
    at = [rule.at(reading) for reading in sorted(steady)]
    assert at == sorted(at) and at[0] >= origin
    assert rule.at(since + runs) == rule.at(since + runs + 10**9)
    assert rule._replace(paused=1).at(max(steady)) == origin


def test_a_folder_without_the_file_goes_by_the_wall(tmp_path: Path):
    """Only the file makes time simulated; what is no clock's file is refused, and so is a speed that makes no sense."""
    assert clock_in(tmp_path) is WALL
    (tmp_path / FILE).write_bytes(b"noon")
    with pytest.raises(InvalidInput, match="is no simulated clock"):
        clock_in(tmp_path)
    for speed in (0, -1, 1e7, float("nan")):
        with pytest.raises(InvalidInput, match="times as fast"):
            Driver.make(tmp_path / FILE, START, speed)
    assert Driver.make(tmp_path / FILE, START, 60).now() == clock_in(tmp_path).now() == START
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
