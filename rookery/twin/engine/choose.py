"""What an order rides next: its booked departure, the next one of its lane, or what the policy says."""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from numba import njit

from rookery.twin.engine.arrays import GREEDY, ITINERARY, WAITING, Booked, Cargo, State, Tables, World

FITS = 1e-6
"""Share of a capacity by which a load may exceed it: rounding."""


@njit(nogil=True, cache=True, inline="always")
def fits(world: World, load, row: int, pieces: float, kilograms: float):
    """Whether a row has room for so much beside `load` (N, 2)."""
    most = 1 + FITS
    return load[row, 0] + pieces <= world.seats[row] * most and load[row, 1] + kilograms <= world.kilograms[row] * most


@njit(nogil=True, cache=True, inline="always")
def take(state: State, cargo: Cargo, order: int, row: int, sign: float):
    """Hold a seat on a row for an order; with sign -1 give it back."""
    state.taken[row, 0] += sign * cargo.pieces[order]
    state.taken[row, 1] += sign * cargo.actual[order]


@njit(nogil=True, cache=True)
def leave_plan(cargo: Cargo, booked: Booked, state: State, order: int):
    """Give up what was booked for an order from its next leg on."""
    for leg in range(state.leg[order], booked.end[order]):
        if booked.rows[leg] >= 0:
            take(state, cargo, order, booked.rows[leg], -1.0)
    state.on_plan[order] = False


@njit(nogil=True, cache=True, inline="always")
def wait_for(state: State, order: int, row: int, held: int):
    """Put an order among those that wait for a row; -1 = nothing leads on."""
    state.status[order] = WAITING
    state.target[order] = row
    state.held[order] = held
    if row >= 0:
        state.next[order] = state.waiting[row]
        state.waiting[row] = order


@njit(nogil=True, cache=True)
def first_after(rows, low: int, high: int, cutoff, minute: int):
    """The first of rows[low:high], which lie by cut-off, whose cut-off is not before a minute: its place."""
    while low < high:
        middle = (low + high) // 2
        if cutoff[rows[middle]] >= minute:
            high = middle
        else:
            low = middle + 1
    return low


@njit(nogil=True, cache=True)
def choose(
    world: World, tables: Tables, cargo: Cargo, booked: Booked, state: State, columns, order: int, mode: int, now: int,
    after: int,
):  # fmt: skip
    """Decide what an order that is ready at its node waits for, knowing what is known at minute `now`.

    columns (n): each order's column of the tables; after: the row it has just failed to take, -1 = none.
    """
    node, ready = state.node[order], state.ready[order]
    if mode == ITINERARY:
        _stay_on_lane(world, booked, state, order, now, after)
        return
    if state.on_plan[order]:
        leg = state.leg[order]
        row = booked.rows[leg] if leg < booked.end[order] else -1
        if row >= 0 and world.frm[row] == node and world.cutoff[row] >= ready and world.known_gone[row] > now:
            wait_for(state, order, row, 1)
            return
        leave_plan(cargo, booked, state, order)
        state.missed[order] += 1
    column = columns[order]
    if column < 0:
        wait_for(state, order, -1, 0)
        return
    place, end = tables.first[node], tables.first[node + 1]
    if after >= 0 and tables.place[after] >= 0:
        place = tables.place[after] + 1
    else:
        low, high = place, end
        while low < high:
            middle = (low + high) // 2
            if tables.cutoff[middle] >= ready:
                high = middle
            else:
                low = middle + 1
        place = low
    block, bit, earliest = column // 16, column % 16, max(ready, now)
    standby = -1
    while place < end:
        if (tables.rides[block, place] >> bit) & 1:
            row = tables.row[place]
            # of departures that close in the minute of the one just missed, some have been seen to already
            gone = row < 0 or world.cutoff[row] < earliest or (row <= after and world.cutoff[row] == now)
            if not gone and world.known_gone[row] > now:
                if mode == GREEDY:
                    wait_for(state, order, row, 0)
                    return
                if fits(world, state.taken, row, cargo.pieces[order], cargo.actual[order]):
                    take(state, cargo, order, row, 1.0)
                    wait_for(state, order, row, 1)
                    return
                if standby < 0:
                    standby = row
        place += 1
    wait_for(state, order, standby, 0)


@njit(nogil=True, cache=True)
def _stay_on_lane(world: World, booked: Booked, state: State, order: int, now: int, after: int):
    """The booked row of the next leg, or else the next of its lane."""
    leg = state.leg[order]
    row = booked.rows[leg] if leg < booked.end[order] else -1
    if row < 0 or world.frm[row] != state.node[order]:  # what comes after a wrong turn, no itinerary says
        wait_for(state, order, -1, 0)
        return
    if after < 0 and world.cutoff[row] >= state.ready[order] and world.known_gone[row] > now:
        wait_for(state, order, row, 1)
        return
    lane = world.lane[row]
    end = world.lane_from[lane + 1]
    ready = state.ready[order] if after < 0 else max(state.ready[order], world.cutoff[after] + 1)
    place = first_after(world.lane_rows, world.lane_from[lane], end, world.cutoff, ready)
    while place < end and world.known_gone[world.lane_rows[place]] <= now:
        place += 1
    wait_for(state, order, world.lane_rows[place] if place < end else -1, 0)
