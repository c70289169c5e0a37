"""How time and memory grow with parcels and destinations; capacities are scaled with the parcels.

`python -m benchmarks.capacity.growth BENCH.json PICTURE` draws it from the line of JSON that a run ended with.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.capacity.case import Case, Found
from benchmarks.capacity.fresh import planned
from benchmarks.capacity.problem import PeakDay
from benchmarks.capacity.sizes import Size
from benchmarks.form import Result, Say, Show, Table

GAP = 0.005
WIDER = 2
"""Times as many destinations."""
WHAT = "growth, {parcels:,} parcels to {nodes:,} destinations: {figure}"
FIGURES = ("time", "peak memory")


def cases(size: Size) -> list[Case]:
    """All parcels counts to all destinations, and one of them to twice as many."""
    days = [replace(size.day, parcels=count) for count in size.growth]
    days.append(replace(size.day, parcels=size.wider, nodes=WIDER * size.day.nodes))
    return [_case(size, day) for day in days]


def run(size: Size, say: Say) -> Result:
    """Plan every size to the same gap in a fresh process."""
    found: list[tuple[PeakDay, Found]] = []
    for case in cases(size):
        say(f"{case.day.parcels:,} parcels to {case.day.nodes:,} destinations")
        found.append((case.day, planned(case)))
    figures = []
    for day, one in found:
        for figure, value, unit in zip(FIGURES, (one.seconds, one.peak_gib), ("s", "GiB")):
            figures.append(Show(WHAT.format(parcels=day.parcels, nodes=day.nodes, figure=figure), value, unit))
    return Result(
        shows=figures,
        tables=[
            Table(
                f"growth of the plain form, to a gap of {100 * GAP:g}%, {size.threads} threads",
                ("parcels", "destinations", "departures", "s", "us a parcel", "gap %", "iterations", "peak GiB"),
                [
                    (day.parcels, day.nodes, one.departures, one.seconds, 1e6 * one.seconds / day.parcels)
                    + (100 * one.gap, one.iterations, one.peak_gib)
                    for day, one in found
                ],
                "capacities are those of the whole peak day, scaled with the parcels",
            )
        ],
    )


def _case(size: Size, day: PeakDay) -> Case:
    whole = size.day.parcels  # the day itself is the case that the part of the plain form has planned
    source = None if day.parcels == whole else whole
    return Case(day, "plain", 1, GAP, size.seconds["plain"], size.threads, source)


def draw(line: dict[str, Any], picture: Path) -> None:
    """Draw time and memory over parcels from a run's line of figures, in the form that the picture's name says.

    Raises ValueError when the run did not measure growth.
    """
    from matplotlib.figure import Figure

    pattern = re.compile("growth, ([0-9,]+) parcels to ([0-9,]+) destinations: (.+)")
    points: dict[str, dict[int, list[tuple[int, float]]]] = {figure: {} for figure in FIGURES}
    for show in line["shows"]:
        if match := pattern.fullmatch(show["what"]):
            parcels, nodes = (int(match[place].replace(",", "")) for place in (1, 2))
            points[match[3]].setdefault(nodes, []).append((parcels, show["value"]))
    if not points[FIGURES[0]]:
        raise ValueError("this run did not measure growth: run the part `growth`")
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (name, unit) in zip(figure.subplots(1, 2), zip(FIGURES, ("s", "GiB"))):
        for nodes, measured in points[name].items():
            axes.plot(*zip(*measured), marker="o", label=f"{nodes:,} destinations")
        axes.set(xlabel="parcels", ylabel=unit, title=name, ylim=(0, None))
        axes.set_xticks(ticks := sorted({at for each in points[name].values() for at, _ in each}))
        axes.set_xticklabels([f"{tick / 1e6:g}M" for tick in ticks])
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)


if __name__ == "__main__":
    _, held, wanted = sys.argv
    draw(json.loads(Path(held).read_text().splitlines()[-1]), Path(wanted))
