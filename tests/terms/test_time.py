"""Local time: every conversion equals zoneinfo's with fold = 0, minute by minute where clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.terms.time import DAY, day_number, from_minute, local_to_utc, to_minute, utc_to_local

EPOCH = datetime(1970, 1, 1)
CHANGES = [
    ("Europe/Brussels", date(2026, 3, 29)),
    ("Europe/Brussels", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour back
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Africa/Casablanca", date(2026, 2, 15)),  # back for Ramadan, and forward after it
    ("Africa/Casablanca", date(2026, 3, 22)),
    ("Africa/Cairo", date(2026, 4, 24)),  # midnight itself is skipped
    ("America/Havana", date(2026, 11, 1)),  # midnight itself is repeated
    ("Asia/Kolkata", date(2026, 3, 29)),
    ("Pacific/Apia", date(2011, 12, 30)),  # a day that never was
    ("Africa/Monrovia", date(1972, 1, 7)),  # an offset with seconds
]


def resolved(timezone: str, wall: int) -> int:
    """What zoneinfo makes of a wall-clock minute: the UTC minute the instant falls in."""
    local = (EPOCH + timedelta(minutes=wall)).replace(tzinfo=ZoneInfo(timezone))
    return (local.astimezone(UTC).replace(tzinfo=None) - EPOCH) // timedelta(minutes=1)


def shown(timezone: str, utc: int) -> int:
    """The wall-clock minute zoneinfo shows at a UTC minute."""
    local = (EPOCH + timedelta(minutes=utc)).replace(tzinfo=UTC).astimezone(ZoneInfo(timezone))
    return (local.replace(tzinfo=None, fold=0) - EPOCH) // timedelta(minutes=1)


@pytest.mark.parametrize(("timezone", "day"), CHANGES)
def test_every_minute_around_a_clock_change_equals_zoneinfo(timezone, day):
    """Each minute of the day of a clock change and its neighbours converts both ways as zoneinfo converts it."""
    minutes = np.arange((day_number(day) - 1) * DAY, (day_number(day) + 2) * DAY)
    assert local_to_utc(timezone, minutes).tolist() == [resolved(timezone, int(m)) for m in minutes]
    assert utc_to_local(timezone, minutes).tolist() == [shown(timezone, int(m)) for m in minutes]


@settings(max_examples=60, deadline=None)
@given(
    timezone=st.sampled_from(sorted({timezone for timezone, _ in CHANGES})),
    minutes=st.lists(st.integers(-20_000_000, 60_000_000), max_size=20),
)
def test_scattered_minutes_equal_zoneinfo(timezone, minutes):
    """Minutes decades apart, in any order, convert in one call as each does alone."""
    asked = np.array(minutes, np.int64)
    assert local_to_utc(timezone, asked).tolist() == [resolved(timezone, m) for m in minutes]
    assert utc_to_local(timezone, asked).tolist() == [shown(timezone, m) for m in minutes]


def test_absurd_minutes_are_converted_rather_than_refused():
    """A minute beyond the calendar's years borrows the offset of its nearest day instead of failing."""
    far = np.array([-(10**12), 10**12, 29_600_000])
    assert np.abs(local_to_utc("Europe/Brussels", far) - far).max() < DAY
    assert np.abs(utc_to_local("Europe/Brussels", far) - far).max() < DAY


def test_instants_and_minutes_round_trip():
    """An instant is kept as the minute it falls in, also before 1970."""
    for at in (datetime(2026, 3, 29, 1, 30, 59, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 30, tzinfo=UTC)):
        assert from_minute(to_minute(at)) == at.replace(second=0)
