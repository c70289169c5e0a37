"""What a rule is, and what several rules say alike of a parcel."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import polars as pl

from rookery.tracking.looked import FOUND

Finds = Callable[[pl.DataFrame, datetime], pl.DataFrame]

ENDED = ("delivered", "cancelled", "return_to_sender")
GIVEN_UP = pl.col("why").eq_missing("given_up")
"""Nothing was heard of it for so long that nobody looks for it any more."""
UNDER_WAY = ~(pl.col("status").is_in(ENDED).fill_null(False) | GIVEN_UP)
"""Its shipper still waits for it to be delivered."""
NOT_IN_HAND = pl.col("status").fill_null("pre_transit") == "pre_transit"
"""Booked, and nobody has it yet."""
NO_WAY = pl.col("why").eq_missing("no_way")
"""No way to its destination is left."""
STANDING = pl.col("node_id").is_not_null() & pl.col("riding_departure_id").is_null()
PARCEL = "parcel:" + pl.col("epc")
"""The cause of what concerns one parcel alone."""
GOING_OUT = ("bagged", "loaded", "ready_to_depart")
"""Details of what is done with a parcel after the cut-off that it made."""
LEAVES_AT = pl.max_horizontal("booked_depart_at", "booked_cutoff_at")
"""When its booked departure leaves, at the earliest: a closure that delays it has moved the cut-off alone, for the
departure goes by the name that its schedule gives it.
"""
MISSED_AT = pl.when(pl.col("detail").is_in(GOING_OUT)).then(LEAVES_AT).otherwise(pl.col("booked_cutoff_at"))
"""Seen at the node later than this, it has missed its booked departure."""


def short(low: pl.Expr, now: datetime) -> pl.Expr:
    """It is not on time as surely as was promised, its chance being `low`, or no way is left; not what was promised
    with less from the start, nor what its shipper has not handed over in time.
    """
    promised = (pl.col("promised_chance") >= pl.col("confidence")).fill_null(True)
    not_brought = (NOT_IN_HAND & (pl.col("booked_cutoff_at") < now)).fill_null(False)
    return (NO_WAY | (low & promised)) & ~not_brought


class Rule(NamedTuple):
    """One kind of case.

    find(looked, now): those that someone must act on (FOUND). lasts(members, now): of parcels in a case of this kind
    (LOOKED with MEMBERS, case_event_no being as it was when it was found, and case_in_force: whether the closure of
    the case still is) those that stay in it even where `find` finds them no more, or under another cause; None = those
    found with the same cause stay, and no others.
    """

    kind: str
    find: Finds
    lasts: Finds | None = None


def found(
    rows: pl.DataFrame, cause: pl.Expr, reason: pl.Expr, since: pl.Expr | datetime, *further: pl.Expr
) -> pl.DataFrame:
    """Rows as FOUND; `further` are columns that the expressions go by."""
    since = since if isinstance(since, pl.Expr) else pl.lit(since)
    return rows.with_columns(*further).select(
        "epc", cause.alias("cause"), reason.alias("reason"), since.alias("since").cast(FOUND["since"])
    )


def percent(chance: str) -> pl.Expr:
    """A chance in words: "63 %"; never rounded up to 100."""
    return (pl.col(chance) * 100).floor().cast(pl.Int64).cast(pl.String) + " %"


def times(count: str, one: str, many: str) -> pl.Expr:
    """A number with its noun: "1 scan", "2 scans"."""
    number = pl.col(count)
    return number.cast(pl.String) + pl.when(number == 1).then(pl.lit(" " + one)).otherwise(pl.lit(" " + many))
