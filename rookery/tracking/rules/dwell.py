"""A parcel that stands at a node for too long."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from rookery.tracking.rules.shape import PARCEL, STANDING, UNDER_WAY, Rule, found

LEAST = timedelta(hours=24)
TIMES = 2
"""Of the wait that was planned: from when it was seen there until its booked departure."""
_MOVES_ON = ("picked_up", "in_transit", "delivery_failed")
"""A parcel that is held, or waits for whoever is to fetch it, is no parcel that was forgotten."""


def too_long() -> pl.Expr:
    """From when a parcel that is looked at has stood where it is for too long; null = it does not stand there, or is
    not to move on.
    """
    planned = (pl.col("booked_depart_at") - pl.col("at")).fill_null(pl.duration())
    limit = pl.max_horizontal(planned * TIMES, pl.lit(LEAST))
    return pl.when(UNDER_WAY, STANDING, pl.col("status").is_in(_MOVES_ON)).then(pl.col("at") + limit)


def find(looked: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Last seen there more than a day ago, and more than twice as long as it was to wait."""
    rows = looked.with_columns(since=too_long())
    hours = (now - pl.col("at")).dt.total_hours().cast(pl.String)
    reason = "Nothing was heard of it at " + pl.col("node_id") + " for " + hours + " hours."
    return found(rows.filter(pl.col("since") < now), PARCEL, reason, pl.col("since"))


RULE = Rule("dwell", find)
