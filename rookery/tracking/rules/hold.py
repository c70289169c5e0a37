"""A parcel that someone holds, for another reason than damage."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from rookery.tracking.rules.damage import DAMAGED
from rookery.tracking.rules.shape import PARCEL, UNDER_WAY, Rule, found


def find(looked: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Its milestone is on_hold."""
    rows = looked.filter(UNDER_WAY, pl.col("status").eq_missing("on_hold"), ~DAMAGED)
    where = pl.coalesce(" at " + pl.col("node_id"), pl.lit(""))
    why = pl.coalesce(" (" + pl.col("detail").str.replace_all("_", " ", literal=True) + ")", pl.lit(""))
    return found(rows, PARCEL, "Held" + where + why + ".", pl.coalesce("at", pl.lit(now)))


RULE = Rule("hold", find)
