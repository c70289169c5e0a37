"""Events captured: each once, in its place and time, reaching the parcels inside what was scanned."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from tracking_cases import BAG, HOUSE, RIVAL, SHOP, STRANGER, ULD, World, document, make_world, pack, scan


@pytest.fixture(scope="module")
def world(make_urls, tmp_path_factory):
    """One world for all, each test with parcels of its own."""
    with make_world(make_urls, tmp_path_factory.mktemp("world")) as made:
        yield made


def test_a_scan_moves_its_parcel_and_names_the_event(world: World):
    """A courier's scan is the parcel's milestone, and why is the event's id."""
    epc = world.parcel()
    job = world.capture(world.blue, scan("accepting", 1, epc, place="A"))
    assert (job["running"], job["success"], job["added"]) == (False, True, 1)
    told = world.follow(epc)
    assert (told.status, told.detail, told.place) == ("picked_up", "accepted", "urn:rookery:node:A")
    assert told.event_id.startswith("ni:///sha-256;") and [one.event_id for one in told.steps] == [told.event_id]
    assert world.kept(epc) == ("picked_up", "accepted", "urn:rookery:node:A")


def test_the_same_event_twice_is_one_event(world: World):
    """Whatever form it comes in, in one document or in two, an event of a party is kept once."""
    epc = world.parcel()
    event = scan("departing", 2, epc, place="A")
    urn_like = {
        **event,
        "eventTime": "2026-03-02T11:00:00.000+01:00",
        "bizStep": "https://ref.gs1.org/cbv/BizStep-departing",
    }
    before = world.count("events")
    assert world.capture(world.blue, event, event)["added"] == 1
    assert world.capture(world.blue, urn_like)["added"] == 0
    assert world.count("events") == before + 1
    assert len(world.follow(epc).steps) == 1


def test_another_party_is_not_told_that_the_event_exists(world: World):
    """The same event of another party is another event: nothing of the answer differs from a first one's."""
    epc = world.parcel()
    event = scan("departing", 2, epc, place="A")
    world.capture(world.blue, event)
    told = world.capture(STRANGER, event)
    assert (told["success"], told["added"], told["errors"]) == (True, 1, [])


def test_a_strangers_scan_is_kept_and_moves_nothing(world: World):
    """A courier that has nothing to do with a parcel cannot say that it was delivered."""
    epc = world.parcel()
    world.capture(world.blue, scan("departing", 2, epc, place="A"))
    world.capture(STRANGER, scan("receiving", 3, epc, place="B"))
    assert world.follow(epc).status == "in_transit" and len(world.follow(epc).steps) == 1
    for who in (HOUSE, STRANGER):
        steps = world.follow(epc, HOUSE).steps
        assert [(one.counted, one.reason) for one in steps] == [(True, None), (False, "not_of_its_couriers")], who
    assert world.kept(epc)[0] == "in_transit"  # type: ignore[index]


def test_a_bags_scan_reaches_the_parcels_in_it(world: World):
    """What happens to the bag happens to the parcel, while it lies in the bag and no longer."""
    epc = world.parcel()
    bag = BAG + "?bag=1"
    world.capture(world.blue, pack(1, bag, epc), scan("departing", 2, bag, place="A"))
    assert world.kept(epc)[:3] == ("in_transit", "departed", "urn:rookery:node:A")  # type: ignore[index]
    world.capture(world.red, scan("arriving", 4, bag, place="H"), pack(5, bag, epc, action="DELETE"))
    world.capture(world.red, scan("departing", 6, bag, place="H"))
    told = world.follow(epc)
    assert (told.status, told.detail) == ("in_transit", "unbagged")
    assert [one.via for one in told.steps] == [[], [told.steps[1].via[0]], [told.steps[1].via[0]], []]


def test_the_aggregation_may_come_after_the_scan(world: World):
    """A bag's scan reaches a parcel that is only later told to have been in it, also two levels deep."""
    epc = world.parcel()
    bag, uld = "urn:rookery:number:BAG2", "urn:rookery:number:ULD2"
    world.capture(world.blue, scan("arriving", 5, uld, place="H"))
    world.capture(world.blue, pack(2, bag, epc))
    assert world.kept(epc)[1] == "bagged"  # type: ignore[index]
    world.capture(world.blue, pack(3, uld, bag))
    assert world.kept(epc)[:2] == ("in_transit", "arrived")  # type: ignore[index]
    told = world.follow(epc)
    assert (told.status, told.detail, told.place) == ("in_transit", "arrived", "urn:rookery:node:H")
    assert told.steps[-1].via == [bag, uld]


def test_an_emptied_bag_holds_nobody(world: World):
    """A DELETE without children takes everything out, also what is only later told to have been put in before."""
    one, late = world.parcel(), world.parcel()
    bag = "urn:rookery:number:BAG3"
    world.capture(world.blue, pack(1, bag, one), pack(4, bag, action="DELETE"), scan("departing", 6, bag, place="H"))
    world.capture(world.blue, pack(2, bag, late))
    assert world.follow(one).detail == "bagged" and world.follow(late).detail == "bagged"
    assert world.kept(late)[1] == "bagged"  # type: ignore[index]


def test_a_correction_takes_an_event_back(world: World):
    """A declared event moves nothing any more, whether the declaration comes after it or before; it is kept."""
    epc, other = world.parcel(), world.parcel()
    wrong = scan("receiving", 9, epc, other, place="B")
    declared = {**wrong, "errorDeclaration": {"declarationTime": "2026-03-03T08:00:00Z", "reason": "did_not_occur"}}
    world.capture(world.red, scan("transporting", 8, epc, other, place="B"), wrong)
    assert world.follow(epc).status == "delivered"
    assert world.capture(world.red, declared)["added"] == 1
    assert world.capture(world.red, declared)["added"] == 0
    assert world.follow(epc).status == "out_for_delivery"
    assert world.kept(other)[0] == "out_for_delivery"  # type: ignore[index]
    third = world.parcel()
    wrong, declared = ({**event, "epcList": [third]} for event in (wrong, declared))
    world.capture(world.red, declared)
    assert world.capture(world.red, wrong)["added"] == 1
    assert world.follow(third).status is None and world.kept(third)[0] is None  # type: ignore[index]


def test_only_its_own_party_withdraws_an_event(world: World):
    """Another's declaration of the same event is another event, and takes nothing back."""
    epc = world.parcel()
    event = scan("receiving", 9, epc, place="B")
    world.capture(world.red, event)
    world.capture(world.blue, {**event, "errorDeclaration": {"declarationTime": "2026-03-03T08:00:00Z"}})
    assert world.follow(epc).status == "delivered"


def test_times_that_cannot_be_are_kept_and_move_nothing(world: World):
    """A device whose clock stands in 1970, or runs ahead, is heard and not believed."""
    epc = world.parcel()
    lost = {**scan("receiving", 0, epc), "eventTime": "1970-01-01T00:00:00Z"}
    ahead = {**scan("receiving", 0, epc), "eventTime": "2036-01-01T00:00:00Z"}
    assert world.capture(world.red, lost, ahead, scan("departing", 3, epc))["added"] == 3
    told = world.follow(epc)
    assert told.status == "in_transit"
    assert [one.reason for one in told.steps] == ["time_not_believed", None, "time_not_believed"]


def test_a_cycle_of_containers_ends(world: World):
    """Two bags said to lie in each other hold nobody up, and the parcel in one of them is followed all the same."""
    epc = world.parcel()
    one, two = "urn:rookery:number:CYC1", "urn:rookery:number:CYC2"
    world.capture(world.blue, pack(1, one, epc), pack(2, two, one), pack(3, one, two))
    world.capture(world.blue, scan("departing", 4, two, place="A"))
    assert world.follow(epc).detail == "departed" and world.kept(epc)[1] == "departed"  # type: ignore[index]


def test_rollback_keeps_nothing_of_a_document_with_one_fault_and_proceed_the_rest(world: World):
    """The first fault refuses the whole document, unless its sender wants the good events kept; all faults are told."""
    from rookery.terms.errors import InvalidInput

    epc = world.parcel()
    good, bad = scan("departing", 2, epc), {**scan("departing", 3, epc), "action": "LOOK"}
    before = world.count("events")
    with pytest.raises(InvalidInput) as refused:
        world.capture(world.blue, good, bad)
    assert [fault.at for fault in refused.value.faults] == ["$.epcisBody.eventList[1].action"]
    assert world.count("events") == before
    job = world.capture(world.blue, good, bad, behaviour="proceed")
    assert (job["success"], job["added"], [one["instance"] for one in job["errors"]]) == (
        False, 1, ["$.epcisBody.eventList[1].action"],
    )  # fmt: skip


def test_whatever_the_order_of_arrival_the_end_is_the_same(world: World):
    """Events of parcels, bags and containers, shuffled into captures of any size, leave every parcel alike, and the
    kept row always says what following tells.
    """
    luck = random.Random(7)
    for turn in range(6):
        epcs = [world.parcel() for _ in range(3)]
        bag, uld = f"urn:rookery:number:SB{turn}", f"urn:rookery:number:SU{turn}"
        events = [
            scan("accepting", 1, *epcs, place="A"), pack(2, bag, *epcs[:2]), pack(3, uld, bag),
            scan("departing", 4, uld, place="A"), scan("arriving", 6, uld, place="H"),
            pack(7, uld, bag, action="DELETE"), pack(8, bag, epcs[0], action="DELETE"),
            scan("departing", 9, bag, place="H"),
            scan("transporting", 10, epcs[0], place="B"), scan("receiving", 11, epcs[0], place="B"),
            scan("departing", 12, epcs[0], place="B"),
        ]  # fmt: skip
        luck.shuffle(events)
        while events:
            size = luck.randint(1, 4)
            world.capture(HOUSE, *events[:size])
            del events[:size]
            for epc in epcs:
                told, kept = world.follow(epc), world.kept(epc)
                if kept is not None:
                    assert kept[:3] == (told.status, told.detail, told.place)
        assert [(one.status, one.detail) for one in map(world.follow, epcs)] == [
            ("delivered", None), ("in_transit", "departed"), ("picked_up", "accepted"),
        ]  # fmt: skip


def test_only_who_may_see_a_parcel_follows_it(world: World):
    """Another shipper hears that there is no such parcel."""
    from rookery.terms.errors import NotFound

    epc = world.parcel()
    with pytest.raises(NotFound):
        world.follow(epc, RIVAL)
    assert world.follow(epc, world.blue).parcel_id == world.follow(epc, SHOP).parcel_id
    assert ULD


def together(world: World, first: tuple[Any, ...], second: tuple[Any, ...]) -> None:
    """Capture while another capture, that began before, is not committed yet: (who, event, ...) each."""
    from rookery.flows.epcis.captures import Document, capture

    with world.record.context(first[0]) as ctx:
        capture(ctx, Document(document(*first[1:]), "application/json"))
        other = threading.Thread(target=world.capture, args=second)
        other.start()
        other.join(0.3)  # it waits for us, or is done
    other.join()


def test_a_declaration_and_its_event_captured_at_once(world: World):
    """Of two that begin at the same moment one waits for the other, and the event is withdrawn all the same."""
    for declared_first in (True, False):
        epc = world.parcel()
        wrong = scan("receiving", 9, epc, place="B")
        declared = {**wrong, "errorDeclaration": {"declarationTime": "2026-03-03T08:00:00Z"}}
        both = [(world.red, declared), (world.red, wrong)]
        together(world, *(both if declared_first else both[::-1]))
        assert (world.follow(epc).status, world.kept(epc)) == (None, (None, None, None))


def test_containers_that_move_at_once_take_their_parcels_along(world: World):
    """A bag is loaded while its container is loaded and that is scanned: the row says what following tells."""
    epc = world.parcel()
    bag, uld, truck = (f"urn:rookery:number:AT{n}" for n in "123")
    world.capture(world.blue, pack(1, bag, epc), scan("arriving", 6, truck, place="H"))
    together(world, (HOUSE, pack(3, truck, uld)), (HOUSE, pack(2, uld, bag)))
    assert world.follow(epc).detail == "arrived" and world.kept(epc)[1] == "arrived"  # type: ignore[index]


@pytest.mark.parametrize("uld", ["urn:rookery:number:AAULD", "urn:rookery:number:ZZULD"])
def test_of_two_ways_to_a_parcel_the_nearer_tells(world: World, uld: str):
    """What a bag's being loaded means for what is in it is what it means for the bag, by whatever name."""
    epc = world.parcel()
    bag = f"urn:rookery:number:MB{epc[-6:]}"
    world.capture(world.blue, pack(1, bag, epc))
    world.capture(world.blue, {**pack(2, uld + epc[-6:], bag), "bizStep": "packing", "disposition": "damaged"})
    told = world.follow(epc)
    assert world.kept(epc)[:2] == (told.status, told.detail)  # type: ignore[index]


def test_withdrawing_an_emptying_puts_everything_back(world: World):
    """What was said to be taken out lies in the bag again, and moves with it."""
    epc = world.parcel()
    bag = "urn:rookery:number:WE1"
    emptied = pack(3, bag, action="DELETE")
    world.capture(world.blue, pack(1, bag, epc), emptied, scan("departing", 4, bag, place="A"))
    assert world.follow(epc).detail == "bagged"
    world.capture(world.blue, {**emptied, "errorDeclaration": {"declarationTime": "2026-03-03T08:00:00Z"}})
    assert world.follow(epc).detail == "departed" and world.kept(epc)[1] == "departed"  # type: ignore[index]


def test_a_scan_at_the_minute_of_a_late_aggregation_counts(world: World):
    """The bag was scanned at the very instant at which the parcel is later said to have been put in."""
    epc = world.parcel()
    bag = "urn:rookery:number:LA1"
    put = {**pack(2, bag, epc), "bizStep": "inspecting"}
    world.capture(world.blue, scan("departing", 2, bag, place="A"))
    world.capture(world.blue, put)
    assert world.follow(epc).detail == "departed" and world.kept(epc)[1] == "departed"  # type: ignore[index]


def test_whoever_carries_nothing_in_a_container_does_not_move_it(world: World):
    """A courier without a parcel in a bag cannot put the bag elsewhere; one whose parcel comes into it later could."""
    epc = world.parcel()
    bag, uld, box = (f"urn:rookery:number:NC{n}" for n in "123")
    world.capture(world.blue, pack(1, bag, epc), pack(2, uld, bag))
    world.capture(STRANGER, pack(3, box, bag))
    world.capture(world.blue, scan("departing", 4, uld, place="A"))
    assert world.follow(epc).detail == "departed" and world.kept(epc)[1] == "departed"  # type: ignore[index]


def test_a_container_is_believed_when_it_is_known_what_it_carries(world: World):
    """The bag was loaded before anybody told that the parcel is in it."""
    epc = world.parcel()
    bag, uld = "urn:rookery:number:KC1", "urn:rookery:number:KC2"
    world.capture(world.blue, pack(2, uld, bag), scan("departing", 4, uld, place="A"))
    world.capture(world.blue, pack(1, bag, epc))
    assert world.follow(epc).detail == "departed" and world.kept(epc)[1] == "departed"  # type: ignore[index]


def test_a_shipper_does_not_ride_on_what_others_carry(world: World):
    """Saying that one's parcel lies in a truck shows nothing of where the truck goes."""
    epc = world.parcel()
    truck = "urn:rookery:number:TRUCKX"
    world.capture(HOUSE, scan("departing", 4, truck, place="A"))
    world.capture(SHOP, pack(1, truck, epc))
    assert world.follow(epc).status == "in_transit" and [one.via for one in world.follow(epc).steps] == [[]]


def test_strangers_do_not_crowd_out_a_parcels_history(world: World):
    """A thousand scans by whoever has nothing to do with a parcel leave its own steps where they are."""
    epc = world.parcel()
    world.capture(world.blue, scan("departing", 2, epc, place="A"))
    world.capture(STRANGER, *(scan("arriving", 3 + n / 1000, epc, place="B") for n in range(1200)))
    told = world.follow(epc)
    assert len(told.steps) == 1 and told.event_id == told.steps[0].event_id and told.notices == []
    assert len(world.follow(epc, HOUSE).steps) == 1000 and world.follow(epc, HOUSE).place == "urn:rookery:node:A"


def test_a_scan_counts_though_the_parcel_is_let_to_others_later(world: World):
    """Who had to do with the parcel then is believed of then."""
    epc = world.parcel()
    world.capture(world.blue, scan("accepting", 1, epc, place="A"))
    with world.record.context() as ctx:
        ctx.conn.execute("delete from orders.parcel_party where party_id = %s", (world.blue.party_id,))
    assert world.follow(epc).status == "picked_up"
    world.capture(world.blue, scan("receiving", 2, epc, place="B"))
    assert world.follow(epc).status == "picked_up"


def test_what_cannot_be_kept_is_a_fault_with_its_place(world: World):
    """Long identifiers, U+0000 and events of too many things are told, and the others go on."""
    epc = world.parcel()
    bad = [
        scan("departing", 2, "urn:x:" + "long" * 1000), {**scan("departing", 2, epc), "rookery:note": "a\0b"},
        scan("departing", 2, *(f"urn:x:{n}" for n in range(20_001))),
        {**scan("departing", 2, epc), "eventTime": "0001-01-01T00:00:00+14:00"},
    ]  # fmt: skip
    job = world.capture(world.blue, *bad, scan("departing", 3, epc), behaviour="proceed")
    assert job["added"] == 1 and [one["instance"] for one in job["errors"]] == [
        "$.epcisBody.eventList[0]", "$.epcisBody.eventList[1]", "$.epcisBody.eventList[2].epcList",
        "$.epcisBody.eventList[3].eventTime",
    ]  # fmt: skip


def test_a_vehicle_scanned_often_moves_what_it_carries_once(world: World):
    """Two thousand positions of a truck with fifty parcels are fifty moves, and the last of them is where they are."""
    epcs = [world.parcel() for _ in range(10)]
    truck = "urn:rookery:number:OFTEN"
    world.capture(HOUSE, pack(1, truck, *epcs))
    moves = [scan("departing", 2 + n / 1000, truck, place=f"P{n}") for n in range(2000)]
    world.capture(HOUSE, *moves)
    for epc in epcs[:3]:
        told = world.follow(epc)
        assert world.kept(epc) == (told.status, told.detail, told.place)
        assert (told.detail, told.place) == ("departed", "urn:rookery:node:P1999")


def test_what_was_captured_before_the_parcel_was_let_to_its_sender_counts_then(world: World):
    """The parcel's row, and what its shipper reads, know of it as soon as it is claimed."""
    from rookery.flows.scanning import claim

    epc = world.parcel()
    world.capture(STRANGER, scan("departing", 2, epc, place="A"))
    assert world.follow(epc).steps == [] and world.kept(epc) == (None, None, None)
    with world.record.context() as ctx:
        ctx.conn.execute(
            "insert into orders.parcel_party select parcel_id, %s, 'courier', party_id, test, created_at"
            " from orders.parcels where number = %s",
            (STRANGER.party_id, epc.rsplit("/", 1)[1]),
        )
        assert claim(ctx, [epc]) == 1
        assert claim(ctx, [epc]) == 0
    assert world.follow(epc).detail == "departed" and world.kept(epc)[1] == "departed"  # type: ignore[index]
    with world.record.context(SHOP, readonly=True) as ctx:
        assert ctx.conn.execute("select count(*) from tracking.event_epcs where epc = %s", (epc,)).fetchone() == (1,)


def test_what_happened_long_before_the_booking_is_not_believed(world: World):
    """A device whose clock stands at 2010 delivers nothing that was booked in 2026, itself or by way of a bag."""
    epc = world.parcel()
    wrong = {**scan("receiving", 0, epc), "eventTime": "2010-01-01T00:00:07Z"}
    world.capture(world.red, wrong)
    world.capture(world.blue, scan("departing", 3, epc, place="A"))
    told = world.follow(epc)
    assert (told.status, [one.reason for one in told.steps]) == ("in_transit", ["time_not_believed", None])
    assert world.kept(epc)[0] == "in_transit"  # type: ignore[index]


def test_another_shippers_parcel_is_not_named_as_a_container(world: World):
    """Whoever reads that a parcel lay in another's parcel is not told its number."""
    mine, theirs = world.parcel(RIVAL), world.parcel(SHOP)
    world.capture(HOUSE, pack(1, theirs, mine), scan("departing", 2, theirs, place="A"))
    assert [one.via for one in world.follow(mine, RIVAL).steps] == [[], ["urn:rookery:hidden"]]
    assert world.follow(mine, HOUSE).steps[1].via == [theirs]


def test_who_runs_the_network_overrules_an_event_and_takes_that_back(world: World):
    """A delivery that nobody takes back counts no more, a bag's departure neither; undone, both count as before."""
    from rookery.flows.overruling import Overruling, overrule_event

    epc = world.parcel()
    bag = "urn:rookery:number:OV1"
    world.capture(world.blue, pack(1, bag, epc), scan("departing", 2, bag, place="A"))
    world.capture(world.red, scan("receiving", 3, epc, place="B"))

    def overrule(event_id: str, overruled: bool = True) -> int:
        with world.record.context(HOUSE) as ctx:
            return overrule_event(ctx, Overruling(event_id, overruled)).parcels

    delivery = world.follow(epc, HOUSE).event_id
    assert overrule(delivery) == 1
    told = world.follow(epc, HOUSE)
    assert told.detail == "departed" and world.kept(epc)[1] == "departed"  # type: ignore[index]
    assert overrule(told.event_id) == 1 and world.kept(epc)[1] == "bagged"  # type: ignore[index]
    packing = world.follow(epc, HOUSE).event_id
    assert overrule(packing) == 1 and world.kept(epc) == (None, None, None)
    for event_id in (packing, told.event_id, delivery):
        assert overrule(event_id, False) == 1
    assert world.kept(epc)[0] == world.follow(epc).status == "delivered"  # type: ignore[index]
