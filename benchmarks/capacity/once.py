"""One peak day planned in a process of its own, timed.

Called as `python -m benchmarks.capacity.once CASE.json ROOM.npz`; prints one line of JSON. The clock runs from placed
parcels and a compiled timetable in memory to finished itineraries, after tiny plans that had the kernels loaded.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from benchmarks.capacity.case import Case, Found
from benchmarks.capacity.counted import counted
from benchmarks.capacity.instance import laid_out
from benchmarks.capacity.problem import PeakDay
from benchmarks.planning.once import peak_gib
from rookery.planning.capacity import solve
from rookery.planning.capacity.solve import Effort
from rookery.planning.ops import Batch, plan_batch
from rookery.planning.results import parcel_numbers, violations

TINY = PeakDay(12, 3, 3, 300, 500)
HARDLY_ANY = 2.0
"""Parcels a departure holds when kernels are loaded: so few that all of them are needed."""


def loaded(case: Case) -> float:
    """Seconds that tiny plans like this one took, in 8-byte numbers and, as large ones are, in 4-byte ones."""
    begin = time.perf_counter()
    few = np.full(len(TINY.network.frm), HARDLY_ANY)
    model, parcels = laid_out(replace(case, day=TINY), {"capacity_parcels": few, "capacity_g": 1000 * few})
    cells = solve.EXACT_CELLS
    for solve.EXACT_CELLS in (0.0, cells):
        plan_batch(model, parcels, effort=Effort(0.0, 1e-3), threads=case.threads)
    return time.perf_counter() - begin


def found(case: Case, room: dict[str, np.ndarray]) -> Found:
    """Plan a case."""
    kernels = loaded(case)
    model, parcels = laid_out(case, room)
    ready_gib = peak_gib()
    begin = time.perf_counter()
    batch = plan_batch(model, parcels, effort=Effort(case.gap, case.seconds), threads=case.threads)
    seconds = time.perf_counter() - begin
    peak = peak_gib()
    cost, bound, free_bound, refused, stranded = judged(parcels, batch)
    certificate = batch.certificate
    stages = dict(certificate.seconds) if certificate else {}
    return Found(
        seconds=seconds,
        stages=stages | {"other": max(0.0, seconds - sum(stages.values()))},
        kernels=kernels,
        peak_gib=peak,
        ready_gib=ready_gib,
        departures=len(model.timetable.cutoff),
        columns=batch.assignment.columns,
        iterations=certificate.iterations if certificate else 0,
        cost=cost,
        bound=bound,
        free_bound=free_bound,
        refused=refused,
        stranded=stranded,
        violations=violations(model, batch.assignment.loads),
        counted=counted(model, parcels, batch) if case.outcomes == 1 else None,
    )


def judged(parcels: pl.DataFrame, batch: Batch) -> tuple[float, float, float, int, int]:
    """Cost, bound, bound when nothing is ever full; parcels refused for lack of room, parcels without any way."""
    numbers, certificate = parcel_numbers(parcels, batch.assignment, batch.which), batch.certificate
    pieces, planned = numbers["pieces"], numbers["planned"]
    apart = float(numbers["bound" if certificate is None else "least"][~batch.certified].sum())
    bound, free = (certificate.bound, certificate.free_bound) if certificate else (0.0, 0.0)
    refused = pieces[batch.reachable & ~planned].sum()
    return (
        float(numbers["cost"].sum()), apart + bound, apart + free, int(refused), int(pieces[~planned].sum() - refused)
    )  # fmt: skip


def given() -> tuple[Case, dict[str, np.ndarray]]:
    """The case and the capacities named on the command line."""
    _, case, room = sys.argv
    return msgspec.json.decode(Path(case).read_bytes(), type=Case), dict(np.load(room))


if __name__ == "__main__":
    print(msgspec.json.encode(found(*given())).decode())
