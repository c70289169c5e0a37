"""The check of a plan: everything re-derived from the feed and the orders by code the planner does not share.

Reads top to bottom: `days` (calendars, clocks, hours of work) -> `runs` (dated departures and their outcomes) ->
`wishes` (what each order asks for), `telling` (how chances are told) -> `itinerary` (every parcel and leg) ->
`reasons` (why none) -> `grouping` (what a plan may spare itself) -> `optimum` (the best policy of a parcel) ->
`cheapest` (the plan held against it) -> `capacity` (what departures and hours can take) -> `loads`, `hours` (what they
do take) -> `refusals` (for lack of room) -> `certificate` (the lower bound) -> `totals` (the summary). Slow and plain
on purpose.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from rookery.base.progress import Progress, silent
from rookery.planning.check.capacity import Limits
from rookery.planning.check.certificate import Proof, lagrangian
from rookery.planning.check.cheapest import draw, hold_optima, hold_passing_reasons
from rookery.planning.check.grouping import allowed_grouping
from rookery.planning.check.hours import check_hours
from rookery.planning.check.itinerary import Itineraries, Trip
from rookery.planning.check.loads import check_flow, check_loads
from rookery.planning.check.optimum import Passes, Tariff
from rookery.planning.check.reasons import LASTING, NO_CAPACITY, Lanes
from rookery.planning.check.refusals import hold_refusals
from rookery.planning.check.report import CODES, CheckReport, Findings, Violation
from rookery.planning.check.runs import Runs, dated
from rookery.planning.check.telling import Telling
from rookery.planning.check.totals import check_summary
from rookery.planning.check.wishes import wishes
from rookery.terms.frames import PLAN_HOURS, Feed, empty

__all__ = ["CODES", "CheckReport", "Violation", "check_plan"]


def check_plan(
    feed: Feed,
    orders: pl.DataFrame,
    parcels: pl.DataFrame,
    legs: pl.DataFrame,
    loads: pl.DataFrame,
    manifest: dict[str, Any],
    summary: dict[str, Any],
    *,
    hours: pl.DataFrame | None = None,
    sample: int | None = None,
    progress: Progress = silent,
) -> CheckReport:
    """Whether a plan is what the feed and the orders allow, as cheap as it claims to be, down to every leg and total.

    `orders` in the ORDERS schema, `parcels`, `legs`, `loads`, `hours` (None: no rows) in the PLAN_ schemas; `manifest`
    tells start and horizon_end (ISO instants), horizon_days, outcomes (K), prices ("none", or "capacity" where capacity
    binds and has its price) and, if there is one, the calibration by which chances and promises are told. All parcels,
    legs, loads, hours and totals are checked; the optimum is found again for `sample` parcels drawn with a fixed seed
    (0: none; None: all while that costs at most cheapest.WORK_BUDGET, else as many as it allows), the lower bound
    proved again when that is done for all.
    Source: the public text on feeds, orders and plans, docs/reference.
    """
    findings, outcomes, priced = Findings(), int(manifest["outcomes"]), manifest.get("prices") == "capacity"
    start, end = _minute(manifest["start"]), _minute(manifest["horizon_end"])
    progress("check: departures", 0, 1)
    runs = dated(feed, start, end, outcomes)
    progress("check: departures", 1, 1)
    telling = Telling.of(manifest)
    itineraries = Itineraries(feed, runs, outcomes, telling, findings)
    wished, lanes = wishes(feed, orders, outcomes), Lanes(feed)
    trips = itineraries.check(wished, parcels, legs)

    lasting = _check_lasting_reasons(lanes, trips, findings)
    possible = [trip for trip in trips if trip.wish.order_id not in lasting]
    passes = _passes(feed, runs, start)
    drawn = draw(possible, passes, sample)
    grouped = allowed_grouping(summary, wished, lanes, len(runs.cutoff), outcomes, priced, findings)
    optima = hold_optima(drawn, passes, lanes, grouped, priced, telling, findings, progress)
    unassigned = [(t, best) for t, best in optima.found if t.parcel["status"] == "unassigned"]
    stuck = [trip for trip, best in unassigned if best.cost == np.inf]
    if stuck:
        longer = _passes(feed, dated(feed, start, 2 * end - start, outcomes), start)
        hold_passing_reasons(stuck, longer, lanes, findings)

    limits = Limits(feed, runs)
    ridden: list[tuple[Trip, list[tuple[int, float]]]] | None = None
    whole = len(drawn) == len(possible)
    if outcomes == 1:
        ridden = [(trip, [(run, 1.0) for run in trip.runs]) for trip in trips]
    elif whole and not priced and all(best.unique or best.cost == np.inf for _, best in optima.found):
        ridden = [(trip, best.ridden) for trip, best in optima.found]
    overloads, booked, seats = check_loads(feed, runs, itineraries, limits, loads, ridden, priced, findings)
    check_flow(feed, runs, itineraries, trips, loads, findings)
    handled = limits.handled(booked.parcels)
    hours = empty(PLAN_HOURS) if hours is None else hours
    overrun, hour_prices = check_hours(feed, limits, handled, hours, priced, findings)
    refused = [t for t, best in unassigned if best.cost < np.inf and NO_CAPACITY in (t.parcel["reasons"] or [])]
    if priced and outcomes == 1:
        hold_refusals(refused, runs, passes.run_lane, lanes, limits, booked, findings)

    proof = Proof(excess=optima.excess, error=grouped.error)
    if whole:
        refusals = sum(trip.wish.unassigned_cost * trip.wish.pieces for trip in trips if trip.wish.order_id in lasting)
        proof = proof._replace(optimum=optima.cost + refusals, least=optima.least + refusals)
        if priced:
            value, scale = lagrangian(drawn, refusals, passes, seats, hour_prices, limits, lanes, progress)
            proof = proof._replace(lagrangian=value, scale=scale)
    check_summary(trips, summary, overloads + overrun, proof, priced, findings)
    checked = {
        "orders": orders.height,
        "orders_left_out": orders.height - len(wished),
        "parcels": parcels.height,
        "legs": legs.height,
        "dated_departures": len(runs.cutoff),
        "loads": loads.height,
        "loads_added_up": 0 if ridden is None else loads.height,
        "hours": hours.height,
        "costs_rederived": len(optima.found),
        "chances_rederived": 0 if priced else sum(best.unique for _, best in optima.found),
        "refusals_rederived": len(refused) if priced and outcomes == 1 else 0,
        "certificates_rederived": int(priced and whole),
    }
    return CheckReport(findings.violations, overloads + overrun, checked)


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
    run_lane = np.array([lane[lane_id] for lane_id in feed.departures["lane_id"].to_list()], np.int64)[runs.departure]
    by_piece, by_kg = (
        feed.departures[column].fill_null(0.0).to_numpy()[runs.departure]
        for column in ("cost_per_parcel", "cost_per_kg")
    )
    return Passes(runs, run_lane, Tariff(by_piece, by_kg, np.zeros(len(by_kg))), start)


def _minute(instant: str | datetime) -> int:
    at = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() // 60)
