"""Parcels whose chances may be others under a new outlook: entered to be looked at again, the urgent ones at once, the
others bit by bit, so that what moves meanwhile is not kept waiting behind them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets
from rookery.planning.ops import Model, instants
from rookery.terms.time import NEVER
from rookery.tracking import chances
from rookery.tracking.epcis.identifiers import sscc_uri

BATCH = 2000
"""Parcels entered together."""
LITTLE = 2
"""Rows that wait to be looked at, up to which more are entered."""


@dataclass
class Queue:
    """Parcels to be looked at again under the outlook `version`.

    changed: dated departures (columns of `changes`) whose parcels are urgent; new: parcels that were never looked at,
    or whose kind has a policy of its own only now; left: so many are still to be entered. It begins when nobody is
    looked at under the outlook before any more. Parcels that are set aside are left out.
    """

    version: str
    changed: pl.DataFrame
    new: tuple[str, ...] = ()
    begun: bool = False
    left: int = 0
    _waiting: deque[list[str]] = field(default_factory=deque)

    def enter_next(self, conn: psycopg.Connection, test: bool) -> bool:
        """Enter more, unless enough waits to be looked at already; False when nothing is left. As the system.

        The transaction that fails takes the queue's place in it along: begin another (`anew`).
        """
        if not self.begun:
            self._list(conn, test)
        if not self._waiting:
            return False
        row = conn.execute(
            "select count(*) from (select from tracking.moved where test = %s limit %s) as waiting", (test, LITTLE + 1)
        ).fetchone()
        if row is not None and row[0] <= LITTLE:
            some = self._waiting.popleft()
            chances.enter(conn, test, some)
            self.left -= len(some)
        return True

    def anew(self) -> Queue:
        """The same from its beginning; whoever was looked at since is not in it."""
        return Queue(self.version, self.changed, self.new)

    def _list(self, conn: psycopg.Connection, test: bool) -> None:
        self.begun = True
        every = _elsewise(conn, test, self.version)
        at_once = set(_not_entered(conn, test, self.new))
        if not self.changed.is_empty():
            at_once |= _booked_on(conn, test, self.changed).intersection(every)
        chances.enter(conn, test, at_once)
        rest = [epc for epc in every if epc not in at_once]
        self._waiting.extend(rest[begin : begin + BATCH] for begin in range(0, len(rest), BATCH))
        self.left = len(rest)


def changes(before: Model, after: Model, now: int) -> pl.DataFrame:
    """The dated departures from minute `now` on that only one of two timetables of a network has.

    Columns departure_id, depart_at.
    """
    keys = []
    for model in (before, after):
        table = model.timetable
        both = max(now, before.timetable.start), min(before.timetable.end, after.timetable.end)
        within = (table.depart >= both[0]) & (table.depart < both[1])
        keys.append(table.departure[within].astype(np.int64) * _SPAN + table.depart[within])
    either = np.setxor1d(*keys)
    ids = after.feed.departures["departure_id"].gather(either // _SPAN)
    return pl.DataFrame({"departure_id": ids, "depart_at": instants(either % _SPAN)})


_SPAN = int(NEVER) + 1


def _elsewise(conn: psycopg.Connection, test: bool, version: str) -> list[str]:
    """Parcels under way whose chances go by another outlook, or were not known for want of a policy, but for those that
    are set aside; first who was not looked at for longest, so that nobody waits for ever behind outlooks that follow
    each other.
    """
    rows = conn.execute(
        f"select epc from tracking.chances where test = %s and {chances.UNDER_WAY}"
        " and (policy is distinct from %s or why = 'no_policy') and not exists (select from"
        " tracking.set_aside a where a.test = chances.test and a.epc = chances.epc) order by looked_at, epc".encode(),
        (test, version),
    )
    return [epc for (epc,) in rows]


def _not_entered(conn: psycopg.Connection, test: bool, epcs: tuple[str, ...]) -> list[str]:
    """Those of the parcels that do not wait to be looked at already."""
    if not epcs:
        return []
    rows = conn.execute("select unnest(epcs) from tracking.moved where test = %s", (test,))
    waiting = {epc for (epc,) in rows}
    return [epc for epc in epcs if epc not in waiting]


def _booked_on(conn: psycopg.Connection, test: bool, departures: pl.DataFrame) -> set[str]:
    """Parcels whose routes that count use dated departures (departure_id, depart_at)."""
    rows, values = sets.source(departures, {"departure_id": "text", "depart_at": "timestamptz"})
    found = conn.execute(
        sql.SQL(
            "select distinct p.number from {} join planning.legs l using (departure_id, depart_at)"
            " join orders.shipments s on s.shipment_id = l.shipment_id and s.route = l.route"
            " join orders.parcels p on p.shipment_id = s.shipment_id"
            " where l.test = %(test)s and p.number is not null"
        ).format(rows),
        {**values, "test": test},
    )
    return {sscc_uri(number) for (number,) in found}
