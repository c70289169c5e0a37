"""What sixteen policies promise a parcel that stands at one row: costs, times and chances, by their ride bits alone."""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false

from __future__ import annotations

import numpy as np
from numba import njit

from rookery.planning.engine.arrays import Block, Net
from rookery.planning.engine.walk import push, ride_from

FIXED, PER_KG, EXPECTED, PROMISED, CHANCE = range(5)


@njit(nogil=True, cache=True)
def leading_on(value, ride, order, kept):
    """Bits of one block by place; without those that ride where nothing leads on, which mean nothing."""
    for place in range(len(order)):
        bits = ride[place]
        if bits != 0:
            for lane in range(value.shape[1]):
                if not value[order[place], lane] < np.inf:
                    bits &= ~(np.uint16(1) << np.uint16(lane))
        kept[place] = bits


@njit(nogil=True, cache=True)
def promises(net: Net, block: Block, ride, row: int, confidence: float, ends, out):
    """For each of the sixteen columns: price a parcel, price a kilogram, expected minute, promised minute (the first of
    the sorted `ends` by which it is delivered with `confidence`) and the chance of that; infinite where none leads on.

    out: float64 (16, 5). `block.due` is written to: it must be the caller's own.
    """
    rides = np.empty(64, np.int32)
    chances = np.empty(64, np.float64)
    for column in range(16):
        out[column, :] = np.inf
        if ride_from(net, ride, column, row) == len(net.frm):
            continue
        promised = -1
        for again in range(2):  # by when, then how surely by the end of that day
            if again == 1:
                block.due[column] = promised
            rides, chances, _, fixed, per_kg, _, chance, mean, by = push(
                net, block, ride, column, row, confidence, rides, chances, 0
            )
            place = np.searchsorted(ends, by)
            if place == len(ends):
                promised = -1
                break
            promised = ends[place]
            out[column, 0] = fixed
            out[column, 1] = per_kg
            out[column, 2] = mean
            out[column, 3] = promised
            out[column, 4] = chance
        if promised < 0:
            out[column, :] = np.inf
