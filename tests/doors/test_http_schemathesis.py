"""The whole OpenAPI document against a real server, with questions that schemathesis makes up from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import schemathesis
from crossing_world import ADA, CODES, CONTEXT, MAKERS, World, build, epcis, event, named_by, order
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from serving_world import serving

import rookery.app
from rookery.base.clock import WALL
from rookery.base.operations import OPERATIONS
from rookery.doors.http.openapi import document
from rookery.doors.worker.running import run_worker

assert rookery.app.ACTS
EXAMPLES = 40
"""Questions for each operation, the same ones each time."""
for media in ("application/zip", "application/jsonl", "application/vnd.apache.parquet"):
    schemathesis.openapi.media_type(media, st.binary(max_size=200))
schema = schemathesis.openapi.from_dict(document(OPERATIONS.values()))
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


@pytest.fixture(scope="module")
def key(served) -> str:
    """An admin's key of a party of its own: nothing that is asked here is missed elsewhere."""
    return served.new_key("admin", party=served.new_party("Schemathesis"))


def asked_of(name: str, examples: int, ask: Callable[..., None]) -> None:
    """Asks so many questions of an operation, the same ones each time: `ask(case, data)`.

    The library's own way to make tests gives all operations' tests one id: a run in several processes does but one.
    """
    op = OPERATIONS[name]
    plan = settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),  # type: ignore[arg-type]
    )
    plan(given(case=schema[op.path][op.method].as_strategy(), data=st.data())(ask))()


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_nothing_that_is_asked_breaks_the_document(name, served, key):
    """No answer of 500 or above, no status and no shape that the document does not tell."""

    def ask(case, data) -> None:
        case.call_and_validate(
            base_url=served.url, headers={"Authorization": f"Bearer {key}"}, checks=CHECKS, timeout=300
        )

    asked_of(name, EXAMPLES, ask)


REAL_EXAMPLES = 8
"""Questions for each operation about things that are there."""
NUMBERS = count(1)


class Shop:
    """A server with a network, and a shipper whose key may do everything: what is asked about is made anew each time,
    but for a plan and an upload, which a worker has done.
    """

    def __init__(self, world: World):
        self.world = world
        self.query = ""
        run_worker(world.served.house.database, WALL, world.served.house.parts, until_idle=True)
        world.keys["shop"] = world.served.new_key("admin", party=world.parties["shop"])

    def made(self, name: str) -> str:
        """The id, by the name of the field that names it, of something that nobody has touched yet."""
        if name in ("shipment_id", "parcel_id", "number", "person_id"):
            self.world.shipment = self.world.must("shop", "POST", "/shipments", self.booking())
        if name == "order_id":
            return self.world.must("shop", "POST", "/orders", order(self.reference()))["order"]["order_id"]
        if name == "key_id":
            asked = {"party_id": self.world.parties["shop"], "scopes": ["merchant"]}
            return self.world.must("shop", "POST", "/keys", asked)["made"]["key_id"]
        if name in ("plan_id", "upload_id") and next(NUMBERS) % 2:
            return self.world.owned[name]
        if name in ("captureID", "event_id", "token"):
            return self.world.owned[name]
        if name in ("endpoint_id", "subscription_id"):  # a party has 20 at most
            for query in self.world.must("shop", "GET", "/epcis/queries?perPage=1000"):
                if query["name"] != self.query:
                    self.world.ask("shop", "DELETE", f"/epcis/queries/{query['name']}")
            for one in self.world.must("shop", "GET", "/webhooks")["data"]:
                self.world.ask("shop", "DELETE", f"/webhooks/{one['endpoint_id']}")
        if name == "subscription_id":
            asked = {"dest": "https://shop.example.com/epcis", "stream": True}
            return self.world.must("shop", "POST", f"/epcis/queries/{self.query}/subscriptions", asked)[
                "subscriptionID"
            ]
        if name == "query_name":
            made = {"name": self.reference(), "query": {}}
            self.query = self.world.must("shop", "POST", "/epcis/queries", made)["name"]
            return self.query
        if name == "closure_id":
            return self.world.must("shop", "POST", "/closures", later_closure())["closure"]["closure_id"]
        if name == "feed_id":
            return self.world.must("shop", "GET", "/networks")["data"][0]["feed_id"]
        return MAKERS[name](self.world)

    def reference(self) -> str:
        return f"R-{next(NUMBERS)}"

    def fail_to_capture(self) -> None:
        """Its capture is as after a fault of the program."""
        failed = "update tracking.captures set content = %s, media = %s, running = false where capture_id = %s"
        with psycopg.connect(self.world.served.cluster.url("rookery", "postgres")) as conn:
            conn.execute(failed, (epcis(_SEEN), "application/ld+json", self.world.owned["captureID"]))

    def booking(self) -> dict[str, Any]:
        """A question of POST /shipments that can be booked."""
        return {"quote_id": self.made("quote_id"), "reference": self.reference(), "to": ADA}


def later_closure() -> dict[str, Any]:
    """A question of POST /closures that nothing of what is booked here comes near."""
    day = datetime.now(UTC).date()
    return {
        "node_id": "BER", "from_at": f"{day + timedelta(days=90)}T00:00:00Z",
        "until_at": f"{day + timedelta(days=91)}T00:00:00Z", "replan": False,
    }  # fmt: skip


GOOD: dict[str, Callable[[Shop], dict[str, Any]]] = {
    "closures.add": lambda shop: later_closure(),
    "keys.create": lambda shop: {"party_id": shop.made("party_id"), "scopes": ["merchant"]},
    "shipments.create": lambda shop: shop.booking(),
    "shipments.batch": lambda shop: {"shipments": [shop.booking(), shop.booking()]},
    "shipments.readdress": lambda shop: {"to": ADA | {"name": "Bob Example", "lines": ["Straße 2"]}},
    "labels.print": lambda shop: {"parcel_ids": [shop.made("parcel_id")], "template": shop.made("name")},
    "orders.create": lambda shop: order(shop.reference()),
    "orders.batch": lambda shop: {"orders": [order(shop.reference()), order(shop.reference())]},
    "orders.update": lambda shop: {"service_id": "standard"},
    "epcis.subscriptions.create": lambda shop: {"dest": "https://shop.example.com/epcis", "stream": True},
}
"""Of questions that name things, or need more than fits by luck, one that succeeds, without what stands in the path."""
GOOD_QUERY: dict[str, dict[str, str]] = {"track.get": {"postal_code": ADA["postal_code"]}}
"""The same of what stands in a query."""
_SEEN = event("ObjectEvent", 1, action="OBSERVE", epcList=["urn:x:thing:1"])
GOOD_BYTES: dict[str, tuple[Any, str]] = {
    "epcis.capture": (json.loads(epcis(_SEEN)), "application/ld+json"),
    "epcis.events.create": ({"@context": CONTEXT, **_SEEN}, "application/json"),
    "scans.codes.put": (CODES, "text/csv"),
}
"""The same of bodies that are whole documents or files, with their kind."""
WITH_THINGS = sorted(op.name for op in OPERATIONS.values() if op.in_path or op.name in {**GOOD, **GOOD_BYTES})


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """A server of this module's own: waves, networks and keys of it are changed as it comes."""
    with serving() as server:
        yield Shop(build(server))


@pytest.mark.parametrize("name", WITH_THINGS)
def test_nothing_that_is_asked_of_real_things_breaks_the_document(name, shop: Shop):
    """The same where ids are of things that are there, and some or all of the other fields are such as succeed; and
    each operation did what it is for at least once.
    """

    def ask(case, data) -> None:
        for parameter in case.path_parameters or {}:
            named = named_by(OPERATIONS[name], shop.world.owned)
            made = named["value"] if parameter == "value" else shop.made(parameter)
            case.path_parameters[parameter] = quote(made, safe="")
        if name == "epcis.captures.again":
            shop.fail_to_capture()
        if isinstance(case.body, dict) and name in GOOD:
            good = GOOD[name](shop)
            made_up = data.draw(st.sets(st.sampled_from(sorted({*case.body, *good}))))
            kept = {field: value for field, value in case.body.items() if field in made_up}
            case.body = {field: value for field, value in good.items() if field not in made_up} | kept
        if name in GOOD_BYTES and data.draw(st.booleans()):
            content, media = GOOD_BYTES[name]
            case.body, case.media_type = content, media
        if name in GOOD_QUERY:
            case.query = {**(case.query or {}), **GOOD_QUERY[name]}
        if not data.draw(st.booleans()):
            case.headers.clear()
        headers = {"Authorization": f"Bearer {shop.world.keys['shop']}"}
        told = case.call_and_validate(base_url=shop.world.served.url, headers=headers, checks=CHECKS, timeout=300)
        answered.add(told.status_code)

    answered: set[int] = set()
    asked_of(name, REAL_EXAMPLES, ask)
    assert any(status < 300 for status in answered), answered
