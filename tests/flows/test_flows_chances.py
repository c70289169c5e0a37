"""The acts about chances: told to who sees the parcel, as far as it is theirs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from living_cases import Live, make_live
from record_cases import NOW, RIVAL
from tracking_cases import HOUSE

from rookery.base.operations import Who
from rookery.terms.errors import InvalidInput, NotFound

AH1 = {"rookery:departure": "AH1"}


@pytest.fixture(scope="module")
def moved(make_urls, tmp_path_factory):
    """Three parcels: one left A half an hour late, one two hours and a half, one was never looked at."""
    with make_live(make_urls, tmp_path_factory.mktemp("chances")) as live:
        for _ in range(2):
            live.book()
        live.look_out()
        live.turn()
        for number, late in zip(live.numbers, (31, 151)):
            live.scan(live.blue, number, "departing", 9 + late / 60, "A", **AH1)
        live.turn()
        live.record.now = NOW + timedelta(minutes=5)
        live.book()
        live.at(12)
        yield live


def test_a_tracker_tells_what_is_ahead(moved: Live):
    """Chance, expected delivery, what it rides, its next move, the legs from here, and what is awaited by when."""
    now = moved.record.do("trackers.get", number=moved.numbers[0])["now"]
    assert (now["chance"], now["why"], now["policy"], now["off_plan"]) == (0.5, None, "v2", False)
    assert (now["expected_at"], now["by_at"]) == ("2026-03-03T22:30:00Z", "2026-03-04T10:30:00Z")
    assert now["riding"] == {"departure_id": "AH1", "depart_at": "2026-03-02T17:00:00Z"}
    assert (now["next"]["departure_id"], now["node"]) == ("HB1", None)
    assert [(leg["from_node"], leg["to_node"]) for leg in now["legs"]] == [("A", "H"), ("H", "B")]
    assert (now["awaited"], now["awaited_by"]) == ("arrived", "2026-03-03T12:01:00Z")
    assert now["at"] == "2026-03-02T17:31:00Z"


def test_a_parcel_that_was_not_looked_at_has_nothing_ahead_yet(moved: Live):
    """Null until the first look; its history is empty."""
    assert moved.record.do("trackers.get", number=moved.numbers[2])["now"] is None
    assert moved.record.do("trackers.chances", number=moved.numbers[2]) == {"data": [], "next": None}


def test_a_courier_sees_the_legs_it_rides_itself(moved: Live):
    """Of the legs its own, the ride and the next move where they are among them; chances are the shipper's."""
    blue, red = (
        moved.record.do("trackers.get", who, number=moved.numbers[0])["now"] for who in (moved.blue, moved.red)
    )
    assert [leg["departure_id"] for leg in blue["legs"]] == ["AH1"]
    assert blue["next"] is None and blue["riding"]["departure_id"] == "AH1"
    assert [leg["departure_id"] for leg in red["legs"]] == ["HB1"]
    assert red["next"]["departure_id"] == "HB1" and red["riding"] is None
    assert blue["awaited_by"] is not None and red["awaited_by"] is None
    hidden = [who[name] for who in (blue, red) for name in ("chance", "expected_at", "by_at")]
    assert hidden == [None] * 6


def test_history_is_told_page_by_page(moved: Live):
    """Oldest first; by the number as it is printed, too."""
    number = moved.numbers[1]
    told = moved.record.do("trackers.chances", number=f"(00) {number}")
    assert [one["chance"] for one in told["data"]] == [0.625, 3 / 8]
    assert told["data"][1]["at"] == "2026-03-02T19:31:00Z"
    first = moved.record.do("trackers.chances", number=number, limit=1)
    second = moved.record.do("trackers.chances", number=number, limit=1, after=first["next"])
    assert [first["data"][0]["chance"], second["data"][0]["chance"], second["next"]] == [0.625, 3 / 8, None]
    with pytest.raises(InvalidInput, match="cursor"):
        moved.record.do("trackers.chances", number=number, after="x")


def test_others_parcels_have_no_history(moved: Live):
    """As if there were none; nor have those that one only carries."""
    with pytest.raises(NotFound):
        moved.record.do("trackers.chances", RIVAL, number=moved.numbers[0])
    carrier = Who(moved.blue.party_id, moved.blue.key_id, frozenset({"courier", "merchant"}))
    assert moved.record.do("trackers.chances", carrier, number=moved.numbers[0])["data"] == []


def test_operators_list_parcels_by_chance(moved: Live):
    """The least likely first, below what is asked for, page by page."""
    told = moved.record.do("chances.list", HOUSE)
    assert [(one["number"], one["chance"]) for one in told["data"]] == [
        (moved.numbers[1], 3 / 8), (moved.numbers[0], 0.5),
    ]  # fmt: skip
    assert [one["chance"] for one in moved.record.do("chances.list", HOUSE, below=0.5)["data"]] == [3 / 8]
    first = moved.record.do("chances.list", HOUSE, limit=1)
    second = moved.record.do("chances.list", HOUSE, limit=1, after=first["next"])
    assert [one["number"] for one in second["data"]] == [moved.numbers[0]]
    with pytest.raises(InvalidInput, match="cursor"):
        moved.record.do("chances.list", HOUSE, after="nonsense")
