"""Parcels and departures with capacities as every peer gets them, and the process in which a peer answers.

Called as `python -m benchmarks.peers.NAME PROBLEM.npz ANSWER.npz`: loads the problem, plans it, writes the loads of all
departures and what it cost. Reading the file and importing (or compiling) programs is not timed, building a model is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.ways import Rows, first_rows, rows_of


@dataclass(frozen=True)
class Problem:
    """Departures in order of time (N) and groups of equal parcels (n); every parcel takes one unit of capacity.

    A parcel costs its departures' costs and `cost_per_minute` from ready until it arrives, or `refusal`.
    """

    frm: NDArray
    to: NDArray
    depart: NDArray
    arrive: NDArray  # ready at the next node
    cost: NDArray
    capacity: NDArray  # whole numbers
    origin: NDArray
    destination: NDArray
    ready: NDArray
    count: NDArray
    cost_per_minute: float
    refusal: float

    @property
    def rows(self) -> Rows:
        """The departures, linked."""
        return rows_of(self.frm, self.to, self.depart, self.arrive, self.cost)

    @property
    def parcels(self) -> int:
        return int(self.count.sum())

    @property
    def waited(self) -> float:
        """What is to be taken off costs of time counted from minute 0: all parcels' minutes before they were ready."""
        return self.cost_per_minute * float(self.ready @ self.count)

    def begin(self, rows: Rows) -> NDArray[np.int64]:
        """The first row that each group can take."""
        return first_rows(rows, self.origin, self.ready)

    def save(self, path: Path) -> None:
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> Problem:
        held: dict[str, Any] = {
            name: values if values.ndim else float(values) for name, values in np.load(path).items()
        }
        return cls(**held)


def grouped(origin: NDArray, destination: NDArray, ready: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Equal parcels counted: origin, destination, ready, count; in order of ready time, as they stand in a queue."""
    nodes, minutes = int(max(origin.max(), destination.max())) + 1, int(ready.max()) + 1
    key = (np.asarray(ready, np.int64) * nodes + origin) * nodes + destination
    keys, count = np.unique(key, return_counts=True)
    assert minutes * nodes * nodes < 2**62
    return keys // nodes % nodes, keys % nodes, keys // nodes // nodes, count


@dataclass(frozen=True)
class Answer:
    """What a peer found. Parts of parcels may be planned by a linear program."""

    cost: float
    loads: NDArray[np.float64]  # (N)
    refused: float  # parcels
    seconds: float = 0.0
    peak_gib: float = 0.0

    def over(self, problem: Problem) -> float:
        """The most by which a departure is overloaded, as a share of its capacity."""
        return float((self.loads / problem.capacity - 1).max(initial=0.0))


Solve = Callable[[Problem], Answer]


def reply(solve: Solve, warm: Callable[[], object] = lambda: None) -> None:
    """Plan the problem named on the command line; `warm` is called before the clock starts."""
    problem = Problem.load(sys.argv[1])
    warm()
    begin = time.perf_counter()
    answer = solve(problem)
    seconds = time.perf_counter() - begin
    np.savez(sys.argv[2], loads=answer.loads)
    print(json.dumps({"cost": answer.cost, "refused": answer.refused, "seconds": seconds, "peak_gib": _peak_gib()}))


def tiny() -> Problem:
    """One parcel on one departure, to compile kernels with."""
    one = np.ones(1, np.int64)
    return Problem(0 * one, one, one, 2 * one, one.astype(float), one, 0 * one, one, 0 * one, one, 1e-3, 60.0)


def _peak_gib() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 2**20
