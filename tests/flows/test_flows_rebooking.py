"""Shipments are booked on from where they are: seats, routes, labels, couriers and news follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from psycopg.errors import LockNotAvailable
from rebooking_cases import NEXT_DAY, OVER_K, Town, leg, make_town
from record_cases import NOW, SHOP
from tracking_cases import HOUSE, scan

from rookery.base.db import Urls
from rookery.flows.parcels import OneParcel, hand_over
from rookery.flows.rebooking.acting import act_on
from rookery.flows.rebooking.ways import REASONS
from rookery.terms.errors import Conflict, InvalidInput, NotFound


@pytest.fixture
def town(make_urls: Callable[[], Urls], tmp_path: Path) -> Iterator[Town]:
    with make_town(make_urls, tmp_path) as made:
        yield made


def test_what_missed_its_connection_goes_the_way_suggested(town: Town) -> None:
    """The leg ridden stays, the new ones follow it; seats, expectation and chance are those of the new way, and the
    promise is what it was.
    """
    [one] = town.missed()
    town.suggest(one, OVER_K)
    assert town.way(one) == ["AH1 02", "HB1 03"]
    done = town.rebook(one)
    assert (done["replan"]["done"], done["replan"]["refused"], done["replan"]["reasons"]) == (1, 0, {})
    [told] = done["shipments"]["data"]
    assert [leg["departure_id"] for leg in told["legs"]] == ["AH1", "HK1", "KB1"]
    assert (told["route_before"], told["route_after"], told["chance_after"]) == (1, 2, 0.75)
    assert town.way(one) == ["AH1 02", "HK1 03", "KB1 03"] and town.taken() == {"HK1 03": 1.0}
    now = town.record.do("shipments.get", shipment_id=one["shipment_id"])
    assert now["promised_at"] == one["promised_at"] and now["on_time_probability"] == 0.75
    assert now["version"] == one["version"] + 1
    assert town.rows("select what, detail->>'route' from orders.history where what = 'rerouted'") == [("rerouted", "2")]
    assert town.rows("select act from base.audit where act = 'shipments.rebook'") == [("shipments.rebook",)]
    assert town.record.do("replans.get", HOUSE, replan_id=done["replan"]["replan_id"]) == done["replan"]


def test_labels_and_couriers_follow(town: Town) -> None:
    """The route code is the new way's and the label outdated, the new courier sees the parcel, and whoever may have
    carried it goes on to see it.
    """
    [one] = town.missed()
    town.suggest(one, OVER_K)
    number = one["parcels"][0]["number"]
    with town.record.context() as ctx:
        ctx.conn.execute("update waybill.numbers set state = 'handed_over', changed_at = %s", (NOW,))
    before = town.rows("select version, state, changed_at from waybill.numbers where number = %s", number)
    town.rebook(one)
    [(code,)] = town.rows("select route_code from orders.parcels")
    assert code != one["parcels"][0]["route_code"] and "K" in code
    after = town.rows("select version, state, changed_at from waybill.numbers where number = %s", number)
    assert after == [(before[0][0] + 1, "handed_over", NOW)]
    granted = {party for (party,) in town.rows("select party_id from orders.parcel_party")}
    assert granted == {town.blue.party_id, town.red.party_id, town.green.party_id}
    with town.record.context(town.green, readonly=True) as ctx:
        legs = ctx.conn.execute("select departure_id from planning.legs order by 1").fetchall()
    assert legs == [("HK1",), ("KB1",)]


def test_before_hand_over_only_who_carries_it_sees_it(town: Town) -> None:
    """A shipment that waits at its origin is booked on likewise; its label is to be printed again, and a courier that
    will not carry it sees it no longer.
    """
    one = town.book()
    parcel = one["parcels"][0]
    town.record.do("labels.print", parcel_ids=[parcel["parcel_id"]], form="zpl")
    town.suggest(one, [leg("AH1", 2), *OVER_K], node_id="A")
    assert town.rebook(one)["replan"]["done"] == 1
    assert town.way(one) == ["AH1 02", "HK1 03", "KB1 03"]
    granted = {party for (party,) in town.rows("select party_id from orders.parcel_party")}
    assert granted == {town.blue.party_id, town.green.party_id}
    assert town.rows("select state from waybill.numbers where number = %s", parcel["number"]) == [("issued",)]


@pytest.mark.parametrize("hours", [8.9, 9.5], ids=["early", "late"])
def test_a_ride_at_hand_stays(town: Town, hours: float) -> None:
    """What is on its way to the hub keeps the leg it rides, booked or not, and takes no seat for it; also when it left
    before its time.
    """
    booked, strayed = town.book(), town.book()
    town.record.now = NOW + timedelta(hours=hours)
    town.capture(town.blue, scan("departing", hours, *booked["epcs"], *strayed["epcs"], place="A"))
    on: dict[str, Any] = {"node_id": None, "riding_departure_id": "AH1", "riding_depart_at": leg("AH1", 2)["depart_at"]}
    town.suggest(booked, [leg("AH1", 2), *OVER_K], **on)
    other = leg("AH1", 2, departure_id="AHX")
    town.suggest(strayed, [other, *NEXT_DAY], **{**on, "riding_departure_id": "AHX"})
    assert town.rebook(booked, strayed)["replan"]["done"] == 2
    assert town.way(booked) == ["AH1 02", "HK1 03", "KB1 03"]
    assert town.way(strayed) == ["AHX 02", "HB1 04"]
    assert town.rows("select count(*) from planning.loads where departure_id = 'AHX'") == [(0,)]


def test_what_was_scanned_ahead_of_its_time_was_ridden(town: Town) -> None:
    """The leg that leads to where a parcel was seen stays, though it is not to have left yet; and whose way from there
    is the booked one is left as it is.
    """
    on, same = town.book(), town.book()
    town.record.now = NOW + timedelta(hours=5)
    town.arrive(*on["epcs"], *same["epcs"], hours=4.9)
    town.suggest(on, OVER_K)
    town.suggest(same, [leg("HB1", 3)])
    done = town.rebook(on, same)
    assert town.reasons(done) == {on["shipment_id"]: None, same["shipment_id"]: "already_so"}
    assert town.way(on) == ["AH1 02", "HK1 03", "KB1 03"] and town.way(same) == ["AH1 02", "HB1 03"]


def test_a_leg_that_was_not_ridden_is_not_kept_though_its_time_has_passed(town: Town) -> None:
    """Who is seen off the route keeps what leads up to there alone: routes join up, and a seat that is still to leave
    is given back.
    """
    passed, ahead = town.missed(2)
    for one in (passed, ahead):
        town.suggest(one, OVER_K)
    town.rebook(passed, ahead)
    assert town.taken() == {"HK1 03": 2.0}
    town.arrive(*ahead["epcs"], hours=22.9, place="A")
    town.suggest(ahead, [leg("AH1", 3), *NEXT_DAY], node_id="A")
    assert town.rebook(ahead)["replan"]["done"] == 1
    assert town.way(ahead) == ["AH1 03", "HB1 04"] and town.taken() == {"HK1 03": 1.0}
    town.record.now = NOW + timedelta(hours=26)  # HK1 left at 8:00, with nobody of these
    town.arrive(*passed["epcs"], hours=25.9, place="W")
    onward = leg("KB1", 3, departure_id="HB1", lane_id="WB", from_node="W")
    town.suggest(passed, [leg("HB1", 4, from_node="W", lane_id="WB")], node_id="W")
    assert town.rebook(passed)["replan"]["done"] == 1 and town.way(passed) == ["HB1 04"]
    town.suggest(passed, [onward, leg("HK1", 4)], node_id="W")
    assert town.reasons(town.rebook(passed)) == {passed["shipment_id"]: "no_way"}


def test_off_the_route_seats_that_are_still_to_leave_are_given_back(town: Town) -> None:
    """Seen where no leg leads, before what it is booked on leaves: that goes without it."""
    [one] = town.missed()
    town.suggest(one, OVER_K)
    town.rebook(one)
    town.arrive(*one["epcs"], hours=22.9, place="W")
    town.suggest(one, [leg("HB1", 4, from_node="W", lane_id="WB")], node_id="W")
    assert town.rebook(one)["replan"]["done"] == 1
    assert town.way(one) == ["HB1 04"] and town.taken() == {}


def test_what_of_a_route_does_not_join_up_is_neither_kept_nor_put_back(town: Town) -> None:
    """A route that was written with a gap is mended by the next, and not written once more by undoing that."""
    [one] = town.missed()
    with town.record.database.owner() as owner:
        owner.execute("alter table planning.legs disable row level security")
        owner.execute("update planning.legs set to_node = 'K' where departure_id = 'AH1'")
    town.suggest(one, OVER_K)
    done = town.rebook(one)
    assert done["replan"]["done"] == 1 and town.way(one) == ["HK1 03", "KB1 03"]
    assert town.reasons(town.undo(done)) == {one["shipment_id"]: "no_way"}


def test_who_is_out_for_delivery_is_booked_as_it_went(town: Town) -> None:
    """On the last mile nothing is ahead: the whole route was ridden."""
    [one] = town.missed()
    number = one["parcels"][0]["number"]
    at = (town.record.now - timedelta(minutes=1)).isoformat()
    town.record.do("scans.create", town.red, scans=[{"number": number, "code": "out_for_delivery", "at": at}])
    town.suggest(one, [], node_id=None)
    assert town.reasons(town.rebook(one)) == {one["shipment_id"]: "already_so"}


def test_what_cannot_be_booked_on_is_told_with_its_reason(town: Town) -> None:
    """Each reason is told of the shipment it holds for, nothing of these changes, and the others go on."""
    names = ("good", "delivered", "cancelled", "unseen", "old", "lost", "same", "late", "unknown_run")
    made: dict[str, dict[str, Any]] = dict(zip(names, town.missed(len(names))))
    [made["apart"]] = town.missed(pieces=2)
    for name in ("good", "cancelled", "old"):
        town.suggest(made[name], OVER_K)
    town.suggest(made["lost"], [], why="no_way", chance=None, expected_at=None)
    town.suggest(made["same"], [leg("HB1", 3)])
    town.suggest(made["late"], [leg("HK1", 3, cutoff_at=town.record.now - timedelta(minutes=1)), leg("KB1", 3)])
    town.suggest(made["unknown_run"], [leg("HK1", 3, departure_id="HK9")])
    town.suggest(made["apart"], OVER_K, of=0)
    town.suggest(made["apart"], NEXT_DAY, of=1)
    with town.record.context() as ctx:
        ctx.conn.execute(
            "update orders.shipments set state = 'cancelled' where shipment_id = %s",
            (made["cancelled"]["shipment_id"],),
        )
    number = made["delivered"]["parcels"][0]["number"]
    town.deliver(number)
    town.arrive(*made["old"]["epcs"], hours=22.8)
    done = town.rebook(*made.values(), {"shipment_id": "shp_none"})
    by_id = {one["shipment_id"]: name for name, one in made.items()}
    assert {by_id.get(one, one): why for one, why in town.reasons(done).items()} == {
        "good": None, "delivered": "delivered", "cancelled": "cancelled", "unseen": "not_looked_at",
        "old": "not_looked_at", "lost": "no_way", "same": "already_so", "late": "cutoff_passed",
        "unknown_run": "no_room", "apart": "pieces_apart", "shp_none": "unknown",
    }  # fmt: skip
    assert set(done["replan"]["reasons"]) <= REASONS.keys()
    assert (done["replan"]["done"], done["replan"]["refused"]) == (1, 10)
    assert all(town.way(one) == ["AH1 02", "HB1 03"] for name, one in made.items() if name != "good")
    assert town.taken() == {"HK1 03": 1.0}
    town.suggest(made["good"], OVER_K)
    assert town.reasons(town.rebook(made["good"])) == {made["good"]["shipment_id"]: "already_so"}


def test_pieces_that_are_not_delivered_go_on_together(town: Town) -> None:
    """Of a shipment one piece of which is delivered the others are booked on."""
    [one] = town.missed(pieces=2)
    town.deliver(one["parcels"][0]["number"])
    town.suggest(one, OVER_K, of=1)
    assert town.rebook(one)["replan"]["done"] == 1
    assert town.way(one) == ["AH1 02", "HK1 03", "KB1 03"]


def test_seats_are_kept_within_what_a_departure_holds(town: Town) -> None:
    """Two seats are taken by two of three; the third stays on its route with its seats, and a seat given back in the
    same act is there for another.
    """
    shipments = town.missed(3)
    for one in shipments:
        town.suggest(one, OVER_K)
    done = town.rebook(*shipments)
    assert done["replan"]["reasons"] == {"no_room": 1} and town.taken() == {"HK1 03": 2.0}
    [without] = [one for one, why in town.reasons(done).items() if why]
    [third] = [one for one in shipments if one["shipment_id"] == without]
    assert town.way(third) == ["AH1 02", "HB1 03"]
    leaves = next(one for one in shipments if one is not third)
    town.suggest(leaves, NEXT_DAY)
    swapped = town.rebook(third, leaves)
    assert swapped["replan"]["done"] == 2 and town.taken() == {"HK1 03": 2.0}
    assert town.way(third) == ["AH1 02", "HK1 03", "KB1 03"] and town.way(leaves) == ["AH1 02", "HB1 04"]


def test_seats_that_a_closure_leaves_are_all_there_are(town: Town) -> None:
    """Where half of a departure is closed, half of its seats are taken at most."""
    shipments = town.missed(2)
    for one in shipments:
        town.suggest(one, OVER_K)
    half = {"lane_id": "HK", "until_at": (NOW + timedelta(days=2)).isoformat(), "capacity_factor": 0.5, "replan": False}
    town.record.do("closures.add", HOUSE, **half)
    for one in shipments:
        town.suggest(one, OVER_K)
    assert town.rebook(*shipments)["replan"]["reasons"] == {"no_room": 1} and town.taken() == {"HK1 03": 1.0}


def test_tried_only_nothing_changes(town: Town) -> None:
    """A dry run tells what would be done, with the legs, and leaves no trace."""
    [one] = town.missed()
    town.suggest(one, OVER_K)
    tables = ("planning.replans", "planning.legs", "base.audit", "orders.history", "tracking.moved", "base.outbox")
    before = [town.rows(f"select count(*) from {table}") for table in tables]
    tried = town.rebook(one, dry_run=True)
    assert tried["replan"]["replan_id"] is None and tried["replan"]["done"] == 1
    assert [leg["departure_id"] for leg in tried["shipments"]["data"][0]["legs"]] == ["AH1", "HK1", "KB1"]
    assert [town.rows(f"select count(*) from {table}") for table in tables] == before
    assert town.way(one) == ["AH1 02", "HB1 03"] and town.taken() == {}


def test_everyone_concerned_is_told(town: Town) -> None:
    """The shipper hears of its parcel's new way, its promise and its chance; couriers that come or go hear of their own
    legs alone; who does not listen is told nothing.
    """
    [one] = town.missed()
    town.suggest(one, OVER_K)
    town.record.do("webhooks.create", SHOP, url="https://shop.example/hook")
    for who in (town.green, town.red):
        town.record.do("webhooks.create", who, url="https://courier.example/hook", kinds=["parcel.rerouted"])
    done = town.rebook(one)
    news = town.rows(
        "select parties, key, kind, data::text from base.outbox where kind = 'parcel.rerouted' order by seq"
    )
    number = one["parcels"][0]["number"]
    assert [(key, len(parties)) for parties, key, _, _ in news] == [(number, 1)] * 3
    told = {parties[0]: msgspec.json.decode(data) for parties, _, _, data in news}
    assert told.keys() == {SHOP.party_id, town.green.party_id, town.red.party_id}
    mine = told[SHOP.party_id]
    assert mine["replan_id"] == done["replan"]["replan_id"] and mine["shipment_id"] == one["shipment_id"]
    assert mine["promised_at"] == one["promised_at"] and mine["undone"] is False
    assert [leg["departure_id"] for leg in mine["legs"]] == ["HK1", "KB1"]
    assert set(told[town.green.party_id]) == {"number", "parcel_id", "legs"}
    assert [leg["depart_at"] for leg in told[town.green.party_id]["legs"]] == [
        "2026-03-03T08:00:00Z",
        "2026-03-03T11:00:00Z",
    ]
    assert told[town.red.party_id]["legs"] == []


def test_parcels_are_looked_at_again(town: Town) -> None:
    """What was booked on, and it alone, is put before whoever looks up chances."""
    one, other = town.missed(2)
    town.suggest(one, OVER_K)
    with town.record.context() as ctx:
        ctx.conn.execute("delete from tracking.moved")
    town.rebook(one, other)
    assert town.rows("select epcs from tracking.moved") == [(one["epcs"],)]


def test_a_case_is_acted_on(town: Town) -> None:
    """All in a case, or some of it, is booked on; its parcels tell by which replan, and what is not in it is told."""
    one, other, stranger = town.missed(3)
    for each in (one, other, stranger):
        town.suggest(each, OVER_K)
    town.case("cas_1", one, other)
    asked = [one["shipment_id"], stranger["shipment_id"]]
    tried, done = (
        town.record.do("cases.act", HOUSE, case_id="cas_1", **{name: asked, "dry_run": name == "shipments"})
        for name in ("shipments", "shipment_ids")  # the older spelling is taken, too
    )
    assert town.reasons(tried) == town.reasons(done)
    with pytest.raises(InvalidInput, match="named twice"):
        town.record.do("cases.act", HOUSE, case_id="cas_1", shipments=asked, shipment_ids=asked)
    assert town.reasons(done) == {one["shipment_id"]: None, stranger["shipment_id"]: "not_in_case"}
    replan = done["replan"]["replan_id"]
    acted = dict(town.rows("select epc, acted from tracking.case_parcels"))
    assert acted == {one["epcs"][0]: replan, other["epcs"][0]: None}
    town.suggest(other, OVER_K)
    assert town.record.do("cases.act", HOUSE, case_id="cas_1", dry_run=True)["replan"]["done"] == 1
    town.record.now += timedelta(seconds=1)
    rest = town.record.do("cases.act", HOUSE, case_id="cas_1")
    assert (rest["replan"]["done"], rest["replan"]["reasons"]) == (1, {"already_so": 1})
    listed = town.record.do("replans.list", HOUSE, case_id="cas_1")["data"]
    assert [one["replan_id"] for one in listed] == [rest["replan"]["replan_id"], replan]
    page = town.record.do("replans.shipments", HOUSE, replan_id=replan, limit=1)
    assert len(page["data"]) == 1 and page["next"] is not None


def test_a_case_that_is_none_or_closed_is_told(town: Town) -> None:
    """Acting on no case, a closed one, or one without parcels says what to do instead."""
    [one] = town.missed()
    town.case("cas_1", one)
    town.case("cas_2", cause="departure:HB1@2026-03-04T05:00Z")
    with town.record.context() as ctx:
        ctx.conn.execute("update tracking.cases set state = 'closed', closed_at = opened_at where case_id = 'cas_1'")
    for case_id, code in (("cas_0", "cases.none"), ("cas_1", "cases.closed"), ("cas_2", "cases.no_parcels")):
        with pytest.raises((NotFound, Conflict)) as told:
            town.record.do("cases.act", HOUSE, case_id=case_id)
        assert told.value.code == code
    with pytest.raises(NotFound):
        town.record.do("replans.undo", HOUSE, replan_id="rpl_none")


def test_the_same_key_is_acted_on_once(town: Town) -> None:
    """With an Idempotency-Key the same question is answered as the first time, and nothing is booked again."""
    [one] = town.missed()
    town.suggest(one, OVER_K)
    asked = {"shipment_ids": [one["shipment_id"]]}
    first = town.record.do("shipments.rebook", HOUSE, "key-1", **asked)
    assert town.record.do("shipments.rebook", HOUSE, "key-1", **asked) == first
    assert town.rows("select count(*) from planning.replans") == [(1,)]


def test_nothing_known_is_told_too(town: Town) -> None:
    """Shipments that are none, alone, are told so."""
    town.record.quote()
    done = town.rebook({"shipment_id": "shp_none"})
    assert done["replan"]["reasons"] == {"unknown": 1} and town.undo(done)["replan"]["undone"] == 0


def test_what_goes_by_the_policy_alone_is_booked(town: Town) -> None:
    """A parcel without a route is booked on the way that is suggested to it."""
    [one] = town.missed()
    with town.record.context() as ctx:
        ctx.conn.execute("update orders.shipments set route = 7")  # which has no legs
    town.suggest(one, OVER_K, why="not_planned")
    assert town.rebook(one)["replan"]["done"] == 1
    assert town.way(one) == ["HK1 03", "KB1 03"]


def test_chances_are_held_before_news_are_told(town: Town) -> None:
    """Whoever looks at a parcel waits until it was booked on, so that news of it come in the order of happening."""
    [one] = town.missed()
    town.suggest(one, OVER_K)
    with town.record.context(HOUSE) as ctx:
        act_on(ctx, [one["shipment_id"]], by=HOUSE.party_id)
        with town.record.database.owner() as conn, pytest.raises(LockNotAvailable):
            conn.execute("select from tracking.chances where epc = %s for update nowait", one["epcs"])


def test_who_hears_of_everything_hears_of_a_new_way_once(town: Town) -> None:
    """News for couriers, of legs that the shipper's news tell as well, are not for endpoints that hear all."""
    [one] = town.missed()
    town.suggest(one, OVER_K)
    for who in (HOUSE, town.green):
        town.record.do("webhooks.create", who, url="https://hook.example/hook")
    town.rebook(one)
    news = town.rows("select parties, to_all from base.outbox where kind = 'parcel.rerouted' order by seq")
    assert news == [([SHOP.party_id], True), ([town.green.party_id], False)]


def test_a_hand_over_holds_the_shipment_first(town: Town) -> None:
    """Whoever notes a hand-over holds the shipment, as whoever books it on does before its parcels: nobody waits in a
    circle.
    """
    one = town.book(pieces=2)
    first, second = (parcel["parcel_id"] for parcel in one["parcels"])
    town.record.do("parcels.hand_over", town.blue, parcel_id=first)
    with town.record.context(town.blue) as ctx:
        hand_over(ctx, OneParcel(second))
        with town.record.database.owner() as conn, pytest.raises(LockNotAvailable):
            conn.execute("select from orders.shipments where shipment_id = %s for update nowait", (one["shipment_id"],))
