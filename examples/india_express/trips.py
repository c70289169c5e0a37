"""A day's real trips as orders: a parcel handed in where and when the truck began, for where it ended."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from examples.india_express.build import SERVICES
from examples.india_express.extract import ENDS, Extract

WEIGHT_G = 1000
"""Not in the data."""


def trips(legs: pl.DataFrame, day: date) -> pl.DataFrame:
    """The trips whose first leg starts on `day`, one row each.

    trip_uuid, origin, destination (the last stop that is not the origin: a fifth of the trips end where they began),
    ready_at (first start), legs (up to the destination), whole (each leg begins where the one before ended).
    """
    chains = legs.sort("trip_uuid", "od_start_time").with_columns(
        origin=pl.col("source_center").first().over("trip_uuid"),
        ready_at=pl.col("od_start_time").first().over("trip_uuid"),
        joined=(pl.col("source_center") == pl.col("destination_center").shift().over("trip_uuid")).fill_null(True),
        away=pl.col("destination_center") != pl.col("source_center").first().over("trip_uuid"),
        place=pl.int_range(pl.len()).over("trip_uuid"),
    )
    last_away = pl.col("place").filter("away").max().over("trip_uuid")
    return (
        chains.filter(pl.col("ready_at").dt.date() == day)
        .filter(pl.col("place") <= last_away)
        .group_by("trip_uuid", maintain_order=True)
        .agg(
            pl.col("origin", "ready_at").first(),
            pl.col("destination_center").last().alias("destination"),
            legs=pl.len(),
            whole=pl.col("joined").all(),
        )
    )


def orders(of: pl.DataFrame, extract: Extract) -> pl.DataFrame:
    """Trips as an order file: ready at the whole minute after the scan, service by distance through the network."""
    km = road_km(of["origin"].to_list(), of["destination"].to_list(), extract)
    bounds = [bound for _, bound, *_ in SERVICES[:-1]]
    names = np.array([name for name, *_ in SERVICES])[np.digitize(km, bounds)]
    return of.select(
        order_id="trip_uuid",
        from_node="origin",
        to_node="destination",
        ready_at=pl.col("ready_at").dt.offset_by("59s").dt.strftime("%Y-%m-%dT%H:%MZ"),
        weight_g=pl.lit(WEIGHT_G),
        service_id=pl.Series(names),
    )


def road_km(origins: list[str], destinations: list[str], extract: Extract) -> np.ndarray:
    """Kilometres of the shortest chain of corridors; inf where there is none."""
    # A trip may touch centres that no corridor does: they get a number too, and stay out of reach.
    every = dict.fromkeys([*extract.centres["center"], *origins, *destinations])
    number = {code: place for place, code in enumerate(every)}
    edges = extract.corridors.sort("destination_center")
    into, source = edges["destination_center"].to_list(), [number[code] for code in edges["source_center"]]
    first = np.flatnonzero([place == 0 or into[place] != into[place - 1] for place in range(len(into))])
    target = [number[into[place]] for place in first]
    starts = sorted(set(origins))
    reached = np.full((len(starts), len(number)), np.inf)
    reached[np.arange(len(starts)), [number[code] for code in starts]] = 0.0
    while True:  # one more corridor a round, until nothing gets shorter
        further = np.minimum.reduceat(reached[:, source] + edges["median_osrm_km"].to_numpy(), first, axis=1)
        if not (further < reached[:, target]).any():
            break
        reached[:, target] = np.minimum(reached[:, target], further)
    row = {code: place for place, code in enumerate(starts)}
    return np.array([reached[row[a], number[b]] for a, b in zip(origins, destinations)])


def recorded(legs: pl.DataFrame, of: pl.DataFrame, dwell: pl.DataFrame) -> pl.DataFrame:
    """trip_uuid, real_minutes: from the first scan of each whole trip to its arrival at the destination.

    The last leg has no scan that closes it: its centre's usual dwell stands for the time before it drove off.
    """
    kept = of.filter("whole")
    return (
        legs.join(kept.select("trip_uuid", "ready_at", "legs"), on="trip_uuid")
        .sort("trip_uuid", "od_start_time")
        .filter(pl.int_range(pl.len()).over("trip_uuid") == pl.col("legs") - 1)
        .join(dwell, left_on=ENDS[0], right_on="center", how="left")
        .select(
            "trip_uuid",
            real_minutes=(pl.col("od_start_time") - pl.col("ready_at")).dt.total_seconds() / 60
            + pl.col("dwell").fill_null(pl.lit(dwell["dwell"].median()))
            + pl.col("actual_time"),
        )
    )
