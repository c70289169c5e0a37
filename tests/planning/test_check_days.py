"""The checker's own clocks, opening hours and outcomes, against cases worked by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import exhaustive
import numpy as np
import pytest
import random_feeds

from rookery.planning.check.days import Calendars, Hours, day_end, utc_minute
from rookery.planning.check.runs import Distributions
from rookery.terms.frames import FEED


def _utc(*when: int) -> int:
    return exhaustive.minute(datetime(*when, tzinfo=UTC))


@pytest.mark.parametrize(
    ("zone", "day", "minute", "utc"),
    [
        ("Europe/Berlin", date(2024, 3, 31), 150, (2024, 3, 31, 1, 30)),  # skipped: the offset before the change
        ("Europe/Berlin", date(2024, 10, 27), 150, (2024, 10, 27, 0, 30)),  # twice: the first
        ("Europe/Berlin", date(2024, 10, 26), 1440 + 600, (2024, 10, 27, 9, 0)),  # the wall clock of the next day
        ("Asia/Kathmandu", date(2024, 1, 1), 0, (2023, 12, 31, 18, 15)),
    ],
)
def test_wall_clocks(zone: str, day: date, minute: int, utc: tuple[int, ...]) -> None:
    """A service day's time is its naive midnight plus the minutes, resolved with fold = 0."""
    assert utc_minute(zone, day.toordinal(), minute) == _utc(*utc)


def test_day_end_when_the_clock_repeats_it() -> None:
    """Where a clock change repeats 23:xx, a delivery in the second one is promised for the next day."""
    assert day_end("Asia/Beirut", _utc(2024, 10, 26, 20, 59)) == _utc(2024, 10, 26, 20, 59)
    assert day_end("Asia/Beirut", _utc(2024, 10, 26, 21, 30)) == _utc(2024, 10, 27, 21, 59)


@pytest.mark.parametrize(
    ("hours", "handling", "arrive", "ready"),
    [
        ((480, 1020), 60, (8, 10, 0), (8, 11, 0)),
        ((480, 1020), 60, (8, 16, 0), (8, 17, 0)),  # finished exactly at closing
        ((480, 1020), 60, (8, 16, 1), (11, 8, 1)),  # Friday evening: the rest on Monday
        ((480, 1020), 0, (8, 3, 0), (8, 8, 0)),
        ((480, 1020), 0, (8, 17, 0), (11, 8, 0)),  # arriving at closing time is arriving while closed
        ((1320, 1800), 60, (9, 5, 30), (11, 22, 30)),  # Saturday 05:30 still counts to Friday night
        ((None, None), 120, (8, 23, 0), (11, 1, 0)),
    ],
)
def test_handling_within_hours(hours: tuple, handling: int, arrive: tuple, ready: tuple) -> None:
    """Handling counts minutes within open days and hours only; hours past midnight belong to the day they open on."""
    weekdays = {day: day not in ("saturday", "sunday") for day in FEED["calendars"] if day.endswith("day")}
    span = {"start_on": date(2024, 1, 1), "end_on": date(2024, 12, 31)}
    calendars = Calendars(
        random_feeds.frame([{"calendar_id": "w", **weekdays, **span}], FEED["calendars"]),
        random_feeds.frame([], FEED["calendar_dates"]),
    )
    node = {
        "timezone": "UTC", "calendar_id": "w", "open_from": hours[0], "open_until": hours[1],
        "handling_minutes": handling,
    }  # fmt: skip
    found = Hours(node, calendars, [], _utc(2024, 3, 4)).ready(np.array([_utc(2024, 3, *arrive)]))
    assert found.tolist() == [_utc(2024, 3, *ready)]


def test_outcomes_are_exact() -> None:
    """Mid-quantiles are interpolated in exact fractions: 300 x 1.1 is 330 minutes and not 331."""
    rows = [{"transit_id": "t", "quantile": q, "factor": f} for q, f in ((0.25, 0.9), (0.75, 1.1), (0.95, 2.1))]
    law = Distributions(random_feeds.frame(rows, FEED["transit"]))
    assert law.minutes(300, "t", 1) == [300]
    assert law.minutes(300, "t", 2) == [270, 330]
    assert law.minutes(300, "t", 4) == [270, 285, 315, 518]  # 300 x 1.725 = 517.5, rounded up
    assert law.minutes(300, None, 3) == [300] * 3


def test_far_days_are_found() -> None:
    """A node closed for months works again when its calendar says so, and never after its last day."""
    dates = [{"calendar_id": "rare", "date": date(2024, 3, 1) + timedelta(days), "runs": True} for days in (0, 300)]
    calendars = Calendars(random_feeds.frame([], FEED["calendars"]), random_feeds.frame(dates, FEED["calendar_dates"]))
    node = {"timezone": "UTC", "calendar_id": "rare", "open_from": None, "open_until": None, "handling_minutes": 0}
    hours = Hours(node, calendars, [], _utc(2024, 3, 1))
    found = hours.ready(np.array([_utc(2024, 3, 2), _utc(2025, 3, 2)]))
    assert found[0] == _utc(2024, 12, 26)
    assert found[1] > _utc(2500, 1, 1)
