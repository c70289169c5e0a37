"""One plan from Parquet to Parquet in a process of its own, timed.

Called as `python -m benchmarks.planning.once FEED ORDERS OUT DAYS OUTCOMES THREADS`; prints one line of JSON. A tiny plan
goes before it, so that the kernels have been loaded (or compiled, when this machine never did).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import peak_day
from benchmarks.peers.process import ROOT


def once(feed: Path, orders: Path, out: Path, *, days: int, outcomes: int, threads: int) -> dict[str, Any]:
    """Plan in a fresh process and give what it measured. Raises RuntimeError when the process fails."""
    command = [sys.executable, "-m", "benchmarks.planning.once", str(feed), str(orders), str(out)]
    command += [str(days), str(outcomes), str(threads)]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"planning {orders} ended with {ended.returncode}; its own message stands above")
    return json.loads(ended.stdout.splitlines()[-1])


def _main(feed_path: str, orders_path: str, out: str, days: int, outcomes: int, threads: int) -> dict[str, Any]:
    from rookery.flows.planning import plan
    from rookery.network import read_feed
    from rookery.orders import read_orders
    from rookery.planning import batch
    from rookery.terms.time import from_minute

    settings: dict[str, Any] = {
        "start": from_minute(peak_day.START), "horizon_days": days, "outcomes": outcomes, "threads": threads
    }  # fmt: skip
    few = peak_day.orders(200, read_feed(feed_path).nodes.height)
    exact_work = batch.EXACT_WORK
    for work in (exact_work, 0.0):  # in 8-byte numbers and, as large files are, in 4-byte ones
        batch.EXACT_WORK = work
        plan(read_feed(feed_path), few, **settings)
    batch.EXACT_WORK = exact_work

    laps = [time.perf_counter()]
    feed = read_feed(feed_path)
    laps.append(time.perf_counter())
    orders = read_orders(orders_path)
    laps.append(time.perf_counter())
    done = plan(feed, orders, **settings)
    laps.append(time.perf_counter())
    done.write(out)
    laps.append(time.perf_counter())
    stages = dict(zip(("read feed", "read orders", "", "write"), (b - a for a, b in zip(laps, laps[1:]))))
    del stages[""]
    return {
        "seconds": laps[-1] - laps[0],
        "stages": stages | done.summary["seconds"],
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "summary": done.summary,
    }


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:4], *(int(word) for word in sys.argv[4:]))))
