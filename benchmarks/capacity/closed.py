"""The busiest hub closed in a finished plan of the peak day, in a process of its own, timed.

Called as `python -m benchmarks.capacity.closed CASE.json ROOM.npz`; prints one line of JSON.
"""

from __future__ import annotations

import time
from dataclasses import replace

import msgspec
import numpy as np
import polars as pl

from benchmarks import peak_day
from benchmarks.capacity.case import Case, Closed
from benchmarks.capacity.once import HARDLY_ANY, TINY, given
from benchmarks.planning.once import peak_gib
from rookery.flows.planning import Plan, plan
from rookery.flows.replanning import Replan, replan
from rookery.planning.capacity import solve
from rookery.terms.frames import FEED, Feed, Orders
from rookery.terms.time import DAY, from_minute

AT = peak_day.START + DAY
"""The midnight after the evening on which half of the parcels are ready."""
REOPENS = AT + DAY


def closed(case: Case, room: dict[str, np.ndarray]) -> Closed:
    """Plan a case, close its busiest hub for a day, and change the plan."""
    few = np.full(len(TINY.network.frm), HARDLY_ANY)
    cells = solve.EXACT_CELLS
    for solve.EXACT_CELLS in (0.0, cells):  # kernels are loaded
        _disrupted(replace(case, day=TINY, seconds=1e-3), {"capacity_parcels": few})
    feed, before, after, hub, planning, seconds = _disrupted(case, room)
    peak = peak_gib()
    return Closed(
        hub=hub,
        planning=planning,
        seconds=seconds,
        stages=after.summary["seconds"],
        summary={name: value for name, value in after.summary.items() if isinstance(value, int | float)},
        exceeded=_exceeded(feed, after.legs),
        through=_in_window(after.legs.filter(pl.col("from_node") == hub), "depart_at").height,
        strayed=_strayed(before, after),
        peak_gib=peak,
    )


def _disrupted(case: Case, room: dict[str, np.ndarray]) -> tuple[Feed, Plan, Replan, str, float, float]:
    """The network, the plan before and after, the hub that was closed, seconds of planning and of changing."""
    day = case.day
    feed = peak_day.feed(day.network, case.form, **room)
    orders = Orders(peak_day.order_rows(peak_day.orders(day.parcels, day.nodes, case.form)))
    start, threads = from_minute(peak_day.START), case.threads
    begin = time.perf_counter()
    before = plan(
        feed, orders, start=start, horizon_days=day.days, outcomes=case.outcomes, gap=case.gap, seconds=case.seconds,
        threads=threads,
    )  # fmt: skip
    planned = time.perf_counter()
    hub = _in_window(before.legs, "arrive_at")["to_node"].value_counts(sort=True, parallel=True)["to_node"][0]
    closure = {
        "node_id": [hub], "lane_id": [None], "departure_id": [None], "from_at": [AT], "until_at": [REOPENS],
        "capacity_factor": [0.0], "delay_minutes": [0], "reason": ["strike"], "line": [2],
    }  # fmt: skip
    news = replace(feed, closures=pl.DataFrame(closure, schema=FEED["closures"]))
    begin_again = time.perf_counter()
    after = replan(
        feed, orders, before, news, from_minute(AT), gap=case.gap, seconds=case.seconds, threads=threads
    )  # fmt: skip
    return feed, before, after, hub, planned - begin, time.perf_counter() - begin_again


def _in_window(legs: pl.DataFrame, column: str) -> pl.DataFrame:
    """Legs with an instant within the closure."""
    return legs.filter((pl.col(column) > from_minute(AT)) & (pl.col(column) < from_minute(REOPENS)))


def _exceeded(feed: Feed, legs: pl.DataFrame) -> int:
    """Every order of the peak day is one parcel."""
    carried = legs.group_by("departure_id", "depart_at").len()
    limits = carried.join(feed.departures.select("departure_id", "capacity_parcels"), on="departure_id")
    return limits.filter(pl.col("len") > pl.col("capacity_parcels")).height


def _strayed(before: Plan, after: Replan) -> int:
    were, are = (
        one.legs.join(after.changes, on="order_id", how="anti").sort("order_id", "seq").drop("cost")
        for one in (before, after)
    )
    return abs(were.height - are.height) or int((were.hash_rows() != are.hash_rows()).sum())


if __name__ == "__main__":
    print(msgspec.json.encode(closed(*given())).decode())
