"""E04. Customs look into the parcel and let it go; it is driven to Berlin."""

from __future__ import annotations

from life_scans import at, everybody_sees, publicly, scan, taken
from life_world import Life


def test_customs_hold_it(life: Life):
    """A problem, and the recipient reads it in words."""
    held = {"number": life.number, "at": at(life, 22), "code": "customs_inspection", "node": "LEJ-HUB"}
    assert taken(scan(life, "hub", held)) == (1, 0, 0)
    everybody_sees(life, "on_hold", "customs_inspection", "LEJ-HUB")
    told = publicly(life).json
    assert told["severity"] == "problem" and told["detail_text"]
    theirs = life.other_shop.get(f"/trackers/{life.their_number}").json
    assert (theirs["status"], theirs["detail"]) == ("in_transit", "unbagged")  # the other parcel was not looked into


def test_who_is_held_is_found_by_status(life: Life):
    """A shipper's own parcels alone."""
    [held] = life.shop.get("/trackers?status=on_hold").json["data"]
    assert (held["number"], held["detail"]) == (life.number, "customs_inspection")
    assert life.other_shop.get("/trackers?status=on_hold").json["data"] == []


def test_customs_let_it_go(life: Life):
    """It is on its way again."""
    cleared = {"number": life.number, "at": at(life, 26), "code": "customs_cleared", "node": "LEJ-HUB"}
    assert taken(scan(life, "hub", cleared)) == (1, 0, 0)
    everybody_sees(life, "in_transit", "customs_cleared", "LEJ-HUB")


def test_it_is_driven_to_berlin(life: Life):
    """The device kept both scans until it had a net again, and sends the later one first."""
    left = {
        "number": life.number,
        "at": at(life, 28),
        "code": "departed",
        "node": "LEJ-HUB",
        "departure": "line-haul-20",
    }
    came = {"number": life.number, "at": at(life, 31), "code": "arrived", "node": "DE-BERLIN"}
    assert taken(scan(life, "road", came, left)) == (2, 0, 0)
    tracker = everybody_sees(life, "in_transit", "arrived", "DE-BERLIN")
    assert [bool(leg["arrived_at"]) for leg in tracker["ridden"]] == [True, True, True]
