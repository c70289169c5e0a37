"""A system of record over real PostgreSQL with a network of one limited lane, for tests of flows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

import rookery.app
from rookery.base.clock import Clock
from rookery.base.db import Database, Urls
from rookery.base.operations import OPERATIONS, SYSTEM, Context, Who
from rookery.base.performing import perform
from rookery.flows.publishing import NewFeed, publish
from rookery.network.store import pack

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SHOP = Who("pty_shop", "key_shop", frozenset({"merchant"}))
RIVAL = Who("pty_rival", "key_rival", frozenset({"merchant"}))

FEED = {
    "feed.json": '{"name": "one lane", "version": "1", "currency": "EUR"}',
    "nodes.csv": "node_id,name,kind,lat,lon,country,timezone,handling_minutes\n"
    "A,A,origin,50,4,BE,Europe/Brussels,0\nH,H,hub,50.5,4.5,BE,Europe/Brussels,30\nB,B,depot,51,5,BE,Europe/Brussels,30\n",
    "lanes.csv": "lane_id,from_node,to_node,mode,carrier_id,accepts\n"
    "AH,A,H,truck,BLUE,general\nHB,H,B,van,RED,general\n",
    "calendars.csv": "calendar_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_on,end_on\n"
    "daily,1,1,1,1,1,1,1,2026-01-01,2026-12-31\n",
    "departures.csv": "departure_id,lane_id,calendar_id,depart_time,transit_minutes,capacity_parcels,cost_per_parcel\n"
    "AH1,AH,daily,18:00,120,{seats},2\nHB1,HB,daily,06:00,60,,1\n",
    "zones.csv": "zone_id,country,postal_prefix,node_id,delivery_minutes,delivery_cost\nZ1,BE,9,B,240,0.5\n",
    "services.csv": "service_id,name,due_days,confidence\nstandard,Standard,3,0.95\n",
}


def write_feed(folder: Path, seats: str = "", version: str = "1") -> Path:
    """The one-lane network as a folder; `seats` on the first leg each day, "" = no limit."""
    folder.mkdir(parents=True)
    for name, text in FEED.items():
        (folder / name).write_text(text.replace("{seats}", seats).replace('"version": "1"', f'"version": "{version}"'))
    return folder


@dataclass
class Record:
    """A system of record to ask, at a time of its own."""

    database: Database
    parts: dict[type, Any]
    now: datetime = NOW

    def context(self, who: Who = SYSTEM, readonly: bool = False) -> Context:
        return Context(self.database, Clock(lambda: self.now), who, self.parts, readonly)

    def do(self, name: str, who: Who = SHOP, key: str | None = None, **ask: Any) -> Any:
        """Perform an act as the HTTP door would; its reply as plain lists and dicts, or bytes."""
        op = OPERATIONS[name]
        asked = msgspec.json.encode(ask)
        answer = perform(op, self.context(who, op.kind == "query"), msgspec.convert(ask, op.ask), asked, key)
        return msgspec.json.decode(answer.body) if op.media is None else answer.body

    def publish(self, folder: Path, who: Who = SYSTEM) -> str:
        with self.context(who) as ctx:
            return publish(ctx, NewFeed(pack(folder), activate=True)).feed.feed_id

    def quote(self, who: Who = SHOP, **more: Any) -> dict[str, Any]:
        ask = {"from": {"node": "A"}, "to": {"country": "BE", "postal_code": "9000"}, "weight_g": 500,
               "ready_at": (self.now + timedelta(hours=1)).isoformat()}  # fmt: skip
        return self.do("quotes.create", who, **{**ask, **more})

    def book(self, reference: str, who: Who = SHOP, offer: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        offer = offer or self.quote(who)["offers"][0]
        return self.do("shipments.create", who, quote_id=offer["quote_id"], reference=reference, to=ADA, **more)


ADA = {"name": "Ada Example", "lines": ["Teststraat 1"], "city": "Gent", "postal_code": "9000", "country": "BE"}


@contextmanager
def make_record(make_urls: Callable[[], Urls], folder: Path, seats: str = "") -> Iterator[Record]:
    """A fresh system of record with the one-lane network active."""
    with Database.open(make_urls(), size=12, wait_s=60.0) as database:
        rookery.app.make_ready(database)
        record = Record(database, rookery.app.wire(folder, database))
        record.publish(write_feed(folder / "feed", seats))
        yield record
