"""Plans in fresh processes: what one measured is not what another left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers.process import ROOT


def once(feed: Path, orders: Path, out: Path, *, days: int, outcomes: int, threads: int) -> dict[str, Any]:
    """Plan in a fresh process and give what it measured. Raises RuntimeError when the process fails."""
    command = [sys.executable, "-m", "benchmarks.planning.once", str(feed), str(orders), str(out)]
    command += [str(days), str(outcomes), str(threads)]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"planning {orders} ended with {ended.returncode}; its own message stands above")
    return json.loads(ended.stdout.splitlines()[-1])
