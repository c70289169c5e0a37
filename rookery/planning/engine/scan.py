"""The backward scan: the value of holding a parcel at every departure, for sixteen columns at a time.

Going through the departures from the last cut-off to the first,

    V(e) = min( V(next departure of the same node) , price(e) + mean over outcomes k of V(catch(e, k)) )

where a departure into the destination is worth the cost of its delivery time instead. The first term is kept in
`held`, one row per node, so that only the caught rows are read from afar. Every sum is multiplied by `down`, a hair
below 1 that exceeds its roundings: the tables never lie above the true value, whatever the depth of the policy.

`ride` says where the policy rides: sixteen bits a departure, laid out node by node. Equal values ride the earlier
departure; `scan_exact` also carries the expected minute of delivery, to tell different ways of equal cost apart.
"""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import numpy as np
from numba import njit

from rookery.planning.engine.arrays import Block, Net
from rookery.planning.engine.vector import (
    add,
    any_at_most,
    bits_at_most,
    bits_less,
    fma,
    less_select,
    load,
    prefetch,
    rows,
    splat,
    store,
    times,
)

AHEAD = 8
"""Departures for which rows are asked for in advance: hides the latency of the cache, any small number does."""
TIE = 1e-9
"""Costs that differ by less than this share of themselves (or this much money) are equal."""


def buffers(net: Net, dtype) -> dict[str, np.ndarray]:
    """Working memory of one thread, used again for every block: (N + 1) x 16 numbers of each table and 2 N bytes."""
    count, nodes = len(net.frm), len(net.node_from) - 1
    memory = {"value": rows(count + 1, dtype), "held": rows(nodes, dtype), "spare": rows(3, dtype)}
    memory["value"][count] = np.inf
    memory["ride"] = np.zeros(count + 1, np.uint16)
    return memory


def with_chance(net: Net, memory: dict[str, np.ndarray], stored) -> dict[str, np.ndarray]:
    """`memory` with a table of chances of type `stored` added."""
    count, dtype = len(net.frm), memory["value"].dtype
    memory |= {"chance": rows(count + 1, stored), "held_chance": rows(len(memory["held"]), dtype)}
    memory["chance"][count] = 0
    return memory


def with_when(net: Net, memory: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`memory` with a table of expected delivery minutes added."""
    count, dtype = len(net.frm), memory["value"].dtype
    memory |= {"when": rows(count + 1, dtype), "held_when": rows(len(memory["held"]), dtype)}
    memory["when"][count] = np.inf
    return memory


def rounding_down(dtype, outcomes: int):
    """The factor by which every sum is lowered: more than the at most 3 K + 8 half units its roundings can add."""
    return dtype(1) - dtype(2 * outcomes + 8) * np.finfo(dtype).eps


# inlined: handing the tuples of arrays to a function counts references to each, which two threads would fight over
@njit(nogil=True, cache=True, inline="always")
def delivery_cost(block: Block, column: int, at: int, start: int):
    """Cost of lateness and time of a parcel of `column` ready at its destination at minute `at`, P(on time), minute."""
    cost = 0.0
    on_time = 0.0
    when = 0.0
    outcomes = block.delivery.shape[1]
    for k in range(outcomes):
        delivered = at + block.delivery[column, k]
        when += delivered - start
        cost += block.rate[column] * (delivered - start)
        if delivered > block.due[column]:
            late_days = (delivered - block.due[column] + 1439) // 1440
            cost += block.late[column] + block.late_day[column] * late_days
        else:
            on_time += 1.0
    return cost / outcomes, on_time / outcomes, when / outcomes


@njit(nogil=True, cache=True, inline="always")
def _deliver(net: Net, block: Block, row: int, spare, never: int, scale, half):
    """Overwrite value, chance and minute (rows 0, 1, 2 of `spare`) of the columns that `row` brings home."""
    node = net.to[row]
    outcomes = net.ready.shape[1]
    for column in range(block.first[node], block.last[node]):
        cost = 0.0
        on_time = 0.0
        when = 0.0
        for k in range(outcomes):
            ready = net.ready[row, k]
            if ready == never:
                cost = np.inf
            else:
                one, chance, minute = delivery_cost(block, column, ready, net.start)
                cost += one
                on_time += chance
                when += minute
        spare[0, column] = cost / outcomes
        spare[1, column] = scale * on_time / outcomes + half
        spare[2, column] = when / outcomes


@njit(nogil=True, cache=True)
def scan_certain(net: Net, block: Block, first_row: int, down, never: int, value, held, spare, ride):
    """Fill `value` and `ride` for K = 1: every departure catches exactly one row. Rows before `first_row` are left."""
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
        going = times(add(fma(splat(net.per_kg[row], value), kilograms, price), after), lower)
        wait = load(held, net.frm[row], value)
        best = less_select(going, wait, going, wait)
        store(held, net.frm[row], best)
        store(value, row, best)
        ride[net.place[row]] = bits_at_most(going, wait)


@njit(nogil=True, cache=True)
def scan_cost(net: Net, block: Block, first_row: int, down, never: int, value, held, spare, ride):
    """Fill `value` and `ride` for K outcomes. Infinite in any outcome means infinite: not usable.

    The earlier a parcel is at a node the less it has to pay, so the mean over outcomes is at least the value of the
    earliest catch: where that alone is worse than waiting, the other outcomes need not be looked at.
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
        ride[net.place[row]] = 0
        if arrives or any_at_most(times(add(price, earliest), lower), wait):
            after = times(splat(net.catch_share[begin], value), earliest)
            for place in range(begin + 1, end):
                share = splat(net.catch_share[place], value)
                after = fma(share, load(value, net.catch_row[place], value), after)
            if arrives:
                store(spare, 0, after)
                _deliver(net, block, row, spare, never, 1.0, 0.0)
                after = load(spare, 0, value)
            going = times(add(price, after), lower)
            best = less_select(going, wait, going, wait)
            ride[net.place[row]] = bits_at_most(going, wait)
            store(held, net.frm[row], best)
        store(value, row, best)


@njit(nogil=True, cache=True)
def scan_chance(
    net: Net,
    block: Block,
    first_row: int,
    down,
    never: int,
    value,
    held,
    spare,
    ride,
    chance,
    held_chance,
    scale,
    half,
):
    """`scan_cost`, and `chance`: the probability of being on time under the cheapest policy.

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
        ride[net.place[row]] = 0
        if arrives or any_at_most(times(add(price, earliest), lower), wait):
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
            going = times(add(price, after), lower)
            best = less_select(going, wait, going, wait)
            likely = less_select(wait, going, likely, on_time)
            ride[net.place[row]] = bits_at_most(going, wait)
            store(held, net.frm[row], best)
            store(held_chance, net.frm[row], likely)
        store(value, row, best)
        store(chance, row, likely)


@njit(nogil=True, cache=True)
def scan_exact(
    net: Net,
    block: Block,
    first_row: int,
    down,
    never: int,
    value,
    held,
    spare,
    ride,
    chance,
    held_chance,
    when,
    held_when,
):
    """`scan_chance` in 8-byte numbers with ties broken: of ways of equal cost, the one expected to deliver earlier, and
    of those that deliver alike the one that leaves first.

    `value` keeps the lesser of the two, also where a tie rides the other: it stays a bound.
    """
    kilograms = load(block.kilograms, 0, value)
    lower = splat(down, value)
    none, one = splat(0.0, value), splat(1.0, value)
    less, more = splat(1.0 - TIE, value), splat(1.0 + TIE, value)
    under, over = splat(-TIE, value), splat(TIE, value)
    held[:] = np.inf
    held_chance[:] = 0
    held_when[:] = np.inf
    for row in range(len(net.frm) - 1, first_row - 1, -1):
        begin, end = net.catch_from[row], net.catch_from[row + 1]
        arrives = block.first[net.to[row]] < block.last[net.to[row]]
        wait = load(held, net.frm[row], value)
        highest = fma(wait, more, over)
        price = add(splat(net.fixed[row], value), load(block.barred, net.limits[row], value))
        price = fma(splat(net.per_kg[row], value), kilograms, price)
        earliest = load(value, net.catch_row[begin], value)
        best = wait
        likely = load(held_chance, net.frm[row], value)
        later = load(held_when, net.frm[row], value)
        ride[net.place[row]] = 0
        if arrives or any_at_most(times(add(price, earliest), lower), highest):
            after, on_time, minute = none, none, none
            for place in range(begin, end):
                caught = net.catch_row[place]
                share = splat(net.catch_share[place], value)
                after = fma(share, load(value, caught, value), after)
                on_time = fma(share, load(chance, caught, value), on_time)
                minute = fma(share, load(when, caught, value), minute)
            if arrives:
                store(spare, 0, after)
                store(spare, 1, on_time)
                store(spare, 2, minute)
                _deliver(net, block, row, spare, never, 1.0, 0.0)
                after = load(spare, 0, value)
                on_time = load(spare, 1, value)
                minute = load(spare, 2, value)
            going = times(add(price, after), lower)
            lowest = fma(wait, less, under)
            earlier = less_select(add(later, over), minute, none, one)  # as early, too: then the departure at hand
            choice = less_select(going, lowest, one, less_select(highest, going, none, earlier))
            best = less_select(going, wait, going, wait)
            likely = less_select(none, choice, on_time, likely)
            later = less_select(none, choice, minute, later)
            ride[net.place[row]] = bits_less(none, choice)
            store(held, net.frm[row], best)
            store(held_chance, net.frm[row], likely)
            store(held_when, net.frm[row], later)
        store(value, row, best)
        store(chance, row, likely)
        store(when, row, later)
