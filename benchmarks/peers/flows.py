"""The planner's side of the peers that plan under capacity: gives one a problem and waits for its answer, or not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.peers.problem import Answer, Problem
from benchmarks.peers.process import ROOT

FLOWS = {
    "HiGHS arc LP": "benchmarks.peers.highs_lp",
    "OR-Tools min-cost flow": "benchmarks.peers.ortools_flow",
    "greedy, first come first served": "benchmarks.peers.greedy",
}


Size = TypeVar("Size")


def answer(name: str, problem: Problem, folder: Path, limit: float) -> Answer | None:
    """What a peer finds in a process of its own, None when that takes more than `limit` seconds.

    Raises RuntimeError when it fails, or when it overloads a departure by more than a millionth.
    """
    asked, answered = folder / "problem.npz", folder / "answer.npz"
    problem.save(asked)
    command = [sys.executable, "-m", FLOWS[name], str(asked), str(answered)]
    try:
        ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    if ended.returncode:
        raise RuntimeError(f"{name} ended with {ended.returncode}; its own message stands above")
    found = Answer(loads=np.load(answered)["loads"], **json.loads(ended.stdout.splitlines()[-1]))
    if found.over(problem) > 1e-6:
        raise RuntimeError(f"{name} overloads a departure by {found.over(problem):.2g} of its capacity")
    return found


def largest(
    name: str, sizes: Iterable[Size], problem: Callable[[Size], Problem], folder: Path, limit: float
) -> tuple[Size, Problem, Answer] | None:
    """The last of ascending sizes that a peer finishes within `limit` seconds, with the problem and its answer."""
    best = None
    for size in sizes:
        asked = problem(size)
        found = answer(name, asked, folder, limit)
        if found is None:
            break
        best = size, asked, found
    return best
