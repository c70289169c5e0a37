"""C03. A shipment is cancelled: its seat is given back for others to book, its number is retired for ever."""

from __future__ import annotations

from life_world import Life, until

BERLIN = {"country": "DE", "postal_code": "10115"}
GABE = {"name": "Gabe Example", "lines": ["Straße 7"], "city": "Berlin", **BERLIN}


def first_offer(life: Life) -> dict:
    """The earliest offer there is for one more parcel."""
    asked = {"from": {"node": "CAN-W1"}, "to": BERLIN, "ready_at": life.ready_at, "weight_g": 800}
    return life.shop.post("/quotes", asked).json["offers"][0]


def test_the_last_seat_is_booked_and_offered_no_more(life: Life):
    """Three of four seats of the flight were taken. Two want the last one, and one gets it."""
    mine, theirs = first_offer(life), first_offer(life)
    made = life.shop.post("/shipments", {"quote_id": mine["quote_id"], "reference": "C-1", "to": GABE})
    assert made.status == 201, made.json
    assert made.json["promised_at"] == life.shipment["promised_at"]
    lost = life.shop.post("/shipments", {"quote_id": theirs["quote_id"], "reference": "C-2", "to": GABE})
    assert (lost.status, lost.json["code"]) == (409, "quotes.no_room")
    assert life.shop.get("/orders?reference=C-2").json["data"] == []  # nothing of it was written
    until("the full flight is offered no more", lambda: first_offer(life)["promised_at"] > mine["promised_at"])
    life.known["cancelled"] = made.json


def test_cancelling_gives_the_seat_back(life: Life):
    """The next who asks is offered it; cancelling twice gives nothing back twice."""
    place = f"/shipments/{life.cancelled['shipment_id']}/cancel"
    for _ in range(2):
        done = life.shop.post(place, {})
        assert (done.status, done.json["state"]) == (200, "cancelled")
    promised = life.cancelled["promised_at"]
    until("the seat is offered again", lambda: first_offer(life)["promised_at"] == promised)
    offers = [first_offer(life), first_offer(life)]
    booked = [
        life.shop.post("/shipments", {"quote_id": offer["quote_id"], "reference": f"C-{place}", "to": GABE})
        for place, offer in enumerate(offers, 3)
    ]
    assert [made.status for made in booked] == [201, 409]
    life.known["rebooked"] = booked[0].json


def test_the_number_is_retired_for_ever(life: Life):
    """No label of it is printed again, and whoever books the seat gets another number."""
    [old], [new] = life.cancelled["parcels"], life.rebooked["parcels"]
    assert old["number"] != new["number"]
    refused = life.shop.post("/labels", {"parcel_ids": [old["parcel_id"]]})
    assert (refused.status, refused.json["code"]) == (409, "parcels.no_label")
    taken = life.road.post(f"/parcels/{old['parcel_id']}/hand-over", {})
    assert (taken.status, taken.json["code"]) == (409, "parcels.cancelled")
