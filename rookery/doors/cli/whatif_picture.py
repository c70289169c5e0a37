"""The picture of a comparison: which lanes gain and lose parcels, and how much is late or left behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from rookery.doors.cli.maps import FAINT, INK, PAPER, WATER, draw_ground, great_circle, projected
from rookery.doors.cli.words import count_of, percent
from rookery.flows.whatif import Comparison
from rookery.terms.frames import Feed

GAIN, LOSS, STILL = "#2a9d8f", "#c8553d", "#b9bdc1"
LATE, LEFT = "#d08c3f", "#7a2e22"
LEAST = 0.5
"""Parcels by which a lane must change to be drawn as changed."""
BARS = 8
APART = 0.0028  # of the map's width: how far gains and losses of one pair of places lie from each other
NAMED = 12
LONGEST = 125  # characters of a title
AROUND = 7.0  # degrees of latitude shown close up, to either side


def draw_comparison(feed: Feed, made: Comparison, closed: Sequence[str], path: Path) -> Path:
    """A map of the lanes that gain and lose parcels, and bars of what is late or unassigned, before and after.

    closed: nodes to be marked as closed.
    """
    close_up = _surroundings(feed, made.lanes, closed)
    rows = min(BARS, max(made.services.height, made.countries.height))
    below = max(1.5 + 0.52 * rows, 5.6 if close_up is not None else 0)  # inches
    height = 8.6 + below
    figure = Figure(figsize=(16, height), dpi=120, facecolor=PAPER)
    axes, water = draw_ground(figure, (0.01, (below + 0.35) / height, 0.98, (8.6 - 1.25) / height), feed.nodes)
    _draw_lanes(axes, water, feed, made.lanes)
    _draw_nodes(axes, feed, made.lanes, closed)
    marks = [
        Line2D([], [], color=GAIN, lw=3, label="gains parcels"),
        Line2D([], [], color=LOSS, lw=3, label="loses parcels"),
        Line2D([], [], color=STILL, lw=1.5, label="used, as before"),
        *([Line2D([], [], color=LOSS, marker="X", ls="", ms=10, label="closed")] if closed else []),
    ]
    figure.legend(
        handles=marks, loc="center", bbox_to_anchor=(0.5, (below + 0.15) / height), ncols=len(marks), frameon=False,
        fontsize=11, labelcolor=INK,
    )  # fmt: skip
    _tell(figure, feed, made)
    width = 0.36 if close_up is None else 0.2
    for left, key, table in ((0.09, "service", made.services), (0.18 + width, "country", made.countries)):
        tall = (1.5 + 0.52 * min(BARS, table.height) - 1.1) / height
        bars = figure.add_axes((left, (below - 0.55) / height - tall, width, tall))
        _draw_bars(bars, key, table)
    if close_up is not None:
        ground, _ = draw_ground(figure, (0.66, 0.2 / height, 0.325, (below - 0.75) / height), close_up)
        ground.set_anchor("N")
        ground.set_axis_on()
        ground.set(xticks=[], yticks=[], facecolor=WATER)
        ground.set_title("Where most of it happens", fontsize=12.5, color=INK, loc="left", pad=10)
        ground.spines[:].set_color(FAINT)
        _draw_lanes(ground, None, feed, made.lanes)
        _draw_nodes(ground, feed, made.lanes, closed)
    handles = [Patch(color=LATE, label="expected late"), Patch(color=LEFT, label="unassigned")]
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.08, 0.0), ncols=2, frameon=False, fontsize=11,
        labelcolor=INK,
    )  # fmt: skip
    figure.savefig(path, facecolor=PAPER)
    return path


def _surroundings(feed: Feed, lanes: pl.DataFrame, closed: Sequence[str]) -> pl.DataFrame | None:
    """The nodes around the place that changes most, when that is a small part of the network; else None."""
    nodes = _moved(feed, lanes).sort(pl.col("node_id").is_in(list(closed)), pl.col("change").abs(), descending=True)
    lat, lon = nodes["lat"][0], nodes["lon"][0]
    near = nodes.filter((pl.col("lat") - lat).abs() < AROUND, (pl.col("lon") - lon).abs() < 1.5 * AROUND)
    spread = float(np.ptp(nodes["lon"].to_numpy()))
    return near if near.height > 2 and spread > 8 * AROUND else None


def _moved(feed: Feed, lanes: pl.DataFrame) -> pl.DataFrame:
    """The nodes with the parcels that their lanes gain, less what they lose."""
    ends = pl.concat([lanes.select(pl.col(end).alias("node_id"), "change") for end in ("from_node", "to_node")])
    moved = ends.group_by("node_id").agg(pl.col("change").sum())
    return feed.nodes.join(moved, on="node_id", how="left").with_columns(pl.col("change").fill_null(0.0))


def _tell(figure: Figure, feed: Feed, made: Comparison) -> None:
    """The changes as the title; under it what they come to."""
    height = figure.get_figheight()
    title = f"What if: {'; '.join(made.changes)}"
    shown = title if len(title) <= LONGEST else f"{title[: LONGEST - 1]}…"
    before, after = made.summary["before"], made.summary["after"]
    figure.text(
        0.02, 1 - 0.42 / height, shown,
        fontsize=19 if len(shown) <= 85 else 13, color=INK, weight="bold", va="center", parse_math=False,
    )  # fmt: skip
    figure.text(
        0.02,
        1 - 0.82 / height,
        f"{feed.info.name}: cost a parcel {before['cost_per_parcel']:,.2f} to {after['cost_per_parcel']:,.2f} "
        f"{feed.info.currency}; on time {percent(before['on_time_expected'])} to {percent(after['on_time_expected'])}. "
        "Lines are great circles, not tracks; width is parcels gained or lost.",
        fontsize=11.5, color=FAINT, va="center", parse_math=False,
    )  # fmt: skip


def _draw_lanes(axes: Any, water: Any, feed: Feed, lanes: pl.DataFrame) -> None:
    """Lines between places: gains and losses of all lanes of a pair, beside each other where it has both."""
    flows = _flows(feed, lanes)
    most = max(1.0, float(flows["much"].max() or 0.0)) if flows.height else 1.0  # type: ignore[arg-type]
    apart = APART * float(np.ptp(axes.get_xlim()))
    for kind, colour in ((0, STILL), (-1, LOSS), (1, GAIN)):
        mine = flows.filter(pl.col("kind") == kind).sort("much")
        lines, widths, depths = [], [], []
        for row in mine.iter_rows(named=True):
            strength = np.sqrt(row["much"] / most)
            for piece in great_circle(row["lon"], row["lat"], row["lon_to"], row["lat_to"]):
                lines.append(_aside(piece, kind * apart * row["both"]))
                widths.append(0.3 + 5.5 * strength if kind else 0.4)
                depths.append(0.12 + 0.83 * strength if kind else 0.35)
        if lines:
            drawn = axes.add_collection(
                LineCollection(lines, colors=colour, linewidths=widths, alpha=depths, capstyle="round", zorder=2)
            )
            if water is not None:
                drawn.set_clip_path(water)


def _flows(feed: Feed, lanes: pl.DataFrame) -> pl.DataFrame:
    """Pairs of places: kind 1, parcels gained by their lanes that gain; -1, lost by those that lose; 0, neither."""
    where = feed.nodes.select("node_id", "lat", "lon")
    change = pl.col("change")
    kind = pl.when(change.abs() < LEAST).then(0).when(change > 0).then(1).otherwise(-1)
    pair = ["one", "other"]
    return (
        lanes.group_by(
            pl.min_horizontal("from_node", "to_node").alias("one"),
            pl.max_horizontal("from_node", "to_node").alias("other"),
            kind.alias("kind"),
        )
        .agg(much=change.abs().sum())
        .with_columns(both=pl.col("kind").ne(0).sum().over(pair) > 1, changed=pl.col("kind").ne(0).any().over(pair))
        .filter((pl.col("kind") != 0) | ~pl.col("changed"))
        .join(where, left_on="one", right_on="node_id")
        .join(where, left_on="other", right_on="node_id", suffix="_to")
    )


def _aside(line: NDArray, distance: float) -> NDArray:
    """A line moved sideways."""
    along = np.gradient(line, axis=0)
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-12)
    return line + distance * np.column_stack([-along[:, 1], along[:, 0]]) / length[:, None]


def _draw_nodes(axes: Any, feed: Feed, lanes: pl.DataFrame, closed: Sequence[str]) -> None:
    """Places as dots, those closed as crosses; those that gain or lose the most by name."""
    nodes = _moved(feed, lanes).with_columns(shut=pl.col("node_id").is_in(list(closed)))
    x, y = projected(nodes["lon"].to_numpy(), nodes["lat"].to_numpy())
    nodes = nodes.with_columns(x=x, y=y)
    axes.scatter(x, y, s=3, color=INK, alpha=0.6, linewidths=0, zorder=3)
    shut = nodes.filter(pl.col("shut"))
    axes.scatter(shut["x"], shut["y"], s=130, marker="X", color=LOSS, edgecolors=PAPER, linewidths=1.2, zorder=5)
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    seen = pl.col("x").is_between(west, east) & pl.col("y").is_between(south, north)
    worth_naming = nodes.filter(seen & (pl.col("shut") | (pl.col("change").abs() >= LEAST)))
    hubs = worth_naming.filter(pl.col("shut") | (pl.col("kind") == "hub"))
    told: list[tuple[float, float]] = []
    for row in (hubs if hubs.height > 1 else worth_naming).sort(
        "shut", pl.col("change").abs(), descending=True
    ).iter_rows(named=True):  # fmt: skip
        x, y = row["x"], row["y"]
        near = any(abs(x - a) < 0.055 * (east - west) and abs(y - b) < 0.03 * (north - south) for a, b in told)
        if len(told) == NAMED or near:
            continue
        told.append((x, y))
        axes.annotate(
            row["name"].removesuffix(" hub"), (x, y), xytext=(6, 5), textcoords="offset points",
            fontsize=9, color=INK, weight="bold", zorder=6, parse_math=False,
            path_effects=[withStroke(linewidth=2.6, foreground=PAPER, alpha=0.85)],
        )  # fmt: skip


def _draw_bars(axes: Any, key: str, table: pl.DataFrame) -> None:
    """For each service or country two bars, before and after: the share expected late and the share unassigned."""
    failing = [pl.col(f"late_{side}") + pl.col(f"unassigned_{side}") for side in ("before", "after")]
    change = (failing[1] - failing[0]).abs()
    shown = table if table.height <= BARS else table.sort(change, "parcels_after", descending=True).head(BARS)
    most = 0.0
    for place, row in enumerate(shown.iter_rows(named=True)):
        for side, offset, depth in (("before", -0.19, 0.45), ("after", 0.19, 1.0)):
            parcels = max(1, row[f"parcels_{side}"])
            late, left = row[f"late_{side}"] / parcels, row[f"unassigned_{side}"] / parcels
            axes.barh(place + offset, late, height=0.34, color=LATE, alpha=depth, linewidth=0)
            axes.barh(place + offset, left, left=late, height=0.34, color=LEFT, alpha=depth, linewidth=0)
            axes.annotate(
                f"{percent(late + left) if late + left > 5e-4 else 'none'} {side}", (late + left, place + offset),
                xytext=(5, 0), textcoords="offset points", va="center", fontsize=8.5,
                color=INK if side == "after" else FAINT,
            )  # fmt: skip
            most = max(most, late + left)
    axes.set_xlim(0, max(0.01, most) * 1.4)
    axes.set_ylim(max(1, shown.height) - 0.45, -0.55)
    names = [f"{row[key]}\n{count_of(row['parcels_after'], 'parcel')}" for row in shown.iter_rows(named=True)]
    axes.set_yticks(range(shown.height), names)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.set_xticks([])
    axes.set_facecolor(PAPER)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(FAINT)
    axes.tick_params(left=False, labelcolor=INK, labelsize=10)
    more = f", {shown.height} of {table.height}" if shown.height < table.height else ""
    what = "service" if key == "service" else "destination"
    axes.set_title(f"Late or left behind, by {what}{more}", fontsize=12.5, color=INK, loc="left", pad=10)
