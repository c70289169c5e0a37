"""Where parcels are: a row for each, moved on by new events, worked out anew when what happened before comes later.

As the system, within the transaction of the connection. A parcel's row is held before its events are read, so that of
two captures at once the second sees what the first one kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl
import psycopg
from msgspec import structs
from psycopg import sql

from rookery.base import sets
from rookery.tracking.archive import NOTHING, Archive, Holding
from rookery.tracking.lying import DEEPEST
from rookery.tracking.milestones import Seen, State, fold, in_order

_AT = pl.Datetime("us", "UTC")
PARCELS = {"epc": pl.String, "parcel_id": pl.String, "owner_id": pl.String}
SEEN = {
    "epc": pl.String, "at": _AT, "event_no": pl.Int64, "status": pl.String, "detail": pl.String, "place": pl.String,
    "against": pl.String,
}  # fmt: skip


ANEW_AT_ONCE = 200
"""Parcels whose whole history is in memory at the same time."""


class Kept(NamedTuple):
    """A parcel's row as it was: its state, and the last event of all that count and say something."""

    state: State
    latest_at: datetime | None
    latest_no: int | None


def enter(conn: psycopg.Connection, parcels: pl.DataFrame, test: bool, now: datetime) -> None:
    """Give parcels (columns PARCELS) a row that have none yet, so that they are found in what they lie in."""
    rows, values = sets.source(parcels, dict.fromkeys(PARCELS, "text"))
    conn.execute(
        sql.SQL(
            "insert into tracking.parcels (epc, parcel_id, owner_id, test, updated_at)"
            " select epc, parcel_id, owner_id, %(test)s, %(now)s from {} order by epc on conflict do nothing"
        ).format(rows),
        {**values, "test": test, "now": now},
    )


def hold(conn: psycopg.Connection, parcels: pl.DataFrame, test: bool) -> dict[str, Kept]:
    """Keep parcels' rows (columns PARCELS) from being changed by others until the transaction ends.

    Returns them by epc.
    """
    if parcels.is_empty():
        return {}
    rows, values = sets.source(parcels.unique("epc"), dict.fromkeys(PARCELS, "text"))
    held = conn.execute(
        sql.SQL(
            "select p.epc, p.status::text, p.detail, p.status_at, p.event_no, p.place, p.latest_at, p.latest_no"
            " from tracking.parcels p join {} using (epc) where p.test = %(test)s"
            " order by p.epc for update of p"
        ).format(rows),
        {**values, "test": test},
    )
    return {
        epc: Kept(State(status, detail, at, event_no, place), latest_at, latest_no)
        for epc, status, detail, at, event_no, place, latest_at, latest_no in held
    }


def advance(
    conn: psycopg.Connection,
    kept: Mapping[str, Kept],
    seen: pl.DataFrame,
    anew: Iterable[str],
    involved: pl.DataFrame,
    test: bool,
    now: datetime,
    archive: Archive | None = None,
) -> list[str]:
    """Move held parcels on by new events (columns SEEN); returns those whose status, detail or place changed.

    anew: parcels whose whole history is read again; also those of which an event came late are. involved: epc,
    party_id.
    """
    again = set(anew) & set(kept)
    for epc, first in seen.group_by("epc").agg(pl.col("at").min()).iter_rows():
        latest = kept[epc].latest_at
        if latest is not None and first <= latest:
            again.add(epc)
    after = {epc: Kept(State(), None, None) for epc in again} | {e: k for e, k in kept.items() if e not in again}
    _move(after, seen.filter(~pl.col("epc").is_in(list(again))).sort("epc", "at", "event_no"))  # all of one batch
    every = sorted(again)
    for begin in range(0, len(every), ANEW_AT_ONCE):
        some = every[begin : begin + ANEW_AT_ONCE]
        mine = involved.filter(pl.col("epc").is_in(some))
        _move(after, history(conn, some, mine, test, archive).select(*SEEN))
    after = _with_places(conn, after, again)
    changed = {epc: one for epc, one in after.items() if one != kept[epc]}
    _write(conn, changed, test, now)
    return sorted(epc for epc, one in changed.items() if one.state != kept[epc].state)


def _move(after: dict[str, Kept], seen: pl.DataFrame) -> None:
    """Moves parcels on by events (columns SEEN), in their order, that are newer than all they have seen."""
    for epc, rows in _by_parcel(seen):
        before = after[epc]
        told = [one for one in rows if one.against is None and one.status is not None]
        latest = told[-1] if told else None
        after[epc] = Kept(
            fold(before.state, told),
            latest.at if latest else before.latest_at,
            latest.event_no if latest else before.latest_no,
        )


def history(
    conn: psycopg.Connection, epcs: Sequence[str], involved: pl.DataFrame, test: bool, archive: Archive | None = None
) -> pl.DataFrame:
    """All events about parcels, themselves or by way of what they lay in, in the order in which they are folded
    (milestones.in_order); also those that are archived.

    Columns SEEN, and `via`: what the parcel lay in, innermost first. `against` says of each event why it does not
    count: it was withdrawn, its time is not believed, or whoever captured it has nothing to do with it. Only what is
    archived has a `place`, and a `mark`, by which the archive has the event.
    """
    asked: dict[str, Any] = {"epcs": list(epcs), "test": test, "deepest": DEEPEST}

    def rows(held: Holding) -> pl.DataFrame:
        if archive is None or not held.files:
            return _batched(conn, sets.read(conn, f"{UP}, e as ({_LIVE}) {_SEEN}", _HISTORY, asked), held)
        things = conn.execute(f"{UP} select distinct thing from up".encode(), asked).fetchall()
        past = archive.of_things(conn, held, [thing for (thing,) in things], test)
        given, values = sets.source(past, _PAST)
        also = sql.SQL(_ARCHIVED).format(given=given).as_string(conn)
        every = sets.read(conn, f"{UP}, e as ({_LIVE} union all {also}) {_SEEN}", _HISTORY, {**asked, **values})
        return _batched(conn, every, held, archive)

    found = judged(rows(NOTHING) if archive is None else archive.steady(conn, rows), involved)
    return in_order(found) if "batch_no" in found.columns else found


def _batched(
    conn: psycopg.Connection, found: pl.DataFrame, held: Holding, archive: Archive | None = None
) -> pl.DataFrame:
    """Rows _HISTORY, in event time; where some say something of a parcel at the same instant as others do, with the
    `batch_no` of these: of what happened before or after all else nobody asks with what it was sent.
    """
    says = found.filter(pl.col("status").is_not_null())
    tied = says.filter(pl.struct("epc", "at").is_duplicated()).unique("event_no")
    if tied.is_empty():
        return found
    sent = sets.read(
        conn,
        "select v.event_no, v.batch_no from unnest(%(numbers)s::bigint[], %(at)s::timestamptz[]) as g (no, at)"
        " join tracking.events v on v.event_no = g.no and v.event_at = g.at",
        {"event_no": pl.Int64, "batch_no": pl.Int64},
        {"numbers": tied["event_no"].to_list(), "at": tied["at"].to_list()},
    )
    old = tied.filter(pl.col("mark").is_not_null()).select("mark", event_at="at")
    if archive is not None and not old.is_empty():
        sent = pl.concat([sent, archive.events(held, old).select("event_no", "batch_no")])
    return found.join(sent, on="event_no", how="left", maintain_order="left")


_HISTORY: dict[str, Any] = {
    "epc": pl.String, "at": _AT, "event_no": pl.Int64, "status": pl.String, "detail": pl.String,
    "party_id": pl.String, "standing": pl.Int64, "withdrawn": pl.Boolean, "doubt": pl.Boolean, "via": pl.String,
    "place": pl.String, "mark": pl.Binary, "linked": pl.Boolean,
}  # fmt: skip
_PAST = {
    "epc": "text", "event_at": "timestamptz", "event_no": "bigint", "role": "smallint", "status": "tracking.status",
    "detail": "text", "party_id": "text", "standing": "smallint", "withdrawn": "boolean", "doubt": "boolean",
    "location": "text", "mark": "bytea", "parcel_id": "text",
}  # fmt: skip
UP = (
    "with recursive up (root, thing, from_at, until_at, via) as ("
    "   select epc collate \"C\", epc collate \"C\", '-infinity'::timestamptz, 'infinity'::timestamptz,"
    '     array[]::text[] collate "C" from unnest(%(epcs)s::text[]) as g (epc)'
    "   union all"
    "   select up.root, c.parent, greatest(up.from_at, c.from_at), least(up.until_at, c.until_at),"
    "     up.via || c.parent from up join tracking.containment c on c.child = up.thing and c.test = %(test)s"
    "       and c.from_at < up.until_at and c.until_at > up.from_at"
    "    where cardinality(up.via) < %(deepest)s and c.parent <> all (up.via) and c.parent <> up.root)"
)
_TOLD = (
    "select up.root, up.via, e.event_at, e.event_no, e.role, e.status, e.detail, e.party_id, e.standing, e.withdrawn,"
    " e.doubt, e.parcel_id"
)
_THEN = "on e.epc = up.thing and e.event_at >= up.from_at and e.event_at < up.until_at and e.role <= 2"
_LIVE = (
    f"{_TOLD}, null::text as location, null::bytea as mark from up join tracking.event_epcs e {_THEN}"
    " and e.test = %(test)s"
)
_ARCHIVED = f"{_TOLD}, e.location, e.mark from up join (select * from {{given}}) e {_THEN}"
_SEEN = (
    "select distinct on (root, event_at, event_no) root, event_at, event_no, status::text, detail, party_id, standing,"
    " withdrawn, doubt, array_to_string(via, chr(10)), location, mark,"
    " parcel_id is not null and cardinality(via) = 0"
    " from e order by root, event_at, event_no, cardinality(via), role desc"
)


def judged(rows: pl.DataFrame, involved: pl.DataFrame) -> pl.DataFrame:
    """Rows (epc, party_id, standing, withdrawn, doubt, linked, ..) with `against`. involved: epc, party_id; linked:
    whoever captured it had to do with the parcel then, though it may not have any more.

    That a stranger said it goes before all else: what is told of it, and to whom, hangs on that.
    """
    mine = involved.select("epc", "party_id", ours=pl.lit(True)).unique()
    against = (
        pl.when(pl.col("ours").is_null() & ~pl.col("linked") & (pl.col("standing") < 2))
        .then(pl.lit("not_of_its_couriers"))
        .when("withdrawn").then(pl.lit("withdrawn"))
        .when("doubt").then(pl.lit("time_not_believed"))
    )  # fmt: skip
    return rows.join(mine, on=["epc", "party_id"], how="left", maintain_order="left").with_columns(against=against)


def _by_parcel(seen: pl.DataFrame) -> Iterable[tuple[str, list[Seen]]]:
    """Each parcel's events, in the order of the rows, in which they stand together."""
    rows: list[Seen] = []
    of: str | None = None
    for epc, *one in seen.iter_rows():
        if epc != of:
            if of is not None:
                yield of, rows
            of, rows = epc, []
        rows.append(Seen(*one))
    if of is not None:
        yield of, rows


def _with_places(conn: psycopg.Connection, after: Mapping[str, Kept], anew: Iterable[str]) -> dict[str, Kept]:
    """The places of states that were worked out anew: only of the event that made them are they asked for, unless it
    is archived.
    """
    wanted = {epc: after[epc].state for epc in anew if after[epc].state.event_no is not None}
    if not wanted:
        return dict(after)
    rows = conn.execute(
        "select event_no, coalesce(biz_location, read_point) from tracking.events"
        " where event_no = any(%s) and event_at = any(%s)",
        ([state.event_no for state in wanted.values()], list({state.at for state in wanted.values()})),
    )
    places = dict(rows.fetchall())
    return {
        **after,
        **{
            epc: after[epc]._replace(state=structs.replace(state, place=places.get(state.event_no, state.place)))
            for epc, state in wanted.items()
        },
    }


def _write(conn: psycopg.Connection, changed: Mapping[str, Kept], test: bool, now: datetime) -> None:
    if not changed:
        return
    frame = pl.DataFrame(
        [
            (epc, s.status, s.detail, s.at, s.event_no, s.place, one.latest_at, one.latest_no)
            for epc, one in changed.items()
            for s in (one.state,)
        ],
        schema={
            "epc": pl.String, "status": pl.String, "detail": pl.String, "status_at": _AT, "event_no": pl.Int64,
            "place": pl.String, "latest_at": _AT, "latest_no": pl.Int64,
        },
        orient="row",
    )  # fmt: skip
    rows, values = sets.source(
        frame,
        {
            "epc": "text", "status": "tracking.status", "detail": "text", "status_at": "timestamptz",
            "event_no": "bigint", "place": "text", "latest_at": "timestamptz", "latest_no": "bigint",
        },
    )  # fmt: skip
    conn.execute(
        sql.SQL(
            "update tracking.parcels p set status = given.status, detail = given.detail, status_at = given.status_at,"
            " event_no = given.event_no, place = given.place, latest_at = given.latest_at, latest_no = given.latest_no,"
            " updated_at = %(now)s from {} where p.epc = given.epc and p.test = %(test)s"
        ).format(rows),
        {**values, "test": test, "now": now},
    )
