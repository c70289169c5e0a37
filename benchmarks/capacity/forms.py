"""The whole peak day under capacity: plain, real, and plain with eight outcomes a departure."""

from __future__ import annotations

from functools import partial

from benchmarks import peak_day
from benchmarks.capacity.case import Case
from benchmarks.capacity.fresh import overloaded, planned
from benchmarks.capacity.measure import Goal, measured, shows, tables
from benchmarks.capacity.sizes import Size
from benchmarks.form import Result, Say, Show

PLAIN = (Goal(0.005, 190, 8), Goal(0.003, 380, 8))
STRETCH = Goal(0.001)
REAL = (Goal(0.01, 1400, 12),)
STOCHASTIC = (Goal(0.005),)


PART_OF_GOAL = 0.85
"""Of the time a goal allows, what may be spent on improving; the rest is for what comes before and after."""


def case_of(size: Size, part: str, goal: Goal, yardstick: float = 0.0) -> Case:
    """The case that a part plans; a machine of slower yardsticks (seconds) has more seconds for the same goal."""
    form: peak_day.Form = "real" if part == "real" else "plain"
    outcomes = 8 if part == "stochastic" else 1
    seconds = max(size.seconds[part], PART_OF_GOAL * (goal.yardsticks or 0) * yardstick)
    return Case(size.day, form, outcomes, goal.gap, seconds, size.threads)


def _run(part: str, goals: tuple[Goal, ...], size: Size, say: Say) -> Result:
    """Plan the peak day to each gap that is asked for, each time from the start in a fresh process."""
    stick = measured(size.day, size.rounds, say)
    found, figures = {}, []
    for goal in (*goals, STRETCH) if size.stretch and part == "plain" else goals:
        name = f"{part}, to {100 * goal.gap:g}%"
        say(f"{name}: {size.day.parcels:,} parcels, the process makes and places them first")
        found[name] = one = planned(case_of(size, part, goal, stick.events))
        say(f"{one.seconds:.1f} s, proved gap {one.gap:.3%}")
        figures += shows(name, goal, one, stick)
    departures = next(iter(found.values())).departures
    title = f"{part}: {size.day.parcels:,} parcels, {departures:,} departures, {size.threads} threads"
    full = Show("plain: departures overloaded when capacities are not looked at", float(overloaded(size.day)), "")
    return Result(shows=[full, *figures] if part == "plain" else figures, tables=tables(title, found))


plain = partial(_run, "plain", PLAIN)
real = partial(_run, "real", REAL)
stochastic = partial(_run, "stochastic", STOCHASTIC)
