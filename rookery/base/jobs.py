"""Jobs: work that is asked for in an act's own transaction and done later by a worker, whatever happens in between.

procrastinate (docs/decisions) keeps the queue in schema `jobs` of the same database, so that a job is there exactly
when the act that asked for it was committed. A job holds ids, never anything about people; what it does must be the
same done once or again. procrastinate's own book-keeping (heartbeats, when a failed job is tried again) goes by the
database's clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata, resources
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from rookery.base.clock import Clock
from rookery.base.db.pool import Database
from rookery.base.operations import SYSTEM, Context, Who

SCHEMA = "jobs"
QUEUE = "rookery"
_LOCK = 0x6A6F6273  # "jobs": the advisory lock of whoever installs

# `defer` is all that the app's role may do with jobs; the library's functions find their tables by search_path.
_DOOR = """
create or replace function jobs.defer(task text, lock text, queueing_lock text, args jsonb) returns bigint
language sql security definer set search_path = jobs, pg_temp as $$
  select unnest(procrastinate_defer_jobs_v1(array[
    row('rookery', task, 0, lock, queueing_lock, args, null)::procrastinate_job_to_defer_v1]))
$$;
revoke all on function jobs.defer from public;
grant usage on schema jobs to rookery_app;
grant execute on function jobs.defer to rookery_app;
"""


@dataclass(frozen=True)
class Desk:
    """What a task works at: it opens a context for each transaction it needs. tries: how often this job was tried
    before.
    """

    database: Database
    clock: Clock
    parts: Mapping[type, Any] = field(default_factory=dict)
    tries: int = 0

    def context(self, test: bool = False, readonly: bool = False) -> Context:
        """One transaction of Rookery itself, in live or in test data; use it with `with`."""
        who = Who(SYSTEM.party_id, SYSTEM.key_id, SYSTEM.scopes, test)
        return Context(self.database, self.clock, who, self.parts, readonly)


TASKS: dict[str, Callable[..., None]] = {}
"""What jobs do, by name: `task(desk, **ids)`."""
TICKS: dict[str, Callable[[Desk], None]] = {}
"""What workers look after every minute; doing it twice, or in two workers at once, must do no harm."""


def task(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Enter a function into the table of tasks."""

    def mark(function: Callable[..., None]) -> Callable[..., None]:
        if TASKS.setdefault(name, function) is not function:
            raise ValueError(f"task {name} stands in the table already")
        return function

    return mark


def tick(name: str) -> Callable[[Callable[[Desk], None]], Callable[[Desk], None]]:
    """Enter a function into the table of what is looked after every minute."""

    def mark(function: Callable[[Desk], None]) -> Callable[[Desk], None]:
        if TICKS.setdefault(name, function) is not function:
            raise ValueError(f"tick {name} stands in the table already")
        return function

    return mark


def defer(conn: psycopg.Connection, name: str, *, lock: str | None = None, once: str | None = None, **ids: str) -> int:
    """Ask for a job in the transaction of `conn`; returns its number.

    lock: of jobs with the same, one is done at a time, in the order asked for; once: no second job with the same may
    wait (psycopg.errors.UniqueViolation). Raises KeyError for a task that is not in the table.
    """
    TASKS[name]
    row = conn.execute("select jobs.defer(%s, %s, %s, %s)", (name, lock, once, Jsonb(ids))).fetchone()
    assert row is not None
    return row[0]


def install(conn: psycopg.Connection) -> None:
    """Make or upgrade the library's tables in schema jobs, by the owner's connection (autocommit); one at a time, and
    nothing when they are there.
    """
    version = metadata.version("procrastinate")
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        row = conn.execute(
            "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = %s", (SCHEMA,)
        ).fetchone()
        had = (row[0] or "") if row else None
        if had == f"procrastinate {version}":
            return
        conn.execute("create schema if not exists jobs")
        conn.execute("set local search_path = jobs")
        conn.execute("set local client_min_messages = warning")
        for text in _pending(had):
            conn.execute(text.encode())
        for (function,) in conn.execute(
            "select oid::regprocedure::text from pg_proc where pronamespace = 'jobs'::regnamespace and prolang ="
            " (select oid from pg_language where lanname = 'plpgsql')"
        ).fetchall():
            conn.execute(f"alter function {function} set search_path = jobs, pg_temp".encode())
        conn.execute(_DOOR.encode())
        # said last: the version whose tables these are
        conn.execute(sql.SQL("comment on schema jobs is {}").format(sql.Literal(f"procrastinate {version}")))


def _pending(had: str | None) -> list[str]:
    """The SQL that brings a schema of the version in its comment (None = there is none) to the installed library's."""
    folder = resources.files("procrastinate.sql")
    if had is None:
        return [(folder / "schema.sql").read_text(encoding="utf-8")]
    since = numbers(had)
    files = sorted(
        (file for file in (folder / "migrations").iterdir() if file.name.endswith(".sql")), key=lambda f: f.name
    )
    return [file.read_text(encoding="utf-8") for file in files if numbers(file.name) > since]


def numbers(text: str) -> tuple[int, ...]:
    """A version's three numbers: of "procrastinate 3.10.0" or "03.04.00_01_pre.sql"."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(number) for number in found.groups()) if found else (0, 0, 0)
