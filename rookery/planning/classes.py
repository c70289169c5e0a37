"""Parcels sorted into classes, and classes into columns of the tables.

A *class* is a destination, zone, due time, costs of lateness and time, confidence and set of lanes that may be ridden.
Within a class only the chargeable weight differs, and for every policy the cost is a straight line in it, so that the
optimum is concave: columns at a few weights bound every weight between them from below (the chord) and offer it a
policy (the nearer column's). See docs/decisions/0004-weights.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.engine.vector import LANES

CLASS_KEYS = [
    "destination",
    "zone",
    "due_at",
    "late_cost",
    "late_cost_per_day",
    "time_cost_per_day",
    "limit_class",
    "confidence",
]


LIMITS = ("goods", "weight", "side", "mode")


def limit_classes(
    limit_sets: pl.DataFrame, parcels: pl.DataFrame, limits: tuple[str, ...] = LIMITS
) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """Which limit sets each kind of parcel may ride: (allowed (kinds, sets), kind of each parcel (n)).

    limits: those that are looked at; the others are taken as met.
    """
    heaviest, longest = (np.unique(limit_sets[name].to_numpy()) for name in ("max_weight_g", "max_side_mm"))
    heavy = np.searchsorted(heaviest, parcels["weight_g"].to_numpy())
    long = np.searchsorted(longest, parcels["side_mm"].to_numpy())
    keys = np.column_stack([parcels["goods"].to_numpy(), parcels["modes"].to_numpy(), heavy, long]).astype(np.int64)
    span = keys.max(axis=0, initial=0) + 1
    code = np.ravel_multi_index(tuple(keys.T), tuple(int(s) for s in span)) if len(keys) else np.zeros(0, np.int64)
    _, first, kind = np.unique(code, return_index=True, return_inverse=True)
    allowed = np.zeros((len(first), len(limit_sets)), np.bool_)
    accepts, weight, side, mode = (limit_sets[name].to_numpy() for name in limit_sets.columns)
    for number, parcel in enumerate(first):
        goods, modes, heavy_place, long_place = keys[parcel]
        met = {
            "goods": (accepts >> goods) & 1 == 1,
            "weight": np.searchsorted(heaviest, weight) >= heavy_place,
            "side": np.searchsorted(longest, side) >= long_place,
            "mode": (modes >> mode) & 1 == 1,
        }
        allowed[number] = np.all([met[limit] for limit in limits], axis=0)
    rows, merged = np.unique(allowed, axis=0, return_inverse=True)
    return rows, merged.reshape(-1)[kind].astype(np.int32)


def classes_of(parcels: pl.DataFrame, beside: NDArray[np.int32]) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """The distinct classes (columns CLASS_KEYS) and the number of each parcel's (n).

    Classes of one destination follow one another, destinations in the order of their rank in `beside`.
    """
    keys = parcels.select(CLASS_KEYS)
    unique = keys.unique()
    unique = unique.with_columns(rank=pl.Series(beside[unique["destination"].to_numpy()], dtype=pl.Int32))
    classes = unique.sort("rank", *CLASS_KEYS).drop("rank").with_row_index("class")
    number = keys.join(classes, on=CLASS_KEYS, how="left", maintain_order="left")["class"].to_numpy()
    return classes.drop("class"), number.astype(np.int64)


@dataclass(frozen=True)
class Grid:
    """Columns for some parcels: class and chargeable weight of each, and where each parcel stands between them.

    Column c stands in lane `place[c] % 16` of block `place[c] // 16`; the columns of a bracketed class share a block.
    """

    class_of: NDArray[np.int64]  # (C)
    grams: NDArray[np.float64]  # (C)
    place: NDArray[np.int64]  # (C)
    near: NDArray[np.int64]  # (n) column
    far: NDArray[np.int64]  # (n) column
    share_far: NDArray[np.float64]  # (n)


def weigh(class_of: NDArray[np.int64], grams: NDArray[np.float64], most: int) -> Grid:
    """Choose at most `most` weights a class, spread evenly in ratio between its lightest and heaviest parcel.

    most 0: every distinct weight gets its own column. Otherwise 2 <= most <= 16.
    """
    weights, rank = np.unique(grams, return_inverse=True)
    span = len(weights) + 1
    key = class_of * span + rank  # one sortable whole number: class, then weight
    keys = np.sort(key)  # a sort is several times faster than what np.unique does with whole numbers
    keys = keys[np.diff(keys, prepend=-1) != 0]
    if most and len(keys):
        keys = _spread(keys, weights, most)
    pair_class, pair_grams = keys // span, weights[keys % span]
    above = np.searchsorted(keys, key)
    below = np.where(keys[above] == key, above, above - 1)
    low, high = pair_grams[below], pair_grams[above]
    share = np.divide(grams - low, high - low, out=np.zeros(len(grams)), where=high > low)
    nearer_above = grams > np.sqrt(low * high)
    return Grid(
        class_of=pair_class,
        grams=pair_grams,
        place=_pack(pair_class) if most else np.arange(len(pair_class)),
        near=np.where(nearer_above, above, below),
        far=np.where(nearer_above, below, above),
        share_far=np.where(nearer_above, 1 - share, share),
    )


def _spread(keys: NDArray[np.int64], weights: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """The sorted (class, weight rank) keys to keep."""
    span = len(weights) + 1
    class_of = keys // span
    begin = np.flatnonzero(np.diff(class_of, prepend=-1))
    end = np.append(begin[1:], len(keys)) - 1
    keep = np.repeat(end - begin < most, end - begin + 1)
    light, heavy = weights[keys[begin] % span], weights[keys[end] % span]
    for step in range(most):
        target = light * (heavy / light) ** (step / (most - 1))
        found = np.searchsorted(keys, class_of[begin] * span + np.searchsorted(weights, target * (1 - 1e-12)))
        keep[np.clip(found, begin, end)] = True
    return keys[keep]


def _pack(class_of: NDArray) -> NDArray[np.int64]:
    """Places of columns in blocks of 16, so that no class is split (classes have at most 16)."""
    begin = np.flatnonzero(np.diff(class_of, prepend=-1))
    size = np.diff(np.append(begin, len(class_of)))
    starts = np.empty(len(begin), np.int64)
    place = 0
    for number, columns in enumerate(size.tolist()):
        if place % LANES + columns > LANES:
            place += LANES - place % LANES
        starts[number] = place
        place += columns
    return np.repeat(starts - begin, size) + np.arange(len(class_of))
