"""The live overlay: what closures do to departures and to the hours of nodes (docs/decisions/0003-closures.md)."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

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
