"""Benchmarks live beside the package in a source checkout; this finds and runs one."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import rookery
from rookery.terms.errors import NotFound

ROOT = Path(rookery.__file__).resolve().parents[1]


def run_benchmark(name: str, arguments: list[str]) -> int:
    """Run benchmark `name` with the arguments of benchmarks/run.py; its exit code. NotFound when there is none."""
    if not (ROOT / "benchmarks" / "run.py").is_file():
        raise NotFound(
            "bench.not_here",
            "Benchmarks are part of the source checkout, and this is an installed package.",
            "clone the repository and call ./run bench there",
        )
    sys.path.insert(0, str(ROOT))
    runner: Any = importlib.import_module("benchmarks.run")
    if name not in runner.BENCHES:
        known = ", ".join(sorted(runner.BENCHES))
        raise NotFound("bench.unknown", f"There is no benchmark {name!r}.", f"choose one of: {known}")
    return runner.main([name, *arguments])
