"""What the live side keeps for a while only, forgotten bit by bit: closed cases, replans, chances of parcels that came
to an end (docs/guides/retention.md); and documents that nobody captured again.
"""

from __future__ import annotations

from rookery.base import jobs
from rookery.flows.epcis import recapturing
from rookery.planning import replans
from rookery.tracking import cases, chances

AT_ONCE = 2000
"""Rows in one transaction: nobody waits long for it."""
TIMES = 5
"""As many of these for each kind in a minute at most; the next minute goes on."""


@jobs.tick("live.forget")
def forget(desk: jobs.Desk) -> None:
    """Every minute: forget what was kept for as long as it is to be."""
    for test in (False, True):
        for some in (replans.forget, chances.forget, cases.forget, recapturing.forget):
            for _ in range(TIMES):
                with desk.context(test) as ctx:
                    if some(ctx.conn, test, ctx.clock.now(), AT_ONCE) < AT_ONCE:
                        break
