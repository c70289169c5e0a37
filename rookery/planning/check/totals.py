"""Checks summary.json: every figure of the public text is there and is what parcels, loads and optima add up to."""

from __future__ import annotations

from collections import defaultdict
from math import inf
from typing import Any

from rookery.planning.check.certificate import Proof, check_bound, check_free_flow
from rookery.planning.check.itinerary import Trip, tolerance
from rookery.planning.check.reasons import NO_CAPACITY
from rookery.planning.check.report import Findings, figure

FIGURES = (
    "parcels", "planned", "unassigned", "cost", "lower_bound", "gap", "congestion_gap", "capacity_violations",
    "on_time_expected", "seconds", "parcels_per_second",
)  # fmt: skip
"""What a summary must hold; congestion_gap may be null."""
PRICED = ("free_flow_bound", "congestion_gap", "refused", "iterations", "interrupted")
"""What it must hold besides, and not null, where capacity has its price."""
_NO_NUMBERS = ("unassigned", "seconds", "interrupted")


def check_summary(
    trips: list[Trip], summary: dict[str, Any], overloads: int, proof: Proof, priced: bool, findings: Findings
) -> None:
    """Checks every figure that follows from the plan, and that the bounds are bounds.

    `overloads`: departures and node hours above a capacity; `priced`: capacity has its price.
    """
    for name in (*FIGURES, *PRICED) if priced else FIGURES:
        told, may_lack = summary.get(name), name == "congestion_gap" and not priced
        if name not in summary or (told is None and not may_lack):
            findings.add("wrong_total", name, "none")
        elif told is not None and name not in _NO_NUMBERS and figure(told) is None:
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
        "refused": sum(trip.wish.pieces for trip in trips if _is_refused(trip)),
    }
    grouped = summary.get("grouped_weights") is True
    bound, free = figure(summary.get("lower_bound")), figure(summary.get("free_flow_bound"))
    if bound is not None:
        true["gap"] = (cost - bound) / cost if cost > 0 else 0.0
        check_bound(bound, cost, proof, grouped, priced, findings)
    if free is not None:
        # under prices what grouping costs stands in the gap: nothing says how far down it may take a bound
        told = figure(summary.get("grouping_error_max_per_parcel"))
        admitted = 0.0 if not grouped else inf if priced else told or 0.0
        check_free_flow(free, pieces, proof, admitted, findings)
        if priced and bound is not None and free > bound + tolerance(cost):
            findings.add("wrong_total", f"free_flow_bound at most lower_bound {bound}", free)
    if not priced and summary.get("congestion_gap") is not None:
        findings.add("wrong_total", "congestion_gap none", summary["congestion_gap"])
    elif priced and bound is not None and free is not None and cost - free > tolerance(cost):  # else it says nothing
        true["congestion_gap"] = (cost - bound) / (cost - free)
    for name, truth in true.items():
        told = figure(summary.get(name))
        if told is not None and not abs(told - truth) <= tolerance(truth):  # so that NaN is caught too
            findings.add("wrong_total", f"{name} {truth}", told)
    _check_reasons(trips, summary.get("unassigned"), findings)


def _is_refused(trip: Trip) -> bool:
    return trip.parcel["status"] == "unassigned" and NO_CAPACITY in (trip.parcel["reasons"] or [])


def _check_reasons(trips: list[Trip], told: object, findings: Findings) -> None:
    unassigned: dict[str, int] = defaultdict(int)
    for trip in trips:
        if trip.parcel["status"] == "unassigned":
            for reason in trip.parcel["reasons"] or []:
                unassigned[reason] += trip.wish.pieces
    said = {reason: n for reason, n in told.items() if n} if isinstance(told, dict) else told
    if told is not None and said != dict(unassigned):
        findings.add("wrong_total", f"unassigned {dict(unassigned)}", told)
