"""Time inside Rookery: whole UTC minutes since 1970-01-01T00:00Z ("minutes"), as int64 or int32 arrays.

Local wall-clock time is converted here and nowhere else. A wall-clock time that a clock change repeats or skips is
resolved as `zoneinfo` does with fold = 0 (the earlier of two; for a skipped one, the offset before the change).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

DAY = 1440
NEVER = np.int32(2**31 - 1)
"""A minute that never comes: no due time, or not ready ever."""
_EPOCH = datetime(1970, 1, 1)


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
    """Wall-clock minutes (counted from 1970-01-01T00:00 on the wall) of UTC minutes."""
    utc = np.asarray(utc, np.int64)
    return utc + _offsets(timezone, utc, _offset_of_utc)


def _offsets(timezone: str, minutes: NDArray[np.int64], offset_of) -> NDArray[np.int64]:
    """Offset in minutes of each minute: looked up once a day, and once a minute only on days where it changes."""
    if minutes.size == 0:
        return np.zeros(0, np.int64)
    day = minutes // DAY
    first = int(day.min())
    days = np.arange(first, int(day.max()) + 1)
    begin = np.array([offset_of(timezone, int(d) * DAY) for d in days], np.int64)
    end = np.array([offset_of(timezone, int(d) * DAY + DAY - 1) for d in days], np.int64)
    offset = begin[day - first]
    changing = (begin != end)[day - first]
    if changing.any():
        unique, place = np.unique(minutes[changing], return_inverse=True)
        offset[changing] = np.array([offset_of(timezone, int(m)) for m in unique], np.int64)[place]
    return offset


@lru_cache(maxsize=1 << 18)
def _offset_of_wall(timezone: str, wall: int) -> int:
    return _minutes((_EPOCH + timedelta(minutes=wall)).replace(tzinfo=ZoneInfo(timezone)).utcoffset())


@lru_cache(maxsize=1 << 18)
def _offset_of_utc(timezone: str, utc: int) -> int:
    at = (_EPOCH + timedelta(minutes=utc)).replace(tzinfo=UTC)
    return _minutes(at.astimezone(ZoneInfo(timezone)).utcoffset())


def _minutes(offset: timedelta | None) -> int:
    assert offset is not None
    return int(offset.total_seconds() // 60)
