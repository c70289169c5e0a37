"""Prices that make the Lagrangian bound high: a subgradient method with averaged directions and steps of its own for
each price (docs/decisions/0006-shadow-prices.md tells what else was tried, and how it did).

The bound of prices p is  sum over parcels of min(cheapest priced policy, refusing) - sum of p x capacity, concave in p;
load - capacity is a direction in which it rises.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rookery.planning.capacity.resources import Prices, Resources

FIRST_STEP = 0.043
"""Of a price, as a share of the mean cost of a parcel."""
STEADY = 6.0
"""Steps shrink like 1 / (1 + t / STEADY)."""
SMOOTH, SPREAD = 0.9, 0.98
"""Memory of the mean direction and of its square (as in Kingma and Ba, 2015)."""
SOFT = 0.05
GROW, SHRINK, SAME, HIGH = 1.2, 0.7, 0.8, 100.0
MOST = 5.0
"""A load of more than so many capacities above the capacity counts as that."""


@dataclass
class Ascent:
    """Moves prices along averaged relative overloads, each scaled by how much its own has varied."""

    resources: Resources
    unit: float  # money: the mean cost of a parcel
    kilogram: float  # mean actual weight of a parcel
    first_step: float = FIRST_STEP
    steady: float = STEADY
    smooth: float = SMOOTH
    spread: float = SPREAD
    soft: float = SOFT
    steps: int = 0
    mean: NDArray[np.float64] = field(init=False)
    square: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        r = self.resources
        limits = (r.seats, r.kilograms, r.hourly)
        self.where = [np.flatnonzero(np.isfinite(limit)) for limit in limits]
        self.limit = np.concatenate([limit[place] for limit, place in zip(limits, self.where)])
        money = [1.0, 1.0 / max(self.kilogram, 1e-9), 1.0]
        self.scale = np.concatenate([np.full(len(place), each) for place, each in zip(self.where, money)]) * self.unit
        self.mean, self.square = np.zeros(len(self.limit)), np.zeros(len(self.limit))
        self.gain = np.ones(len(self.limit))

    def flat(self, prices: Prices) -> NDArray[np.float64]:
        """The prices of what is limited, one after the other."""
        each = (prices.seat, prices.kilogram, prices.hour)
        return np.concatenate([price[place] for price, place in zip(each, self.where)])

    def loads(self, loads: NDArray[np.float64]) -> NDArray[np.float64]:
        """The loads of what is limited, from those of departures (N, 2: pieces, kilograms)."""
        each = (loads[:, 0], loads[:, 1], self.resources.hour_loads(loads[:, 0]))
        return np.concatenate([load[place] for load, place in zip(each, self.where)])

    def prices(self, flat: NDArray[np.float64]) -> Prices:
        """`flat` as prices."""
        none = Prices.none(self.resources)
        ends = np.cumsum([len(place) for place in self.where])[:-1]
        for price, place, values in zip((none.seat, none.kilogram, none.hour), self.where, np.split(flat, ends)):
            price[place] = values
        return none

    def step(self, prices: Prices, loads: NDArray[np.float64], room: NDArray[np.float64] | None = None) -> Prices:
        """Prices after one step. loads (N, 2); room: what there is for them, of `flat` shape (default: all)."""
        now = self.flat(prices)
        room = self.limit if room is None else room
        over = (self.loads(loads) - room) / np.maximum(self.limit, 1e-9)
        over = np.clip(over, -1.0, MOST)
        over[(now <= 0) & (over < 0)] = 0.0
        self.mean = self.smooth * self.mean + (1 - self.smooth) * over
        self.square = self.spread * self.square + (1 - self.spread) * over**2
        self.steps += 1
        mean = self.mean / (1 - self.smooth**self.steps)
        square = self.square / (1 - self.spread**self.steps)
        steady = self.steps > 5
        same = (over * mean > 0) & (np.abs(mean) > SAME * np.sqrt(square))
        self.gain = np.clip(self.gain * np.where(same & steady, GROW, SHRINK), 1.0, HIGH)
        size = self.first_step / (1 + (self.steps - 1) / self.steady)
        return self.prices(np.maximum(0.0, now + size * self.gain * self.scale * mean / (np.sqrt(square) + self.soft)))
