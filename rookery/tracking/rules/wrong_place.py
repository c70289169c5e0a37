"""A parcel that is where it has no business to be."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from rookery.tracking.rules.shape import NOT_IN_HAND, PARCEL, STANDING, UNDER_WAY, Rule, found

_TOLD = pl.col("detail").eq_missing("misrouted")
_PLANNED = pl.col("legs_nodes").list.len() > 0
_OFF_ROUTE = ~pl.col("legs_nodes").list.contains(pl.col("node_id"))


def find(looked: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """At a node that is on no leg of its booked route, nor on the way that was likely before it set out for there; or
    whoever has it says that it was misrouted.
    """
    unlikely = ~pl.col("nodes_before").list.contains(pl.col("node_id"))
    rows = looked.filter(UNDER_WAY, ~NOT_IN_HAND, STANDING, _TOLD | (_PLANNED & _OFF_ROUTE & unlikely))
    reason = "Seen at " + pl.col("node_id") + ", which is not on its way."
    return found(rows, PARCEL, reason, pl.coalesce("at", pl.lit(now)))


def lasts(members: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Until it is on its way again, or its way leads through here: what is likely from here on always does."""
    return members.filter(UNDER_WAY, STANDING, _TOLD | (_PLANNED & _OFF_ROUTE))


RULE = Rule("wrong_place", find, lasts)
