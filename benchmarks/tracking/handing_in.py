"""Bodies handed in by a process of its own, and what server, PostgreSQL and client used of the processors for it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.record.served import Served, children, cpu_seconds

ROOT = Path(__file__).parents[2]


def hand_in(served: Served, path: str, key: str, streams: Sequence[Iterable[bytes]]) -> dict[str, Any]:
    """What feeding tells of bodies, each stream of them over a connection of its own and in its order; and CPU seconds:
    of the HTTP server, of PostgreSQL, of all that was started (worker too).
    """
    with tempfile.TemporaryDirectory(prefix="rookery-bench-") as folder:
        for stream, bodies in enumerate(streams):
            for at, body in enumerate(bodies):
                (Path(folder) / f"{stream:02d}-{at:06d}").write_bytes(body)
        before = _used(served)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.tracking.feeding", served.url, path, folder],
            input=key + "\n", capture_output=True, text=True, timeout=3600, cwd=ROOT,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the client failed: {done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    if told["odd"]:
        raise RuntimeError(f"POST {path} was answered {told['statuses']}: {told['odd'][0]}")
    return told | {name: after - before[name] for name, after in _used(served).items()}


def _used(served: Served) -> dict[str, float]:
    door, others = served.door(), children(served.process.pid)
    return {
        "door_cpu": cpu_seconds(door), "postgres_cpu": cpu_seconds(served.postgres()),
        "worker_cpu": sum(cpu_seconds(pid) for pid in others if pid not in (door, served.postgres())),
    }  # fmt: skip
