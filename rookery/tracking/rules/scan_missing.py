"""Parcels of which nothing was heard when something should have been."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from rookery.tracking.looked import dated
from rookery.tracking.rules.departure_missed import missed
from rookery.tracking.rules.shape import LEAVES_AT, PARCEL, STANDING, UNDER_WAY, Rule, found

SLACK = timedelta(minutes=60)
"""So long after a departure its scan may still come in."""
_LEAVES = pl.col("due_scan").is_in(["accepted", "departed"])
_HERE = "node:" + pl.col("node_id")


def find(looked: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The awaited scan did not come in time. What was seen after the cut-off has missed the departure instead; by the
    clock alone it may have left unscanned.
    """
    left = (STANDING & _LEAVES & (LEAVES_AT + SLACK).lt(now)).fill_null(False)
    rows = looked.filter(UNDER_WAY, pl.col("due_scan").is_not_null(), pl.col("overdue") | left, ~missed())
    rows = _with_cause(rows)
    what = pl.col("due_scan").str.replace_all("_", " ", literal=True)
    reason = (
        pl.when(pl.col("due_scan") == "arrived")
        .then("No scan of arriving with " + pl.col("rides") + ".")
        .when(_LEAVES & pl.col("booked").is_not_null())
        .then("No scan of being " + what + " at " + pl.col("node_id") + " for " + pl.col("booked") + ".")
    )
    where = pl.coalesce(" at " + pl.col("node_id"), pl.lit(""))
    reason = pl.coalesce(reason, "No scan of being " + what + where + " when it was due.")
    return found(rows, pl.col("cause"), reason, now)


def lasts(members: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Until something was observed, or another departure is booked."""
    unheard = pl.col("event_no").eq_missing(pl.col("case_event_no"))
    rows = members.filter(UNDER_WAY, pl.col("due_scan").is_not_null(), unheard, ~missed())
    return _with_cause(rows).filter(pl.col("cause") == pl.col("case_cause"))


def _with_cause(rows: pl.DataFrame) -> pl.DataFrame:
    """Who is silent: the departure that it rides, the node about a departure, the node, or whoever delivers it."""
    rows = rows.with_columns(
        dated("riding_departure_id", "riding_depart_at").alias("rides"),
        dated("booked_departure_id", "booked_depart_at").alias("booked"),
    )
    cause = (
        pl.when(pl.col("due_scan") == "arrived")
        .then("departure:" + pl.col("rides"))
        .when(_LEAVES)
        .then(_HERE + ":" + pl.col("booked"))
        .when(pl.col("due_scan") == "out_for_delivery")
        .then(_HERE)
    )
    return rows.with_columns(cause=pl.coalesce(cause, PARCEL))


RULE = Rule("scan_missing", find, lasts)
