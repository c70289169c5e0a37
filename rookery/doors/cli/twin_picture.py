"""The rehearsal's picture: predicted against realised, and how the policies fare."""

from __future__ import annotations

from math import floor, inf
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rookery.doors.cli.maps import FAINT, INK, PAPER
from rookery.doors.cli.words import percent
from rookery.flows.rehearsals.experimenting import Trials

COLOURS = {"follow": "#2a9d8f", "itinerary": "#c8553d", "greedy": "#d08c3f", "reoptimise": "#3d7ea6"}
MARKS = {"follow": "o", "itinerary": "s", "greedy": "^", "reoptimise": "D"}


def draw_trials(trials: Trials, path: Path) -> Path:
    """Three panels: a reliability diagram, on-time shares of the policies, and their costs, with 95% intervals."""
    figure = Figure(figsize=(16, 6.4), dpi=110, facecolor=PAPER)
    reliable, on_time, cost = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    _draw_reliability(reliable, trials)
    one = trials.reports[0].summary
    _draw_marks(on_time, trials, "on_time", 100.0, "share of parcels on time, %", one["predicted_on_time"])
    _draw_marks(
        cost, trials, "cost", 1.0 / max(one["parcels"], 1), f"cost, {one['currency']} a parcel", one["predicted_cost"]
    )
    for axes in (reliable, on_time, cost):
        axes.set_facecolor(PAPER)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(FAINT)
        axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=10)
    figure.subplots_adjust(left=0.06, right=0.985, top=0.8, bottom=0.12, wspace=0.22)
    figure.text(
        0.02, 0.94, "What was promised, and what came of it", fontsize=19, color=INK, weight="bold", va="center"
    )
    runs = f"{one['runs']} simulated {'run' if one['runs'] == 1 else 'runs'}"
    told = f"{trials.experiment.name[:60]}: {one['parcels']:,} parcels, {runs}, seed {one['seed']}"
    figure.text(0.985, 0.94, told, fontsize=11, color=FAINT, ha="right", va="center")
    figure.savefig(path, facecolor=PAPER)
    return path


def _draw_reliability(axes: Any, trials: Trials) -> None:
    """Hollow marks, so that policies that fare alike can be told where they lie on each other."""
    lowest = 80.0
    for report in trials.reports:
        policy = report.summary["policy"]
        predicted, realised, share = report.reliability.select("predicted", "realised", "share").to_numpy().T
        axes.scatter(
            100 * predicted, 100 * realised, s=40 + 260 * share,
            edgecolors=COLOURS[policy], facecolors="none", marker=MARKS[policy], linewidths=1.9, label=policy,
            zorder=3, clip_on=False,
        )  # fmt: skip
        lowest = min(lowest, 100 * float(predicted.min()), 100 * float(realised.min()))
    lowest = 10 * floor(lowest / 10)
    axes.plot([lowest, 100], [lowest, 100], color=FAINT, lw=1, ls=(0, (4, 3)), zorder=1)
    edge = 0.04 * (100 - lowest)
    axes.set_xlim(lowest - edge, 100 + edge)
    axes.set_ylim(lowest - edge, 100 + edge)
    axes.set_xlabel("predicted chance of being on time, %", color=INK)
    axes.set_ylabel("realised share, %", color=INK)
    axes.set_title(
        "a mark for each tenth of chances, larger for more parcels", fontsize=12, color=INK, loc="left", pad=12
    )
    legend = axes.legend(frameon=False, loc="upper left", labelcolor=INK)
    for handle in legend.legend_handles:
        handle.set_sizes([50])


def _draw_marks(axes: Any, trials: Trials, name: str, scale: float, title: str, predicted: float) -> None:
    """A mark a policy with its interval, its figure beneath, and a line where the plan is."""
    figures = [report.summary[name] for report in trials.reports]
    values = [figure["mean"] * scale for figure in figures]
    wide = [(figure["plus_minus"] or 0.0) * scale for figure in figures]
    policies = [report.summary["policy"] for report in trials.reports]
    line, most = predicted * scale, 100.0 if name == "on_time" else inf
    low = [value - half for value, half in zip(values, wide)]
    high = [min(value + half, max(value, most)) for value, half in zip(values, wide)]
    axes.axhline(line, color=FAINT, lw=1, ls=(0, (4, 3)), zorder=1)
    for at, (value, policy) in enumerate(zip(values, policies)):
        axes.plot([at, at], [low[at], high[at]], color=INK, lw=1.3, zorder=2, marker="_", ms=10, clip_on=False)
        axes.scatter([at], [value], s=90, color=COLOURS[policy], marker=MARKS[policy], zorder=3, clip_on=False)
        text = percent(value / 100, 2) if name == "on_time" else f"{value:,.2f}"
        axes.annotate(
            text, (at, low[at]), xytext=(0, -9), textcoords="offset points", ha="center", va="top", color=INK,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    axes.annotate(
        "predicted", (1, line), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points",
        ha="right", va="bottom", color=FAINT, fontsize=10,
    )  # fmt: skip
    bottom, top = min(*low, line), max(*high, line)
    spread = max(top - bottom, 0.01 * abs(line), 1e-6)
    axes.set_ylim(bottom - 0.3 * spread, min(top + 0.15 * spread, max(top, most) + 0.04 * spread))
    axes.set_yticks([tick for tick in axes.get_yticks() if max(0.0, axes.get_ylim()[0]) <= tick <= most])
    axes.set_xticks(range(len(values)), policies)
    axes.set_xlim(-0.6, len(values) + 0.1)
    axes.set_title(title, fontsize=12, color=INK, loc="left", pad=12)
