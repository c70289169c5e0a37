"""C02. The parcel is handed over to its first courier: from then on neither it nor its label changes."""

from __future__ import annotations

from life_world import Life


def test_before_that_the_recipient_can_be_corrected(life: Life):
    """Within the same zone; the old person is not overwritten, the shipment goes to a new one."""
    to = {"name": "Ada Example", "lines": ["Straße 1 a"], "city": "Berlin", "postal_code": "10115", "country": "DE"}
    moved = life.shop.post(f"/shipments/{life.shipment_id}/recipient", {"to": {**to, "postal_code": "99999"}})
    assert (moved.status, moved.json["code"]) == (409, "shipments.another_zone")
    changed = life.shop.post(f"/shipments/{life.shipment_id}/recipient", {"to": to})
    assert changed.status == 200, changed.json
    assert changed.json["promised_at"] == life.shipment["promised_at"]
    assert changed.json["version"] > life.shipment["version"]
    ada = changed.json["recipient_id"]
    assert life.shop.post(f"/people/{ada}/open", {}).json["address"]["lines"] == ["Straße 1 a"]
    life.known["ada"] = ada


def test_only_who_carries_it_can_take_it(life: Life):
    """Neither the shipper nor a courier of other parcels says that it was handed over."""
    place = f"/parcels/{life.shipment['parcels'][0]['parcel_id']}/hand-over"
    assert life.shop.post(place, {}).status == 403
    assert life.rail.post(place, {}).status == 404


def test_the_shipment_is_handed_over_with_its_pieces(life: Life):
    """The courier takes both pieces; saying it twice is no fault."""
    for parcel in life.shipment["parcels"]:
        taken = life.road.post(f"/parcels/{parcel['parcel_id']}/hand-over", {})
        assert (taken.status, taken.json["state"]) == (200, "handed_over"), taken.json
    again = life.road.post(f"/parcels/{life.shipment['parcels'][0]['parcel_id']}/hand-over", {})
    assert (again.status, again.json["state"]) == (200, "handed_over")
    after = life.shop.get(f"/shipments/{life.shipment_id}").json
    assert after["state"] == "handed_over"
    assert {parcel["state"] for parcel in after["parcels"]} == {"handed_over"}


def test_what_was_handed_over_is_neither_cancelled_nor_readdressed(life: Life):
    """The refusal says what can be done instead."""
    cancelled = life.shop.post(f"/shipments/{life.shipment_id}/cancel", {})
    assert (cancelled.status, cancelled.json["code"]) == (409, "shipments.handed_over")
    assert cancelled.json["action"]
    to = {"name": "Ada Example", "lines": ["Straße 9"], "city": "Berlin", "postal_code": "10115", "country": "DE"}
    assert life.shop.post(f"/shipments/{life.shipment_id}/recipient", {"to": to}).status == 409
