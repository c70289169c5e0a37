"""Changed plans of small random networks, held against the public text order by order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf
from random import Random

import exhaustive
import polars as pl
import pytest
import random_feeds
from hypothesis import given, settings
from hypothesis import strategies as st
from replan_truth import Truth, is_true

from rookery.flows.planning import Plan, plan
from rookery.flows.replanning import Replan, replan
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import FEED, Feed, Orders
from rookery.terms.time import from_minute, to_minute

SOME = settings(max_examples=10, deadline=None)


@dataclass(frozen=True)
class Case:
    """A plan, and what happens to it."""

    feed: Feed
    orders: Orders
    plan: Plan
    closed: Feed
    at: datetime

    def replan(self, **options) -> Replan:
        told = {"threads": 1, "seconds": 1.0, **options}
        return replan(self.feed, self.orders, self.plan, self.closed, self.at, **told)

    def truth(self) -> Truth:
        return Truth(self.feed, self.closed, self.orders.frame, self.plan, to_minute(self.at))


@st.composite
def disruptions(draw, outcomes: tuple[int, ...] = (1,), tight: bool = True, closures: int = 3) -> Case:
    """A random plan and random closures around a random instant of it."""
    random = draw(st.randoms(use_true_random=False))
    made = random_feeds.build(random, outcomes)
    made = random_feeds.tight(made, random) if tight else random_feeds.roomy(made)
    orders = Orders(made.orders)
    first = plan(
        made.feed, orders, start=made.start, horizon_days=made.horizon_days, outcomes=made.outcomes, seconds=0.5,
        threads=1,
    )  # fmt: skip
    at = made.start + timedelta(minutes=random.randint(0, 2000))
    rows = [_closure(random, at, made.feed, first) for _ in range(random.randint(1, closures) if closures else 0)]
    rows = [row for row in rows if row]
    news = random_feeds.frame(rows, FEED["closures"])
    closed = replace(made.feed, closures=pl.concat([made.feed.closures, news]))
    return Case(made.feed, orders, first, closed, at)


def _closure(random: Random, at: datetime, feed: Feed, plan: Plan) -> dict:
    """A closure of something, most often of what the plan is about to use when it is about to use it."""
    what = random.choice(["node_id", "lane_id", "departure_id"])
    table = {"node_id": feed.nodes, "lane_id": feed.lanes, "departure_id": feed.departures}[what]
    if table.is_empty():
        return {}
    named, begin = random.choice(table[what].to_list()), to_minute(at) + random.randint(-400, 1500)
    ahead = plan.legs.filter(pl.col("depart_at") > at)
    if ahead.height and random.random() < 0.8:
        leg = random.choice(ahead.to_dicts())
        named = leg[{"node_id": random.choice(["from_node", "to_node"])}.get(what, what)]
        begin = to_minute(leg["depart_at"]) - random.randint(0, 300)
    factor, delay = random.choice(
        [(0.0, 0), (0.0, 0), (0.5, 0), (0.3, 60), (0.4, 0), (1.0, 20), (1.0, 150), (1.0, 900)]
    )
    return {
        what: named, "from_at": begin, "until_at": begin + random.randint(60, 2500), "capacity_factor": factor,
        "delay_minutes": delay, "reason": "storm",
    }  # fmt: skip


@SOME
@given(disruptions())
def test_a_changed_plan_is_true(case: Case) -> None:
    """At one outcome: the past stands, the others stay, every way can be gone, and nothing is too full."""
    is_true(case.truth(), case.replan())


@SOME
@given(disruptions(outcomes=(2, 4)))
def test_a_changed_plan_is_true_under_chance(case: Case) -> None:
    """With several outcomes the same holds of what the files tell."""
    is_true(case.truth(), case.replan())


@SOME
@given(disruptions(tight=False))
def test_the_certificate_is_exact_where_nothing_is_full(case: Case) -> None:
    """Without capacities whoever must move finds the cheapest way from where it is, and the bound is what all cost."""
    truth, made = case.truth(), case.replan()
    is_true(truth, made)
    moved = {row["order_id"]: row["reason"] for row in made.changes.to_dicts()}
    least = 0.0
    for row in made.parcels.to_dicts():
        order = truth.orders[row["order_id"]]
        waits = moved.get(row["order_id"]) in ("cancelled", "missed_connection")
        if not truth.ahead(row["order_id"]) and row["status"] == "planned":
            least += row["cost"]
            continue
        waits |= not truth.ahead(row["order_id"])
        least += float(truth.best(row["order_id"], waits=waits, refusing=True)) * order.row["pieces"]
        if waits:
            best = truth.best(row["order_id"], waits=True)
            assert (row["status"] == "planned") == (best is not None)
            if best is not None:
                assert row["cost"] == pytest.approx(float(best) * order.row["pieces"], abs=1e-6)
    assert made.summary["lower_bound"] == pytest.approx(least, rel=1e-6, abs=1e-6)


@SOME
@given(disruptions(tight=False), st.sampled_from([0.0, 0.5, 3.0, inf]))
def test_stability_keeps_ways_that_are_only_late(case: Case, stability: float) -> None:
    """A parcel whose way is only late changes when, and only when, that saves more than the stability."""
    truth, made = case.truth(), case.replan(stability=stability)
    for row in made.changes.filter(pl.col("reason").is_in(["delayed", "better"])).to_dicts():
        name = row["order_id"]
        if not truth.ahead(name):
            assert not row["changed"]
            continue
        order, last = truth.orders[name], None
        cost = truth.sunk(name) + order.fixed
        for run in truth.ahead(name):
            last = truth.same[run.departure["departure_id"], run.scheduled]
            cost += order.price(last)
        kept = float(cost + order.end(last.ready).cost)
        least = float(truth.best(name, waits=True))
        if row["changed"]:
            assert row["reason"] == "better"
            assert row["new_cost"] < (kept - stability) * order.row["pieces"] + 1e-6
        else:
            assert row["reason"] == "delayed"
            assert kept - least <= stability + 1e-2
            assert row["new_cost"] == pytest.approx(kept * order.row["pieces"])


@SOME
@given(disruptions(outcomes=(1, 3), closures=0))
def test_nothing_closed_changes_nothing(case: Case) -> None:
    """Closures that touch nothing leave every row of parcels, legs and loads as it was."""
    made = case.replan()
    assert made.changes.is_empty()
    assert made.parcels.equals(case.plan.parcels)
    assert made.legs.equals(case.plan.legs)
    key = ["departure_id", "depart_at"]
    was = case.plan.loads.filter(pl.col("parcels") > 1e-9).select(*key, "parcels", "grams").sort(key)
    loads = made.loads.filter(pl.col("parcels") > 1e-9).select(*key, "parcels", "grams").sort(key)
    assert loads.select(key).equals(was.select(key))
    assert loads["grams"].to_list() == pytest.approx(was["grams"].to_list())
    assert made.summary["cost"] == pytest.approx(case.plan.summary["cost"])
    assert made.summary["lower_bound"] <= made.summary["cost"]


@settings(max_examples=6, deadline=None)
@given(disruptions(), st.integers(1, 1500))
def test_a_changed_plan_can_be_changed_again(case: Case, later: int) -> None:
    """What was changed once is the plan of the next change: the same closures again change nothing."""
    once = case.replan(stability=inf)
    at = min(case.at + timedelta(minutes=later), datetime.fromisoformat(once.manifest["horizon_end"]) - timedelta(1))
    again = replan(case.feed, case.orders, once, case.closed, max(at, case.at), threads=1, seconds=1.0)
    assert again.changes.is_empty()
    assert again.parcels.equals(once.parcels)
    assert again.legs.equals(once.legs)
    assert again.closures.equals(once.closures)
    if case.at > datetime.fromisoformat(case.plan.manifest["start"]):
        with pytest.raises(InvalidInput, match="before that"):
            replan(case.feed, case.orders, once, case.closed, from_minute(to_minute(case.at) - 1))


def test_the_truth_reads_the_text(make_feed) -> None:
    """A parcel under way to a shut node is ready when it opens again, and one handled already stays so."""
    feed = make_feed(nodes=[{"node_id": "A"}, {"node_id": "B", "handling_minutes": 30}])
    network = exhaustive.Network(feed, 29_600_000, 29_610_000, 1)
    assert network.ready("B", 29_600_100) == 29_600_130
