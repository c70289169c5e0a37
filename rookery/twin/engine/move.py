"""The twin's clock: minute by minute, what arrives is handled and chooses its next ride, and what leaves is loaded.

Nothing is kept an event: orders are chained to the departure they wait for or ride, so that a leg of an order costs a
few numbers, and time passes with departures and not with parcels.
"""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import numpy as np
from numba import njit

from rookery.terms.time import NEVER
from rookery.twin.engine.arrays import (
    ARRIVED,
    DAMAGE,
    GREEDY,
    HOLD,
    ITINERARY,
    LOSS,
    LOST,
    MISROUTING,
    MOVING,
    NOT_SENT,
    WAITING,
    Booked,
    Cargo,
    Hours,
    Log,
    Luck,
    State,
    Tables,
    World,
)
from rookery.twin.engine.choose import choose, cutoff_of, fits, give_up, let_go, take, wait_for
from rookery.twin.engine.hours import worked_off
from rookery.twin.engine.leaf import leaf

HOUR = 60
MINUTES, RANKS = 1 << 32, 1 << 28


@njit(nogil=True, cache=True, inline="always")
def drawn(seed: int, order: int, leg: int, kind: int):
    """A number in [0, 1) that belongs to a seed, order, leg and kind of luck (splitmix64, Steele et al. 2014)."""
    x = np.uint64(seed) + np.uint64(order) * np.uint64(0x9E3779B97F4A7C15)
    x += np.uint64(leg * 8 + kind) * np.uint64(0xD1B54A32D192ED03)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return np.float64(x >> np.uint64(11)) * 2.0**-53


@leaf
def set_out(
    world: World, tables: Tables, cargo: Cargo, booked: Booked, state: State, columns, mode: int, now: int, turn
):  # fmt: skip
    """Let everyone that waits choose anew, knowing what is known at minute `now`; what was waited for is forgotten.

    turn int32 (n): the order in which they choose. All seats that are not booked are free before anyone does.
    """
    state.waiting[:] = -1
    for order in range(len(cargo.pieces)):
        travelling = state.status[order] == WAITING or state.status[order] == MOVING
        if travelling and mode != ITINERARY:
            if _broken(world, booked, state, order, now):
                give_up(cargo, booked, state, order, booked.end[order])
            if state.status[order] == WAITING and state.held[order] == 1 and not state.on_plan[order]:
                take(state, cargo, order, state.target[order], -1.0)
            let_go(cargo, state, order)
    for order in turn:
        if state.status[order] == WAITING:
            if state.held[order] == 2:
                wait_for(state, order, state.target[order], 2)
            else:
                choose(world, tables, cargo, booked, state, columns, order, mode, now, -1)


@leaf
def _broken(world: World, booked: Booked, state: State, order: int, now: int):
    for leg in range(state.leg[order], booked.end[order]):
        if booked.rows[leg] < 0 or world.known_gone[booked.rows[leg]] <= now:
            return True
    return False


@njit(nogil=True, cache=True)
def advance(
    world: World, hours: Hours, tables: Tables, cargo: Cargo, booked: Booked, state: State, columns, luck: Luck,
    log: Log, mode: int, until: int, boarding, keys,
):  # fmt: skip
    """Move everything up to minute `until`; False = the log is too full to go on, call again with a longer one.

    boarding int32 (n), keys int64 (n): working memory.
    """
    logged = len(log.order) > 0
    while state.at[0] < until:
        minute = state.at[0]
        if logged and log.size[0] + len(cargo.pieces) > len(log.order):
            return False
        row = state.arriving[minute - world.begin] if 0 <= minute - world.begin < len(state.arriving) else -1
        while row >= 0:
            if state.aboard[row] >= 0:
                _unload(world, hours, tables, cargo, booked, state, columns, luck, log, logged, mode, minute, row)
            row = state.arrives_next[row]
        done = state.at[1]
        while done < len(world.order) and world.cutoff[world.order[done]] <= minute:
            row = world.order[done]
            if state.waiting[row] >= 0:
                _board(
                    world, tables, cargo, booked, state, columns, luck, log, logged, mode, minute, row, boarding, keys
                )
            done += 1
        state.at[1] = done
        state.at[0] = minute + 1
    return True


@njit(nogil=True, cache=True)
def _board(
    world: World, tables: Tables, cargo: Cargo, booked: Booked, state: State, columns, luck: Luck, log: Log, logged,
    mode: int, minute: int, row: int, boarding, keys,
):  # fmt: skip
    """The cut-off of a departure: whoever fits is taken along, the others choose again."""
    count = 0
    pieces, kilograms = 0.0, 0.0
    order = state.waiting[row]
    while order >= 0:
        boarding[count] = order
        count += 1
        pieces += cargo.pieces[order]
        kilograms += cargo.actual[order]
        order = state.next[order]
    state.waiting[row] = -1
    runs = world.known_gone[row] > minute
    if runs and not fits(world, state.carried, row, pieces, kilograms):
        for i in range(count):
            order = boarding[i]
            rank = 0 if mode == GREEDY else cargo.rank[order] + (2 - state.held[order]) * RANKS
            keys[i] = rank * MINUTES + state.ready[order]
        ranked = boarding[:count][np.argsort(keys[:count], kind="mergesort")]
        boarding[:count] = ranked
    for i in range(count):
        order = boarding[i]
        fit = state.held[order] == 2 or fits(world, state.carried, row, cargo.pieces[order], cargo.actual[order])
        if not (runs and fit):
            if state.on_plan[order] and mode != ITINERARY:
                state.leg[order] += 1
            state.missed[order] += 1
            choose(world, tables, cargo, booked, state, columns, order, mode, minute, row)
            continue
        let_go(cargo, state, order)
        _go(world, tables, cargo, booked, state, luck, log, logged, mode, row, order)


@leaf
def _go(
    world: World, tables: Tables, cargo: Cargo, booked: Booked, state: State, luck: Luck, log: Log, logged, mode: int,
    row: int, order: int,
):  # fmt: skip
    """Load an order onto a departure, if it is not lost, or loaded onto another one."""
    wrong_way = state.held[order] == 2
    leg = state.legs[order]
    bits = 0
    if not wrong_way:
        if luck.misrouted > 0 and drawn(luck.seed, order, leg, MISROUTING) < luck.misrouted:
            other = _beside(world, row)
            if other >= 0:
                if state.on_plan[order]:
                    state.leg[order] += 1
                state.on_plan[order] = False
                wait_for(state, order, other, 2)
                return
        if state.on_plan[order]:
            state.leg[order] += 1
    else:
        bits |= 1 << MISROUTING
    if luck.damaged > 0 and drawn(luck.seed, order, leg, DAMAGE) < luck.damaged:
        state.damaged[order] = True
        bits |= 1 << DAMAGE
    state.status[order] = MOVING
    state.target[order] = row
    state.spent[order] += world.fixed[row] * cargo.pieces[order] + world.per_kg[row] * cargo.chargeable[order]
    state.legs[order] = leg + 1
    state.carried[row, 0] += cargo.pieces[order]
    state.carried[row, 1] += cargo.actual[order]
    lost = luck.lost > 0 and drawn(luck.seed, order, leg, LOSS) < luck.lost
    if lost:
        state.status[order] = LOST
        bits |= 1 << LOSS
        give_up(cargo, booked, state, order, booked.end[order])
    else:
        state.next[order] = state.aboard[row]
        state.aboard[row] = order
    if logged:
        entry = log.size[0]
        log.order[entry], log.row[entry], log.ready[entry], log.luck[entry] = order, row, NEVER, bits
        state.log_at[order] = entry
        log.size[0] = entry + 1


@leaf
def _beside(world: World, row: int):
    """The next departure of the node that goes elsewhere and runs; -1 = none."""
    node = world.frm[row]
    end = world.node_from[node + 1]
    place = world.node_from[node]
    low, high = place, end
    while low < high:
        middle = (low + high) // 2
        if world.cutoff[world.node_rows[middle]] > world.cutoff[row]:
            high = middle
        else:
            low = middle + 1
    for place in range(low, end):
        other = world.node_rows[place]
        if world.to[other] != world.to[row] and world.known_gone[other] == NEVER:
            return other
    return -1


@leaf
def _unload(
    world: World, hours: Hours, tables: Tables, cargo: Cargo, booked: Booked, state: State, columns, luck: Luck,
    log: Log, logged, mode: int, minute: int, row: int,
):  # fmt: skip
    """A departure arrives: what it carries is handled, as soon as the node has the hands, and chooses its next ride."""
    node = world.to[row]
    order = state.aboard[row]
    state.aboard[row] = -1
    back = -1  # turned around, so that whoever was loaded first is unloaded first
    while order >= 0:
        after = state.next[order]
        state.next[order] = back
        back = order
        order = after
    order = back
    while order >= 0:
        after = state.next[order]
        ready = world.ready[row]
        if luck.held[node] > 0 and drawn(luck.seed, order, state.legs[order], HOLD) < luck.held[node]:
            share = drawn(luck.seed, order, state.legs[order], HOLD + 1)
            held = min(NEVER, ready + int(-luck.held_minutes * np.log(1.0 - share)))
            ready = worked_off(hours, node, held, 0, NEVER) if held < NEVER else NEVER
            if logged:
                log.luck[state.log_at[order]] |= 1 << HOLD
        if world.limit[node] >= 0 and ready < NEVER:
            ready = _queue(world, hours, state, node, ready, cargo.pieces[order])
        if logged:
            log.ready[state.log_at[order]] = ready
        state.node[order], state.ready[order] = node, ready
        if ready >= NEVER:
            give_up(cargo, booked, state, order, booked.end[order])
            wait_for(state, order, -1, 0)
        elif node == cargo.destination[order]:
            state.status[order] = ARRIVED
            give_up(cargo, booked, state, order, booked.end[order])  # where it came some other way round
        else:
            leg = state.leg[order]
            seat = booked.rows[leg] if leg < booked.end[order] else -1
            if seat >= 0 and world.frm[seat] == node and cutoff_of(world, seat, minute) < ready:
                state.missed[order] += 1
                if mode != ITINERARY:
                    give_up(cargo, booked, state, order, leg + 1)
            choose(world, tables, cargo, booked, state, columns, order, mode, minute, -1)
        order = after


@leaf
def _queue(world: World, hours: Hours, state: State, node: int, ready: int, pieces: float):
    """When so many pieces are handled at a node with a limit an hour, whose turn it is by arrival.

    An order of more pieces than an hour can take has an empty hour for itself.
    """
    number = world.limit[node]
    last = world.hourly.shape[1]
    asked = ready
    hour = (ready - world.begin) // HOUR
    while hour < last:
        most, used = world.hourly[number, hour], state.used[number, hour]
        if used + pieces <= most * (1 + 1e-9) or (used == 0 and most > 0):
            break
        ready = worked_off(hours, node, world.begin + (hour + 1) * HOUR, 0, NEVER)
        if ready >= NEVER:
            return NEVER
        hour = (ready - world.begin) // HOUR
    if hour >= last:
        return NEVER
    state.used[number, hour] += pieces
    if ready > asked:
        state.queued[node, 0] += pieces
        state.queued[node, 1] += pieces * (ready - asked)
        state.queued[node, 2] = max(state.queued[node, 2], ready - asked)
    return ready


@leaf
def laid_out(world: World, cargo: Cargo, booked: Booked, state: State, sent):
    """The beginning: everyone sent (bool, n) is at its origin or there already, and what is booked is taken."""
    for order in range(len(cargo.pieces)):
        if not sent[order]:
            state.status[order] = NOT_SENT
        elif cargo.origin[order] == cargo.destination[order]:
            state.status[order] = ARRIVED
        else:
            state.status[order] = WAITING
            for leg in range(booked.begin[order], booked.end[order]):
                if booked.rows[leg] >= 0:
                    take(state, cargo, order, booked.rows[leg], 1.0)
    for row in range(len(world.frm) - 1, -1, -1):
        minute = world.arrive[row] - world.begin
        if 0 <= minute < len(state.arriving):
            state.arrives_next[row] = state.arriving[minute]
            state.arriving[minute] = row
