"""Couriers who never stop capturing, while the HTTP server and PostgreSQL are killed under them in turn.

Each event carries a mark of its own; a document that was not answered is sent again as it was. In the end the database
is held against all that was ever acknowledged.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg

from benchmarks.form import Result, Say, Show, Table
from benchmarks.record.kills import _killed as killed_once
from benchmarks.record.served import Served, serving
from benchmarks.record.wire import Gone, Wire, asked
from benchmarks.tracking.life import Step
from benchmarks.tracking.making import Scan, document, event
from benchmarks.tracking.numbers import BAG, PARCEL, sscc
from benchmarks.tracking.parcels import GROUP, World, prepared, unbound
from benchmarks.tracking.sizes import Size

AGAIN_S = 0.1
TWICE = 0.1
"""Of documents so many are sent again though they were acknowledged, as by a device that lost the answer."""
PAUSE_S = 0.5, 3.0
"""Between work's going on and the next kill."""
POOL = 10
"""Groups of parcels that each writer scans over and over."""
LOOKED = 200
"""Parcels whose state is held against what their events say."""
SEEN = Step("each", "arriving", "in_progress", 0, 0.0)
PUT, TAKEN = Step("in", "packing", "in_progress", 0, 0.0), Step("out", "unpacking", "in_progress", 0, 0.0)
DAYS = 5
"""So long ago writers begin; their events are a twentieth of a second apart."""


def run(size: Size, say: Say) -> Result:
    """Let the writers write and the killer kill, then count."""
    with serving(size.sample) as served:
        begins = datetime.now(UTC) - timedelta(days=DAYS)
        world = prepared(served, size.writers * POOL, begins - timedelta(days=1))
        say(f"{size.writers} writers, {size.kills} kills")
        work = Work(served, world, size, begins)
        began = time.perf_counter()
        threads = [threading.Thread(target=work.write, args=(number,)) for number in range(size.writers)]
        for thread in threads:
            thread.start()
        killed = kill(work, say)
        work.enough.set()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        say("counting")
        with unbound(served) as conn:
            settled(conn)
            found = counted(conn, world.couriers[0][0])
            faults = held_against(work.acknowledged, found) | broken(conn)
            faults["parcels that are not where their events leave them"] = misplaced(served, conn, world.operator)
            again = resent(conn)
    return _told(size, work, killed, seconds, faults, again)


@dataclass
class Work:
    """What the writers share: marks of what was acknowledged, and what came instead of answers."""

    served: Served
    world: World
    size: Size
    begins: datetime
    acknowledged: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    given_up: int = 0
    slowest_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    enough: threading.Event = field(default_factory=threading.Event)
    until: float = 0.0

    def __post_init__(self) -> None:
        self.until = time.monotonic() + self.size.kill_seconds

    def write(self, writer: int) -> None:
        """One writer, until there were enough kills or time is up; its last document is acknowledged, too."""
        at, draw = 0, random.Random(writer)
        with Wire(self.served.url, 120.0) as wire:
            while not self.enough.is_set() and time.monotonic() < self.until:
                marks, body = batch(self.world, self.begins, writer, at, self.size.crash_batch)
                if not self._insist(wire, body):
                    self.given_up += 1
                    return
                with self.lock:
                    self.acknowledged += marks
                if draw.random() < TWICE:
                    self._insist(wire, body)
                at += 1

    def _insist(self, wire: Wire, body: bytes) -> bool:
        """Sends the same until it is acknowledged; False when it is refused, or a minute after time is up."""
        request, began = asked("POST", "/epcis/capture", self.world.couriers[0][1], body), time.monotonic()
        while time.monotonic() < self.until + 60:
            try:
                answer = wire.ask(request)
            except (OSError, Gone) as fault:
                self._note(type(fault).__name__)
                time.sleep(AGAIN_S)
                continue
            self._note(str(answer.status))
            if answer.status < 300:
                with self.lock:
                    self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                return True
            if answer.status not in (429, 503):
                self._note(f"body {answer.body[:300]!r}")
                return False
            time.sleep(AGAIN_S)
        return False

    def _note(self, what: str) -> None:
        with self.lock:
            self.told[what] += 1


def batch(world: World, begins: datetime, writer: int, at: int, many: int) -> tuple[list[str], bytes]:
    """The `at`-th document of a writer and the marks of its events: some parcels scanned, then put into a bag of their
    own and taken out again.
    """
    first = (writer * POOL + at % POOL) * GROUP
    numbers = sscc_of(first, PARCEL, min(many - 2, GROUP))
    [bag] = sscc_of(writer * 10**7 + at, BAG, 1)
    node = world.nodes[at % len(world.nodes)]
    steps = [(SEEN, [number]) for number in numbers] + [(PUT, numbers), (TAKEN, numbers)]
    marks, events = [], []
    for place, (step, scanned) in enumerate(steps):
        marks.append(f"w{writer}-{at}-{place}-{step.who}")
        when = begins + timedelta(seconds=(at * many + place) / 20)
        events.append(event(Scan(when, step, node, scanned, bag), **{"rookery:note": marks[-1]}))
    return marks, document(events, begins)


def sscc_of(first: int, extension: int, many: int) -> list[str]:
    """Numbers of parcels or bags from a serial on."""
    return sscc(np.arange(first, first + many), extension).to_list()


def kill(work: Work, say: Say) -> list[tuple[str, float]]:
    """Kills in turn, each some time after work went on; (what, seconds until something was acknowledged)."""
    done: list[tuple[str, float]] = []
    draw = random.Random(5)
    for turn in range(work.size.kills):
        before = len(work.acknowledged)
        pause = time.monotonic() + draw.uniform(*PAUSE_S)
        while (len(work.acknowledged) == before or time.monotonic() < pause) and not _over(work):
            time.sleep(0.01)
        what, began = ("HTTP", "PostgreSQL")[turn % 2], time.perf_counter()
        while not killed_once(work.served, what) and not _over(work):
            time.sleep(0.05)
        # answers under way when it died may still be counted: what comes after that is new
        time.sleep(0.05)
        before = len(work.acknowledged)
        while len(work.acknowledged) == before and not _over(work):
            time.sleep(0.02)
        if _over(work):
            say(f"time is up, or all writers gave up, after {turn} kills")
            return done
        done.append((what, time.perf_counter() - began))
    return done


def _over(work: Work) -> bool:
    return time.monotonic() > work.until or work.given_up >= work.size.writers


def settled(conn: psycopg.Connection, most_s: float = 300.0) -> None:
    """Waits for captures that were put off. Raises TimeoutError when some never end."""
    until = time.monotonic() + most_s
    while time.monotonic() < until:
        row = conn.execute("select count(*) from tracking.captures where running").fetchone()
        conn.commit()
        if row == (0,):
            return
        time.sleep(0.2)
    raise TimeoutError(f"captures still run after {most_s:g} s")


def counted(conn: psycopg.Connection, courier: str) -> dict[str, int]:
    """How often each mark is there."""
    query = "select body->>'rookery:note', count(*) from tracking.events where party_id = %s group by 1"
    return dict(conn.execute(query, (courier,)).fetchall())


def held_against(acknowledged: Iterable[str], found: dict[str, int]) -> dict[str, int]:
    """Every way in which what was acknowledged and what is there could differ, counted."""
    marks = list(acknowledged)
    return {
        "acknowledged and not there": len(set(marks) - found.keys()),
        "there twice": sum(many - 1 for many in found.values()),
        "acknowledged twice": len(marks) - len(set(marks)),
        "there and never acknowledged": len(found.keys() - set(marks)),
    }


def resent(conn: psycopg.Connection) -> int:
    """Documents that had been kept when they came again."""
    row = conn.execute("select count(*) from tracking.captures where events > 0 and added = 0").fetchone()
    return row[0] if row else 0


def broken(conn: psycopg.Connection) -> dict[str, int]:
    """What stands half in the database: events without all they name, things lying in two others or never put there."""
    queries = {
        "events without all that they name": "select count(*) from tracking.events v where v.epcs <> (select count(*)"
        " from tracking.event_epcs e where e.event_no = v.event_no and e.event_at = v.event_at and e.role <= 4)",
        "things named by no event": "select count(*) from tracking.event_epcs e where not exists (select"
        " from tracking.events v where v.event_no = e.event_no and v.event_at = e.event_at)",
        "things that lay in two others at once": "select count(*) from tracking.containment a join"
        " tracking.containment b on b.child = a.child and b.test = a.test and b.from_at > a.from_at"
        " and b.from_at < a.until_at",
        "things put into another and not told to lie there": "select abs((select count(*) from tracking.event_epcs"
        " where role = 2 and action = 'ADD') - (select count(*) from tracking.containment))",
    }
    found = {}
    for what, query in queries.items():
        row = conn.execute(query.encode()).fetchone()
        found[what] = row[0] if row else 0
    return found


def misplaced(served: Served, conn: psycopg.Connection, key: str) -> int:
    """Parcels whose kept state is another than the one that all their events, read again, amount to."""
    rows = conn.execute(
        "select t.epc, t.status::text, t.status_at, o.number from tracking.parcels t join orders.parcels o"
        " using (parcel_id) order by md5(t.epc) limit %s", (LOOKED,),
    ).fetchall()  # fmt: skip
    wrong = 0
    with Wire(served.url) as wire:
        for _, status, at, number in rows:
            told = json.loads(wire.ask(asked("GET", f"/trackers/{number}", key)).body)
            said = told.get("status_at")
            wrong += told.get("status") != status or said is None or datetime.fromisoformat(said) != at
    return wrong + (0 if rows else 1)


def _told(
    size: Size, work: Work, killed: list[tuple[str, float]], seconds: float, faults: dict[str, int], again: int
) -> Result:
    name = f"{size.writers} writers under {size.kills} kills"
    lost = faults.pop("acknowledged and not there")
    twice = faults.pop("there twice")
    unheard = faults.pop("there and never acknowledged")
    events = len(work.acknowledged)
    waits = {what: sorted(s for kind, s in killed if kind == what) for what in ("HTTP", "PostgreSQL")}
    rows: list[tuple] = [
        ("events acknowledged", events), ("seconds", seconds), ("longest that a writer waited, s", work.slowest_s),
        ("documents that had been kept when they came again", again),
        ("acknowledged and not there", lost), ("there twice", twice), ("there and never acknowledged", unheard),
        *faults.items(),
    ]  # fmt: skip
    rows += [(f"answers: {what}", many) for what, many in sorted(work.told.items())]
    rows += [
        (f"{what} killed: times; median, longest s until work went on",
         f"{len(took)}; {took[len(took) // 2]:.1f}, {took[-1]:.1f}")
        for what, took in waits.items() if took
    ]  # fmt: skip
    return Result(
        shows=[
            Show(f"{name}: kills", len(killed), "kills", f">= {size.kills}"),
            Show(f"{name}: events acknowledged", events, "events"),
            Show(f"{name}: events acknowledged and not there", lost, "events", "<= 0"),
            Show(f"{name}: events there twice", twice, "events", "<= 0"),
            Show(f"{name}: events there that nobody heard of", unheard, "events"),
            Show(f"{name}: half written, or not what its events say", sum(faults.values()), "of all", "<= 0"),
            Show(f"{name}: writers that gave up", work.given_up, "writers", "<= 0"),
            Show(f"{name}: events captured", events / seconds, "events/s"),
        ],
        tables=[Table("what writers had of it", ("what", "value"), rows,
                      f"documents of {size.crash_batch} events, sent again as they were until they are acknowledged, "
                      "and one in ten once more; "
                      "kill -9 of all processes of the HTTP server, and of PostgreSQL's first, in turn.")],
    )  # fmt: skip
