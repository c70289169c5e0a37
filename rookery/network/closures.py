"""The live overlay: what closures do to departures and to the hours of nodes (docs/decisions/0003-closures.md)."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.terms.frames import HOUR_FACTORS

_TARGETS = ("departure_id", "lane_id", "node_id")


def earliest_schedule(closures: pl.DataFrame, start: int) -> int:
    """The earliest scheduled minute from which closures may move a departure to `start` or later.

    Delays add up over a departure's own, its lane's and its node's closures, and none begins before its window.
    """
    delaying = closures.filter(pl.col("delay_minutes") > 0)
    total = pl.col("delay_minutes").cast(pl.Int64).sum()
    longest = sum(
        max(delaying.drop_nulls(target).group_by(target).agg(total)["delay_minutes"], default=0) for target in _TARGETS
    )
    return min(start, max(start - longest, min(delaying["from_at"], default=start)))


def effects(
    closures: pl.DataFrame, templates: pl.DataFrame, template: NDArray[np.int32], depart_at: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What all closures together do to each dated departure: its capacity factor (0 = does not run) and its delay.

    `templates` has departure_id, lane_id and node_id (the node it leaves); `template` (a row of it) and `depart_at`
    give each dated departure and its scheduled minute. Factors multiply, delays (minutes) add; a closure that gives
    no factor leaves capacity as it is.
    """
    factor, delay = np.ones(len(template)), np.zeros(len(template), np.int64)
    if closures.is_empty() or not len(template):
        return factor, delay
    reach = closures.filter(pl.col("until_at") > int(depart_at.min()), pl.col("from_at") <= int(depart_at.max()))
    named = templates.select(pl.int_range(pl.len(), dtype=pl.Int32).alias("template"), *_TARGETS)
    hit = pl.concat(
        reach.drop_nulls(target)
        .join(named, on=target)
        .select("template", "from_at", "until_at", "capacity_factor", pl.col("delay_minutes").cast(pl.Int64))
        for target in _TARGETS
    )
    touched = np.flatnonzero(np.isin(template, hit["template"].to_numpy()))
    combined = (
        pl.DataFrame({"run": touched, "template": template[touched], "depart_at": depart_at[touched]})
        .join(hit, on="template")
        .filter(pl.col("depart_at") >= pl.col("from_at"), pl.col("depart_at") < pl.col("until_at"))
        .group_by("run")
        .agg(pl.col("capacity_factor").product(), pl.col("delay_minutes").sum())
    )
    run = combined["run"].to_numpy()
    factor[run], delay[run] = combined["capacity_factor"].to_numpy(), combined["delay_minutes"].to_numpy()
    return factor, delay


def shut_spells(closures: pl.DataFrame) -> dict[str, list[tuple[int, int]]]:
    """When each node works nothing: the [from_at, until_at) of its closures with capacity factor 0, by node_id."""
    spells: dict[str, list[tuple[int, int]]] = {}
    shut = closures.drop_nulls("node_id").filter(pl.col("capacity_factor") == 0, pl.col("from_at") < pl.col("until_at"))
    for node_id, from_at, until_at in shut.select("node_id", "from_at", "until_at").iter_rows():
        spells.setdefault(node_id, []).append((from_at, until_at))
    return spells


def hour_factors(closures: pl.DataFrame, nodes: pl.DataFrame, start: int) -> pl.DataFrame:
    """What closures leave of the hourly capacity of nodes, clock hour by clock hour in UTC (HOUR_FACTORS).

    `nodes` has node_id, node (its row) and last_at, the last minute at which anything can be handled there; hours
    before the minute `start` and after that one are left out. A closure counts in every hour it overlaps; several
    multiply. One with factor 0 is none of these: it takes the minutes of its window away (`shut_spells`).
    """
    reducing = closures.filter(pl.col("capacity_factor") > 0, pl.col("capacity_factor") != 1)
    first, last = pl.max_horizontal("from_at", pl.lit(start)), pl.min_horizontal(pl.col("until_at") - 1, "last_at")
    hours = (
        reducing.join(nodes, on="node_id")
        .select("node", "capacity_factor", first=first // 60, beyond=last // 60 + 1)
        .filter(pl.col("first") < pl.col("beyond"))
        .select("node", "capacity_factor", hour_at=pl.int_ranges("first", "beyond") * 60)
        .explode("hour_at")
    )
    factors = hours.group_by("node", "hour_at").agg(pl.col("capacity_factor").product().alias("factor"))
    return factors.sort("node", "hour_at").cast(pl.Schema(HOUR_FACTORS))


def contradictions(closures: pl.DataFrame) -> NDArray[np.int64]:
    """For each row an earlier row that names the same thing for some of the same time and cannot be meant as well.

    -1 where there is none. Two contradict each other when one closes and the other does not, or when they leave
    different shares of the capacity; a mere delay goes with any share but 0.
    """
    contradicted = np.full(closures.height, -1)
    rows = closures.select(
        *_TARGETS,
        "from_at",
        "until_at",
        pl.col("capacity_factor").fill_null(1.0),
        delays=pl.col("delay_minutes").fill_null(0) > 0,
        row=pl.int_range(pl.len()),
    )
    for target in _TARGETS:
        several = rows.drop_nulls(target).filter(pl.col("capacity_factor").n_unique().over(target) > 1)
        for _, group in several.sort("from_at", "row").group_by(target):
            row, factor, from_at = (group[name].to_numpy() for name in ("row", "capacity_factor", "from_at"))
            only_delays = group["delays"].to_numpy() & (factor == 1)
            beyond = np.searchsorted(from_at, group["until_at"].to_numpy())
            for i, last in enumerate(beyond):
                others = slice(i + 1, last)  # they begin while this one holds
                clash = (factor[others] == 0) | (factor[i] == 0) | ~(only_delays[others] | only_delays[i])
                other = row[others][clash & (factor[others] != factor[i])]
                contradicted[np.maximum(row[i], other)] = np.minimum(row[i], other)
    return contradicted


def touching(closures: pl.DataFrame, start: int, end: int) -> pl.Series:
    """Which closures touch anything of [start, end) (Boolean, one per row): their window, or what they delay."""
    ends_at = pl.col("until_at") + pl.col("delay_minutes").fill_null(0)
    return closures.select((pl.col("from_at") < end) & (ends_at > start)).to_series()
