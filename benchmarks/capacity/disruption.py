"""The busiest hub closed for a day in the finished plan: new moves for all affected, then a fresh certificate."""

from __future__ import annotations

from benchmarks.capacity.case import Case, Closed
from benchmarks.capacity.fresh import asked
from benchmarks.capacity.measure import measured, told
from benchmarks.capacity.sizes import Size
from benchmarks.form import Result, Say, Show, Table

GAP = 0.005
MOVING = ("affected", "moves")
"""Until everybody affected has a new way within all capacities. That the legs of the plan are matched to departures
(standing) comes before, and the moves are improved under the new prices once these are known (improve)."""
MOVES, CERTIFICATE = 5, 40
"""Yardsticks that new moves and a fresh certificate may take."""


def run(size: Size, say: Say) -> Result:
    """Plan the plain peak day, close the hub at which most parcels would have arrived, and change the plan."""
    stick = measured(size.day, size.rounds, say)
    say(f"{size.day.parcels:,} parcels planned, then the busiest hub closed from the first midnight to the second")
    case = Case(size.day, "plain", 1, GAP, size.seconds["disruption"], size.threads)
    found = asked("benchmarks.capacity.closed", case, Closed)
    summary, stages = found.summary, found.stages
    moving = sum(stages.get(stage, 0.0) for stage in MOVING)
    name = "hub closed for 24 h"
    return Result(
        shows=[
            *told(f"{name}: time of new moves for all affected", moving, stick, MOVES),
            Show(f"{name}: ... and of matching legs to departures before it", stages.get("standing", 0.0), "s"),
            Show(f"{name}: ... and of improving the moves under the new prices", stages.get("improve", 0.0), "s"),
            *told(f"{name}: time of a fresh certificate", stages["certificate"], stick, CERTIFICATE),
            Show(f"{name}: all of it, orders placed and timetables compiled again", found.seconds, "s"),
            Show(f"{name}: parcels affected", float(summary["affected"]), "parcels"),
            Show(f"{name}: parcels with new moves", float(summary["changed"]), "parcels"),
            Show(f"{name}: parcels newly without a way", float(summary["newly_unassigned"]), "parcels"),
            Show(f"{name}: proved gap after the change", 100 * summary["gap"], "%"),
            Show(f"{name}: capacities exceeded", float(summary["capacity_violations"]), "", "<= 0"),
            Show(f"{name}: capacities exceeded, counted leg by leg", float(found.exceeded), "", "<= 0"),
            Show(f"{name}: legs that leave the closed hub", float(found.through), "", "<= 0"),
            Show(f"{name}: legs changed of those who are not affected", float(found.strayed), "", "<= 0"),
            Show(f"{name}: peak memory", found.peak_gib, "GiB"),
        ],
        tables=[
            Table(
                f"{found.hub} closed for 24 h: {size.threads} threads",
                ("", "s"),
                [("the plan before", found.planning), *stages.items(), ("all of the change", found.seconds)],
                f"new moves: {', '.join(MOVING)}",
            ),
            Table("before and after", ("", "figure"), [(what, value) for what, value in summary.items()]),
        ],
    )
