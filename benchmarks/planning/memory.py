"""Bytes that the deterministic scan moves in a second, against a plain copy of memory."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.form import Result, Say, Show, Table
from benchmarks.planning.instance import PLAIN, Instance, Pass, certain
from benchmarks.planning.sizes import Size

ROW = 64  # sixteen 4-byte costs
FACTS = 30  # bytes of each departure: from, to, limit set, two prices, the row it catches, its place, ride or wait
CACHED = 256 * 1024


def run(size: Size, say: Say) -> Result:
    """Count what one pass must read and write at least, and divide by its time; copies are timed in turn with it.

    Counted: for every departure and block its facts, the caught row and the row written. Not counted: the rows held
    for each node, which stay in the innermost cache.
    """
    instance = Instance(size)
    scan = Pass(instance.certain, instance.blocks(instance.certain, PLAIN), certain, size.threads)
    count = len(scan.net.frm)
    moved = (FACTS + 2 * ROW) * count * len(scan.blocks)
    each = size.copy_mb * 2**20 // size.threads
    copies = {
        f"copy of {size.copy_mb} MiB": Copy(each, 1, size.threads),
        f"copy within the cache, {CACHED // 1024} KiB a thread": Copy(CACHED, max(1, each // CACHED), size.threads),
    }
    best: dict[str, float] = {}
    for number in range(size.rounds):
        say(f"round {number + 1} of {size.rounds}")
        best["scan"] = max(best.get("scan", 0.0), *(moved / scan.seconds() / 1e9 for _ in range(3)))
        for name, copy in copies.items():
            best[name] = max(best.get(name, 0.0), copy.gigabytes_a_second())
    rate, memory, cache = best.values()
    return Result(
        shows=[
            Show("deterministic scan, bytes moved", rate, "GB/s"),
            Show("plain copy of memory, bytes moved", memory, "GB/s"),
            Show("deterministic scan against a plain copy of memory", rate / memory, "times"),
            Show("deterministic scan against a copy within the cache", rate / cache, "times"),
        ],
        tables=[
            Table(
                f"bytes read and written a second, {size.threads} threads",
                ("", "GB/s", "of a plain copy"),
                [(name, rate, f"{rate / memory:.0%}") for name, rate in best.items()],
                f"the tables of one thread are {count * ROW / 2**20:.0f} MiB, read in places far apart",
            )
        ],
    )


class Copy:
    """So many bytes copied again and again on each thread, from and to memory of its own."""

    def __init__(self, size: int, times: int, threads: int):
        self.times = times
        self.blocks = [(np.ones(size, np.uint8), np.full(size, 2, np.uint8)) for _ in range(threads)]

    def gigabytes_a_second(self) -> float:
        """Bytes read and bytes written, both counted."""

        def one(block: tuple[np.ndarray, np.ndarray]) -> None:
            source, target = block
            for _ in range(self.times):
                np.copyto(target, source)

        with ThreadPoolExecutor(len(self.blocks)) as pool:
            begin = time.perf_counter()
            list(pool.map(one, self.blocks))
            seconds = time.perf_counter() - begin
        return 2 * self.times * sum(len(source) for source, _ in self.blocks) / seconds / 1e9
