"""One peak day to be planned, and what planning it in a process of its own gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks import peak_day
from benchmarks.capacity.problem import PeakDay


@dataclass(frozen=True)
class Case:
    """A peak day in one of its forms, and how well it is to be planned.

    gap: share of the cost at which the plan is good enough; seconds: or how long it may take; scaled_from: parcels
    whose free flow gives the capacities, which are then scaled to the day's own number (None: those of the day).
    """

    day: PeakDay
    form: peak_day.Form
    outcomes: int
    gap: float
    seconds: float
    threads: int
    scaled_from: int | None = None


@dataclass(frozen=True)
class Counted:
    """A plan counted again, leg by leg."""

    violations: int  # departures that carry more parcels or grams than they hold
    broken: int  # parcels whose legs do not lead, one after the other in time, from origin to destination
    cost_off: float  # largest difference from the cost told, of one parcel


@dataclass(frozen=True)
class Found:
    """What planning a case took, and how good the plan is. Costs are of all parcels, refused ones included."""

    seconds: float  # from placed parcels and a compiled timetable in memory to finished itineraries
    stages: dict[str, float]
    kernels: float  # seconds of compiling them, or of loading them where that was done before
    peak_gib: float
    ready_gib: float  # the same before planning began
    departures: int
    columns: int
    iterations: int
    cost: float
    bound: float
    free_bound: float
    refused: int  # there is a way, but it is full
    stranded: int  # there is no way within the days
    violations: int  # of capacities, by the loads told
    counted: Counted | None  # None where outcomes are uncertain: nobody knows which legs it will be

    @property
    def gap(self) -> float:
        """Share of the cost that could be saved, at most."""
        return (self.cost - self.bound) / self.cost if self.cost > 0 else 0.0

    @property
    def congestion_gap(self) -> float:
        """The same as a share of what capacities add to the cost."""
        return (self.cost - self.bound) / (self.cost - self.free_bound) if self.cost > self.free_bound else 0.0


@dataclass(frozen=True)
class Closed:
    """What closing the busiest hub did to a plan, and what changing it took."""

    hub: str
    planning: float  # seconds that planning the day took
    seconds: float  # seconds of changing the plan, all in all
    stages: dict[str, float]  # of these
    summary: dict[str, Any]
    exceeded: int  # departures that carry more parcels than they hold, counted leg by leg
    through: int  # legs that still leave the closed hub
    strayed: int  # orders that are not affected and yet have other legs
    peak_gib: float
