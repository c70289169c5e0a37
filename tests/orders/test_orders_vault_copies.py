"""Copies of the keys' database: a lost one is told, a copy brings people back, and nobody who was erased."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from typer.testing import CliRunner

from rookery.base.db import Database, Urls
from rookery.base.db.backup import backup, restore
from rookery.doors.cli.main import app
from rookery.orders import vault
from rookery.orders.addresses import Address
from rookery.orders.vault import Erased, Keyring, KeysRestored
from rookery.orders.vault.keys import digest_key, make_keys
from rookery.terms.errors import Conflict, InvalidInput, NotFound, Unavailable

NOW = datetime(2026, 9, 15, 12, tzinfo=UTC)
ADA = Address(name="Ada Example", lines=("Straße 1",), city="Berlin", country="DE")
RING = Keyring({1: bytes(32)})
MERCHANT = frozenset({"merchant"})


@pytest.fixture
def urls(make_urls) -> Urls:
    """A system of record with an empty table of keys."""
    return ready(make_urls())


def ready(urls: Urls) -> Urls:
    with psycopg.connect(urls.keys, autocommit=True) as keys:
        vault.prepare(keys)
    return urls


@contextmanager
def both(urls: Urls, test: bool = False) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    """A transaction of the party's, and the keys."""
    with (
        Database.open(urls, size=1) as database,
        psycopg.connect(urls.keys, autocommit=True) as keys,
        database.transaction("pty_1", MERCHANT, test) as conn,
    ):
        yield conn, keys


def seal(urls: Urls, people: int, test: bool = False) -> list[str]:
    with both(urls, test) as (conn, keys):
        digest_key(keys, RING)
        return vault.seal_people(conn, keys, RING, "pty_1", test, [ADA] * people, NOW)


def erase(urls: Urls, ids: list[str]) -> None:
    with both(urls) as (conn, keys):
        assert vault.erase(conn, keys, ids, NOW) == sorted(ids)


def opened(urls: Urls, ids: list[str]) -> list[Address | Erased]:
    with both(urls) as (conn, keys):
        found = vault.open_people(conn, keys, RING, ids)
    return [found[person] for person in ids]


def secret(urls: Urls) -> bytes:
    with psycopg.connect(urls.keys, autocommit=True) as keys:
        return digest_key(keys, RING)


def test_a_new_place_without_the_keys_is_told_and_made_whole_by_a_copy(urls, make_urls, tmp_path):
    """Nobody reads as erased for a lost key: everybody is counted, of both modes, until a copy of the keys is there."""
    ids, erased = seal(urls, 3), seal(urls, 1)
    seal(urls, 2, test=True)
    erase(urls, erased)
    backup(urls, tmp_path / "main.dump")
    vault.backup_keys(urls, tmp_path / "keys.dump")
    assert vault.people_without_key(urls) == 0
    new = ready(make_urls())
    assert secret(new) != secret(urls)
    restore(new, tmp_path / "main.dump")
    assert vault.people_without_key(new) == 5
    with pytest.raises(Unavailable, match="3 people"):
        opened(new, ids + erased)
    assert vault.restore_keys(new, tmp_path / "keys.dump") == KeysRestored(restored=6, there=0, erased=1)
    assert vault.people_without_key(new) == 0
    assert opened(new, ids + erased) == [ADA] * 3 + [Erased(NOW)]
    assert secret(new) == secret(urls)  # a repeated order is still known as the same


def test_nobody_erased_since_comes_back_with_a_copy(urls, tmp_path):
    """Erased after both copies: they stay erased when both are put back, and those sealed since keep their keys."""
    ids = seal(urls, 4)
    backup(urls, tmp_path / "main.dump")
    vault.backup_keys(urls, tmp_path / "keys.dump")
    erase(urls, ids[:1])
    later, held = seal(urls, 1), secret(urls)
    with psycopg.connect(urls.keys) as keys:  # one that is lost
        keys.execute("delete from vault_keys.person_key where person_id = %s", (ids[1],))
    done = vault.restore_keys(urls, tmp_path / "keys.dump")
    assert done == KeysRestored(restored=1, there=3, erased=1)
    assert opened(urls, ids + later) == [Erased(NOW)] + [ADA] * 4
    restore(urls, tmp_path / "main.dump")
    vault.restore_keys(urls, tmp_path / "keys.dump")
    assert opened(urls, ids) == [Erased(NOW)] + [ADA] * 3
    assert secret(urls) == held


def test_the_main_database_s_tombstones_hold_too(urls, make_urls, tmp_path):
    """A copy of the keys older than an erasure, put beside a main database that knows of it, brings nobody back."""
    ids = seal(urls, 2)
    vault.backup_keys(urls, tmp_path / "keys.dump")
    erase(urls, ids[:1])
    backup(urls, tmp_path / "main.dump")
    new = make_urls()
    restore(new, tmp_path / "main.dump")
    vault.restore_keys(new, tmp_path / "keys.dump")
    with psycopg.connect(new.keys) as keys:
        assert keys.execute("select from vault_keys.person_key where person_id = %s", (ids[0],)).rowcount == 0
    assert opened(new, ids) == [Erased(NOW), ADA]


def test_keys_of_refused_rows_do_not_come_back(urls, make_urls, tmp_path):
    """When they were destroyed is not noted, so that a copy may never bring them."""
    with psycopg.connect(urls.keys, autocommit=True) as keys:
        make_keys(keys, RING, ["upl_a:2", "per_a"])
    vault.backup_keys(urls, tmp_path / "keys.dump")
    new = make_urls()
    assert vault.restore_keys(new, tmp_path / "keys.dump").restored == 1
    with psycopg.connect(new.keys) as keys:
        assert keys.execute("select person_id from vault_keys.person_key").fetchall() == [("per_a",)]


def test_a_copy_of_the_keys_is_its_owner_s_and_replaces_no_file(urls, tmp_path):
    """0600, whole or absent; and before there are keys there is nothing to copy."""
    file = tmp_path / "keys.dump"
    made = vault.backup_keys(urls, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and made.bytes == file.stat().st_size
    with pytest.raises(Conflict, match="there already"):
        vault.backup_keys(urls, file)
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.dump"]
    with psycopg.connect(urls.keys) as keys:
        keys.execute("drop schema vault_keys cascade")
    with pytest.raises(NotFound):
        vault.backup_keys(urls, tmp_path / "none.dump")


@pytest.mark.parametrize("spoil", ["main", "cut", "text"])
def test_what_is_no_copy_of_keys_adds_none(urls, tmp_path, spoil):
    """A backup of the main database, a copy cut short or a text is refused whole."""
    seal(urls, 400)
    file = tmp_path / "keys.dump"
    if spoil == "main":
        backup(urls, file)
    elif spoil == "cut":
        vault.backup_keys(urls, file)
        file.write_bytes(file.read_bytes()[:-20_000])
    else:
        file.write_text("select 1;")
    with psycopg.connect(urls.keys) as keys:
        keys.execute("delete from vault_keys.person_key")
    with pytest.raises(InvalidInput):
        vault.restore_keys(urls, file)
    with psycopg.connect(urls.keys) as keys:
        assert keys.execute("select from vault_keys.person_key").rowcount == 0


def test_the_commands_tell_loudly_what_is_missing_and_what_to_do(urls, make_urls, tmp_path, monkeypatch):
    """Backup says what is not in it, restore how many people lack a key; a copy of the keys ends the warning."""

    def run(at: Urls, *words: str) -> str:
        url = make_conninfo(at.maintain, dbname=str(conninfo_to_dict(at.main)["dbname"]))
        monkeypatch.setenv("ROOKERY_DATABASE_URL", url)
        monkeypatch.setenv("ROOKERY_VAULT_KEYS_URL", at.keys)
        done = CliRunner().invoke(app, ["db", *words, "--data", str(tmp_path)])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout if "--json" in words else " ".join(done.output.split())

    main, keys = str(tmp_path / "main.dump"), str(tmp_path / "keys.dump")
    seal(urls, 1)
    told = json.loads(run(urls, "backup", main, "--json"))["not_in_it"]
    assert "rookery db backup-keys FILE" in told and told in run(urls, "backup", main + "2")
    assert json.loads(run(urls, "backup-keys", keys, "--json"))["file"] == keys
    assert "for days only" in run(urls, "backup-keys", keys + "2")
    one, two = make_urls(), make_urls()
    told = json.loads(run(one, "restore", main, "--yes", "--json"))
    assert told["people_without_key"] == 1 and "rookery db restore-keys FILE" in told["warning"]
    assert f"warning {told['warning']}" in run(two, "restore", main, "--yes")
    told = json.loads(run(one, "restore-keys", keys, "--json"))
    assert (told["restored"], told["people_without_key"], told["warning"]) == (2, 0, None)
    said = run(two, "restore-keys", keys)
    assert "Added 2 data keys; 0 were there" in said and "warning" not in said
