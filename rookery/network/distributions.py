"""Distributions of transit times: what makes one nonsense, and what makes its median another than was written."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import polars as pl

from rookery.base.columns import tell
from rookery.base.notices import Findings

_HALF = Fraction(1, 2)


def sound_distributions(transit: pl.DataFrame, file: str, findings: Findings) -> pl.DataFrame:
    """The rows of distributions whose factors never fall as the quantile rises, file order kept.

    The others are left out whole, with an error at each row where they fall. A distribution whose factor at quantile
    0.5 is not exactly 1 is kept with a warning, at the row of that quantile or else at its first. Takes and gives the
    FEED schema; a quantile stands only once in a distribution.
    """
    rising = transit.sort("transit_id", "quantile")
    falls = rising.select(
        (pl.col("factor") < pl.col("factor").shift(1).over("transit_id")).fill_null(False)
    ).to_series()
    tell(rising, falls, findings, file, "transit_not_rising", column="factor")
    broken = rising.filter(falls)["transit_id"].unique()
    sound = transit.filter(~pl.col("transit_id").is_in(broken.implode()))
    findings.leave_out(file, transit.height - sound.height)

    halfway = pl.col("line").filter(pl.col("quantile") == 0.5).first()
    each = (
        sound.sort("transit_id", "quantile")
        .group_by("transit_id", maintain_order=True)
        .agg("quantile", "factor", pl.coalesce(halfway, pl.col("line").min()))
    )
    medians = [
        median_factor(quantiles, factors) for quantiles, factors in each.select("quantile", "factor").iter_rows()
    ]
    told = each.select(
        "transit_id", median=pl.Series([float(median) for median in medians], dtype=pl.Float64), line="line"
    )
    off = pl.Series([median != 1 for median in medians], dtype=pl.Boolean)
    tell(told, off, findings, file, "transit_median", column="factor", shows=("transit_id", "median"))
    return sound


def median_factor(quantiles: Sequence[float], factors: Sequence[float]) -> Fraction:
    """The factor at quantile 0.5, exact: linear between the points (by rising quantile), constant beyond the ends.

    Numbers are taken as the decimals that were written (the shortest that give the same double).
    """
    points = [(Fraction(str(q)), Fraction(str(f))) for q, f in zip(quantiles, factors)]
    if points[0][0] >= _HALF:
        return points[0][1]
    for (q0, f0), (q1, f1) in pairwise(points):
        if q1 >= _HALF:
            return f0 + (f1 - f0) * (_HALF - q0) / (q1 - q0)
    return points[-1][1]
