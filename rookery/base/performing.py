"""Performing an act: one transaction, and for a command with an Idempotency-Key one reply for one question."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg
from msgspec import Struct
from psycopg import errors as pg

from rookery.base.operations import PUBLIC, Context, Operation, Replied
from rookery.terms.errors import Conflict, InvalidInput, NotAllowed, RookeryError
from rookery.terms.notice import Fault

KEPT = timedelta(days=30)
"""How long the reply to a command is kept under its Idempotency-Key."""
_AT_ONCE = (pg.UniqueViolation, pg.ExclusionViolation, pg.ForeignKeyViolation)


class Answer(Struct, frozen=True):
    """What an act gave: an object with its JSON, bytes of another media type, or nothing (b""), and headers of its own;
    `again`: kept from the first time.
    """

    status: int
    body: bytes
    reply: Any = None
    again: bool = False
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


def refuse_who_may_not(ctx: Context, op: Operation) -> None:
    """Raises NotAllowed unless one of the asker's scopes lets in."""
    if op.scopes and PUBLIC not in op.scopes and not op.scopes & ctx.who.scopes and "system" not in ctx.who.scopes:
        needed = " or ".join(sorted(op.scopes))
        raise NotAllowed("keys.scope", f"This key may not do {op.name}.", f"use a key with scope {needed}")


def perform(op: Operation, ctx: Context, ask: Any, asked: bytes = b"", idempotency_key: str | None = None) -> Answer:
    """Do it, in one transaction that is committed when all went well.

    asked: the question as sent, to tell a repetition from another question under the same key. Raises Conflict when the
    Idempotency-Key stands for another question, InvalidInput for one where none is taken, and whatever the act raises:
    then nothing is written, and the key is free again.
    """
    refuse_who_may_not(ctx, op)
    if idempotency_key is not None and op.kind == "command":
        _refuse_key(op, idempotency_key)
    try:
        with ctx:
            if idempotency_key is None or op.kind == "query":
                return _answer(op, op.act(ctx, ask))
            kept = _begin(op, ctx, hashlib.sha256(asked).digest(), idempotency_key)
            if kept is not None:
                return kept
            answer = _answer(op, op.act(ctx, ask))
            ctx.conn.execute(
                "update base.replies set status = %s, reply = %s"
                " where party_id = %s and test = %s and idempotency_key = %s",
                (answer.status, answer.body, ctx.who.party_id, ctx.who.test, idempotency_key),
            )
            return answer
    except psycopg.Error as fault:
        told = _refused_by_database(op, fault)
        if told is None:
            raise
        raise told from fault


def forget_replies(conn: psycopg.Connection, now: datetime) -> int:
    """Drops the replies that are kept no longer, and tells how many; under scope system."""
    return conn.execute("delete from base.replies where created_at < %s", (now - KEPT,)).rowcount


def _refuse_key(op: Operation, key: str) -> None:
    at = "header.Idempotency-Key"
    if not op.idempotent:
        what = "The reply to this is not kept, so that asking twice does it twice."
        fault = Fault(at, "not_taken", "no Idempotency-Key is taken here", "leave it out")
        raise InvalidInput("idempotency.not_here", what, "leave the Idempotency-Key out", faults=[fault])
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        fault = Fault(at, "out_of_range", "not 1 to 255 printable ASCII characters", "send a UUID")
        raise InvalidInput("idempotency.bad_key", "The Idempotency-Key is malformed.", "send a UUID", faults=[fault])


def _begin(op: Operation, ctx: Context, asked: bytes, key: str) -> Answer | None:
    """The reply kept under the key, or None when this is the first time: then the key is ours until we commit.

    Two at once: the second waits in the index for the first's commit.
    """
    who, now = ctx.who, ctx.clock.now()
    mine = (who.party_id, who.test, key)
    ctx.conn.execute(
        "delete from base.replies where party_id = %s and test = %s and idempotency_key = %s and created_at < %s",
        (*mine, now - KEPT),
    )
    begun = ctx.conn.execute(
        "insert into base.replies (party_id, test, idempotency_key, act, asked_sha256, created_at)"
        " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
        (*mine, op.name, asked, now),
    )
    if begun.rowcount == 1:
        return None
    row = ctx.conn.execute(
        "select act, asked_sha256, status, reply from base.replies"
        " where party_id = %s and test = %s and idempotency_key = %s", mine,
    ).fetchone()  # fmt: skip
    if row is None or row[0] != op.name or row[1] != asked:
        raise Conflict(
            "idempotency.other_question",
            "The Idempotency-Key stands for another question, asked before.",
            "send a new key with a new question",
        )
    body = bytes(row[3])
    return Answer(row[2], body, msgspec.json.decode(body) if body and op.media is None else None, again=True)


def _answer(op: Operation, reply: Any) -> Answer:
    status, headers = op.status, {}
    if isinstance(reply, Replied):
        status, headers, reply = reply.status or op.status, reply.headers, reply.reply
        if headers.keys() - op.reply_headers.keys() or (status != op.status and status not in op.other_statuses):
            raise TypeError(f"{op.name} answers a header or status that its mark does not name")
    if reply is None:
        return Answer(status, b"", headers=headers)
    if op.media is not None:
        return Answer(status, reply, headers=headers)
    return Answer(status, msgspec.json.encode(reply), reply, headers=headers)


def _refused_by_database(op: Operation, fault: psycopg.Error) -> RookeryError | None:
    """What no rule of ours caught and the database refused: the asker's fault, told without any of its text, since
    that holds values. None when it is ours.
    """
    if isinstance(fault, (psycopg.DataError, pg.CheckViolation, pg.ProgramLimitExceeded)):
        what = "A value that was sent lies outside of what can be kept."
        return InvalidInput("database.value_refused", what, "look for absurd numbers, times and characters")
    if isinstance(fault, _AT_ONCE) and op.kind == "command":
        what = "Somebody else did the same, or removed what this needs, at the same moment."
        return Conflict("database.at_once", what, "read it again, then decide")
    return None
