"""A system of record in which parcels are looked at and judged, for tests of cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
from looked_cases import LOOK, Judged, judged, looked
from record_cases import Record, make_record

from rookery.base.db import Urls
from rookery.base.operations import SYSTEM
from rookery.network import live
from rookery.network.live import Closure

RIDES_LATE: dict[str, Any] = {
    "node_id": None, "detail": "departed", "riding_departure_id": "HB1", "at": LOOK,
    "riding_depart_at": LOOK - timedelta(minutes=30), "booked_departure_id": None,
}  # fmt: skip
MISSED_HB1 = ("departure_missed", "departure:HB1@2026-03-02T19:30Z")


class Room:
    """A system of record in which parcels are looked at."""

    def __init__(self, record: Record):
        self.record = record

    def judge(self, **rows: dict[str, Any]) -> Judged:
        """Look at parcels, by name, and judge."""
        return self.look(looked(rows))

    def look(self, frame: pl.DataFrame) -> Judged:
        with self.record.context() as ctx:
            return judged(ctx, frame, self.record.now)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.record.context(SYSTEM, readonly=True) as ctx:
            return ctx.conn.execute(query.encode(), values).fetchall()

    def cases(self, closed: bool = False) -> dict[tuple[str, str], int]:
        """How many parcels are in each case, by kind and cause; of closed ones: were when they were closed."""
        found = self.rows(
            "select kind, cause, parcels from tracking.cases where (state = 'closed') = %s order by 1, 2", closed
        )
        return {(kind, cause): parcels for kind, cause, parcels in found}


@contextmanager
def make_room(make_urls: Callable[[], Urls], folder: Path) -> Iterator[Room]:
    with make_record(make_urls, folder) as record:
        record.now = LOOK
        yield Room(record)


def enter_closure(room: Room, reason: str = "Storm") -> None:
    with room.record.context() as ctx:
        until = LOOK + timedelta(hours=16)
        closure = Closure("clo_x", "H", None, None, LOOK, until, 0.0, 0, reason, True, LOOK, "pty_house")
        live.add(ctx.conn, False, closure)


def hear_all(room: Room) -> None:
    """An endpoint of whoever runs the network, that hears everything."""
    with room.record.context() as ctx:
        ctx.conn.execute(
            "insert into base.endpoints (endpoint_id, party_id, test, url, kinds, hears_all, created_at, changed_at)"
            " values ('end_1', 'pty_house', false, 'https://house.example/hook', '{}', true, %(now)s, %(now)s)",
            {"now": LOOK},
        )
