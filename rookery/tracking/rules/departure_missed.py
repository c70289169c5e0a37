"""Parcels that were seen at a node after the cut-off of the departure booked for them."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from rookery.tracking.looked import dated
from rookery.tracking.rules.shape import MISSED_AT, NOT_IN_HAND, STANDING, UNDER_WAY, Rule, found


def missed() -> pl.Expr:
    """It was seen at the node after it should have left, or is told to be left behind: it is there, not just unseen."""
    there = pl.col("booked_from").is_null() | (pl.col("booked_from") == pl.col("node_id"))
    seen = pl.col("detail").eq_missing("left_behind") | (pl.col("at") > MISSED_AT)
    return (UNDER_WAY & ~NOT_IN_HAND & STANDING & there & seen).fill_null(False)


def find(looked: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Seen at the node after the booked cut-off; what is being loaded counts only after the departure itself."""
    return found(
        looked.filter(missed()),
        "departure:" + pl.col("booked"),
        "Still at " + pl.col("node_id") + " after the cut-off of " + pl.col("booked") + ".",
        pl.col("booked_cutoff_at"),
        dated("booked_departure_id", "booked_depart_at").alias("booked"),
    ).drop_nulls("cause")


RULE = Rule("departure_missed", find)
