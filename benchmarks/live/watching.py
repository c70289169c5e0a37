"""Notes when looks at parcels become visible, in a process of its own: `python -m benchmarks.live.watching OUT`, the
database's address on stdin; it ends when stdin does.

OUT (Parquet) gets a row for each look seen: epc, at (of the event that its row goes by, microseconds since 1970),
event_no, seen (seconds since 1970, when the answer that shows it had come). Prints a line when it looks, and at the end
one of JSON: its CPU seconds, how many times it looked, and the 99th percentile of the seconds between two looks.
"""

from __future__ import annotations

import json
import select
import sys
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import psycopg

EVERY_S = 0.05
SEEN: dict[str, Any] = {"epc": pl.String, "at": pl.Int64, "event_no": pl.Int64, "seen": pl.Float64}
_SELECT = (
    "select epc, (extract(epoch from at) * 1000000)::bigint, event_no, looked_at from tracking.chances"
    " where looked_at > %s and not test and at is not null"
)


def watch(conn: psycopg.Connection) -> tuple[pl.DataFrame, list[float]]:
    """SEEN until stdin ends, and when it was looked. One alone takes turns: what shows later was looked at later."""
    rows: list[tuple[str, int, int, float]] = []
    looks: list[float] = []
    since = datetime(1970, 1, 1, tzinfo=UTC)
    while not select.select([sys.stdin], [], [], EVERY_S)[0]:  # ends when it is closed
        found = conn.execute(_SELECT, (since,)).fetchall()
        seen = time.time()
        looks.append(seen)
        if len(looks) == 1:
            print("looks", flush=True)
        rows += [(epc, at, event_no, seen) for epc, at, event_no, _ in found]
        since = max((looked_at for *_, looked_at in found), default=since)
    return pl.DataFrame(rows, schema=SEEN, orient="row"), looks


if __name__ == "__main__":
    with psycopg.connect(sys.stdin.readline().strip(), autocommit=True) as connection:
        frame, when = watch(connection)
    frame.write_parquet(sys.argv[1])
    gaps = np.diff(when) if len(when) > 1 else np.zeros(1)
    print(json.dumps({"cpu": time.process_time(), "looks": len(when), "gap_s": float(np.percentile(gaps, 99))}))
