"""How much one asker may ask for in a time: a bucket of tokens for each, filled steadily."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from math import ceil

from rookery.terms.errors import TooMany

MOST_ASKERS = 10_000


@dataclass
class Buckets:
    """`rate` requests a second for each asker, `burst` at once; the least recently seen of many askers is forgotten.

    told: what somebody with none left hears, and what to do.
    """

    rate: float
    burst: float
    told: tuple[str, str] = ("Too many requests were sent.", "wait, or use batches")
    _of: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, asker: str, at: float) -> None:
        """One request of an asker at second `at` of a steady clock. Raises TooMany with the time to wait."""
        self.look(asker, at)
        self.spend(asker, at)

    def look(self, asker: str, at: float) -> None:
        """Raises TooMany when an asker has no request left; takes none."""
        left = self._left(asker, at)
        if left < 1:
            wait = max(1, ceil((1 - left) / self.rate))
            raise TooMany("rate.exceeded", *self.told, wait)

    def spend(self, asker: str, at: float) -> None:
        """Takes one request, also where none is left: those who ask in vain wait longer, down to one burst's worth."""
        left = max(self._left(asker, at) - 1, -self.burst)
        self._of.pop(asker, None)
        self._of[asker] = (left, at)
        if len(self._of) > MOST_ASKERS:
            self._of.popitem(last=False)

    def _left(self, asker: str, at: float) -> float:
        left, before = self._of.get(asker, (self.burst, at))
        return min(self.burst, left + (at - before) * self.rate)
