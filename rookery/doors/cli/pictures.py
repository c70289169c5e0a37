"""The demo's pictures: where the parcels travel, and how dear, how slow and how sure each service is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from rookery.doors.cli.figures import by_service, least_of
from rookery.doors.cli.maps import FAINT, INK, PAPER, draw_ground, great_circle, projected
from rookery.doors.cli.words import MODE_COLOURS, percent
from rookery.terms.frames import Feed

SERVICE_COLOURS = ("#c8553d", "#3d7ea6", "#2a9d8f", "#8e6bb0", "#d08c3f", "#6a994e")
DRAWN_MODES = ("sea", "rail", "truck", "van", "air", "bike", "foot", "drone")  # the later, the nearer to the eye
ON_TIME_STEPS = ((0.999, "99.9%+"), (0.99, "99%+"), (0.95, "95%+"), (0.8, "80%+"), (0.5, "50%+"), (0.0, "less"))


def draw_map(feed: Feed, legs: pl.DataFrame, path: Path) -> Path:
    """Lanes as great circles on an Equal Earth map, as wide as the parcels (legs) that ride them, coloured by mode."""
    figure = Figure(figsize=(16, 8.4), dpi=130, facecolor=PAPER)
    axes, water = draw_ground(figure, (0.01, 0.05, 0.98, 0.86), feed.nodes)
    flows = _flows(feed, legs)
    most = float(flows["parcels"].max()) if flows.height else 1.0  # type: ignore[arg-type]
    for mode in DRAWN_MODES:
        mine = flows.filter(pl.col("mode") == mode).sort("parcels")
        if mine.is_empty():
            continue
        strength = np.sqrt(mine["parcels"].to_numpy() / most)
        lines, widths, depths = [], [], []
        for row, much in zip(mine.iter_rows(named=True), strength):
            for piece in great_circle(row["lon"], row["lat"], row["lon_to"], row["lat_to"]):
                lines.append(piece)
                widths.append(0.35 + 4.2 * much)
                depths.append(0.22 + 0.6 * much)
        if not lines:  # all between nodes of one place
            continue
        drawn = axes.add_collection(
            LineCollection(
                lines,
                colors=MODE_COLOURS[mode],
                linewidths=widths,
                alpha=depths,
                linestyles=(0, (1.2, 1.6)) if mode == "sea" else "solid",
                capstyle="butt" if mode == "sea" else "round",
            )
        )
        if water is not None:
            drawn.set_clip_path(water)
    _draw_nodes(axes, feed, legs)
    used = [mode for mode in DRAWN_MODES if mode in flows["mode"]]
    handles = [Line2D([], [], color=MODE_COLOURS[mode], lw=3, label=mode) for mode in reversed(used)]
    figure.legend(
        handles=handles, loc="lower center", ncols=len(handles) or 1, frameon=False, fontsize=11, labelcolor=INK
    )
    figure.text(0.02, 0.955, "Where the parcels travel", fontsize=19, color=INK, weight="bold", va="center")
    figure.text(
        0.98,
        0.955,
        f"{feed.info.name}: {flows.height:,} lanes used. Lines are great circles, not tracks; width is parcels.",
        fontsize=11,
        color=FAINT,
        ha="right",
        va="center",
    )
    figure.savefig(path, facecolor=PAPER)
    return path


def draw_histogram(parcels: pl.DataFrame, currency: str, path: Path) -> Path:
    """Cost, days and on-time probability of the planned parcels (see figures.planned_parcels), one row a service."""
    services = by_service(parcels)["service"].to_list()
    figure = Figure(figsize=(16, 1.6 + 2.1 * len(services)), dpi=110, facecolor=PAPER)
    grid = figure.subplots(len(services), 3, squeeze=False, sharex="col")
    columns = (
        ("cost_each", f"expected cost, {currency} a parcel", ",.2f"),
        ("days", "days from ready to delivered", ".1f"),
    )
    for row, service in enumerate(services):
        mine = parcels.filter(pl.col("service") == service)
        colour = SERVICE_COLOURS[row % len(SERVICE_COLOURS)]
        for axes, (name, title, form) in zip(grid[row], columns):
            edges = np.linspace(0, float(parcels[name].quantile(0.98) or 1.0), 49)
            shown, pieces = np.clip(mine[name].to_numpy(), 0, edges[-1]), mine["pieces"].to_numpy()
            axes.hist(shown, edges, weights=pieces, color=colour, alpha=0.85, rwidth=0.9)
            middle = float(mine.select(least_of(name, 0.5)).item())
            axes.axvline(middle, color=INK, lw=1.1, ls=(0, (4, 3)))
            _tell(axes, f"median {middle:{form}}")
            if row == 0:
                axes.set_title(title, fontsize=12.5, color=INK, loc="left", pad=12)
        _draw_chances(grid[row, 2], mine, colour)
        if row == 0:
            grid[row, 2].set_title(
                "chance of being on time, share of parcels", fontsize=12.5, color=INK, loc="left", pad=12
            )
        for axes in grid[row]:
            _plain(axes)
        grid[row, 0].set_ylabel(
            f"{service}\n{int(mine['pieces'].sum()):,} parcels", rotation=0, ha="right", va="center", color=colour,
            fontsize=13, weight="bold", labelpad=18,
        )  # fmt: skip
    figure.subplots_adjust(
        left=0.13, right=0.985, top=1 - 1.15 / figure.get_figheight(), bottom=0.09, hspace=0.2, wspace=0.12
    )
    figure.text(0.015, 1 - 0.4 / figure.get_figheight(), "What it costs, how long it takes, how sure it is",
                fontsize=19, color=INK, weight="bold", va="center")  # fmt: skip
    figure.text(0.985, 1 - 0.4 / figure.get_figheight(), "counts of parcels; last bar: the dearest, the slowest 2%",
                fontsize=11, color=FAINT, ha="right", va="center")  # fmt: skip
    figure.savefig(path, facecolor=PAPER)
    return path


def _draw_chances(axes: Any, parcels: pl.DataFrame, colour: str) -> None:
    """How many parcels have at least which chance: in steps, since nearly all of them lie close to certainty."""
    chance, pieces = parcels["on_time_probability"].to_numpy(), parcels["pieces"].to_numpy()
    below = 1.1
    for place, (least, _) in enumerate(ON_TIME_STEPS):
        share = float(pieces[(chance >= least) & (chance < below)].sum() / pieces.sum())
        axes.bar(place, share, color=colour, alpha=0.85, width=0.8)
        axes.text(
            place, share + 0.02, percent(share) if share else "0", ha="center", va="bottom", fontsize=9.5, color=INK
        )
        below = least
    axes.set_ylim(0, 1.12)
    axes.set_xticks(range(len(ON_TIME_STEPS)), [name for _, name in ON_TIME_STEPS])
    _tell(axes, f"mean {percent(float((chance * pieces).sum() / pieces.sum()))}")


def _tell(axes: Any, text: str) -> None:
    axes.text(0.98, 0.92, text, transform=axes.transAxes, color=INK, fontsize=11, ha="right", va="top")


def _plain(axes: Any) -> None:
    axes.set_facecolor(PAPER)
    axes.set_yticks([])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=10)


def _flows(feed: Feed, legs: pl.DataFrame) -> pl.DataFrame:
    """Legs between two nodes by one mode: parcels, and where both ends lie; both directions together."""
    where = feed.nodes.select("node_id", "lat", "lon")
    one, other = pl.min_horizontal("from_node", "to_node"), pl.max_horizontal("from_node", "to_node")
    return (
        legs.group_by("mode", one.alias("one"), other.alias("other"))
        .agg(parcels=pl.len())
        .join(where, left_on="one", right_on="node_id")
        .join(where, left_on="other", right_on="node_id", suffix="_to")
    )


def _draw_nodes(axes: Any, feed: Feed, legs: pl.DataFrame) -> None:
    """Nodes as dots, as large as what they handle; the largest hubs by name."""
    handled = (
        pl.concat([legs.select(node_id="from_node"), legs.select(node_id="to_node")])
        .group_by("node_id")
        .agg(parcels=pl.len())
    )
    nodes = feed.nodes.join(handled, on="node_id", how="left").with_columns(pl.col("parcels").fill_null(0))
    x, y = projected(nodes["lon"].to_numpy(), nodes["lat"].to_numpy())
    share = nodes["parcels"].to_numpy() / max(1, int(nodes["parcels"].max() or 0))  # type: ignore[arg-type]
    axes.scatter(x, y, s=1.5 + 60 * share, color=INK, alpha=0.75, linewidths=0, zorder=3)
    hubs = nodes.with_columns(x=x, y=y).filter((pl.col("kind") == "hub") & (pl.col("parcels") > 0))
    room = 0.035 * np.ptp(axes.get_xlim())
    told: list[tuple[float, float]] = []
    for row in hubs.sort("parcels", descending=True).iter_rows(named=True):
        if any(abs(row["x"] - other) < 1.3 * room and abs(row["y"] - above) < room for other, above in told):
            continue
        told.append((row["x"], row["y"]))
        axes.annotate(
            row["name"].removesuffix(" hub"), (row["x"], row["y"]), xytext=(5, 4), textcoords="offset points",
            fontsize=8.5, color=INK, weight="bold", zorder=4,
            path_effects=[withStroke(linewidth=2.6, foreground=PAPER, alpha=0.85)],
        )  # fmt: skip
