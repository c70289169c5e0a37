"""People in the database: sealed, opened, erased. The main connection is inside the caller's transaction."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime

from psycopg import Connection

from rookery.orders.addresses.model import Address
from rookery.orders.vault.kept import forget_rows_of
from rookery.orders.vault.keyring import Keyring
from rookery.orders.vault.keys import BATCH, erase_keys, find_erased, find_keys, make_keys
from rookery.orders.vault.model import NONCE, PERSON, SCHEMA, Erased, data_key_missing
from rookery.orders.vault.rules import open_person, seal_person
from rookery.terms.ids import new_ids


def seal_people(
    main_conn: Connection,
    keys_conn: Connection,
    keyring: Keyring,
    party_id: str,
    test: bool,
    people: Sequence[Address],
    now: datetime,
) -> list[str]:
    """Puts people into the vault for a party and returns their ids, in order; alike people are kept apart.

    The data keys must be committed before the sealed bodies are (see vault.keys).
    """
    ids = new_ids(PERSON, now, len(people))
    seal_as(main_conn, keys_conn, keyring, party_id, test, ids, people, now)
    return ids


def seal_as(
    main_conn: Connection,
    keys_conn: Connection,
    keyring: Keyring,
    party_id: str,
    test: bool,
    ids: Sequence[str],
    people: Sequence[Address],
    now: datetime,
) -> None:
    """Puts people into the vault under ids that were given out before (`per_...`, each once)."""
    for first in range(0, len(ids), BATCH):
        some = ids[first : first + BATCH]
        data_keys = make_keys(keys_conn, keyring, some)
        entropy = secrets.token_bytes(NONCE * len(some))
        bodies = [
            seal_person(person_id, person, data_key, entropy[at * NONCE : (at + 1) * NONCE]).hex()
            for at, (person_id, person, data_key) in enumerate(zip(some, people[first : first + BATCH], data_keys))
        ]
        main_conn.execute(
            """insert into vault.people (person_id, party_id, test, schema_version, body, created_at)
               select id, %s, %s, %s, decode(hex, 'hex'), %s
                 from unnest(string_to_array(%s, ','), string_to_array(%s, ',')) as sealed(id, hex)""",
            (party_id, test, SCHEMA, now, ",".join(some), ",".join(bodies)),
        )


def open_people(
    main_conn: Connection, keys_conn: Connection, keyring: Keyring, ids: Iterable[str]
) -> dict[str, Address | Erased]:
    """Those of the people whom the caller may see, by id, or that they were erased.

    Erased is who has a tombstone, with the body or with the key. Raises Broken when a body does not open, Unavailable
    when its master key is not held, or when data keys are missing though nobody was erased.
    """
    wanted = list(dict.fromkeys(ids))
    erased = main_conn.execute(
        "select person_id, erased_at from vault.erased where person_id = any(%s)", (wanted,)
    ).fetchall()
    found: dict[str, Address | Erased] = {person_id: Erased(at) for person_id, at in erased}
    rows = main_conn.execute(
        "select person_id, schema_version, body from vault.people where person_id = any(%s)",
        ([person_id for person_id in wanted if person_id not in found],),
        binary=True,
    ).fetchall()
    data_keys = find_keys(keys_conn, keyring, [row[0] for row in rows])
    keyless = [row[0] for row in rows if row[0] not in data_keys]
    if keyless:  # asked for after the keys: who is erased in between has a tombstone by now
        erased_at = find_erased(keys_conn, keyless)
        if len(erased_at) < len(keyless):
            raise data_key_missing(len(keyless) - len(erased_at))
        found |= {person_id: Erased(at) for person_id, at in erased_at.items()}
    found |= {
        person_id: open_person(person_id, body, data_keys[person_id], schema)
        for person_id, schema, body in rows
        if person_id in data_keys
    }
    return found


def erase(main_conn: Connection, keys_conn: Connection, ids: Iterable[str], now: datetime) -> list[str]:
    """Destroys the data keys of those of the people whom the caller may see; returns their ids.

    So go the kept rows of uploads that became their orders. From then on no copy of them opens, in no backup. Their
    rows go and a tombstone stays, here and with the keys; should the main transaction fail afterwards the keys are gone
    all the same, they read as erased by the tombstone there, and the same call tidies up.
    """
    gone = main_conn.execute(
        """with known as (
             select person_id, party_id, test from vault.people where person_id = any(%(ids)s)
             union select person_id, party_id, test from vault.erased where person_id = any(%(ids)s)
           ), told as (
             insert into vault.erased (person_id, party_id, test, erased_at)
             select person_id, party_id, test, %(now)s from known on conflict do nothing
           )
           select person_id from known order by person_id""",
        {"ids": list(ids), "now": now},
    ).fetchall()
    erased = [row[0] for row in gone]
    main_conn.execute("delete from vault.people where person_id = any(%s)", (erased,))
    erase_keys(keys_conn, erased, now)
    forget_rows_of(main_conn, keys_conn, erased)
    return erased


def people_of(main_conn: Connection, party_id: str, test: bool, reference: str) -> list[str] | None:
    """Everybody whom a shipper's order names or named: sender, recipient, and who was to receive it before it was
    readdressed. None when there is no such order.
    """
    row = main_conn.execute(
        """select array[o.sender_id, o.recipient_id] || array(
             select h.detail ->> 'former_recipient_id' from orders.history h
              where h.order_id = o.order_id and h.what = 'readdressed' order by h.at)
             from orders.orders o where o.party_id = %s and o.test = %s and o.reference = %s""",
        (party_id, test, reference),
    ).fetchone()
    return None if row is None else list(dict.fromkeys(person for person in row[0] if person))


def erase_reference(
    main_conn: Connection, keys_conn: Connection, party_id: str, test: bool, reference: str, now: datetime
) -> list[str]:
    """Erases the people of a shipper's order; returns their ids (none when there is no such order)."""
    return erase(main_conn, keys_conn, people_of(main_conn, party_id, test, reference) or [], now)
