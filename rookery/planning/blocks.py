"""Blocks of columns: scanned and followed one by one on each thread, then dropped."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.classes import Grid
from rookery.planning.engine.arrays import Block, Found, Net, Parcels
from rookery.planning.engine.scan import (
    buffers,
    rounding_down,
    scan_certain,
    scan_cost,
    scan_exact,
    with_chance,
    with_when,
)
from rookery.planning.engine.vector import LANES, rows
from rookery.planning.engine.walk import forward
from rookery.planning.timetable import Timetable, durations, slices
from rookery.terms.time import NEVER


@dataclass(frozen=True)
class LastMiles:
    """Delivery minutes of each zone (Z + 1, K), the last row being "no zone": nothing after the node."""

    minutes: NDArray[np.int32]
    cost: NDArray[np.float64]


def last_miles(
    zones: pl.DataFrame, ids: list[str], tables: list[list[tuple[float, float]]], outcomes: int
) -> LastMiles:
    """Outcomes of the last mile after each zone's node."""
    number = {name: place for place, name in enumerate(ids)}
    distribution = np.array([number.get(name, -1) for name in zones["delivery_id"]], np.int32)
    minutes = durations(zones["delivery_minutes"].to_numpy(), distribution, tables, slices(outcomes))
    return LastMiles(
        minutes=np.vstack([minutes, np.zeros((1, outcomes), np.int64)]).astype(np.int32),
        cost=np.append(zones["delivery_cost"].to_numpy(), 0.0),
    )


class Itineraries:
    """Itineraries as they are found: groups of parcels share one."""

    def __init__(self, count: int):
        self.parts: list[NDArray[np.int32]] = []
        self.size = 0
        self.begin = np.zeros(count, np.int64)
        self.length = np.zeros(count, np.int64)

    def add(self, parcels: NDArray, group: NDArray, legs: NDArray, leg_from: NDArray) -> None:
        self.begin[parcels] = self.size + leg_from[group]
        self.length[parcels] = (leg_from[1:] - leg_from[:-1])[group]
        self.parts.append(legs)
        self.size += len(legs)

    def flat(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """All legs, parcel after parcel, and where each parcel's begin (n + 1)."""
        every = np.concatenate(self.parts) if self.parts else np.zeros(0, np.int32)
        leg_from = np.concatenate([[0], np.cumsum(self.length)]).astype(np.int64)
        source = np.arange(leg_from[-1]) + np.repeat(self.begin - leg_from[:-1], self.length)
        return every[source], leg_from


class Work:
    """Runs the blocks of a grid on threads, each with its own tables."""

    def __init__(
        self, timetable: Timetable, classes: pl.DataFrame, allowed: NDArray, miles: LastMiles, dtype, threads: int
    ):
        self.timetable, self.miles, self.dtype, self.threads = timetable, miles, dtype, threads
        self.net: Net = timetable.net_as(dtype)
        self.exact = dtype is np.float64
        self.nodes = len(self.net.node_from) - 1
        self.classes = {name: classes[name].to_numpy() for name in classes.columns}
        self.barred = np.where(allowed, 0.0, np.inf).astype(dtype)  # (kinds, limit sets)
        self.memory: SimpleQueue = SimpleQueue()
        self.all_loads: list[NDArray] = []
        for _ in range(threads):
            loads = np.zeros((len(self.net.frm), 2))
            self.memory.put((self._buffers(), loads))
            self.all_loads.append(loads)
        self.columns = 0

    def _buffers(self) -> dict[str, NDArray]:
        memory = buffers(self.net, self.dtype)
        return with_when(self.net, with_chance(self.net, memory, np.float64)) if self.exact else memory

    def loads(self) -> NDArray[np.float64]:
        return np.sum(self.all_loads, axis=0)

    def run(self, grid: Grid, which, row, grams, column, tolerance, found: Found, book: Itineraries, progress) -> None:
        """Scan every block of `grid` and follow the parcels `which` through it."""
        self.columns += len(grid.place)
        near, far = grid.place[grid.near], grid.place[grid.far]
        order = np.argsort(near * (len(self.net.frm) + 1) + row[which])
        which, near, far, share = which[order], near[order], far[order], grid.share_far[order]
        blocks = int(grid.place.max()) // LANES + 1
        column_from = np.searchsorted(grid.place, np.arange(blocks + 1) * LANES)
        parcel_from = np.searchsorted(near, np.arange(blocks + 1) * LANES)

        def one(number: int):
            columns = slice(column_from[number], column_from[number + 1])
            part = slice(parcel_from[number], parcel_from[number + 1])
            mine = which[part]
            block = self._block(grid, columns)
            parcels = Parcels(
                near=(near[part] % LANES).astype(np.int16),
                far=(far[part] % LANES).astype(np.int16),
                share_far=share[part],
                row=row[mine],
                kilograms=grams[mine] / 1000.0,
                confidence=column["confidence"][mine],
                pieces=column["pieces"][mine].astype(np.float64),
                grams=column["pieces"][mine] * column["weight_g"][mine],
            )
            out = Found(*(np.empty(len(mine), getattr(found, name).dtype) for name in Found._fields))
            memory, loads = self.memory.get()
            try:
                legs, leg_from = self._scan_and_follow(block, parcels, tolerance, memory, loads, out)
            finally:
                self.memory.put((memory, loads))
            return mine, out, legs, leg_from

        for done, (mine, out, legs, leg_from) in enumerate(_parallel(one, blocks, self.threads), 1):
            book.add(mine, out.group, legs, leg_from)
            for name in Found._fields:
                getattr(found, name)[mine] = getattr(out, name)
            progress("plan", done, blocks)

    def _scan_and_follow(
        self, block: Block, parcels: Parcels, tolerance, memory, loads, out: Found
    ) -> tuple[NDArray, NDArray]:
        net, timetable = self.net, self.timetable
        down = rounding_down(self.dtype, timetable.outcomes)
        tables = (memory["value"], memory["held"], memory["spare"], memory["ride"])
        first = int(parcels.row.min(initial=len(net.frm)))
        if self.exact:
            finer = (memory["chance"], memory["held_chance"], memory["when"], memory["held_when"])
            scan_exact(net, block, first, down, int(NEVER), *tables, *finer)
        elif timetable.outcomes == 1:
            scan_certain(net, block, first, down, int(NEVER), *tables)
        else:
            scan_cost(net, block, first, down, int(NEVER), *tables)
        # prices and chances of what parcels really do are summed in 8 bytes, whatever the tables have
        legs, leg_from = forward(
            timetable.net,
            block,
            memory["value"],
            memory["ride"],
            parcels,
            tolerance,
            loads,
            out,
            np.empty(1024, np.int32),
        )
        return legs, leg_from

    def _block(self, grid: Grid, columns: slice) -> Block:
        """Sixteen columns as arrays."""
        lane = grid.place[columns] % LANES
        of = {name: values[grid.class_of[columns]] for name, values in self.classes.items()}
        return make_block(
            self.dtype,
            self.nodes,
            lane,
            kilograms=grid.grams[columns] / 1000.0,
            barred=self.barred[of["limit_class"]],
            destination=of["destination"],
            due=of["due_at"],
            late=of["late_cost"],
            late_day=of["late_cost_per_day"],
            rate=of["time_cost_per_day"] / 1440,
            delivery=self.miles.minutes[of["zone"]],
        )


def make_block(
    dtype, nodes: int, lane, *, kilograms, barred, destination, due, late, late_day, rate, delivery
) -> Block:
    """A block with one column in each lane named (ascending, a destination's side by side).

    barred: (columns, limit sets); delivery: (columns, K) minutes; the others one number a column.
    """

    def lanes(values, fill, kind):
        full = np.full(LANES, fill, kind)
        full[lane] = values
        return full

    weights = rows(1, dtype)
    weights[0] = lanes(kilograms, 0.0, dtype)
    bars = rows(barred.shape[1], dtype)
    bars[:] = np.inf
    bars[:, lane] = barred.T
    first, last = np.zeros(nodes, np.int16), np.zeros(nodes, np.int16)
    first[destination[::-1]] = lane[::-1]  # of several lanes of a node, the last one written holds: here the lowest
    last[destination] = lane + 1
    minutes = np.zeros((LANES, delivery.shape[1]), np.int32)
    minutes[lane] = delivery
    return Block(
        kilograms=weights,
        barred=bars,
        first=first,
        last=last,
        due=lanes(due, NEVER, np.int64),
        late=lanes(late, 0.0, np.float64),
        late_day=lanes(late_day, 0.0, np.float64),
        rate=lanes(rate, 0.0, np.float64),
        delivery=minutes,
    )


def _parallel(task, count: int, threads: int) -> Iterator:
    """Results of task(0) .. task(count - 1) in order, with no more than a few ahead of the reader."""
    with ThreadPoolExecutor(threads) as pool:
        ahead = [pool.submit(task, number) for number in range(min(count, 4 * threads))]
        try:
            for number in range(count):
                yield ahead[number].result()
                ahead[number] = None  # type: ignore[call-overload]
                if len(ahead) < count:
                    ahead.append(pool.submit(task, len(ahead)))
        finally:  # whoever stops the reader does not wait for what has not begun
            pool.shutdown(wait=False, cancel_futures=True)
