"""What every departure of the peak day carries when nothing is ever full: from this its capacities follow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks import peak_day
from benchmarks.peers.ways import Rows, first_rows, push, rows_of, ways_to
from rookery.terms.time import DAY


def loads(net: peak_day.Network, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Parcels, and grams of the real form, on each dated departure (order of `peak_day.dated`) in the plain form."""
    rows = rows_of(*peak_day.dated(net)[:5])
    origin, destination, ready = peak_day.parcels(count, len(net.positions))
    _, grams, _ = peak_day.kinds(count)
    parcels, weight = free_flow(rows, origin, destination, ready, np.column_stack([np.ones(count), grams])).T
    return parcels, weight


def free_flow(
    rows: Rows, origin: NDArray, destination: NDArray, ready: NDArray, amounts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Loads (N, L) of each row in each kind of `amounts` (n, L), along cheapest ways of the plain form."""
    count, amounts_ = len(rows.frm), amounts.T
    begin = first_rows(rows, origin, ready)
    order = np.argsort(destination, kind="stable")
    begin, of = begin[order], destination[order]
    ends = np.searchsorted(of, np.arange(of.max(initial=-1) + 2))
    value, ride = np.empty(count + 1), np.empty(count + 1, np.bool_)
    found = np.zeros((count, len(amounts_)))
    for node in range(len(ends) - 1):
        mine = slice(ends[node], ends[node + 1])
        if mine.start == mine.stop:
            continue
        ways_to(rows, node, peak_day.TIME_COST_PER_DAY["plain"] / DAY, value, ride)
        held = np.column_stack([np.bincount(begin[mine], x[order[mine]], count + 1) for x in amounts_])
        held[~np.isfinite(value)] = 0  # no way from there
        push(rows, node, ride, held, found)
    return found


def capacities(net: peak_day.Network, count: int) -> dict[str, NDArray[np.float64]]:
    """`capacity_parcels` and `capacity_g` of each repeating departure, as `peak_day.feed` takes them."""
    parcels, grams = loads(net, count)
    return {
        "capacity_parcels": peak_day.capacity_parcels(net, parcels),
        "capacity_g": peak_day.capacity_g(net, grams),
    }
