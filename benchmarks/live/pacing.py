"""Hands scans in on a timetable, whatever the answers take, in a process of its own:
`python -m benchmarks.live.pacing URL FILE OUT`, the keys on stdin as a JSON object by carrier.

FILE (Parquet, in order of `batch`) has the scans: stream, batch, happened_s, due_s (of the batch; both in seconds after
the beginning, which is when all is prepared), carrier, number, code, node. Each stream is one connection. A batch
whose connection still waits for the answer before goes out as soon as that is there; how late is told. OUT gets a row
for each batch: batch, due, sent and accepted (seconds since 1970), status, taken. Prints one line of JSON: when it
began, CPU seconds, and an odd answer.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from benchmarks.record.wire import Wire, asked

BATCHES: dict[str, Any] = {
    "batch": pl.Int64, "due": pl.Float64, "sent": pl.Float64, "accepted": pl.Float64, "status": pl.Int64,
    "taken": pl.Int64,
}  # fmt: skip
LEAD_S = 2.0
"""So long it takes to prepare all batches, at most."""
_SCAN = ("number", "at", "code", "node")


def sent_at(begin: float) -> pl.Expr:
    """When a scan happened, in microseconds since 1970: whole milliseconds, as devices tell them."""
    return ((pl.col("happened_s") + begin) * 1000).cast(pl.Int64) * 1000


def paced(url: str, begin: float, keys: dict[str, str], scans: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """All batches handed in: BATCHES, and the first odd answers."""
    told = pl.from_epoch(sent_at(begin), time_unit="us").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    streams = [
        part.partition_by("batch", maintain_order=True) for part in scans.with_columns(at=told).partition_by("stream")
    ]
    rows: list[tuple[int, float, float, float, int, int]] = []
    odd: list[str] = []
    lock = threading.Lock()

    def one(stream: list[pl.DataFrame]) -> None:
        with Wire(url, 300.0) as wire:
            for part in stream:
                batch, due, carrier = part.row(0, named=True)["batch"], begin + part["due_s"][0], part["carrier"][0]
                body = msgspec.json.encode({"scans": part.select(*_SCAN).to_dicts(), "vocabulary": "rookery"})
                time.sleep(max(0.0, due - time.time()))
                sent = time.time()
                answer = wire.ask(asked("POST", "/scans", keys[carrier], body))
                accepted = time.time()
                told = json.loads(answer.body) if answer.status == 200 else {"taken": 0, "refused": 0}
                with lock:
                    rows.append((batch, due, sent, accepted, answer.status, told["taken"]))
                    if answer.status != 200 or told["refused"]:
                        odd.append(answer.body[:500].decode(errors="replace"))

    threads = [threading.Thread(target=one, args=(stream,)) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return pl.DataFrame(rows, schema=BATCHES, orient="row"), odd[:1]


if __name__ == "__main__":
    where, file, out = sys.argv[1:]
    secrets, rows_of_all = json.loads(sys.stdin.readline()), pl.read_parquet(Path(file))
    begins = time.time() + LEAD_S
    batches, strange = paced(where, begins, secrets, rows_of_all)
    batches.write_parquet(out)
    print(json.dumps({"begin": begins, "cpu": time.process_time(), "odd": strange}))
