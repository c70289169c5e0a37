"""Which zone an address lies in: its country's longest matching postal prefix."""

from __future__ import annotations

import polars as pl


def find_zones(zones: pl.DataFrame, country: pl.Series, postal: pl.Series) -> pl.Series:
    """The zone of each address: its row in `zones` (Int32), -1 where there is none.

    The longest postal prefix of the country wins; the empty prefix is the whole country, also for an address without
    a postal code. Of zones with the same prefix the first holds. Countries are ISO 3166-1 alpha-2; addresses are
    compared in capitals, their codes without blanks and hyphens, as the prefixes of `zones` are written.
    """
    known = zones.select(
        prefix=pl.col("country") + ":" + pl.col("postal_prefix"), zone=pl.int_range(pl.len(), dtype=pl.Int32)
    ).unique("prefix", keep="first", maintain_order=True)
    code = pl.col("postal").fill_null("").str.replace_all(r"[\s-]", "")
    asked = pl.DataFrame([country.cast(pl.String).alias("country"), postal.cast(pl.String).alias("postal")])
    asked = asked.select(address=(pl.col("country") + ":" + code).str.to_uppercase())
    found = [
        pl.col("address").str.head(length).replace_strict(group["prefix"], group["zone"], default=None)
        for length, group in _by_length(known)
    ]
    return asked.with_columns(zone=pl.coalesce(*found, pl.lit(-1)).cast(pl.Int32))["zone"]


def _by_length(known: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
    """The prefixes grouped by their length, the longest first."""
    length = pl.col("prefix").str.len_chars()
    return [
        (size, known.filter(length == size))
        for size in known.select(length).unique().sort("prefix", descending=True).to_series()
    ]
