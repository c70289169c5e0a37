"""Seats given back on legs that are not ridden any more, and taken on those that are instead."""

from __future__ import annotations

import numpy as np
import polars as pl

from rookery.base.operations import Context
from rookery.flows.quotes.counter import Counter
from rookery.flows.rebooking.ways import RUN
from rookery.orders import waiting
from rookery.planning.ops import instants
from rookery.planning.rooms import give_back, hold_room, take_room
from rookery.terms.time import from_minute

_ROOM = ["capacity_parcels", "capacity_g"]


def exchange(ctx: Context, counter: Counter, give: pl.DataFrame, take: pl.DataFrame) -> set[str]:
    """Of each shipment the seats on `take` are booked and those on `give` free; returns the shipments that find no
    room, whose seats stay as they were.

    give, take: shipment_id, departure_id, depart_at; what stands in both stays booked. Nobody gives a seat back before
    having the new ones; what others give back by then is looked for again by those who found none.
    """
    both = ["shipment_id", *RUN]
    freed, wanted = give.join(take, on=both, how="anti"), take.join(give, on=both, how="anti")
    known = with_room(counter, wanted)
    refused = known.filter("gone")["shipment_id"].unique()
    weights = waiting.weights(ctx.conn, pl.concat([freed["shipment_id"], wanted["shipment_id"]]).unique())
    load = weights.select("shipment_id", "parcels", "grams")
    freed = freed.join(load, on="shipment_id").filter(~pl.col("shipment_id").is_in(refused.implode()))
    claims = known.drop("gone").join(load, on="shipment_id", maintain_order="left")
    claims = claims.filter(~pl.col("shipment_id").is_in(refused.implode()))
    claims = claims.with_columns(claim=pl.col("shipment_id").rank("dense").cast(pl.Int64))
    test, without = ctx.who.test, set(refused.to_list())
    hold_room(ctx.conn, test, claims, freed)
    give_back(ctx.conn, test, freed.join(claims, on="shipment_id", how="anti"))  # they want no new seat
    while not claims.is_empty():
        full = pl.Series(sorted(take_room(ctx.conn, test, claims)), dtype=pl.Int64)
        left = claims.filter(pl.col("claim").is_in(full.implode()))
        done = claims.join(left, on="claim", how="anti").select("shipment_id").unique()
        back = freed.join(done, on="shipment_id", how="semi")
        give_back(ctx.conn, test, back)
        if back.join(left, on=RUN, how="semi").is_empty():  # nothing that they want came free
            return without | set(left["shipment_id"].to_list())
        claims = left
    return without


def with_room(counter: Counter, legs: pl.DataFrame) -> pl.DataFrame:
    """Legs with what their dated departures hold (capacity_parcels, capacity_g, null = any number), closures heeded,
    and `gone`: the network has no such run, or it is cancelled.
    """
    table, feed, room = counter.model.timetable, counter.feed, counter.model.resources
    wanted = legs.select(RUN).unique()
    runs = pl.DataFrame(
        {
            "departure_id": feed.departures["departure_id"].gather(table.departure),
            "depart_at": instants(table.depart),
            "seats": room.seats,
            "grams": room.kilograms * 1000.0,
        }
    ).join(wanted, on=RUN, how="semi")
    runs = runs.group_by(RUN).agg(pl.col("seats", "grams").sum())  # delays may make two leave at one time
    told = wanted.join(runs, on=RUN, how="left")
    told = told.join(feed.departures.select("departure_id", *_ROOM), on="departure_id", how="left")
    # beyond the days that are looked at, what the network says of the departure counts
    beyond = (pl.col("depart_at") >= from_minute(table.end)) & pl.col("departure_id").is_in(
        feed.departures["departure_id"].implode()
    )
    found = pl.col("seats").is_not_null()
    told = told.select(
        *RUN,
        *(
            pl.when(found).then(pl.when(pl.col(own) < np.inf).then(own)).otherwise(most).alias(most)
            for own, most in zip(("seats", "grams"), _ROOM)
        ),
        gone=~found & ~beyond,
    )
    return legs.join(told, on=RUN, how="left", maintain_order="left")
