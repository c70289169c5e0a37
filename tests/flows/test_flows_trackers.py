"""Trackers on real PostgreSQL: what events make of a parcel, why, and who may read what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_cases import NOW, RIVAL, SHOP, Record, make_record

from rookery.base.access.keys import create_party
from rookery.base.operations import Who
from rookery.flows.capturing import take
from rookery.flows.following import Step
from rookery.flows.quotes.asks import Leg
from rookery.flows.trackers import place_of, ridden
from rookery.terms.errors import NotFound
from rookery.tracking.epcis.documents import Sent
from rookery.tracking.epcis.identifiers import sscc_uri
from rookery.tracking.model import STATUSES

OPS = Who("pty_ops", "key_ops", frozenset({"operator"}))


@dataclass
class Network:
    """The one-lane network with its two couriers, and somebody else's."""

    record: Record
    blue: Who
    red: Who
    stranger: Who

    def scan(
        self, who: Who, number: str, step: str, hours: float, node: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """An event of a party about a parcel, some hours after NOW."""
        event = {
            "type": "ObjectEvent", "action": "OBSERVE", "bizStep": step, "epcList": [sscc_uri(number)],
            "eventTime": (NOW + timedelta(hours=hours)).isoformat(), "eventTimeZoneOffset": "+00:00", **more,
        }  # fmt: skip
        event = {name: value for name, value in event.items() if value is not None}
        if node is not None:
            event["readPoint"] = {"id": place_of(node)}
        with self.record.context(who) as ctx:
            assert not take(ctx, [Sent(event, ({"rookery": "urn:rookery:epcis:"},), "$")]).faults
        return event

    def track(self, number: str, who: Who = SHOP) -> dict[str, Any]:
        return self.record.do("trackers.get", who, number=number)

    def list(self, who: Who = SHOP, **ask: Any) -> list[dict[str, Any]]:
        return self.record.do("trackers.list", who, **ask)["data"]


@pytest.fixture
def network(make_urls, tmp_path):
    """A fresh one, two days after NOW: what is scanned lies in the past."""
    with make_record(make_urls, tmp_path) as record:
        with record.context() as ctx:
            made = [create_party(ctx.conn, code, NOW, code=code).party_id for code in ("BLUE", "RED", "GREY")]
        yield Network(record, *(Who(party, f"key_{party}", frozenset({"courier"})) for party in made))


def number_of(shipment: dict[str, Any]) -> str:
    return shipment["parcels"][0]["number"]


def test_what_was_never_scanned_is_told_by_the_books(network: Network):
    """Booked is pre_transit, handed over picked_up, cancelled cancelled, each with its time and what says so."""
    booked, handed, gone = (network.record.book(name) for name in ("B", "H", "C"))
    network.record.now += timedelta(minutes=5)
    network.record.do("parcels.hand_over", network.blue, parcel_id=handed["parcels"][0]["parcel_id"])
    network.record.do("shipments.cancel", shipment_id=gone["shipment_id"])
    said = [
        ("pre_transit", "booking", "2026-03-02T08:00:00Z"),
        ("picked_up", "hand_over", "2026-03-02T08:05:00Z"),
        ("cancelled", "cancellation", "2026-03-02T08:05:00Z"),
    ]
    listed = {parcel["number"]: parcel for parcel in network.list()}
    for shipment, (status, by, at) in zip((booked, handed, gone), said):
        told = network.track(number_of(shipment))
        assert (told["status"], told["status_at"], told["why"]) == (
            status,
            at,
            {"by": by, "event_id": None, "steps": []},
        )
        assert told["ridden"] == [{"departed_at": None, "arrived_at": None}] * 2
        known = listed[number_of(shipment)]
        assert (known["status"], known["status_at"], known["detail"]) == (status, at, None)


def test_a_status_names_the_event_that_made_it_and_what_did_not_count(network: Network):
    """Events in their own order; the last that counts is `why`, and what does not count says why not."""
    number = number_of(network.record.book("W"))
    network.record.now = NOW + timedelta(days=2)
    network.scan(network.red, number, "departing", 22, "H", **{"rookery:departure": "HB1"})
    network.scan(network.blue, number, "accepting", 1, "A")
    network.scan(network.blue, number, "departing", 9, "A", **{"rookery:departure": "AH1"})
    network.scan(network.blue, number, "commissioning", 10)
    told = network.track(number)
    assert (told["status"], told["detail"], told["place"]) == ("in_transit", "departed", place_of("H"))
    steps = told["why"]["steps"]
    assert [step["status"] for step in steps] == ["picked_up", "in_transit", "pre_transit", "in_transit"]
    assert [step["reason"] for step in steps] == [None, None, "before_what_is_known", None]
    assert (told["why"]["by"], told["why"]["event_id"]) == ("event", steps[-1]["event_id"])
    assert steps[-1]["party_id"] == network.red.party_id and told["status_at"] == steps[-1]["at"]
    assert told["ridden"] == [
        {"departed_at": "2026-03-02T17:00:00Z", "arrived_at": "2026-03-03T06:00:00Z"},
        {"departed_at": "2026-03-03T06:00:00Z", "arrived_at": None},
    ]


STEPS = {
    "commissioning": "pre_transit", "accepting": "picked_up", "arriving": "in_transit",
    "transporting": "out_for_delivery", "storing": "available_for_pickup", "holding": "on_hold",
    "receiving": "delivered", "void_shipping": "cancelled",
}  # fmt: skip


def test_every_status_is_told_and_listed(network: Network):
    """A parcel in each of the ten; the list has the same ones, and only those of the status that is asked for."""
    made = {}
    network.record.now = NOW + timedelta(minutes=20)
    own = {"delivery_failed": {"rookery:status": "delivery_failed", "rookery:detail": "nobody_home"}}
    for status in STATUSES:
        made[status] = number_of(network.record.book(status))
        step = next((step for step, means in STEPS.items() if means == status), "other")
        more = own.get(status, {"rookery:status": status} if step == "other" else {})
        network.scan(OPS, made[status], step, 0.1, "A", **more)
    for status, number in made.items():
        told = network.track(number)
        assert (told["status"], told["why"]["by"]) == (status, "event")
        found = network.list(status=status)
        assert [(one["number"], one["status"], one["status_at"]) for one in found] == [
            (number, status, told["status_at"])
        ]  # fmt: skip
    assert [one["number"] for one in network.list(detail="nobody_home")] == [made["delivery_failed"]]
    assert network.list(since="2026-03-02T08:06:00Z") and not network.list(since="2026-03-02T08:06:01Z")


def test_the_list_goes_on_page_by_page(network: Network):
    """Pages of two hold every parcel once, oldest first, scanned or not; a rival's list is empty."""
    numbers = []
    for n in range(5):
        numbers.append(number_of(network.record.book(f"P{n}")))
        network.record.now += timedelta(seconds=1)
    network.scan(OPS, numbers[1], "accepting", -1)
    seen, after = [], ""
    while after is not None:
        told = network.record.do("trackers.list", limit=2, after=after)
        seen += [parcel["number"] for parcel in told["data"]]
        after = told["next"]
    assert seen == numbers
    assert network.list(RIVAL) == [] and len(network.list(OPS)) == 5 and len(network.list(network.blue)) == 5


def test_a_courier_tracks_what_it_carries_by_its_own_legs(network: Network):
    """It sees status and reasons, its own legs alone, and nothing of the promise; other couriers see nothing."""
    number = number_of(network.record.book("K"))
    network.scan(network.blue, number, "accepting", -1, "A")
    told = network.track(number, network.red)
    assert (told["status"], told["promised_at"], told["shipment_id"]) == ("picked_up", None, None)
    assert [leg["departure_id"] for leg in told["legs"]] == ["HB1"] and len(told["ridden"]) == 1
    for who in (network.stranger, RIVAL):
        with pytest.raises(NotFound):
            network.track(number, who)
        assert network.list(who) == []


def test_what_strangers_say_of_a_parcel_reaches_nobody_but_who_runs_the_network(network: Network):
    """A courier that has nothing to do with it says it is delivered: it is not, and its shipper never hears of it."""
    number = number_of(network.record.book("S"))
    network.scan(network.stranger, number, "receiving", -1)
    for who, steps in ((SHOP, []), (network.blue, []), (OPS, ["not_of_its_couriers"])):
        told = network.track(number, who)
        assert told["status"] == "pre_transit" and [step["reason"] for step in told["why"]["steps"]] == steps


def test_each_event_that_a_step_names_is_one_that_its_reader_opens(network: Network):
    """A scan of the bag alone is a step without a name for all but who sent it and who runs the network: they, and with
    the scans of the parcel itself everybody, look up what is named.
    """
    number = number_of(network.record.book("V"))
    network.record.now = NOW + timedelta(days=2)
    bag = "340123450000000017"
    packed = {"type": "AggregationEvent", "action": "ADD", "parentID": sscc_uri(bag), "childEPCs": [sscc_uri(number)]}
    network.scan(network.blue, number, "accepting", 1, "A")
    network.scan(network.blue, number, "packing", 2, "A", **packed, epcList=None)
    network.scan(network.blue, bag, "departing", 9, "A", eventID="urn:uuid:0190a3f0-0000-7000-8000-000000000003")
    network.scan(network.blue, bag, "arriving", 11, "H")
    for who, hides in ((SHOP, True), (network.red, True), (network.blue, False), (OPS, False)):
        why = network.track(number, who)["why"]
        ids = [step["event_id"] for step in why["steps"]]
        assert [one is None for one in ids] == [False, False, hides, hides], who
        assert (why["by"], why["event_id"]) == ("event", ids[-1])
        for event_id in filter(None, ids):
            network.record.do("epcis.events.get", who, event_id=event_id)


AT = datetime(2026, 3, 2, tzinfo=UTC)


def leg(name: str, a: str, b: str) -> Leg:
    return Leg(name, "-", None, "truck", a, b, AT, AT, AT)


def seen(minute: int, detail: str, node: str | None, departure: str | None = None, counted: bool = True) -> Step:
    at = AT + timedelta(minutes=minute)
    place = None if node is None else place_of(node)
    return Step(at, at, "in_transit", detail, place, departure, [], "-", "-", counted, None if counted else "withdrawn")


def minutes(legs: list[Leg], *steps: Step) -> list[tuple[float | None, float | None]]:
    def minute(at: datetime | None) -> float | None:
        return None if at is None else (at - AT).total_seconds() / 60

    return [(minute(one.departed_at), minute(one.arrived_at)) for one in ridden(legs, steps)]


def test_a_leg_left_with_its_own_departure_and_no_other():
    """A departure that is named must be the leg's; one scanned on board needs no place; withdrawn ones never were."""
    legs = [leg("D1", "A", "B")]
    assert minutes(legs, seen(1, "departed", "A", "D2"), seen(2, "departed", "A", "D1")) == [(2, None)]
    assert minutes(legs, seen(1, "departed", None), seen(2, "departed", None, "D1")) == [(2, None)]
    assert minutes(legs, seen(1, "departed", "A", counted=False), seen(3, "sorted", "B")) == [(None, 3)]
    assert minutes(legs, seen(1, "sorted", "A"), seen(2, "departed", "B")) == [(None, 2)]


def test_a_way_that_leads_through_a_node_twice_is_told_in_order():
    """A to B, back to A, on to C: each leg has its own times."""
    legs = [leg("D1", "A", "B"), leg("D2", "B", "A"), leg("D3", "A", "C")]
    steps = [
        seen(1, "departed", "A"), seen(2, "arrived", "B"), seen(3, "departed", "B"), seen(4, "arrived", "A"),
        seen(5, "departed", "A"), seen(6, "arrived", "C"),
    ]  # fmt: skip
    assert minutes(legs, *steps) == [(1, 2), (3, 4), (5, 6)]


@given(st.lists(st.tuples(st.sampled_from(["arrived", "departed", "sorted"]), st.sampled_from([*"ABC", None]))))
def test_the_times_of_legs_never_go_back(words):
    """Whatever was scanned, what is told of one leg after the other is in the order of time."""
    steps = [seen(minute, detail, node) for minute, (detail, node) in enumerate(words)]
    told = minutes([leg("D1", "A", "B"), leg("D2", "B", "C")], *steps)
    known = [minute for pair in told for minute in pair if minute is not None]
    assert known == sorted(known)
