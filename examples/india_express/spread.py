"""How far a leg's driving time strays from its corridor's median: ideas, fitted to observed legs and compared.

A leg takes (median of its corridor) x exp(level + residual). The level is the median of log(actual / corridor median)
in the leg's class, plus a shift of its own corridor drawn towards 0; the residual is a table of quantiles of its class,
drawn towards the table of the class above. A class is told by words: `type` (FTL or Carting), `length` (of the
corridor, by its road minutes), `hour` (quarter of the Indian day in which the leg starts), `corridor`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from examples.india_express.extract import ENDS, Extract

LEVELS = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98])
"""The quantiles kept of every residual table."""
DECILES = np.arange(1, 10) / 10
LENGTHS = ("short", "medium", "long", "haul")
ROAD_MINUTES = (25, 45, 90)  # where one length ends and the next begins: about the quartiles of the corridors
QUARTERS = ("night", "morning", "afternoon", "evening")


@dataclass(frozen=True)
class Idea:
    """One way of telling the spread: by which words levels and residual tables differ, and what they are drawn to.

    residuals: from coarse to fine, (words, number of legs at which a table counts as much as the one above).
    corridor_legs: number of legs at which half of a corridor's own shift is believed; None = no shift.
    """

    name: str
    level: tuple[str, ...] = ()
    residuals: tuple[tuple[tuple[str, ...], float], ...] = ()
    corridor_legs: float | None = None


IDEAS = (
    Idea("pooled"),
    Idea("by route type", ("type",), ((("type",), 50),)),
    Idea("by type and length", ("type", "length"), ((("type", "length"), 50),)),
    Idea("by type and hour", ("type", "hour"), ((("type", "hour"), 50),)),
    Idea("by type, length and hour", ("type", "hour"), ((("type",), 50), (("type", "length", "hour"), 50))),
    Idea("corridor's own quantiles", (), ((("type", "length"), 50), (("corridor",), 5))),
    Idea(
        "corridor shift; by type, length, hour",
        ("type", "hour"),
        ((("type",), 50), (("type", "length", "hour"), 50)),
        corridor_legs=5,
    ),
)


@dataclass(frozen=True)
class Fitted:
    """An idea fitted to legs; every dictionary has a class's name as key."""

    idea: Idea
    level: dict[str, float]
    shift: dict[str, float]
    tables: dict[str, NDArray[np.float64]] = field(repr=False)  # log residual at LEVELS; "" = all legs

    def classes(self, legs: pl.DataFrame) -> list[str]:
        """The finest residual table there is for each leg."""
        names = [_names(legs, words) for words, _ in reversed(self.idea.residuals)]
        return [next((name for name in row if name in self.tables), "") for row in zip(*names)] or [""] * legs.height

    def centre(self, legs: pl.DataFrame) -> NDArray[np.float64]:
        """Level plus corridor shift of each leg, in logs."""
        overall = self.level[""]
        levels = [self.level.get(name, overall) for name in _names(legs, self.idea.level)]
        return np.array(levels) + [self.shift.get(name, 0.0) for name in _names(legs, ("corridor",))]

    def minutes(self, legs: pl.DataFrame, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Driving minutes of each leg at each quantile of `at`: (legs, quantiles)."""
        tables = {name: np.interp(at, LEVELS, table) for name, table in self.tables.items()}
        residual = np.array([tables[name] for name in self.classes(legs)])
        return legs["median_actual_min"].to_numpy()[:, None] * np.exp(self.centre(legs)[:, None] + residual)


def described(legs: pl.DataFrame, corridors: pl.DataFrame) -> pl.DataFrame:
    """Legs whose corridor is known, with that corridor's columns and the words that tell classes."""
    known = legs.join(corridors, on=ENDS, maintain_order="left")
    lengths = np.array(LENGTHS)[np.digitize(known["median_osrm_min"], ROAD_MINUTES)]
    return known.with_columns(
        corridor=pl.concat_str(ENDS, separator="-"),
        type=pl.col("major_route_type"),
        length=pl.Series(lengths, dtype=pl.String),
        hour=pl.lit(pl.Series(QUARTERS)).gather(pl.col("start_minute") // 360),
    )


def fit(idea: Idea, legs: pl.DataFrame) -> Fitted:
    """Fit an idea to described legs."""
    stray = np.log(legs["actual_time"].to_numpy() / legs["median_actual_min"].to_numpy())
    level, shift = _levels(idea, legs, stray)
    residual = stray - Fitted(idea, level, shift, {}).centre(legs)
    if idea.corridor_legs is not None:
        # A leg pulls its corridor's shift towards itself, so residuals against that shift look too small. Each day's
        # are taken against the shifts of the other days instead.
        for day in legs["day"].unique():
            mine = (legs["day"] == day).to_numpy()
            if mine.all():
                continue
            level_without, shift_without = _levels(idea, legs.filter(~mine), stray[~mine])
            residual[mine] = stray[mine] - Fitted(idea, level_without, shift_without, {}).centre(legs.filter(mine))
    tables = {"": np.quantile(residual, LEVELS)}
    above = [""] * legs.height
    for words, strength in idea.residuals:
        names, finer = _names(legs, words), {}
        for name in dict.fromkeys(names):
            mine = np.array([other == name for other in names])
            parent, count = tables[above[int(mine.argmax())]], int(mine.sum())
            finer[name] = (np.quantile(residual[mine], LEVELS) * count + parent * strength) / (count + strength)
        tables |= finer
        above = names
    return Fitted(idea, level, shift, tables)


def _levels(idea: Idea, legs: pl.DataFrame, stray: NDArray) -> tuple[dict[str, float], dict[str, float]]:
    """Median stray of each class, and what is left of each corridor's own median over that."""
    told = legs.select(
        stray=pl.Series(stray),
        name=pl.Series(_names(legs, idea.level)),
        corridor=pl.Series(_names(legs, ("corridor",))),
    )
    medians = told.group_by("name").agg(pl.col("stray").median())
    level = {"": float(np.median(stray))} | dict(medians.iter_rows())
    if idea.corridor_legs is None:
        return level, {}
    over = told.with_columns(over=pl.col("stray") - pl.col("stray").median().over("name"))
    believed = pl.len() / (pl.len() + idea.corridor_legs)
    return level, dict(over.group_by("corridor").agg(pl.col("over").median() * believed).iter_rows())


def _names(legs: pl.DataFrame, words: tuple[str, ...]) -> list[str]:
    """Each leg's class, e.g. "FTL short night"."""
    if not words:
        return [""] * legs.height
    return legs.select(pl.concat_str(words, separator=" "))[:, 0].to_list()


def pinball(actual: NDArray, predicted: NDArray, at: NDArray) -> NDArray[np.float64]:
    """Pinball loss of every prediction: (legs, quantiles); least in the mean for the true quantiles."""
    over = actual[:, None] - predicted
    return np.maximum(at * over, (at - 1) * over)


def compare(legs: pl.DataFrame, ideas: tuple[Idea, ...] = IDEAS) -> pl.DataFrame:
    """What each idea foretells of each day of `legs` when fitted to the other days.

    idea; loss (mean pinball loss over deciles of log minutes, x 1000) and loss_minutes (of minutes); below_10,
    below_50, below_90 (share of legs at or below those quantiles); worst_gap (of the nine deciles' shares).
    """
    rows = []
    actual = legs["actual_time"].to_numpy()
    for idea in ideas:
        predicted = np.empty((legs.height, len(DECILES)))
        for day in legs["day"].unique():
            mine = (legs["day"] == day).to_numpy()
            predicted[mine] = fit(idea, legs.filter(~mine)).minutes(legs.filter(mine), DECILES)
        below = (actual[:, None] <= predicted).mean(axis=0)
        loss = pinball(np.log(actual), np.log(predicted), DECILES).mean() * 1000
        in_minutes = pinball(actual, predicted, DECILES).mean()
        rows.append((idea.name, loss, in_minutes, below[0], below[4], below[8], np.abs(below - DECILES).max()))
    columns = ["idea", "loss", "loss_minutes", "below_10", "below_50", "below_90", "worst_gap"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def choose(comparison: pl.DataFrame) -> Idea:
    """The best calibrated of the ideas whose loss is within 1 % of the least: their losses do not tell them apart."""
    near = comparison.filter(pl.col("loss") <= 1.01 * pl.col("loss").min()).sort("worst_gap", maintain_order=True)
    return next(idea for idea in IDEAS if idea.name == near["idea"][0])


def learn(extract: Extract) -> tuple[Fitted, pl.DataFrame]:
    """The chosen idea fitted to every day but the last, and the comparison it was chosen by."""
    legs = described(extract.legs, extract.corridors).filter(pl.col("day") < extract.last_day)
    comparison = compare(legs)
    return fit(choose(comparison), legs), comparison
