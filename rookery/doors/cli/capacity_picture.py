"""A picture of room: when each lane is full, and what one more seat or kilogram on it would save."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rookery.doors.cli.maps import FAINT, INK, PAPER
from rookery.doors.cli.words import MODE_COLOURS, Places, percent, utc
from rookery.flows.utilisation import Utilisation
from rookery.terms.frames import Feed

ROWS = 24
MOST_BINS = 72
HOURS = (1, 2, 3, 6, 12, 24)
"""Lengths of a cell; the shortest with which all of the time fits."""
TICKS, TICK_COUNT = (6, 12, 24, 48, 96, 240), 9
FILL = LinearSegmentedColormap.from_list("fill", ["#e3e9ea", "#f0d9a8", "#d08c3f", "#c8553d"])
MARK = "#7a2e22"
NAME = 22


def draw_utilisation(found: Utilisation, feed: Feed, path: Path) -> Path:
    """A heat map of the lanes where room is worth the most, then the fullest, by time; and bars of that worth."""
    shown = _shown(found)
    height = 2.6 + 0.34 * max(1, shown.height)
    figure = Figure(figsize=(16, height), dpi=120, facecolor=PAPER)
    low, tall = 0.95 / height, (height - 2.35) / height
    heat = figure.add_axes((0.22, low, 0.53, tall))
    bars = figure.add_axes((0.765, low, 0.2, tall))
    _draw_heat(heat, found, shown, Places(feed))
    _draw_bars(bars, shown)
    summary, currency = found.summary, found.summary["currency"]
    figure.text(0.02, 1 - 0.45 / height, "Where room runs out", fontsize=19, color=INK, weight="bold", va="center")
    share = "" if summary["share_of_parcels"] is None else f"; {percent(summary['share_of_parcels'])} of seats are used"
    figure.text(
        0.02,
        1 - 0.85 / height,
        f"{feed.info.name}: {summary['full']:,} of {summary['limited']:,} departures full{share}. "
        "Cells tell how full the lane's departures of that time are; dots, that more room would save.",
        fontsize=11, color=FAINT, va="center", parse_math=False,
    )  # fmt: skip
    for axes, title in ((heat, "How full, by time of departure (UTC)"), (bars, f"One more on each saves, {currency}")):
        axes.set_title(title, fontsize=12, color=INK, loc="left", pad=8)
    scale = figure.add_axes((0.22, 0.3 / height, 0.2, 0.12 / height))
    scale.imshow(np.linspace(0, 1, 101)[None, :], aspect="auto", cmap=FILL)
    scale.set(yticks=[], xticks=[0, 50, 100], xticklabels=["empty", "half full", "full"])
    scale.tick_params(length=0, labelcolor=INK, labelsize=9)
    scale.spines[:].set_visible(False)
    figure.savefig(path, facecolor=PAPER)
    return path


def _shown(found: Utilisation) -> pl.DataFrame:
    """The lanes with any limit where more room would save, then the fullest."""
    worth = pl.col("seat") + pl.col("tonne") / 1000
    limited = found.lanes.filter(pl.col("share").is_not_null()).with_columns(worth=worth)
    return limited.sort("worth", "share", "lane_id", descending=[True, True, False]).head(ROWS)


def _draw_heat(axes: Any, found: Utilisation, shown: pl.DataFrame, places: Places) -> None:
    """One row a lane, one column a span of hours: the share of the room that is used; blank where nothing leaves."""
    axes.set_facecolor(PAPER)
    axes.spines[:].set_visible(False)
    if shown.is_empty():
        axes.set(xticks=[], yticks=[])
        return
    begin, hours, count = _bins(found.summary["from"], found.summary["until"])
    cell = ((pl.col("depart_at") - begin).dt.total_minutes() // (60 * hours)).alias("cell")
    share = pl.max_horizontal(
        pl.col(unit).sum() / pl.col(f"capacity_{unit}").sum() for unit in ("parcels", "kg")
    ).fill_nan(None)
    rows = shown.select("lane_id").with_row_index("row")
    cells = (
        found.departures.filter(pl.col("share").is_not_null())
        .join(rows, on="lane_id")
        .group_by("row", cell)
        .agg(share=share, priced=((pl.col("seat") > 0) | (pl.col("tonne") > 0)).any())
    )
    filled: NDArray = np.full((shown.height, count), np.nan)
    filled[cells["row"].to_numpy(), cells["cell"].to_numpy()] = cells["share"].to_numpy()
    axes.pcolormesh(np.arange(count + 1), np.arange(shown.height + 1), filled, cmap=FILL, vmin=0, vmax=1,
                    edgecolors=PAPER, linewidth=1.2)  # fmt: skip
    dear = cells.filter("priced")
    axes.scatter(dear["cell"].to_numpy() + 0.5, dear["row"].to_numpy() + 0.5, s=14, color=MARK, linewidths=0, zorder=3)
    axes.set(xlim=(0, count), ylim=(shown.height, 0))
    names = [
        f"{_short(places.name(row['from_node']))} → {_short(places.name(row['to_node']))}"
        for row in shown.iter_rows(named=True)
    ]
    axes.set_yticks(np.arange(shown.height) + 0.5, names)
    for label, mode in zip(axes.get_yticklabels(), shown["mode"]):
        label.set(color=MODE_COLOURS.get(mode, INK), parse_math=False)
    every = next((hours_between for hours_between in TICKS if count * hours < TICK_COUNT * hours_between), 24 * count)
    ticks = np.arange(0, count, max(1, every // hours))
    axes.set_xticks(ticks, [utc(begin + timedelta(hours=int(tick) * hours)) for tick in ticks], ha="left")
    axes.tick_params(length=0, labelsize=9.5)
    axes.tick_params(axis="x", labelcolor=INK)


def _bins(since: datetime, until: datetime) -> tuple[datetime, int, int]:
    """Where the cells begin, how many hours each is long, and how many there are."""
    begin = since.replace(hour=0, minute=0, second=0, microsecond=0)
    span = (until - begin) / timedelta(hours=1)
    hours = next((hours for hours in HOURS if span < hours * MOST_BINS), 24 * math.ceil(span / 24 / MOST_BINS))
    return begin, hours, int(span // hours) + 1


def _short(name: str) -> str:
    return name if len(name) <= NAME else f"{name[: NAME - 1]}…"


def _draw_bars(axes: Any, shown: pl.DataFrame) -> None:
    """For each lane what one more seat on each of its departures would save, then one more kilogram."""
    axes.set_facecolor(PAPER)
    axes.spines[:].set_visible(False)
    axes.set(xticks=[], yticks=[], ylim=(max(1, shown.height), 0))
    most = float(shown["worth"].max() or 0.0)  # type: ignore[arg-type]
    if most == 0:
        axes.text(0.02, 0.5, "nothing: no capacity binds", color=FAINT, fontsize=11)
        return
    for place, row in enumerate(shown.iter_rows(named=True)):
        seat, kilogram = row["seat"], row["tonne"] / 1000
        colour = MODE_COLOURS.get(row["mode"], INK)
        axes.barh(place + 0.5, seat, height=0.66, color=colour, alpha=0.9, linewidth=0)
        axes.barh(place + 0.5, kilogram, left=seat, height=0.66, color=colour, alpha=0.45, linewidth=0)
        told = [f"{value:,.2f} a {unit}" for value, unit in ((seat, "seat"), (kilogram, "kg")) if value >= 0.005]
        full = f", {row['full']:,} of {row['departures']:,} full" if row["share"] is not None and row["full"] else ""
        axes.annotate(
            (" + ".join(told) or "nothing") + full, (seat + kilogram, place + 0.5), xytext=(5, 0),
            textcoords="offset points", va="center", fontsize=9, color=INK if told else FAINT,
        )  # fmt: skip
    axes.set_xlim(0, most * 1.9)
