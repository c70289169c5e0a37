"""Two shippers, two couriers, an operator, a key of test mode, and one of everything that is the first shipper's."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import quote

from rookery.base.access import keys
from rookery.base.clock import WALL
from rookery.base.jobs import Desk
from rookery.base.operations import OPERATIONS, Operation
from rookery.doors.http import examples
from rookery.doors.http.openapi import schemas
from rookery.flows.living import turning
from rookery.terms.ids import ID, new_id
from rookery.tracking.epcis.identifiers import sscc_uri
from rookery.waybill.model import Scheme
from rookery.waybill.rules.numbers import write_numbers

FEED = {
    "feed.json": '{"name": "Crossing", "version": "1", "currency": "EUR"}',
    "nodes.csv": "node_id,name,kind,lat,lon,country,timezone,handling_minutes\n"
    "W1,Warehouse,origin,51.0,12.0,DE,UTC,0\nBER,Berlin depot,depot,52.5,13.4,DE,UTC,60\n",
    "lanes.csv": "lane_id,from_node,to_node,mode,carrier_id\nroad,W1,BER,truck,ROAD\n",
    "departures.csv": "departure_id,lane_id,calendar_id,depart_time,cutoff_minutes,transit_minutes,cost_per_parcel,"
    "cost_per_kg\nroad-20,road,daily,20:00,30,180,0.20,0.10\n",
    "calendars.csv": "calendar_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_on,end_on\n"
    f"daily,1,1,1,1,1,1,1,{date.today().year - 1}-01-01,{date.today().year + 2}-12-31\n",
    "zones.csv": "zone_id,country,postal_prefix,node_id,delivery_minutes,delivery_cost\nDE-1,DE,1,BER,240,1.60\n",
    "services.csv": "service_id,name,due_days,confidence,late_cost\nstandard,Standard,14,0.95,20\n",
}
ADA = {
    "name": "Ada Example", "phone": "+49 30 901820",
    "lines": ["Straße 1"], "city": "Berlin", "postal_code": "10115", "country": "DE",
}  # fmt: skip

CONTEXT = ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", {"rookery": "urn:rookery:epcis:"}]
EVENT_ID = "urn:uuid:4f6c1f0e-7d55-4c0a-9a43-0c5a3f1f7a11"
OWN_WORDS = {
    "bizSteps": "https://shop.example/steps/own-1", "dispositions": "https://shop.example/states/own-1",
    "readPoints": "https://shop.example/doors/own-1", "bizLocations": "https://shop.example/halls/own-1",
    "eventTypes": "AssociationEvent",
}  # fmt: skip
"""What only the first shipper's event says, by the list under /epcis that it stands in."""
STRAY = "340123450000000024"
"""A number that the first courier scanned and no parcel has."""
CODES = b"code,status,detail\nW7,in_transit,arrived\n"
RAW = {"scans.codes.put": (CODES, "text/csv")}
"""Bodies that are no JSON, with their kind, of operations whose query names things."""


@dataclass
class World:
    """Keys by who holds them; what belongs to the first shipper by the name of the field that would name it."""

    served: Any
    keys: dict[str, str] = field(default_factory=dict)
    parties: dict[str, str] = field(default_factory=dict)
    owned: dict[str, str] = field(default_factory=dict)
    shipment: dict[str, Any] = field(default_factory=dict)

    def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """A request of somebody's; headers: `idempotency_key="..."` is Idempotency-Key."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return self.served.ask(method, path, body, key=self.keys[who], headers=named)

    def must(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The same where it has to succeed."""
        told = self.ask(who, method, path, body, **headers)
        assert told.status < 300, (method, path, told.status, told.body[:600])
        return told.json


def build(served: Any) -> World:
    """The world over a fresh server."""
    world = World(served)
    with served.house.context() as ctx:
        for who, code in (("shop", None), ("other_shop", None), ("road", "ROAD"), ("rail", "RAIL"), ("house", None)):
            world.parties[who] = keys.create_party(ctx.conn, who, WALL.now(), code=code).party_id
    for who, scope in (
        ("shop", "merchant"), ("other_shop", "merchant"), ("road", "courier"), ("rail", "courier"),
        ("house", "operator"),
    ):  # fmt: skip
        world.keys[who] = served.new_key(scope, party=world.parties[who])
    world.keys["admin"] = served.new_key("admin", party=world.parties["house"])
    world.keys["shop_in_test"] = served.new_key("merchant", party=world.parties["shop"], test=True)
    for scope in ("station", "customs"):
        world.keys[f"other_{scope}"] = served.new_key(scope, party=world.parties["other_shop"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in FEED.items():
            archive.writestr(name, text)
    zipped = {"content_type": "application/zip"}
    world.must("house", "POST", "/networks?activate=true", packed.getvalue(), **zipped)
    world.owned["shipment_id"] = _book(world)["shipment_id"]
    for name, make in MAKERS.items():
        if name not in world.owned:
            world.owned[name] = make(world)
    _scan(world)
    return world


def epc_of(world: World) -> str:
    """The first shipper's parcel, as events name it."""
    return sscc_uri(world.owned["number"])


def _before(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")


def event(kind: str, hours: float, **more: Any) -> dict[str, Any]:
    """An EPCIS event of so many hours ago."""
    return {"type": kind, "eventTime": _before(hours), "eventTimeZoneOffset": "+00:00", **more}


def epcis(*events: dict[str, Any]) -> bytes:
    """An EPCIS document."""
    document = {"@context": CONTEXT, "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": _before(0)}
    return json.dumps(document | {"epcisBody": {"eventList": list(events)}}).encode()


def capture(world: World, who: str, *events: dict[str, Any]) -> str:
    """The id of the job with which somebody captures events at once: all of them are new."""
    told = world.ask(who, "POST", "/epcis/capture", epcis(*events), content_type="application/json")
    assert told.status == 202, told.body[:600]
    job = world.must(who, "GET", told.headers["location"])
    assert (job["success"], job["added"]) == (True, len(events)), job
    return job["captureID"]


def _capture(world: World) -> str:
    words, epc = OWN_WORDS, epc_of(world)
    seen = event(
        "ObjectEvent", 5, eventID=EVENT_ID, action="OBSERVE", epcList=[epc], bizStep=words["bizSteps"],
        disposition=words["dispositions"], readPoint={"id": words["readPoints"]},
        bizLocation={"id": words["bizLocations"]},
    )  # fmt: skip
    with_sensor = event(
        "AssociationEvent", 4, action="ADD", parentID=epc, childEPCs=["urn:x-shop:sensor:own-1"]
    )  # fmt: skip
    return capture(world, "shop", seen, with_sensor)


def _query(world: World) -> str:
    world.must("shop", "POST", "/epcis/queries", {"name": "own-1", "query": {"EQ_bizStep": [OWN_WORDS["bizSteps"]]}})
    return "own-1"


def _token(world: World) -> str:
    link = world.ask("shop", "GET", "/epcis/events?perPage=1").headers["link"]
    found = re.search(r"nextPageToken=([\w-]+)", link)
    assert found is not None, link
    return found[1]


def _scan(world: World) -> None:
    """What its courier says of the first shipper's parcel, also by a code nobody knows, and of a stray number."""
    scans = [
        {"number": world.owned["number"], "at": _before(3), "code": "arrived", "id": "own-1"},
        {"number": world.owned["number"], "at": _before(2), "code": "Z9"},
        {"number": STRAY, "at": _before(2), "code": "arrived"},
    ]
    told = world.must("road", "POST", "/scans", {"scans": scans})
    assert told["taken"] == 3, told
    world.must("road", "PUT", "/scans/codes", CODES, content_type="text/csv")


def _soon() -> str:
    return f"{datetime.now(UTC).date() + timedelta(days=2)}T08:00:00Z"


def _offer(world: World) -> str:
    to = {"country": "DE", "postal_code": "10115"}
    asked = {"from": {"node": "W1"}, "to": to, "ready_at": _soon(), "weight_g": 800}
    return world.must("shop", "POST", "/quotes", asked)["offers"][0]["quote_id"]


def _book(world: World) -> dict[str, Any]:
    world.shipment = world.must(
        "shop", "POST", "/shipments", {"quote_id": _offer(world), "reference": "A-1", "to": ADA}
    )
    return world.shipment


def order(reference: str) -> dict[str, Any]:
    """An order that can be taken."""
    return {
        "reference": reference, "from": {"node": "W1"}, "to": ADA, "ready_at": _soon(), "weight_g": 800,
        "service_id": "standard", "items": [{"description": "Mugs", "quantity": 2, "value": 9.5, "currency": "EUR"}],
    }  # fmt: skip


def _upload(world: World) -> str:
    text = b"order_id,from_node,to_country,to_postal_code,ready_at,weight_g\nF-1,W1,DE,10119,soon,heavy\n"
    told = world.must("shop", "POST", "/order-uploads?form=csv", text, content_type="text/csv")
    return told["upload_id"]


DAMAGED = count(1)


def _case(world: World) -> str:
    """A parcel of the first shipper's that its courier found damaged."""
    asked = {"quote_id": _offer(world), "reference": f"A-9-{next(DAMAGED)}", "to": ADA}
    number = world.must("shop", "POST", "/shipments", asked)["parcels"][0]["number"]
    world.must("road", "POST", "/scans", {"scans": [{"number": number, "at": _before(1), "code": "damaged"}]})
    house = world.served.house
    while turning.turn(Desk(house.database, WALL, house.parts), False, lambda: None):
        pass
    cases = world.must("house", "GET", "/cases?kind=damage&limit=1000")["data"]
    return next(one["case_id"] for one in cases if number in one["cause"])


def _subscription(world: World) -> str:
    asked = {"dest": "https://shop.example.com/epcis", "stream": True}
    return world.must("shop", "POST", "/epcis/queries/own-1/subscriptions", asked)["subscriptionID"]


def _endpoint(world: World) -> str:
    told = world.must("shop", "POST", "/webhooks", {"url": "https://shop.example.com/rookery"})
    return told["endpoint"]["endpoint_id"]


def _replan(world: World) -> str:
    ids = {"shipment_ids": [world.owned["shipment_id"]]}
    return world.must("house", "POST", "/shipments/rebook", ids)["replan"]["replan_id"]


def _template(world: World) -> str:
    world.must("shop", "PUT", "/label-templates/mine", {"accent": "#112233"})
    return "mine"


MAKERS: dict[str, Callable[[World], str]] = {
    "party_id": lambda world: world.parties["shop"],
    "key_id": lambda world: next(
        key["key_id"] for key in world.must("shop", "GET", "/keys")["data"] if not key["test"]
    ),
    "shipment_id": lambda world: world.shipment["shipment_id"],
    "parcel_id": lambda world: world.shipment["parcels"][0]["parcel_id"],
    "number": lambda world: world.shipment["parcels"][0]["number"],
    "person_id": lambda world: world.shipment["recipient_id"],
    "quote_id": _offer,
    "order_id": lambda world: world.must("shop", "POST", "/orders", order("A-2"))["order"]["order_id"],
    "upload_id": _upload,
    "name": _template,
    "plan_id": lambda world: world.must("house", "POST", "/waves", {})["plan_id"],
    "captureID": _capture,
    "event_id": lambda world: EVENT_ID,
    "value": epc_of,
    "query_name": _query,
    "token": _token,
    "case_id": _case,
    "replan_id": _replan,
    "endpoint_id": _endpoint,
    "subscription_id": _subscription,
}
"""How something of the first shipper's is made, by the field that names one in a path or a body."""
SHARED = {"feed_id", "closure_id"}
"""Fields whose things belong to nobody: whoever may ask at all sees all of them."""


def body_of(op: Operation) -> dict[str, Any]:
    """A question that fits the operation, without what stands in the path or a header."""
    made, named = schemas([op])
    asked = made["ask"][op.name]
    asked = named[asked["$ref"].rpartition("/")[2]] if "$ref" in asked else asked
    outside = {*op.in_path, "if_match", "content"}
    question = examples.of_question(op, asked, named)
    return {name: value for name, value in question.items() if name not in outside}


def other_id(like: str) -> str:
    """An id of the same kind that nobody has; of what has no such ids, another name or number."""
    if ID.fullmatch(like):
        return new_id(like[:3], WALL.now())
    if like == OWN_WORDS["eventTypes"]:
        return "TransformationEvent"
    if len(like) == 18 and like.isdecimal():  # an SSCC, with its right check digit
        return write_numbers(Scheme("sscc", "", 17, "gs1"), [int(like[:17]) + 1_000_000])[0]
    return like[:-1] + (str((int(like[-1]) + 1) % 10) if like[-1].isdecimal() else "x")


def ids_in(body: bytes) -> set[str]:
    """Every id that stands in an answer, but that of the request itself."""
    return {found for found in re.findall(r"\b[a-z]{3}_[0-9a-z]{26}\b", body.decode("latin-1")) if found[:3] != "req"}


def named_by(op: Operation, owned: dict[str, str]) -> dict[str, str]:
    """What the operation's path names of these: under /epcis, a value of the list it is in."""
    named = {parameter: owned.get(parameter, "x_0") for parameter in op.in_path}
    if "value" in named:
        named["value"] = OWN_WORDS.get(op.path.split("/")[2], named["value"])
    return named


def all_paths(op: Operation, named: dict[str, str]) -> str:
    """The operation's path with what it names in it."""
    path = op.path
    for parameter in op.in_path:
        path = path.replace(f"{{{parameter}}}", quote(named[parameter], safe=""))
    return path


def reads() -> list[Operation]:
    """Operations that only read, by GET."""
    return [op for op in OPERATIONS.values() if op.method == "GET"]
