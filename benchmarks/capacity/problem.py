"""The plain peak day of some size as the peers get it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks import peak_day
from benchmarks.capacity import free_flow
from benchmarks.peers.problem import Problem, grouped
from rookery.terms.time import DAY


@dataclass(frozen=True)
class PeakDay:
    """A peak day in numbers: nodes, hubs among them, days, departures a day, parcels."""

    nodes: int = 600
    hubs: int = 40
    days: int = 7
    per_day: int = 57_000
    parcels: int = 4_000_000

    @property
    def network(self) -> peak_day.Network:
        return peak_day.network(self.nodes, self.hubs, self.days, self.per_day)


LADDER = [
    PeakDay(24, 4, 3, 800, 25_000),
    PeakDay(40, 6, 4, 1500, 60_000),
    PeakDay(50, 7, 4, 2000, 90_000),
    PeakDay(60, 8, 4, 2500, 120_000),
    PeakDay(80, 10, 5, 4000, 250_000),
    PeakDay(100, 12, 5, 5000, 400_000),
    PeakDay(150, 15, 5, 10_000, 700_000),
    PeakDay(300, 25, 7, 27_000, 1_500_000),
    PeakDay(),
]
"""Ever larger peak days, of which each peer is shown the largest that it finishes in time."""


def problem_of(size: PeakDay) -> Problem:
    """The plain form with its capacities."""
    net = size.network
    carried, _ = free_flow.loads(net, size.parcels)
    frm, to, depart, arrive, cost, _ = peak_day.dated(net)
    return Problem(
        frm, to, depart, arrive, np.asarray(cost, np.float64),
        peak_day.every_day(net, peak_day.capacity_parcels(net, carried)),
        *grouped(*peak_day.parcels(size.parcels, size.nodes)),
        cost_per_minute=peak_day.TIME_COST_PER_DAY["plain"] / DAY,
        refusal=peak_day.UNASSIGNED_COST,
    )  # fmt: skip
