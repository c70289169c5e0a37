"""One destination's cheapest ways through dated departures, plainly: what peers and the peak day's capacities need.

Rows are the departures in order of time, N of them; a parcel *at row e* is at its node in time for it. Row N is "none
left".
"""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Rows(NamedTuple):
    """Departures with what follows each: waiting leads to `wait`, riding to `catch` (N = none)."""

    frm: NDArray  # int32 (N)
    to: NDArray  # int32 (N)
    depart: NDArray  # int64 (N), ascending
    arrive: NDArray  # int64 (N): ready at the next node
    cost: NDArray  # float64 (N)
    wait: NDArray  # int64 (N)
    catch: NDArray  # int64 (N)


def rows_of(frm: NDArray, to: NDArray, depart: NDArray, arrive: NDArray, cost: NDArray) -> Rows:
    """Departures in order of time (N), linked."""
    columns = [np.asarray(x, kind) for x, kind in ((frm, np.int32), (to, np.int32), (depart, np.int64))]
    rows = Rows(*columns, np.asarray(arrive, np.int64), np.asarray(cost, np.float64), *[np.zeros(0, np.int64)] * 2)
    place = np.arange(len(frm))
    return rows._replace(wait=_from(rows, rows.frm, rows.depart, place), catch=_from(rows, rows.to, rows.arrive))


def first_rows(rows: Rows, node: NDArray, ready: NDArray) -> NDArray[np.int64]:
    """The first row of each node that leaves at `ready` or later (n)."""
    return _from(rows, node, ready)


def _from(rows: Rows, node: NDArray, at: NDArray, after: NDArray | None = None) -> NDArray[np.int64]:
    """The first row of each node that leaves at a minute or later, or that follows the row `after`."""
    none = len(rows.frm)
    order = np.argsort(rows.frm, kind="stable")  # node by node, in time
    if after is None:
        beyond = int(max(rows.arrive.max(initial=0), np.max(at, initial=0))) + 1
        keys = rows.frm[order].astype(np.int64) * beyond + rows.depart[order]
        found = np.searchsorted(keys, np.asarray(node, np.int64) * beyond + at)
    else:
        found = np.empty(none, np.int64)
        found[order] = np.arange(1, none + 1)
    row = order[np.minimum(found, none - 1)]
    return np.where((found < none) & (rows.frm[row] == node), row, none)


@njit(nogil=True, cache=True)
def ways_to(rows: Rows, destination: int, cost_per_minute: float, value, ride):
    """Fill `value` (N + 1: cost from a row until delivery, the delivery's minute counted from 0) and `ride` (N + 1)."""
    none = len(rows.frm)
    value[none] = np.inf
    ride[none] = False
    for row in range(none - 1, -1, -1):
        if rows.to[row] == destination:
            going = rows.cost[row] + cost_per_minute * rows.arrive[row]
        else:
            going = rows.cost[row] + value[rows.catch[row]]
        waiting = value[rows.wait[row]]
        ride[row] = going <= waiting and going < np.inf
        value[row] = min(going, waiting)


@njit(nogil=True, cache=True)
def push(rows: Rows, destination: int, ride, held, loads):
    """Move what is held at rows (N + 1, L kinds) along `ride` and add it to the `loads` (N, L) of what it rides."""
    kinds = held.shape[1]
    for row in range(len(rows.frm)):
        for kind in range(kinds):
            amount = held[row, kind]
            if amount == 0:
                continue
            if not ride[row]:
                held[rows.wait[row], kind] += amount
            else:
                loads[row, kind] += amount
                if rows.to[row] != destination:
                    held[rows.catch[row], kind] += amount
