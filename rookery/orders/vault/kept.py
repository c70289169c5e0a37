"""Faulty rows of an upload, kept encrypted for a while, so that they can be corrected without their people's data.

Each row has a data key of its own: when it expires, or somebody of its order is erased, that key is destroyed, and with
it every copy of the row.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import Connection

from rookery.orders.vault.keyring import Keyring
from rookery.orders.vault.keys import BATCH, destroy_keys, find_keys, make_keys
from rookery.orders.vault.model import NONCE, Expired
from rookery.orders.vault.rules import open_row, seal_row

KEPT_FOR = timedelta(days=7)
_REF = re.compile(r"(upl_[0-9a-z]{1,40}):([1-9][0-9]{0,9})")


def row_ref(upload_id: str, row_no: int) -> str:
    """What a fault file calls a row: the upload's id and the row's line."""
    return f"{upload_id}:{row_no}"


def keep_rows(
    main_conn: Connection,
    keys_conn: Connection,
    keyring: Keyring,
    party_id: str,
    test: bool,
    upload_id: str,
    rows: Mapping[int, dict[str, str]],
    now: datetime,
    references: Mapping[int, str] | None = None,
) -> None:
    """Keeps the cells of faulty rows (by line) of one upload, sealed, for seven days; doing it again changes nothing.

    references: by line, the order's number where that is known to name nobody: who erases that order's people erases
    the row with them.
    """
    references = references or {}
    lines = list(rows)
    for first in range(0, len(lines), BATCH):
        some = lines[first : first + BATCH]
        refs = [row_ref(upload_id, line) for line in some]
        data_keys, entropy = make_keys(keys_conn, keyring, refs), secrets.token_bytes(NONCE * len(some))
        bodies = [
            seal_row(ref, rows[line], AESGCM(data_key), entropy[at * NONCE : (at + 1) * NONCE]).hex()
            for at, (line, ref, data_key) in enumerate(zip(some, refs, data_keys))
        ]
        main_conn.execute(
            """insert into vault.kept_row (upload_id, row_no, party_id, test, body, expires_at, reference)
               select %s, line, %s, %s, decode(hex, 'hex'), %s, reference
                 from unnest(%s::bigint[], string_to_array(%s, ','), %s::text[]) as sealed(line, hex, reference)
               on conflict do nothing""",
            (
                upload_id, party_id, test, now + KEPT_FOR,
                some, ",".join(bodies), [references.get(line) for line in some],
            ),
        )  # fmt: skip


def tie_rows(main_conn: Connection, party_id: str, test: bool, references: Mapping[str, str]) -> None:
    """Notes of which order (by its reference) kept rows have become, by row reference: they are erased with it."""
    told = [(*match.groups(), reference) for ref, reference in references.items() if (match := _REF.fullmatch(ref))]
    main_conn.execute(
        """update vault.kept_row k set reference = told.reference
             from unnest(%s::text[], %s::bigint[], %s::text[]) as told(upload_id, row_no, reference)
            where k.upload_id = told.upload_id and k.row_no = told.row_no and k.party_id = %s and k.test = %s""",
        ([upload for upload, _, _ in told], [int(line) for _, line, _ in told], [ref for _, _, ref in told],
         party_id, test),
    )  # fmt: skip


def forget_rows_of(main_conn: Connection, keys_conn: Connection, people: Sequence[str]) -> None:
    """Erases the kept rows of orders that these people send, receive, or would have received."""
    rows = main_conn.execute(
        """delete from vault.kept_row k using orders.orders o
            where o.party_id = k.party_id and o.test = k.test and o.reference = k.reference
              and (o.sender_id = any(%(people)s) or o.recipient_id = any(%(people)s) or exists (
                select from orders.history h
                 where h.order_id = o.order_id and h.what = 'readdressed'
                   and h.detail ->> 'former_recipient_id' = any(%(people)s)))
           returning k.upload_id, k.row_no""",
        {"people": list(people)},
    ).fetchall()
    destroy_keys(keys_conn, [row_ref(*row) for row in rows])


def kept_rows(
    main_conn: Connection,
    keys_conn: Connection,
    keyring: Keyring,
    party_id: str,
    test: bool,
    refs: Iterable[str],
    now: datetime,
) -> dict[str, dict[str, str] | Expired]:
    """The cells kept for each row reference; Expired where they are no longer there or not this party's."""
    found: dict[str, dict[str, str] | Expired] = dict.fromkeys(refs, Expired())
    wanted = [match.groups() for ref in found if (match := _REF.fullmatch(ref))]
    rows = main_conn.execute(
        """select upload_id, row_no, body from vault.kept_row
            where (upload_id, row_no) in (select * from unnest(%s::text[], %s::bigint[]))
              and party_id = %s and test = %s and expires_at > %s""",
        ([upload for upload, _ in wanted], [int(line) for _, line in wanted], party_id, test, now),
        binary=True,
    ).fetchall()
    data_keys = find_keys(keys_conn, keyring, [row_ref(upload, line) for upload, line, _ in rows])
    for upload, line, body in rows:
        ref = row_ref(upload, line)
        if ref in data_keys:
            found[ref] = open_row(ref, body, AESGCM(data_keys[ref]))
    return found


def drop_expired(main_conn: Connection, keys_conn: Connection, now: datetime) -> int:
    """Deletes the kept rows that have expired, with their data keys; returns how many there were."""
    rows = main_conn.execute(
        "delete from vault.kept_row where expires_at <= %s returning upload_id, row_no", (now,)
    ).fetchall()
    destroy_keys(keys_conn, [row_ref(*row) for row in rows])
    return len(rows)
