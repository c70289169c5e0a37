"""What couriers have scanned is neither cancelled nor readdressed by its shipper, handed over by an act or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg
import pytest
from psycopg import sql
from record_cases import ADA, NOW, RIVAL, SHOP
from tracking_cases import BAG, HOUSE, STRANGER, World, make_world, pack, scan

from rookery.base.clock import Clock
from rookery.base.db import Urls
from rookery.base.operations import Who
from rookery.base.progress import silent
from rookery.flows.archive import archiving
from rookery.terms.errors import Changed, Conflict, NotFound
from rookery.tracking.archive import Archive
from rookery.tracking.epcis.identifiers import sscc_uri

CARRYING = Who(SHOP.party_id, "key_shop_carrying", frozenset({"courier"}))


@pytest.fixture
def world(make_urls: Callable[[], Urls], tmp_path: Path) -> Iterator[World]:
    with make_world(make_urls, tmp_path) as made:
        made.record.now = NOW
        yield made


def book(world: World, pieces: int = 1) -> tuple[dict[str, Any], list[str]]:
    """A shipment, and the EPCs of its parcels; then it is the next day."""
    world.record.now = NOW
    made = world.record.book(token_hex(4), offer=world.record.quote(pieces=pieces)["offers"][0])
    world.record.now = NOW + timedelta(days=1)
    return made, [sscc_uri(one["number"]) for one in made["parcels"]]


def cancel(world: World, shipment: dict[str, Any], who: Who = SHOP, **more: Any) -> str:
    return world.record.do("shipments.cancel", who, shipment_id=shipment["shipment_id"], **more)["state"]


def readdress(world: World, shipment: dict[str, Any]) -> str:
    return world.record.do("shipments.readdress", shipment_id=shipment["shipment_id"], to=ADA)["state"]


def refusal(
    act: Callable[[World, dict[str, Any]], str],
    world: World,
    shipment: dict[str, Any],
    code: str = "shipments.under_way",
) -> Conflict:
    with pytest.raises(Conflict) as told:
        act(world, shipment)
    assert told.value.code == code
    return told.value


def test_what_a_courier_scanned_its_shipper_does_not_cancel(world: World):
    """It is told which parcels were seen, as what and when, and what to do; the shipment stays as it was."""
    made, (first, second, third) = book(world, pieces=3)
    world.capture(world.blue, scan("accepting", 1, first), scan("departing", 9, second, place="A"))
    told = refusal(cancel, world, made)
    numbers = [one["number"] for one in made["parcels"]]
    assert told.what.endswith("picked_up at 2026-03-02T09:00Z (2 of its 3 parcels).")
    assert "an operator to cancel it" in told.action
    assert [fault.message for fault in told.faults] == [
        f"{numbers[0]}: it was picked_up at 2026-03-02T09:00Z",
        f"{numbers[1]}: it was in_transit at 2026-03-02T17:00Z",
    ]
    now = world.record.do("shipments.get", shipment_id=made["shipment_id"])
    assert (now["state"], now["version"]) == ("booked", 1)
    assert world.follow(third).parcel_state == "booked"


def test_what_a_courier_scanned_its_shipper_does_not_readdress(world: World):
    """Its label is on the way with it: the recipient stays, and the shipper is sent to the courier."""
    made, [epc] = book(world)
    assert readdress(world, made) == "booked"
    world.capture(world.blue, scan("accepting", 1, epc))
    assert "ask the courier" in refusal(readdress, world, made).action


@pytest.mark.parametrize("handed_over", [False, True])
def test_what_was_delivered_is_told_as_delivered(world: World, handed_over: bool):
    """Whoever would cancel or readdress it hears that, when it was, and that a return is a new shipment; before that,
    that its courier has it.
    """
    made, [epc] = book(world)
    if handed_over:
        world.record.do("parcels.hand_over", world.blue, parcel_id=made["parcels"][0]["parcel_id"])
    world.capture(world.blue, scan("accepting", 1, epc))
    code = {cancel: "shipments.handed_over", readdress: "shipments.not_booked"} if handed_over else {}
    for act in (cancel, readdress):
        told = refusal(act, world, made, code.get(act, "shipments.under_way"))
        assert told.what.endswith("picked_up at 2026-03-02T09:00Z.") and "courier" in told.action
        assert ("was handed over" if handed_over else "was scanned") in told.what
    world.capture(world.red, scan("receiving", 20, epc))
    for act in (cancel, readdress):
        told = refusal(act, world, made, code.get(act, "shipments.under_way"))
        number = made["parcels"][0]["number"]
        assert told.what == f"It was delivered: {number}, delivered at 2026-03-03T04:00Z."
        assert "new shipment" in told.action and "courier" not in told.action
        assert [fault.message for fault in told.faults] == [f"{number}: it was delivered at 2026-03-03T04:00Z"]


def test_of_several_parcels_those_that_were_delivered_are_told_first(world: World):
    """What the others are is in the list, and they are still their courier's."""
    made, (first, second, _) = book(world, pieces=3)
    world.capture(world.blue, scan("accepting", 1, first, second))
    world.capture(world.red, scan("receiving", 20, second))
    told = refusal(cancel, world, made)
    number = made["parcels"][1]["number"]
    assert told.what == f"It was delivered: {number}, delivered at 2026-03-03T04:00Z (1 of its 3 parcels)."
    assert "new shipment" in told.action and "other parcels" in told.action and len(told.faults) == 2


@pytest.mark.parametrize("handed_over", [False, True])
def test_what_goes_back_is_told_as_going_back(world: World, handed_over: bool):
    """Its shipper hears that it comes back, since when, and that it is sent once more as a new shipment; who may cancel
    it is told where somebody may.
    """
    made, [epc] = book(world)
    if handed_over:
        world.record.do("parcels.hand_over", world.blue, parcel_id=made["parcels"][0]["parcel_id"])
    world.capture(world.blue, scan("accepting", 1, epc), scan("shipping", 2, epc, disposition="returned"))
    for act, code in ((cancel, "shipments.handed_over"), (readdress, "shipments.not_booked")):
        told = refusal(act, world, made, code if handed_over else "shipments.under_way")
        assert "back to its sender" in told.what and told.what.endswith("return_to_sender at 2026-03-02T10:00Z.")
        assert "new shipment" in told.action and ("operator" in told.action) is not handed_over


def test_what_was_cancelled_is_told_as_cancelled(world: World):
    """Nobody readdresses it: since when is told, and to book anew; a parcel of it that was scanned changes nothing."""
    made, [epc] = book(world)
    assert cancel(world, made) == "cancelled"
    world.capture(world.blue, scan("accepting", 1, epc))
    told = refusal(readdress, world, made, "shipments.not_booked")
    assert "was cancelled at 2026-03-03T08:00Z" in told.what and "POST /quotes" in told.action


def test_what_was_scanned_by_way_of_its_bag_is_under_way(world: World):
    """A bag that departs takes with it what lies in it: that is when the parcel was seen last."""
    made, [epc] = book(world)
    world.capture(world.blue, pack(1, BAG, epc), scan("departing", 9, BAG, place="A"))
    assert refusal(cancel, world, made).faults[0].message.endswith("it was in_transit at 2026-03-02T17:00Z")


@pytest.mark.parametrize("step", ["commissioning", "void_shipping"])
def test_what_a_courier_has_not_may_be_cancelled(world: World, step: str):
    """Announced to a courier, or called off by it, the parcel is still the shipper's."""
    made, [epc] = book(world)
    world.capture(world.blue, scan(step, 1, epc))
    assert readdress(world, made) == "booked" and cancel(world, made) == "cancelled"


def test_what_its_shipper_or_a_stranger_says_keeps_nobody_from_cancelling(world: World):
    """What is packed in the shipper's own house is not the network's yet, and who has nothing to do with a parcel does
    not hold it.
    """
    made, [epc] = book(world)
    world.capture(SHOP, pack(1, BAG, epc))
    world.capture(STRANGER, scan("accepting", 2, epc))
    assert world.kept(epc) == ("in_transit", "bagged", None)
    assert cancel(world, made) == "cancelled"


def test_a_shipper_that_carries_its_own_parcels_is_a_courier_too(world: World):
    """What it scans with the key of one who carries is under way; what it packs as a shipper is not."""
    made, [epc] = book(world)
    world.capture(SHOP, scan("departing", 1, epc))
    assert readdress(world, made) == "booked"
    world.capture(CARRYING, scan("accepting", 2, epc))
    refusal(readdress, world, made)
    refusal(cancel, world, made)


@pytest.mark.parametrize("step", ["void_shipping", "receiving"])
def test_what_its_shipper_says_after_a_courier_frees_nothing(world: World, step: str):
    """A courier has what it scanned, whatever the shipper tells of it then; nor is it delivered by that."""
    made, [epc] = book(world)
    world.capture(world.blue, scan("accepting", 1, epc))
    world.capture(SHOP, scan(step, 2, epc))
    refusal(cancel, world, made)
    assert cancel(world, made, HOUSE) == "cancelled"


def test_what_is_told_is_what_its_tracker_tells(world: World):
    """Of one instant as of many: the status, and since when."""
    made, [first, second] = book(world, pieces=2)
    world.capture(world.blue, scan("departing", 1, first))
    world.record.now += timedelta(minutes=1)
    world.capture(world.blue, scan("accepting", 1, first))  # the order of the trade, not that of coming, counts
    world.capture(world.red, scan("receiving", 5, second), scan("receiving", 7, second))
    trackers = [world.follow(epc) for epc in (first, second)]
    assert [one.status for one in trackers] == ["in_transit", "delivered"]
    assert [fault.message for fault in refusal(cancel, world, made).faults] == [
        f"{one.number}: it was {one.status} at {one.status_at:%Y-%m-%dT%H:%MZ}" for one in trackers
    ]


def test_what_its_sender_has_back_an_operator_cancels(world: World):
    """Delivered to its sender is returned, not delivered; its shipper still asks an operator."""
    made, [epc] = book(world)
    back = scan("shipping", 2, epc, disposition="returned")
    world.capture(world.blue, scan("accepting", 1, epc), back, scan("receiving", 9, epc))
    assert world.follow(epc).status == "return_to_sender"
    assert refusal(cancel, world, made).faults[0].message.endswith("it was return_to_sender at 2026-03-02T17:00Z")
    assert cancel(world, made, HOUSE) == "cancelled"


def test_what_was_delivered_does_not_go_back_by_its_shippers_word(world: World):
    """An operator cancels what somebody else says goes back; where its shipper alone does, before or after the
    delivery, it hears as its shipper does that it was delivered, and that a return is a new shipment.
    """
    for delivered, returned in ((20, 21), (21, 20)):
        made, [epc] = book(world)
        world.capture(world.blue, scan("accepting", 1, epc))
        world.capture(world.red, scan("receiving", delivered, epc))
        world.capture(SHOP, scan("shipping", returned, epc, disposition="returned"))
        assert world.follow(epc).status == "return_to_sender"
        for who in (HOUSE, SHOP):
            told = refusal(lambda *what, by=who: cancel(*what, who=by), world, made)
            assert told.what.startswith("It was delivered, and nobody but its shipper says that it goes back: ")
            assert "new shipment" in told.action and "operator" not in told.action
        world.capture(world.red, scan("shipping", 22, epc, disposition="returned"))
        assert "operator" in refusal(cancel, world, made).action
        assert cancel(world, made, HOUSE) == "cancelled"


def test_however_often_a_parcel_was_scanned_its_history_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch):
    """Of what is known to be announced alone no event is read, of all else one at most."""
    read: list[int] = []
    execute = psycopg.Cursor.execute

    def counted(cursor: Any, query: Any, *more: Any, **options: Any) -> Any:
        done = execute(cursor, query, *more, **options)
        told = query.as_string() if isinstance(query, sql.Composable) else str(query)
        if "event_epcs" in told and not told.startswith(("insert", "update")):
            read.append(done.rowcount)
        return done

    made, [epc] = book(world)
    world.capture(world.blue, scan("commissioning", 0, epc))
    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    assert readdress(world, made) == "booked" and read == []
    for who, few in (SHOP, 0), (world.blue, 1):
        with monkeypatch.context() as uncounted:
            uncounted.setattr(psycopg.Cursor, "execute", execute)
            world.capture(who, *(scan("departing", 1 + n / 100, epc) for n in range(300)))
        if few:
            refusal(cancel, world, made)
        else:
            assert readdress(world, made) == "booked"
        assert read == [few]
        read.clear()


def test_what_was_scanned_long_ago_is_looked_for_in_the_archive(world: World):
    """A courier's scans that lie in files hold a parcel, themselves or by way of its bag, unless they were withdrawn
    since; its shipper's do not.
    """
    (one, [direct]), (two, [bagged]), (three, [own]) = (book(world) for _ in range(3))
    event = scan("accepting", 1, direct, eventID="urn:uuid:0190a3f0-0000-7000-8000-000000000002")
    world.capture(world.blue, event)
    world.capture(HOUSE, pack(1, BAG, bagged, **{"rookery:status": "pre_transit"}), scan("departing", 9, BAG))
    world.capture(SHOP, scan("departing", 1, own))
    world.record.now += timedelta(days=95)
    clock = Clock(lambda: world.record.now)
    archiving.run(world.record.database, clock, world.record.parts[Archive].folder, 1, silent, lambda seconds: None)
    assert world.count("event_epcs") == 0
    assert refusal(cancel, world, one).faults[0].message.endswith("it was picked_up at 2026-03-02T09:00Z")
    assert refusal(cancel, world, two).faults[0].message.endswith("it was in_transit at 2026-03-02T17:00Z")
    assert cancel(world, three) == "cancelled"
    world.capture(world.blue, event | {"errorDeclaration": {"declarationTime": "2026-03-02T10:00:00Z"}})
    assert cancel(world, one) == "cancelled"


def test_a_scan_that_was_withdrawn_keeps_nobody_from_cancelling(world: World):
    """An event that was declared wrong counts no more, also where the shipper's own say that the parcel moves."""
    made, [epc] = book(world)
    event = scan("accepting", 1, epc, eventID="urn:uuid:0190a3f0-0000-7000-8000-000000000001")
    world.capture(world.blue, event)
    refusal(cancel, world, made)
    world.capture(world.blue, event | {"errorDeclaration": {"declarationTime": "2026-03-02T10:00:00Z"}})
    world.capture(SHOP, scan("departing", 3, epc))
    assert cancel(world, made) == "cancelled"


def test_an_operator_cancels_what_was_scanned_but_not_what_was_delivered(world: World):
    """Anybody's shipment, as long as no parcel of it arrived or was handed over; seats and numbers go as ever, and the
    trail and the history say who did it.
    """
    made, (first, second) = book(world, pieces=2)
    gone, [epc] = book(world)
    taken, _ = book(world)
    world.capture(world.blue, scan("accepting", 1, first, epc))
    world.capture(world.red, scan("receiving", 20, first))
    assert cancel(world, gone, HOUSE) == "cancelled" == cancel(world, gone, HOUSE) == cancel(world, gone)
    told = refusal(lambda *what: cancel(*what, who=HOUSE), world, made)
    assert [fault.message.split(": it was ")[1] for fault in told.faults] == ["delivered at 2026-03-03T04:00Z"]
    world.record.do("parcels.hand_over", world.blue, parcel_id=taken["parcels"][0]["parcel_id"])
    with pytest.raises(Conflict, match="handed over"):
        cancel(world, taken, HOUSE)
    with world.record.context() as ctx:
        by = ctx.conn.execute("select by_party from orders.history where what = 'cancelled'").fetchall()
        state = ctx.conn.execute("select state from waybill.numbers where number = %s", (gone["parcels"][0]["number"],))
        assert (by, state.fetchall()) == ([(HOUSE.party_id,)], [("cancelled",)])
    assert "the parcel is cancelled, and was scanned all the same" in world.follow(epc).notices
    assert world.follow(second).parcel_state == "booked"


def test_an_operator_of_tests_and_rivals_cancel_nothing(world: World):
    """Whose key is for tests, or a rival's, finds no such shipment; a version that passed is refused first."""
    made, _ = book(world)
    with pytest.raises(NotFound):
        cancel(world, made, RIVAL)
    with pytest.raises(NotFound):
        cancel(world, made, Who("pty_house", "key_test", frozenset({"operator"}), test=True))
    with pytest.raises(Changed):
        cancel(world, made, HOUSE, if_match=7)
    assert cancel(world, made, HOUSE, if_match=1) == "cancelled"
