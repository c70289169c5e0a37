"""Kinds of parcels that are under way, and the columns of an outlook: which policy each parcel goes by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.classes import limit_classes

CLASSES: dict[str, pl.DataType] = {
    "destination": pl.Int32(),
    "zone": pl.Int32(),  # -1 = delivered at the node
    "goods": pl.Int8(),  # place in terms.goods.GOODS
    "modes": pl.Int32(),  # bit set over terms.goods.MODES
    "weight_g": pl.Float64(),
    "side_mm": pl.Float64(),
    "chargeable_g": pl.Float64(),
    "due_at": pl.Int64(),  # minute, as promised; terms.time.NEVER = never late
    "late_cost": pl.Float64(),
    "late_cost_per_day": pl.Float64(),
    "time_cost_per_day": pl.Float64(),
}
"""A kind of parcel: whither, what may carry it, and what it costs to be late."""

HOUR = 60
BUCKETS_A_DOUBLING = 2
"""Weights that policies are made for, between a weight and its double."""
KIND = ["destination", "zone", "allowed"]
COSTS = ["late_cost", "late_cost_per_day", "time_cost_per_day"]
STRAND = [*KIND, *COSTS]
COLUMN = [*STRAND, "hour", "bucket"]


@dataclass
class Kinds:
    """What parcels may ride, numbered alike for whoever asks: a bit for each limit set of the timetable."""

    limit_sets: pl.DataFrame

    def __post_init__(self) -> None:
        self._number: dict[bytes, int] = {}

    def allowed(self, number: int) -> NDArray[np.bool_]:
        """The limit sets (sets) that kind `number` may ride."""
        packed = list(self._number)[number]
        return np.unpackbits(np.frombuffer(packed, np.uint8), count=self.limit_sets.height).astype(np.bool_)

    def keyed(self, classes: pl.DataFrame, *, enter: bool) -> pl.DataFrame:
        """The keys of classes (schema CLASSES): KIND, COSTS, `bucket` of the weight and `hour` of the due minute.

        enter: number what was not seen before; else `allowed` is -1 for it.
        """
        sets, kind = limit_classes(self.limit_sets, classes)
        packed = [row.tobytes() for row in np.packbits(sets, axis=1)]
        if enter:
            for row in packed:
                self._number.setdefault(row, len(self._number))
        number = np.array([self._number.get(row, -1) for row in packed], np.int32)
        grams = np.maximum(classes["chargeable_g"].to_numpy(), 1.0)
        bucket = np.round(np.log2(grams / 1000.0) * BUCKETS_A_DOUBLING).astype(np.int32)
        return classes.select("destination", "zone", *COSTS, "due_at").with_columns(
            allowed=pl.Series(number[kind], dtype=pl.Int32),
            bucket=pl.Series(bucket, dtype=pl.Int32),
            hour=pl.col("due_at") // HOUR,
        )


def columns_of(kinds: Kinds, classes: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most `most` columns for these classes (schema CLASSES), or as many as there are kinds; sorted by COLUMN, with
    `due_at` and `parcels`.

    A column stands for the classes of one weight bucket that are due in one hour, and is made for the earliest of them.
    Where there are too many, the fullest of every kind come first, then the fullest of every kind, costs and hour (a
    policy for another weight misleads less than one for another due time), then the fullest; the others' parcels go by
    the nearest that is kept.
    """
    columns = (
        kinds.keyed(classes, enter=True)
        .group_by(COLUMN)
        .agg(pl.col("due_at").min(), parcels=pl.len())
        .sort("parcels", *COLUMN, descending=[True] + [False] * len(COLUMN))
    )
    if columns.height > most:
        again = pl.int_range(pl.len())
        columns = columns.sort(again.over(KIND) > 0, again.over(COLUMN[:-1]) > 0, maintain_order=True)
        columns = columns.head(max(most, columns.select(KIND).n_unique()))
    return columns.sort(COLUMN)


def columns_for(columns: pl.DataFrame, asked: pl.DataFrame) -> NDArray[np.int32]:
    """The row of `columns` (sorted by COLUMN) by which each parcel goes, from its keys; -1 = none fits.

    Of the columns of its kind: the same costs before others, then the latest that is not due after the hour it is due
    in, else the earliest, then the nearest weight.
    """
    found = np.full(asked.height, -1, np.int32)
    strand, slot_from, slot_hour, strand_from, strands = _layout(columns)
    wanted = asked.select(STRAND).unique()
    offered = strands.select("strand", *KIND, *(pl.col(name).alias(f"{name}_of") for name in COSTS))
    nearest = (
        wanted.join(offered, on=KIND)
        .with_columns(other=pl.sum_horizontal(pl.col(name) != pl.col(f"{name}_of") for name in COSTS))
        .sort("other", "strand")
        .unique(STRAND, keep="first")
        .select(*STRAND, "strand")
    )
    mine = asked.join(nearest, on=STRAND, how="left", maintain_order="left")["strand"]
    known = np.flatnonzero(mine.is_not_null().to_numpy())
    of = mine.drop_nulls().to_numpy().astype(np.int64)
    slot = _last_not_after(strand, slot_hour, of, asked["hour"].to_numpy()[known])
    slot = np.maximum(slot, strand_from[of])  # all are due later: the earliest

    bucket = columns["bucket"].to_numpy().astype(np.int64)
    slots = np.repeat(np.arange(len(slot_hour)), np.diff(slot_from))
    ask = asked["bucket"].to_numpy().astype(np.int64)[known]
    light = np.maximum(_last_not_after(slots, bucket, slot, ask), slot_from[slot])
    heavy = np.minimum(light + 1, slot_from[slot + 1] - 1)
    found[known] = np.where(np.abs(bucket[heavy] - ask) < np.abs(bucket[light] - ask), heavy, light)
    return found


def _layout(columns: pl.DataFrame) -> tuple[NDArray, NDArray, NDArray, NDArray, pl.DataFrame]:
    """Columns as slots (one hour of a strand), slots as strands (one kind and its costs).

    (strand of each slot, where each slot's columns begin, hour of each slot, where each strand's slots begin, strands).
    """
    slots = columns.group_by([*STRAND, "hour"], maintain_order=True).len(name="size")
    strands = slots.group_by(STRAND, maintain_order=True).len(name="size").with_row_index("strand")
    slot_from, strand_from = (
        np.concatenate([[0], np.cumsum(each["size"].to_numpy())]).astype(np.int64) for each in (slots, strands)
    )
    strand = np.repeat(np.arange(strands.height), np.diff(strand_from))
    return strand, slot_from, slots["hour"].to_numpy(), strand_from, strands


def _last_not_after(group: NDArray, value: NDArray, of: NDArray, most: NDArray) -> NDArray[np.int64]:
    """The last place whose (group, value), which are sorted, is not after (of, most), for each asked; -1 = none."""
    values = np.unique(value)
    span = len(values) + 1
    key = group * span + np.searchsorted(values, value) + 1
    return np.searchsorted(key, of * span + np.searchsorted(values, most, side="right"), side="right") - 1
