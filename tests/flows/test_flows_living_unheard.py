"""What becomes of a chance, and of who looks, while nothing is heard of a parcel: on real PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import living_cases
import pytest
from living_cases import make_live
from record_cases import NOW


def departures(cutoff: int) -> str:
    """The slow network's departures, with a cut-off so many minutes before they leave."""
    return (
        "departure_id,lane_id,calendar_id,depart_time,cutoff_minutes,transit_minutes,transit_id,cost_per_parcel\n"
        f"AH1,AH,daily,18:00,{cutoff},600,slow,2\nHB1,HB,daily,06:00,0,60,,1\n"
    )


@pytest.fixture
def early(make_urls: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    """AH1 closes an hour before it leaves."""
    monkeypatch.setitem(living_cases.SLOW, "departures.csv", departures(60))
    with make_live(make_urls, tmp_path) as made:
        yield made


def test_what_is_loaded_after_the_cut_off_has_made_it(early):
    """Noted as loaded between cut-off and departure it is as likely as before; after it left, it was not aboard."""
    number, left = early.book(), early.book()
    early.look_out()
    early.turn()
    for one in (number, left):
        early.scan(early.blue, one, "accepting", 1, "A")
    early.scan(early.blue, number, "loading", 8.5, "A")
    early.turn()
    row = early.row(number)
    assert (row["detail"], row["chance"], row["off_plan"]) == ("loaded", 0.625, False)
    assert row["next_cutoff_at"] == NOW + timedelta(hours=8)
    early.scan(early.blue, left, "loading", 9.5, "A")
    early.turn()
    assert (early.row(left)["chance"], early.row(left)["next_cutoff_at"]) == (0.0, NOW + timedelta(hours=32))


def test_what_stands_for_a_day_is_found_when_it_has(early):
    """Its next departure is later than that: it is looked at all the same, and dwells."""
    number = early.book()
    early.look_out()
    early.turn()
    early.scan(early.blue, number, "accepting", 7, "A")
    early.turn()
    early.at(10)
    early.turn()
    early.at(11)
    early.turn()
    assert early.row(number)["look_again_at"] == NOW + timedelta(hours=31, minutes=1)
    kinds = {one["kind"] for one in early.rows("cases")}
    assert "dwell" not in kinds
    early.at(31 + 1 / 60)
    assert early.turn() == 1
    assert "dwell" in {one["kind"] for one in early.rows("cases")}
    again = early.row(number)["look_again_at"]
    assert again is not None and again > NOW + timedelta(hours=31, minutes=1)


@pytest.mark.parametrize(("lane", "minutes", "aboard"), [("AB", 300, 0.0), ("AH", 120, 0.5)])
def test_nothing_is_aboard_what_nobody_had_it_take(
    lane: str, minutes: int, aboard: float, make_urls: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
):
    """One that missed AH1 is suggested to leave with X1 in the evening. As long as nobody books it on it stands there
    when that has left; but a later run of the lane it was booked on may have taken it along.
    """
    slow = living_cases.SLOW
    lanes = f"{slow['lanes.csv']}AB,A,B,truck,BLUE,general\n"
    monkeypatch.setitem(slow, "lanes.csv", lanes)
    monkeypatch.setitem(slow, "departures.csv", f"{departures(0)}X1,{lane},daily,21:00,0,{minutes},,9\n")
    with make_live(make_urls, tmp_path) as made:
        number = made.book()
        made.look_out()
        made.turn()
        made.scan(made.blue, number, "accepting", 9.5, "A")
        made.turn()
        row = made.row(number)
        assert (row["chance"], row["off_plan"], row["next_departure_id"]) == (1.0, True, "X1")
        made.at(13)
        made.turn()
        row = made.row(number)
        assert (row["chance"], row["next_cutoff_at"]) == (aboard, NOW + timedelta(hours=33))
