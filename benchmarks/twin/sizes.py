"""How many parcels are moved through how many worlds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.capacity.problem import PeakDay

TEN_DAYS = PeakDay(days=10)


@dataclass(frozen=True)
class Size:
    """The world sample's size, its orders and runs; the network with a closed hub; the ladder of parcels."""

    sample: Literal["tiny", "country", "world"] = "world"
    open_orders: int = 1_000_000
    open_outcomes: int = 16
    open_days: int = 21
    open_fewer: int = 100_000  # over all days that a plan looks at
    open_runs: int = 8
    strained_orders: int = 100_000
    strained_outcomes: int = 8
    strained_runs: int = 40  # to learn from; as many others to judge by
    strained_share: float = 0.2  # of the sample's seats and kilograms
    strained_hands: float = 0.05  # of what its nodes handle in an hour
    hub_sample: Literal["tiny", "country", "world"] = "country"
    hub_orders: int = 3_000
    hub_outcomes: int = 2
    hub_share: float = 0.03
    hub_runs: int = 20
    india_runs: int = 400
    day: PeakDay = TEN_DAYS
    growth: tuple[int, ...] = (250_000, 1_000_000, 4_000_000)
    threads: int = 2


FULL = Size()
LONG = Size(open_runs=30, strained_runs=200)
SMALLEST = Size(
    sample="tiny",
    open_orders=300,
    open_fewer=200,
    open_outcomes=4,
    open_runs=2,
    strained_orders=300,
    strained_runs=3,
    hub_sample="tiny",
    hub_orders=200,
    hub_runs=2,
    india_runs=3,
    day=PeakDay(12, 3, 3, 300, 500),
    growth=(500,),
)
