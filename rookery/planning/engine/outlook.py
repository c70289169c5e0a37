"""Forward from wherever a parcel is: every outcome of what it does next, by its bookings while it can, else by policy.

A *state* is the first row that a parcel can catch where it stands. It rides the first of its booked rows there that
has not gone; where none is left, what the policy says. Either hangs on the row alone, so that ways which lead to one
row are followed once.
"""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rookery.planning.engine.arrays import Net
from rookery.planning.engine.catch import first_row
from rookery.planning.engine.vector import bits_less, load, splat
from rookery.planning.engine.walk import _grown, _insert, ride_from

NOWHERE = -1
"""A minute that is not known."""


class Asked(NamedTuple):
    """n parcels to look up."""

    column: NDArray  # int32 (n): block x 16 + lane of its policy; -1 = none is known for it
    node: NDArray  # int32 (n): where it stands; -1 = it rides
    ready: NDArray  # int64 (n): minute from which it can go on from its node
    riding: NDArray  # int32 (n): row it rides; -1 = it stands; with a node: nobody knows which, so either counts half
    late: NDArray  # int64 (n): minutes its ride left after schedule
    out: NDArray  # int64 (n): minute at which the last mile began; -1 = not yet
    destination: NDArray  # int32 (n)
    zone: NDArray  # int32 (n): row of `minutes`
    due: NDArray  # int64 (n)
    confidence: NDArray  # float64 (n)
    kilograms: NDArray  # float64 (n): chargeable
    booked: NDArray  # int32: rows booked, parcel after parcel
    booked_from: NDArray  # int64 (n + 1)


class Told(NamedTuple):
    """What is told of n parcels."""

    sure: NDArray  # float64 (n): share of outcomes that deliver
    chance: NDArray  # float64 (n): share of outcomes that deliver by the due minute
    mean: NDArray  # float64 (n): expected minute, of the outcomes that deliver
    by: NDArray  # int64 (n): delivered by then with the confidence asked for; -1 = in too few outcomes
    cost: NDArray  # float64 (n): expected price of the rides to come
    strays: NDArray  # bool (n): the itinerary rides what is not booked


@njit(nogil=True, cache=True)
def leading(net: Net, value, ride, kept):
    """Bits of one scanned block by place, without those that ride where nothing leads on, which mean nothing."""
    infinite = splat(np.inf, value)
    for row in range(len(net.frm)):
        bits = ride[net.place[row]]
        if bits != 0:
            bits &= bits_less(load(value, row, value), infinite)
        kept[net.place[row]] = bits


@njit(nogil=True, cache=True, inline="always")
def _next_ride(net: Net, ride, column: int, row: int, booked, begin: int, end: int):
    """(row taken from `row` on, whether it is booked); N = none."""
    if row == len(net.frm):
        return row, False
    node, place = net.frm[row], net.place[row]
    for i in range(begin, end):
        if net.frm[booked[i]] == node and net.place[booked[i]] >= place:
            return booked[i], True
    if column < 0:
        return np.int32(len(net.frm)), False
    return ride_from(net, ride, column, row), False


@njit(nogil=True, cache=True, inline="always")
def _share_by(minute: int, finals, weight, count: int, miles):
    """Share of all outcomes that deliver by `minute`: of `finals` that are ready at the end, each by the last mile."""
    share = 0.0
    for i in range(count):
        left = minute - finals[i]
        fits = 0
        for m in range(len(miles)):
            fits += miles[m] <= left
        share += weight[i] * fits
    return share


@njit(nogil=True, cache=True, inline="always")
def _caught(net: Net, cutoff, node: int, minute: int, never: int):
    """The first row that a parcel ready at `minute` catches at `node`; N = none."""
    none = len(net.frm)
    return (
        np.int32(none)
        if minute >= never
        else np.int32(first_row(node, minute, net.node_from, net.node_rows, cutoff, none))
    )


@njit(nogil=True, cache=True)
def look(net: Net, cutoff, rides, minutes, asked: Asked, never: int, told: Told, legs):
    """Look up n parcels; fills `told` and returns (legs, leg_from (n + 1)).

    rides: uint16 (blocks, N) by place, bits only where the policy leads on; minutes: int32 (zones, K) of the last mile,
    each row sorted. Legs stand along median times, the ride a parcel is on first; where it may stand they go on from
    there.
    """
    none = np.int32(len(net.frm))
    count = len(asked.column)
    outcomes = net.ready.shape[1]
    leg_from = np.zeros(count + 1, np.int64)
    size = 0
    ahead, likely = np.empty(64, np.int32), np.empty(64, np.float64)
    finals, weight = np.empty(256, np.int64), np.empty(256, np.float64)
    for i in range(count):
        block, column = asked.column[i] // 16, asked.column[i] % 16
        if asked.column[i] < 0:
            block, column = 0, -1
        ride = rides[block]
        begin, end = asked.booked_from[i], asked.booked_from[i + 1]
        goal = asked.destination[i]
        miles = minutes[asked.zone[i]]
        done = waiting = 0
        fixed = per_kg = 0.0
        strays = False

        # the ways it can be going on now, and the itinerary
        first = none
        riding = asked.riding[i]
        home = asked.out[i] >= 0
        if home:
            finals[0], weight[0], done = asked.out[i], 1.0, 1
        elif riding >= 0 or asked.node[i] >= 0:
            node = asked.node[i]
            share = 1.0 if riding < 0 or node < 0 else 0.5
            if riding >= 0:
                there, late = net.to[riding], asked.late[i]
                if there == goal:
                    for k in range(outcomes):
                        if net.ready[riding, k] != never:
                            finals = _grown(finals, done)
                            weight = _grown(weight, done)
                            finals[done], weight[done] = net.ready[riding, k] + late, share / outcomes
                            done += 1
                else:
                    for k in range(outcomes):
                        row = _caught(net, cutoff, there, net.ready[riding, k] + late, never)
                        taken, _ = _next_ride(net, ride, column, row, asked.booked, begin, end)
                        if taken != none:
                            ahead, likely, waiting = _insert(ahead, likely, waiting, taken, share / outcomes)
                if node < 0:
                    legs = _grown(legs, size)
                    legs[size] = riding
                    size += 1
                    home = there == goal
                    if not home:
                        first = _caught(net, cutoff, there, net.median_ready[riding] + late, never)
            if node >= 0:
                home = node == goal
                if home:
                    finals = _grown(finals, done)
                    weight = _grown(weight, done)
                    finals[done], weight[done] = asked.ready[i], share
                    done += 1
                else:
                    first = _caught(net, cutoff, node, asked.ready[i], never)
                    taken, _ = _next_ride(net, ride, column, first, asked.booked, begin, end)
                    if taken != none:
                        ahead, likely, waiting = _insert(ahead, likely, waiting, taken, share)
        while not home:
            first, planned = _next_ride(net, ride, column, first, asked.booked, begin, end)
            if first == none:
                break
            legs = _grown(legs, size)
            legs[size] = first
            size += 1
            strays = strays or not planned
            home = net.to[first] == goal
            first = net.median_catch[first]
        leg_from[i + 1] = size

        # every outcome of them; whatever leads to a ride leaves before it
        while waiting > 0:
            waiting -= 1
            taken, share = ahead[waiting], likely[waiting]
            fixed += share * net.fixed[taken]
            per_kg += share * net.per_kg[taken]
            if net.to[taken] == goal:
                for k in range(outcomes):
                    if net.ready[taken, k] != never:
                        finals = _grown(finals, done)
                        weight = _grown(weight, done)
                        finals[done], weight[done] = net.ready[taken, k], share / outcomes
                        done += 1
                continue
            for place in range(net.catch_from[taken], net.catch_from[taken + 1]):
                onward, _ = _next_ride(net, ride, column, net.catch_row[place], asked.booked, begin, end)
                if onward != none:
                    ahead, likely, waiting = _insert(ahead, likely, waiting, onward, share * net.catch_share[place])

        # what they come to
        sure = 0.0
        mean = 0.0
        low, high = np.int64(never), np.int64(0)
        for f in range(done):
            sure += weight[f]
            mean += weight[f] * (finals[f] - net.start)
            low, high = min(low, finals[f]), max(high, finals[f])
            weight[f] /= len(miles)
        by = np.int64(NOWHERE)
        wanted = asked.confidence[i] - 1e-9
        low, high = low + miles[0], high + miles[-1]
        if done > 0 and _share_by(high, finals, weight, done, miles) >= wanted:
            while low < high:
                middle = (low + high) // 2
                if _share_by(middle, finals, weight, done, miles) >= wanted:
                    high = middle
                else:
                    low = middle + 1
            by = low
        told.sure[i] = min(sure, 1.0)
        told.chance[i] = min(_share_by(asked.due[i], finals, weight, done, miles), 1.0)
        told.mean[i] = mean / sure + net.start + miles.sum() / len(miles) if done > 0 else np.nan
        told.by[i] = by
        told.cost[i] = fixed + per_kg * asked.kilograms[i]
        told.strays[i] = strays
    return legs[:size].copy(), leg_from
