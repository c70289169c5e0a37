"""The demand of sixteen columns spread over the departures that their policies ride: expected loads in one pass.

The mirror of the backward scan: departures are visited from the first cut-off to the last. `held` is what waits at
each node, `inbox` what arrives in time for a departure and none before it. A departure takes those of the columns
whose bit is set and hands them, split over its outcomes, to what they catch.
"""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rookery.planning.engine.arrays import Block, Net
from rookery.planning.engine.vector import add, bits_less, fma, load, minus, only, rows, splat, store, times, total


class Demand(NamedTuple):
    """What one block has to carry: m entries, each some pieces of one column that can first catch one row."""

    row: NDArray  # int32 (m): N = none
    lane: NDArray  # int16 (m)
    pieces: NDArray  # float64 (m)
    refusal: NDArray  # float64 (m): value, as counted in the tables, from which refusing is cheaper


def spread_buffers(net: Net, dtype) -> dict[str, np.ndarray]:
    """Working memory of one thread: (N + 1) x 16 numbers, which every pass leaves at 0, and N x 2 for the loads."""
    memory = {
        "inbox": rows(len(net.frm) + 1, dtype),
        "waiting": rows(len(net.node_from) - 1, dtype),
        "loads": np.zeros((len(net.frm), 2)),
    }
    memory["inbox"][:] = 0
    return memory


@njit(nogil=True, cache=True)
def worth(value, demand: Demand, share: float):
    """What `share` of the demand costs, as counted in the tables; refusing is taken where it is cheaper."""
    cost = 0.0
    for i in range(len(demand.row)):
        cost += demand.pieces[i] * min(value[demand.row[i], demand.lane[i]], demand.refusal[i])
    return share * cost


@njit(nogil=True, cache=True)
def spread(net: Net, block: Block, value, ride, demand: Demand, share: float, inbox, waiting, loads):
    """Add to `loads` (N, 2: pieces, chargeable kilograms) what `share` of the demand is expected to ride."""
    count = len(net.frm)
    kilograms = load(block.kilograms, 0, value)
    none = splat(0.0, value)
    waiting[:] = 0
    first = count
    for i in range(len(demand.row)):
        row = demand.row[i]
        if value[row, demand.lane[i]] < demand.refusal[i]:
            inbox[row, demand.lane[i]] += share * demand.pieces[i]
            first = min(first, row)
    for row in range(first, count):
        node = net.frm[row]
        here = add(load(waiting, node, value), load(inbox, row, value))
        bits = np.uint16(bits_less(none, here))
        if bits == 0:
            continue
        store(inbox, row, none)
        bits = np.uint16(bits & ride[net.place[row]])
        if bits != 0:
            going = only(here, bits)
            here = minus(here, going)
            loads[row, 0] += total(going)
            loads[row, 1] += total(times(going, kilograms))
            low, high = block.first[net.to[row]], block.last[net.to[row]]
            if low < high:  # delivered
                going = only(going, np.uint16(~(((1 << high) - 1) ^ ((1 << low) - 1))))
            for place in range(net.catch_from[row], net.catch_from[row + 1]):
                caught = net.catch_row[place]
                part = splat(net.catch_share[place], value)
                store(inbox, caught, fma(part, going, load(inbox, caught, value)))
        store(waiting, node, here)
    store(inbox, count, none)


@njit(nogil=True, cache=True)
def collect(loads, density: float, carried):
    """Move `loads` (N, 2: pieces, chargeable kilograms) to `carried` (N, 2: pieces, actual kilograms), leaving 0."""
    for row in range(len(loads)):
        carried[row, 0] += loads[row, 0]
        carried[row, 1] += density * loads[row, 1]
        loads[row, 0] = 0.0
        loads[row, 1] = 0.0
