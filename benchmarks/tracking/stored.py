"""Events stored by the million, then asked for: traces of parcels and the standard's queries, at ever more events."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.form import Result, Say, Show, Table
from benchmarks.record.served import Served, serving
from benchmarks.tracking.parcels import GROUP, World, peopled, unbound
from benchmarks.tracking.questions import KINDS, TRACE, askers, queries, traces
from benchmarks.tracking.seeding import DAYS, Seeded, seed, size_of
from benchmarks.tracking.sizes import Size

TRACE_MS, QUERY_MS = 20, 200
"""Within which 99 of 100 answers are to be there."""
WARM = 50


@dataclass(frozen=True)
class Stage:
    """What was measured with so many events stored."""

    events: int
    seeded_a_second: float
    bytes_by_table: dict[str, int]
    told: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """What was asked of a kind, by asker."""
        return [one for one in self.told if one["kind"] == kind]

    def slowest(self, kinds: Sequence[str], share: float = 0.99) -> float:
        """The greatest value, of any of the kinds and of any asker, below which a share of answers' times lies."""
        return max(at(one["ms"], share) for kind in kinds for one in self.of(kind))

    @property
    def bytes_each(self) -> float:
        """Bytes on disk for an event, with all that belongs to it and every index."""
        return sum(self.bytes_by_table.values()) / self.events


def run(size: Size, say: Say) -> Result:
    """Store, ask, store more, ask again."""
    stages: list[Stage] = []
    with serving(size.sample) as served, ExitStack() as opened:
        world = peopled(served)
        conns = opened.enter_context(unbound(served)), opened.enter_context(unbound(served))
        stored = Seeded(datetime.now(UTC) - timedelta(days=DAYS + 1))
        for events in size.stored:
            before = stored.events
            say(f"{events:,} events by COPY")
            stored = seed(conns, world, stored, events)
            rate = (stored.events - before) / stored.seconds
            say(f"{rate:,.0f} events a second; asking")
            draw = random.Random(events)
            made = [*traces(world, stored, size.traces, draw), *queries(world, stored, size.asks, draw)]
            ask(served, world, made[:WARM] + made[-WARM:])  # connections and plans, not what is stored
            stages.append(Stage(stored.events, rate, size_of(conns[0]), ask(served, world, made)))
            told = ", ".join(f"{kind} {stages[-1].slowest([kind]):.0f}" for kind in (TRACE, *KINDS))
            say(f"{stored.events:,} events, p99 of the slowest asker in ms: {told}")
    return _told(stages)


def ask(served: Served, world: World, questions: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Runs the asking process to its end."""
    with tempfile.TemporaryDirectory(prefix="rookery-bench-") as folder:
        file = Path(folder) / "questions.jsonl"
        file.write_text("\n".join(json.dumps(question) for question in questions))
        keys = {who: key for who, (key, _) in askers(world).items()}
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.tracking.asking", served.url, str(file)],
            input=json.dumps(keys) + "\n", capture_output=True, text=True, timeout=3600, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the client failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def at(ordered: list[float], share: float) -> float:
    """The value below which a share of ascending values lies."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _traced(stage: Stage, share: float) -> float:
    return at(sorted(ms for one in stage.of(TRACE) for ms in one["ms"]), share)


def _told(stages: list[Stage]) -> Result:
    last = stages[-1]
    name = f"with {last.events:,} events stored"
    wrong = sum(one["wrong"] for stage in stages for one in stage.told)
    refused = sum(one["refused"] for one in last.told)
    shows = [
        Show(f"{name}: trace of a parcel, p99", _traced(last, 0.99), "ms", f"<= {TRACE_MS}"),
        Show(f"{name}: trace of a parcel, p50", _traced(last, 0.5), "ms"),
        Show(f"{name}: trace of a parcel, p99 of the slowest asker", last.slowest([TRACE]), "ms"),
        *(
            Show(f"{name}: query by {kind}, p99 of the slowest asker", last.slowest([kind]), "ms", f"<= {QUERY_MS}")
            for kind in KINDS
        ),
        Show("stored events: answers that are not right", wrong, "answers", "<= 0"),
        Show(f"{name}: searches given up as taking too long", refused, "searches"),
        Show(f"{name}: on disk", last.bytes_each, "bytes/event"),
        Show(f"{name}: seeded", last.seeded_a_second, "events/s"),
    ]
    first = stages[0]
    if first is not last:
        against = f"{last.events:,} events against {first.events:,}"
        shows += [
            Show(f"trace of a parcel, p50: {against}", _traced(last, 0.5) / _traced(first, 0.5), "x"),
            Show(f"slowest standard query, p99: {against}", last.slowest(KINDS) / first.slowest(KINDS), "x"),
        ]
    growth = [
        (
            one.events, one.seeded_a_second, one.bytes_each, _traced(one, 0.5), _traced(one, 0.99),
            one.slowest(KINDS, 0.5), one.slowest(KINDS),
        )
        for one in stages
    ]  # fmt: skip
    kinds = [
        (one["kind"], one["who"], len(one["ms"]), at(one["ms"], 0.5), at(one["ms"], 0.99), one["ms"][-1], one["bytes"],
         one["wrong"], one["refused"])
        for one in last.told
    ]  # fmt: skip
    return Result(
        shows=shows,
        tables=[
            Table(
                "growth",
                ("events", "seeded/s", "bytes/event", "trace p50 ms", "p99 ms", "slowest query p50 ms", "p99 ms"),
                growth,
                f"{DAYS} days of history in monthly partitions, {GROUP} parcels to a bag, twelve events naming each "
                "parcel and four of its bags; put by COPY with all indexes, then vacuumed and analysed (within "
                "seeded/s, as are orders, shipments, parcels and legs). Bytes: "
                + ", ".join(f"{table.partition('.')[2]} {size / last.events:,.0f}"
                            for table, size in last.bytes_by_table.items()) + " of each event.",
            ),
            Table(
                f"{last.events:,} events: answers one at a time, over HTTP",
                ("question", "asker", "asked", "p50 ms", "p99 ms", "most ms", "bytes", "wrong", "given up"), kinds,
                "a page is of the default size; times are drawn from all the days, parcels from all of the asker's. "
                "Wrong: no 200, a parcel not told to be delivered, or nothing found of it. "
                "Given up: told to take too long.",
            ),
        ],
    )  # fmt: skip
