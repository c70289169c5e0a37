"""Connections: one caller's transaction, nothing of another's, and a plain 503 when PostgreSQL is away."""

import contextlib
import os
import signal
import threading

import psycopg
import pytest

from rookery.base.db import Cluster, Database, Urls, upgrade
from rookery.base.db.faults import unavailable
from rookery.terms.errors import Unavailable

NOBODY = frozenset[str]()
SYSTEM = frozenset({"system"})


def ask(database, statement, scopes=NOBODY, **more):
    with database.transaction("pty_1", scopes, **more) as conn:
        return conn.execute(statement).fetchone()


def until_ready(database):
    """Returns when it has a connection, however long that takes: whoever asks from now on need not wait for one."""
    while not database.ready():
        pass


def test_a_transaction_is_the_callers(database):
    """Within, the role is rookery_app and the policies' helpers see the caller's party, scopes and mode."""
    asked = "select current_user, base.party(), base.scopes(), base.sees_all(), base.test_mode()"
    assert ask(database, asked, frozenset({"merchant", "courier"}), test=True) == (
        "rookery_app", "pty_1", ["courier", "merchant"], False, True,
    )  # fmt: skip
    assert ask(database, asked, SYSTEM) == ("rookery_app", "pty_1", ["system"], True, False)


@pytest.mark.parametrize("party", ["'; reset role; --", "a\\'b", "Ünï", "%s {party}"])
def test_a_party_is_data(database, party):
    """Whatever the party's id is, it reaches the setting as it is and nothing else happens."""
    with database.transaction(party, NOBODY) as conn:
        assert conn.execute("select current_user, base.party()").fetchone() == ("rookery_app", party)


def test_nothing_is_left_for_the_next_caller(fresh_database):
    """Settings, roles and temporary tables of one transaction are gone in the next one on the same connection."""
    urls = fresh_database.urls
    with Database.open(urls, size=1) as single:
        with single.transaction("pty_1", SYSTEM) as conn:
            conn.execute(
                "set role rookery; set search_path = base; create temp table people as select 'Ada Example' as name"
            )
        asked = "select current_user, base.scopes(), current_setting('search_path'), to_regclass('pg_temp.people')"
        assert ask(single, asked) == ("rookery_app", [], '"$user", public', None)


def test_it_commits_or_rolls_back_whole(fresh_database):
    """A block that ends well is committed; one that raises leaves nothing."""
    insert = "insert into base.parties values (%s, 'Ada Example', null, '{}', '2026-03-02T00:00Z')"
    with fresh_database.transaction("", SYSTEM) as conn:
        conn.execute(insert, ["pty_1"])
    with pytest.raises(ZeroDivisionError), fresh_database.transaction("", SYSTEM) as conn:
        conn.execute(insert, ["pty_2"])
        raise ZeroDivisionError
    assert ask(fresh_database, "select array_agg(party_id) from base.parties", SYSTEM) == (["pty_1"],)


def test_a_query_cannot_write(database):
    """A read-only transaction refuses to write, and that is no 503."""
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        ask(database, "delete from base.replies", SYSTEM, readonly=True)


def test_row_level_security_binds(fresh_database):
    """A party sees its own row and no other's."""
    with fresh_database.transaction("", SYSTEM) as conn:
        for party in ("pty_1", "pty_2"):
            conn.execute(
                "insert into base.parties values (%s, 'Ada Example', null, '{}', '2026-03-02T00:00Z')", [party]
            )
    assert ask(fresh_database, "select array_agg(party_id) from base.parties") == (["pty_1"],)


def test_who_held_a_transaction_and_did_nothing_hears_503(fresh_database):
    """PostgreSQL ends a connection that idles within a transaction; whoever goes on with it hears to ask again."""

    def ended(number: int) -> bool:
        asked = "select count(*) from pg_stat_activity where pid = %s"
        with fresh_database.owner() as other:
            return other.execute(asked, (number,)).fetchone() == (0,)

    with pytest.raises(Unavailable) as told, fresh_database.transaction("pty_1", NOBODY) as conn:
        conn.execute("set local idle_in_transaction_session_timeout = 1")
        while not ended(conn.info.backend_pid):
            pass
        conn.execute("select 1")
    # PostgreSQL's last word may be lost with the connection
    assert told.value.code in ("database.too_slow", "database.gone")
    said = unavailable(psycopg.errors.IdleInTransactionSessionTimeout())
    assert said is not None and said.code == "database.too_slow"
    assert ask(fresh_database, "select 1") == (1,)


def test_the_owner_and_the_keys_have_connections_of_their_own(database):
    """The owner's connection is no rookery_app; the keys' is in the other database, and commits or rolls back whole."""
    with database.owner() as conn:
        assert conn.execute("select current_user, base.sees_all()").fetchone() == ("rookery", True)
    with database.keys() as conn:
        conn.execute("create table if not exists kept (a int)")
    with pytest.raises(ZeroDivisionError), database.keys() as conn:
        conn.execute("insert into kept values (1)")
        raise ZeroDivisionError
    with database.keys() as conn:
        assert conn.execute("select count(*) from kept").fetchone() == (0,)
        assert conn.info.dbname.endswith("_keys")


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("53100", "database.disk_full"),
        ("53300", "database.too_many_connections"),
        ("53200", "database.no_memory"),
        ("55P03", "database.contended"),
        ("40P01", "database.contended"),
        ("57014", "database.too_slow"),
        ("57P01", "database.gone"),
    ],
)
def test_what_passes_by_itself_is_a_503(database, state, code):
    """An error of PostgreSQL that will pass is Unavailable, tells when to come again, and quotes no value."""
    with pytest.raises(Unavailable) as told:
        ask(database, f"do $$ begin raise exception 'Ada Example' using errcode = '{state}'; end $$")
    assert told.value.code == code
    assert told.value.retry_after_s > 0
    assert "Ada" not in str(told.value)


def test_a_fault_of_the_program_stays_one(database):
    """SQL that is wrong is no 503."""
    with pytest.raises(psycopg.errors.SyntaxError):
        ask(database, "selekt")


def test_an_error_that_was_swallowed_is_no_commit(fresh_database):
    """Code that catches an error of PostgreSQL and goes on does not have its caller believe that all was written."""
    with pytest.raises(psycopg.errors.InFailedSqlTransaction), fresh_database.transaction("", SYSTEM) as conn:
        conn.execute("insert into base.parties values ('pty_1', 'Ada Example', null, '{}', '2026-03-02T00:00Z')")
        with contextlib.suppress(psycopg.Error):
            conn.execute("select 1 / 0")
    assert ask(fresh_database, "select count(*) from base.parties", SYSTEM) == (0,)


def test_too_few_connections_are_told(fresh_database):
    """Whoever gets no connection in time hears 503; when one is free again the next one works."""
    with Database.open(fresh_database.urls, size=1, wait_s=0.1) as single:
        until_ready(single)
        with single.transaction("", NOBODY), pytest.raises(Unavailable, match="came free in time"):
            ask(single, "select 1")
        assert ask(single, "select 1") == (1,)


def test_a_connection_lost_while_idle_is_replaced(fresh_database):
    """Connections that were cut while nobody used them are not noticed by the next caller."""
    assert ask(fresh_database, "select 1") == (1,)
    with psycopg.connect(fresh_database.urls.maintain, autocommit=True) as conn:
        conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
            [psycopg.conninfo.conninfo_to_dict(fresh_database.urls.main)["dbname"]],
        )
    assert ask(fresh_database, "select 1") == (1,)


def test_a_connection_lost_on_the_way_is_told(fresh_database):
    """A connection lost in the middle is 503, nothing of the transaction is there, and nothing was tried again."""
    tries = []
    with pytest.raises(Unavailable), fresh_database.transaction("", SYSTEM) as conn:
        tries.append(1)
        conn.execute("insert into base.parties values ('pty_1', 'Ada Example', null, '{}', '2026-03-02T00:00Z')")
        with psycopg.connect(fresh_database.urls.maintain, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s, 5000)", [conn.info.backend_pid])
        conn.execute("select 1")
    assert tries == [1]
    assert ask(fresh_database, "select count(*) from base.parties", SYSTEM) == (0,)


def test_one_lost_at_the_commit_says_that_it_is_not_known(fresh_database):
    """When the connection is lost before the commit is answered, the error says that the outcome is not known."""
    with (
        pytest.raises(Unavailable, match="not known") as told,
        fresh_database.transaction("", SYSTEM) as conn,
        psycopg.connect(fresh_database.urls.maintain, autocommit=True) as other,
    ):
        other.execute("select pg_terminate_backend(%s, 5000)", [conn.info.backend_pid])
    assert told.value.code == "database.lost"


def test_postgresql_may_go_and_come_back(tmp_path):
    """While PostgreSQL is dead callers hear 503; when it is back the same Database works with what was written."""
    with Cluster(tmp_path / "data", changed={"shared_buffers": "32MB"}) as cluster:
        upgrade(cluster.url())
        with Database.open(cluster, size=2, wait_s=0.2) as database:
            until_ready(database)
            with database.transaction("", SYSTEM) as conn:
                conn.execute(
                    "insert into base.parties values ('pty_1', 'Ada Example', null, '{}', '2026-03-02T00:00Z')"
                )
            os.kill(int((cluster.folder / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            revived = threading.Event()
            while cluster._postmaster.takes_connections() or not cluster._postmaster.ended():
                revived.wait(0.01)
            with pytest.raises(Unavailable):
                ask(database, "select 1")
            assert not database.ready()
            assert cluster.mend()
            until_ready(database)
            assert ask(database, "select count(*) from base.parties", SYSTEM) == (1,)


def test_a_database_that_never_was_is_a_503():
    """Opening does not wait for PostgreSQL; who asks while it is away hears 503."""
    url = "postgresql://rookery@/rookery?host=/nowhere"
    with Database.open(Urls(url, url, url), size=1, wait_s=0.1) as database:
        assert not database.ready()
        with pytest.raises(Unavailable), database.owner():
            pass
        with pytest.raises(Unavailable), database.keys():
            pass
