"""How large the measured peak days are, how good the plans have to be, and how long anyone may take."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.capacity.problem import LADDER, PeakDay

SECONDS = {"plain": 300.0, "real": 400.0, "stochastic": 300.0, "disruption": 100.0}
"""Of improving, in each part, after which a plan has to be good enough."""


@dataclass(frozen=True)
class Size:
    """The peak day, the effort of planning and measuring it, the peers' sizes, and the parcels of the growth."""

    day: PeakDay = field(default_factory=PeakDay)
    threads: int = 2
    rounds: int = 5  # of each yardstick; the best counts
    seconds: dict[str, float] = field(default_factory=lambda: dict(SECONDS))
    stretch: bool = False  # the plain form to the last gap asked for, too
    ladder: tuple[PeakDay, ...] = tuple(LADDER)
    peer_seconds: float = 60.0  # of a peer on one size
    growth: tuple[int, ...] = (250_000, 1_000_000, 4_000_000)
    wider: int = 1_000_000  # parcels that are planned to twice the destinations


FULL = Size()
LONG = Size(
    rounds=9,
    seconds=dict.fromkeys(SECONDS, 900.0),
    stretch=True,
    peer_seconds=300.0,
    growth=(250_000, 1_000_000, 4_000_000, 10_000_000),
)
SMALLEST = Size(
    day=PeakDay(12, 3, 3, 300, 6000),
    rounds=1,
    seconds=dict.fromkeys(SECONDS, 2.0),
    ladder=(PeakDay(12, 3, 3, 300, 6000),),
    peer_seconds=60.0,
    growth=(6000,),
    wider=3000,
)
