"""Migrations: in order, each whole or not at all, once, and never over a database they do not fit."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rookery.base.db import migrate
from rookery.base.db.migrate import BrokenMigration, Migration, found, status, upgrade
from rookery.terms.errors import Conflict, Unavailable

NUMBERS = count(1)
FIRST = Migration(
    1, "base/0001_first.sql", "create table first (a text primary key); grant select on first to rookery_app;"
)
SECOND = Migration(2, "orders/0002_second.sql", "alter table first add b integer not null default 5;")
THIRD = Migration(3, "base/0003_third.sql", "create table third (c integer);")


@pytest.fixture
def url(cluster):
    """An empty database: no migration applied."""
    urls, name = cluster.urls(), f"empty_{next(NUMBERS)}"
    with psycopg.connect(urls.maintain, autocommit=True) as conn:
        conn.execute(f"create database {name} owner rookery")
    return make_conninfo(urls.main, dbname=name)


def rows(url, statement):
    with psycopg.connect(url) as conn:
        return conn.execute(statement).fetchall()


def test_they_are_applied_in_order_and_once(url):
    """What is pending is applied in the order of numbers, recorded with its hash, and not applied again."""
    assert status(url, [FIRST, SECOND]).pending == (FIRST.name, SECOND.name)
    assert upgrade(url, migrations=[FIRST, SECOND]) == [FIRST.name, SECOND.name]
    assert upgrade(url, migrations=[FIRST, SECOND]) == []
    assert rows(url, "select number, name, sha256 from base.migration order by 1") == [
        (1, FIRST.name, FIRST.sha256),
        (2, SECOND.name, SECOND.sha256),
    ]
    assert status(url, [FIRST, SECOND]).current


def test_an_upgrade_keeps_what_is_there(url):
    """A database of an earlier release with rows in it is upgraded, and the rows are there in their new form."""
    upgrade(url, migrations=[FIRST])
    with psycopg.connect(url) as conn:
        conn.execute("insert into first values ('kept')")
    assert upgrade(url, migrations=[FIRST, SECOND, THIRD]) == [SECOND.name, THIRD.name]
    assert rows(url, "select * from first") == [("kept", 5)]


def test_rookerys_own_are_applied_over_rows(url):
    """Rookery's own migrations: the first one alone, a party in it, then all the others."""
    own = found()
    upgrade(url, migrations=own[:1])
    with psycopg.connect(url, options="-c rookery.scopes=system") as conn:
        conn.execute("insert into base.parties values ('pty_1', 'Ada Example', null, '{}', '2026-03-02T00:00Z')")
    assert len(upgrade(url)) == len(own) - 1
    assert rows(url, "select party_id, name from base.parties") == [("pty_1", "Ada Example")]
    assert status(url).current


def test_a_broken_one_is_rolled_back_whole(url):
    """SQL that fails leaves the database as it was before its file; the ones before it stay, and the line is told."""
    broken = Migration(2, "base/0002_broken.sql", "create table half (a int);\nselect 1;\nselect nonsense;")
    with pytest.raises(BrokenMigration, match=r"0002_broken.sql, line 3: .*nonsense"):
        upgrade(url, migrations=[FIRST, broken, THIRD])
    assert rows(url, "select to_regclass('half'), to_regclass('third'), to_regclass('first')::text") == [
        (None, None, "first")
    ]
    assert upgrade(url, migrations=[FIRST, SECOND, THIRD]) == [SECOND.name, THIRD.name]


def test_one_that_commits_is_refused(url):
    """A file that ends its transaction itself could leave half of itself: it is refused and told."""
    with pytest.raises(BrokenMigration, match="ends its transaction"):
        upgrade(url, migrations=[Migration(1, "base/0001_commits.sql", "create table a (b int); commit;")])
    assert rows(url, "select count(*) from base.migration") == [(0,)]


def test_a_changed_file_is_refused(url):
    """A file whose text is no longer what was applied is refused, and nothing is applied."""
    upgrade(url, migrations=[FIRST])
    changed = Migration(1, FIRST.name, FIRST.text + " -- changed")
    with pytest.raises(Conflict, match="changed after it had been applied"):
        upgrade(url, migrations=[changed, SECOND])
    assert status(url, [changed, SECOND]).faults
    assert rows(url, "select count(*) from base.migration") == [(1,)]


def test_a_new_gap_is_refused(url):
    """A file that is new but numbered below what is applied would be applied in another order elsewhere: refused."""
    upgrade(url, migrations=[FIRST, THIRD])
    with pytest.raises(Conflict, match="numbered below 0003"):
        upgrade(url, migrations=[FIRST, SECOND, THIRD])


def test_a_newer_database_is_refused(url):
    """A database that a newer program upgraded is told so, with every fault at once."""
    upgrade(url, migrations=[FIRST, SECOND, THIRD])
    with pytest.raises(Conflict, match="newer") as told:
        upgrade(url, migrations=[Migration(1, FIRST.name, "select 1")])
    assert all(word in told.value.what for word in (SECOND.name, THIRD.name, "changed"))
    assert "upgrade the program" in told.value.action


def test_two_upgrades_at_once_wait_for_each_other(url):
    """Of several programs that start at once each migration is applied by one, and all find the database upgraded."""
    # who applies it waits for the lock below, until all others wait for it
    slow = Migration(1, "base/0001_slow.sql", "create table once (a int); select pg_advisory_xact_lock(1);")
    waiting = "select count(*) from pg_locks l join pg_database d on d.oid = l.database"
    waiting += " where locktype = 'advisory' and not granted and datname = current_database()"
    with ThreadPoolExecutor(4) as pool, psycopg.connect(url, autocommit=True) as conn:
        conn.execute("select pg_advisory_lock(1)")
        applied = [pool.submit(upgrade, url, migrations=[slow, THIRD]) for _ in range(4)]
        while conn.execute(waiting).fetchone() != (4,) and not any(one.done() for one in applied):
            pass
        conn.execute("select pg_advisory_unlock(1)")
        assert sorted(len(one.result()) for one in applied) == [0, 0, 0, 2]


def test_numbers_are_unique_and_files_are_read(tmp_path):
    """Files of all rooms are found by name; two with one number are told; others are no migrations."""
    for room, name in (("base", "0001_a.sql"), ("orders", "0002_b.sql"), ("orders", "notes.sql")):
        (tmp_path / room / "migrations").mkdir(parents=True, exist_ok=True)
        (tmp_path / room / "migrations" / name).write_text("select 1;")
    assert [migration.name for migration in found(tmp_path)] == ["base/0001_a.sql", "orders/0002_b.sql"]
    (tmp_path / "base" / "migrations" / "0002_c.sql").write_text("select 1;")
    with pytest.raises(Conflict, match="one number"):
        found(tmp_path)


def test_rookerys_own_stand_in_their_rooms():
    """Every migration of Rookery's is found, and the base comes first."""
    assert found()[0].name == "base/0001_base.sql"


def test_a_server_that_is_away_is_told():
    """No PostgreSQL there: Unavailable, not a traceback."""
    with pytest.raises(Unavailable):
        upgrade("postgresql://rookery@/rookery?host=/nowhere", migrations=[])


def test_copied_rows_are_read():
    """The rows of base.migration as a backup holds them are read, other lines left out."""
    text = "COPY base.migration (number) FROM stdin;\n1\tbase/0001_a.sql\tff\t2026-03-02 00:00:00+00\t0.1.0\n\\.\n"
    assert [(row.number, row.name, row.sha256) for row in migrate.rows_of(text)] == [(1, "base/0001_a.sql", "ff")]
