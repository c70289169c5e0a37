"""The time-expanded graph of a dated network, turned around: paths from a destination's sink lead back in time.

Vertices are the departures 0 .. N-1 ("a parcel at its node, in time for it") and a sink for each asked
destination, N, N+1, ... Edges, reversed: to the departure before on the same node (waiting, cost 0); from what a
departure catches to that departure (its price); from a sink to every departure into that destination (price and cost
of time until delivery). One graph serves all destinations: a sink that is not asked from is never reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.peers.ways import rows_of


@dataclass(frozen=True)
class Graph:
    """Edges tail -> head with weights (E); `departures` vertices, then `sinks` more."""

    tail: NDArray[np.int64]
    head: NDArray[np.int64]
    weight: NDArray[np.float64]
    departures: int
    sinks: int

    @property
    def vertices(self) -> int:
        return self.departures + self.sinks

    def save(self, path: Path) -> None:
        counts = np.array([self.departures, self.sinks])
        np.savez(path, tail=self.tail, head=self.head, weight=self.weight, counts=counts)

    @classmethod
    def load(cls, path: str) -> Graph:
        held = np.load(path)
        return cls(held["tail"], held["head"], held["weight"], *held["counts"].tolist())


def graph_of(dated: pl.DataFrame, destinations: list[int], cost_per_minute: float) -> Graph:
    """The graph of dated departures (columns frm, to, depart, arrive, price; in order of time)."""
    frm, to, depart, arrive, price = (dated[name].to_numpy() for name in ("frm", "to", "depart", "arrive", "price"))
    count = len(frm)
    order = np.argsort(frm, kind="stable")  # node by node, in time
    same = frm[order[1:]] == frm[order[:-1]]
    earlier, later = order[:-1][same], order[1:][same]
    beyond = int(arrive.max()) + 1
    found = np.searchsorted(frm[order].astype(np.int64) * beyond + depart[order], to.astype(np.int64) * beyond + arrive)
    caught = order[np.minimum(found, count - 1)]
    rides = np.flatnonzero((found < count) & (frm[caught] == to))
    tails, heads, weights = [later, caught[rides]], [earlier, rides], [np.zeros(len(later)), price[rides]]
    for sink, destination in enumerate(destinations):
        into = np.flatnonzero(to == destination)
        tails.append(np.full(len(into), count + sink))
        heads.append(into)
        weights.append(price[into] + cost_per_minute * arrive[into])
    return Graph(np.concatenate(tails), np.concatenate(heads), np.concatenate(weights), count, len(destinations))


def event_graph_of(dated: pl.DataFrame, destinations: list[int], cost_per_minute: float) -> Graph:
    """The same network as textbooks draw it: two vertices a departure, time paid on every arc, turned around too.

    Departing is vertex 0 .. N-1, arriving N .. 2 N - 1; `departures` counts both. Costs count from departing.
    """
    frm, to, depart, arrive, price = (dated[name].to_numpy() for name in ("frm", "to", "depart", "arrive", "price"))
    rows = rows_of(frm, to, depart, arrive, price)
    count = len(frm)
    riders, waiters = np.arange(count), np.flatnonzero(rows.wait < count)
    changers = np.flatnonzero(rows.catch < count)
    after, caught = rows.wait[waiters], rows.catch[changers]
    tails, heads = [count + riders, after, caught], [riders, waiters, count + changers]
    weights = [
        rows.cost + cost_per_minute * (rows.arrive - rows.depart),
        cost_per_minute * (rows.depart[after] - rows.depart[waiters]),
        cost_per_minute * (rows.depart[caught] - rows.arrive[changers]),
    ]
    for sink, destination in enumerate(destinations):
        into = np.flatnonzero(to == destination)
        tails.append(np.full(len(into), 2 * count + sink))
        heads.append(count + into)
        weights.append(np.zeros(len(into)))
    return Graph(np.concatenate(tails), np.concatenate(heads), np.concatenate(weights), 2 * count, len(destinations))
