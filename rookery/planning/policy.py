"""Policy tables on disk: the columns that most parcels need, quantised and laid out node by node."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import msgspec
import numpy as np
import polars as pl
from numba import njit
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from rookery.base.progress import Progress, silent
from rookery.planning.blocks import make_block
from rookery.planning.classes import limit_classes
from rookery.planning.engine.scan import buffers, rounding_down, scan_chance, scan_exact, with_chance, with_when
from rookery.planning.engine.vector import LANES
from rookery.planning.ops import Model
from rookery.planning.results import gather
from rookery.terms.goods import GOODS
from rookery.terms.policy import CHANCE_STEPS, FORMAT, NO_WAY
from rookery.terms.time import DAY, NEVER

MOST_COLUMNS = 4
"""Classes kept for each destination: those of most parcels. C columns of N departures take 3.1 C N bytes."""

SCALE = 65535.0
"""Parts of a chance in 4-byte tables, which keep it in two bytes."""


def choose_columns(parcels: pl.DataFrame, kind: NDArray) -> pl.DataFrame:
    """The columns worth keeping for these parcels (schema PARCELS), by destination, goods and due time.

    A column stands for the parcels of one destination, zone, goods class, due time, costs and limits (`kind`, n); its
    weight is their median, `heaviest_g` the heaviest of them.
    """
    keys = ["destination", "zone", "goods", "due_at", "late_cost", "late_cost_per_day", "time_cost_per_day", "kind"]
    return (
        parcels.with_columns(kind=pl.Series(kind))
        .group_by(keys)
        .agg(
            pl.col("pieces").sum().alias("parcels"),
            pl.col("chargeable_g").median(),
            pl.col("weight_g").max().alias("heaviest_g"),
            pl.col("service").mode().min(),
        )
        .sort(["destination", "parcels", *keys[1:]], descending=[False, True] + [False] * 7)
        .group_by("destination", maintain_order=True)
        .head(MOST_COLUMNS)
        .with_columns(pl.col("goods").cast(pl.Int64).replace_strict(dict(enumerate(GOODS)), return_dtype=pl.String))
        .sort("destination", "goods", "due_at", *keys[1:])
    )


def write_policy(
    model: Model, parcels: pl.DataFrame, folder: Path, *, exact: bool, threads: int, progress: Progress = silent
) -> None:
    """Write the tables for the destinations of `parcels` (those that were planned) into the new folder `folder`.

    exact: computed in 8-byte numbers with ties broken, as an exact plan is; else in 4-byte numbers. For the files see
    terms.policy.
    """
    folder.mkdir()
    table, feed, net = model.timetable, model.feed, model.timetable.net
    allowed, kind = limit_classes(table.limit_sets, parcels)
    columns = choose_columns(parcels, kind)
    count, places = columns.height, len(net.frm)
    order = net.node_rows
    arrays = {
        "ride": open_memmap(folder / "ride.npy", "w+", np.uint8, (count, places // 8 + 1)),
        "cost": open_memmap(folder / "cost.npy", "w+", np.uint16, (count, places)),
        "chance": open_memmap(folder / "chance.npy", "w+", np.uint8, (count, places)),
    }
    np.save(folder / "cutoff.npy", table.cutoff[order])
    steps = np.zeros(count)
    dtype = np.float64 if exact else np.float32
    cast_net = table.net_as(dtype)
    down = rounding_down(dtype, table.outcomes)
    of = {name: columns[name].to_numpy() for name in columns.columns if columns[name].dtype.is_numeric()}
    barred = np.where(allowed, 0.0, np.inf).astype(dtype)

    def block(begin: int) -> None:
        part = slice(begin, min(begin + LANES, count))
        lanes = np.arange(part.stop - part.start)
        zone, rate = of["zone"][part], of["time_cost_per_day"][part] / DAY
        mine = make_block(
            dtype,
            len(net.node_from) - 1,
            lanes,
            kilograms=of["chargeable_g"][part] / 1000.0,
            barred=barred[of["kind"][part]],
            destination=of["destination"][part],
            due=of["due_at"][part],
            late=of["late_cost"][part],
            late_day=of["late_cost_per_day"][part],
            rate=rate,
            delivery=model.miles.minutes[zone],
        )
        memory = memories.get()
        tables = (memory["value"], memory["held"], memory["spare"], memory["ride"])
        chances = (memory["chance"], memory["held_chance"])
        if exact:
            scan_exact(cast_net, mine, 0, down, int(NEVER), *tables, *chances, memory["when"], memory["held_when"])
        else:
            scan_chance(cast_net, mine, 0, down, int(NEVER), *tables, *chances, dtype(SCALE), dtype(0.5))
        for lane in lanes.tolist():
            number = part.start + lane
            steps[number] = _quantise(
                memory["value"], memory["chance"], 1.0 if exact else SCALE, memory["ride"], lane, order, table.cutoff,
                rate[lane], net.start, float(model.miles.cost[zone[lane]]),
                arrays["ride"][number], arrays["cost"][number], arrays["chance"][number],
            )  # fmt: skip

        memories.put(memory)

    memories: SimpleQueue = SimpleQueue()
    for _ in range(threads):
        memory = with_chance(cast_net, buffers(cast_net, dtype), np.float64 if exact else np.uint16)
        memories.put(with_when(cast_net, memory) if exact else memory)
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
        "heaviest_g",
        "late_cost",
        "late_cost_per_day",
        "time_cost_per_day",
        "parcels",
        pl.Series("cost_step", steps),
    ).write_parquet(folder / "columns.parquet")
    index = {"format": FORMAT, "start": table.start, "outcomes": table.outcomes, "currency": feed.info.currency}
    (folder / "index.json").write_bytes(msgspec.json.encode(index))


@njit(nogil=True, cache=True)
def _quantise(value, chance, scale, rides, lane, order, cutoff, rate, start, delivery_cost, ride, cost, likely):
    """Write one column place by place; returns the size of a step of cost."""
    highest = 0.0
    for place in range(len(order)):
        row = order[place]
        worth = value[row, lane] - rate * (cutoff[row] - start) + delivery_cost
        if np.isfinite(worth):
            highest = max(highest, worth)
    step = max(highest, 1e-9) / (NO_WAY - 1)
    ride[:] = 0
    for place in range(len(order)):
        row = order[place]
        worth = value[row, lane]
        if not np.isfinite(worth):
            cost[place] = NO_WAY
            likely[place] = 0
            continue
        cost[place] = np.uint16(max(0.0, worth - rate * (cutoff[row] - start) + delivery_cost) / step + 0.5)
        likely[place] = np.uint8(chance[row, lane] / scale * CHANCE_STEPS + 0.5)
        if rides[place] >> lane & 1:
            ride[place >> 3] |= np.uint8(1 << (place & 7))
    return step
