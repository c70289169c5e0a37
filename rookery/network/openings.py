"""When nodes work: calendars, hours and closures as open spells in UTC minutes."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.network.calendars import service_days
from rookery.network.closures import shut_spells
from rookery.terms.frames import OPENINGS, Feed
from rookery.terms.time import DAY, local_to_utc

_BEFORE = 2 * DAY
_AFTER = 60 * DAY
_UNDER_WAY_AT_MOST = 365 * DAY
_Spells = tuple[NDArray[np.int64], NDArray[np.int64]]  # open_at, close_at


def openings(feed: Feed, start: int, end: int) -> tuple[pl.DataFrame, pl.Series]:
    """When nodes with a calendar, hours or a closure work (OPENINGS), and which nodes always do (Boolean, per node).

    A node's hours are resolved on each local day its calendar runs (fold = 0); without hours it works from local
    midnight to the next one. A closure with capacity factor 0 cuts its window out. A node that never works has no
    rows. Covered is every minute from two days before `start` until 60 days + the slowest transit + the longest
    handling (these two a year at most) after `end`, all in UTC minutes; later on, these nodes count as closed.
    """
    first, last = start - _BEFORE, end + _AFTER + _longest_under_way(feed)
    days = np.arange(first // DAY - 3, last // DAY + 2)
    days_of = service_days(feed.calendars, feed.calendar_dates, int(days[0]), int(days[-1]))

    @cache
    def spells_of(calendar_id: str | None, timezone: str, opens: int | None, closes: int | None) -> _Spells:
        if calendar_id is None and opens is None and closes is None:
            return np.array([first]), np.array([last])
        midnight = DAY * (days if calendar_id is None else days_of.get(calendar_id, days[:0]))
        open_at = local_to_utc(timezone, midnight + (opens or 0))
        close_at = local_to_utc(timezone, midnight + (DAY if closes is None else closes))
        within = (close_at > first) & (open_at < last)
        return _merged(open_at[within], close_at[within])

    shut = shut_spells(feed.closures)
    always = np.zeros(len(feed.nodes), bool)
    rows = [(np.zeros(0, np.int64),) * 3]
    hours = feed.nodes.select("node_id", "calendar_id", "timezone", "open_from", "open_until")
    for node, (node_id, calendar_id, timezone, opens, closes) in enumerate(hours.iter_rows()):
        shut_here = [spell for spell in shut.get(node_id, ()) if spell[0] < last and spell[1] > first]
        always[node] = calendar_id is None and opens is None and closes is None and not shut_here
        if not always[node]:
            open_at, close_at = _without(spells_of(calendar_id, timezone, opens, closes), shut_here)
            rows.append((np.full(len(open_at), node), open_at, close_at))
    columns = [np.concatenate(column) for column in zip(*rows)]
    return pl.DataFrame(dict(zip(OPENINGS, columns))).cast(pl.Schema(OPENINGS)), pl.Series("always_open", always)


def _longest_under_way(feed: Feed) -> int:
    """Minutes the slowest transit and the longest handling of the feed can take together."""
    transit = max(feed.departures["transit_minutes"], default=0) * max(feed.transit["factor"], default=1.0)
    handling = max(feed.nodes["handling_minutes"], default=0)
    return math.ceil(min(max(transit, 0) + handling, _UNDER_WAY_AT_MOST))


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
