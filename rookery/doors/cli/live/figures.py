"""What the live demo is asked to do, and what there is to be seen of it."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rookery.network.sample import Size

EVENTS = 200
"""So many of the last events are kept."""
RATE_S = 5.0
"""Scans a second are counted over so long."""


@dataclass(frozen=True)
class Wanted:
    """How the demo runs. orders: a simulated hour; wave_hours: simulated hours between waves; seconds: of the wall,
    from when things move, after which it ends by itself (None = never).
    """

    root: Path
    size: Size = "world"
    speed: float = 600.0
    orders: int = 200
    wave_hours: float = 4.0
    seed: int = 7
    seconds: float | None = None
    reset: bool = False
    as_json: bool = False


@dataclass
class Figures:
    """What is seen now; written by the threads of the demo, each its own part, and read by the dashboard."""

    wanted: Wanted
    began: float = field(default_factory=time.monotonic)
    now: datetime | None = None
    doing: str = "starting"
    speed: float = 0.0
    url: str = ""
    hub: str = ""
    orders: int = 0
    booked: int = 0
    unassigned: int = 0
    rerouted: int = 0
    waves: int = 0
    wave_s: float = 0.0
    sent: int = 0
    taken: int = 0
    repeated: int = 0
    refused: int = 0
    lag_s: float = 0.0
    states: dict[str, int] = field(default_factory=dict)
    missed: int = 0
    on_time: int = 0
    first_movement_s: float | None = None
    chances: list[int] = field(default_factory=list)
    known: int = 0
    cases: list[dict[str, Any]] = field(default_factory=list)
    closures: list[dict[str, Any]] = field(default_factory=list)
    cases_open: int = 0
    cases_seen: int = 0
    rebooked: int = 0
    webhooks: int = 0
    trouble: str = ""
    events: deque[tuple[datetime | None, str]] = field(default_factory=lambda: deque(maxlen=EVENTS))
    _scans: deque[tuple[float, int]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def elapsed_s(self) -> float:
        """Seconds of the wall since the command began."""
        return time.monotonic() - self.began

    def tell(self, what: str) -> None:
        """An event, at the simulated instant it is."""
        self.events.append((self.now, what))

    def scanned(self, count: int) -> None:
        """So many scans were taken just now."""
        with self._lock:
            self.taken += count
            self._scans.append((time.monotonic(), count))
            if self.first_movement_s is None and count:
                self.first_movement_s = self.elapsed_s

    @property
    def scans_per_s(self) -> float:
        """Scans taken a second of the wall, of late."""
        with self._lock:
            since = time.monotonic() - RATE_S
            while self._scans and self._scans[0][0] < since:
                self._scans.popleft()
            return sum(count for _, count in self._scans) / RATE_S

    def summary(self) -> dict[str, Any]:
        """The run in figures."""
        return {
            "simulated_until": self.now, "seconds": round(self.elapsed_s, 1),
            "first_movement_s": None if self.first_movement_s is None else round(self.first_movement_s, 1),
            "orders": self.orders, "booked": self.booked, "unassigned": self.unassigned, "waves": self.waves,
            "scans": {"sent": self.sent, "taken": self.taken, "repeated": self.repeated, "refused": self.refused},
            "parcels": self.states, "missed_connections": self.missed, "delivered_on_time": self.on_time,
            "cases_open": self.cases_open, "cases_seen": self.cases_seen, "rebooked": self.rebooked,
            "webhooks": self.webhooks,
        }  # fmt: skip
