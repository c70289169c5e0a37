"""Closures in the database, and the network under them: the same as if the feed had them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.base.db import Database
from rookery.network import expand, live
from rookery.network.live import (
    MOVED,
    Closure,
    as_they_leave,
    delayed_once,
    in_force,
    leaving,
    meet,
    moved_runs,
    overlaid,
    put_back,
)
from rookery.terms.errors import NotFound
from rookery.terms.frames import FEED, Feed
from rookery.terms.ids import new_id
from rookery.terms.time import DAY, from_minute, to_minute

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
START = to_minute(NOW)
OPERATOR = ("pty_ops", frozenset({"operator"}))
COURIER = ("pty_vans", frozenset({"courier"}))


def closure(**more: Any) -> Closure:
    """Node A closed for two hours from now, unless told otherwise."""
    usual = {
        "closure_id": new_id("clo", NOW), "node_id": "A", "lane_id": None, "departure_id": None, "from_at": NOW,
        "until_at": NOW + timedelta(hours=2), "capacity_factor": 0.0, "delay_minutes": 0, "reason": "Storm",
        "replan": True, "entered_at": NOW, "entered_by": "pty_ops",
    }  # fmt: skip
    return Closure(**{**usual, **more})


def test_a_closure_counts_until_it_is_over_or_lifted(fresh_database: Database) -> None:
    """What is read for a feed are the closures ahead or in force, in whole minutes, as they were entered."""
    over = closure(from_at=NOW - timedelta(hours=2), until_at=NOW)
    late = closure(from_at=NOW - timedelta(hours=2), until_at=NOW, node_id=None, lane_id="AB", capacity_factor=1.0,
                   delay_minutes=30)  # fmt: skip
    ahead, lifted = closure(from_at=NOW + timedelta(days=1), until_at=NOW + timedelta(days=2)), closure()
    with fresh_database.transaction(*OPERATOR) as conn:
        for one in (over, late, ahead, lifted):
            live.add(conn, False, one)
        assert live.lift(conn, False, lifted.closure_id, NOW, "pty_ops")
        found = live.closures(conn, False, NOW)
        named = in_force(conn, False, NOW)["closure_id"].to_list()
        listed = live.list_closures(conn, False)
        open_ones = live.list_closures(conn, False, until_after=NOW)
    assert named == sorted([late.closure_id, ahead.closure_id]), "what a delay still holds back counts too"
    assert found.schema == pl.Schema(FEED["closures"])
    told = {row["lane_id"] or row["node_id"]: row for row in found.iter_rows(named=True)}
    assert told["AB"] == {
        "node_id": None, "lane_id": "AB", "departure_id": None, "from_at": START - 120, "until_at": START,
        "capacity_factor": 1.0, "delay_minutes": 30, "reason": "Storm", "line": 0,
    }  # fmt: skip
    assert (told["A"]["from_at"], told["A"]["until_at"]) == (START + DAY, START + 2 * DAY)
    assert {one.closure_id for one in listed} == {one.closure_id for one in (over, late, ahead, lifted)}
    assert [one.closure_id for one in open_ones] == [ahead.closure_id]


def test_the_stamp_is_another_one_after_every_change(fresh_database: Database) -> None:
    """Entering and lifting each give a stamp that never was before; lifting twice is one change."""
    stamps = []
    with fresh_database.transaction(*OPERATOR) as conn:
        stamps.append(live.stamp(conn, False))
        for _ in range(2):
            one = closure()
            live.add(conn, False, one)
            stamps.append(live.stamp(conn, False))
            assert live.lift(conn, False, one.closure_id, NOW, "pty_ops")
            stamps.append(live.stamp(conn, False))
            assert not live.lift(conn, False, one.closure_id, NOW, "pty_ops")
            assert live.stamp(conn, False) == stamps[-1]
    assert len(set(stamps)) == 5


def test_live_and_test_are_apart(fresh_database: Database) -> None:
    """A closure of test mode closes nothing live, is not told there and not lifted from there."""
    one = closure()
    with fresh_database.transaction(*OPERATOR, test=True) as conn:
        live.add(conn, True, one)
    with fresh_database.transaction(*OPERATOR) as conn:
        assert live.closures(conn, False, NOW).is_empty() and live.stamp(conn, False) == "0-0"
        assert not live.lift(conn, False, one.closure_id, NOW, "pty_ops")
        with pytest.raises(NotFound):
            live.get(conn, False, one.closure_id)
    with fresh_database.transaction(*OPERATOR, test=True) as conn:
        assert live.get(conn, True, one.closure_id) == one


def test_those_who_take_part_read_closures_and_operators_alone_write_them(fresh_database: Database) -> None:
    """Row-level security lets a courier see what is closed, and neither close nor open anything."""
    one = closure()
    with fresh_database.transaction(*OPERATOR) as conn:
        live.add(conn, False, one)
    with fresh_database.transaction(*COURIER) as conn:
        assert live.get(conn, False, one.closure_id) == one
        assert not live.lift(conn, False, one.closure_id, NOW, "pty_vans")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), fresh_database.transaction(*COURIER) as conn:
        live.add(conn, False, closure())


@pytest.mark.parametrize(
    "wrong", [{"lane_id": "AB"}, {"node_id": None}, {"until_at": NOW}, {"capacity_factor": 1.5}, {"delay_minutes": -1}]
)
def test_the_database_refuses_what_is_no_closure(fresh_database: Database, wrong: dict[str, Any]) -> None:
    """Two targets or none, an empty window, more than all of the capacity, a delay back in time."""
    with pytest.raises(psycopg.errors.CheckViolation), fresh_database.transaction(*OPERATOR) as conn:
        live.add(conn, False, closure(**wrong))


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "target": st.sampled_from(
                [("node_id", "A"), ("node_id", "H"), ("node_id", "Z"), ("lane_id", "AH"), ("departure_id", "HB2")]
            ),
            "from_at": st.integers(START - DAY, START + 2 * DAY),
            "minutes": st.integers(1, 2 * DAY),
            "capacity_factor": st.sampled_from([0.0, 0.5, 1.0]),
            "delay_minutes": st.sampled_from([0, 0, 45, DAY]),
        }
    ),
    max_size=4,
)


def rows_of(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {one["target"][0]: one["target"][1], "until_at": one["from_at"] + one["minutes"]}
        | {name: one[name] for name in ("from_at", "capacity_factor", "delay_minutes")}
        for one in drawn
    ]


@pytest.fixture(scope="module")
def two_lanes(make_feed: Callable[..., Feed]) -> Callable[..., Feed]:
    """A to H to B, three departures a day, with closures."""

    def make(closures: list[dict[str, Any]]) -> Feed:
        return make_feed(
            nodes=[{"node_id": "A"}, {"node_id": "H"}, {"node_id": "B"}],
            lanes=[{"lane_id": "AH", "from_node": "A", "to_node": "H"},
                   {"lane_id": "HB", "from_node": "H", "to_node": "B"}],
            departures=[{"departure_id": "AH1", "lane_id": "AH"},
                        {"departure_id": "HB1", "lane_id": "HB", "depart_minute": 300},
                        {"departure_id": "HB2", "lane_id": "HB", "depart_minute": 1500}],
            closures=closures,
        )  # fmt: skip

    return make


@settings(max_examples=40, deadline=None)
@given(own=ROWS, entered=ROWS)
def test_a_network_under_closures_is_one_that_has_them(two_lanes: Callable[..., Feed], own, entered) -> None:
    """Laid over or written into the feed, the same departures run, cancelled and delayed alike."""
    over = overlaid(two_lanes(rows_of(own)), two_lanes(rows_of(entered)).closures)
    written = two_lanes(rows_of(own) + rows_of(entered))
    laid, said = (expand(feed, START, START + 3 * DAY) for feed in (over, written))
    assert laid.runs.equals(said.runs) and laid.openings.equals(said.openings)


@settings(max_examples=40, deadline=None)
@given(own=ROWS)
def test_moved_runs_are_those_that_leave_at_another_time(two_lanes: Callable[..., Feed], own) -> None:
    """Exactly the expansion's runs whose departure is not their schedule, by name."""
    feed = two_lanes(rows_of(own))
    runs = expand(feed, START, START + 3 * DAY).runs
    names = runs.select(feed.departures["departure_id"].gather(runs["departure"]), "scheduled_at", "depart_at")
    moved = names.cast(pl.Schema(MOVED)).filter(pl.col("scheduled_at") != pl.col("depart_at"))
    assert moved_runs(feed, START, START + 3 * DAY).sort(*MOVED).equals(moved.sort(*MOVED))


@settings(max_examples=40, deadline=None)
@given(own=ROWS, entered=ROWS)
def test_a_closure_touches_the_runs_scheduled_in_its_window(two_lanes: Callable[..., Feed], own, entered) -> None:
    """Of a departure, all departures of a lane and all that leave a node; each run once, cancelled ones not at all."""
    feed, new = two_lanes(rows_of(own)), two_lanes(rows_of(entered)).closures
    runs = expand(feed, START, START + 3 * DAY).runs
    touched = set()
    for run in runs.iter_rows(named=True):
        departure = feed.departures.row(run["departure"], named=True)
        node = {"AH": "A", "HB": "H"}[departure["lane_id"]]
        for one in new.iter_rows(named=True):
            named = one["node_id"] == node or one["lane_id"] == departure["lane_id"]
            named = named or one["departure_id"] == departure["departure_id"]
            if named and one["from_at"] <= run["scheduled_at"] < one["until_at"]:
                touched.add((departure["departure_id"], run["scheduled_at"], run["depart_at"]))
    found = leaving(feed, new, START, START + 3 * DAY)
    assert set(found.iter_rows()) == touched and found.height == len(touched)


def test_what_was_booked_as_scheduled_is_found_as_it_leaves() -> None:
    """A run that moved is told by its new time, every other one as it was, in the same order."""
    moved = pl.DataFrame([("AH1", START, START + 45)], schema=MOVED, orient="row")
    booked = pl.DataFrame(
        {
            "departure_id": ["HB1", "AH1", "AH1"],
            "depart_at": [NOW, NOW, from_minute(START + DAY)],
            "parcels": [1.0, 2.0, 3.0],
        },
        schema_overrides={"depart_at": pl.Datetime("us", "UTC")},
    )
    told = as_they_leave(booked, moved)
    assert told["depart_at"].to_list() == [NOW, NOW + timedelta(minutes=45), from_minute(START + DAY)]
    assert told.drop("depart_at").equals(booked.drop("depart_at"))
    assert as_they_leave(booked, moved.clear()).equals(booked)


def delay(minutes: int, departure_id: str = "HB2") -> dict[str, Any]:
    """A departure delayed for a day and a half."""
    return {"departure_id": departure_id, "from_at": START, "until_at": START + 3 * DAY // 2, "capacity_factor": 1.0,
            "delay_minutes": minutes}  # fmt: skip


@pytest.mark.parametrize(("minutes", "meets"), [(30, False), (DAY, True), (DAY + 1, False), (2 * DAY, True)])
def test_runs_meet_where_a_delay_is_whole_days(two_lanes: Callable[..., Feed], minutes: int, meets: bool) -> None:
    """By itself, or with another delay that is there already."""
    assert meet(two_lanes([]), two_lanes([delay(minutes)]).closures, START, START + 6 * DAY) == meets
    half = two_lanes([delay(minutes // 2)])
    rest = two_lanes([delay(minutes - minutes // 2)]).closures
    assert meet(half, rest, START, START + 6 * DAY) == meets


def test_what_was_booked_while_delayed_is_found_as_it_leaves_now(two_lanes: Callable[..., Feed]) -> None:
    """Under the delays that are left; a time at which another run leaves means that one."""
    feed = two_lanes([delay(30)])
    lifted = two_lanes([delay(45)]).closures
    found = put_back(feed, lifted, START, START + 3 * DAY)
    moved = moved_runs(feed, START, START + 3 * DAY)
    assert found.height == moved.height > 0
    assert (found["scheduled_at"] - found["depart_at"]).to_list() == [45] * found.height
    assert set(found["depart_at"]) == set(moved["depart_at"])
    assert put_back(feed, lifted.clear(), START, START + 3 * DAY).equals(pl.DataFrame(schema=MOVED))
    first = put_back(two_lanes([]), two_lanes([delay(DAY)]).closures, START, START + 6 * DAY)
    assert first.is_empty(), "the next day's run leaves then"


def test_delays_that_were_lifted_are_remembered_while_they_would_count(fresh_database: Database) -> None:
    """Those with a delay alone, the last lifted at the end, until what they delayed would have left."""
    late = {"capacity_factor": 1.0, "delay_minutes": 90}
    first, second, old = (
        closure(**late),
        closure(**late),
        closure(**late, from_at=NOW - timedelta(days=1), until_at=NOW),
    )
    with fresh_database.transaction(*OPERATOR) as conn:
        for one in (first, second, old, closure(), closure(**late)):
            live.add(conn, False, one)
        for minutes, one in enumerate((old, second, first)):
            live.lift(conn, False, one.closure_id, NOW + timedelta(minutes=minutes), "pty_ops")
        found = delayed_once(conn, False, NOW + timedelta(minutes=90))
        assert found["closure_id"].to_list() == [second.closure_id, first.closure_id]
        assert delayed_once(conn, False, NOW)["closure_id"].to_list()[0] == old.closure_id
