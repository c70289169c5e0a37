"""First come, first served, in numba: in order of ready time, every parcel books its cheapest way through what is left.

The way is found by A* (Hart, Nilsson and Raphael, 1968) with one destination's table of costs when nothing is full as
its estimate: it goes straight along the table while seats are free and searches around full departures. Nobody who
has booked is ever moved.
"""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportIndexIssue=false

from __future__ import annotations

import heapq

import numpy as np
from numba import njit

from benchmarks.peers.problem import Answer, Problem, reply, tiny
from benchmarks.peers.ways import Rows, ways_to


def solve(problem: Problem) -> Answer:
    """A feasible plan of whole parcels."""
    rows = problem.rows
    begin = problem.begin(rows)
    tables = _tables(rows, np.unique(problem.destination), problem.cost_per_minute)
    table_of = np.searchsorted(np.unique(problem.destination), problem.destination)
    left = problem.capacity.astype(np.int64)
    order = np.argsort(problem.ready, kind="stable")
    cost, refused = _book(
        rows, tables, table_of, order, begin, problem.destination, problem.ready, problem.count, left,
        problem.cost_per_minute, problem.refusal,
    )  # fmt: skip
    return Answer(cost, (problem.capacity - left).astype(np.float64), refused)


def _tables(rows: Rows, destinations, cost_per_minute: float):
    """Cost from every row to each destination when nothing is full: (destinations, N + 1), in 4 bytes."""
    none = len(rows.frm)
    tables = np.empty((len(destinations), none + 1), np.float32)
    value, ride = np.empty(none + 1), np.empty(none + 1, np.bool_)
    for number, destination in enumerate(destinations.tolist()):
        ways_to(rows, destination, cost_per_minute, value, ride)
        tables[number] = value
    return tables


@njit(nogil=True, cache=True)
def _book(rows: Rows, tables, table_of, order, begin, destination, ready, count, left, cost_per_minute, refusal):
    """Book all groups of parcels in `order`: (total cost, refused), `left` is what remains of the capacities."""
    none = len(rows.frm)
    came_from = np.empty(none + 1, np.int64)  # row before; + (N + 1) when it was ridden
    spent = np.empty(none + 1)
    seen = np.zeros(none + 1, np.int64)
    total, refused, search = 0.0, 0, 0
    for group in order:
        waiting = count[group]
        while waiting > 0:  # equal parcels go the same way while it has room
            search += 1
            last = _find(
                rows, tables[table_of[group]], begin[group], destination[group], left, came_from, spent, seen, search,
                cost_per_minute, refusal + cost_per_minute * ready[group],
            )  # fmt: skip
            if last == none:
                total += refusal * waiting
                refused += waiting
                break
            room, each = min(waiting, left[last]), rows.cost[last]
            row = last
            while row != begin[group]:
                before = came_from[row]
                if before > none:
                    before -= none + 1
                    room = min(room, left[before])
                    each += rows.cost[before]
                row = before
            left[last] -= room
            row = last
            while row != begin[group]:
                before = came_from[row]
                if before > none:
                    before -= none + 1
                    left[before] -= room
                row = before
            total += room * (each + cost_per_minute * (rows.arrive[last] - ready[group]))
            waiting -= room
    return total, refused


@njit(nogil=True, cache=True)
def _find(rows: Rows, table, start, destination, left, came_from, spent, seen, search, cost_per_minute, most):
    """The last row ridden on the cheapest way with room from row `start`, N when none costs less than `most`.

    seen[row] is `search` once a row has been come by and -search once it has been gone on from. What lies ahead is
    (cost in all, at least; minus the row, so that of equals the one farther on is first; delivered: N + 1 less).
    """
    none = len(rows.frm)
    ahead = [(np.float64(table[start]), -start)]
    seen[start], spent[start] = search, 0.0
    while len(ahead) > 0:
        least, code = heapq.heappop(ahead)
        if not least < most:
            break
        if -code > none:
            return -code - none - 1
        row = -code
        if seen[row] == -search:
            continue
        seen[row] = -search
        for riding in range(2):
            cost, onward, by = spent[row], rows.wait[row], row
            if riding:
                if left[row] == 0:
                    continue
                cost, onward, by = cost + rows.cost[row], rows.catch[row], row + none + 1
                if rows.to[row] == destination:
                    heapq.heappush(ahead, (cost + cost_per_minute * rows.arrive[row], -(row + none + 1)))
                    continue
            if seen[onward] == -search or (seen[onward] == search and spent[onward] <= cost):
                continue
            least = cost + np.float64(table[onward])
            if least < most:
                seen[onward], spent[onward], came_from[onward] = search, cost, by
                heapq.heappush(ahead, (least, -onward))
    return none


if __name__ == "__main__":
    reply(solve, lambda: solve(tiny()))
