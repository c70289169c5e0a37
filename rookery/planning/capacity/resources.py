"""What is scarce (seats and kilograms of departures, hours of nodes) and what one more unit of it would be worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rookery.planning.engine.arrays import Net
from rookery.planning.engine.seat import Room
from rookery.planning.timetable import Timetable
from rookery.terms.time import NEVER

HOUR = 60
FITS = 1e-6
"""Share of a capacity by which a load may exceed it: rounding."""


@dataclass(frozen=True)
class Resources:
    """Capacities of N dated departures and H clock hours of nodes; infinite = no limit."""

    seats: NDArray[np.float64]  # (N) parcels
    kilograms: NDArray[np.float64]  # (N) actual weight
    hourly: NDArray[np.float64]  # (H) parcels whose handling ends in the hour
    hour: NDArray[np.int32]  # (N, K): the hour of each outcome; H = no limit
    hour_node: NDArray[np.int32]  # (H)
    hour_at: NDArray[np.int64]  # (H) minute at which the hour begins

    def hour_loads(self, pieces: NDArray[np.float64]) -> NDArray[np.float64]:
        """Parcels handled in each limited hour, when departures carry so many `pieces` (N): (H)."""
        count = len(self.hourly)
        if count == 0:
            return np.zeros(0)
        outcomes = self.hour.shape[1]
        return sum(np.bincount(self.hour[:, k], pieces / outcomes, count + 1)[:count] for k in range(outcomes))  # type: ignore[return-value]

    def room(self) -> Room:
        """All of it, to be taken bit by bit."""
        return Room(self.seats.copy(), self.kilograms.copy(), np.append(self.hourly, np.inf), self.hour)

    def over(self, loads: NDArray[np.float64], slack: float = FITS) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which departures (N) and hours (H) are beyond a capacity, with these loads (N, 2: pieces, grams)."""
        most = 1 + slack
        rows = (loads[:, 0] > self.seats * most) | (loads[:, 1] > self.kilograms * 1000.0 * most)
        return rows, self.hour_loads(loads[:, 0]) > self.hourly * most

    def fits(self, loads: NDArray[np.float64], slack: float = FITS) -> bool:
        """Whether departures with these loads (N, 2: pieces, grams) stay within every capacity."""
        return not any(over.any() for over in self.over(loads, slack))


@dataclass(frozen=True)
class Prices:
    """Shadow prices: what one more parcel or one more kilogram would save; 0 where there is room."""

    seat: NDArray[np.float64]  # (N)
    kilogram: NDArray[np.float64]  # (N)
    hour: NDArray[np.float64]  # (H)

    @classmethod
    def none(cls, resources: Resources) -> Prices:
        """The prices where nothing is full: all of them 0."""
        count = len(resources.seats)
        return cls(np.zeros(count), np.zeros(count), np.zeros(len(resources.hourly)))

    def per_parcel(self, resources: Resources) -> NDArray[np.float64]:
        """What a parcel pays on each departure (N), for its seat and the hours in which it may be handled."""
        if len(self.hour) == 0:
            return self.seat
        return self.seat + np.append(self.hour, 0.0)[resources.hour].mean(axis=1)

    def of_capacity(self, resources: Resources) -> float:
        """The sum of prices times capacities: what the priced cost counts too much."""
        pairs = ((self.seat, resources.seats), (self.kilogram, resources.kilograms), (self.hour, resources.hourly))
        return float(sum(np.dot(price[price > 0], limit[price > 0]) for price, limit in pairs))

    def applied(self, net: Net, resources: Resources, density: float, dtype) -> Net:
        """`net` as parcels see it whose actual weight is `density` times the chargeable one, in type `dtype`."""
        return net._replace(
            fixed=(net.fixed + self.per_parcel(resources)).astype(dtype),
            per_kg=(net.per_kg + density * self.kilogram).astype(dtype),
            catch_share=net.catch_share.astype(dtype),
        )


def resources_of(
    timetable: Timetable, per_hour: NDArray[np.float64], factors: dict[tuple[int, int], float]
) -> Resources:
    """The capacities of a timetable; per_hour (M): parcels a node can handle in a clock hour (UTC; inf = any number).

    factors: for (node, minute at which an hour begins), what closures leave of it.
    """
    net = timetable.net
    outcomes = net.ready.shape[1]
    limited = np.isfinite(per_hour)[net.to]
    key = np.full(net.ready.shape, -1, np.int64)
    hours = net.ready[limited].astype(np.int64) // HOUR
    known = net.ready[limited] != NEVER
    span = int(NEVER) // HOUR + 1
    key[limited] = np.where(known, net.to[limited, None].astype(np.int64) * span + hours, -1)
    each, number = np.unique(key.reshape(-1), return_inverse=True)
    offset = int(len(each) > 0 and each[0] == -1)  # what has no limit comes first
    each = each[offset:]
    number = number.reshape(-1, outcomes).astype(np.int64) - offset
    node, at = (each // span).astype(np.int32), each % span * HOUR
    capacity = per_hour[node]
    for place, (where, when) in enumerate(zip(node.tolist(), at.tolist())) if factors else ():
        capacity[place] *= factors.get((where, when), 1.0)
    return Resources(
        seats=timetable.capacity_parcels,
        kilograms=timetable.capacity_g / 1000.0,
        hourly=capacity,
        hour=np.where(number < 0, len(each), number).astype(np.int32),
        hour_node=node,
        hour_at=at,
    )
