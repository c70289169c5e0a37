"""The live side of a worker, in three threads: one looks at whatever moved, one keeps the outlooks that it looks into,
one tells subscribers of events what came. How they are they tell a board (signs.py).

Several workers may run; one of them is live, whoever holds the advisory lock. It ends with that worker's connection,
and then another takes over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import OperationalError

from rookery.base.jobs import Desk
from rookery.doors.http.telemetry import log
from rookery.doors.worker.faults import named
from rookery.doors.worker.signs import MODES, Board
from rookery.flows.epcis import telling
from rookery.flows.living import turning
from rookery.flows.living.outlooks import Outlooks
from rookery.terms.errors import Unavailable
from rookery.tracking.live_signs import Part

LIVE = 0x6C697665
""""live": the advisory lock of the worker that is."""
PARTS: tuple[Part, ...] = ("live", "outlook", "subscriptions")
TRIES = 3
"""Faults after which batches are halved, until who is at fault stands alone and is set aside."""
TOO_SLOW = "database.too_slow"
"""What a batch is told that takes too long: it may be the batch's own fault."""
CONTENDED = "database.contended"
"""What a batch is told in whose way others were: nobody's fault, and over in a moment."""


@dataclass(frozen=True)
class Pace:
    """Seconds to wait: when nothing moved, or others were in the way; when no outlook is called for, or while parcels
    are entered to be looked at again; after a fault, or while the database is away; while another worker is live.
    """

    turn: float = 0.2
    look: float = 0.5
    enter: float = 0.05
    again: float = 5.0
    lead: float = 5.0


def start(desk: Desk, stop: threading.Event, pace: Pace = Pace(), board: Board | None = None) -> list[threading.Thread]:
    """The threads, begun; they end soon after `stop`. None where the worker has no outlooks. board: where they tell how
    they are.
    """
    if Outlooks not in desk.parts:
        return []
    live = Live(desk, stop, pace, board or Board())
    threads = [
        threading.Thread(target=live.look, name="live", daemon=True),
        threading.Thread(target=live.keep_outlooks, name="outlook", daemon=True),
        threading.Thread(target=live.tell_subscribers, name="subscriptions", daemon=True),
    ]
    for thread in threads:
        thread.start()
    return threads


def settle(desk: Desk) -> bool:
    """Looks, here and now, at all that moved, under outlooks that are up to date; whether there was anything to do.

    Nothing is done where the worker has no outlooks, or another one is live.
    """
    if Outlooks not in desk.parts:
        return False
    outlooks: Outlooks = desk.parts[Outlooks]
    any_looked = False
    with leading(desk) as lead:
        while lead is not None:
            busy = False
            for test in MODES:
                busy |= outlooks.build(desk, test, at_once=True) is not None
                busy |= outlooks.enter_next(desk, test)
                busy |= turning.turn(desk, test, partial(outlooks.current, test)) > 0
                busy |= telling.turn(desk, test).steps > 0
            if not busy:
                break
            any_looked = True
    return any_looked


@contextmanager
def leading(desk: Desk) -> Iterator[psycopg.Connection | None]:
    """The connection that makes this worker the live one, for as long as it lasts; None while another is."""
    with desk.database.owner() as conn:
        row = conn.execute("select pg_try_advisory_lock(%s)", (LIVE,)).fetchone()
        yield conn if row is not None and row[0] else None


class Live:
    """What the threads share: whether this worker is the live one, and whether outlooks were seen to."""

    def __init__(self, desk: Desk, stop: threading.Event, pace: Pace, board: Board):
        self._desk, self._stop, self._pace, self._board = desk, stop, pace, board
        self._outlooks: Outlooks = desk.parts[Outlooks]
        self._leads = threading.Event()
        self._seen_to = threading.Event()

    def look(self) -> None:
        """Until told to stop: while this worker is the live one, looks at what moved. A database that is away is waited
        for.
        """
        told = ""
        while not self._stop.is_set():
            fault, pause = "", self._pace.lead
            try:
                with leading(self._desk) as lead:
                    self._board.mine(PARTS, lead is not None)
                    if lead is not None:
                        log(self._desk.clock.now(), "live.leads")
                        told = ""
                        self._look_on(lead)
            except Exception as wrong:
                fault, pause = named(wrong), self._pace.again
                self._board.failed("live", MODES, fault)
            self._leads.clear()
            if fault and fault != told:
                log(self._desk.clock.now(), "live.waits", fault=fault)
                told = fault
            self._stop.wait(pause)

    def _look_on(self, lead: psycopg.Connection) -> None:
        self._leads.set()
        while not self._stop.is_set() and not self._seen_to.wait(self._pace.turn):
            pass  # of whoever is looked at without an outlook nothing would be known
        modes = [_Mode(self._desk, test, self._outlooks, self._pace, self._board) for test in MODES]
        while not self._stop.is_set():
            lead.execute("select")  # raises when it was lost: another may be live by now
            if not sum([mode.turn() for mode in modes]):
                self._stop.wait(self._pace.turn)

    def keep_outlooks(self) -> None:
        """Until told to stop: while this worker is the live one, makes outlooks when they are called for, and enters
        the parcels that are to be looked at again under them.
        """
        told = {False: "", True: ""}
        while not self._stop.is_set():
            if not self._leads.wait(self._pace.look):
                continue
            left = False
            for test in MODES:
                try:
                    with self._board.busy("outlook", test):
                        left |= self._keep_outlook(test)
                    fault = ""
                    self._board.well("outlook", [test])
                except Exception as wrong:
                    fault = named(wrong)
                    self._board.failed("outlook", [test], fault)
                if fault and fault != told[test]:
                    log(self._desk.clock.now(), "outlook.failed", test=test, fault=fault)
                told[test] = fault
            self._seen_to.set()
            pause = self._pace.again if any(told.values()) else self._pace.enter if left else self._pace.look
            self._stop.wait(pause)

    def tell_subscribers(self) -> None:
        """Until told to stop: while this worker is the live one, tells subscribers what came."""
        told = ""
        while not self._stop.is_set():
            if not self._leads.wait(self._pace.look):
                continue
            fault, pause = "", self._pace.turn
            try:
                for test in MODES:
                    with self._board.busy("subscriptions", test):
                        turned = telling.turn(self._desk, test)
                    self._board.well("subscriptions", [test])
                    pause = 0.0 if turned.steps else pause
                    for subscription_id, wrong in turned.failed.items():
                        self._board.failed("subscriptions", [test], named(wrong), still=False)  # it alone rests
                        at = {"test": test, "subscription": subscription_id, "fault": named(wrong)}
                        log(self._desk.clock.now(), "subscription.failed", **at)
            except Exception as wrong:
                fault, pause = named(wrong), self._pace.again
                self._board.failed("subscriptions", MODES, fault)
            if fault and fault != told:
                log(self._desk.clock.now(), "subscriptions.wait", fault=fault)
            told = fault
            self._stop.wait(pause)

    def _keep_outlook(self, test: bool) -> bool:
        """Whether parcels are left to be entered."""
        cause = self._outlooks.build(self._desk, test, self._stop.is_set)
        made = self._outlooks.current(test)
        if cause is not None and made is not None:
            log(self._desk.clock.now(), "outlook.made", test=test, cause=cause, version=made.version)
        return self._outlooks.enter_next(self._desk, test)


class _Mode:
    """The turns of live or of test data: after faults of fewer parcels, until who is at fault stands alone."""

    def __init__(self, desk: Desk, test: bool, outlooks: Outlooks, pace: Pace, board: Board):
        self._desk, self._test, self._outlooks, self._pace, self._board = desk, test, outlooks, pace, board
        self._most, self._faults, self._rests_until = turning.MOST, 0, 0.0
        self._taken: Sequence[str] = ()

    def turn(self) -> int:
        """How many parcels were looked at. Raises what a database that is away gives."""
        if time.monotonic() < self._rests_until:
            return 0
        self._taken = ()
        try:
            outlook = partial(self._outlooks.current, self._test)
            with self._board.busy("live", self._test):
                looked = turning.turn(self._desk, self._test, outlook, self._most, self._take)
        except Exception as fault:
            if named(fault) == CONTENDED:
                self._rests_until = time.monotonic() + self._pace.turn
                return 0
            if isinstance(fault, Unavailable | OperationalError) and named(fault) != TOO_SLOW:
                raise
            return self._failed(fault)
        self._most = min(self._most * 2, turning.MOST)
        if self._most == turning.MOST:
            self._faults = 0
            self._board.well("live", [self._test])
        return looked

    def _take(self, epcs: Sequence[str]) -> None:
        self._taken = epcs

    def _failed(self, fault: Exception) -> int:
        """Rests after the first faults, then halves batches; who is at fault alone is set aside."""
        self._faults += 1
        self._board.failed("live", [self._test], named(fault))
        log(self._desk.clock.now(), "live.failed", test=self._test, fault=named(fault), parcels=self._most)
        if self._faults < TRIES or not self._taken:  # it failed before anybody was taken: nobody's fault
            self._rests_until = time.monotonic() + self._pace.again
            return 0
        if self._most > 1:
            self._most //= 2
            return 1
        for epc in self._taken:  # one
            turning.set_aside(self._desk, self._test, epc, named(fault))
            log(self._desk.clock.now(), "live.set_aside", test=self._test, epc=epc)
        return 1
