"""The check says nothing about right plans and names every planted fault."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import exhaustive
import polars as pl
import pytest
import random_feeds
from hypothesis import HealthCheck, given, settings

from rookery.planning.check import CODES, check_plan, grouping, totals
from rookery.terms.frames import FEED, ORDERS, Feed, FeedInfo

START = datetime(2024, 3, 4, tzinfo=UTC)  # a Monday


def _feed() -> Feed:
    """a -> b by truck (cheap, early) or air (dear, late, general goods only), b -> c by truck in the evening."""
    week = dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), True)
    node = {"kind": "hub", "country": "DE", "timezone": "Europe/Berlin", "handling_minutes": 30}
    lane = {"accepts": ["general", "battery"], "carrier_id": "c1"}
    run = {"calendar_id": "daily", "cutoff_minutes": 30, "cost_per_kg": 0.5, "transit_id": "spread"}
    rows = {
        "nodes": [{"node_id": n, **node} for n in "abcd"],
        "lanes": [
            {**lane, "lane_id": "ab", "from_node": "a", "to_node": "b", "mode": "truck"},
            {**lane, "lane_id": "ab-air", "from_node": "a", "to_node": "b", "mode": "air", "accepts": ["general"]},
            {**lane, "lane_id": "bc", "from_node": "b", "to_node": "c", "mode": "truck", "max_side_mm": 900.0,
             "max_weight_g": 9000.0},
        ],
        "departures": [
            {**run, "departure_id": "ab1", "lane_id": "ab", "depart_minute": 480, "transit_minutes": 300,
             "cost_per_parcel": 4.0, "capacity_parcels": 5.0},
            {**run, "departure_id": "air1", "lane_id": "ab-air", "depart_minute": 720, "transit_minutes": 60,
             "cost_per_parcel": 9.0},
            {**run, "departure_id": "bc1", "lane_id": "bc", "depart_minute": 1080, "transit_minutes": 120,
             "cost_per_parcel": 3.0},
        ],
        "transit": [{"transit_id": "spread", "quantile": q, "factor": f} for q, f in ((0, 0.9), (0.5, 1), (1, 3))],
        "calendars": [
            {"calendar_id": "daily", **week, "start_on": date(2024, 3, 1), "end_on": date(2024, 3, 31)}
        ],
        "services": [
            {"service_id": "next", "due_days": 1, "confidence": 0.9, "late_cost": 20.0, "late_cost_per_day": 1.0,
             "time_cost_per_day": 6.0, "unassigned_cost": 1000.0, "modes": ["truck", "air"]},
        ],
    }  # fmt: skip
    info = FeedInfo("small", "1", "EUR")
    return Feed(info, **{name: random_feeds.frame(rows.get(name, []), schema) for name, schema in FEED.items()})


def _orders() -> pl.DataFrame:
    ready = exhaustive.minute(START)
    row = {"from_node": "a", "to_node": "c", "ready_at": ready, "goods": "general", "pieces": 1, "service_id": "next"}
    return random_feeds.frame(
        [
            {**row, "order_id": "early", "weight_g": 1000.0, "pieces": 2},
            {**row, "order_id": "noon", "weight_g": 500.0, "ready_at": ready + 540},
            {**row, "order_id": "big", "weight_g": 700.0, "length_mm": 500.0, "width_mm": 400.0, "height_mm": 300.0},
            {**row, "order_id": "lane", "weight_g": 100.0, "to_node": "d"},
            {**row, "order_id": "last", "weight_g": 100.0, "ready_at": ready + 99 * 1440},
        ],
        ORDERS,
    )


def _plan(outcomes: int) -> exhaustive.Plan:
    return exhaustive.plan(_feed(), _orders(), START, 5, outcomes)


def _codes(plan: exhaustive.Plan, **options) -> set[str]:
    return {v.code for v in check_plan(_feed(), _orders(), *plan.parts(), **options).violations}


@given(case=random_feeds.cases().map(random_feeds.roomy))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_check_agrees_with_the_exhaustive_reference(case: random_feeds.Case) -> None:
    """Two implementations of the public text that share no code find the same costs, times, chances and reasons."""
    plan = exhaustive.plan(case.feed, case.orders, case.start, case.horizon_days, case.outcomes)
    report = check_plan(case.feed, case.orders, *plan.parts())
    assert report.violations == []
    assert report.checked["orders"] == case.orders.height


@pytest.mark.parametrize("outcomes", [1, 4])
def test_a_right_plan_passes(outcomes: int) -> None:
    """A plan built by hand from the public text has no violation, and every parcel's optimum was found again."""
    plan = _plan(outcomes)
    report = check_plan(_feed(), _orders(), *plan.parts())
    assert report.violations == []
    assert plan.parcels["status"].to_list() == ["planned"] * 3 + ["unassigned"] * 2
    assert report.checked["costs_rederived"] == 4  # all but the one no lane leads to
    assert report.overloads == 0


def _set(table: str, column: str, value, **where) -> Callable[[exhaustive.Plan], None]:
    """A fault: `column` of the rows that match `where` becomes `value` (or what it makes of the old one)."""

    def apply(plan: exhaustive.Plan) -> None:
        frame: pl.DataFrame = getattr(plan, table)
        hit = pl.lit(True)
        for name, wanted in where.items():
            hit = hit & (pl.col(name) == wanted)
        new = value(pl.col(column)) if callable(value) else pl.lit(value, dtype=frame.schema[column])
        assert frame.filter(hit).height > 0
        setattr(plan, table, frame.with_columns(pl.when(hit).then(new).otherwise(pl.col(column)).alias(column)))

    return apply


def _rows(table: str, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[exhaustive.Plan], None]:
    """A fault that edits the rows of a table."""
    return lambda plan: setattr(plan, table, edit(getattr(plan, table)))


def _both(*faults: Callable[[exhaustive.Plan], None]) -> Callable[[exhaustive.Plan], None]:
    return lambda plan: [fault(plan) for fault in faults][-1]


def _later(**by) -> Callable[[pl.Expr], pl.Expr]:
    return lambda column: column.dt.offset_by("".join(f"{n}{unit}" for unit, n in by.items()))


def _leave_out(order: str) -> Callable[[exhaustive.Plan], None]:
    """Refuses an order that could be brought."""
    return _both(
        _rows("legs", lambda f: f.filter(pl.col("order_id") != order)),
        _set("parcels", "status", "unassigned", order_id=order),
        _set("parcels", "reasons", ["no_capacity"], order_id=order),
        _set("parcels", "cost", 1000.0, order_id=order),
        _set("parcels", "legs", 0, order_id=order),
    )


def _move(order: str, seq: int, days: int) -> Callable[[exhaustive.Plan], None]:
    """Puts a leg on the same departure of another day, its times consistent."""
    return _both(*(_set("legs", f"{what}_at", _later(d=days), order_id=order, seq=seq) for what in
                   ("cutoff", "depart", "arrive")))  # fmt: skip


FAULTS: list[tuple[str, Callable[[exhaustive.Plan], None]]] = [
    ("missing_order", _rows("parcels", lambda f: f.filter(pl.col("order_id") != "noon"))),
    ("duplicate_order", _rows("parcels", lambda f: pl.concat([f, f.head(1)]))),
    ("unknown_order", _set("parcels", "order_id", "ghost", order_id="noon")),
    ("wrong_status", _set("parcels", "status", "lost", order_id="noon")),
    ("wrong_service", _set("parcels", "service_id", "slow", order_id="noon")),
    ("wrong_chargeable", _set("parcels", "chargeable_g", 700.0, order_id="big")),
    ("wrong_due", _set("parcels", "due_at", _later(h=1), order_id="early")),
    ("wrong_leg_count", _set("parcels", "legs", 3, order_id="early")),
    ("wrong_leg_count", _set("legs", "seq", 5, order_id="early", seq=2)),
    ("stray_leg", _set("legs", "order_id", "ghost", order_id="noon")),
    ("stray_leg", _both(_leave_out("noon"), lambda plan: setattr(plan, "legs", _plan(1).legs))),
    ("no_such_departure", _set("legs", "depart_at", _later(m=30), order_id="noon", seq=1)),
    ("no_such_departure", _set("legs", "departure_id", "zz", order_id="noon", seq=1)),
    ("no_such_departure", _move("noon", 2, 60)),
    ("no_such_departure", _set("loads", "depart_at", _later(m=1), departure_id="air1")),
    ("wrong_leg_fact", _set("legs", "lane_id", "ab", order_id="noon", seq=1)),
    ("wrong_leg_fact", _set("legs", "carrier_id", "c2", order_id="noon", seq=1)),
    ("wrong_cutoff", _set("legs", "cutoff_at", _later(m=30), order_id="early", seq=1)),
    ("wrong_arrival", _set("legs", "arrive_at", _later(m=-1), order_id="early", seq=2)),
    ("teleport", _rows("legs", lambda f: f.filter((pl.col("order_id") != "early") | (pl.col("seq") == 2)))),
    ("teleport", _rows("legs", lambda f: f.filter((pl.col("order_id") != "early") | (pl.col("seq") == 1)))),
    ("missed_cutoff", _move("early", 1, 1)),
    ("missed_cutoff", _set("legs", "order_id", lambda column: pl.lit("noon"), order_id="early", seq=1)),
    ("wrong_leg_cost", _set("legs", "cost", lambda column: column + 0.01, order_id="early", seq=1)),
    ("wrong_leg_cost", _set("legs", "cost", lambda column: column / 2, order_id="early")),  # pieces forgotten
    ("wrong_transport_cost", _set("parcels", "transport_cost", 1.0, order_id="early")),
    ("wrong_cost", _set("parcels", "cost", lambda column: column + 0.5, order_id="early")),
    ("wrong_cost", _set("parcels", "cost", 50.0, order_id="last")),
    ("not_cheapest", _set("parcels", "cost", lambda column: column + 0.5, order_id="early")),
    ("impossible_cost", _set("parcels", "cost", lambda column: column - 0.5, order_id="early")),
    ("wrong_expected", _set("parcels", "expected_at", _later(h=-2), order_id="early")),
    ("wrong_chance", _set("parcels", "on_time_probability", 1.5, order_id="early")),
    ("wrong_chance", _set("parcels", "on_time_probability", 0.5, order_id="early")),
    ("wrong_promise", _set("parcels", "promised_at", _later(d=1), order_id="early")),
    ("wrong_promise", _set("parcels", "promised_at", _later(h=1), order_id="early")),
    ("deliverable_unassigned", _leave_out("noon")),
    ("unknown_reason", _set("parcels", "reasons", ["bad_luck"], order_id="last")),
    ("unknown_reason", _set("parcels", "reasons", [], order_id="last")),
    ("unknown_reason", _set("parcels", "reasons", ["no_lane"], order_id="early")),
    ("wrong_reasons", _set("parcels", "reasons", ["over_weight"], order_id="lane")),
    ("wrong_reasons", _set("parcels", "reasons", ["no_lane"], order_id="last")),
    ("wrong_reasons", _set("parcels", "reasons", ["beyond_horizon"], order_id="last")),
    ("wrong_load", _set("loads", "parcels", lambda column: column + 1, departure_id="air1")),
    ("wrong_load", _set("loads", "grams", lambda column: column / 2, departure_id="ab1")),
    ("lost_flow", _set("loads", "parcels", lambda column: column + 1, departure_id="air1")),
    ("wrong_load", _rows("loads", lambda f: f.filter(pl.col("departure_id") != "bc1"))),
    ("wrong_capacity", _set("loads", "capacity_parcels", 50.0, departure_id="ab1")),
    ("wrong_price", _set("loads", "shadow_price", 0.5, departure_id="ab1")),  # of a plan without prices
    ("wrong_total", lambda plan: plan.summary.update(cost=plan.summary["cost"] + 1)),
    ("wrong_total", lambda plan: plan.summary.update(parcels=5)),  # orders instead of pieces
    ("bound_too_high", lambda plan: plan.summary.update(lower_bound=plan.summary["cost"] + 1)),
    ("wrong_total", lambda plan: plan.summary.update(lower_bound=plan.summary["cost"] / 2)),  # not its gap
    ("wrong_total", lambda plan: plan.summary.update(lower_bound=float("nan"))),
    ("wrong_total", lambda plan: plan.summary.update(gap=0.01)),
    ("wrong_total", lambda plan: plan.summary.update(on_time_expected=1.0)),
    ("wrong_total", lambda plan: plan.summary.update(capacity_violations=1)),
    ("wrong_total", lambda plan: plan.summary.update(unassigned={"no_lane": 2})),
    ("wrong_total", lambda plan: plan.summary.update(unassigned=2)),
    ("wrong_total", lambda plan: plan.summary.update(planned="4")),
    *(("wrong_total", lambda plan, name=name: plan.summary.pop(name)) for name in totals.FIGURES),
]  # fmt: skip


@pytest.mark.parametrize(("code", "plant"), FAULTS, ids=[f"{i}-{code}" for i, (code, _) in enumerate(FAULTS)])
def test_a_planted_fault_is_named(code: str, plant: Callable[[exhaustive.Plan], None]) -> None:
    """Whatever is altered in a right plan, the check says so, by the code that names it."""
    plan = _plan(1)
    plant(plan)
    assert code in _codes(plan)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("barred_goods", {"goods": "liquid"}),
        ("over_weight", {"weight_g": 9000.5}),
        ("over_size", {"length_mm": 901.0}),
        ("barred_mode", {"service_id": "sea"}),
    ],
)
def test_a_barred_parcel_is_named(code: str, change: dict) -> None:
    """Legs on a lane whose limits the parcel breaks are faults: goods, weight, side and mode."""
    plan, feed = _plan(1), _feed()
    sea = feed.services.with_columns(service_id=pl.lit("sea"), modes=pl.lit(["sea"]))
    feed = Feed(**{**feed.__dict__, "services": pl.concat([feed.services, sea])})
    orders = _orders().with_columns(pl.lit(value).alias(name) for name, value in change.items())
    codes = {v.code for v in check_plan(feed, orders, *plan.parts()).violations}
    assert {code, "undeliverable_planned"} <= codes


@pytest.mark.parametrize(
    ("code", "plant"),
    [
        ("not_cheapest", _set("parcels", "cost", lambda column: column + 0.01, order_id="early")),
        ("not_cheapest", _set("parcels", "cost", float("nan"), order_id="early")),
        ("wrong_total", _set("parcels", "cost", float("nan"), order_id="early")),
        ("impossible_cost", _set("parcels", "cost", lambda column: column - 0.01, order_id="early")),
        ("wrong_chance", _set("parcels", "on_time_probability", lambda column: column - 0.1, order_id="early")),
        ("wrong_expected", _set("parcels", "expected_at", _later(h=1), order_id="early")),
        ("wrong_promise", _set("parcels", "promised_at", _later(d=1), order_id="early")),
        ("wrong_load", _set("loads", "parcels", lambda column: column + 0.25, departure_id="bc1")),
        ("wrong_load", _set("loads", "grams", float("nan"), departure_id="bc1")),
        ("lost_flow", _set("loads", "parcels", lambda column: column + 0.25, departure_id="bc1")),
        ("lost_flow", _set("loads", "grams", lambda column: column / 2, departure_id="bc1")),
        ("wrong_itinerary", _move("noon", 2, 1)),
    ],
)
def test_a_fault_in_an_expectation_is_named(code: str, plant: Callable[[exhaustive.Plan], None]) -> None:
    """With several outcomes, costs, chances, times and loads are held against the best policy's."""
    plan = _plan(4)
    plant(plan)
    assert code in _codes(plan)


def test_a_sample_is_drawn_and_said() -> None:
    """With a sample, only so many optima are found again, and the report says how many."""
    plan = _plan(4)
    report = check_plan(_feed(), _orders(), *plan.parts(), sample=2)
    assert report.checked["costs_rederived"] == 2
    assert report.checked["loads_added_up"] == 0
    assert report.violations == []


@pytest.mark.parametrize("sample", [0, 1, 2, 3, 4, 5])
def test_a_sample_has_its_size(sample: int) -> None:
    """As many optima are found again as were asked for and exist, none for 0, refused parcels among them."""
    plan = _plan(4)
    report = check_plan(_feed(), _orders(), *plan.parts(), sample=sample)
    assert report.checked["costs_rederived"] == min(sample, 4)
    assert report.violations == []
    _leave_out("noon")(plan)
    assert sample in (0, 1) or "deliverable_unassigned" in _codes(plan, sample=sample)


def _grouped(monkeypatch: pytest.MonkeyPatch, error: float | None) -> exhaustive.Plan:
    """A plan that says its weights are grouped, each piece at most so much dearer, one parcel 0.15 dearer."""
    plan = _plan(4)
    _set("parcels", "cost", lambda column: column + 0.15, order_id="noon")(plan)
    bound = plan.summary["cost"]
    cost = bound + 0.15
    plan.summary.update(cost=cost, lower_bound=bound - 1, gap=(cost - bound + 1) / cost)
    plan.summary.update(grouped_weights=True, grouping_error_max_per_parcel=error)
    monkeypatch.setattr(grouping, "EXACT_WORK", 3 * len(_runs()) * 4)
    return plan


def _runs() -> list[exhaustive.Run]:
    start = exhaustive.minute(START)
    return exhaustive.Network(_feed(), start, start + 5 * 1440, 4).runs


def test_an_admitted_grouping_error_is_allowed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that says its grouping may cost 0.2 a piece may be that much dearer, and no more."""
    assert _codes(_grouped(monkeypatch, 0.2)) == set()
    assert _codes(_grouped(monkeypatch, 0.14)) == {"not_cheapest"}


def test_a_grouping_error_must_be_earned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that does not say it grouped weights, or had too little to do for that, is allowed no error."""
    plan = _grouped(monkeypatch, 0.2)
    plan.summary["grouped_weights"] = False
    assert _codes(plan) == {"not_cheapest"}
    plan = _grouped(monkeypatch, 0.2)
    monkeypatch.setattr(grouping, "EXACT_WORK", 6 * len(_runs()) * 4)  # five orders cannot be six classes
    assert _codes(plan) == {"not_cheapest"}


def test_a_grouping_error_is_no_more_than_the_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a plan allows itself, and what of it is found used, must fit between its lower bound and its cost."""
    assert _codes(_grouped(monkeypatch, 1.2)) == {"wrong_total"}
    assert "wrong_total" in _codes(_grouped(monkeypatch, -0.2))
    assert "wrong_total" in _codes(_grouped(monkeypatch, None))
    plan = _grouped(monkeypatch, 0.2)
    cost = plan.summary["cost"]
    plan.summary.update(lower_bound=cost - 0.1, gap=0.1 / cost)
    assert _codes(plan, sample=5) == {"wrong_total", "bound_too_high"}


def test_a_bound_above_the_sum_of_optima_is_named() -> None:
    """With every optimum found again, a lower bound between their sum and the plan's cost is no bound."""
    plan = _plan(4)
    _set("parcels", "cost", lambda column: column + 0.15, order_id="noon")(plan)
    cost = plan.summary["cost"] + 0.15
    plan.summary.update(cost=cost, lower_bound=cost - 0.1, gap=0.1 / cost)
    told = [v.expected for v in check_plan(_feed(), _orders(), *plan.parts()).violations if v.code == "bound_too_high"]
    assert len(told) == 1
    assert "the sum of the optima" in told[0]


def test_orders_for_unknown_services_are_not_expected() -> None:
    """An order for a service the feed lacks is counted as left out; a plan that has it all the same is wrong."""
    more = _orders().head(1).with_columns(order_id=pl.lit("odd"), service_id=pl.lit("none such"))
    orders = pl.concat([_orders(), more])
    plan = exhaustive.plan(_feed(), orders, START, 5, 1)
    report = check_plan(_feed(), orders, *plan.parts())
    assert (report.violations, report.checked["orders_left_out"]) == ([], 1)
    _rows("parcels", lambda f: pl.concat([f, f.head(1).with_columns(order_id=pl.lit("odd"))]))(plan)
    assert {v.code for v in check_plan(_feed(), orders, *plan.parts()).violations} == {"unknown_order"}


def _ties() -> tuple[Feed, pl.DataFrame]:
    """Time costs nothing and nothing is ever late: every day's departures are as good, the first the earliest."""
    feed = _feed()
    services = feed.services.with_columns(
        due_days=pl.lit(None, pl.Int64), time_cost_per_day=pl.lit(0.0), modes=pl.lit(["truck"])
    )
    return replace(feed, services=services), _orders().filter(pl.col("order_id") == "early")


@pytest.mark.parametrize("outcomes", [1, 4])
def test_ties_go_to_the_earlier_delivery(outcomes: int) -> None:
    """Of equal costs the plan may not take the later delivery, unless its weights were grouped."""
    feed, orders = _ties()
    plan = exhaustive.plan(feed, orders, START, 5, outcomes)
    assert check_plan(feed, orders, *plan.parts()).violations == []
    late = exhaustive.plan(feed, orders, START + timedelta(days=1), 4, outcomes)  # cannot take the first day
    late.manifest, late.summary = plan.manifest, late.summary
    report = check_plan(feed, orders, *late.parts())
    assert [v.code for v in report.violations] == ["wrong_expected"]


def test_ties_of_groups_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where weights may be grouped, the later of two deliveries of equal cost is no violation."""
    feed, orders = _ties()
    late = exhaustive.plan(feed, orders, START + timedelta(days=1), 4, 4)
    late.manifest = exhaustive.plan(feed, orders, START, 5, 4).manifest
    late.summary.update(grouped_weights=True, grouping_error_max_per_parcel=0.0)
    monkeypatch.setattr(grouping, "EXACT_WORK", 0)
    assert check_plan(feed, orders, *late.parts()).violations == []


def test_codes_and_page_agree() -> None:
    """Every code of the check stands in the reference page, and no other."""
    page = (Path(__file__).parents[2] / "docs/reference/check.md").read_text()
    assert set(re.findall(r"^\| `(\w+)`", page, flags=re.MULTILINE)) == set(CODES)
