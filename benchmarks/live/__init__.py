"""The live side: chances after scans, a closed hub, cases held against the twin's truth, and webhooks."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.form import Result, Say
from benchmarks.live.sizes import FULL, LONG, SMALLEST


def _part(module: str) -> Callable[[Any, Say], Result]:
    """A part that is imported when it runs: its clients are processes of this package, and start often."""
    return lambda size, say: import_module(f"benchmarks.live.{module}").run(size, say)


PARTS = {name: _part(name) for name in ("scans", "closure", "truth", "webhooks")}

__all__ = ["FULL", "LONG", "PARTS", "SMALLEST"]
