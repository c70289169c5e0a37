"""E01. A parcel is picked up. Its shipper, its recipient and its couriers see so, nobody else, and twice is once."""

from __future__ import annotations

from typing import Any

from life_scans import POSTAL_CODE, at, epc, events_of, everybody_sees, publicly, scan, taken
from life_world import Caller, Life, soon

IDA = {
    "name": "Ida Example", "lines": ["Straße 8"], "city": "Berlin", "postal_code": POSTAL_CODE, "country": "DE",
}  # fmt: skip


def booked(life: Life, who: str, reference: str) -> dict[str, Any]:
    """A parcel on the earliest flight that has a seat."""
    asked = {"from": {"node": "CAN-W1"}, "to": {"country": "DE", "postal_code": POSTAL_CODE}, "weight_g": 800}
    quote = getattr(life, who).post("/quotes", {**asked, "ready_at": soon(4)}).json
    booking = {"quote_id": quote["offers"][0]["quote_id"], "reference": reference, "to": IDA}
    made = getattr(life, who).post("/shipments", booking)
    assert made.status == 201, made.json
    return made.json


def test_two_shops_book_parcels_that_will_travel_together(life: Life):
    """The hubs are the network's own: whoever works there has an operator's key."""
    party = life.operator.post("/parties", {"name": "Leipzig hub"}).json["party_id"]
    made = life.operator.post("/keys", {"party_id": party, "scopes": ["operator"]})
    life.callers["hub"] = Caller(life.url, made.json["key"])
    mine, theirs = booked(life, "shop", "E-1"), booked(life, "other_shop", "E-1")
    life.known |= {"number": mine["parcels"][0]["number"], "their_number": theirs["parcels"][0]["number"]}
    life.known["travelling"] = mine
    tracker = everybody_sees(life, "pre_transit", None, None)
    assert (tracker["why"]["by"], tracker["why"]["steps"]) == ("booking", [])
    assert tracker["promised_at"] == mine["promised_at"]


def test_the_driver_scans_both(life: Life):
    """One batch of the courier; the status names the event that made it."""
    life.known["pick_up"] = [
        {"number": number, "at": at(life, 1), "code": "accepted", "node": "CAN-W1", "device": "van-3"}
        for number in (life.number, life.their_number)
    ]
    assert scan(life, "road", *life.pick_up) == {"taken": 2, "repeated": 0, "refused": 0, "results": []}
    tracker = everybody_sees(life, "picked_up", "accepted", "CAN-W1")
    assert (tracker["why"]["by"], tracker["status_at"]) == ("event", at(life, 1))
    assert tracker["why"]["event_id"] == tracker["why"]["steps"][0]["event_id"]


def test_the_driver_s_device_sends_them_again(life: Life):
    """It heard no answer. The same scans are told to be known, and there is still one event of each."""
    assert taken(scan(life, "road", *life.pick_up)) == (0, 2, 0)
    [event] = events_of(life, "shop", life.number)
    assert (event["bizStep"], event["epcList"]) == ("accepting", [epc(life.number)])
    assert len(everybody_sees(life, "picked_up", "accepted", "CAN-W1")["why"]["steps"]) == 1


def test_the_number_alone_opens_nothing(life: Life):
    """Numbers come in a row, so the postal code is asked for beside it: a wrong one is answered as no parcel is."""
    wrong, none = (
        publicly(life, "99999"),
        Caller(life.url, "").get(f"/track/095299999999999997?postal_code={POSTAL_CODE}"),
    )
    assert (wrong.status, wrong.json["code"]) == (none.status, none.json["code"]) == (404, "track.none")
    assert publicly(life).json["promise"]["at"] == life.travelling["promised_at"]


def test_a_strange_courier_moves_nothing(life: Life):
    """The railway has nothing to do with the parcel. What it scans is kept, is its own to read, and reaches nobody."""
    told = scan(life, "rail", {"number": life.number, "at": at(life, 1.5), "code": "delivered", "node": "DE-BERLIN"})
    assert [notice["code"] for notice in told["results"][0]["notices"]] == ["unknown_number"]
    assert [stray["number"] for stray in life.rail.get("/scans/strays").json["data"]] == [life.number]
    assert len(everybody_sees(life, "picked_up", "accepted", "CAN-W1")["why"]["steps"]) == 1
    assert len(events_of(life, "shop", life.number)) == 1
