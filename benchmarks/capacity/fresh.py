"""Plans in fresh processes: what one measured is not what another left behind. A case is planned once a run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks import peak_day
from benchmarks.capacity import free_flow
from benchmarks.capacity.case import Case, Found
from benchmarks.capacity.problem import PeakDay
from benchmarks.peers.process import ROOT

Answer = TypeVar("Answer")


@cache
def planned(case: Case) -> Found:
    """Plan a case. Raises RuntimeError when the process fails."""
    return asked("benchmarks.capacity.once", case, Found)


def asked(module: str, case: Case, kind: type[Answer]) -> Answer:
    """What `python -m module CASE ROOM` prints last, as a `kind`. Raises RuntimeError when it fails."""
    with TemporaryDirectory() as name:
        told, room = Path(name) / "case.json", Path(name) / "room.npz"
        told.write_bytes(msgspec.json.encode(case))
        np.savez(room, allow_pickle=False, **capacities(case))
        command = [sys.executable, "-m", module, str(told), str(room)]
        ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{module} ended with {ended.returncode}; its own message stands above")
    return msgspec.json.decode(ended.stdout.splitlines()[-1], type=kind)


def capacities(case: Case) -> dict[str, NDArray[np.float64]]:
    """What repeating departures hold, as `peak_day.feed` takes it: the plain form counts parcels alone."""
    source = case.scaled_from or case.day.parcels
    each = _capacities(replace(case.day, parcels=source))
    scaled = {name: np.ceil(held * (case.day.parcels / source)) for name, held in each.items()}
    return {"capacity_parcels": scaled["capacity_parcels"]} if case.form == "plain" else scaled


@cache
def _capacities(day: PeakDay) -> dict[str, NDArray[np.float64]]:
    return free_flow.capacities(day.network, day.parcels)


def overloaded(day: PeakDay) -> int:
    """Departures of the plain form that carry more than they hold when every parcel goes its cheapest way."""
    carried, _ = free_flow.loads(day.network, day.parcels)
    return int((carried > peak_day.every_day(day.network, _capacities(day)["capacity_parcels"])).sum())
