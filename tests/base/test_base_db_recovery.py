"""Recoveries of the embedded PostgreSQL: let end, whoever waits for them, leaves or is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from cluster_world import QUICK, Interrupted, crash, kill_warden, number, one, state, until, until_ended, waits, wardens

from rookery.base.db import Cluster, locks, postmaster, warden
from rookery.terms.errors import Unavailable

CLOCKED = """
import sys, time
from pathlib import Path
from rookery.base.db import warden
clock = Path(sys.argv.pop(1))
time.monotonic = lambda: float(clock.read_text())
warden.main()
"""
"""A warden whose time is what a file says."""


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def test_a_start_that_is_interrupted_lets_its_recovery_end(data):
    """Ended in the middle of it, recovery would begin anew with each start: it is let reach its checkpoint first."""

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "database: starting":
            raise Interrupted

    crash(data)
    with pytest.raises(Interrupted):
        Cluster(data, changed=QUICK, progress=interrupt).start()
    until_ended(data)
    assert state(data) == "shut down"


@pytest.fixture
def held(data, tmp_path, monkeypatch):
    """While this file is there, a recovery after `recover` does not end, and whoever leaves does not wait for it."""
    monkeypatch.setattr(postmaster, "COMES_UP_S", 0.0)
    file = tmp_path / "held"
    file.touch()
    data.mkdir()
    begins = "mkdir asked.%f"  # the first question for a file is where to begin; the second comes at the end of the log
    holds = f"while test -e {file}; do sleep 0.05; done"
    (data / "postgres.conf").write_text(f"restore_command = '{begins} || {holds}; false'\n")
    yield file
    file.unlink(missing_ok=True)
    until_ended(data)


def recover(data):
    """The next recovery is one that can be held."""
    signal_file = data / "postgres" / "recovery.signal"
    signal_file.touch()
    os.chown(signal_file, (data / "postgres").stat().st_uid, -1)


@pytest.fixture
def recovering(data, held):
    """A cluster that recovers when it starts next, for as long as the file is there."""
    crash(data)
    with (data / "postgres.conf").open("a") as own:
        own.write("hot_standby = off\n")
    recover(data)
    return held


def test_a_recovery_that_is_not_waited_for_is_taken_up(data, recovering):
    """A start out of patience leaves PostgreSQL recovering; the next one waits for the same, which comes up."""
    with pytest.raises(Unavailable, match="a recovery goes on"):
        Cluster(data, changed=QUICK, patience_s=0.0).start()
    assert not warden.ended(data / "run")
    until(lambda: warden.state(data / "postgres") == "starting")  # it may not have written its number yet
    began = int((data / "postgres" / "postmaster.pid").read_text().split()[0])

    def free(stage: str, done: int, total: int) -> None:
        recovering.unlink(missing_ok=True)

    with Cluster(data, changed=QUICK, progress=free) as cluster:
        assert number(cluster) == began
        assert one(cluster, "select a from kept") == 7


def test_a_recovery_that_nobody_waits_for_ends_with_its_checkpoint(data, recovering):
    """What nobody uses is ended by the warden, once it has recovered."""
    with pytest.raises(Unavailable):
        Cluster(data, changed=QUICK, patience_s=0.0).start()
    recovering.unlink()
    until_ended(data)
    assert state(data) == "shut down"


def test_a_recovery_from_a_crash_of_its_own_is_let_end(data, held):
    """One of its processes was killed and it recovers by itself: who leaves meanwhile leaves that to the warden."""
    with Cluster(data, changed=QUICK) as cluster:
        recover(data)
        with psycopg.connect(cluster.url()) as conn:
            os.kill(conn.info.backend_pid, signal.SIGKILL)
        until(lambda: state(data) == "in archive recovery")
        assert warden.state(data / "postgres") == "ready"  # says PostgreSQL all the while
    assert not warden.ended(data / "run")
    held.unlink()
    until_ended(data)
    assert state(data) == "shut down"


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="looks in /proc whether it waits")
def test_a_recovery_that_was_just_waited_for_goes_on(data, recovering, tmp_path):
    """The warden's patience is counted from when somebody last waited, also from one whom it only found starting it."""
    with pytest.raises(Unavailable):
        Cluster(data, changed=QUICK, patience_s=0.0).start()
    clock = tmp_path / "clock"
    clock.write_text("0")
    watch = locks.open_lock(data / "run" / "watch.lock")
    try:
        with locks.exclusive(data / "run" / "start.lock"):  # as one who starts it
            kill_warden(data)
            words = [clock, data / "run", data / "postgres", data / "postgres" / "rookery.conf"]
            subprocess.run([sys.executable, "-c", CLOCKED, *words], check=True)
            [clocked] = wardens(data)
            until(lambda: waits(clocked))
            clock.write_text(str(2 * warden.RECOVERY_S))
            locks.share(watch)
        until(lambda: waits(clocked) or warden.ended(data / "run"))
        assert not warden.ended(data / "run")
    finally:
        os.close(watch)
