"""When work that takes so many minutes is over at a node that is open at some hours only."""

from __future__ import annotations

from rookery.twin.engine.arrays import Hours
from rookery.twin.engine.leaf import leaf


@leaf
def worked_off(hours: Hours, node: int, arrive: int, minutes: int, never: int):
    """The minute at which work begun on arrival is over; `never` where the node's known hours end before.

    Nothing is ready while the node is shut, but for work that ends at the very minute in which it closes.
    """
    if hours.always[node]:
        return arrive + minutes
    low, high = hours.open_from[node], hours.open_from[node + 1]
    end = high
    while low < high:  # the first spell that closes after the arrival
        middle = (low + high) // 2
        if hours.closes[middle] > arrive:
            high = middle
        else:
            low = middle + 1
    at, left = arrive, minutes
    while low < end:
        at = max(at, hours.opens[low])
        if hours.closes[low] - at >= left and (left > 0 or at < hours.closes[low]):
            return at + left
        left -= hours.closes[low] - at
        low += 1
    return never


@leaf
def ready_at(hours: Hours, to, arrive, work, never: int, out):
    """`worked_off` for rows that arrive with so much work."""
    for row in range(len(to)):
        out[row] = (
            never if arrive[row] >= never else min(never, worked_off(hours, to[row], arrive[row], work[row], never))
        )
