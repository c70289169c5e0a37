"""Where parcels are looked up in an outlook: by what was seen of them, and once their next scan is overdue."""

from __future__ import annotations

import polars as pl

from rookery.flows.living.ground import Ground
from rookery.tracking.rules.shape import GOING_OUT

ENDS = ("delivered", "ended", "given_up")
"""Where nothing is ahead of a parcel any more."""


def spots_of(rows: pl.DataFrame, ground: Ground | None) -> pl.DataFrame:
    """Where parcels are looked up, in rows of the outlook: node (-1 = riding), ready_at, riding (-1 = not), late,
    last_mile_at, of a ride ride_ready_at, the latest at which it is through; and placed, whether that is known.

    What left so long ago that the timetable has it no more is looked up where it leads, along median times. What is
    being loaded for its booked departure has made the cut-off, however much later that is noted.
    """
    if ground is None:
        return rows.select(
            "ready_at", "last_mile_at", node=pl.lit(-1, pl.Int32), riding=pl.lit(-1, pl.Int64),
            late=pl.lit(0, pl.Int64), ride_ready_at=pl.col("ride_arrive_at") + pl.col("late"), placed=pl.lit(False),
        )  # fmt: skip
    riding = pl.col("where") == "riding"
    run = ground.scheduled(rows["riding_departure_id"], rows["riding_depart_at"])
    gone = rows.with_columns(node_id=pl.when(riding & pl.Series(run < 0)).then("ride_to").otherwise("node_id"))
    nodes = gone.select("node_id").join(ground.nodes, on="node_id", how="left", maintain_order="left")
    there = pl.col("ride_arrive_at") + pl.col("late") + nodes["handling_minutes"].cast(pl.Int64)
    late = (rows["left_at"] - ground.at(ground.depart, run)).clip(lower_bound=0).fill_null(0)
    going_out = pl.col("detail").is_in(GOING_OUT) & (pl.col("ready_at") <= pl.col("booked_depart"))
    ready = pl.when(going_out.fill_null(False)).then(pl.min_horizontal("ready_at", "booked_cutoff"))
    return rows.select(
        "last_mile_at",
        ready_at=pl.when(riding).then(there).otherwise(pl.coalesce(ready, "ready_at")).fill_null(0),
        node=nodes["node"].fill_null(-1),
        riding=pl.Series(run, dtype=pl.Int64),
        late=late,
        ride_ready_at=pl.coalesce(ground.at(ground.latest_ready, run) + late, there),
        placed=(nodes["node"].is_not_null() | pl.Series(run >= 0) | pl.col("last_mile_at").is_not_null())
        & (pl.col("destination_row") >= 0)
        & ~pl.col("where").is_in([*ENDS, "unknown"]),
    )


def awaited_ride(rows: pl.DataFrame, told: pl.DataFrame, ground: Ground | None) -> pl.Series:
    """The timetable row that what stands at a node was to leave with, as it was last seen; -1 = none.

    That is what it is booked on, or another run of the lane on which it is booked from there: what is merely likely for
    it was told to nobody, so nobody takes it along with that.
    """
    if ground is None:
        return pl.repeat(-1, rows.height, dtype=pl.Int64, eager=True)
    lane = ground.lanes(told["next_departure_id"]).eq(ground.lanes(rows["booked_departure_id"]))
    first = pl.col("first")
    due = pl.col("booked").list.contains(first) | lane.fill_null(False)
    rides = rows.with_columns(first=told["rides"].list.get(0, null_on_oob=True))
    return rides.select(pl.when((pl.col("where") == "node") & due).then(first).fill_null(-1)).to_series()


def as_if_now(spots: pl.DataFrame, ride: pl.Series, now: int, ground: Ground | None) -> pl.DataFrame:
    """Spots of parcels whose next scan is overdue: what rides comes now at best; what stands could ride on from now, or
    is aboard its `awaited_ride`, which leaves now at best or has left unscanned: nobody knows which.
    """
    if ground is None:
        return spots
    rides = pl.col("riding") >= 0
    to = spots.select(node=pl.Series(ground.to_node(spots["riding"].to_numpy()), dtype=pl.Int32))
    handling = to.join(ground.nodes.select("node", "handling_minutes"), on="node", how="left", maintain_order="left")
    come = pl.lit(now) + handling["handling_minutes"].cast(pl.Int64).fill_null(0)
    left = ground.at(ground.depart, ride.to_numpy())
    return spots.with_columns(
        ready_at=pl.when(rides).then(come).otherwise(pl.max_horizontal("ready_at", pl.lit(now))),
        node=pl.when(rides).then(to["node"]).otherwise("node"),
        riding=pl.when(~rides).then(ride).otherwise(-1),
        late=(now - left).clip(lower_bound=0).fill_null(0),
        last_mile_at=pl.when(pl.col("last_mile_at").is_not_null()).then(pl.max_horizontal("last_mile_at", pl.lit(now))),
    )
