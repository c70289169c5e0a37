"""Every scan moves a parcel's chance: on real PostgreSQL, over a network whose figures can be worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import numpy as np
import polars as pl
import pytest
from living_cases import AH1, Live, make_live
from record_cases import NOW
from tracking_cases import BAG, HOUSE

from rookery.flows.capturing import take
from rookery.flows.living.facts import facts_of
from rookery.flows.planning import model_of
from rookery.flows.trackers import place_of
from rookery.planning.capacity.resources import Prices
from rookery.planning.outlook import make_outlook
from rookery.planning.outlook_classes import CLASSES
from rookery.terms.time import to_minute
from rookery.tracking import chances
from rookery.tracking.epcis.documents import Sent
from rookery.tracking.epcis.identifiers import sscc_uri

TUESDAY = datetime(2026, 3, 3, tzinfo=UTC)
MUGS = {"description": "Mugs", "quantity": 2, "value": 9.5, "currency": "EUR"}


@pytest.fixture
def live(make_urls, tmp_path):
    with make_live(make_urls, tmp_path) as made:
        yield made


@pytest.fixture
def booked(live: Live) -> tuple[Live, str]:
    """One parcel, looked at once."""
    number = live.book()
    live.look_out()
    assert live.turn() == 1
    return live, number


def test_a_booked_parcel_has_the_chance_it_was_promised_with(booked: tuple[Live, str]):
    """From booking on: five outcomes of eight catch Tuesday's second leg, the others Wednesday's."""
    live, number = booked
    row = live.row(number)
    assert (row["chance"], row["why"], row["status"], row["node_id"]) == (0.625, None, "pre_transit", "A")
    assert row["expected_at"] == TUESDAY + timedelta(hours=10.5 + 24 * 3 / 8)
    assert row["by_at"] == TUESDAY + timedelta(hours=10.5)
    assert [leg["departure_id"] for leg in row["legs"]] == ["AH1", "HB1"]
    assert (row["next_departure_id"], row["off_plan"], row["policy"]) == ("AH1", False, "0-0.1")
    assert (row["due_scan"], row["look_again_at"]) == ("accepted", NOW + timedelta(hours=9, minutes=1))
    assert live.past(number) == [(0.625, None)]
    assert live.turn() == 0


@pytest.mark.parametrize(
    ("more", "worth"),
    [
        ({"items": [MUGS, {"description": "Tea", "value": 1.0, "currency": "EUR"}]}, (20.0, "EUR")),
        ({"items": [MUGS, {"description": "Tea"}]}, (None, None)),
        ({"items": [MUGS, {"description": "Tea", "value": 1.0, "currency": "GBP"}]}, (None, None)),
        ({"items": [MUGS], "value": 50.0, "currency": "GBP"}, (50.0, "GBP")),
        ({}, (None, None)),
    ],
)
def test_a_parcel_is_worth_what_was_told_or_what_is_in_it(live: Live, more: dict[str, Any], worth: tuple[Any, ...]):
    """The value of the whole where it was told, else of its items, where all of it was told in one currency."""
    number = live.book(**more)
    with live.record.context() as ctx:
        facts = facts_of(ctx.conn, False, [sscc_uri(number)])
    assert (facts["value"].item(), facts["currency"].item()) == worth


def test_a_late_departure_lowers_the_chance(booked: tuple[Live, str]):
    """Each outcome comes so much later; those that are through by Tuesday's second leg are on time."""
    live, _ = booked
    eighths = {-20: 5, 0: 5, 30: 5, 31: 4, 150: 4, 151: 3, 480: 1, 510: 1, 511: 0}
    numbers = {late: live.book() for late in eighths}
    live.turn()
    for late, number in numbers.items():
        live.scan(live.blue, number, "departing", 9 + late / 60, "A", **AH1)
    live.turn()
    for late, number in numbers.items():
        row = live.row(number)
        assert (row["chance"], row["riding_departure_id"], row["node_id"]) == (eighths[late] / 8, "AH1", None)
        assert (row["riding_depart_at"], row["next_departure_id"]) == (NOW + timedelta(hours=9), "HB1")
        assert (row["due_scan"], row["status"], row["detail"]) == ("arrived", "in_transit", "departed")
        assert row["look_again_at"] == NOW + timedelta(hours=9, minutes=max(late, 0) + 1020 + 30 + 60)


def test_an_arrival_settles_whether_the_next_leg_is_caught(booked: tuple[Live, str]):
    """At H it takes half an hour to be handled: to the minute."""
    live, number = booked
    late = live.book()
    live.scan(live.blue, number, "arriving", 20.5, "H")
    live.scan(live.blue, late, "arriving", 20.5 + 1 / 60, "H")
    live.turn()
    for one, chance, cutoff in ((number, 1.0, 5), (late, 0.0, 29)):
        row = live.row(one)
        assert (row["chance"], row["node_id"], row["due_scan"]) == (chance, "H", "departed")
        assert (row["off_plan"], row["next_cutoff_at"]) == (chance < 1, TUESDAY + timedelta(hours=cutoff))


def test_the_last_mile_and_the_end(booked: tuple[Live, str]):
    """Out for delivery it is there four hours later; delivered is certain, this way or that, and nothing is awaited."""
    live, number = booked
    live.at(46)
    live.scan(live.red, number, "arriving", 23, "B")
    live.turn()
    assert (live.row(number)["chance"], live.row(number)["due_scan"]) == (1.0, "out_for_delivery")
    live.scan(live.red, number, "transporting", 34, "B")
    live.turn()
    row = live.row(number)
    assert (row["chance"], row["due_scan"], row["expected_at"]) == (1.0, "delivered", NOW + timedelta(hours=38))
    live.scan(live.red, number, "transporting", 36, "B")  # 20:00Z: not by 22:59Z any more
    live.turn()
    assert live.row(number)["chance"] == 0.0
    live.scan(live.red, number, "receiving", 38.5)
    live.turn()
    row = live.row(number)
    assert (row["status"], row["chance"], row["expected_at"]) == ("delivered", 1.0, NOW + timedelta(hours=38.5))
    assert (row["due_scan"], row["look_again_at"], row["legs"], row["why"]) == (None, None, [], None)
    assert [chance for chance, _ in live.past(number)] == [0.625, 1.0, 1.0, 0.0, 1.0]


def test_what_is_delivered_after_its_promise_was_late(booked: tuple[Live, str]):
    """Its chance is 0 then, and equal is on time."""
    live, number = booked
    late = live.book()
    live.at(40)
    live.scan(live.red, number, "receiving", 38 + 59 / 60)
    live.scan(live.red, late, "receiving", 39)
    live.turn()
    assert [live.row(number)["chance"], live.row(late)["chance"]] == [1.0, 0.0]


def test_time_passes_for_a_parcel_whose_scan_does_not_come(booked: tuple[Live, str]):
    """An hour after it should have left A it is looked at by itself: it stands there, with Wednesday's leg at best,
    or is aboard, and as late as that: half of four outcomes of eight.
    """
    live, number = booked
    live.scan(live.blue, number, "accepting", 1, "A")
    live.turn()
    assert (live.row(number)["chance"], live.row(number)["due_scan"]) == (0.625, "departed")
    live.at(9.9)
    assert live.turn() == 0
    live.at(10)
    assert live.turn() == 1
    row = live.row(number)
    assert (row["chance"], row["off_plan"], row["due_scan"]) == (0.25, True, "departed")
    assert row["next_cutoff_at"] == NOW + timedelta(hours=33)  # where it still stands
    assert row["look_again_at"] == NOW + timedelta(hours=25, minutes=1)  # when it has stood there for a day
    live.scan(live.blue, number, "departing", 9.1, "A", **AH1)  # it had left, and was told late
    live.turn()
    assert (live.row(number)["chance"], live.row(number)["off_plan"]) == (0.625, False)


def test_a_ride_that_does_not_come_is_looked_at_again_and_again_but_never_at_once(booked: tuple[Live, str]):
    """It comes now at best; every hour that is later."""
    live, number = booked
    live.at(9)
    live.scan(live.blue, number, "departing", 9, "A", **AH1)
    live.turn()
    live.at(27.5)  # the latest outcome is through at 26:30
    assert live.turn() == 1
    row = live.row(number)
    assert (row["chance"], row["due_scan"], row["look_again_at"]) == (0.0, "arrived", NOW + timedelta(hours=28.5))
    assert row["expected_at"] == TUESDAY + timedelta(hours=24 + 10.5)
    live.at(28.5)
    assert live.turn() == 1
    assert live.turn() == 0


def test_what_was_not_handed_over_in_time_takes_the_next_departure(booked: tuple[Live, str]):
    """A minute after the cut-off it is looked at by itself."""
    live, number = booked
    live.at(9.1)
    assert live.turn() == 1
    row = live.row(number)
    assert (row["chance"], row["status"], row["due_scan"], row["off_plan"]) == (0.0, "pre_transit", "accepted", True)


def test_a_scan_that_comes_twice_or_changes_nothing_leaves_no_trace(booked: tuple[Live, str]):
    """Duplicates are not looked at; a second event that changes no answer adds nothing to the history."""
    live, number = booked
    for _ in range(3):
        live.scan(live.blue, number, "accepting", 1, "A")
    assert live.turn() == 1
    live.scan(live.blue, number, "accepting", 1.1, "A")
    assert live.turn() == 1
    assert live.past(number) == [(0.625, None)]
    assert live.row(number)["at"] == NOW + timedelta(hours=1.1)


def test_scans_in_any_order_end_in_the_same_chance(live: Live):
    """Each order in which four scans may come, looked at after each of them, ends as the right one does."""
    scans = [
        (live.blue, "accepting", 1, "A", {}), (live.blue, "departing", 9.2, "A", AH1),
        (live.blue, "arriving", 19, "H", {}), (live.red, "departing", 21.1, "H", {"rookery:departure": "HB1"}),
    ]  # fmt: skip
    orders = list(permutations(scans))
    numbers = [live.book() for _ in orders]
    live.look_out()
    live.at(22)
    for step in range(len(scans)):
        for number, order in zip(numbers, orders):
            who, what, hours, node, more = order[step]
            live.scan(who, number, what, hours, node, **more)
        live.turn()
    own = {"epc", "parcel_id", "shipment_id", "event_no"}
    ends = [{name: value for name, value in live.row(number).items() if name not in own} for number in numbers]
    assert all(end == ends[0] for end in ends)
    assert (ends[0]["chance"], ends[0]["riding_departure_id"]) == (1.0, "HB1")


def test_what_happens_to_a_bag_moves_the_parcels_in_it(booked: tuple[Live, str]):
    """The bag departs late: so do they, by the departure that the bag's event names."""
    live, number = booked
    live.at(12)
    facts = {"eventTimeZoneOffset": "+00:00", "action": "ADD", "bizStep": "packing"}
    packed = {
        "type": "AggregationEvent", "parentID": BAG, "childEPCs": [sscc_uri(number)],
        "eventTime": (NOW + timedelta(hours=2)).isoformat(), **facts,
    }  # fmt: skip
    left = {
        "type": "ObjectEvent", "epcList": [BAG], "eventTime": (NOW + timedelta(hours=9 + 151 / 60)).isoformat(),
        **facts, "action": "OBSERVE", "bizStep": "departing", "readPoint": {"id": place_of("A")}, **AH1,
    }  # fmt: skip
    with live.record.context(live.blue) as ctx:
        assert not take(ctx, [Sent(one, ({"rookery": "urn:rookery:epcis:"},), "$") for one in (packed, left)]).faults
    assert live.turn() == 1
    assert (live.row(number)["chance"], live.row(number)["riding_departure_id"]) == (3 / 8, "AH1")


def test_a_place_that_the_network_does_not_have_changes_no_chance(booked: tuple[Live, str]):
    """What was found before stands, with the reason; the next scan that is understood goes on."""
    live, number = booked
    live.at(10)
    live.scan(live.blue, number, "departing", 9 + 31 / 60, "A", **AH1)
    live.turn()
    before = live.row(number)
    live.scan(live.blue, number, "arriving", 9.9, "Elsewhere")
    live.turn()
    row = live.row(number)
    kept = ("chance", "expected_at", "by_at", "legs", "next_departure_id", "off_plan", "cost", "policy", "nodes")
    assert {name: row[name] for name in kept} == {name: before[name] for name in kept}
    assert (row["why"], row["node_id"], row["riding_departure_id"], row["due_scan"]) == ("unknown_place", *[None] * 3)
    live.at(19)
    live.scan(live.blue, number, "arriving", 19, "H")
    live.turn()
    assert (live.row(number)["chance"], live.row(number)["why"]) == (1.0, None)
    assert live.past(number) == [(0.625, None), (0.5, None), (0.5, "unknown_place"), (1.0, None)]


def test_without_an_outlook_what_was_found_before_stands(booked: tuple[Live, str]):
    """A worker that has just begun has none yet: where the parcel is is told, and no chance is lost."""
    live, number = booked
    outlook, live.outlook = live.outlook, None
    live.at(10)
    live.scan(live.blue, number, "departing", 9 + 31 / 60, "A", **AH1)
    new = live.book()
    assert live.turn() == 2
    row = live.row(number)
    assert (row["chance"], row["why"], row["detail"], row["policy"]) == (0.625, "no_policy", "departed", "0-0.1")
    assert (live.row(new)["chance"], live.row(new)["why"]) == (None, "no_policy")
    live.outlook = outlook
    with live.record.context() as ctx:
        chances.enter(ctx.conn, False, [sscc_uri(number)])
    live.turn()
    assert (live.row(number)["chance"], live.row(number)["why"]) == (0.5, None)


def test_an_outlook_of_another_network_says_so(booked: tuple[Live, str], tmp_path, make_feed):
    """None of its nodes is a parcel's: its place is unknown there, and nothing is guessed."""
    live, number = booked
    lane = {"lane_id": "L", "from_node": "X", "to_node": "Y"}
    feed = make_feed(
        nodes=[{"node_id": "X"}, {"node_id": "Y"}], lanes=[lane], departures=[{"departure_id": "D", "lane_id": "L"}]
    )
    model = model_of(feed, to_minute(NOW), 7, 8)
    live.outlook = make_outlook(
        model,
        Prices.none(model.resources),
        np.zeros(0, np.int64),
        pl.DataFrame(schema=CLASSES),
        threads=1,
        version="other",
    )
    live.scan(live.blue, number, "accepting", 1, "A")
    live.turn()
    assert (live.row(number)["chance"], live.row(number)["why"], live.row(number)["policy"]) == (
        0.625, "unknown_place", "0-0.1",
    )  # fmt: skip


def test_a_departure_that_a_closure_puts_off_is_the_same_departure(booked: tuple[Live, str]):
    """It leaves an hour later, and with it who is booked on it; what is closed altogether is ridden by nobody."""
    live, number = booked
    until = (NOW + timedelta(hours=12)).isoformat()
    late = {"departure_id": "AH1", "until_at": until, "capacity_factor": 1, "delay_minutes": 60, "reason": "works"}
    closure = live.record.do("closures.add", HOUSE, **late, replan=False)["closure"]
    _look_anew(live, number)
    row = live.row(number)
    assert (row["chance"], row["off_plan"], row["next_departure_id"]) == (0.5, False, "AH1")
    assert row["next_cutoff_at"] == NOW + timedelta(hours=10)
    live.scan(live.blue, number, "departing", 10.1, "A", **AH1)
    live.turn()
    row = live.row(number)
    assert (row["chance"], row["riding_depart_at"]) == (0.5, NOW + timedelta(hours=9))  # named as it was booked
    live.record.do("closures.lift", HOUSE, closure_id=closure["closure_id"])
    other = live.book()
    live.at(10.2)
    shut = {"node_id": "H", "until_at": (NOW + timedelta(hours=24)).isoformat(), "reason": "flood", "replan": False}
    closure = live.record.do("closures.add", HOUSE, **shut)["closure"]
    _look_anew(live, number, other)
    row = live.row(number)
    assert (row["chance"], row["off_plan"], row["next_cutoff_at"]) == (0.0, True, TUESDAY + timedelta(hours=29))
    [case] = live.rows("cases", "kind = 'closure' and state <> 'closed'")
    assert case["cause"] == f"closure:{closure['closure_id']}"


def _look_anew(live: Live, *numbers: str) -> None:
    """With an outlook made now."""
    live.look_out()
    with live.record.context() as ctx:
        chances.enter(ctx.conn, False, map(sscc_uri, numbers))
    live.turn()


def test_scans_older_than_the_plan_put_it_where_it_was_then(booked: tuple[Live, str]):
    """Accepted before the network's table begins: it stands at A since, and rides what leaves from now on."""
    live, number = booked
    live.scan(live.blue, number, "accepting", -24 * 20, "A")
    live.turn()
    row = live.row(number)
    assert (row["status"], row["node_id"], row["chance"]) == ("picked_up", "A", 0.625)
    assert row["look_again_at"] > live.record.now


def test_a_parcel_that_was_never_planned_goes_by_the_policy(booked: tuple[Live, str]):
    """Its row is there, its chance what the policy gives, and the reason says that nothing is booked."""
    live, number = booked
    with live.record.database.owner() as owner:
        owner.execute("alter table planning.legs disable row level security")
        owner.execute("delete from planning.legs")
    live.scan(live.blue, number, "accepting", 1, "A")
    live.turn()
    row = live.row(number)
    assert (row["chance"], row["why"], row["next_departure_id"]) == (0.625, "not_planned", "AH1")


def test_what_stands_off_its_route_awaits_what_the_policy_takes(booked: tuple[Live, str]):
    """No departure that is booked from elsewhere is awaited: it is at H, where none of its route leaves from."""
    live, number = booked
    with live.record.database.owner() as owner:
        owner.execute("alter table planning.legs disable row level security")
        owner.execute("delete from planning.legs where departure_id = 'HB1'")
        owner.execute("update planning.legs set to_node = 'B'")
    live.scan(live.blue, number, "arriving", 20, "H")
    live.turn()
    row = live.row(number)
    assert (row["next_departure_id"], row["due_scan"], row["off_plan"]) == ("HB1", "departed", True)
    live.at(23)
    live.turn()
    [case] = live.rows("cases", "kind = 'scan_missing'")
    assert "AH1" not in case["cause"] + case["reason"]


def test_where_a_booked_leg_ahead_is_cancelled_the_policy_is_followed_at_once(live: Live):
    """Booked for Tuesday's first leg it waits for that, until its second is none the timetable has: then it leaves as
    the policy says, today. What lies beyond the days of the timetable is not cancelled.
    """
    number = live.book()
    wednesday = TUESDAY + timedelta(days=1, hours=5)
    for second, leaves in ((wednesday, 33), (wednesday + timedelta(minutes=1), 9), (NOW + timedelta(days=40), 33)):
        with live.record.database.owner() as owner:
            owner.execute("alter table planning.legs disable row level security")
            for departure, at in (("AH1", TUESDAY + timedelta(hours=17)), ("HB1", second)):
                owner.execute(
                    "update planning.legs set depart_at = %s, cutoff_at = %s where departure_id = %s",
                    (at, at, departure),
                )
        _look_anew(live, number)
        row = live.row(number)
        assert (row["next_cutoff_at"], row["off_plan"]) == (NOW + timedelta(hours=leaves), second != wednesday)


def test_what_is_called_off_has_no_chance_any_more(booked: tuple[Live, str]):
    """Cancelled by its shipper, or on its way back: ended, and nothing is awaited."""
    live, number = booked
    other = live.book()
    live.turn()
    live.record.do("shipments.cancel", shipment_id=live.row(number)["shipment_id"])
    live.at(10)
    live.scan(live.blue, other, "shipping", 9.5, "A", disposition="returned")
    assert live.turn() == 2
    for one, status in ((number, "cancelled"), (other, "return_to_sender")):
        row = live.row(one)
        assert (row["status"], row["chance"], row["why"]) == (status, None, "ended")
        assert (row["due_scan"], row["look_again_at"]) == (None, None)


def test_what_is_scanned_of_a_cancelled_shipment_gives_it_no_chance(booked: tuple[Live, str]):
    """Cancelled by an operator while it travels, and scanned on after that: it ends at the cancel, and stays ended; it
    is in no list and no case. That it was delivered all the same keeps no promise.
    """
    live, number = booked
    live.at(4)
    live.scan(live.blue, number, "arriving", 1, "A")
    live.scan(live.blue, number, "inspecting", 3, "A", disposition="damaged")
    live.turn()
    assert live.row(number)["chance"] == 0.625 and live.row(number)["detail"] == "damaged"
    assert [(one["kind"], one["state"]) for one in live.rows("cases")] == [("damage", "open")]
    live.record.do("shipments.cancel", HOUSE, shipment_id=live.row(number)["shipment_id"])

    def looks(status: str) -> None:
        assert live.turn() == 1
        row = live.row(number)
        told = [row[name] for name in ("chance", "expected_at", "node_id", "due_scan", "look_again_at", "legs")]
        assert (row["status"], row["why"], told) == (status, "ended", [None] * 5 + [[]])
        for unknown in (False, True):
            assert live.record.do("chances.list", HOUSE, unknown=unknown)["data"] == []
        assert [(one["state"], one["closed_why"]) for one in live.rows("cases")] == [("closed", "ended")]

    looks("cancelled")
    misrouted = {"rookery:status": "in_transit", "rookery:detail": "misrouted"}
    live.scan(live.blue, number, "arriving", 5, "H", **misrouted)
    looks("cancelled")
    live.scan(live.red, number, "inspecting", 6, "B", disposition="damaged")
    looks("cancelled")
    live.scan(live.red, number, "holding", 7, "B")
    looks("cancelled")
    assert live.past(number) == [(0.625, None), (None, "ended")]
    told = live.record.do("trackers.get", number=number)
    assert (told["status"], told["now"]["chance"], told["now"]["why"]) == ("on_hold", None, "ended")
    assert told["notices"] == ["the parcel is cancelled, and was scanned all the same"]
    live.scan(live.red, number, "receiving", 8, "B")
    looks("delivered")


def test_a_shipper_s_cancelled_parcel_that_is_scanned_stays_ended(booked: tuple[Live, str]):
    """Cancelled before anybody had it, and its label is used all the same."""
    live, number = booked
    live.record.do("shipments.cancel", shipment_id=live.row(number)["shipment_id"])
    live.turn()
    live.scan(live.blue, number, "arriving", 1, "A")
    assert live.turn() == 1
    assert [live.row(number)[name] for name in ("status", "chance", "why")] == ["cancelled", None, "ended"]


def test_what_is_on_hold_loses_time(booked: tuple[Live, str]):
    """It could go on from now at best, and is looked at again every hour."""
    live, number = booked
    live.scan(live.blue, number, "holding", 1, "A")
    live.turn()
    assert (live.row(number)["chance"], live.row(number)["status"]) == (0.625, "on_hold")
    assert live.row(number)["look_again_at"] == NOW + timedelta(hours=2)
    live.at(9.1)
    live.turn()
    assert live.row(number)["chance"] == 0.0
