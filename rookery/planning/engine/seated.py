"""What seats mean for the parcels that have them: when they arrive, their legs along median times, what is carried."""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rookery.planning.engine.arrays import Net
from rookery.planning.engine.seat import Seats


class Arrivals(NamedTuple):
    """What is asked of each of n parcels, and where they end."""

    destination: NDArray  # int32 (n)
    zone: NDArray  # int32 (n): row of `delivery`
    due: NDArray  # int64 (n)
    confidence: NDArray  # float64 (n)
    delivery: NDArray  # int32 (Z, K): minutes of the last mile, equally likely


@njit(nogil=True, cache=True)
def arrivals(net: Net, seats: Seats, asked: Arrivals, on_time, mean, by):
    """P(on time), expected minute of delivery and the minute by which it is delivered with the confidence asked for."""
    outcomes = net.ready.shape[1]
    times = np.empty(64, np.int64)
    weight = np.empty(64, np.float64)
    for parcel in range(len(seats.size)):
        done = 0
        on_time[parcel] = 0.0
        mean[parcel] = 0.0
        last_mile = asked.delivery[asked.zone[parcel]]
        last_miles = len(last_mile)
        if (last_mile == last_mile[0]).all():  # there is none, or it always takes as long: one outcome stands for all
            last_miles = 1
        for j in range(seats.begin[parcel], seats.begin[parcel] + seats.size[parcel]):
            ridden = seats.rides[j]
            if net.to[ridden] != asked.destination[parcel]:
                continue
            each = seats.chances[j] / (outcomes * last_miles)
            for k in range(outcomes):
                for m in range(last_miles):
                    if done == len(times):
                        longer = np.empty(2 * done, times.dtype)
                        longer[:done] = times
                        times = longer
                        heavier = np.empty(2 * done, weight.dtype)
                        heavier[:done] = weight
                        weight = heavier
                    at = net.ready[ridden, k] + last_mile[m]
                    times[done] = at
                    weight[done] = each
                    done += 1
                    mean[parcel] += each * at
                    if at <= asked.due[parcel]:
                        on_time[parcel] += each
        on_time[parcel] = min(on_time[parcel], 1.0)
        if done <= 1:
            by[parcel] = times[0] if done else 0
            continue
        order = np.argsort(times[:done])
        sure = 0.0
        by[parcel] = times[order[done - 1]]
        for i in order:
            sure += weight[i]
            if sure >= asked.confidence[parcel] - 1e-9:
                by[parcel] = times[i]
                break


@njit(nogil=True, cache=True)
def itineraries(net: Net, seats: Seats, row, destination, legs, length):
    """The rides of each parcel along median times, parcel after parcel: (legs, size); length (n) of each.

    Where the median (not one of the outcomes) leads nowhere, the itinerary ends there.
    """
    none = len(net.frm)
    size = 0
    for parcel in range(len(seats.size)):
        begin, end = seats.begin[parcel], seats.begin[parcel] + seats.size[parcel]
        held = row[parcel]
        taken_before = size
        while held != none and begin < end:
            taken = none
            for j in range(begin, end):
                ridden = seats.rides[j]
                if net.frm[ridden] == net.frm[held] and ridden >= held and ridden < taken:
                    taken = ridden
            if taken == none:
                break
            if size == len(legs):
                more = np.empty(2 * size, legs.dtype)
                more[:size] = legs
                legs = more
            legs[size] = taken
            size += 1
            if net.to[taken] == destination[parcel]:
                break
            held = net.median_catch[taken]
        length[parcel] = size - taken_before
    return legs, size


@njit(nogil=True, cache=True)
def carried(seats: Seats, pieces, grams, loads):
    """Add what all parcels are expected to ride to `loads` (N, 2: pieces, grams)."""
    for parcel in range(len(seats.size)):
        for j in range(seats.begin[parcel], seats.begin[parcel] + seats.size[parcel]):
            loads[seats.rides[j], 0] += seats.chances[j] * pieces[parcel]
            loads[seats.rides[j], 1] += seats.chances[j] * grams[parcel]
