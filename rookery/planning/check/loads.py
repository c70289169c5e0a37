"""Checks loads.parquet against the parcels, the capacities and the balance of every node."""

from __future__ import annotations

from collections import defaultdict

import polars as pl

from rookery.planning.check.itinerary import Itineraries, Trip, rows, run_name, tolerance
from rookery.planning.check.report import Findings
from rookery.planning.check.runs import Runs
from rookery.terms.frames import Feed

_OVER = {"parcels": 1e-6, "grams": 1e-3}
"""By how much a load may exceed a capacity through rounding alone."""


def check_loads(
    feed: Feed,
    runs: Runs,
    itineraries: Itineraries,
    loads: pl.DataFrame,
    ridden: list[tuple[Trip, list[tuple[int, float]]]] | None,
    findings: Findings,
) -> int:
    """Checks every load against who rides (None: not known for every parcel); gives the overloaded departures."""
    pieces: dict[int, float] = defaultdict(float)
    grams: dict[int, float] = defaultdict(float)
    for trip, path in ridden or []:
        for run, chance in path:
            pieces[run] += chance * trip.wish.pieces
            grams[run] += chance * trip.wish.pieces * trip.wish.weight
    capacity_g, capacity_parcels = (
        feed.departures["capacity_g"].to_list(),
        feed.departures["capacity_parcels"].to_list(),
    )
    names = feed.departures["departure_id"].to_list()
    overloads, seen = 0, set()
    for load in rows(loads):
        name = run_name(load["departure_id"], load["depart_at"])
        run = itineraries.run_of.get((load["departure_id"], load["depart_at"]))
        if run is None or run in seen:
            findings.add("no_such_departure", "one row a dated departure", name, departure=name)
            continue
        seen.add(run)
        if ridden is not None:
            for unit, true in (("parcels", pieces[run]), ("grams", grams[run])):
                if load[unit] is None or not abs(load[unit] - true) <= tolerance(true):
                    findings.add("wrong_load", f"{true} {unit}", load[unit], departure=name)
        row, factor = runs.departure[run], float(runs.factor[run])
        over = False
        for unit, limit in (("parcels", capacity_parcels[row]), ("grams", capacity_g[row])):
            told = load["capacity_parcels" if unit == "parcels" else "capacity_g"]
            limit = None if limit is None else limit * factor
            if (told is None) != (limit is None) or (limit is not None and not abs(told - limit) <= tolerance(limit)):
                findings.add("wrong_capacity", limit, told, departure=name)
            over |= limit is not None and (load[unit] or 0.0) > limit + _OVER[unit]
        overloads += over
    for run in [run for run, load in pieces.items() if load > 0 and run not in seen]:
        name = run_name(names[runs.departure[run]], float(runs.depart[run]))
        findings.add("wrong_load", f"{pieces[run]} parcels", "no row", departure=name)
    return overloads


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
            for unit in ("parcels", "grams"):
                amount = float("nan") if load[unit] is None else load[unit]
                kept[int(runs.to[run]), unit] -= amount
                kept[int(runs.origin[run]), unit] += amount
                moved[int(runs.to[run])] += abs(amount)
                moved[int(runs.origin[run])] += abs(amount)
    names = feed.nodes["node_id"].to_list()
    for (node, unit), rest in kept.items():
        if not abs(rest) <= tolerance(moved[node]):
            findings.add("lost_flow", f"{unit} in balance", f"{rest:+g}", node=names[node])
