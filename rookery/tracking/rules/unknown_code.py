"""A code that a courier sent and that no table knows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from rookery.tracking.looked import AT
from rookery.tracking.rules.shape import times
from rookery.tracking.rules.unknown_parcel import WAIT

KIND = "unknown_code"
UNMAPPED: dict[str, Any] = {
    "party_id": pl.String,  # whose code
    "code": pl.String,
    "scans": pl.Int64,
    "since": AT,  # when the first was recorded; null = long ago
}


def find(unmapped: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Kept scans (UNMAPPED) whose code stayed unknown: cause, reason, since, one row a party and code."""
    waited = (pl.col("since") < now - WAIT).fill_null(True)
    many = times("scans", "scan", "scans")
    reason = pl.format("{} came from {} with code {}, which no code table knows.", many, "party_id", "code")
    cause = pl.format("code:{}:{}", "party_id", "code")
    return unmapped.filter(waited).select(cause=cause, reason=reason, since="since")
