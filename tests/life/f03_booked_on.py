"""F03. Somebody takes the case and acts on it, while the parcel is in the air: it gets a seat in the night's van."""

from __future__ import annotations

from life_live import departures, tracked
from life_world import Life


def test_it_is_tried_first(life: Life):
    """Told is what would be done; nothing is."""
    taken = life.operator.post(f"/cases/{life.case['case_id']}/take", {"owner": "night desk"})
    assert (taken.status, taken.json["state"], taken.json["owner"]) == (200, "acknowledged", "night desk")
    tried = life.operator.post(f"/cases/{life.case['case_id']}/act", {"dry_run": True})
    assert tried.status == 200, tried.json
    assert (tried.json["replan"]["replan_id"], tried.json["replan"]["done"]) == (None, 1)
    assert departures(tracked(life, "shop", life.late_number)) == departures(life.late)
    assert life.van.get(f"/trackers/{life.late_number}").status == 404
    assert life.operator.get("/replans").json["data"] == []


def test_it_is_booked_on(life: Life):
    """The ride it is on stays, the van takes the line-haul's place; asked twice by one key it is done once."""
    place = f"/cases/{life.case['case_id']}/act"
    acted, again = (life.operator.post(place, {}, idempotency_key="act-on-the-case") for _ in range(2))
    assert acted.status == 200, acted.json
    assert acted.json == again.json
    replan, [shipment] = acted.json["replan"], acted.json["shipments"]["data"]
    assert (replan["done"], replan["refused"], replan["case_id"]) == (1, 0, life.case["case_id"])
    assert (shipment["shipment_id"], shipment["reason"]) == (life.late["shipment_id"], None)
    assert departures(shipment) == ["pick-up-18", "flight-02:00", "van-23"]
    tracker = tracked(life, "shop", life.late_number)
    assert departures(tracker) == departures(shipment)
    assert tracker["promised_at"] == life.late["promised_at"]
    life.known["way"] = tracker["legs"]
    assert [one["replan_id"] for one in life.operator.get("/replans").json["data"]] == [replan["replan_id"]]


def test_the_shop_is_told_and_the_van_s_courier_sees_it(life: Life):
    """The shop by its endpoint, with the promise that stands; the courier by its key, its own leg alone."""
    told = life.shop_inbox.until_told("parcel.rerouted", number=life.late_number)["data"]
    assert told["shipment_id"] == life.late["shipment_id"]
    assert told["promised_at"] == life.late["promised_at"]
    assert departures(told) == ["van-23"]
    seen = tracked(life, "van", life.late_number)
    assert departures(seen) == ["van-23"] and seen["promised_at"] is None
