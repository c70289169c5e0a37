"""The rehearsal's picture: predicted against realised, and how the policies fare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rookery.doors.cli.maps import FAINT, INK, PAPER
from rookery.doors.cli.words import percent
from rookery.flows.experimenting import Trials

COLOURS = {"follow": "#2a9d8f", "itinerary": "#c8553d", "greedy": "#d08c3f", "reoptimise": "#3d7ea6"}
MARKS = {"follow": "o", "itinerary": "s", "greedy": "^", "reoptimise": "D"}


def draw_trials(trials: Trials, path: Path) -> Path:
    """Three panels: a reliability diagram, on-time shares of the policies, and their costs, with 95% intervals."""
    figure = Figure(figsize=(16, 6.4), dpi=110, facecolor=PAPER)
    reliable, on_time, cost = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    _draw_reliability(reliable, trials)
    one = trials.reports[0].summary
    _draw_bars(on_time, trials, "on_time", 100.0, "share of parcels on time, %", one["predicted_on_time"])
    _draw_bars(
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
    told = f"{trials.experiment.name}: {one['parcels']:,} parcels, {runs}, seed {one['seed']}"
    figure.text(0.985, 0.94, told, fontsize=11, color=FAINT, ha="right", va="center")
    figure.savefig(path, facecolor=PAPER)
    return path


def _draw_reliability(axes: Any, trials: Trials) -> None:
    axes.plot([0, 100], [0, 100], color=FAINT, lw=1, ls=(0, (4, 3)))
    for report in trials.reports:
        policy, table = report.summary["policy"], report.reliability
        axes.scatter(
            100 * table["predicted"], 100 * table["realised"], s=24 + 900 * table["share"].to_numpy(),
            color=COLOURS[policy], marker=MARKS[policy], alpha=0.75, linewidths=0, label=policy, zorder=3,
        )  # fmt: skip
    axes.set_xlim(-3, 103)
    axes.set_ylim(-3, 103)
    axes.set_xlabel("predicted chance of being on time, %", color=INK)
    axes.set_ylabel("realised share, %", color=INK)
    axes.set_title("a tenth of the predictions a mark, as large as its parcels", fontsize=12, color=INK, loc="left")
    legend = axes.legend(frameon=False, loc="upper left", labelcolor=INK)
    for handle in legend.legend_handles:
        handle.set_sizes([50])


def _draw_bars(axes: Any, trials: Trials, name: str, scale: float, title: str, predicted: float) -> None:
    values = [report.summary[name]["mean"] * scale for report in trials.reports]
    wide = [(report.summary[name]["plus_minus"] or 0.0) * scale for report in trials.reports]
    policies = [report.summary["policy"] for report in trials.reports]
    place = range(len(values))
    axes.errorbar(place, values, yerr=wide, fmt="none", ecolor=INK, elinewidth=1.3, capsize=5, zorder=4)
    for at, value, policy in zip(place, values, policies):
        axes.scatter([at], [value], s=90, color=COLOURS[policy], marker=MARKS[policy], zorder=5)
        text = percent(value / 100, 2) if name == "on_time" else f"{value:,.2f}"
        axes.annotate(text, (at, value), xytext=(10, 0), textcoords="offset points", va="center", color=INK)
    line = predicted * scale
    axes.axhline(line, color=FAINT, lw=1, ls=(0, (4, 3)))
    axes.annotate(
        "predicted", (1, line), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=FAINT, fontsize=10
    )
    axes.set_xticks(list(place), policies)
    axes.set_xlim(-0.6, len(values) - 0.2)
    spread = max(*values, line) - min(*values, line)
    room = max(0.35 * spread, 0.004 * abs(line), 1e-6)
    axes.set_ylim(min(*values, line) - room - max(wide), max(*values, line) + room + max(wide))
    axes.set_title(title, fontsize=12, color=INK, loc="left")
