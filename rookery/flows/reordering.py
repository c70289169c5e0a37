"""Parcels folded once more after what is told of one instant got an order of its own, a few at a time.

A database of an earlier release has rows of where parcels are that were folded by the events' numbers alone.
"""

from __future__ import annotations

import polars as pl

from rookery.base import jobs
from rookery.base.db.faults import unavailable
from rookery.base.operations import Context
from rookery.flows import subjects
from rookery.terms.errors import RookeryError, Unavailable
from rookery.tracking import chances, set_aside, states
from rookery.tracking.archive import Archive

AT_ONCE = 200
"""Parcels in one transaction: whoever captures what moves them does not wait long."""
TIMES = 20
"""As many of these for each mode in a minute at most; the next minute goes on."""


@jobs.tick("tracking.reorder")
def reorder(desk: jobs.Desk) -> None:
    """Every minute, until all are done: work some parcels out anew, by their identifiers.

    Raises the first fault once both modes had their turn, so that it is told; they go on from there the next minute.
    """
    faults: list[Exception] = []
    for test in (False, True):
        try:
            _reorder(desk, test)
        except Exception as fault:
            faults.append(fault)
    if faults:
        raise faults[0]


def _reorder(desk: jobs.Desk, test: bool) -> None:
    """Some parcels of a mode. Where a fault befalls several at once they are taken one by one, and that is all for this
    minute: an archive that is away for a while is not at the cost of all parcels.
    """
    for _ in range(TIMES):
        try:
            if not _some(desk, test, AT_ONCE):
                return
        except Exception as fault:
            if not _is_away(fault):
                for _ in range(AT_ONCE):
                    if not _some(desk, test, 1, pass_over=True):
                        break
            raise


def _some(desk: jobs.Desk, test: bool, most: int, *, pass_over: bool = False) -> bool:
    """Works the next parcels out anew; whether there may be more. Others who come at once leave them to the first.

    pass_over: parcels that cannot be worked out stay as they are and are set aside, where operators see them.
    """
    with desk.context(test) as ctx:
        conn = ctx.conn
        begun = conn.execute(
            "select after from tracking.reordering where test = %s for update skip locked", (test,)
        ).fetchone()
        if begun is None:
            return False
        rows = conn.execute(
            "select epc, parcel_id, owner_id from tracking.parcels where test = %s and epc > %s order by epc limit %s",
            (test, *begun, most),
        ).fetchall()
        if not rows:
            conn.execute("delete from tracking.reordering where test = %s", (test,))
            return False
        parcels = pl.DataFrame(rows, schema=states.PARCELS, orient="row")
        try:
            with conn.transaction():
                _fold(ctx, parcels, test)
        except Exception as fault:
            if not pass_over or _is_away(fault):
                raise
            for epc in parcels["epc"]:
                set_aside.put(conn, test, epc, _named(fault), ctx.clock.now())
        conn.execute("update tracking.reordering set after = %s where test = %s", (rows[-1][0], test))
        return True


def _fold(ctx: Context, parcels: pl.DataFrame, test: bool) -> None:
    conn, now = ctx.conn, ctx.clock.now()
    involved = subjects.involved(conn, parcels)
    kept = states.hold(conn, parcels, test)
    nothing = pl.DataFrame(schema=states.SEEN)
    changed = states.advance(conn, kept, nothing, parcels["epc"], involved, test, now, ctx.part(Archive))
    chances.enter(conn, test, changed)


def _is_away(fault: Exception) -> bool:
    """Whether it is the database's fault and of no parcel, but for what takes too long: that may be a parcel's own."""
    told = fault if isinstance(fault, Unavailable) else unavailable(fault)
    return told is not None and told.code.startswith("database.") and told.code != "database.too_slow"


def _named(fault: Exception) -> str:
    """What may be told of a fault: never its text."""
    told = fault if isinstance(fault, RookeryError) else unavailable(fault)
    return type(fault).__name__ if told is None else told.code
