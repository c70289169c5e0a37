"""What attempts say about the endpoints they went to, and what follows: one that is gone, or fails for days, is
disabled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl
import psycopg
from msgspec import Struct

from rookery.base import sets
from rookery.base.webhooks.backoff import TRIED
from rookery.base.webhooks.endpoints import disable

GONE = 410
"""The status by which a receiver says that it wants to hear nothing more (Standard Webhooks 1.0)."""


class Attempt(Struct, frozen=True):
    """That an endpoint was tried, and why it did not count (None = it did)."""

    endpoint_id: str
    at: datetime
    status: int | None
    error: str | None


_TYPES = {
    "endpoint_id": "text", "succeeded_at": "timestamptz", "failures": "integer", "since": "timestamptz",
    "failed_at": "timestamptz", "error": "text",
}  # fmt: skip

# What failed since the last success, here or before.
_NOTE = b"""
update base.endpoints e set
  failures = h.failures + case when h.succeeded_at is null then e.failures else 0 end,
  failing_since = case when h.succeeded_at is null then coalesce(e.failing_since, h.since) else h.since end,
  last_success_at = coalesce(h.succeeded_at, e.last_success_at),
  last_failure_at = coalesce(h.failed_at, e.last_failure_at),
  last_error = coalesce(h.error, e.last_error)
from (select * from %s order by endpoint_id) as h where e.endpoint_id = h.endpoint_id
returning e.endpoint_id, e.enabled, e.failing_since
"""


def note_health(conn: psycopg.Connection, attempts: Sequence[Attempt], now: datetime) -> dict[str, str]:
    """Writes how it went at each endpoint (attempts in the order in which they ended), and disables those that are
    gone or have failed for TRIED without one success; returns these with why.
    """
    given = pl.DataFrame(
        [(one.endpoint_id, one.at, one.status, one.error) for one in attempts],
        schema={"endpoint_id": pl.String, "at": pl.Datetime("us", "UTC"), "status": pl.Int16, "error": pl.String},
        orient="row",
    ).with_columns(ok=pl.col("error").is_null())
    failed = ~pl.col("ok") & (pl.col("ok").cum_sum() == pl.col("ok").sum())
    told = given.group_by("endpoint_id").agg(
        succeeded_at=pl.col("at").filter("ok").last(),
        failures=failed.sum(),
        since=pl.col("at").filter(failed).first(),
        failed_at=pl.col("at").filter(~pl.col("ok")).last(),
        error=pl.col("error").filter(~pl.col("ok")).last(),
    )
    table, values = sets.source(told, _TYPES, "h")
    rows = conn.execute(_NOTE % table.as_bytes(conn), values).fetchall()
    gone = set(given.filter(pl.col("status") == GONE)["endpoint_id"])
    ended: dict[str, str] = {}
    for endpoint_id, enabled, failing_since in rows:
        if enabled and endpoint_id in gone:
            ended[endpoint_id] = "gone"
            disable(conn, endpoint_id, "gone", now)
        elif enabled and failing_since is not None and failing_since <= now - TRIED:
            ended[endpoint_id] = "failing"
            disable(conn, endpoint_id, "failing", now)
    return ended
