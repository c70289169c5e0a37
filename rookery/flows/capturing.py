"""Events kept, each once, and moved by them whatever they move: what lies in what, and where parcels are.

Parcels whose milestone changed are entered, in the same transaction, for their chances to be looked up
(living/turning.py), and what came is, for subscriptions (epcis/telling.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import psycopg
from msgspec import Struct

from rookery.base.operations import Context, Who
from rookery.flows import subjects
from rookery.terms.notice import Fault
from rookery.tracking import chances, lying, states, store, subscriptions
from rookery.tracking.archive import Archive
from rookery.tracking.capture import Batch, batch_of
from rookery.tracking.epcis.documents import Sent

EARLIEST = timedelta(days=30)
"""So long before it was booked may a parcel have been scanned."""
_STANDING = ((frozenset({"operator", "admin", "system"}), 2), (frozenset({"courier", "station"}), 1))


class Taken(Struct, frozen=True):
    """What came of events: how many were sent, how many of them are new; `faults` of those that could not be kept.

    numbers: the event's number by its place among those sent, of the new ones.
    """

    sent: int
    added: int
    faults: list[Fault]
    numbers: dict[int, int]
    parcels: frozenset[str]  # canonical identifiers of those named that are parcels the party has to do with
    changed: list[str]  # parcels whose milestone is another now
    doubted: frozenset[int]  # places of events of parcels that were booked long after


def take(ctx: Context, sent: Sequence[Sent], *, capture_id: str | None = None, whole: bool = False) -> Taken:
    """Keep events that fit the schema, and move by them whatever they move: what lies in what, and where parcels are.

    whole: all or nothing: where one has a fault, nothing is kept. The same event of the same party is kept once,
    however often and by whichever door it comes.
    """
    who, now = ctx.who, ctx.clock.now()
    batch = batch_of(sent, who.party_id, who.test, now)
    if (whole and batch.faults) or batch.events.is_empty():
        return Taken(len(sent), 0, batch.faults, {}, frozenset(), [], frozenset())
    standing, archive = standing_of(who), ctx.part(Archive)
    changed: list[str] = []
    with ctx.as_system() as conn:
        new = _without(batch, archive.known(conn, batch.events, now))
        parcels = subjects.known(conn, batch.epcs["epc"].unique().to_list(), who.test)
        involved = subjects.involved(conn, parcels)
        new, doubted = _believed(new, parcels)
        parcels = parcels.select(*lying.PARCELS)
        ours = parcels.join(involved.filter(party_id=who.party_id), on="epc", how="semi") if standing < 2 else parcels
        store.in_turn(conn, new, who.party_id, who.test)
        added = store.add(conn, new, party_id=who.party_id, test=who.test, now=now, capture_id=capture_id)
        if not added.is_empty():
            store.add_things(conn, new, added, party_id=who.party_id, test=who.test, standing=standing, parcels=ours)
            changed = _derive(conn, new, added, parcels, involved, who, standing, now, archive)
            chances.enter(conn, who.test, changed)
            subscriptions.enter(conn, who.test, new.events.join(added, on="i").sort("event_no"))
    numbers = dict(zip(added["i"], added["event_no"]))
    return Taken(len(sent), added.height, batch.faults, numbers, frozenset(ours["epc"]), changed, doubted)


def standing_of(who: Who) -> int:
    """How far a party's word goes: 2 runs the network, 1 carries, 0 others."""
    return next((standing for scopes, standing in _STANDING if scopes & who.scopes), 0)


def _believed(batch: Batch, parcels: pl.DataFrame) -> tuple[Batch, frozenset[int]]:
    """A batch in which what is told of parcels (columns subjects.KNOWN) long before they were booked is not believed: a
    device had lost its clock. And the places of those events.
    """
    booked = parcels.select("epc", "booked_at")
    at = pl.col("event_at").str.to_datetime(time_unit="us", time_zone="UTC")
    early = (at < pl.col("booked_at") - EARLIEST).fill_null(False)
    epcs = batch.epcs.join(booked, on="epc", how="left", maintain_order="left").with_columns(early=early)
    doubted = frozenset(epcs.filter("early")["i"])
    if not doubted:
        return batch, doubted
    epcs = epcs.with_columns(doubt=pl.col("doubt") | pl.col("early")).drop("early", "booked_at")
    return Batch(batch.events, epcs, batch.faults), doubted


def _without(batch: Batch, known: Sequence[int]) -> Batch:
    """A batch without the events at these places."""
    if not known:
        return batch
    left = ~pl.col("i").is_in(known)
    return Batch(batch.events.filter(left), batch.epcs.filter(left), batch.faults)


def _derive(
    conn: psycopg.Connection,
    batch: Batch,
    added: pl.DataFrame,
    parcels: pl.DataFrame,
    involved: pl.DataFrame,
    who: Who,
    standing: int,
    now: datetime,
    archive: Archive,
) -> list[str]:
    """What new events change: intervals of containment, and the milestones of parcels, however deep they lie."""
    states.enter(conn, parcels, who.test, now)
    withdrawn = store.withdraw(conn, batch, added)["epc"].to_list()
    withdrawn += archive.withdraw(conn, batch.events.join(added, on="i", how="semi"), now)
    facts = batch.events.select("i", at="event_at", place=pl.coalesce("biz_location", "read_point"))
    named = batch.epcs.filter(pl.col("role") <= 2).drop("place").join(added, on="i").join(facts, on="i")
    others = named.join(parcels, on="epc", how="anti")
    moved = named.filter(pl.col("parent").is_not_null())
    at = pl.col("at").str.to_datetime(time_unit="us", time_zone="UTC")
    first = facts.select(at.min()).item()  # what happened before the first of them stays as it is
    lying.hold(conn, [*others["epc"], *moved["epc"], *withdrawn], first, who.test)
    again = lying.change(conn, moved, withdrawn, involved, who.test, archive)
    heard = [*lying.loud(conn, again, added["event_no"].to_list(), who.test), *_early(conn, again, archive)]
    anew = lying.beneath(conn, [*heard, *withdrawn], first, who.test)
    told = others.filter(pl.col("status").is_not_null(), ~pl.col("doubt"))
    inside = lying.contents(conn, told.select("epc", "event_no", "event_at", "status"), who.test)
    by_way = (  # of several ways the shortest, as history has it
        inside.join(told.rename({"epc": "root"}), on=["root", "event_no"])
        .sort("deep", "role", descending=[False, True])
        .unique(["epc", "event_no"], keep="first", maintain_order=True)
        .select("epc", "at", "event_no", "status", "detail", "place", "doubt")
    )
    direct = (
        named.join(parcels, on="epc", how="semi")
        .sort("role", descending=True)
        .unique(["epc", "event_no"], keep="first", maintain_order=True)
        .select("epc", "at", "event_no", "status", "detail", "place", "doubt")
    )
    seen = pl.concat([direct, by_way]).unique(["epc", "event_no"], keep="first", maintain_order=True)
    met = pl.concat([parcels, anew, inside.select(*lying.PARCELS)]).unique("epc")
    involved = pl.concat([involved, subjects.involved(conn, met.join(parcels, on="epc", how="anti"))])
    judged = states.judged(
        seen.with_columns(
            at, party_id=pl.lit(who.party_id), standing=pl.lit(standing), withdrawn=pl.lit(False),
            linked=pl.lit(False),
        ),
        involved,
    )  # fmt: skip
    kept = states.hold(conn, met, who.test)
    return states.advance(conn, kept, judged.select(*states.SEEN), anew["epc"], involved, who.test, now, archive)


def _early(conn: psycopg.Connection, changed: pl.DataFrame, archive: Archive) -> list[str]:
    """Things (columns lying.CHANGED) that lie otherwise from when on scans of what they lay in may be archived."""
    until = None if changed.is_empty() else archive.holding(conn).until
    return [] if until is None else changed.filter(pl.col("since") < until)["child"].to_list()


def refresh(
    conn: psycopg.Connection, things: Sequence[str], test: bool, now: datetime, archive: Archive | None = None
) -> list[str]:
    """Work out anew where the parcels are that things (canonical identifiers) are, or that ever lay in them: what is
    known of these, or who has to do with them, is another now. As the system; returns those whose milestone changed.
    """
    direct = subjects.known(conn, things, test).select(*lying.PARCELS)
    states.enter(conn, direct, test, now)
    lying.hold(conn, things, EVER, test)
    lying.change(conn, _NOBODY_MOVED, things, subjects.involved(conn, direct), test, archive)
    met = pl.concat([direct, lying.beneath(conn, things, EVER, test)]).unique("epc")
    involved = subjects.involved(conn, met)
    kept = states.hold(conn, met, test)
    seen = pl.DataFrame(schema=states.SEEN)
    changed = states.advance(conn, kept, seen, met["epc"], involved, test, now, archive)
    chances.enter(conn, test, changed)
    return changed


EVER = datetime(1, 1, 2, tzinfo=UTC)
_NOBODY_MOVED = pl.DataFrame(
    schema={"epc": pl.String, "role": pl.Int64, "parent": pl.String, "event_at": pl.String}
)  # fmt: skip
