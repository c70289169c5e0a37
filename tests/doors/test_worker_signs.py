"""Signs of life of the live side: what fails is told while it does, what is set aside is listed, and who is gone is."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from psycopg.conninfo import conninfo_to_dict
from serving_world import THROW_AWAY

from rookery.app import open_house
from rookery.base.clock import WALL
from rookery.base.db import Cluster, Urls
from rookery.base.jobs import Desk
from rookery.base.operations import SYSTEM, Who
from rookery.doors.worker import living, signs
from rookery.doors.worker.delivering import start as start_delivering
from rookery.doors.worker.living import Pace
from rookery.doors.worker.running import run_worker
from rookery.doors.worker.signs import Board, Since
from rookery.flows.live_status import STALE, State, figures, judged, states
from rookery.flows.living import turning
from rookery.tracking import chances, live_signs
from rookery.tracking.epcis.identifiers import sscc_uri
from rookery.tracking.live_signs import Part, Waiting

sys.path.insert(0, str(Path(__file__).parents[1] / "flows"))
from record_cases import Record, make_record

QUICK = Pace(turn=0.01, look=0.02, enter=0.01, again=0.01, lead=0.02)
HOUSE = Who("pty_house", "key_house", frozenset({"operator"}))
ALL_OK = {"live": "ok", "outlook": "ok", "subscriptions": "ok", "webhooks": "ok"}


@pytest.fixture
def urls(make_urls: Callable[[], Urls]) -> Urls:
    return make_urls()


@pytest.fixture
def record(urls: Urls, tmp_path: Path) -> Iterator[Record]:
    with make_record(lambda: urls, tmp_path) as made:
        yield made


@contextmanager
def worker(record: Record, pace: Pace = QUICK) -> Iterator[list[threading.Thread]]:
    """The live side of a worker, as threads of the test's own."""
    stop, board = threading.Event(), Board()
    parts = {**record.parts, living.Outlooks: living.Outlooks()}
    desk = Desk(record.database, record.context().clock, parts)
    threads = living.start(desk, stop, pace, board) + start_delivering(desk, stop, 0.05, board)
    threads += signs.start(desk, stop, board, 0.02)
    try:
        yield threads
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def until(look: Callable[[], Any]) -> Any:
    """Looks again until there is something to see."""
    over = time.monotonic() + 300
    while not (seen := look()):
        assert time.monotonic() < over, "waited in vain"
    return seen


def how(record: Record, test: bool = False) -> dict[Part, State]:
    """How each part is."""
    with record.context(structs.replace(SYSTEM, test=test), readonly=True) as ctx:
        return states(ctx)


def part(record: Record, name: str) -> dict[str, Any]:
    return next(one for one in record.do("live.status", HOUSE)["parts"] if one["part"] == name)


def aside(record: Record) -> list[dict[str, Any]]:
    return record.do("live.status", HOUSE)["parcels_set_aside"]


def epc_of(booked: dict[str, Any]) -> str:
    return sscc_uri(booked["parcels"][0]["number"])


@contextmanager
def failing(record: Record, epc: str) -> Iterator[None]:
    """Within, every look at a parcel fails, with a text that is nobody's to read."""
    with record.database.owner() as owner:
        owner.execute(
            "create or replace function tracking.planted() returns trigger language plpgsql as"
            " $$ begin raise exception 'Ada Example, Straße 1'; end $$"
        )
        owner.execute(
            "create trigger planted before insert or update of looked_at on tracking.chances for each row"
            f" when (new.epc = '{epc}') execute function tracking.planted()".encode()
        )
    try:
        yield
    finally:
        with record.database.owner() as owner:
            owner.execute("drop trigger planted on tracking.chances")


def test_parts_say_that_they_live_and_whoever_runs_the_network_sees_it(record: Record) -> None:
    """Before a worker comes there is none; then all are well, the outlook is told, and nothing waits."""
    record.book("one")
    assert set(how(record).values()) == {"none"}
    before = record.do("live.status", HOUSE)
    assert before["parcels"] == {"count": 1, "oldest_s": None} and before["outlook"] is None
    with worker(record):
        until(lambda: how(record) == ALL_OK)
        until(lambda: record.do("live.status", HOUSE)["parcels"]["count"] == 0)
        told = until(lambda: (told := record.do("live.status", HOUSE))["outlook"] and told)
    with record.context(readonly=True) as ctx:
        assert ctx.conn.execute("select distinct policy from tracking.chances").fetchall() == [
            (told["outlook"]["version"],)
        ]
    assert told["outlook"]["age_s"] == 0.0  # the network's clock stands still here
    assert (told["news"]["count"], told["messages"], told["set_aside"]) == (0, {"count": 0, "oldest_s": None}, 0)


def test_while_looks_fail_the_part_is_failing(record: Record) -> None:
    """It is told with a code and no text, and since when; the other parts, and test data, are well."""
    run_worker(record.database, record.context().clock, record.parts, until_idle=True)
    bad = epc_of(record.book("bad"))
    with failing(record, bad), worker(record, replace(QUICK, again=600.0)):  # it rests after the first fault
        until(lambda: how(record) == ALL_OK | {"live": "failing"})
        told = part(record, "live")
        assert (told["fault"], told["since"], told["waiting"]) == ("RaiseException", told["fault_at"], 1)
        until(lambda: how(record, test=True) == ALL_OK)
        said = str(record.do("live.status", HOUSE))
        assert "Ada" not in said and "Straße" not in said


def test_a_parcel_whose_look_raises_is_listed_and_mended(record: Record) -> None:
    """It stands in the list, and the others go on. Looked at again while nothing is mended it stands there a second
    time; mended, it is in the list no more.
    """
    run_worker(record.database, record.context().clock, record.parts, until_idle=True)
    bad, good = epc_of(record.book("bad")), epc_of(record.book("good"))
    with worker(record):
        until(lambda: how(record) == ALL_OK and not record.do("live.status", HOUSE)["parcels"]["count"])
        with failing(record, bad):
            with record.context() as ctx:
                chances.enter(ctx.conn, False, [bad, good])
            [one] = until(lambda: aside(record))
            assert one["epc"] == bad and one["parcel_id"].startswith("pcl_") and one["times"] == 1
            assert one["fault"] == "RaiseException"
            until(lambda: how(record) == ALL_OK)  # the others go on, and it is told what there was
            assert part(record, "live")["fault"] == "RaiseException"
            number = one["number"]
            assert record.do("live.again", HOUSE, numbers=[number, "095200000000000998"]) == {
                "entered": 1,
                "not_set_aside": ["095200000000000998"],
                "left": 0,
            }
            until(lambda: aside(record)[0]["times"] == 2)
        assert record.do("live.again", HOUSE) == {"entered": 1, "not_set_aside": [], "left": 0}
        until(lambda: aside(record) == [])
        until(lambda: how(record) == ALL_OK)


def test_what_is_set_aside_stays_so_for_another_worker(record: Record) -> None:
    """A worker that comes later, with outlooks of its own, does not try it again for their sake."""
    bad = epc_of(record.book("bad"))
    run_worker(record.database, record.context().clock, record.parts, until_idle=True)
    desk = Desk(record.database, record.context().clock, record.parts)
    turning.set_aside(desk, False, bad, "DataError")
    with record.context() as ctx:
        ctx.conn.execute("update tracking.chances set policy = 'another'")
    record.book("good")
    with worker(record):
        until(lambda: how(record) == ALL_OK and not record.do("live.status", HOUSE)["parcels"]["count"])
    with record.context(readonly=True) as ctx:
        rows = ctx.conn.execute("select epc from tracking.chances where policy = 'another'").fetchall()
    assert rows == [(bad,)] and len(aside(record)) == 1


def test_a_database_that_is_away_is_outlived(record: Record, urls: Urls) -> None:
    """While it is, nobody can write a sign; when it is back, signs go on, and parts are well."""
    name = conninfo_to_dict(urls.main)["dbname"]
    with worker(record) as threads:
        until(lambda: how(record) == ALL_OK)
        with psycopg.connect(urls.maintain, autocommit=True) as conn:
            conn.execute(f'alter database "{name}" allow_connections false'.encode())
            conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
            back = WALL.now()
            conn.execute(f'alter database "{name}" allow_connections true'.encode())

        def is_back() -> bool:
            try:
                told = record.do("live.status", HOUSE)["parts"]
            except Exception:
                return False
            return all(datetime.fromisoformat(one["sign_at"]) > back and one["state"] == "ok" for one in told)

        until(is_back)
        assert all(thread.is_alive() for thread in threads)


def test_a_worker_that_is_killed_gives_no_sign_any_more(tmp_path: Path) -> None:
    """Its last signs grow old, and from then on there is none. Started again, it tells since when it runs and that the
    run before broke off; told to end, it tells that.
    """
    with Cluster(tmp_path, changed=THROW_AWAY), open_house(tmp_path) as house:
        words = [sys.executable, "-m", "rookery.doors.worker", "--data", str(tmp_path)]
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:

            def all_ok() -> bool:
                with house.context(readonly=True) as ctx:
                    return states(ctx) == ALL_OK

            until(all_ok)
            process.send_signal(signal.SIGKILL)
            process.wait()
        with house.context(readonly=True) as ctx:
            last = live_signs.read(ctx.conn, False)
        assert len(last) == 4
        for sign in last.values():
            assert judged(sign, sign.at + STALE)[0] == "ok"
            assert judged(sign, sign.at + STALE + timedelta(seconds=1)) == ("none", sign.at)
            assert sign.started_at is not None and (sign.ended_at, sign.broke_off_at) == (None, None)
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:

            def signs_now() -> dict[Part, live_signs.Sign]:
                with house.context(readonly=True) as ctx:
                    return live_signs.read(ctx.conn, False)

            again = until(lambda: (now := signs_now()) and all(now[one].at > last[one].at for one in now) and now)
            for name, sign in again.items():
                assert sign.started_at is not None and sign.started_at > last[name].at == sign.broke_off_at
            process.terminate()
            process.wait()
        assert all(sign.ended_at == sign.at for sign in signs_now().values())


def test_who_takes_over_goes_on_with_the_signs_of_the_one_before(record: Record) -> None:
    """A fault that was, and since when the first waits, outlive the worker: one that dies again and again is behind."""
    with worker(record):
        until(lambda: how(record) == ALL_OK)
    record.book("waits")
    long_ago = WALL.now() - timedelta(hours=1)
    with record.context() as ctx:
        waiting = live_signs.moved(ctx.conn, False)
        sign = live_signs.Sign(
            part="live", at=WALL.now(), fault="DataError", fault_at=long_ago, first_place=waiting.first,
            waiting_since=long_ago,
        )  # fmt: skip
        live_signs.write(ctx.conn, False, [sign])
    assert how(record)["live"] == "behind"
    board = Board()
    board.mine(["live"])  # it lives, and gets nowhere
    desk = Desk(record.database, record.context().clock, record.parts)
    stop = threading.Event()
    [thread] = signs.start(desk, stop, board, 0.02)
    until(lambda: datetime.fromisoformat(part(record, "live")["sign_at"]) > sign.at)
    told = part(record, "live")
    stop.set()
    thread.join()
    assert (told["state"], told["fault"]) == ("behind", "DataError")
    assert datetime.fromisoformat(told["since"]) == long_ago


def test_a_run_that_was_told_to_end_did_not_break_off(record: Record) -> None:
    """Its end is told, and the next run tells its own begin alone; after one that was not told to end it tells since
    when that gave no sign any more.
    """
    assert [part(record, name)["started_at"] for name in ALL_OK] == [None] * 4
    with worker(record):
        until(lambda: how(record) == ALL_OK)
        first = part(record, "live")
        assert (first["ended_at"], first["broke_off_at"]) == (None, None)
    ended = part(record, "live")
    assert ended["started_at"] == first["started_at"] < ended["ended_at"] == ended["sign_at"]
    with worker(record):
        until(lambda: part(record, "live")["ended_at"] is None)
        second = part(record, "live")
    assert second["started_at"] > ended["ended_at"] and second["broke_off_at"] is None
    with record.context() as ctx:  # as if it had been killed
        ctx.conn.execute("update tracking.live_signs set ended_at = null")
        killed = live_signs.read(ctx.conn, False)["live"].at
    with worker(record):
        until(lambda: part(record, "live")["broke_off_at"] is not None)
        third = part(record, "live")
    assert datetime.fromisoformat(third["broke_off_at"]) == killed < datetime.fromisoformat(third["started_at"])


BEFORE = """
insert into tracking.live_signs (part, test, at) values ('live', false, %s)
    on conflict (part, test) do update set at = excluded.at
"""


def test_of_an_older_program_nobody_knows_since_when_it_runs(record: Record) -> None:
    """One that runs on beside, or takes over, writes its signs as ever: it did not begin when another did, and does not
    break off when it ends.
    """
    with worker(record):
        until(lambda: how(record) == ALL_OK)
    with record.context() as ctx:
        ctx.conn.execute(BEFORE, (WALL.now(),))
    told = part(record, "live")
    assert (told["state"], told["started_at"], told["ended_at"], told["broke_off_at"]) == ("ok", None, None, None)
    with worker(record):
        until(lambda: part(record, "live")["started_at"] is not None)
        assert part(record, "live")["broke_off_at"] is None


def test_who_lost_a_part_does_not_end_it_for_another(record: Record) -> None:
    """The end of a run is noted while the sign is that run's own."""
    now = WALL.now()
    with record.context() as ctx:
        live_signs.write(ctx.conn, False, [live_signs.Sign(part="live", at=now, started_at=now)])
        live_signs.end(ctx.conn, False, "live", now - timedelta(seconds=1), now)
        assert live_signs.read(ctx.conn, False)["live"].ended_at is None
        live_signs.end(ctx.conn, False, "live", now, now)
        assert live_signs.read(ctx.conn, False)["live"].ended_at == now


def test_what_waits_is_told_by_what_it_is(record: Record) -> None:
    """Parcels in the queue, those that are not in it yet, and news: each count says which of them it is."""
    record.book("one")
    at = WALL.now()
    with record.context() as ctx:
        said = [live_signs.Sign(part="live", at=at, waiting=1), live_signs.Sign(part="outlook", at=at, waiting=7)]
        live_signs.write(ctx.conn, False, said)
    told = record.do("live.status", HOUSE)
    assert [(one["part"], one["waiting"], one["waiting_what"]) for one in told["parts"]] == [
        ("live", 1, "parcels_to_be_looked_at"), ("outlook", 7, "parcels_to_be_entered"), ("subscriptions", None, None),
        ("webhooks", None, "news_to_be_spread"),
    ]  # fmt: skip
    assert told["parcels"]["count"] == 1  # as of now, of the queue alone


def test_the_oldest_wait_is_told_also_when_nobody_looks(record: Record) -> None:
    """What came after the last sign waits since that sign, at the longest; in the network's time messages count."""
    record.book("one")
    at = WALL.now() - timedelta(minutes=10)
    with record.context() as ctx:
        live_signs.write(ctx.conn, False, [live_signs.Sign(part="live", at=at)])
        told = figures(ctx)
    assert told.parcels.count == 1 and told.parcels.oldest_s is not None and told.parcels.oldest_s >= 600
    assert {one.part: one.state for one in told.parts}["live"] == "none"


def test_test_data_have_signs_of_their_own() -> None:
    """What is noted of a part in test data is nothing that live data are told."""
    board = Board()
    board.mine(["live"])
    board.failed("live", [True], "DataError")
    assert board.of("live", True).failing_since is not None and board.of("live", False).failing_since is None
    board.mine(["live"], False)
    assert board.all_mine(True) == {} and board.of("live", True).fault is None


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30))
def test_the_first_in_a_queue_waits_since_the_look_that_saw_it_first(steps: list[tuple[int, int]]) -> None:
    """Whatever comes and goes between looks, it waits since the first look at which its place was there already."""
    since, seen_at = Since(), dict[int, datetime]()
    first, last = 1, 0
    for minute, (come, go) in enumerate(steps):
        last += come
        first = min(first + go, last + 1)
        now = NOON + timedelta(minutes=minute)
        for place in range(1, last + 1):
            seen_at.setdefault(place, now)
        empty = first > last
        found = since.look(Waiting(0 if empty else 1, None if empty else first, None if empty else last), now)
        assert found == (None if empty else seen_at[first])
