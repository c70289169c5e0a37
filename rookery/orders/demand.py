"""Invented demand: who ships to whom on any network, by a gravity model over its nodes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rookery.terms.errors import InvalidInput
from rookery.terms.frames import Feed
from rookery.terms.geo import EARTH_KM

SHIPS = {"origin": 1.0, "depot": 0.15, "station": 0.1, "locker": 0.05}
RECEIVES = {"depot": 1.0, "station": 0.1, "locker": 0.1}
HALVING_KM = 3000.0  # trade over this distance is half of what it would be next door
TRIALS = 300


class Demand:
    """Masses, positions and connections of a feed's nodes.

    A node's mass is log-normal, larger with the number of departures that leave (to ship) or come (to receive), and
    weighed by its kind. Where a feed has no node of the kinds that ship (or receive), every node does.
    """

    def __init__(self, feed: Feed, goods: tuple[str, ...], rng: np.random.Generator):
        nodes = feed.nodes
        numbers = nodes.select("node_id").with_row_index("node")
        lanes = (
            feed.lanes.join(feed.departures.group_by("lane_id").len("departures"), on="lane_id")
            .join(numbers.rename({"node": "a"}), left_on="from_node", right_on="node_id")
            .join(numbers.rename({"node": "b"}), left_on="to_node", right_on="node_id")
            .sort("line")
        )
        a, b = lanes["a"].to_numpy().astype(np.int64), lanes["b"].to_numpy().astype(np.int64)
        runs = lanes["departures"].to_numpy().astype(float)
        kinds = nodes["kind"].to_list()
        self.ships = self._mass(kinds, SHIPS, np.bincount(a, runs, nodes.height).astype(float), rng)
        self.receives = self._mass(kinds, RECEIVES, np.bincount(b, runs, nodes.height).astype(float), rng)
        self.where = _on_sphere(nodes["lat"].to_numpy(), nodes["lon"].to_numpy())
        self.reached = []
        for name in goods:
            taken = lanes["accepts"].list.contains(name).to_numpy()
            self.reached.append(_reached(a[taken], b[taken], nodes.height))

    @staticmethod
    def _mass(
        kinds: list[str], weights: dict[str, float], runs: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        kind = np.array([weights.get(kind, 0.0) for kind in kinds])
        if not (kind * runs).any():
            kind = np.ones(len(kinds))
        return kind * np.sqrt(runs) * rng.lognormal(0, 0.8, len(kinds))

    def pairs(self, goods: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Origin and destination (rows of nodes) of each parcel, given its class of goods; where hardly any lanes
        carry a class, its parcels become general (class 0) in `goods` itself.

        Drawn by rejection: both ends by mass, kept with a chance that falls with distance, and only where lanes that
        take the goods connect them. Raises InvalidInput when nothing connects.
        """
        origin, destination = np.empty(len(goods), np.int64), np.empty(len(goods), np.int64)
        if not (self.ships.any() and self.receives.any()):
            raise _unconnected()
        for number in range(len(self.reached) - 1, -1, -1):
            rows = np.flatnonzero(goods == number)
            for _ in range(TRIALS):
                if not len(rows):
                    break
                drawn = [_draw(mass, len(rows), rng) for mass in (self.ships, self.receives)]
                kept = self._keeps(number, *drawn, rng)
                origin[rows[kept]], destination[rows[kept]] = drawn[0][kept], drawn[1][kept]
                rows = rows[~kept]
            if len(rows) and number == 0:
                raise _unconnected()
            goods[rows] = 0
        return origin, destination

    def _keeps(
        self, number: int, origin: NDArray[np.int64], destination: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        chord = np.linalg.norm(self.where[origin] - self.where[destination], axis=1)
        km = 2 * EARTH_KM * np.arcsin(np.clip(chord / 2, 0, 1))
        bits = self.reached[number][origin, destination >> 3]
        connected = (bits >> (7 - (destination & 7))) & 1 == 1
        return connected & (origin != destination) & (rng.random(len(km)) < 1 / (1 + km / HALVING_KM))


def _unconnected() -> InvalidInput:
    return InvalidInput(
        "sample.no_connection",
        "Hardly any place that ships is connected to a place that receives, so no orders can be sampled.",
        "add lanes with departures between the feed's nodes",
    )


def _draw(mass: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    edges = np.cumsum(mass)
    return np.searchsorted(edges, rng.random(count) * edges[-1], side="right")


def _on_sphere(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
    phi, theta = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=1)


def _reached(a: NDArray[np.int64], b: NDArray[np.int64], nodes: int) -> NDArray[np.uint8]:
    """Which nodes each node reaches over lanes a -> b: bit rows, one per node, grown until nothing changes."""
    reached = np.packbits(np.eye(nodes, dtype=np.uint8), axis=1)
    order = np.argsort(a, kind="stable")
    a, b = a[order], b[order]
    sources, starts = np.unique(a, return_index=True)
    while len(a):
        grown = reached[sources] | np.bitwise_or.reduceat(reached[b], starts, axis=0)
        if (grown == reached[sources]).all():
            break
        reached[sources] = grown
    return reached
