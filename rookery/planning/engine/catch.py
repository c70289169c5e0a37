"""From departures to what they can catch: handling inside opening hours, then the first cut-off not yet passed."""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def work(arrive: int, handling: int, opens, closes, worked, never: int):
    """Minute at which `handling` minutes of work are over for an arrival at `arrive`.

    opens, closes: disjoint opening intervals in order; worked[i]: minutes open before interval i. A parcel arriving
    while closed is ready no earlier than the next opening; one finished exactly at closing time is ready then.
    """
    low, high = 0, len(closes)  # first interval that closes after the arrival
    while low < high:
        middle = (low + high) // 2
        if closes[middle] > arrive:
            high = middle
        else:
            low = middle + 1
    if low == len(closes):
        return never
    begin = max(arrive, opens[low])
    if handling == 0:
        return begin
    target = worked[low] + (begin - opens[low]) + handling
    high = len(closes)
    while low < high:  # first interval by whose end the work is done
        middle = (low + high) // 2
        if worked[middle] + (closes[middle] - opens[middle]) >= target:
            high = middle
        else:
            low = middle + 1
    if low == len(closes):
        return never
    return opens[low] + (target - worked[low])


@njit(nogil=True, cache=True)
def ready_times(to, arrive, handling, open_from, opens, closes, worked, always_open, never: int):
    """When each arrival (n, K) at node `to` (n) is ready again: int32 (n, K)."""
    ready = np.empty(arrive.shape, np.int32)
    for row in range(len(to)):
        node = to[row]
        begin, end = open_from[node], open_from[node + 1]
        for k in range(arrive.shape[1]):
            if always_open[node]:
                ready[row, k] = arrive[row, k] + handling[node]
            else:
                ready[row, k] = work(
                    arrive[row, k], handling[node], opens[begin:end], closes[begin:end], worked[begin:end], never
                )
    return ready


@njit(nogil=True, cache=True)
def first_row(node: int, minute: int, node_from, node_rows, cutoff, none: int):
    """The first row leaving `node` whose cut-off is not before `minute`; `none` when all have gone."""
    low, high = node_from[node], node_from[node + 1]
    end = high
    while low < high:
        middle = (low + high) // 2
        if cutoff[node_rows[middle]] >= minute:
            high = middle
        else:
            low = middle + 1
    return node_rows[low] if low < end else none


@njit(nogil=True, cache=True)
def first_rows(nodes, minutes, node_from, node_rows, cutoff, none: int):
    """`first_row` for arrays (n)."""
    found = np.empty(len(nodes), np.int32)
    for i in range(len(nodes)):
        found[i] = first_row(nodes[i], minutes[i], node_from, node_rows, cutoff, none)
    return found


@njit(nogil=True, cache=True)
def catches(to, ready, node_from, node_rows, cutoff, never: int):
    """What each departure's outcomes catch, alike merged, earliest first: (catch_from (n + 1), catch_row, chances)."""
    count, outcomes = ready.shape
    start = np.zeros(count + 1, np.int64)
    rows = np.empty(count * outcomes, np.int32)
    share = np.empty(count * outcomes, np.float64)
    size = 0
    for row in range(count):
        begin = size
        for k in range(outcomes):
            minute = ready[row, k]
            caught = count if minute == never else first_row(to[row], minute, node_from, node_rows, cutoff, count)
            known = size
            while known > begin and rows[known - 1] >= caught:
                known -= 1
            if known == size or rows[known] != caught:
                for later in range(size, known, -1):
                    rows[later] = rows[later - 1]
                    share[later] = share[later - 1]
                rows[known] = caught
                share[known] = 0.0
                size += 1
            share[known] += 1.0 / outcomes
        start[row + 1] = size
    return start, rows[:size].copy(), share[:size].copy()
