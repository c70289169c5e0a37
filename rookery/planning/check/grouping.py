"""Whether a plan may group weights at all: the work of planning every weight exactly, counted again."""

from __future__ import annotations

from typing import Any, NamedTuple

from rookery.planning.check.reasons import Lanes
from rookery.planning.check.report import Findings, figure
from rookery.planning.check.wishes import Wish

EXACT_WORK = 2e10
"""Classes x dated departures x outcomes, summed over destinations, below which every weight is planned exactly."""


class Grouping(NamedTuple):
    """What the plan may spare itself: whether weights may be grouped, and what that may cost, a piece."""

    allowed: bool
    error: float


def allowed_grouping(
    summary: dict[str, Any],
    wished: list[Wish],
    lanes: Lanes,
    departures: int,
    outcomes: int,
    priced: bool,
    findings: Findings,
) -> Grouping:
    """The grouping that the summary admits to, where there is work enough to allow any.

    `priced`: capacity has its price, and what grouping costs stands in the gap.
    """
    if summary.get("grouped_weights") is not True or _classes(wished, lanes) * departures * outcomes < EXACT_WORK:
        return Grouping(False, 0.0)
    told = summary.get("grouping_error_max_per_parcel")
    if priced and told is None:
        return Grouping(True, 0.0)
    error = figure(told)
    if error is None or error < 0:
        findings.add("wrong_total", "grouping_error_max_per_parcel, 0 or more", told)
        return Grouping(True, 0.0)
    return Grouping(True, error)


def _classes(wished: list[Wish], lanes: Lanes) -> int:
    """Distinct destinations, chargeable weights, due times, costs of time, goods and limits."""
    return len(
        {
            (
                wish.destination, wish.delivery, wish.chargeable, wish.due, wish.late_cost, wish.late_cost_per_day,
                wish.time_cost_per_day, lanes.kind(wish),
            )
            for wish in wished
            if not wish.missing and wish.origin != wish.destination
        }
    )  # fmt: skip
