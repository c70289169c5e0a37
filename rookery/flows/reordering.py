"""Parcels folded once more after what is told of one instant got an order of its own, a few at a time.

A database of an earlier release has rows of where parcels are that were folded by the events' numbers alone.
"""

from __future__ import annotations

import polars as pl

from rookery.base import jobs
from rookery.base.operations import Context
from rookery.flows import subjects
from rookery.tracking import chances, states
from rookery.tracking.archive import Archive

AT_ONCE = 200
"""Parcels in one transaction: whoever captures what moves them does not wait long."""
TIMES = 20
"""As many of these for each mode in a minute at most; the next minute goes on."""


@jobs.tick("tracking.reorder")
def reorder(desk: jobs.Desk) -> None:
    """Every minute, until all are done: work some parcels out anew, by their identifiers."""
    for test in (False, True):
        for _ in range(TIMES):
            with desk.context(test) as ctx:
                if not _some(ctx, test):
                    break


def _some(ctx: Context, test: bool) -> bool:
    """Works the next parcels out anew; whether there may be more. Others who come at once leave them to the first."""
    conn = ctx.conn
    begun = conn.execute(
        "select after from tracking.reordering where test = %s for update skip locked", (test,)
    ).fetchone()
    if begun is None:
        return False
    rows = conn.execute(
        "select epc, parcel_id, owner_id from tracking.parcels where test = %s and epc > %s order by epc limit %s",
        (test, *begun, AT_ONCE),
    ).fetchall()
    if not rows:
        conn.execute("delete from tracking.reordering where test = %s", (test,))
        return False
    parcels = pl.DataFrame(rows, schema=states.PARCELS, orient="row")
    involved, now = subjects.involved(conn, parcels), ctx.clock.now()
    kept = states.hold(conn, parcels, test)
    nothing = pl.DataFrame(schema=states.SEEN)
    changed = states.advance(conn, kept, nothing, parcels["epc"], involved, test, now, ctx.part(Archive))
    chances.enter(conn, test, changed)
    conn.execute("update tracking.reordering set after = %s where test = %s", (rows[-1][0], test))
    return True
