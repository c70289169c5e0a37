"""A calibration: what became of a plan's chances and promises when it was rehearsed, to be told with the next one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from rookery.terms.errors import InvalidInput

MOST_DAYS = 60


class Calibration(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Chances as they turned out, and by how many days promises have to be later to be kept as often as they say.

    predicted, realised: points of a line that never falls, between 0 and 1, constant beyond its ends; later_days: for
    each service_id ("" = no service); the rest says what it was learnt from. Raises InvalidInput, with all faults, for
    points that are no such line and for days outside 0 to 60.
    """

    program: str = "rookery calibration"
    feed_sha256: str = ""
    policy: str = ""
    runs: int = 0
    seed: int = 0
    trouble: dict[str, float] = field(default_factory=dict)
    predicted: tuple[float, ...]
    realised: tuple[float, ...]
    later_days: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = []
        if not self.predicted or len(self.predicted) != len(self.realised):
            faults.append("predicted and realised do not hold the same number of points, one at least")
        if not all(0 <= share <= 1 for share in (*self.predicted, *self.realised)):
            faults.append("a point lies outside 0 to 1")
        if any(b <= a for a, b in pairwise(self.predicted)) or any(b < a for a, b in pairwise(self.realised)):
            faults.append("predicted does not rise from point to point, or realised falls")
        faults += [
            f"later_days of {service or 'no service'} is {days}, not 0 to {MOST_DAYS}"
            for service, days in self.later_days.items()
            if not 0 <= days <= MOST_DAYS
        ]
        if faults:
            raise InvalidInput(
                "calibration.senseless", f"The calibration makes no sense: {'; '.join(faults)}.",
                "take one that `rookery twin --out` wrote",
            )  # fmt: skip

    def chances(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """What predicted chances (n) turned out to be."""
        return np.interp(predicted, self.predicted, self.realised)
