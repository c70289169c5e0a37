"""What the twin does with parcels: seats, queues, missed rides, trouble, and the scans that tell of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import capacity_cases
import numpy as np
import polars as pl
import pytest
import twin_cases
from capacity_cases import BEGIN, MORNING

from rookery.terms.errors import Conflict, InvalidInput
from rookery.terms.frames import FEED, SCANS
from rookery.terms.time import NEVER
from rookery.twin.model import CALM, ROUGH, Trouble
from rookery.twin.outcome import DELIVERED, UNDELIVERED, WAS_LOST
from rookery.twin.run import Run
from rookery.twin.scans import KINDS
from rookery.twin.world import network, region_days, travel_minutes, world

SPREAD = {0: (np.array([0.1, 0.5, 0.9]), np.array([0.8, 1.0, 1.6]))}


@pytest.fixture(scope="module")
def busy(make_feed, make_orders):
    """A hub with too little room, spreads on every departure, and a hundred orders."""
    return capacity_cases.busy(make_feed, make_orders, spread=True)


def _closed(feed, **closure):
    row = {"capacity_factor": 0.0, "delay_minutes": 0, "reason": "storm", "line": 2, **closure}
    news = pl.DataFrame([{name: row.get(name) for name in FEED["closures"]}], schema=FEED["closures"])
    return replace(feed, closures=pl.concat([feed.closures, news]))


def test_rides_take_what_their_spread_says() -> None:
    """Drawn transit times have the quantiles of the distribution, and never lie beyond its ends."""
    u = np.linspace(0, 1, 2001)
    minutes = travel_minutes(np.full(2001, 100), np.zeros(2001, np.int64), SPREAD, u)
    assert (minutes.min(), minutes.max()) == (80, 160)
    for quantile, factor in ((0.1, 0.8), (0.3, 0.9), (0.5, 1.0), (0.7, 1.3), (0.9, 1.6)):
        assert abs(minutes[round(2000 * quantile)] - 100 * factor) <= 1
    assert (travel_minutes(np.array([7]), np.array([-1]), SPREAD, np.array([0.99])) == 7).all()


def test_the_same_seed_is_the_same_world_for_every_policy(busy) -> None:
    """Two rehearsals of one seed agree to the last bit; another seed gives another world."""
    feed, orders = busy
    setting, first = twin_cases.rehearsed(feed, orders, trouble=ROUGH, seed=5, outcomes=4)
    again = twin_cases.rehearsed(feed, orders, trouble=ROUGH, seed=5, made=setting.plan)[1]
    other = twin_cases.rehearsed(feed, orders, trouble=ROUGH, seed=6, made=setting.plan)[1]
    one, two, three = (each.outcomes[0] for each in (first, again, other))
    np.testing.assert_array_equal(one.delivered_at, two.delivered_at)
    np.testing.assert_array_equal(one.cost, two.cost)
    assert (one.delivered_at != three.delivered_at).any()
    worlds = [world(setting.net, ROUGH, seed) for seed in (5, 5)]
    np.testing.assert_array_equal(worlds[0].arrive, worlds[1].arrive)


def test_correlation_makes_a_region_alike_and_leaves_each_departure_as_it_was(make_feed) -> None:
    """Transit times of one region and day go together; the distribution of any single one stays the same."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B", "lon": 50.0}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[
            {"departure_id": f"d{i}", "lane_id": "AB", "depart_minute": i, "transit_minutes": 1000, "transit_id": "t"}
            for i in range(400)
        ],
        transit=[{"transit_id": "t", "quantile": q, "factor": f} for q, f in ((0.0, 0.5), (0.5, 1.0), (1.0, 1.5))],
    )
    from rookery.network import expand

    span = expand(feed, BEGIN, BEGIN + 1440)
    net = network(feed, span, span, int(NEVER))
    assert len(np.unique(region_days(net, 10.0))) == 1
    spreads, quantiles = {}, {}
    for strength in (0.0, 0.9):
        trouble = Trouble(correlation=strength)
        taken = np.array([world(net, trouble, seed).arrive - net.depart for seed in range(400)])
        spreads[strength] = taken.mean(axis=1).std()
        quantiles[strength] = np.quantile(taken[:, 0], [0.1, 0.5, 0.9])  # of one departure, over the seeds
    assert spreads[0.9] > 8 * spreads[0.0]
    for found in quantiles.values():
        np.testing.assert_allclose(found, [600, 1000, 1400], atol=60)


def test_whoever_misses_a_seat_finds_another_and_who_is_blind_waits(make_feed, make_orders) -> None:
    """The first leg is late for certain: the policy takes the other lane at once, the itinerary waits for its own."""
    feed = make_feed(
        nodes=[{"node_id": name, "lon": float(i)} for i, name in enumerate("AMB")],
        lanes=[
            {"lane_id": "AM", "from_node": "A", "to_node": "M"},
            {"lane_id": "MB", "from_node": "M", "to_node": "B"},
            {"lane_id": "MB2", "from_node": "M", "to_node": "B"},
        ],
        departures=[
            {"departure_id": "am", "lane_id": "AM", "depart_minute": 480, "transit_minutes": 60},
            {"departure_id": "mb", "lane_id": "MB", "depart_minute": 560, "transit_minutes": 60},
            {
                "departure_id": "dear",
                "lane_id": "MB2",
                "depart_minute": 720,
                "transit_minutes": 60,
                "cost_per_parcel": 3.0,
            },
        ],
        services=[{"service_id": "s", "late_cost": 0.0, "time_cost_per_day": 24.0}],
    )
    orders = make_orders({"from_node": "A", "to_node": "B", "ready_at": BEGIN, "service_id": "s"})
    late = Trouble(delay_share=1.0, delay_minutes=60.0)
    setting, followed = twin_cases.rehearsed(feed, orders, "follow", trouble=late, runs=20)
    blind = twin_cases.rehearsed(feed, orders, "itinerary", trouble=late, runs=20, made=setting.plan)[1]
    assert setting.plan.legs["departure_id"].to_list() == ["am", "mb"]
    hours = [[(o.delivered_at[0] - BEGIN) / 60 for o in each.outcomes] for each in (followed, blind)]
    missed = [o.delivered_at[0] > BEGIN + 720 for o in followed.outcomes]
    assert any(missed)
    for a, b, late_there in zip(*hours, missed):
        assert a <= b + 1e-9
        assert not late_there or b > 24


def test_a_node_handles_no_more_in_an_hour_than_it_can(make_feed, make_orders) -> None:
    """Twelve parcels arrive at once where five an hour are handled: two wait an hour or more, in order of arrival."""
    feed = capacity_cases.lane(make_feed, [{"transit_minutes": 60}], {"capacity_per_hour": None})
    slow = replace(feed, nodes=feed.nodes.with_columns(
        capacity_per_hour=pl.when(pl.col("node_id") == "B").then(5.0)))  # fmt: skip
    orders = capacity_cases.parcels(make_orders, 12)
    made = capacity_cases.planned(feed, orders, horizon_days=3)
    setting, rehearsal = twin_cases.rehearsed(feed, orders, made=made, closed=feed)
    queueing = replace(
        setting,
        closed=slow,
        really=replace(setting.really, capacity_per_hour=slow.nodes["capacity_per_hour"].fill_null(np.inf)),
    )
    from rookery.flows.rehearsals.rehearsing import rehearse

    outcome = rehearse(queueing, "follow").outcomes[0]
    arrived = np.sort(outcome.delivered_at // 60)
    assert np.unique(arrived, return_counts=True)[1].tolist() == [5, 5, 2]
    assert outcome.queued[1, 0] == 7 and outcome.queued[1, 2] == 120
    assert rehearsal.outcomes[0].queued.sum() == 0


def test_news_is_used_as_soon_as_it_is_known(make_feed, make_orders) -> None:
    """A closed hub: known in time the way around is taken; known too late the parcel waits until it opens."""
    feed = make_feed(
        nodes=[{"node_id": name, "lon": float(i)} for i, name in enumerate("AMNB")],
        lanes=[{"lane_id": a + b, "from_node": a, "to_node": b} for a, b in ("AM", "MB", "AN", "NB")],
        departures=[
            {"departure_id": a + b, "lane_id": a + b, "depart_minute": at, "cost_per_parcel": price}
            for a, b, at, price in (("A", "M", 600, 1), ("M", "B", 720, 1), ("A", "N", 600, 2), ("N", "B", 720, 2))
        ],
        services=[{"service_id": "s", "late_cost": 0.0, "time_cost_per_day": 24.0}],
    )
    orders = make_orders({"from_node": "A", "to_node": "B", "ready_at": BEGIN, "service_id": "s"})
    closed = _closed(feed, node_id="M", from_at=BEGIN + 660, until_at=BEGIN + 1440)
    given = {"closed": closed, "log": True}
    soon = MORNING + timedelta(hours=8)
    setting, early = twin_cases.rehearsed(feed, orders, known_at=soon, **given)
    blind = twin_cases.rehearsed(feed, orders, "itinerary", known_at=soon, made=setting.plan, **given)[1]
    again = twin_cases.rehearsed(feed, orders, "reoptimise", known_at=soon, made=setting.plan, every_hours=2, **given)[
        1
    ]
    late = twin_cases.rehearsed(feed, orders, made=setting.plan, **given)[1]
    first, second, third, fourth = (each.outcomes[0].delivered_at[0] for each in (early, blind, again, late))
    assert first == third == BEGIN + 780
    assert second == fourth == BEGIN + 1440 + 780
    assert "AN" in early.scans["departure_id"].to_list() and "AM" in blind.scans["departure_id"].to_list()


def test_nobody_acts_on_news_before_it_is_known(make_feed, make_orders) -> None:
    """A departure delayed for hours that nobody knows of yet is not waited for, nor one with fewer seats avoided."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B", "lon": 1.0}],
        lanes=[{"lane_id": lane, "from_node": "A", "to_node": "B"} for lane in ("cheap", "dear")],
        departures=[
            {"departure_id": "cheap", "lane_id": "cheap", "depart_minute": 600, "cost_per_parcel": 1.0},
            {"departure_id": "dear", "lane_id": "dear", "depart_minute": 700, "cost_per_parcel": 3.0},
        ],
        services=[{"service_id": "s", "late_cost": 0.0, "time_cost_per_day": 24.0}],
    )
    delayed = _closed(
        feed, lane_id="cheap", from_at=BEGIN, until_at=BEGIN + 1440, capacity_factor=1.0, delay_minutes=90
    )
    orders = make_orders(
        *({"from_node": "A", "to_node": "B", "ready_at": BEGIN + ready, "service_id": "s"} for ready in (0, 650))
    )
    for known_at, rides in ((MORNING + timedelta(hours=11, minutes=50), "dear"), (MORNING, "cheap")):
        made = twin_cases.rehearsed(feed, orders, closed=delayed, known_at=known_at, log=True)[1]
        later = made.scans.filter(pl.col("order_id") == "o1")
        assert later["departure_id"].drop_nulls().unique().to_list() == [rides]


def test_a_hold_ends_while_the_post_is_open(make_feed, make_orders) -> None:
    """What customs let go at night is ready in the morning."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B", "lon": 1.0, "kind": "customs", "open_from": 480, "open_until": 1080}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": "d", "lane_id": "AB", "depart_minute": 600}],
        services=[{"service_id": "s", "late_cost": 0.0, "time_cost_per_day": 24.0}],
    )
    orders = capacity_cases.parcels(make_orders, 40)
    _, rehearsal = twin_cases.rehearsed(feed, orders, trouble=Trouble(hold_share=1.0, hold_minutes=600.0))
    at = rehearsal.outcomes[0].delivered_at % 1440
    assert len(np.unique(at)) > 5 and ((at >= 480) & (at < 1080)).all()


def test_seats_are_held_by_those_who_wait_for_them(busy) -> None:
    """At any minute the seats taken on departures to come are those booked, held or kept in spare, and no others."""
    feed, orders = busy
    setting, _ = twin_cases.rehearsed(feed, orders, trouble=ROUGH, outcomes=4)
    first = setting.priced
    run = Run(
        setting.net, setting.parcels, "follow", first.rides, first.tables, setting.booked,
        (setting.plan.parcels["status"] == "planned").to_numpy(), ROUGH, 11,
    )  # fmt: skip
    assert setting.seated
    for hours in (0, 7, 9, 11, 15, 20, 30, 44):
        run.advance(setting.net.start + 60 * hours)
        state, held = run.state, np.zeros(len(setting.net.runs))
        for order in np.flatnonzero((state.status == 0) | (state.status == 1)):
            rows = list(run.booked.rows[state.leg[order] : run.booked.end[order]])
            if state.status[order] == 0 and state.held[order] == 1 and not state.on_plan[order]:
                rows.append(state.target[order])
            rows += [state.spare[order]] * int(state.spare[order] >= 0)
            np.add.at(held, [row for row in rows if row >= 0], run.cargo.pieces[order])
        ahead = run.world.cutoff >= run.minute
        np.testing.assert_allclose(state.taken[ahead, 0], held[ahead], atol=1e-9)


def test_a_cancelled_day_costs_what_refusing_would(make_feed, make_orders) -> None:
    """When nothing runs nothing arrives: every parcel costs its unassigned_cost and what was spent on it."""
    feed = capacity_cases.lane(make_feed, [{}], unassigned_cost=70.0)
    orders = capacity_cases.parcels(make_orders, 3, pieces=2)
    _, rehearsal = twin_cases.rehearsed(feed, orders, trouble=Trouble(cancel_share=1.0))
    outcome = rehearsal.outcomes[0]
    assert (outcome.fate == UNDELIVERED).all() and outcome.cost.tolist() == [140.0] * 3


def test_what_is_lost_stays_lost_and_what_fails_thrice_is_not_delivered(make_feed, make_orders) -> None:
    """With certainty of loss all are lost; with certainty of a closed door all are not delivered after three tries."""
    feed, orders = capacity_cases.lane(make_feed, [{}]), capacity_cases.parcels(make_orders, 4)
    lost = twin_cases.rehearsed(feed, orders, trouble=Trouble(lost_share=1.0), log=True)[1]
    assert (lost.outcomes[0].fate == WAS_LOST).all()
    assert lost.scans["kind"].value_counts().sort("kind").rows() == [("accepted", 4), ("departed", 4), ("lost", 4)]
    shut = twin_cases.rehearsed(feed, orders, trouble=Trouble(failed_attempt_share=1.0), log=True)[1]
    assert (shut.outcomes[0].fate == UNDELIVERED).all()
    assert (shut.scans["kind"] == "delivery_failed").sum() == 12


def test_misrouted_parcels_come_back_on_their_way(make_feed, make_orders) -> None:
    """A parcel that always goes the wrong way first is still brought, later."""
    feed = make_feed(
        nodes=[{"node_id": name, "lon": float(i)} for i, name in enumerate("AMB")],
        lanes=[{"lane_id": a + b, "from_node": a, "to_node": b} for a, b in ("AB", "AM", "MB")],
        departures=[
            {"departure_id": a + b, "lane_id": a + b, "depart_minute": at, "cost_per_parcel": 1.0}
            for a, b, at in (("A", "B", 600), ("A", "M", 620), ("M", "B", 900))
        ],
        services=[{"service_id": "s", "late_cost": 0.0, "time_cost_per_day": 24.0}],
    )
    orders = capacity_cases.parcels(make_orders, 1)
    _, rehearsal = twin_cases.rehearsed(feed, orders, trouble=Trouble(misrouted_share=1.0), log=True)
    outcome = rehearsal.outcomes[0]
    assert rehearsal.scans["departure_id"].drop_nulls().to_list()[0] == "AM"
    assert "misrouted" in rehearsal.scans["kind"].to_list()
    assert outcome.fate[0] == DELIVERED


def test_scans_tell_every_order_from_acceptance_to_its_end(busy) -> None:
    """Each order's scans rise in time, begin with its acceptance, alternate legs, and end as its fate says."""
    feed, orders = busy
    _, rehearsal = twin_cases.rehearsed(feed, orders, trouble=ROUGH, outcomes=4, log=True)
    scans, outcome = rehearsal.scans, rehearsal.outcomes[0]
    assert dict(scans.schema) == SCANS and set(scans["kind"]) <= set(KINDS)
    by_order = scans.group_by("order_id", maintain_order=True).agg("kind", "scanned_at", "node_id")
    fate = dict(zip(orders["order_id"], outcome.fate))
    for order_id, kinds, at, nodes in by_order.iter_rows():
        assert at == sorted(at) and kinds[0] == "accepted"
        assert kinds.count("departed") >= kinds.count("arrived") >= kinds.count("ready")
        assert (kinds[-1] == "delivered") == (fate[order_id] == DELIVERED)
        assert ("lost" in kinds) == (fate[order_id] == WAS_LOST)
        legs = [(k, n) for k, n in zip(kinds, nodes) if k in ("departed", "arrived")]
        for (_, reached), (kind, left) in zip(legs[1::2], legs[2::2]):
            assert kind == "departed" and left == reached
    assert outcome.legs.sum() == (scans["kind"] == "departed").sum()


def test_what_was_predicted_comes_about_often_enough(make_feed, make_orders) -> None:
    """Parcels with a spread on the way: over many runs the realised share on time is what the plan predicted."""
    feed = make_feed(
        nodes=[{"node_id": name, "lon": 20.0 * i} for i, name in enumerate("AMB")],
        lanes=[{"lane_id": a + b, "from_node": a, "to_node": b} for a, b in ("AM", "MB")],
        departures=[
            {
                "departure_id": f"{lane}{i}",
                "lane_id": lane,
                "depart_minute": 60 * i,
                "transit_minutes": 200,
                "transit_id": "t",
            }
            for lane in ("AM", "MB")
            for i in range(24)
        ],
        transit=[{"transit_id": "t", "quantile": q, "factor": f} for q, f in ((0.0, 0.6), (0.5, 1.0), (1.0, 2.6))],
        services=[{"service_id": "s", "due_hours": 11.0, "late_cost": 10.0, "time_cost_per_day": 2.4}],
    )
    orders = capacity_cases.parcels(make_orders, 48, ready_at=lambda i: BEGIN + 30 * i)
    setting, rehearsal = twin_cases.rehearsed(feed, orders, outcomes=64, runs=400)
    predicted = setting.plan.parcels["on_time_probability"].mean()
    realised = np.mean([outcome.on_time.mean() for outcome in rehearsal.outcomes])
    assert 0.2 < predicted < 0.98
    assert abs(realised - predicted) < 0.015  # a 64th of each leg's outcomes may fall on the other side of a cut-off
    cost = np.mean([outcome.cost.sum() for outcome in rehearsal.outcomes])
    assert cost == pytest.approx(setting.plan.summary["cost"], rel=0.03)


@pytest.mark.parametrize(
    "wrong",
    [{"correlation": 1.5}, {"lost_share": -0.1}, {"bad_day_factor": 0.5}, {"region_degrees": 0.0},
     {"hold_minutes": -1.0}, {"dwell_sigma": float("nan")}],
)  # fmt: skip
def test_trouble_without_sense_is_refused(wrong) -> None:
    """Shares beyond 0 to 1 and times below 0 are named."""
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        Trouble(**wrong)


def test_a_plan_of_something_else_is_refused(busy, make_orders) -> None:
    """A plan of another feed or other orders is refused, with what to do."""
    feed, orders = busy
    setting, _ = twin_cases.rehearsed(feed, orders, outcomes=1)
    with pytest.raises(Conflict, match="another version of the feed"):
        twin_cases.rehearsed(replace(feed, sha256="other"), orders, made=setting.plan)


@pytest.mark.parametrize("count", [1, 2])
def test_the_smallest_order_files_are_rehearsed(make_feed, make_orders, count) -> None:
    """One parcel, certain to be in time or certain not to be, is moved like any other."""
    feed = capacity_cases.lane(make_feed, [{}], late_cost=1.0)
    for due, chance in ((BEGIN + 5000, 1.0), (BEGIN + 1, 0.0)):
        orders = capacity_cases.parcels(make_orders, count, due_at=due)
        setting, rehearsal = twin_cases.rehearsed(feed, orders, trouble=CALM, runs=3)
        assert setting.plan.parcels["on_time_probability"].unique().to_list() == [chance]
        assert all((outcome.on_time == (chance == 1)).all() for outcome in rehearsal.outcomes)
