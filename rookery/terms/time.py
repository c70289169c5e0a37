"""Time inside Rookery: whole UTC minutes since 1970-01-01T00:00Z ("minutes"), as int64 or int32 arrays.

Local wall-clock time is converted here and nowhere else. A wall-clock time that a clock change repeats or skips is
resolved as `zoneinfo` does with fold = 0 (the earlier of two; for a skipped one, the offset before the change).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

DAY = 1440
NEVER = np.int32(2**31 - 1)
"""A minute that never comes: no due time, or not ready ever."""
_EPOCH = datetime(1970, 1, 1)
_MINUTE = timedelta(minutes=1)
# Zone rules are known for the years 1 to 9999; a day outside them (only absurd input has one) borrows the nearest's.
_FIRST_DAY, _LAST_DAY = date(1, 1, 3).toordinal() - 719_163, date(9999, 12, 29).toordinal() - 719_163


def to_minute(at: datetime) -> int:
    """The UTC minute an aware instant falls in (seconds are dropped)."""
    return int(at.timestamp() // 60)


def from_minute(minute: int) -> datetime:
    """The aware UTC instant of a minute."""
    return datetime.fromtimestamp(int(minute) * 60, UTC)


def day_number(on: date) -> int:
    """Days from 1970-01-01 to a date."""
    return on.toordinal() - 719_163


def local_to_utc(timezone: str, wall: NDArray[np.integer]) -> NDArray[np.int64]:
    """UTC minutes of wall-clock minutes (counted from 1970-01-01T00:00 on the wall), fold = 0.

    Raises zoneinfo.ZoneInfoNotFoundError for an unknown zone.
    """
    wall = np.asarray(wall, np.int64)
    return wall - _offsets(timezone, wall, _offset_of_wall)


def utc_to_local(timezone: str, utc: NDArray[np.integer]) -> NDArray[np.int64]:
    """Wall-clock minutes (counted from 1970-01-01T00:00 on the wall) of UTC minutes.

    Raises zoneinfo.ZoneInfoNotFoundError for an unknown zone.
    """
    utc = np.asarray(utc, np.int64)
    return utc + _offsets(timezone, utc, _offset_of_utc)


def _offsets(timezone: str, minutes: NDArray[np.int64], offset_of: Callable[[str, int], int]) -> NDArray[np.int64]:
    """Offset in minutes of each minute: looked up once a day, and once a minute only on days where it changes."""
    if minutes.size == 0:
        return np.zeros(minutes.shape, np.int64)
    day = np.clip(minutes // DAY, _FIRST_DAY, _LAST_DAY)
    first = int(day.min())
    day -= first
    days = np.flatnonzero(np.bincount(day.ravel()))
    begin, end = np.zeros((2, int(days[-1]) + 1), np.int64)
    begin[days] = [offset_of(timezone, int(d + first) * DAY) for d in days]
    end[days] = [offset_of(timezone, int(d + first) * DAY + DAY - 1) for d in days]
    offset = begin[day]
    changing = (begin != end)[day]
    if changing.any():
        unique, place = np.unique(minutes[changing], return_inverse=True)
        offset[changing] = np.array([offset_of(timezone, int(m)) for m in unique], np.int64)[place]
    return offset


@lru_cache(maxsize=1 << 18)
def _offset_of_wall(timezone: str, wall: int) -> int:
    # Old offsets have seconds: rounded up here and down below, so that in both cases the result is the minute
    # in which the exact instant falls.
    offset = (_EPOCH + timedelta(minutes=wall)).replace(tzinfo=ZoneInfo(timezone)).utcoffset()
    assert offset is not None
    return -(-offset // _MINUTE)


@lru_cache(maxsize=1 << 18)
def _offset_of_utc(timezone: str, utc: int) -> int:
    at = (_EPOCH + timedelta(minutes=utc)).replace(tzinfo=UTC)
    offset = at.astimezone(ZoneInfo(timezone)).utcoffset()
    assert offset is not None
    return offset // _MINUTE
