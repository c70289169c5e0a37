"""Promises: quotes asked for on a timetable that does not wait for answers, as shoppers do."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.form import Result, Say, Show, Table
from benchmarks.record.served import Served, ready_at, serving
from benchmarks.record.sizes import Size

SLOWEST_MS = 15
QUESTIONS = 2_000
WEIGHTS = (500, 2_000, 8_000)
SOONEST_H, LATEST_H = 1.0, 20.0


def run(size: Size, say: Say) -> Result:
    """Ask for each destination, weight and day once, then at the rate."""
    with serving(size.sample) as served:
        _, key = served.party("Shop Example")
        bodies, warm = questions(served)
        say(f"{warm} cold quotes, then {size.quotes_a_second} a second for {size.quote_seconds} s")
        told = ask(served, key, bodies, warm, size)
        door, postgres = told["theirs"]
    cold = told["cold_ms"]
    bad = sum(many for status, many in told["statuses"].items() if status != "200") + told["lost"]
    name = f"promise at {size.quotes_a_second}/s"
    return Result(
        shows=[
            Show(f"{name}: p99", told["ms"]["99"], "ms", f"<= {SLOWEST_MS}"),
            Show(f"{name}: p50", told["ms"]["50"], "ms"),
            Show(f"{name}: slowest", told["ms"]["100"], "ms"),
            Show(f"{name}: answers that were no 200", bad, "answers", "<= 0"),
            Show(f"{name}: answers with an offer", 100 * told["offered"] / told["asked"], "%"),
            Show("promise, cold: median of the first of its kind", cold[len(cold) // 2], "ms"),
            Show("promise, cold: slowest of the first of its kind", cold[-1], "ms"),
        ],
        tables=[
            Table(
                f"quotes by API, {size.quote_connections} connections",
                ("quotes", "s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "most ms", "server CPU %",
                 "PostgreSQL CPU %", "client CPU %", "client late ms (p99)"),
                [(told["asked"], told["seconds"], *told["ms"].values(), 100 * door / told["seconds"],
                  100 * postgres / told["seconds"], 100 * told["cpu"] / told["seconds"], told["late_ms"])],
                "Poisson arrivals; latency from when a question was due, so that queueing counts; origins, "
                f"destinations, times, pieces and {len(WEIGHTS)} weights drawn from a seed. Cold: {len(cold)} kinds of "
                "destination, weight and day asked for before, one at a time.",
            )
        ],
    )  # fmt: skip


def questions(served: Served) -> tuple[list[bytes], int]:
    """(bodies of POST /quotes, how many of them stand first that ask for each destination, weight and day once)."""
    draw, zones, origins = random.Random(11), served.zones(), served.origins()

    def body(zone: tuple[str, str], weight_g: int, hours: float) -> bytes:
        told: dict[str, Any] = {
            "from": {"node": draw.choice(origins)},
            "to": {"country": zone[0], "postal_code": zone[1]},
            "ready_at": ready_at(hours),
            "weight_g": weight_g,
            "pieces": draw.choice((1, 1, 1, 2, 3)),
        }
        return json.dumps(told).encode()

    each = [body(zone, weight, hours) for hours in (SOONEST_H, LATEST_H) for zone in zones for weight in WEIGHTS]
    drawn = [
        body(draw.choice(zones), draw.choice(WEIGHTS), draw.uniform(SOONEST_H, LATEST_H)) for _ in range(QUESTIONS)
    ]
    return each + drawn, len(each)


def ask(served: Served, key: str, bodies: list[bytes], warm: int, size: Size) -> dict[str, Any]:
    """Runs the asking process to its end."""
    with tempfile.TemporaryDirectory(prefix="rookery-bench-") as folder:
        file = Path(folder) / "questions.jsonl"
        file.write_bytes(b"\n".join(bodies))
        whose = f"{served.door()},{served.postgres()}"
        numbers = (size.quote_connections, size.quotes_a_second, size.quote_seconds)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.record.asking", served.url, *map(str, numbers), str(file), str(warm),
             whose],
            input=key + "\n", capture_output=True, text=True, timeout=600 + 2 * size.quote_seconds,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the client failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout)
