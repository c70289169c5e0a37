"""The yardstick of a part of this benchmark, and a plan's figures in its units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.capacity.case import Found
from benchmarks.capacity.problem import PeakDay, problem_of
from benchmarks.capacity.yardstick import Yardstick, yardstick
from benchmarks.form import Say, Show, Table

FEW = 1000
"""Parcels of the problem that the yardstick is taken of: it depends on none."""


@dataclass(frozen=True)
class Goal:
    """A proved gap that is asked for, the yardsticks that it may take and the memory, when there is a limit."""

    gap: float
    yardsticks: int | None = None
    gib: int | None = None


def measured(day: PeakDay, rounds: int, say: Say) -> Yardstick:
    """The yardstick on the network of `day`: one destination in its middle, here and now."""
    with TemporaryDirectory() as folder:
        found = yardstick(problem_of(replace(day, parcels=FEW)), [day.nodes // 2], Path(folder), rounds)
    say(f"yardstick: {found.events:.3f} s on the textbook event graph, {found.one_call:.3f} s on the lean graph")
    return found


def told(what: str, seconds: float, stick: Yardstick, most: int | None = None) -> list[Show]:
    """Seconds in both yardsticks; a target is judged by that of the event graph."""
    return [
        Show(f"{what}, in scipy csgraph solves of the event graph", seconds / stick.events, "times", _at_most(most)),
        Show(f"{what}, in scipy csgraph solves of the lean graph", seconds / stick.one_call, "times"),
        Show(what, seconds, "s"),
    ]


def shows(name: str, goal: Goal, found: Found, stick: Yardstick) -> list[Show]:
    """Every figure that was asked for of one plan."""
    kept = []
    if counted := found.counted:
        kept = [
            Show(f"{name}: capacities exceeded, counted leg by leg", float(counted.violations), "", "<= 0"),
            Show(f"{name}: parcels whose legs do not connect", float(counted.broken), "", "<= 0"),
            Show(f"{name}: a parcel's cost differs from its legs' by, at most", counted.cost_off, "EUR", "<= 1e-6"),
        ]
    return [
        Show(f"{name}: proved gap of the total cost", 100 * found.gap, "%", _at_most(100 * goal.gap)),
        Show(f"{name}: proved gap of what capacities add to the cost", 100 * found.congestion_gap, "%"),
        *told(f"{name}: time to plan", found.seconds, stick, goal.yardsticks),
        Show(f"{name}: capacities exceeded", float(found.violations), "", "<= 0"),
        *kept,
        Show(f"{name}: parcels refused for lack of room", float(found.refused), "parcels"),
        Show(f"{name}: iterations of the dual method", float(found.iterations), ""),
        Show(f"{name}: peak memory", found.peak_gib, "GiB", _at_most(goal.gib)),
    ]


def tables(title: str, found: dict[str, Found]) -> list[Table]:
    """Plans side by side: how good each is, and seconds by stage."""
    rows = {
        "seconds": [one.seconds for one in found.values()],
        "proved gap of the total cost, %": [100 * one.gap for one in found.values()],
        "... of what capacities add, %": [100 * one.congestion_gap for one in found.values()],
        "cost": [one.cost for one in found.values()],
        "lower bound": [one.bound for one in found.values()],
        "lower bound if nothing were ever full": [one.free_bound for one in found.values()],
        "refused for lack of room": [one.refused for one in found.values()],
        "no way within the days": [one.stranded for one in found.values()],
        "iterations": [one.iterations for one in found.values()],
        "columns": [one.columns for one in found.values()],
        "peak GiB of the process": [one.peak_gib for one in found.values()],
        "... before planning began": [one.ready_gib for one in found.values()],
        "seconds of loading (or compiling) kernels, not counted": [one.kernels for one in found.values()],
    }
    stages = list(dict.fromkeys(stage for one in found.values() for stage in one.stages))
    return [
        Table(
            title,
            ("", *found),
            [(name, *values) for name, values in rows.items()],
            "from placed parcels and a compiled timetable in memory to finished itineraries",
        ),
        Table(
            "seconds by stage",
            ("", *found),
            [(stage, *(one.stages.get(stage, 0.0) for one in found.values())) for stage in stages],
        ),
    ]


def _at_most(limit: float | None) -> str | None:
    return None if limit is None else f"<= {limit:g}"
