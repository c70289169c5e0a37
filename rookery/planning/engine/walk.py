"""Forward through finished tables: what a parcel will do, what it costs and when it arrives.

A parcel holding column j at row e rides the first row of the node, from e on, whose bit the scan has set.
"""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import numpy as np
from numba import njit

from rookery.planning.engine.arrays import Block, Found, Net, Parcels
from rookery.planning.engine.scan import delivery_cost

STRIDE = 32
"""Departures looked at together for the next ride: their bits are one cache line."""


@njit(nogil=True, cache=True, inline="always")
def ride_from(net: Net, ride, column: int, row: int):
    """The row that a parcel holding `row` rides: the first of the node, from `row` on, whose bit is set; N = none."""
    if row == len(net.frm):
        return row
    end = net.node_from[net.frm[row] + 1]
    bit = np.uint16(1 << column)
    place = net.place[row]
    while place + STRIDE <= end:  # many at a time: waits are long, and this is one comparison for the processor
        any_bit = np.uint16(0)
        for ahead in range(STRIDE):
            any_bit |= ride[place + ahead]
        if any_bit & bit:
            break
        place += STRIDE
    while place < end:
        if ride[place] & bit:
            return net.node_rows[place]
        place += 1
    return len(net.frm)


@njit(nogil=True, cache=True, inline="always")
def _grown(array, size: int):
    """`array` with room for at least one more than `size`."""
    if size < len(array):
        return array
    more = np.empty(2 * size + 16, array.dtype)
    more[:size] = array
    return more


@njit(nogil=True, cache=True, inline="always")
def walk(net: Net, block: Block, ride, column: int, row: int, legs, size: int):
    """Append the itinerary along median times to `legs` from place `size`; returns (legs, new size).

    `legs` grows as needed. Where the median (not one of the outcomes) leads nowhere, the itinerary ends there.
    """
    while True:
        taken = ride_from(net, ride, column, row)
        if taken == len(net.frm):
            return legs, size
        legs = _grown(legs, size)
        legs[size] = taken
        size += 1
        node = net.to[taken]
        if block.first[node] <= column < block.last[node]:
            return legs, size
        row = net.median_catch[taken]


@njit(nogil=True, cache=True, inline="always")
def _insert(rows, chances, size: int, row: int, chance: float):
    """Add chance to a row of the descending list rows[:size], keeping it sorted; returns (rows, chances, size)."""
    place = size
    while place > 0 and rows[place - 1] < row:
        place -= 1
    if place > 0 and rows[place - 1] == row:
        chances[place - 1] += chance
        return rows, chances, size
    rows = _grown(rows, size)
    chances = _grown(chances, size)
    for i in range(size, place, -1):
        rows[i] = rows[i - 1]
        chances[i] = chances[i - 1]
    rows[place] = row
    chances[place] = chance
    return rows, chances, size + 1


@njit(nogil=True, cache=True, inline="always")
def push(net: Net, block: Block, ride, column: int, row: int, confidence: float, rides, chances, size: int):
    """Follow every outcome of the policy from `row` and sum up what happens.

    Appends the rides that may be taken and their chances to `rides` and `chances` from place `size`. Returns (rides,
    chances, new size, price a parcel, price a kilogram, cost of lateness and time counted from net.start, P(on time),
    expected minute of delivery, first minute by which it is delivered with `confidence`).
    """
    ahead = np.empty(64, np.int32)  # rides still to follow, latest first: whatever leads to a ride comes before it
    likely = np.empty(64, np.float64)
    times = np.empty(64, np.int64)
    weight = np.empty(64, np.float64)
    ahead[0] = ride_from(net, ride, column, row)
    likely[0] = 1.0
    waiting = 1
    done = 0
    fixed = 0.0
    per_kg = 0.0
    outcomes = net.ready.shape[1]
    last_miles = block.delivery.shape[1]
    while waiting > 0:
        waiting -= 1
        taken, chance = ahead[waiting], likely[waiting]
        rides = _grown(rides, size)
        chances = _grown(chances, size)
        rides[size] = taken
        chances[size] = chance
        size += 1
        fixed += chance * net.fixed[taken]
        per_kg += chance * net.per_kg[taken]
        node = net.to[taken]
        if block.first[node] <= column < block.last[node]:
            each = chance / (outcomes * last_miles)
            for k in range(outcomes):
                for m in range(last_miles):
                    times = _grown(times, done)
                    weight = _grown(weight, done)
                    times[done] = net.ready[taken, k] + block.delivery[column, m]
                    weight[done] = each
                    done += 1
        else:
            for place in range(net.catch_from[taken], net.catch_from[taken + 1]):
                onward = ride_from(net, ride, column, net.catch_row[place])
                ahead, likely, waiting = _insert(ahead, likely, waiting, onward, chance * net.catch_share[place])

    cost = 0.0
    on_time = 0.0
    mean = 0.0
    due = block.due[column]
    for i in range(done):
        mean += weight[i] * (times[i] - net.start)
        if times[i] <= due:
            on_time += weight[i]
        else:
            cost += weight[i] * (block.late[column] + block.late_day[column] * ((times[i] - due + 1439) // 1440))
    cost += block.rate[column] * mean
    order = np.argsort(times[:done])
    sure = 0.0
    by = times[order[done - 1]]
    for i in order:
        sure += weight[i]
        if sure >= confidence - 1e-9:
            by = times[i]
            break
    return rides, chances, size, fixed, per_kg, cost, min(on_time, 1.0), mean + net.start, by


@njit(nogil=True, cache=True)
def forward(net: Net, block: Block, value, ride, parcels: Parcels, tolerance: float, loads, out: Found, legs):
    """Follow the parcels of one block, sorted by (near, row); parcels alike in these share one itinerary.

    Fills `out` and adds to `loads` (N, 2: pieces, grams) what is expected of the parcels settled here. A parcel is left
    open (settled False) when its cost may exceed the optimum by more than `tolerance` of its cost: it needs a column of
    its own weight. Returns (legs, leg_from): legs[leg_from[g]:leg_from[g + 1]] are the rows of group g.
    """
    none = len(net.frm)
    count = len(parcels.row)
    leg_from = np.zeros(count + 1, np.int64)
    rides = np.empty(256, np.int32)
    chances = np.empty(256, np.float64)
    group = -1
    leg_count = 0
    size = 0
    pieces = 0.0
    grams = 0.0
    fixed = per_kg = after = on_time = mean = 0.0
    by = 0
    reachable = False
    for i in range(count):
        column, row = parcels.near[i], parcels.row[i]
        if i == 0 or column != parcels.near[i - 1] or row != parcels.row[i - 1]:
            for j in range(size):
                loads[rides[j], 0] += chances[j] * pieces
                loads[rides[j], 1] += chances[j] * grams
            pieces = grams = 0.0
            size = 0
            group += 1
            reachable = row != none and np.isfinite(value[row, column])
            if reachable:
                legs, leg_count = walk(net, block, ride, column, row, legs, leg_count)
                rides, chances, size, fixed, per_kg, after, on_time, mean, by = push(
                    net, block, ride, column, row, parcels.confidence[i], rides, chances, 0
                )
            leg_from[group + 1] = leg_count
        out.group[i] = group
        if not reachable:
            out.cost[i] = np.inf
            out.bound[i] = np.inf
            out.settled[i] = True
            continue
        share = parcels.share_far[i]
        low = (1 - share) * value[row, column]
        if share > 0:
            low += share * value[row, parcels.far[i]]
        cost = fixed + per_kg * parcels.kilograms[i] + after
        # the optimum is concave in the weight (a minimum of straight lines): the chord lies below it
        error = cost - low if share > 0 else 0.0
        out.settled[i] = error <= tolerance * max(1.0, cost)
        out.cost[i] = cost
        out.bound[i] = low
        out.on_time[i] = on_time
        out.mean[i] = mean
        out.by[i] = by
        if out.settled[i]:
            pieces += parcels.pieces[i]
            grams += parcels.grams[i]
    for j in range(size):
        loads[rides[j], 0] += chances[j] * pieces
        loads[rides[j], 1] += chances[j] * grams
    return legs[:leg_count].copy(), leg_from[: group + 2].copy()


@njit(nogil=True, cache=True)
def ride_worth(net: Net, block: Block, value, chance, column: int, row: int, never: int):
    """Cost from here on (as counted in the tables) and P(on time) of riding `row`, whatever else is possible.

    Infinite when an outcome leads nowhere. `chance` holds probabilities, not parts of a scale.
    """
    node = net.to[row]
    cost = net.fixed[row] + net.per_kg[row] * block.kilograms[0, column] + block.barred[net.limits[row], column]
    likely = 0.0
    if block.first[node] <= column < block.last[node]:
        outcomes = net.ready.shape[1]
        for k in range(outcomes):
            if net.ready[row, k] == never:
                return np.inf, 0.0
            one, on_time, _ = delivery_cost(block, column, net.ready[row, k], net.start)
            cost += one / outcomes
            likely += on_time / outcomes
        return cost, likely
    for place in range(net.catch_from[row], net.catch_from[row + 1]):
        caught = net.catch_row[place]
        cost += net.catch_share[place] * value[caught, column]
        likely += net.catch_share[place] * chance[caught, column]
    return cost, likely
