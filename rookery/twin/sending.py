"""What becomes of scans on their way to us: sent twice, late, in another order, with codes and numbers nobody knows."""

from __future__ import annotations

import polars as pl
from msgspec import Struct

STRANGE_CODES = ("Z9", "QX", "TRM-4")
"""Codes that no table of ours knows."""
FOREIGN = "3401234"
"""What the numbers of somebody else's parcels begin with."""
_SHARES = 1 << 20


class Muddle(Struct, frozen=True, kw_only=True):
    """Shares of scans, 0 to 1. All scans come, sooner or later; what is strange comes beside them."""

    duplicate: float = 0.02
    """Sent once more within the hour."""
    out_of_order: float = 0.05
    """Sent some minutes later than others of the same parcel may be."""
    late: float = 0.01
    """Sent hours later: a device without a network."""
    unknown_code: float = 0.001
    unknown_number: float = 0.001


SLOWEST_OUT_OF_ORDER, SLOWEST_LATE = 30, 8 * 60
"""Minutes."""


def muddle(scans: pl.DataFrame, rates: Muddle, seed: int) -> pl.DataFrame:
    """What is really sent of scans (columns `number`, `at`, `code` and any others) and when (`sent_at`, UTC minute), in
    the order of sending. A scan's luck is its own: the same however scans are cut into batches.
    """

    def drawn(what: int) -> pl.Expr:
        return pl.struct("number", "at", "code").hash(seed * 16 + what) % _SHARES / _SHARES

    def within(what: int, most: int) -> pl.Expr:
        return 1 + (drawn(what) * most).cast(pl.Int64)

    slow = (
        pl.when(drawn(0) < rates.late).then(60 + within(1, SLOWEST_LATE - 61))
        .when(drawn(2) < rates.out_of_order).then(within(3, SLOWEST_OUT_OF_ORDER - 1))
        .otherwise(0)
    )  # fmt: skip
    once = scans.with_columns(sent_at=pl.col("at") + slow)
    twice = once.filter(drawn(4) < rates.duplicate).with_columns(sent_at=pl.col("sent_at") + within(5, 59))
    code = (drawn(7) * len(STRANGE_CODES)).cast(pl.Int64)
    odd = once.filter(drawn(6) < rates.unknown_code).with_columns(
        code=code.replace_strict(dict(enumerate(STRANGE_CODES)), return_dtype=pl.String)
    )
    foreign = pl.lit(FOREIGN) + pl.col("number").str.slice(len(FOREIGN))
    stray = once.filter(drawn(8) < rates.unknown_number).with_columns(number=foreign)
    return pl.concat([once, twice, odd, stray]).sort("sent_at", maintain_order=True)
