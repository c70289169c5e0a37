"""Parcels on a network of one way whose first leg takes its time: what becomes of their chances, scan by scan.

AH1 leaves A at 17:00Z each day, is 180, 300, .. 1020 minutes (eight outcomes) on its way to H, which handles 30 more;
HB1 leaves H at 05:00Z, is there at 06:00Z, handled until 06:30Z, delivered by 10:30Z. A parcel booked on Monday catches
Tuesday's HB1 in five outcomes of eight, and is promised for Tuesday with 0.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from record_cases import FEED, NOW, SHOP, Record, make_record

from rookery.base.access.keys import create_party
from rookery.base.clock import Clock
from rookery.base.db import Urls
from rookery.base.jobs import Desk
from rookery.base.operations import SYSTEM, Who
from rookery.flows.capturing import take
from rookery.flows.live_feed import live_feed
from rookery.flows.living import turning
from rookery.flows.living.facts import facts_of
from rookery.flows.living.outlook_classes import classes_of
from rookery.flows.planning import model_of
from rookery.flows.trackers import place_of
from rookery.network.live import stamp
from rookery.planning.capacity.resources import Prices
from rookery.planning.outlook import Outlook, make_outlook
from rookery.terms.time import to_minute
from rookery.tracking.epcis.documents import Sent
from rookery.tracking.epcis.identifiers import sscc_uri

SLOW = FEED | {
    "departures.csv": "departure_id,lane_id,calendar_id,depart_time,transit_minutes,transit_id,cost_per_parcel\n"
    "AH1,AH,daily,18:00,600,slow,2\nHB1,HB,daily,06:00,60,,1\n",
    "transit.csv": "transit_id,quantile,factor\nslow,0,0.2\nslow,0.5,1\nslow,1,1.8\n",
    "services.csv": "service_id,name,due_days,confidence\nstandard,Standard,3,0.6\n",
}
AH1 = {"rookery:departure": "AH1"}
"""Of an event: of this departure."""
CONTEXT = ({"rookery": "urn:rookery:epcis:"},)


@dataclass
class Live:
    """The record, its couriers, and an outlook once one was made."""

    record: Record
    blue: Who
    red: Who
    outlook: Outlook | None = None
    numbers: list[str] = field(default_factory=list)

    def book(self, who: Who = SHOP, **more: Any) -> str:
        """Book a parcel; its waybill number."""
        offer = self.record.quote(who, confidence=0.6)["offers"][0]
        booked = self.record.book(f"R-{len(self.numbers)}", who, offer, **more)
        self.numbers.append(booked["parcels"][0]["number"])
        return self.numbers[-1]

    def at(self, hours: float) -> None:
        """It is so many hours after NOW."""
        self.record.now = NOW + timedelta(hours=hours)

    def scan(self, who: Who, number: str, step: str, hours: float, node: str | None = None, **more: Any) -> None:
        """A party notes something of a parcel, so many hours after NOW, which it is then at least."""
        self.record.now = max(self.record.now, NOW + timedelta(hours=hours))
        event = {
            "type": "ObjectEvent", "action": "OBSERVE", "bizStep": step, "epcList": [sscc_uri(number)],
            "eventTime": (NOW + timedelta(hours=hours)).isoformat(), "eventTimeZoneOffset": "+00:00", **more,
        }  # fmt: skip
        if node is not None:
            event["readPoint"] = {"id": place_of(node)}
        with self.record.context(who) as ctx:
            assert not take(ctx, [Sent(event, CONTEXT, "$")]).faults

    def desk(self) -> Desk:
        return Desk(self.record.database, Clock(lambda: self.record.now), self.record.parts)

    def look_out(self) -> None:
        """Make the outlook for what is booked by now."""
        with self.record.context(SYSTEM) as ctx:
            feed = live_feed(ctx).feed
            facts = facts_of(ctx.conn, False, [sscc_uri(number) for number in self.numbers])
            model = model_of(feed, to_minute(NOW - timedelta(days=2)), 14, 8)
            classes = classes_of(feed, facts)
            version = f"{stamp(ctx.conn, False)}.{len(self.numbers)}"
        none = np.zeros(0, np.int64)
        prices = Prices.none(model.resources)
        self.outlook = make_outlook(model, prices, none, classes, threads=1, version=version)

    def turn(self, most: int = turning.MOST) -> int:
        """Looks until nothing is left to look at; at how many parcels."""
        looked, total = 1, 0
        while looked:
            looked = turning.turn(self.desk(), False, lambda: self.outlook, most)
            total += looked
        return total

    def row(self, number: str) -> dict[str, Any]:
        """What is kept of a parcel's chance."""
        return self.rows("chances", f"epc = '{sscc_uri(number)}'")[0]

    def rows(self, table: str, where: str = "true", order: str = "1") -> list[dict[str, Any]]:
        """Rows of a table of tracking."""
        with self.record.context(SYSTEM, readonly=True) as ctx:
            found = ctx.conn.execute(f"select * from tracking.{table} where {where} order by {order}".encode())
            names = [column.name for column in found.description or []]
            return [dict(zip(names, row)) for row in found.fetchall()]

    def past(self, number: str) -> list[tuple[float | None, str | None]]:
        """The chances and reasons in a parcel's history."""
        found = self.rows("chance_history", f"epc = '{sscc_uri(number)}'", "seq")
        return [(one["chance"], one["why"]) for one in found]


@contextmanager
def make_live(make_urls: Callable[[], Urls], folder: Path) -> Iterator[Live]:
    """The slow network with its couriers BLUE (first leg) and RED (second)."""
    with make_record(make_urls, folder) as record:
        slow = folder / "slow"
        slow.mkdir()
        for name, text in SLOW.items():
            (slow / name).write_text(text.replace('"version": "1"', '"version": "2"'))
        record.publish(slow)
        with record.context() as ctx:
            blue, red = (create_party(ctx.conn, name, NOW, code=name).party_id for name in ("BLUE", "RED"))
        scopes = frozenset({"courier"})
        yield Live(record, Who(blue, "key_blue", scopes), Who(red, "key_red", scopes))
