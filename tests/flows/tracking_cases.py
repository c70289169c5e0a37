"""A system of record with two shippers, two couriers and an operator, and events to capture, for tests of tracking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from record_cases import NOW, RIVAL, SHOP, Record, make_record

from rookery.base.access import keys
from rookery.base.db import Urls
from rookery.base.operations import SYSTEM, Who
from rookery.tracking.epcis.identifiers import sscc_uri

CONTEXT = ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", {"rookery": "urn:rookery:epcis:"}]
BAG = "https://id.gs1.org/00/340123450000000017"
ULD = "https://id.gs1.org/00/340123450000000024"
HOUSE = Who("pty_house", "key_house", frozenset({"operator"}))
STRANGER = Who("pty_stranger", "key_stranger", frozenset({"courier"}))
MONDAY = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def at(hours: float) -> str:
    """So many hours after the Monday the tests begin on."""
    return (MONDAY + timedelta(hours=hours)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def scan(step: str, hours: float, *epcs: str, place: str | None = None, **more: Any) -> dict[str, Any]:
    """An ObjectEvent."""
    event = {
        "type": "ObjectEvent", "eventTime": at(hours), "eventTimeZoneOffset": "+00:00", "epcList": list(epcs),
        "action": "OBSERVE", "bizStep": step, **more,
    }  # fmt: skip
    return event | ({"readPoint": {"id": f"urn:rookery:node:{place}"}} if place else {})


def pack(hours: float, parent: str, *children: str, action: str = "ADD", **more: Any) -> dict[str, Any]:
    """An AggregationEvent."""
    step = "unpacking" if action == "DELETE" else "packing"
    return {
        "type": "AggregationEvent", "eventTime": at(hours), "eventTimeZoneOffset": "+00:00", "parentID": parent,
        "childEPCs": list(children), "action": action, "bizStep": step, **more,
    }  # fmt: skip


def document(*events: dict[str, Any]) -> bytes:
    """An EPCIS document of events."""
    return msgspec.json.encode(
        {
            "@context": CONTEXT, "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": at(0),
            "epcisBody": {"eventList": list(events)},
        }
    )  # fmt: skip


@dataclass
class World:
    """The record, its couriers, and parcels' identifiers as they are booked."""

    record: Record
    blue: Who
    red: Who

    def parcel(self, who: Who = SHOP) -> str:
        """Book a parcel that BLUE and then RED will carry; its EPC."""
        self._booked = getattr(self, "_booked", 0) + 1
        return sscc_uri(self.record.book(f"R-{self._booked}", who)["parcels"][0]["number"])

    def capture(self, who: Who, *events: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Capture events at once; the capture job."""
        content = document(*events)
        with self.record.context(who) as ctx:
            from rookery.flows.epcis.captures import Document, OneCapture, capture, get

            job = capture(ctx, Document(content, "application/json", **more)).headers["Location"].rsplit("/", 1)[1]
            return msgspec.to_builtins(get(ctx, OneCapture(job)))

    def follow(self, epc: str, who: Who = SHOP) -> Any:
        """What following a parcel tells."""
        from rookery.flows.following import follow

        with self.record.context(who, readonly=True) as ctx:
            return follow(ctx, epc.rsplit("/", 1)[1])

    def kept(self, epc: str) -> tuple[Any, ...] | None:
        """The parcel's row: status, detail, place."""
        with self.record.context(SYSTEM, readonly=True) as ctx:
            return ctx.conn.execute(
                "select status::text, detail, place from tracking.parcels where epc = %s", (epc,)
            ).fetchone()

    def count(self, table: str) -> int:
        """Rows of a table of tracking."""
        with self.record.context(SYSTEM, readonly=True) as ctx:
            row = ctx.conn.execute(f"select count(*) from tracking.{table}".encode()).fetchone()
            return row[0] if row else 0


@contextmanager
def make_world(make_urls: Callable[[], Urls], folder: Path) -> Iterator[World]:
    """The one-lane network with its couriers BLUE (first leg) and RED (second)."""
    with make_record(make_urls, folder) as record:
        with record.context() as ctx:
            blue, red = (keys.create_party(ctx.conn, name, NOW, code=name).party_id for name in ("BLUE", "RED"))
        record.now = NOW + timedelta(days=10)  # long after what the events tell of
        scopes = frozenset({"courier"})
        yield World(record, Who(blue, "key_blue", scopes), Who(red, "key_red", scopes))


__all__ = ["BAG", "HOUSE", "RIVAL", "SHOP", "STRANGER", "ULD", "World", "document", "make_world", "pack", "scan"]
