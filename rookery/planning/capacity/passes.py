"""One sweep over all blocks: tables under prices, and what is done with them, on several threads in a fixed order.

Tables are filled side by side; whatever touches what is common (loads, seats) happens block after block in their
order, whichever thread is ready first. So what a sweep gives does not depend on how many threads made it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rookery.planning.capacity.demand import Columns
from rookery.planning.capacity.resources import Prices, Resources
from rookery.planning.engine.arrays import Block, Net
from rookery.planning.engine.scan import (
    buffers,
    rounding_down,
    scan_certain,
    scan_cost,
    scan_exact,
    with_chance,
    with_when,
)
from rookery.planning.engine.spread import collect, spread, spread_buffers, worth
from rookery.planning.timetable import Timetable
from rookery.terms.time import NEVER

Look = Callable[[int, NDArray], Any]
"""Called for each block on any thread, with its number and values: to find what `then` needs."""
Then = Callable[[int, Block, NDArray, NDArray, Any], None]
"""Called for each block, in order: its number, the block, its values, its rides and what `look` gave."""


@dataclass(frozen=True)
class Swept:
    """What a sweep finds: the cost of the demand under the prices and its loads."""

    cost: float  # as counted in the tables
    loads: NDArray[np.float64]  # (N, 2): pieces, actual kilograms


class Sweeper:
    """Sweeps over blocks of columns, with tables that are used again.

    earlier: of ways of equal cost ride the one that delivers earlier; for 8-byte numbers.
    """

    def __init__(self, timetable: Timetable, resources: Resources, dtype, threads: int, *, earlier: bool = False):
        self.timetable, self.resources, self.dtype, self.threads = timetable, resources, dtype, threads
        self.scan = scan_exact if earlier else scan_certain if timetable.outcomes == 1 else scan_cost
        finer = ("chance", "held_chance", "when", "held_when") if earlier else ()
        self.tables = ("value", "held", "spare", "ride", *finer)
        self.memory: SimpleQueue = SimpleQueue()
        net = timetable.net
        for _ in range(threads):
            memory = buffers(net, dtype) | spread_buffers(net, dtype)
            self.memory.put(with_when(net, with_chance(net, memory, dtype)) if earlier else memory)

    def nets(self, columns: Columns, prices: Prices, shut: NDArray[np.bool_] | None = None) -> dict[float, Net]:
        """The timetable under `prices` for each density; rows that are `shut` (N) cannot be ridden."""
        made = {}
        for density in set(columns.densities):
            net = prices.applied(self.timetable.net, self.resources, density, self.dtype)
            if shut is not None:
                net = net._replace(fixed=np.where(shut, self.dtype(np.inf), net.fixed))
            made[density] = net
        return made

    def sweep(
        self,
        columns: Columns,
        prices: Prices,
        *,
        shut: NDArray[np.bool_] | None = None,
        share: float = 1.0,
        loads: bool = True,
        look: Look | None = None,
        then: Then | None = None,
        only: list[int] | None = None,
    ) -> Swept:
        """Fill every block's tables under `prices`; spread `share` of the demand when `loads` are asked for.

        only: numbers of the blocks to look at (default all).
        """
        nets = self.nets(columns, prices, shut)
        numbers = list(range(len(columns.blocks))) if only is None else only
        down = rounding_down(self.dtype, self.timetable.outcomes)
        carried = np.zeros((len(self.timetable.net.frm), 2))
        costs = [0.0] * len(numbers)
        turn = _Turn()

        def one(place: int) -> None:
            number = numbers[place]
            block, density, demand = columns.blocks[number], columns.densities[number], columns.demand[number]
            net = nets[density]
            memory = self.memory.get()
            try:
                self.scan(net, block, 0, down, int(NEVER), *(memory[name] for name in self.tables))
                costs[place] = worth(memory["value"], demand, share)
                if loads:
                    spread(
                        net, block, memory["value"], memory["ride"], demand, share,
                        memory["inbox"], memory["waiting"], memory["loads"],
                    )  # fmt: skip
                seen = look(number, memory["value"]) if look is not None else None
                with turn(place):
                    if loads:
                        collect(memory["loads"], density, carried)
                    if then is not None:
                        then(number, block, memory["value"], memory["ride"], seen)
            except BaseException:
                memory["loads"][:] = 0  # whoever uses it next begins with nothing
                turn.stop()
                raise
            finally:
                self.memory.put(memory)

        with ThreadPoolExecutor(self.threads) as pool:
            running = [pool.submit(one, place) for place in range(len(numbers))]
            try:
                for each in running:
                    each.result()
            except BaseException as fault:
                turn.stop()
                pool.shutdown(wait=True, cancel_futures=True)
                if isinstance(fault, _GivenUp):
                    raise _behind(running) from None
                raise
        return Swept(sum(costs), carried)


class _GivenUp(Exception):
    """What ends a thread that waits for its turn when another thread has failed."""


def _behind(running: list[Future]) -> BaseException:
    """The first fault of ended threads that did not merely give up."""
    faults = (each.exception() for each in running if not each.cancelled())
    return next(fault for fault in faults if fault is not None and not isinstance(fault, _GivenUp))


class _Turn:
    """Lets threads through one after the other, in the order of their numbers."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.next = 0
        self.stopped = False

    def __call__(self, number: int) -> _Pass:
        return _Pass(self, number)

    def stop(self) -> None:
        """Let nobody wait any longer: the sweep is given up."""
        with self.condition:
            self.stopped = True
            self.condition.notify_all()


class _Pass:
    def __init__(self, turn: _Turn, number: int):
        self.turn, self.number = turn, number

    def __enter__(self) -> None:
        with self.turn.condition:
            self.turn.condition.wait_for(lambda: self.turn.stopped or self.turn.next == self.number)
            if self.turn.stopped:
                raise _GivenUp

    def __exit__(self, *_: object) -> None:
        with self.turn.condition:
            self.turn.next += 1
            self.turn.condition.notify_all()
