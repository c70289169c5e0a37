"""The peak day as the planner sees it: compiled timetables, columns for every destination, and a pass over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from queue import SimpleQueue

import numpy as np
import polars as pl

from benchmarks import peak_day
from benchmarks.planning.sizes import Size
from rookery.network import expand
from rookery.planning.blocks import make_block
from rookery.planning.engine.arrays import Block, Net
from rookery.planning.engine.scan import buffers, rounding_down, scan_certain, scan_chance, scan_cost, with_chance
from rookery.planning.engine.vector import LANES
from rookery.planning.ops import Model, compile_model
from rookery.planning.timetable import Timetable
from rookery.terms.goods import GOODS
from rookery.terms.time import DAY, NEVER

Scan = Callable[[Net, Block, int, dict[str, np.ndarray]], None]


@dataclass(frozen=True)
class Class:
    """A class of parcels of 1 kg: due so many days after the first (None = never late), its costs, its goods."""

    due_days: int | None
    late_cost: float
    time_cost_per_day: float
    goods: str = "general"


PLAIN = [Class(None, 0.0, 1.44)]
REAL = [
    *(Class(days, late, 0.2) for _, days, late in peak_day.SERVICES.values()),
    Class(*peak_day.SERVICES["standard"][1:], 0.2, "battery"),
]
"""The three services with general goods, and the commonest of them with batteries."""


class Instance:
    """A synthetic network of some size, compiled on demand."""

    def __init__(self, size: Size):
        self.size = size
        self.network = peak_day.network(size.nodes, size.hubs, size.days, size.per_day)
        self.feed = peak_day.feed(self.network)
        self.start = peak_day.START
        self.expansion = expand(self.feed, self.start, self.start + size.days * DAY)

    def model(self, outcomes: int) -> Model:
        """The network compiled for K outcomes."""
        return compile_model(self.feed, self.expansion, outcomes)

    @cached_property
    def certain(self) -> Timetable:
        return self.model(1).timetable

    @cached_property
    def uncertain(self) -> Timetable:
        return self.model(8).timetable

    def blocks(self, timetable: Timetable, classes: Sequence[Class]) -> list[Block]:
        """Columns of every destination and class, sixteen a block, in 4-byte numbers."""
        nodes = self.size.nodes
        destination = np.repeat(np.argsort(timetable.beside), len(classes))
        kind = np.tile(np.arange(len(classes)), nodes)
        due = np.array(
            [NEVER if c.due_days is None else self.start + (c.due_days + 1) * DAY - 1 for c in classes], np.int64
        )
        late = np.array([c.late_cost for c in classes])
        rate = np.array([c.time_cost_per_day for c in classes]) / DAY
        accepts = timetable.limit_sets["accepts"].to_numpy()
        barred = np.array([np.where((accepts >> GOODS.index(c.goods)) & 1, 0.0, np.inf) for c in classes], np.float32)
        return [
            make_block(
                np.float32,
                nodes,
                np.arange(len(part)),
                kilograms=np.ones(len(part)),
                barred=barred[kind[part]],
                destination=destination[part],
                due=due[kind[part]],
                late=late[kind[part]],
                late_day=np.zeros(len(part)),
                rate=rate[kind[part]],
                delivery=np.zeros((len(part), timetable.outcomes), np.int32),
            )
            for part in np.split(np.arange(len(kind)), np.arange(LANES, len(kind), LANES))
        ]


def certain(net: Net, block: Block, outcomes: int, memory: dict[str, np.ndarray]) -> None:
    """The deterministic tables of one block."""
    scan_certain(net, block, 0, rounding_down(np.float32, outcomes), int(NEVER), *_tables(memory))


def cost(net: Net, block: Block, outcomes: int, memory: dict[str, np.ndarray]) -> None:
    """The tables of expected cost of one block."""
    scan_cost(net, block, 0, rounding_down(np.float32, outcomes), int(NEVER), *_tables(memory))


def chance(net: Net, block: Block, outcomes: int, memory: dict[str, np.ndarray]) -> None:
    """The tables of expected cost and of the chance of being on time, of one block."""
    tables = _tables(memory, "chance", "held_chance")
    down = rounding_down(np.float32, outcomes)
    scan_chance(net, block, 0, down, int(NEVER), *tables, scale=np.float32(65535), half=np.float32(0.5))


def _tables(memory: dict[str, np.ndarray], *more: str) -> list[np.ndarray]:
    return [memory[name] for name in ("value", "held", "spare", "ride", *more)]


class Pass:
    """All blocks scanned by so many threads, each with its own tables, which are used again block after block."""

    def __init__(self, timetable: Timetable, blocks: Sequence[Block], scan: Scan, threads: int):
        self.net, self.beside = timetable.net_as(np.float32), timetable.beside
        self.outcomes, self.blocks, self.scan, self.threads = timetable.outcomes, blocks, scan, threads
        self.memory = [buffers(self.net, np.float32) for _ in range(threads)]
        if scan is chance:
            self.memory = [with_chance(self.net, memory, np.uint16) for memory in self.memory]
        for memory in self.memory:  # compiled, and its pages there, before anything is timed
            scan(self.net, blocks[-1], self.outcomes, memory)

    def seconds(self) -> float:
        """Time of one pass over all blocks."""
        free: SimpleQueue[dict[str, np.ndarray]] = SimpleQueue()
        for memory in self.memory:
            free.put(memory)

        def one(block: Block) -> None:
            memory = free.get()
            self.scan(self.net, block, self.outcomes, memory)
            free.put(memory)

        with ThreadPoolExecutor(self.threads) as pool:
            begin = time.perf_counter()
            list(pool.map(one, self.blocks))
            return time.perf_counter() - begin

    def destination(self, node: int) -> np.ndarray:
        """The values of a destination at every departure (N); one class a destination."""
        return self.column(int(self.beside[node]))

    def column(self, number: int) -> np.ndarray:
        """The values of one column at every departure (N)."""
        memory = self.memory[0]
        self.scan(self.net, self.blocks[number // LANES], self.outcomes, memory)
        return memory["value"][: len(self.net.frm), number % LANES].copy()


def dated_departures(instance: Instance) -> pl.DataFrame:
    """Dated departures in the timetable's order: from, to, minutes from the start, arrival with handling, price."""
    return instance.expansion.runs.select(
        frm="from_node",
        to="to_node",
        depart=pl.col("depart_at") - instance.start,
        arrive=pl.col("depart_at") - instance.start + pl.col("transit_minutes") + peak_day.DWELL,
        price=pl.col("cost_per_parcel") + pl.col("cost_per_kg"),
    )
