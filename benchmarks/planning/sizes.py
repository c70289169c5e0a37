"""How large the measured instance is, and how often things are repeated."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Size:
    """The peak day (nodes, hubs, days, departures a day), the parcels on it and the effort of measuring."""

    nodes: int = 600
    hubs: int = 40
    days: int = 7
    per_day: int = 57_000
    parcels: int = 1_000_000
    threads: int = 2
    rounds: int = 5  # of interleaved repeats; the best of each is reported
    sampled: dict[str, int] = field(default_factory=lambda: {"scipy": 4, "rustworkx": 2, "networkx": 1})
    copy_mb: int = 1024
    lookups: int = 200_000
    growth_parcels: int = 400_000  # enough for weights to be grouped at every size
    growth_outcomes: tuple[int, ...] = (1,)


FULL = Size()
LONG = Size(rounds=15, parcels=4_000_000, growth_parcels=1_000_000, growth_outcomes=(1, 8))
SMALLEST = Size(
    nodes=30, hubs=5, days=3, per_day=600, parcels=300, rounds=2, copy_mb=4, lookups=500, growth_parcels=200
)
