"""Somebody else's server: the same face, and everything that is missing told at once."""

from itertools import count

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rookery.base.db import KEYS, Cluster, Database, External, server, upgrade
from rookery.terms.errors import InvalidInput, Unavailable

NUMBERS = count(1)


@pytest.fixture
def administer(cluster):
    with psycopg.connect(cluster.urls().maintain, autocommit=True) as conn:
        yield conn


@pytest.fixture
def owner(administer):
    """A role without any right, and the address of a database it does not own."""
    name = f"ext_{next(NUMBERS)}"
    administer.execute(
        f"create role {name} login password 'only-for-this-test'; grant connect on database rookery to {name}"
    )
    administer.execute(f"create database {name}")
    administer.execute(f"revoke create on schema public from public; grant connect on database {name} to {name}")
    url = make_conninfo(
        "", host=administer.info.host, port=administer.info.port, user=name, password="only-for-this-test", dbname=name
    )
    return name, url


def test_all_that_is_missing_is_told_and_its_remedy_works(owner, administer):
    """Every missing right is told with its statement, no password among them; run as told, it starts and upgrades."""
    name, url = owner
    with pytest.raises(InvalidInput) as told:
        External(url).start()
    action = told.value.action
    assert f"GRANT CREATE ON DATABASE {name} TO {name};" in action
    assert f"GRANT rookery_app TO {name};" in action
    assert f'CREATE DATABASE "{name}_keys" ENCODING' in action
    assert "only-for-this-test" not in str(told.value)
    for statement in action.partition("run: ")[2].split(";"):
        if statement.strip(" ."):
            administer.execute(statement)
    with External(url) as external:
        assert upgrade(external.url())
        with Database.open(external, size=1) as database:
            with database.transaction("pty_1", frozenset()) as conn:
                assert conn.execute("select current_user").fetchone() == ("rookery_app",)
            with database.keys() as conn:
                assert conn.info.dbname == f"{name}_keys"


def test_the_environment_chooses(tmp_path, owner):
    """ROOKERY_DATABASE_URL names a server, ROOKERY_VAULT_KEYS_URL its keys' database; else it is the embedded one."""
    _, url = owner
    assert isinstance(server(tmp_path, environ={}), Cluster)
    chosen = server(tmp_path, environ={"ROOKERY_DATABASE_URL": url, "ROOKERY_VAULT_KEYS_URL": "dbname=elsewhere"})
    assert isinstance(chosen, External)
    assert chosen.url(KEYS) == "dbname=elsewhere"
    assert not chosen.mend()


@pytest.mark.parametrize("url", ["postgresql://rookery@db", "nonsense", "host=a dbname="])
def test_an_address_without_a_database_is_refused(url):
    """What is no address of a database is told without repeating it: it may hold a password."""
    with pytest.raises(InvalidInput, match="ROOKERY_DATABASE_URL") as told:
        External(url)
    assert url not in str(told.value)


def test_a_server_that_is_away_is_a_503():
    """Nobody there: Unavailable, to be asked again."""
    with pytest.raises(Unavailable):
        External("postgresql://rookery@/rookery?host=/nowhere").start()


def test_a_wrong_password_is_told(owner):
    """A password that is refused is told as that, and not as a server that is away."""
    _, url = owner
    with pytest.raises(InvalidInput, match="password"):
        External(make_conninfo(url, password="wrong")).start()
