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
