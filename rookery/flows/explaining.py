"""The story of one parcel: its options and why they lost, or its reasons and what would mend them."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rookery.flows.planning import as_orders, cores, horizon_of, model_of, refuse_senseless
from rookery.network import place
from rookery.planning.explain import Explanation, own_tables, start_row, steps_of
from rookery.planning.ops import day_end, plan_parcels, unassigned_reasons
from rookery.planning.remedies import remedies
from rookery.terms.errors import NotFound
from rookery.terms.frames import Feed, Orders
from rookery.terms.ids import OrderId
from rookery.terms.time import DAY, NEVER, from_minute, to_minute


def explain(
    feed: Feed,
    orders: Orders | pl.DataFrame | str | Path,
    order_id: str,
    *,
    start: datetime | None = None,
    horizon_days: int | None = None,
    outcomes: int = 8,
) -> Explanation:
    """Explain one order of a file, planned by itself over the days the whole file would be planned over.

    Raises NotFound when the file has no such order (or left it out for its faults, which the error then shows),
    InvalidInput for settings that make no sense.
    """
    refuse_senseless(outcomes, start)
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
        steps = steps_of(model, tables, parcel, journey)
        return _told(feed, parcel, due, journey.by_at, journey.expected_at, journey.on_time, cost, steps)

    def over_days(minute: int, count: int):
        return model_of(feed, minute, count, outcomes)

    codes = unassigned_reasons(feed, partial(over_days, begin, 2 * days), parcel, threads=cores())[0].to_list()
    order = orders.frame.filter(pl.col("order_id") == order_id).row(0, named=True)
    return Explanation(
        order_id=OrderId(order_id),
        status="unassigned",
        currency=feed.info.currency,
        due_at=due,
        promised_at=None,
        expected_at=None,
        on_time_probability=None,
        cost=wish["unassigned_cost"],
        steps=[],
        reasons=remedies(model, over_days, parcel, codes, order),
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
