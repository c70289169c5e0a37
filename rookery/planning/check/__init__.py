"""The check of a plan: everything re-derived from the feed and the orders by code the planner does not share.

Reads top to bottom: `days` (calendars, clocks, hours of work) -> `runs` (dated departures and their outcomes) ->
`wishes` (what each order asks for) -> `itinerary` (every parcel and leg) -> `optimum` (the best policy of a parcel)
-> `reasons` (why none) -> `totals` (loads and summary). Slow and plain on purpose.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from rookery.base.progress import Progress, silent
from rookery.planning.check.itinerary import MINUTE_APART, Itineraries, Trip, clock, tolerance
from rookery.planning.check.optimum import Best, Passes
from rookery.planning.check.reasons import LASTING, Lanes
from rookery.planning.check.report import CODES, CheckReport, Findings, Violation
from rookery.planning.check.runs import Runs, dated
from rookery.planning.check.totals import check_flow, check_loads, check_summary
from rookery.planning.check.wishes import wishes
from rookery.terms.frames import Feed

__all__ = ["CODES", "CheckReport", "Violation", "check_plan"]

WORK_BUDGET = 2_000_000_000
"""Most of (parcels x dated departures x (outcomes + _OVERHEAD)) spent on finding optima again: some ten seconds."""
_OVERHEAD = 8  # what looking at a departure costs besides its outcomes, in outcomes
_SEED = 20_240_229


def check_plan(
    feed: Feed,
    orders: pl.DataFrame,
    parcels: pl.DataFrame,
    legs: pl.DataFrame,
    loads: pl.DataFrame,
    manifest: dict[str, Any],
    summary: dict[str, Any],
    *,
    sample: int | None = None,
    progress: Progress = silent,
) -> CheckReport:
    """Whether a plan is what the feed and the orders allow and the cheapest there is, down to every leg and total.

    `orders` in the ORDERS schema, `parcels`, `legs`, `loads` in the PLAN_ schemas; `manifest` tells start and
    horizon_end (ISO instants), horizon_days and outcomes (K). All parcels, legs, loads and totals are checked; the
    optimum is found again for `sample` parcels drawn with a fixed seed (None: all while that costs at most
    WORK_BUDGET, else as many as it allows). Source: the public text on feeds, orders and plans, docs/reference.
    """
    findings, outcomes = Findings(), int(manifest["outcomes"])
    start, end = _minute(manifest["start"]), _minute(manifest["horizon_end"])
    progress("check: departures", 0, 1)
    runs = dated(feed, start, end, outcomes)
    progress("check: departures", 1, 1)
    itineraries = Itineraries(feed, runs, outcomes, findings)
    trips = itineraries.check(wishes(feed, orders, outcomes), parcels, legs)

    lanes, allowance = Lanes(feed), float(summary.get("grouping_error_max_per_parcel") or 0.0)
    lasting = _check_lasting_reasons(lanes, trips, findings)
    possible = [trip for trip in trips if trip.wish.order_id not in lasting]
    passes = _passes(feed, runs, start)
    drawn = _draw(possible, passes, sample)
    bests = _check_optima(drawn, passes, lanes, allowance, findings, progress)
    _check_passing_reasons(feed, start, end, outcomes, lanes, [t for t, b in bests if b.cost == np.inf], findings)

    ridden: list[tuple[Trip, list[tuple[int, float]]]] | None = None
    if outcomes == 1:
        ridden = [(trip, [(run, 1.0) for run in trip.runs]) for trip in trips]
    elif len(drawn) == len(possible) and all(best.unique or best.cost == np.inf for _, best in bests):
        ridden = [(trip, best.ridden) for trip, best in bests]
    overloads = check_loads(feed, runs, itineraries, loads, ridden, findings)
    check_flow(feed, runs, itineraries, trips, loads, findings)
    check_summary(trips, summary, findings)
    checked = {
        "orders": orders.height,
        "parcels": parcels.height,
        "legs": legs.height,
        "dated_departures": len(runs.cutoff),
        "loads": loads.height,
        "loads_added_up": 0 if ridden is None else loads.height,
        "costs_rederived": len(bests),
        "chances_rederived": sum(best.unique for _, best in bests),
    }
    return CheckReport(findings.violations, overloads, checked)


def _check_lasting_reasons(lanes: Lanes, trips: list[Trip], findings: Findings) -> set[str]:
    """Holds the reasons that lanes and limits give against the plan's; gives the orders that have one."""
    stuck = set()
    for trip in trips:
        if trip.parcel["status"] == "planned":
            continue
        reasons, told = lanes.lasting_reasons(trip.wish), frozenset(trip.parcel["reasons"] or [])
        if reasons:
            stuck.add(trip.wish.order_id)
        if reasons != (told if reasons else told & LASTING):  # what lasts leaves no room for what passes
            findings.add("wrong_reasons", " ".join(sorted(reasons)), " ".join(sorted(told)), order=trip.wish.order_id)
    return stuck


def _passes(feed: Feed, runs: Runs, start: int) -> Passes:
    lane = {lane_id: i for i, lane_id in enumerate(feed.lanes["lane_id"].to_list())}
    return Passes(
        runs,
        np.array([lane[lane_id] for lane_id in feed.departures["lane_id"].to_list()], np.int64),
        feed.departures["cost_per_parcel"].fill_null(0.0).to_numpy(),
        feed.departures["cost_per_kg"].fill_null(0.0).to_numpy(),
        start,
    )


def _draw(trips: list[Trip], passes: Passes, sample: int | None) -> list[Trip]:
    """The parcels whose optimum is found again, those alike side by side."""
    runs = passes.runs
    if sample is None:
        each = len(runs.cutoff) * (runs.outcome.shape[1] + _OVERHEAD)
        if len({trip.wish.alike() for trip in trips}) * each > WORK_BUDGET:
            sample = max(1, WORK_BUDGET // each)
    if sample is not None and sample < len(trips):
        # refused parcels are few and matter most: they may take up to a quarter of the sample
        shuffled = [trips[i] for i in np.random.default_rng(_SEED).permutation(len(trips))]
        refused = [trip for trip in shuffled if trip.parcel["status"] != "planned"][: max(1, sample // 4)]
        planned = [trip for trip in shuffled if trip.parcel["status"] == "planned"]
        trips = refused + planned[: sample - len(refused)]
    place = {alike: i for i, alike in enumerate(dict.fromkeys(trip.wish.alike() for trip in trips))}
    return sorted(trips, key=lambda trip: (place[trip.wish.alike()], runs.first(trip.wish.origin, trip.wish.start)))


def _check_optima(
    drawn: list[Trip], passes: Passes, lanes: Lanes, allowance: float, findings: Findings, progress: Progress
) -> list[tuple[Trip, Best]]:
    bests = []
    for done, trip in enumerate(drawn):
        if done % 64 == 0:
            progress("check: optima", done, len(drawn))
        wish = trip.wish
        slack = tolerance(float(trip.parcel["cost"] or 0.0) / wish.pieces) + allowance
        best = passes.best(wish, lanes, slack)
        bests.append((trip, best))
        if trip.parcel["status"] == "unassigned" and best.cost < np.inf:
            findings.add("deliverable_unassigned", best.cost * wish.pieces, "unassigned", order=wish.order_id)
        elif trip.parcel["status"] == "planned":
            _check_best(trip, best, allowance, findings)
    progress("check: optima", len(drawn), len(drawn))
    return bests


def _check_best(trip: Trip, best: Best, allowance: float, findings: Findings) -> None:
    """Holds one planned parcel against its optimum; what depends on the choice among equals only when it is unique."""
    wish, parcel = trip.wish, trip.parcel
    if best.cost == np.inf:
        findings.add("undeliverable_planned", "unassigned", "planned", order=wish.order_id)
        return
    cost, told = best.cost * wish.pieces, parcel["cost"] or 0.0
    if not told <= cost + tolerance(cost) + allowance * wish.pieces:  # so that NaN is caught too
        findings.add("not_cheapest", cost, told, order=wish.order_id)
        return
    if told < cost - tolerance(cost):
        findings.add("impossible_cost", cost, told, order=wish.order_id)
        return
    if best.unique:
        if parcel["expected_at"] is None or abs(parcel["expected_at"] - best.expected) > MINUTE_APART:
            findings.add("wrong_expected", clock(best.expected), clock(parcel["expected_at"]), order=wish.order_id)
        chance = parcel["on_time_probability"]
        if chance is None or abs(chance - best.on_time) > 1e-6:
            findings.add("wrong_chance", best.on_time, chance, order=wish.order_id)
        if parcel["promised_at"] != best.promised:
            findings.add("wrong_promise", clock(best.promised), clock(parcel["promised_at"]), order=wish.order_id)
    if best.median is not None and best.median != trip.runs:
        findings.add("wrong_itinerary", best.median, trip.runs, order=wish.order_id)


def _check_passing_reasons(
    feed: Feed, start: int, end: int, outcomes: int, lanes: Lanes, trips: list[Trip], findings: Findings
) -> None:
    """Holds beyond_horizon against whether twice the horizon would do."""
    refused = [trip for trip in trips if trip.parcel["status"] == "unassigned"]
    if not refused:
        return
    longer = _passes(feed, dated(feed, start, 2 * end - start, outcomes), start)
    for trip in _draw(refused, longer, len(refused)):
        reached = longer.best(trip.wish, lanes, 0.0).cost < np.inf
        told = "beyond_horizon" in (trip.parcel["reasons"] or [])
        if told != reached:
            cure = "beyond_horizon" if reached else "not beyond_horizon"
            told_reasons = " ".join(trip.parcel["reasons"] or [])
            findings.add("wrong_reasons", cure, told_reasons, order=trip.wish.order_id)


def _minute(instant: str | datetime) -> int:
    at = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return int(at.timestamp() // 60)
