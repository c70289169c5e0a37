"""Checks hours.parquet and the clock hours of nodes: handled parcels, capacities and what one more would save."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.check.capacity import HOUR, Limits, exceeds, take_price
from rookery.planning.check.itinerary import clock, rows, tolerance
from rookery.planning.check.report import Findings
from rookery.terms.frames import Feed

_SOME = 1e-6  # fewer parcels than this need no row


class HourPrices(NamedTuple):
    """The plan's prices of clock hours: one a cell of the limits, and prices x capacities summed over all rows."""

    of_cell: NDArray[np.float64]
    worth: float


def check_hours(
    feed: Feed,
    limits: Limits,
    handled: NDArray[np.float64],
    hours: pl.DataFrame,
    priced: bool,
    findings: Findings,
) -> tuple[int, HourPrices]:
    """Holds every clock hour against what the departures bring (`handled`, one a cell); gives those over capacity."""
    names = feed.nodes["node_id"].to_list()
    number = {name: i for i, name in enumerate(names)}
    prices, worth, seen = np.zeros(len(handled)), 0.0, set()
    for row in rows(hours):
        at, name = row["hour_at"], f"{row['node_id']} @ {clock(row['hour_at'])}"
        node = number.get(row["node_id"], -1)
        limit = _limit(limits, node, at)
        if limit == np.inf or (node, at) in seen:
            findings.add("wrong_hour", "one row a clock hour of a node with a limit", name, node=name)
            continue
        seen.add((node, at))
        cell = limits.number(node, int(at))
        true = 0.0 if cell is None else float(handled[cell])
        if row["parcels"] is None or not abs(row["parcels"] - true) <= tolerance(true):
            findings.add("wrong_load", f"{true} parcels", row["parcels"], node=name)
        told = row["capacity_parcels"]
        if told is None or not abs(told - limit) <= tolerance(limit):
            findings.add("wrong_capacity", limit, told, node=name)
        price = take_price(row["shadow_price"], limit, priced, findings, node=name)
        worth += price * limit
        if cell is not None:
            prices[cell] = price
    over = 0
    for cell in np.flatnonzero(~(handled <= _SOME)).tolist():
        node, hour = int(limits.node[cell]), int(limits.hour[cell])
        name = f"{names[node]} @ {clock(hour)}"
        if (node, hour) not in seen:
            findings.add("wrong_load", f"{handled[cell]} parcels", "no row", node=name)
        if exceeds(handled[cell], limits.per_hour[cell]):
            findings.add("over_throughput", f"at most {limits.per_hour[cell]} parcels", handled[cell], node=name)
            over += 1
    return over, HourPrices(prices, worth)


def _limit(limits: Limits, node: int, at: float | None) -> float:
    """The limit of a node in the clock hour that begins at a minute; infinite when there is none, or no such hour."""
    if node < 0 or at is None or at % HOUR:
        return np.inf
    return float(limits.of_hours(np.array([node]), np.array([at], np.int64))[0])
