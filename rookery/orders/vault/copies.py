"""Copies of the keys' database, and how one is put back without undoing an erasure; whose key is lost.

A copy of the keys opens whoever is erased later, together with an older backup, for as long as it lives.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from rookery.base.db.backup import Backup, dump, toc
from rookery.base.db.binaries import programs
from rookery.base.db.faults import reachable
from rookery.base.db.urls import APP, Urls
from rookery.base.progress import Progress, silent
from rookery.orders.vault.keys import BATCH, adding, prepare
from rookery.terms.errors import InvalidInput, NotFound

_TABLES = {b"COPY vault_keys.person_key ": "held_key", b"COPY vault_keys.erased ": "held_erased"}
_STAGED = """
create temporary table held_key (like vault_keys.person_key) on commit drop;
create temporary table held_erased (like vault_keys.erased) on commit drop;
"""
# Keys of kept rows and of waiting uploads never come back: when they were destroyed is not noted. The secret that
# contents are hashed with is the copy's where nobody has been sealed here yet, else what was sealed since would differ.
_MERGED = """
insert into vault_keys.erased select * from held_erased on conflict do nothing;
delete from held_key h where exists (select from vault_keys.erased e where e.person_id = h.person_id);
delete from vault_keys.person_key k using vault_keys.erased e where e.person_id = k.person_id;
delete from vault_keys.person_key where person_id = 'content_digest'
   and exists (select from held_key where person_id = 'content_digest')
   and not exists (select from vault_keys.person_key where starts_with(person_id, 'per_'));
"""


@dataclass(frozen=True)
class KeysRestored:
    """What came back: data keys that were missing, those that were there already, and how many are erased for good."""

    restored: int
    there: int
    erased: int


def backup_keys(urls: Urls, file: Path, progress: Progress = silent) -> Backup:
    """Writes the data keys, still wrapped by the master key, to `file` (0600).

    Raises what base.db.backup.backup raises, and NotFound before there are any keys.
    """
    with _keys(urls) as keys:
        if keys.execute("select to_regclass('vault_keys.person_key')").fetchone() == (None,):
            raise NotFound("backup.no_keys", "There are no data keys yet.", "copy them once somebody is in the vault")
    return dump(urls.keys, file, progress, "keys: backup", "--schema=vault_keys")


def restore_keys(urls: Urls, file: Path, progress: Progress = silent) -> KeysRestored:
    """Adds the data keys of a copy that are missing now; those that are there stay, and servers may go on.

    Nobody who was erased comes back: the tombstones of the copy, of the present keys and of the main database hold.
    Raises InvalidInput when the file is no copy of keys, Unavailable.
    """
    if "TABLE DATA vault_keys person_key" not in toc(file):
        raise InvalidInput(
            "backup.foreign", f"{file} holds no data keys.", "name one that `rookery db backup-keys` wrote"
        )
    with _keys(urls) as keys:
        prepare(keys)
        with adding(keys):
            keys.execute(_STAGED)
            _stage(keys, file)
            progress("keys: restore", 1, 3)
            for some in _each_seen(urls, "vault.erased", "person_id, erased_at"):
                keys.execute(
                    "insert into held_erased select * from unnest(%s::text[], %s::timestamptz[])",
                    ([person_id for person_id, _ in some], [at for _, at in some]),
                )
            progress("keys: restore", 2, 3)
            keys.execute(_MERGED.encode())
            wanted = "where starts_with(person_id, 'per_') or person_id = 'content_digest'"
            held = _count(keys, f"select count(*) from held_key {wanted}")
            added = keys.execute(
                f"insert into vault_keys.person_key select * from held_key {wanted} on conflict do nothing".encode()
            ).rowcount
            erased = _count(keys, "select count(*) from vault_keys.erased")
    progress("keys: restore", 3, 3)
    return KeysRestored(added, held - added, erased)


def people_without_key(urls: Urls, progress: Progress = silent) -> int:
    """How many people's bodies are in the main database whose data keys are not in the keys' one, though nobody erased
    them.
    """
    looked, lost = 0, 0
    with _keys(urls) as keys:
        prepare(keys)
        for some in _each_seen(urls, "vault.people", "person_id"):
            lost += _count(
                keys,
                """select count(*) from unnest(%s::text[]) as here(person_id)
                    where not exists (select from vault_keys.person_key k where k.person_id = here.person_id)
                      and not exists (select from vault_keys.erased e where e.person_id = here.person_id)""",
                [row[0] for row in some],
            )
            looked += len(some)
            progress("keys: check", looked, looked)
    return lost


@contextmanager
def _keys(urls: Urls) -> Iterator[psycopg.Connection]:
    with reachable(), psycopg.connect(urls.keys, autocommit=True, options="-c client_min_messages=warning") as conn:
        yield conn


def _each_seen(urls: Urls, table: str, columns: str) -> Iterator[list[tuple[Any, ...]]]:
    """All rows of one of the vault's tables, by the batch; none where there is no such table."""
    with reachable(), psycopg.connect(urls.main, options="-c rookery.scopes=system") as conn:
        if conn.execute("select to_regclass(%s)", (table,)).fetchone() == (None,):
            return
        conn.execute(f"set role {APP}".encode())
        for test in ("off", "on"):
            conn.execute("select set_config('rookery.test', %s, false)", (test,))
            with conn.cursor(name="seen") as rows:
                rows.execute(f"select {columns} from {table}".encode())
                while some := rows.fetchmany(BATCH):
                    yield some


def _stage(keys: psycopg.Connection, file: Path) -> None:
    """A copy's rows in temporary tables. Raises InvalidInput when they are not all there."""
    command = [programs() / "pg_restore", "--data-only", "--file=-", file]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with child:
        assert child.stdout is not None
        lines = iter(child.stdout)
        for line in lines:
            table = next((table for head, table in _TABLES.items() if line.startswith(head)), None)
            if table:
                columns = line[line.index(b"(") : line.index(b")") + 1].decode()
                with keys.cursor().copy(f"copy {table} {columns} from stdin".encode()) as into:
                    whole = _until_end(lines, into.write)
                if not whole:
                    raise _cut(file)
    if child.returncode:
        raise _cut(file)


def _until_end(lines: Iterator[bytes], write: Callable[[bytes], None]) -> bool:
    """Writes a table's rows; whether their end was seen."""
    for line in lines:
        if line == b"\\.\n":
            return True
        if line.endswith(b"\n"):
            write(line)
    return False


def _cut(file: Path) -> InvalidInput:
    return InvalidInput(
        "backup.unreadable",
        f"{file} is only a part of a copy of the keys, or damaged; no key was added.",
        "name one that `rookery db backup-keys` wrote, whole",
    )


def _count(conn: psycopg.Connection, query: str, *values: object) -> int:
    row = conn.execute(query.encode(), values).fetchone()
    return row[0] if row else 0
