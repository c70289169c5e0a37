"""Room on departures is taken once, given back once, and is the same whatever version of the network counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, repeat

import polars as pl
import psycopg
import pytest

from rookery.app import make_ready
from rookery.base.db import Database
from rookery.planning.rooms import give_back, hold_room, take_room

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)


def claims(*legs: tuple[int, str, float], seats: float | None = 2.0) -> pl.DataFrame:
    """One row a leg: of which claim, on which departure, how many parcels."""
    return pl.DataFrame(
        [(claim, departure, AT, parcels, parcels * 100, seats, None) for claim, departure, parcels in legs],
        schema={
            "claim": pl.Int64, "departure_id": pl.String, "depart_at": pl.Datetime("us", "UTC"), "parcels": pl.Float64,
            "grams": pl.Float64, "capacity_parcels": pl.Float64, "capacity_g": pl.Float64,
        },
        orient="row",
    )  # fmt: skip


@pytest.fixture
def db(fresh_database: Database) -> Database:
    make_ready(fresh_database)
    return fresh_database


def take(db: Database, *legs: tuple[int, str, float], seats: float | None = 2.0, test: bool = False) -> set[int]:
    with db.transaction("pty_shop", frozenset({"merchant"}), test) as conn:
        return take_room(conn, test, claims(*legs, seats=seats))


def loads(db: Database) -> list[tuple]:
    with db.owner() as conn:
        return conn.execute(
            "select departure_id, parcels, grams, capacity_parcels from planning.loads order by 1"
        ).fetchall()


def test_room_is_taken_whole_or_not_at_all(db: Database) -> None:
    """A claim that finds one of its departures full takes nothing of the others; the first of two gets the seat."""
    assert take(db, (0, "a", 1), (1, "a", 1), (1, "b", 1), (2, "a", 1), (2, "b", 1)) == {2}
    assert loads(db) == [("a", 2, 200, 2), ("b", 1, 100, 2)]
    assert take(db, (0, "a", 1), (0, "b", 1)) == {0}
    assert take(db, (0, "a", 1), test=True) == set()


def test_a_departure_holds_what_the_newest_claim_says(db: Database) -> None:
    """Another version of the network with a seat more gives that one seat, with one less none; what is booked stays."""
    assert take(db, (0, "a", 2)) == set()
    assert take(db, (0, "a", 1), (1, "a", 1), seats=3.0) == {1}
    assert take(db, (0, "a", 0.5), seats=1.0) == {0}
    assert loads(db) == [("a", 3, 300, 1)]


def test_room_given_back_is_there_again_and_never_below_nothing(db: Database) -> None:
    """What is given back is nobody's; given back twice, a departure is empty and no emptier."""
    take(db, (0, "a", 2))
    with db.transaction("pty_shop", frozenset({"merchant"}), False) as conn:
        for _ in range(2):
            give_back(conn, False, claims((0, "a", 2), (0, "nobody", 1)))
    assert loads(db) == [("a", 0, 0, 2)]


def blocked(conn: psycopg.Connection) -> Iterator[bool]:
    """Again and again: whether somebody waits for a lock of this connection's."""
    pid = conn.info.backend_pid
    while True:
        query = "select exists (select from pg_stat_activity where %s = any(pg_blocking_pids(pid)))"
        yield conn.execute(query, (pid,)).fetchone() == (True,)


def test_those_who_give_back_wait_in_one_line(db: Database) -> None:
    """Whoever waits for the first departure holds none of the others, however they are named: no circle can form."""
    names = [f"d{number:02}" for number in range(40)]
    take(db, *zip(repeat(0), names, repeat(1.0)))
    legs = list(zip(repeat(0), chain(names[20:], names[:20]), repeat(1.0)))

    def cancel() -> None:
        with db.transaction("pty_shop", frozenset({"merchant"}), False) as conn:
            give_back(conn, False, claims(*legs))

    other = threading.Thread(target=cancel)
    with db.owner() as conn:
        lock = "select from planning.loads where departure_id = any(%s) for update nowait"
        with conn.transaction():
            conn.execute(lock, (names[:1],))
            other.start()
            assert next(filter(None, blocked(conn)))
            assert conn.execute(lock, (names[1:],)).rowcount == 39
    other.join()
    assert {row[1] for row in loads(db)} == {0}


def test_whoever_exchanges_seats_waits_in_no_circle(db: Database) -> None:
    """Two who take the seats that the other gives back, at the same time and again and again, both come through."""
    take(db, (0, "a", 40), (0, "b", 40), seats=100)
    faults: list[BaseException] = []
    ready = threading.Barrier(2)

    def exchange(taken: str, given: str) -> None:
        try:
            for _ in range(20):
                ready.wait()
                with db.transaction("pty_shop", frozenset({"merchant"}), False) as conn:
                    wanted, freed = claims((0, taken, 1), seats=100), claims((0, given, 1), seats=100)
                    hold_room(conn, False, wanted, freed)
                    assert take_room(conn, False, wanted) == set()
                    give_back(conn, False, freed)
        except BaseException as fault:
            faults.append(fault)
            ready.abort()

    threads = [threading.Thread(target=exchange, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == [] and [row[:2] for row in loads(db)] == [("a", 40), ("b", 40)]
