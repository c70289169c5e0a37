"""When waves are planned by themselves."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import psycopg
from msgspec import Struct, structs
from psycopg.types.json import Jsonb

from rookery.planning.plans import WaveSettings


class Schedule(Struct, frozen=True):
    """Waves every so many minutes, live or test. next_at: the slot that comes next."""

    test: bool
    every_minutes: int
    next_at: datetime
    enabled: bool
    settings: WaveSettings
    changed_at: datetime
    changed_by: str


def put(conn: psycopg.Connection, schedule: Schedule) -> None:
    """Takes the place of the schedule there was."""
    conn.execute(
        "insert into planning.schedules (test, every_minutes, next_at, enabled, settings, changed_at, changed_by)"
        " values (%s, %s, %s, %s, %s, %s, %s) on conflict (test) do update set every_minutes = excluded.every_minutes,"
        " next_at = excluded.next_at, enabled = excluded.enabled, settings = excluded.settings,"
        " changed_at = excluded.changed_at, changed_by = excluded.changed_by",
        (
            schedule.test, schedule.every_minutes, schedule.next_at, schedule.enabled,
            Jsonb(msgspec.to_builtins(schedule.settings)), schedule.changed_at, schedule.changed_by,
        ),
    )  # fmt: skip


def take_due(conn: psycopg.Connection, test: bool, now: datetime) -> Schedule | None:
    """The slot that has come (as `next_at`), taken; None when none has, or another worker is at it.

    Of several that passed unseen the latest counts.
    """
    row = conn.execute(
        "select every_minutes, next_at, enabled, settings, changed_at, changed_by from planning.schedules"
        " where test = %s and enabled and next_at <= %s for update skip locked",
        (test, now),
    ).fetchone()
    if row is None:
        return None
    every, next_at, enabled, settings, changed_at, changed_by = row
    step = timedelta(minutes=every)
    slot = next_at + (now - next_at) // step * step
    conn.execute("update planning.schedules set next_at = %s where test = %s", (slot + step, test))
    kept = conn.execute("select from planning.slots where test = %s and slot_at = %s", (test, slot)).fetchone()
    if kept is not None:  # the schedule was set anew, to a slot that had its wave
        return None
    found = Schedule(test, every, next_at, enabled, msgspec.convert(settings, WaveSettings), changed_at, changed_by)
    return structs.replace(found, next_at=slot)


def keep_slot(conn: psycopg.Connection, test: bool, slot_at: datetime, plan_id: str) -> None:
    """The slot has its wave."""
    conn.execute("insert into planning.slots (test, slot_at, plan_id) values (%s, %s, %s)", (test, slot_at, plan_id))
