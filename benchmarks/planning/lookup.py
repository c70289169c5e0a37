"""Look-ups in finished policy tables: one promise at a time, as a checkout asks, and many parcels at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import peak_day
from benchmarks.form import Result, Say, Show, Table
from benchmarks.planning.instance import Instance
from benchmarks.planning.sizes import Size
from rookery.network import place
from rookery.planning.policy import write_policy
from rookery.terms.policy import PolicyTable
from rookery.terms.time import DAY

DESTINATIONS = 24
CONFIDENCE = 0.95


def run(size: Size, say: Say) -> Result:
    """Write tables for some destinations, map them, warm them up, and look up."""
    instance = Instance(size)
    ends = list(range(0, size.nodes, max(1, size.nodes // DESTINATIONS)))[:DESTINATIONS]
    parcels, _ = place(instance.feed, peak_day.order_rows(peak_day.orders(50 * size.nodes, size.nodes)))
    served = parcels.filter(pl.col("destination").is_in(ends))
    with TemporaryDirectory() as folder:
        say(f"writing tables for {len(ends)} destinations, K = 8")
        write_policy(instance.model(8), served, Path(folder) / "policy", exact=False, threads=size.threads)
        table = PolicyTable.open(Path(folder) / "policy")
        taken, kept = _promises(table, [list(table.nodes)[end] for end in ends], size.lookups, instance.start)
        worths, moves = (_rate(look, table, size, instance.start) for look in (table.worths, table.moves))
    p50, p99, p999 = (float(np.percentile(taken, share)) for share in (50, 99, 99.9))
    return Result(
        shows=[
            Show("promise look-up in process, p99", p99, "us", "<= 50"),
            Show("cost and chance looked up for many parcels at once, 1 thread", worths / 1e6, "million/s"),
            Show("next moves looked up for many parcels at once, 1 thread", moves / 1e6, "million/s"),
        ],
        tables=[
            Table(
                f"look-ups in warm tables, {len(table.step)} columns x {len(table.cutoff):,} departures",
                ("", "p50 us", "p99 us", "p99.9 us", "a second"),
                [
                    ("a promise, one call", p50, p99, p999, 1e6 / float(taken.mean())),
                    ("cost and chance, many at once", "", "", "", worths),
                    ("next move, cost and chance, many at once", "", "", "", moves),
                ],
                f"a promise for node, destination, goods and minute; {kept:.0%} of those asked can be kept",
            )
        ],
    )


def _promises(table: PolicyTable, ends: list[str], count: int, start: int) -> tuple[NDArray[np.float64], float]:
    """Microseconds of single promises from random nodes at random minutes of the first day; share that can be kept."""
    r = np.random.default_rng(5)
    names = list(table.nodes)
    origins = [names[i] for i in r.integers(0, len(names), count)]
    destinations = [ends[i] for i in r.integers(0, len(ends), count)]
    minutes = (start + r.integers(0, DAY, count)).tolist()
    taken = np.empty(count)
    kept = 0
    for _ in range(2):  # the first lap warms
        kept = 0
        for i in range(count):
            begin = time.perf_counter_ns()
            columns = table.columns_to(destinations[i], "general")
            column, _, _ = table.promise(columns, table.nodes[origins[i]], minutes[i], CONFIDENCE)
            taken[i] = (time.perf_counter_ns() - begin) / 1000
            kept += column >= 0
    return taken, kept / count


def _rate(look: Callable[..., object], table: PolicyTable, size: Size, start: int) -> float:
    """Look-ups a second when many are asked for at once."""
    r = np.random.default_rng(6)
    count = 10 * size.lookups
    columns = r.integers(0, len(table.step), count)
    nodes = r.integers(0, len(table.nodes), count)
    at = start + r.integers(0, 2 * DAY, count)
    best = float("inf")
    for _ in range(size.rounds):
        begin = time.perf_counter()
        look(columns, nodes, at)
        best = min(best, time.perf_counter() - begin)
    return count / best
