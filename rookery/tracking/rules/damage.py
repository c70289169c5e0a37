"""A parcel that was told to be damaged."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from rookery.tracking.rules.shape import PARCEL, UNDER_WAY, Rule, found

DAMAGED = pl.col("detail").eq_missing("damaged")


def find(looked: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Its milestone says so."""
    where = pl.coalesce(" at " + pl.col("node_id"), pl.lit(""))
    return found(looked.filter(UNDER_WAY, DAMAGED), PARCEL, "Damaged" + where + ".", pl.coalesce("at", pl.lit(now)))


RULE = Rule("damage", find)
