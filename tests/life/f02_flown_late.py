"""F02. The flight leaves ten hours late. Nobody has to notice: the chance falls, its shop is told, and a case opens."""

from __future__ import annotations

from datetime import timedelta

from life_live import cases_of, departed, departures, instant, tracked, until_now
from life_world import Life, until

LATE = timedelta(hours=10)


def test_it_flies_late_and_its_chance_falls(life: Life):
    """The line-haul that it is booked on is hardly caught; whether a van in the night is depends on the winds."""
    flight = life.late["legs"][1]
    departed(life, life.late_number, flight, instant(flight["depart_at"]) + LATE)
    rides = {"departure_id": "flight-02:00", "depart_at": flight["depart_at"]}
    # until there is a policy for such parcels it may go by that of others, which is in less of a hurry
    now = until_now(
        life, life.late_number, "it is known to fly, and to go on by the van",
        lambda now: now["riding"] == rides and departures(now) == ["flight-02:00", "van-23"],
    )["now"]  # fmt: skip
    assert now["off_plan"] and 0.3 < now["chance"] < 0.93
    assert now["awaited"] == "arrived"
    life.known["fallen"] = now["chance"]


def test_the_promise_stands_and_the_chance_is_told(life: Life):
    """The shop hears that it may be late; what was promised is what was promised."""
    tracker = tracked(life, "shop", life.late_number)
    assert tracker["promised_at"] == life.late["promised_at"]
    told = life.shop_inbox.until_told("parcel.chance", number=life.late_number)["data"]
    assert (told["state"], told["promised_at"]) == ("below_promise", life.late["promised_at"])
    assert told["chance"] < told["confidence"] <= told["chance_before"]
    past = life.shop.get(f"/trackers/{life.late_number}/chances").json["data"]
    chances = [one["chance"] for one in past if one["chance"] is not None]  # the first may be of a neighbour's policy
    assert max(chances) >= 0.95 > chances[-1] == life.fallen, past
    assert life.late_number in {one["number"] for one in life.operator.get("/chances?below=0.93").json["data"]}


def test_a_case_opens_with_what_to_do_in_it(life: Life):
    """For the operator all of it; the shop sees that something is done about its parcel, and no costs."""
    [case] = until("a case is open", lambda: cases_of(life, "operator", life.late_number, "chance_low"))
    assert (case["state"], case["parcels"], case["worst_chance"], case["moves"]) == ("open", 1, life.fallen, 1)
    [parcel] = life.operator.get(f"/cases/{case['case_id']}/parcels").json["data"]
    assert [leg["departure_id"] for leg in parcel["move"]] == ["flight-02:00", "van-23"]
    [seen] = cases_of(life, "shop", life.late_number, "chance_low")
    assert (seen["case_id"], seen["move_cost"], seen["owner"]) == (case["case_id"], None, None)
    assert cases_of(life, "other_shop", life.late_number, "chance_low") == []
    told = life.shop_inbox.until_told("case.opened", case_id=case["case_id"])
    assert told["data"]["kind"] == "chance_low"
    life.known["case"] = case
