"""Where a parcel is by what was last observed of it, and by when it should be seen next. Pure: frames in, frames out.

Minutes are UTC (terms/time.py). Each function keeps the order of its rows.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import polars as pl

from rookery.terms.time import DAY

SLACK = 60
"""Minutes after which a scan that should have come is overdue."""
AGAIN = ((6 * 60, 60), (DAY, 6 * 60), (7 * DAY, DAY))
"""A parcel whose awaited scan is overdue, or that is kept on hold, for less than so many minutes is looked at again
after so many; later on once a week.
"""
GIVE_UP = 30 * DAY
"""Minutes after its promise, and after the last scan, from which nobody waits for a parcel until it is seen again."""
SAME_RUN = 22 * 60
"""Minutes by which a dated departure may be put off and still be the same one: runs of a departure are a day apart."""
PLACE = "urn:rookery:node:"
_ARRIVING = ("arrived", "unloaded", "at_delivery_depot", "at_destination_country")
"""Details of a parcel that has just come: it is ready again only when it was handled."""
_LAST_MILE = ("out_for_delivery", "available_for_pickup")
_GONE = ("cancelled", "return_to_sender")
_BEFORE = ("pre_transit",)

FACTS: dict[str, Any] = {
    "epc": pl.String,
    "status": pl.String,  # as trackers tell it; never null
    "detail": pl.String,
    "at": pl.Int64,  # minute (rounded up) of the event that says so; null = none does
    "left_at": pl.Int64,  # the same, rounded down
    "place": pl.String,  # as the event names it
    "departure_id": pl.String,  # that the event names
    "ran_at": pl.Int64,  # departure minute of the run that is, by the timetable; null = it has none
    "origin": pl.String,  # node it is handed in at; null = not known
    "start_at": pl.Int64,  # ready there
    "destination": pl.String,
    "node_before": pl.String,  # where it was known to be at the look before
    "given_up_at": pl.Int64,  # unless it has come to its end by then; null = never
}
BOOKED: dict[str, Any] = {
    "epc": pl.String,
    "seq": pl.Int64,  # from 1
    "departure_id": pl.String,
    "from_node": pl.String,
    "to_node": pl.String,
    "cutoff_at": pl.Int64,
    "depart_at": pl.Int64,
    "arrive_at": pl.Int64,  # along median times
}
"""The legs of the route that counts."""
POSITIONS: dict[str, Any] = {
    "epc": pl.String,
    "where": pl.String,  # before | node | held | riding | last_mile | delivered | ended | given_up | unknown
    "node_id": pl.String,  # before, node, held; given_up: where it was last known to be
    "ready_at": pl.Int64,  # to ride on from there
    "riding_departure_id": pl.String,
    "riding_depart_at": pl.Int64,
    "late": pl.Int64,  # minutes it left after that
    "ride_to": pl.String,  # where a booked ride leads, and when it is there along median times; null = not booked
    "ride_arrive_at": pl.Int64,
    "last_mile_at": pl.Int64,
    "done_seq": pl.Int64,  # booked legs up to this one lie behind it, or are being ridden
}


def positions(facts: pl.DataFrame, booked: pl.DataFrame, nodes: pl.DataFrame | None, now: int) -> pl.DataFrame:
    """Where parcels (FACTS) on their routes (BOOKED) are: columns POSITIONS.

    nodes: node_id, handling_minutes of the network that is looked things up in; None = any place is one, and handles
    nothing. What is not known there is unknown: nothing is guessed.
    """
    given_up = (pl.col("given_up_at") <= now) & ~_WHERE.is_in(["delivered", "ended"])
    where = pl.when(given_up).then(pl.lit("given_up")).otherwise(_WHERE)
    rows = _at_nodes(facts, nodes).with_columns(where=where).with_row_index("row")
    rides = _rides(rows.filter(pl.col("where") == "riding"), booked)
    stands = pl.col("where").is_in(["before", "node", "held"])
    node = (
        pl.when(pl.col("where") == "before").then("origin")
        .when(pl.col("where") == "held").then(pl.coalesce("place_node", "node_before", "origin"))
        .when(pl.col("status") == "delivery_failed").then(pl.coalesce("place_node", "destination"))
        .when(pl.col("status") == "picked_up").then(pl.coalesce("place_node", "origin"))
        .otherwise("place_node")
    )  # fmt: skip
    ready = (
        pl.when(pl.col("where") == "before").then(pl.max_horizontal("start_at", pl.lit(now)))
        .when(pl.col("where") == "held").then(pl.max_horizontal("at", pl.lit(now)))
        .when(pl.col("detail").is_in(_ARRIVING)).then(pl.col("at") + pl.col("handling").fill_null(0))
        .otherwise("at")
    )  # fmt: skip
    known = pl.when(stands).then(node).when(pl.col("where") == "given_up").then("node_before")
    rows = rows.with_columns(node_id=known).join(rides, on="row", how="left", maintain_order="left")
    lost = (stands & pl.col("node_id").is_null()) | (
        (pl.col("where") == "riding") & pl.col("riding_departure_id").is_null()
    )
    behind = _behind(rows, booked)
    told = rows.join(behind, on="epc", how="left", maintain_order="left").with_columns(
        where=pl.when(lost).then(pl.lit("unknown")).otherwise("where"),
        ready_at=pl.when(stands & ~lost).then(ready),
        riding_depart_at=pl.when(~lost).then("riding_depart_at"),
        late=pl.max_horizontal(pl.lit(0), pl.col("left_at") - pl.col("riding_depart_at")),
        last_mile_at=pl.when(pl.col("where") == "last_mile").then("at"),
        done_seq=pl.coalesce("ride_seq", "behind", pl.lit(0)),
    )
    return told.select(pl.col(name).cast(kind) for name, kind in POSITIONS.items())


_WHERE = (
    pl.when(pl.col("status").is_in(_GONE)).then(pl.lit("ended"))
    .when(pl.col("status") == "delivered").then(pl.lit("delivered"))
    .when(pl.col("status").is_in(_LAST_MILE)).then(pl.lit("last_mile"))
    .when(pl.col("status").is_in(_BEFORE) | pl.col("at").is_null()).then(pl.lit("before"))
    .when(pl.col("status") == "on_hold").then(pl.lit("held"))
    .when((pl.col("status") == "in_transit") & (pl.col("detail") == "departed")).then(pl.lit("riding"))
    .otherwise(pl.lit("node"))
)  # fmt: skip


def node_of(place: str) -> str | None:
    """The node that a place of an event names; None where it names something else."""
    return unquote(place[len(PLACE) :]) if place.startswith(PLACE) else None


def _at_nodes(facts: pl.DataFrame, nodes: pl.DataFrame | None) -> pl.DataFrame:
    """Facts with the nodes they name, as far as the network has them, and how long the place's node handles."""
    places = facts["place"].drop_nulls().unique()
    named = pl.DataFrame(
        {"place": places, "place_node": [node_of(place) for place in places]},
        schema={"place": pl.String, "place_node": pl.String},
    )
    rows = facts.join(named, on="place", how="left", maintain_order="left")
    if nodes is None:
        return rows.with_columns(handling=pl.lit(0, pl.Int64))
    for name in ("place_node", "origin", "destination", "node_before"):
        known = nodes.select(pl.col("node_id").alias(name), handling_minutes="handling_minutes", there=pl.lit(True))
        rows = rows.join(known, on=name, how="left", maintain_order="left").with_columns(
            pl.when("there").then(name).alias(name)
        )
        if name == "place_node":
            rows = rows.with_columns(handling=pl.col("handling_minutes").cast(pl.Int64))
        rows = rows.drop("there", "handling_minutes")
    return rows


def _rides(rows: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """What parcels that have departed ride: the run the event names; without one, the booked leg from that node whose
    departure is nearest. Where it is booked, the leg tells where it leads.
    """
    legs = rows.select("row", "epc", "place_node", "left_at", "ran_at", said="departure_id").join(booked, on="epc")
    off = (pl.col("left_at") - pl.col("depart_at")).abs()
    put_off = pl.col("ran_at") - pl.col("depart_at")
    # a run that the timetable has no more, having left long ago, is known by the route alone
    fits = (
        pl.when(pl.col("said").is_null()).then(pl.col("from_node") == pl.col("place_node"))
        .otherwise(
            (pl.col("said") == pl.col("departure_id"))
            & (put_off.is_between(0, SAME_RUN) | pl.col("ran_at").is_null())
        )
    )  # fmt: skip
    nearest = (
        legs.filter(fits)
        .sort(off)
        .unique("row", keep="first", maintain_order=True)
        .select(
            "row",
            "seq",
            "to_node",
            "arrive_at",
            booked_departure="departure_id",
            booked_depart="depart_at",
        )
    )
    named = rows.select("row", "departure_id", "ran_at").join(nearest, on="row", how="left")
    return named.select(
        "row",
        riding_departure_id=pl.when(pl.col("ran_at").is_not_null()).then("departure_id").otherwise("booked_departure"),
        riding_depart_at=pl.coalesce("ran_at", "booked_depart"),
        ride_to="to_node",
        ride_arrive_at="arrive_at",
        ride_seq="seq",
    )


def _behind(rows: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """The last booked leg that leads to where a parcel stands, or before the one from there where none does; that
    leaves from where it left otherwise than booked.
    """
    legs = rows.select("epc", "node_id", "where", "place_node").join(booked, on="epc")
    been = ~pl.col("where").is_in(["before", "riding"])
    come, goes = (been & (pl.col(end) == pl.col("node_id")) for end in ("to_node", "from_node"))
    left = (pl.col("where") == "riding") & (pl.col("from_node") == pl.col("place_node"))
    over = pl.col("where").is_in(["last_mile", "delivered"])
    last = pl.when(come | left | over).then("seq").when(goes).then(pl.col("seq") - 1)
    return legs.group_by("epc").agg(behind=last.max())


AWAITED: dict[str, Any] = {"due_scan": pl.String, "awaited_at": pl.Int64}
"""What is to be seen next of a parcel, and the minute after which that is overdue; null = nothing is."""


def awaited(rows: pl.DataFrame) -> pl.DataFrame:
    """What is to be seen next of parcels: columns AWAITED.

    rows: where, ready_at, last_mile_at of their POSITIONS; first_cutoff_at (booked, else likely), next_depart_at (of
    the leg they take next; null = none), ride_ready_at (the latest at which what they ride is through, lateness
    included), at_end (they stand at their destination), mile_minutes (the most that the last mile takes).
    """
    stands = pl.col("where") == "node"
    told = (
        (pl.col("where") == "before", "accepted", pl.col("first_cutoff_at") + 1),
        (stands & pl.col("at_end"), "out_for_delivery", pl.col("ready_at") + pl.col("mile_minutes") + DAY),
        (stands, "departed", pl.col("next_depart_at") + SLACK),
        (pl.col("where") == "riding", "arrived", pl.col("ride_ready_at") + SLACK),
        (pl.col("where") == "last_mile", "delivered", pl.col("last_mile_at") + DAY),
    )
    due: Any = pl.lit(None, pl.Int64)
    scan: Any = pl.lit(None, pl.String)
    for holds, name, at in reversed(told):
        due, scan = pl.when(holds).then(at).otherwise(due), pl.when(holds).then(pl.lit(name)).otherwise(scan)
    return rows.select(awaited_at=due, due_scan=scan).select(
        due_scan=pl.when(pl.col("awaited_at").is_not_null()).then("due_scan"), awaited_at="awaited_at"
    )


def look_again(rows: pl.DataFrame, now: int) -> pl.Series:
    """When parcels are looked at again, though nothing comes (minutes; null = not): when what is awaited is overdue;
    where it is already, or they are kept on hold, the later the longer that is so; and when they are given up.

    rows: where, awaited_at, given_up_at; overdue_at, from when it is overdue, or on hold (null = it is not).
    """
    silent, wait = pl.lit(now) - pl.col("overdue_at"), pl.lit(7 * DAY)
    for below, after in reversed(AGAIN):
        wait = pl.when(silent < below).then(after).otherwise(wait)
    later = pl.when(pl.col("overdue_at").is_not_null()).then(now + wait)
    ends = pl.col("where").is_in(["delivered", "ended", "given_up"])
    again = pl.max_horizontal(later, pl.when(pl.col("awaited_at") > now).then("awaited_at"))
    return rows.select(look_again_at=pl.when(~ends).then(pl.min_horizontal(again, "given_up_at"))).to_series()
