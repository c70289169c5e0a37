"""Holds refusals for lack of capacity against the room that the plan leaves: no way may still have a place."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rookery.planning.check.capacity import Booked, Limits
from rookery.planning.check.itinerary import Trip
from rookery.planning.check.reasons import Lanes
from rookery.planning.check.report import Findings
from rookery.planning.check.runs import Runs
from rookery.planning.check.wishes import Wish

_ROUNDING = 1e-9  # of a capacity: less room than this is none where figures are no whole numbers


def hold_refusals(
    refused: list[Trip],
    runs: Runs,
    run_lane: NDArray[np.int64],
    lanes: Lanes,
    limits: Limits,
    booked: Booked,
    findings: Findings,
) -> None:
    """Holds every refused parcel against what is left of departures and hours, with known transit times (K = 1).

    A way need not pass a node twice, since waiting there does as well: so no place on it is needed twice.
    """
    handled = limits.handled(booked.parcels)
    for _, alike in groupby(sorted(refused, key=_terms), _terms):
        trips = list(alike)
        wish = trips[0].wish
        passable = lanes.allowed(wish)[run_lane] & _room(wish, limits, booked, handled)
        reach = _reach(runs.next, runs.to, runs.catch[:, 0], passable, wish.destination)
        for wish in (trip.wish for trip in trips):
            if wish.origin == wish.destination or reach[runs.first(wish.origin, wish.start)]:
                findings.add("refused_with_room", "planned", "no_capacity", order=wish.order_id)


def _terms(trip: Trip) -> tuple[Any, ...]:
    """What two refused parcels share when the same runs have room for them and lead where they want."""
    wish = trip.wish
    return wish.destination, wish.pieces, wish.weight, wish.side, wish.goods, tuple(sorted(wish.modes))


def _room(wish: Wish, limits: Limits, booked: Booked, handled: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The runs that have room for all pieces of a parcel, and so has the hour in which they are handled after it."""
    room = _fits(booked.parcels, limits.parcels, wish.pieces)
    room &= _fits(booked.grams, limits.grams, wish.pieces * wish.weight)
    room[limits.into] &= np.append(_fits(handled, limits.per_hour, wish.pieces), False)[limits.cell[:, 0]]
    return room


def _fits(load: NDArray[np.float64], limit: NDArray[np.float64], more: float) -> NDArray[np.bool_]:
    whole = (load == np.floor(load)) & (limit == np.floor(limit)) & (more == np.floor(more))
    return load + more <= limit * (1 - np.where(whole, 0.0, _ROUNDING))


@njit(cache=True)
def _reach(following, to, catch, passable, destination):
    """For every run, whether the destination can be reached from its node by it or a later one."""
    n = len(to)
    reach = np.zeros(n + 1, np.bool_)
    for e in range(n - 1, -1, -1):
        rides = passable[e] and (to[e] == destination or reach[catch[e]])
        reach[e] = rides or reach[following[e]]
    return reach
