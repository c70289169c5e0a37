"""Checks summary.json: every figure of the public text is there and is what parcels, loads and optima add up to."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from rookery.planning.check.itinerary import Trip, tolerance
from rookery.planning.check.report import Findings, figure

FIGURES = (
    "parcels", "planned", "unassigned", "cost", "lower_bound", "gap", "congestion_gap", "capacity_violations",
    "on_time_expected", "seconds", "parcels_per_second",
)  # fmt: skip
"""What a summary must hold; congestion_gap may be null."""
_ROUNDING = 1e-9  # of the sum of the optima, which the lower bound may exceed by that share


def check_summary(
    trips: list[Trip],
    summary: dict[str, Any],
    overloads: int,
    optimum: float | None,
    excess: float,
    error: float,
    findings: Findings,
) -> None:
    """Checks every figure that follows from the plan, and that the lower bound is one.

    `optimum`: the sum of all optima, None when not all were found again; `excess`: by how much the plan is dearer where
    they were; `error`: what the grouping of weights admits to, a piece.
    """
    for name in FIGURES:
        told = summary.get(name)
        if name not in summary or (told is None and name != "congestion_gap"):
            findings.add("wrong_total", name, "none")
        elif told is not None and name not in ("unassigned", "seconds") and figure(told) is None:
            findings.add("wrong_total", f"{name}, a number", told)
    pieces = sum(trip.wish.pieces for trip in trips)
    planned = [trip for trip in trips if trip.parcel["status"] == "planned"]
    cost = sum(trip.parcel["cost"] or 0.0 for trip in trips)
    on_time = sum(trip.wish.pieces * (trip.parcel["on_time_probability"] or 0.0) for trip in planned)
    true: dict[str, float] = {
        "parcels": pieces,
        "planned": sum(trip.wish.pieces for trip in planned),
        "cost": cost,
        "capacity_violations": overloads,
        "on_time_expected": on_time / pieces if pieces else 0.0,
    }
    bound = figure(summary.get("lower_bound"))
    if bound is not None:
        true["gap"] = (cost - bound) / cost if cost > 0 else 0.0
        _check_bound(bound, cost, optimum, excess, error, findings)
    for name, truth in true.items():
        told = figure(summary.get(name))
        if told is not None and not abs(told - truth) <= tolerance(truth):  # so that NaN is caught too
            findings.add("wrong_total", f"{name} {truth}", told)
    _check_reasons(trips, summary.get("unassigned"), findings)


def _check_bound(
    bound: float, cost: float, optimum: float | None, excess: float, error: float, findings: Findings
) -> None:
    """No plan is cheaper than the bound; what parcels are dearer than their optimum lies between it and the cost."""
    if not bound <= cost + tolerance(cost):
        findings.add("wrong_total", f"lower_bound at most {cost}", bound)
    if optimum is not None and not bound <= optimum + _ROUNDING * max(1.0, abs(optimum)):
        findings.add("wrong_total", f"lower_bound at most {optimum}, the sum of the optima", bound)
    for what, amount in (("what parcels are above their optimum", excess), ("grouping_error_max_per_parcel", error)):
        if not amount <= cost - bound + tolerance(cost):
            findings.add("wrong_total", f"cost - lower_bound at least {amount}, {what}", cost - bound)


def _check_reasons(trips: list[Trip], told: object, findings: Findings) -> None:
    unassigned: dict[str, int] = defaultdict(int)
    for trip in trips:
        if trip.parcel["status"] == "unassigned":
            for reason in trip.parcel["reasons"] or []:
                unassigned[reason] += trip.wish.pieces
    said = {reason: n for reason, n in told.items() if n} if isinstance(told, dict) else told
    if told is not None and said != dict(unassigned):
        findings.add("wrong_total", f"unassigned {dict(unassigned)}", told)
