"""Signs of life of the live side's parts, and what waits for them, in PostgreSQL. As the system, within the transaction
of the connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NamedTuple

import psycopg
from msgspec import Struct
from psycopg.rows import class_row

from rookery.base.paging import COUNTED

Part = Literal["live", "outlook", "subscriptions", "webhooks"]


class Sign(Struct, frozen=True, kw_only=True):
    """What a part of the live side said last; see the table. Instants are real time, but for outlook_at."""

    part: Part
    at: datetime
    busy_since: datetime | None = None
    fault: str | None = None
    fault_at: datetime | None = None
    failing_since: datetime | None = None
    waiting: int | None = None
    first_place: int | None = None
    waiting_since: datetime | None = None
    outlook: str | None = None
    outlook_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    broke_off_at: datetime | None = None

    @property
    def of_before(self) -> bool:
        """Whether an older program gave it, which does not tell since when it runs, or that it ended."""
        return self.started_at is None or (self.ended_at is not None and self.at > self.ended_at)


class Waiting(NamedTuple):
    """What waits in a queue: how much (up to COUNTED), and the places of the first and of the last; None = nothing
    does, or it is not known by places.
    """

    much: int
    first: int | None
    last: int | None


_NAMES = Sign.__struct_fields__
_WRITE = (
    f"insert into tracking.live_signs (test, {', '.join(_NAMES)})"
    f" values (%(test)s, {', '.join(f'%({name})s' for name in _NAMES)}) on conflict (part, test) do update set "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES if name != "part")
)

_MOVED = "from tracking.moved where test = %(test)s and not_before is null"
# Counted in no order: PostgreSQL would sort all of them first. It may pass over what is of the other mode.
MOVED = f"""
with few as (select parcels {_MOVED} limit {COUNTED})
select (select least(coalesce(sum(parcels), 0), {COUNTED})::bigint from few),
       (select seq {_MOVED} order by seq limit 1), (select seq {_MOVED} order by seq desc limit 1)
"""


def write(conn: psycopg.Connection, test: bool, signs: Iterable[Sign]) -> None:
    """Keep the signs of some parts, in place of those before."""
    for sign in sorted(signs, key=lambda sign: sign.part):
        conn.execute(_WRITE.encode(), {"test": test, **{name: getattr(sign, name) for name in _NAMES}})


def end(conn: psycopg.Connection, test: bool, part: Part, started_at: datetime, now: datetime) -> None:
    """Note that the run of a part that began then was told to end; nothing where another has the part by now."""
    conn.execute(
        "update tracking.live_signs set at = %(now)s, ended_at = %(now)s"
        " where part = %(part)s and test = %(test)s and started_at = %(started_at)s",
        {"part": part, "test": test, "started_at": started_at, "now": now},
    )


def read(conn: psycopg.Connection, test: bool) -> dict[Part, Sign]:
    """The last signs, by part; a part that never gave one is not there."""
    with conn.cursor(row_factory=class_row(Sign)) as cursor:
        query = f"select {', '.join(_NAMES)} from tracking.live_signs where test = %s"
        return {sign.part: sign for sign in cursor.execute(query.encode(), (test,))}


def moved(conn: psycopg.Connection, test: bool) -> Waiting:
    """Parcels that wait to be looked at at once: one that moved twice meanwhile may count twice."""
    row = conn.execute(MOVED.encode(), {"test": test}).fetchone()
    assert row is not None
    return Waiting(*row)
