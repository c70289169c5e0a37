"""Who gets a seat when not all do: lateness, readiness, weight, hours of nodes, refusals."""

from __future__ import annotations

from dataclasses import replace

import exhaustive
import polars as pl
import pytest

pytest.importorskip("highspy")

from capacity_cases import BEGIN, is_sound, lane, parcels, planned, rides

EIGHT, TEN, SIX = 480, 600, 1080


@pytest.mark.parametrize("seats", [1, 3, 6])
@pytest.mark.parametrize("turn", [1, -1])
def test_who_loses_most_by_lateness_keeps_the_seat(make_feed, make_orders, turn: int, seats: int) -> None:
    """Of eight parcels that all want the departure in time, those with the highest late cost have its seats."""
    feed = lane(make_feed, [{"depart_minute": EIGHT, "capacity_parcels": float(seats)}, {"depart_minute": SIX}])
    orders = parcels(make_orders, 8, due_at=BEGIN + TEN, late_cost=lambda i: 10.0 + 5 * i)[::turn]
    made = planned(feed, orders, gap=1e-3)
    is_sound(feed, orders, made)
    assert {order for order, ride in rides(made).items() if ride == "d0"} == {f"p{i}" for i in range(8 - seats, 8)}


@pytest.mark.parametrize("seats", [1, 3, 6])
@pytest.mark.parametrize("turn", [1, -1])
def test_of_equals_the_one_ready_first_goes_first(make_feed, make_orders, turn: int, seats: int) -> None:
    """Of eight parcels alike but for when they are ready, the earliest have the seats of the first departure."""
    feed = lane(make_feed, [{"depart_minute": EIGHT, "capacity_parcels": float(seats)}, {"depart_minute": SIX}])
    orders = parcels(make_orders, 8, due_at=BEGIN + TEN, late_cost=10.0, ready_at=lambda i: BEGIN + 10 * i)[::turn]
    made = planned(feed, orders, gap=1e-3)
    is_sound(feed, orders, made)
    assert {order for order, ride in rides(made).items() if ride == "d0"} == {f"p{i}" for i in range(seats)}


@pytest.mark.parametrize("outcomes", [1, 4])
@pytest.mark.parametrize("seats", [1, 2, 4])
def test_whoever_was_ready_first_is_not_the_one_refused(make_feed, make_orders, seats: int, outcomes: int) -> None:
    """The last departure of all goes to the earliest, also where others left for elsewhere in between."""
    feed = make_feed(
        nodes=[{"node_id": name} for name in "ABC"],
        lanes=[{"lane_id": name, "from_node": "A", "to_node": name[1]} for name in ("AB", "AC")],
        departures=[
            {"departure_id": "d0", "lane_id": "AB", "depart_minute": EIGHT, "capacity_parcels": float(seats)},
            *({"departure_id": f"c{i}", "lane_id": "AC", "depart_minute": 60 * i} for i in range(8)),
        ],
        services=[{"service_id": "s", "late_cost": 0.0, "time_cost_per_day": 24.0}],
    )  # fmt: skip
    orders = parcels(make_orders, 6, ready_at=lambda i: BEGIN + (50 * i + 100) % 300)
    made = planned(feed, orders, horizon_days=1, outcomes=outcomes)
    is_sound(feed, orders, made, outcomes)
    first = orders.sort("ready_at").head(seats)["ready_at"].max()
    seated = orders.filter(pl.col("order_id").is_in(list(rides(made))))["ready_at"]
    assert (len(seated), seated.max()) == (seats, first)


def test_a_dearer_refusal_keeps_the_seat(make_feed, make_orders) -> None:
    """Of parcels alike but for the price of refusing them those that are dear to refuse go, whenever they are ready."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": "d0", "lane_id": "AB", "depart_minute": EIGHT, "capacity_parcels": 2.0}],
        services=[
            {"service_id": name, "late_cost": 0.0, "unassigned_cost": cost} for name, cost in (("s", 50.0), ("t", 80.0))
        ],
    )
    orders = parcels(
        make_orders, 5, ready_at=lambda i: BEGIN + 30 * i, service_id=lambda i: "t" if i in (2, 4) else "s"
    )
    made = planned(feed, orders, horizon_days=1)
    is_sound(feed, orders, made)
    assert set(rides(made)) == {"p2", "p4"}


def test_nodes_work_off_no_more_than_they_can(make_feed, make_orders) -> None:
    """Fifteen parcels for a node of four an hour: full hours one after the other, the rest on the next day."""
    feed = lane(
        make_feed,
        [{"depart_minute": EIGHT + 20 * i} for i in range(6)],
        {"capacity_per_hour": 4.0, "handling_minutes": 15},
    )
    orders = parcels(make_orders, 15)
    made = planned(feed, orders)
    is_sound(feed, orders, made)
    assert made.summary["refused"] == 0
    worked = made.hours.filter(pl.col("parcels") > 0).select("hour_at", "parcels").sort("hour_at")
    times = [exhaustive.instant(BEGIN + minute) for minute in (540, 600, 1980, 2040)]
    assert dict(worked.iter_rows()) == dict(zip(times, [4.0, 4.0, 4.0, 3.0], strict=True))


def test_half_a_node_works_off_half(make_feed, make_orders) -> None:
    """A closure that leaves half of a node halves the hours that it touches and no others."""
    feed = lane(make_feed, [{"depart_minute": EIGHT}, {"depart_minute": EIGHT + 60}], {"capacity_per_hour": 4.0})
    closure = {"node_id": "B", "from_at": BEGIN + 599, "until_at": BEGIN + 600, "capacity_factor": 0.5, "line": 2}
    feed = replace(feed, closures=pl.DataFrame([closure], schema=feed.closures.schema))
    orders = parcels(make_orders, 6)
    made = planned(feed, orders)
    is_sound(feed, orders, made)
    assert made.hours.select("parcels", "capacity_parcels").rows() == [(2.0, 2.0), (4.0, 4.0)]


@pytest.mark.parametrize(
    ("grams", "seats", "go"), [(2500.0, None, 2), (1999.0, None, 1), (5000.0, 3.0, 3), (9000.0, None, 9)]
)
def test_grams_are_those_on_the_scales(make_feed, make_orders, grams, seats, go) -> None:
    """Bulky parcels pay for eight kilograms and weigh one: a departure takes as many as weigh what it can carry."""
    feed = lane(
        make_feed,
        [{"depart_minute": EIGHT, "capacity_g": grams, "capacity_parcels": seats, "cost_per_kg": 1.0},
         {"depart_minute": SIX, "cost_per_kg": 1.0}],
    )  # fmt: skip
    side = {"length_mm": 400.0, "width_mm": 400.0, "height_mm": 250.0}
    orders = parcels(make_orders, 10, weight_g=1000.0, **side)
    made = planned(feed, orders, gap=1e-3)
    is_sound(feed, orders, made)
    assert made.parcels["chargeable_g"].unique().to_list() == [8000.0]
    assert made.summary["cost"] == pytest.approx(10 * 8 + go * 9 + (10 - go) * 19)
    first = made.loads.filter(pl.col("departure_id") == "d0")
    assert first.filter(pl.col("parcels") > 0).select("parcels", "grams").rows() == [(float(go), 1000.0 * go)]


def test_light_and_bulky_share_what_each_needs_of_it(make_feed, make_orders) -> None:
    """Where both a kilogram and its price count, parcels of five densities fill a departure as well as any could."""
    feed = lane(
        make_feed,
        [{"depart_minute": EIGHT, "capacity_g": 4000.0, "capacity_parcels": 4.0}, {"depart_minute": SIX}],
    )
    orders = parcels(
        make_orders, 10, weight_g=lambda i: 400.0 + 400 * (i % 5), length_mm=300.0, width_mm=200.0, height_mm=200.0
    )
    made = planned(feed, orders, gap=1e-3)
    is_sound(feed, orders, made)
    assert sum(ride == "d0" for ride in rides(made).values()) == 4  # two of 400 g, two of 800 g


def test_one_seat_more_lets_one_more_go(make_feed, make_orders) -> None:
    """With a single departure, whoever has no seat carries exactly no_capacity, and each seat more is one fewer."""
    orders = parcels(make_orders, 6, ready_at=lambda i: BEGIN + (600 if i == 5 else 0))  # the last comes too late
    refused = []
    for seats in (1.0, 2.0, 3.0, 4.0):
        feed = lane(make_feed, [{"depart_minute": EIGHT, "capacity_parcels": seats}])
        made = planned(feed, orders, horizon_days=1)
        is_sound(feed, orders, made)
        told = made.parcels.filter(pl.col("status") == "unassigned")
        reasons = dict(told.select("order_id", "reasons").iter_rows())
        assert reasons.pop("p5") == ["beyond_horizon"]
        assert all(reason == ["no_capacity"] for reason in reasons.values())
        assert (told["cost"] == 1000.0).all()
        assert made.summary["refused"] == len(reasons) == made.summary["unassigned"]["no_capacity"]
        refused.append(len(reasons))
    assert refused == [4, 3, 2, 1]


def test_pieces_of_an_order_go_together(make_feed, make_orders) -> None:
    """An order of three pieces finds no room where two seats are left; single ones do."""
    feed = lane(make_feed, [{"depart_minute": EIGHT, "capacity_parcels": 2.0}])
    orders = parcels(make_orders, 3, pieces=lambda i: 3 if i == 0 else 1)
    made = planned(feed, orders, horizon_days=1)
    is_sound(feed, orders, made)
    assert rides(made) == {"p1": "d0", "p2": "d0"}
    assert made.summary["refused"] == 3


def test_a_full_departure_on_the_way_is_gone_around(make_feed, make_orders) -> None:
    """Nobody is refused while some way has room, however dear or long."""
    feed = make_feed(
        nodes=[{"node_id": name} for name in "ABC"],
        lanes=[{"lane_id": a + b, "from_node": a, "to_node": b} for a, b in ("AB", "AC", "CB")],
        departures=[
            {"departure_id": name, "lane_id": name, "depart_minute": at, "cost_per_parcel": cost,
             "capacity_parcels": seats}
            for name, at, cost, seats in (("AB", EIGHT, 1.0, 2.0), ("AC", EIGHT, 300.0, 2.0), ("CB", SIX, 300.0, 1.0))
        ],
        services=[{"service_id": "s", "late_cost": 0.0, "unassigned_cost": 100.0}],
    )  # fmt: skip
    orders = parcels(make_orders, 4)
    made = planned(feed, orders, horizon_days=1)
    is_sound(feed, orders, made)
    assert sorted(rides(made).values()) == ["AB", "AB", "AC"]
    assert made.summary["refused"] == 1


def test_a_parcel_that_is_there_already_needs_no_room(make_feed, make_orders) -> None:
    """Parcels that start where they are going fill no departure and no hour of the node."""
    feed = lane(make_feed, [{"depart_minute": EIGHT, "capacity_parcels": 1.0}, {"depart_minute": SIX}],
                {"capacity_per_hour": 1.0})  # fmt: skip
    orders = parcels(make_orders, 6, from_node=lambda i: "A" if i < 2 else "B")
    made = planned(feed, orders)
    is_sound(feed, orders, made)
    assert made.summary["planned"] == 6
    assert made.hours.filter(pl.col("parcels") > 0)["parcels"].to_list() == [1.0, 1.0]
