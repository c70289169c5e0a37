"""Plan records: a wave asked for, begun, and done or failed. Every step is one guarded UPDATE."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import psycopg
from msgspec import Struct
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from rookery.terms.errors import NotFound

_COLUMNS = (
    "plan_id, feed_id, test, state, settings, asked_by, asked_at, begun_at, finished_at, orders, booked, rerouted,"
    " unassigned, skipped, reasons, summary, fault, metadata, version"
)


class WaveSettings(Struct, frozen=True, omit_defaults=True):
    """How a wave plans; null = as `rookery plan` would by itself."""

    horizon_days: int | None = None
    outcomes: int | None = None
    seconds: float | None = None


class PlanRecord(Struct, frozen=True):
    """A wave. orders: looked at; skipped: what others changed, or whose room they booked, meanwhile, left as it is;
    reasons: of those unassigned, and parcels booked without a waybill number (no_number); fault: why it failed.
    """

    plan_id: str
    feed_id: str
    test: bool
    state: str
    settings: WaveSettings
    asked_by: str
    asked_at: datetime
    begun_at: datetime | None
    finished_at: datetime | None
    orders: int | None
    booked: int | None
    rerouted: int | None
    unassigned: int | None
    skipped: int | None
    reasons: dict[str, int]
    summary: dict[str, Any]
    fault: str | None
    metadata: dict[str, str]
    version: int


class Outcome(Struct, frozen=True):
    """What a wave came to."""

    orders: int = 0
    booked: int = 0
    rerouted: int = 0
    unassigned: int = 0
    skipped: int = 0
    reasons: dict[str, int] = {}
    summary: dict[str, Any] = {}


def add_plan(
    conn: psycopg.Connection, plan_id: str, feed_id: str, test: bool, by: str, now: datetime, settings: WaveSettings,
    metadata: dict[str, str],
) -> None:  # fmt: skip
    """A wave that waits for a worker."""
    conn.execute(
        "insert into planning.plans (plan_id, feed_id, test, state, settings, asked_by, asked_at, metadata)"
        " values (%s, %s, %s, 'waiting', %s, %s, %s, %s)",
        (plan_id, feed_id, test, Jsonb(msgspec.to_builtins(settings)), by, now, Jsonb(metadata)),
    )


def get_plan(conn: psycopg.Connection, plan_id: str) -> PlanRecord:
    """One wave. Raises NotFound."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            f"select {_COLUMNS} from planning.plans where plan_id = %s".encode(), (plan_id,)
        ).fetchone()
    if row is None:
        raise NotFound("waves.none", f"There is no plan {plan_id}.", "list the waves: GET /waves")
    return msgspec.convert(row, PlanRecord)


def list_plans(conn: psycopg.Connection, test: bool, before: str = "", limit: int = 1000) -> list[PlanRecord]:
    """Waves, the newest first; those before an id when one is given."""
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"select {_COLUMNS} from planning.plans where test = %s and (plan_id < %s or %s = '')"
            " order by plan_id desc limit %s".encode(),
            (test, before, before, limit),
        ).fetchall()
    return msgspec.convert(rows, list[PlanRecord])


def find_test(conn: psycopg.Connection, plan_id: str) -> bool | None:
    """Whether a wave is of the data this transaction sees: its `test`, None when it is not."""
    row = conn.execute("select test from planning.plans where plan_id = %s", (plan_id,)).fetchone()
    return row[0] if row else None


def begin_plan(conn: psycopg.Connection, plan_id: str, feed_id: str, now: datetime) -> int | None:
    """The wave is being planned; returns its version, None when it is done or failed already.

    One that was begun before (its worker was killed) is begun again: whoever began it last may finish it.
    """
    row = conn.execute(
        "update planning.plans set state = 'planning', feed_id = %s, begun_at = %s, version = version + 1"
        " where plan_id = %s and state in ('waiting', 'planning') returning version",
        (feed_id, now, plan_id),
    ).fetchone()
    return row[0] if row else None


def finish_plan(conn: psycopg.Connection, plan_id: str, version: int, now: datetime) -> bool:
    """Claims the end of the wave, before its results are written; False when others began it anew or ended it."""
    done = conn.execute(
        "update planning.plans set state = 'done', finished_at = %s, version = version + 1"
        " where plan_id = %s and state = 'planning' and version = %s",
        (now, plan_id, version),
    )
    return done.rowcount == 1


def tell_outcome(conn: psycopg.Connection, plan_id: str, outcome: Outcome) -> None:
    """Writes what a wave came to, in the transaction that finishes it."""
    conn.execute(
        "update planning.plans set orders = %s, booked = %s, rerouted = %s, unassigned = %s, skipped = %s,"
        " reasons = %s, summary = %s where plan_id = %s",
        (
            outcome.orders, outcome.booked, outcome.rerouted, outcome.unassigned, outcome.skipped,
            Jsonb(outcome.reasons), Jsonb(outcome.summary), plan_id,
        ),
    )  # fmt: skip


def fail_plan(conn: psycopg.Connection, plan_id: str, fault: str, now: datetime) -> None:
    """The wave cannot be planned; nothing was booked by it."""
    conn.execute(
        "update planning.plans set state = 'failed', fault = %s, finished_at = %s, version = version + 1"
        " where plan_id = %s and state in ('waiting', 'planning')",
        (fault, now, plan_id),
    )
