"""Containment in PostgreSQL: intervals kept up to date, what a thing lay in, and what lay in it. As the system."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets
from rookery.tracking.archive import NOTHING, Archive, Holding
from rookery.tracking.containment import Claim, Lay, lay

DEEPEST = 8
"""Parcel in bag in container in vehicle is 3; a thing cannot lie in itself, but somebody may have scanned so."""
_INTERVALS = {
    "child": "text", "parent": "text", "from_at": "timestamptz", "until_at": "timestamptz", "test": "boolean",
    "from_event": "bigint", "until_event": "bigint",
}  # fmt: skip
_AT = pl.Datetime("us", "UTC")
CHANGED = {"child": pl.String, "parent": pl.String, "since": _AT}
Stay = tuple[str, Lay]


def hold(conn: psycopg.Connection, things: Sequence[str], since: datetime, test: bool) -> None:
    """Keep what lies in things, and what they lie in from `since` on, from being changed by others until the
    transaction ends. What they lie in may be another by the time that it is held: then that is held too.
    """
    held: set[str] = set()
    wanted = set(things)
    while wanted - held:
        more = sorted(wanted - held)
        # always in one order, so that two that need the same wait for each other in one direction
        conn.execute(
            "insert into tracking.things (epc, test) select epc, %s from unnest(%s::text[]) with ordinality"
            " as g (epc, at) order by at on conflict do nothing",
            (test, more),
        )
        conn.execute(
            "select from tracking.things where epc = any(%s) and test = %s order by epc for update", (more, test)
        )
        held |= wanted
        above = conn.execute(
            'with recursive up (epc, deep) as (select epc collate "C", 0 from unnest(%(held)s::text[]) as g (epc)'
            "   union select c.parent, up.deep + 1 from up join tracking.containment c on c.child = up.epc"
            "     and c.test = %(test)s and c.until_at > %(since)s where up.deep < %(deepest)s)"
            " select distinct epc from up",
            {"held": sorted(held), "test": test, "since": since, "deepest": DEEPEST},
        )
        wanted = {epc for (epc,) in above}


def change(
    conn: psycopg.Connection,
    named: pl.DataFrame,
    again: Sequence[str],
    involved: pl.DataFrame,
    test: bool,
    archive: Archive | None = None,
) -> pl.DataFrame:
    """Works out anew where things lay that new events say were put somewhere or taken out.

    What is archived is read only where an event is as old, or things are worked out `again`: else the intervals tell
    what came of it.

    named: event_epcs rows of the new events (epc, role, parent, event_at); again: things whose events were withdrawn.
    involved: epc, party_id for the things that are parcels. Claims of a parcel are believed of those of these who
    carry; claims of another thing of those who carry one of the parcels in it; all claims of those who run the network.
    Returns the things that now lie otherwise than before, in what they did or do, and since when it is otherwise
    (columns CHANGED).
    """
    moved = named.filter(pl.col("parent").is_not_null())
    children = {*moved.filter(role=2)["epc"], *again}
    emptied = moved.filter(role=1)
    if not emptied.is_empty():
        rows, values = sets.source(emptied, {"epc": "text", "event_at": "timestamptz"})
        inside = sql.SQL(
            "select c.child from {} join tracking.containment c on c.parent = given.epc and c.test = %(test)s"
            " and c.until_at >= given.event_at"  # also those whose end it was itself, where it was withdrawn
        ).format(rows)
        children |= {child for (child,) in conn.execute(inside, {**values, "test": test})}
    at = pl.col("event_at").str.to_datetime(time_unit="us", time_zone="UTC")
    first = moved.select(at.min()).item() if not moved.is_empty() else None
    found: list[tuple[str, str, datetime]] = []
    for _ in range(DEEPEST):
        if not children:
            break
        changed = _lay_again(conn, sorted(children), bool(again), first, involved, test, archive)
        found += changed
        # of what came to lie in a container, or lies in it no more, it hangs who is believed of the container itself
        children, again = {parent for _, parent, _ in changed}, []
    return pl.DataFrame(found, schema=CHANGED, orient="row")


def _lay_again(
    conn: psycopg.Connection,
    wanted: Sequence[str],
    again: bool,
    first: datetime | None,
    involved: pl.DataFrame,
    test: bool,
    archive: Archive | None,
) -> list[tuple[str, str, datetime]]:
    """Works out where things lay, and keeps that; returns rows CHANGED. first: when the first new event happened."""
    before = _intervals(conn, wanted, test)

    def lay_anew(held: Holding) -> set[Stay]:
        past = pl.DataFrame(schema=_PAST)
        if archive is not None and held.until is not None:
            old = first is not None and first < held.until
            past = _archived(conn, archive, held, wanted, test) if again or old else _outcome(before, held.until)
        return _lay(conn, wanted, involved, test, past)

    after = lay_anew(NOTHING) if archive is None else archive.steady(conn, lay_anew)
    gone, new = before - after, after - before
    if gone:
        conn.execute(
            "delete from tracking.containment c using unnest(%s::text[], %s::timestamptz[]) as g (child, from_at)"
            " where c.child = g.child and c.test = %s and c.from_at = g.from_at",
            ([child for child, _ in gone], [stay.from_at for _, stay in gone], test),
        )
    if new:
        sets.insert(conn, "tracking.containment", _frame(new, test), _INTERVALS)
    return _since(gone, new)


def _since(gone: set[Stay], new: set[Stay]) -> list[tuple[str, str, datetime]]:
    """In what things no longer lie, or do now, and since when that is otherwise: an interval that ends at another time
    is otherwise from the earlier of both ends on, any other from its beginning.
    """
    ends: dict[tuple[str, str, datetime], list[datetime | None]] = {}
    for child, stay in [*gone, *new]:
        ends.setdefault((child, stay.parent, stay.from_at), []).append(stay.until_at)
    return [
        (child, parent, min((end for end in both if end is not None), default=from_at) if len(both) == 2 else from_at)
        for (child, parent, from_at), both in ends.items()
    ]


def loud(conn: psycopg.Connection, changed: pl.DataFrame, own: Sequence[int], test: bool) -> list[str]:
    """Those of the changed things (columns CHANGED) that the change tells of events they had not, or takes some from:
    what they lay in was scanned after it, by other events than those that are being kept (`own`).
    """
    if changed.is_empty():
        return []
    holders = changed.select("parent", "since").unique()
    rows, values = sets.source(holders, {"parent": "text", "since": "timestamptz"})
    query = sql.SQL(
        "with recursive up (parent, thing, since, deep) as ("
        '   select parent collate "C", parent collate "C", since, 0 from {}'
        "   union select up.parent, c.parent, up.since, up.deep + 1 from up join tracking.containment c"
        "     on c.child = up.thing and c.test = %(test)s and c.until_at > up.since where up.deep < %(deepest)s)"
        " select distinct parent, since from up cross join lateral (select from tracking.event_epcs e"
        "   where e.epc = up.thing and e.event_at >= up.since and e.role <= 2 and e.test = %(test)s"
        "     and e.event_no not in (select unnest(%(own)s::bigint[])) limit 1) later"
    ).format(rows)
    found = conn.execute(query, {**values, "own": list(own), "test": test, "deepest": DEEPEST}).fetchall()
    told = pl.DataFrame(found, schema={"parent": pl.String, "since": _AT}, orient="row")
    return changed.join(told, on=["parent", "since"], how="semi")["child"].unique().to_list()


def beneath(conn: psycopg.Connection, things: Sequence[str], since: datetime, test: bool) -> pl.DataFrame:
    """The parcels that lay, however deep, in things from `since` on, and those among these (columns PARCELS)."""
    if not things:
        return pl.DataFrame(schema=PARCELS)
    query = (
        'with recursive down (epc, deep) as (select epc collate "C", 0 from unnest(%(things)s::text[]) as g (epc)'
        "   union select c.child, d.deep + 1 from down d join tracking.containment c on c.parent = d.epc"
        "     and c.test = %(test)s and c.until_at > %(since)s where d.deep < %(deepest)s)"
        " select distinct p.epc, p.parcel_id, p.owner_id from down join tracking.parcels p"
        "   on p.epc = down.epc and p.test = %(test)s"
    )
    asked = {"things": list(things), "since": since, "test": test, "deepest": DEEPEST}
    return sets.read(conn, query, PARCELS, asked)


def _intervals(conn: psycopg.Connection, children: Sequence[str], test: bool) -> set[Stay]:
    query = (
        "select child, parent, from_at, nullif(until_at, 'infinity'), from_event, until_event"
        " from tracking.containment where child = any(%s) and test = %s"
    )
    return {(child, Lay(*stay)) for child, *stay in conn.execute(query, (list(children), test))}


_PAST: dict[Any, Any] = {
    "epc": pl.String, "event_at": _AT, "event_no": pl.Int64, "parent": pl.String, "put": pl.Boolean,
    "party_id": pl.String, "standing": pl.Int64, "role": pl.Int64,
}  # fmt: skip


def _outcome(before: set[Stay], until: datetime) -> pl.DataFrame:
    """What intervals say of the time before `until`, as claims that come to the same."""
    rows = []
    for child, stay in before:
        if stay.from_at < until:
            rows.append((child, stay.from_at, stay.from_event, stay.parent, True, "", 2, 2))
            if stay.until_at is not None and stay.until_at < until:
                rows.append((child, stay.until_at, stay.until_event, stay.parent, False, "", 2, 2))
    return pl.DataFrame(rows, schema=_PAST, orient="row")


def _archived(
    conn: psycopg.Connection, archive: Archive, held: Holding, children: Sequence[str], test: bool
) -> pl.DataFrame:
    """What archived events claim of children, and of what these were put into: that it was emptied."""
    claims = pl.col("parent").is_not_null() & ~pl.col("withdrawn") & ~pl.col("doubt")
    mine = archive.of_things(conn, held, children, test).filter(claims, pl.col("role") == 2)
    live = conn.execute(
        "select distinct parent from tracking.event_epcs where epc = any(%s) and role = 2 and parent is not null",
        (list(children),),
    )
    parents = {*mine["parent"], *(parent for (parent,) in live)}
    emptied = archive.of_things(conn, held, sorted(parents), test).filter(claims, pl.col("role") == 1)
    said = pl.concat([mine, emptied.filter(pl.col("parent") == pl.col("epc"))])
    return said.with_columns(put=pl.col("action") != "DELETE").select(*_PAST)


def _lay(
    conn: psycopg.Connection, children: Sequence[str], involved: pl.DataFrame, test: bool, past: pl.DataFrame
) -> set[Stay]:
    """What the believed claims of things amount to. past: claims that lie in PostgreSQL no more (columns _PAST)."""
    given, values = sets.source(
        past,
        {
            "epc": "text", "event_at": "timestamptz", "event_no": "bigint", "parent": "text", "put": "boolean",
            "party_id": "text", "standing": "smallint", "role": "smallint",
        },
    )  # fmt: skip
    more, emptied = "", ""
    if not past.is_empty():
        more = " union all select epc, event_at, event_no, parent, put, party_id, standing from {given} where role = 2"
        emptied = (
            " union all select h.epc, given.event_at, given.event_no, given.parent, false, given.party_id,"
            " given.standing from (select distinct epc, parent from mine) h join {given} on given.epc = h.parent"
            "   and given.role = 1"
        )
    query = (
        "with mine as (select e.epc, e.event_at, e.event_no, e.parent, e.action <> 'DELETE' as put, e.party_id,"
        "     e.standing from tracking.event_epcs e"
        "   where e.epc = any(%(children)s) and e.role = 2 and e.parent is not null and e.test = %(test)s"
        f"     and not e.withdrawn and not e.doubt{more})"
        " select * from mine union all"
        " select h.epc, e.event_at, e.event_no, e.parent, false, e.party_id, e.standing"
        "   from (select distinct epc, parent from mine) h join tracking.event_epcs e on e.epc = h.parent"
        "    and e.role = 1 and e.parent = e.epc and e.test = %(test)s and not e.withdrawn and not e.doubt"
        f"{emptied}"
    )
    asked = {"children": list(children), "test": test, **(values if more else {})}
    rows = conn.execute(sql.SQL(query).format(given=given), asked).fetchall()  # type: ignore[arg-type]
    parcels = set(involved["epc"])
    believed = set(involved.select("epc", "party_id").iter_rows())
    of_others = [(row[0], row[5], row[1]) for row in rows if row[6] == 1 and row[0] not in parcels]
    believed |= _carriers(conn, of_others, test)
    claims: dict[str, list[Claim]] = {}
    for epc, at, event_no, parent, put, party_id, standing in rows:
        if standing == 2 or (standing == 1 and (epc, party_id) in believed):
            claims.setdefault(epc, []).append(Claim(at, event_no, parent, put))
    return {(child, stay) for child, said in claims.items() for stay in lay(said)}


def _carriers(conn: psycopg.Connection, asked: Sequence[tuple[str, str, datetime]], test: bool) -> set[tuple[str, str]]:
    """Of containers and parties, those pairs where a parcel that lay in the container then or later is the party's.

    asked: container, party, when it said something of it.
    """
    if not asked:
        return set()
    first: dict[tuple[str, str], datetime] = {}
    for thing, party_id, at in asked:
        first[thing, party_id] = min(at, first.get((thing, party_id), at))
    found = conn.execute(
        'with recursive down (thing, party_id, inside, since, deep) as ('
        '   select thing collate "C", party_id collate "C", thing collate "C", since, 0'
        "     from unnest(%(things)s::text[], %(parties)s::text[], %(since)s::timestamptz[])"
        "     as g (thing, party_id, since)"
        "   union select d.thing, d.party_id, c.child, d.since, d.deep + 1 from down d join tracking.containment c"
        "     on c.parent = d.inside and c.test = %(test)s and c.until_at > d.since where d.deep < %(deepest)s)"
        " select distinct d.thing, d.party_id from down d"
        "   join tracking.parcels p on p.epc = d.inside and p.test = %(test)s"
        "   join orders.parcel_party g on g.parcel_id = p.parcel_id and g.party_id = d.party_id",
        {
            "things": [thing for thing, _ in first], "parties": [party_id for _, party_id in first],
            "since": list(first.values()), "test": test, "deepest": DEEPEST,
        },
    )  # fmt: skip
    return {(thing, party_id) for thing, party_id in found}


def _frame(stays: Iterable[Stay], test: bool) -> pl.DataFrame:
    """Intervals as rows of tracking.containment."""
    rows = [
        (
            child, stay.parent, stay.from_at.isoformat(), stay.until_at.isoformat() if stay.until_at else "infinity",
            test, stay.from_event, stay.until_event,
        )
        for child, stay in stays
    ]  # fmt: skip
    kinds = (pl.String, pl.String, pl.String, pl.String, pl.Boolean, pl.Int64, pl.Int64)
    return pl.DataFrame(rows, schema=dict(zip(_INTERVALS, kinds)), orient="row")


PARCELS = {"epc": pl.String, "parcel_id": pl.String, "owner_id": pl.String}
CONTENTS = {**PARCELS, "event_no": pl.Int64, "root": pl.String, "deep": pl.Int64}
_PASSING = ("picked_up", "in_transit", "out_for_delivery", "available_for_pickup", "on_hold", "delivery_failed")
"""Statuses that the next one takes the place of: of several events of these the last one tells."""


def contents(conn: psycopg.Connection, scanned: pl.DataFrame, test: bool) -> pl.DataFrame:
    """The parcels that lay, however deep, in the things that were scanned when they were (columns CONTENTS; root: the
    thing, deep: how deep within). scanned: epc, event_no, event_at, status.

    Where a thing was scanned often while a parcel lay in it, of events that say no more than the last of them does that
    one alone is told, so that there are not more rows than parcels by a few.
    """
    if scanned.is_empty():
        return pl.DataFrame(schema=CONTENTS)
    types = {"epc": "text", "event_no": "bigint", "event_at": "timestamptz", "status": "text"}
    rows, values = sets.source(scanned, types)
    query = sql.SQL(
        "with recursive scanned as materialized (select epc, event_no, event_at, status = any(%(passing)s) as passes"
        "   from {rows}),"
        " down (root, epc, from_at, until_at, deep) as ("
        '   select epc collate "C", epc collate "C", min(event_at), max(event_at) + interval \'1 second\', 0'
        "     from scanned group by epc"
        "   union select d.root, c.child, greatest(d.from_at, c.from_at), least(d.until_at, c.until_at), d.deep + 1"
        "     from down d join tracking.containment c on c.parent = d.epc and c.test = %(test)s"
        "       and c.from_at < d.until_at and c.until_at > d.from_at where d.deep < %(deepest)s)"
        " select d.epc, p.parcel_id, p.owner_id, e.event_no, d.root, min(d.deep)"
        " from down d join tracking.parcels p on p.epc = d.epc and p.test = %(test)s cross join lateral ("
        "   (select s.event_no from scanned s where s.passes and s.epc = d.root and s.event_at >= d.from_at"
        "     and s.event_at < d.until_at order by s.event_at desc, s.event_no desc limit 1)"
        "   union all select s.event_no from scanned s where not s.passes and s.epc = d.root"
        "     and s.event_at >= d.from_at and s.event_at < d.until_at) e"
        " where d.deep > 0 group by d.epc, p.parcel_id, p.owner_id, e.event_no, d.root"
    ).format(rows=rows)
    asked = {**values, "passing": list(_PASSING), "test": test, "deepest": DEEPEST}
    return sets.read(conn, query, CONTENTS, asked)  # type: ignore[arg-type]
