"""The planner's side of a peer: starts its process, asks it for one more repeat, collects its costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.graph import Graph

ROOT = Path(__file__).resolve().parents[2]
MODULES = {
    "scipy": "benchmarks.peers.scipy_csgraph",
    "scipy, one call a destination": "benchmarks.peers.scipy_one_sink",
    "rustworkx": "benchmarks.peers.rustworkx_lengths",
    "networkx": "benchmarks.peers.networkx_lengths",
}


class Peer:
    """A running peer. Use as a context manager: it ends with the block."""

    def __init__(self, name: str, graph: Graph, folder: Path):
        self.costs_file = folder / f"{name}.npy"
        graph.save(folder / f"{name}.npz")
        command = [sys.executable, "-m", MODULES[name], str(folder / f"{name}.npz"), str(self.costs_file)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, bufsize=1
        )
        self.best = float("inf")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def wait_until_ready(self) -> None:
        """Return when its graph is built."""
        self._answer()

    def repeat(self) -> float:
        """Seconds of one destination in one more repeat."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        seconds = float(self._answer()["seconds"])
        self.best = min(self.best, seconds)
        return seconds

    def costs(self) -> NDArray[np.float64]:
        """End the peer and give the costs it found, (destinations, departures)."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        return np.load(self.costs_file)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer {self.process.args} ended early; its own message stands above")
        return json.loads(line)
