"""Seats for parcels, one after the other: each follows its tables through whatever room is left.

A parcel that finds a departure full waits for the next one of the node that its tables ride, which is its best choice
without that seat. What it rides is kept, with the chance of each ride, so that it can be given back.
"""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rookery.planning.engine.arrays import Block, Net
from rookery.planning.engine.scan import delivery_cost
from rookery.planning.engine.walk import ride_from

ROOM = 1e-9
"""Share of a need that may be missing: what sums of chances have rounded."""
MILLIGRAM = 1e-6
"""Kilograms that may be missing: what thousands of parcels taken and given back have rounded."""
ALIKE = 512
"""Places of a run within which parcels that need the same are looked for."""

MOST_RIDES = 1 << 16


class Room(NamedTuple):
    """What departures and hours can still take; infinite = no limit."""

    seats: NDArray  # float64 (N)
    kilograms: NDArray  # float64 (N): actual weight
    hourly: NDArray  # float64 (H): parcels whose handling ends in a clock hour of a node
    hour: NDArray  # int32 (N, K): number of the hour in which each outcome is handled; H = no limit there


class Queue(NamedTuple):
    """Parcels of all blocks, a block's side by side; n of them."""

    lane: NDArray  # int16 (n)
    row: NDArray  # int32 (n): first row they can catch, N = none
    pieces: NDArray  # float64 (n)
    chargeable: NDArray  # float64 (n): kilograms a piece
    actual: NDArray  # float64 (n): kilograms a piece


class Seats(NamedTuple):
    """What parcels ride: n of them."""

    begin: NDArray  # int64 (n): parcel i rides rides[begin[i]:begin[i] + size[i]]
    size: NDArray  # int32 (n): 0 = no seat
    cost: NDArray  # float64 (n): of one piece, without shadow prices, time counted from net.start; infinite = no seat
    rides: NDArray  # int32: rows
    chances: NDArray  # float64: chance of each


class Trace(NamedTuple):
    """Working memory of one search: what is ridden, and what is still to follow."""

    rides: NDArray  # int32
    chances: NDArray  # float64
    ahead: NDArray  # int32
    likely: NDArray  # float64


def trace() -> Trace:
    """Working memory for policies of up to so many rides; a parcel that would need more finds no way."""
    return Trace(*(np.empty(MOST_RIDES, kind) for kind in (np.int32, np.float64, np.int32, np.float64)))


def together(net: Net, room: Room) -> tuple[Net, Room]:
    """The same net and a copy of the room, what belongs to a row side by side in memory.

    A seat costs a handful of numbers of a row that was last seen long ago: in one or two cache lines instead of ten.
    """
    count, certain = len(net.frm), net.ready.shape[1] == 1
    of_net = ["frm", "to", "place", "fixed", "per_kg"] + (["catch_row", "ready"] if certain else [])
    of_room = ["seats", "kilograms"] + (["hour"] if certain else [])
    source = {name: getattr(net, name) for name in of_net} | {name: getattr(room, name) for name in of_room}
    kinds = sorted(((name, values.dtype) for name, values in source.items()), key=lambda kind: -kind[1].itemsize)
    size = sum(kind.itemsize for _, kind in kinds)
    buffer = np.zeros(count, np.dtype([*kinds, ("rest", np.uint8, max(1, 64 - size))]))
    for name, values in source.items():
        buffer[name] = values.reshape(count, -1)[:, 0]
    views = {name: buffer[name].reshape(source[name].shape) for name in source}
    packed = net._replace(**{name: views[name] for name in of_net})
    return packed, room._replace(hourly=room.hourly.copy(), **{name: views[name] for name in of_room})


@njit(nogil=True, cache=True, inline="always")
def take(room: Room, taken: int, pieces: float, kilograms: float):
    """Take room for so many expected pieces and kilograms on a departure; negative gives it back."""
    room.seats[taken] -= pieces
    room.kilograms[taken] -= kilograms
    outcomes = room.hour.shape[1]
    for k in range(outcomes):
        room.hourly[room.hour[taken, k]] -= pieces / outcomes


@njit(nogil=True, cache=True, inline="always")
def has(room: Room, taken: int, pieces: float, kilograms: float):
    """Whether there is room for so many. Outcomes that fall into one hour are looked at as if all of them did."""
    if room.seats[taken] < pieces * (1 - ROOM) or room.kilograms[taken] < kilograms * (1 - ROOM) - MILLIGRAM:
        return False
    enough = True
    for k in range(room.hour.shape[1]):
        enough = enough and room.hourly[room.hour[taken, k]] >= pieces * (1 - ROOM)
    return enough


@njit(nogil=True, cache=True, inline="always")
def _wait(trace: Trace, size: int, row: int, chance: float):
    """Add chance to a row of the descending list trace.ahead[:size], keeping it sorted; its new size."""
    place = size
    while place > 0 and trace.ahead[place - 1] < row:
        place -= 1
    if place > 0 and trace.ahead[place - 1] == row:
        trace.likely[place - 1] += chance
        return size
    for i in range(size, place, -1):
        trace.ahead[i] = trace.ahead[i - 1]
        trace.likely[i] = trace.likely[i - 1]
    trace.ahead[place] = row
    trace.likely[place] = chance
    return size + 1


@njit(nogil=True, cache=True, inline="always")
def _next_ride(net: Net, value, ride, column: int, taken: int):
    """What a parcel rides that finds `taken` full; N = nothing: where waiting leads nowhere the bits mean nothing."""
    place = net.place[taken] + 1
    if place < net.node_from[net.frm[taken] + 1] and value[net.node_rows[place], column] < np.inf:
        return ride_from(net, ride, column, net.node_rows[place])
    return len(net.frm)


@njit(nogil=True, cache=True, inline="always")
def _follow(
    net: Net, block: Block, value, ride, room: Room, column: int, row: int, pieces, chargeable, actual, trace: Trace
):
    """Follow the tables through the room that is left, taking it: (rides taken, cost of a piece); 0 = no way.

    Rows wait in `ahead`, the latest first: whatever leads to a row is done before it, so that all that comes together
    there is decided at once. Where some outcome leads nowhere, what was taken is given back.
    """
    none = len(net.frm)
    most = len(trace.rides)
    outcomes = net.ready.shape[1]
    trace.ahead[0] = ride_from(net, ride, column, row)
    trace.likely[0] = 1.0
    waiting = 1
    size = 0
    cost = 0.0
    while waiting > 0:
        waiting -= 1
        taken, chance = trace.ahead[waiting], trace.likely[waiting]
        if taken == none or size == most or waiting + outcomes >= most:
            waiting = -1
            break
        if not has(room, taken, chance * pieces, chance * pieces * actual):
            waiting = _wait(trace, waiting, _next_ride(net, value, ride, column, taken), chance)
            continue
        take(room, taken, chance * pieces, chance * pieces * actual)
        trace.rides[size] = taken
        trace.chances[size] = chance
        size += 1
        cost += chance * (net.fixed[taken] + net.per_kg[taken] * chargeable)
        node = net.to[taken]
        if block.first[node] <= column < block.last[node]:
            for k in range(outcomes):
                after, _, _ = delivery_cost(block, column, net.ready[taken, k], net.start)
                cost += chance * after / outcomes
        else:
            for place in range(net.catch_from[taken], net.catch_from[taken + 1]):
                onward = ride_from(net, ride, column, net.catch_row[place])
                waiting = _wait(trace, waiting, onward, chance * net.catch_share[place])
    if waiting < 0:
        _give_back(room, trace, size, pieces, actual)
        size = 0
        cost = np.inf
    return size, cost


@njit(nogil=True, cache=True, inline="always")
def _give_back(room: Room, trace: Trace, size: int, pieces: float, actual: float):
    for j in range(size):
        chance = trace.chances[j]
        take(room, trace.rides[j], -chance * pieces, -chance * pieces * actual)


@njit(nogil=True, cache=True, inline="always")
def _keep(seats: Seats, used: int, parcel: int, trace: Trace, size: int, cost: float):
    """Write what a parcel rides: over its old rides where they are as many, else at the end; places used then."""
    if size > seats.size[parcel]:
        seats.begin[parcel] = used
        used += size
    for j in range(size):
        seats.rides[seats.begin[parcel] + j] = trace.rides[j]
        seats.chances[seats.begin[parcel] + j] = trace.chances[j]
    seats.size[parcel] = size
    seats.cost[parcel] = cost
    return used


@njit(nogil=True, cache=True)
def seat(
    net: Net, block: Block, value, ride, queue: Queue, which, refusal, room: Room, trace: Trace, seats: Seats, used: int
):
    """Seat the parcels `which` (numbers into queue) in this order where that is cheaper than refusing.

    value, ride: tables under the prices that guide them; costs are counted with net's own prices. Returns how many of
    `which` are done (fewer than all when `seats.rides` is full) and how many places of it are used.
    """
    for done in range(len(which)):
        parcel = which[done]
        column, row = queue.lane[parcel], queue.row[parcel]
        if not value[row, column] < refusal[parcel]:
            continue
        pieces, actual = queue.pieces[parcel], queue.actual[parcel]
        size, cost = _follow(
            net, block, value, ride, room, column, row, pieces, queue.chargeable[parcel], actual, trace
        )
        if used + size > len(seats.rides):
            _give_back(room, trace, size, pieces, actual)
            return done, used
        if size > 0:
            used = _keep(seats, used, parcel, trace, size, cost)
    return len(which), used


@njit(nogil=True, cache=True)
def hopeful(value, queue: Queue, which, prices, per_kg, least, seats: Seats):
    """Those of `which` for whom the tables promise at least `least` more than what they ride: worth trying again."""
    found = np.empty(len(which), np.int64)
    count = 0
    for parcel in which:
        if seats.size[parcel] > 0:
            promised = value[queue.row[parcel], queue.lane[parcel]]
            if promised < _priced(seats, parcel, prices, per_kg, queue.actual[parcel]) - least:
                found[count] = parcel
                count += 1
    return found[:count]


@njit(nogil=True, cache=True, inline="always")
def _priced(seats: Seats, parcel: int, prices, per_kg, actual: float):
    """Cost of a piece with shadow prices a parcel (N) and an actual kilogram (N)."""
    priced = seats.cost[parcel]
    for j in range(seats.begin[parcel], seats.begin[parcel] + seats.size[parcel]):
        ridden = seats.rides[j]
        priced += seats.chances[j] * (prices[ridden] + per_kg[ridden] * actual)
    return priced


@njit(nogil=True, cache=True)
def improve(
    net: Net, block: Block, value, ride, queue: Queue, which, prices, per_kg, least, room: Room, trace: Trace,
    seats: Seats, used: int,
):  # fmt: skip
    """Seat the parcels `which` (all have seats) again, where that saves at least `least`.

    prices (N), per_kg (N): shadow prices a parcel and an actual kilogram; what counts is the cost with them.
    Returns how many of `which` are done (fewer than all when `seats.rides` is full) and how many places of it are used.
    """
    for done in range(len(which)):
        parcel = which[done]
        pieces, actual = queue.pieces[parcel], queue.actual[parcel]
        begin, size = seats.begin[parcel], seats.size[parcel]
        priced = _priced(seats, parcel, prices, per_kg, actual)
        for j in range(begin, begin + size):
            chance = seats.chances[j]
            take(room, seats.rides[j], -chance * pieces, -chance * pieces * actual)
        found, cost = _follow(
            net, block, value, ride, room, queue.lane[parcel], queue.row[parcel], pieces, queue.chargeable[parcel],
            actual, trace,
        )  # fmt: skip
        after = cost
        for j in range(found):
            after += trace.chances[j] * (prices[trace.rides[j]] + per_kg[trace.rides[j]] * actual)
        full = used + found > len(seats.rides)
        if found > 0 and not full and after < priced - least:
            used = _keep(seats, used, parcel, trace, found, cost)
            continue
        _give_back(room, trace, found, pieces, actual)
        for j in range(begin, begin + size):
            chance = seats.chances[j]
            take(room, seats.rides[j], chance * pieces, chance * pieces * actual)
        if full:
            return done, used
    return len(which), used


@njit(nogil=True, cache=True)
def by_ready(run: NDArray, need: NDArray, seats: Seats):
    """Among parcels of one run that need the same, let the one that was ready first have the cheapest seat, and so on.

    run (n): number of the run of each parcel, ascending, those of a run in the order in which they were ready; parcels
    of a run may ride the same. need (n, 3): pieces, chargeable and actual kilograms.
    """
    count = len(run)
    begin = 0
    while begin < count:
        end = begin + 1
        while end < count and run[end] == run[begin]:
            end += 1
        if end - begin > 1:
            sorted_out = np.zeros(end - begin, np.bool_)
            for first in range(begin, end):
                if sorted_out[first - begin]:
                    continue
                alike = np.empty(min(end - first, ALIKE), np.int64)
                size = 0
                for other in range(first, min(end, first + ALIKE)):
                    same = not sorted_out[other - begin]
                    for column in range(need.shape[1]):
                        same = same and need[other, column] == need[first, column]
                    if same:
                        alike[size] = other
                        size += 1
                        sorted_out[other - begin] = True
                alike = alike[:size]
                order = alike[np.argsort(seats.cost[alike], kind="mergesort")]
                starts, sizes, costs = seats.begin[order], seats.size[order], seats.cost[order]
                for i in range(size):
                    seats.begin[alike[i]] = starts[i]
                    seats.size[alike[i]] = sizes[i]
                    seats.cost[alike[i]] = costs[i]
        begin = end
