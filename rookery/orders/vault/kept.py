"""Faulty rows of an upload, kept encrypted for a while, so that they can be corrected without their people's data.

One data key an upload: when it expires, that key is destroyed, and with it every copy of its rows.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
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
) -> None:
    """Keeps the cells of faulty rows (by line) of one upload, sealed, for seven days; once an upload."""
    if not rows:
        return
    [data_key] = make_keys(keys_conn, keyring, [upload_id])
    cipher, entropy = AESGCM(data_key), secrets.token_bytes(NONCE * len(rows))
    sealed = [
        (str(line), seal_row(row_ref(upload_id, line), cells, cipher, entropy[at * NONCE : (at + 1) * NONCE]).hex())
        for at, (line, cells) in enumerate(rows.items())
    ]
    for first in range(0, len(sealed), BATCH):
        some = sealed[first : first + BATCH]
        main_conn.execute(
            """insert into vault.kept_row (upload_id, row_no, party_id, test, body, expires_at)
               select %s, line::bigint, %s, %s, decode(hex, 'hex'), %s
                 from unnest(string_to_array(%s, ','), string_to_array(%s, ',')) as sealed(line, hex)""",
            (
                upload_id,
                party_id,
                test,
                now + KEPT_FOR,
                ",".join(line for line, _ in some),
                ",".join(body for _, body in some),
            ),
        )


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
    data_keys = find_keys(keys_conn, keyring, {row[0] for row in rows})
    ciphers = {upload: AESGCM(data_key) for upload, data_key in data_keys.items()}
    for upload, line, body in rows:
        if upload in ciphers:
            ref = row_ref(upload, line)
            found[ref] = open_row(ref, body, ciphers[upload])
    return found


def drop_expired(main_conn: Connection, keys_conn: Connection, now: datetime) -> int:
    """Deletes the kept rows that have expired, with their data keys; returns how many there were."""
    rows = main_conn.execute("delete from vault.kept_row where expires_at <= %s returning upload_id", (now,)).fetchall()
    destroy_keys(keys_conn, {row[0] for row in rows})
    return len(rows)
