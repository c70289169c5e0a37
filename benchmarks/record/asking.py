"""Asks on a timetable, whatever the answers take, in a process of its own.

`python -m benchmarks.record.asking URL CONNECTIONS RATE SECONDS FILE WARM PIDS`, the key on stdin; FILE has a body of
POST /quotes in each line, of which the first WARM are asked once each before. PIDS: whose CPU is told, with commas.

Latency counts from when a question was due, so that waiting for a free connection counts. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

from benchmarks.record.served import cpu_seconds
from benchmarks.record.wire import asked, taken_from, where


class Line(asyncio.Protocol):
    """One kept-alive connection with at most one question under way (due > 0)."""

    def __init__(self, crew: Crew):
        self.crew, self.buffer, self.due = crew, bytearray(), 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def ask(self, due: float, request: bytes) -> None:
        self.due = due
        assert self.transport is not None
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        answer = taken_from(self.buffer)
        if answer is not None:
            due, self.due = self.due, 0.0
            self.crew.answered(self, time.perf_counter() - due, answer.status, answer.body)

    def connection_lost(self, exc: Exception | None) -> None:
        self.crew.hung_up(self)


class Crew:
    """All connections, what waits for one, and how long each answer took."""

    def __init__(self, url: str) -> None:
        self.url, self.tasks = url, set[asyncio.Task[None]]()
        self.free: list[Line] = []
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.took: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.offered = self.lost = self.open = 0
        self.idle_ended = 0
        self.idle = asyncio.Event()

    def ask(self, due: float, request: bytes) -> None:
        self.open += 1
        self.idle.clear()
        if self.free:
            self.free.pop().ask(due, request)
        else:
            self.waiting.append((due, request))

    def hung_up(self, line: Line) -> None:
        """The server ended a connection: lost when it owed an answer, else only idle for too long."""
        if line.due:
            self.lost += 1
        elif line in self.free:
            self.free.remove(line)
            self.idle_ended += 1
            task = asyncio.get_running_loop().create_task(self.connect())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def connect(self) -> None:
        """One more line."""
        _, line = await asyncio.get_running_loop().create_connection(lambda: Line(self), *where(self.url))
        self.free.insert(0, line)

    def answered(self, line: Line, seconds: float, status: int, body: bytes) -> None:
        self.took.append(seconds)
        self.statuses[status] += 1
        self.offered += b'"quote_id"' in body
        self.open -= 1
        if self.waiting:
            line.ask(*self.waiting.popleft())
        else:
            self.free.append(line)
        if not self.open:
            self.idle.set()


async def measured(
    url: str, key: str, bodies: list[bytes], warm: int, lines: int, rate: int, seconds: int, pids: list[int]
) -> Any:
    """Each of the first `warm` alone, and some more; then Poisson arrivals at `rate` a second."""
    crew = Crew(url)
    for _ in range(lines):
        await crew.connect()
    requests = [asked("POST", "/quotes", key, body) for body in bodies]
    cold = []
    for request in requests[:warm]:
        crew.ask(time.perf_counter(), request)
        await asyncio.wait_for(crew.idle.wait(), 60)
        cold.append(crew.took.pop())
    for request in requests[warm : warm + 200]:
        crew.ask(time.perf_counter(), request)
        await asyncio.wait_for(crew.idle.wait(), 60)
    crew.took.clear()
    crew.statuses.clear()
    crew.offered, draw, drawn = 0, random.Random(7), requests[warm:]
    theirs = [cpu_seconds(pid) for pid in pids]
    cpu, began = time.process_time(), time.perf_counter()
    due, late = began, []
    for at in range(rate * seconds):
        due += draw.expovariate(rate)
        while (left := due - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        late.append(time.perf_counter() - due)
        crew.ask(due, drawn[at % len(drawn)])
    await asyncio.wait_for(crew.idle.wait(), 120)
    ran = time.perf_counter() - began
    took = sorted(crew.took)
    return {
        "seconds": ran, "cpu": time.process_time() - cpu,
        "theirs": [cpu_seconds(pid) - used for pid, used in zip(pids, theirs)],
        "asked": len(took), "offered": crew.offered,
        "statuses": {str(status): many for status, many in crew.statuses.items()}, "lost": crew.lost,
        "idle_ended": crew.idle_ended,
        "ms": {f"{share:g}": 1000 * took[min(len(took) - 1, int(share / 100 * len(took)))]
               for share in (50, 90, 99, 99.9, 100)},
        "cold_ms": [1000 * one for one in sorted(cold)],
        "late_ms": 1000 * sorted(late)[int(0.99 * len(late))],
    }  # fmt: skip


if __name__ == "__main__":
    url, lines, rate, seconds, file, warm, whose = sys.argv[1:]
    secret, content = sys.stdin.readline().strip(), Path(file).read_bytes().splitlines()
    told = asyncio.run(
        measured(
            url, secret, content, int(warm), int(lines), int(rate), int(seconds), [int(pid) for pid in whose.split(",")]
        )
    )
    print(json.dumps(told))
