"""The cases of closures on real PostgreSQL: what they gather, how they end, and what is late by them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from casing_room import MISSED_HB1, RIDES_LATE, Room, enter_closure, hear_all, make_room
from looked_cases import CLOSED, LOOK, MISSED, NOTHING

from rookery.base.jobs import Desk
from rookery.flows import casing
from rookery.flows.casing import LEGS, judge_unknown, touched
from rookery.network import live
from rookery.network.live import Closure


@pytest.fixture
def room(make_urls, tmp_path):
    with make_room(make_urls, tmp_path) as room:
        yield room


def test_a_closure_is_one_case_that_gathers_what_follows_from_it(room: Room):
    """What the closed hub's parcels would be cases for is the closure's case alone; what does not follow is apart."""
    enter_closure(room)
    room.judge(a={"chance": 0.1})  # low before the closure came
    hold = {"status": "on_hold", "detail": "customs_hold"}
    room.judge(
        a=CLOSED,
        b=CLOSED | MISSED | {"closed_departures": ["HB1"]},
        c=CLOSED | hold,
        d=CLOSED | {"overdue": True, "due_scan": "departed"},
    )
    assert room.cases() == {("closure", "closure:clo_x"): 4, ("hold", "parcel:urn:p:c"): 1}
    assert room.cases(closed=True) == {("chance_low", "parcel:urn:p:a"): 0}
    assert room.rows("select reason from tracking.cases where kind = 'closure'") == [
        ("H is closed until 2026-03-03T12:00Z: Storm.",)
    ]
    told = room.rows("select closed_why from tracking.case_parcels where kind = 'chance_low'")
    assert told == [("gathered",)]


def test_a_parcel_is_in_the_case_of_each_closure_that_matters(room: Room):
    """A second closure counts what the first one has already; that the first case was closed by hand hides nothing of
    it; and lifting one leaves the other's parcels where they are.
    """
    first, second = ("closure", "closure:clo_x"), ("closure", "closure:clo_y")
    [case_id] = room.judge(a=CLOSED, b=CLOSED).opened
    both = CLOSED | {"closures": ["clo_x", "clo_y"]}
    room.judge(a=both, b=both, c=both | {"closures": ["clo_y"]})
    assert room.cases() == {first: 2, second: 3}
    assert room.judge(a=both) == NOTHING
    with room.record.context() as ctx:
        casing.cases.close_by_hand(ctx.conn, case_id, "known", "pty_house", LOOK)
    assert room.judge(a=both) == NOTHING
    third = both | {"closures": ["clo_x", "clo_y", "clo_z"]}
    room.judge(a=third)
    assert room.cases() == {second: 3, ("closure", "closure:clo_z"): 1}
    room.judge(a=third | {"closures": ["clo_x", "clo_z"]})
    assert room.cases() == {second: 2, ("closure", "closure:clo_z"): 1}


def test_a_small_closure_swallows_no_other_cases(room: Room):
    """What was below its promise before a closure that only thins, and misses a departure that this does not touch, has
    the cases that it would have without.
    """
    thin = {"closures": ["clo_x"], "closures_thin": ["clo_x"], "closed_departures": ["BC1"]}
    room.judge(a=MISSED | thin | {"chance": 0.5, "chance_before": 0.5})
    assert room.cases() == {("chance_low", MISSED_HB1[1]): 1, MISSED_HB1: 1}


def test_a_missed_departure_is_the_closures_where_it_touches_that_run(room: Room):
    """Of two parcels of a closure's case that missed their departures, the one whose departure was closed is in no
    other; the other's case is as before, and is gathered when a closure comes over that run too.
    """
    elsewhere = CLOSED | MISSED | {"closed_departures": ["BC1"]}
    here = CLOSED | MISSED | {"closed_departures": ["HB1"]}
    room.judge(a=elsewhere, b=here)
    assert room.cases() == {("closure", "closure:clo_x"): 2, MISSED_HB1: 1}
    room.judge(a=here)
    assert room.cases() == {("closure", "closure:clo_x"): 2}
    assert room.rows("select closed_why from tracking.cases where state = 'closed'") == [("gathered",)]


def test_a_scan_missing_on_the_way_is_not_the_closures(room: Room):
    """A departure of which nothing was heard is another matter than the closed hub that its parcels go to."""
    riding = {"node_id": None, "riding_departure_id": "AH1", "riding_depart_at": LOOK - timedelta(hours=9)}
    room.judge(a=CLOSED | riding | {"overdue": True, "due_scan": "arrived"})
    assert room.cases() == {("closure", "closure:clo_x"): 1, ("scan_missing", "departure:AH1@2026-03-02T11:00Z"): 1}


def test_a_closures_case_has_moves_and_closes_when_lifted(room: Room):
    """Each parcel has its move with cost and chance, the case their sum; when nothing touches any more it closes."""
    room.judge(a=CLOSED, b=CLOSED | {"chance": 0.8, "cost": 3.5}, c=CLOSED | {"off_plan": False, "legs": "[]"})
    assert room.rows("select moves, move_cost, move_chance from tracking.cases") == [(2, 6.0, 0.5)]
    moves = room.rows(
        "select number, move->0->>'departure_id', move_cost, move_chance from tracking.case_parcels order by 1"
    )
    assert moves == [("a", "HB2", 2.5, 0.5), ("b", "HB2", 3.5, 0.8), ("c", None, None, None)]
    room.judge(a=CLOSED | {"off_plan": False, "legs": "[]"})  # acted upon elsewhere, still touched: told as it is now
    assert room.rows("select moves, move_cost from tracking.cases") == [(1, 3.5)]
    closed = room.judge(a={}, b={}, c={}).closed
    assert len(closed) == 1
    assert room.rows("select closed_why from tracking.cases") == [("over",)]


def test_a_closures_case_ends_with_the_closure(room: Room):
    """Over, without another scan of what is in it: its case closes within the minute, whoever hears of cases hears it,
    and its parcels are looked at anew, once; those that are still below their promise are one case of it.
    """
    desk = Desk(room.record.database, room.record.context().clock, room.record.parts)
    enter_closure(room)
    hear_all(room)
    [case_id] = room.judge(a=CLOSED, b=CLOSED).opened
    judge_unknown(desk)
    assert room.cases() == {("closure", "closure:clo_x"): 2}
    assert room.rows("select count(*) from tracking.moved") == [(0,)]
    room.record.now += timedelta(hours=16)
    for _ in range(2):
        judge_unknown(desk)
    assert room.rows("select state, parcels, closed_why from tracking.cases") == [("closed", 0, "over")]
    assert room.rows("select epcs from tracking.moved") == [(["urn:p:a", "urn:p:b"],)]
    told = room.rows("select kind, key, parties from base.outbox order by seq")
    assert told == [("case.opened", case_id, ["pty_shop"]), ("case.closed", case_id, ["pty_shop"])]
    room.judge(a={"chance": 0.5}, b={})
    room.judge(b={"chance": 0.5})  # it was well once since: that is another trouble
    assert room.cases() == {("chance_low", "closure:clo_x"): 1, ("chance_low", "parcel:urn:p:b"): 1}


def test_another_closure_on_the_new_way_hides_no_other_trouble(room: Room):
    """What was booked around one and rides late by another departure is in the case of that, whether or not a second
    closure lies on its way that does it no harm.
    """
    enter_closure(room)
    around = {"chance": 0.5, "chance_before": 0.5, "below": True}
    harmless = {"closures": ["clo_y"], "closures_thin": ["clo_y"]}
    room.judge(a=CLOSED)
    for row in (around, around | RIDES_LATE, around | RIDES_LATE | harmless, around | RIDES_LATE):
        room.judge(a=row)
    assert room.cases() == {("closure", "closure:clo_x"): 1, ("chance_low", "departure:HB1@2026-03-02T19:30Z"): 1}
    assert room.cases(closed=True) == {}


def test_a_lifted_closure_tells_nothing_before_its_parcels_are_looked_up_without_it(room: Room):
    """The chances of before know it still: no case is opened by them."""
    desk = Desk(room.record.database, room.record.context().clock, room.record.parts)
    enter_closure(room)
    late = {"chance": 0.5, "below": True}
    room.judge(a=CLOSED | late, b=CLOSED | late)
    with room.record.context() as ctx:
        live.lift(ctx.conn, False, "clo_x", LOOK, "pty_house")
    judge_unknown(desk)
    room.judge(a=late | {"stale": True}, b=late | {"stale": True})
    assert room.cases() == {}
    room.judge(a={"below": False}, b=late)
    assert room.cases() == {("chance_low", "closure:clo_x"): 1}
    assert room.rows("select count(*) from tracking.cases") == [(2,)]


def test_what_a_closure_made_late_is_a_case_where_its_own_was_closed_by_hand(room: Room):
    """Booked around it, and late, though nobody wants to hear of the closure itself any more."""
    enter_closure(room)
    [case_id] = room.judge(a=CLOSED, b=CLOSED).opened
    with room.record.context() as ctx:
        casing.cases.close_by_hand(ctx.conn, case_id, "known", "pty_house", LOOK)
    assert room.judge(a=CLOSED) == NOTHING
    for _ in range(2):
        room.judge(a={"chance": 0.5, "below": True}, b={"chance": 0.94, "below": True})
    assert room.cases() == {("chance_low", "closure:clo_x"): 2}


def test_what_is_late_by_a_closure_is_one_case(room: Room):
    """Booked around a closed hub, all that is below its promise since stays in the closure's case while that is in
    force, but for what a late departure is to blame; after that it is one case that tells what was closed, until the
    last is as promised again.
    """
    desk = Desk(room.record.database, room.record.context().clock, room.record.parts)
    enter_closure(room)
    around = {"chance": 0.5, "below": True}
    late = RIDES_LATE | around
    room.judge(a=CLOSED, b=CLOSED, c=CLOSED, d=CLOSED)
    for _ in range(2):
        room.judge(a=around, b=around, c={"chance": 0.96}, d=late)
    by_departure = ("chance_low", "departure:HB1@2026-03-02T19:30Z")
    assert room.cases() == {("closure", "closure:clo_x"): 3, by_departure: 1}
    room.record.now += timedelta(hours=16)
    judge_unknown(desk)
    for _ in range(2):
        room.judge(a=around, b=around, c={"chance": 0.96}, d=late)
    assert room.cases() == {("chance_low", "closure:clo_x"): 2, by_departure: 1}
    assert room.rows("select reason from tracking.cases where kind = 'chance_low' and cause = 'closure:clo_x'") == [
        ("H was closed: Storm. What was to pass it will not be on time as surely as promised.",)
    ]
    room.judge(a={"chance": 0.97}, b={"status": "delivered"}, d={})
    assert room.cases() == {}


def test_a_closures_case_ends_when_it_is_lifted(room: Room):
    """Lifted, its case closes within the minute; that of another closure stays."""
    desk = Desk(room.record.database, room.record.context().clock, room.record.parts)
    enter_closure(room)
    room.judge(a=CLOSED)
    with room.record.context() as ctx:
        other = Closure("clo_y", "B", None, None, LOOK, LOOK + timedelta(hours=9), 0.0, 0, "", True, LOOK, "pty_house")
        live.add(ctx.conn, False, other)
        live.lift(ctx.conn, False, "clo_x", LOOK, "pty_house")
    room.judge(b=CLOSED | {"closures": ["clo_y"]})
    judge_unknown(desk)
    assert room.cases() == {("closure", "closure:clo_y"): 1}


def minutes(hours: float) -> int:
    return int((LOOK + timedelta(hours=hours)).timestamp() // 60)


def closures(*rows: dict[str, Any]) -> pl.DataFrame:
    usual = {"from_at": minutes(0), "until_at": minutes(4), "capacity_factor": 0.0, "delay_minutes": 0}
    full = [{**usual, "closure_id": f"clo_{i}", **row} for i, row in enumerate(rows, 1)]
    return pl.DataFrame([{name: row.get(name) for name in live.IN_FORCE} for row in full], schema=live.IN_FORCE)


def test_a_closure_touches_what_leaves_in_its_window():
    """By node, lane or departure, scheduled within [from, until); a shut node also what arrives or stands there."""
    leg = {"epc": "p", "departure_id": "HB1", "lane_id": "HB", "from_node": "H", "to_node": "B"}
    legs = pl.DataFrame(
        [{**leg, "depart_at": LOOK + timedelta(hours=4 - 1 / 60), "arrive_at": LOOK + timedelta(hours=5)}]
        + [{**leg, "epc": "q", "depart_at": LOOK + timedelta(hours=4), "arrive_at": LOOK + timedelta(hours=5)}],
        schema=LEGS,
    )
    standing = pl.DataFrame({"epc": ["p", "r"], "node_id": ["H", "A"]})
    shut = closures(
        {"node_id": "H"}, {"lane_id": "HB"}, {"departure_id": "HB1"},
        {"node_id": "B", "until_at": minutes(6)}, {"node_id": "B", "until_at": minutes(6), "capacity_factor": 0.5},
        {"node_id": "A", "from_at": minutes(1)}, {"node_id": "A", "capacity_factor": 0.5, "delay_minutes": 9},
        {"node_id": "A"},
    )  # fmt: skip
    found = touched(legs, standing, shut, LOOK)
    assert {epc: told for epc, *told in found.rows()} == {
        "p": [["clo_1", "clo_2", "clo_3", "clo_4"], [], [], ["HB1"]],
        "q": [["clo_4"], [], [], ["HB1"]],
        "r": [["clo_8"], [], ["clo_8"], []],
    }  # fmt: skip
    thin = closures(
        {"node_id": "H", "capacity_factor": 0.5}, {"lane_id": "HB", "capacity_factor": 0.5, "delay_minutes": 9}
    )
    [(_, *told)] = touched(legs, standing, thin, LOOK).rows()
    assert told == [["clo_1", "clo_2"], ["clo_1"], [], ["HB1"]]
    assert touched(legs, standing, closures({"node_id": "H", "capacity_factor": 1.0}), LOOK).is_empty()
    assert touched(legs, standing, closures(), LOOK).is_empty()
