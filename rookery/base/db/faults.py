"""What PostgreSQL's own errors mean to whoever asked: come again later, or a fault of the program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from rookery.terms.errors import InvalidInput, Unavailable

_TOO_LONG = (pg.QueryCanceled, pg.IdleInTransactionSessionTimeout, pg.IdleSessionTimeout, pg.TransactionTimeout)
_BUSY = (pg.LockNotAvailable, pg.DeadlockDetected, pg.SerializationFailure)
_CALL_FAULTS = (pg.ProgramLimitExceeded, pg.StatementTooComplex, pg.TooManyColumns, pg.TooManyArguments)
DOES_NOT_EXIST = "does not exist"
_REFUSED = re.compile(r"authentication failed|no pg_hba\.conf entry|no password supplied")
_AGAIN = "ask the same again; with the same Idempotency-Key nothing is done twice"


def unavailable(fault: BaseException) -> Unavailable | None:
    """The 503 that an error of PostgreSQL or of the pool is, None when it is of another kind.

    No text of PostgreSQL's is told: it can hold values.
    """
    if isinstance(fault, (PoolTimeout, TooManyRequests)):
        return Unavailable("database.busy", "No connection to the database came free in time.", _AGAIN, 2)
    if isinstance(fault, pg.DiskFull):
        return Unavailable(
            "database.disk_full", "The database's disk is full; nothing was written.", "make room, then ask again", 30
        )
    if isinstance(fault, pg.TooManyConnections):
        return Unavailable("database.too_many_connections", "The database has no connection left.", _AGAIN, 5)
    if isinstance(fault, pg.OutOfMemory):
        return Unavailable("database.no_memory", "The database ran out of memory; nothing was written.", _AGAIN, 5)
    if isinstance(fault, _TOO_LONG):
        return Unavailable("database.too_slow", "The database took too long over this; nothing was written.", _AGAIN, 5)
    if isinstance(fault, _BUSY):
        return Unavailable("database.contended", "Others were changing the same things for too long.", _AGAIN, 1)
    if isinstance(fault, PoolClosed):
        return Unavailable("database.closing", "This server is shutting down.", _AGAIN, 5)
    lost = isinstance(fault, psycopg.InterfaceError) and "connection" in str(fault)  # used after it had been lost
    if isinstance(fault, _CALL_FAULTS) or not (lost or isinstance(fault, psycopg.OperationalError)):
        return None
    return Unavailable("database.gone", "The database does not answer at the moment.", _AGAIN, 5)


@contextmanager
def reachable() -> Iterator[None]:
    """Within, a PostgreSQL that cannot be reached is Unavailable, and one that lets nobody in is InvalidInput.

    That a database does not exist stays psycopg's own error: who asked may be about to tell how to make it.
    """
    try:
        yield
    except psycopg.OperationalError as fault:
        if DOES_NOT_EXIST in str(fault):
            raise
        if _REFUSED.search(str(fault)):
            raise InvalidInput(
                "database.refused",
                "The database server refuses the user or the password.",
                "put the user and the password in the URL right, or have the administrator allow them (pg_hba.conf)",
            ) from fault
        raise (unavailable(fault) or fault) from fault
