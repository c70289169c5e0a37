"""When nodes work: calendars, hours and closures as open spells in UTC minutes."""

from __future__ import annotations

import math
from datetime import date
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.network.calendars import WEEKDAYS, service_days
from rookery.network.closures import shut_spells
from rookery.terms.frames import OPENINGS, Feed
from rookery.terms.time import DAY, day_number, local_to_utc

_BEFORE = 2 * DAY
_AFTER = 64 * DAY  # hours known after the end of a span, at least; four times as many where that is too little
_LATEST = day_number(date(2400, 1, 1)) * DAY
"""No hours are laid out after this minute: what is not ready by then never is."""
_Spells = tuple[NDArray[np.int64], NDArray[np.int64]]  # open_at, close_at


def openings(feed: Feed, start: int, end: int) -> tuple[pl.DataFrame, pl.Series]:
    """When nodes with a calendar, hours or a closure work (OPENINGS), and which nodes always do (Boolean, per node).

    A node's hours are resolved on each local day its calendar runs (fold = 0); without hours it works from local
    midnight to the next one. A closure with capacity factor 0 cuts its window out. A node that never works has no
    rows. Hours begin two days before `start`. They go on, 64 days at least, until whatever left before `end` by the
    slowest departure to the node has been handled there, or the node's calendar has no more days (year 2400 at most);
    after a node's last row it counts as closed. All in UTC minutes.
    """
    first = start - _BEFORE
    calendars = _Calendars(feed, first)
    shut = shut_spells(feed.closures)
    under_way = longest_under_way(feed)
    always = np.zeros(len(feed.nodes), bool)
    rows = [(np.zeros(0, np.int64),) * 3]
    hours = feed.nodes.select("node_id", "calendar_id", "timezone", "open_from", "open_until", "handling_minutes")
    for node, (node_id, calendar_id, timezone, opens, closes, handling) in enumerate(hours.iter_rows()):
        arrived = min(end + under_way.get(node_id, 0), _LATEST)
        shut_here = [spell for spell in shut.get(node_id, ()) if spell[1] > first]
        soon = any(from_at < max(arrived + handling, end + _AFTER) for from_at, _ in shut_here)
        always[node] = calendar_id is None and opens is None and closes is None and not soon
        if always[node]:
            continue
        reach = _AFTER
        while True:
            last = min(end + reach, _LATEST)
            spells = _without(calendars.spells(calendar_id, timezone, opens, closes, last), shut_here)
            worked = np.maximum(spells[1] - np.maximum(spells[0], arrived), 0).sum()
            if worked >= max(1, handling) or last >= calendars.last_minute(calendar_id):
                break
            reach *= 4
        rows.append((np.full(len(spells[0]), node), *spells))
    columns = [np.concatenate(column) for column in zip(*rows)]
    return pl.DataFrame(dict(zip(OPENINGS, columns))).cast(pl.Schema(OPENINGS)), pl.Series("always_open", always)


def longest_under_way(feed: Feed) -> dict[str, int]:
    """Minutes the slowest transit to each node can take, by node_id; nodes that nothing goes to are left out."""
    slowest = feed.transit.group_by("transit_id").agg(pl.col("factor").max())
    minutes = pl.col("transit_minutes") * pl.max_horizontal(pl.col("factor").fill_null(1.0), pl.lit(1.0))
    longest = (
        feed.departures.join(feed.lanes.select("lane_id", "to_node"), on="lane_id")
        .join(slowest, on="transit_id", how="left")
        .group_by("to_node")
        .agg(minutes.max().alias("minutes"))
    )
    return {node_id: math.ceil(most) + 1 for node_id, most in longest.iter_rows()}  # one more for rounding


class _Calendars:
    """The hours that calendars give from a first minute on, laid out once for all nodes that share them."""

    def __init__(self, feed: Feed, first: int):
        self.first = first
        self.rows = feed.calendars.partition_by("calendar_id", as_dict=True)
        self.dates = feed.calendar_dates.partition_by("calendar_id", as_dict=True)
        self.none = feed.calendars.clear(), feed.calendar_dates.clear()
        # per instance, so that nothing outlives the call
        self.days, self.spells, self.last_minute = cache(self._days), cache(self._spells), cache(self._last_minute)

    def _frames(self, calendar_id: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        key, (row, dates) = (calendar_id,), self.none
        return self.rows.get(key, row), self.dates.get(key, dates)

    def _days(self, calendar_id: str, last: int) -> NDArray[np.int64]:
        first_day, last_day = self.first // DAY - 3, last // DAY + 1
        return service_days(*self._frames(calendar_id), first_day, last_day).get(calendar_id, np.zeros(0, np.int64))

    def _spells(self, calendar_id: str | None, timezone: str, opens: int | None, closes: int | None, last: int):
        if calendar_id is None and opens is None and closes is None:
            return np.array([self.first]), np.array([last])
        days = (
            np.arange(self.first // DAY - 3, last // DAY + 2) if calendar_id is None else self.days(calendar_id, last)
        )
        open_at = local_to_utc(timezone, days * DAY + (opens or 0))
        close_at = local_to_utc(timezone, days * DAY + (DAY if closes is None else closes))
        within = (close_at > self.first) & (open_at < last)
        return _merged(open_at[within], close_at[within])

    def _last_minute(self, calendar_id: str | None) -> int:
        """No hours of this calendar lie after this minute."""
        if calendar_id is None:
            return _LATEST
        row, dates = self._frames(calendar_id)
        runs = row.filter(pl.any_horizontal(WEEKDAYS))["end_on"].to_list()
        days = [day_number(on) for on in (*runs, *dates.filter(pl.col("runs"))["date"])]
        return min(max(days, default=0) * DAY + 4 * DAY, _LATEST)  # time zones, and hours past midnight


def _merged(open_at: NDArray[np.int64], close_at: NDArray[np.int64]) -> _Spells:
    """The same minutes as disjoint spells in order, none empty, none touching the next."""
    order = np.argsort(open_at, kind="stable")
    order = order[open_at[order] < close_at[order]]  # hours that a clock change swallowed
    open_at, close_at = open_at[order], np.maximum.accumulate(close_at[order])
    begins = np.ones(len(order), bool)
    begins[1:] = open_at[1:] > close_at[:-1]
    return open_at[begins], close_at[np.roll(begins, -1)]


def _without(spells: _Spells, shut: list[tuple[int, int]]) -> _Spells:
    """The open minutes that lie in none of the [from_at, until_at) of `shut`."""
    open_at, close_at = spells
    for from_at, until_at in shut:
        open_at = np.r_[open_at, np.maximum(open_at, until_at)]
        close_at = np.r_[np.minimum(close_at, from_at), close_at]
        left = open_at < close_at
        open_at, close_at = open_at[left], close_at[left]
    order = np.argsort(open_at)
    return open_at[order], close_at[order]
