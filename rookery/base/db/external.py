"""Somebody else's PostgreSQL (15 or newer), named by ROOKERY_DATABASE_URL, with the same face as the embedded one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rookery.base.db.cluster import Cluster
from rookery.base.db.faults import DOES_NOT_EXIST, reachable
from rookery.base.db.urls import APP, KEYS, MAIN, OWNER, Urls
from rookery.base.progress import Progress, silent
from rookery.terms.errors import InvalidInput

MAIN_URL = "ROOKERY_DATABASE_URL"
KEYS_URL = "ROOKERY_VAULT_KEYS_URL"
OLDEST = 15


class External:
    """A server that others run. main: URL of the database; keys: that of the keys, by default the database
    `<name>_keys` of the same server.
    """

    def __init__(self, main: str, keys: str | None = None):
        self._main = _understood(main, MAIN_URL)
        named = conninfo_to_dict(self._main)
        self._keys = (
            _understood(keys, KEYS_URL) if keys else make_conninfo(self._main, dbname=f"{named['dbname']}_keys")
        )

    def start(self) -> External:
        """Checks both databases: version, what the role may do, that the role rookery_app is there or can be made.

        Raises InvalidInput with the statements that mend all of it at once, Unavailable when nobody answers.
        """
        wrong = _mend_main(self._main) + _mend_keys(self._keys)
        if wrong:
            raise InvalidInput(
                "database.not_ready",
                f"The database that {MAIN_URL} names cannot be used yet: {'; '.join(what for what, _ in wrong)}.",
                f"have its administrator run: {' '.join(dict.fromkeys(mend for _, mend in wrong))}",
            )
        return self

    def stop(self) -> None:
        """Nothing: others run it."""

    def mend(self) -> bool:
        """Nothing, so False: whoever runs the server mends it."""
        return False

    def __enter__(self) -> External:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, database: str = MAIN, role: str = OWNER) -> str:
        """The URL of the main database or (KEYS) that of the keys; the role is always the one the URL names."""
        return self._keys if database == KEYS else self._main

    def urls(self) -> Urls:
        """The addresses of both databases; maintenance goes through `postgres` of the same server."""
        return Urls(self._main, self._keys, make_conninfo(self._main, dbname="postgres"))


def server(data: Path, progress: Progress = silent, environ: Mapping[str, str] = os.environ) -> Cluster | External:
    """The PostgreSQL to use, not yet started: the one ROOKERY_DATABASE_URL names, else the embedded one in `data`."""
    if main := environ.get(MAIN_URL):
        return External(main, environ.get(KEYS_URL))
    return Cluster(data, progress=progress)


def _understood(url: str, where: str) -> str:
    try:
        named = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        named = {}
    if not named.get("dbname"):  # the URL itself is not told: it may hold a password
        raise InvalidInput(
            "database.url", f"{where} is no address of a database.", "write it like postgresql://user@host:5432/rookery"
        )
    return make_conninfo(url)


def _mend_main(url: str) -> list[tuple[str, str]]:
    """What is wrong with the main database, each with the statement that mends it."""
    with reachable(), _connected(url) as conn:
        if conn is None:
            return [_absent(url)]
        wrong = _mend_version(conn)
        asked = conn.execute(
            """select quote_ident(current_user), quote_ident(current_database()), r.rolsuper or r.rolcreaterole,
                      has_database_privilege(current_database(), 'CREATE'),
                      exists (select from pg_roles where rolname = %(app)s),
                      exists (select from pg_roles where rolname = %(app)s and (rolsuper or rolbypassrls)),
                      coalesce((select pg_has_role(oid, 'MEMBER') from pg_roles where rolname = %(app)s), false),
                      pg_encoding_to_char(d.encoding)
                 from pg_roles r, pg_database d where r.rolname = current_user and d.datname = current_database()""",
            {"app": APP},
        ).fetchone()
    assert asked is not None
    user, name, may_make_roles, may_make_schemas, app_there, app_free, app_member, encoding = asked
    if not may_make_schemas:
        wrong.append((f"{user} may not make schemas in it", f"GRANT CREATE ON DATABASE {name} TO {user};"))
    if not app_there and not may_make_roles:
        wrong.append((f"there is no role {APP}", f"CREATE ROLE {APP} NOLOGIN; GRANT {APP} TO {user};"))
    if app_there and not app_member:
        wrong.append((f"{user} may not become {APP}", f"GRANT {APP} TO {user};"))
    if app_free:
        wrong.append((f"row-level security does not bind {APP}", f"ALTER ROLE {APP} NOSUPERUSER NOBYPASSRLS;"))
    if encoding != "UTF8":
        wrong.append((f"its encoding is {encoding}", f"CREATE DATABASE another ENCODING 'UTF8' OWNER {user};"))
    return wrong


def _mend_keys(url: str) -> list[tuple[str, str]]:
    """What is wrong with the database of the keys."""
    with reachable(), _connected(url) as conn:
        if conn is None:
            return [_absent(url)]
        wrong = _mend_version(conn)
        asked = conn.execute(
            "select quote_ident(current_user), quote_ident(current_database()),"
            " has_database_privilege(current_database(), 'CREATE')"
        ).fetchone()
    assert asked is not None
    user, name, may_make_schemas = asked
    if not may_make_schemas:
        wrong.append((f"{user} may not make schemas in {name}", f"GRANT CREATE ON DATABASE {name} TO {user};"))
    return wrong


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection | None]:
    """A connection, or None when there is no such database."""
    try:
        conn = psycopg.connect(url, connect_timeout=10)
    except psycopg.OperationalError as fault:
        if DOES_NOT_EXIST not in str(fault):
            raise
        yield None
        return
    with conn:
        yield conn


def _absent(url: str) -> tuple[str, str]:
    named = conninfo_to_dict(url)
    name, user = named["dbname"], named.get("user", OWNER)
    return (
        f"there is no database {name}",
        f'CREATE DATABASE "{name}" ENCODING \'UTF8\' TEMPLATE template0 OWNER "{user}";',
    )


def _mend_version(conn: psycopg.Connection) -> list[tuple[str, str]]:
    version = conn.info.server_version // 10_000
    if version >= OLDEST:
        return []
    return [
        (f"it is PostgreSQL {version}, older than {OLDEST}", f"-- upgrade the server to PostgreSQL {OLDEST} or newer")
    ]
