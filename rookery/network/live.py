"""Closures entered while the network runs: kept in the database, and laid over the network that is active."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, LiteralString

import msgspec
import polars as pl
import psycopg
from msgspec import Struct
from psycopg.rows import class_row

from rookery.base import sets
from rookery.network.expansion import expand
from rookery.terms.errors import NotFound
from rookery.terms.frames import FEED, Feed

MOVED: dict[str, Any] = {"departure_id": pl.String, "scheduled_at": pl.Int64, "depart_at": pl.Int64}
"""Dated departures that closures delay: as scheduled, and as they leave, in UTC minutes."""
IN_FORCE: dict[str, Any] = {"closure_id": pl.String, **FEED["closures"]}
"""Closures that count, with their ids: the columns of a feed's closures, `line` 0."""
_COLUMNS = (
    "closure_id, node_id, lane_id, departure_id, from_at, until_at, capacity_factor, delay_minutes, reason, replan,"
    " entered_at, entered_by, lifted_at, lifted_by"
)


class Closure(Struct, frozen=True):
    """A node, lane or departure shut, thinned or delayed for a while: for all that leaves it in [from_at, until_at).

    capacity_factor: what is left of the capacity, 0 = nothing runs, and a node works nothing. replan: what it touches
    was to be re-planned when it was entered. lifted_at: since then it counts no more; null = it was not lifted.
    """

    closure_id: str
    node_id: str | None
    lane_id: str | None
    departure_id: str | None
    from_at: datetime
    until_at: datetime
    capacity_factor: float
    delay_minutes: int
    reason: str
    replan: bool
    entered_at: datetime
    entered_by: str
    lifted_at: datetime | None = None
    lifted_by: str | None = None


def add(conn: psycopg.Connection, test: bool, closure: Closure) -> None:
    """Keep a closure: from now on it counts, beside those there are."""
    marks = ", ".join(["%s"] * len(Closure.__struct_fields__))
    conn.execute(
        f"insert into network.closures ({_COLUMNS}, test) values ({marks}, %s)".encode(),
        (*msgspec.structs.astuple(closure), test),
    )


def get(conn: psycopg.Connection, test: bool, closure_id: str) -> Closure:
    """One closure, lifted or not. Raises NotFound."""
    found = _closures(conn, "test = %(test)s and closure_id = %(closure_id)s", 1, test=test, closure_id=closure_id)
    if not found:
        raise NotFound("closures.none", f"There is no closure {closure_id}.", "list them: GET /closures")
    return found[0]


def list_closures(
    conn: psycopg.Connection, test: bool, before: str = "", limit: int = 1000, until_after: datetime | None = None
) -> list[Closure]:
    """Closures, the newest first; those before an id when one is given.

    until_after: only those not lifted that end after this instant.
    """
    where = "test = %(test)s and (closure_id < %(before)s or %(before)s = '')"
    if until_after is not None:
        where += " and lifted_at is null and until_at > %(until_after)s"
    return _closures(conn, where, limit, test=test, before=before, until_after=until_after)


def _closures(conn: psycopg.Connection, where: str, limit: int, **values: object) -> list[Closure]:
    query = f"select {_COLUMNS} from network.closures where {where} order by closure_id desc limit %(limit)s"
    with conn.cursor(row_factory=class_row(Closure)) as cursor:
        return cursor.execute(query.encode(), {**values, "limit": limit}).fetchall()


def lift(conn: psycopg.Connection, test: bool, closure_id: str, now: datetime, by: str) -> bool:
    """The closure counts no more; False when it was lifted before, or there is none."""
    done = conn.execute(
        "update network.closures set lifted_at = %s, lifted_by = %s"
        " where test = %s and closure_id = %s and lifted_at is null",
        (now, by, test, closure_id),
    )
    return done.rowcount == 1


def stamp(conn: psycopg.Connection, test: bool) -> str:
    """A text that changes whenever a closure is entered or lifted, and never comes again."""
    row = conn.execute("select count(*), count(lifted_at) from network.closures where test = %s", (test,)).fetchone()
    assert row is not None
    return f"{row[0]}-{row[1]}"  # rows are never deleted and never lifted back: both only grow


def in_force(conn: psycopg.Connection, test: bool, after: datetime) -> pl.DataFrame:
    """Closures that were not lifted and touch something after an instant: their window, or what they delay (IN_FORCE).

    In the order in which they were entered; times in UTC minutes.
    """
    return _touching_after(conn, test, after, "lifted_at is null order by closure_id")


def delayed_once(conn: psycopg.Connection, test: bool, after: datetime) -> pl.DataFrame:
    """Closures that were lifted and, had they not been, would still delay something after an instant (IN_FORCE).

    In the order in which they were lifted.
    """
    where = "lifted_at is not null and delay_minutes > 0 and capacity_factor > 0 order by lifted_at, closure_id"
    return _touching_after(conn, test, after, where)


def _touching_after(conn: psycopg.Connection, test: bool, after: datetime, where: LiteralString) -> pl.DataFrame:
    return sets.read(
        conn,
        "select closure_id, node_id, lane_id, departure_id, (extract(epoch from from_at) / 60)::bigint,"
        " (extract(epoch from until_at) / 60)::bigint, capacity_factor, delay_minutes, reason, 0"
        " from network.closures where test = %(test)s"
        " and until_at + delay_minutes * interval '1 minute' > %(after)s and " + where,
        IN_FORCE,
        {"test": test, "after": after},
    )


def closures(conn: psycopg.Connection, test: bool, after: datetime) -> pl.DataFrame:
    """The same as a feed has them (schema FEED["closures"]), `line` 0."""
    return in_force(conn, test, after).drop("closure_id")


def overlaid(feed: Feed, closures: pl.DataFrame) -> Feed:
    """The network with closures (schema FEED["closures"]) beside its own; the feed itself when there are none.

    What they name and this version of the network does not have is passed over. Where they overlap, factors multiply
    and delays add: docs/decisions/0003-closures.md.
    """
    return replace(feed, closures=pl.concat([feed.closures, closures])) if closures.height else feed


def leaving(feed: Feed, closures: pl.DataFrame, start: int, end: int) -> pl.DataFrame:
    """The dated departures of [start, end) that a network has, and whose schedule lies in the window of a closure.

    Columns MOVED; the network's own closures are heeded. A run that several touch stands once.
    """
    hit = _windows(feed, closures)
    within = pl.col("scheduled_at").is_between("from_at", "until_at", closed="left")
    return (
        _runs(feed, hit["departure_id"], start, end).join(hit, on="departure_id").filter(within).select(*MOVED).unique()
    )


def _windows(feed: Feed, closures: pl.DataFrame) -> pl.DataFrame:
    """The departures that closures name, by themselves, their lane or the node they leave, and from when until when."""
    lanes = feed.departures.join(feed.lanes.select("lane_id", node_id="from_node"), on="lane_id", how="left")
    return pl.concat(
        [
            closures.drop_nulls(target)
            .select(target, "from_at", "until_at")
            .join(lanes, on=target)
            .select("departure_id", "from_at", "until_at")
            for target in ("node_id", "lane_id", "departure_id")
        ]
    )


def meet(feed: Feed, closures: pl.DataFrame, start: int, end: int) -> bool:
    """Whether under closures (schema FEED["closures"]) one of the departures they name would leave at the very minute
    at which another day's run of it leaves, or was to: then departure and time would not tell which is meant.
    """
    runs = _runs(overlaid(feed, closures), _windows(feed, closures)["departure_id"].unique(), start, end)
    late = runs.filter(pl.col("depart_at") != pl.col("scheduled_at"))
    was = runs.select("departure_id", depart_at="scheduled_at")
    return not late.join(was, on=["departure_id", "depart_at"], how="semi").is_empty() or bool(
        runs.select("departure_id", "depart_at").is_duplicated().any()
    )


def put_back(feed: Feed, lifted: pl.DataFrame, start: int, end: int) -> pl.DataFrame:
    """The dated departures of [start, end) as they left under closures that are lifted, and as they leave now (MOVED).

    lifted: the columns of FEED["closures"], the last ones count. Whoever booked a run while it was delayed finds here
    when it leaves; a time at which some run of the departure leaves, or was to, means that one.
    """
    if lifted.is_empty():
        return pl.DataFrame(schema=MOVED)
    found = []
    for at in range(lifted.height):
        one = lifted[at]
        late = leaving(overlaid(feed, one), one, start, end + one["delay_minutes"][0])
        now = leaving(feed, one, start, end)
        both = late.join(now, on=["departure_id", "scheduled_at"], suffix="_now")
        found.append(both.select("departure_id", scheduled_at="depart_at", depart_at="depart_at_now"))
    moved = pl.concat(found).unique(["departure_id", "scheduled_at"], keep="last")
    runs = _runs(feed, moved["departure_id"].unique(), start, end)
    taken = pl.concat([runs.select("departure_id", scheduled_at=at) for at in ("scheduled_at", "depart_at")])
    return moved.join(taken, on=["departure_id", "scheduled_at"], how="anti")


def moved_runs(feed: Feed, start: int, end: int) -> pl.DataFrame:
    """The dated departures of [start, end) that leave later than scheduled, by the network's closures (MOVED).

    Whoever knows a run by its scheduled time, from before the closure, finds here when it leaves.
    """
    delaying = feed.closures.filter(pl.col("delay_minutes") > 0)
    if delaying.is_empty():
        return pl.DataFrame(schema=MOVED)
    lanes = feed.lanes.filter(
        pl.col("lane_id").is_in(delaying["lane_id"].drop_nulls().implode())
        | pl.col("from_node").is_in(delaying["node_id"].drop_nulls().implode())
    )
    named = delaying["departure_id"].drop_nulls()
    on_lanes = feed.departures.join(lanes, on="lane_id", how="semi")["departure_id"]
    runs = _runs(feed, pl.concat([named, on_lanes]), start, end)
    return runs.filter(pl.col("scheduled_at") != pl.col("depart_at"))


def _runs(feed: Feed, departure_ids: pl.Series, start: int, end: int) -> pl.DataFrame:
    """The dated departures of [start, end) of some departures alone (MOVED)."""
    some = feed.departures.filter(pl.col("departure_id").is_in(departure_ids.implode()))
    runs = expand(replace(feed, departures=some), start, end).runs
    return runs.select(some["departure_id"].gather(runs["departure"]), "scheduled_at", "depart_at").cast(
        pl.Schema(MOVED)
    )


def as_they_leave(booked: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    """What names dated departures as scheduled (departure_id, depart_at as an instant), by when they leave now.

    moved: those that closures delay (MOVED); all others stay as they are.
    """
    if moved.is_empty():
        return booked
    instants = [(pl.col(name) * 60_000_000).cast(pl.Datetime("us", "UTC")) for name in ("scheduled_at", "depart_at")]
    known = moved.select("departure_id", depart_at=instants[0], moved_at=instants[1])
    found = booked.join(known, on=["departure_id", "depart_at"], how="left", maintain_order="left")
    return found.with_columns(depart_at=pl.coalesce("moved_at", "depart_at")).drop("moved_at")
