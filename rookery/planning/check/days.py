"""Days and hours re-derived from the feed: which dates a calendar runs on, what a wall clock means, when nodes work."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import numpy as np
import polars as pl
from numpy.typing import NDArray

Minutes = NDArray[np.int64]
FOREVER = 1 << 50
"""Later than any minute of a plan: a parcel ready then is never ready."""
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LAST_DAY = date(2400, 1, 1).toordinal()


@lru_cache(maxsize=1 << 20)
def utc_minute(timezone: str, day: int, minute: int) -> int:
    """UTC minute of a wall-clock time: naive midnight of the day (a date's ordinal) plus minutes, fold = 0."""
    wall = datetime.fromordinal(day) + timedelta(minutes=minute)
    return int(wall.replace(tzinfo=ZoneInfo(timezone)).timestamp() // 60)


@lru_cache(maxsize=1 << 20)
def local_day(timezone: str, minute: int) -> int:
    """The local date (its ordinal) of a UTC minute."""
    return datetime.fromtimestamp(minute * 60, ZoneInfo(timezone)).toordinal()


def day_end(timezone: str, minute: int) -> int:
    """The first local 23:59 that is not before a UTC minute."""
    day = local_day(timezone, minute)
    while utc_minute(timezone, day, 1439) < minute:  # only where a clock change repeats 23:59
        day += 1
    return utc_minute(timezone, day, 1439)


class Calendars:
    """On which dates each calendar runs: weekday within the span and no holiday, unless calendar_dates says else."""

    def __init__(self, calendars: pl.DataFrame, calendar_dates: pl.DataFrame):
        self._rows: dict[str, dict[str, Any]] = {row["calendar_id"]: row for row in calendars.iter_rows(named=True)}
        self._dates: dict[str, dict[date, bool]] = defaultdict(dict)
        for row in calendar_dates.iter_rows(named=True):
            self._dates[row["calendar_id"]][row["date"]] = row["runs"]

    @lru_cache(maxsize=1 << 20)  # noqa: B019 one instance per check
    def runs(self, calendar_id: str, day: int) -> bool:
        """Whether the calendar runs on a date (given as ordinal)."""
        on = date.fromordinal(day)
        if on in self._dates[calendar_id]:
            return self._dates[calendar_id][on]
        row = self._rows.get(calendar_id)
        if row is None or not row["start_on"] <= on <= row["end_on"] or not row[_WEEKDAYS[on.weekday()]]:
            return False
        return not (row["holidays"] and on in _public_holidays(row["holidays"]))

    def last_day(self, calendar_id: str) -> int:
        """No date after this one (an ordinal) runs."""
        row = self._rows.get(calendar_id)
        days = [date.toordinal(on) for on, runs in self._dates[calendar_id].items() if runs]
        return max([*days, 0 if row is None else row["end_on"].toordinal()])


@lru_cache(maxsize=256)
def _public_holidays(country: str) -> holidays.HolidayBase:
    return holidays.country_holidays(country)


class Hours:
    """When one node works, and so when a parcel that arrives is ready again."""

    def __init__(self, node: dict[str, Any], calendars: Calendars, shut: list[tuple[int, int]], begin: int):
        """`shut`: windows in which a closure stops the node; `begin`: no arrival is earlier than this minute."""
        self._node, self._calendars, self._shut = node, calendars, sorted(shut)
        self._whole_day = node["open_from"] is None and node["open_until"] is None
        self._always = node["calendar_id"] is None and self._whole_day
        self._first = local_day(node["timezone"], begin) - 3  # hours of an earlier day may reach past midnight
        self._days = 64
        self._last = _LAST_DAY if node["calendar_id"] is None else calendars.last_day(node["calendar_id"])
        self._open, self._close = self._spans()

    def ready(self, arrive: Minutes) -> Minutes:
        """When parcels arriving at these minutes are ready: handling done within the hours, never while closed."""
        handling = int(self._node["handling_minutes"] or 0)
        if self._always and not self._shut:
            return arrive + handling
        ready = self._finish(arrive, handling)
        while (ready == FOREVER).any() and not self._always and self._first + self._days <= self._last:
            self._days *= 4
            self._open, self._close = self._spans()
            ready = self._finish(arrive, handling)
        return ready

    def _finish(self, arrive: Minutes, handling: int) -> Minutes:
        """Walks every arrival to the end of its handling through the open spans known so far; FOREVER beyond them."""
        opens, closes = self._open, self._close
        if len(opens) == 0:
            return np.full(len(arrive), FOREVER)
        worked = np.concatenate([[0], np.cumsum(closes - opens)])  # minutes worked before each span
        span = np.searchsorted(closes, arrive, side="right")
        late = span == len(opens)
        span = np.minimum(span, len(opens) - 1)
        begin = np.maximum(arrive, opens[span])
        if handling == 0:
            return np.where(late, FOREVER, begin)
        done = worked[span] + (begin - opens[span]) + handling
        final = np.searchsorted(worked[1:], done, side="left")  # left: finished exactly at closing time is ready
        late |= final == len(opens)
        final = np.minimum(final, len(opens) - 1)
        return np.where(late, FOREVER, opens[final] + done - worked[final])

    def _spans(self) -> tuple[Minutes, Minutes]:
        """Open spans [open, close), touching ones joined, closures cut out."""
        spans: list[list[int]] = []
        for opens, closes in self._daily():
            if spans and opens <= spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], closes)
            elif closes > opens:
                spans.append([opens, closes])
        for shut_from, shut_until in self._shut:
            parts = [[(a, min(b, shut_from)), (max(a, shut_until), b)] for a, b in spans]
            spans = [[a, b] for pair in parts for a, b in pair if a < b]
        return np.array([a for a, _ in spans], np.int64), np.array([b for _, b in spans], np.int64)

    def _daily(self) -> list[tuple[int, int]]:
        if self._always:
            return [(-FOREVER, FOREVER)]
        node, days = self._node, range(self._first, min(self._first + self._days, self._last + 1))
        opens = 0 if node["open_from"] is None else node["open_from"]
        closes = 1440 if node["open_until"] is None else node["open_until"]
        calendar, zone = node["calendar_id"], node["timezone"]
        return [
            (utc_minute(zone, day, opens), utc_minute(zone, day, closes))
            for day in days
            if calendar is None or self._calendars.runs(calendar, day)
        ]
