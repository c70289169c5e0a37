"""The live side of workers: one of several is live, outlives what fails, and leaves nothing unlooked at."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from rookery.base.db import Urls
from rookery.base.jobs import Desk
from rookery.base.operations import Who
from rookery.doors.http.telemetry import log
from rookery.doors.worker import living
from rookery.doors.worker.living import LIVE, Pace, leading, settle, start
from rookery.doors.worker.running import run_worker
from rookery.tracking import chances
from rookery.tracking.epcis.identifiers import sscc_uri

sys.path.insert(0, str(Path(__file__).parents[1] / "flows"))
from record_cases import NOW, Record, make_record

QUICK = Pace(turn=0.01, look=0.02, enter=0.01, again=0.01, lead=0.02)


@pytest.fixture
def urls(make_urls: Callable[[], Urls]) -> Urls:
    return make_urls()


@pytest.fixture
def record(urls: Urls, tmp_path: Path) -> Iterator[Record]:
    with make_record(lambda: urls, tmp_path) as made:
        yield made


def desk_of(record: Record) -> Desk:
    return Desk(record.database, record.context().clock, record.parts)


@dataclass
class Worker:
    """The live side of a worker, as threads of the test's own."""

    record: Record
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Worker:
        parts = {**self.record.parts, living.Outlooks: living.Outlooks()}
        self.threads = start(Desk(self.record.database, self.record.context().clock, parts), self.stop, QUICK)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


def until(look: Callable[[], Any]) -> Any:
    """Looks again until there is something to see."""
    over = time.monotonic() + 300
    while not (seen := look()):
        assert time.monotonic() < over, "waited in vain"
    return seen


def logged(capfd: pytest.CaptureFixture) -> str:
    """All that was logged by now, and not read yet: a thread of its own writes it, line after line."""
    told = ""

    def whole() -> bool:
        nonlocal told
        told += capfd.readouterr().err
        return '"test.read"' in told

    log(NOW, "test.read")
    until(whole)
    return told


def rows(record: Record, query: str, *values: object) -> list[tuple]:
    with record.context(readonly=True) as ctx:
        return ctx.conn.execute(query.encode(), values).fetchall()


def looked_at(record: Record) -> set[str]:
    """Parcels whose chance is known."""
    return {epc for (epc,) in rows(record, "select epc from tracking.chances where chance is not null")}


def book(record: Record, *references: str) -> set[str]:
    return {sscc_uri(parcel["number"]) for one in references for parcel in record.book(one)["parcels"]}


def leaders(record: Record) -> set[int]:
    """Connections that hold the lock of the live worker of this database."""
    found = rows(
        record,
        "select pid from pg_locks where locktype = 'advisory' and objid = %s and granted and database ="
        " (select oid from pg_database where datname = current_database())",
        LIVE,
    )
    return {pid for (pid,) in found}


def test_a_worker_looks_at_whatever_moves(record: Record) -> None:
    """Who is booked before a worker comes, and after, has a chance told; told to stop, its threads end."""
    first = book(record, "one")
    with Worker(record) as worker:
        until(lambda: looked_at(record) == first)
        both = first | book(record, "two")
        until(lambda: looked_at(record) == both)
    assert worker.threads and not any(thread.is_alive() for thread in worker.threads)
    assert rows(record, "select * from tracking.moved") == []
    until(lambda: leaders(record) == set())  # its connection ends a moment after it was closed


def test_of_two_workers_one_is_live_and_the_other_takes_over(record: Record) -> None:
    """While one is live the other waits; when it ends, or its connection does, the other goes on."""
    with Worker(record):
        [first] = until(lambda: leaders(record))
        with Worker(record):
            booked = book(record, "one")
            until(lambda: looked_at(record) == booked)
            assert leaders(record) == {first}
            with record.database.owner() as owner:
                owner.execute("select pg_terminate_backend(%s)", (first,))
            [second] = until(lambda: leaders(record) - {first})
            booked |= book(record, "two")
            until(lambda: looked_at(record) == booked)
            assert leaders(record) == {second}


@contextmanager
def away(urls: Urls) -> Iterator[None]:
    """Within, the database lets nobody in, and whoever was in is out."""
    name = conninfo_to_dict(urls.main)["dbname"]
    with psycopg.connect(urls.maintain, autocommit=True) as conn:
        conn.execute(f'alter database "{name}" allow_connections false'.encode())
        try:
            conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
            yield
        finally:
            conn.execute(f'alter database "{name}" allow_connections true'.encode())


def test_a_database_that_is_away_is_waited_for(record: Record, urls: Urls, capfd: pytest.CaptureFixture) -> None:
    """The threads outlive it, say once that they wait, and go on when it is back; nothing that moved is lost."""
    booked = book(record, "one", "two")
    told = ""

    def waits() -> bool:
        nonlocal told
        told += capfd.readouterr().err
        return '"live.waits"' in told

    with Worker(record) as worker:
        until(lambda: looked_at(record) == booked)
        with away(urls):
            until(waits)
            assert all(thread.is_alive() for thread in worker.threads)
        booked |= until(lambda: _booked(record))
        until(lambda: looked_at(record) == booked)
    assert told.count('"live.waits"') <= 2  # lost, and then away: each is told once


def _booked(record: Record) -> set[str]:
    """One more parcel, when the database takes it."""
    try:
        return book(record, "three")
    except Exception:
        return set()


def test_who_cannot_be_looked_at_is_set_aside_and_the_others_go_on(
    record: Record, capfd: pytest.CaptureFixture
) -> None:
    """A parcel at which every look fails holds up nobody: batches become smaller until it stands alone. It is not tried
    again for the sake of another outlook.
    """
    booked = book(record, *(f"{i}" for i in range(6)))
    bad = sorted(booked)[3]
    run_worker(record.database, record.context().clock, record.parts, until_idle=True)
    capfd.readouterr()
    with record.context() as ctx:
        chances.enter(ctx.conn, False, booked)
    with record.database.owner() as owner:
        owner.execute("update tracking.chances set chance = null")
        owner.execute(
            "create function tracking.planted() returns trigger language plpgsql as"
            " $$ begin raise exception 'planted'; end $$"
        )
        owner.execute(
            "create trigger planted before insert or update of looked_at on tracking.chances for each row"
            f" when (new.epc = '{bad}') execute function tracking.planted()".encode()
        )
    with Worker(record):
        until(lambda: looked_at(record) == booked - {bad} and not rows(record, "select from tracking.moved"))
        more = book(record, "later")
        until(lambda: looked_at(record) == (booked | more) - {bad})
        until_at = (record.now + timedelta(days=1)).isoformat()
        closure = {"node_id": "A", "until_at": until_at, "reason": "snow", "replan": False}
        record.do("closures.add", Who("pty_house", "key_house", frozenset({"operator"})), **closure)
        policies = "select count(distinct policy) = 1 from tracking.chances where epc <> %s"
        first = rows(record, "select policy from tracking.chances where epc = %s", bad)
        until(lambda: rows(record, f"{policies} and policy <> %s", bad, first[0][0]) == [(True,)])
        until(lambda: not rows(record, "select from tracking.moved"))
    assert logged(capfd).count('"live.set_aside"') == 1


def test_who_is_in_the_way_for_a_moment_is_waited_for(record: Record, capfd: pytest.CaptureFixture) -> None:
    """A deadlock, or a lock that did not come free, is nobody's fault: the same are looked at again at once, and the
    worker stays the live one.
    """
    booked = book(record, "one", "two")
    with record.database.owner() as owner:
        owner.execute("create sequence tracking.tries; grant usage on sequence tracking.tries to rookery_app")
        owner.execute(
            "create function tracking.planted() returns trigger language plpgsql as $$ begin"
            " if nextval('tracking.tries') < 5 then raise exception 'planted' using errcode = '40P01'; end if;"
            " return new; end $$"
        )
        owner.execute(
            "create trigger planted before insert or update on tracking.chances for each row"
            " execute function tracking.planted()"
        )
    capfd.readouterr()
    with Worker(record):
        until(lambda: looked_at(record) == booked)
    told = logged(capfd)
    assert told.count('"live.leads"') == 1
    assert '"live.failed"' not in told and '"live.waits"' not in told


def test_a_worker_that_ends_when_idle_has_looked_at_everything(record: Record) -> None:
    """With `until_idle` a worker returns when no job waits and nobody is left to be looked at."""
    booked = book(record, "one", "two")
    run_worker(record.database, record.context().clock, record.parts, until_idle=True)
    assert looked_at(record) == booked
    assert rows(record, "select from tracking.moved") == []
    assert not settle(desk_of(record))


def test_while_another_is_live_nobody_else_looks(record: Record) -> None:
    """Who ends when idle leaves what moved to the worker that is live."""
    booked = book(record, "one")
    with leading(desk_of(record)) as lead:
        assert lead is not None
        assert not settle(desk_of(record)) and looked_at(record) == set()
    assert settle(desk_of(record)) and looked_at(record) == booked
