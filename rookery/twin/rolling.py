"""What really runs, day after day without an end: worlds drawn span by span, as far as anybody has booked.

Rows are the dated departures as the network's timetable has them, span after span; a closure changes what becomes of a
row, never its number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.terms.frames import Expansion, Feed
from rookery.terms.time import DAY, NEVER
from rookery.twin.model import Trouble
from rookery.twin.world import network, world

SPAN_DAYS = 28
HOURS_DAYS = 21
"""For so long after a span nodes' hours are known to it; what arrives later still is handled at any hour."""
_SEEDS = 100_000
Expand = Callable[[Feed, int, int], Expansion]


@dataclass(frozen=True)
class Rows:
    """Dated departures as they really run, N rows; minutes are UTC."""

    departure: NDArray[np.int32]  # row of Feed.departures
    scheduled: NDArray[np.int64]  # when it leaves by the timetable
    frm: NDArray[np.int32]
    to: NDArray[np.int32]
    lane: NDArray[np.int32]
    cutoff: NDArray[np.int64]
    depart: NDArray[np.int64]
    arrive: NDArray[np.int64]
    ready: NDArray[np.int64]  # handled at `to`
    runs: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.departure)


class Rolling:
    """The rows known so far; `reach` makes more. The same feed, seed and closures give the same rows."""

    def __init__(self, feed: Feed, begin: int, trouble: Trouble, seed: int, expand: Expand):
        """begin: the minute of the first departure; expand: network.expand, handed in as rooms do not know each
        other.
        """
        self.feed, self.begin = feed, begin
        self._really, self._trouble, self._seed, self._expand = feed, trouble, seed, expand
        self._planned: list[Expansion] = []
        self._spans: list[Rows] = []
        self._handling = feed.nodes["handling_minutes"].to_numpy().astype(np.int64)
        self.reach(begin)

    def reach(self, minute: int) -> None:
        """Make rows up to a minute and a span beyond it."""
        while self.begin + (len(self._spans) - 1) * SPAN_DAYS * DAY <= minute:
            self._planned.append(self._plan(len(self._planned)))
            self._spans.append(self._span(len(self._spans)))
            self._lay_out()

    def close(self, really: Feed, at: int) -> None:
        """From minute `at` on it runs as this feed, with other closures, says. What has left by then is as it was."""
        touched = pl.concat([really.closures, self._really.closures]).filter(pl.col("until_at") > at)
        self._really = really
        for number, before in enumerate(self._spans):
            planned = self._planned[number]
            late = pl.col("until_at") + pl.col("delay_minutes").fill_null(0) >= planned.start
            if touched.filter(late, pl.col("from_at") < planned.end + HOURS_DAYS * DAY).is_empty():
                continue
            now = self._span(number)
            left = before.cutoff < at
            kept = {
                name: np.where(left, getattr(before, name), getattr(now, name))
                for name in ("cutoff", "depart", "arrive", "ready", "runs")
            }
            self._spans[number] = replace(now, **kept)
        self._lay_out()

    def _plan(self, number: int) -> Expansion:
        first = self.begin + number * SPAN_DAYS * DAY
        whole = self._expand(self.feed, first, first + SPAN_DAYS * DAY)
        # a row belongs to the span in which the timetable has it leave
        mine = whole.runs.filter(pl.col("scheduled_at").is_between(first, whole.end, closed="left"))
        return replace(whole, runs=mine)

    def _span(self, number: int) -> Rows:
        planned = self._planned[number]
        really = self._expand(self._really, planned.start, planned.end + HOURS_DAYS * DAY)
        net = network(self._really, planned, really, planned.start)
        drawn = world(net, self._trouble, self._seed * _SEEDS + number)
        runs = planned.runs
        arrive = drawn.arrive.astype(np.int64)
        ready = np.where(drawn.ready < NEVER, drawn.ready, arrive + self._handling[drawn.to])
        return Rows(
            departure=np.array(runs["departure"].to_numpy()), scheduled=runs["depart_at"].to_numpy().astype(np.int64),
            frm=drawn.frm, to=drawn.to, lane=drawn.lane, cutoff=drawn.cutoff.astype(np.int64),
            depart=drawn.depart.astype(np.int64), arrive=arrive, ready=ready, runs=drawn.known_gone == NEVER,
        )  # fmt: skip

    def _lay_out(self) -> None:
        self.rows = Rows(*(np.concatenate([getattr(span, name) for span in self._spans]) for name in _COLUMNS))
        rows = self.rows
        order = np.lexsort((rows.cutoff, rows.lane))
        self._by_lane = order[rows.runs[order]].astype(np.int32)
        self._lane_keys = rows.lane[self._by_lane] * _LANE + rows.cutoff[self._by_lane]
        self._by_departure = np.lexsort((rows.scheduled, rows.departure)).astype(np.int32)
        self._departure_keys = rows.departure[self._by_departure] * _LANE + rows.scheduled[self._by_departure]
        order = np.lexsort((rows.cutoff, rows.frm))
        self._by_node = order[rows.runs[order]].astype(np.int32)
        self._node_keys = rows.frm[self._by_node] * _LANE + rows.cutoff[self._by_node]

    def find(self, departure: NDArray[np.integer], depart_at: NDArray[np.integer]) -> NDArray[np.int32]:
        """The row that each booking means (n): the run that leaves then by the timetable, or the latest before, which
        a closure has delayed; -1 = there is none.
        """
        asked = departure.astype(np.int64) * _LANE + depart_at
        place = np.searchsorted(self._departure_keys, asked, side="right") - 1
        row = self._by_departure[np.maximum(place, 0)]
        return np.where((place >= 0) & (departure >= 0) & (self.rows.departure[row] == departure), row, -1).astype(
            np.int32
        )

    def next_of_lane(self, lane: NDArray[np.integer], at: NDArray[np.integer]) -> NDArray[np.int32]:
        """The lane's next row that runs and has its cut-off at a minute or later, for each; -1 = none is known."""
        place = np.searchsorted(self._lane_keys, lane.astype(np.int64) * _LANE + at)
        row = self._by_lane[np.minimum(place, len(self._by_lane) - 1)] if len(self._by_lane) else np.full(len(at), -1)
        found = (place < len(self._by_lane)) & (self.rows.lane[row] == lane)
        return np.where(found, row, -1).astype(np.int32)

    def next_elsewhere(self, row: NDArray[np.integer]) -> NDArray[np.int32]:
        """Of each row the next that leaves the same node for another one, runs and has its cut-off later; -1 = none is
        known.
        """
        frm, to, after = self.rows.frm[row], self.rows.to[row], self.rows.cutoff[row] + 1
        return self._leaving(frm, after, lambda other, some: self.rows.to[other] != to[some])

    def next_between(
        self, frm: NDArray[np.integer], to: NDArray[np.integer], at: NDArray[np.integer]
    ) -> NDArray[np.int32]:
        """The next row from one node straight to another that runs and has its cut-off at a minute or later, for each;
        -1 = none is known.
        """
        return self._leaving(frm, at, lambda other, some: self.rows.to[other] == to[some])

    def _leaving(
        self, frm: NDArray[np.integer], at: NDArray[np.integer], fits: Callable[[NDArray, NDArray], NDArray[np.bool_]]
    ) -> NDArray[np.int32]:
        """The first row that leaves each node at a minute or later and fits: fits(rows, which of those asked for)."""
        found = np.full(len(frm), -1, np.int32)
        place = np.searchsorted(self._node_keys, frm.astype(np.int64) * _LANE + at)
        end = np.searchsorted(self._node_keys, (frm.astype(np.int64) + 1) * _LANE)
        some = np.flatnonzero(place < end)
        while len(some):
            row = self._by_node[place[some]]
            good = fits(row, some)
            found[some[good]] = row[good]
            place[some] += 1
            some = some[~good & (place[some] < end[some])]
        return found


_LANE = np.int64(1) << 32
"""More than any minute: a lane (or departure) and a minute as one number."""
_COLUMNS = tuple(Rows.__dataclass_fields__)
