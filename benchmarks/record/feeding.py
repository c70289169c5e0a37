"""Hands prepared bodies to a server over a few connections, in a process of its own: `python -m
benchmarks.record.feeding URL CONNECTIONS FOLDER`, the key on stdin.

Prints one line of JSON: seconds, its own CPU seconds, what became of the orders.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from benchmarks.record.wire import Wire, asked


def feed(url: str, key: str, bodies: list[bytes], connections: int) -> dict[str, Any]:
    """Each body once to POST /orders/batch; what became of the orders, and how long it took."""
    waiting: SimpleQueue[bytes] = SimpleQueue()
    for body in bodies:
        waiting.put(asked("POST", "/orders/batch", key, body))
    counts: Counter[str] = Counter()
    took: list[float] = []
    lock = threading.Lock()

    def one() -> None:
        with Wire(url, 300.0) as wire:
            while True:
                try:
                    request = waiting.get_nowait()
                except Empty:
                    return
                began = time.perf_counter()
                answer = wire.ask(request)
                seconds = time.perf_counter() - began
                with lock:
                    took.append(seconds)
                    _count(counts, answer.status, answer.body)

    threads = [threading.Thread(target=one) for _ in range(connections)]
    began, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    took.sort()
    return {"seconds": seconds, "cpu": cpu, "median_s": took[len(took) // 2], "most_s": took[-1], **counts}


def _count(counts: Counter[str], status: int, body: bytes) -> None:
    if status != 200:
        counts["failed"] += 1
        return
    # of the answer only its head is read: the sums stand before the results
    told = json.loads(body[: body.index(b',"results"')] + b"}")
    for name in ("created", "repeated", "refused"):
        counts[name] += told[name]
    counts["warned"] += body.count(b'"warnings":[{')


if __name__ == "__main__":
    where, many, folder = sys.argv[1:]
    secret = sys.stdin.readline().strip()
    print(json.dumps(feed(where, secret, [path.read_bytes() for path in sorted(Path(folder).iterdir())], int(many))))
