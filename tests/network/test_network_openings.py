"""Openings: the minutes in which nodes work equal those of a slow, plain reading of the feed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from rookery.network.calendars import WEEKDAYS
from rookery.network.openings import openings
from rookery.terms.frames import OPENINGS
from rookery.terms.time import DAY, day_number, to_minute

ZONES_AND_CHANGES = [
    ("Europe/Brussels", date(2026, 3, 29)),
    ("Europe/Brussels", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Asia/Kolkata", date(2026, 3, 29)),
    ("Africa/Casablanca", date(2026, 2, 15)),
    ("Africa/Cairo", date(2026, 4, 24)),
    ("America/Havana", date(2026, 11, 1)),
]


def at(text: str) -> int:
    """The UTC minute of an ISO instant in UTC."""
    return to_minute(datetime.fromisoformat(text).replace(tzinfo=UTC))


def spells(feed, start: int, end: int, node: int = 0) -> list[tuple[int, int]]:
    """The open spells of one node."""
    found, always = openings(feed, start, end)
    assert dict(found.schema) == OPENINGS
    assert not always[node]
    return [(open_at, close_at) for n, open_at, close_at in found.rows() if n == node]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_open_minutes_equal_a_plain_reading(make_feed, data):
    """A minute is open when it lies in the resolved hours of a day that runs, and in no closure with factor 0."""
    timezone, change = data.draw(st.sampled_from(ZONES_AND_CHANGES))
    opens = data.draw(st.one_of(st.none(), st.integers(0, 200), st.integers(0, DAY - 1)))
    closes = None if opens is None else data.draw(st.integers(opens + 1, min(opens + DAY, 2 * DAY - 1)))
    running = data.draw(st.sets(st.integers(-5, 5)))
    begin = day_number(change) * DAY
    shut = [
        (begin + data.draw(st.integers(-2 * DAY, DAY)), data.draw(st.integers(1, DAY)), data.draw(st.booleans()))
        for _ in range(data.draw(st.integers(0, 2)))
    ]
    feed = make_feed(
        nodes=[{"node_id": "n", "timezone": timezone, "calendar_id": "c", "open_from": opens, "open_until": closes}],
        calendars=[],
        calendar_dates=[{"calendar_id": "c", "date": change + timedelta(days)} for days in running],
        closures=[
            {"node_id": "n", "from_at": a, "until_at": a + length, "capacity_factor": 0.0 if full else 0.5}
            for a, length, full in shut
        ],
    )
    start, end = begin, begin + DAY
    found = spells(feed, start, end)
    worked = [minute for open_at, close_at in found for minute in range(open_at, close_at)]

    expected = set()
    for days in running:
        midnight = datetime.combine(change + timedelta(days), datetime.min.time())
        first, last = (
            to_minute((midnight + timedelta(minutes=minutes)).replace(tzinfo=ZoneInfo(timezone)))
            for minutes in (opens or 0, DAY if closes is None else closes)
        )
        expected |= set(range(first, last))
    for from_at, length, full in shut:
        expected -= set(range(from_at, from_at + length)) if full else set()

    covered = range(start - 2 * DAY, end + 64 * DAY)
    assert [minute for minute in worked if minute in covered] == sorted(expected & set(covered))
    assert all(open_at < close_at for open_at, close_at in found)
    assert all(close_at < next_open for (_, close_at), (next_open, _) in pairwise(found))


def test_a_node_without_hours_is_always_open(make_feed):
    """Only a calendar, hours or a full closure near the span make a node a matter of hours."""
    feed = make_feed(
        nodes=[{"node_id": "a"}, {"node_id": "b", "calendar_id": "daily"}, {"node_id": "c"}, {"node_id": "d"}],
        closures=[
            {"node_id": "c", "from_at": at("2026-06-01T08:00"), "until_at": at("2026-06-01T10:00")},
            {"node_id": "d", "from_at": at("2024-06-01T08:00"), "until_at": at("2024-06-01T10:00")},
        ],
    )
    found, always = openings(feed, at("2026-06-01"), at("2026-06-02"))
    assert always.to_list() == [True, False, False, True]
    assert set(found["node"]) == {1, 2}


def test_a_closed_node_works_again_when_the_closure_ends(make_feed):
    """A full closure cuts its window out of a node that is otherwise always open; a partial one does not."""
    feed = make_feed(
        nodes=[{"node_id": "a"}],
        closures=[
            {"node_id": "a", "from_at": at("2026-06-01T08:00"), "until_at": at("2026-06-01T10:00")},
            {
                "node_id": "a",
                "from_at": at("2026-06-02"),
                "until_at": at("2026-06-03"),
                "capacity_factor": None,
                "delay_minutes": 60,
            },
        ],
    )
    before, after = spells(feed, at("2026-06-01"), at("2026-06-04"))
    assert before[1] == at("2026-06-01T08:00")
    assert after[0] == at("2026-06-01T10:00")
    assert after[1] >= at("2026-06-04") + 64 * DAY


def test_night_hours_count_to_the_day_they_open_on(make_feed):
    """22:00 to 06:00 on Fridays alone is worked until Saturday morning, and not on Friday morning."""
    friday = {"calendar_id": "friday"} | dict.fromkeys(
        ("monday", "tuesday", "wednesday", "thursday", "saturday", "sunday"), False
    )
    feed = make_feed(
        nodes=[{"node_id": "a", "calendar_id": "friday", "open_from": 22 * 60, "open_until": 30 * 60}],
        calendars=[friday],
    )
    first = spells(feed, at("2026-06-03"), at("2026-06-06"))[0]
    assert first == (at("2026-06-05T22:00"), at("2026-06-06T06:00"))


def test_whole_days_touch_and_merge(make_feed):
    """Working days in a row are one spell from the first midnight to the last."""
    feed = make_feed(
        nodes=[{"node_id": "a", "calendar_id": "week", "timezone": "Europe/Brussels"}],
        calendars=[{"calendar_id": "week", "start_on": date(2026, 3, 27), "end_on": date(2026, 3, 31)}],
    )
    assert spells(feed, at("2026-03-26"), at("2026-04-05")) == [(at("2026-03-26T23:00"), at("2026-03-31T22:00"))]


def worked_after(feed, start: int, end: int, minute: int) -> int:
    """Minutes that node 0 works from `minute` on, as far as its hours are known."""
    return sum(max(0, close_at - max(open_at, minute)) for open_at, close_at in spells(feed, start, end))


@pytest.mark.parametrize(
    ("transit", "factor", "handling"), [(60, 1.0, 0), (60, 1.0, 6000), (40 * DAY, 3.0, 100), (500 * DAY, 1.5, 30_000)]
)
def test_hours_reach_until_the_last_arrival_is_handled(make_feed, transit, factor, handling):
    """However slow the way to a node and however long its handling, its hours are known until both are over."""
    feed = make_feed(
        nodes=[{"node_id": "a", "open_from": 480, "open_until": 540, "handling_minutes": handling}, {"node_id": "b"}],
        lanes=[{"lane_id": "l", "from_node": "b", "to_node": "a"}],
        departures=[{"departure_id": "d", "lane_id": "l", "transit_minutes": transit, "transit_id": "t"}],
        transit=[{"transit_id": "t", "quantile": 1.0, "factor": factor}],
    )
    start, end = at("2026-06-01"), at("2026-06-02")
    assert worked_after(feed, start, end, end + int(transit * factor)) >= max(1, handling)
    assert spells(feed, start, end)[-1][1] >= end + 63 * DAY


def test_a_day_far_ahead_is_known_when_it_is_the_next_one_worked(make_feed):
    """A node worked on one day next year is open then, and closed for good afterwards."""
    feed = make_feed(
        nodes=[{"node_id": "a", "calendar_id": "once"}, {"node_id": "b", "calendar_id": "daily"}],
        calendar_dates=[{"calendar_id": "once", "date": date(2027, 1, 15)}],
    )
    start, end = at("2026-06-01"), at("2026-06-02")
    assert spells(feed, start, end) == [(at("2027-01-15"), at("2027-01-16"))]
    assert spells(feed, start, end, 1)[-1][1] < end + 66 * DAY, "what nobody needs is not laid out"


def test_a_closure_far_ahead_is_minded_where_hours_reach_it(make_feed):
    """Hours that are laid out further for long handling still mind what is closed out there."""
    shut = (at("2026-12-01"), at("2026-12-11"))
    feed = make_feed(
        nodes=[{"node_id": "a", "open_from": 0, "open_until": 60, "handling_minutes": 60 * 250}],
        closures=[{"node_id": "a", "from_at": shut[0], "until_at": shut[1]}],
    )
    start, end = at("2026-06-01"), at("2026-06-02")
    found = spells(feed, start, end)
    assert not [spell for spell in found if spell[0] < shut[1] and spell[1] > shut[0]]
    assert worked_after(feed, start, end, end) >= 60 * 250


@pytest.mark.parametrize(
    ("calendar", "worked"),
    [
        ({"end_on": date(9999, 12, 31)} | dict.fromkeys(WEEKDAYS, False), 0),
        ({"start_on": date(2026, 6, 1), "end_on": date(2026, 6, 30)}, 30),
        ({"end_on": date(9999, 12, 31)}, 136_000),
    ],
    ids=["never", "a month", "for ever"],
)
def test_handling_that_no_calendar_holds_is_not_sought_without_end(make_feed, calendar, worked):
    """A minute a day is not enough: hours end with the calendar's days, or with the year 2400."""
    feed = make_feed(
        nodes=[{"node_id": "a", "calendar_id": "c", "open_from": 0, "open_until": 1, "handling_minutes": 1_000_000}],
        calendars=[{"calendar_id": "c", **calendar}],
    )
    found = sum(close_at - open_at for open_at, close_at in spells(feed, at("2026-06-01"), at("2026-06-02")))
    assert found == pytest.approx(worked, rel=0.01)


@pytest.mark.parametrize("calendar", ["ended", "missing"])
def test_a_calendar_without_days_never_opens(make_feed, calendar):
    """A node whose calendar has ended, or has no days at all, is neither always open nor ever open."""
    feed = make_feed(
        nodes=[{"node_id": "a", "calendar_id": calendar}],
        calendars=[{"calendar_id": "ended", "start_on": date(2020, 1, 1), "end_on": date(2020, 12, 31)}],
    )
    assert spells(feed, at("2026-06-01"), at("2026-06-02")) == []
