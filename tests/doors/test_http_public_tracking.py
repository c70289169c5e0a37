"""Public tracking over real HTTP: nobody's data in any answer, one answer for all that is not shown, and languages."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossing_world import FEED, order, other_id
from serving_world import Served, Told

from rookery.flows.trackers import place_of
from rookery.tracking.epcis.identifiers import sscc_uri

PLANTED = {
    "name": "Adalind Example", "phone": "+49 30 901820", "email": "adalind@example.com", "company": "Example Mills",
    "lines": ["Musterstraße 17b", "Hinterhof links"], "city": "Berlin", "postal_code": "10115", "country": "DE",
}  # fmt: skip
REFERENCE, NOTE, GOODS, WORDS = "SHIPPER-REF-4711", "colour of the ribbon", "Porcelain owls", "left with Adalind"
SECRET = [
    "Adalind", "Example Mills", "Musterstra", "17b", "Hinterhof", "901820", "30 90", "10115",
    REFERENCE, "4711", NOTE, "ribbon", GOODS, "owls", WORDS, "geo:", "52.53", "Ringing twice", "777.25",
]  # fmt: skip
OWN = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|req_[0-9a-z]{26}|\b0952\d{14}\b")


@dataclass
class Door:
    """A served network with a parcel that was booked and scanned, and whose recipient is planted."""

    served: Served
    shop: str
    house: str
    shipment: dict[str, Any]

    @property
    def number(self) -> str:
        return self.shipment["parcels"][0]["number"]

    def must(self, method: str, path: str, body: Any, key: str, **headers: str) -> Told:
        told = self.served.ask(method, path, body, key=key, headers=headers)
        assert told.status < 300, (path, told.status, told.body[:600])
        return told

    def track(self, number: str, query: str = "", **headers: str) -> Told:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.served.ask("GET", f"/track/{number}{query}", headers=named)

    def book(self, reference: str, key: str = "") -> dict[str, Any]:
        """One more parcel for the planted recipient."""
        ready = f"{datetime.now(UTC).date() + timedelta(days=2)}T08:00:00Z"
        to = {"country": "DE", "postal_code": "10115"}
        asked = {"from": {"node": "W1"}, "to": to, "ready_at": ready, "weight_g": 777.25}
        quote_id = self.must("POST", "/quotes", asked, key or self.shop).json["offers"][0]["quote_id"]
        booking = {
            "quote_id": quote_id, "reference": reference, "to": PLANTED, "metadata": {"note": NOTE},
            "items": [{"description": GOODS, "quantity": 3, "value": 31.75, "currency": "EUR", "hs_code": "691390"}],
        }  # fmt: skip
        return self.must("POST", "/shipments", booking, key or self.shop).json

    def scan(self, number: str, step: str, hours_ago: float, **more: Any) -> None:
        """An event as a network's operator captures it."""
        at = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()
        event = {
            "type": "ObjectEvent", "action": "OBSERVE", "bizStep": step, "eventTime": at,
            "eventTimeZoneOffset": "+00:00", "epcList": [sscc_uri(number)], **more,
        }  # fmt: skip
        document = {
            "@context": [
                "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
                {"rookery": "urn:rookery:epcis:", "own": "https://ns.example.com/"},
            ],
            "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": at, "epcisBody": {"eventList": [event]},
        }  # fmt: skip
        self.must("POST", "/epcis/capture", document, self.house)


@pytest.fixture(scope="module")
def door(served: Served) -> Door:
    """The crossing network, which may be active already; parties of this module's own."""
    made = Door(served, served.new_key("merchant"), served.new_key("operator"), {})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in FEED.items():
            archive.writestr(name, text)
    zipped = {"Content-Type": "application/zip"}
    made.must("POST", "/networks?activate=true", packed.getvalue(), made.house, **zipped)
    made.book("first")  # may have the number of the documents' examples, at which other tests of this server guess
    made.shipment = made.book(REFERENCE)
    made.scan(made.number, "departing", 9, readPoint={"id": place_of("W1")})
    made.scan(
        made.number, "arriving", 5, readPoint={"id": "geo:52.5301,13.3847"},
        **{"rookery:status": "in_transit", "rookery:detail": WORDS, "own:remark": "Ringing twice"},
    )  # fmt: skip
    made.scan(made.number, "arriving", 1, readPoint={"id": place_of("BER")})
    return made


def numbers_in(value: Any) -> list[float]:
    """Every number in an answer: a weight, a price, a chance."""
    if isinstance(value, dict | list):
        return [
            found for inner in (value.values() if isinstance(value, dict) else value) for found in numbers_in(inner)
        ]
    return [value] if isinstance(value, int | float) else []


def document(told: Told) -> dict[str, Any]:
    """A refusal without the one thing that is each request's own."""
    return {**json.loads(told.body), "request_id": ""}


def test_a_recipient_needs_no_key(door: Door):
    """Number and postal code show the status, the steps with their places, the legs and the promise."""
    told = door.track(door.number, "?postal_code=10115")
    assert told.status == 200, told.body
    assert (told.json["status"], told.json["detail"]) == ("in_transit", "arrived")
    assert told.json["place"] == {"name": "Berlin depot", "country": "DE", "timezone": "UTC"}
    assert [step["place"] and step["place"]["name"] for step in told.json["steps"]] == [
        "Warehouse",
        None,
        "Berlin depot",
    ]
    [leg] = told.json["legs"]
    assert leg["departed_at"] and leg["arrived_at"] and leg["depart_at"] == door.shipment["legs"][0]["depart_at"]
    assert told.json["promise"]["at"] == door.shipment["promised_at"]
    assert told.json["promise"]["day"] == door.shipment["promised_at"][:10]
    assert told.headers["cache-control"] == "no-store"


def test_no_answer_holds_anybody_s_data(door: Door):
    """No name, street, phone, mail, reference, goods, note, coordinate, id, weight or price; no courier's own words."""
    doorstep = door.book("REF-4711-D")["parcels"][0]["number"]
    door.scan(
        doorstep, "holding", 1, readPoint={"id": "geo:52.5301,13.3847"}, bizLocation={"id": "geo:52.5301,13.3847"}
    )
    answers = (
        [door.track(doorstep, "?postal_code=10115")]
        + [
            door.track(door.number, f"?postal_code={code}&language={language}")
            for code in ("10115", "10116")
            for language in ("en", "de", "fr", "es", "pt", "zh", "ar")
        ]
        + [door.track(door.number), door.track(door.number, "?postal_code=10115&nothing=1")]
    )
    assert {told.status for told in answers} == {200, 404, 422}
    for told in answers:
        text = OWN.sub(
            "", told.body.decode() + json.dumps(told.headers)
        )  # of instants and random ids any digits may come
        for secret in SECRET:
            assert secret.lower() not in text.lower(), (secret, text)
        assert not re.search(r"\b[a-z]{3}_[0-9a-z]{26}\b", text), text
        for word in ("party", "carrier", "weight", "cost", "price", "currency", "EUR", "event_id", "parcel_id"):
            assert word not in text, (word, text)
        assert told.status != 200 or not numbers_in(told.json), told.body


def test_a_wrong_code_is_answered_as_an_unknown_number(door: Door):
    """Wrong, none and empty, of a number that is there and of one that is not: equal but for the request's id."""
    number = door.book("REF-W")["parcels"][0]["number"]
    unknown = other_id(number)
    told = [
        door.track(asked, query)
        for asked in (number, unknown)
        for query in ("?postal_code=10116", "", "?postal_code=", "?postal_code=1011&language=de")
    ]
    assert {answer.status for answer in told} == {404}
    assert all(document(answer) == document(told[0]) for answer in told)
    plain = [
        {name: value for name, value in answer.headers.items() if name not in ("date", "request-id")} for answer in told
    ]
    assert all(headers == plain[0] for headers in plain)


def test_a_parcel_of_test_mode_is_not_shown(door: Door):
    """Its own number and code are answered as an unknown number's."""
    party = door.served.new_party("Tester")
    shop, house = (door.served.new_key(scope, party=party, test=True) for scope in ("merchant", "operator"))
    networks = door.must("GET", "/networks", None, house).json["data"]
    door.must("POST", f"/networks/{networks[0]['feed_id']}/activate", {}, house)
    number = door.book("REF-T", shop)["parcels"][0]["number"]
    assert door.served.ask("GET", f"/trackers/{number}", key=shop).status == 200
    told = door.track(number, "?postal_code=10115")
    assert told.status == 404 and document(told) == document(door.track(other_id(number), "?postal_code=10115"))


@pytest.mark.parametrize("exists", [True, False])
def test_guessing_ends_after_ten_wrong_codes(door: Door, exists: bool):
    """Then 429 for every code, the right one too, with the time to wait; no other number is slowed down."""
    number = door.book(f"REF-G{exists}")["parcels"][0]["number"]
    other = door.book(f"REF-O{exists}")["parcels"][0]["number"]
    asked = number if exists else other_id(other_id(number))
    for code in range(20000, 20010):
        assert door.track(asked, f"?postal_code={code}").status == 404
    for code in ("20010", "10115"):
        told = door.track(asked, f"?postal_code={code}")
        assert (told.status, told.code) == (429, "track.guesses")
        assert 3000 < int(told.headers["retry-after"]) <= 3600
    assert door.track(other, "?postal_code=10115").status == 200


def test_texts_are_in_the_language_that_is_wished_for(door: Door):
    """The parameter counts before the header, the header by its weights, and English where neither is here."""

    def read(language: str = "", header: str | None = None) -> tuple[str, str]:
        query = "?postal_code=10115" + (f"&language={language}" if language else "")
        told = door.track(door.number, query, **({"Accept-Language": header} if header is not None else {}))
        assert told.status == 200, told.body
        return told.json["language"], told.json["direction"]

    assert read() == read("xx") == read(header="tlh, *;q=0.5") == read(header=";;q=,,=") == ("en", "ltr")
    assert read("de-AT") == read(header="de") == read(header="xx, fr;q=0.2, de;q=0.8") == ("de", "ltr")
    assert read("ar") == read(header="ar-EG,en;q=0.5") == ("ar", "rtl")
    assert read("zh", header="fr") == ("zh", "ltr") and read(header="fr;q=0, es;q=0.1") == ("es", "ltr")
    arabic = door.track(door.number, "?postal_code=10115&language=ar").json
    assert arabic["text"] == "طردك في الطريق." and arabic["steps"][0]["detail_text"] == "غادر هذا المكان."


def test_a_shipper_reads_why_and_others_nothing(door: Door):
    """With a key: all steps with their events; the list of parcels by status; a rival is told of none."""
    told = door.served.ask("GET", f"/trackers/{door.number}", key=door.shop)
    assert told.status == 200 and told.json["why"]["event_id"] == told.json["why"]["steps"][-1]["event_id"]
    listed = door.served.ask("GET", "/trackers?status=in_transit&limit=1000", key=door.shop).json["data"]
    assert [parcel["number"] for parcel in listed] == [door.number]
    rival = door.served.new_key("merchant")
    assert door.served.ask("GET", f"/trackers/{door.number}", key=rival).status == 404
    assert door.served.ask("GET", "/trackers", key=rival).json == {"data": [], "next": None}
    assert door.served.ask("GET", "/trackers").status == 401
    assert door.served.ask("GET", "/trackers?status=lost", key=rival).status == 422


def test_a_parcel_to_a_node_is_its_shipper_s_alone(door: Door):
    """Nothing could be asked for beside its number: the public is told nothing, however it asks."""
    quote = {**order("-"), "to": {"node": "BER"}}
    asked = {name: quote[name] for name in ("from", "to", "ready_at", "weight_g")}
    quote_id = door.must("POST", "/quotes", asked, door.shop).json["offers"][0]["quote_id"]
    made = door.must("POST", "/shipments", {"quote_id": quote_id, "reference": "N-1", "to": {"node": "BER"}}, door.shop)
    number = made.json["parcels"][0]["number"]
    for query in ("", "?postal_code=", "?postal_code=BER", "?postal_code=10115"):
        assert document(door.track(number, query)) == document(door.track(other_id(number), query))
        assert door.track(number, query).status == 404
    assert door.served.ask("GET", f"/trackers/{number}", key=door.shop).status == 200
