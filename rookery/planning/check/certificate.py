"""Holds the lower bound against what proves it: the optima, or the plan's own prices taken at their word."""

from __future__ import annotations

from math import fsum
from typing import NamedTuple

from rookery.base.progress import Progress
from rookery.planning.check.capacity import Limits
from rookery.planning.check.hours import HourPrices
from rookery.planning.check.itinerary import Trip, tolerance
from rookery.planning.check.loads import SeatPrices
from rookery.planning.check.optimum import Passes, Tariff
from rookery.planning.check.reasons import Lanes
from rookery.planning.check.report import Findings

_ROUNDING = 1e-9  # of the sums behind it, by which the lower bound may exceed what proves it
_WEAK = 0.01  # of what its prices prove, by which the lower bound may stay below


class Proof(NamedTuple):
    """What is known about the cost of any plan; None where not every parcel was looked at."""

    optimum: float | None = None  # the sum of all optima, capacity ignored
    least: float | None = None  # the same with every parcel refused that is cheaper to refuse
    lagrangian: float | None = None  # under the plan's prices
    scale: float = 1.0  # of the sums behind it
    excess: float = 0.0  # by which parcels were found dearer than their optimum
    error: float = 0.0  # what the grouping of weights admits to, a piece


def lagrangian(
    drawn: list[Trip],
    refusals: float,
    free: Passes,
    seats: SeatPrices,
    hours: HourPrices,
    limits: Limits,
    lanes: Lanes,
    progress: Progress,
) -> tuple[float, float]:
    """What no plan within the capacities can be below, by the plan's prices; and the scale of the sums behind it.

    Every parcel pays its cheapest policy with the prices of departures and hours on top, or its refusal when that is
    less (`refusals`: of those that nothing brings); what all capacities are worth at these prices comes off. `drawn`
    holds all others, those alike side by side.
    """
    tariff = free.tariff
    on_top = seats.seat + limits.mean(hours.of_cell, len(seats.seat))
    passes = Passes(
        free.runs, free.run_lane, Tariff(tariff.piece + on_top, tariff.chargeable_kg, seats.kg), free.origin_minute
    )
    costs = [refusals]
    for done, trip in enumerate(drawn):
        if done % 64 == 0:
            progress("check: certificate", done, len(drawn))
        costs.append(trip.wish.pieces * min(passes.cost(trip.wish, lanes), trip.wish.unassigned_cost))
    progress("check: certificate", len(drawn), len(drawn))
    worth = seats.worth + hours.worth
    return fsum(costs) - worth, fsum(map(abs, costs)) + worth


def check_bound(bound: float, cost: float, proof: Proof, grouped: bool, priced: bool, findings: Findings) -> None:
    """No plan is cheaper than the bound, and it is no weaker than what is behind it.

    `grouped`: the plan admits to grouped weights, whose bound may be weak; `priced`: capacity has its price.
    """

    def at_most(limit: float, slack: float, what: str) -> None:
        if not bound <= limit + slack:
            findings.add("bound_too_high", f"lower_bound at most {limit}, {what}", bound)

    at_most(cost, tolerance(cost), "the cost")
    if not priced:
        if proof.optimum is not None:
            at_most(proof.optimum, _ROUNDING * max(1.0, abs(proof.optimum)), "the sum of the optima")
        spent = {"what parcels are above their optimum": proof.excess, "grouping_error_max_per_parcel": proof.error}
        for what, amount in spent.items():
            if not amount <= cost - bound + tolerance(cost):
                findings.add("wrong_total", f"cost - lower_bound at least {amount}, {what}", cost - bound)
    elif proof.lagrangian is not None:
        at_most(proof.lagrangian, _ROUNDING * max(1.0, proof.scale), "what the prices prove")
        weak = _WEAK * abs(proof.lagrangian) + _ROUNDING * max(1.0, proof.scale)
        if not grouped and bound < proof.lagrangian - weak:
            findings.add("bound_too_low", f"lower_bound near {proof.lagrangian}, which the prices prove", bound)


def check_free_flow(bound: float, pieces: int, proof: Proof, grouping_error: float, findings: Findings) -> None:
    """Holds the bound that ignores capacity against the sum of the optima, less what the grouping of weights admits to.

    A parcel that is cheaper to refuse may stand in it with its refusal.
    """
    if proof.optimum is None or proof.least is None:
        return
    low = proof.least - tolerance(proof.least) - grouping_error * pieces
    if not low <= bound <= proof.optimum + _ROUNDING * max(1.0, abs(proof.optimum)):
        findings.add("wrong_total", f"free_flow_bound {proof.optimum}, the sum of the optima", bound)
