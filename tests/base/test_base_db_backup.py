"""Backups: whole or absent, without keys; a restore replaces all or nothing and can be undone."""

import os
import stat
import threading
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rookery.base.clock import Clock
from rookery.base.db import Database, status
from rookery.base.db import backup as module
from rookery.base.db.backup import backup, restore, restoring, toc
from rookery.terms.errors import Conflict, InvalidInput, NotFound

SYSTEM = frozenset({"system"})
CLOCK = Clock(lambda: datetime(2026, 3, 2, 10, tzinfo=UTC))


@pytest.fixture
def urls(make_urls, monkeypatch):
    """A database with one party in it. Whoever leaves it may take as long as a busy machine does."""
    monkeypatch.setattr(module, "_LEAVING_S", 60.0)
    urls = make_urls()
    add(urls, "pty_1")
    return urls


def add(urls, party):
    with Database.open(urls, size=1) as database, database.transaction("", SYSTEM) as conn:
        conn.execute("insert into base.parties values (%s, 'Ada Example', null, '{}', '2026-03-02T00:00Z')", [party])


def parties(urls):
    with Database.open(urls, size=1) as database, database.transaction("", SYSTEM) as conn:
        return [name for (name,) in conn.execute("select party_id from base.parties order by 1")]


def test_what_was_backed_up_comes_back(urls, tmp_path):
    """After a restore the database is as it was when backed up; the former one is kept under a name with the time."""
    made = backup(urls, tmp_path / "a.dump")
    assert stat.S_IMODE((tmp_path / "a.dump").stat().st_mode) == 0o600
    assert made.bytes == (tmp_path / "a.dump").stat().st_size
    assert [file.name for file in tmp_path.iterdir()] == ["a.dump"]
    add(urls, "pty_2")
    plan = restoring(urls, tmp_path / "a.dump")
    assert (plan.connected, plan.backup.current) == (0, True)
    done = restore(urls, tmp_path / "a.dump", clock=CLOCK)
    assert done.kept == f"{plan.database}_before_20260302_100000"
    assert parties(urls) == ["pty_1"]
    assert status(urls.main).current
    with psycopg.connect(urls.maintain, autocommit=True) as conn:
        for statement in done.undo.split(";")[:-1]:
            conn.execute(statement)
    assert parties(urls) == ["pty_1", "pty_2"]


def test_a_restored_database_is_guarded_as_before(urls, tmp_path):
    """Owner, rights, row-level security and policies are the same before and after."""
    asked = (
        "select c.oid::regclass::text, pg_get_userbyid(relowner), relrowsecurity, relforcerowsecurity,"
        " (select array_agg(polname order by polname) from pg_policy where polrelid = c.oid),"
        " (select array_agg(a::text order by a::text) from unnest(relacl) a)"
        " from pg_class c join pg_namespace n on n.oid = relnamespace"
        " where relkind in ('r', 'p', 'v', 'S') and nspname !~ '^pg_|^information' order by 1"
    )
    with psycopg.connect(urls.main) as conn:
        before = conn.execute(asked).fetchall()
    backup(urls, tmp_path / "a.dump")
    restore(urls, tmp_path / "a.dump")
    with psycopg.connect(urls.main) as conn:
        assert conn.execute(asked).fetchall() == before
        assert conn.execute("select has_database_privilege('public', current_database(), 'connect')").fetchone() == (
            False,
        )


def test_rows_under_forced_security_are_in_it(urls, tmp_path):
    """Rows that row-level security hides from everybody but their party are in the backup too."""
    with Database.open(urls, size=1) as database, database.transaction("pty_1", frozenset()) as conn:
        conn.execute(
            "insert into base.replies values ('pty_1', false, 'once', 'a', 'b', 200, null, '2026-03-02T00:00Z')"
        )
    backup(urls, tmp_path / "a.dump")
    restore(urls, tmp_path / "a.dump")
    with Database.open(urls, size=1) as database, database.transaction("pty_1", frozenset()) as conn:
        assert conn.execute("select count(*) from base.replies").fetchone() == (1,)


def test_keys_are_in_no_backup(urls, tmp_path):
    """What stands in the keys' database is not in the backup, and a restore leaves it as it is."""
    with psycopg.connect(urls.keys) as conn:
        conn.execute("create table secret_of_a_person (a text)")
    backup(urls, tmp_path / "a.dump")
    assert "secret_of_a_person" not in toc(tmp_path / "a.dump")
    restore(urls, tmp_path / "a.dump")
    with psycopg.connect(urls.keys) as conn:
        assert conn.execute("select count(*) from secret_of_a_person").fetchone() == (0,)


def test_a_file_that_is_there_is_left_alone(urls, tmp_path):
    """A backup replaces no file, and needs a folder to be in."""
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(Conflict, match="there already"):
        backup(urls, tmp_path / "mine")
    with pytest.raises(NotFound, match="no folder"):
        backup(urls, tmp_path / "nowhere" / "a.dump")
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("spoil", ["cut", "text", "folder", "pipe", "absent"])
def test_what_is_no_backup_is_refused(urls, tmp_path, spoil):
    """A file cut short, a text, a folder, a pipe or nothing is told, and the database stays as it was."""
    file = tmp_path / "a.dump"
    if spoil == "cut":
        backup(urls, file)
        file.write_bytes(file.read_bytes()[:300])
    elif spoil == "text":
        file.write_text("select 1;")
    elif spoil == "folder":
        file.mkdir()
    elif spoil == "pipe":
        os.mkfifo(file)
    with pytest.raises(InvalidInput):
        restore(urls, file)
    assert parties(urls) == ["pty_1"]


def test_a_restore_that_fails_changes_nothing(urls, tmp_path):
    """A backup whose data are cut off fails half-way; the old database is as it was and no other is left."""
    file = tmp_path / "a.dump"
    with psycopg.connect(urls.main) as conn:
        conn.execute("create table filler as select md5(i::text) as a from generate_series(1, 20000) i")
    backup(urls, file)
    file.write_bytes(file.read_bytes()[:-200_000])
    with pytest.raises(Exception, match=r"pg_restore|no backup"):
        restore(urls, file)
    assert parties(urls) == ["pty_1"]
    with psycopg.connect(urls.maintain) as conn:
        assert conn.execute("select count(*) from pg_database where datname like '%\\_new\\_%'").fetchone() == (0,)


def test_nothing_is_replaced_under_a_running_server(urls, tmp_path, monkeypatch):
    """While others are connected a restore is refused, and tells to stop the server."""
    monkeypatch.setattr(module, "_LEAVING_S", 0.1)
    backup(urls, tmp_path / "a.dump")
    with psycopg.connect(urls.main), pytest.raises(Conflict, match="rookery serve"):
        restore(urls, tmp_path / "a.dump")


def test_who_has_just_left_stops_no_restore(urls, tmp_path):
    """A connection that ends while a restore looks for others is none."""
    backup(urls, tmp_path / "a.dump")
    leaving = psycopg.connect(urls.main)
    gone = threading.Timer(0.3, leaving.close)
    gone.start()
    restore(urls, tmp_path / "a.dump")
    gone.join()
    assert parties(urls) == ["pty_1"]


def test_a_newer_backup_is_refused(urls, tmp_path):
    """A backup of a newer release is refused before anything is done."""
    with psycopg.connect(urls.main) as conn:
        conn.execute("insert into base.migration values (9999, 'base/9999_later.sql', 'x', '2026-03-02T00:00Z', '9')")
    backup(urls, tmp_path / "a.dump")
    with pytest.raises(Conflict, match="newer"):
        restore(urls, tmp_path / "a.dump")


def test_a_backup_that_would_miss_rows_is_refused(urls, tmp_path):
    """A role that row-level security binds makes no backup: it would lack rows in silence."""
    bound = type(urls)(urls.main, urls.keys, make_conninfo(urls.main, dbname="rookery"))
    with pytest.raises(Conflict, match="BYPASSRLS"):
        backup(bound, tmp_path / "a.dump")
    assert not list(tmp_path.iterdir())


def add_range(urls, name, prefix, next_serial):
    with psycopg.connect(urls.main, options="-c rookery.scopes=system") as conn:
        conn.execute("alter table waybill.ranges no force row level security")
        conn.execute(
            "insert into waybill.ranges (range_id, party_id, test, kind, prefix, digits, check_rule, first_serial,"
            " next_serial, last_serial, created_at)"
            " values (%s, 'pty_1', false, 'carrier', %s, 6, 'none', 0, %s, 999999, '2026-03-02T00:00Z')",
            [name, prefix, next_serial],
        )
        conn.execute("alter table waybill.ranges force row level security")


def issue(urls, prefix, to):
    with Database.open(urls, size=1) as database, database.transaction("", SYSTEM) as conn:
        conn.execute("update waybill.ranges set next_serial = %s where prefix = %s", [to, prefix])


def next_serials(urls):
    with Database.open(urls, size=1) as database, database.transaction("", SYSTEM) as conn:
        return dict(conn.execute("select prefix, next_serial from waybill.ranges").fetchall())


def test_numbers_issued_since_the_backup_are_not_issued_again(urls, tmp_path):
    """After a restore each range goes on where the replaced database was, also one that was entered since."""
    add_range(urls, "A", "AA", 5)
    add_range(urls, "B", "BB", 7)
    backup(urls, tmp_path / "a.dump")
    issue(urls, "AA", 50)
    add_range(urls, "C", "CC", 3)
    assert restore(urls, tmp_path / "a.dump", clock=CLOCK).ranges == 2
    assert next_serials(urls) == {"AA": 50, "BB": 7, "CC": 3}
    with psycopg.connect(urls.main) as conn:
        forced = conn.execute("select relforcerowsecurity from pg_class where oid = 'waybill.ranges'::regclass")
        assert forced.fetchone() == (True,)


def test_ranges_entered_anew_under_another_name_go_on_too(urls, make_urls, tmp_path):
    """Put into an installation that entered the same numbers by itself, a backup goes on behind what either issued."""
    add_range(urls, "A", "AA", 5)
    backup(urls, tmp_path / "a.dump")
    other = make_urls()
    add_range(other, "Z", "AA", 9)
    assert restore(other, tmp_path / "a.dump", clock=CLOCK).ranges == 1
    assert next_serials(other) == {"AA": 9}


def test_a_range_that_cannot_go_on_stops_the_restore(urls, make_urls, tmp_path):
    """Numbers that the backup spells by another range are not risked: nothing is replaced."""
    add_range(urls, "A", "A1", 5)
    backup(urls, tmp_path / "a.dump")
    other = make_urls()
    with psycopg.connect(other.main) as conn:
        conn.execute("alter table waybill.ranges no force row level security")
        conn.execute(
            "insert into waybill.ranges (range_id, party_id, test, kind, prefix, digits, check_rule, first_serial,"
            " next_serial, last_serial, created_at)"
            " values ('Z', 'pty_1', false, 'carrier', 'A', 7, 'none', 0, 9, 9999999, '2026-03-02T00:00Z')"
        )
        conn.execute("alter table waybill.ranges force row level security")
    with pytest.raises(Conflict, match="issued again"):
        restore(other, tmp_path / "a.dump")
    assert next_serials(other) == {"A": 9}
