"""The story of one parcel: its options and why they lost, or its reasons and what would mend them."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rookery.flows.checking import refuse_another_feed
from rookery.flows.planning import Plan, as_orders, cores, horizon_of, model_of, refuse_senseless
from rookery.network import place
from rookery.planning.explain import Explanation, Reason, own_tables, start_row, steps_of
from rookery.planning.frontier import density_of
from rookery.planning.ops import day_end, plan_parcels, unassigned_reasons
from rookery.planning.remedies import remedies
from rookery.planning.results import prices_of
from rookery.terms.errors import NotFound
from rookery.terms.frames import Feed, Orders
from rookery.terms.time import DAY, NEVER, from_minute, to_minute


def explain(
    feed: Feed,
    orders: Orders | pl.DataFrame | str | Path,
    order_id: str,
    *,
    start: datetime | None = None,
    horizon_days: int | None = None,
    outcomes: int = 8,
    prices: Plan | None = None,
) -> Explanation:
    """Explain one order of a file, planned by itself over the days the whole file would be planned over.

    prices: a plan of this feed whose shadow prices count in every cost told, as they did when it chose the ways;
    without it nothing is full. A parcel whose cheapest way then costs more than refusing it is told as unassigned.
    Raises NotFound when the file has no such order (or left it out for its faults, which the error then shows),
    InvalidInput for settings that make no sense, or a plan of another feed.
    """
    refuse_senseless(outcomes, start)
    if prices is not None:
        refuse_another_feed(feed, prices)
    orders = as_orders(orders)
    parcels, notices = place(feed, orders.frame, orders.file)
    parcel = parcels.filter(pl.col("order_id") == order_id)
    if parcel.height == 0:
        faults = [n for n in (*orders.notices, *notices) if n.severity == "error"]
        raise NotFound("explain.no_such_order", f"No good order {order_id!r} is in the file.", "check its id", faults)
    days = horizon_of(feed, horizon_days)
    earliest: Any = parcels["ready_at"].min()
    begin = to_minute(start) if start is not None else int(earliest)
    model = model_of(feed, begin, days, outcomes)
    wish = parcel.row(0, named=True)
    known = wish["origin"] >= 0 and wish["destination"] >= 0
    due = None if wish["due_at"] == NEVER else from_minute(wish["due_at"])
    if known and wish["origin"] == wish["destination"]:
        assignment, _ = plan_parcels(model, parcel, threads=1)
        by, at = int(assignment.by_at[0]), assignment.expected_at[0]
        chance, cost = float(assignment.on_time[0]), float(assignment.cost[0])
        return _told(feed, parcel, due, by, at, chance, cost, [])
    unpriced = model
    if prices is not None:
        model = unpriced.priced(prices_of(unpriced, prices.loads, prices.hours), density_of(parcel))
    tables = own_tables(model, parcel) if known else None
    journey = tables.follow(0, start_row(model, parcel), wish["confidence"]) if tables else None
    if tables is not None and journey is not None:
        cost = (
            journey.transport
            + journey.after
            + wish["pickup_cost"]
            + float(model.miles.cost[wish["zone"]])
            - wish["time_cost_per_day"] / DAY * (wish["ready_at"] - begin)
        )
        if prices is not None and cost > wish["unassigned_cost"]:
            dear = (model.timetable.net.fixed + model.timetable.net.per_kg)[journey.legs]
            full = journey.legs[dear > (unpriced.timetable.net.fixed + unpriced.timetable.net.per_kg)[journey.legs]]
            departures = [feed.departures["departure_id"][int(model.timetable.departure[row])] for row in full]
            return _refused(feed, parcel, due, _no_room(feed, departures, cost, wish["unassigned_cost"]))
        steps = steps_of(model, tables, parcel, journey)
        return _told(feed, parcel, due, journey.by_at, journey.expected_at, journey.on_time, cost, steps)

    def over_days(minute: int, count: int):
        return model_of(feed, minute, count, outcomes)

    codes = unassigned_reasons(feed, partial(over_days, begin, 2 * days), parcel, threads=cores())[0].to_list()
    order = orders.frame.filter(pl.col("order_id") == order_id).row(0, named=True)
    return _refused(feed, parcel, due, remedies(model, over_days, parcel, codes, order))


def _no_room(feed: Feed, full: list[str], cost: float, refusal: float) -> list[Reason]:
    """That room is so scarce that refusing is cheaper than the cheapest way, and where on it it would be needed."""
    text = (
        f"with what its place is worth to others its cheapest way costs {cost:,.2f} {feed.info.currency}, "
        f"more than the {refusal:,.2f} of refusing it"
    )
    fix = f"add room on {', '.join(full) or 'the ways there'}; `rookery capacity` tells what it would save"
    return [Reason("no_capacity", text, fix)]


def _refused(feed: Feed, parcel: pl.DataFrame, due, reasons: list[Reason]) -> Explanation:
    return Explanation(
        order_id=parcel["order_id"][0],
        status="unassigned",
        currency=feed.info.currency,
        due_at=due,
        promised_at=None,
        expected_at=None,
        on_time_probability=None,
        cost=parcel["unassigned_cost"][0],
        steps=[],
        reasons=reasons,
    )


def _told(
    feed: Feed, parcel: pl.DataFrame, due, by: int, expected: float, chance: float, cost: float, steps
) -> Explanation:
    timezone = feed.nodes["timezone"][parcel["destination"][0]]
    return Explanation(
        order_id=parcel["order_id"][0],
        status="planned",
        currency=feed.info.currency,
        due_at=due,
        promised_at=from_minute(int(day_end(timezone, np.array([by]))[0])),
        expected_at=from_minute(round(float(expected))),
        on_time_probability=chance,
        cost=cost,
        steps=steps,
        reasons=[],
    )
