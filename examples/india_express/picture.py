"""The calibration picture: shares against nominal quantiles, and foretold against recorded minutes."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from examples.india_express.evaluate import Judged
from examples.india_express.spread import DECILES

INK, MUTED, LEGS, CHAINS = "#22303c", "#8a97a3", "#0b6e99", "#d1603d"


def draw(legs: Judged, chains: Judged, out: Path) -> Path:
    """Write the picture of the last day's legs and chains (under the planner's reading) to `out`."""
    with plt.rc_context({"font.size": 10, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": MUTED}):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
        left.fill_between(
            DECILES, DECILES - 2 * legs.errors, DECILES + 2 * legs.errors, color=LEGS, alpha=0.12, lw=0,
            label="legs, if true: 19 times in 20 within",
        )  # fmt: skip
        left.plot([0, 1], [0, 1], color=MUTED, lw=1, ls="--")
        left.plot(DECILES, legs.shares, "o-", color=LEGS, label=f"{len(legs.actual)} legs")
        left.plot(
            DECILES, chains.shares, "s-", color=CHAINS, ms=5, label=f"{len(chains.actual)} trips of two legs and more"
        )
        left.set(
            xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="foretold quantile", ylabel="share at or below it",
            title="Calibration on the last day (held out)",
        )  # fmt: skip
        left.legend(frameon=False, loc="upper left", fontsize=9)
        median = legs.deciles[:, 4]
        seen = LinearSegmentedColormap.from_list(
            "seen", plt.get_cmap("Blues")(np.linspace(0.25, 1, 64))
        )  # one leg shows
        shown = right.hexbin(
            median, legs.actual, gridsize=38, xscale="log", yscale="log", mincnt=1, bins="log", cmap=seen, lw=0.2
        )
        bounds = np.array([10, 4000.0])
        right.plot(bounds, bounds, color=INK, lw=1, ls="--", label="recorded = foretold")
        right.set(
            xlim=bounds, ylim=bounds, xlabel="foretold median, minutes", ylabel="recorded, minutes",
            title="Driving time of each leg",
        )  # fmt: skip
        for axis in (right.xaxis, right.yaxis):
            axis.set_major_formatter("{x:g}")
        right.legend(frameon=False, loc="upper left", fontsize=9)
        figure.colorbar(shown, ax=right, label="legs", format="{x:g}", shrink=0.8)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(out, dpi=110)
        plt.close(figure)
    return out
