"""Waybill numbers that nobody was issued: SSCCs of GS1's prefix for examples, computed by the column."""

from __future__ import annotations

import numpy as np
import polars as pl

PREFIX = 9_520_000
PARCEL, BAG = 0, 1
"""Extension digits, which keep parcels' numbers and bags' apart."""


def sscc(serials: np.ndarray, extension: int) -> pl.Series:
    """18 digits with the check digit (GS1 General Specifications, 7.9.1) for serials below 10^9."""
    payload = extension * 10**16 + PREFIX * 10**9 + serials.astype(np.int64)
    total = np.zeros_like(payload)
    left = payload.copy()
    for place in range(17):
        total += (left % 10) * (1 if place % 2 else 3)
        left //= 10
    whole = payload * 10 + (10 - total % 10) % 10
    return pl.Series("number", whole).cast(pl.String).str.zfill(18)


def epc(number: str) -> str:
    """The number as an event names it."""
    return f"https://id.gs1.org/00/{number}"
