"""The event hash beside the standard's reference implementation: the same events, each in its own process."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.form import Result, Say, Show, Table
from benchmarks.tracking.life import QUICK
from benchmarks.tracking.making import CONTEXT, document, event, scans
from benchmarks.tracking.sizes import Size

REFERENCE = "epcis_event_hash_generator"
REPEATS = 3


def run(size: Size, say: Say) -> Result:
    """Hash the same events by both and compare every answer. Raises ModuleNotFoundError without the reference."""
    if importlib.util.find_spec(REFERENCE) is None:
        raise ModuleNotFoundError(f"No module named {REFERENCE!r}", name="epcis-event-hash-generator")
    now = datetime(2026, 3, 2, tzinfo=UTC)
    made = [event(scan) for scan in scans(QUICK, ["A", "B", "C"], 0, 1 + size.hashes // 80, now)][: size.hashes]
    with tempfile.TemporaryDirectory(prefix="rookery-bench-") as folder:
        file = Path(folder) / "document.json"
        file.write_bytes(document(made, now))
        say(f"{len(made):,} events, ours and the reference in turn")
        told: dict[str, list[dict[str, Any]]] = {"rookery": [], REFERENCE: []}
        for _ in range(REPEATS):
            for whose, runs in told.items():
                runs.append(_hashed(whose, file))
    best = {whose: min(one["seconds"] for one in runs) / len(made) * 1e6 for whose, runs in told.items()}
    ours, theirs = told["rookery"][0]["hashes"], told[REFERENCE][0]["hashes"]
    other = sum(a != b for a, b in zip(ours, theirs)) + abs(len(ours) - len(theirs))
    return Result(
        shows=[
            Show("event hash", best["rookery"], "us/event"),
            Show("event hash by the reference", best[REFERENCE], "us/event"),
            Show("event hash: the reference's time of ours", best[REFERENCE] / best["rookery"], "x"),
            Show("event hash: answers that differ from the reference's", other, "hashes", "<= 0"),
        ],
        tables=[
            Table(
                "hashes of the same events", ("by", "events", "us/event", "events/s"),
                [(whose, len(made), us, 1e6 / us) for whose, us in best.items()],
                f"from decoded JSON to the hash, one core, the best of {REPEATS} processes each, in turn; "
                "85% object events of one EPC, 15% aggregation events of twenty.",
            )
        ],
    )  # fmt: skip


def _hashed(whose: str, file: Path) -> dict[str, Any]:
    """One process of one of the two."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.tracking.hashing", whose, str(file)],
        capture_output=True, text=True, timeout=3600, cwd=Path(__file__).parents[2], env=dict(os.environ),
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"hashing by {whose} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def by_rookery(told: dict[str, Any]) -> list[str]:
    """The hashes of a document's events, as URIs."""
    from rookery.tracking.epcis.contexts import Names
    from rookery.tracking.epcis.hashing import event_hash, ni

    return [ni(event_hash(one, Names.of(CONTEXT[1:]))) for one in told["epcisBody"]["eventList"]]


def by_reference(told: dict[str, Any]) -> list[str]:
    """The same by the reference's own reading of the document."""
    from epcis_event_hash_generator import hash_generator, json_to_py  # type: ignore[import-not-found]

    return hash_generator.epcis_hashes_from_events(json_to_py.event_list_from_epcis_document_json(told))


if __name__ == "__main__":
    import time

    by = {"rookery": by_rookery, REFERENCE: by_reference}[sys.argv[1]]
    content = Path(sys.argv[2]).read_bytes()
    few = json.loads(content)
    del few["epcisBody"]["eventList"][1:]
    by(few)  # imports and tables, and nothing that is known of the others
    decoded = json.loads(content)
    began = time.perf_counter()
    found = by(decoded)
    print(json.dumps({"seconds": time.perf_counter() - began, "hashes": found}))
