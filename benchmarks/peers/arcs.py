"""The arcs of one destination's flow: what highs_lp and ortools_flow build their models from."""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks.peers.problem import Problem
from benchmarks.peers.ways import Rows, ways_to


@dataclass(frozen=True)
class Arcs:
    """One unit of flow is a parcel; rows that no parcel can come by, or from where nothing arrives, are left out.

    Costs of time are counted from minute 0, those of a refusal too.
    """

    ride: NDArray[np.int64]  # rows that may be ridden
    ride_to: NDArray[np.int64]  # row caught, -1 = delivered
    ride_cost: NDArray[np.float64]
    wait: NDArray[np.int64]  # rows that may be waited at
    wait_to: NDArray[np.int64]
    at: NDArray[np.int64]  # rows at which parcels begin
    count: NDArray[np.int64]  # how many begin at each
    refusal: NDArray[np.float64]  # cost of refusing one of them, the one that was ready first
    refusal_most: NDArray[np.float64]  # the same, the one that was ready last
    stranded: int  # parcels without any way
    stranded_cost: float


def arcs_of(problem: Problem, rows: Rows, begin: NDArray, destination: int, groups: NDArray) -> Arcs:
    """The arcs of the groups of parcels that go to `destination`."""
    none, rate = len(rows.frm), problem.cost_per_minute
    value, ride = np.empty(none + 1), np.empty(none + 1, np.bool_)
    ways_to(rows, destination, rate, value, ride)
    lost = groups[~np.isfinite(value[begin[groups]])]
    groups = groups[np.isfinite(value[begin[groups]])]
    at, number = np.unique(begin[groups], return_inverse=True)
    first, last = np.full(len(at), np.inf), np.zeros(len(at))
    np.minimum.at(first, number, problem.ready[groups])
    np.maximum.at(last, number, problem.ready[groups])
    live = np.zeros(none + 1, np.bool_)
    live[at] = True
    _reach(rows, destination, value, live)
    delivers = rows.to == destination
    onward = np.where(delivers, -1, rows.catch)
    rides = np.flatnonzero(live[:none] & (delivers | np.isfinite(value[rows.catch])))
    waits = np.flatnonzero(live[:none] & np.isfinite(value[rows.wait]))
    return Arcs(
        ride=rides,
        ride_to=onward[rides],
        ride_cost=rows.cost[rides] + np.where(delivers[rides], rate * rows.arrive[rides], 0.0),
        wait=waits,
        wait_to=rows.wait[waits],
        at=at,
        count=np.bincount(number, problem.count[groups], len(at)).astype(np.int64),
        refusal=problem.refusal + rate * first,
        refusal_most=problem.refusal + rate * last,
        stranded=int(problem.count[lost].sum()),
        stranded_cost=float(problem.count[lost] @ (problem.refusal + rate * problem.ready[lost])),
    )


@njit(nogil=True, cache=True)
def _reach(rows: Rows, destination: int, value, live):
    """Mark in `live` every row that parcels can come to from those marked, with a way on from there."""
    for row in range(len(rows.frm)):
        if live[row]:
            if np.isfinite(value[rows.wait[row]]):
                live[rows.wait[row]] = True
            if rows.to[row] != destination and np.isfinite(value[rows.catch[row]]):
                live[rows.catch[row]] = True
