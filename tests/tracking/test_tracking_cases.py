"""The store of cases on real PostgreSQL: at once with people, who may write, and how far a set reaches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import polars as pl
import psycopg
import pytest

from rookery.base.clock import WALL
from rookery.base.db import Database
from rookery.base.operations import SYSTEM, Context, Who
from rookery.tracking import cases, unknowns
from rookery.tracking.cases import CAUSES

NOW = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
HOUSE = Who("pty_house", "key_house", frozenset({"operator"}))


def system(database: Database) -> Context:
    return Context(database, WALL, SYSTEM)


def opened(database: Database, cause: str) -> list[str]:
    """The open case of a cause, alone."""
    with system(database) as ctx:
        return cases.open_cases(ctx.conn, _causes(cause), False, NOW)["case_id"].to_list()


def _causes(*causes: str) -> pl.DataFrame:
    return pl.DataFrame([("hold", cause, "Held.") for cause in causes], schema=CAUSES, orient="row")


def _parcels(case_id: str, cause: str, count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "case_id": case_id, "epc": [f"{cause}:{i}" for i in range(count)], "parcel_id": "pcl",
            "owner_id": "pty_shop", "number": "N", "kind": "hold", "cause": cause, "chance_before": None, "since": NOW,
            "event_no": 1,
            "reason": 'Held, "as told": {x}\\', "chance": 0.5, "move": None, "move_cost": None, "move_chance": None,
            "value": 1.0, "currency": "EUR",
        }
    )  # fmt: skip


def _touched(case_id: str, why: str = "ended") -> pl.DataFrame:
    return pl.DataFrame({"case_id": [case_id], "why": [why]})


def test_a_cause_has_one_open_case(fresh_database: Database):
    """Opened twice it is the same case; two causes at once are two; closed, the next one is new."""
    [first] = opened(fresh_database, "a")
    assert opened(fresh_database, "a") == [first]
    with system(fresh_database) as ctx:
        both = cases.open_cases(ctx.conn, _causes("a", "b"), False, NOW)
        assert both["cause"].to_list() == ["a", "b"] and both["case_id"].n_unique() == 2
        assert ctx.conn.execute("select count(*) from tracking.cases").fetchone() == (2,)
        cases.close_by_hand(ctx.conn, first, "done", "pty_house", NOW)
    assert opened(fresh_database, "a") != [first]


def test_a_case_closed_meanwhile_is_waited_for_and_opened_anew(fresh_database: Database):
    """Who judges waits for a person who is just closing the case, and then finds it closed."""
    [case_id] = opened(fresh_database, "a")
    with ThreadPoolExecutor(1) as pool:
        with Context(fresh_database, WALL, HOUSE) as ctx:
            cases.hold(ctx.conn, [case_id])
            waiting = pool.submit(opened, fresh_database, "a")
            cases.close_by_hand(ctx.conn, case_id, "done", "pty_house", NOW)
        found = waiting.result(timeout=60)
    assert len(found) == 1 and found != [case_id]


def test_a_person_and_a_look_at_once_do_not_wait_for_each_other_for_ever(fresh_database: Database):
    """Both hold the case before they change what is in it: one goes first, both end, and the case is closed."""
    [case_id] = opened(fresh_database, "a")
    parcels = _parcels(case_id, "a", 500)
    with system(fresh_database) as ctx:
        cases.join(ctx.conn, parcels, False, NOW)
        cases.figure(ctx.conn, _touched(case_id), NOW)

    def look() -> None:
        with system(fresh_database) as ctx:
            cases.hold(ctx.conn, [case_id])
            cases.leave(ctx.conn, parcels.select("case_id", "epc", closed_why=pl.lit("mended")).head(250), NOW)
            cases.stay(ctx.conn, parcels.tail(250).with_columns(chance=pl.lit(0.4)))
            cases.figure(ctx.conn, _touched(case_id), NOW)

    def close() -> None:
        with Context(fresh_database, WALL, HOUSE) as ctx:
            cases.hold(ctx.conn, [case_id])
            cases.close_by_hand(ctx.conn, case_id, "done", "pty_house", NOW)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(look), pool.submit(close)]:
            done.result(timeout=60)
    with system(fresh_database) as ctx:
        [row] = ctx.conn.execute(
            "select state, parcels, (select count(*) from tracking.case_parcels where closed_at is null)"
            " from tracking.cases"
        ).fetchall()
    assert row == ("closed", 0, 0)


def test_figures_follow_parcels_and_an_empty_case_closes(fresh_database: Database):
    """Counted from what is in the case; empty, it closes with the reason of the last to leave, a version later."""
    [case_id] = opened(fresh_database, "a")
    parcels = _parcels(case_id, "a", 3)
    with system(fresh_database) as ctx:
        cases.join(ctx.conn, parcels, False, NOW)
        assert [one.closed for one in cases.figure(ctx.conn, _touched(case_id), NOW)] == [False]
        figures = "select parcels, value, currency, worst_chance, moves, version, state from tracking.cases"
        assert ctx.conn.execute(figures).fetchall() == [(3, 3.0, "EUR", 0.5, 0, 1, "open")]
        cases.leave(ctx.conn, parcels.select("case_id", "epc", closed_why=pl.lit("ended")), NOW)
        [figured] = cases.figure(ctx.conn, _touched(case_id), NOW)
        assert (figured.closed, figured.closed_why) == (True, "ended")
        assert ctx.conn.execute(figures).fetchall() == [(0, None, None, None, 0, 2, "closed")]
        assert cases.figure(ctx.conn, _touched(case_id), NOW) == []


def test_only_rookery_opens_cases(fresh_database: Database):
    """Neither an operator nor a shipper may put a case or a parcel into the tables; a shipper changes none."""
    [case_id] = opened(fresh_database, "a")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), Context(fresh_database, WALL, HOUSE) as ctx:
        cases.open_cases(ctx.conn, _causes("b"), False, NOW)
    with system(fresh_database) as ctx:
        cases.join(ctx.conn, _parcels(case_id, "a", 1), False, NOW)
    shop = Who("pty_shop", "key_shop", frozenset({"merchant"}))
    with Context(fresh_database, WALL, shop) as ctx:
        cases.close_by_hand(ctx.conn, case_id, "mine", "pty_shop", NOW)
    with system(fresh_database) as ctx:
        assert ctx.conn.execute("select state from tracking.cases").fetchall() == [("open",)]
        assert ctx.conn.execute("select closed_at, reason from tracking.case_parcels").fetchall() == [
            (None, 'Held, "as told": {x}\\')
        ]


def test_what_is_settled_is_looked_for_among_few(fresh_database: Database):
    """Cases about scans that nobody understood are found by an index of theirs, however many other cases there are."""
    many = [("hold", f"parcel:{i}", "Held.") for i in range(3000)]
    with system(fresh_database) as ctx:
        cases.open_cases(ctx.conn, pl.DataFrame(many, schema=CAUSES, orient="row"), False, NOW)
    with fresh_database.owner() as conn:
        conn.execute("analyze tracking.cases")
    with system(fresh_database) as ctx:
        plan = ctx.conn.execute(f"explain {unknowns.SETTLE}".encode(), {"test": False, "now": NOW}).fetchall()
    assert any("cases_unsettled" in line for (line,) in plan), plan


def _closed(database: Database, cause: str, parcels: int) -> str:
    """A case with so many parcels, closed."""
    [case_id] = opened(database, cause)
    with system(database) as ctx:
        cases.join(ctx.conn, _parcels(case_id, cause, parcels), False, NOW)
        cases.close_by_hand(ctx.conn, case_id, "done", "pty_house", NOW)
    return case_id


def test_closed_cases_are_forgotten_after_13_months_bit_by_bit(fresh_database: Database):
    """Before that and while open, a case stays; then its parcels go, some at a time, and the case after the last."""
    _closed(fresh_database, "a", 5)
    stays = opened(fresh_database, "b")

    def forget(now: datetime) -> tuple[int, int, int]:
        with system(fresh_database) as ctx:
            gone = cases.forget(ctx.conn, False, now, 3)
            left = "select (select count(*) from tracking.cases), (select count(*) from tracking.case_parcels)"
            [row] = ctx.conn.execute(left.encode()).fetchall()
            return gone, *row

    assert forget(NOW.replace(year=2027, month=4)) == (0, 2, 5)
    later = NOW.replace(year=2027, month=4, day=3)
    assert [forget(later) for _ in range(3)] == [(3, 2, 2), (3, 1, 0), (0, 1, 0)]
    with system(fresh_database) as ctx:
        assert ctx.conn.execute("select array_agg(case_id) from tracking.cases").fetchone() == (stays,)


def test_a_case_about_what_nobody_understands_yet_is_not_forgotten(fresh_database: Database):
    """Closed by hand while its scans are still there it would be opened again."""
    with system(fresh_database) as ctx:
        cause = pl.DataFrame([("unknown_code", "code:pty_blue:W7", "Unknown.")], schema=CAUSES, orient="row")
        [case_id] = cases.open_cases(ctx.conn, cause, False, NOW)["case_id"]
        cases.close_by_hand(ctx.conn, case_id, "known", "pty_house", NOW)
        assert cases.forget(ctx.conn, False, NOW.replace(year=2030), 9) == 0
        unknowns.close_settled(ctx.conn, False, NOW)
        assert cases.forget(ctx.conn, False, NOW.replace(year=2030), 9) == 1


def test_only_rookery_forgets_cases(fresh_database: Database):
    """An operator deletes none."""
    _closed(fresh_database, "a", 1)
    with Context(fresh_database, WALL, HOUSE) as ctx:
        assert cases.forget(ctx.conn, False, NOW.replace(year=2030), 9) == 0
