"""Room on departures for a wave: what others have of it, and which of its bookings still find room when it writes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import polars as pl
import psycopg

from rookery.network import expand
from rookery.orders import waiting
from rookery.planning import store
from rookery.planning.rooms import SLACK
from rookery.terms.frames import FEED, Feed
from rookery.terms.time import DAY, to_minute

RUN = ["departure_id", "depart_at"]
_LOAD = ["parcels", "grams"]
_ROOM = ["capacity_parcels", "capacity_g"]


def room_of(feed: Feed, now: datetime, days: int) -> pl.DataFrame:
    """The dated departures that have a limit.

    Columns: departure_id, depart_at, scheduled_at (minutes), capacity_parcels, capacity_g (null = none).
    """
    start = to_minute(now)
    runs = expand(feed, start, start + days * DAY).runs
    limited = runs.filter(pl.any_horizontal(pl.col(name).is_finite() for name in _ROOM))
    return limited.select(
        feed.departures["departure_id"].gather(limited["departure"]),
        (pl.col("depart_at").cast(pl.Int64) * 60_000_000).cast(pl.Datetime("us", "UTC")),
        "scheduled_at",
        *(pl.when(pl.col(name).is_finite()).then(name).alias(name) for name in _ROOM),
    )  # fmt: skip


def taken_by_others(conn: psycopg.Connection, test: bool, after: datetime, mine: pl.DataFrame) -> pl.DataFrame:
    """What departures that leave after an instant carry of shipments that are not `mine` (column shipment_id).

    Along their median routes: departure_id, depart_at, parcels, grams. A departure that another version of the network
    has too counts as the same.
    """
    legs = store.future_legs(conn, test, after).join(mine, on="shipment_id", how="anti")
    return summed(with_weights(conn, legs))


def with_weights(conn: psycopg.Connection, legs: pl.DataFrame) -> pl.DataFrame:
    """Legs (shipment_id, route, ..) of the routes that count, with parcels and grams."""
    return legs.join(waiting.weights(conn, legs["shipment_id"].unique()), on=["shipment_id", "route"])


def summed(*legs: pl.DataFrame) -> pl.DataFrame:
    """What legs put on departures: departure_id, depart_at, parcels, grams."""
    together = pl.concat([some.select(*RUN, *_LOAD) for some in legs])
    return together.group_by(RUN).agg(pl.col(_LOAD).sum())


def with_room_left(feed: Feed, room: pl.DataFrame, others: pl.DataFrame) -> Feed:
    """The network with what others take gone from its departures: as closures, which the planner plans around."""
    taken = others.join(room, on=RUN)
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
