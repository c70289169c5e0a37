"""Why a parcel goes the way it goes: the options at every node of its itinerary, and what each rejected one lacks."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
from msgspec import Struct

from rookery.planning.engine.catch import first_row
from rookery.planning.ops import Model
from rookery.planning.tables import Journey, Tables, parcel_tables
from rookery.terms.goods import GOODS, MODES
from rookery.terms.ids import DepartureId, LaneId, NodeId, OrderId
from rookery.terms.time import from_minute

LOOK_BACK = 240
"""How long ago a departure may have gone to be named as missed, in minutes."""


class Option(Struct, frozen=True):
    """A departure that could be ridden from here: what it would cost from here on, a piece, and its chance."""

    departure_id: DepartureId
    lane_id: LaneId
    mode: str
    to_node: NodeId
    cutoff_at: datetime
    depart_at: datetime
    cost: float | None  # expected, from here to the end, lateness and time included; null = cannot be taken
    chance: float | None  # of being on time
    chosen: bool
    why: str


class Step(Struct, frozen=True):
    """A node of the itinerary along median times, and the options there: the best departure of every lane."""

    node: NodeId
    ready_at: datetime
    options: list[Option]


class Reason(Struct, frozen=True):
    """Why a parcel is unassigned, in words, and what would mend it."""

    code: str
    text: str
    fix: str


class Explanation(Struct, frozen=True):
    """All there is to say about one parcel. Steps for a planned one, reasons for an unassigned one."""

    order_id: OrderId
    status: str
    currency: str
    due_at: datetime | None
    promised_at: datetime | None
    expected_at: datetime | None
    on_time_probability: float | None
    cost: float | None  # a piece
    steps: list[Step]
    reasons: list[Reason]


def own_tables(model: Model, parcel: pl.DataFrame) -> Tables:
    """Tables of exactly this parcel's wishes (one row of schema PARCELS)."""
    wish = parcel.row(0, named=True)
    return parcel_tables(
        model.timetable,
        model.miles,
        parcel,
        [wish["due_at"]],
        [wish["late_cost"]],
        [wish["late_cost_per_day"]],
        [wish["time_cost_per_day"]],
    )


def steps_of(model: Model, tables: Tables, parcel: pl.DataFrame, journey: Journey) -> list[Step]:
    """The options at every node where the parcel is on the way, along median times."""
    table = model.timetable
    ready = int(parcel["start_at"][0])
    steps = []
    for row in journey.legs.tolist():
        node = int(table.net.frm[row])
        steps.append(
            Step(
                model.feed.nodes["node_id"][node],
                from_minute(ready),
                _options(model, tables, parcel, node, ready, row),
            )
        )
        ready = int(table.net.median_ready[row])
    return steps


def _options(model: Model, tables: Tables, parcel: pl.DataFrame, node: int, ready: int, chosen: int) -> list[Option]:
    """One option for every lane that leaves `node`: its best departure from `ready` on, or why there is none."""
    table = model.timetable
    net = table.net
    mine = net.node_rows[net.node_from[node] : net.node_from[node + 1]]
    time_rate = float(tables.block.rate[0])
    best: dict[int, tuple[float, float, int]] = {}
    missed: dict[int, int] = {}
    for row in mine.tolist():
        lane = int(table.lane[row])
        if table.cutoff[row] < ready:
            if table.cutoff[row] >= ready - LOOK_BACK:
                missed[lane] = row
            continue
        cost, chance = tables.worth(0, row)
        if lane not in best or cost < best[lane][0]:
            best[lane] = (cost, chance, row)
    paid_from = time_rate * (ready - net.start)  # the tables count the cost of time from net.start
    least, likely, _ = best[int(table.lane[chosen])]
    options = []
    for lane, (cost, chance, row) in sorted(best.items(), key=lambda item: (item[1][0], item[0])):
        is_chosen = lane == int(table.lane[chosen])
        finite = np.isfinite(cost)
        why = (
            "cheapest in expectation" if is_chosen else _why_not(model, parcel, lane, row, cost - least, chance, likely)
        )
        if lane in missed and tables.worth(0, missed[lane])[0] < least - 0.005:
            why += f"; {_missed(model, missed[lane], ready)}"
        options.append(
            _option(model, row, cost - paid_from if finite else None, chance if finite else None, is_chosen, why)
        )
    for lane, row in missed.items():
        if lane not in best and np.isfinite(tables.worth(0, row)[0]):
            options.append(_option(model, row, None, None, False, _missed(model, row, ready)))
    return options


def _missed(model: Model, row: int, ready: int) -> str:
    late = ready - int(model.timetable.cutoff[row])
    name = model.feed.departures["departure_id"][int(model.timetable.departure[row])]
    return f"{name}, the departure before, was cheaper but its cut-off was missed by {late} min"


def _why_not(model: Model, parcel: pl.DataFrame, lane: int, row: int, more: float, chance: float, likely: float) -> str:
    """Why the best departure of a lane lost against the chosen one."""
    if np.isfinite(more):
        lost = [f"costs {more:.2f} more" if more >= 0.005 else "costs the same or a trifle more"]
        if chance < likely - 0.005:
            lost.append(f"on time with {chance:.0%} instead of {likely:.0%}")
        elif chance > likely + 0.005:
            lost.append(f"although on time with {chance:.0%} instead of {likely:.0%}")
        return ", ".join(lost)
    return (
        "; ".join(barriers(model, parcel, lane)) or "from there the destination cannot be reached after every outcome"
    )


def barriers(model: Model, parcel: pl.DataFrame, lane: int) -> list[str]:
    """What on this lane keeps this parcel off it."""
    limits = model.feed.lanes.row(lane, named=True)
    wish = parcel.row(0, named=True)
    found = []
    goods = GOODS[wish["goods"]]
    if goods not in limits["accepts"]:
        found.append(f"carries no {goods} goods (accepts {', '.join(limits['accepts'])})")
    if limits["max_weight_g"] is not None and wish["weight_g"] > limits["max_weight_g"]:
        found.append(f"takes up to {limits['max_weight_g']:,.0f} g, the parcel weighs {wish['weight_g']:,.0f} g")
    if limits["max_side_mm"] is not None and wish["side_mm"] > limits["max_side_mm"]:
        found.append(f"takes sides up to {limits['max_side_mm']:,.0f} mm, the longest is {wish['side_mm']:,.0f} mm")
    if not wish["modes"] >> MODES.index(limits["mode"]) & 1:
        found.append(f"the service does not go by {limits['mode']}")
    return found


def _option(model: Model, row: int, cost: float | None, chance: float | None, chosen: bool, why: str) -> Option:
    feed, table = model.feed, model.timetable
    lane = int(table.lane[row])
    return Option(
        departure_id=feed.departures["departure_id"][int(table.departure[row])],
        lane_id=feed.lanes["lane_id"][lane],
        mode=feed.lanes["mode"][lane],
        to_node=feed.nodes["node_id"][int(table.net.to[row])],
        cutoff_at=from_minute(table.cutoff[row]),
        depart_at=from_minute(table.depart[row]),
        cost=cost,
        chance=chance,
        chosen=chosen,
        why=why,
    )


def start_row(model: Model, parcel: pl.DataFrame) -> int:
    """The first row a parcel can catch at its origin; N = none."""
    table = model.timetable
    return first_row(
        int(parcel["origin"][0]),
        int(parcel["start_at"][0]),
        table.net.node_from,
        table.net.node_rows,
        table.cutoff,
        len(table.cutoff),
    )
