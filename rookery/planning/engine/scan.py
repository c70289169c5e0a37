"""The backward scan: the value of holding a parcel at every departure, for sixteen columns at a time.

Going through the departures from the last cut-off to the first,

    V(e) = min( V(next departure of the same node) , price(e) + mean over outcomes k of V(catch(e, k)) )

where a departure into the destination is worth the cost of its delivery time instead. The first term is kept in
`held`, one row per node, so that only the caught rows are read from afar. Every sum is multiplied by `down`, a hair
below 1 that exceeds its roundings: the tables never lie above the true value, whatever the depth of the policy.
"""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import numpy as np
from numba import njit

from rookery.planning.engine.arrays import Block, Net
from rookery.planning.engine.vector import add, any_less, fma, less_select, load, prefetch, rows, splat, store, times

AHEAD = 8
"""Departures for which rows are asked for in advance: hides the latency of the cache, any small number does."""


def buffers(net: Net, dtype, chance: bool = False) -> dict[str, np.ndarray]:
    """Working memory of one thread, to be used again for every block: (N + 1) x 16 numbers, twice with chances."""
    count, nodes = len(net.frm), len(net.node_from) - 1
    memory = {"value": rows(count + 1, dtype), "held": rows(nodes, dtype), "spare": rows(2, dtype)}
    memory["value"][count] = np.inf
    if chance:
        memory |= {"chance": rows(count + 1, np.uint16), "held_chance": rows(nodes, dtype)}
        memory["chance"][count] = 0
    return memory


def rounding_down(dtype, outcomes: int):
    """The factor by which every sum is lowered: (K + 4) roundings of at most one half unit each, doubled."""
    return dtype(1) - dtype(outcomes + 4) * np.finfo(dtype).eps


@njit(nogil=True, cache=True)
def delivery_cost(block: Block, column: int, at: int, start: int):
    """Cost of lateness and time of a parcel of `column` ready at its destination at minute `at`, and P(on time)."""
    cost = 0.0
    on_time = 0.0
    outcomes = block.delivery.shape[1]
    for k in range(outcomes):
        delivered = at + block.delivery[column, k]
        cost += (block.rate[column] + block.tie) * (delivered - start)
        if delivered > block.due[column]:
            late_days = (delivered - block.due[column] + 1439) // 1440
            cost += block.late[column] + block.late_day[column] * late_days
        else:
            on_time += 1.0
    return cost / outcomes, on_time / outcomes


@njit(nogil=True, cache=True)
def _deliver(net: Net, block: Block, row: int, spare, never: int, scale, half):
    """Overwrite, in spare rows 0 and 1, the value and chance of the columns that `row` brings to their destination."""
    node = net.to[row]
    outcomes = net.ready.shape[1]
    for column in range(block.first[node], block.last[node]):
        cost = 0.0
        on_time = 0.0
        for k in range(outcomes):
            ready = net.ready[row, k]
            if ready == never:
                cost = np.inf
            else:
                one, chance = delivery_cost(block, column, ready, net.start)
                cost += one
                on_time += chance
        spare[0, column] = cost / outcomes
        spare[1, column] = scale * on_time / outcomes + half


@njit(nogil=True, cache=True)
def scan_certain(net: Net, block: Block, first_row: int, down, never: int, value, held, spare):
    """Fill `value` for K = 1: every departure catches exactly one row. Times before `first_row` are not computed."""
    kilograms = load(block.kilograms, 0, value)
    lower = splat(down, value)
    held[:] = np.inf
    for row in range(len(net.frm) - 1, first_row - 1, -1):
        if row >= AHEAD:
            prefetch(value, net.catch_row[row - AHEAD])
        after = load(value, net.catch_row[row], value)
        if block.first[net.to[row]] < block.last[net.to[row]]:
            store(spare, 0, after)
            _deliver(net, block, row, spare, never, 1.0, 0.0)
            after = load(spare, 0, value)
        price = add(splat(net.fixed[row], value), load(block.barred, net.limits[row], value))
        ride = times(add(fma(splat(net.per_kg[row], value), kilograms, price), after), lower)
        wait = load(held, net.frm[row], value)
        best = less_select(ride, wait, ride, wait)
        store(held, net.frm[row], best)
        store(value, row, best)


@njit(nogil=True, cache=True)
def scan_cost(net: Net, block: Block, first_row: int, down, never: int, value, held, spare):
    """Fill `value` for K outcomes. Infinite in any outcome means infinite: such a departure is not usable.

    The earlier a parcel is at a node the less it has to pay, so the mean over outcomes is at least the value of the
    earliest catch: where that alone is no better than waiting, the other outcomes need not be looked at.
    """
    kilograms = load(block.kilograms, 0, value)
    lower = splat(down, value)
    held[:] = np.inf
    for row in range(len(net.frm) - 1, first_row - 1, -1):
        begin, end = net.catch_from[row], net.catch_from[row + 1]
        arrives = block.first[net.to[row]] < block.last[net.to[row]]
        wait = load(held, net.frm[row], value)
        price = add(splat(net.fixed[row], value), load(block.barred, net.limits[row], value))
        price = fma(splat(net.per_kg[row], value), kilograms, price)
        earliest = load(value, net.catch_row[begin], value)
        best = wait
        if arrives or any_less(times(add(price, earliest), lower), wait):
            after = times(splat(net.catch_share[begin], value), earliest)
            for place in range(begin + 1, end):
                share = splat(net.catch_share[place], value)
                after = fma(share, load(value, net.catch_row[place], value), after)
            if arrives:
                store(spare, 0, after)
                _deliver(net, block, row, spare, never, 1.0, 0.0)
                after = load(spare, 0, value)
            ride = times(add(price, after), lower)
            best = less_select(ride, wait, ride, wait)
            store(held, net.frm[row], best)
        store(value, row, best)


@njit(nogil=True, cache=True)
def scan_chance(
    net: Net, block: Block, first_row: int, down, never: int, value, held, spare, chance, held_chance, scale, half
):
    """Fill `value` and `chance`, the probability of being on time under the cheapest policy.

    Chances are stored as whole parts of `scale` (65535 in two bytes); `half` is what rounds them to the nearest.
    """
    kilograms = load(block.kilograms, 0, value)
    lower = splat(down, value)
    rounding = splat(half, value)
    held[:] = np.inf
    held_chance[:] = half
    for row in range(len(net.frm) - 1, first_row - 1, -1):
        begin, end = net.catch_from[row], net.catch_from[row + 1]
        arrives = block.first[net.to[row]] < block.last[net.to[row]]
        wait = load(held, net.frm[row], value)
        price = add(splat(net.fixed[row], value), load(block.barred, net.limits[row], value))
        price = fma(splat(net.per_kg[row], value), kilograms, price)
        earliest = load(value, net.catch_row[begin], value)
        best = wait
        likely = load(held_chance, net.frm[row], value)
        if arrives or any_less(times(add(price, earliest), lower), wait):
            share = splat(net.catch_share[begin], value)
            after = times(share, earliest)
            on_time = fma(share, load(chance, net.catch_row[begin], value), rounding)
            for place in range(begin + 1, end):
                share = splat(net.catch_share[place], value)
                after = fma(share, load(value, net.catch_row[place], value), after)
                on_time = fma(share, load(chance, net.catch_row[place], value), on_time)
            if arrives:
                store(spare, 0, after)
                store(spare, 1, on_time)
                _deliver(net, block, row, spare, never, scale, half)
                after = load(spare, 0, value)
                on_time = load(spare, 1, value)
            ride = times(add(price, after), lower)
            best = less_select(ride, wait, ride, wait)
            likely = less_select(ride, wait, on_time, likely)
            store(held, net.frm[row], best)
            store(held_chance, net.frm[row], likely)
        store(value, row, best)
        store(chance, row, likely)
