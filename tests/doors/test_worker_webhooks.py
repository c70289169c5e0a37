"""Workers tell endpoints what happened: one at a time, and whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from receiving import PATIENCE_S, Answer, Receiver, receiving
from serving_world import THROW_AWAY

from rookery.app import House, open_house
from rookery.base import outbox
from rookery.base.clock import WALL
from rookery.base.db import Cluster, Database
from rookery.base.jobs import Desk
from rookery.base.signing import Signer
from rookery.base.webhooks.endpoints import add_endpoint
from rookery.base.webhooks.targets import VARIABLE
from rookery.doors.worker.delivering import start

SHOP = "pty_shop"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv(VARIABLE, "1")
    with receiving() as started:
        yield started


def tell(where: Desk | House, *keys: str) -> None:
    rows = [(False, "parcel.milestone", key, [SHOP], WALL.now(), f'{{"number":"{key}"}}') for key in keys]
    with where.context() as ctx:
        outbox.add(ctx.conn, pl.DataFrame(rows, schema=outbox.NEWS, orient="row"))


def listen(where: Desk | House, url: str) -> None:
    with where.context() as ctx:
        add_endpoint(ctx.conn, SHOP, False, url, (), "", False, WALL.now())


def ended(thread: threading.Thread) -> None:
    """Returns when a thread that was told to stop has."""
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_one_worker_tells_and_another_takes_over(make_database: Callable[..., Database], receiver: Receiver) -> None:
    """Two threads, one connection with the lock; when the first stops the second goes on, and nothing is told twice."""
    desk = Desk(make_database(), WALL, {Signer: Signer(bytes(32))})
    listen(desk, receiver.url)
    stops = [threading.Event(), threading.Event()]
    threads = [thread for stop in stops for thread in start(desk, stop, again_s=0.05)]
    for first, (stop, thread) in enumerate(zip(stops, threads, strict=True)):
        tell(desk, "a", "b", "c")
        receiver.wait_for(3 * first + 3)
        stop.set()
        ended(thread)
    assert len(receiver.ids) == len(set(receiver.ids)) == 6


def test_a_worker_without_a_key_to_sign_with_tells_nothing(make_database: Callable[..., Database]) -> None:
    """It has no such thread."""
    assert start(Desk(make_database(), WALL), threading.Event()) == []


def test_a_database_that_is_lost_and_back_is_waited_for(
    make_database: Callable[..., Database], receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    """All connections are cut while a message is under way: it is told again, under its id, and then the next."""
    database, stop = make_database(), threading.Event()
    desk = Desk(database, WALL, {Signer: Signer(bytes(32))})
    listen(desk, receiver.url)

    def cut(_: object) -> Answer:
        with database.owner() as conn:
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
                " and pid <> pg_backend_pid()"
            )
        receiver.answer = lambda heard: Answer(200)
        return Answer(200)

    receiver.answer = cut
    tell(desk, "a", "a")
    [thread] = start(desk, stop, again_s=0.05)
    receiver.wait_for(2)
    tell(desk, "b")
    receiver.wait_for(3, distinct=True)
    stop.set()
    ended(thread)
    with database.owner() as conn:
        assert conn.execute("select distinct state from base.deliveries").fetchall() == [("delivered",)]


@contextmanager
def worker(data: Path) -> Iterator[subprocess.Popen]:
    """A worker's process, killed in the end."""
    words = [sys.executable, "-m", "rookery.doors.worker", "--data", str(data)]
    with (data / "worker.log").open("ab") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, VARIABLE: "1"})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_has_just_begun_ends_well(tmp_path: Path, signum: signal.Signals) -> None:
    """Told to end by its first line, before it waits for jobs, it says that it stopped, with exit code 0."""
    with Cluster(tmp_path, changed=THROW_AWAY), open_house(tmp_path):
        words = [sys.executable, "-m", "rookery.doors.worker", "--data", str(tmp_path)]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert "worker.started" in process.stderr.readline()
            process.send_signal(signum)
            assert "worker.stopped" in process.stderr.readlines()[-1]
            assert process.wait(PATIENCE_S) == 0


def test_a_worker_that_is_killed_in_the_middle_loses_nothing(tmp_path: Path, receiver: Receiver) -> None:
    """kill -9 while messages are with the receiver and not answered: the next worker tells all, in order, under the
    same ids; SIGTERM then ends it well.
    """
    with Cluster(tmp_path, changed=THROW_AWAY), open_house(tmp_path) as house:
        listen(house, receiver.url)
        tell(house, "a", "a", "b")
        receiver.answer = lambda heard: Answer(hangs=True)
        with worker(tmp_path) as first:
            receiver.wait_for(2)
            first.send_signal(signal.SIGKILL)
            first.wait()
        receiver.answer = lambda heard: Answer(200)
        with worker(tmp_path) as second:
            receiver.wait_for(5)
            second.send_signal(signal.SIGTERM)
            assert second.wait(PATIENCE_S) == 0
        with house.context() as ctx:
            states = ctx.conn.execute("select key, state, event_id from base.deliveries order by seq").fetchall()
    assert [(key, state) for key, state, _ in states] == [("a", "delivered"), ("a", "delivered"), ("b", "delivered")]
    first_a, second_a, b = (event_id for _, _, event_id in states)
    assert sorted(receiver.ids[:2]) == sorted([first_a, b])
    assert [one for one in receiver.ids[2:] if one != b] == [first_a, second_a]
