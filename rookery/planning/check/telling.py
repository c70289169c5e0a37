"""How a plan tells chances and promises: as its policies give them, or as a calibration says they turn out."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rookery.planning.check.days import local_day, utc_minute
from rookery.planning.check.wishes import Wish

_DAY_END = 1439


@dataclass(frozen=True)
class Telling:
    """What stands in a plan for a chance and for the day end of a promise."""

    points: list[tuple[float, float]] = field(default_factory=list)  # rising; none = as they are
    later_days: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: dict[str, Any]) -> Telling:
        """As the manifest says."""
        told = manifest.get("calibration")
        if told is None:
            return cls()
        return cls(list(zip(told["predicted"], told["realised"], strict=True)), dict(told.get("later_days", {})))

    def chance(self, own: float) -> float:
        """A chance on the line through the points, constant beyond its ends."""
        if not self.points or own <= self.points[0][0]:
            return self.points[0][1] if self.points else own
        for (x0, y0), (x1, y1) in pairwise(self.points):
            if own <= x1:
                return y0 + (y1 - y0) * (own - x0) / (x1 - x0)
        return self.points[-1][1]

    def promise(self, wish: Wish, own: int) -> int:
        """The day end that is told of one: so many local days later."""
        later = self.later_days.get(wish.service_id or "", 0)
        return own if later == 0 else utc_minute(wish.timezone, local_day(wish.timezone, own) + later, _DAY_END)
