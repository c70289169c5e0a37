"""B01. Most orders are not quoted one by one: they are handed in, and the next wave books them. First as a batch."""

from __future__ import annotations

from typing import Any

from life_world import Life


def order(life: Life, reference: str, **changed: Any) -> dict[str, Any]:
    """An order of the shop to somebody in Berlin."""
    to = {
        "name": "Ben Example", "lines": ["Straße 2"], "city": "Berlin", "postal_code": "10117", "country": "DE",
    }  # fmt: skip
    made = {"reference": reference, "from": {"node": "CAN-W1"}, "to": to, "ready_at": life.ready_at, "weight_g": 500}
    return {**made, "service_id": "standard", **changed}


def test_good_orders_are_taken_though_others_are_faulty(life: Life):
    """One result for each, in order; a refused one tells every fault, where it is, and what to do."""
    faulty = order(life, "B-2", weight_g=-5, to={"name": "Ben Example", "postal_code": "1O117", "country": "DE"})
    told = life.shop.post("/orders/batch", {"orders": [order(life, "B-1"), faulty, order(life, "B-3", pieces=2)]})
    assert told.status == 200, told.json
    batch = told.json
    assert (batch["created"], batch["repeated"], batch["refused"]) == (2, 0, 1)
    assert [result["status"] for result in batch["results"]] == ["created", "refused", "created"]
    faults = {fault["at"]: fault for fault in batch["results"][1]["errors"]}
    assert {"$.orders[1].weight_g", "$.orders[1].to.postal_code"} <= set(faults)
    assert all(fault["message"] and fault["remedy"] for fault in faults.values())
    assert b"Ben" not in told.body
    life.known["batch"] = [batch["results"][0]["order_id"], batch["results"][2]["order_id"]]


def test_sent_again_nothing_is_taken_twice(life: Life):
    """The reference is the shop's own number: same content, same order; other content, a conflict."""
    again = life.shop.post("/orders/batch", {"orders": [order(life, "B-1"), order(life, "B-3", pieces=3)]}).json
    assert [result["status"] for result in again["results"]] == ["repeated", "refused"]
    assert again["results"][0]["order_id"] == life.batch[0]
    assert again["results"][1]["errors"][0]["code"] == "reference_taken"
    # another shop's B-1 is another order
    mine = life.other_shop.post("/orders", order(life, "B-1"))
    assert mine.status == 201
    assert life.other_shop.post(f"/orders/{mine.json['order']['order_id']}/cancel", {}).json["state"] == "cancelled"


def test_a_waiting_order_can_be_changed_by_whoever_saw_it_last(life: Life):
    """If-Match holds the version that was seen: who saw an older one is told to look again."""
    place = f"/orders/{life.batch[0]}"
    seen = life.shop.get(place)
    changed = life.shop.send("PATCH", place, b'{"service_id": "express"}', if_match=seen.headers["etag"])
    assert (changed.status, changed.json["service_id"]) == (200, "express")
    late = life.shop.send("PATCH", place, b'{"service_id": "standard"}', if_match=seen.headers["etag"])
    assert (late.status, late.json["code"]) == (412, "if_match.other")
    assert life.shop.get(place).json["service_id"] == "express"


def test_a_batch_that_is_no_batch_is_refused_as_a_whole(life: Life):
    """What has not the form of a document cannot be judged: nothing is taken, and every fault is told."""
    wrong = {**order(life, "B-4"), "weight_g": "heavy", "colour": "red"}
    refused = life.shop.post("/orders/batch", {"orders": [order(life, "B-5"), wrong]})
    assert refused.status == 422
    assert {fault["at"] for fault in refused.json["errors"]} == {"$.orders[1].weight_g", "$.orders[1].colour"}
    assert life.shop.get("/orders?reference=B-5").json["data"] == []


def test_an_order_that_waits_can_also_be_booked_at_once(life: Life):
    """With an offer for the order's own figures; the wave then leaves it alone."""
    made = life.shop.post("/orders", order(life, "B-4")).json["order"]
    asked = {name: made[name] for name in ("ready_at", "weight_g", "service_id")}
    places = {"from": {"node": "CAN-W1"}, "to": {"country": "DE", "postal_code": "10117"}}
    offers = life.shop.post("/quotes", {**asked, **places}).json["offers"]
    other = life.shop.post("/quotes", {**asked, **places, "weight_g": 501}).json["offers"]
    refused = life.shop.post("/shipments", {"quote_id": other[-1]["quote_id"], "order_id": made["order_id"]})
    assert (refused.status, refused.json["code"]) == (409, "quotes.another_parcel")
    booked = life.shop.post("/shipments", {"quote_id": offers[-1]["quote_id"], "order_id": made["order_id"]})
    assert (booked.status, booked.json["reference"]) == (201, "B-4")
    assert booked.json["legs"][1]["mode"] == "rail"
    life.known["booked_order"] = booked.json


def test_an_address_can_be_checked_before(life: Life):
    """By the rules of its country, and kept nowhere."""
    told = life.shop.post("/addresses/check", {"addresses": [
        {"name": "Ada Example", "lines": ["Straße 1"], "city": "Berlin", "postal_code": "10115", "country": "DE"},
        {"name": "Ada Example", "lines": ["Straße 1"], "city": "Berlin", "postal_code": "1", "country": "DE"},
    ]}).json  # fmt: skip
    good, bad = told["results"]
    assert good["usable"] and not bad["usable"]
    assert bad["errors"][0]["code"] == "bad_postal_code"
