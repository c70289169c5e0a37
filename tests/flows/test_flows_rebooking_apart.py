"""Pieces of one shipment that are apart are not booked on: it is told where each stands and how it is to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rebooking_cases import NEXT_DAY, OVER_K, Town, leg, make_town
from record_cases import NOW, SHOP
from tracking_cases import HOUSE, scan

from rookery.base.db import Urls


@pytest.fixture
def town(make_urls: Callable[[], Urls], tmp_path: Path) -> Iterator[Town]:
    with make_town(make_urls, tmp_path) as made:
        yield made


def scattered(town: Town) -> dict[str, Any]:
    """A shipment of four: two at H since 6:30 and 6:36, one there since 6:40 that is to go another way, one that rides
    HK1.
    """
    [one] = town.missed(pieces=4)
    town.arrive(one["epcs"][1], hours=22.6)
    town.arrive(one["epcs"][2], hours=22 + 2 / 3)
    town.capture(town.green, scan("departing", 22.8, one["epcs"][3], place="H"))
    for piece in (0, 1):
        town.suggest(one, OVER_K, of=piece, chance=0.5 + piece / 4)
    town.suggest(one, NEXT_DAY, of=2, chance=0.25, expected_at=NOW + timedelta(days=4))
    on: dict[str, Any] = {"node_id": None, "riding_departure_id": "HK1", "riding_depart_at": leg("HK1", 3)["depart_at"]}
    town.suggest(one, OVER_K, of=3, chance=0.875, expected_at=NOW + timedelta(days=1), **on)
    return one


def test_where_pieces_are_that_are_apart_is_told(town: Town) -> None:
    """Together are those at one place that are to go one way; each group tells its numbers, where it is, since when,
    and its own way; nothing is booked.
    """
    one = scattered(town)
    numbers = [parcel["number"] for parcel in one["parcels"]]
    done = town.rebook(one)
    assert done["replan"]["reasons"] == {"pieces_apart": 1}
    [told] = done["shipments"]["data"]
    away, pair, rides = told["pieces"]
    assert [group["numbers"] for group in told["pieces"]] == [[numbers[2]], numbers[:2], [numbers[3]]]
    assert [(group["node"], group["status"], group["why"]) for group in (away, pair)] == [("H", "in_transit", None)] * 2
    assert (away["since"], pair["since"]) == ("2026-03-03T06:40:00Z", "2026-03-03T06:36:00Z")
    assert [leg["departure_id"] for leg in away["legs"]] == ["HB1"] and away["chance"] == 0.25
    assert [leg["departure_id"] for leg in pair["legs"]] == ["HK1", "KB1"] and pair["chance"] == 0.5
    assert rides["node"] is None
    assert rides["riding"] == {"departure_id": "HK1", "depart_at": "2026-03-03T08:00:00Z"}
    assert town.way(one) == ["AH1 02", "HB1 03"] and town.taken() == {}


def test_it_stays_told_with_the_replan_and_in_the_case(town: Town) -> None:
    """It is what was so then, whatever is seen later; the case stays open, and its parcels tell who tried and why not
    to operators alone; once they are together again they are booked on, and it tells that.
    """
    one, whole = scattered(town), town.missed()[0]
    town.suggest(whole, OVER_K)
    town.case("cas_1", one, whole)
    done = town.record.do("cases.act", HOUSE, case_id="cas_1")
    assert town.reasons(done) == {one["shipment_id"]: "pieces_apart", whole["shipment_id"]: None}
    replan = done["replan"]["replan_id"]
    town.arrive(*one["epcs"], hours=22.9)
    page = town.record.do("replans.shipments", HOUSE, replan_id=replan)
    assert page["data"] == done["shipments"]["data"]
    assert {told["shipment_id"]: len(told["pieces"]) for told in page["data"]} == {
        one["shipment_id"]: 3, whole["shipment_id"]: 0,
    }  # fmt: skip
    assert town.record.do("cases.get", HOUSE, case_id="cas_1")["state"] == "open"
    seen = town.record.do("cases.parcels", HOUSE, case_id="cas_1")["data"]
    mine = {parcel["parcel_id"] for parcel in one["parcels"]}
    assert {(in_it["parcel_id"] in mine, in_it["tried"], in_it["refused"]) for in_it in seen} == {
        (True, replan, "pieces_apart"), (False, None, None),
    }  # fmt: skip
    shipper = town.record.do("cases.parcels", SHOP, case_id="cas_1")["data"]
    assert {(in_it["tried"], in_it["refused"]) for in_it in shipper} == {(None, None)}
    town.suggest(one, OVER_K)
    town.suggest(whole, OVER_K)
    town.record.now += timedelta(seconds=1)
    assert town.reasons(town.rebook(one)) == {one["shipment_id"]: "no_room"}  # four on two seats
    town.suggest(one, NEXT_DAY)
    town.record.now += timedelta(seconds=1)
    assert town.reasons(town.rebook(one)) == {one["shipment_id"]: None}
    seen = town.record.do("cases.parcels", HOUSE, case_id="cas_1")["data"]
    assert {(in_it["tried"], in_it["refused"]) for in_it in seen} == {(None, None)}


def test_tried_only_it_is_told_all_the_same(town: Town) -> None:
    """A dry run tells where they are, and leaves nothing."""
    one = scattered(town)
    tried = town.rebook(one, dry_run=True)
    assert len(tried["shipments"]["data"][0]["pieces"]) == 3
    assert town.rows("select count(*) from planning.replan_shipments") == [(0,)]


def test_what_was_tried_before_it_came_into_a_case_is_not_told_there(town: Town) -> None:
    """A case tells of its own time."""
    one = scattered(town)
    town.rebook(one)
    town.record.now += timedelta(seconds=1)
    town.case("cas_1", one)
    seen = town.record.do("cases.parcels", HOUSE, case_id="cas_1")["data"]
    assert {(in_it["tried"], in_it["refused"]) for in_it in seen} == {(None, None)}


def test_pieces_on_the_last_mile_and_without_a_way_are_told_too(town: Town) -> None:
    """One is out for delivery, of the other no way is known: both say so, and what is delivered is left out."""
    [one] = town.missed(pieces=3)
    numbers = [parcel["number"] for parcel in one["parcels"]]
    at = (town.record.now - timedelta(minutes=1)).isoformat()
    town.record.do("scans.create", town.red, scans=[{"number": numbers[0], "code": "out_for_delivery", "at": at}])
    town.deliver(numbers[2])
    town.suggest(one, [], of=0, node_id=None)
    town.suggest(one, [], of=1, why="no_way", chance=None, expected_at=None)
    [told] = town.rebook(one)["shipments"]["data"]
    assert told["reason"] == "pieces_apart"
    lost, out = sorted(told["pieces"], key=lambda group: group["why"] is None)
    assert (lost["numbers"], lost["node"], lost["why"], lost["chance"]) == ([numbers[1]], "H", "no_way", None)
    assert (out["numbers"], out["status"], out["node"], out["riding"]) == (
        [numbers[0]], "out_for_delivery", None, None,
    )  # fmt: skip
