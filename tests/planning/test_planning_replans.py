"""Records of what was booked on: kept as they were done, told page by page, seen by those who run the network alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from rookery.app import make_ready
from rookery.base.db import Database
from rookery.planning import replans
from rookery.terms.errors import NotFound

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
OPERATOR = ("pty_house", frozenset({"operator"}))


@pytest.fixture
def db(fresh_database: Database) -> Database:
    make_ready(fresh_database)
    return fresh_database


def rows(done: int, *reasons: str) -> pl.DataFrame:
    """So many shipments done, and one refused for each reason."""
    schema = {
        "shipment_id": pl.String, "state": pl.String, "reason": pl.String, "route_before": pl.Int32,
        "route_after": pl.Int32, "feed_before": pl.String, "expected_before": pl.Datetime("us", "UTC"),
        "expected_after": pl.Datetime("us", "UTC"), "chance_before": pl.Float64, "chance_after": pl.Float64,
        "pieces": pl.String,
    }  # fmt: skip
    told = [(f"shp_{i}", "done", None, 1, 2, "fed_1", AT, AT, 0.9, 0.8, None) for i in range(done)]
    told += [(f"shp_x{i}", "refused", why, 1, None, "fed_1", AT, AT, 0.9, 0.9, None) for i, why in enumerate(reasons)]
    return pl.DataFrame(told, schema=schema, orient="row")


def test_a_replan_is_told_as_it_was_done(db: Database) -> None:
    """Counts, reasons and each shipment are kept; one that is none is told, with what to do."""
    with db.transaction(*OPERATOR, False) as conn:
        replans.add(conn, "rpl_1", False, "cas_1", "pty_house", AT, rows(2, "no_room", "no_way", "no_room"))
        told = replans.get(conn, "rpl_1")
        assert (told.done, told.refused, told.undone, told.reasons) == (2, 3, 0, {"no_room": 2, "no_way": 1})
        first = replans.list_shipments(conn, "rpl_1", limit=3)
        rest = replans.list_shipments(conn, "rpl_1", first[-1].shipment_id)
        assert [one.shipment_id for one in first + rest] == ["shp_0", "shp_1", "shp_x0", "shp_x1", "shp_x2"]
        assert (first[0].route_after, rest[0].reason, rest[0].route_after) == (2, "no_way", None)
        with pytest.raises(NotFound):
            replans.get(conn, "rpl_2")


def test_what_is_undone_counts_as_undone_once(db: Database) -> None:
    """A shipment that could not be put back stays done, with the reason; undone ones are not undone again."""
    with db.transaction(*OPERATOR, False) as conn:
        replans.add(conn, "rpl_1", False, None, "pty_house", AT, rows(2))
        assert replans.still_done(conn, "rpl_1")["shipment_id"].to_list() == ["shp_0", "shp_1"]
        schema = {"shipment_id": pl.String, "reason": pl.String, "route_undone": pl.Int32}
        told = pl.DataFrame([("shp_0", None, 3), ("shp_1", "ridden", None)], schema=schema, orient="row")
        replans.tell_undone(conn, "rpl_1", "pty_house", AT + timedelta(hours=1), told)
        replan = replans.get(conn, "rpl_1")
        assert (replan.done, replan.undone, replan.undone_by) == (1, 1, "pty_house")
        assert [(one.state, one.reason, one.route_undone) for one in replans.list_shipments(conn, "rpl_1")] == [
            ("undone", None, 3),
            ("done", "ridden", None),
        ]
        assert replans.still_done(conn, "rpl_1")["shipment_id"].to_list() == ["shp_1"]


def test_undoing_is_told_of_the_first_time_that_something_was(db: Database) -> None:
    """When and by whom: not when nothing could be undone, and not of another time later."""
    schema = {"shipment_id": pl.String, "reason": pl.String, "route_undone": pl.Int32}
    first, second = AT + timedelta(hours=1), AT + timedelta(hours=2)
    tries = ((AT, "ridden"), (first, None), (second, None), (second, "ridden"))
    with db.transaction(*OPERATOR, False) as conn:
        replans.add(conn, "rpl_1", False, None, "pty_house", AT, rows(4))
        seen = []
        for at, (now, reason) in enumerate(tries):
            told = pl.DataFrame([(f"shp_{at}", reason, None if reason else 3)], schema=schema, orient="row")
            replans.tell_undone(conn, "rpl_1", f"pty_{at}", now, told)
            replan = replans.get(conn, "rpl_1")
            seen.append((replan.undone, replan.undone_at, replan.undone_by))
        replans.tell_undone(conn, "rpl_1", "pty_9", second, pl.DataFrame(schema=schema))
        replan = replans.get(conn, "rpl_1")
        assert (replan.undone, replan.undone_at, replan.undone_by) == seen[-1]
    assert seen == [(0, None, None), (1, first, "pty_1"), (2, first, "pty_1"), (2, first, "pty_1")]


def test_replans_are_listed_newest_first_and_by_case(db: Database) -> None:
    """A page begins before the id it is given; a case has its own."""
    with db.transaction(*OPERATOR, False) as conn:
        for number, case_id in ((1, "cas_1"), (2, None), (3, "cas_1")):
            replans.add(conn, f"rpl_{number}", False, case_id, "pty_house", AT, rows(0))
        assert [one.replan_id for one in replans.list_replans(conn, False, limit=2)] == ["rpl_3", "rpl_2"]
        assert [one.replan_id for one in replans.list_replans(conn, False, "rpl_2")] == ["rpl_1"]
        assert [one.replan_id for one in replans.list_replans(conn, False, case_id="cas_1")] == ["rpl_3", "rpl_1"]


def test_replans_are_seen_by_those_who_run_the_network(db: Database) -> None:
    """A shipper and a courier see none, and test data is apart from live data."""
    with db.transaction(*OPERATOR, False) as conn:
        replans.add(conn, "rpl_1", False, None, "pty_house", AT, rows(1))
    for party, scope, test in (
        ("pty_shop", "merchant", False),
        ("pty_blue", "courier", False),
        ("pty_house", "operator", True),
    ):
        with db.transaction(party, frozenset({scope}), test) as conn:
            assert replans.list_replans(conn, test) == [] and replans.list_shipments(conn, "rpl_1") == []
