"""Whether the audit trail is what was written: every seal, every line of every seal, and no line beside them."""

from __future__ import annotations

import hmac
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import psycopg
from msgspec import Struct

from rookery.base.clock import Clock
from rookery.base.db.pool import Database
from rookery.base.sealing import (
    LINE,
    START,
    anchored,
    digest_of,
    hmac_of,
    last_seal,
    read_anchor,
    seal,
    seal_key,
    seals,
)
from rookery.terms.errors import Conflict

KEPT_MONTHS = 84
"""Lines younger than this may not be missing, whatever the database says about how long it keeps them."""
MOST_TOLD = 100


class Finding(Struct, frozen=True, omit_defaults=True):
    """One sign of tampering. code: seal_broken, seal_missing, seals_cut, line_changed, line_removed, line_inserted."""

    code: str
    what: str
    seal_no: int | None = None
    audit_id: int | None = None


class Verdict(Struct, frozen=True):
    """What was found. lines: those there; waiting: not sealed yet; expired: sealed, and dropped with their month."""

    holds: bool
    seals: int
    lines: int
    waiting: int
    expired: int
    counts: dict[str, int]
    findings: list[Finding]  # the first MOST_TOLD


def verify(database: Database, clock: Clock, data: Path) -> Verdict:
    """Seals what waits, then checks the whole trail as it is at one instant. Raises Conflict without a key."""
    book = _Book()
    try:
        seal(database, clock, data)
    except Conflict as fault:
        if fault.code != "audit.cut":
            raise
    with database.owner() as conn, conn.transaction():
        conn.execute("set transaction isolation level repeatable read, read only")
        anchor, last = read_anchor(data), last_seal(conn)
        key = seal_key(data, make=last is None and anchor is None)
        book.check_seals(conn, key)
        if anchor is not None and not anchored(conn, anchor):
            book.tell("seals_cut", "The last seal that was made is not there", anchor.seal_no)
        book.check_lines(conn, 0 if last is None else last.settled_id)
        book.check_missing(clock.now())
    found = book.counts
    return Verdict(not found, book.seals, book.lines, book.waiting, book.expired, dict(found), book.findings)


class _Book:
    """What is known of the trail while it is gone through."""

    def __init__(self) -> None:
        self.seals = self.lines = self.waiting = self.expired = 0
        self.counts: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self._months: list[tuple[int, int, int, int]] = []  # of each seal: number, its place in ids, lines, its month
        self._ids = np.empty(0, np.int64)
        self._digests = np.empty(0, "V32")
        self._found = np.empty(0, bool)

    def tell(self, code: str, what: str, seal_no: int | None = None, audit_id: int | None = None) -> None:
        self.counts[code] += 1
        if len(self.findings) < MOST_TOLD:
            self.findings.append(Finding(code, what, seal_no, audit_id))

    def check_seals(self, conn: psycopg.Connection, key: bytes) -> None:
        ids, digests, place = [], [], 0
        number, before = 0, START
        for one in seals(conn):
            self.seals += 1
            if one.seal_no != number + 1:
                self.tell("seal_missing", f"Seals {number + 1} to {one.seal_no - 1} are not there", number + 1)
            elif one.previous != before:
                self.tell("seal_broken", "The seal does not follow the one before it", one.seal_no)
            if not hmac.compare_digest(one.hmac, hmac_of(key, one)):
                self.tell("seal_broken", "The seal itself was changed or is none of ours", one.seal_no)
            ids.append(np.asarray(one.ids, np.int64))
            digests.append(np.frombuffer(one.digests, "V32"))
            month = one.last_at.year * 12 + one.last_at.month
            self._months.append((one.seal_no, place, len(one.ids), month))
            place += len(one.ids)
            number, before = one.seal_no, one.hmac
        if ids:
            self._ids, self._digests = np.concatenate(ids), np.concatenate(digests)
        self._found = np.zeros(len(self._ids), bool)

    def check_lines(self, conn: psycopg.Connection, settled: int) -> None:
        order = np.argsort(self._ids, kind="stable")
        sorted_ids = self._ids[order]
        with conn.cursor(name="lines") as cursor:
            cursor.itersize = 5000
            cursor.execute(f"select {LINE} from base.audit order by audit_id, at")
            for line in cursor:
                self.lines += 1
                number = line[0]
                at = int(np.searchsorted(sorted_ids, number))
                if at == len(sorted_ids) or sorted_ids[at] != number:
                    if number <= settled:
                        self.tell("line_inserted", "A line that was never sealed", audit_id=number)
                    else:
                        self.waiting += 1
                    continue
                place = order[at]
                same = self._digests[place].tobytes() == digest_of(line)
                if self._found[place]:
                    self.tell("line_inserted", "A second line with the number of another", audit_id=number)
                elif not same:
                    self.tell("line_changed", "The line is not what was sealed", self._seal_of(place), number)
                self._found[place] = True

    def check_missing(self, now: datetime) -> None:
        """Lines may be gone when the whole month of their seal is kept no longer."""
        oldest = now.year * 12 + now.month - KEPT_MONTHS
        for seal_no, start, count, month in self._months:
            there = self._found[start : start + count]
            if month < oldest and not there.any():
                self.expired += count
                continue
            for place in np.flatnonzero(~there):
                self.tell("line_removed", "A sealed line is not there", seal_no, int(self._ids[start + place]))

    def _seal_of(self, place: int) -> int:
        starts = [start for _, start, _, _ in self._months]
        return self._months[int(np.searchsorted(starts, place, side="right")) - 1][0]
