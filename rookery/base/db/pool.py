"""Connections: one transaction for one caller, under a role that owns nothing and that row-level security binds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import pq, sql
from psycopg_pool import ConnectionPool

from rookery.base.db.faults import unavailable
from rookery.base.db.urls import APP, Server, Urls
from rookery.terms.errors import Unavailable

WAIT_S = 5.0
"""How long a caller waits for a connection before hearing 503."""
RECONNECT_S = 1.0
"""How long the pool tries by itself; after that every caller has it try at once, so that nobody waits for a long delay
to pass when PostgreSQL is back."""
# A lost client or a stuck statement never holds locks for long; migrations and maintenance have their own.
_APP_OPTIONS = (
    "-c timezone=UTC -c lock_timeout=10s -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s"
    " -c client_min_messages=warning"
)
_OWNER_OPTIONS = "-c timezone=UTC -c rookery.scopes=system -c lock_timeout=60s"
_KEEPALIVE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
_UNKNOWN = "whether it was done is not known; ask the same again with the same Idempotency-Key, and it is done once"


class Database:
    """The system of record's connections. Made by Database.open, closed by close() or as a context manager."""

    def __init__(self, urls: Urls, main: ConnectionPool, keys: ConnectionPool, size: int):
        self.urls = urls
        self._main, self._keys, self._size = main, keys, size

    @classmethod
    def open(cls, where: Server | Urls, size: int = 8, wait_s: float = WAIT_S) -> Database:
        """Connections to a started server. size: how many transactions go on at once. Does not wait for PostgreSQL:
        while it is away, callers hear Unavailable, and the pool connects by itself when it is back.
        """
        urls = where if isinstance(where, Urls) else where.urls()

        def pool(url: str, name: str, most: int, options: str, **more: Any) -> ConnectionPool:
            kwargs = {"autocommit": True, "options": options, **_KEEPALIVE}
            return ConnectionPool(
                url,
                kwargs=kwargs,
                min_size=min(most, 2),
                max_size=most,
                timeout=wait_s,
                reconnect_timeout=RECONNECT_S,
                name=name,
                open=True,
                **more,
            )

        main = pool(urls.main, "main", size, _APP_OPTIONS, configure=_become_app)
        keys = pool(urls.keys, "keys", max(2, size // 2), _APP_OPTIONS, check=ConnectionPool.check_connection)
        return cls(urls, main, keys, size)

    def close(self) -> None:
        """Closes all connections; transactions under way go on until their end."""
        for pool in (self._main, self._keys):
            pool.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(
        self, party_id: str, scopes: frozenset[str], test: bool = False, readonly: bool = False
    ) -> Iterator[psycopg.Connection]:
        """A connection inside one transaction as rookery_app, with row-level security set for the caller.

        Committed when the block ends well, rolled back otherwise.

        Raises Unavailable when PostgreSQL is away, full, out of connections, or lost on the way: never tried again in
        silence, for whoever asked must know.
        """
        begin = _begin(party_id, scopes, test, readonly)
        with _told(), self._begun(begin) as conn:
            try:
                yield conn
            except BaseException:
                _roll_back(conn)
                raise
            _commit(conn)

    @contextmanager
    def _begun(self, begin: sql.Composed) -> Iterator[psycopg.Connection]:
        """A connection on which `begin` was said. One that was lost while it lay in the pool is found out by that, and
        since nothing was done on it yet, the next one is taken.
        """
        for left in range(self._size, -1, -1):
            conn = self._main.getconn()
            try:
                try:
                    conn.execute(begin)
                except psycopg.OperationalError:
                    if conn.closed and left:
                        continue
                    raise
                yield conn
                return
            finally:
                self._main.putconn(conn)

    @contextmanager
    def owner(self) -> Iterator[psycopg.Connection]:
        """A connection of its own as the owner, in autocommit, for maintenance; policies see scope `system`."""
        with _told(), psycopg.connect(self.urls.main, autocommit=True, options=_OWNER_OPTIONS, **_KEEPALIVE) as conn:
            yield conn

    @contextmanager
    def keys(self) -> Iterator[psycopg.Connection]:
        """A connection inside one transaction of the keys' database; committed when the block ends well."""
        with _told(), self._keys.connection() as conn, conn.transaction():
            yield conn

    def ready(self) -> bool:
        """Whether PostgreSQL answers now."""
        try:
            with self.transaction("", frozenset(), readonly=True) as conn:
                conn.execute("select 1")
        except Unavailable:
            return False
        return True


def _begin(party_id: str, scopes: frozenset[str], test: bool, readonly: bool) -> sql.Composed:
    """BEGIN, the role and the caller's settings as one message: one round trip.

    Whatever an earlier transaction left on the connection (settings, temporary tables) goes first.
    """
    return sql.SQL(
        "begin {access}; reset all; discard temp; set local role {app};"
        " select set_config('rookery.party', {party}, true), set_config('rookery.scopes', {scopes}, true),"
        " set_config('rookery.test', {test}, true)"
    ).format(
        access=sql.SQL("read only" if readonly else "read write"),
        app=sql.Identifier(APP),
        party=sql.Literal(party_id),
        scopes=sql.Literal(",".join(sorted(scopes))),
        test=sql.Literal("on" if test else "off"),
    )


def _become_app(conn: psycopg.Connection) -> None:
    """A fresh connection is the app's at once, not only from its first transaction on."""
    conn.execute(sql.SQL("set role {}").format(sql.Identifier(APP)))


def _roll_back(conn: psycopg.Connection) -> None:
    if not conn.closed and conn.info.transaction_status != pq.TransactionStatus.IDLE:
        try:
            conn.execute("rollback")
        except psycopg.Error:
            conn.close()


def _commit(conn: psycopg.Connection) -> None:
    """COMMIT, which must not become a rollback in silence: PostgreSQL does that when an error before was swallowed."""
    if conn.info.transaction_status == pq.TransactionStatus.INERROR:
        conn.execute("rollback")
        raise pg.InFailedSqlTransaction("an error within the transaction was not raised on; nothing was written")
    try:
        conn.execute("commit")
    except psycopg.OperationalError as fault:
        if conn.closed:
            raise Unavailable(
                "database.lost", "The database was lost while the work was being written.", _UNKNOWN, 5
            ) from fault
        raise


@contextmanager
def _told() -> Iterator[None]:
    """Within, PostgreSQL's errors that pass by themselves are Unavailable."""
    try:
        yield
    except Exception as fault:
        told = unavailable(fault)
        if told is None:
            raise
        raise told from fault
