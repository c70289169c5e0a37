"""Plans within capacities for tests: how they are made, networks with too little room, what every plan must keep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import capacity_lp
import exhaustive
import polars as pl
import pytest

from rookery.flows.planning import Plan, plan
from rookery.planning.check import check_plan
from rookery.terms.frames import Feed, Orders

MORNING = datetime(2026, 3, 2, tzinfo=UTC)
"""When parcels of made-up networks are ready, in minutes: BEGIN."""
BEGIN = exhaustive.minute(MORNING)
ONE_ROUND = 1e-9
"""Seconds that are over after the first round, whatever the machine: so much effort and no more."""


def planned(feed: Feed, orders: pl.DataFrame, **options: Any) -> Plan:
    """A plan made on one thread, for known times, until it is within a hundredth or three seconds are over."""
    return plan(feed, Orders(orders), **{"outcomes": 1, "gap": 0.01, "seconds": 3.0, "threads": 1, **options})


def is_sound(feed: Feed, orders: pl.DataFrame, made: Plan, outcomes: int = 1) -> None:
    """Every order is told of once, the check finds nothing, no capacity is broken, the gaps are what they say."""
    assert sorted(made.parcels["order_id"]) == sorted(orders["order_id"])
    report = check_plan(
        feed, orders, made.parcels, made.legs, made.loads, made.manifest, made.summary, hours=made.hours
    )
    assert report.violations == []
    assert report.overloads == 0
    told = made.summary
    cost, bound, free = told["cost"], told["lower_bound"], told["free_flow_bound"]
    assert told["capacity_violations"] == 0
    assert told["gap"] == pytest.approx((cost - bound) / cost if cost > 0 else 0.0, abs=1e-12)
    if made.manifest["prices"] == "none":
        assert (told["congestion_gap"], told["refused"], told["iterations"]) == (None, 0, 0)
    else:
        assert told["congestion_gap"] == pytest.approx((cost - bound) / (cost - free) if cost > free else 0.0)
        assert free <= bound + 1e-9 * max(1.0, abs(bound))
    if outcomes == 1:
        _holds_what_it_carries(feed, orders, made)


def _holds_what_it_carries(feed: Feed, orders: pl.DataFrame, made: Plan) -> None:
    """Loads of departures and hours added up from the legs are those told, and within the limits of the public text."""
    start = exhaustive.minute(datetime.fromisoformat(made.manifest["start"]))
    network = exhaustive.Network(feed, start, start + made.manifest["horizon_days"] * 1440, 1)
    runs = {(run.departure["departure_id"], run.depart): run for run in network.runs}
    order = {row["order_id"]: row for row in orders.to_dicts()}
    used: dict[tuple, float] = defaultdict(float)
    for leg in made.legs.to_dicts():
        run = runs[leg["departure_id"], exhaustive.minute(leg["depart_at"])]
        row = order[leg["order_id"]]
        used["seats", run.departure["departure_id"], run.depart] += row["pieces"]
        used["grams", run.departure["departure_id"], run.depart] += row["pieces"] * row["weight_g"]
        (ready,) = run.outcomes
        assert ready is not None
        used["hour", run.lane["to_node"], ready // 60 * 60] += row["pieces"]
    limits = capacity_lp._limits(network)
    for what, limit in limits.items():
        assert used[what] <= limit * (1 + 1e-9)
    for row in made.loads.to_dicts():
        what = row["departure_id"], exhaustive.minute(row["depart_at"])
        assert row["parcels"] == pytest.approx(used["seats", *what])
        assert row["grams"] == pytest.approx(used["grams", *what])
    for row in made.hours.to_dicts():
        what = "hour", row["node_id"], exhaustive.minute(row["hour_at"])
        assert row["parcels"] == pytest.approx(used[what])
        assert row["capacity_parcels"] == pytest.approx(limits[what])


def lane(make_feed: Callable[..., Feed], departures: list[dict], node: dict | None = None, **service: Any) -> Feed:
    """A to B by the departures named d0, d1, ... of each day; an hour on the way costs 1, refusing 1,000."""
    return make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B", **(node or {})}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": f"d{i}", "lane_id": "AB", **given} for i, given in enumerate(departures)],
        services=[{"service_id": "s", "late_cost": 0.0, "time_cost_per_day": 24.0, **service}],
    )


def parcels(make_orders: Callable[..., pl.DataFrame], count: int, **given: Any) -> pl.DataFrame:
    """`count` orders p0, p1, ... of A to B; what is callable is asked with the number of the order."""
    row = {"from_node": "A", "to_node": "B", "ready_at": BEGIN, "service_id": "s", **given}
    return make_orders(
        *(
            {"order_id": f"p{i}", **{name: value(i) if callable(value) else value for name, value in row.items()}}
            for i in range(count)
        )
    )


def rides(made: Plan) -> dict[str, str]:
    """The first departure of every planned order."""
    first = made.legs.filter(pl.col("seq") == pl.col("seq").min().over("order_id"))
    return dict(first.select("order_id", "departure_id").iter_rows())


def busy(make_feed: Callable[..., Feed], make_orders: Callable[..., pl.DataFrame], spread: bool = False):
    """Six places around a hub that all have too little room, and a hundred orders of many weights, sizes and wishes."""
    random = Random(7)
    places = [f"n{i}" for i in range(6)]
    ends = [*((name, "hub") for name in places), *(("hub", name) for name in places)]
    feed = make_feed(
        nodes=[
            {"node_id": "hub", "handling_minutes": 30, "capacity_per_hour": 14.0},
            *({"node_id": name, "lon": float(i), "handling_minutes": 15} for i, name in enumerate(places)),
        ],
        lanes=[{"lane_id": a + b, "from_node": a, "to_node": b} for a, b in ends],
        departures=[
            {"departure_id": f"{a}{b}{i}", "lane_id": a + b, "depart_minute": 360 + 180 * i + (90 if a == "hub" else 0),
             "cutoff_minutes": 15, "transit_minutes": 55, "transit_id": "spread" if spread else None,
             "cost_per_parcel": 1.0 + 0.5 * (i % 2), "cost_per_kg": 0.2,
             "capacity_parcels": random.choice([None, 5.0, 7.0]), "capacity_g": random.choice([None, 9000.0, 14000.0])}
            for a, b in ends
            for i in range(4)
        ],
        transit=[{"transit_id": "spread", "quantile": q, "factor": f} for q, f in ((0.1, 0.9), (0.5, 1.0), (0.9, 2.5))],
        services=[
            {"service_id": "fast", "due_hours": 14.0, "late_cost": 10.0, "time_cost_per_day": 12.0,
             "unassigned_cost": 200.0},
            {"service_id": "slow", "due_days": 2, "late_cost": 3.0, "time_cost_per_day": 4.0, "unassigned_cost": 200.0},
        ],
    )  # fmt: skip
    rows = []
    for i in range(100):
        origin, to = random.sample(places, 2)
        side = random.choice([None, 200.0])
        rows.append(
            {"order_id": f"o{i}", "from_node": origin, "to_node": to, "ready_at": BEGIN + random.randint(240, 700),
             "weight_g": random.choice([400.0, 900.0, 1700.0, 2500.0]), "pieces": random.choice([1, 1, 1, 2]),
             "service_id": random.choice(["fast", "slow"]), "length_mm": side, "width_mm": side, "height_mm": side}
        )  # fmt: skip
    return feed, make_orders(*rows)
