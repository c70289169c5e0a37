"""A parcel that will not be on time as surely as was promised."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from rookery.tracking.looked import dated
from rookery.tracking.rules.shape import NOT_IN_HAND, PARCEL, UNDER_WAY, Rule, found, percent

MARGIN = 0.02
"""A case opens so far below the confidence promised, and closes at it: it does not flutter about one line."""
LATE = timedelta(minutes=5)
"""A departure that left so much after its time is the cause for all that ride it."""
NO_WAY = pl.col("why").eq_missing("no_way")
_NOT_KNOWN = pl.col("chance").is_null()
_RIDES_LATE = (
    pl.col("riding_departure_id").is_not_null()
    & pl.col("detail").eq_missing("departed")
    & (pl.col("at") > pl.col("riding_depart_at") + LATE)
).fill_null(False)


def find(looked: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Chance below what was promised, or no way left; not of parcels promised with less from the start, nor of those
    that their shipper has not handed over in time.
    """
    fell = (pl.col("chance") < pl.col("confidence") - MARGIN).fill_null(False)
    promised = (pl.col("promised_chance") >= pl.col("confidence")).fill_null(True)
    not_brought = (NOT_IN_HAND & (pl.col("booked_cutoff_at") < now)).fill_null(False)
    rows = looked.filter(UNDER_WAY, NO_WAY | (fell & promised), ~not_brought)
    told = "The chance of being on time fell to " + percent("chance") + "; " + percent("confidence") + " were promised."
    return found(
        rows,
        pl.when(_RIDES_LATE).then("departure:" + pl.col("rides")).otherwise(PARCEL),
        pl.when(NO_WAY)
        .then(pl.lit("No way to its destination is left."))
        .when(_RIDES_LATE)
        .then(pl.col("rides") + " left late: what rides it will not be on time as surely as promised.")
        .otherwise(told),
        now,
        dated("riding_departure_id", "riding_depart_at").alias("rides"),
    )


def lasts(members: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Until the chance is what was promised again; while it is not known, nothing has mended."""
    return members.filter(UNDER_WAY, _NOT_KNOWN | (pl.col("chance") < pl.col("confidence")).fill_null(False))


RULE = Rule("chance_low", find, lasts)
