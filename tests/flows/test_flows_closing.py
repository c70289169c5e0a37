"""Closures as acts: entered with all that is wrong with them, heeded by quotes and waves, lifted again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from record_cases import NOW, RIVAL, SHOP, Record, make_record
from wave_world import MONDAY, TRUCK, VAN, World, feed_zip, meanwhile

from rookery.base.db import Database
from rookery.base.operations import SYSTEM, Who
from rookery.flows import waving
from rookery.flows.closures import closing
from rookery.flows.closures.closing import REPLAN, NewClosure, OneClosure
from rookery.flows.live_feed import live_feed
from rookery.flows.quotes.desks import Desks
from rookery.flows.rebooking.seats import with_room
from rookery.flows.waves import wave
from rookery.network import expand
from rookery.network.store import Feeds
from rookery.planning.rooms import take_room
from rookery.terms.errors import Conflict, InvalidInput, NotAllowed, NotFound
from rookery.terms.time import DAY, to_minute
from rookery.tracking.epcis.identifiers import sscc_uri

OPS = Who("pty_ops", "key_ops", frozenset({"operator"}))
VANS = Who("pty_vans", "key_vans", frozenset({"courier"}))


@pytest.fixture
def record(make_urls, tmp_path, monkeypatch):
    """The one-lane network, whose desks look at every question whether something changed."""
    monkeypatch.setattr("rookery.flows.quotes.desks.LOOK_S", -1.0)
    with make_record(make_urls, tmp_path) as made:
        yield made


@pytest.fixture
def world(fresh_database: Database) -> World:
    return World(fresh_database)


def at(hours: float) -> str:
    """So many hours after the Monday the tests begin on."""
    return (NOW + timedelta(hours=hours)).isoformat()


def close(record: Record, who: Who = OPS, key: str | None = None, **ask: Any) -> dict[str, Any]:
    return record.do("closures.add", who, key, **{"node_id": "H", "until_at": at(48), **ask})


def lines(record: Record) -> int:
    with record.context() as ctx:
        row = ctx.conn.execute("select count(*) from base.audit where act like 'closures.%'").fetchone()
        return row[0] if row else 0


def test_a_closed_node_is_quoted_around_until_it_is_lifted(record: Record) -> None:
    """A quote asked right after the closure leaves later, over the node when it works again; lifted, as before."""
    before = record.quote()["offers"][0]
    assert [leg["depart_at"][:10] for leg in before["legs"]] == ["2026-03-02", "2026-03-03"]
    made = close(record)["closure"]
    during = record.quote()["offers"][0]
    assert during["legs"][1]["depart_at"] == "2026-03-05T05:00:00Z", "the first after the node opens at 8:00"
    record.do("closures.lift", OPS, closure_id=made["closure_id"])
    assert record.quote()["offers"][0]["legs"] == before["legs"]


def test_an_offer_on_what_was_closed_since_is_not_booked(record: Record) -> None:
    """Cancelled or moved, it is refused with what to do; an offer that a closure does not touch is booked."""
    offer = record.quote()["offers"][0]
    first = close(record, node_id=None, departure_id="HB1")["closure"]
    with pytest.raises(Conflict, match="new quote"):
        record.book("S1", offer=offer)
    record.do("closures.lift", OPS, closure_id=first["closure_id"])
    close(record, node_id=None, departure_id="AH1", delay_minutes=30)
    with pytest.raises(Conflict, match="closed, or moved"):
        record.book("S2", offer=offer)
    assert record.book("S3", offer=record.quote()["offers"][0])["legs"][0]["depart_at"] == "2026-03-02T17:30:00Z"


def test_a_delayed_departure_is_quoted_as_it_leaves(record: Record) -> None:
    """With a delay alone everything runs, so much later, cut-off included."""
    made = close(record, node_id=None, departure_id="AH1", until_at=at(24), delay_minutes=60)
    assert made["closure"]["capacity_factor"] == 1.0 and made["effect"]["delayed"] == 1
    leg = record.quote()["offers"][0]["legs"][0]
    assert (leg["depart_at"], leg["cutoff_at"]) == ("2026-03-02T18:00:00Z", "2026-03-02T18:00:00Z")


def test_all_that_is_wrong_is_told_at_once(record: Record) -> None:
    """Two targets, of which the network has none, the near ones named, and a window that is none and is over."""
    with pytest.raises(InvalidInput) as refused:
        close(record, node_id="HH", lane_id="AHB", from_at=at(2), until_at=at(-1))
    faults = {(fault.at, fault.code): fault for fault in refused.value.faults}
    assert set(faults) == {
        ("$", "closure_target"), ("$.node_id", "unknown_node_id"), ("$.lane_id", "unknown_lane_id"),
        ("$.until_at", "closure_span"), ("$.until_at", "closure_over"),
    }  # fmt: skip
    assert faults["$.node_id", "unknown_node_id"].remedy == "did you mean H?"
    assert faults["$.lane_id", "unknown_lane_id"].remedy == "did you mean HB or AH?"
    with pytest.raises(InvalidInput) as refused:
        close(record, node_id=None, until_at="9999-12-31T23:59:59.9-12:00", from_at="0001-01-01T00:00:00+14:00")
    assert [fault.code for fault in refused.value.faults] == ["closure_target", "out_of_range", "out_of_range"]
    assert record.do("closures.list", OPS)["data"] == [] and lines(record) == 0


def test_whole_minutes_count_and_a_closure_is_never_shorter_than_was_said(record: Record) -> None:
    """It begins with the minute it was entered in and ends with the one that is over."""
    record.now = NOW.replace(second=40)
    made = close(record, until_at="2026-03-02T12:00:10+01:00")["closure"]
    assert (made["from_at"], made["until_at"]) == ("2026-03-02T08:00:00Z", "2026-03-02T11:01:00Z")


def test_what_a_closure_touches_is_counted(record: Record) -> None:
    """Departures in the window, shipments with a leg from the node or into it while it is shut, and their parcels."""
    for name in ("S1", "S2"):
        record.book(name)  # AH1 this evening, arrives at 19:00; HB1 tomorrow at 5:00
    taken = record.book("S3")
    record.do("shipments.cancel", SHOP, shipment_id=taken["shipment_id"])
    over_night = close(record, from_at=at(12), until_at=at(24))["effect"]  # 20:00 to 8:00
    assert over_night == {
        "days": 21, "departures": 1, "cancelled": 1, "thinned": 0, "delayed": 0, "shipments": 2, "parcels": 2,
        "under_way": 0,
    }  # fmt: skip
    arriving = close(record, from_at=at(10), until_at=at(12))["effect"]  # 18:00 to 20:00: nothing leaves
    assert (arriving["departures"], arriving["shipments"]) == (0, 2)
    slower = close(record, from_at=at(10), until_at=at(12), capacity_factor=0.5)
    assert slower["effect"]["shipments"] == 0 and "changes nothing" in slower["notices"][0]
    thinned = close(record, node_id=None, lane_id="HB", until_at=at(72), capacity_factor=0.5)["effect"]
    assert (thinned["departures"], thinned["thinned"], thinned["shipments"]) == (2, 2, 2), "one is cancelled by now"


def test_a_closure_without_effect_is_entered_and_told_so(record: Record) -> None:
    """Nothing leaves in the window, or all capacity is left: it counts, with a notice."""
    made = close(record, from_at=at(1), until_at=at(2))
    [told] = made["notices"]
    assert told.startswith("No departure of the 21 days that are looked at lies in its window, and no booked leg")
    idle = close(record, capacity_factor=1)
    [notice] = idle["notices"]
    assert notice.startswith("It leaves all capacity and delays nothing, so it changes nothing. Lift it")
    assert len(record.do("closures.list", OPS, open=True)["data"]) == 2


def test_the_same_key_enters_a_closure_once(record: Record) -> None:
    """Asked again under an Idempotency-Key, the first reply comes back; without one it is a second closure."""
    first, again = close(record, key="k1"), close(record, key="k1")
    assert first == again
    close(record)
    assert len(record.do("closures.list", OPS)["data"]) == 2 and lines(record) == 2


def test_all_read_and_operators_write(record: Record) -> None:
    """Shippers and couriers see what is closed; neither closes, nor opens."""
    made = close(record)["closure"]
    for who in (SHOP, RIVAL, VANS):
        assert record.do("closures.get", who, closure_id=made["closure_id"]) == made
        assert record.do("closures.list", who)["data"] == [made]
        with pytest.raises(NotAllowed):
            close(record, who)
        with pytest.raises(NotAllowed):
            record.do("closures.lift", who, closure_id=made["closure_id"])
    in_test = Who("pty_ops", "key_t", frozenset({"operator"}), test=True)
    assert record.do("closures.list", in_test)["data"] == []
    with pytest.raises(NotFound):
        record.do("closures.lift", in_test, closure_id=made["closure_id"])


def test_a_lifted_closure_stays_on_record(record: Record) -> None:
    """Who lifted it and when is kept; lifting it again changes nothing and is no second line of the trail."""
    made = close(record)["closure"]
    record.now += timedelta(hours=1)
    lifted = record.do("closures.lift", OPS, closure_id=made["closure_id"])
    assert lifted == made | {"lifted_at": "2026-03-02T09:00:00Z", "lifted_by": "pty_ops"}
    record.now += timedelta(hours=1)
    assert record.do("closures.lift", OPS, closure_id=made["closure_id"]) == lifted
    assert record.do("closures.list", OPS, open=True)["data"] == [] and lines(record) == 2
    with pytest.raises(NotFound):
        record.do("closures.lift", OPS, closure_id="clo_00000000000000000000000000")


def test_closures_are_listed_newest_first_page_by_page(record: Record) -> None:
    """Each once, whatever is entered meanwhile."""
    made = []
    for _ in range(3):
        made.append(close(record)["closure"]["closure_id"])
        record.now += timedelta(minutes=1)
    page = record.do("closures.list", OPS, limit=2)
    close(record)
    rest = record.do("closures.list", OPS, limit=2, after=page["next"])
    assert [one["closure_id"] for one in page["data"] + rest["data"]] == made[::-1] and rest["next"] is None


def test_the_live_feed_is_the_active_network_under_its_closures(record: Record) -> None:
    """Stamp and departures change with each closure; an old delay is forgotten, one under way is not."""
    with record.context() as ctx:
        plain = live_feed(ctx)
        start = to_minute(NOW)
        runs = expand(plain.feed, start, start + 3 * DAY).runs.height
    closure_id = close(record)["closure"]["closure_id"]
    with record.context() as ctx:
        closed = live_feed(ctx)
        assert (closed.feed_id, closed.stamp != plain.stamp) == (plain.feed_id, True)
        assert expand(closed.feed, start, start + 3 * DAY).runs.height == runs - 2
    record.do("closures.lift", OPS, closure_id=closure_id)
    with record.context() as ctx:
        assert live_feed(ctx).feed is plain.feed and live_feed(ctx).stamp not in (plain.stamp, closed.stamp)


def test_what_a_closure_touches_is_asked_to_be_rebooked(record: Record) -> None:
    """The job waits in the same transaction, with the closure's id; not where it is not wanted."""
    made = close(record)["closure"]["closure_id"]
    close(record, replan=False)
    with record.database.owner() as owner:
        rows = owner.execute("select args from jobs.procrastinate_jobs where task_name = %s", (REPLAN,)).fetchall()
    assert rows == [({"closure_id": made},)]


def test_an_offer_on_what_was_closed_a_moment_ago_is_not_booked(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However seldom a desk looks around for quotes: who books is held against the closures there are."""
    monkeypatch.setattr("rookery.flows.quotes.desks.LOOK_S", 3600.0)
    offer = record.quote()["offers"][0]
    close(record, node_id=None, departure_id="HB1")
    with pytest.raises(Conflict, match="closed, or moved"):
        record.book("S1", offer=offer)
    assert record.book("S2", offer=record.quote()["offers"][0])["legs"]


def test_an_unknown_name_is_held_against_few_of_many() -> None:
    """Of hundreds of thousands of names some are compared letter by letter, the near ones among them."""
    names = pl.Series([f"{place}-{number:06}" for place in ("LEJ", "BRU") for number in range(150_000)])
    some = closing._alike("LEJ-0O1234", names)
    assert len(some) <= 1000 and "LEJ-001234" in some
    assert closing._alike("Y" * 200, names) == []
    assert closing._alike("LEJ-0O1234", names[:900]) == names[:900].to_list()


# --- waves ----------------------------------------------------------------------------------------------------------


def shut(world: World, hours: float = 24, **more: Any) -> closing.Entered:
    with world.operator() as ctx:
        until: datetime = world.at + timedelta(hours=hours)
        return closing.add(ctx, NewClosure(**{"until_at": until, **more}))


def test_a_wave_moves_what_rides_a_closed_departure_though_it_gets_dearer(world: World) -> None:
    """Booked on the cheap truck, they go by the dear van once the truck does not run, with their promise as it was."""
    world.publish()
    world.order(2)
    world.plan()
    assert {way[0] for way in world.routes().values()} == {"truck 02"}
    promised = world.rows("select order_id, promised_at from orders.shipments order by 1")
    assert shut(world, lane_id="AB").effect.shipments == 2
    done = world.plan()
    assert (done.state, done.rerouted) == ("done", 2), done
    assert {way[0] for way in world.routes().values()} == {"van 02"}
    assert world.rows("select order_id, promised_at from orders.shipments order by 1") == promised
    assert shut(world, lane_id="AB").effect.shipments == 0, "of routes that were left nothing counts"


def test_what_somebody_has_is_not_planned_anew(world: World) -> None:
    """Scanned, though nobody noted a hand-over, it is on its way: a wave does not have it begin at its origin again.
    What is delivered counts for no closure.
    """
    world.publish(feed_zip("1", (TRUCK.format(seats=3), VAN)))
    orders = world.order(3)
    world.plan()
    before = world.routes()
    query = "select s.order_id, p.number from orders.shipments s join orders.parcels p using (shipment_id)"
    numbers = dict(world.rows(query))
    for order, status in zip(orders, ("picked_up", "delivered", "pre_transit")):
        seen(world, numbers[order], status)
    effect = shut(world, lane_id="AB").effect
    assert (effect.shipments, effect.parcels, effect.under_way) == (2, 2, 1)
    done = world.plan()
    assert (done.orders, done.rerouted) == (1, 1)
    after = world.routes()
    assert [after[one] == before[one] for one in orders] == [True, True, False]


def seen(world: World, number: str, status: str) -> None:
    """A parcel is where its scans put it."""
    with world.as_party(SYSTEM.party_id, *SYSTEM.scopes) as ctx:
        ctx.conn.execute(
            "insert into tracking.parcels (epc, test, parcel_id, owner_id, status, updated_at)"
            " values (%s, false, %s, 'pty_shop', %s, now())",
            (sscc_uri(number), number, status),
        )


def test_new_orders_are_planned_around_a_closure_and_back_when_it_is_lifted(world: World) -> None:
    """A wave sees what is closed as it begins."""
    world.publish()
    made = shut(world, departure_id="truck")
    world.order(1)
    world.plan()
    assert set(map(tuple, world.routes().values())) == {("van 02",)}
    with world.operator() as ctx:
        closing.lift(ctx, OneClosure(made.closure.closure_id))
    world.order(1)
    world.plan()
    assert ("truck 02",) in set(map(tuple, world.routes().values()))


def test_a_delayed_departure_keeps_the_seats_that_were_booked_on_it(world: World) -> None:
    """Two seats, one booked before the delay by a parcel on its way: neither a wave nor an offer books two more."""
    world.publish(feed_zip(departures=[TRUCK.format(seats=2), VAN.replace(",9,0", ",90,0")]))
    assert world.book("truck", 2)
    with world.owner() as conn:
        conn.execute("update orders.shipments set state = 'handed_over'")
    shut(world, departure_id="truck", delay_minutes=45)
    moved_at = MONDAY.replace(hour=10, minute=45)
    loads = world.rows("select parcels, capacity_parcels from planning.loads where depart_at = %s", moved_at)
    assert loads == [(1.0, 2.0)]
    world.order(2)
    world.plan()
    ways = world.rows(
        "select departure_id, depart_at, count(*) from planning.legs where plan_id is not null group by 1, 2 order by 1"
    )
    assert ways == [("truck", moved_at, 1), ("van", MONDAY.replace(hour=12), 1)]
    claim = {"claim": 0, "departure_id": "truck", "depart_at": moved_at, "parcels": 1.0, "grams": 1000.0,
             "capacity_parcels": 2.0, "capacity_g": None}  # fmt: skip
    with world.as_party("pty_shop", "merchant") as ctx:
        assert take_room(ctx.conn, False, pl.DataFrame([claim], schema_overrides={"capacity_g": pl.Float64})) == {0}


def test_what_was_booked_as_scheduled_is_told_its_new_time_by_a_wave(world: World) -> None:
    """A shipment that may still be moved stays on the delayed truck, on a route with the time at which it leaves."""
    world.publish(feed_zip(departures=[TRUCK.format(seats=2)]))
    world.order(1)
    world.plan()
    shut(world, node_id="A", delay_minutes=45)
    done = world.plan()
    assert done.rerouted == 1, done
    told = world.rows("select route, depart_at from planning.legs order by route")
    assert told == [(1, MONDAY.replace(hour=10)), (2, MONDAY.replace(hour=10, minute=45))]
    assert world.plan().rerouted == 0


def test_a_delay_never_puts_a_run_where_another_is(world: World) -> None:
    """A day's delay would have Monday's truck leave when Tuesday's does: it is a minute longer, and that is told."""
    world.publish(feed_zip(departures=[TRUCK.format(seats=2), VAN]))
    assert world.book("truck", 2)
    with world.owner() as conn:
        conn.execute("update orders.shipments set state = 'handed_over'")
    made = shut(world, 24, departure_id="truck", delay_minutes=1440)
    assert made.closure.delay_minutes == 1441 and "it is 1441 minutes" in made.notices[0]
    moved_at = MONDAY + timedelta(days=1, hours=4, minutes=1)
    assert world.rows("select parcels from planning.loads where depart_at = %s", moved_at) == [(1.0,)]
    assert shut(world, 24, departure_id="truck", delay_minutes=30).notices == []
    assert shut(world, 24, lane_id="AB", delay_minutes=1440 - 1441 + 1410).closure.delay_minutes == 1410


CLOSED = "departure_id,from_at,until_at,delay_minutes\ntruck,2026-03-02T06:00Z,2026-03-03T06:00Z,1440\n"
"""Monday's truck leaves when Tuesday's does."""


def test_two_runs_at_one_time_have_the_room_of_both(world: World) -> None:
    """A network may say so itself: four seats are booked and not one more, whoever books, and nothing breaks."""
    world.publish(feed_zip(departures=[TRUCK.format(seats=2)], closures_csv=CLOSED))
    tuesday = MONDAY + timedelta(days=1, hours=4)
    world.order(2)
    world.plan()
    with world.owner() as conn:
        conn.execute("update orders.shipments set state = 'handed_over'")
    world.publish(feed_zip("2", [TRUCK.format(seats=2)], closures_csv=CLOSED))  # books are kept over versions
    world.order(3)
    world.plan()
    assert world.rows("select parcels, capacity_parcels from planning.loads where depart_at = %s", tuesday) == [(4, 4)]
    with world.operator() as ctx:
        counter = Desks(ctx.part(Feeds)).fresh(ctx)
        assert counter.capacities([(0, to_minute(tuesday)), (0, to_minute(tuesday) + DAY)]) == [(4, 2e6), (2, 1e6)]
        leg = {"departure_id": ["truck"], "depart_at": [tuesday]}
        legs = pl.DataFrame(leg, schema_overrides={"depart_at": pl.Datetime("us", "UTC")})
        assert with_room(counter, legs).select("capacity_parcels", "gone").rows() == [(4.0, False)]


def lift(world: World, made: closing.Entered) -> None:
    with world.operator() as ctx:
        closing.lift(ctx, OneClosure(made.closure.closure_id))


def test_seats_go_back_with_the_departure_when_its_delay_is_lifted(world: World) -> None:
    """What was booked before the delay and on the delayed truck counts on the truck as it leaves again; a seat that was
    given up meanwhile is free.
    """
    world.publish(feed_zip(departures=[TRUCK.format(seats=3), VAN.replace(",9,0", ",90,0")]))
    assert world.book("truck", 3) and world.book("truck", 3)
    with world.owner() as conn:
        conn.execute("update orders.shipments set state = 'handed_over'")
    made = shut(world, departure_id="truck", delay_minutes=45)
    world.order(1)
    world.plan()  # on the truck at 10:45
    with world.owner() as conn:
        gone = "select min(shipment_id) from planning.legs where depart_at = %s"
        conn.execute(
            f"update orders.shipments set state = 'cancelled' where shipment_id = ({gone})", (MONDAY.replace(hour=10),)
        )
        conn.execute("update orders.shipments set state = 'handed_over' where state = 'booked'")
    lift(world, made)
    loads = "select depart_at, parcels from planning.loads where departure_id = 'truck' and parcels > 0"
    assert world.rows(loads) == [(MONDAY.replace(hour=10), 2.0)]
    world.order(2)
    world.plan()
    assert world.rows(loads) == [(MONDAY.replace(hour=10), 3.0)], "a later wave counts the same"
    assert world.rows("select count(*) from planning.legs where departure_id = 'van'") == [(1,)]


def test_lifting_one_of_two_delays_moves_the_seats_once(world: World) -> None:
    """The truck leaves by what is left of its delay, and at times at which it left before nothing is booked."""
    world.publish(feed_zip(departures=[TRUCK.format(seats=2)]))
    assert world.book("truck", 2)
    first, second = (shut(world, departure_id="truck", delay_minutes=delay) for delay in (45, 30))
    loads = "select depart_at, parcels from planning.loads where departure_id = 'truck' and parcels > 0"
    lift(world, first)
    assert dict(world.rows(loads)) == {MONDAY.replace(hour=10, minute=30): 1.0}
    lift(world, second)
    assert dict(world.rows(loads)) == {MONDAY.replace(hour=10): 1.0}


def test_a_wave_leaves_out_what_was_closed_while_it_planned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planned on the truck, which is cancelled before the wave writes: not booked on it, but by a wave that follows."""
    world.publish()
    world.order(2)
    with monkeypatch.context() as planted:
        meanwhile(world, planted, lambda: shut(world, departure_id="truck"))
        done = world.plan()
    assert (done.state, done.booked, done.skipped) == ("done", 0, 2)
    [(plan_id,)] = world.rows("select plan_id from planning.plans where state = 'waiting'")
    waving.plan_wave(world.desk, plan_id=plan_id)
    assert {way[0] for way in world.routes().values()} == {"van 02"}
    assert world.rows("select count(*) from planning.plans where state = 'waiting'") == [(0,)]


@pytest.mark.parametrize(("hours", "booked"), [((2, 5), 1), ((5, 7), 0)])
def test_what_arrives_where_was_shut_meanwhile_is_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch, hours: tuple[int, int], booked: int
) -> None:
    """The truck is there at 12:00: a node shut until 11:00 keeps nobody from it, one shut from 11:00 on does."""
    world.publish(feed_zip(departures=[TRUCK.format(seats=2)]))
    world.order(1)
    begins, ends = (world.at + timedelta(hours=more) for more in hours)
    meanwhile(world, monkeypatch, lambda: shut(world, node_id="B", from_at=begins, until_at=ends))
    done = world.plan()
    assert (done.booked, done.skipped) == (booked, 1 - booked)


def test_what_a_wave_books_on_a_closure_entered_as_it_writes_is_rebooked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job of such a closure is deferred once more with the wave's own transaction; not of one it knew of."""
    world.publish()
    known = shut(world, lane_id="AV", capacity_factor=0.5).closure.closure_id
    world.order(1)
    really, made = wave._book_new, []

    def book_new(*asked: Any) -> Any:
        made.append(shut(world, departure_id="truck").closure.closure_id)
        return really(*asked)

    monkeypatch.setattr(wave, "_book_new", book_new)
    assert world.plan().booked == 1
    asked = "select args->>'closure_id', count(*) from jobs.procrastinate_jobs where task_name = %s group by 1"
    jobs = world.rows(asked, REPLAN)
    assert dict(jobs) == {known: 1, made[0]: 2}
