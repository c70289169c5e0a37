"""Data keys in their own database: made, read, destroyed, re-wrapped.

Whoever owns the connections commits this one before the main one: a key without a body harms nobody, a body without
its key is lost, and a key that is said to be destroyed is. So it is in autocommit, or in a block that ends first.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import Connection
from psycopg.pq import TransactionStatus

from rookery.base.progress import Progress, silent
from rookery.orders.vault.keyring import Keyring
from rookery.orders.vault.model import KEY, NONCE
from rookery.orders.vault.rules import unwrap, wrap
from rookery.terms.errors import Conflict, Unavailable

BATCH = 10_000
_DIGEST = "content_digest"
_WRAPPING, _ROTATING = 0x7661756C, 0x7661756D
"""Advisory locks: shared by whoever wraps and taken alone by a rotation for a moment; held by the one rotation."""


def prepare(keys_conn: Connection) -> None:
    """Makes the table of data keys where it is not there yet; asked for by the keys database's owner at start-up."""
    with keys_conn.transaction():
        keys_conn.execute("select pg_advisory_xact_lock(hashtext('rookery.vault_keys'))")
        keys_conn.execute(_schema())


def make_keys(keys_conn: Connection, keyring: Keyring, owners: Sequence[str]) -> list[bytes]:
    """A data key for each owner, in their order, kept when this is committed; one who has a key already keeps it.

    So whoever was stopped half-way can do the same again. Raises Unavailable when the key file cannot be used.
    """
    _must_commit(keys_conn)
    entropy = secrets.token_bytes((KEY + NONCE) * len(owners))
    step, made, wrapped, written = KEY + NONCE, [], [], 0
    with _wrapping(keys_conn, keyring) as (version, master):
        for place, owner in enumerate(owners):
            data_key = entropy[place * step : place * step + KEY]
            made.append(data_key)
            wrapped.append(wrap(owner, data_key, master, entropy[place * step + KEY : (place + 1) * step]).hex())
        for first in range(0, len(owners), BATCH):
            written += keys_conn.execute(
                """insert into vault_keys.person_key (person_id, master_version, wrapped)
                   select id, %s, decode(hex, 'hex')
                     from unnest(string_to_array(%s, ','), string_to_array(%s, ',')) as made(id, hex)
                   on conflict do nothing""",
                (version, ",".join(owners[first : first + BATCH]), ",".join(wrapped[first : first + BATCH])),
            ).rowcount
    if written < len(owners):
        there = find_keys(keys_conn, keyring, owners)
        return [there[owner] for owner in owners]
    return made


@contextmanager
def _wrapping(keys_conn: Connection, keyring: Keyring) -> Iterator[tuple[int, AESGCM]]:
    """The current master key; a rotation that follows waits until what is wrapped with it is committed."""
    with adding(keys_conn):
        yield keyring.for_wrapping()


@contextmanager
def adding(keys_conn: Connection) -> Iterator[None]:
    """Within, data keys may be added as they were wrapped elsewhere: a rotation that follows waits and counts them."""
    with keys_conn.transaction():
        keys_conn.execute("select pg_advisory_xact_lock_shared(%s)", (_WRAPPING,))
        yield


def find_keys(keys_conn: Connection, keyring: Keyring, owners: Iterable[str]) -> dict[str, bytes]:
    """The data keys of those owners that still have one. Raises Broken, or Unavailable for a master key not held."""
    rows = keys_conn.execute(
        "select person_id, master_version, wrapped from vault_keys.person_key where person_id = any(%s)",
        (list(owners),),
        binary=True,
    ).fetchall()
    return {owner: unwrap(owner, wrapped, keyring.master(version)) for owner, version, wrapped in rows}


def destroy_keys(keys_conn: Connection, owners: Iterable[str]) -> None:
    """Destroys data keys, for good when this is committed; owners without one are passed over."""
    _must_commit(keys_conn)
    keys_conn.execute("delete from vault_keys.person_key where person_id = any(%s)", (list(owners),))


def erase_keys(keys_conn: Connection, people: Sequence[str], now: datetime) -> None:
    """Destroys the data keys of erased people, and notes in the same step that they were erased, and when."""
    _must_commit(keys_conn)
    keys_conn.execute(
        """with gone as (delete from vault_keys.person_key where person_id = any(%(people)s))
           insert into vault_keys.erased (person_id, erased_at)
           select unnest(%(people)s::text[]), %(now)s on conflict do nothing""",
        {"people": list(people), "now": now},
    )


def find_erased(keys_conn: Connection, people: Iterable[str]) -> dict[str, datetime]:
    """When those of the people were erased whom erase_keys noted."""
    rows = keys_conn.execute(
        "select person_id, erased_at from vault_keys.erased where person_id = any(%s)", (list(people),)
    ).fetchall()
    return dict(rows)


def digest_key(keys_conn: Connection, keyring: Keyring) -> bytes:
    """The secret that contents are hashed with, made at its first use; a re-wrapped master key does not change it."""
    found = find_keys(keys_conn, keyring, [_DIGEST])
    return found[_DIGEST] if found else make_keys(keys_conn, keyring, [_DIGEST])[0]


@contextmanager
def rotating(keys_conn: Connection) -> Iterator[None]:
    """Within, no other rotation goes on: two that both put a new master key into the file would lose one of them.

    Raises Conflict when one does.
    """
    row = keys_conn.execute("select pg_try_advisory_lock(%s)", (_ROTATING,)).fetchone()
    if row != (True,):
        raise Conflict("vault.rotating", "Another rotation is under way.", "wait for its end, then rotate again")
    try:
        yield
    finally:
        keys_conn.execute("select pg_advisory_unlock(%s)", (_ROTATING,))


def rotate(keys_conn: Connection, keyring: Keyring, progress: Progress = silent, batch: int = BATCH) -> int:
    """Wraps every data key anew with the keyring's current master key; returns how many were.

    Works through batches, each its own transaction: what is stopped is taken up where it was by the next call. No
    person's body is touched. The connection is in autocommit and in no transaction. Raises Unavailable at the end when
    data keys remain whose master key is not held.
    """
    _must_commit(keys_conn)
    if keys_conn.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError("re-wrapping commits by the batch, so it cannot be part of a transaction")
    others = [version for version in keyring.versions if version != keyring.current]
    _await_wrappers(keys_conn)
    total = _count(keys_conn, "master_version = any(%s)", others)
    new, done, last = keyring.master(keyring.current), 0, ""
    while True:
        with keys_conn.transaction():
            rows = keys_conn.execute(
                """select person_id, master_version, wrapped from vault_keys.person_key
                    where master_version = any(%s) and person_id > %s order by person_id limit %s for update""",
                (others, last, batch),
                binary=True,
            ).fetchall()
            entropy = secrets.token_bytes(NONCE * len(rows))
            fresh = [
                wrap(
                    owner, unwrap(owner, wrapped, keyring.master(version)), new, entropy[at * NONCE : (at + 1) * NONCE]
                )
                for at, (owner, version, wrapped) in enumerate(rows)
            ]
            keys_conn.execute(
                """update vault_keys.person_key k set wrapped = decode(hex, 'hex'), master_version = %s
                     from unnest(string_to_array(%s, ','), string_to_array(%s, ',')) as fresh(id, hex)
                    where k.person_id = id""",
                (keyring.current, ",".join(row[0] for row in rows), ",".join(key.hex() for key in fresh)),
            )
        if not rows:
            break
        done, last = done + len(rows), rows[-1][0]
        progress("re-wrapping data keys", done, total)
    left = _count(keys_conn, "master_version <> all(%s)", keyring.versions)
    if left:
        raise Unavailable(
            "vault.master_key_missing",
            f"{left:,} data keys are wrapped with master keys that are not in the keyring; {done:,} were re-wrapped.",
            "add the older master keys and rotate again",
        )
    return done


def wrapped_by_others(keys_conn: Connection, keyring: Keyring) -> int:
    """How many data keys are wrapped with another master key than the current one, those being made now included.

    Zero, asked after the new master key stood in every keyring, is what it takes to drop the others.
    """
    _await_wrappers(keys_conn)
    return _count(keys_conn, "master_version <> all(%s)", [keyring.current])


def _await_wrappers(keys_conn: Connection) -> None:
    """Until whoever looked at the key file before now has committed what they wrapped."""
    with keys_conn.transaction():
        keys_conn.execute("select pg_advisory_xact_lock(%s)", (_WRAPPING,))


def _count(keys_conn: Connection, condition: str, versions: list[int]) -> int:
    query = "select count(*) from vault_keys.person_key where " + condition
    row = keys_conn.execute(query.encode(), (versions,)).fetchone()
    return row[0] if row else 0


def _must_commit(keys_conn: Connection) -> None:
    if not keys_conn.autocommit:
        raise ValueError("the connection to the keys database must be in autocommit")


@cache
def _schema() -> bytes:
    return Path(__file__).with_name("keys.sql").read_bytes()
