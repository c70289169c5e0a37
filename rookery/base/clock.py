"""Where time comes from: never from the wall directly, so that a simulated network can run faster than it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Clock:
    """Gives the instant it is now, in UTC."""

    now: Callable[[], datetime]


WALL = Clock(lambda: datetime.now(UTC))
"""The clock on the wall."""
