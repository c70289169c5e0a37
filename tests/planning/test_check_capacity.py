"""The check holds plans to their capacities, their prices and the bound these prove, and names every planted fault."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import exhaustive
import polars as pl
import pytest
import random_feeds
from hypothesis import HealthCheck, given, settings

from rookery.flows.checking import check, read_plan
from rookery.flows.planning import Plan
from rookery.planning.check import CheckReport, check_plan, grouping, totals
from rookery.terms.frames import FEED, ORDERS, PLAN_HOURS, PLAN_LOADS, Feed, FeedInfo

START = datetime(2024, 3, 4, tzinfo=UTC)
NINE, TEN = START + timedelta(hours=9), START + timedelta(hours=10)
REFUSAL = 50.0


def _feed(spread: bool = False) -> Feed:
    """a -> b on one day: a truck with one seat (handled from nine on), an aeroplane with one seat (from ten on)."""
    week = dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), True)
    node = {"kind": "hub", "country": "GB", "timezone": "UTC", "handling_minutes": 30}
    run = {"calendar_id": "once", "cutoff_minutes": 30, "transit_minutes": 60, "capacity_parcels": 1.0}
    rows = {
        "nodes": [{"node_id": "a", **node}, {"node_id": "b", **node, "capacity_per_hour": 10.0}],
        "lanes": [
            {"lane_id": lane, "from_node": "a", "to_node": "b", "mode": mode, "accepts": ["general"]}
            for lane, mode in (("road", "truck"), ("sky", "air"))
        ],
        "departures": [
            {**run, "departure_id": "t", "lane_id": "road", "depart_minute": 480, "cost_per_parcel": 4.0,
             "transit_id": "spread" if spread else None},
            {**run, "departure_id": "air", "lane_id": "sky", "depart_minute": 540, "cost_per_parcel": 9.0},
        ],
        "transit": [{"transit_id": "spread", "quantile": q, "factor": f} for q, f in ((0.25, 1.0), (0.75, 2.0))],
        "calendars": [{"calendar_id": "once", **week, "start_on": START.date(), "end_on": START.date()}],
        "services": [
            {"service_id": "s", "confidence": 0.9, "late_cost": 0.0, "time_cost_per_day": 24.0,
             "unassigned_cost": REFUSAL, "modes": ["truck", "air"]}
        ],
    }  # fmt: skip
    return Feed(
        FeedInfo("full", "1", "EUR"), **{name: random_feeds.frame(rows.get(name, []), FEED[name]) for name in FEED}
    )


def _orders() -> pl.DataFrame:
    """Three parcels for two seats, and one that comes too late for any."""
    row = {"from_node": "a", "to_node": "b", "weight_g": 1000.0, "goods": "general", "pieces": 1, "service_id": "s"}
    ready = exhaustive.minute(START)
    at = {"x": 0, "y": 0, "z": 0, "w": 1380}
    return random_feeds.frame([{**row, "order_id": name, "ready_at": ready + m} for name, m in at.items()], ORDERS)


def _hours(feed: Feed, loads: pl.DataFrame, start: datetime, days: int, outcomes: int) -> pl.DataFrame:
    """hours.parquet as it follows from what departures carry: each outcome brings its share. Prices are 0."""
    begin = exhaustive.minute(start)
    network = exhaustive.Network(feed, begin, begin + days * 1440, outcomes)
    runs = {(run.departure["departure_id"], exhaustive.instant(run.depart)): run for run in network.runs}
    handled: dict[tuple[str, int], float] = defaultdict(float)
    for load in loads.to_dicts():
        run = runs[load["departure_id"], load["depart_at"]]
        for ready in run.outcomes:
            handled[run.lane["to_node"], ready // 60 * 60] += load["parcels"] / outcomes
    rows = []
    for (node, hour), parcels in handled.items():
        limit = network.nodes[node]["capacity_per_hour"]
        if limit is not None:
            row = {"node_id": node, "hour_at": exhaustive.instant(hour), "parcels": parcels}
            rows.append({**row, "capacity_parcels": limit, "shadow_price": 0.0})
    return pl.DataFrame(rows, schema=PLAN_HOURS)


class _Full:
    """The best plan of `_feed` and `_orders`: x by truck, y by air, z refused; prices are what others would gain."""

    def __init__(self, outcomes: int = 1, spread: bool = False):
        self.feed, self.orders = _feed(spread), _orders()
        plans = []
        for order, departures in (("x", ["t", "air"]), ("y", ["air"]), ("z", []), ("w", [])):
            rest = self.feed.departures.filter(pl.col("departure_id").is_in(departures))
            orders = self.orders.filter(pl.col("order_id") == order)
            plans.append(exhaustive.plan(replace(self.feed, departures=rest), orders, START, 1, outcomes))
        for name in ("parcels", "legs", "loads"):
            setattr(self, name, pl.concat([getattr(plan, name) for plan in plans]))
        self.parcels: pl.DataFrame
        self.legs: pl.DataFrame
        self.loads: pl.DataFrame
        self.put("parcels", "reasons", ["no_capacity"], order_id="z")
        self.put("parcels", "reasons", ["after_last_departure"], order_id="w")
        cost = dict(self.parcels.select("order_id", "cost").iter_rows())
        self.gains = {"t": REFUSAL - cost["x"], "air": REFUSAL - cost["y"]}
        for departure, price in self.gains.items():
            self.put("loads", "shadow_price", price, departure_id=departure)
        self.put("loads", "shadow_price_per_kg", 0.0)
        self.hours = _hours(self.feed, self.loads, START, 1, outcomes)
        self.manifest = {**plans[0].manifest, "prices": "capacity"}
        total = sum(cost.values())
        self.summary = {
            **plans[0].summary, "parcels": 4, "planned": 2, "cost": total, "lower_bound": total, "gap": 0.0,
            "unassigned": {"no_capacity": 1, "after_last_departure": 1}, "refused": 1, "on_time_expected": 0.5,
            "free_flow_bound": 3 * cost["x"] + REFUSAL, "congestion_gap": 0.0, "iterations": 7, "interrupted": False,
        }  # fmt: skip

    def put(self, table: str, column: str, value, **where) -> None:
        """`column` of the rows that match `where` becomes `value`, or what it makes of the old one."""
        frame: pl.DataFrame = getattr(self, table)
        hit = pl.lit(True)
        for name, wanted in where.items():
            hit = hit & (pl.col(name) == wanted)
        assert frame.filter(hit).height > 0
        new = value(pl.col(column)) if callable(value) else pl.lit(value, dtype=frame.schema[column])
        setattr(self, table, frame.with_columns(pl.when(hit).then(new).otherwise(pl.col(column)).alias(column)))

    def allow(self, table: str, column: str, value: float | None, **where) -> None:
        """Another capacity in the feed."""
        frame: pl.DataFrame = getattr(self.feed, table)
        hit = pl.lit(True)
        for name, wanted in where.items():
            hit = hit & (pl.col(name) == wanted)
        new = pl.when(hit).then(pl.lit(value, pl.Float64)).otherwise(pl.col(column)).alias(column)
        self.feed = replace(self.feed, **{table: frame.with_columns(new)})

    def bound(self, bound: float) -> None:
        """Another lower bound, with the gaps that follow."""
        cost, free = self.summary["cost"], self.summary["free_flow_bound"]
        self.summary.update(lower_bound=bound, gap=(cost - bound) / cost, congestion_gap=(cost - bound) / (cost - free))

    def check(self, **options) -> CheckReport:
        parts = self.parcels, self.legs, self.loads, self.manifest, self.summary
        return check_plan(self.feed, self.orders, *parts, **{"hours": self.hours, **options})

    def codes(self, **options) -> set[str]:
        return {violation.code for violation in self.check(**options).violations}


@pytest.mark.parametrize(("outcomes", "spread"), [(1, False), (4, False), (4, True)])
def test_a_plan_within_capacity_passes(outcomes: int, spread: bool) -> None:
    """A plan made by hand that fills every seat, with the prices that prove it best, has no violation."""
    report = _Full(outcomes, spread).check()
    assert report.violations == []
    assert (report.overloads, report.checked["certificates_rederived"], report.checked["costs_rederived"]) == (0, 1, 4)
    assert report.checked["refusals_rederived"] == (1 if outcomes == 1 else 0)


def test_handling_that_spreads_over_two_hours_counts_in_both() -> None:
    """With half of its outcomes in each of two hours, a departure brings half a parcel to each."""
    plan = _Full(4, spread=True)
    assert dict(plan.hours.select("hour_at", "parcels").iter_rows()) == {NINE: 0.5, TEN: 1.5}
    plan.allow("nodes", "capacity_per_hour", 1.5, node_id="b")
    plan.put("hours", "capacity_parcels", 1.5)
    assert plan.codes() == set()
    plan.allow("nodes", "capacity_per_hour", 1.4, node_id="b")
    plan.put("hours", "capacity_parcels", 1.4)
    report = plan.check()
    assert [(v.code, v.node) for v in report.violations if v.code != "wrong_total"] == [
        ("over_throughput", "b @ 2024-03-04 10:00Z")
    ]
    assert report.overloads == 1


@pytest.mark.parametrize(("outcomes", "spread", "share"), [(1, False, 1.0), (4, True, 0.5)])
def test_a_price_of_an_hour_proves_as_much_as_one_of_seats(outcomes: int, spread: bool, share: float) -> None:
    """What the truck's seat is worth may stand at the hour its parcels are handled in, for the share that they are."""
    plan = _Full(outcomes, spread)
    plan.allow("departures", "capacity_parcels", None, departure_id="t")
    plan.put("loads", "capacity_parcels", None, departure_id="t")
    plan.put("loads", "shadow_price", 0.0, departure_id="t")
    plan.feed = replace(
        plan.feed,
        closures=random_feeds.frame(
            [{"node_id": "b", "from_at": exhaustive.minute(NINE) + 59, "until_at": exhaustive.minute(NINE) + 60,
              "capacity_factor": share / 10, "delay_minutes": 0}],
            FEED["closures"],
        ),
    )  # fmt: skip
    plan.put("hours", "capacity_parcels", share, hour_at=NINE)
    plan.put("hours", "shadow_price", plan.gains["t"] / share, hour_at=NINE)
    assert plan.codes() == set()
    plan.put("hours", "shadow_price", lambda price: price * 0.9, hour_at=NINE)
    assert plan.codes() == {"bound_too_high"}


def test_a_price_of_grams_proves_as_much_as_one_of_seats() -> None:
    """A truck for one kilogram is as scarce as one for one parcel, and priced a kilogram."""
    plan = _Full()
    plan.allow("departures", "capacity_parcels", None, departure_id="t")
    plan.allow("departures", "capacity_g", 1000.0, departure_id="t")
    plan.put("loads", "capacity_parcels", None, departure_id="t")
    plan.put("loads", "capacity_g", 1000.0, departure_id="t")
    plan.put("loads", "shadow_price", 0.0, departure_id="t")
    plan.put("loads", "shadow_price_per_kg", plan.gains["t"], departure_id="t")
    assert plan.codes() == set()


@pytest.mark.parametrize("outcomes", [1, 4])
@pytest.mark.parametrize(("column", "limit"), [("capacity_parcels", 0.999), ("capacity_g", 999.0)])
def test_a_departure_over_its_capacity_is_named(outcomes: int, column: str, limit: float) -> None:
    """A departure that carries more parcels or grams than the feed allows is a violation and counted."""
    plan = _Full(outcomes)
    plan.allow("departures", column, limit, departure_id="t")
    plan.put("loads", column, limit, departure_id="t")
    report = plan.check()
    over = [v for v in report.violations if v.code == "over_capacity"]
    assert [v.departure for v in over] == ["t @ 2024-03-04 08:00Z"]
    assert report.overloads == 1
    assert "wrong_total" in {v.code for v in report.violations}, "capacity_violations says there is none"


@pytest.mark.parametrize("outcomes", [1, 4])
def test_rounding_is_no_overload(outcomes: int) -> None:
    """A load may exceed a capacity by a millionth of it, and no more."""
    for limit, over in ((1 - 5e-7, 0), (1 - 5e-6, 1)):
        plan = _Full(outcomes)
        plan.allow("departures", "capacity_parcels", limit, departure_id="t")
        assert plan.check().overloads == over


def _refuse_with(reasons: list[str], order: str) -> Callable[[_Full], None]:
    return lambda plan: plan.put("parcels", "reasons", reasons, order_id=order)


def _add_hour(**changed) -> Callable[[_Full], None]:
    """One more row of hours.parquet, like the first but for what is changed."""
    more = {name: pl.lit(value, PLAN_HOURS[name]) for name, value in changed.items()}
    return lambda plan: setattr(plan, "hours", pl.concat([plan.hours, plan.hours.head(1).with_columns(**more)]))


FAULTS: list[tuple[str, Callable[[_Full], None]]] = [
    ("over_throughput", lambda plan: plan.allow("nodes", "capacity_per_hour", 0.5, node_id="b")),
    ("wrong_load", lambda plan: plan.put("hours", "parcels", 2.0, hour_at=NINE)),
    ("wrong_load", lambda plan: plan.put("hours", "parcels", None, hour_at=NINE)),
    ("wrong_load", lambda plan: plan.put("hours", "parcels", float("nan"), hour_at=NINE)),
    ("wrong_load", lambda plan: setattr(plan, "hours", plan.hours.head(1))),
    ("wrong_load", lambda plan: setattr(plan, "hours", None)),
    ("wrong_capacity", lambda plan: plan.put("hours", "capacity_parcels", 9.0, hour_at=NINE)),
    ("wrong_capacity", lambda plan: plan.put("hours", "capacity_parcels", None, hour_at=NINE)),
    ("wrong_capacity", lambda plan: plan.put("loads", "capacity_parcels", None, departure_id="t")),
    ("wrong_hour", _add_hour()),
    ("wrong_hour", _add_hour(hour_at=NINE + timedelta(minutes=30), parcels=0.0)),
    ("wrong_hour", _add_hour(node_id="a", parcels=0.0)),
    ("wrong_hour", _add_hour(node_id="nowhere", parcels=0.0)),
    ("wrong_hour", _add_hour(hour_at=None, parcels=0.0)),
    ("wrong_price", lambda plan: plan.put("loads", "shadow_price", -0.01, departure_id="t")),
    ("wrong_price", lambda plan: plan.put("loads", "shadow_price", float("nan"), departure_id="t")),
    ("wrong_price", lambda plan: plan.put("loads", "shadow_price", float("inf"), departure_id="t")),
    ("wrong_price", lambda plan: plan.put("loads", "shadow_price", None, departure_id="t")),
    ("wrong_price", lambda plan: plan.put("loads", "shadow_price_per_kg", 0.01, departure_id="t")),  # no such limit
    ("wrong_price", lambda plan: plan.put("hours", "shadow_price", -1.0, hour_at=NINE)),
    ("wrong_price", lambda plan: plan.manifest.update(prices="none")),
    ("bound_too_high", lambda plan: plan.put("loads", "shadow_price", 30.0, departure_id="t")),
    ("bound_too_high", lambda plan: plan.put("hours", "shadow_price", 0.001, hour_at=NINE)),  # for ten, nine unused
    ("bound_too_high", lambda plan: plan.bound(plan.summary["cost"] * (1 + 1e-8))),
    ("bound_too_high", lambda plan: plan.bound(plan.summary["cost"] + 1)),
    ("bound_too_low", lambda plan: plan.bound(plan.summary["cost"] * 0.98)),
    ("refused_with_room", lambda plan: plan.allow("departures", "capacity_parcels", 2.0, departure_id="t")),
    ("refused_with_room", lambda plan: plan.allow("departures", "capacity_parcels", None, departure_id="air")),
    ("wrong_reasons", _refuse_with(["no_capacity", "beyond_horizon"], "z")),
    ("wrong_reasons", _refuse_with(["no_capacity"], "w")),
    ("wrong_reasons", _refuse_with(["no_capacity", "after_last_departure"], "w")),
    ("deliverable_unassigned", _refuse_with(["after_last_departure"], "z")),
    ("deliverable_unassigned", lambda plan: plan.manifest.update(prices="none")),
    ("not_cheapest", lambda plan: plan.manifest.update(prices="none")),
    ("wrong_total", lambda plan: plan.manifest.update(prices="none")),  # has a congestion_gap all the same
    ("wrong_total", lambda plan: plan.summary.update(refused=0)),
    ("wrong_total", lambda plan: plan.summary.update(congestion_gap=0.01)),
    ("wrong_total", lambda plan: plan.summary.update(congestion_gap=None)),
    ("wrong_total", lambda plan: plan.summary.update(free_flow_bound=plan.summary["free_flow_bound"] - 0.01)),
    ("wrong_total", lambda plan: plan.summary.update(free_flow_bound=plan.summary["free_flow_bound"] + 0.01)),
    ("wrong_total", lambda plan: plan.summary.update(capacity_violations=1)),
    *(("wrong_total", lambda plan, name=name: plan.summary.pop(name)) for name in totals.PRICED),
]  # fmt: skip


@pytest.mark.parametrize(("code", "plant"), FAULTS, ids=[f"{i}-{code}" for i, (code, _) in enumerate(FAULTS)])
@pytest.mark.parametrize("outcomes", [1, 4])
def test_a_planted_fault_is_named(outcomes: int, code: str, plant: Callable[[_Full], None]) -> None:
    """Whatever is altered in a right plan, the check says so, by the code that names it."""
    plan = _Full(outcomes)
    plant(plan)
    if code == "refused_with_room" and outcomes > 1:  # which policies have room is not told by expected loads
        assert code not in plan.codes()
    else:
        assert code in plan.codes()


def test_a_policy_may_not_be_cheaper_than_the_best() -> None:
    """With prices and several outcomes a parcel may cost more than its optimum alone, never less."""
    for more, code in ((0.5, set()), (-0.5, {"impossible_cost"})):
        plan = _Full(4)
        plan.put("parcels", "cost", lambda cost, more=more: cost + more, order_id="x")
        plan.summary["cost"] += more
        plan.bound(plan.summary["lower_bound"] + min(more, 0.0))
        assert plan.codes() == code


def test_grouped_weights_may_weaken_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that says its weights were grouped may prove less than its prices, never more, and needs no error."""
    plan = _Full()
    monkeypatch.setattr(grouping, "EXACT_WORK", 0)
    plan.summary.update(grouped_weights=True, grouping_error_max_per_parcel=None)
    plan.bound(plan.summary["cost"] * 0.9)
    assert plan.codes() == set()
    plan.summary["free_flow_bound"] -= 0.03
    plan.bound(plan.summary["cost"] * 0.9)
    assert plan.codes() == set(), "how far down that takes a bound nothing says"
    plan.bound(plan.summary["cost"] + 0.1)
    assert plan.codes() == {"bound_too_high"}


@pytest.mark.parametrize(
    ("limit", "room"),
    [
        ({"capacity_parcels": 2.0}, True),  # the very last seat
        ({"capacity_parcels": 2.0, "capacity_g": 2000.0}, True),
        ({"capacity_parcels": 2.0, "capacity_g": 1999.0}, False),
        ({"capacity_parcels": 2.0, "capacity_per_hour": 2.0}, True),
        ({"capacity_parcels": 2.0, "capacity_per_hour": 1.0}, False),
        ({"capacity_parcels": 1.9}, False),
    ],
)
def test_room_is_room_in_every_respect(limit: dict[str, float], room: bool) -> None:
    """A refused parcel had room only where seats, grams and the hour at the next node all sufficed."""
    plan = _Full()
    for column, value in limit.items():
        table, where = ("nodes", {"node_id": "b"}) if column in plan.feed.nodes.columns else ("departures", {})
        plan.allow(table, column, value, **(where or {"departure_id": "t"}))
    assert ("refused_with_room" in plan.codes()) == room


def test_all_pieces_need_room_together() -> None:
    """One seat left is none for an order of two pieces, whose price of refusal counts twice."""
    plan = _Full()
    plan.orders = plan.orders.with_columns(pieces=pl.when(pl.col("order_id") == "z").then(2).otherwise("pieces"))
    plan.allow("departures", "capacity_parcels", 2.0, departure_id="t")
    assert "refused_with_room" not in plan.codes()
    plan.allow("departures", "capacity_parcels", 3.0, departure_id="t")
    assert "refused_with_room" in plan.codes()


def test_a_sample_proves_nothing_of_the_whole() -> None:
    """Where not every optimum was found again the certificate is left alone, and the report says so."""
    plan = _Full()
    plan.put("loads", "shadow_price", 30.0, departure_id="t")
    report = plan.check(sample=2)
    assert report.violations == []
    assert (report.checked["certificates_rederived"], report.checked["costs_rederived"]) == (0, 2)


def test_a_plan_on_disk_may_lack_its_hours(tmp_path: Path) -> None:
    """A plan is written, read and checked with its hours; one without the file has none, which nodes' limits belie."""
    full = _Full()
    made = Plan(full.parcels, full.legs, full.loads, full.summary, full.manifest, hours=full.hours)
    folder = made.write(tmp_path / "plan")
    assert read_plan(folder).hours.equals(full.hours)
    assert check(full.feed, full.orders, folder).violations == []
    (folder / "hours.parquet").unlink()
    assert {v.code for v in check(full.feed, full.orders, folder).violations} == {"wrong_load"}
    full.allow("nodes", "capacity_per_hour", None)
    assert check(full.feed, full.orders, folder).violations == []


@given(case=random_feeds.tight_cases((1, 2, 3)))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_prices_prove_what_the_linear_program_says(case: random_feeds.Case) -> None:
    """Under the prices of a linear program the check finds its optimum proved: no bound above it, none far below."""
    pytest.importorskip("highspy")
    import capacity_lp

    begin = exhaustive.minute(case.start)
    found = capacity_lp.solve(case.feed, case.orders, begin, begin + case.horizon_days * 1440, case.outcomes)
    plan = exhaustive.plan(case.feed, case.orders, case.start, case.horizon_days, case.outcomes)
    plan.manifest["prices"] = "capacity"
    keys = {**found.seats, **found.kilograms}.keys()
    loads = [
        {"departure_id": name, "depart_at": exhaustive.instant(at), "parcels": 0.0, "grams": 0.0,
         "shadow_price": found.seats.get((name, at), 0.0), "shadow_price_per_kg": found.kilograms.get((name, at), 0.0)}
        for name, at in keys
    ]  # fmt: skip
    hours = [
        {"node_id": node, "hour_at": exhaustive.instant(at), "parcels": 0.0, "shadow_price": price}
        for (node, at), price in found.hours.items()
    ]
    frames = pl.DataFrame(loads, schema=PLAN_LOADS), pl.DataFrame(hours, schema=PLAN_HOURS)

    def codes(bound: float) -> set[str]:
        plan.summary["lower_bound"] = bound
        parts = plan.parcels, plan.legs, frames[0], plan.manifest, plan.summary
        return {v.code for v in check_plan(case.feed, case.orders, *parts, hours=frames[1]).violations}

    slack = 1e-5 * max(1.0, found.cost)
    low = codes(found.cost - slack)
    assert "wrong_price" not in low
    assert "bound_too_high" not in low or found.cost - slack > plan.summary["cost"]  # the plan is not the program's
    assert "bound_too_high" in codes(found.cost + slack)
    if found.cost > 1:
        assert "bound_too_low" not in low
        assert "bound_too_low" in codes(0.98 * found.cost)
