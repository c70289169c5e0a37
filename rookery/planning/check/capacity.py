"""What departures and clock hours of nodes can take, who fills them, and what a plan says one more place is worth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.check.days import FOREVER
from rookery.planning.check.report import Findings
from rookery.planning.check.runs import Runs
from rookery.terms.frames import Feed

HOUR = 60
_ROUNDING = 1e-6  # of a capacity, by which a load may exceed it


def exceeds(load: float, limit: float) -> bool:
    """Whether a load is above a capacity by more than rounding; one that is no number always is."""
    return limit < np.inf and not load <= limit + _ROUNDING * max(1.0, limit)


class Booked(NamedTuple):
    """What every run carries, in expectation."""

    parcels: NDArray[np.float64]
    grams: NDArray[np.float64]


class Limits:
    """Every capacity of the feed over the dated departures, closures applied; infinite where there is none.

    A parcel counts in the clock hour (UTC) in which its handling at a node ends; `cells` are such (node, hour) of nodes
    with a limit that some run's outcome can bring a parcel to.
    """

    def __init__(self, feed: Feed, runs: Runs):
        self.parcels = _limits(feed.departures["capacity_parcels"])[runs.departure] * runs.factor
        self.grams = _limits(feed.departures["capacity_g"])[runs.departure] * runs.factor
        self._per_hour = _limits(feed.nodes["capacity_per_hour"])
        self._closures = _easings(feed)
        self._outcomes = runs.outcome.shape[1]
        self.into = np.flatnonzero(self._per_hour[runs.to] < np.inf)  # the runs that end at a node with a limit
        ready = runs.outcome[self.into]
        known = ready < FOREVER
        hour = np.where(known, ready // HOUR, 0)
        width = int(hour.max(initial=0)) + 1  # so that a node and an hour make one number
        codes, place = np.unique(
            (runs.to[self.into].astype(np.int64)[:, None] * width + hour)[known], return_inverse=True
        )
        self.node, self.hour = codes // width, codes % width * HOUR
        self.cell = np.full(ready.shape, -1, np.int64)  # [run of `into`, k]; -1 = handling never ends
        self.cell[known] = place
        self.per_hour = self.of_hours(self.node, self.hour)
        self._number = {key: i for i, key in enumerate(zip(self.node.tolist(), self.hour.tolist(), strict=True))}

    def of_hours(self, node: NDArray[np.int64], hour: NDArray[np.int64]) -> NDArray[np.float64]:
        """How many parcels nodes may finish handling in the clock hours that begin at these minutes."""
        limit = self._per_hour[node]
        for shut, begin, end, factor in self._closures:
            limit = np.where((node == shut) & (hour < end) & (hour + HOUR > begin), limit * factor, limit)
        return limit

    def number(self, node: int, hour: int) -> int | None:
        """The cell of a node and the minute at which a clock hour begins."""
        return self._number.get((node, hour))

    def handled(self, parcels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected parcels in every cell, from those on every run: each outcome brings its share."""
        share = np.repeat(parcels[self.into] / self._outcomes, self._outcomes)
        known = self.cell.ravel() >= 0
        return np.asarray(np.bincount(self.cell.ravel()[known], share[known], len(self.node)), np.float64)

    def mean(self, of_cell: NDArray[np.float64], runs: int) -> NDArray[np.float64]:
        """For every run, the mean over its outcomes of what is told of the cells they end in; 0 where there is none."""
        mean = np.zeros(runs)
        mean[self.into] = np.append(of_cell, 0.0)[self.cell].mean(axis=1)  # cell -1 is the 0 at the end
        return mean


def take_price(
    told: float | None, limit: float, priced: bool, findings: Findings, *, departure: str = "", node: str = ""
) -> float:
    """A plan's shadow price, where it can be one: 0 or more, and 0 where nothing limits or the plan has no prices."""
    if told is None and not priced:
        return 0.0
    free = limit == np.inf or not priced
    if told is None or not 0 <= told < np.inf or (free and told > 0):
        findings.add("wrong_price", "0" if free else "0 or more", told, departure=departure, node=node)
        return 0.0
    return told


def _limits(column: pl.Series) -> NDArray[np.float64]:
    return column.fill_null(np.inf).to_numpy().astype(np.float64)


def _easings(feed: Feed) -> list[tuple[int, int, int, float]]:
    """(node, from, until, factor) of the closures that change how much a node works off, without stopping it."""
    number = {node_id: i for i, node_id in enumerate(feed.nodes["node_id"].to_list())}
    return [
        (number[row["node_id"]], row["from_at"], row["until_at"], row["capacity_factor"])
        for row in feed.closures.iter_rows(named=True)
        if row["node_id"] in number and row["capacity_factor"] and row["from_at"] < row["until_at"]
    ]
