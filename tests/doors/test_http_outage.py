"""The HTTP door when PostgreSQL is away, refuses, or is slow, and when the server itself stops or is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import psycopg
import pytest

SECRET = "Ada Example 4711"
GUESSES = 300
"""More than are let pass, also where a busy machine needs a second for each."""


@pytest.fixture(scope="module")
def admin(fragile) -> str:
    return fragile.new_key("admin", party=fragile.new_party("Admins"))


@contextmanager
def held(server) -> Iterator[psycopg.Connection]:
    """Within, nobody else can enter a party."""
    with psycopg.connect(server.cluster.url()) as conn:
        conn.execute("lock table base.parties in exclusive mode")
        yield conn


def until(look: Callable[[], bool]) -> None:
    """Looks again until there is something to see."""
    over = time.monotonic() + 300
    while not look():
        assert time.monotonic() < over, "waited in vain"


def until_waiting(conn: psycopg.Connection, count: int = 1) -> None:
    """Returns when so many wait for what this connection holds."""
    asked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = 'rookery'"

    def look() -> bool:
        conn.execute("select pg_stat_clear_snapshot()")
        row = conn.execute(asked).fetchone()
        return row is not None and row[0] >= count

    until(look)


def kill_postgres(server) -> None:
    """What a machine without memory does: the first process of PostgreSQL dies, the others follow."""
    os.kill(int((server.data / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


def parties(server, name: str) -> int:
    with server.house.context() as ctx:
        row = ctx.conn.execute("select count(*) from base.parties where name = %s", (name,)).fetchone()
    return row[0]


def test_postgres_dies_mid_request_and_comes_back(fragile, admin):
    """Who asked hears 503 and when to ask again; asked again under the same key it is done once."""
    key = {"Idempotency-Key": "once"}
    with ThreadPoolExecutor() as pool, suppress(psycopg.OperationalError), held(fragile) as conn:
        asked = pool.submit(fragile.ask, "POST", "/parties", {"name": "once"}, admin, key)
        until_waiting(conn)
        kill_postgres(fragile)
        told = asked.result()
    assert (told.status, told.code[:9]) == (503, "database.")
    assert int(told.headers["retry-after"]) > 0
    while_away = [fragile.ask("GET", "/ready"), fragile.ask("POST", "/parties", {"name": "once"}, admin, key)]
    for away in while_away:
        assert (away.status, "retry-after" in away.headers) == (503, True), away.body
    assert fragile.ask("GET", "/health").status == 200
    until(fragile.cluster.mend)
    until(lambda: fragile.ask("GET", "/ready").status == 200)
    told = fragile.ask("POST", "/parties", {"name": "once"}, admin, key)
    again = fragile.ask("POST", "/parties", {"name": "once"}, admin, key)
    assert (told.status, again.json) == (201, told.json)
    assert parties(fragile, "once") == 1


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        ("53100", 503, "database.disk_full"),
        ("53200", 503, "database.no_memory"),
        ("53300", 503, "database.too_many_connections"),
        ("40001", 503, "database.contended"),
        ("40P01", 503, "database.contended"),
        ("55P03", 503, "database.contended"),
        ("57014", 503, "database.too_slow"),
        ("25P03", 503, "database.too_slow"),
        ("25P04", 503, "database.too_slow"),
        ("22003", 422, "database.value_refused"),
        ("23514", 422, "database.value_refused"),
        ("23505", 409, "database.at_once"),
        ("XX000", 500, "rookery.fault"),
    ],
)
def test_what_postgres_refuses(fragile, admin, state, status, code):
    """A full disk, deadlocks, timeouts: 503 and when to ask again, nothing written, no words of PostgreSQL's told."""
    with psycopg.connect(fragile.cluster.url(), autocommit=True) as conn:
        conn.execute(
            "create or replace function base.refuse() returns trigger language plpgsql as $$ begin"
            f" raise exception '{SECRET}' using errcode = '{state}'; end $$".encode()
        )
        conn.execute(
            "create or replace trigger refuse after insert on base.parties for each row"
            " when (new.name = 'refused') execute function base.refuse()"
        )
        try:
            told = fragile.ask("POST", "/parties", {"name": "refused"}, admin, {"Idempotency-Key": "refused"})
        finally:
            conn.execute("drop trigger refuse on base.parties")
    assert (told.status, told.code) == (status, code)
    assert ("retry-after" in told.headers) == (status == 503)
    assert b"Ada" not in told.body and SECRET not in fragile.log.read_text()
    assert parties(fragile, "refused") == 0
    done = fragile.ask("POST", "/parties", {"name": f"after {state}"}, admin, {"Idempotency-Key": "refused"})
    assert done.status == 201  # the key was left free
    with fragile.house.context() as ctx:
        ctx.conn.execute("delete from base.replies where idempotency_key = 'refused'")


def test_many_at_once_under_one_key_are_one_act(fragile, admin):
    """Twelve clients that send the same at the same moment: one party, one reply."""
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(fragile.ask, "POST", "/parties", {"name": "crowd"}, admin, {"Idempotency-Key": "crowd"})
                 for _ in range(12)]  # fmt: skip
        told = [answer.result() for answer in asked]
    assert {answer.status for answer in told} == {201}
    assert len({answer.body for answer in told}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in told) == 11
    assert parties(fragile, "crowd") == 1


def test_stopping_lets_what_is_under_way_finish(fragile, admin):
    """SIGTERM while a request waits: its answer still comes."""
    with ThreadPoolExecutor() as pool:
        with held(fragile) as conn:
            asked = pool.submit(fragile.ask, "POST", "/parties", {"name": "last"}, admin)
            until_waiting(conn)
            fragile.process.terminate()
        assert asked.result().status == 201
    fragile.restart()
    assert parties(fragile, "last") == 1


def test_killed_in_the_middle_nothing_is_half_done(fragile, admin):
    """kill -9 while a request waits: it was not done, and asked again after the start it is done once."""
    key = {"Idempotency-Key": "killed"}
    with ThreadPoolExecutor() as pool, held(fragile) as conn:
        asked = pool.submit(fragile.ask, "POST", "/parties", {"name": "killed"}, admin, key)
        until_waiting(conn)
        fragile.stop(signal.SIGKILL)
        with pytest.raises((OSError, HTTPException)):
            asked.result()
        fragile.start()
        assert parties(fragile, "killed") == 0
    told = fragile.ask("POST", "/parties", {"name": "killed"}, admin, key)
    assert (told.status, parties(fragile, "killed")) == (201, 1)


def test_guessing_keys_is_slowed_down(fragile, admin):
    """Many wrong keys from one address are answered 429; a key that was seen good goes on from there."""
    known = fragile.new_key("merchant")
    assert fragile.ask("GET", "/keys", key=known).status == 200
    statuses, told = [], None
    while told is None or told.status == 401:  # which is but now and then from some point on
        assert len(statuses) < GUESSES
        told = fragile.ask("GET", "/keys", key="rk_live_" + f"{len(statuses):043}")
        statuses.append(told.status)
    assert len(statuses) > 1
    assert (told.status, int(told.headers["retry-after"]) > 0) == (429, True)
    assert fragile.ask("GET", "/keys", key=known).status == 200


def test_a_server_that_died_leaves_no_process(fragile):
    """Stopping ends all that was started."""
    fragile.stop()
    with pytest.raises(ProcessLookupError):
        os.killpg(fragile.process.pid, 0)
    assert Path(fragile.data / "postgres").exists()
    fragile.start()
