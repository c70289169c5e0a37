"""Checks loads.parquet against the parcels, the capacities, the prices and the balance of every node."""

from __future__ import annotations

from collections import defaultdict
from math import fsum
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.check.capacity import Booked, Limits, exceeds, take_price
from rookery.planning.check.itinerary import Itineraries, Trip, rows, run_name, tolerance
from rookery.planning.check.report import Findings
from rookery.planning.check.runs import Runs
from rookery.terms.frames import Feed

UNITS = ("parcels", "grams")


class SeatPrices(NamedTuple):
    """The plan's prices of places on every run, and prices x capacities summed over all."""

    seat: NDArray[np.float64]
    kg: NDArray[np.float64]  # of actual weight
    worth: float


def check_loads(
    feed: Feed,
    runs: Runs,
    itineraries: Itineraries,
    limits: Limits,
    loads: pl.DataFrame,
    ridden: list[tuple[Trip, list[tuple[int, float]]]] | None,
    priced: bool,
    findings: Findings,
) -> tuple[int, Booked, SeatPrices]:
    """Checks every load against who rides (None: not known for every parcel), every capacity and every price.

    Gives the departures over capacity and what each carries: added up from who rides, else as the plan says.
    """
    count = len(runs.cutoff)
    true, told = Booked(np.zeros(count), np.zeros(count)), Booked(np.zeros(count), np.zeros(count))
    for trip, path in ridden or []:
        for run, chance in path:
            true.parcels[run] += chance * trip.wish.pieces
            true.grams[run] += chance * trip.wish.pieces * trip.wish.weight
    seat, kg, seen = np.zeros(count), np.zeros(count), set()
    for load in rows(loads):
        name = run_name(load["departure_id"], load["depart_at"])
        run = itineraries.run_of.get((load["departure_id"], load["depart_at"]))
        if run is None or run in seen:
            findings.add("no_such_departure", "one row a dated departure", name, departure=name)
            continue
        seen.add(run)
        for unit in UNITS:
            amount, sum_of = load[unit], float(getattr(true, unit)[run])
            getattr(told, unit)[run] = np.nan if amount is None else amount
            if ridden is not None and (amount is None or not abs(amount - sum_of) <= tolerance(sum_of)):
                findings.add("wrong_load", f"{sum_of} {unit}", amount, departure=name)
        for column, limit in (("capacity_parcels", limits.parcels[run]), ("capacity_g", limits.grams[run])):
            said = np.inf if load[column] is None else load[column]
            if said != limit and not abs(said - limit) <= tolerance(limit):
                findings.add("wrong_capacity", None if limit == np.inf else limit, load[column], departure=name)
        seat[run] = take_price(load["shadow_price"], limits.parcels[run], priced, findings, departure=name)
        kg[run] = take_price(load["shadow_price_per_kg"], limits.grams[run], priced, findings, departure=name)
    names = feed.departures["departure_id"].to_list()
    booked = told if ridden is None else true
    overloads = set()
    for unit in UNITS:
        carried, limit = getattr(booked, unit), getattr(limits, unit)
        for run in np.flatnonzero(~(carried <= limit)).tolist():
            if exceeds(carried[run], limit[run]):
                name = run_name(names[runs.departure[run]], float(runs.depart[run]))
                findings.add("over_capacity", f"at most {limit[run]} {unit}", carried[run], departure=name)
                overloads.add(run)
    for run in np.flatnonzero(true.parcels > 0).tolist():
        if run not in seen:
            name = run_name(names[runs.departure[run]], float(runs.depart[run]))
            findings.add("wrong_load", f"{true.parcels[run]} parcels", "no row", departure=name)
    seats, weights = np.flatnonzero(seat), np.flatnonzero(kg)  # where there is a price there is a limit
    worth = fsum([*(seat[seats] * limits.parcels[seats]), *(kg[weights] * limits.grams[weights] / 1000)])
    return len(overloads), booked, SeatPrices(seat, kg, worth)


def check_flow(
    feed: Feed, runs: Runs, itineraries: Itineraries, trips: list[Trip], loads: pl.DataFrame, findings: Findings
) -> None:
    """Checks that loads lose nothing on the way: a node's arrivals less departures are what it delivers less ships.

    Every planned parcel leaves its origin and arrives at its destination under every outcome, so expected loads balance
    exactly whatever the policy: this holds for any K, also where the policies themselves are not found again.
    """
    kept: dict[tuple[int, str], float] = defaultdict(float)
    moved: dict[int, float] = defaultdict(float)
    for trip in trips:
        if trip.parcel["status"] == "planned" and trip.wish.origin != trip.wish.destination:
            wish = trip.wish
            for unit, amount in (("parcels", wish.pieces), ("grams", wish.pieces * wish.weight)):
                kept[wish.destination, unit] += amount
                kept[wish.origin, unit] -= amount
    for load in rows(loads):
        run = itineraries.run_of.get((load["departure_id"], load["depart_at"]))
        if run is not None:
            for unit in UNITS:
                amount = float("nan") if load[unit] is None else load[unit]
                kept[int(runs.to[run]), unit] -= amount
                kept[int(runs.origin[run]), unit] += amount
                moved[int(runs.to[run])] += abs(amount)
                moved[int(runs.origin[run])] += abs(amount)
    names = feed.nodes["node_id"].to_list()
    for (node, unit), rest in kept.items():
        if not abs(rest) <= tolerance(moved[node]):
            findings.add("lost_flow", f"{unit} in balance", f"{rest:+g}", node=names[node])
