"""E05. The driver's device says a word that nobody knows. Nothing is guessed; once it is explained, the scan counts."""

from __future__ import annotations

from life_scans import at, everybody_sees, history, scan
from life_world import Life, until

TABLE = "# base: rookery\ncode,status,detail\nTOUR-START,out_for_delivery,\n"


def test_an_unknown_code_is_kept_and_moves_nothing(life: Life):
    """The answer says what to do; the parcel is where it was."""
    told = scan(life, "road", {"number": life.number, "at": at(life, 33), "code": "TOUR-START", "node": "DE-BERLIN"})
    assert told["taken"] == 1
    assert [notice["code"] for notice in told["results"][0]["notices"]] == ["unknown_code"]
    tracker = everybody_sees(life, "in_transit", "arrived", "DE-BERLIN")
    assert (tracker["why"]["steps"][-1]["counted"], tracker["why"]["steps"][-1]["reason"]) == (False, "says_nothing")


def test_it_stands_in_a_list_of_codes_to_explain(life: Life):
    """The courier's own list and the operator's; no other courier's."""
    for who in ("road", "operator"):
        [code] = getattr(life, who).get("/scans/codes").json["data"]
        assert (code["code"], code["scans"], code["number"]) == ("TOUR-START", 1, life.number)
    assert life.air.get("/scans/codes").json["data"] == []


def test_the_courier_says_what_it_means(life: Life):
    """A table of codes, tried first and then sent; a worker understands what was kept."""
    tried = life.road.send("PUT", "/scans/codes?dry_run=true", TABLE.encode(), content_type="text/csv")
    assert (tried.json["version"], tried.json["explains"], tried.json["leaves"]) == (None, 1, 0)
    put = life.road.send("PUT", "/scans/codes", TABLE.encode(), content_type="text/csv")
    assert (put.status, put.json["version"]) == (200, 1), put.json
    place = f"/trackers/{life.number}"
    until("the code is understood", lambda: life.shop.get(place).json["status"] == "out_for_delivery")
    tracker = everybody_sees(life, "out_for_delivery", None, "DE-BERLIN")
    assert tracker["status_at"] == at(life, 33)
    assert history(tracker)[-2:] == ["arrived", "out_for_delivery"]
    assert life.operator.get("/scans/codes").json["data"] == []
