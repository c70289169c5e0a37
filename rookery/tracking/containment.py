"""What lay in what, and when: intervals from what aggregation events claim of one thing. Pure.

A thing lies in one other at a time: being put into another ends it (EPCIS 2.0: an AggregationEvent is physical). What
it lies in may lie in something itself; that is told by claims about that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple


class Claim(NamedTuple):
    """What an event says of a thing. parent: what it is in; put: it is in there from now on, else it no longer is."""

    at: datetime
    event_no: int
    parent: str
    put: bool


class Lay(NamedTuple):
    """A thing lay in `parent` from `from_at` until `until_at` (None = still): that instant is no longer within."""

    parent: str
    from_at: datetime
    until_at: datetime | None
    from_event: int
    until_event: int | None


def lay(claims: Sequence[Claim]) -> list[Lay]:
    """Where a thing lay, in time and without overlaps; claims in any order, their time decides (ties: as they came).

    Being taken out of what it is not in changes nothing; being seen in what it is in already neither.
    """
    found: list[Lay] = []
    now: Claim | None = None
    for claim in sorted(claims):
        if now is not None and (claim.parent == now.parent) is claim.put:
            continue
        if now is None and not claim.put:
            continue
        if now is not None and now.at < claim.at:
            found.append(Lay(now.parent, now.at, claim.at, now.event_no, claim.event_no))
        now = claim if claim.put else None
    if now is not None:
        found.append(Lay(now.parent, now.at, None, now.event_no, None))
    return found
