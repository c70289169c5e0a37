"""A parcel that will not be on time as surely as was promised."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from rookery.tracking.looked import dated
from rookery.tracking.rules.departure_missed import missed
from rookery.tracking.rules.shape import LEAVES_AT, NO_WAY, PARCEL, STANDING, UNDER_WAY, Rule, found, percent, short

MARGIN = 0.02
"""A case opens so far below the confidence promised, and closes at it: it does not flutter about one line."""
LATE = timedelta(minutes=5)
"""A departure that left so much after its time is the cause for all that ride it."""
_NOT_KNOWN = pl.col("chance").is_null()
_RIDES = pl.col("riding_departure_id").is_not_null()


def find(looked: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Chance below what was promised, or no way left; not of parcels promised with less from the start, nor of those
    that their shipper has not handed over in time.
    """
    doubted = pl.col("below") & (pl.col("chance") < pl.col("confidence"))  # it was in another case for that
    fell = (pl.col("chance") < pl.col("confidence") - MARGIN).fill_null(False) | doubted.fill_null(False)
    rows = looked.filter(UNDER_WAY, short(fell, now))
    rows = rows.with_columns(
        dated("riding_departure_id", "riding_depart_at").alias("rides"),
        dated("booked_departure_id", "booked_depart_at").alias("booked"),
    ).with_columns(_departure(now))
    told = pl.coalesce(
        pl.col("departure") + pl.col("what") + ": what goes by it will not be on time as surely as promised.",
        "The chance of being on time fell to " + percent("chance") + "; " + percent("confidence") + " were promised.",
    )
    reason = pl.when(NO_WAY).then(pl.lit("No way to its destination is left.")).otherwise(told)
    return found(rows, pl.coalesce("departure:" + pl.col("departure"), PARCEL), reason, now)


def _departure(now: datetime) -> list[pl.Expr]:
    """The dated departure (`rides`, `booked`) by which parcels came to be late, and what is the matter with it; null =
    none: what they ride left late, or was not heard of; what they were to leave with was missed, or not heard of.
    """
    late = _RIDES & pl.col("detail").eq_missing("departed") & (pl.col("at") > pl.col("riding_depart_at") + LATE)
    not_left = STANDING & pl.col("overdue") & LEAVES_AT.le(now)
    kinds = (
        (late, "rides", " left late"),
        (_RIDES & pl.col("overdue"), "rides", " is overdue"),
        (missed(), "booked", " was missed"),
        (not_left, "booked", " was not heard of"),
    )
    return [
        pl.coalesce(*(pl.when(holds).then(which) for holds, which, _ in kinds)).alias("departure"),
        pl.coalesce(*(pl.when(holds).then(pl.lit(words)) for holds, _, words in kinds)).alias("what"),
    ]


def lasts(members: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Until the chance is what was promised again; while it is not known, nothing has mended. It stays with the cause
    it came with.
    """
    return members.filter(UNDER_WAY, _NOT_KNOWN | (pl.col("chance") < pl.col("confidence")).fill_null(False))


RULE = Rule("chance_low", find, lasts)
