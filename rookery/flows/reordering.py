"""Parcels folded once more after what is told of one instant got an order of its own, a few at a time.

A database of an earlier release has rows of where parcels are that were folded by the events' numbers alone.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import psycopg

from rookery.base import jobs
from rookery.base.db.faults import unavailable
from rookery.base.operations import Context
from rookery.flows import subjects
from rookery.terms.errors import RookeryError, Unavailable
from rookery.tracking import chances, states
from rookery.tracking.archive import Archive

AT_ONCE = 200
"""Parcels in one transaction: whoever captures what moves them does not wait long."""
TIMES = 20
"""As many of these for each mode in a minute at most; the next minute goes on."""
AGAIN = timedelta(hours=1)
"""After so long a parcel that was passed over is tried again, until that goes well."""


@jobs.tick("tracking.reorder")
def reorder(desk: jobs.Desk) -> None:
    """Every minute, until all are done: work some parcels out anew, by their identifiers; then, once an hour, those
    that were passed over.

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

    pass_over: parcels that cannot be worked out stay as they are, and are noted as passed over.
    """
    with desk.context(test) as ctx:
        conn, now = ctx.conn, ctx.clock.now()
        rows = _next(conn, test, most) or _passed(conn, test, most, now)
        if not rows:
            return False
        parcels = pl.DataFrame(rows, schema=states.PARCELS, orient="row")
        try:
            with conn.transaction():
                _fold(ctx, parcels, test)
                conn.execute(
                    "delete from tracking.reorder_passed where test = %s and epc = any(%s)",
                    (test, parcels["epc"].to_list()),
                )
        except Exception as fault:
            if not pass_over or _is_away(fault):
                raise
            conn.execute(
                "insert into tracking.reorder_passed (test, epc, at, fault) select %s, epc, %s, %s"
                " from unnest(%s::text[]) as g (epc)"
                " on conflict (test, epc) do update set at = excluded.at, fault = excluded.fault",
                (test, now, _named(fault), parcels["epc"].to_list()),
            )
        return True


def _next(conn: psycopg.Connection, test: bool, most: int) -> list[tuple[str, str, str]]:
    """The parcels whose turn it is, which is over with this transaction; none = all had theirs, or another has it."""
    begun = conn.execute(
        "select after from tracking.reordering where test = %s for update skip locked", (test,)
    ).fetchone()
    if begun is None:
        return []
    rows = conn.execute(
        "select epc, parcel_id, owner_id from tracking.parcels where test = %s and epc > %s order by epc limit %s",
        (test, *begun, most),
    ).fetchall()
    if rows:
        conn.execute("update tracking.reordering set after = %s where test = %s", (rows[-1][0], test))
    else:
        conn.execute("delete from tracking.reordering where test = %s", (test,))
    return rows


def _passed(conn: psycopg.Connection, test: bool, most: int, now: datetime) -> list[tuple[str, str, str]]:
    """Parcels that were passed over an hour ago, the longest ago first."""
    return conn.execute(
        "select epc, p.parcel_id, p.owner_id from tracking.reorder_passed o join tracking.parcels p using (test, epc)"
        " where test = %s and o.at <= %s order by o.at, epc limit %s for update of o skip locked",
        (test, now - AGAIN, most),
    ).fetchall()


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
