"""Orders in: by API in batches, for people never seen and seen before, by file, and COPY of the same rows beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.form import Result, Say, Show, Table
from benchmarks.record.copying import Copied, copy_of
from benchmarks.record.people import ABROAD, batches, sheet
from benchmarks.record.served import Served, command, cpu_seconds, ready_at, serving
from benchmarks.record.sizes import Size
from benchmarks.record.wire import Wire, asked
from rookery.base.db import Cluster

LOOK_S = 0.1
FIRST, AGAIN = 2_000, 10_000
"""Orders a second that are to be accepted: with every address checked, and of those checked before."""


def run(size: Size, say: Say) -> Result:
    """Take the same orders each way, one after the other, each timed from outside."""
    with serving(size.sample, countries=ABROAD) as served:
        party, key = served.party("Shop Example")
        start, ready = served.origins()[0], ready_at(24)
        say("warming up")
        by_api(served, key, batches(2 * size.batch, size.batch, "W", 10**7, start, ready), size.connections)
        say(f"{size.orders:,} orders by API to people never seen")
        first = by_api(served, key, batches(size.orders, size.batch, "A", 0, start, ready), size.connections)
        say(f"{size.orders:,} orders by API to the same people")
        again = by_api(served, key, batches(size.orders, size.batch, "B", 0, start, ready), size.connections)
        say(f"{size.rows:,} rows by `rookery orders import`")
        imported = by_command(served, party, sheet(size.rows, "C", 2 * 10**6, start, ready))
        say(f"{size.rows:,} rows by upload")
        uploaded = by_upload(served, key, sheet(size.rows, "D", 5 * 10**6, start, ready))
        say("COPY of the same rows")
        with Cluster(served.data) as cluster:
            limit = copy_of(cluster, party, "A", size.batch)
    return _told(size, first, again, imported, uploaded, limit)


def by_api(served: Served, key: str, bodies: list[bytes], connections: int) -> dict[str, Any]:
    """Hands bodies in from a process of its own, and tells what server and client used of the processors."""
    with tempfile.TemporaryDirectory(prefix="rookery-bench-") as folder:
        for at, body in enumerate(bodies):
            (Path(folder) / f"{at:06d}").write_bytes(body)
        door, postgres = cpu_seconds(served.door()), cpu_seconds(served.postgres())
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.record.feeding", served.url, str(connections), folder],
            input=key + "\n", capture_output=True, text=True, timeout=1800, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the client failed: {done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    told["door_cpu"] = cpu_seconds(served.door()) - door
    told["postgres_cpu"] = cpu_seconds(served.postgres()) - postgres
    return {"created": 0, "repeated": 0, "refused": 0, "warned": 0, "failed": 0} | told


def by_command(served: Served, party: str, content: bytes) -> dict[str, Any]:
    """`rookery orders import` from its start to its end."""
    with tempfile.TemporaryDirectory(prefix="rookery-bench-") as folder:
        file = Path(folder) / "orders.csv"
        file.write_bytes(content)
        began = time.perf_counter()
        told = command("orders", "import", str(file), "--party", party, "--data", str(served.data), "--json")
    return {"seconds": time.perf_counter() - began, "created": told["taken"], "refused": told["refused"]}


def by_upload(served: Served, key: str, content: bytes, most_s: float = 600.0) -> dict[str, Any]:
    """POST /order-uploads until the job has taken the last row."""
    began = time.perf_counter()
    with Wire(served.url, 300.0) as wire:
        answer = wire.ask(asked("POST", "/order-uploads", key, content, "text/csv"))
        if answer.status != 202:
            raise RuntimeError(f"the upload was answered {answer.status}: {answer.body[:500]!r}")
        upload_id, sent = json.loads(answer.body)["upload_id"], time.perf_counter() - began
        while True:
            told = json.loads(wire.ask(asked("GET", f"/order-uploads/{upload_id}", key)).body)
            seconds = time.perf_counter() - began
            if told["state"] in ("done", "failed") or seconds > most_s:
                return {"seconds": seconds, "sent_s": sent, "created": told["taken"], "refused": told["refused"]}
            time.sleep(LOOK_S)


def _told(size: Size, first: dict, again: dict, imported: dict, uploaded: dict, limit: Copied) -> Result:
    rate = {name: told["created"] / told["seconds"] for name, told in
            (("first", first), ("again", again), ("import", imported), ("upload", uploaded))}  # fmt: skip
    whole, batched = limit.orders / limit.whole_s, limit.orders / limit.batched_s
    lost = 2 * size.orders - first["created"] - again["created"] + 2 * size.rows - imported["created"]
    lost += first["warned"] + again["warned"] - uploaded["created"]
    rows: list[tuple] = []
    names = (("never seen", "first", first), ("seen before", "again", again))
    for name, what, told in names:
        rows.append((
            f"API, batches of {size.batch}, {name}", told["created"], told["seconds"], rate[what], rate[what] / batched,
            1000 * told["median_s"], told["door_cpu"], told["postgres_cpu"], told["cpu"],
        ))  # fmt: skip
    for name, what, told in (("rookery orders import", "import", imported), ("upload and job", "upload", uploaded)):
        rows.append((f"file: {name}", told["created"], told["seconds"], rate[what], rate[what] / whole, *("",) * 4))
    rows += [
        (f"COPY, transactions of {size.batch}", limit.orders, limit.batched_s, batched, 1.0, *("",) * 4),
        ("COPY, all at once", limit.orders, limit.whole_s, whole, whole / batched, *("",) * 4),
    ]
    return Result(
        shows=[
            Show("intake by API, people never seen", rate["first"], "orders/s", f">= {FIRST}"),
            Show("intake by API, people checked before", rate["again"], "orders/s", f">= {AGAIN}"),
            Show("intake by file, rookery orders import", rate["import"], "orders/s", f">= {FIRST}"),
            Show("intake by file, upload and job", rate["upload"], "orders/s", f">= {FIRST}"),
            Show("COPY of the same rows, batch by batch", batched, "orders/s"),
            Show("COPY of the same rows, all at once", whole, "orders/s"),
            Show("intake by API, people never seen, of COPY batch by batch", 100 * rate["first"] / batched, "%"),
            Show("intake by API, people checked before, of COPY batch by batch", 100 * rate["again"] / batched, "%"),
            Show("intake: good orders not taken or warned about", lost, "orders", "<= 0"),
            Show("intake: the client's own share of a core", 100 * first["cpu"] / first["seconds"], "%"),
        ],
        tables=[
            Table(
                f"orders taken, {size.connections} connections",
                ("way", "orders", "s", "orders/s", "of COPY", "ms a batch", "server CPU s", "PostgreSQL CPU s",
                 "client CPU s"),
                rows,
                "each order: a full address with telephone and e-mail, checked by its country's rules and sealed with "
                "a key of its own; one item line. Files: people never seen, from the program's start to its end. COPY: "
                "orders, items and sealed people alone, over one connection into the same tables with all indexes: "
                f"{limit.rows:,} rows.",
            )
        ],
    )  # fmt: skip
