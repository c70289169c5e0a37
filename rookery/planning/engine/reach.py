"""Which nodes a destination can be reached from over lanes, times ignored."""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def reaches(origin, destination, frm, to, into_from, into_lanes, open_lane):
    """Whether each (origin, destination) pair (n) is joined by lanes open to it; pairs sorted by destination.

    frm, to: nodes of lanes (L); into_lanes[into_from[v]:into_from[v + 1]]: lanes into node v; open_lane: bool (L).
    """
    nodes = len(into_from) - 1
    answer = np.zeros(len(origin), np.bool_)
    seen = np.zeros(nodes, np.bool_)
    stack = np.empty(nodes + 1, np.int64)
    for i in range(len(origin)):
        if i == 0 or destination[i] != destination[i - 1]:
            seen[:] = False
            seen[destination[i]] = True
            stack[0] = destination[i]
            size = 1
            while size > 0:
                size -= 1
                node = stack[size]
                for place in range(into_from[node], into_from[node + 1]):
                    lane = into_lanes[place]
                    if open_lane[lane] and not seen[frm[lane]]:
                        seen[frm[lane]] = True
                        stack[size] = frm[lane]
                        size += 1
        answer[i] = seen[origin[i]]
    return answer
