"""B03. The wave: everything that waits is planned together within what the departures hold, and booked."""

from __future__ import annotations

from life_world import Life, until


def test_a_wave_books_what_waits(life: Life):
    """Each waiting order becomes a shipment with a promise, a route and numbers. A worker does it."""
    asked = life.operator.post("/waves", {"outcomes": 1}, idempotency_key="wave-of-the-day")
    assert asked.status == 202
    assert life.operator.post("/waves", {"outcomes": 1}, idempotency_key="wave-of-the-day").json == asked.json
    place = f"/waves/{asked.json['plan_id']}"
    until("the wave is done", lambda: life.operator.get(place).json["state"] in ("done", "failed"))
    done = life.operator.get(place).json
    assert (done["state"], done["booked"], done["unassigned"]) == ("done", 6, 0), done
    assert life.shop.get("/orders?state=received").json["data"] == []

    booked = life.shop.get(f"/shipments?plan_id={asked.json['plan_id']}").json["data"]
    life.known["by_reference"] = {shipment["reference"]: shipment for shipment in booked}
    assert set(life.by_reference) >= {"B-1", "B-3", "F-1", "F-2", "F-3", "F-4"}
    assert all(parcel["number"] for shipment in booked for parcel in shipment["parcels"])


def test_who_paid_for_speed_flies(life: Life):
    """Express goes by air and standard by rail: cheaper, and still in time."""
    modes = {reference: {leg["mode"] for leg in shipment["legs"]} for reference, shipment in life.by_reference.items()}
    assert "air" in modes["B-1"]
    assert "rail" in modes["F-1"]
    assert life.by_reference["B-1"]["promised_at"] < life.by_reference["F-1"]["promised_at"]


def test_numbers_are_never_issued_twice(life: Life):
    """All parcels of all shippers: as many numbers as parcels."""
    parcels = life.operator.get("/parcels?limit=1000").json["data"]
    assert len({parcel["number"] for parcel in parcels}) == len(parcels) == 10
    assert life.shop.get("/parcels").json["next"] is None


def test_the_parcel_booked_by_quote_kept_its_place(life: Life):
    """Seats that were booked are not sold again: with A-1's two pieces and B-1 three of four seats are taken."""
    after = life.shop.get(f"/shipments/{life.shipment_id}").json
    assert after["legs"] == life.shipment["legs"]
    ask = {"from": {"node": "CAN-W1"}, "to": {"country": "DE", "postal_code": "10115"}, "ready_at": life.ready_at}

    def earliest(pieces: int) -> str:
        quote = life.shop.post("/quotes", {**ask, "weight_g": 800, "pieces": pieces}).json
        return quote["offers"][0]["promised_at"]

    assert earliest(1) == life.shipment["promised_at"]
