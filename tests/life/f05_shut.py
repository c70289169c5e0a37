"""F05. A hub is shut with two shops' parcels on their way to it. It is one case, which heals by itself."""

from __future__ import annotations

from datetime import timedelta

from life_live import bring_to_the_hub, cases_of, day, departures, pass_until, set_out, tracked, until_now, words
from life_world import Life, until


def test_two_parcels_wait_for_the_flight_to_leipzig(life: Life):
    """Of two shops that know nothing of each other."""
    life.known["day"] = life.clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    pass_until(life, day(life, 6))
    life.known["around"] = {who: set_out(life, who, "F-10") for who in ("shop", "other_shop")}
    life.known["numbers"] = {who: made["parcels"][0]["number"] for who, made in life.around.items()}
    bring_to_the_hub(life, *life.numbers.values())
    for number in life.numbers.values():
        until_now(life, number, "it is known to stand at the hub", lambda now: now["node"] == "CAN-HUB")


def test_the_hub_is_shut(life: Life):
    """Entered once. A name that the network does not have is refused with the one that was meant."""
    closure = {"node_id": "LEJ-HUV", "until_at": words(day(life, 12, days=3)), "reason": "Storm"}
    refused = life.operator.post("/closures", closure)
    assert refused.status == 422 and "LEJ-HUB" in refused.body.decode(), refused.json
    made = life.operator.post("/closures", closure | {"node_id": "LEJ-HUB"})
    assert made.status == 201, made.json
    assert made.json["effect"]["parcels"] == 2
    life.known["closure"] = made.json["closure"]
    assert life.shop.post("/closures", closure).status == 403
    assert [one["closure_id"] for one in life.shop.get("/closures?open=true").json["data"]] == [
        life.closure["closure_id"]
    ]


def test_both_go_another_way(life: Life):
    """What touches them is looked at, and they are booked over Frankfurt; each shop is told of its own parcel."""
    for who, number in life.numbers.items():
        inbox = getattr(life, f"{who}_inbox")
        told = inbox.until_told("parcel.rerouted", number=number)["data"]
        assert departures(told) == ["flight-06", "line-haul-west-20"]
        tracker = tracked(life, who, number)
        assert departures(tracker) == ["pick-up-18", "flight-06", "line-haul-west-20"]
        assert tracker["promised_at"] == life.around[who]["promised_at"]
        others = {*life.numbers.values()} - {number}
        assert not [one for one in inbox.messages("parcel.rerouted") if one["data"]["number"] in others]


def test_it_was_one_case_and_it_has_healed(life: Life):
    """One cause, one case, whoever's parcels are in it; each shop sees its own there."""
    cause = f"closure:{life.closure['closure_id']}"

    def closed() -> list[dict]:
        cases = life.operator.get("/cases?kind=closure&state=all").json["data"]
        return [case for case in cases if case["cause"] == cause and case["state"] == "closed"]

    [case] = until("the case is closed", closed)
    assert case["closed_why"] == "mended"
    assert len(life.operator.get("/cases?kind=closure&state=all").json["data"]) == 1
    inside = life.operator.get(f"/cases/{case['case_id']}/parcels?left=true").json["data"]
    assert {one["number"] for one in inside} == {*life.numbers.values()}
    for who, number in life.numbers.items():
        [seen] = cases_of(life, who, number, "closure")
        assert seen["case_id"] == case["case_id"]
        mine = getattr(life, who).get(f"/cases/{case['case_id']}/parcels?left=true").json["data"]
        assert [one["number"] for one in mine] == [number]
        assert cases_of(life, "operator", number, "chance_low") == []
        now = until_now(life, number, "its chance follows", lambda now: not now["off_plan"])["now"]
        assert now["chance"] >= 0.95 and departures(now) == ["flight-06", "line-haul-west-20"]
    acted = life.operator.get(f"/replans?case_id={case['case_id']}").json["data"]
    assert sum(one["done"] for one in acted) == 2


def test_the_hub_opens_again(life: Life):
    """Lifted twice it is lifted once; what was booked around it keeps its way."""
    place = f"/closures/{life.closure['closure_id']}/lift"
    lifted = [life.operator.post(place, {}) for _ in range(2)]
    assert [one.status for one in lifted] == [200, 200]
    assert life.shop.get("/closures?open=true").json["data"] == []
    for who, number in life.numbers.items():
        assert departures(tracked(life, who, number)) == ["pick-up-18", "flight-06", "line-haul-west-20"]
