"""Holds parcels against their optimum: cheapest, on the day, as likely and as promised; refused only when stuck."""

from __future__ import annotations

from math import fsum
from typing import NamedTuple

import numpy as np

from rookery.base.progress import Progress
from rookery.planning.check.grouping import Grouping
from rookery.planning.check.itinerary import MINUTE_APART, Trip, clock, tolerance
from rookery.planning.check.optimum import Best, Passes
from rookery.planning.check.reasons import NO_CAPACITY, Lanes
from rookery.planning.check.report import Findings
from rookery.planning.check.telling import Telling

WORK_BUDGET = 2_000_000_000
"""Most of (parcels x dated departures x (outcomes + _OVERHEAD)) spent on finding optima again: some ten seconds."""
_OVERHEAD = 8  # what looking at a departure costs besides its outcomes, in outcomes
_TIE_MINUTES = 0.5  # by which a plan's choice among equals may be delivered later than the earliest of them
_SEED = 20_240_229


class Optima(NamedTuple):
    """The parcels whose optimum was found again, and what that says about the sum of all."""

    found: list[tuple[Trip, Best]]
    cost: float  # of their optima, all pieces; refusal where there is none
    least: float  # the same, refusal also where it is cheaper
    excess: float  # by which the plan is dearer on them


def draw(trips: list[Trip], passes: Passes, sample: int | None) -> list[Trip]:
    """The parcels whose optimum is found again, those alike side by side."""
    runs = passes.runs
    if sample is None:
        each = len(runs.cutoff) * (runs.outcome.shape[1] + _OVERHEAD)
        if len({trip.wish.alike() for trip in trips}) * each > WORK_BUDGET:
            sample = max(1, WORK_BUDGET // each)
    if sample is not None and sample < len(trips):
        # refused parcels are few and matter most: a quarter of the sample is theirs
        shuffled = [trips[i] for i in np.random.default_rng(_SEED).permutation(len(trips))]
        refused = [trip for trip in shuffled if trip.parcel["status"] != "planned"]
        planned = [trip for trip in shuffled if trip.parcel["status"] == "planned"]
        quarter = -(-sample // 4)
        trips = [*refused[:quarter], *planned, *refused[quarter:]][:sample]
    place = {alike: i for i, alike in enumerate(dict.fromkeys(trip.wish.alike() for trip in trips))}
    return sorted(trips, key=lambda trip: (place[trip.wish.alike()], runs.first(trip.wish.origin, trip.wish.start)))


def hold_optima(
    drawn: list[Trip],
    passes: Passes,
    lanes: Lanes,
    grouped: Grouping,
    priced: bool,
    telling: Telling,
    findings: Findings,
    progress: Progress,
) -> Optima:
    """Finds the optimum of every parcel drawn again and holds the plan against it.

    Where capacity has its price (`priced`), a parcel may be dearer than its optimum and refused for lack of room.
    """
    bests, costs, least, excess = [], [], [], []
    for done, trip in enumerate(drawn):
        if done % 64 == 0:
            progress("check: optima", done, len(drawn))
        wish, told = trip.wish, float(trip.parcel["cost"] or 0.0)
        best = passes.best(wish, lanes, tolerance(told / wish.pieces) + grouped.error)
        bests.append((trip, best))
        costs.append(wish.pieces * (best.cost if best.cost < np.inf else wish.unassigned_cost))
        least.append(wish.pieces * min(best.cost, wish.unassigned_cost))
        if trip.parcel["status"] == "unassigned" and best.cost < np.inf:
            _hold_refused(trip, best, priced, findings)
        elif trip.parcel["status"] == "planned":
            excess.append(max(0.0, told - costs[-1]))
            _hold(trip, best, grouped, priced, telling, findings)
    progress("check: optima", len(drawn), len(drawn))
    return Optima(bests, fsum(costs), fsum(least), sum(excess))


def _hold_refused(trip: Trip, best: Best, priced: bool, findings: Findings) -> None:
    """Holds a parcel that could be brought, were there room, against why it is refused."""
    wish, told = trip.wish, trip.parcel["reasons"] or []
    if not priced or NO_CAPACITY not in told:
        findings.add("deliverable_unassigned", best.cost * wish.pieces, "unassigned", order=wish.order_id)
    elif set(told) != {NO_CAPACITY}:
        findings.add("wrong_reasons", NO_CAPACITY, " ".join(told), order=wish.order_id)


def _hold(
    trip: Trip, best: Best, grouped: Grouping, priced: bool, telling: Telling, findings: Findings
) -> None:  # fmt: skip
    """Holds one planned parcel against its optimum: where capacity has its price, only that it costs no less."""
    wish, parcel = trip.wish, trip.parcel
    if best.cost == np.inf:
        findings.add("undeliverable_planned", "unassigned", "planned", order=wish.order_id)
        return
    cost, told = best.cost * wish.pieces, parcel["cost"] or 0.0
    if not (priced or told <= cost + tolerance(cost) + grouped.error * wish.pieces):  # so that NaN is caught too
        findings.add("not_cheapest", cost, told, order=wish.order_id)
        return
    if not told >= cost - tolerance(cost):
        findings.add("impossible_cost", cost, told, order=wish.order_id)
        return
    if priced:
        return
    expected, at = best.expected, parcel["expected_at"]
    if best.unique:
        on_day = at is not None and abs(at - expected) <= MINUTE_APART
    else:  # what else depends on the choice among equals is not told; a group may choose for its members
        on_day = grouped.allowed or (at is not None and at <= expected + _TIE_MINUTES)
    if not on_day:
        findings.add("wrong_expected", clock(expected), clock(at), order=wish.order_id)
    if best.unique:
        chance = parcel["on_time_probability"]
        likely, promised = telling.chance(best.on_time), telling.promise(wish, best.promised)
        if chance is None or not abs(chance - likely) <= 1e-6:
            findings.add("wrong_chance", likely, chance, order=wish.order_id)
        if parcel["promised_at"] != promised:
            findings.add("wrong_promise", clock(promised), clock(parcel["promised_at"]), order=wish.order_id)
    if best.median is not None and best.median != trip.runs:
        findings.add("wrong_itinerary", best.median, trip.runs, order=wish.order_id)


def hold_passing_reasons(trips: list[Trip], longer: Passes, lanes: Lanes, findings: Findings) -> None:
    """Holds beyond_horizon of parcels that cannot be brought against whether twice the horizon (`longer`) would do."""
    for trip in draw(trips, longer, len(trips)):
        reached = longer.best(trip.wish, lanes, 0.0).cost < np.inf
        told = trip.parcel["reasons"] or []
        if ("beyond_horizon" in told) != reached:
            cure = "beyond_horizon" if reached else "not beyond_horizon"
            findings.add("wrong_reasons", cure, " ".join(told), order=trip.wish.order_id)
        elif NO_CAPACITY in told:  # room would not help
            findings.add("wrong_reasons", f"not {NO_CAPACITY}", " ".join(told), order=trip.wish.order_id)
