"""Seats that parcels have already: booked as planned, given up where they no longer fit, held on to."""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rookery.planning.engine.arrays import Block, Net
from rookery.planning.engine.scan import delivery_cost
from rookery.planning.engine.seat import Queue, Room, Seats, has, take
from rookery.planning.engine.walk import _grown, _insert, ride_from


class Ways(NamedTuple):
    """The legs that n parcels still have to ride: rows[begin[i]:end[i]], in the order of travel."""

    begin: NDArray  # int64 (n)
    end: NDArray  # int64 (n)
    rows: NDArray  # int32
    pieces: NDArray  # float64 (n)
    kilograms: NDArray  # float64 (n): actual, of all pieces
    share: NDArray  # float64 (N, 2): what a piece, a kilogram that should ride a row counts on it; 1 when certain


class Fate(NamedTuple):
    """What becomes of N planned runs."""

    after: NDArray  # int32 (N): row now, -1 = does not run
    cutoff: NDArray  # int64 (N): now
    ready: NDArray  # int64 (N): minute at which what it carries is ready again, now
    later: NDArray  # bool (N): leaves later than planned
    handled_later: NDArray  # bool (N): what it carries is ready later than planned


@njit(nogil=True, cache=True)
def first_breaks(
    which, begin, end, rows, ready, fate: Fate, reason, leg, cancelled: int, missed: int, delayed: int, never: int
):
    """Set `reason` and the first `leg` concerned of parcels of `which` whose way begin:end of `rows` is not as it was.

    ready (n): minute at which each is ready for the first of these legs. A way that is broken says so where it breaks,
    one that is only late where it begins to be: at a leg that leaves later, or at the end.
    """
    for parcel in which:
        at = ready[parcel]
        for place in range(begin[parcel], end[parcel]):
            row = rows[place]
            if fate.after[row] < 0 or at > fate.cutoff[row]:
                reason[parcel] = cancelled if fate.after[row] < 0 else missed
                leg[parcel] = place
                break
            late = fate.later[row] or (place == end[parcel] - 1 and fate.handled_later[row])
            if late and reason[parcel] != delayed:
                reason[parcel] = delayed
                leg[parcel] = place
            at = fate.ready[row]
            if place == end[parcel] - 1 and at == never:  # its destination works no more
                reason[parcel] = missed
                leg[parcel] = place


@njit(nogil=True, cache=True)
def book(ways: Ways, which, room: Room, sign: float):
    """Take room for all legs of the parcels `which`, or with `sign` -1 give it back."""
    for parcel in which:
        for leg in range(ways.begin[parcel], ways.end[parcel]):
            row = ways.rows[leg]
            pieces = sign * ways.pieces[parcel] * ways.share[row, 0]
            take(room, row, pieces, sign * ways.kilograms[parcel] * ways.share[row, 1])


@njit(nogil=True, cache=True, inline="always")
def _over(room: Room, slack: Room, row: int):
    """Whether more is booked on a row, or in an hour of its arrival, than there is room."""
    if room.seats[row] < -slack.seats[row] or room.kilograms[row] < -slack.kilograms[row]:
        return True
    for k in range(room.hour.shape[1]):
        hour = room.hour[row, k]
        if room.hourly[hour] < -slack.hourly[hour]:
            return True
    return False


@njit(nogil=True, cache=True)
def overbooked(room: Room, slack: Room):
    """Rows (N) on which, or in an hour of whose arrival, more is booked than there is room."""
    over = np.zeros(len(room.seats), np.bool_)
    for row in range(len(over)):
        over[row] = _over(room, slack, row)
    return over


@njit(nogil=True, cache=True)
def give_way(ways: Ways, order, room: Room, slack: Room):
    """Parcels in this order give up all their legs where one of them is overbooked still; which do (bool)."""
    away = np.zeros(len(order), np.bool_)
    for place in range(len(order)):
        parcel = order[place]
        for leg in range(ways.begin[parcel], ways.end[parcel]):
            if _over(room, slack, ways.rows[leg]):
                away[place] = True
                break
        if away[place]:
            book(ways, order[place : place + 1], room, -1.0)
    return away


@njit(nogil=True, cache=True, inline="always")
def _onward(net: Net, ride, column: int, held: int, ways: Ways, way: int):
    """The row that a parcel holding `held` rides: its planned one where that can be caught, else as the tables say."""
    none = len(net.frm)
    if held == none:
        return none
    taken = none
    for leg in range(ways.begin[way], ways.end[way]):
        row = ways.rows[leg]
        if net.frm[row] == net.frm[held] and held <= row < taken:
            taken = row
    return taken if taken < none else ride_from(net, ride, column, held)


@njit(nogil=True, cache=True)
def hold(
    net: Net, block: Block, value, ride, queue: Queue, which, ways: Ways, way_of, room: Room, seats: Seats, used: int
):
    """Seat the parcels `which` on the way they have (number way_of[parcel] of `ways`): (seats, used).

    Where an outcome misses a leg of it, the tables say how to go on. One for whom some outcome finds no room gets none.
    """
    none = len(net.frm)
    rides = np.empty(64, np.int32)
    chances = np.empty(64, np.float64)
    for parcel in which:
        column, way = queue.lane[parcel], way_of[parcel]
        pieces, actual, chargeable = queue.pieces[parcel], queue.actual[parcel], queue.chargeable[parcel]
        ahead = np.empty(32, np.int32)
        likely = np.empty(32, np.float64)
        ahead[0] = ways.rows[ways.begin[way]]
        likely[0] = 1.0
        waiting = 1
        size = 0
        cost = 0.0
        while waiting > 0:
            waiting -= 1
            taken, chance = ahead[waiting], likely[waiting]
            if taken == none:
                waiting = -1
                break
            if not has(room, taken, chance * pieces, chance * pieces * actual):
                place = net.place[taken] + 1
                later = none  # where waiting leads nowhere the bits mean nothing
                if place < net.node_from[net.frm[taken] + 1] and value[net.node_rows[place], column] < np.inf:
                    later = ride_from(net, ride, column, net.node_rows[place])
                ahead, likely, waiting = _insert(ahead, likely, waiting, later, chance)
                continue
            take(room, taken, chance * pieces, chance * pieces * actual)
            rides = _grown(rides, size)
            chances = _grown(chances, size)
            rides[size] = taken
            chances[size] = chance
            size += 1
            cost += chance * (net.fixed[taken] + net.per_kg[taken] * chargeable)
            node = net.to[taken]
            if block.first[node] <= column < block.last[node]:
                outcomes = net.ready.shape[1]
                for k in range(outcomes):
                    after, _, _ = delivery_cost(block, column, net.ready[taken, k], net.start)
                    cost += chance * after / outcomes
            else:
                for place in range(net.catch_from[taken], net.catch_from[taken + 1]):
                    onward = _onward(net, ride, column, net.catch_row[place], ways, way)
                    ahead, likely, waiting = _insert(ahead, likely, waiting, onward, chance * net.catch_share[place])
        if waiting < 0:
            for j in range(size):
                take(room, rides[j], -chances[j] * pieces, -chances[j] * pieces * actual)
            continue
        if used + size > len(seats.rides):
            more = np.empty(2 * len(seats.rides) + size, np.int32)
            more[:used] = seats.rides[:used]
            shares = np.empty(2 * len(seats.rides) + size, np.float64)
            shares[:used] = seats.chances[:used]
            seats = Seats(seats.begin, seats.size, seats.cost, more, shares)
        seats.rides[used : used + size] = rides[:size]
        seats.chances[used : used + size] = chances[:size]
        seats.begin[parcel] = used
        seats.size[parcel] = size
        seats.cost[parcel] = cost
        used += size
    return seats, used
