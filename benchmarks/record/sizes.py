"""How many orders, questions, labels, writers, kills and attempts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Size:
    """What each part of the benchmark does; every server has the sample network `sample`."""

    sample: Literal["tiny", "country"] = "country"
    orders: int = 30_000  # by API: never seen, then with new references; fewer than addresses are remembered (65,536)
    batch: int = 500
    connections: int = 4
    rows: int = 100_000  # of the order file
    quotes_a_second: int = 300
    quote_seconds: int = 30
    quote_connections: int = 64
    labels: int = 1_000
    decoded: int = 200  # of each size
    writers: int = 32
    numbers: int = 10_000  # of each writer
    kills: int = 20
    kill_seconds: int = 420  # writers give up then
    attempts: int = 10_000
    examples: int = 30  # of each operation and phase
    fuzz_seconds: int = 150


FULL = Size()
LONG = Size(
    orders=60_000, rows=1_000_000, quote_seconds=300, kills=200, kill_seconds=5400, attempts=100_000, examples=300,
    fuzz_seconds=1800,
)  # fmt: skip
SMALLEST = Size(
    sample="tiny", orders=40, batch=20, connections=2, rows=50, quotes_a_second=20, quote_seconds=1,
    quote_connections=4, labels=4, decoded=2, writers=2, numbers=1_000, kills=2, kill_seconds=60, attempts=300,
    examples=1, fuzz_seconds=10,
)  # fmt: skip
