"""Room on departures for a wave: what others have of it, and which of its bookings still find room when it writes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import polars as pl
import psycopg

from rookery.base.operations import Context
from rookery.flows.live_feed import LOOK_BACK, laid_over
from rookery.flows.planning import horizon_of
from rookery.network import expand
from rookery.network.live import as_they_leave, delayed_once, moved_runs, put_back
from rookery.network.store import Feeds
from rookery.orders import waiting
from rookery.planning import store
from rookery.planning.rooms import SLACK
from rookery.terms.frames import FEED, Feed
from rookery.terms.time import DAY, from_minute, to_minute

RUN = ["departure_id", "depart_at"]
_LOAD = ["parcels", "grams"]
_ROOM = ["capacity_parcels", "capacity_g"]


def runs_of(feed: Feed, now: datetime, days: int) -> pl.DataFrame:
    """The dated departures of so many days.

    Columns: departure_id, depart_at, scheduled_at (minutes), capacity_parcels, capacity_g (null = none). Where delays
    make two runs of a departure leave at one time both have a row, each with the room of both: they count as one.
    """
    start = to_minute(now)
    runs = expand(feed, start, start + days * DAY).runs
    if not runs.filter(pl.col("depart_at") != pl.col("scheduled_at")).is_empty():  # else none leave at one time
        runs = runs.with_columns(pl.col(_ROOM).sum().over("departure", "depart_at"))
    return runs.select(
        feed.departures["departure_id"].gather(runs["departure"]),
        (pl.col("depart_at").cast(pl.Int64) * 60_000_000).cast(pl.Datetime("us", "UTC")),
        "scheduled_at",
        *(pl.when(pl.col(name).is_finite()).then(name).alias(name) for name in _ROOM),
    )  # fmt: skip


def room_of(runs: pl.DataFrame) -> pl.DataFrame:
    """Those of dated departures (columns of `runs_of`) that have a limit, each once."""
    limited = runs.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in _ROOM))
    return limited.unique(RUN, keep="first", maintain_order=True)


def taken_by_others(
    conn: psycopg.Connection, test: bool, after: datetime, mine: pl.DataFrame, moved: pl.DataFrame
) -> pl.DataFrame:
    """What departures that leave after an instant carry of shipments that are not `mine` (column shipment_id).

    Along their median routes: departure_id, depart_at, parcels, grams. A departure that another version of the network
    has too counts as the same, and so does one that leaves at another time since (`moved`, of `moved_of`).
    """
    since = min(after, from_minute((moved["scheduled_at"].min() or to_minute(after)) - 1))  # type: ignore[operator]
    legs = as_they_leave(store.future_legs(conn, test, since), moved).filter(pl.col("depart_at") > after)
    return summed(with_weights(conn, legs.join(mine, on="shipment_id", how="anti")))


def moved_of(conn: psycopg.Connection, test: bool, feed: Feed, now: datetime, days: int) -> pl.DataFrame:
    """The dated departures of so many days that closures delay, or did until they were lifted (network.live.MOVED)."""
    start = to_minute(now)
    end = start + days * DAY
    lifted = delayed_once(conn, test, now - LOOK_BACK).drop("closure_id")
    return pl.concat([moved_runs(feed, start, end), put_back(feed, lifted, start, end)])


def keep_books(ctx: Context, feed_id: str) -> None:
    """What is booked on departures of a network as it counts from now on, closures heeded: of those without a limit
    before, and of those that leave at another time, nobody kept count.
    """
    conn, now, test = ctx.conn, ctx.clock.now(), ctx.who.test
    conn.execute(store.LOADS_LOCK)
    if store.future_legs(conn, test, now).is_empty():
        return
    feed = laid_over(ctx, ctx.part(Feeds).get(conn, feed_id))
    days = horizon_of(feed, None)
    nobody = pl.DataFrame(schema={"shipment_id": pl.String})
    booked = taken_by_others(conn, test, now, nobody, moved_of(conn, test, feed, now, days))
    store.raise_loads(conn, test, booked.join(room_of(runs_of(feed, now, days)), on=RUN))


def count_anew(ctx: Context, feed_id: str, runs: pl.DataFrame) -> None:
    """What is booked on some dated departures (columns RUN), counted from the routes: no more and no less.

    For those that leave at another time since a closure was entered or lifted, by the old time and by the new one.
    """
    conn, now, test = ctx.conn, ctx.clock.now(), ctx.who.test
    conn.execute(store.LOADS_LOCK)
    runs = runs.filter(pl.col("depart_at") > now)  # those that have left stay as they were
    feed = laid_over(ctx, ctx.part(Feeds).get(conn, feed_id))
    days = horizon_of(feed, None)
    some = pl.col("departure_id").is_in(runs["departure_id"].unique().implode())
    feed = replace(feed, departures=feed.departures.filter(some))
    nobody = pl.DataFrame(schema={"shipment_id": pl.String})
    booked = taken_by_others(conn, test, now, nobody, moved_of(conn, test, feed, now, days))
    loads = runs.join(booked, on=RUN, how="left").with_columns(pl.col(_LOAD).fill_null(0.0))
    store.set_loads(conn, test, loads)
    booked = booked.join(runs, on=RUN, how="semi")
    store.raise_loads(conn, test, booked.join(room_of(runs_of(feed, now, days)), on=RUN))


def with_weights(conn: psycopg.Connection, legs: pl.DataFrame) -> pl.DataFrame:
    """Legs (shipment_id, route, ..) of the routes that count, with parcels and grams."""
    return legs.join(waiting.weights(conn, legs["shipment_id"].unique()), on=["shipment_id", "route"])


def summed(*legs: pl.DataFrame) -> pl.DataFrame:
    """What legs put on departures: departure_id, depart_at, parcels, grams."""
    together = pl.concat([some.select(*RUN, *_LOAD) for some in legs])
    return together.group_by(RUN).agg(pl.col(_LOAD).sum())


def with_room_left(feed: Feed, runs: pl.DataFrame, others: pl.DataFrame) -> Feed:
    """The network with what others take gone from its departures: as closures, which the planner plans around.

    runs: of `runs_of`; others: of `summed`.
    """
    taken = others.join(runs, on=RUN).filter(pl.any_horizontal(pl.col(name).is_not_null() for name in _ROOM))
    left = taken.with_columns(
        # a hair more than exact, so that as a product it is never a whole seat less
        factor=(
            pl.min_horizontal(
                1 - pl.col("parcels") / pl.col("capacity_parcels"), 1 - pl.col("grams") / pl.col("capacity_g")
            )
            * (1 + 1e-12)
        ).clip(0.0, 1.0)
    )
    closures = left.select(
        "departure_id",
        from_at=pl.col("scheduled_at").cast(pl.Int64),
        until_at=pl.col("scheduled_at").cast(pl.Int64) + 1,
        capacity_factor="factor",
        delay_minutes=pl.lit(0, pl.Int32),
        reason=pl.lit("booked before"),
    )
    both = pl.concat([feed.closures, closures], how="diagonal").select(*FEED["closures"])
    return replace(feed, closures=both.cast(pl.Schema(FEED["closures"])))


def fitted(
    loads: pl.DataFrame, room: pl.DataFrame, takes: pl.DataFrame, instead: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Who does without, the last ones first, until nothing is over its capacity: their order_id, and the loads then.

    loads: what departures carry (columns of `summed`) if all take what they want; takes: legs wanted (order_id, the
    columns of `summed`), those who come first first; instead: legs that who goes without has then. Where nobody can do
    without, a departure stays over.
    """
    without: list[pl.DataFrame] = [takes.select("order_id").clear()]
    takes = takes.with_row_index("rank")
    while True:
        wanted = takes.join(over(loads, room), on=RUN).sort("rank", descending=True)
        before = [pl.col(load).cum_sum().over(RUN) - pl.col(load) < pl.col(f"{load}_over") for load in _LOAD]
        last = wanted.filter(pl.any_horizontal(before)).select("order_id").unique()
        if last.is_empty():
            return pl.concat(without), loads
        without.append(last)
        given_up = takes.join(last, on="order_id", how="semi").with_columns(-pl.col(load) for load in _LOAD)
        loads = summed(loads, given_up, instead.join(last, on="order_id", how="semi"))
        takes = takes.join(last, on="order_id", how="anti")


def over(loads: pl.DataFrame, room: pl.DataFrame) -> pl.DataFrame:
    """The departures with more than they hold, and by how much: departure_id, depart_at, parcels_over, grams_over."""
    excess = [
        (pl.col(load) - pl.col(most) * (1 + SLACK) - SLACK).fill_null(0.0).clip(lower_bound=0.0).alias(f"{load}_over")
        for load, most in zip(_LOAD, _ROOM)
    ]
    found = loads.join(room, on=RUN).select(*RUN, *excess)
    return found.filter(pl.any_horizontal(pl.col(f"{load}_over") > 0 for load in _LOAD))
