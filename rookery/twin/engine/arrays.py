"""What the twin's kernels read and write, as named tuples of arrays.

A *row* is a dated departure of the feed as it stood when the plan was made, in order of cut-off (N of them); what
really happens to it, closures and bad luck included, stands in `World`.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import NDArray

WAITING, MOVING, ARRIVED, LOST, NOT_SENT = range(5)
"""Where a parcel is: at a node, on a departure, at its destination, gone, or never given to the network."""
FOLLOW, ITINERARY, GREEDY = range(3)
"""How a parcel chooses its next ride; see twin.model.POLICIES."""
LOSS, DAMAGE, MISROUTING, HOLD = range(4)
"""Kinds of bad luck on a leg, told apart in random draws and, as bits, in the log."""


class World(NamedTuple):
    """What really runs, and when what rides it is handled. N rows, M nodes, H hours."""

    frm: NDArray  # int32 (N)
    to: NDArray  # int32 (N)
    lane: NDArray  # int32 (N)
    cutoff: NDArray  # int32 (N): as it really is
    told: NDArray  # int32 (N): as everyone believes before `known_at`
    depart: NDArray  # int32 (N)
    arrive: NDArray  # int32 (N)
    ready: NDArray  # int32 (N): handled at `to`, were there no queue; NEVER = not in this calendar
    seats: NDArray  # float64 (N)
    kilograms: NDArray  # float64 (N)
    told_seats: NDArray  # float64 (N): as everyone believes before `known_at`
    told_kilograms: NDArray  # float64 (N)
    fixed: NDArray  # float64 (N): price a parcel
    per_kg: NDArray  # float64 (N): price a chargeable kilogram
    known_gone: NDArray  # int32 (N): minute from which everyone knows that it will not run; NEVER = it runs
    order: NDArray  # int32 (N): rows by real cut-off
    lane_from: NDArray  # int64 (L + 1): rows of lane l are lane_rows[lane_from[l]:lane_from[l + 1]], by real cut-off
    lane_rows: NDArray  # int32 (N)
    node_from: NDArray  # int64 (M + 1): rows that leave a node, the same way
    node_rows: NDArray  # int32 (N)
    limit: NDArray  # int32 (M): number of a node with a limit an hour; -1 = none
    hourly: NDArray  # float64 (limited nodes, H): pieces it can finish handling in each clock hour from `begin` on
    begin: int  # minute, a whole hour
    known_at: int  # minute from which closures are known


class Hours(NamedTuple):
    """When nodes work: the spells of node u are open_from[u]:open_from[u + 1]."""

    always: NDArray  # bool (M)
    open_from: NDArray  # int64 (M + 1)
    opens: NDArray  # int64
    closes: NDArray  # int64


class Tables(NamedTuple):
    """The policy that parcels look up: terms.rides.RideTables with places joined to rows."""

    first: NDArray  # int64 (M + 1)
    cutoff: NDArray  # int32 (P)
    row: NDArray  # int32 (P): -1 = a departure that is none of the world's
    place: NDArray  # int32 (N): -1 = not in the tables
    rides: NDArray  # uint16 (B, P)


class Cargo(NamedTuple):
    """Orders, n of them."""

    origin: NDArray  # int32 (n)
    destination: NDArray  # int32 (n)
    pieces: NDArray  # float64 (n)
    actual: NDArray  # float64 (n): kilograms of all pieces
    chargeable: NDArray  # float64 (n): kilograms of all pieces
    rank: NDArray  # int64 (n): whoever has a lower one boards first


class Booked(NamedTuple):
    """Seats that a plan holds: rows[begin[i]:end[i]] are those of order i."""

    begin: NDArray  # int64 (n)
    end: NDArray  # int64 (n)
    rows: NDArray  # int32
    ready: NDArray  # int64: minute at which the plan has the order ready for each


class State(NamedTuple):
    """Where everything is. Lists of orders are chained by `next`, -1 ends one."""

    status: NDArray  # int8 (n)
    node: NDArray  # int32 (n): where it is, or was last
    ready: NDArray  # int32 (n): minute at which it is ready there; at its destination when ARRIVED
    target: NDArray  # int32 (n): row it waits for or rides; -1 = nothing leads on
    held: NDArray  # int8 (n): 2 = it goes with the target come what may, 1 = has a seat there, 0 = if there is room
    spare: NDArray  # int32 (n): row on which it has a seat in case the target has none left; -1 = none
    on_plan: NDArray  # bool (n): the target is what was booked for it
    leg: NDArray  # int64 (n): place in Booked.rows of the next one
    spent: NDArray  # float64 (n): prices of what it has ridden
    legs: NDArray  # int16 (n)
    missed: NDArray  # int16 (n): rides it meant to take and did not
    damaged: NDArray  # bool (n)
    next: NDArray  # int32 (n)
    log_at: NDArray  # int64 (n): its last entry in the log
    waiting: NDArray  # int32 (N): first order that waits for a row
    aboard: NDArray  # int32 (N): first order on it
    arriving: NDArray  # int32 (minutes): first row that arrives in a minute from World.begin on
    arrives_next: NDArray  # int32 (N): the next one
    taken: NDArray  # float64 (N, 2): seats and kilograms held on a row, by those who are still to board too
    carried: NDArray  # float64 (N, 2): pieces and kilograms aboard
    used: NDArray  # float64 (limited nodes, H): pieces that finish handling in each hour
    queued: NDArray  # float64 (M, 3): pieces that had to wait, minutes they waited in all, longest
    at: NDArray  # int64 (2): the minute to come, and how many of World.order are done


class Log(NamedTuple):
    """Legs as they were ridden."""

    order: NDArray  # int32
    row: NDArray  # int32
    ready: NDArray  # int32: when it was ready again; NEVER = it never was
    luck: NDArray  # uint8: bits of bad luck
    size: NDArray  # int64 (1)


class Luck(NamedTuple):
    """Chances of bad luck on a leg."""

    seed: int
    lost: float
    damaged: float
    misrouted: float
    held: NDArray  # float64 (M): chance of being held when handled at a node
    held_minutes: float  # mean
