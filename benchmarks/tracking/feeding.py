"""Hands prepared bodies to a server in a process of its own: `python -m benchmarks.tracking.feeding URL PATH FOLDER`,
the key on stdin. Files called STREAM-NUMBER go over one connection for each stream, in their order, as devices send.

What is only promised (202) is waited for, until every capture has run. Prints one line of JSON: seconds, its own CPU
seconds, how long each answer took, what they were.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.record.wire import Answer, Wire, asked

LOOK_S = 0.02


def feed(url: str, path: str, key: str, streams: list[list[bytes]]) -> dict[str, Any]:
    """Each body once; how long until the last was kept, and what was answered."""
    statuses: Counter[str] = Counter()
    took: list[float] = []
    jobs: list[str] = []
    odd: list[str] = []
    lock = threading.Lock()

    def one(requests: list[bytes]) -> None:
        with Wire(url, 300.0) as wire:
            for request in requests:
                began = time.perf_counter()
                answer = wire.ask(request)
                seconds = time.perf_counter() - began
                with lock:
                    took.append(seconds)
                    statuses[str(answer.status)] += 1
                    if answer.status == 202:
                        jobs.append(located(answer))
                    elif answer.status >= 300 and not odd:
                        odd.append(answer.body[:1000].decode(errors="replace"))

    made = [[asked("POST", path, key, body) for body in bodies] for bodies in streams]
    threads = [threading.Thread(target=one, args=(requests,)) for requests in made]
    began, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    waited, failed = await_jobs(url, key, jobs)
    seconds = time.perf_counter() - began if waited else seconds
    took.sort()
    return {
        "seconds": seconds, "cpu": cpu, "median_s": took[len(took) // 2], "most_s": took[-1],
        "statuses": dict(statuses), "failed": failed, "odd": odd[:1],
    }  # fmt: skip


def located(answer: Answer) -> str:
    """The path that an answer's Location names."""
    for line in answer.headers.decode(errors="replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "location":
            parts = urlsplit(value.strip())
            return parts.path + (f"?{parts.query}" if parts.query else "")
    raise ValueError("202 without a Location")


def await_jobs(url: str, key: str, jobs: list[str], most_s: float = 600.0) -> tuple[int, int]:
    """Waits until captures have run: (how many still ran when they were looked at, how many did not succeed)."""
    waited, failed, until = 0, 0, time.monotonic() + most_s
    with Wire(url, 60.0) as wire:
        for job in jobs:
            told = json.loads(wire.ask(asked("GET", job, key)).body)
            waited += told["running"]
            while told["running"] and time.monotonic() < until:
                time.sleep(LOOK_S)
                told = json.loads(wire.ask(asked("GET", job, key)).body)
            failed += told["running"] or not told["success"]
    return waited, failed


if __name__ == "__main__":
    where, to, folder = sys.argv[1:]
    secret = sys.stdin.readline().strip()
    by_stream: dict[str, list[bytes]] = {}
    for file in sorted(Path(folder).iterdir()):
        by_stream.setdefault(file.name.partition("-")[0], []).append(file.read_bytes())
    print(json.dumps(feed(where, to, secret, list(by_stream.values()))))
