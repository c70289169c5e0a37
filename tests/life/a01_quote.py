"""A01. A network is published, and a shipper asks what it would cost to bring a parcel to Berlin, and by when."""

from __future__ import annotations

from life_world import Caller, Life, network

SHOP = {"node": "CAN-W1"}
BERLIN = {"country": "DE", "postal_code": "10115"}


def test_everybody_who_takes_part_has_a_key_of_their_own(life: Life):
    """The first key is made beside the server, by whoever owns the data folder; all others over HTTP with it."""
    first = life.command("keys", "create", "--party", "The network", "--new-party", "--scope", "operator,admin")
    operator = life.callers["operator"] = Caller(life.url, first["key"])
    # a carrier's code is what feeds call it: by it the server knows whose leg is whose
    for name, code, scope in (
        ("shop", None, "merchant"), ("other_shop", None, "merchant"),
        ("road", "ROAD-A", "courier"), ("air", "AIR-B", "courier"), ("rail", "RAIL-C", "courier"),
    ):  # fmt: skip
        party = operator.post("/parties", {"name": name, "code": code})
        assert party.status == 201
        made = operator.post("/keys", {"party_id": party.json["party_id"], "scopes": [scope]})
        assert made.status == 201
        life.callers[name] = Caller(life.url, made.json["key"])

    assert Caller(life.url, "").get("/orders").status == 401
    assert Caller(life.url, "rk_live_guessed").get("/orders").status == 401
    refused = life.shop.post("/parties", {"name": "Somebody"})
    assert (refused.status, refused.json["code"]) == (403, "keys.scope")


def test_nothing_can_be_promised_before_there_is_a_network(life: Life):
    """A quote without an active network is refused with what to do first."""
    refused = life.shop.post("/quotes", {"from": SHOP, "to": BERLIN, "ready_at": life.ready_at, "weight_g": 800})
    assert 400 <= refused.status < 500, refused.json
    assert "network" in refused.json["detail"].lower()
    assert refused.json["action"]


def test_a_network_is_published_and_counts_from_then_on(life: Life):
    """A feed is validated when it is published; published again it is the same version."""
    made = life.operator.send("POST", "/networks?activate=true", network("02:00"), content_type="application/zip")
    assert made.status == 201, made.json
    feed = made.json["feed"]
    assert (feed["nodes"], feed["departures"], feed["active"]) == (4, 4, True)
    again = life.operator.send("POST", "/networks", network("02:00"), content_type="application/zip")
    assert again.json["again"]
    assert again.json["feed"]["feed_id"] == feed["feed_id"]
    life.known["feed_id"] = feed["feed_id"]


def test_a_quote_is_a_choice_of_days_and_what_each_costs(life: Life):
    """Offers come earliest first, each later one cheaper: the night flight, then the train. Nothing is reserved yet."""
    asked = life.shop.post(
        "/quotes", {"from": SHOP, "to": BERLIN, "ready_at": life.ready_at, "weight_g": 800, "pieces": 2}
    )
    assert asked.status == 200, asked.json
    quote = asked.json
    flight, train = quote["offers"]
    assert [leg["mode"] for leg in flight["legs"]] == ["truck", "air", "truck"]
    assert [leg["mode"] for leg in train["legs"]] == ["truck", "rail", "truck"]
    assert flight["promised_at"] < train["promised_at"]
    assert flight["cost"] > train["cost"]
    assert flight["probability"] >= 0.95
    # the tariff by hand, two pieces of 0.8 kg: per piece, per kg, and the last mile
    by_air = 2 * ((0.10 + 5.00 + 0.20) + 0.8 * (0.05 + 2.00 + 0.10) + 1.60)
    assert abs(flight["cost"] - by_air) < 0.001
    life.known |= {"flight": flight, "train": train}


def test_what_cannot_be_brought_is_an_answer_with_reasons(life: Life):
    """No way is a result and no error; a question that makes no sense is an error that tells every fault."""
    alone = life.shop.post(
        "/quotes", {"from": {"node": "DE-BERLIN"}, "to": {"node": "CAN-HUB"}, "ready_at": life.ready_at, "weight_g": 1}
    ).json
    assert (alone["offers"], alone["reasons"]) == ([], ["no_lane"])

    wrong = life.shop.post("/quotes", {"from": SHOP, "ready_at": "tomorrow", "weight_g": -1, "colour": "red"})
    assert wrong.status == 422
    assert wrong.headers["content-type"].startswith("application/problem+json")
    assert {fault["at"] for fault in wrong.json["errors"]} >= {"$.to", "$.ready_at", "$.weight_g", "$.colour"}


def test_ten_thousand_addresses_are_one_question(life: Life):
    """Reachability: can you bring this there, by when, for how much, for every address of a list."""
    places = [BERLIN, {"node": "LEJ-HUB"}, {"country": "FR", "postal_code": "75001"}] * 100
    told = life.shop.post(
        "/reachability", {"from": SHOP, "to": places, "ready_at": life.ready_at, "weight_g": 800}
    ).json
    berlin, hub, paris = told["results"][:3]
    assert (berlin["reachable"], hub["reachable"]) == (True, True)
    assert berlin["earliest_at"] == life.flight["promised_at"]
    assert berlin["cheapest_cost"] < berlin["earliest_cost"]
    assert (paris["reachable"], paris["reasons"]) == (False, ["unknown_zone"])
    assert len(told["results"]) == 300
