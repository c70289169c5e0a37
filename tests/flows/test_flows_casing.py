"""Cases on real PostgreSQL: one for each cause, opened, extended and closed by what was looked at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from casing_room import MISSED_HB1, RIDES_LATE, Room, hear_all, make_room
from looked_cases import CLOSED, LOOK, MISSED, MOVE, NOTHING, judged, looked
from tracking_cases import MONDAY, make_world, scan

from rookery.base.jobs import Desk
from rookery.base.operations import SYSTEM
from rookery.flows import casing
from rookery.flows.casing import judge, judge_unknown
from rookery.flows.living.turning import turn
from rookery.tracking import tables_store
from rookery.tracking.tables_store import STRAYS, UNMAPPED


@pytest.fixture
def room(make_urls, tmp_path):
    with make_room(make_urls, tmp_path) as room:
        yield room


DAMAGED = {"disposition": "damaged"}


def test_one_cause_is_one_case_however_many_parcels(room: Room):
    """Parcels that missed one departure are one case, also when they are looked at in batches; figures follow."""
    first = room.judge(a=MISSED, b=MISSED | {"value": 5.5, "chance": 0.96})
    second = room.judge(c=MISSED)
    assert (len(first.opened), second.opened, second.extended) == (1, [], first.opened)
    assert room.cases() == {MISSED_HB1: 3}
    figures = room.rows("select value, currency, worst_chance, state, version from tracking.cases")
    assert figures == [(25.5, "EUR", 0.96, "open", 1)]


def test_judged_again_by_the_same_nothing_changes(room: Room):
    """The same look twice opens, extends and closes nothing."""
    rows = {"a": MISSED, "b": {"status": "on_hold", "detail": "customs_hold"}, "c": {"chance": 0.1}, "d": {}}
    room.judge(**rows)
    before = room.rows("select * from tracking.cases order by 1"), room.rows("select * from tracking.case_parcels")
    room.record.now += timedelta(seconds=1)
    assert room.judge(**rows) == NOTHING
    assert (
        room.rows("select * from tracking.cases order by 1"), room.rows("select * from tracking.case_parcels")
    ) == before  # fmt: skip


def test_a_case_closes_when_its_last_parcel_leaves_it(room: Room):
    """One by one: booked on another departure, delivered; why the last left is why it closed."""
    opened = room.judge(a=MISSED, b=MISSED).opened
    assert (
        room.judge(a=MISSED | {"booked_departure_id": "HB2", "booked_cutoff_at": LOOK + timedelta(hours=9)}).closed
        == []
    )
    assert room.cases() == {MISSED_HB1: 1}
    room.record.now += timedelta(hours=1)
    assert room.judge(b={"status": "delivered"}).closed == opened
    assert room.cases() == {} and room.cases(closed=True) == {MISSED_HB1: 0}
    assert room.rows("select closed_why, closed_at, closed_by from tracking.cases") == [
        ("delivered", room.record.now, None)
    ]
    left = room.rows("select number, closed_why from tracking.case_parcels order by 1")
    assert left == [("a", "mended"), ("b", "delivered")]


@pytest.mark.parametrize(
    ("left", "why"),
    [
        ({"status": "delivered"}, "delivered"),
        ({}, "mended"),
        ({"status": "cancelled"}, "ended"),
    ],
)
def test_a_case_was_delivered_only_where_all_of_the_last_were(room: Room, left: dict[str, Any], why: str):
    """Of two that leave at once, one delivered: the case closes by what became of the other."""
    room.judge(a=MISSED, b=MISSED)
    room.judge(a={"status": "delivered"}, b=left)
    assert room.rows("select closed_why from tracking.cases") == [(why,)]


def test_trouble_that_comes_again_is_another_case(room: Room):
    """After it closed itself, the same cause opens a new case."""
    first = room.judge(a=MISSED).opened
    room.judge(a={})
    again = room.judge(a=MISSED).opened
    assert len(first) == len(again) == 1 and first != again


def test_a_parcel_comes_back_into_an_open_case(room: Room):
    """Who left a case and is found again for the same cause is in it again, once."""
    room.judge(a=MISSED, b=MISSED)
    room.judge(a={})
    assert room.judge(a=MISSED).opened == []
    assert room.rows("select number, closed_at, clear_at from tracking.case_parcels order by 1") == [
        ("a", None, None), ("b", None, None),
    ]  # fmt: skip


def test_a_low_chance_keeps_its_case_when_its_cause_would_change(room: Room):
    """Below what was promised while riding late, and still so after arriving: it stays in the departure's one case."""
    late = {
        "node_id": None, "detail": "departed", "riding_departure_id": "HB1", "chance": 0.4,
        "riding_depart_at": LOOK - timedelta(hours=4),
    }  # fmt: skip
    room.judge(a=late, b=late)
    one = ("chance_low", "departure:HB1@2026-03-02T16:00Z")
    assert room.cases() == {one: 2}
    assert room.judge(a={"chance": 0.4}) == NOTHING
    room.judge(a={"chance": 0.95})
    assert room.cases() == {one: 1}


def test_what_lasts_is_told_as_it_is_now_for_the_reason_it_came_in(room: Room):
    """Not quite mended, the chance is told anew; the reason stays that for which the parcel came into the case."""
    room.judge(a={"chance": 0.9})
    told = "select chance, reason from tracking.case_parcels"
    [(_, reason)] = room.rows(told)
    room.judge(a={"chance": 0.94})
    assert room.rows(told) == [(0.94, reason)]
    assert room.rows("select worst_chance from tracking.cases") == [(0.94,)]


def test_a_parcel_is_in_several_cases_of_different_kinds(room: Room):
    """Damaged in the wrong place with too low a chance is three cases."""
    room.judge(a={"status": "on_hold", "detail": "damaged", "node_id": "X", "chance": 0.1})
    cause = "parcel:urn:p:a"
    assert room.cases() == {("chance_low", cause): 1, ("damage", cause): 1, ("wrong_place", cause): 1}


def test_what_is_given_up_leaves_its_cases(room: Room):
    """The last look at a parcel of which nothing was heard closes its case."""
    overdue = {"overdue": True, "due_scan": "departed"}
    room.judge(a=overdue)
    assert len(room.cases()) == 1
    room.judge(a=overdue | {"why": "given_up"})
    assert room.rows("select state, closed_why from tracking.cases") == [("closed", "given_up")]


def test_a_cases_reason_holds_however_it_goes_on(room: Room):
    """Of a departure that nobody heard of, and that then left late, the case tells which it is; each parcel what it is
    that is known of it by now.
    """
    waits = {"chance": 0.5, "overdue": True, "due_scan": "departed"}
    room.judge(a=waits, b=waits)
    room.judge(a=RIDES_LATE | {"chance": 0.4})
    assert room.rows("select reason from tracking.cases where kind = 'chance_low'") == [
        ("What goes by HB1@2026-03-02T19:30Z will not be on time as surely as promised.",)
    ]
    told = room.rows("select epc, reason from tracking.case_parcels where kind = 'chance_low' order by 1")
    rest = "HB1@2026-03-02T19:30Z {}: what goes by it will not be on time as surely as promised."
    assert told == [("urn:p:a", rest.format("left late")), ("urn:p:b", rest.format("was not heard of"))]


def test_since_stays_as_it_was_told_first(room: Room):
    """Looked at again and again, a parcel in a case keeps since when it is in trouble."""
    room.judge(a=CLOSED)
    since = "select since, opened_at from tracking.case_parcels"
    first = room.rows(since)
    room.record.now += timedelta(hours=1)
    room.judge(a=CLOSED | {"chance": 0.4})
    assert room.rows(since) == first == [(LOOK, LOOK)]
    assert room.rows("select chance from tracking.case_parcels") == [(0.4,)]


def test_values_in_several_currencies_are_not_added(room: Room):
    """Euros and pounds have no sum; the case tells none."""
    room.judge(a=MISSED, b=MISSED | {"currency": "GBP"})
    assert room.rows("select value, currency, parcels from tracking.cases") == [(None, None, 2)]
    room.judge(b={})
    assert room.rows("select value, currency from tracking.cases") == [(10.0, "EUR")]


def test_what_was_closed_by_hand_waits_until_it_was_clear_once(room: Room):
    """Not opened again for the same parcels and cause; others open a new case; once clear, it may come again."""
    [case_id] = room.judge(a=MISSED).opened
    with room.record.context() as ctx:
        casing.cases.close_by_hand(ctx.conn, case_id, "settled", "pty_house", LOOK)
    assert room.judge(a=MISSED) == NOTHING
    assert len(room.judge(a=MISSED, b=MISSED).opened) == 1
    assert room.cases() == {MISSED_HB1: 1}
    assert room.judge(a={}) == NOTHING
    assert room.judge(a=MISSED).extended != []
    assert room.cases() == {MISSED_HB1: 2}


def test_a_low_chance_closed_by_hand_stays_closed_under_any_cause(room: Room):
    """The cause that would be told now is another; the fall is the same."""
    late = {
        "node_id": None, "detail": "departed", "riding_departure_id": "HB1", "chance": 0.4,
        "riding_depart_at": LOOK - timedelta(hours=4),
    }  # fmt: skip
    [case_id] = room.judge(a=late).opened
    with room.record.context() as ctx:
        casing.cases.close_by_hand(ctx.conn, case_id, "known", "pty_house", LOOK)
    assert room.judge(a={"chance": 0.4}) == NOTHING


def test_test_data_and_live_data_have_cases_apart(room: Room):
    """The same parcel name and cause in test mode is another case, that live data does not see."""
    from msgspec import structs

    room.judge(a=MISSED)
    with room.record.context(structs.replace(SYSTEM, test=True)) as ctx:
        assert len(judged(ctx, looked({"t": MISSED}), LOOK).opened) == 1
        assert ctx.conn.execute("select count(*) from tracking.cases").fetchone() == (1,)
    assert room.cases() == {MISSED_HB1: 1}


def test_an_undone_look_leaves_no_case(room: Room):
    """Cases are of the transaction of the look: where that fails, nothing was opened."""
    with pytest.raises(RuntimeError), room.record.context() as ctx:
        judge(ctx, looked({"a": MISSED}), LOOK)
        raise RuntimeError
    assert room.cases() == {}


def test_news_tells_each_shipper_once_of_a_case(room: Room):
    """A case tells whom it concerns when it opens, comes to concern a new shipper, or closes; never others' figures."""
    hear_all(room)
    [case_id] = room.judge(a=MISSED, b=MISSED | {"owner_id": "pty_rival"}).opened
    room.judge(c=MISSED | {"owner_id": "pty_third"}, d=MISSED)
    room.judge(a={}, b={}, c={}, d={})
    told = room.rows("select kind, key, parties, data from base.outbox order by seq")
    assert [(kind, key, parties) for kind, key, parties, _ in told] == [
        ("case.opened", case_id, ["pty_rival", "pty_shop"]),
        ("case.opened", case_id, ["pty_third"]),
        ("case.closed", case_id, ["pty_rival", "pty_shop", "pty_third"]),
    ]
    assert set(told[0][3]) == {"case_id", "kind", "cause", "reason"} and told[2][3]["closed_why"] == "mended"


def test_nobody_who_listens_no_news(room: Room):
    """Where no endpoint wants to hear of cases, nothing is put into the outbox."""
    room.judge(a=MISSED)
    assert room.rows("select count(*) from base.outbox") == [(0,)]


def keep_unknown(room: Room, party_id: str = "pty_blue") -> None:
    """Two scans of a number that no parcel has, one with a code that no table knows."""
    with room.record.context() as ctx:
        at = {"event_at": LOOK}
        strays = pl.DataFrame([{"epc": "urn:n:1", "number": "N1", "event_no": n, **at} for n in (1, 2)], schema=STRAYS)
        tables_store.add_strays(ctx.conn, strays, party_id, False)
        codes = pl.DataFrame([{"event_no": 1, "code": "W:7", **at}], schema=UNMAPPED)
        tables_store.add_unmapped(ctx.conn, codes, party_id, False)


def test_unknown_numbers_and_codes_are_cases_until_they_are_settled(room: Room):
    """One for each number and code of a party; again and again nothing more; understood, they close themselves."""
    desk = Desk(room.record.database, room.record.context().clock, room.record.parts)
    keep_unknown(room)
    hear_all(room)
    for _ in range(2):
        judge_unknown(desk)
    assert room.cases() == {("unknown_code", "code:pty_blue:W:7"): 0, ("unknown_parcel", "number:pty_blue:urn:n:1"): 0}
    with room.record.context() as ctx:
        tables_store.drop_strays(ctx.conn, ["urn:n:1"], "pty_blue", False)
        ctx.conn.execute("delete from tracking.unmapped")
    judge_unknown(desk)
    assert room.cases() == {}
    assert room.rows("select distinct closed_why, version from tracking.cases") == [("mended", 2)]
    told = room.rows("select kind, parties, data->>'closed_why' from base.outbox order by seq")
    assert told == [("case.opened", [], None)] * 2 + [("case.closed", [], "mended")] * 2


def test_an_unknown_number_closed_by_hand_stays_closed_until_it_was_settled(room: Room):
    """The scans are still there: no new case; gone and come again: a new one."""
    desk = Desk(room.record.database, room.record.context().clock, room.record.parts)
    keep_unknown(room)
    judge_unknown(desk)
    with room.record.context() as ctx:
        for (case_id,) in ctx.conn.execute("select case_id from tracking.cases").fetchall():
            casing.cases.close_by_hand(ctx.conn, case_id, "a courier's own bags", "pty_house", LOOK)
    judge_unknown(desk)
    assert room.cases() == {}
    with room.record.context() as ctx:
        ctx.conn.execute("delete from tracking.unmapped")
        ctx.conn.execute("delete from tracking.strays")
    judge_unknown(desk)
    keep_unknown(room)
    judge_unknown(desk)
    assert len(room.cases()) == 2


def test_moves_are_kept_as_they_were_looked_up(room: Room):
    """The legs of a suggested move come back as they were found."""
    import msgspec

    room.judge(a=CLOSED)
    assert room.rows("select move from tracking.case_parcels") == [(msgspec.json.decode(MOVE),)]


def test_a_scan_becomes_a_case_and_another_ends_it(make_urls, tmp_path):
    """From the door to the case: a courier scans damage, the live turn looks and opens it, the next scan mends it."""
    with make_world(make_urls, tmp_path) as world:
        parcel, desk = world.parcel(), Desk(world.record.database, world.record.context().clock, world.record.parts)
        world.record.now = MONDAY + timedelta(hours=12)

        def cases_now() -> list[tuple[Any, ...]]:
            while turn(desk, False, lambda: None):
                pass
            with world.record.context(SYSTEM, readonly=True) as ctx:
                query = "select kind, cause, state, parcels from tracking.cases where kind = 'damage'"
                return ctx.conn.execute(query).fetchall()

        assert cases_now() == []
        world.capture(world.blue, scan("inspecting", 9.5, parcel, place="H", **DAMAGED))
        assert cases_now() == [("damage", f"parcel:{parcel}", "open", 1)]
        world.capture(world.blue, scan("arriving", 10, parcel, place="H"))
        assert cases_now() == [("damage", f"parcel:{parcel}", "closed", 0)]
