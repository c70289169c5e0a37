"""Endpoints: who wants to hear what, where, and how it has been going there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import psycopg
from msgspec import Struct
from psycopg.rows import class_row

from rookery.terms.errors import NotFound
from rookery.terms.ids import new_id

MOST = 20
"""Endpoints of one party, live and test apart."""
PENDING_SHOWN = 10_000
"""Waiting messages are counted up to here."""
Why = Literal["by_owner", "gone", "failing"]


class Endpoint(Struct, frozen=True, kw_only=True):
    """An endpoint and its health.

    kinds: what it hears of, empty = all. hears_all: of everything in its mode, as an endpoint of those who run the
    network does. disabled_why: by_owner; gone, it answered 410; failing, for three days nothing was taken.
    old_secret_until: until then each message is signed with the secret before, too. failures: in a row; pending:
    messages that wait, counted up to 10,000.
    """

    endpoint_id: str
    party_id: str
    url: str
    kinds: list[str]
    description: str
    hears_all: bool
    enabled: bool
    disabled_at: datetime | None
    disabled_why: Why | None
    created_at: datetime
    changed_at: datetime
    rotation: int
    old_secret_until: datetime | None
    failures: int
    failing_since: datetime | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_error: str | None
    pending: int


_SELECT = (
    "select endpoint_id, party_id, url, kinds, description, hears_all, enabled, disabled_at, disabled_why, created_at,"
    " changed_at, rotation, old_until as old_secret_until, failures, failing_since, last_success_at, last_failure_at,"
    " last_error, (select count(*) from (select from base.deliveries d where d.endpoint_id = endpoints.endpoint_id"
    f" and d.state in ('next', 'behind') limit {PENDING_SHOWN}) as waiting)::int as pending"
    " from base.endpoints"
)


def add_endpoint(
    conn: psycopg.Connection,
    party_id: str,
    test: bool,
    url: str,
    kinds: Sequence[str],
    description: str,
    hears_all: bool,
    now: datetime,
) -> str:
    """A new endpoint, enabled; returns its id."""
    endpoint_id = new_id("whk", now)
    conn.execute(
        "insert into base.endpoints"
        " (endpoint_id, party_id, test, url, kinds, description, hears_all, created_at, changed_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (endpoint_id, party_id, test, url, list(kinds), description, hears_all, now, now),
    )
    return endpoint_id


def sign_also(conn: psycopg.Connection, endpoint_id: str, token: bytes) -> None:
    """Have messages signed with a token of the owner's as well; token: sealed (signing.sealed_token)."""
    conn.execute("update base.endpoints set token = %s where endpoint_id = %s", (token, endpoint_id))


def hold_as_it_is(conn: psycopg.Connection, endpoint_id: str) -> None:
    """Nobody changes or disables the endpoint until this transaction ends; others may say something to it meanwhile."""
    conn.execute("select from base.endpoints where endpoint_id = %s for share", (endpoint_id,))


def count_endpoints(conn: psycopg.Connection, party_id: str, test: bool) -> int:
    """How many a party has; of two that add one at once, one waits for the other."""
    conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"endpoints {party_id} {test}",))
    row = conn.execute(
        "select count(*) from base.endpoints where party_id = %s and test = %s", (party_id, test)
    ).fetchone()
    return row[0] if row else 0


def get_endpoint(conn: psycopg.Connection, endpoint_id: str) -> Endpoint:
    """One endpoint. Raises NotFound."""
    with conn.cursor(row_factory=class_row(Endpoint)) as cursor:
        found = cursor.execute(f"{_SELECT} where endpoint_id = %s".encode(), (endpoint_id,)).fetchone()
    if found is None:
        raise NotFound("webhooks.none", "There is no such endpoint.", "list them: GET /webhooks")
    return found


def list_endpoints(conn: psycopg.Connection, after: str, limit: int) -> list[Endpoint]:
    """Endpoints that the asker may see, by id."""
    with conn.cursor(row_factory=class_row(Endpoint)) as cursor:
        return cursor.execute(
            f"{_SELECT} where endpoint_id > %s order by endpoint_id limit %s".encode(),
            (after, limit),
        ).fetchall()


def hold(conn: psycopg.Connection, endpoint_id: str) -> None:
    """Nobody else changes the endpoint, or finds out who is to hear news, until this transaction ends.

    Whoever changes both an endpoint and its deliveries holds the endpoint first. Raises NotFound.
    """
    row = conn.execute("select from base.endpoints where endpoint_id = %s for update", (endpoint_id,)).fetchone()
    if row is None:
        raise NotFound("webhooks.none", "There is no such endpoint.", "list them: GET /webhooks")


def change_endpoint(
    conn: psycopg.Connection, endpoint_id: str, url: str, kinds: Sequence[str], description: str, now: datetime
) -> None:
    """Take these in place of what was there."""
    conn.execute(
        "update base.endpoints set url = %s, kinds = %s, description = %s, changed_at = %s where endpoint_id = %s",
        (url, list(kinds), description, now, endpoint_id),
    )


def enable(conn: psycopg.Connection, endpoint_id: str, now: datetime) -> None:
    """It hears what happens from now on, with a clean slate; what it missed stays dead until it is replayed."""
    conn.execute(
        "update base.endpoints set enabled = true, disabled_at = null, disabled_why = null, failures = 0,"
        " failing_since = null, changed_at = %s where endpoint_id = %s",
        (now, endpoint_id),
    )


def disable(conn: psycopg.Connection, endpoint_id: str, why: Why, now: datetime) -> None:
    """Nothing is sent to it any more, and what waits is dead: to be replayed when it is enabled again."""
    conn.execute(
        "update base.endpoints set enabled = false, disabled_at = %s, disabled_why = %s, changed_at = %s"
        " where endpoint_id = %s and enabled",
        (now, why, now, endpoint_id),
    )
    conn.execute(
        "update base.deliveries set state = 'dead', ended_at = %s, error = coalesce(error, 'the endpoint is disabled')"
        " where endpoint_id = %s and state in ('next', 'behind')",
        (now, endpoint_id),
    )


def rotate(conn: psycopg.Connection, endpoint_id: str, old_until: datetime, now: datetime) -> int:
    """The next secret counts from now on, and the one before until `old_until`; returns the new one's number."""
    row = conn.execute(
        "update base.endpoints set rotation = rotation + 1, old_until = %s, changed_at = %s where endpoint_id = %s"
        " returning rotation",
        (old_until, now, endpoint_id),
    ).fetchone()
    assert row is not None
    return row[0]


def remove(conn: psycopg.Connection, endpoint_id: str) -> None:
    """It is gone, with all that was or was to be said to it."""
    conn.execute("delete from base.deliveries where endpoint_id = %s", (endpoint_id,))
    conn.execute("delete from base.endpoints where endpoint_id = %s", (endpoint_id,))
