"""Scans at a fixed rate through a real server: how long after it was accepted each is in its parcel's chance, whether
any was lost on the way, and whether the chances are those that follow from the events alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.form import Result, Say, Show, Table
from benchmarks.live.booked import PATIENCE_S, Booked, booked
from benchmarks.live.lives import batched, scans_of
from benchmarks.live.pacing import sent_at
from benchmarks.live.sizes import Size
from benchmarks.record.served import Served, children, cpu_seconds, serving, words
from benchmarks.tracking.parcels import bulk_url, unbound
from rookery.base.db import MAIN, Cluster
from rookery.network import read_feed

ROOT = Path(__file__).parents[2]
WITHIN_S = 1.0
"""After so many seconds an accepted scan is to be in its parcel's chance."""
GAP = "seconds between two looks of the watcher, 99 of 100"
SHARES = (50.0, 90.0, 99.0, 99.9, 100.0)


def run(size: Size, say: Say) -> Result:
    """Book, scan, then recount."""
    with serving(size.sample, roomy=True) as served, unbound(served) as conn:
        made = booked(served, size.parcels, datetime.now(UTC), say)
        nodes = read_feed(served.feed).nodes["node_id"].to_list()
        many = size.scans_a_second * size.scan_seconds
        scans = batched(scans_of(made.legs, many, size.scan_seconds, nodes), size.scan_batch, size.connections)
        # so that what became visible is found without reading every row; a write more for each look
        conn.execute("create index chances_watched on tracking.chances (looked_at)")
        conn.commit()
        say(f"{scans.height:,} scans of {made.parcels:,} parcels, {size.scans_a_second:,} a second")
        seen = handed_in(served, made, scans, conn)
        say("chances are counted again from the events")
        again = recounted(served)
        faults = lost(conn, seen.scans)
    return _shown(size, seen, faults, again)


class Watched:
    """What was sent and what was seen of it. scans: with `sent_at` (microseconds since 1970); accepted, due and seen
    are seconds since 1970.
    """

    def __init__(self, scans: pl.DataFrame, batches: pl.DataFrame, looks: pl.DataFrame, used: dict[str, float]):
        self.batches, self.looks, self.used = batches, looks, used
        self.scans = visible(scans.join(batches, on="batch", how="left"), looks)

    def seconds(self, since: str) -> np.ndarray:
        """For each accepted scan the seconds from `since` (accepted, due) until it was in a chance; inf = never."""
        took = self.scans.filter(pl.col("status") == 200).select(pl.col("seen") - pl.col(since)).to_series()
        return np.sort(took.clip(lower_bound=0.0).fill_null(np.inf).to_numpy())  # a later event may be seen first


def visible(scans: pl.DataFrame, looks: pl.DataFrame) -> pl.DataFrame:
    """Scans (epc, sent_at) with when the first look was `seen` whose row goes by them or a later event; null = none."""
    first = looks.group_by("epc", "at").agg(pl.col("seen").min()).sort("at")
    return scans.sort("sent_at").join_asof(
        first, left_on="sent_at", right_on="at", by="epc", strategy="forward", check_sortedness=False
    )


def handed_in(served: Served, made: Booked, scans: pl.DataFrame, conn: psycopg.Connection) -> Watched:
    """Scans sent on their timetable by one process, looks noted by another."""
    with tempfile.TemporaryDirectory(prefix="rookery-live-") as name:
        folder = Path(name)
        scans.write_parquet(folder / "scans.parquet")
        before = _used(served)
        with watching(served, folder / "looks.parquet") as watcher:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.live.pacing", served.url, str(folder / "scans.parquet"),
                 str(folder / "batches.parquet")],
                input=json.dumps(made.couriers) + "\n", capture_output=True, text=True, timeout=7200, cwd=ROOT,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(f"the client failed: {done.stderr[-2000:]}")
            drained(conn)
            used = {name: after - before[name] for name, after in _used(served).items()}
        client = json.loads(done.stdout)
        if client["odd"]:
            raise RuntimeError(f"POST /scans was answered {client['odd'][0]}")
        used |= {"client": client["cpu"], **watcher}
        scans = scans.with_columns(sent_at=sent_at(client["begin"]))
        return Watched(
            scans, pl.read_parquet(folder / "batches.parquet"), pl.read_parquet(folder / "looks.parquet"), used
        )


@contextmanager
def watching(served: Served, out: Path) -> Iterator[dict[str, float]]:
    """Looks are noted meanwhile; what the noting took is told when it is over."""
    told: dict[str, float] = {}
    with Cluster(served.data) as cluster:
        address = make_conninfo(bulk_url(cluster.urls().maintain), dbname=MAIN)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.live.watching", str(out)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(address + "\n")
        process.stdin.flush()
        try:
            process.stdout.readline()  # it looks
            yield told
            process.stdin.close()
            line = json.loads(process.stdout.readline())
            told |= {"watcher": line["cpu"], GAP: line["gap_s"]}
            process.wait(60)
        finally:
            process.kill()
            process.wait()


def drained(conn: psycopg.Connection) -> None:
    """Until no parcel waits to be looked at."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        row = conn.execute("select exists (select from tracking.moved where not test)").fetchone()
        conn.commit()
        if row == (False,):
            time.sleep(1.0)  # so that the last look is noted
            return
        time.sleep(0.1)
    raise RuntimeError("parcels still wait to be looked at")


def recounted(served: Served) -> dict[str, Any]:
    """What a process of its own makes of the events."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.live.recount", str(served.data)],
        capture_output=True, text=True, timeout=3600, cwd=ROOT,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the recount failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def lost(conn: psycopg.Connection, scans: pl.DataFrame) -> dict[str, int]:
    """Accepted scans that are not among the events once, and events that nobody sent."""
    rows = conn.execute(
        "select epc, (extract(epoch from event_at) * 1000000)::bigint, count(*) from tracking.event_epcs"
        " where not test group by 1, 2"
    ).fetchall()
    conn.commit()
    events = pl.DataFrame(rows, schema={"epc": pl.String, "sent_at": pl.Int64, "times": pl.Int64}, orient="row")
    sent = scans.filter(pl.col("status") == 200).group_by("epc", "sent_at").agg(sent=pl.len().cast(pl.Int64))
    both = sent.join(events, on=["epc", "sent_at"], how="full", coalesce=True).fill_null(0)
    return {
        "accepted and no event": int((both["sent"] - both["times"]).clip(0).sum()),
        "events beyond those accepted": int((both["times"] - both["sent"]).clip(0).sum()),
    }


def _used(served: Served) -> dict[str, float]:
    door = served.door()
    workers = [pid for pid in children(served.process.pid) if b"rookery.doors.worker" in words(pid)]
    return {
        "HTTP server": cpu_seconds(door), "worker": sum(map(cpu_seconds, workers)),
        "PostgreSQL": cpu_seconds(served.postgres()),
    }  # fmt: skip


def _shown(size: Size, seen: Watched, faults: dict[str, int], again: dict[str, Any]) -> Result:
    accepted, due = seen.seconds("accepted"), seen.seconds("due")
    span = float(seen.batches["accepted"].max() - seen.batches["due"].min())  # type: ignore[operator]
    late = seen.batches.select(pl.col("sent") - pl.col("due")).to_series().quantile(0.99) or 0.0
    name = f"{size.scans_a_second:,} scans/s for {size.scan_seconds} s"
    rows = [
        (what, *(_share(took, share) for share in SHARES))
        for what, took in (
            ("accepted until in the chance", accepted), ("due until in the chance", due),
            ("due until accepted", np.sort((seen.batches["accepted"] - seen.batches["due"]).to_numpy())),
        )
    ]  # fmt: skip
    facts = [
        ("scans accepted", accepted.size), ("batches", seen.batches.height), ("looks seen", seen.looks.height),
        ("client: 99 of 100 batches sent late by, s", late),
        *((who if who == GAP else f"{who}, CPU s", took) for who, took in seen.used.items()),
        *faults.items(), *((f"recount: {what}", many) for what, many in again.items()),
    ]  # fmt: skip
    missing = sum(faults.values()) + int(np.isinf(accepted).sum()) + again["stale"] + again["unlooked"]
    return Result(
        shows=[
            Show(f"{name}: accepted", accepted.size / span, "scans/s", f">= {0.98 * size.scans_a_second:g}"),
            Show(f"{name}: accepted scan to chance, p50", _share(accepted, 50), "s"),
            Show(f"{name}: accepted scan to chance, p99", _share(accepted, 99), "s", f"<= {WITHIN_S:g}"),
            Show(f"{name}: accepted scan to chance, most", _share(accepted, 100), "s"),
            Show(f"{name}: scan due to chance, p99", _share(due, 99), "s"),
            Show(f"{name}: lost, doubled or not in a chance", missing, "scans", "<= 0"),
            Show(f"{name}: chances that differ from an offline recount", again["differ"], "parcels", "<= 0"),
        ],
        tables=[
            Table("seconds", ("from .. until", *(f"{share:g}%" for share in SHARES)), rows),
            Table("what was seen of it", ("what", "value"), facts,
                  "Departures hold whatever is booked. The watcher's index is one more for PostgreSQL to keep."),
        ],
    )  # fmt: skip


def _share(took: np.ndarray, percent: float) -> float:
    """Of sorted seconds the one that so many percent do not exceed; a day for what never came."""
    if not took.size:
        return 0.0
    return float(min(86_400.0, took[min(took.size - 1, int(percent / 100 * took.size))]))
