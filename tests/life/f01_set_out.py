"""F01. Days later another parcel sets out. Its shop has named an endpoint, and from now on need not ask where it is."""

from __future__ import annotations

from datetime import timedelta

from life_live import LATER, bring_to_the_hub, day, listen, pass_until, set_out, take_over_the_clock, tracked, until_now
from life_scans import at, scan, taken
from life_world import WIDER, Caller, Life, network
from receiving import Receiver


def test_days_pass(life: Life):
    """The server goes by a clock of ours. What was scanned of nothing for weeks is not lost by that."""
    before = tracked(life, "shop", life.number)["status"]
    theirs = {"number": life.their_number, "at": at(life, 60), "code": "delivered", "node": "DE-BERLIN"}
    assert taken(scan(life, "road", theirs)) == (1, 0, 0)  # what shared the bag came there, too
    take_over_the_clock(life)
    life.known["day"] = life.clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + LATER
    pass_until(life, day(life, 6))
    assert tracked(life, "shop", life.number)["status"] == before == "delivered"


def test_the_network_has_more_ways_by_now(life: Life):
    """A van in the night and a flight to Frankfurt; the van's courier has a key, too."""
    told = life.operator.send(
        "POST", "/networks?activate=true", network("02:00", WIDER), content_type="application/zip"
    )
    assert told.status == 201, told.json
    party = life.operator.post("/parties", {"name": "van", "code": "VAN-D"}).json["party_id"]
    made = life.operator.post("/keys", {"party_id": party, "scopes": ["courier"]})
    life.callers["van"] = Caller(life.url, made.json["key"])


def test_two_shops_have_endpoints_of_their_own(life: Life, receivers: list[Receiver]):
    """Each is sent a message for trial, signed with the secret that it alone was shown."""
    for who, receiver in zip(("shop", "other_shop"), receivers):
        life.known[f"{who}_inbox"] = inbox = listen(life, who, receiver)
        [endpoint] = getattr(life, who).get("/webhooks").json["data"]
        said = getattr(life, who).post(f"/webhooks/{endpoint['endpoint_id']}/test", {})
        assert said.status == 202
        inbox.until_told("webhook.test")
    [heard] = receivers[1].heard
    assert not heard.signed_with(life.shop_inbox.secret)


def test_a_parcel_sets_out_and_is_likely_to_be_on_time(life: Life):
    """Every scan is followed by a look at what is ahead: it will be there when it was promised, on the legs booked."""
    life.known["late"] = set_out(life, "shop", "F-9")
    life.known["late_number"] = number = life.late["parcels"][0]["number"]
    bring_to_the_hub(life, number)
    tracker = until_now(life, number, "it is known to stand at the hub", lambda now: now["node"] == "CAN-HUB")
    now = tracker["now"]
    assert now["chance"] >= 0.95 and not now["off_plan"] and now["why"] is None
    assert now["next"]["departure_id"] == "flight-02:00"
    told = life.shop_inbox.until_told("parcel.milestone", number=number, detail="arrived")
    assert told["data"]["promised_at"] == life.late["promised_at"]
    assert life.other_shop_inbox.messages("parcel.milestone", number=number) == []
    assert day(life, 11) < life.clock.now() < day(life, 11) + timedelta(hours=2)
