"""Others' programs on the plain peak day: the largest size each finishes in time, and the same size planned here."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.capacity.case import Case
from benchmarks.capacity.fresh import planned
from benchmarks.capacity.problem import problem_of
from benchmarks.capacity.sizes import Size
from benchmarks.form import Result, Say, Show, Table
from benchmarks.peers.flows import FLOWS, largest

LP, FLOW, GREEDY = FLOWS
GAP = 0.001
"""To which the same size is planned here."""
ROWS = (
    "parcels", "destinations", "departures", "its seconds", "our seconds", "its cost above ours, %",
    "our proved gap, %", "refused by it", "refused by us", "its peak GiB", "our peak GiB",
)  # fmt: skip
ROUNDING = 0.001
"""Per cent by which costs from several programs may contradict each other."""


def run(size: Size, say: Say) -> Result:
    """Show each peer ever larger peak days until one takes too long; each works in a process of its own."""
    problem = cache(problem_of)
    figures, columns = [], {}
    for name in FLOWS:
        say(f"{name}: ever larger sizes, {size.peer_seconds:g} s for each")
        with TemporaryDirectory() as folder:
            best = largest(name, size.ladder, problem, Path(folder), size.peer_seconds)
        if best is None:
            say(f"{name}: none in time")
            continue
        day, asked, theirs = best
        ours = planned(Case(day, "plain", 1, GAP, size.peer_seconds, size.threads))
        say(f"{name}: {day.parcels:,} parcels in {theirs.seconds:.1f} s, here {ours.seconds:.1f} s")
        dearer = 100 * (theirs.cost / ours.cost - 1)
        columns[name] = [
            day.parcels, day.nodes, len(asked.capacity), theirs.seconds, ours.seconds, dearer, 100 * ours.gap,
            int(theirs.refused), ours.refused + ours.stranded, theirs.peak_gib, ours.peak_gib,
        ]  # fmt: skip
        figures += [
            Show(f"{name}: most parcels it plans in {size.peer_seconds:g} s", float(day.parcels), "parcels"),
            Show(f"{name}: its time for them", theirs.seconds, "s"),
            Show(f"{name}: our time for them, to {100 * GAP:g}%", ours.seconds, "s"),
        ]
        if name == LP:  # the exact optimum, but for parts of parcels: between our bound and our cost
            above = 100 * (theirs.cost / ours.bound - 1) if ours.bound > 0 else 0.0
            figures += [
                Show(f"{name}: its optimum above our lower bound", above, "%", f">= -{ROUNDING}"),
                Show(
                    f"{name}: our cost above its optimum", 100 * (ours.cost / theirs.cost - 1), "%", f">= -{ROUNDING}"
                ),
            ]
        else:
            figures.append(Show(f"{name}: its cost above ours", dearer, "%", ">= 0" if name == GREEDY else None))
    return Result(
        shows=figures,
        tables=[
            Table(
                f"others' programs: the largest plain peak day each finishes in {size.peer_seconds:g} s",
                ("", *columns),
                list(zip(ROWS, *columns.values())),
                f"one core each; here {size.threads} threads. HiGHS may split parcels; OR-Tools plans one destination "
                "after the other",
            )
        ],
    )
