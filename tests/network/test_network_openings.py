"""Openings: the minutes in which nodes work equal those of a slow, plain reading of the feed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

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

    covered = range(start - 2 * DAY, end + 60 * DAY)
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
    assert after[1] >= at("2026-06-04") + 60 * DAY


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


def test_hours_reach_beyond_the_slowest_transit_and_handling(make_feed):
    """Hours are known for as long as anything that left in the span can be under way, a year at most."""
    node = {"node_id": "a", "open_from": 480, "open_until": 960, "handling_minutes": 300}
    lane = {"lane_id": "l", "from_node": "a", "to_node": "a"}
    start, end = at("2026-06-01"), at("2026-06-02")
    for transit, days in ((40 * DAY, 140), (1_000_000_000, 425)):
        feed = make_feed(
            nodes=[node],
            lanes=[lane],
            departures=[{"departure_id": "d", "lane_id": "l", "transit_minutes": transit}],
            transit=[{"transit_id": "slow", "quantile": 1.0, "factor": 2.0}],
        )
        last = spells(feed, start, end)[-1]
        assert end + (days - 1) * DAY < last[1] <= end + (days + 1) * DAY


@pytest.mark.parametrize("calendar", ["ended", "missing"])
def test_a_calendar_without_days_never_opens(make_feed, calendar):
    """A node whose calendar has ended, or has no days at all, is neither always open nor ever open."""
    feed = make_feed(
        nodes=[{"node_id": "a", "calendar_id": calendar}],
        calendars=[{"calendar_id": "ended", "start_on": date(2020, 1, 1), "end_on": date(2020, 12, 31)}],
    )
    assert spells(feed, at("2026-06-01"), at("2026-06-02")) == []
