"""What a changed plan must keep, derived order by order from the public text; shares no code with the planner."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from fractions import Fraction

import exhaustive
import polars as pl
import pytest

from rookery.flows.planning import Plan
from rookery.flows.replanning import Replan
from rookery.terms.frames import Feed

HOUR = 60


class Truth:
    """A plan at minute `at`, as its legs tell, and the network as it was and is."""

    def __init__(self, feed: Feed, closed: Feed, orders: pl.DataFrame, plan: Plan, at: int):
        start = exhaustive.minute(datetime.fromisoformat(plan.manifest["start"]))
        span = start, start + plan.manifest["horizon_days"] * 1440, plan.manifest["outcomes"]
        self.at, self.plan = at, plan
        self.was, self.now = exhaustive.Network(feed, *span), exhaustive.Network(closed, *span)
        self.was_run = {(run.departure["departure_id"], run.depart): run for run in self.was.runs}
        gone = {_identity(run) for run in self.was.runs if run.depart <= at}
        self.now.runs = [run for run in self.now.runs if run.depart > at and _identity(run) not in gone]
        self.now_run = {(run.departure["departure_id"], run.depart): run for run in self.now.runs}
        self.same = {_identity(run): run for run in self.now.runs}
        self.orders = {row["order_id"]: exhaustive.Order(self.now, row) for row in orders.to_dicts()}
        self.rows = {row["order_id"]: row for row in plan.parcels.to_dicts()}
        self.legs = _by_order(plan)

    def left(self, legs: list[dict]) -> list[dict]:
        """The legs that have left."""
        return [leg for leg in legs if exhaustive.minute(leg["depart_at"]) <= self.at]

    def ready(self, order_id: str) -> tuple[str | None, int | None]:
        """Where a parcel is, or will be when it gets off, and when it is ready there."""
        order, left = self.orders[order_id], self.left(self.legs[order_id])
        if not left:
            return order.origin, order.start
        run = self.was_run[left[-1]["departure_id"], exhaustive.minute(left[-1]["depart_at"])]
        done = run.ready if run.ready is not None and run.ready <= self.at else None
        return run.lane["to_node"], done or self.now.ready(run.lane["to_node"], run.arrive)

    def ahead(self, order_id: str) -> list[exhaustive.Run]:
        """What a parcel meant to ride that had not left, as planned."""
        legs = self.legs[order_id]
        ahead = legs[len(self.left(legs)) :]
        return [self.was_run[leg["departure_id"], exhaustive.minute(leg["depart_at"])] for leg in ahead]

    def fate(self, order_id: str) -> str:
        """What the closures do to its way, room aside: "" where nothing."""
        _, ready = self.ready(order_id)
        ahead, late = self.ahead(order_id), False
        for run in ahead:
            again = self.same.get(_identity(run))
            if again is None:
                return "cancelled"
            if ready is None or ready > again.cutoff:
                return "missed_connection"
            late |= again.depart != run.depart
            ready = again.ready
        if ahead and ready is None:
            return "missed_connection"
        landed = self.left(self.legs[order_id])
        if self.rows[order_id]["status"] == "planned" and (ahead or landed):
            last = ahead[-1] if ahead else self.was_run[landed[-1]["departure_id"], _minute(landed[-1])]
            late |= ready != last.ready
        return "delayed" if late else ""

    def sunk(self, order_id: str) -> Fraction:
        """Cost of what has left, of a piece."""
        order = self.orders[order_id]
        legs = self.left(self.legs[order_id])
        return sum((order.price(self.was_run[leg["departure_id"], _minute(leg)]) for leg in legs), Fraction(0))

    def best(self, order_id: str, *, waits: bool, refusing: bool = False) -> Fraction | None:
        """The least a piece can cost, all told, from where it is; None = no way.

        waits: it starts at `at` at the earliest; refusing: it may be left where it is.
        """
        order = self.orders[order_id]
        where, ready = self.ready(order_id)
        found = None
        if where is not None and order.destination is not None:
            found = order.from_here(where, max(ready, self.at) if waits and ready is not None else ready)
        cost = None if found is None else found.cost + order.fixed + self.sunk(order_id)
        if not refusing:
            return cost
        lost = self.sunk(order_id) + self._pickup(order) if self.left(self.legs[order_id]) else Fraction(0)
        refused = exhaustive.money(order.unassigned_cost) + lost
        return refused if cost is None else min(cost, refused)

    def _pickup(self, order: exhaustive.Order) -> Fraction:
        row = order.row
        _, zone, _ = order._place(row["from_node"], row["from_country"], row["from_postal_code"])
        return exhaustive.money(zone and zone["pickup_cost"])

    def limits(self) -> dict[tuple, float]:
        """Capacities of what has not left, and of hours."""
        limits: dict[tuple, float] = {}
        for run in self.now.runs:
            for what in ("parcels", "g"):
                if (limit := run.departure[f"capacity_{what}"]) is not None:
                    limits[what, _identity(run)] = limit * run.capacity_factor
        return limits

    def hour_limit(self, node_id: str, hour: int) -> float:
        limit = self.now.nodes[node_id]["capacity_per_hour"]
        for c in self.now.closures:
            inside = c["from_at"] < hour + HOUR and c["until_at"] > hour
            if c["node_id"] == node_id and inside and c["capacity_factor"] > 0 and limit is not None:
                limit *= c["capacity_factor"]
        return float("inf") if limit is None else limit


def is_true(truth: Truth, made: Replan) -> None:
    """The past stands, the unaffected are untouched, every way can be gone, nothing is too full, the sums are right."""
    rows, legs = {row["order_id"]: row for row in made.parcels.to_dicts()}, _by_order(made)
    changes = {row["order_id"]: row for row in made.changes.to_dicts()}
    assert made.parcels["order_id"].to_list() == truth.plan.parcels["order_id"].to_list()
    assert made.legs["order_id"].to_list() == [name for name in rows for _ in legs[name]]
    certain = truth.now.outcomes == 1
    for order_id, order in truth.orders.items():
        was, past = truth.legs[order_id], truth.left(truth.legs[order_id])
        assert legs[order_id][: len(past)] == past
        assert [leg["seq"] for leg in legs[order_id]] == list(range(1, len(legs[order_id]) + 1))
        assert rows[order_id]["legs"] == len(legs[order_id])
        fate = truth.fate(order_id)
        if order_id not in changes:
            assert fate == ""
            assert (rows[order_id], legs[order_id]) == (truth.rows[order_id], was)
            continue
        told = changes[order_id]
        assert told["reason"] == {"": "no_room"}.get(fate, fate) or (
            fate == "delayed" and told["reason"] in ("better", "no_room")
        )
        assert (told["old_cost"], told["new_cost"]) == (truth.rows[order_id]["cost"], rows[order_id]["cost"])
        assert told["new_departures"] == [leg["departure_id"] for leg in legs[order_id][len(past) :]]
        assert told["old_departures"] == [leg["departure_id"] for leg in was[len(past) :]]
        assert told["newly_unassigned"] == (rows[order_id]["status"] == "unassigned")
        if rows[order_id]["status"] == "planned":
            _can_be_gone(truth, order, order_id, legs[order_id], rows[order_id], certain)
        else:
            assert len(legs[order_id]) == len(past)
    if certain:
        _holds(truth, made, legs)
    assert made.summary["cost"] == pytest.approx(sum(row["cost"] for row in rows.values()))
    assert made.summary["cost_before"] == pytest.approx(sum(row["cost"] for row in truth.rows.values()))
    assert made.summary["lower_bound"] <= made.summary["cost"] * (1 + 1e-12)
    assert made.summary["capacity_violations"] == 0
    pieces = {name: order.row["pieces"] for name, order in truth.orders.items()}
    for name in ("changed", "newly_late", "newly_unassigned"):
        assert made.summary[name] == sum(pieces[row["order_id"]] for row in changes.values() if row[name])


def _can_be_gone(truth: Truth, order, order_id: str, legs: list[dict], row: dict, certain: bool) -> None:
    """Every leg not left yet can be caught in the network as it is, and the cost is what the text says."""
    where, ready = truth.ready(order_id)
    ahead = legs[len(truth.left(legs)) :]
    meant = {_identity(run) for run in truth.ahead(order_id)[:1]}
    cost = truth.sunk(order_id) + order.fixed
    for number, leg in enumerate(ahead):
        run = truth.now_run[leg["departure_id"], _minute(leg)]
        # a cut-off that was met before has not to be met again
        start = ready if number or _identity(run) in meant else max(ready, truth.at)
        assert run.lane["from_node"] == where
        assert start <= run.cutoff
        assert order.may_use(run.lane)
        cost += order.price(run)
        where, ready = run.lane["to_node"], run.ready
    if certain:
        assert where == order.destination
        end = order.end(ready)
        assert row["cost"] == pytest.approx(float(cost + end.cost) * order.row["pieces"], abs=1e-6)
        assert abs((row["expected_at"] - exhaustive.instant(end.expected)).total_seconds()) < 1


def _holds(truth: Truth, made: Replan, legs: dict[str, list[dict]]) -> None:
    """Loads added up from the legs are those told, and within what there is room for."""
    used, hours, under_way = defaultdict(float), defaultdict(float), defaultdict(float)
    for order_id, mine in legs.items():
        order = truth.orders[order_id].row
        past = len(truth.left(mine))
        for number, leg in enumerate(mine):
            if number < past:
                run = truth.was_run[leg["departure_id"], _minute(leg)]
                done = run.ready is not None and run.ready <= truth.at
                ready = run.ready if done else truth.now.ready(run.lane["to_node"], run.arrive)
            else:
                run = truth.now_run[leg["departure_id"], _minute(leg)]
                ready = run.ready
                used["parcels", _identity(run)] += order["pieces"]
                used["g", _identity(run)] += order["pieces"] * order["weight_g"]
            if ready is not None:
                hour = run.lane["to_node"], ready // HOUR * HOUR
                hours[hour] += order["pieces"]
                under_way[hour] += order["pieces"] * (number < past)
    for what, limit in truth.limits().items():
        assert used[what] <= limit * (1 + 1e-9)
    for hour, handled in hours.items():
        assert handled <= max(truth.hour_limit(*hour), under_way[hour]) * (1 + 1e-9)
    told = {(row["departure_id"], exhaustive.minute(row["depart_at"])): row for row in made.loads.to_dicts()}
    for key, run in truth.now_run.items():
        row = told.get(key, {"parcels": 0.0, "grams": 0.0})
        assert row["parcels"] == pytest.approx(used["parcels", _identity(run)])
        assert row["grams"] == pytest.approx(used["g", _identity(run)])
    for row in made.hours.to_dicts():
        hour = row["node_id"], exhaustive.minute(row["hour_at"])
        assert row["parcels"] == pytest.approx(hours[hour])
        assert row["capacity_parcels"] == pytest.approx(truth.hour_limit(*hour))


def _identity(run: exhaustive.Run) -> tuple[str, int]:
    return run.departure["departure_id"], run.scheduled


def _minute(leg: dict) -> int:
    return exhaustive.minute(leg["depart_at"])


def _by_order(plan: Plan) -> dict[str, list[dict]]:
    legs: dict[str, list[dict]] = {order_id: [] for order_id in plan.parcels["order_id"]}
    for leg in plan.legs.to_dicts():
        legs[leg["order_id"]].append(leg)
    return legs
