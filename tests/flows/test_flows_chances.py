"""The acts about chances: told to who sees the parcel, as far as it is theirs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

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
    assert (now["chance"], now["why"], now["policy"], now["off_plan"]) == (0.5, None, "0-0.2", False)
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


def test_all_under_way_are_listed_and_what_is_not_known_by_itself(make_urls, tmp_path):
    """Without `below` also those that are certain; with `unknown` those without a chance, each with the reason, page by
    page, and never both; what came to its end is in neither.
    """
    with make_live(make_urls, tmp_path) as live:
        for _ in range(6):
            live.book()
        live.look_out()
        live.turn()
        sure, doubtful, *lost, over = live.numbers
        with live.record.database.owner() as owner:
            owner.execute("alter table tracking.chances disable row level security")
            for given, numbers in (
                ("chance = 1", [sure]), ("chance = 0.25", [doubtful]),
                ("chance = null, why = 'unknown_place'", lost), ("chance = null, status = 'delivered'", [over]),
            ):  # fmt: skip
                owner.execute(
                    f"update tracking.chances set {given} where parcel_id in"
                    " (select parcel_id from orders.parcels where number = any(%s))".encode(), (numbers,),
                )  # fmt: skip
        listed = live.record.do("chances.list", HOUSE)
        assert [(one["number"], one["chance"]) for one in listed["data"]] == [(doubtful, 0.25), (sure, 1.0)]
        first = live.record.do("chances.list", HOUSE, limit=1)
        second = live.record.do("chances.list", HOUSE, limit=1, after=first["next"])
        assert [one["number"] for one in second["data"]] == [sure] and second["next"] is None
        assert [one["number"] for one in live.record.do("chances.list", HOUSE, below=1)["data"]] == [doubtful]
        pages: list[list[tuple[str, None, str]]] = []
        after: str | None = ""
        while after is not None:
            told = live.record.do("chances.list", HOUSE, unknown=True, limit=2, after=after)
            pages.append([(one["number"], one["chance"], one["why"]) for one in told["data"]])
            after = told["next"]
        assert [len(one) for one in pages] == [2, 1]
        assert {one for told in pages for one in told} == {(number, None, "unknown_place") for number in lost}
        wrongs: tuple[dict[str, Any], ...] = ({"below": 0.5}, {"after": first["next"]}, {"after": "~x"})
        for wrong in wrongs:
            with pytest.raises(InvalidInput):
                live.record.do("chances.list", HOUSE, unknown=True, **wrong)
        with pytest.raises(InvalidInput, match="cursor"):
            live.record.do("chances.list", HOUSE, after="~pcl_0")


def test_the_ride_and_the_first_leg_are_one_run(make_urls, tmp_path):
    """Who missed Monday's run and rides Tuesday's of the same departure, and who rides another departure than booked,
    ride that run in both.
    """
    with make_live(make_urls, tmp_path) as live:
        missed, stray = live.book(), live.book()
        with live.record.database.owner() as owner:
            owner.execute("alter table planning.legs disable row level security")
            owner.execute(
                "update planning.legs l set departure_id = 'AH0' from orders.parcels p where departure_id = 'AH1'"
                " and l.shipment_id = p.shipment_id and p.number = %s", (stray,),
            )  # fmt: skip
        live.look_out()
        live.turn()
        live.scan(live.blue, missed, "departing", 33.2, "A", **AH1)
        live.scan(live.blue, stray, "departing", 33.2, "A", **AH1)
        live.turn()
        for number in (missed, stray):
            now = live.record.do("trackers.get", number=number)["now"]
            assert now["riding"] == {"departure_id": "AH1", "depart_at": "2026-03-03T17:00:00Z"}
            assert {name: now["legs"][0][name] for name in now["riding"]} == now["riding"]
            assert (now["next"]["departure_id"], now["off_plan"]) == ("HB1", True)


def test_a_ride_that_is_put_off_is_named_as_it_was_to_leave(make_urls, tmp_path):
    """By the day before, where a closure puts it off past midnight; its leg tells when it leaves."""
    with make_live(make_urls, tmp_path) as live:
        late = live.book()
        delay = {"departure_id": "AH1", "until_at": "2026-03-02T18:00:00Z", "delay_minutes": 600, "replan": False}
        live.record.do("closures.add", HOUSE, **delay)
        live.look_out()
        live.scan(live.blue, late, "departing", 19.1, "A", **AH1)
        live.turn()
        now = live.record.do("trackers.get", number=late)["now"]
        assert now["riding"] == {"departure_id": "AH1", "depart_at": "2026-03-02T17:00:00Z"}
        assert (now["legs"][0]["departure_id"], now["legs"][0]["depart_at"]) == ("AH1", "2026-03-03T03:00:00Z")
