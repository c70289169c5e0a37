"""E06. Delivered by mistake, which is withdrawn; then delivered. Every event of the way is there, each once."""

from __future__ import annotations

from life_scans import at, epc, events_of, everybody_sees, history, publicly, scan, taken
from life_world import Life


def delivered(life: Life, hours: float) -> dict:
    return {"number": life.number, "at": at(life, hours), "code": "delivered", "lat": 52.53, "lon": 13.38}


def test_the_wrong_parcel_is_scanned_at_the_door(life: Life):
    """The driver held another one. Where the door is, the public is not told."""
    assert taken(scan(life, "road", delivered(life, 35))) == (1, 0, 0)
    tracker = life.shop.get(f"/trackers/{life.number}").json
    assert (tracker["status"], tracker["place"]) == ("delivered", "geo:52.530000,13.380000")
    told = publicly(life)
    assert (told.json["status"], told.json["place"]) == ("delivered", None) and b"52.53" not in told.body


def test_the_mistake_is_withdrawn(life: Life):
    """The same scan, declared wrong: the parcel is out for delivery again, and what was said stays to be read."""
    wrong = {**delivered(life, 35), "withdraws": "did_not_occur"}
    assert taken(scan(life, "road", wrong)) == (1, 0, 0)
    assert taken(scan(life, "road", wrong)) == (0, 1, 0)
    tracker = everybody_sees(life, "out_for_delivery", None, "DE-BERLIN")
    assert (tracker["why"]["steps"][-1]["counted"], tracker["why"]["steps"][-1]["reason"]) == (False, "withdrawn")
    assert "delivered" not in {step["status"] for step in publicly(life).json["steps"]}
    last = [event for event in events_of(life, "shop", life.number) if event.get("rookery:code") == "delivered"]
    assert ["errorDeclaration" in event for event in last] in ([False, True], [True, False])


def test_nobody_else_withdraws_a_scan(life: Life):
    """The airline's declaration of what the road scanned is its own, and takes nothing back."""
    loaded = {"number": life.number, "at": at(life, 33), "code": "TOUR-START", "node": "DE-BERLIN"}
    scan(life, "air", {**loaded, "withdraws": "incorrect_data"})
    everybody_sees(life, "out_for_delivery", None, "DE-BERLIN")


def test_it_is_delivered(life: Life):
    """The end, by the right scan."""
    assert taken(scan(life, "road", {**delivered(life, 37), "lat": None, "lon": None, "node": "DE-BERLIN"})) == (
        1,
        0,
        0,
    )
    tracker = everybody_sees(life, "delivered", None, "DE-BERLIN")
    assert tracker["status_at"] == at(life, 37)
    counted = [step for step in tracker["why"]["steps"] if step["counted"]]
    assert [step["detail"] or step["status"] for step in counted] == [
        "accepted", "departed", "arrived", "bagged", "loaded", "departed", "arrived", "unloaded", "unbagged",
        "customs_inspection", "customs_cleared", "departed", "arrived", "out_for_delivery", "delivered",
    ]  # fmt: skip
    assert tracker["why"]["event_id"] == counted[-1]["event_id"]
    assert publicly(life).json["promise"]["at"] == life.travelling["promised_at"]


def test_what_comes_after_the_end_changes_it_no_more(life: Life):
    """A scan of the depot that was forgotten until now, and one later than the end."""
    sorted_, later = (
        {"number": life.number, "at": at(life, hours), "code": code, "node": "DE-BERLIN"}
        for hours, code in ((32, "sorted"), (40, "arrived"))
    )
    assert taken(scan(life, "hub", sorted_, later)) == (2, 0, 0)
    tracker = everybody_sees(life, "delivered", None, "DE-BERLIN")
    assert tracker["why"]["steps"][-1]["reason"] == "after_its_end"
    assert "sorted" in history(tracker)


def test_every_event_is_there_once(life: Life):
    """As EPCIS has them: those that name the parcel, to whoever has to do with it, and no other's parcel in any.

    An event and the declaration that it was wrong have one id.
    """
    seen = events_of(life, "shop", life.number)
    assert len({(event["eventID"], "errorDeclaration" in event) for event in seen}) == len(seen) == 16
    named = [{*event.get("epcList", ()), *event.get("childEPCs", ())} for event in seen]
    assert all(epc(life.number) in one and epc(life.their_number) not in one for one in named)
    theirs = events_of(life, "other_shop", life.their_number)
    assert [event["bizStep"] for event in theirs] == ["accepting", "arriving", "packing", "unpacking"]
    assert events_of(life, "other_shop", life.number) == []
