"""Policy tables on disk: the columns that most parcels need, quantised and laid out node by node."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numba import njit
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from rookery.base.progress import Progress, silent
from rookery.planning.blocks import make_block
from rookery.planning.classes import limit_classes
from rookery.planning.engine.scan import buffers, rounding_down, scan_chance
from rookery.planning.engine.vector import LANES
from rookery.planning.ops import Model
from rookery.planning.results import gather
from rookery.terms.goods import GOODS
from rookery.terms.policy import CHANCE_STEPS, FORMAT, NO_WAY
from rookery.terms.time import DAY, NEVER

MOST_COLUMNS = 4
"""Classes kept for each destination: those of most parcels. C columns of N departures take 3.1 C N bytes."""


def choose_columns(parcels: pl.DataFrame, allowed_kind: NDArray) -> pl.DataFrame:
    """The columns worth keeping for these parcels (schema PARCELS), by destination, goods and due time.

    A column stands for the parcels of one destination, zone, due time, costs and limits; its weight is their median.
    """
    keys = ["destination", "zone", "due_at", "late_cost", "late_cost_per_day", "time_cost_per_day", "kind"]
    return (
        parcels.with_columns(kind=pl.Series(allowed_kind))
        .filter((pl.col("origin") >= 0) & (pl.col("destination") >= 0))
        .group_by(keys)
        .agg(
            pl.col("pieces").sum().alias("parcels"),
            pl.col("chargeable_g").median(),
            pl.col("goods").mode().min(),
            pl.col("service").mode().min(),
        )
        .sort(["destination", "parcels", *keys[1:]], descending=[False, True] + [False] * 6)
        .group_by("destination", maintain_order=True)
        .head(MOST_COLUMNS)
        .with_columns(pl.col("goods").cast(pl.Int64).replace_strict(dict(enumerate(GOODS)), return_dtype=pl.String))
        .sort("destination", "goods", "due_at", *keys[1:])
    )


def write_policy(
    model: Model, parcels: pl.DataFrame, folder: Path, *, threads: int, progress: Progress = silent
) -> None:
    """Write the tables for the destinations of `parcels` into the new folder `folder` (see terms.policy)."""
    folder.mkdir()
    table, feed, net = model.timetable, model.feed, model.timetable.net
    known = parcels.filter((pl.col("origin") >= 0) & (pl.col("destination") >= 0))
    allowed, kind = limit_classes(table.limit_sets, known)
    columns = choose_columns(known, kind)
    count, places = columns.height, len(net.frm)
    order = net.node_rows
    arrays = {
        "ride": open_memmap(folder / "ride.npy", "w+", np.uint8, (count, places // 8 + 1)),
        "cost": open_memmap(folder / "cost.npy", "w+", np.uint16, (count, places)),
        "chance": open_memmap(folder / "chance.npy", "w+", np.uint8, (count, places)),
    }
    np.save(folder / "cutoff.npy", table.cutoff[order])
    steps = np.zeros(count)
    one_net = table.net_as(np.float32)
    of = {name: columns[name].to_numpy() for name in columns.columns if columns[name].dtype.is_numeric()}
    barred = np.where(allowed, 0.0, np.inf).astype(np.float32)

    def block(begin: int) -> None:
        part = slice(begin, min(begin + LANES, count))
        lanes = np.arange(part.stop - part.start)
        zone, rate = of["zone"][part], of["time_cost_per_day"][part] / DAY
        mine = make_block(
            np.float32,
            len(net.node_from) - 1,
            lanes,
            kilograms=of["chargeable_g"][part] / 1000.0,
            barred=barred[of["kind"][part]],
            destination=of["destination"][part],
            due=of["due_at"][part],
            late=of["late_cost"][part],
            late_day=of["late_cost_per_day"][part],
            rate=rate,
            tie=0.0,
            delivery=model.miles.minutes[zone],
        )
        memory = buffers(one_net, np.float32, chance=True)
        scan_chance(
            one_net, mine, 0, rounding_down(np.float32, table.outcomes), int(NEVER), memory["value"], memory["held"],
            memory["spare"], memory["chance"], memory["held_chance"], np.float32(65535), np.float32(0.5),
        )  # fmt: skip
        for lane in lanes.tolist():
            number = part.start + lane
            steps[number] = _quantise(
                memory["value"], memory["chance"], lane, order, net.node_from, table.cutoff, rate[lane], net.start,
                float(model.miles.cost[zone[lane]]),
                arrays["ride"][number], arrays["cost"][number], arrays["chance"][number],
            )  # fmt: skip

    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(block, range(0, count, LANES)), 1):
            progress("policy", done, -(-count // LANES))
    for array in arrays.values():
        array.flush()
    pl.DataFrame({"node_id": feed.nodes["node_id"], "first": net.node_from[:-1]}).write_parquet(
        folder / "nodes.parquet"
    )
    lane = table.lane[order]
    pl.DataFrame(
        {
            "departure_id": gather(feed.departures, "departure_id", table.departure[order]),
            "lane_id": gather(feed.lanes, "lane_id", lane),
            "mode": gather(feed.lanes, "mode", lane),
            "to_node": gather(feed.nodes, "node_id", net.to[order]),
            "cutoff_at": table.cutoff[order],
            "depart_at": table.depart[order],
        }
    ).write_parquet(folder / "departures.parquet")
    columns.select(
        gather(feed.nodes, "node_id", of["destination"]).alias("destination"),
        gather(feed.zones, "zone_id", of["zone"]).alias("zone_id"),
        gather(feed.services, "service_id", of["service"]).alias("service_id"),
        "goods",
        pl.col("due_at").alias("due_minute"),
        "chargeable_g",
        "late_cost",
        "late_cost_per_day",
        "time_cost_per_day",
        "parcels",
        pl.Series("cost_step", steps),
    ).write_parquet(folder / "columns.parquet")
    index = {"format": FORMAT, "start": table.start, "outcomes": table.outcomes, "currency": feed.info.currency}
    (folder / "index.json").write_bytes(msgspec.json.encode(index))


@njit(nogil=True, cache=True)
def _quantise(value, chance, lane, order, node_from, cutoff, rate, start, delivery_cost, ride, cost, likely):
    """Write one column place by place; returns the size of a step of cost."""
    highest = 0.0
    for place in range(len(order)):
        row = order[place]
        worth = value[row, lane] - rate * (cutoff[row] - start) + delivery_cost
        if np.isfinite(worth):
            highest = max(highest, worth)
    step = max(highest, 1e-9) / (NO_WAY - 1)
    ride[:] = 0
    for node in range(len(node_from) - 1):
        end = node_from[node + 1]
        for place in range(node_from[node], end):
            row = order[place]
            worth = value[row, lane]
            if not np.isfinite(worth):
                cost[place] = NO_WAY
                likely[place] = 0
                continue
            cost[place] = np.uint16(max(0.0, worth - rate * (cutoff[row] - start) + delivery_cost) / step + 0.5)
            likely[place] = np.uint8(chance[row, lane] / 65535.0 * CHANCE_STEPS + 0.5)
            if place + 1 == end or value[order[place + 1], lane] != worth:
                ride[place >> 3] |= np.uint8(1 << (place & 7))
    return step
