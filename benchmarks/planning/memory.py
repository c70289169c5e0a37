"""Bytes that the scan moves in a second, against a plain copy of memory."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.form import Result, Say, Show, Table
from benchmarks.planning.instance import PLAIN, REAL, Instance, Pass, certain, chance
from benchmarks.planning.sizes import Size

ROW = 64  # sixteen 4-byte costs
CHANCES = 32  # sixteen 2-byte chances
FACTS = 20  # bytes read of each departure: from, to, limit set, two prices
CATCH = 4  # bytes of a caught row's number
SHARE = 4  # and of its chance
CACHED = 256 * 1024


def run(size: Size, say: Say) -> Result:
    """Count what one pass must read and write at least, and divide by its time; copies are timed in turn with it.

    Counted: for every departure and block its facts, the caught rows and the row written. Not counted: the rows held for
    each node, which stay in the innermost cache.
    """
    instance = Instance(size)
    plain = Pass(instance.certain, instance.blocks(instance.certain, PLAIN), certain, size.threads)
    wide = Pass(instance.uncertain, instance.blocks(instance.uncertain, REAL), chance, size.threads)
    count, caught = len(wide.net.frm), len(wide.net.catch_row)
    moved = {
        "deterministic scan": (FACTS + CATCH + 2 * ROW) * count * len(plain.blocks),
        "stochastic scan with chances": (
            (FACTS + ROW + CHANCES) * count + (CATCH + SHARE + ROW + CHANCES) * caught
        ) * len(wide.blocks),
    }  # fmt: skip
    each = size.copy_mb * 2**20 // size.threads
    copies = {
        f"copy of {size.copy_mb} MiB": Copy(each, 1, size.threads),
        f"copy within the cache, {CACHED // 1024} KiB a thread": Copy(CACHED, max(1, each // CACHED), size.threads),
    }
    best: dict[str, float] = {}
    for number in range(size.rounds):
        say(f"round {number + 1} of {size.rounds}")
        for name, one in (("deterministic scan", plain), ("stochastic scan with chances", wide)):
            if number < 3 or one is plain:
                best[name] = max(best.get(name, 0.0), moved[name] / one.seconds() / 1e9)
        for name, copy in copies.items():
            best[name] = max(best.get(name, 0.0), copy.gigabytes_a_second())
    memory, cache = (best[name] for name in copies)
    scan = best["deterministic scan"]
    return Result(
        shows=[
            Show("deterministic scan, bytes moved", scan, "GB/s"),
            Show("plain copy of memory, bytes moved", memory, "GB/s"),
            Show("deterministic scan against a plain copy of memory", scan / memory, "times"),
            Show("deterministic scan against a copy within the cache", scan / cache, "times"),
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
