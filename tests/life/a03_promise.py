"""A03. The network changes under the parcel: its route follows, its promise does not move."""

from __future__ import annotations

from life_world import Life, network, until


def wave(life: Life) -> dict:
    """Plans what there is, as the operator, and waits until a worker has done it."""
    asked = life.operator.post("/waves", {"outcomes": 1})
    assert asked.status == 202, asked.json
    place = f"/waves/{asked.json['plan_id']}"
    until("the wave is done", lambda: life.operator.get(place).json["state"] in ("done", "failed"))
    done = life.operator.get(place).json
    assert done["state"] == "done", done
    return done


def test_a_new_version_counts_for_new_parcels(life: Life):
    """The flight now leaves at four. Offers made before cannot be booked any more; what was booked stays as it is."""
    made = life.operator.send("POST", "/networks?activate=true", network("04:00"), content_type="application/zip")
    assert made.status == 201, made.json
    life.known["second_feed_id"] = made.json["feed"]["feed_id"]

    def late() -> bool:
        refused = life.shop.post("/shipments", {"quote_id": life.train["quote_id"], "reference": "A-3", "to": {}})
        return refused.json["code"] == "quotes.network_changed"

    until("the server has seen the new network", late)
    assert life.shop.get(f"/shipments/{life.shipment_id}").json == life.shipment


def test_a_wave_changes_the_route_and_never_the_date(life: Life):
    """The wave puts the parcel on the flight that there is now; promise, price and numbers are those of the booking."""
    done = wave(life)
    assert done["feed_id"] == life.second_feed_id
    after = life.shop.get(f"/shipments/{life.shipment_id}").json
    assert [leg["departure_id"] for leg in after["legs"]] == ["pick-up-18", "flight-04:00", "line-haul-20"]
    assert (after["feed_id"], after["plan_id"]) == (life.second_feed_id, done["plan_id"])
    for kept in ("promised_at", "cost", "shipment_id", "recipient_id", "reference"):
        assert after[kept] == life.shipment[kept]
    assert [parcel["number"] for parcel in after["parcels"]] == [p["number"] for p in life.shipment["parcels"]]
    life.known["shipment"] = after


def test_a_wave_that_finds_nothing_better_changes_nothing(life: Life):
    """A second wave over the same leaves every route as it is."""
    wave(life)
    after = life.shop.get(f"/shipments/{life.shipment_id}").json
    assert after["legs"] == life.shipment["legs"]
    assert after["promised_at"] == life.shipment["promised_at"]


def test_rolling_the_network_back_moves_no_promise_either(life: Life):
    """Back to the first version and forth again: parcels in flight keep what they have until they are planned again."""
    back = life.operator.post("/networks/rollback", {})
    assert (back.json["feed"]["feed_id"], back.json["before"]["feed_id"]) == (life.feed_id, life.second_feed_id)
    assert life.shop.get(f"/shipments/{life.shipment_id}").json["legs"] == life.shipment["legs"]
    forth = life.operator.post(f"/networks/{life.second_feed_id}/activate", {})
    assert forth.json["feed"]["active"]
