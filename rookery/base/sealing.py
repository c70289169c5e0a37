"""Seals on the audit trail: whoever changes, removes or slips in a line of it afterwards is found out.

A seal holds the ids and SHA-256 digests of some lines and an HMAC over these and the seal before. The HMAC's key lies
in a file of the data folder, and so does the last seal's number and HMAC (the anchor): whoever can write the database
alone can neither make a seal nor cut off the last ones.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
from msgspec import Struct, structs
from psycopg import sql
from psycopg.rows import class_row

from rookery.base.clock import Clock
from rookery.base.db.pool import Database
from rookery.terms.errors import Conflict

KEY, ANCHOR = "audit.key", "audit.anchor"
MOST_LINES = 1000
"""Lines of one seal at most."""
START = bytes(32)
"""What stands before the first seal."""
LOCK = 0x7365616C  # "seal": the advisory lock of whoever seals
LINE = "audit_id, at, party_id, key_id, test, act, subject, detail"
SEAL = "seal_no, sealed_at, first_at, last_at, ids, digests, seen_id, seen_xid, settled_id, previous, hmac"


class Seal(Struct, frozen=True):
    """One seal as it is kept. digests: 32 bytes a line, in the order of ids; seen_id, seen_xid: the highest id of any
    line and the next transaction when it was made; settled_id: up to there every line has a seal.
    """

    seal_no: int
    sealed_at: datetime
    first_at: datetime
    last_at: datetime
    ids: list[int]
    digests: bytes
    seen_id: int
    seen_xid: int
    settled_id: int
    previous: bytes
    hmac: bytes


class Anchor(Struct, frozen=True):
    """What the file beside the database remembers: the last seal."""

    seal_no: int
    hmac: str


def seal(database: Database, clock: Clock, data: Path) -> int:
    """Seals the lines that have no seal yet, of committed transactions, and returns how many; to be called regularly.

    Several may call it at once. Raises Conflict when the key's file is gone though there are seals, or when the trail
    was cut behind the anchor: then nothing is sealed over it. An anchor that was moved away is written anew.
    """
    with database.owner() as conn:
        conn.execute("select pg_advisory_lock(%s)", (LOCK,))  # until the anchor is written, too
        last = last_seal(conn)
        key = seal_key(data, make=last is None)
        anchor = read_anchor(data)
        if anchor is not None and not anchored(conn, anchor):
            raise Conflict(
                "audit.cut",
                f"The audit trail lacks seal {anchor.seal_no}, which {data / ANCHOR} tells of: it was cut or replaced.",
                f"rookery audit verify tells more; after a restored backup, move {data / ANCHOR} away",
            )
        with conn.transaction():
            seen = _seen(conn)
            lines = _unsealed(conn, 0 if last is None else last.settled_id, seen[0])
            for part in _parts(lines):
                last = _sealed(key, last, part, clock.now(), seen)
                values = sql.SQL(", ").join(map(sql.Placeholder, last.__struct_fields__))
                insert = sql.SQL("insert into base.audit_seals ({}) values ({})").format(sql.SQL(SEAL), values)
                conn.execute(insert, structs.asdict(last))
        if last is not None and (anchor is None or anchor.seal_no < last.seal_no):
            _write(data / ANCHOR, json.dumps({"seal_no": last.seal_no, "hmac": last.hmac.hex()}) + "\n")
        return len(lines)


def digest_of(line: tuple[Any, ...]) -> bytes:
    """SHA-256 of a line's columns LINE, as one JSON array without spaces, names sorted, the time in UTC."""
    number, at, *middle, detail = line
    plain = [number, at.astimezone(UTC).isoformat(timespec="microseconds"), *middle, detail]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).digest()


def hmac_of(key: bytes, one: Seal) -> bytes:
    """What a seal's HMAC has to be."""
    told = [one.seal_no, *(at.astimezone(UTC).isoformat(timespec="microseconds")
                           for at in (one.sealed_at, one.first_at, one.last_at)),
            one.ids, one.seen_id, one.seen_xid, one.settled_id]  # fmt: skip
    text = json.dumps(told, separators=(",", ":")).encode()
    return hmac.new(key, one.previous + hashlib.sha256(one.digests).digest() + text, hashlib.sha256).digest()


def seal_key(data: Path, make: bool = False) -> bytes:
    """The key from its file (0600); make: it is made where there is none. Raises Conflict when it is gone."""
    path = data / KEY
    if make and not path.exists():
        _write(path, secrets.token_hex(32) + "\n")
    try:
        key = bytes.fromhex(path.read_text().strip())
    except (FileNotFoundError, ValueError):
        key = b""
    if len(key) != 32:
        what = f"{path} is gone or damaged, and without it nobody can tell whether the audit trail is true."
        raise Conflict("audit.no_key", what, f"put {KEY} back from a copy of the data folder")
    return key


def read_anchor(data: Path) -> Anchor | None:
    """What the anchor's file tells; None when there is none. Raises Conflict when it is damaged."""
    try:
        told = json.loads((data / ANCHOR).read_text())
        return Anchor(int(told["seal_no"]), str(told["hmac"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        what = f"{data / ANCHOR} is damaged."
        raise Conflict("audit.anchor_damaged", what, "put it back from a copy, or move it away and verify") from None


def anchored(conn: psycopg.Connection, anchor: Anchor) -> bool:
    """Whether the seal that the anchor tells of is there."""
    row = conn.execute("select hmac from base.audit_seals where seal_no = %s", (anchor.seal_no,)).fetchone()
    return row is not None and bytes(row[0]).hex() == anchor.hmac


def seals(conn: psycopg.Connection) -> Iterator[Seal]:
    """All seals in order, a few at a time; within a transaction."""
    with conn.cursor(name="seals", row_factory=class_row(Seal)) as cursor:
        cursor.itersize = 100
        cursor.execute(f"select {SEAL} from base.audit_seals order by seal_no")
        yield from cursor


def last_seal(conn: psycopg.Connection) -> Seal | None:
    """The newest seal, None when there is none yet."""
    with conn.cursor(row_factory=class_row(Seal)) as cursor:
        return cursor.execute(f"select {SEAL} from base.audit_seals order by seal_no desc limit 1").fetchone()


def _seen(conn: psycopg.Connection) -> tuple[int, int, int]:
    """(the highest id of any line, the next transaction, the id up to which no line can come any more).

    The last is told by the last moment but one whose transactions have all ended: the newest could lie between a line's
    getting its number and its transaction's getting its own.
    """
    row = conn.execute(
        """select coalesce((select max(audit_id) from base.audit), 0),
                  pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
                  coalesce((select seen_id from base.audit_seals
                             where seen_xid <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint
                             group by seen_id order by seen_id desc limit 1 offset 1), 0)"""
    ).fetchone()
    assert row is not None
    return row


def _unsealed(conn: psycopg.Connection, settled: int, seen: int) -> list[tuple[Any, ...]]:
    """The lines without a seal in order of month and id. settled: the last seal's, up to which all have one."""
    return conn.execute(
        f"""select {LINE} from base.audit
              left join (select unnest(ids) as has_seal from base.audit_seals where seen_id > %s) s
                on has_seal = audit_id
             where audit_id > %s and audit_id <= %s and has_seal is null
             order by date_trunc('month', at at time zone 'UTC'), audit_id""",
        (settled, settled, seen),
    ).fetchall()


def _parts(lines: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Lines for one seal each: of one month, not too many."""
    for _, of_month in groupby(lines, lambda line: line[1].astimezone(UTC).strftime("%Y-%m")):
        month = list(of_month)
        yield from (month[place : place + MOST_LINES] for place in range(0, len(month), MOST_LINES))


def _sealed(
    key: bytes, last: Seal | None, lines: list[tuple[Any, ...]], now: datetime, seen: tuple[int, int, int]
) -> Seal:
    times = [line[1] for line in lines]
    number, previous = (1, START) if last is None else (last.seal_no + 1, last.hmac)
    ids, digests = [line[0] for line in lines], b"".join(map(digest_of, lines))
    bare = Seal(number, now, min(times), max(times), ids, digests, *seen, previous, b"")
    return structs.replace(bare, hmac=hmac_of(key, bare))


def _write(path: Path, text: str) -> None:
    """A file of 0600, whole or not there, also after the power went."""
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(aside).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(aside).unlink()
        raise
