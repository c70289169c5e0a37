"""Quotes and what is booked from them, on real PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from record_cases import ADA, NOW, RIVAL, SHOP, make_record, write_feed

from rookery.base.access.keys import create_party
from rookery.base.operations import Who
from rookery.flows.labelling import PrintAsk, print_batch
from rookery.flows.publishing import NewFeed, publish
from rookery.network.store import pack
from rookery.terms.errors import Conflict, InvalidInput, NotAllowed, NotFound, RookeryError


@pytest.fixture
def record(make_urls, tmp_path):
    """The one-lane network without limits."""
    with make_record(make_urls, tmp_path) as made:
        yield made


@pytest.fixture
def narrow(make_urls, tmp_path):
    """The one-lane network with three seats a day on its first leg."""
    with make_record(make_urls, tmp_path, seats="3") as made:
        yield made


def test_a_quote_tells_day_chance_cost_and_legs(record):
    """One way, one offer: both legs, the end of a day at the destination, what carrying and delivering cost."""
    quote = record.quote(service_id="standard")
    [offer] = quote["offers"]
    assert [leg["departure_id"] for leg in offer["legs"]] == ["AH1", "HB1"]
    assert (offer["cost"], offer["currency"], offer["probability"]) == (3.5, "EUR", 1.0)
    assert offer["promised_at"] == "2026-03-03T22:59:00Z" and quote["due_at"] == "2026-03-05T22:59:00Z"


def test_what_has_left_is_neither_offered_nor_booked(record):
    """After the evening's cut-off the next day's departure is offered; an offer made before it is refused."""
    before = record.quote()["offers"][0]
    record.now = NOW.replace(hour=17, minute=30)  # the first leg leaves at 18:00 in Brussels, 17:00 here
    after = record.quote(ready_at="2026-03-02T09:00:00Z")["offers"][0]
    assert after["legs"][0]["depart_at"] == "2026-03-03T17:00:00Z"
    record.now = NOW.replace(hour=8, minute=25)
    assert record.book("L1", offer=before)["legs"][0]["depart_at"] == "2026-03-02T17:00:00Z"
    record.now = NOW.replace(hour=16, minute=50)
    late = record.quote(ready_at="2026-03-02T09:00:00Z")["offers"][0]
    record.now = NOW.replace(hour=17, minute=5)
    with pytest.raises(Conflict, match="cut-off"):
        record.book("L2", offer=late)


def test_an_offer_is_booked_at_another_desk_than_it_was_made_at(record):
    """A desk opened anew, as on another day or another server, books it with the same legs."""
    offer = record.quote()["offers"][0]
    desks = next(part for kind, part in record.parts.items() if kind.__name__ == "Desks")
    desks._of.clear()
    record.now += timedelta(minutes=20)
    booked = record.book("D1", offer=offer)
    assert booked["legs"] == offer["legs"]


def test_all_faults_of_a_question_are_told_at_once(record):
    """Two unknown places and an unknown service are three faults, each with its place and remedy."""
    with pytest.raises(InvalidInput) as told:
        record.quote(**{"from": {"node": "X"}, "to": {"country": "BE", "postal_code": "1"}, "service_id": "no"})
    assert [(f.at, f.code) for f in told.value.faults] == [
        ("$.from.node", "unknown_node"), ("$.to.postal_code", "unknown_zone"), ("$.service_id", "unknown_service"),
    ]  # fmt: skip
    assert all(fault.remedy for fault in told.value.faults)


def test_no_way_is_a_result_with_reasons(record):
    """A parcel that no lane takes gets no offer and the reason, not an error."""
    assert record.quote(goods="cold") | {"feed_id": ""} == {
        "offers": [], "reasons": ["goods_not_accepted"], "due_at": None, "feed_id": "",
    }  # fmt: skip


def test_booking_freezes_the_promise_and_numbers_every_piece(record):
    """What was promised is what is booked; each piece has a number of its own and the order is there."""
    offer = record.quote(pieces=2)["offers"][0]
    shipment = record.book("R1", offer=offer, items=[{"description": "Mugs", "quantity": 2}])
    assert (shipment["promised_at"], shipment["cost"]) == (offer["promised_at"], offer["cost"])
    assert len({parcel["number"] for parcel in shipment["parcels"]}) == 2
    order = record.do("orders.get", order_id=shipment["order_id"])
    assert order["state"] == "booked" and order["items"][0]["description"] == "Mugs"
    assert [leg["to_node"] for leg in shipment["legs"]] == ["H", "B"]


def test_a_received_order_is_booked_with_an_offer_for_it_and_no_other(record):
    """An order handed in before is booked by a quote of its own figures; a quote for another weight is refused."""
    order = record.do(
        "orders.create", reference="R2", to=ADA, weight_g=500, ready_at="2026-03-02T09:00Z", **{"from": {"node": "A"}}
    )["order"]
    other = record.quote(weight_g=400)["offers"][0]
    with pytest.raises(Conflict, match="another parcel"):
        record.do("shipments.create", quote_id=other["quote_id"], order_id=order["order_id"])
    offer = record.quote()["offers"][0]
    shipment = record.do("shipments.create", quote_id=offer["quote_id"], order_id=order["order_id"])
    assert shipment["order_id"] == order["order_id"]
    with pytest.raises(Conflict, match="booked or cancelled"):
        record.do("shipments.create", quote_id=offer["quote_id"], order_id=order["order_id"])


@pytest.mark.parametrize("where", [5, 40, -1])
def test_a_quote_that_was_changed_is_no_quote(record, where):
    """One letter of a quote_id changed, wherever, and it is not known."""
    quote_id = record.quote()["offers"][0]["quote_id"]
    letter = "A" if quote_id[where] != "A" else "B"
    changed = quote_id[:where] + letter + (quote_id[where + 1 :] if where != -1 else "")
    if where == -1:  # the last letter's low bits may mean nothing
        changed = quote_id[:-2] + letter + quote_id[-1]
    with pytest.raises(NotFound, match="no such quote"):
        record.book("R3", offer={"quote_id": changed})


def test_a_quote_is_its_askers_alone_and_holds_for_half_an_hour(record):
    """Another party cannot book it, and after 31 minutes nobody can."""
    offer = record.quote()["offers"][0]
    with pytest.raises(NotFound, match="no such quote"):
        record.book("R4", who=RIVAL, offer=offer)
    record.now += timedelta(minutes=31)
    with pytest.raises(Conflict, match="expired"):
        record.book("R4", offer=offer)


def test_a_quote_of_another_network_is_not_booked(record, tmp_path):
    """When another network is active, what was quoted on the old one is to be asked anew."""
    offer = record.quote()["offers"][0]
    record.publish(write_feed(tmp_path / "second", version="2"))
    record.now += timedelta(seconds=1)
    record.parts = {**record.parts}
    desks = next(part for kind, part in record.parts.items() if kind.__name__ == "Desks")
    desks._of.clear()  # rather than wait until it looks again
    with pytest.raises(Conflict, match="network has changed"):
        record.book("R5", offer=offer)


def test_an_address_elsewhere_is_not_what_was_quoted(record):
    """The quote was for a zone: a recipient outside it is refused, with the place."""
    offer = record.quote()["offers"][0]
    with pytest.raises(InvalidInput) as told:
        record.do("shipments.create", quote_id=offer["quote_id"], reference="R6", to={**ADA, "postal_code": "1000"})
    assert [fault.at for fault in told.value.faults] == ["$.to"]


def test_seats_are_given_once_however_many_ask_at_once(narrow):
    """Of twelve bookings at once for three seats three are booked; the others are told and leave nothing behind."""
    offers = [narrow.quote()["offers"][0] for _ in range(12)]

    def book(number):
        try:
            return narrow.book(f"N{number}", offer=offers[number])["shipment_id"]
        except RookeryError as error:
            return error.code

    with ThreadPoolExecutor(12) as pool:
        told = list(pool.map(book, range(12)))
    assert told.count("quotes.no_room") == 9 and len(set(told)) == 4
    assert len(narrow.do("orders.list")["data"]) == 3


def test_what_is_full_is_not_offered_and_a_cancelled_seat_is_offered_again(narrow):
    """After the third booking the day is not offered any more, until one of the three is cancelled."""
    desks = next(part for kind, part in narrow.parts.items() if kind.__name__ == "Desks")
    first = narrow.quote()["offers"][0]["promised_at"]
    shipments = [narrow.book(f"F{number}") for number in range(3)]
    desks._of.clear()
    assert narrow.quote()["offers"][0]["promised_at"] > first
    cancelled = narrow.do("shipments.cancel", shipment_id=shipments[0]["shipment_id"])
    assert cancelled["state"] == "cancelled" and cancelled["parcels"][0]["state"] == "cancelled"
    desks._of.clear()
    assert narrow.quote()["offers"][0]["promised_at"] == first


def test_only_departures_with_room_for_all_pieces_are_offered(narrow):
    """Four pieces never fit a departure of three seats: no offer, and the reason; two do while two seats are left."""
    assert narrow.quote(pieces=4) | {"feed_id": "", "due_at": ""} == {
        "offers": [], "reasons": ["no_capacity"], "feed_id": "", "due_at": "",
    }  # fmt: skip
    narrow.book("P1", offer=narrow.quote(pieces=2)["offers"][0])
    desks = next(part for kind, part in narrow.parts.items() if kind.__name__ == "Desks")
    desks._of.clear()
    one, two = (narrow.quote(pieces=pieces)["offers"][0] for pieces in (1, 2))
    assert one["promised_at"] < two["promised_at"]


def test_one_order_is_booked_once_in_a_batch(record):
    """Two offers for one order in one request: the first is booked, the second told; its room is not taken."""
    order = record.do(
        "orders.create", reference="TW", to=ADA, weight_g=500, ready_at="2026-03-02T09:00Z", **{"from": {"node": "A"}}
    )["order"]
    offer = record.quote()["offers"][0]
    asks = [{"quote_id": offer["quote_id"], "order_id": order["order_id"]}] * 2
    told = record.do("shipments.batch", shipments=[*asks, {**asks[0], "order_id": None, "reference": "TW2", "to": ADA}])
    assert [result.get("code") for result in told["results"]] == [None, "orders.twice", None]
    assert told["results"][0]["shipment"]["order_id"] == order["order_id"]
    assert told["results"][2]["shipment"]["reference"] == "TW2"


def test_an_order_is_booked_as_it_was_handed_in(record):
    """An offer for an earlier time than the order's is refused, and so is what is sent beside an order_id."""
    order = record.do(
        "orders.create", reference="AS", to=ADA, weight_g=500, ready_at="2026-03-07T09:00Z", **{"from": {"node": "A"}}
    )["order"]
    early = record.quote()["offers"][0]
    with pytest.raises(Conflict, match="another parcel"):
        record.do("shipments.create", quote_id=early["quote_id"], order_id=order["order_id"])
    with pytest.raises(InvalidInput) as told:
        record.do("shipments.create", quote_id=early["quote_id"], order_id=order["order_id"], to=ADA, reference="X")
    assert [fault.at for fault in told.value.faults] == ["$.reference", "$.to"]


def test_an_admin_books_and_changes_nothing_of_others(record):
    """Commands of shippers are about one's own orders: for an admin another's do not exist."""
    order = record.do(
        "orders.create", reference="AD", to=ADA, weight_g=500, ready_at="2026-03-02T09:00Z", **{"from": {"node": "A"}}
    )["order"]
    admin = Who("pty_admin", "key_admin", frozenset({"admin"}))
    offer = record.quote(admin)["offers"][0]
    shipment = record.book("AD2")
    for name, ask in (
        ("shipments.create", {"quote_id": offer["quote_id"], "order_id": order["order_id"]}),
        ("orders.cancel", {"order_id": order["order_id"]}),
        ("shipments.cancel", {"shipment_id": shipment["shipment_id"]}),
        ("shipments.readdress", {"shipment_id": shipment["shipment_id"], "to": ADA}),
    ):
        with pytest.raises(NotFound):
            record.do(name, admin, **ask)


def test_a_shipper_does_not_hand_over_what_it_does_not_carry(record):
    """A key of scopes merchant and courier hands over only what was granted to its party."""
    both = Who(SHOP.party_id, "key_both", frozenset({"merchant", "courier"}))
    parcel = record.book("H1")["parcels"][0]
    with pytest.raises(NotAllowed):
        record.do("parcels.hand_over", both, parcel_id=parcel["parcel_id"])


def test_two_that_print_at_once_print_each_label_once(record):
    """Batches of labels leave out what another is printing at that moment."""
    parcels = {parcel["parcel_id"] for n in range(4) for parcel in record.book(f"PR{n}")["parcels"]}
    ask = PrintAsk(parcel_ids=[], form="pdf")
    more = {"shipments": None, "plan_id": None, "again": False}
    first = print_batch(lambda: record.context(SHOP), ask, **more)
    second = print_batch(lambda: record.context(SHOP), ask, **more)
    _, mine = next(first)
    assert set(mine) == parcels and list(second) == [] and list(first) == []


def test_of_many_at_once_the_good_ones_are_booked(narrow):
    """A batch of five for three seats, one with a bad address: three booked, each refusal with its reason."""
    offer = narrow.quote()["offers"][0]
    asks = [{"quote_id": offer["quote_id"], "reference": f"B{number}", "to": ADA} for number in range(5)]
    asks[1] = {**asks[1], "to": {**ADA, "phone": "not a number"}}
    told = narrow.do("shipments.batch", shipments=asks)
    codes = [result.get("code") for result in told["results"]]
    assert (told["booked"], codes) == (3, [None, "orders.invalid", None, None, "quotes.no_room"])
    assert told["results"][1]["errors"][0]["at"] == "$.shipments[1].to.phone"


def test_the_same_key_books_once(record):
    """A command repeated under its Idempotency-Key gives the same shipment; with another body it is a conflict."""
    offer = record.quote()["offers"][0]
    ask = {"quote_id": offer["quote_id"], "reference": "K1", "to": ADA}
    first, second = (record.do("shipments.create", SHOP, "key-1", **ask) for _ in range(2))
    assert first == second
    with pytest.raises(Conflict, match="another question"):
        record.do("shipments.create", SHOP, "key-1", **{**ask, "reference": "K2"})


def test_an_address_is_corrected_within_its_zone_before_hand_over(record):
    """Readdressing keeps the promise, changes the recipient and asks for a new label; another zone is refused."""
    shipment = record.book("C1")
    changed = record.do(
        "shipments.readdress", shipment_id=shipment["shipment_id"], to={**ADA, "lines": ["Teststraat 2"]}, if_match=1
    )
    assert changed["promised_at"] == shipment["promised_at"]
    assert changed["recipient_id"] != shipment["recipient_id"] and changed["version"] == 2
    with pytest.raises(RookeryError, match="ETag"):
        record.do("shipments.readdress", shipment_id=shipment["shipment_id"], to=ADA, if_match=1)
    with pytest.raises(Conflict, match="another zone"):
        record.do("shipments.readdress", shipment_id=shipment["shipment_id"], to={**ADA, "postal_code": "1000"})


def test_ten_thousand_addresses_are_answered_in_one_question(record):
    """Reachability answers each place in order: reached, or why not."""
    places = [{"country": "BE", "postal_code": f"{9000 + n % 100}"} for n in range(9998)]
    told = record.do(
        "reachability.ask", **{"from": {"node": "A"}}, weight_g=500, ready_at="2026-03-02T09:00:00Z",
        to=[*places, {"country": "FR", "postal_code": "75001"}, {"node": "A"}],
    )["results"]  # fmt: skip
    assert len(told) == 10_000 and all(place["reachable"] for place in told[:9998])
    assert [place.get("reasons") for place in told[9998:]] == [["unknown_zone"], ["same_place"]]
    assert told[9997]["index"] == 9997 and told[0]["earliest_cost"] == 3.5


def test_a_parcel_is_tracked_by_its_number(record):
    """A booked parcel is pre_transit with its promise and route; a cancelled one says so; a rival knows of neither."""
    shipment = record.book("T1")
    number = shipment["parcels"][0]["number"]
    tracker = record.do("trackers.get", number=number)
    assert (tracker["status"], tracker["promised_at"]) == ("pre_transit", shipment["promised_at"])
    assert tracker["legs"] == shipment["legs"]
    printed = f"(00) {number[0]} {number[1:9]} {number[9:]}"
    assert record.do("trackers.get", number=printed) == tracker
    mistyped = number[:-1] + str((int(number[-1]) + 1) % 10)
    with pytest.raises(InvalidInput, match="check digit"):
        record.do("trackers.get", number=mistyped)
    with pytest.raises(NotFound):
        record.do("trackers.get", RIVAL, number=number)
    record.do("shipments.cancel", shipment_id=shipment["shipment_id"])
    assert record.do("trackers.get", number=number)["status"] == "cancelled"


def test_what_the_network_does_not_know_is_a_warning_of_an_order(record):
    """An order for an unknown service is taken and doubted: a later network may know it."""
    taken = record.do(
        "orders.create", reference="W1", to=ADA, weight_g=500, ready_at="2026-03-02T09:00Z", service_id="moon",
        **{"from": {"node": "X"}},
    )  # fmt: skip
    assert [(w["at"], w["code"]) for w in taken["warnings"]] == [
        ("$.from", "unknown_node"), ("$.service_id", "unknown_service"),
    ]  # fmt: skip


def test_pieces_that_differ_are_shown_as_ordered(record):
    """An order's own pieces stand in its record as they were sent."""
    pieces = [{"weight_g": 700.0}, {"weight_g": 1500.0, "length_mm": 300.0}]
    taken = record.do(
        "orders.create", reference="W2", to=ADA, parcels=pieces, ready_at="2026-03-02T09:00Z", **{"from": {"node": "A"}}
    )
    assert taken["order"]["parcels"] == pieces and taken["order"]["pieces"] == 2


def test_what_rides_departures_that_a_new_network_lacks_is_told(record, tmp_path):
    """Activating a version without the second leg's departure tells how many shipments it strands; going back, none."""
    record.book("ST")
    folder = write_feed(tmp_path / "without", version="3")
    departures = folder / "departures.csv"
    departures.write_text(departures.read_text().replace("HB1,", "HB2,"))
    with record.context() as ctx:
        published = publish(ctx, NewFeed(pack(folder)))
    ops = Who("pty_ops", "key_ops", frozenset({"operator"}))
    assert record.do("networks.activate", ops, feed_id=published.feed.feed_id)["stranded"] == 1
    assert record.do("networks.rollback", ops)["stranded"] == 0


def test_only_the_first_courier_notes_the_hand_over(record):
    """The courier of the second leg sees the parcel and cannot take it over; the first leg's can."""
    with record.context() as ctx:
        couriers = {code: create_party(ctx.conn, code, NOW, code=code).party_id for code in ("BLUE", "RED")}
    parcel = record.book("HO")["parcels"][0]["parcel_id"]
    blue, red = (Who(couriers[code], f"key_{code}", frozenset({"courier"})) for code in ("BLUE", "RED"))
    assert record.do("parcels.get", red, parcel_id=parcel)["state"] == "booked"
    with pytest.raises(NotAllowed):
        record.do("parcels.hand_over", red, parcel_id=parcel)
    assert record.do("parcels.hand_over", blue, parcel_id=parcel)["state"] == "handed_over"
