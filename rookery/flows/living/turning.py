"""One turn of what follows every scan: where parcels are in the policy, and what became of their chances.

Nothing is solved here: an outlook, made in the background, is looked things up in. One alone may take turns: what is
written of a parcel, its chance, its cases and the news of both, is written in one transaction with its being taken out
of the queue, so that nothing is lost and nothing told twice, whenever whoever takes turns is killed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import psycopg

from rookery.base.jobs import Desk
from rookery.base.operations import Context
from rookery.flows import casing
from rookery.flows.living.answers import answers
from rookery.flows.living.facts import departures_of, facts_of, legs_of
from rookery.flows.living.news import tell
from rookery.network import live
from rookery.planning.outlook import Outlook
from rookery.tracking import chances
from rookery.tracking import set_aside as aside
from rookery.tracking.looked import looked_frame

TURN = 0x7475726E
""""turn": the advisory lock, by mode, of whoever takes a turn."""
MOST = 2000
"""Parcels looked at in one transaction, unless told otherwise."""
LEAST = 0.0005
"""A chance that differs by less is the same."""
DRIFT = timedelta(hours=1)
"""Where nothing was seen since, and the chance is the same, delivery is another if expected so much sooner or later."""


def turn(
    desk: Desk,
    test: bool,
    outlook: Callable[[], Outlook | None],
    most: int = MOST,
    taken: Callable[[Sequence[str]], None] = lambda epcs: None,
) -> int:
    """Look at parcels that moved, or of which something should have been seen by now; returns at how many, 0 = at none.

    outlook: asked when it is known who is looked at, so that whoever is entered for the sake of an outlook is looked up
    in none before it. Without one what was found before stands, with the reason `no_policy`; where parcels are is told
    even so. taken: told who is looked at before they are. Nobody is while another takes a turn.
    """
    with desk.context(test) as ctx:
        alone = ctx.conn.execute("select pg_try_advisory_xact_lock(%s, %s)", (TURN, int(test))).fetchone()
        if alone != (True,):  # of a worker that was the live one until its connection was lost
            return 0
        now = ctx.clock.now()
        epcs = chances.take(ctx.conn, test, now, most)
        taken(epcs)
        if epcs:
            _look(ctx, epcs, outlook(), now)
            aside.forget(ctx.conn, test, epcs)
        return len(epcs)


def await_turn(desk: Desk, test: bool) -> None:
    """Until whoever takes a turn now is through: whoever does later asks for the outlook of then."""
    with desk.context(test) as ctx:
        ctx.conn.execute("select pg_advisory_xact_lock(%s, %s)", (TURN, int(test)))


def set_aside(desk: Desk, test: bool, epc: str, fault: str) -> None:
    """Leave a parcel alone that cannot be looked at, until it moves, or for a day. fault: a code, never a text."""
    with desk.context(test) as ctx:
        aside.put(ctx.conn, test, epc, fault, ctx.clock.now())


def _look(ctx: Context, epcs: Sequence[str], outlook: Outlook | None, now: datetime) -> None:
    conn, test = ctx.conn, ctx.who.test
    facts = facts_of(conn, test, epcs)
    if facts.is_empty():
        return
    legs = legs_of(conn, facts)
    said = departures_of(conn, facts)
    rows = answers(facts, legs, said, outlook, now)
    rows = _with_legs_before(conn, test, rows)
    chances.write(conn, test, rows, now)
    chances.add_history(conn, test, _changed(rows, now), now)
    looked = looked_frame(_with_closures(conn, test, rows, legs, now))
    casing.judge(ctx, looked, now)
    tell(conn, test, rows.with_columns(looked_at=pl.lit(now, pl.Datetime("us", "UTC"))))


def _with_legs_before(conn: psycopg.Connection, test: bool, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of which nothing new is known with the legs that were likely before."""
    kept = rows.filter("kept")
    if kept.is_empty():
        return rows
    before = chances.legs_before(conn, test, kept["epc"]).rename({"legs": "legs_before"})
    rows = rows.join(before, on="epc", how="left", maintain_order="left")
    return rows.with_columns(legs=pl.when("kept").then(pl.col("legs_before").fill_null("[]")).otherwise("legs"))


def _changed(rows: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """What the history is to keep: answers that are others than at the look before."""
    at = pl.lit(now, pl.Datetime("us", "UTC"))
    new_event = pl.col("event_no").ne_missing(pl.col("event_before")) & pl.col("at").is_not_null()
    other = (
        pl.col("looked_before").is_null()
        | ((pl.col("chance") - pl.col("chance_before")).abs() >= LEAST).fill_null(False)
        | (pl.col("chance").is_null() != pl.col("chance_before").is_null())
        | (new_event & pl.col("expected_at").ne_missing(pl.col("expected_before")))
        | ((pl.col("expected_at") - pl.col("expected_before")).abs() > DRIFT).fill_null(False)
        | (pl.col("expected_at").is_null() != pl.col("expected_before").is_null())
        | pl.col("why").ne_missing(pl.col("why_before"))
    )
    return rows.filter(other).with_columns(at=pl.when(new_event).then("at").otherwise(at))


def _with_closures(
    conn: psycopg.Connection, test: bool, rows: pl.DataFrame, legs: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    """Rows with the closures that touch their ways, and whether they were looked up under others than there are."""
    present = pl.col("policy").str.starts_with(f"{live.stamp(conn, test)}.").fill_null(False)
    rows = rows.with_columns(stale=~present & pl.col("why").ne_missing("unknown_place"))
    closures = live.in_force(conn, test, now)
    if closures.is_empty():
        return rows
    ahead = legs.join(rows.select("epc", "done_seq", "where"), on="epc").filter(
        (pl.col("seq") > pl.col("done_seq")) | ((pl.col("seq") == pl.col("done_seq")) & (pl.col("where") == "riding"))
    )
    times: dict[str, Any] = {name: _instant(name) for name in ("depart_at", "arrive_at")}
    touched = casing.touched(
        ahead.with_columns(**times).select(*casing.LEGS), rows.select("epc", "node_id"), closures, now
    )
    return rows.join(touched, on="epc", how="left", maintain_order="left").with_columns(
        pl.col("closures").fill_null([])
    )


def _instant(name: str) -> pl.Expr:
    return pl.from_epoch(pl.col(name) * 60, time_unit="s").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
