"""Policy tables of one destination, kept: for one parcel's explanation, a quote, or the files that others look up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.blocks import LastMiles, make_block
from rookery.planning.classes import limit_classes
from rookery.planning.engine.arrays import Block, Net
from rookery.planning.engine.scan import buffers, rounding_down, scan_exact, with_chance, with_when
from rookery.planning.engine.walk import push, ride_worth, walk
from rookery.planning.timetable import Timetable
from rookery.terms.time import DAY, NEVER


@dataclass(frozen=True)
class Journey:
    """What a policy leads to, for one piece: costs, times in minutes, the legs along median times (rows)."""

    transport: float  # expected price of the legs
    after: float  # expected cost of lateness and time from net.start on
    on_time: float
    expected_at: float
    by_at: int  # delivered by then with the confidence asked for
    legs: NDArray[np.int32]


@dataclass(frozen=True)
class Tables:
    """Value and chance of up to sixteen columns at every row, in 8-byte numbers."""

    net: Net
    block: Block
    value: NDArray[np.float64]  # (N + 1, 16)
    ride: NDArray[np.uint16]  # (N + 1): bit of column j set where it rides, by place
    chance: NDArray[np.float64]

    def worth(self, column: int, row: int) -> tuple[float, float]:
        """Cost from here on and P(on time) of riding `row` in `column`."""
        return ride_worth(self.net, self.block, self.value, self.chance, column, row, int(NEVER))

    def chance_by(self, column: int, row: int, minute: int) -> float:
        """Chance that the policy of `column` delivers by `minute` a parcel that can first catch `row`."""
        due = self.block.due.copy()
        due[column] = minute
        rides, chances = np.empty(64, np.int32), np.empty(64, np.float64)
        block = self.block._replace(due=due)
        return float(push(self.net, block, self.ride, column, row, 0.5, rides, chances, 0)[6])

    def follow(self, column: int, row: int, confidence: float) -> Journey | None:
        """Where the policy of `column` leads a parcel that can first catch `row`; None = nowhere."""
        if row == len(self.net.frm) or not np.isfinite(self.value[row, column]):
            return None
        kilograms = float(self.block.kilograms[0, column])
        legs, size = walk(self.net, self.block, self.ride, column, row, np.empty(16, np.int32), 0)
        rides, chances = np.empty(64, np.int32), np.empty(64, np.float64)
        _, _, _, fixed, per_kg, after, on_time, mean, by = push(
            self.net, self.block, self.ride, column, row, confidence, rides, chances, 0
        )
        return Journey(fixed + per_kg * kilograms, after, on_time, mean, int(by), np.asarray(legs[:size], np.int32))


def parcel_tables(
    timetable: Timetable,
    miles: LastMiles,
    parcel: pl.DataFrame,
    due: Sequence[int],
    late: Sequence[float],
    late_day: Sequence[float],
    time_per_day: Sequence[float],
) -> Tables:
    """Tables of one parcel (one row of schema PARCELS) under up to sixteen wishes: due minute and costs of each."""
    count = len(due)
    allowed, kind = limit_classes(timetable.limit_sets, parcel)
    zone = int(parcel["zone"][0])
    block = make_block(
        np.float64,
        len(timetable.net.node_from) - 1,
        np.arange(count),
        kilograms=np.full(count, parcel["chargeable_g"][0] / 1000.0),
        barred=np.repeat(np.where(allowed[kind], 0.0, np.inf), count, axis=0),
        destination=np.full(count, parcel["destination"][0]),
        due=np.asarray(due, np.int64),
        late=np.asarray(late, np.float64),
        late_day=np.asarray(late_day, np.float64),
        rate=np.asarray(time_per_day, np.float64) / DAY,
        delivery=np.repeat(miles.minutes[[zone]], count, axis=0),
    )
    return scan_tables(timetable, block)


def scan_tables(timetable: Timetable, block: Block) -> Tables:
    """Fill the tables of a block whose numbers are 8 bytes."""
    net = timetable.net
    memory = with_when(net, with_chance(net, buffers(net, np.float64), np.float64))
    down = rounding_down(np.float64, timetable.outcomes)
    names = ("value", "held", "spare", "ride", "chance", "held_chance", "when", "held_when")
    scan_exact(net, block, 0, down, int(NEVER), *(memory[name] for name in names))
    return Tables(net, block, memory["value"], memory["ride"], memory["chance"])
