"""Labels a second of one core, and whether a reader reads what was printed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.form import Result, Say, Show, Table
from benchmarks.record.sizes import Size

FASTEST = 500


def run(size: Size, say: Say) -> Result:
    """Print in a fresh process that is bound to one core."""
    say(f"{size.labels:,} labels in each form and size")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.record.printing", str(size.labels), str(size.decoded)],
        capture_output=True, text=True, timeout=1800, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"printing failed: {done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    rates = {name: size.labels / wall for name, (wall, _) in told["took"].items()}
    return Result(
        shows=[
            *(
                Show(f"labels as {form.upper()}, {mm} mm", rates[f"{form} {mm}"], "labels/s on one core",
                     f">= {FASTEST}")
                for form in ("pdf", "png", "zpl") for mm in ("100x150", "76x130")
            ),
            Show(f"labels not read back at 203 dpi, of {2 * size.decoded}", 2 * size.decoded - told["decoded"],
                 "labels", "<= 0"),
        ],
        tables=[
            Table(
                f"{size.labels:,} labels on one core",
                ("form and size", "labels/s", "s", "CPU s"),
                [(name, rates[name], wall, cpu) for name, (wall, cpu) in told["took"].items()],
                "Latin, Chinese and Arabic names in turn, half masked; the best of two runs. Read back: GS1-128, QR.",
            )
        ],
    )  # fmt: skip
