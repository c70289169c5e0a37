"""A02. The shipper books the flight: room is taken, the date is promised for good, and each piece gets its number."""

from __future__ import annotations

from biip.sscc import Sscc
from life_world import Life

ADA = {
    "name": "Ada Example", "phone": "+49 30 901820",
    "lines": ["Straße 1"], "city": "Berlin", "postal_code": "10115", "country": "DE",
}  # fmt: skip


def test_an_offer_is_booked_by_its_id(life: Life):
    """What was promised is what is kept; people go into the vault, and only their ids come back."""
    life.known["booking"] = {
        "quote_id": life.flight["quote_id"], "reference": "A-1", "to": ADA,
        "items": [{"description": "Mugs", "quantity": 2, "value": 9.5, "currency": "EUR", "hs_code": "691200"}],
        "metadata": {"colour of the box": "blue"},
    }  # fmt: skip
    made = life.shop.post("/shipments", life.booking, idempotency_key="booking-of-A-1")
    assert made.status == 201, made.json
    shipment = made.json
    assert shipment["state"] == "booked"
    for kept in ("promised_at", "cost", "currency"):
        assert shipment[kept] == life.flight[kept]
    assert [leg["departure_id"] for leg in shipment["legs"]] == ["pick-up-18", "flight-02:00", "line-haul-20"]
    assert shipment["metadata"] == {"colour of the box": "blue"}
    assert b"Ada" not in made.body and b"901820" not in made.body
    life.known |= {"shipment": shipment, "shipment_id": shipment["shipment_id"], "ada": shipment["recipient_id"]}


def test_each_piece_has_a_number_that_scanners_know(life: Life):
    """Two pieces, two SSCCs with right check digits, sorted alike: hubs by the way, then the depot."""
    first, second = life.shipment["parcels"]
    assert [(parcel["piece"], parcel["pieces"]) for parcel in (first, second)] == [(1, 2), (2, 2)]
    assert first["number"] != second["number"]
    for parcel in (first, second):
        assert Sscc.parse(parcel["number"]).value == parcel["number"]  # raises for a wrong check digit
    assert first["route_code"] == second["route_code"]


def test_the_same_booking_sent_again_is_the_same_shipment(life: Life):
    """A client that heard no answer sends it again under the same Idempotency-Key, and nothing is booked twice."""
    again = life.shop.post("/shipments", life.booking, idempotency_key="booking-of-A-1")
    assert (again.status, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json == life.shipment
    other = life.shop.post("/shipments", {**life.booking, "reference": "A-2"}, idempotency_key="booking-of-A-1")
    assert (other.status, other.json["code"]) == (409, "idempotency.other_question")
    assert len(life.shop.get("/shipments").json["data"]) == 1


def test_the_order_behind_it_is_booked_and_cannot_be_booked_again(life: Life):
    """A booking is an order as any other; without the Idempotency-Key, its reference guards it."""
    order = life.shop.get(f"/orders/{life.shipment['order_id']}").json
    assert (order["state"], order["shipment_id"], order["pieces"]) == ("booked", life.shipment_id, 2)
    assert order["items"][0]["hs_code"] == "691200"
    twice = life.shop.post("/shipments", life.booking)
    assert (twice.status, twice.json["code"]) == (409, "orders.not_waiting")


def test_an_offer_is_no_bearer_ticket(life: Life):
    """Others cannot book it, nor see what was booked: to them it is not there."""
    stolen = life.other_shop.post("/shipments", {**life.booking, "reference": "B-1"})
    assert (stolen.status, stolen.json["code"]) == (404, "quotes.none")
    forged = life.shop.post("/shipments", {**life.booking, "quote_id": life.booking["quote_id"][:-4] + "AAAA"})
    assert forged.status == 404
    assert life.other_shop.get(f"/shipments/{life.shipment_id}").status == 404
    assert life.other_shop.get("/shipments").json["data"] == []
    assert life.other_shop.get("/orders?reference=A-1").json["data"] == []
