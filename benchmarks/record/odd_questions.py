"""schemathesis asks what the OpenAPI document allows and what not; the server's own counters say how it went.

The tool's findings are told too, but the figures do not depend on them: each operation's answers are counted by the
server, and each status is looked up in the document.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.form import Result, Say, Show, Table
from benchmarks.record.served import Served, serving
from benchmarks.record.sizes import Size
from benchmarks.record.wire import Wire, asked

ROOT = Path(__file__).parents[2]
SEED = 7
CHECKS = "not_a_server_error,status_code_conformance"
SCOPES = ("merchant", "courier", "station", "operator", "customs", "admin")
_COUNTED = re.compile(r'^rookery_requests_total\{operation="([^"]*)",status="([0-9]+)"\} ([0-9.e+]+)$', re.MULTILINE)


def run(size: Size, say: Say) -> Result:
    """Every operation, by examples, boundaries and chance, under a key that may do all."""
    with serving(size.sample, roomy=True) as served:
        _, key = served.party("Fuzz Example", *SCOPES)
        document = served.ask(key, "GET", "/openapi.json")
        before = counted(served, key)
        say(f"at most {size.examples} examples of each operation and phase, {size.fuzz_seconds} s")
        code, words = asked_by_schemathesis(served, key, size)
        answers = counted(served, key) - before
    told = documented(document)
    bad = {pair: many for pair, many in answers.items() if pair[1] >= 500}
    odd = {pair: many for pair, many in answers.items() if pair[1] not in told.get(pair[0], set())}
    missed = sorted(told.keys() - {name for name, _ in answers})
    found = re.findall(r"^_+ (.+?) _+$|^ *(- .+)$|^ +(. Serialization .+)$", words, re.MULTILINE)
    statuses: Counter[int] = Counter()
    for (_, status), many in answers.items():
        statuses[status] += many
    return Result(
        shows=[
            Show("schemathesis: answers of 500 and above", sum(bad.values()), "answers", "<= 0"),
            Show("schemathesis: answers of undocumented statuses", sum(odd.values()), "answers", "<= 0"),
            Show("schemathesis: operations of the document never reached", len(missed), "operations", "<= 0"),
            Show("schemathesis: answers", answers.total(), "answers"),
            Show("schemathesis: its exit code (0 = it found nothing)", code, "", "<= 0"),
        ],
        tables=[
            Table(
                f"{len(told)} operations, {answers.total():,} answers",
                ("what", "answers"),
                [(f"status {status}", many) for status, many in sorted(statuses.items())]
                + [(f"undocumented: {name} {status}", many) for (name, status), many in sorted(odd.items())]
                + [(f"at fault: {name} {status}", many) for (name, status), many in sorted(bad.items())]
                + [(f"never reached: {name}", "") for name in missed]
                + [(f"schemathesis: {line[:150]}", "") for line in dict.fromkeys("".join(parts) for parts in found)],
                "counted by the server itself; examples, coverage and fuzzing phases, one worker, a fixed seed.",
            )
        ],
    )  # fmt: skip


def asked_by_schemathesis(served: Served, key: str, size: Size) -> tuple[int, str]:
    """(exit code, what it said)."""
    with tempfile.TemporaryDirectory(prefix="rookery-bench-") as folder:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")), "run", f"{served.url}/openapi.json",
                "-H", f"Authorization: Bearer {key}", "--checks", CHECKS, "--phases", "examples,coverage,fuzzing",
                "--max-examples", str(size.examples), "--max-time", str(size.fuzz_seconds), "--seed", str(SEED),
                "--continue-on-failure", "--no-shrink", "--no-color", "--suppress-health-check", "all",
                "--generation-database", "none", "--request-timeout", "60", "--workers", "1", "--warnings", "off",
            ],
            capture_output=True, text=True, timeout=4 * size.fuzz_seconds + 120, cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "benchmarks.record.fuzz_hooks"},
        )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def counted(served: Served, key: str) -> Counter[tuple[str, int]]:
    """Answers so far by operation and status, without those that reached no operation."""
    with Wire(served.url) as wire:
        text = wire.ask(asked("GET", "/metrics", key)).body.decode()
    return Counter({(name, int(status)): int(float(many)) for name, status, many in _COUNTED.findall(text)
                    if name != "none"})  # fmt: skip


def documented(document: dict[str, Any]) -> dict[str, set[int]]:
    """The statuses that each operation of an OpenAPI document says it may answer."""
    return {
        told["operationId"]: {int(status) for status in told["responses"] if status.isdigit()}
        for methods in document["paths"].values()
        for told in methods.values()
        if isinstance(told, dict) and "operationId" in told
    }
