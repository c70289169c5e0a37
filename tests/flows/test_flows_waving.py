"""Waves book what waits once, within what there is room for, and never move a promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
from living_cases import make_live
from record_cases import ADA, NOW, SHOP
from wave_world import TRUCK, VAN, World, feed_zip, on

from rookery.base.db import Database, Urls
from rookery.base.operations import Who
from rookery.flows import labelling, numbering, publishing, waving
from rookery.orders.intake import judge
from rookery.orders.intake_model import OrderIn
from rookery.terms.errors import NotFound


@pytest.fixture
def world(fresh_database: Database) -> World:
    return World(fresh_database)


def test_a_wave_books_what_waits(world: World) -> None:
    """Orders become shipments with a frozen promise, parcels, a route, and grants for the couriers of its legs."""
    world.publish()
    orders = world.order(3)
    pair = world.order(1, pieces=2, parcels='[{"weight_g": 700}, {"weight_g": 1500, "length_mm": 300}]')
    done = world.plan()
    assert (done.state, done.orders, done.booked, done.unassigned, done.skipped) == ("done", 4, 4, 0, 0)
    assert world.rows("select count(*), count(distinct promised_at) from orders.shipments") == [(4, 1)]
    assert world.rows("select distinct state, version from orders.orders") == [("booked", 2)]
    assert world.rows("select what, count(*) from orders.history group by 1") == [("booked", 4)]
    assert world.rows(
        "select piece, pieces, weight_g, length_mm, route_code from orders.parcels where order_id = %s order by 1",
        pair[0],
    ) == [(1, 2, 700.0, None, "B"), (2, 2, 1500.0, 300.0, "B")]
    assert world.rows("select count(distinct number), count(*) from orders.parcels") == [(5, 5)]
    assert set(world.routes()) == {*orders, *pair}
    assert {way[0] for way in world.routes().values()} == {"truck 02", "van 02"}


def test_couriers_see_the_parcels_they_carry_and_no_others(world: World) -> None:
    """After a wave a courier sees the parcels and legs of its own departures; a stranger sees nothing."""
    world.publish()
    world.order(5)
    world.plan()
    seen = {}
    for party in ("pty_trucks", "pty_vans", "pty_stranger"):
        with world.as_party(party, "courier") as ctx:
            seen[party] = [
                ctx.conn.execute(f"select count(*) from {table}").fetchone()
                for table in ("orders.parcels", "planning.legs")
            ]
    assert seen == {"pty_trucks": [(2,), (2,)], "pty_vans": [(3,), (3,)], "pty_stranger": [(0,), (0,)]}


def test_a_full_departure_is_kept_within_its_seats_over_waves(world: World) -> None:
    """Two waves together put no more on the truck than it holds, and what it carries is told as its load."""
    world.publish()
    world.order(4)
    world.plan()
    world.order(4)
    world.plan()
    seats = Counter(way[0] for way in world.routes().values())
    assert seats["truck 02"] == 2 and sum(seats.values()) == 8
    loads = world.rows("select departure_id, parcels, capacity_parcels from planning.loads where parcels > 0")
    assert ("truck", 2.0, 2.0) in loads


def test_parcels_on_their_way_keep_their_seats(world: World) -> None:
    """What has passed its first cut-off is not planned again, and a later wave gives nobody the seats it has."""
    two_legs = {
        "nodes_csv": "node_id,name,kind,lat,lon,country,timezone,handling_minutes\n"
        "A,Place A,origin,50.0,4.0,BE,UTC,0\nH,Place H,hub,50.5,4.2,BE,UTC,0\nB,Place B,depot,51.0,4.5,BE,UTC,0\n",
        "lanes_csv": "lane_id,from_node,to_node,mode,carrier_id\n"
        "AH,A,H,truck,TRUCKS\nHB,H,B,truck,TRUCKS\nAV,A,B,van,VANS\n",
    }
    first, second = "first,AH,daily,10:00,30,60,,,1,0", "second,HB,daily,20:00,30,60,,2,1,0"
    world.publish(feed_zip("1", (first, second, "late,AH,daily,15:00,30,60,,,1,0", VAN), **two_legs))
    world.order(2)
    world.plan()
    assert set(map(tuple, world.routes().values())) == {("first 02", "second 02")}
    world.later(hours=5)  # 11:00: they have left A
    new = world.order(1)
    done = world.plan()
    assert (done.orders, done.booked, done.rerouted) == (1, 1, 0)
    assert "second 02" not in world.routes()[new[0]]
    assert ("second", 2.0, 2.0) in world.rows("select departure_id, parcels, capacity_parcels from planning.loads")


def test_a_promise_stays_when_the_network_changes(world: World) -> None:
    """A second wave on another network gives another route on that feed, other couriers, and the same promise."""
    world.publish()
    world.order(1)
    world.plan()
    before = world.rows("select promised_at, route, feed_id, cost from orders.shipments")
    other = world.publish(feed_zip("2", (VAN,))).feed.feed_id
    done = world.plan()
    assert (done.booked, done.rerouted, done.feed_id) == (0, 1, other)
    after = world.rows("select promised_at, route, feed_id, cost from orders.shipments")
    assert after[0][0] == before[0][0] and after[0][3] == before[0][3]
    assert after[0][1:3] == (2, other)
    assert world.rows("select route, departure_id from planning.legs order by 1") == [(1, "truck"), (2, "van")]
    assert world.rows("select party_id from orders.parcel_party") == [("pty_vans",)]
    assert world.rows("select what, count(*) from orders.history group by 1 order by 1") == [
        ("booked", 1),
        ("rerouted", 1),
    ]


def test_what_a_new_network_strands_comes_before_what_waits(world: World) -> None:
    """Two shipments whose departure is gone get the only two seats that day, before five orders of the same service."""
    world.publish(feed_zip("1", (TRUCK.format(seats=2),)))
    booked = world.order(2)
    world.plan()
    world.publish(feed_zip("2", (TRUCK.format(seats=2).replace("truck,", "other,"),)))
    world.order(5)
    done = world.plan()
    assert done.rerouted == 2
    assert {way[0] for order, way in world.routes().items() if order in booked} == {"other 02"}


def test_a_shipment_without_a_way_on_the_new_network_keeps_its_own(world: World) -> None:
    """Its route, its feed and its promise stay, its seats stay taken, and the reasons are told."""
    feed = world.publish(feed_zip("1", (TRUCK.format(seats=2),))).feed.feed_id
    order = world.order(1)[0]
    world.plan()
    before = world.rows("select promised_at, route, feed_id, version from orders.shipments")
    world.publish(feed_zip("2", (VAN,), lanes_csv="lane_id,from_node,to_node,mode,max_weight_g\nAV,A,B,van,500\n"))
    done = world.plan()
    assert (done.orders, done.rerouted, done.unassigned, done.reasons) == (1, 0, 1, {"over_weight": 1})
    assert world.rows("select promised_at, route, feed_id, version from orders.shipments") == before
    assert before[0][2] == feed
    assert world.rows("select order_id, reasons from planning.unassigned") == [(order, ["over_weight"])]


def test_a_wave_that_changes_nothing_adds_no_route(world: World) -> None:
    """Planned again on the same network, a shipment keeps its route; only the wave it was looked at by is another."""
    world.publish()
    world.order(1)
    world.plan()
    done = world.plan()
    assert (done.booked, done.rerouted, done.orders) == (0, 0, 1)
    assert world.rows("select route, plan_id, version from orders.shipments") == [(1, done.plan_id, 2)]
    assert world.rows("select count(*) from planning.legs") == [(1,)]


def test_what_no_way_is_found_for_is_told_and_tried_again(world: World) -> None:
    """An order nothing serves stays received with its reasons, which go when a later wave finds a way."""
    world.publish(feed_zip("1", (VAN,), lanes_csv="lane_id,from_node,to_node,mode,max_weight_g\nAV,A,B,van,500\n"))
    order = world.order(1)[0]
    nobody_s = world.order(1, service_id="gone")[0]
    done = world.plan()
    assert (done.state, done.booked, done.unassigned) == ("done", 0, 2)
    assert done.reasons == {"over_weight": 1, "unknown_service": 1}
    assert dict(world.rows("select order_id, reasons from planning.unassigned")) == {
        order: ["over_weight"], nobody_s: ["unknown_service"],
    }  # fmt: skip
    world.publish(feed_zip("2"))
    world.plan()
    assert world.rows("select order_id from planning.unassigned") == [(nobody_s,)]


def test_a_wave_with_nothing_to_plan_is_done(world: World) -> None:
    """No order waits: done, with noughts."""
    world.publish()
    done = world.plan()
    assert (done.state, done.orders, done.booked) == ("done", 0, 0)


def test_without_an_active_network_there_is_no_wave(world: World) -> None:
    """Asked for without a network, a wave is refused with the next action, and no job is left."""
    with pytest.raises(NotFound, match="publish one and activate it"):
        world.ask()
    assert world.rows("select count(*) from jobs.procrastinate_jobs") == [(0,)]


def test_live_and_test_never_meet(world: World) -> None:
    """A wave of test data plans test orders on the network that is active for test."""
    world.publish(test=True)
    world.order(1)
    world.order(1, test=True)
    done = world.plan(test=True)
    assert (done.test, done.booked) == (True, 1)
    states = [world.rows("select test, state from orders.orders", test=test) for test in (False, True)]
    assert states == [[(False, "received")], [(True, "booked")]]
    with pytest.raises(NotFound):
        world.record(done.plan_id)


def test_only_those_who_run_the_network_see_waves(world: World) -> None:
    """A shipper finds no wave, by id or in the list."""
    world.publish()
    plan_id = world.plan().plan_id
    with world.as_party("pty_shop", "merchant") as ctx, pytest.raises(NotFound):
        waving.get_wave(ctx, waving.OneWave(plan_id))
    with world.as_party("pty_shop", "merchant") as ctx:
        assert waving.list_waves(ctx, waving.SomeWaves()).data == []


def test_waves_are_listed_newest_first_page_by_page(world: World) -> None:
    """Every wave is in the list once."""
    world.publish()
    plans = []
    for _ in range(3):
        plans.append(world.plan().plan_id)
        world.later(minutes=1)
    listed, after = [], ""
    for _ in range(2):
        with world.operator() as ctx:
            found = waving.list_waves(ctx, waving.SomeWaves(limit=2, after=after))
        listed += [plan.plan_id for plan in found.data]
        after = found.next or ""
    assert listed == plans[::-1] and after == ""


def test_a_wave_that_looks_less_far_ahead_keeps_the_books_of_later_departures(world: World) -> None:
    """What was booked on a day beyond a wave's own is still booked when it is done."""
    world.publish(feed_zip("1", (TRUCK.format(seats=1),)))
    world.later(days=3)
    assert world.book("truck", 1)
    world.later(days=-3)
    with world.operator() as ctx:
        plan_id = waving.ask_for_wave(ctx, waving.NewWave(horizon_days=1, outcomes=1)).plan_id
    waving.plan_wave(world.desk, plan_id=plan_id)
    world.later(days=3)
    assert world.record(plan_id).state == "done"
    assert not world.book("truck", 1)


def test_another_network_does_not_empty_the_books(world: World) -> None:
    """After another version is activated, and after the way back, a departure that was full is full."""
    world.publish(feed_zip("1", (TRUCK.format(seats=2),)))
    world.order(1)
    world.plan()
    assert world.book("truck", 2)
    world.publish(feed_zip("2", (TRUCK.format(seats=2), VAN)))
    assert not world.book("truck", 2)
    world.order(1)
    world.plan()
    assert on(world, "truck 02") == 2 and on(world, "van 02") == 2  # the one that was refused is there too
    with world.operator() as ctx:
        publishing.rollback(ctx, publishing.Back())
    assert not world.book("truck", 2)


def test_a_limit_that_another_network_sets_counts_what_is_booked(world: World) -> None:
    """A van that held any number gets two seats, both booked already: it is full; with a third there is one."""
    world.publish(feed_zip("1", (VAN,)))
    world.order(2)
    world.plan()
    limited = "van,AV,daily,12:00,30,240,,{},9,0"
    world.publish(feed_zip("2", (limited.format(2),)))
    assert not world.book("van", 2)
    world.publish(feed_zip("3", (limited.format(3),)))
    assert world.book("van", 3) and not world.book("van", 3)


def test_a_shipper_without_numbers_does_not_stop_a_wave(world: World) -> None:
    """Its parcels are booked without a number, the others' get theirs, and how many are without is told."""
    world.publish(feed_zip("1", (VAN,)))
    with world.owner() as conn:
        conn.execute("update waybill.ranges set next_serial = last_serial + 1")
    with world.operator() as ctx:
        ask = numbering.NewRange(company_prefix="9521234", party_id="pty_other", first=0, last=9)
        numbering.add_range(ctx, ask)
    world.order(2)
    world.order(1, party_id="pty_other")
    done = world.plan()
    assert (done.state, done.booked, done.reasons) == ("done", 3, {"no_number": 2})
    assert world.rows("select party_id, count(number) from orders.parcels group by 1 order by 1") == [
        ("pty_other", 1),
        ("pty_shop", 0),
    ]


def test_what_is_where_it_is_going_is_booked_without_a_leg(make_urls: Callable[[], Urls], tmp_path: Path) -> None:
    """Node and address are served by one place: it gets its number, no code of a route, the chance that its last mile
    gives, and a label that names the place.
    """
    operator = Who("pty_ops", "key_ops", frozenset({"operator"}))
    with make_live(make_urls, tmp_path) as live:
        record = live.record
        ready = (NOW + timedelta(hours=2)).isoformat()
        ask = {"from": {"node": "B"}, "to": ADA, "ready_at": ready, "weight_g": 500, "service_id": "standard"}
        record.do("orders.create", SHOP, reference="R-1", **ask)
        waving.plan_wave(live.desk(), plan_id=record.do("waves.plan", operator)["plan_id"])
        with record.context() as ctx:
            legs = ctx.conn.execute("select count(*) from planning.legs").fetchone()
            [parcel] = ctx.conn.execute("select parcel_id, number, route_code from orders.parcels").fetchall()
        assert (legs, parcel[2]) == ((0,), None) and parcel[1]
        live.numbers.append(parcel[1])
        live.look_out()
        assert live.turn() == 1
        row = live.row(parcel[1])
        assert (row["chance"], row["why"], row["node_id"], row["legs"]) == (1.0, None, "B", [])
        assert row["expected_at"] == NOW + timedelta(hours=6), "ready at 10:00, delivered in 240 minutes"
        ask = labelling.PrintAsk(parcel_ids=[parcel[0]])
        assert record.do("labels.print", SHOP, **msgspec.to_builtins(ask))[:4] == b"%PDF"
        with record.context(SHOP) as ctx:
            [label], _ = labelling._labels(ctx, ask)
        assert (label.route.hub, label.route.depot) == ("", "B")


@pytest.mark.parametrize("pieces", [1000, 1001])
def test_an_order_has_a_thousand_pieces_at_most(pieces: int) -> None:
    """A document and a row of a file with more are refused when they are handed in, each with its place."""
    row = {"order_id": "1", "from_node": "A", "to_node": "B", "ready_at": "2026-03-02T06:00Z", "weight_g": "9"}
    told = judge(pl.DataFrame([row | {"pieces": str(pieces)}])).faults
    codes = [(fault.at, fault.code) for fault in told.get(0, [])]
    assert codes == ([] if pieces == 1000 else [("$.pieces", "out_of_range")])
    document = {"reference": "1", "from": {}, "to": {}, "ready_at": "2026-03-02T06:00Z", "pieces": pieces}
    if pieces == 1000:
        msgspec.convert(document, OrderIn)
    else:
        with pytest.raises(msgspec.ValidationError, match=r"<= 1000 - at `\$.pieces`"):
            msgspec.convert(document, OrderIn)
