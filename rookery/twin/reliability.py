"""Predicted against realised: whether what was said to happen in nine of ten cases happens in nine of ten."""

from __future__ import annotations

from math import sqrt
from statistics import stdev

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

TENTHS = 10
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086)  # fmt: skip
"""Student's t, two-sided 95%, for 1 to 20 degrees of freedom."""


class Measured(Struct, frozen=True):
    """A figure over several runs: its mean, and the half width of its 95% interval (Student's t; None for one run)."""

    mean: float
    plus_minus: float | None = None


def measured(values: list[float]) -> Measured:
    """A figure from its value in each run. Raises ValueError for none."""
    if not values:
        raise ValueError("no run to measure")
    mean = sum(values) / len(values)
    if len(values) == 1:
        return Measured(mean)
    degrees = len(values) - 1
    wide = T_95[degrees - 1] if degrees <= len(T_95) else 1.96 + 2.4 / degrees  # off by 0.006 at most
    return Measured(mean, wide * stdev(values) / sqrt(len(values)))


def reliability(predicted: NDArray[np.float64], realised: NDArray[np.float64], pieces: NDArray) -> pl.DataFrame:
    """One row a tenth of predicted chances that holds anyone: from, until, parcels, share, predicted, realised, off.

    predicted, realised (share of runs), pieces: (n). `off` is realised less predicted, in percentage points.
    """
    tenth = np.minimum((predicted * TENTHS).astype(np.int64), TENTHS - 1)
    weight = np.bincount(tenth, pieces, TENTHS)
    held = np.flatnonzero(weight > 0)
    means = [np.bincount(tenth, pieces * each, TENTHS)[held] / weight[held] for each in (predicted, realised)]
    return pl.DataFrame(
        {
            "from": held / TENTHS,
            "until": (held + 1) / TENTHS,
            "parcels": weight[held],
            "share": weight[held] / max(weight.sum(), 1.0),
            "predicted": means[0],
            "realised": means[1],
            "off": 100 * (means[1] - means[0]),
        }
    )


LEAST_SHARE = 0.002
"""Of the parcels that a point of a calibration stands for, at least."""


def rising(predicted: NDArray[np.float64], realised: NDArray[np.float64], pieces: NDArray) -> tuple[NDArray, NDArray]:
    """The line of realised over predicted chances that never falls and lies nearest: its points (predicted, realised).

    predicted, realised, pieces: (n). Least squares by pooling neighbours that fall (Ayer et al., 1955), after parcels
    of like predictions have been put together, a five-hundredth of all at least.
    """
    order = np.argsort(predicted, kind="stable")
    x, y, w = predicted[order], realised[order], pieces[order].astype(np.float64)
    # a new group where enough has gathered and the prediction changes
    group = np.floor(np.cumsum(w) / max(w.sum() * LEAST_SHARE, 1e-12))
    first = np.flatnonzero(np.diff(x, prepend=-1.0) > 0)
    of_value = np.repeat(group[first], np.diff(np.append(first, len(x))))
    starts = np.flatnonzero(np.diff(of_value, prepend=-1.0) != 0)
    weight = np.add.reduceat(w, starts)
    blocks = [
        [weight_, weight_ * x_, weight_ * y_]
        for weight_, x_, y_ in zip(
            weight, np.add.reduceat(w * x, starts) / weight, np.add.reduceat(w * y, starts) / weight
        )
    ]
    pooled: list[list[float]] = []
    for block in blocks:
        pooled.append(block)
        while len(pooled) > 1 and pooled[-2][2] / pooled[-2][0] >= pooled[-1][2] / pooled[-1][0]:
            last = pooled.pop()
            pooled[-1] = [a + b for a, b in zip(pooled[-1], last)]
    mass, sums, found = np.array(pooled).T
    return sums / mass, np.clip(found / mass, 0.0, 1.0)
