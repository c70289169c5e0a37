"""What the kernels read, as named tuples of arrays (numba takes these as they are).

A *row* is a dated departure; rows are numbered in order of cut-off, and row N (one past the last) is "no departure
left", where every value is infinite. A *column* is a destination with one class of parcel: chargeable weight, due
time, costs of lateness and time, and what it may ride. Sixteen columns make a *block*.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import NDArray


class Net(NamedTuple):
    """The timetable. N rows, K equally likely outcomes, M nodes, F floating type of the tables."""

    frm: NDArray  # int32 (N): node it leaves
    to: NDArray  # int32 (N)
    limits: NDArray  # int32 (N): number of the lane's limit set
    fixed: NDArray  # F (N): price a parcel, shadow price included
    per_kg: NDArray  # F (N): price a chargeable kilogram
    ready: NDArray  # int32 (N, K): minute a parcel is ready again at `to`; NEVER = not in this calendar
    catch_from: NDArray  # int64 (N + 1): row e may catch catch_row[catch_from[e]:catch_from[e + 1]]
    catch_row: NDArray  # int32: distinct rows first caught, N = none
    catch_share: NDArray  # F: chance of each
    median_ready: NDArray  # int32 (N)
    median_catch: NDArray  # int32 (N)
    node_from: NDArray  # int64 (M + 1): rows leaving node u are node_rows[node_from[u]:node_from[u + 1]], by cut-off
    node_rows: NDArray  # int32 (N)
    place: NDArray  # int32 (N): where a row stands in node_rows
    start: int  # minute from which the cost of time is counted in the tables


class Block(NamedTuple):
    """Sixteen columns, sorted by destination. Unused lanes have no destination and stay infinite."""

    kilograms: NDArray  # F (1, 16)
    barred: NDArray  # F (limit sets, 16): 0 where the column may ride, infinite where not
    first: NDArray  # int16 (M): columns first[u] .. last[u]-1 are delivered at node u
    last: NDArray  # int16 (M)
    due: NDArray  # int64 (16)
    late: NDArray  # float64 (16): cost of being late at all
    late_day: NDArray  # float64 (16): cost of each started day late
    rate: NDArray  # float64 (16): cost of a minute in the network
    delivery: NDArray  # int32 (16, K): minutes of the last mile after the destination node, equally likely


class Parcels(NamedTuple):
    """Parcels of one block, sorted by (near, row); n of them."""

    near: NDArray  # int16 (n): lane of the column whose policy they follow
    far: NDArray  # int16 (n): lane of the column at the other side of their weight
    share_far: NDArray  # float64 (n): weight = (1 - share) x near's + share x far's; 0 = exactly near's
    row: NDArray  # int32 (n): first row they can catch, N = none
    kilograms: NDArray  # float64 (n): chargeable
    confidence: NDArray  # float64 (n)
    pieces: NDArray  # float64 (n)
    grams: NDArray  # float64 (n): actual, all pieces


class Found(NamedTuple):
    """What `forward` finds for n parcels; costs a piece, time counted from net.start."""

    group: NDArray  # int64 (n): number of the group whose legs they share
    cost: NDArray  # float64 (n): expected; infinite = no itinerary
    bound: NDArray  # float64 (n): no policy costs less
    settled: NDArray  # bool (n)
    on_time: NDArray  # float64 (n)
    mean: NDArray  # float64 (n): expected minute of delivery
    by: NDArray  # int64 (n): delivered by this minute with the confidence asked for
