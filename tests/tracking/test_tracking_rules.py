"""What each rule about cases finds, since when and under which cause, and what lasts once it was found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.tracking.looked import FOUND, LOOKED, looked_frame
from rookery.tracking.model import DETAILS, STATUSES
from rookery.tracking.rules import (
    RULES,
    chance_low,
    closure,
    damage,
    departure_missed,
    dwell,
    hold,
    scan_missing,
    unknown_code,
    unknown_parcel,
    wrong_place,
)

NOW = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)


def before(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


CUT, LEFT = before(2), before(1)
"""The cut-off and the departure of HB1, booked from H."""
WELL = {
    "epc": "p1", "parcel_id": "pcl_1", "shipment_id": "shp_1", "owner_id": "pty_shop", "number": "N1",
    "status": "in_transit", "detail": "arrived", "at": before(3), "event_no": 7, "node_id": "H",
    "chance": 0.97, "chance_before": 0.97, "confidence": 0.95, "promised_chance": 0.99,
    "promised_at": NOW + timedelta(days=2), "off_plan": False, "overdue": False,
    "booked_departure_id": "HB1", "booked_from": "H", "booked_cutoff_at": CUT, "booked_depart_at": LEFT,
    "due_scan": "departed", "look_again_at": NOW, "legs_nodes": ["A", "H", "B"], "nodes_before": ["H", "B"],
}  # fmt: skip
"""A parcel that waits at H and is looked at a little after its departure: nothing is wrong with it yet."""
RIDING = {"node_id": None, "detail": "departed", "riding_departure_id": "HB1", "riding_depart_at": LEFT,
          "due_scan": "arrived", "booked_departure_id": None, "booked_from": None, "booked_cutoff_at": None,
          "booked_depart_at": None, "at": LEFT}  # fmt: skip


def looked(*rows: dict[str, Any]) -> pl.DataFrame:
    """LOOKED of parcels that are well but for what is told."""
    full = [{**WELL, "epc": f"p{i}", **row} for i, row in enumerate(rows, 1)]
    schema = {name: LOOKED[name] for name in {name: None for row in full for name in row}}
    return looked_frame(pl.DataFrame([{name: row.get(name) for name in schema} for row in full], schema=schema))


def causes(find: Any, *rows: dict[str, Any], now: datetime = NOW) -> list[str | None]:
    """The cause found for each row; None = nothing is found."""
    found = find(looked(*rows), now)
    assert dict(found.schema) == FOUND
    by_epc = dict(zip(found["epc"], found["cause"]))
    return [by_epc.get(f"p{i}") for i in range(1, len(rows) + 1)]


def lasts(
    rule: Any, cause: str, row: dict[str, Any], event_no: int = 7, in_force: bool = True, is_open: bool = True
) -> bool:
    """Whether a parcel that is in a case stays in it."""
    members = looked(row).with_columns(
        case_cause=pl.lit(cause), case_event_no=pl.lit(event_no), case_in_force=pl.lit(in_force), open=pl.lit(is_open)
    )
    return rule.lasts(members, NOW).height == 1


def test_who_is_well_is_found_by_no_rule():
    """A parcel that goes as booked is no case of any kind, standing, riding or delivered."""
    rows = ({}, RIDING, {"status": "delivered", "detail": None, "node_id": None, "due_scan": None})
    for rule in RULES:
        assert causes(rule.find, *rows) == [None, None, None], rule.kind


def test_a_closure_of_a_node_where_it_merely_stands_matters_only_where_the_chance_fell():
    """Standing at a shut node from which it leaves after the window, a low chance and another way tell of no harm."""
    stands = {"closures": ["clo_1"], "closures_stood": ["clo_1"], "chance": 0.5, "chance_before": 0.5}
    found = causes(
        closure.find, stands | {"off_plan": True}, stands | {"chance_before": 0.97}, stands | {"why": "no_way"},
        stands | {"closures_stood": []}, stands | {"chance": 0.96, "chance_before": 0.99},
    )  # fmt: skip
    assert found == [None, "closure:clo_1", "closure:clo_1", "closure:clo_1", None]


@pytest.mark.parametrize(
    ("row", "stays"),
    [
        ({"chance": 0.96}, False),
        ({"chance": 0.94}, True),
        ({"chance": None, "why": "no_way"}, True),
        ({"chance": 0.96, "closures_stood": []}, True),
        ({"closures": [], "chance": 0.94}, False),
    ],
)
def test_what_waits_at_a_shut_node_leaves_the_case_once_it_is_booked_around(row: dict[str, Any], stays: bool):
    """Booked on a leg that leaves after the closure with the chance that was promised, it is in no trouble though it
    stands there still; who is to leave while it is shut stays.
    """
    stands = {"closures": ["clo_1"], "closures_stood": ["clo_1"]}
    assert lasts(closure.RULE, "closure:clo_1", stands | row) is stays


@pytest.mark.parametrize(
    ("row", "in_force", "stays"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"chance": None, "why": "no_way", "below": False}, True, True),
        ({"chance": None, "why": "no_policy"}, True, True),
        ({"below": False}, True, False),
        ({"promised_chance": 0.9}, True, False),
        ({"status": "pre_transit", "detail": None}, True, False),
        ({"status": "delivered"}, True, False),
        ({"stale": True, "below": False}, False, True),
        ({"stale": True, "status": "delivered"}, False, False),
    ],
)
def test_what_is_late_by_a_closure_stays_in_its_case_while_that_is_in_force(
    row: dict[str, Any], in_force: bool, stays: bool
):
    """Booked around it and below its promise since, it is in no other trouble; not what was promised with less, what
    its shipper has not handed over in time, and what came to an end. What was not looked up without it yet stays, too.
    """
    late = {"closures": [], "chance": 0.5, "below": True}
    assert lasts(closure.RULE, "closure:clo_1", late | row, in_force=in_force) is stays


def test_what_is_late_by_a_closure_leaves_a_case_that_was_closed_by_hand():
    """Closing hides what the closure touches, and not that it made something late."""
    late = {"closures": [], "chance": 0.5, "below": True}
    assert not lasts(closure.RULE, "closure:clo_1", late, is_open=False)
    assert lasts(closure.RULE, "closure:clo_1", late | {"closures": ["clo_1"]}, is_open=False)


def test_chance_low_opens_below_the_margin_only():
    """0.94 of 0.95 promised is not yet a case, 0.92 is; the cause is the parcel."""
    rows = [{"chance": chance} for chance in (0.96, 0.94, 0.9299)]
    assert causes(chance_low.find, *rows) == [None, None, "parcel:p3"]
    in_doubt = [{"chance": chance, "below": True} for chance in (0.96, 0.94, None)]  # as it was below the margin
    assert causes(chance_low.find, *in_doubt) == [None, "parcel:p2", None]


def test_chance_low_is_not_told_of_what_was_promised_with_less():
    """Who was booked below the confidence, or has not handed the parcel over in time, hears of no fall."""
    rows = [
        {"chance": 0.5, "promised_chance": 0.9},
        {"chance": 0.5, "promised_chance": None},
        {"chance": 0.5, "status": "pre_transit", "detail": None},
        {"chance": 0.5, "status": "pre_transit", "detail": None, "booked_cutoff_at": NOW + timedelta(hours=1)},
    ]
    assert causes(chance_low.find, *rows) == [None, "parcel:p2", None, "parcel:p4"]


def test_what_rides_a_late_departure_has_one_cause():
    """Parcels on a departure that left late share its cause; one on a punctual one has its own."""
    late = {**RIDING, "chance": 0.4, "at": LEFT + timedelta(minutes=40)}
    found = causes(chance_low.find, late, late, {**RIDING, "chance": 0.4})
    assert found == ["departure:HB1@2026-03-02T19:00Z"] * 2 + ["parcel:p3"]


def test_what_one_departure_did_has_one_cause():
    """A departure that nothing was heard of when it should have left, or come, or that was missed, is the cause for all
    that were to go by it; before it is to leave, and where something else is overdue, each parcel is its own.
    """
    standing, riding = {"chance": 0.5, "overdue": True}, {**RIDING, "chance": 0.5, "overdue": True}
    rows = [
        standing, standing, riding, {"chance": 0.5, "at": CUT + timedelta(minutes=1)}, {"chance": 0.5},
        {**standing, "booked_depart_at": NOW + timedelta(hours=1)},
        {**standing, "booked_departure_id": None, "booked_depart_at": None, "booked_cutoff_at": None},
    ]  # fmt: skip
    hb1 = "departure:HB1@2026-03-02T19:00Z"
    assert causes(chance_low.find, *rows) == [hb1] * 4 + ["parcel:p5", "parcel:p6", "parcel:p7"]
    reasons = chance_low.find(looked(*rows), NOW)["reason"].to_list()
    assert reasons[0] == reasons[1] and "HB1@2026-03-02T19:00Z was not heard of" in reasons[0]
    assert "is overdue" in reasons[2] and "was missed" in reasons[3] and "fell to 50 %" in reasons[4]


def test_no_way_left_is_a_chance_too_low():
    """Where no way is left the chance is not known, and someone must act; of an unknown place nobody can tell."""
    assert causes(chance_low.find, {"chance": None, "why": "no_way"}, {"chance": None, "why": "unknown_place"}) == [
        "parcel:p1",
        None,
    ]


@pytest.mark.parametrize(
    ("row", "stays"),
    [
        ({"chance": 0.94}, True),
        ({"chance": 0.95}, False),
        ({"chance": None, "why": "unknown_place"}, True),
        ({"chance": 0.2, "status": "delivered"}, False),
    ],
)
def test_a_low_chance_lasts_until_what_was_promised(row: dict[str, Any], stays: bool):
    """It closes at the confidence itself, whatever the cause was; not knowing mends nothing, being delivered does."""
    assert lasts(chance_low, "departure:X@2026-03-01T00:00Z", row) is stays


def test_a_departure_is_missed_by_who_is_seen_after_its_cut_off():
    """Seen at the node after the cut-off it has missed it; seen before, or riding, or elsewhere, it has not."""
    after = {"at": CUT + timedelta(minutes=1)}
    found = causes(
        departure_missed.find, after, {}, {**RIDING, "at": NOW}, {**after, "booked_from": "A"},
        {**after, "status": "pre_transit", "detail": None},
        {**after, "booked_departure_id": None, "booked_depart_at": None},
    )  # fmt: skip
    assert found == ["departure:HB1@2026-03-02T19:00Z", None, None, None, None, None]


def test_what_is_loaded_after_the_cut_off_goes_along():
    """Loading, bagging and standing ready come after the cut-off; after the departure they come too late."""
    rows = [
        {"detail": detail, "at": at}
        for detail in ("loaded", "bagged", "ready_to_depart")
        for at in (CUT + timedelta(minutes=30), LEFT + timedelta(minutes=1))
    ]
    cause = "departure:HB1@2026-03-02T19:00Z"
    assert causes(departure_missed.find, *rows) == [None, cause] * 3
    assert causes(departure_missed.find, {"detail": "left_behind", "at": before(5)}) == [cause]


def test_missed_since_the_cut_off():
    """A departure is missed from its cut-off on, and the sentence names node and departure."""
    found = departure_missed.find(looked({"at": NOW}), NOW)
    assert found["since"].to_list() == [CUT]
    assert found["reason"].to_list() == ["Still at H after the cut-off of HB1@2026-03-02T19:00Z."]


def test_a_missing_scan_has_the_cause_that_is_silent():
    """Arriving is the departure's, leaving and accepting the node's about a departure, going out the node's, delivering
    the parcel's.
    """
    found = causes(
        scan_missing.find,
        {**RIDING, "overdue": True},
        {"overdue": True},
        {"overdue": True, "status": "pre_transit", "detail": None, "due_scan": "accepted", "node_id": "A"},
        {"overdue": True, "due_scan": "out_for_delivery", "node_id": "B"},
        {"overdue": True, "due_scan": "delivered", "status": "out_for_delivery", "node_id": None},
        {"overdue": True, "due_scan": None},
        {},
    )
    assert found == [
        "departure:HB1@2026-03-02T19:00Z", "node:H:HB1@2026-03-02T19:00Z", "node:A:HB1@2026-03-02T19:00Z", "node:B",
        "parcel:p5", None, None,
    ]  # fmt: skip


def test_by_the_clock_alone_it_may_have_left_unscanned():
    """Long after the departure, a parcel last seen before the cut-off lacks a scan; one seen after it has missed it."""
    later = NOW + timedelta(minutes=1)
    rows = ({}, {"at": CUT + timedelta(minutes=1)})
    assert causes(scan_missing.find, *rows, now=later) == ["node:H:HB1@2026-03-02T19:00Z", None]
    assert causes(departure_missed.find, *rows, now=later) == [None, "departure:HB1@2026-03-02T19:00Z"]


def test_a_scan_stays_missing_until_something_is_observed():
    """Looked at for another reason it is still missing; a new event, or another booking, ends that."""
    cause = "node:H:HB1@2026-03-02T19:00Z"
    assert lasts(scan_missing, cause, {})
    assert not lasts(scan_missing, cause, {"event_no": 8})
    assert not lasts(scan_missing, cause, {"booked_departure_id": "HB2"})
    assert not lasts(scan_missing, cause, {"due_scan": None})


def test_dwell_is_more_than_a_day_and_twice_the_wait():
    """A day where it was to go on sooner, twice the planned wait where that is longer; since then it dwells."""
    rows = [
        {"at": before(23)},
        {"at": before(25), "booked_depart_at": before(20)},
        {"at": before(50), "booked_depart_at": before(10)},  # was to wait 40 hours
        {"at": before(81), "booked_depart_at": before(41)},  # was to wait 40 hours, too
        {"at": before(25), "booked_depart_at": None},
    ]
    assert causes(dwell.find, *rows) == [None, "parcel:p2", None, "parcel:p4", "parcel:p5"]
    assert dwell.find(looked(rows[3]), NOW)["since"].to_list() == [before(1)]


def test_who_is_held_or_waits_to_be_fetched_does_not_dwell():
    """A hold has a case of its own, a locker is where a parcel may lie, what nobody has handed over lies nowhere."""
    rows = [{"at": before(99), "status": s} for s in ("on_hold", "available_for_pickup", "pre_transit", "delivered")]
    assert causes(dwell.find, *rows, {**RIDING, "at": before(99)}) == [None] * 5


def test_wrong_place_is_neither_booked_nor_likely():
    """Off the booked route it is in the wrong place, unless the way there was likely before; told so, always."""
    rows = [
        {"node_id": "X"},
        {"node_id": "X", "nodes_before": ["X", "B"]},
        {"node_id": "X", "legs_nodes": []},
        {"detail": "misrouted"},
        {"node_id": "X", "status": "pre_transit"},
        {"node_id": None},
    ]
    assert causes(wrong_place.find, *rows) == ["parcel:p1", None, None, "parcel:p4", None, None]


def test_a_wrong_place_lasts_while_it_is_there():
    """What is likely from a wrong place leads through it: only another place, or a booking through it, ends it."""
    there = {"node_id": "X", "nodes_before": ["X", "B"]}
    assert lasts(wrong_place, "parcel:p1", there)
    assert not lasts(wrong_place, "parcel:p1", {**there, "legs_nodes": ["A", "X", "B"]})
    assert not lasts(wrong_place, "parcel:p1", RIDING)


def test_damage_and_hold_are_apart():
    """Damaged is damage whatever the status; on hold without it is a hold; after its end it is neither."""
    rows = [
        {"status": "on_hold", "detail": "damaged"},
        {"status": "in_transit", "detail": "damaged"},
        {"status": "on_hold", "detail": "customs_hold"},
        {"status": "on_hold", "detail": None},
        {"status": "delivered", "detail": "damaged"},
    ]
    assert causes(damage.find, *rows) == ["parcel:p1", "parcel:p2", None, None, None]
    assert causes(hold.find, *rows) == [None, None, "parcel:p3", "parcel:p4", None]
    assert hold.find(looked(rows[2]), NOW)["reason"].to_list() == ["Held at H (customs hold)."]


def test_what_was_given_up_is_no_case():
    """Of which nothing was heard for so long that it is looked for no more: no rule finds it, and it stays in none."""
    trouble = [
        {"closures": ["clo_1"], "off_plan": True}, {"chance": 0.1}, {"at": CUT + timedelta(minutes=1)},
        {"overdue": True}, {"at": before(99), "booked_depart_at": None}, {"node_id": "X"},
        {"detail": "damaged"}, {"status": "on_hold"},
    ]  # fmt: skip
    for rule, row in zip(RULES, trouble, strict=True):
        assert causes(rule.find, row) != [None], rule.kind
        assert causes(rule.find, row | {"why": "given_up"}) == [None], rule.kind
        if rule.lasts is not None:
            [cause] = causes(rule.find, row)
            assert lasts(rule, cause or "", row) and not lasts(rule, cause or "", row | {"why": "given_up"})


def closed_for(*rows: dict[str, Any]) -> list[tuple[str, str]]:
    """Which closures matter to which parcels."""
    found = closure.find(looked(*rows), NOW)
    assert dict(found.schema) == FOUND
    return sorted(zip(found["epc"], found["cause"].str.strip_prefix("closure:")))


def test_a_closure_matters_when_something_came_of_it():
    """Touched and fallen, below, led elsewhere or without a way: in the closure's case; touched and well: not."""
    touched = {"closures": ["clo_1"]}
    rows = [
        {**touched, "chance": 0.9651, "chance_before": 0.9999},
        {**touched, "chance": 0.9, "chance_before": 0.9},
        {**touched, "off_plan": True},
        {**touched, "chance": None, "why": "no_way"},
        touched,
        {"chance": 0.1},
        {**touched, "off_plan": True, "status": "pre_transit", "detail": None},
    ]
    assert closed_for(*rows) == [(epc, "clo_1") for epc in ("p1", "p2", "p3", "p4", "p7")]


def test_a_parcel_is_under_each_closure_that_matters_to_it():
    """Two closures on one way are two causes: neither hides what the other one does."""
    assert closed_for({"closures": ["clo_1", "clo_2"], "off_plan": True}) == [("p1", "clo_1"), ("p1", "clo_2")]


def test_less_room_is_no_closure_of_what_was_below_anyway():
    """A closure that only thins has those whose chance fell, since the look before or their promise, or whom it leads
    elsewhere; one that shuts or delays beside it has all that are below.
    """
    thin = {"closures": ["clo_1"], "closures_thin": ["clo_1"], "chance": 0.9}
    rows = [
        thin | {"chance_before": 0.9},
        thin | {"chance_before": 0.91},
        thin | {"chance_before": None},
        thin | {"chance_before": None, "promised_chance": 0.9},
        thin | {"chance_before": 0.9, "off_plan": True},
        thin | {"chance_before": 0.9, "closures": ["clo_1", "clo_2"]},
    ]
    assert closed_for(*rows) == [("p2", "clo_1"), ("p3", "clo_1"), ("p5", "clo_1"), ("p6", "clo_2")]


def test_a_closure_lasts_while_it_touches():
    """Another closure does not hold a parcel in the first one's case; booked around, lifted or over, it leaves it."""
    assert lasts(closure, "closure:clo_1", {"closures": ["clo_1", "clo_2"]})
    assert not lasts(closure, "closure:clo_1", {"closures": ["clo_2"]})
    assert not lasts(closure, "closure:clo_1", {"closures": []})
    assert not lasts(closure, "closure:clo_1", {"closures": ["clo_1"], "status": "cancelled"})


def test_unknown_numbers_and_codes_have_a_quarter_of_an_hour():
    """Scans that stay unknown longer are a case for each party and number or code, also where no record tells when."""
    ages = [NOW - timedelta(minutes=minutes) for minutes in (14, 16)] + [None]
    strays = pl.DataFrame(
        {"party_id": "pty_blue", "epc": ["e1", "e2", "e3"], "number": ["N1", "N2", "N3"], "scans": 2, "since": ages},
        schema=unknown_parcel.STRAYS,
    )
    assert unknown_parcel.find(strays, NOW)["cause"].to_list() == ["number:pty_blue:e2", "number:pty_blue:e3"]
    codes = pl.DataFrame(
        {"party_id": "pty_blue", "code": ["W7", "W:8", "W9"], "scans": 2, "since": ages}, schema=unknown_code.UNMAPPED
    )
    assert unknown_code.find(codes, NOW)["cause"].to_list() == ["code:pty_blue:W:8", "code:pty_blue:W9"]


_SOME = st.one_of(
    st.none(), st.datetimes(datetime(2026, 2, 1), datetime(2026, 4, 1)).map(lambda at: at.replace(tzinfo=UTC))
)
_ROW = st.fixed_dictionaries(
    {
        "status": st.sampled_from([None, *STATUSES]),
        "detail": st.sampled_from([None, *DETAILS]),
        "at": _SOME,
        "node_id": st.sampled_from([None, "H", "X"]),
        "riding_departure_id": st.sampled_from([None, "HB1"]),
        "riding_depart_at": _SOME,
        "chance": st.one_of(st.none(), st.floats(0, 1)),
        "chance_before": st.one_of(st.none(), st.floats(0, 1)),
        "confidence": st.sampled_from([None, 0.95]),
        "promised_chance": st.one_of(st.none(), st.floats(0, 1)),
        "off_plan": st.booleans(),
        "overdue": st.booleans(),
        "why": st.sampled_from([None, "no_way", "no_policy", "ended"]),
        "due_scan": st.sampled_from([None, "accepted", "departed", "arrived", "out_for_delivery", "delivered"]),
        "booked_departure_id": st.sampled_from([None, "HB1"]),
        "booked_from": st.sampled_from([None, "H"]),
        "booked_cutoff_at": _SOME,
        "booked_depart_at": _SOME,
        "closures": st.lists(st.sampled_from(["clo_1", "clo_2"]), unique=True),
        "closures_thin": st.sampled_from([None, [], ["clo_1"]]),
    }
)


@settings(deadline=None)
@given(st.lists(_ROW, max_size=8))
def test_whatever_is_looked_at_is_told_whole(rows: list[dict[str, Any]]):
    """Of any parcels, with anything unknown, a rule finds each at most once, that about closures once for each, with a
    cause and a reason; and what has ended is in no case.
    """
    frame = looked(*rows)
    ended = set(frame.filter(pl.col("status").is_in(["delivered", "cancelled", "return_to_sender"]))["epc"])
    for rule in RULES:
        found = rule.find(frame, NOW)
        assert dict(found.schema) == FOUND
        assert found["cause"].null_count() == found["reason"].null_count() == 0, rule.kind
        once = ["epc", "cause"] if rule is closure.RULE else ["epc"]
        assert found.select(once).is_unique().all() and ended.isdisjoint(found["epc"])
        if rule.lasts is not None:
            members = frame.with_columns(
                case_cause=pl.lit("parcel:p1"), case_event_no=pl.lit(7), case_in_force=pl.lit(True), open=pl.lit(True)
            )
            assert ended.isdisjoint(rule.lasts(members, NOW)["epc"])


def test_reasons_tell_how_many_and_where():
    """One scan is one, several are several; who scanned, which closure, and at which node nothing was heard stand in
    the reason.
    """
    strays = [{"party_id": "pty_blue", "epc": "urn:e", "number": "123", "scans": n, "since": None} for n in (1, 2)]
    found = unknown_parcel.find(pl.DataFrame(strays, schema=unknown_parcel.STRAYS), NOW)
    assert found["reason"].to_list() == [
        "pty_blue scanned 123 1 time: none of its parcels has that number.",
        "pty_blue scanned 123 2 times: none of its parcels has that number.",
    ]
    codes = [{"party_id": "pty_blue", "code": "ZZ", "scans": n, "since": None} for n in (1, 2)]
    assert unknown_code.find(pl.DataFrame(codes, schema=unknown_code.UNMAPPED), NOW)["reason"].to_list() == [
        "1 scan came from pty_blue with code ZZ, which no code table knows.",
        "2 scans came from pty_blue with code ZZ, which no code table knows.",
    ]
    silent = looked({"node_id": "B", "due_scan": "out_for_delivery", "overdue": True, "booked_departure_id": None})
    assert scan_missing.find(silent, NOW)["reason"].to_list() == [
        "No scan of being out for delivery at B when it was due."
    ]
