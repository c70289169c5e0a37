"""Migrations: plain SQL files of the rooms in one global order, each in a transaction of its own, forward only.

Files are `rookery/<room>/migrations/NNNN_name.sql`. What was applied stands in base.migration, with the text's SHA-256.
A session advisory lock lets one program upgrade at a time; it ends with the connection, so that nothing is left locked
after kill -9.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from itertools import pairwise

import psycopg
from psycopg import pq, sql

from rookery.base.clock import WALL, Clock
from rookery.base.db.faults import reachable
from rookery.base.db.urls import APP
from rookery.base.progress import Progress, silent
from rookery.terms.errors import Conflict, RookeryError

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK = 0x726F6F6B  # "rook": the advisory lock of whoever upgrades
_OPTIONS = "-c rookery.scopes=system -c lock_timeout=60s"

_TABLE = """
create schema if not exists base;
create table if not exists base.migration (
  number integer primary key,
  name text not null,
  sha256 text not null,
  applied_at timestamptz not null,
  program text not null -- the version of Rookery that applied it
)
"""


@dataclass(frozen=True)
class Migration:
    """One file: its place in the global order, its name with the room's ("orders/0010_orders.sql"), its text."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Applied:
    """A migration that a database has."""

    number: int
    name: str
    sha256: str


@dataclass(frozen=True)
class Status:
    """How a database stands to this program. faults: why it cannot be upgraded, empty when it can."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def current(self) -> bool:
        """Whether the program can work with the database as it is."""
        return not self.pending and not self.faults


class BrokenMigration(RookeryError):
    """A migration's SQL failed; the database is as it was before that file."""


def found(root: Traversable | None = None) -> list[Migration]:
    """All migrations of the installed program in their order. Raises Conflict when two have one number."""
    root = root or resources.files("rookery")
    migrations = sorted(_read(root), key=lambda migration: migration.number)
    for before, after in pairwise(migrations):
        if before.number == after.number:
            raise Conflict(
                "database.migration_number",
                f"{before.name} and {after.name} have one number.",
                "give the one that was not yet released the next free number",
            )
    return migrations


def _read(root: Traversable) -> Iterable[Migration]:
    for room in root.iterdir():
        folder = room / "migrations"
        for file in folder.iterdir() if room.is_dir() and folder.is_dir() else ():
            if match := _NAME.fullmatch(file.name):
                yield Migration(int(match[1]), f"{room.name}/{file.name}", file.read_text(encoding="utf-8"))


def status(url: str, migrations: Sequence[Migration] | None = None) -> Status:
    """Which migrations a database has and lacks; changes nothing. Raises Unavailable."""
    with reachable(), psycopg.connect(url, autocommit=True, options=_OPTIONS, connect_timeout=10) as conn:
        return compare(_applied(conn), found() if migrations is None else migrations)


def upgrade(
    url: str,
    progress: Progress = silent,
    migrations: Sequence[Migration] | None = None,
    clock: Clock = WALL,
) -> list[str]:
    """Applies what a database lacks and returns the names applied, in order; waits while another program upgrades.

    Makes the role rookery_app first where it is missing. Raises Conflict when the database is newer than the program,
    an applied file was changed, or a number below the latest applied one is new; BrokenMigration; Unavailable.
    """
    migrations = found() if migrations is None else migrations
    with reachable(), psycopg.connect(url, autocommit=True, options=_OPTIONS, connect_timeout=10) as conn:
        progress("database: upgrading", 0, len(migrations))
        conn.execute("set lock_timeout = 0")
        conn.execute("select pg_advisory_lock(%s)", [_LOCK])
        conn.execute("reset lock_timeout")
        had = _applied(conn)
        if faults := compare(had, migrations).faults:
            raise Conflict(
                "database.cannot_upgrade",
                f"This database cannot be upgraded by Rookery {_version()}: {' '.join(faults)}",
                "upgrade the program to the release the database has, or restore a backup made before that",
            )
        _make_role(conn)
        conn.execute(_TABLE)
        numbers = {applied.number for applied in had}
        pending = [migration for migration in migrations if migration.number not in numbers]
        for done, migration in enumerate(pending):
            progress("database: upgrading", done, len(pending))
            _apply(conn, migration, clock)
        progress("database: upgrading", len(pending), len(pending))
        return [migration.name for migration in pending]


def _applied(conn: psycopg.Connection) -> list[Applied]:
    if conn.execute("select to_regclass('base.migration')").fetchone() == (None,):
        return []
    rows = conn.execute("select number, name, sha256 from base.migration order by number")
    return [Applied(*row) for row in rows]


def rows_of(copied: str) -> list[Applied]:
    """The rows of base.migration in COPY's text form, as a backup holds them."""
    rows = [line.split("\t") for line in copied.splitlines() if line.count("\t") == 4]
    return [Applied(int(row[0]), row[1], row[2]) for row in rows]


def compare(had: Sequence[Applied], migrations: Sequence[Migration]) -> Status:
    """How what a database has stands to what the program knows."""
    known = {migration.number: migration for migration in migrations}
    latest = max((applied.number for applied in had), default=0)
    numbers = {applied.number for applied in had}
    faults = []
    for applied in had:
        ours = known.get(applied.number)
        if ours is None:
            faults.append(f"It has {applied.name}, which this program does not know: it was upgraded by a newer one.")
        elif ours.sha256 != applied.sha256:
            faults.append(f"{ours.name} was changed after it had been applied.")
    pending = [migration for migration in migrations if migration.number not in numbers]
    for migration in pending:
        if migration.number < latest:
            faults.append(f"{migration.name} is new but numbered below {latest:04}, which is applied.")
    return Status(tuple(applied.name for applied in had), tuple(migration.name for migration in pending), tuple(faults))


def _make_role(conn: psycopg.Connection) -> None:
    """The role the server works under; on somebody else's server the owner may have the right to make it."""
    app = sql.Identifier(APP)
    if conn.execute("select from pg_roles where rolname = %s", [APP]).fetchone() is None:
        try:
            conn.execute(sql.SQL("create role {} nologin nosuperuser nobypassrls").format(app))
        except psycopg.errors.DuplicateObject:
            pass  # another database of the same server was upgraded at the same moment
        except psycopg.errors.InsufficientPrivilege:
            raise Conflict(
                "database.no_role",
                f"There is no role {APP}, and this one may not make it.",
                f"have the administrator run: CREATE ROLE {APP} NOLOGIN; GRANT {APP} TO CURRENT_USER",
            ) from None
    if conn.execute("select pg_has_role(%s, 'USAGE')", [APP]).fetchone() != (True,):
        conn.execute(sql.SQL("grant {} to current_user").format(app))


def _apply(conn: psycopg.Connection, migration: Migration, clock: Clock) -> None:
    """One file, whole or not at all."""
    try:
        with conn.transaction():
            conn.execute(migration.text.encode())
            if conn.info.transaction_status != pq.TransactionStatus.INTRANS:
                raise BrokenMigration(
                    "database.migration_ends_transaction",
                    f"{migration.name} ends its transaction itself.",
                    "take commit and rollback out of the file",
                )
            conn.execute(
                "insert into base.migration values (%s, %s, %s, %s, %s)",
                (migration.number, migration.name, migration.sha256, clock.now(), _version()),
            )
    except psycopg.OperationalError:
        raise
    except psycopg.Error as fault:
        place = fault.diag.statement_position
        line = f", line {migration.text[: int(place)].count(chr(10)) + 1}" if place else ""
        raise BrokenMigration(
            "database.migration_failed",
            f"{migration.name}{line}: {fault.diag.message_primary or type(fault).__name__}. "
            "The database is as it was before this file.",
            "mend the file, or report it when it is one of Rookery's; then upgrade again",
        ) from fault


def _version() -> str:
    return metadata.version("rookery")
