"""Dated departures re-derived from the feed: when each leaves, closes, arrives and frees its parcels again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.check.days import FOREVER, Calendars, Hours, Minutes, local_day, utc_minute
from rookery.terms.frames import Feed

_DAY = 1440


@dataclass(frozen=True)
class Runs:
    """The dated departures of [start, end) in order of cut-off; times in UTC minutes, nodes and rows as numbers."""

    departure: NDArray[np.int32]  # row of feed.departures
    origin: NDArray[np.int32]
    to: NDArray[np.int32]
    depart: Minutes
    cutoff: Minutes
    arrive: Minutes  # median
    ready: Minutes  # median, handling done
    outcome: Minutes  # [run, k]: ready after outcome k
    next: NDArray[np.int64]  # the next run to close at the same node; the number of runs when there is none
    catch: NDArray[np.int64]  # [run, k]: first run of the arrival node that closes no earlier than outcome k is ready
    catch_median: NDArray[np.int64]
    factor: NDArray[np.float64]  # of the capacity, under closures
    at: dict[int, Minutes]  # node -> its runs

    def first(self, node: int, ready: int) -> int:
        """The first run that a parcel ready then at a node can still take; the number of runs when there is none."""
        runs = self.at.get(node)
        if runs is None:
            return len(self.cutoff)
        place = int(np.searchsorted(self.cutoff[runs], ready, side="left"))
        return int(runs[place]) if place < len(runs) else len(self.cutoff)


class Distributions:
    """Transit outcomes as exact fractions: transit.csv at the mid-quantiles of K equal slices, or at the median."""

    def __init__(self, transit: pl.DataFrame):
        points: dict[str, list[tuple[Fraction, Fraction]]] = defaultdict(list)
        for row in transit.iter_rows(named=True):
            points[row["transit_id"]].append((Fraction(str(row["quantile"])), Fraction(str(row["factor"]))))
        self._points = {name: sorted(given) for name, given in points.items()}
        self._minutes: dict[tuple[int, str | None, int], list[int]] = {}

    def minutes(self, base: int, name: str | None, outcomes: int) -> list[int]:
        """`base` minutes under each of the K outcomes (K = 1: the median), each rounded up to a whole minute."""
        key = (base, name, outcomes)
        if key not in self._minutes:
            quantiles = [Fraction(2 * k + 1, 2 * outcomes) for k in range(outcomes)]
            exact = [base * self.factor(name, quantile) for quantile in quantiles]
            self._minutes[key] = [-(-value.numerator // value.denominator) for value in exact]
        return self._minutes[key]

    def factor(self, name: str | None, quantile: Fraction) -> Fraction:
        """The factor at a quantile: linear between the points given, constant beyond them."""
        points = self._points.get(name or "")
        if not points:
            return Fraction(1)
        if quantile <= points[0][0]:
            return points[0][1]
        for (q0, f0), (q1, f1) in pairwise(points):
            if quantile <= q1:
                return f0 + (f1 - f0) * (quantile - q0) / (q1 - q0)
        return points[-1][1]


def dated(feed: Feed, start: int, end: int, outcomes: int) -> Runs:
    """Expands the feed's departures over [start, end), closures applied.

    A closure acts on what is scheduled to leave within [from_at, until_at): capacity factors multiply (0 removes the
    departure), delays add up and move departure and cut-off alike.
    """
    calendars = Calendars(feed.calendars, feed.calendar_dates)
    nodes = feed.nodes.to_dicts()
    number = {node["node_id"]: i for i, node in enumerate(nodes)}
    lanes = {lane["lane_id"]: lane for lane in feed.lanes.iter_rows(named=True)}
    departures = feed.departures.to_dicts()
    origin = np.array([number[lanes[d["lane_id"]]["from_node"]] for d in departures], np.int32)
    to = np.array([number[lanes[d["lane_id"]]["to_node"]] for d in departures], np.int32)

    row, scheduled = _scheduled(feed, departures, [nodes[i]["timezone"] for i in origin], calendars, start, end)
    delay, factor = _closures(feed, departures, number, origin, row, scheduled)
    depart = scheduled + delay
    cutoff = depart - np.array([d["cutoff_minutes"] for d in departures], np.int64)[row]
    keep = np.flatnonzero((factor > 0) & (depart >= start) & (depart < end))
    keep = keep[np.argsort(cutoff[keep], kind="stable")]
    row, depart, cutoff, factor = row[keep], depart[keep], cutoff[keep], factor[keep]

    law = Distributions(feed.transit)
    median = np.array([law.minutes(d["transit_minutes"], d["transit_id"], 1)[0] for d in departures], np.int64)
    spread = [law.minutes(d["transit_minutes"], d["transit_id"], outcomes) for d in departures]
    minutes = np.array(spread, np.int64).reshape(len(departures), outcomes)
    arrive = depart + median[row]
    arrivals = np.column_stack([arrive, depart[:, None] + minutes[row]])  # median first
    ready, catch = np.full(arrivals.shape, FOREVER), np.full(arrivals.shape, len(row), np.int64)
    run_from, run_to = origin[row], to[row]
    leaving = {int(n): np.flatnonzero(run_from == n) for n in np.unique(run_from)}
    for node in np.unique(run_to):
        coming = np.flatnonzero(run_to == node)
        hours = Hours(nodes[node], calendars, _shut(feed, nodes[node]["node_id"]), start)
        ready[coming] = hours.ready(arrivals[coming].ravel()).reshape(len(coming), -1)
        if (onward := leaving.get(int(node))) is not None:
            place = np.searchsorted(cutoff[onward], ready[coming], side="left")
            catch[coming] = np.append(onward, len(row))[place]
    following = np.full(len(row), len(row), np.int64)
    for runs in leaving.values():
        following[runs[:-1]] = runs[1:]
    return Runs(
        departure=row.astype(np.int32),
        origin=run_from,
        to=run_to,
        depart=depart,
        cutoff=cutoff,
        arrive=arrive,
        ready=ready[:, 0].copy(),
        outcome=ready[:, 1:].copy(),
        next=following,
        catch=catch[:, 1:].copy(),
        catch_median=catch[:, 0].copy(),
        factor=factor,
        at=leaving,
    )


def _scheduled(
    feed: Feed, departures: list[dict[str, Any]], zones: list[str], calendars: Calendars, start: int, end: int
) -> tuple[NDArray[np.int64], Minutes]:
    """(row of departures, scheduled UTC minute) of every service day that could fall within [start, end)."""
    slack = feed.closures["delay_minutes"].fill_null(0).sum() if feed.closures.height else 0
    times: dict[tuple[str, str, int], list[int]] = {}
    days: dict[tuple[str, int, int], list[int]] = {}
    rows, minutes = [], []
    for i, (departure, zone) in enumerate(zip(departures, zones, strict=True)):
        calendar, minute = departure["calendar_id"], departure["depart_minute"]
        key = (calendar, zone, minute)
        if key not in times:
            first = local_day("UTC", start - slack - minute) - 2  # two days: any time zone, any clock change
            span = (calendar, first, local_day("UTC", end) + 2)
            if span not in days:
                days[span] = [day for day in range(span[1], span[2] + 1) if calendars.runs(calendar, day)]
            times[key] = [utc_minute(zone, day, minute) for day in days[span]]
        minutes.extend(times[key])
        rows.extend([i] * len(times[key]))
    return np.array(rows, np.int64), np.array(minutes, np.int64)


def _closures(
    feed: Feed,
    departures: list[dict[str, Any]],
    number: dict[str, int],
    origin: NDArray[np.int32],
    row: NDArray[np.int64],
    scheduled: Minutes,
) -> tuple[Minutes, NDArray[np.float64]]:
    """Delay and capacity factor of every scheduled departure."""
    delay, factor = np.zeros(len(row), np.int64), np.ones(len(row))
    for closure in feed.closures.iter_rows(named=True):
        if closure["departure_id"] is not None:
            struck = np.array([d["departure_id"] == closure["departure_id"] for d in departures], bool)
        elif closure["lane_id"] is not None:
            struck = np.array([d["lane_id"] == closure["lane_id"] for d in departures], bool)
        else:
            struck = origin == number.get(closure["node_id"], -1)
        hit = struck[row] & (scheduled >= closure["from_at"]) & (scheduled < closure["until_at"])
        delay[hit] += closure["delay_minutes"] or 0
        factor[hit] *= 1.0 if closure["capacity_factor"] is None else closure["capacity_factor"]
    return delay, factor


def _shut(feed: Feed, node_id: str) -> list[tuple[int, int]]:
    """The windows in which a closure stops all work at the node."""
    whole = feed.closures.filter((pl.col("node_id") == node_id) & (pl.col("capacity_factor") == 0))
    return list(zip(whole["from_at"].to_list(), whole["until_at"].to_list(), strict=True))
