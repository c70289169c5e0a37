"""Chances counted again from the events, in a process of its own: `python -m benchmarks.live.recount DATA`.

Each parcel's events are read as they were captured and folded into a milestone; the outlook is made anew of the
network, its closures and what is booked. Every parcel is then looked up as of the minute of the look whose answer is
kept. Prints one line of JSON: parcels, differ (chances that differ by more than 1e-6), stale (rows that go by another
event than the last), unlooked (parcels with events and no row), elsewise (rows of another outlook than was made anew),
and the most by which one differs.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import psycopg

from rookery.app import open_house
from rookery.base import sets
from rookery.base.jobs import Desk
from rookery.flows.living.answers import answers
from rookery.flows.living.facts import departures_of, facts_of, legs_of
from rookery.flows.living.outlooks import Outlooks
from rookery.planning.outlook import Outlook
from rookery.tracking.milestones import Seen, State, fold, meaning

SAME = 1e-6
AT_ONCE = 5_000
_AT = pl.Datetime("us", "UTC")
_KEPT: dict[str, Any] = {
    "epc": pl.String, "kept_event": pl.Int64, "kept_chance": pl.Float64, "policy": pl.String, "looked_at": _AT,
}  # fmt: skip
_EVENTS = (
    "select n.epc, n.role, e.event_at, e.event_no, e.body::text from tracking.event_epcs n"
    " join tracking.events e using (event_no, event_at)"
    " where not n.test and not n.withdrawn and not n.doubt and n.standing > 0 and n.epc = any(%s)"
    " order by e.event_at, e.event_no"
)


def states(conn: psycopg.Connection, epcs: list[str]) -> pl.DataFrame:
    """The milestone of each parcel by its events alone: epc, status, detail, at, event_no, place; none = no row."""
    seen: defaultdict[str, list[Seen]] = defaultdict(list)
    for epc, role, at, event_no, text in conn.execute(_EVENTS, (epcs,)):
        event = msgspec.json.decode(text)
        place = (event.get("bizLocation") or event.get("readPoint") or {}).get("id")
        status, detail = meaning(event, role)
        seen[epc].append(Seen(at, event_no, status, detail, place))
    folded = [(epc, fold(State(), events)) for epc, events in seen.items()]
    return pl.DataFrame(
        [(epc, state.status, state.detail, state.at, state.event_no, state.place) for epc, state in folded],
        schema={"epc": pl.String, "status": pl.String, "detail": pl.String, "at": _AT, "event_no": pl.Int64,
                "place": pl.String},
        orient="row",
    ).drop_nulls("status")  # fmt: skip


def counted(desk: Desk, outlook: Outlook | None) -> dict[str, float]:
    """What is kept held against what follows from the events."""
    with desk.context(readonly=True) as ctx:
        kept = sets.read(
            ctx.conn, "select epc, event_no, chance, policy, looked_at from tracking.chances where not test", _KEPT
        )
        known = [epc for (epc,) in ctx.conn.execute("select epc from tracking.parcels where not test")]
        made = [
            _again(ctx.conn, part, outlook)
            for some in kept.sort("epc").iter_slices(AT_ONCE)
            for part in some.with_columns(minute=pl.col("looked_at").dt.truncate("1m")).partition_by("minute")
        ] if not kept.is_empty() else []  # fmt: skip
    told = kept.join(pl.concat(made), on="epc") if made else kept.with_columns(chance=None, event_no=None)
    off = (pl.col("chance") - pl.col("kept_chance")).abs()
    wrong = (off > SAME).fill_null(False) | (pl.col("chance").is_null() != pl.col("kept_chance").is_null())
    other = pl.col("policy").is_not_null() & (pl.col("policy") != (outlook.version if outlook else ""))
    return {
        "parcels": told.height,
        "differ": told.filter(wrong).height + kept.height - told.height,
        "stale": told.filter(pl.col("event_no").ne_missing(pl.col("kept_event"))).height,
        "unlooked": len(set(known) - set(kept["epc"])),
        "elsewise": told.filter(other).height,
        "most": told.select(off.max()).item() or 0.0,
    }


def _again(conn: psycopg.Connection, kept: pl.DataFrame, outlook: Outlook | None) -> pl.DataFrame:
    """Chance and event of parcels that were looked at in one minute."""
    facts = facts_of(conn, False, kept["epc"])
    seen = states(conn, kept["epc"].to_list())
    columns = ["status", "detail", "at", "event_no", "place"]
    own = facts.select("epc", before=pl.col("status")).join(seen, on="epc", how="left", maintain_order="left")
    # of what has no events the books tell
    own = own.with_columns(status=pl.coalesce("status", "before"))
    facts = facts.drop(columns).hstack(own.select(columns)).select(facts.columns)
    legs, said = legs_of(conn, facts), departures_of(conn, facts)
    when: datetime = kept["looked_at"].max()  # type: ignore[assignment]
    rows = answers(facts, legs, said, outlook, when.astimezone(UTC))
    return rows.select("epc", "chance", "event_no")


if __name__ == "__main__":
    with open_house(Path(sys.argv[1]), size=2, migrate=False) as house:
        at_desk = Desk(house.database, house.clock, house.parts)
        outlooks = Outlooks()
        outlooks.build(at_desk, False, at_once=True)
        print(json.dumps(counted(at_desk, outlooks.current(False))))
