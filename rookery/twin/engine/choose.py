"""What an order rides next: its booked departure, the next one of its lane, or what the policy says."""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from numba import njit

from rookery.twin.engine.arrays import GREEDY, ITINERARY, WAITING, Booked, Cargo, State, Tables, World
from rookery.twin.engine.leaf import leaf

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


@njit(nogil=True, cache=True, inline="always")
def cutoff_of(world: World, row: int, now: int):
    """When a row closes, as far as is known at minute `now`."""
    return world.cutoff[row] if now >= world.known_at else world.told[row]


@njit(nogil=True, cache=True, inline="always")
def has_room(world: World, state: State, row: int, now: int, pieces: float, kilograms: float):
    """Whether a seat is free on a row, as far as is known at minute `now`."""
    most = 1 + FITS
    known = now >= world.known_at
    seats = world.seats[row] if known else world.told_seats[row]
    most_kilograms = world.kilograms[row] if known else world.told_kilograms[row]
    return state.taken[row, 0] + pieces <= seats * most and state.taken[row, 1] + kilograms <= most_kilograms * most


@leaf
def give_up(cargo: Cargo, booked: Booked, state: State, order: int, until: int):
    """Give back what is booked for an order from its next leg to leg `until`."""
    for leg in range(state.leg[order], until):
        if booked.rows[leg] >= 0:
            take(state, cargo, order, booked.rows[leg], -1.0)
    state.leg[order] = max(until, state.leg[order])


@njit(nogil=True, cache=True, inline="always")
def let_go(cargo: Cargo, state: State, order: int):
    """Give back the seat that an order holds in case it finds no earlier one."""
    if state.spare[order] >= 0:
        take(state, cargo, order, state.spare[order], -1.0)
        state.spare[order] = -1


@njit(nogil=True, cache=True, inline="always")
def wait_for(state: State, order: int, row: int, held: int):
    """Put an order among those that wait for a row; -1 = nothing leads on."""
    state.status[order] = WAITING
    state.target[order] = row
    state.held[order] = held
    if row >= 0:
        state.next[order] = state.waiting[row]
        state.waiting[row] = order


@leaf
def first_after(rows, low: int, high: int, cutoff, minute: int):
    """The first of rows[low:high], which lie by cut-off, whose cut-off is not before a minute: its place."""
    while low < high:
        middle = (low + high) // 2
        if cutoff[rows[middle]] >= minute:
            high = middle
        else:
            low = middle + 1
    return low


@leaf
def choose(
    world: World, tables: Tables, cargo: Cargo, booked: Booked, state: State, columns, order: int, mode: int, now: int,
    after: int,
):  # fmt: skip
    """Decide what an order that is ready at its node waits for, knowing what is known at minute `now`.

    columns (n): each order's column of the tables; after: the row it has just failed to take, -1 = none.
    """
    if mode == ITINERARY:
        _stay_on_lane(world, booked, state, order, now, after)
        return
    state.on_plan[order] = False
    earliest = max(state.ready[order], now)
    for leg in range(state.leg[order], booked.end[order]):
        row = booked.rows[leg]
        if row >= 0 and world.frm[row] == state.node[order] and world.known_gone[row] > now:  # noqa: SIM102
            if cutoff_of(world, row, now) >= earliest and not _seen(world, row, after, now):
                give_up(cargo, booked, state, order, leg)
                let_go(cargo, state, order)
                if state.ready[order] < booked.ready[leg]:
                    sooner = _sooner(world, tables, cargo, state, columns[order], order, now, after, row)
                    if sooner >= 0:
                        give_up(cargo, booked, state, order, leg + 1)
                        take(state, cargo, order, sooner, 1.0)
                        wait_for(state, order, sooner, 1)
                        return
                state.on_plan[order] = True
                wait_for(state, order, row, 1)
                return
    _look_up(world, tables, cargo, state, columns[order], order, mode, now, after)


@njit(nogil=True, cache=True, inline="always")
def _seen(world: World, row: int, after: int, now: int):
    """Whether a row that closes in this very minute has been seen to before the one just missed."""
    return row <= after and world.cutoff[row] == now


@leaf
def _place(tables: Tables, node: int, ready: int, after: int):
    """Where to begin looking: behind the row just missed, else at the first departure that can be caught."""
    if after >= 0 and tables.place[after] >= 0:
        return tables.place[after] + 1
    low, high = tables.first[node], tables.first[node + 1]
    while low < high:
        middle = (low + high) // 2
        if tables.cutoff[middle] >= ready:
            high = middle
        else:
            low = middle + 1
    return low


@leaf
def _sooner(
    world: World, tables: Tables, cargo: Cargo, state: State, column: int, order: int, now: int, after: int, booked: int
):  # fmt: skip
    """What an order that is earlier than planned can ride before what is booked for it; -1 = nothing with room."""
    if column < 0:
        return -1
    node, earliest = state.node[order], max(state.ready[order], now)
    block, bit = column // 16, column % 16
    for place in range(_place(tables, node, state.ready[order], after), tables.first[node + 1]):
        row = tables.row[place]
        if row == booked or tables.cutoff[place] >= cutoff_of(world, booked, now):
            return -1
        if (tables.rides[block, place] >> bit) & 1 and row >= 0 and world.known_gone[row] > now:
            late = cutoff_of(world, row, now) < earliest or _seen(world, row, after, now)
            if not late and has_room(world, state, row, now, cargo.pieces[order], cargo.actual[order]):
                return row
    return -1


@leaf
def _look_up(
    world: World, tables: Tables, cargo: Cargo, state: State, column: int, order: int, mode: int, now: int, after: int
):  # fmt: skip
    """Wait for the first departure that the policy rides: with a seat where one is free, else in case one is left.

    In the second case a seat is held on the first later one that has room, until an earlier one takes the order along.
    """
    if column < 0:
        wait_for(state, order, -1, 0)
        return
    node, earliest = state.node[order], max(state.ready[order], now)
    end = tables.first[node + 1]
    place = _place(tables, node, state.ready[order], after)
    block, bit = column // 16, column % 16
    first = -1
    while place < end:
        if (tables.rides[block, place] >> bit) & 1:
            row = tables.row[place]
            gone = row < 0 or cutoff_of(world, row, now) < earliest or _seen(world, row, after, now)
            if not gone and world.known_gone[row] > now:
                if mode == GREEDY:
                    wait_for(state, order, row, 0)
                    return
                if row == state.spare[order]:
                    if first < 0:
                        state.spare[order] = -1
                        wait_for(state, order, row, 1)
                    else:
                        wait_for(state, order, first, 0)
                    return
                if has_room(world, state, row, now, cargo.pieces[order], cargo.actual[order]):
                    let_go(cargo, state, order)
                    take(state, cargo, order, row, 1.0)
                    if first < 0:
                        wait_for(state, order, row, 1)
                    else:
                        state.spare[order] = row
                        wait_for(state, order, first, 0)
                    return
                if first < 0:
                    first = row
        place += 1
    let_go(cargo, state, order)
    wait_for(state, order, first, 0)


@leaf
def _stay_on_lane(world: World, booked: Booked, state: State, order: int, now: int, after: int):
    """The booked row of the next leg, or else the next of its lane."""
    leg = state.leg[order]
    row = booked.rows[leg] if leg < booked.end[order] else -1
    if row < 0 or world.frm[row] != state.node[order]:  # what comes after a wrong turn, no itinerary says
        state.on_plan[order] = False
        wait_for(state, order, -1, 0)
        return
    state.on_plan[order] = True
    earliest = max(state.ready[order], now)
    if after < 0 and cutoff_of(world, row, now) >= earliest and world.known_gone[row] > now:
        wait_for(state, order, row, 1)
        return
    lane = world.lane[row]
    end = world.lane_from[lane + 1]
    place = first_after(world.lane_rows, world.lane_from[lane], end, world.cutoff, earliest)
    while place < end and (
        world.known_gone[world.lane_rows[place]] <= now or _seen(world, world.lane_rows[place], after, now)
    ):
        place += 1
    wait_for(state, order, world.lane_rows[place] if place < end else -1, 0)
