"""Two shippers, two couriers, an operator, a key of test mode, and one of everything that is the first shipper's."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from rookery.base.access import keys
from rookery.base.clock import WALL
from rookery.base.operations import OPERATIONS, Operation
from rookery.doors.http import examples
from rookery.doors.http.openapi import schemas
from rookery.terms.ids import ID, new_id
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
    return world


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
}
"""How something of the first shipper's is made, by the field that names one in a path or a body."""
SHARED = {"feed_id"}
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
    if len(like) == 18 and like.isdecimal():  # an SSCC, with its right check digit
        return write_numbers(Scheme("sscc", "", 17, "gs1"), [int(like[:17]) + 1_000_000])[0]
    return like[:-1] + (str((int(like[-1]) + 1) % 10) if like[-1].isdecimal() else "x")


def ids_in(body: bytes) -> set[str]:
    """Every id that stands in an answer, but that of the request itself."""
    return {found for found in re.findall(r"\b[a-z]{3}_[0-9a-z]{26}\b", body.decode("latin-1")) if found[:3] != "req"}


def all_paths(op: Operation, owned: dict[str, str]) -> str:
    """The operation's path with ids in it."""
    path = op.path
    for parameter in op.in_path:
        path = path.replace(f"{{{parameter}}}", owned.get(parameter, "x_0"))
    return path


def reads() -> list[Operation]:
    """Operations that only read, by GET."""
    return [op for op in OPERATIONS.values() if op.method == "GET"]
