"""How a system of record comes up, by several programs at once, and what is left of one that was killed: nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from ports import held_port
from serving_world import THROW_AWAY, Served

from rookery.app import House, make_ready, wire
from rookery.base.clock import WALL
from rookery.base.db import MAIN, Cluster, Database, upgrade

ENDS_S = 300.0


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder with a short name: sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="rookery-up-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def until(look: Callable[[], bool], what: str) -> None:
    """Looks again until it is so."""
    over = time.monotonic() + ENDS_S
    while not look():
        assert time.monotonic() < over, what


def test_several_programs_make_it_ready_at_once(data: Path):
    """On the first start the server, the worker and a command may all be first: none fails, all is there once."""
    with Cluster(data, changed=THROW_AWAY) as cluster:
        upgrade(cluster.url(MAIN))
        with Database.open(cluster, size=12) as database, ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda _: make_ready(database), range(6)))
            for test in (False, True):
                with database.transaction("", frozenset({"system"}), test) as conn:
                    assert conn.execute("select count(*) from waybill.ranges where shared").fetchone() == (1,)


def test_ready_when_all_is_there_and_not_before(data: Path):
    """GET /ready is 503 until the migrations are applied and the tables of jobs and keys are made."""
    with Cluster(data, changed=THROW_AWAY) as cluster, Database.open(cluster, size=4) as database:
        server = Served(data, cluster, House(data, database, WALL, wire(data, database)), data / "server.log")
        server.start(ready=False)
        try:
            told = server.ask("GET", "/ready")
            assert (told.status, told.code, "retry-after" in told.headers) == (503, "database.not_set_up", True)
            assert "base/0001_base.sql" in told.json["detail"]
            upgrade(cluster.url(MAIN))
            told = server.ask("GET", "/ready")
            assert (told.status, told.code) == (503, "database.not_set_up")
            assert "keys" in told.json["detail"] and "jobs" in told.json["detail"]
            make_ready(database)
            assert server.ask("GET", "/ready").status == 200
        finally:
            server.stop()


def processes(data: Path) -> set[int]:
    """Processes that were started for a data folder, this one and what it waits for left out."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                environ, command = (entry / "environ").read_bytes(), (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state != "Z" and (str(data).encode() in command or b"ROOKERY_HOME=" + str(data).encode() in environ):
                found.add(int(entry.name))
    return found


def kill(numbers: set[int]) -> None:
    """Ends what is left of a test that failed."""
    for number in numbers:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def begin(data: Path, port: int) -> subprocess.Popen[bytes]:
    """`rookery serve` in a process of its own."""
    command = [sys.executable, "-m", "rookery.doors.cli.main", "serve", "--port", str(port), "--json"]
    with (data / "serve.log").open("ab") as log:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env={**os.environ, "ROOKERY_HOME": str(data)}
        )


def serve(data: Path, port: int) -> subprocess.Popen[bytes]:
    """The same, ready."""
    started = begin(data, port)
    assert started.stdout is not None
    line = started.stdout.readline()
    assert line, (data / "serve.log").read_text()[-2000:]
    assert json.loads(line) == {"url": f"http://127.0.0.1:{port}"}
    return started


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks processes up in /proc")
def test_nothing_is_left_of_a_server_that_was_killed(data: Path):
    """After kill -9 of `rookery serve` the next one comes up at once on the same port; after kill -9 of that, of its
    HTTP server too, all its processes end by themselves, PostgreSQL last.
    """
    try:
        with held_port() as port:
            serve(data, port).kill()
            second = serve(data, port)
        [door] = [number for number in children(second.pid) if b"rookery.doors.http" in command_of(number)]
        assert len(processes(data)) > 4
        second.kill()
        os.kill(door, signal.SIGKILL)
        second.wait()
        until(lambda: not processes(data), "some are still there")
    finally:
        kill(processes(data))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_server_that_is_stopped_while_it_starts(data: Path, signum: signal.Signals):
    """From the moment PostgreSQL lives: two signals in a row, or a kill before there is any other process."""
    started = begin(data, 0)
    try:
        until((data / "postgres" / "postmaster.pid").exists, "PostgreSQL does not come")
        for _ in range(2):
            started.send_signal(signum)
        told, _ = started.communicate()
        assert (told, started.returncode) == (b"", 143 if signum == signal.SIGTERM else -9)
        until(lambda: not processes(data), "some are still there")
        said = (data / "serve.log").read_text()
        assert ("Stopped" in said) == (signum == signal.SIGTERM) and "ignored" not in said
    finally:
        kill(processes(data))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks processes up in /proc")
def test_a_door_that_is_still_starting_ends_when_it_is_told(data: Path):
    """SIGTERM as soon as its worker process is there, which serves nobody yet: it need not be killed."""
    log = data / "door.log"
    with Cluster(data, changed=THROW_AWAY), log.open("wb") as said:
        command = [sys.executable, "-m", "rookery.doors.http", "127.0.0.1", "0", str(data)]
        door = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        try:
            until(lambda: bool(children(door.pid)), "no worker process comes")
            door.terminate()
            assert door.wait(ENDS_S) == 0
            assert log.read_text() == ""
        finally:
            door.kill()


def children(parent: int) -> list[int]:
    """The processes that one started."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and f"\nPPid:\t{parent}\n" in (entry / "status").read_text():
                found.append(int(entry.name))
    return found


def command_of(number: int) -> bytes:
    """The words of a process; none when it has ended."""
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return b""
