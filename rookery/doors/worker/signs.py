"""Signs of life: what the live side's parts say of themselves, and the thread that writes it where servers read it.

Threads note here what they are at, and what failed; nothing waits for that to be written. Whoever takes a part over
from another worker goes on with its sign.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from rookery.base import outbox
from rookery.base.clock import WALL, Clock
from rookery.base.jobs import Desk
from rookery.base.operations import Context
from rookery.doors.http.telemetry import log
from rookery.doors.worker.faults import named
from rookery.flows.living.outlooks import Outlooks
from rookery.tracking import live_signs
from rookery.tracking.live_signs import Part, Sign, Waiting

EVERY_S = 2.0
MODES = (False, True)


class Since:
    """Since when the first in a queue waits, by looks at it now and then: as exact as looks are frequent.

    A place that is not above the last one of an earlier look was there then.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[datetime, int]] = deque()

    def go_on(self, since: datetime | None, first: int | None) -> None:
        """What another found: this place waits since then."""
        if since is not None and first is not None:
            self._seen.append((since, first))

    def look(self, waiting: Waiting, now: datetime) -> datetime | None:
        """Since when the first waits; None = nothing does."""
        if waiting.first is None or waiting.last is None:
            self._seen.clear()
            return None
        if not self._seen or waiting.last > self._seen[-1][1]:
            self._seen.append((now, waiting.last))
        while self._seen[0][1] < waiting.first:
            self._seen.popleft()
        return self._seen[0][0]


@dataclass
class _Said:
    """What a part says of itself in one mode."""

    started_at: datetime | None = None  # here; None = it does not live in this worker
    broke_off_at: datetime | None = None
    gone_on: bool = False  # with the sign of whoever had the part before
    busy_since: datetime | None = None
    fault: str | None = None
    fault_at: datetime | None = None
    failing_since: datetime | None = None
    since: Since = field(default_factory=Since)


class Board:
    """What the parts of this worker say of themselves; used from all their threads. wall: real time."""

    def __init__(self, wall: Clock = WALL):
        self.wall = wall
        self._said: dict[tuple[Part, bool], _Said] = {}
        self._lock = threading.Lock()

    def of(self, part: Part, test: bool) -> _Said:
        """What was said of a part."""
        with self._lock:
            return self._said.setdefault((part, test), _Said())

    def all_mine(self, test: bool) -> dict[Part, _Said]:
        """What is said of the parts that live in this worker."""
        with self._lock:
            return {part: said for (part, mode), said in self._said.items() if mode == test and said.started_at}

    def mine(self, parts: Collection[Part], are: bool = True) -> None:
        """These parts live in this worker now; or not any more, where another has them."""
        for part in parts:
            for test in MODES:
                if are:
                    said = self.of(part, test)
                    said.started_at = said.started_at or self.wall.now()
                else:
                    with self._lock:
                        self._said.pop((part, test), None)

    @contextmanager
    def busy(self, part: Part, test: bool) -> Iterator[None]:
        """Within, the part is at something; that this lasts long is told."""
        said = self.of(part, test)
        said.busy_since = self.wall.now()
        try:
            yield
        finally:
            said.busy_since = None

    def failed(self, part: Part, tests: Collection[bool], fault: str, *, still: bool = True) -> None:
        """Something failed; still: the part fails from now on, until it is `well`. fault: a code."""
        now = self.wall.now()
        for test in tests:
            said = self.of(part, test)
            said.fault, said.fault_at = fault, now
            if still and said.failing_since is None:
                said.failing_since = now

    def well(self, part: Part, tests: Collection[bool]) -> None:
        """The part does not fail any more."""
        for test in tests:
            self.of(part, test).failing_since = None

    def turned(self, part: Part) -> None:
        """A part that is never idle begins another turn, in both modes, and does not fail any more."""
        for test in MODES:
            said = self.of(part, test)
            said.busy_since, said.failing_since = self.wall.now(), None


def start(desk: Desk, stop: threading.Event, board: Board, every_s: float = EVERY_S) -> list[threading.Thread]:
    """The thread that writes, begun; it ends soon after `stop`."""
    thread = threading.Thread(target=_keep_writing, args=(desk, stop, board, every_s), name="signs", daemon=True)
    thread.start()
    return [thread]


def _keep_writing(desk: Desk, stop: threading.Event, board: Board, every_s: float) -> None:
    told, ends = "", False
    while not ends:
        fault, ends = "", stop.wait(every_s)
        write = _end if ends else _write
        try:
            for test in MODES:
                write(desk, board, test)
        except Exception as wrong:
            fault = named(wrong)
        if fault and fault != told:
            log(desk.clock.now(), "signs.wait", fault=fault)
        told = fault


def _write(desk: Desk, board: Board, test: bool) -> None:
    mine = board.all_mine(test)
    if not mine:
        return
    with desk.context(test) as ctx:
        if not all(said.gone_on for said in mine.values()):
            before = live_signs.read(ctx.conn, test)
            for part, said in mine.items():
                _go_on(said, before.get(part))
        now = board.wall.now()
        live_signs.write(ctx.conn, test, [_sign(desk, ctx, part, said, now) for part, said in mine.items()])


def _end(desk: Desk, board: Board, test: bool) -> None:
    """The last that is written: whoever comes after knows that nothing broke off."""
    with desk.context(test) as ctx:
        for part, said in sorted(board.all_mine(test).items()):
            if said.gone_on and said.started_at is not None:
                live_signs.end(ctx.conn, test, part, said.started_at, board.wall.now())


def _go_on(said: _Said, before: Sign | None) -> None:
    if before is not None and not said.gone_on:
        said.since.go_on(before.waiting_since, before.first_place)
        if before.ended_at is None and not before.of_before:
            said.broke_off_at = before.at
        if said.fault is None:
            said.fault, said.fault_at = before.fault, before.fault_at
    said.gone_on = True


def _sign(desk: Desk, ctx: Context, part: Part, said: _Said, now: datetime) -> Sign:
    sign = Sign(
        part=part, at=now, busy_since=said.busy_since, fault=said.fault, fault_at=said.fault_at,
        failing_since=said.failing_since, started_at=said.started_at, broke_off_at=said.broke_off_at,
    )  # fmt: skip
    if part == "outlook":
        version, made_at, left = desk.parts[Outlooks].told(ctx.who.test)
        return replace(sign, outlook=version, outlook_at=made_at, waiting=left)
    if part == "subscriptions":
        return sign
    conn, test = ctx.conn, ctx.who.test
    waiting = live_signs.moved(conn, test) if part == "live" else Waiting(*outbox.waiting(conn, test))
    since = said.since.look(waiting, now)
    return replace(sign, waiting=waiting.much, first_place=waiting.first, waiting_since=since)
