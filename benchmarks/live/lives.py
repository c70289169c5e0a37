"""What is scanned of booked parcels, each along its own legs, spread evenly over a while, with a little trouble in it.

The scans are far denser than a day's are: what takes days on the timetable happens within minutes. A parcel that is
seen to depart early rides the booked departure all the same, and what is looked up of it is the same work.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import polars as pl

DAMAGED, ASTRAY = 0.02, 0.01
"""Shares of parcels that are told as damaged on their way, and that come to a node on nobody's way to anywhere."""
SCANS: dict[str, Any] = {
    "number": pl.String, "epc": pl.String, "code": pl.String, "node": pl.String, "carrier": pl.String,
    "due_s": pl.Float64,
}  # fmt: skip
_AT_HUB = ("unloaded", "ready_to_depart", "loaded")


def life(legs: list[dict[str, Any]], many: int) -> list[tuple[str, str, str]]:
    """(code, node, carrier) of the first `many` things that are scanned of a parcel with these legs, the last of a
    whole life being its delivery; where it is scanned more often than that, it is at the nodes on its way.
    """
    first, last = legs[0], legs[-1]
    steps = [("accepted", first["from_node"], first["carrier_id"])]
    rounds = max(1, -(-(many - 3 - 2 * len(legs)) // (len(legs) * len(_AT_HUB))))
    for leg in legs:
        for code in _AT_HUB * rounds:
            steps.append((code, leg["from_node"], leg["carrier_id"]))
        steps.append(("departed", leg["from_node"], leg["carrier_id"]))
        steps.append(("arrived", leg["to_node"], leg["carrier_id"]))
    steps.append(("out_for_delivery", last["to_node"], last["carrier_id"]))
    steps = steps[: many - 1] if many <= len(steps) else steps
    return [*steps, ("delivered", last["to_node"], last["carrier_id"])] if len(steps) < many else steps


def scans_of(legs: pl.DataFrame, many: int, seconds: float, nodes: list[str], seed: int = 5) -> pl.DataFrame:
    """About `many` scans of parcels booked on legs (benchmarks.live.booked), evenly over so many seconds: SCANS."""
    draw, each = np.random.default_rng(seed), -(-many // max(1, legs["number"].n_unique()))
    rows: list[tuple[str, str, str, str, str, float]] = []
    for whose, some in zip(cycle(nodes), legs.partition_by("number", maintain_order=True)):
        steps = life(some.to_dicts(), each)
        trouble = draw.random()
        if len(steps) > 3 and trouble < DAMAGED + ASTRAY:
            place = len(steps) // 2
            _, node, carrier = steps[place]
            steps[place] = ("damaged", node, carrier) if trouble < DAMAGED else ("unloaded", whose, carrier)
        at = np.sort(draw.random(len(steps)))
        number, epc = some["number"][0], some["epc"][0]
        rows += [(number, epc, *step, when) for step, when in zip(steps, at.tolist())]
    scans = pl.DataFrame(rows, schema=SCANS, orient="row").sort("due_s").head(many)
    return scans.with_columns(due_s=pl.int_range(1, pl.len() + 1) * (seconds / scans.height))


def batched(scans: pl.DataFrame, size: int, streams: int) -> pl.DataFrame:
    """Scans with the batch and stream (connection) they go in: a courier's, `size` at most, due when its last is."""
    batch = pl.struct("carrier", pl.int_range(pl.len()).over("carrier") // size)
    scans = scans.with_columns(happened_s="due_s", due_s=pl.col("due_s").max().over(batch), key=batch)
    order = scans.select("key", "due_s").unique("key", maintain_order=True).sort("due_s", maintain_order=True)
    numbered = order.with_row_index("batch").select("key", batch=pl.col("batch").cast(pl.Int64))
    made = scans.join(numbered, on="key", maintain_order="left").drop("key")
    return made.with_columns(stream=pl.col("batch") % streams).sort("batch", maintain_order=True)
