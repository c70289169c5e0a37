"""The audit trail: who did what, written in the same transaction as the act."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from rookery.base.operations import Context


def note(ctx: Context, act: str, subject: str = "", **detail: Any) -> None:
    """One line of the trail. subject: an id or a count; detail: never people's data."""
    who = ctx.who
    ctx.conn.execute(
        "insert into base.audit (at, party_id, key_id, test, act, subject, detail) values (%s, %s, %s, %s, %s, %s, %s)",
        (ctx.clock.now(), who.party_id, who.key_id, who.test, act, subject, Jsonb(detail)),
    )
