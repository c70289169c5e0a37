"""What public tracking lets through, on real PostgreSQL: which codes open which parcels, how often one may guess."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from record_cases import NOW, SHOP, Record, make_record, write_feed

from rookery.base.operations import SYSTEM, Who
from rookery.doors.http.callers import NOBODY
from rookery.flows.capturing import take
from rookery.flows.public_tracking import Guesses, folded
from rookery.flows.trackers import place_of
from rookery.terms.errors import NotFound, TooMany
from rookery.tracking.epcis.documents import Sent
from rookery.tracking.epcis.identifiers import sscc_uri
from rookery.tracking.texts import languages

OPS = Who("pty_ops", "key_ops", frozenset({"operator"}))
NAMES = ("A,A,", "H,H,", "B,B,")


@pytest.fixture
def record(make_urls, tmp_path):
    """The one-lane network, its nodes with names of their own."""
    with make_record(make_urls, tmp_path) as made:
        folder = write_feed(tmp_path / "named", version="2")
        nodes = (folder / "nodes.csv").read_text()
        for node, name in zip(NAMES, ("A,Origin,", "H,Middle,", "B,Last depot,")):
            nodes = nodes.replace(node, name)
        (folder / "nodes.csv").write_text(nodes)
        made.publish(folder)
        yield made


def public(record: Record, number: str, postal_code: str | None = "9000", **more: Any) -> dict[str, Any]:
    return record.do("track.get", NOBODY, number=number, postal_code=postal_code, **more)


def refused(record: Record, number: str, postal_code: str | None) -> tuple[str, str, str]:
    with pytest.raises(NotFound) as told:
        public(record, number, postal_code)
    return told.value.code, told.value.what, told.value.action


def scan(record: Record, number: str, step: str, hours: float, **more: Any) -> None:
    event = {
        "type": "ObjectEvent", "action": "OBSERVE", "bizStep": step, "epcList": [sscc_uri(number)],
        "eventTime": (NOW + timedelta(hours=hours)).isoformat(), "eventTimeZoneOffset": "+00:00", **more,
    }  # fmt: skip
    with record.context(OPS) as ctx:
        assert not take(ctx, [Sent(event, ({"rookery": "urn:rookery:epcis:"},), "$")]).faults


def test_the_right_code_shows_status_legs_and_promise(record: Record):
    """Before any scan: announced, both legs as planned by the names of their places, the day at the destination."""
    shipment = record.book("R")
    told = public(record, shipment["parcels"][0]["number"])
    assert (told["status"], told["text"], told["severity"]) == (
        "pre_transit", "The sender has announced your parcel.", "normal",
    )  # fmt: skip
    assert told["promise"] == {
        "at": shipment["promised_at"], "day": "2026-03-03", "timezone": "Europe/Brussels",
        "text": "Promised by 2026-03-03.",
    }  # fmt: skip
    assert [(leg["from_place"]["name"], leg["to_place"]["name"], leg["departed_at"]) for leg in told["legs"]] == [
        ("Origin", "Middle", None), ("Middle", "Last depot", None),
    ]  # fmt: skip
    assert told["steps"] == [] and told["place"] is None


def test_events_show_as_steps_at_places_of_the_network_alone(record: Record):
    """What counts is told with its sentence and the node's name; coordinates, a courier's own words and ids are not."""
    number = record.book("E")["parcels"][0]["number"]
    record.now = NOW + timedelta(days=2)
    scan(record, number, "departing", 9, readPoint={"id": place_of("A")})
    scan(record, number, "commissioning", 10, readPoint={"id": place_of("A")})
    own = {"rookery:status": "in_transit", "rookery:detail": "beside Ada's red door"}
    scan(record, number, "arriving", 11, readPoint={"id": "geo:50.5,4.5"}, **own)
    scan(record, number, "arriving", 12, readPoint={"id": place_of("H")})
    told = public(record, number, language="de")
    assert [(step["status"], step["detail"]) for step in told["steps"]] == [
        ("in_transit", "departed"), ("in_transit", None), ("in_transit", "arrived"),
    ]  # fmt: skip
    places = [step["place"] and step["place"]["name"] for step in told["steps"]]
    assert places == ["Origin", None, "Middle"]
    assert told["place"] == {"name": "Middle", "country": "BE", "timezone": "Europe/Brussels"}
    assert (told["text"], told["detail_text"]) == ("Ihr Paket ist unterwegs.", "Es ist an diesem Ort angekommen.")
    legs = [(leg["departed_at"], leg["arrived_at"]) for leg in told["legs"]]
    assert legs == [("2026-03-02T17:00:00Z", "2026-03-02T20:00:00Z"), (None, None)]


@pytest.mark.parametrize(("who", "detail"), [(SHOP, "withdrawn"), (OPS, None)])
def test_a_cancelled_shipment_is_neither_on_its_way_nor_promised(record: Record, who: Who, detail: str | None):
    """Though it was scanned before or after: its recipient reads that it was cancelled, and that its sender called it
    off where it did, in every language; that it was delivered or goes back all the same is told as it was scanned.
    """
    shipment = record.book("C")
    number = shipment["parcels"][0]["number"]
    record.now = NOW + timedelta(hours=2)
    if who is OPS:
        scan(record, number, "arriving", 1, readPoint={"id": place_of("A")})
    record.do("shipments.cancel", who, shipment_id=shipment["shipment_id"])
    record.now = NOW + timedelta(hours=9)
    scan(record, number, "arriving", 4, readPoint={"id": place_of("H")})
    for language, texts in languages().items():
        told = public(record, number, language=language)
        assert (told["status"], told["severity"], told["detail"]) == ("cancelled", "problem", detail)
        assert told["text"] == texts.statuses["cancelled"]
        assert told["detail_text"] == (detail and texts.details[detail])
        assert (told["status_at"], told["place"], told["promise"]) == ("2026-03-02T10:00:00Z", None, None)
    assert public(record, number)["steps"][-1]["detail"] == "arrived"
    end = ("receiving", {}) if detail else ("shipping", {"disposition": "returned"})
    scan(record, number, end[0], 5, **end[1])
    told = public(record, number)
    assert (told["status"], told["promise"]) == ("delivered" if detail else "return_to_sender", None)


def test_a_place_that_the_active_network_lost_is_told_by_the_one_it_was_planned_on(record: Record, tmp_path):
    """Another network is active: the parcel's own still names the places of its route."""
    number = record.book("N")["parcels"][0]["number"]
    folder = write_feed(tmp_path / "other", version="3")
    for file in folder.iterdir():
        file.write_text(file.read_text().replace("B,B,", "Z,Z,").replace("H,B,", "H,Z,").replace("9,B,", "9,Z,"))
    record.publish(folder)
    told = public(record, number)
    assert told["legs"][1]["to_place"]["name"] == "Last depot" and told["promise"]["day"] == "2026-03-03"


def test_all_that_is_not_shown_is_refused_alike(record: Record, tmp_path):
    """A wrong code, none, an unknown number, a parcel that goes to a node and one of test mode: one answer."""
    number = record.book("A")["parcels"][0]["number"]
    to_node = record.book("T")["parcels"][0]["number"]
    with record.context() as ctx:
        ctx.conn.execute("update orders.orders set to_node = 'B', to_postal_code = null where reference = 'T'")
    record.publish(write_feed(tmp_path / "tested"), structs.replace(SYSTEM, test=True))
    tested = record.book("X", structs.replace(SHOP, test=True))["parcels"][0]["number"]
    told = {
        refused(record, asked, code)
        for asked in (number, to_node, tested, "095200000000099995", "RK00000000")
        for code in ("9001", None, "", "-", "90000")
    }
    told |= {refused(record, asked, "9000") for asked in (to_node, tested, "095200000000099995", "12345")}
    assert len(told) == 1 and next(iter(told))[0] == "track.none"
    assert public(record, number)["number"] == number


def test_codes_are_compared_however_they_are_written(record: Record):
    """Letters, blanks and hyphens as they come; the four digits behind a ZIP code may be left out on either side."""
    number = record.book("Z")["parcels"][0]["number"]

    def goes_to(country: str, code: str) -> None:
        with record.context() as ctx:
            ctx.conn.execute("update orders.orders set to_country = %s, to_postal_code = %s", (country, code))

    for country, code, right, wrong in (
        ("GB", "SW1A 1AA", ["sw1a1aa", "SW1A-1AA", " sw1a 1aa "], ["SW1A", "SW1A1AB"]),
        ("US", "10001-1234", ["10001", "100011234", "10001 1234"], ["10002", "100011235", "1000"]),
        ("US", "10001", ["10001", "10001-9999"], ["10002-0001"]),
        ("JP", "１００-０００１", ["1000001", "100-0001"], ["100"]),
        ("DE", "10115", ["10115"], ["101151234"]),
    ):
        goes_to(country, code)
        for asked in right:
            assert public(record, number, asked)["status"] == "pre_transit", (country, asked)
        for asked in wrong:
            assert refused(record, number, asked)[0] == "track.none", (country, asked)
        record.now += timedelta(hours=12)


@pytest.mark.parametrize("exists", [True, False])
def test_after_ten_wrong_codes_the_right_one_waits_too(record: Record, exists: bool):
    """The eleventh is 429, however right, whether there is a parcel or not; an hour later there is one try again."""
    number = record.book("G")["parcels"][0]["number"] if exists else "095200000000099995"
    for n in range(10):
        refused(record, number, f"{1000 + n}")
    for code in ("9000", "1000"):
        with pytest.raises(TooMany) as told:
            public(record, number, code)
        assert (told.value.code, told.value.retry_after_s) == ("track.guesses", 3600)
    assert refused(record, number, None)[0] == "track.none"  # nothing is looked up, and nothing is learnt
    record.now += timedelta(hours=1)
    if exists:
        for _ in range(3):
            assert public(record, number)["number"] == number
    refused(record, number, "1011")
    with pytest.raises(TooMany):
        public(record, number)


def test_right_codes_are_no_guesses(record: Record):
    """A recipient who looks often is never kept out, and other numbers are not either by one that was tried on."""
    first, second = (record.book(name)["parcels"][0]["number"] for name in ("1", "2"))
    for _ in range(25):
        public(record, first)
    for n in range(10):
        refused(record, second, f"{1000 + n}")
    assert public(record, f"(00) {first}")["number"] == first
    with pytest.raises(TooMany):
        public(record, f"(00) {second}")


def test_what_went_wrong_with_us_is_no_guess(record: Record):
    """Where nothing could be looked up nothing was learnt: all ten guesses are still there."""
    number = record.book("U")["parcels"][0]["number"]
    with record.database.owner() as owner:
        owner.execute("alter table orders.orders rename to away")
        for _ in range(12):
            with pytest.raises(psycopg.errors.UndefinedTable):
                public(record, number)
        owner.execute("alter table orders.away rename to orders")
    for n in range(10):
        refused(record, number, f"{1000 + n}")
    with pytest.raises(TooMany):
        public(record, number)


@given(st.lists(st.tuples(st.floats(0, 5000), st.booleans()), max_size=80))
def test_never_more_than_ten_guesses_and_one_an_hour(tries):
    """However the wrong and the right ones are spread, so many guesses at most are let through in any time."""
    guesses, at, let_through = Guesses(), 1.7e9, []
    for pause, right in tries:
        at += pause
        try:
            guesses.take("1", at)
        except TooMany:
            continue
        if right:
            guesses.give_back("1")
        else:
            let_through.append(at)
    for i, since in enumerate(let_through):
        for j in range(i, len(let_through)):
            assert j - i + 1 <= 10 + (let_through[j] - since) / 3600 + 1e-6


@given(st.text(max_size=30))
def test_folding_a_code_twice_is_folding_it_once(code):
    """What is compared is settled."""
    assert folded(folded(code)) == folded(code) == folded(f" {code}- ")
