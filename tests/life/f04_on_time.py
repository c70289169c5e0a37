"""F04. It lands in time for the van. The case closes by itself, and the parcel is delivered on the day promised."""

from __future__ import annotations

from datetime import timedelta

from f02_flown_late import LATE
from life_live import cases_of, departures, instant, pass_until, ride, tracked, until_now, words
from life_scans import scan, taken
from life_world import Life, until


def test_it_lands_and_its_chance_is_what_was_promised(life: Life):
    """As long on its way as usual: the van will be caught, for sure."""
    flight = life.way[1]
    landed = instant(flight["depart_at"]) + LATE + timedelta(minutes=800)
    pass_until(life, landed + timedelta(minutes=5))
    one = {"number": life.late_number, "at": words(landed), "code": "arrived", "node": "LEJ-HUB"}
    assert taken(scan(life, "air", one)) == (1, 0, 0)
    now = until_now(life, life.late_number, "it has landed", lambda now: now["node"] == "LEJ-HUB")["now"]
    assert now["chance"] >= 0.95 and not now["off_plan"] and departures(now) == ["van-23"]
    told = life.shop_inbox.until_told("parcel.chance", number=life.late_number, state="as_promised")
    assert told["data"]["chance"] == now["chance"]


def test_the_case_has_closed_itself(life: Life):
    """All is well; nobody had to say so."""
    place = f"/cases/{life.case['case_id']}"
    until("the case is closed", lambda: life.operator.get(place).json["state"] == "closed")
    case = life.operator.get(place).json
    assert (case["closed_why"], case["closed_by"], case["parcels"]) == ("mended", None, 0)
    told = life.shop_inbox.until_told("case.closed", case_id=case["case_id"])
    assert told["data"]["closed_why"] == "mended"
    assert cases_of(life, "operator", life.late_number, "departure_missed") == []


def test_it_is_delivered_on_the_day_promised(life: Life):
    """With the line-haul it would have come a day later."""
    van = life.way[2]
    ride(life, life.late_number, van)
    there = instant(van["arrive_at"])
    for hours, code in ((2, "out_for_delivery"), (5, "delivered")):
        at = there + timedelta(hours=hours)
        pass_until(life, at + timedelta(minutes=5))
        one = {"number": life.late_number, "at": words(at), "code": code, "node": "DE-BERLIN"}
        assert taken(scan(life, "van", one)) == (1, 0, 0)
    tracker = tracked(life, "shop", life.late_number)
    assert tracker["status"] == "delivered"
    delivered, promised = instant(tracker["status_at"]), instant(life.late["promised_at"])
    assert promised - timedelta(days=1) < delivered <= promised
    ended = until_now(life, life.late_number, "its end is known", lambda now: now["chance"] == 1.0 and not now["legs"])
    assert ended["ridden"][-1] == {"departed_at": van["depart_at"], "arrived_at": van["arrive_at"]}


def test_the_shop_has_heard_it_all_in_order(life: Life):
    """Of one parcel everything comes in the order it happened, and each message once."""
    life.shop_inbox.until_told("parcel.milestone", number=life.late_number, status="delivered")
    told = life.shop_inbox.messages("parcel.milestone", number=life.late_number)
    when = [one["data"]["at"] for one in told]
    assert when == sorted(when)
    assert {"in_transit", "delivered"} <= {one["data"]["status"] for one in told}
    assert told[-1]["data"]["status"] == "delivered"
    kinds = [one["type"] for one in life.shop_inbox.messages(number=life.late_number)]
    assert kinds.index("parcel.chance") < kinds.index("parcel.rerouted")
    assert all(b"Example" not in one.body for one in life.shop_inbox.receiver.heard)
