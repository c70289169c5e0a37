"""Backups of the main database, and how one is put back. The keys of people's data are in no backup: what is encrypted
with a key that was destroyed stays unreadable in every copy.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rookery.base.clock import WALL, Clock
from rookery.base.db import numbers, tools
from rookery.base.db.binaries import programs
from rookery.base.db.faults import reachable
from rookery.base.db.migrate import Status, compare, found, rows_of
from rookery.base.db.urls import APP, OWNER, Urls
from rookery.base.files import irregular
from rookery.base.progress import Progress, silent
from rookery.terms.errors import Conflict, InvalidInput, NotFound

_LEAVING_S = 1.0


@dataclass(frozen=True)
class Backup:
    """A backup as written: where, how many bytes, and how many bytes the database has."""

    file: str
    bytes: int
    database_bytes: int


@dataclass(frozen=True)
class Restoring:
    """What putting a backup back would do: to which database, what it holds now, and how the backup stands to this
    program. connected: other connections, which must end first.
    """

    database: str
    database_bytes: int
    rows: int
    connected: int
    backup: Status


@dataclass(frozen=True)
class Restored:
    """What was done: kept is the former database's new name; undo the statements that take it all back. ranges: of
    waybill numbers, that go on where the former database was, since it had issued more of them than the backup knows.
    """

    database: str
    kept: str
    undo: str
    ranges: int


def backup(urls: Urls, file: Path, progress: Progress = silent) -> Backup:
    """Writes the main database to `file` (pg_dump's custom format, 0600), aside and then renamed.

    Raises as dump() does, and Conflict when row-level security would hide rows.
    """
    return dump(_unbound(urls), file, progress, "database: backup")


def dump(url: str, file: Path, progress: Progress, stage: str, *options: str) -> Backup:
    """Writes one database, or what pg_dump's options choose of it, to `file` (0600), aside and then renamed.

    Raises Conflict when the file is there, NotFound when its folder is not, Unavailable.
    """
    file = file.resolve()
    if file.exists():
        raise Conflict("backup.exists", f"{file} is there already.", "name another file")
    if not file.parent.is_dir():
        raise NotFound("backup.no_folder", f"There is no folder {file.parent}.", "make it, or name another")
    size = _size(url)
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # 0600
    os.close(handle)
    aside = Path(name)
    try:
        command = ["pg_dump", "--format=custom", "--no-password", *options, f"--file={aside}"]
        tools.run(command, url, lambda: progress(stage, min(aside.stat().st_size, size), size))
        toc(aside)  # it can be read
        with aside.open("rb") as stream:
            os.fsync(stream.fileno())
        aside.rename(file)
    finally:
        aside.unlink(missing_ok=True)
    progress(stage, size, size)
    return Backup(str(file), file.stat().st_size, size)


def toc(file: Path) -> str:
    """A backup's table of contents. Raises InvalidInput when `file` is none."""
    if why := irregular(file):
        raise InvalidInput("backup.unreadable", f"{file} {why}.", "name a file that `rookery db backup` wrote")
    told = subprocess.run([programs() / "pg_restore", "--list", file], capture_output=True, text=True, check=False)
    if told.returncode:
        raise InvalidInput(
            "backup.unreadable",
            f"{file} is no backup, or only a part of one ({tools.first_error(told.stderr)}).",
            "name a file that `rookery db backup` wrote, whole",
        )
    return told.stdout


def restoring(urls: Urls, file: Path) -> Restoring:
    """What restore() would do; changes nothing. Raises InvalidInput when the file is no backup of Rookery."""
    held = toc(file)
    if " base migration " not in held:
        raise InvalidInput(
            "backup.foreign", f"{file} is no backup of Rookery's.", "name one that `rookery db backup` wrote"
        )
    command = [programs() / "pg_restore", "--data-only", "--schema=base", "--table=migration", "--file=-", file]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    name = conninfo_to_dict(urls.main)["dbname"]
    with reachable(), psycopg.connect(_as_maintainer(urls), autocommit=True) as conn:
        asked = conn.execute(
            """select pg_database_size(current_database()),
                      coalesce((select sum(n_live_tup) from pg_stat_user_tables), 0)::bigint"""
        ).fetchone()
        connected = _others(conn)
    assert asked is not None
    size, rows = asked
    return Restoring(str(name), size, rows, connected, compare(rows_of(text), found()))


def restore(urls: Urls, file: Path, progress: Progress = silent, clock: Clock = WALL) -> Restored:
    """Puts a backup back: into a new database, which then takes the old one's name; the old one is kept.

    Waybill numbers go on where the old one was: none is issued twice, though the backup may be older. A restore that
    fails leaves the old database as it was. Raises Conflict when others are connected, or the backup is newer than the
    program or cannot carry the numbers on, InvalidInput when the file is no backup, Unavailable.
    """
    plan = restoring(urls, file)
    if plan.backup.faults:
        raise Conflict(
            "backup.newer",
            f"{file} does not fit this program: {' '.join(plan.backup.faults)}",
            "upgrade the program first",
        )
    _refuse_connected(plan.connected)
    stamp = f"{clock.now():%Y%m%d_%H%M%S}"
    fresh, kept = f"{plan.database}_new_{stamp}", f"{plan.database}_before_{stamp}"
    owner = conninfo_to_dict(urls.main).get("user", OWNER)
    with reachable(), psycopg.connect(urls.maintain, autocommit=True) as conn:
        names = {key: sql.Identifier(str(name)) for key, name in
                 {"fresh": fresh, "kept": kept, "now": plan.database, "owner": owner}.items()}  # fmt: skip
        _create(conn, names)
        try:
            _fill(make_conninfo(urls.maintain, dbname=fresh), file, str(owner), plan, progress)
            ranges = numbers.carry_on(_as_maintainer(urls), make_conninfo(urls.maintain, dbname=fresh))
            with conn.transaction():
                conn.execute(sql.SQL("alter database {now} rename to {kept}").format(**names))
                conn.execute(sql.SQL("alter database {fresh} rename to {now}").format(**names))
        except BaseException as fault:
            with suppress(psycopg.Error):
                conn.execute(sql.SQL("drop database if exists {fresh} with (force)").format(**names))
            if isinstance(fault, psycopg.errors.ObjectInUse):
                _refuse_connected(1)
            raise
    undo = (
        f'ALTER DATABASE "{plan.database}" RENAME TO "{plan.database}_restored_{stamp}"; '
        f'ALTER DATABASE "{kept}" RENAME TO "{plan.database}";'
    )
    return Restored(plan.database, kept, undo, ranges)


def _create(conn: psycopg.Connection, names: Mapping[str, sql.Identifier]) -> None:
    try:
        conn.execute(
            sql.SQL("create database {fresh} template template0 encoding 'UTF8' owner {owner}").format(**names)
        )
    except psycopg.errors.InsufficientPrivilege:
        raise Conflict(
            "backup.may_not_create",
            "The role that ROOKERY_DATABASE_URL names may not make databases.",
            "have the administrator run: ALTER ROLE " + names["owner"].as_string(conn) + " CREATEDB",
        ) from None
    conn.execute(sql.SQL("revoke all on database {fresh} from public").format(**names))


def _fill(url: str, file: Path, owner: str, plan: Restoring, progress: Progress) -> None:
    """The backup's content, all of it or an error; owned by `owner`."""
    size = max(file.stat().st_size, plan.database_bytes, 1)

    def tell() -> None:
        with suppress(psycopg.Error):
            progress("database: restore", min(_size(url), size), size)

    tools.pour(["pg_restore", "--no-owner", f"--role={owner}", "--file=-", str(file)], url, tell)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("analyze")
    progress("database: restore", size, size)


def _others(conn: psycopg.Connection) -> int:
    """How many other clients are connected; one that has just left is seen for a moment longer, so it looks again."""
    over = time.monotonic() + _LEAVING_S
    while True:
        asked = conn.execute(
            """select count(*) from pg_stat_activity where datname = current_database()
                  and backend_type = 'client backend' and pid <> pg_backend_pid()"""
        ).fetchone()
        if asked == (0,) or asked is None or time.monotonic() > over:
            return asked[0] if asked else 0
        time.sleep(0.02)


def _refuse_connected(others: int) -> None:
    if others:
        raise Conflict(
            "database.in_use",
            "Others are connected to the database, so that it cannot be replaced.",
            "stop `rookery serve` and whatever else uses it, then restore again",
        )


def _as_maintainer(urls: Urls) -> str:
    """The main database under the role that maintains."""
    return make_conninfo(urls.maintain, dbname=str(conninfo_to_dict(urls.main)["dbname"]))


def _unbound(urls: Urls) -> str:
    """The main database under a role that sees every row. Raises Conflict when there is none: a backup without some
    rows would be worse than none.
    """
    url = _as_maintainer(urls)
    with reachable(), psycopg.connect(url, autocommit=True) as conn:
        asked = conn.execute(
            "select quote_ident(current_user), rolsuper or rolbypassrls from pg_roles where rolname = current_user"
        ).fetchone()
        assert asked is not None
        if not asked[1]:
            raise Conflict(
                "backup.rows_hidden",
                "Row-level security would keep rows out of the backup.",
                f"have the administrator run: ALTER ROLE {asked[0]} BYPASSRLS; (role {APP} must not have it)",
            )
    return url


def _size(url: str) -> int:
    with reachable(), psycopg.connect(url, autocommit=True) as conn:
        asked = conn.execute("select pg_database_size(current_database())").fetchone()
    return int(asked[0]) if asked else 0
