"""API keys: made once, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

import psycopg
from msgspec import Struct
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from rookery.base.operations import Who
from rookery.terms.errors import Conflict, InvalidInput, NotFound, NotKnown
from rookery.terms.ids import new_id
from rookery.terms.notice import Fault

SCOPES = ("merchant", "courier", "station", "operator", "customs", "admin")
SECRET = re.compile(r"rk_(live|test)_[A-Za-z0-9_-]{43}")
SHOWN = 12
"""Characters of a key that are kept in clear, so that people can tell keys apart."""
LONGEST = timedelta(days=36_525)


class Key(Struct, frozen=True):
    """A key as it is listed: everything but the secret."""

    key_id: str
    party_id: str
    shown: str
    scopes: list[str]
    test: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_from: str | None


_COLUMNS = "key_id, party_id, shown, scopes, test, created_at, expires_at, revoked_at, rotated_from"


def hashed(secret: str) -> bytes:
    """What is kept of a secret. It has 256 random bits, so that a plain hash cannot be searched."""
    return hashlib.sha256(secret.encode()).digest()


def create_key(
    conn: psycopg.Connection,
    party_id: str,
    scopes: Iterable[str],
    now: datetime,
    *,
    test: bool = False,
    expires_at: datetime | None = None,
    rotated_from: str | None = None,
) -> tuple[str, Key]:
    """A new key of a party: (the secret, shown this once; the key as kept).

    Raises InvalidInput for unknown scopes or an expiry that is past, NotFound for an unknown party.
    """
    scopes = list(scopes)
    wanted = sorted(set(scopes))
    faults = [
        Fault(f"$.scopes[{place}]", "unknown_word", "this is no scope", f"use some of {', '.join(SCOPES)}")
        for place, scope in enumerate(scopes)
        if scope not in SCOPES
    ]
    if not wanted:
        faults.append(Fault("$.scopes", "missing_value", "no scope is named", f"use some of {', '.join(SCOPES)}"))
    if expires_at is not None and expires_at <= now:
        faults.append(Fault("$.expires_at", "out_of_range", "the key would have expired already", "name a later time"))
    if expires_at is not None and expires_at > now + LONGEST:
        faults.append(Fault("$.expires_at", "out_of_range", "that is in more than 100 years", "leave it out for never"))
    if faults:
        what = "; ".join(fault.message for fault in faults)
        raise InvalidInput("keys.invalid", f"The key cannot be made: {what}.", "mend these", faults=faults)
    find_party(conn, party_id)
    secret = f"rk_{'test' if test else 'live'}_{secrets.token_urlsafe(32)}"
    key = Key(new_id("key", now), party_id, secret[:SHOWN], wanted, test, now, expires_at, None, rotated_from)
    conn.execute(
        "insert into base.api_keys (key_id, party_id, secret_sha256, shown, scopes, test, created_at, expires_at,"
        " rotated_from) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (key.key_id, party_id, hashed(secret), key.shown, wanted, test, now, expires_at, rotated_from),
    )  # fmt: skip
    return secret, key


class Known(Struct, frozen=True):
    """Who comes with a key, and until when that is known to hold (None: no end is set)."""

    who: Who
    until: datetime | None


def find_who(conn: psycopg.Connection, secret: str, now: datetime) -> Known:
    """Who comes with this key. Raises NotKnown for one that is malformed, unknown, expired or revoked.

    All but the malformed cost the same: one hash, one look into an index of hashes.
    """
    row = None
    if SECRET.fullmatch(secret):
        row = conn.execute("select * from base.find_key(%s)", (hashed(secret),)).fetchone()
    if row is None:
        raise NotKnown("keys.unknown", "The API key is not known.", "check that the whole key was sent")
    key_id, party_id, scopes, test, expires_at, revoked_at = row
    if revoked_at is not None and revoked_at <= now:
        raise NotKnown("keys.revoked", f"The API key {key_id} was revoked.", "use another key")
    if expires_at is not None and expires_at <= now:
        raise NotKnown("keys.expired", f"The API key {key_id} has expired.", "have it rotated: rookery keys rotate")
    ends = [end for end in (expires_at, revoked_at) if end is not None]
    return Known(Who(party_id, key_id, frozenset(scopes), test), min(ends, default=None))


def list_keys(conn: psycopg.Connection, after: str = "", limit: int = 1000) -> list[Key]:
    """Keys that the asker may see, by id."""
    with conn.cursor(row_factory=class_row(Key)) as cursor:
        found = cursor.execute(
            f"select {_COLUMNS} from base.api_keys where key_id > %s order by key_id limit %s", (after, limit)
        )
        return found.fetchall()


def get_key(conn: psycopg.Connection, key_id: str) -> Key:
    """One key. Raises NotFound."""
    with conn.cursor(row_factory=class_row(Key)) as cursor:
        key = cursor.execute(f"select {_COLUMNS} from base.api_keys where key_id = %s", (key_id,)).fetchone()
    if key is None:
        raise NotFound("keys.none", "There is no such key.", "list the keys: rookery keys list")
    return key


def revoke_key(conn: psycopg.Connection, key_id: str, at: datetime) -> Key:
    """The key opens nothing from `at` on (the earlier of two revocations counts). Raises NotFound."""
    get_key(conn, key_id)
    conn.execute(
        "update base.api_keys set revoked_at = least(coalesce(revoked_at, %s), %s) where key_id = %s", (at, at, key_id)
    )
    return get_key(conn, key_id)


def rotate_key(conn: psycopg.Connection, key_id: str, now: datetime, old_until: datetime) -> tuple[str, Key]:
    """A new key like an old one, which goes on until `old_until`. Raises NotFound, Conflict when it was revoked."""
    conn.execute("select from base.api_keys where key_id = %s for update", (key_id,))  # of two at once, one is late
    old = get_key(conn, key_id)
    if old.revoked_at is not None:
        raise Conflict("keys.revoked", "The key is revoked or was rotated.", "use its successor, or make a new one")
    made = create_key(
        conn, old.party_id, old.scopes, now, test=old.test, rotated_from=key_id,
        expires_at=None if old.expires_at is None else now + (old.expires_at - old.created_at),
    )  # fmt: skip
    revoke_key(conn, key_id, old_until)
    return made


class Party(Struct, frozen=True):
    """Somebody who takes part: a shipper, courier, hub, station or the operator. `code`: what feeds call it."""

    party_id: str
    name: str
    code: str | None
    metadata: dict[str, str]
    created_at: datetime


def create_party(
    conn: psycopg.Connection,
    name: str,
    now: datetime,
    *,
    code: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Party:
    """A new party. Raises Conflict when another has the code."""
    party = Party(new_id("pty", now), name, code, metadata or {}, now)
    made = conn.execute(
        "insert into base.parties (party_id, name, code, metadata, created_at) values (%s, %s, %s, %s::jsonb, %s)"
        " on conflict (code) do nothing",
        (party.party_id, name, code, Jsonb(party.metadata), now),
    )
    if made.rowcount == 0:
        raise Conflict("parties.code_taken", "Another party is called by this code in feeds.", "use another code")
    return party


def find_party(conn: psycopg.Connection, party_id: str) -> Party:
    """One party. Raises NotFound."""
    with conn.cursor(row_factory=class_row(Party)) as cursor:
        party = cursor.execute("select * from base.parties where party_id = %s", (party_id,)).fetchone()
    if party is None:
        raise NotFound("parties.none", "There is no such party.", "make it first: rookery parties create")
    return party


def list_parties(conn: psycopg.Connection, after: str = "", limit: int = 1000) -> list[Party]:
    """Parties that the asker may see, by id."""
    with conn.cursor(row_factory=class_row(Party)) as cursor:
        found = cursor.execute(
            "select * from base.parties where party_id > %s order by party_id limit %s", (after, limit)
        )
        return found.fetchall()
