"""A number that a courier scanned and that none of its parcels has."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl

from rookery.tracking.looked import AT
from rookery.tracking.rules.shape import times

KIND = "unknown_parcel"
WAIT = timedelta(minutes=15)
"""So long the parcel may still be told of: orders come in late, bags are told before what lies in them."""
STRAYS: dict[str, Any] = {
    "party_id": pl.String,  # whose scans
    "epc": pl.String,
    "number": pl.String,
    "scans": pl.Int64,
    "since": AT,  # when the first was recorded; null = long ago
}


def find(strays: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Kept scans (STRAYS) that nobody explained in time: cause, reason, since, one row a party and number."""
    waited = (pl.col("since") < now - WAIT).fill_null(True)
    many = times("scans", "time", "times")
    reason = pl.format("{} scanned {} {}: none of its parcels has that number.", "party_id", "number", many)
    cause = pl.format("number:{}:{}", "party_id", "epc")
    return strays.filter(waited).select(cause=cause, reason=reason, since="since")
