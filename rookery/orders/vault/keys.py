"""Data keys in their own database: made, read, destroyed, re-wrapped.

Whoever owns the connections commits this one before the main one: a key without a body harms nobody, a body without
its key is lost, and a key that is said to be destroyed is. So it is in autocommit, or in a block that ends first.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from psycopg import Connection
from psycopg.pq import TransactionStatus

from rookery.base.progress import Progress, silent
from rookery.orders.vault.keyring import Keyring
from rookery.orders.vault.model import KEY, NONCE
from rookery.orders.vault.rules import unwrap, wrap
from rookery.terms.errors import NotFound

BATCH = 10_000
_DIGEST = "content_digest"


def prepare(keys_conn: Connection) -> None:
    """Makes the table of data keys where it is not there yet; asked for by the keys database's owner at start-up."""
    with keys_conn.transaction():
        keys_conn.execute("select pg_advisory_xact_lock(hashtext('rookery.vault_keys'))")
        keys_conn.execute(_schema())


def make_keys(keys_conn: Connection, keyring: Keyring, owners: Sequence[str]) -> list[bytes]:
    """A new data key for each owner, in their order, kept when this is committed."""
    _must_commit(keys_conn)
    entropy = secrets.token_bytes((KEY + NONCE) * len(owners))
    step, master, made, wrapped = KEY + NONCE, keyring.master(keyring.current), [], []
    for place, owner in enumerate(owners):
        data_key = entropy[place * step : place * step + KEY]
        made.append(data_key)
        wrapped.append(wrap(owner, data_key, master, entropy[place * step + KEY : (place + 1) * step]).hex())
    for first in range(0, len(owners), BATCH):
        keys_conn.execute(
            """insert into vault_keys.person_key (person_id, master_version, wrapped)
               select id, %s, decode(hex, 'hex')
                 from unnest(string_to_array(%s, ','), string_to_array(%s, ',')) as made(id, hex)""",
            (keyring.current, ",".join(owners[first : first + BATCH]), ",".join(wrapped[first : first + BATCH])),
        )
    return made


def find_keys(keys_conn: Connection, keyring: Keyring, owners: Iterable[str]) -> dict[str, bytes]:
    """The data keys of those owners that still have one. Raises Broken, or NotFound for a master key not held."""
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


def digest_key(keys_conn: Connection, keyring: Keyring) -> bytes:
    """The secret that contents are hashed with, made at its first use; a re-wrapped master key does not change it."""
    found = find_keys(keys_conn, keyring, [_DIGEST])
    if not found:
        _must_commit(keys_conn)
        entropy = secrets.token_bytes(KEY + NONCE)
        wrapped = wrap(_DIGEST, entropy[:KEY], keyring.master(keyring.current), entropy[KEY:])
        keys_conn.execute(
            "insert into vault_keys.person_key values (%s, %s, %s) on conflict do nothing",  # another may be quicker
            (_DIGEST, keyring.current, wrapped),
        )
        found = find_keys(keys_conn, keyring, [_DIGEST])
    return found[_DIGEST]


def rotate(keys_conn: Connection, keyring: Keyring, progress: Progress = silent, batch: int = BATCH) -> int:
    """Wraps every data key anew with the keyring's current master key; returns how many were.

    Works through batches, each its own transaction: what is stopped is taken up where it was by the next call. No
    person's body is touched. The connection is in autocommit and in no transaction. Raises NotFound at the end when
    data keys remain whose master key is not held.
    """
    _must_commit(keys_conn)
    if keys_conn.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError("re-wrapping commits by the batch, so it cannot be part of a transaction")
    others = [version for version in keyring.versions if version != keyring.current]
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
        raise NotFound(
            "vault.master_key_missing",
            f"{left:,} data keys are wrapped with master keys that are not in the keyring; {done:,} were re-wrapped.",
            "add the older master keys and rotate again",
        )
    return done


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
