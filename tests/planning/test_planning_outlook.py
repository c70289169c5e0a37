"""What an outlook tells of a parcel is what trying every outcome tells, wherever the parcel is."""

from __future__ import annotations

from bisect import bisect_left
from random import Random

import numpy as np
import polars as pl
import pytest
import random_feeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.flows.living.ground import Ground
from rookery.flows.planning import model_of, plan
from rookery.network import place
from rookery.planning.capacity.resources import Prices
from rookery.planning.ops import Model, day_end
from rookery.planning.outlook import LOOK, OUTLOOK, Outlook, make_outlook
from rookery.planning.outlook_classes import CLASSES
from rookery.planning.tables import parcel_tables
from rookery.terms.frames import Orders
from rookery.terms.time import DAY, NEVER, to_minute

_many = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def _cases(outcomes: tuple[int, ...] = (1, 2, 3, 4, 8)) -> st.SearchStrategy[random_feeds.Case]:
    """Random cases in which nothing is full, and every weight is in the middle of its bucket."""
    middle = pl.when(pl.col("weight_g") < 1000).then(500.0).otherwise(2000.0)
    bare = [pl.lit(None, pl.Float64).alias(side) for side in ("length_mm", "width_mm", "height_mm")]

    def plain(case: random_feeds.Case) -> random_feeds.Case:
        case = random_feeds.roomy(case)
        return random_feeds.Case(
            case.feed, case.orders.with_columns(*bare, weight_g=middle), case.start, case.horizon_days, case.outcomes
        )

    return random_feeds.cases(outcomes).map(plain)


def _compiled(case: random_feeds.Case) -> tuple[Model, pl.DataFrame]:
    """The model of a case and its parcels that are somewhere and wanted elsewhere."""
    model = model_of(case.feed, to_minute(case.start), case.horizon_days, case.outcomes)
    parcels, _ = place(case.feed, case.orders)
    return model, parcels.filter(
        (pl.col("origin") >= 0) & (pl.col("destination") >= 0) & (pl.col("origin") != pl.col("destination"))
    )


def _outlook(model: Model, parcels: pl.DataFrame, **more) -> Outlook:
    return make_outlook(model, Prices.none(model.resources), np.zeros(0, int), _classes(parcels), threads=1, **more)


def _classes(parcels: pl.DataFrame) -> pl.DataFrame:
    return parcels.select(CLASSES.keys()).cast(CLASSES)  # type: ignore[arg-type]


def _asked(parcels: pl.DataFrame, **state) -> pl.DataFrame:
    """The parcels at their origins, or as `state` says (a value, or a list of one for each)."""
    usual: dict = {
        "parcel": list(range(parcels.height)), "node": parcels["origin"].to_list(),
        "ready_at": parcels["start_at"].to_list(), "riding": -1, "late": 0, "booked": [[]] * parcels.height,
        "last_mile_at": None,
    }  # fmt: skip
    every = {
        name: values if isinstance(values, list) else [values] * parcels.height
        for name, values in {**usual, **state}.items()
    }
    columns = [pl.Series(name, values, dtype=LOOK[name], strict=False) for name, values in every.items()]
    return parcels.select(*CLASSES, "confidence").with_columns(columns).select(LOOK.keys()).cast(LOOK)  # type: ignore[arg-type]


class _Truth:
    """One parcel's future by plain recursion over all outcomes, along its bookings and given rides of the policy."""

    def __init__(self, model: Model, parcel: dict, booked: list[int], policy):
        table = model.timetable
        self.net, self.median, self.never = table.net, table.net.median_ready, int(NEVER)
        self.goal, self.booked, self.policy = parcel["destination"], booked, policy
        self.miles = model.miles.minutes[parcel["zone"]].tolist()
        self.leaving: dict[int, list[int]] = {}
        for row in np.argsort(table.cutoff, kind="stable").tolist():
            self.leaving.setdefault(int(self.net.frm[row]), []).append(row)
        self.cutoff = table.cutoff

    def ride(self, node: int, minute: int) -> tuple[int, bool] | None:
        """What it rides that is ready at a node at a minute: (row, whether booked)."""
        if minute >= self.never:
            return None
        rows = self.leaving.get(node, [])
        rows = rows[bisect_left([int(self.cutoff[row]) for row in rows], minute) :]
        for row in self.booked:
            if row in rows:
                return row, True
        for row in rows:
            if self.policy(row):
                return row, False
        return None

    def ends(self, node: int, minute: int, share: float) -> list[tuple[int, float, tuple[int, ...]]]:
        """(minute of delivery, its chance, rows ridden) of every outcome that delivers."""
        if minute >= self.never:
            return []
        if node == self.goal:
            return [(minute + mile, share / len(self.miles), ()) for mile in self.miles]
        taken = self.ride(node, minute)
        if taken is None:
            return []
        row, _ = taken
        ready = self.net.ready[row].tolist()
        after = [end for k in ready for end in self.ends(int(self.net.to[row]), k, share / len(ready))]
        return [(at, chance, (row, *ridden)) for at, chance, ridden in after]

    def riding(self, row: int, late: int) -> list[tuple[int, float, tuple[int, ...]]]:
        ready = [k if k == self.never else k + late for k in self.net.ready[row].tolist()]
        return [end for k in ready for end in self.ends(int(self.net.to[row]), k, 1 / len(ready))]

    def itinerary(self, node: int, minute: int) -> tuple[list[int], bool]:
        """The rows along median times, and whether one of them is not booked."""
        rows, strays = [], False
        while node != self.goal and (taken := self.ride(node, minute)) is not None:
            rows.append(taken[0])
            strays |= not taken[1]
            node, minute = int(self.net.to[taken[0]]), int(self.median[taken[0]])
        return rows, strays


def _policy(model: Model, parcels: pl.DataFrame, number: int):
    """Whether the policy of one parcel, made by the planner for it alone, rides a row."""
    parcel = parcels[number]
    wish = [parcel[name].to_list() for name in ("due_at", "late_cost", "late_cost_per_day", "time_cost_per_day")]
    tables = parcel_tables(model.timetable, model.miles, parcel, *wish)
    place_of = model.timetable.net.place
    return lambda row: bool(tables.ride[place_of[row]] & 1) and np.isfinite(tables.value[row, 0])


def _holds(told: dict, ends, itinerary, asked: dict, model: Model) -> None:
    """Holds one row of an outlook against every outcome."""
    rows, strays = itinerary
    assert told["legs"] == rows
    assert told["policy"] == strays
    sure = sum(chance for _, chance, _ in ends)
    if sure == 0:
        assert told["why"] == "no_way"
        assert told["chance"] == (0.0 if asked["due_at"] < model.timetable.end else None)
        assert told["expected_at"] is None and told["by_at"] is None and told["cost"] is None
        return
    assert told["why"] is None
    assert told["chance"] == pytest.approx(sum(c for at, c, _ in ends if at <= asked["due_at"]), abs=1e-9)
    assert told["expected_at"] == pytest.approx(sum(at * c for at, c, _ in ends) / sure, abs=0.51)
    by, so_far = None, 0.0
    for at, chance, _ in sorted(ends):
        so_far += chance
        if so_far >= asked["confidence"] - 1e-9:
            by = at
            break
    assert told["by_at"] == by
    if sure == pytest.approx(1.0):  # else what was ridden in vain is paid too
        net, kilograms = model.timetable.net, asked["chargeable_g"] / 1000
        price = sum(c * sum(net.fixed[r] + net.per_kg[r] * kilograms for r in ridden) for _, c, ridden in ends)
        assert told["cost"] == pytest.approx(price, abs=1e-6)


def _some_rows(random: Random, model: Model, most: int) -> list[int]:
    count = len(model.timetable.cutoff)
    return sorted(random.sample(range(count), min(count, random.randint(0, most))))


@_many
@given(_cases((1, 2, 3)), st.randoms(use_true_random=False))
def test_standing_anywhere_every_outcome_is_counted(case, random):
    """At any node at any minute, with any rows booked, the outlook is what all outcomes, one by one, come to."""
    model, parcels = _compiled(case)
    for number in range(parcels.height):
        parcel = parcels[number]
        outlook = _outlook(model, parcel)
        node = random.randrange(model.feed.nodes.height)
        ready = model.timetable.start + random.randrange(2 * DAY)
        booked = _some_rows(random, model, 6)
        asked = _asked(parcel, node=node, ready_at=ready, booked=[booked])
        told = outlook.look(asked).row(0, named=True)
        truth = _Truth(model, parcel.row(0, named=True), booked, _policy(model, parcels, number))
        _holds(told, truth.ends(node, ready, 1.0), truth.itinerary(node, ready), asked.row(0, named=True), model)


@_many
@given(_cases((1, 2, 3)), st.randoms(use_true_random=False))
def test_riding_late_every_outcome_is_counted(case, random):
    """On any ride that left any time after schedule, what is ahead is what its outcomes, that much later, come to."""
    model, parcels = _compiled(case)
    count = len(model.timetable.cutoff)
    for number in range(parcels.height if count else 0):
        parcel = parcels[number]
        row, late = random.randrange(count), random.choice([0, 0, 1, 25, 60, 300, 1500])
        booked = _some_rows(random, model, 6)
        asked = _asked(parcel, node=-1, ready_at=0, riding=row, late=late, booked=[booked])
        told = _outlook(model, parcel).look(asked).row(0, named=True)
        truth = _Truth(model, parcel.row(0, named=True), booked, _policy(model, parcels, number))
        landed = int(model.timetable.net.median_ready[row])
        rows, strays = [], False
        if landed != int(NEVER):
            rows, strays = truth.itinerary(int(model.timetable.net.to[row]), landed + late)
        _holds(told, truth.riding(row, late), ([row, *rows], strays), asked.row(0, named=True), model)


@_many
@given(_cases((1, 2, 3)), st.randoms(use_true_random=False))
def test_where_nobody_knows_whether_it_left_either_counts_half(case, random):
    """It stands at a node or rides what it was to leave with: half of all outcomes of either; legs go from there."""
    model, parcels = _compiled(case)
    count = len(model.timetable.cutoff)
    for number in range(parcels.height if count else 0):
        parcel = parcels[number]
        row, late = random.randrange(count), random.choice([0, 60, 300])
        node, minute = int(model.timetable.net.frm[row]), int(model.timetable.depart[row]) + late
        booked = _some_rows(random, model, 6)
        asked = _asked(parcel, node=node, ready_at=minute, riding=row, late=late, booked=[booked])
        told = _outlook(model, parcel).look(asked).row(0, named=True)
        truth = _Truth(model, parcel.row(0, named=True), booked, _policy(model, parcels, number))
        ends = [(at, chance / 2, ridden) for at, chance, ridden in truth.riding(row, late)]
        _holds(
            told, ends + truth.ends(node, minute, 0.5), truth.itinerary(node, minute), asked.row(0, named=True), model
        )


@_many
@given(_cases())
def test_before_anything_happened_it_is_the_plan(case):
    """At their origins, nothing booked, parcels have the plan's chance, legs, expected minute and promise."""
    model, parcels = _compiled(case)
    found = plan(
        case.feed, Orders(case.orders), start=case.start, horizon_days=case.horizon_days, outcomes=case.outcomes
    )
    planned = {row["order_id"]: row for row in found.parcels.iter_rows(named=True)}
    legs = found.legs.group_by("order_id").agg("departure_id", "depart_at")
    ridden = {order: list(zip(ids, at)) for order, ids, at in legs.iter_rows()}
    for number in range(parcels.height):
        parcel = parcels[number]
        outlook = _outlook(model, parcel)
        told, of = outlook.look(_asked(parcel)).row(0, named=True), planned[parcel["order_id"][0]]
        if of["status"] == "unassigned":
            assert told["why"] == "no_way" and told["legs"] == []
            continue
        assert told["chance"] == pytest.approx(of["on_time_probability"], abs=1e-12)
        assert told["expected_at"] == pytest.approx(of["expected_at"].timestamp() / 60, abs=0.51)
        zone = case.feed.nodes["timezone"][int(parcel["destination"][0])]
        assert day_end(zone, np.array([told["by_at"]]))[0] == to_minute(of["promised_at"])
        words = outlook.told(told["legs"], float(parcel["chargeable_g"][0]))
        ids, at = (pl.Series([word[name] for word in words]) for name in ("departure_id", "depart_at"))
        assert Ground(outlook).scheduled(ids.cast(pl.String), at.cast(pl.Int64)).tolist() == told["legs"]
        assert [(w["departure_id"], w["depart_at"]) for w in words] == [
            (departure, to_minute(at)) for departure, at in ridden.get(of["order_id"], [])
        ]


@_many
@given(_cases(), st.randoms(use_true_random=False))
def test_the_order_and_company_of_parcels_change_nothing(case, random):
    """Looked up together, in any order, twice over or alone, each parcel is told the same."""
    model, parcels = _compiled(case)
    outlook = _outlook(model, parcels)
    booked = [_some_rows(random, model, 4) for _ in range(parcels.height)]
    asked = _asked(parcels, booked=booked)
    told = outlook.look(asked)
    assert told.schema == pl.Schema(OUTLOOK) and told["parcel"].to_list() == asked["parcel"].to_list()
    order = random.sample(range(parcels.height), parcels.height)
    assert outlook.look(asked[order]).equals(told[order])
    assert outlook.look(pl.concat([asked, asked])).equals(pl.concat([told, told]))
    for number in range(parcels.height):
        assert outlook.look(asked[number]).equals(told[number])
    again = make_outlook(
        model, Prices.none(model.resources), np.zeros(0, int), _classes(parcels)[order], threads=2, version="again"
    )
    assert again.look(asked).equals(told)
