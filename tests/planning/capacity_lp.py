"""The least cost of a tiny network under capacities, as a linear program solved by HiGHS.

What runs when, who may ride it and what delivery costs is the exhaustive reference's reading of the public text; this
adds what is shared. Of every order any part may go any way or be refused, so no plan of whole parcels costs less.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field

import exhaustive
import highspy
import numpy as np
import polars as pl

from rookery.terms.frames import Feed

Seats = tuple[str, int]
"""A dated departure: departure_id, minute it leaves."""


@dataclass(frozen=True)
class Optimum:
    """The least cost, and what one unit more would save: a seat, a kilogram, a parcel handled in a clock hour."""

    cost: float
    seats: dict[Seats, float]
    kilograms: dict[Seats, float]
    hours: dict[tuple[str, int], float]  # node_id, minute at which the clock hour begins
    refused: float  # pieces, those that cannot be brought at all included


def lp_optimum(feed: Feed, orders: pl.DataFrame, start: int, end: int, outcomes: int) -> float:
    """The least cost of bringing or refusing all orders with departures of [start, end), parts of parcels allowed."""
    return solve(feed, orders, start, end, outcomes).cost


def solve(feed: Feed, orders: pl.DataFrame, start: int, end: int, outcomes: int) -> Optimum:
    """`lp_optimum` with its prices."""
    network = exhaustive.Network(feed, start, end, outcomes)
    program = _Program()
    for row in orders.to_dicts():
        if row["service_id"] in {None, *network.services}:  # as in a plan, which leaves the others out
            _add_order(program, network, exhaustive.Order(network, row))
    limits = {name: limit for name, limit in _limits(network).items() if name in program.used}
    return program.minimum(limits)


@dataclass
class _Program:
    """Columns (cost, entries) of a minimisation: `balances` are equations, `used` inequalities under their limits."""

    costs: list[float] = field(default_factory=list)
    entries: list[dict[tuple, float]] = field(default_factory=list)
    balances: dict[tuple, float] = field(default_factory=dict)
    refusals: list[int] = field(default_factory=list)
    used: set[tuple] = field(default_factory=set)

    def add(self, cost: float, entries: dict[tuple, float], uses: dict[tuple, float] | None = None) -> None:
        self.costs.append(cost)
        self.entries.append(entries | (uses or {}))
        self.used |= set(uses or {})
        for name in entries:
            self.balances.setdefault(name, 0.0)

    def minimum(self, limits: dict[tuple, float]) -> Optimum:
        names = [*self.balances, *limits]
        row_of = {name: i for i, name in enumerate(names)}
        columns = [[(row_of[name], share) for name, share in e.items() if name in row_of] for e in self.entries]
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(self.costs), len(names)
        model.col_cost_ = np.array(self.costs)
        model.col_lower_ = np.zeros(len(self.costs))
        model.col_upper_ = np.full(len(self.costs), highspy.kHighsInf)
        sides = np.array([*self.balances.values(), *limits.values()], np.float64)
        model.row_lower_ = np.where(np.arange(len(names)) < len(self.balances), sides, -highspy.kHighsInf)
        model.row_upper_ = sides
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_ = np.cumsum([0, *map(len, columns)])
        model.a_matrix_.index_ = np.array([row for column in columns for row, _ in column], np.int32)
        model.a_matrix_.value_ = np.array([share for column in columns for _, share in column], np.float64)
        solver = highspy.Highs()
        solver.silent()
        solver.passModel(model)
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"HiGHS: {solver.modelStatusToString(solver.getModelStatus())}")
        solution = solver.getSolution()
        flows = np.array(solution.col_value)
        prices: dict[str, dict] = defaultdict(dict)
        for name, dual in zip(names, solution.row_dual, strict=True):
            if name in limits:
                kind, *what = name
                prices[kind][tuple(what)] = max(0.0, -dual) * (1000 if kind == "grams" else 1)
        return Optimum(
            cost=float(flows @ np.array(self.costs)),
            seats=prices["seats"],
            kilograms=prices["grams"],
            hours=prices["hour"],
            refused=float(flows[self.refusals].sum()),
        )


def _limits(network: exhaustive.Network) -> dict[tuple, float]:
    """What departures hold and what limited nodes handle in any clock hour in which something may be ready."""
    limits: dict[tuple, float] = {}
    hours = set()
    for run in network.runs:
        for kind, unit in (("seats", "capacity_parcels"), ("grams", "capacity_g")):
            if run.departure[unit] is not None:
                limits[kind, *_seats(run)] = run.departure[unit] * run.capacity_factor
        hours |= {(run.lane["to_node"], ready // 60 * 60) for ready in run.outcomes if ready is not None}
    for node, hour in hours:
        limit = network.nodes[node]["capacity_per_hour"]
        if limit is not None:
            for c in network.closures:
                overlaps = c["from_at"] < hour + 60 and hour < c["until_at"]
                if c["node_id"] == node and c["capacity_factor"] > 0 and overlaps:
                    limit *= c["capacity_factor"]
            limits["hour", node, hour] = limit
    return limits


def _seats(run: exhaustive.Run) -> Seats:
    return run.departure["departure_id"], run.depart


def _add_order(program: _Program, network: exhaustive.Network, order: exhaustive.Order) -> None:
    """The ways of one order: at a place (node, how many usable departures have gone) it rides the next one or waits."""
    number, pieces = len(program.refusals), order.row["pieces"]
    program.refusals.append(len(program.costs))
    program.add(float(order.unassigned_cost), {(number, "begin"): 1.0})
    program.balances[number, "begin"] = float(pieces)
    if order.origin is None or order.destination is None:
        return
    if order.origin == order.destination:
        program.add(float(order.end(order.start).cost + order.fixed), {(number, "begin"): 1.0})
        return
    leaving: dict[str, list[exhaustive.Run]] = defaultdict(list)
    for run in network.runs:  # by cut-off
        if order.may_use(run.lane):
            leaving[run.lane["from_node"]].append(run)
    gone = {node: [run.cutoff for run in runs] for node, runs in leaving.items()}

    def place(node: str, ready: int) -> tuple:
        return number, node, bisect_left(gone.get(node, []), ready)

    begin = place(order.origin, order.start)
    program.add(float(order.fixed), {(number, "begin"): 1.0, begin: -1.0})
    share = 1.0 / network.outcomes
    for node, runs in leaving.items():
        if node == order.destination:
            continue
        for i, run in enumerate(runs):
            program.add(0.0, {(number, node, i): 1.0, (number, node, i + 1): -1.0})
            if None in run.outcomes:
                continue
            entries: dict[tuple, float] = defaultdict(float, {(number, node, i): 1.0})
            uses: dict[tuple, float] = defaultdict(float)
            uses["seats", *_seats(run)] = 1.0
            uses["grams", *_seats(run)] = order.row["weight_g"]
            cost, to = float(order.price(run)), run.lane["to_node"]
            for ready in (at for at in run.outcomes if at is not None):
                uses["hour", to, ready // 60 * 60] += share
                if to == order.destination:
                    cost += share * float(order.end(ready).cost)
                else:
                    entries[place(to, ready)] -= share
            program.add(cost, entries, uses)
