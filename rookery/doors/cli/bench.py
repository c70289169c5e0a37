"""Benchmarks live beside the package in a source checkout; this finds and runs one."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import rookery
from rookery.terms.errors import NotFound

ROOT = Path(rookery.__file__).resolve().parents[1]


def benchmarks_here() -> list[str]:
    """Names of the benchmarks of this checkout; none where the package is installed without its source."""
    folder = ROOT / "benchmarks"
    if not (folder / "__init__.py").is_file():
        return []
    return sorted(file.stem for file in folder.glob("*.py") if re.search(r"^def main\(", file.read_text(), re.M))


def run_benchmark(name: str, arguments: list[str]) -> int:
    """Run benchmark `name`; the exit code. Raises NotFound when it is not there."""
    here = benchmarks_here()
    if not here:
        raise NotFound(
            "bench.not_here",
            "Benchmarks are part of the source checkout and this is an installed package.",
            "clone the repository and call ./run bench there",
        )
    if name not in here:
        raise NotFound("bench.unknown", f"There is no benchmark {name!r}.", f"choose one of: {', '.join(here)}")
    sys.path.insert(0, str(ROOT))
    return importlib.import_module(f"benchmarks.{name}").main(arguments) or 0
