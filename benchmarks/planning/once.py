"""One plan from Parquet to Parquet in a process of its own, timed.

Called as `python -m benchmarks.planning.once FEED ORDERS OUT DAYS OUTCOMES THREADS`; prints one line of JSON. Tiny
plans go before it, so that the kernels have been loaded (or compiled, when this machine never did).
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import peak_day


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

    begin = time.perf_counter()
    feed = read_feed(feed_path)
    feed_at = time.perf_counter()
    orders = read_orders(orders_path)
    orders_at = time.perf_counter()
    done = plan(feed, orders, **settings)
    plan_at = time.perf_counter()
    done.write(out)
    end = time.perf_counter()
    reading = {"read feed": feed_at - begin, "read orders": orders_at - feed_at}
    return {
        "seconds": end - begin,
        "stages": reading | done.summary["seconds"] | {"write": end - plan_at},
        "peak_gib": peak_gib(),
        "summary": done.summary,
    }


def peak_gib() -> float:
    """Most memory this process ever held; on Linux without what its parent held before it was started."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 2**20
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**30 if sys.platform == "darwin" else most / 2**20


if __name__ == "__main__":
    _, feed_, orders_, out_, *numbers = sys.argv
    print(json.dumps(_main(feed_, orders_, out_, *map(int, numbers))))
