"""The loop that tells: news are spread to endpoints, what is due is sent, and what came of it is written.

One deliverer is at work at a time (`alone`). Results are written some at a time, and whoever is killed in between has
told something that is not written: it is told again, under the same id. Nothing is ever counted as told before it
was.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import psycopg

from rookery.base.audit import note
from rookery.base.jobs import Desk
from rookery.base.operations import Context
from rookery.base.signing import Signer
from rookery.base.webhooks import deliveries
from rookery.base.webhooks.backoff import IN_A_ROW, next_attempt, rest_s, retry_after
from rookery.base.webhooks.deliveries import RESULTS, Due, note_results
from rookery.base.webhooks.health import GONE, Attempt, note_health
from rookery.base.webhooks.sending import MOST_AT_ONCE, Outcome, Sender
from rookery.base.webhooks.signing import opened_token, secret_of, signed, signed_also
from rookery.base.webhooks.targets import Targets

LOCK = 0x686F6F6B  # "hook": the advisory lock of the one who delivers
AT_ONCE = 8
"""Attempts at one endpoint at a time."""
SPREAD_AT_ONCE = 2000
WRITE_AT, LOOK_S, LEAST_S = 100, 0.2, 0.02
"""Results are written, and what is due is looked for, when there are so many, or after so long; and never more often
than every LEAST_S."""
FETCHED, LEAST_FETCHED = 4096, 16
"""Messages held in memory: so many of all endpoints, of each its share and at most a sixteenth of it. No more than that
is told once more after a kill."""
FORGET_EVERY, FORGOTTEN_AT_ONCE = timedelta(hours=1), 20_000
CLOSING_S = 5.0
"""How long what is under way may take to end when the deliverer is told to stop."""


@contextmanager
def alone(desk: Desk) -> Iterator[psycopg.Connection | None]:
    """The connection that says that nobody else delivers; None when somebody does. It must live while one delivers."""
    with desk.database.owner() as conn:
        row = conn.execute("select pg_try_advisory_lock(%s)", (LOCK,)).fetchone()
        yield conn if row == (True,) else None


@dataclass(eq=False)
class Line:
    """What is to be said to one endpoint. token: its owner's own, to sign with as well; in_a_row: failures since the
    last success.
    """

    endpoint_id: str
    url: str
    secrets: list[str]
    token: bytes | None
    in_a_row: int
    changed_at: datetime
    waiting: deque[Due] = field(default_factory=deque)
    running: int = 0
    rests_until: datetime | None = None
    ready: bool = False

    def may_start(self, now: datetime) -> bool:
        """Whether one more attempt may be made now: eight at once; one, after a rest, while the endpoint is down."""
        if self.rests_until is not None and now < self.rests_until:
            return False
        return self.running < (1 if self.in_a_row >= IN_A_ROW else AT_ONCE)


@dataclass(frozen=True)
class _Ended:
    due: Due
    line: Line
    outcome: Outcome
    at: datetime


class Deliverer:
    """Tells what is to be told; made within a running event loop, `turn` by `turn` or by `run`."""

    def __init__(self, desk: Desk, sender: Sender):
        self._desk, self._sender = desk, sender
        self._signer: Signer = desk.parts[Signer]
        self._lines: dict[str, Line] = {}
        self._ready: deque[Line] = deque()
        self._under_way: dict[tuple[str, int], asyncio.Task] = {}
        self._ended: list[_Ended] = []
        self._look = asyncio.Event()
        self._forgotten_at: datetime | None = None
        self._thread = ThreadPoolExecutor(1, "webhooks-database")

    async def run(self, stop: threading.Event, lock: psycopg.Connection, turned: Callable[[], None]) -> None:
        """Until told to stop; raises when the database is away, and when the lock is lost with its connection. turned:
        told after each turn.
        """
        try:
            while not stop.is_set():
                await self._aside(lock.execute, "select 1")
                await self.turn()
                turned()
                await asyncio.sleep(LEAST_S)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._look.wait(), LOOK_S)
        finally:
            await self.close()

    async def until_idle(self) -> None:
        """Until nothing is left that could be done before the clock goes on."""
        while await self.turn():
            if self._under_way:
                await asyncio.wait(self._under_way.values(), return_when=asyncio.FIRST_COMPLETED)

    async def turn(self) -> int:
        """Write what ended, spread news, and begin what is due; returns how much of anything there was."""
        self._look.clear()
        ended, self._ended = self._ended, []
        held = [*self._under_way, *(due.which for line in self._lines.values() for due in line.waiting)]
        try:
            lines, found, news = await self._aside(self._at_the_database, ended, held)
        except BaseException:
            self._ended = ended + self._ended  # to be written when the database is back
            raise
        self._take_up(lines)
        for due in found:
            if due.endpoint_id in self._lines:
                self._lines[due.endpoint_id].waiting.append(due)
        for line in self._lines.values():
            self._make_ready(line)
        self._begin()
        return len(ended) + news + len(self._under_way)

    async def _aside(self, work: Callable[..., Any], *words: Any) -> Any:
        """What waits for the database, in a thread of its own: no name that is looked up for long holds it up."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *words)

    async def close(self, most_s: float = CLOSING_S) -> None:
        """Lets what is under way end, but no longer than told, and writes it; what waits is left to the next
        deliverer.
        """
        for line in self._lines.values():
            line.waiting.clear()
        if self._under_way:
            _, late = await asyncio.wait(self._under_way.values(), timeout=most_s)
            for task in late:
                task.cancel()
        ended, self._ended = self._ended, []
        if ended:
            await self._aside(self._at_the_database, ended, [], True)

    def _at_the_database(
        self, ended: list[_Ended], held: list[tuple[str, int]], closing: bool = False
    ) -> tuple[list[Line], list[Due], int]:
        """One transaction: results, news, what is due. Endpoints are held before their deliveries, as acts do it."""
        now = self._desk.clock.now()
        with self._desk.context() as ctx:
            if ended:
                self._write(ctx, ended, now)
            if closing:
                return [], [], 0
            # an empty outbox is looked at, and no endpoint locked for it
            news = ctx.conn.execute("select from base.outbox limit 1").fetchone()
            count = deliveries.spread(ctx.conn, now, SPREAD_AT_ONCE) if news is not None else 0
            self._forget(ctx, now)
            lines = self._endpoints(ctx.conn, now)
            share = max(LEAST_FETCHED, min(FETCHED // 16, FETCHED // max(1, len(lines))))
            hungry = [line.endpoint_id for line in lines if self._hungry(line.endpoint_id, share, now)]
            found = deliveries.due(ctx.conn, hungry, held, now, share) if hungry else []
            return lines, found, count

    def _hungry(self, endpoint_id: str, share: int, now: datetime) -> bool:
        """Whether more is to be fetched: half of an endpoint's share is used up, and it is not at rest."""
        line = self._lines.get(endpoint_id)
        if line is None:
            return True
        return len(line.waiting) <= share // 2 and (line.rests_until is None or now >= line.rests_until)

    def _write(self, ctx: Context, ended: list[_Ended], now: datetime) -> None:
        attempts = [Attempt(one.due.endpoint_id, one.at, one.outcome.status, one.outcome.error) for one in ended]
        for endpoint_id, why in note_health(ctx.conn, attempts, now).items():
            note(ctx, "webhooks.disabled", endpoint_id, why=why)
        note_results(ctx.conn, pl.DataFrame(list(map(_result, ended)), schema=RESULTS, orient="row"), now)

    def _forget(self, ctx: Context, now: datetime) -> None:
        if self._forgotten_at is not None and now - self._forgotten_at < FORGET_EVERY:
            return
        if deliveries.forget(ctx.conn, now, FORGOTTEN_AT_ONCE) < FORGOTTEN_AT_ONCE:
            self._forgotten_at = now

    def _endpoints(self, conn: psycopg.Connection, now: datetime) -> list[Line]:
        """Those that are enabled, as they are now."""
        rows = conn.execute(
            "select endpoint_id, url, rotation, old_until, token, failures, changed_at from base.endpoints"
            " where enabled"
        ).fetchall()
        lines = []
        for endpoint_id, url, rotation, old_until, sealed, failures, changed_at in rows:
            counting = [rotation, rotation - 1] if old_until is not None and now < old_until else [rotation]
            secrets = [secret_of(self._signer, endpoint_id, number) for number in counting]
            token = None if sealed is None else opened_token(self._signer, endpoint_id, sealed)
            lines.append(Line(endpoint_id, url, secrets, token, failures, changed_at))
        return lines

    def _take_up(self, lines: list[Line]) -> None:
        """Endpoints as they are now; what waited for one that was changed is fetched again when it is due."""
        told = {line.endpoint_id: line for line in lines}
        for endpoint_id in self._lines.keys() - told.keys():
            self._lines.pop(endpoint_id).waiting.clear()
        for endpoint_id, line in told.items():
            had = self._lines.get(endpoint_id)
            if had is None:
                self._lines[endpoint_id] = line
                continue
            had.url, had.secrets, had.token = line.url, line.secrets, line.token
            if had.changed_at != line.changed_at:
                had.changed_at, had.in_a_row, had.rests_until = line.changed_at, line.in_a_row, None

    def _make_ready(self, line: Line) -> None:
        if line.waiting and not line.ready:
            line.ready = True
            self._ready.append(line)

    def _begin(self) -> None:
        """Begin attempts while there is room, of each endpoint in turn."""
        now = self._desk.clock.now()
        while self._ready and len(self._under_way) < MOST_AT_ONCE:
            line = self._ready.popleft()
            line.ready = False
            if not line.waiting or not line.may_start(now):
                continue  # it is looked at again when an attempt of its ends, or in the next turn
            due = line.waiting.popleft()
            line.running += 1
            self._under_way[due.which] = asyncio.create_task(self._attempt(line, due))
            self._make_ready(line)

    async def _attempt(self, line: Line, due: Due) -> None:
        body = due.body.encode()
        try:
            headers = signed(line.secrets, due.event_id, self._desk.clock.now(), body)
            if line.token is not None:
                headers |= signed_also(line.token, body)
            outcome = await self._sender.send(line.url, body, headers)
        except Exception:
            outcome = Outcome(None, "the message could not be sent")
        finally:
            line.running -= 1
            self._under_way.pop(due.which, None)
        now = self._desk.clock.now()
        line.in_a_row = 0 if outcome.delivered else line.in_a_row + 1
        wait = max(rest_s(line.in_a_row), _asked_s(outcome, now))
        line.rests_until = now + timedelta(seconds=wait) if wait else None
        self._ended.append(_Ended(due, line, outcome, now))
        self._make_ready(line)
        self._begin()
        if len(self._ended) >= WRITE_AT or not line.waiting:
            self._look.set()


def _asked_s(outcome: Outcome, now: datetime) -> float:
    """How long the endpoint asked to be left alone."""
    return retry_after(outcome.retry_after, now) if outcome.status in (429, 503) else 0.0


def _result(one: _Ended) -> tuple:
    """A row of RESULTS."""
    due, outcome, at = one.due, one.outcome, one.at
    attempts, first_at = due.attempts + 1, due.first_at or at
    again = None
    if not outcome.delivered and outcome.status != GONE:
        again = next_attempt(due.event_id, attempts, first_at, at, _asked_s(outcome, at))
    state = "delivered" if outcome.delivered else "dead" if again is None else "next"
    ended_at = None if state == "next" else at
    return due.endpoint_id, due.seq, state, attempts, first_at, again or at, ended_at, outcome.status, outcome.error


async def deliver(
    desk: Desk,
    targets: Targets,
    stop: threading.Event,
    lock: psycopg.Connection,
    turned: Callable[[], None] = lambda: None,
) -> None:
    """Deliver until told to stop. lock: from `alone`; turned: told after each turn."""
    async with Sender(targets) as sender:
        await Deliverer(desk, sender).run(stop, lock, turned)
