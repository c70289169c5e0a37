"""Look-ups in finished policy tables: one promise at a time, as a checkout asks, and many next moves at once."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

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
    parcels, _ = place(instance.feed, peak_day.order_rows(peak_day.orders(50 * size.nodes, size.nodes)))
    served = parcels.filter(parcels["destination"] < DESTINATIONS)
    with TemporaryDirectory() as folder:
        say(f"writing tables for {DESTINATIONS} destinations, K = 8")
        write_policy(instance.model(8), served, Path(folder) / "policy", threads=size.threads)
        table = PolicyTable.open(Path(folder) / "policy")
        say(f"{len(table.step)} columns of {len(table.cutoff):,} places")
        one, kept = _promises(table, size, instance.start)
        rate = _moves(table, size, instance.start)
    percentiles = {name: float(np.percentile(one, at)) for name, at in (("p50", 50), ("p99", 99), ("p99.9", 99.9))}
    return Result(
        shows=[
            Show("promise look-up in process, p99", percentiles["p99"], "us", "<= 50"),
            Show("next moves looked up at once", rate / 1e6, "million/s"),
        ],
        tables=[
            Table(
                f"look-ups in warm tables, {len(table.step)} columns x {len(table.cutoff):,} departures",
                ("", *percentiles, "a second"),
                [
                    ("promise, one call (us)", *percentiles.values(), 1e6 / float(one.mean())),
                    ("next moves, many at once, 1 thread", *[""] * len(percentiles), rate),
                ],
                f"a promise from node, destination, goods and minute; {kept:.0%} of those asked can be kept",
            )
        ],
    )


def _promises(table: PolicyTable, size: Size, start: int) -> tuple[np.ndarray, float]:
    """Microseconds of single promises between random places at random minutes of the first day; share kept."""
    r = np.random.default_rng(5)
    names = list(table.nodes)
    count = size.lookups
    origins = [names[i] for i in r.integers(0, len(names), count)]
    ends = [names[i] for i in r.integers(0, min(DESTINATIONS, len(names)), count)]
    minutes = (start + r.integers(0, DAY, count)).tolist()
    taken = np.empty(count)
    kept = 0
    for lap in (min(count, 20_000), count):  # the first lap warms
        kept = 0
        for i in range(lap):
            begin = time.perf_counter_ns()
            columns = table.columns_to(ends[i], "general")
            column, _, _ = table.promise(columns, table.nodes[origins[i]], minutes[i], CONFIDENCE)
            taken[i] = (time.perf_counter_ns() - begin) / 1000
            kept += column >= 0
    return taken, kept / count


def _moves(table: PolicyTable, size: Size, start: int) -> float:
    """Next moves a second when many are asked for at once."""
    r = np.random.default_rng(6)
    count = 10 * size.lookups
    columns = r.integers(0, len(table.step), count)
    nodes = r.integers(0, len(table.nodes), count)
    at = start + r.integers(0, 2 * DAY, count)
    best = float("inf")
    for _ in range(size.rounds):
        begin = time.perf_counter()
        table.moves(columns, nodes, at)
        best = min(best, time.perf_counter() - begin)
    return count / best
