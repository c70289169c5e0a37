"""Bodies as couriers send them: EPCIS documents and scans, in the order in which things happened."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from benchmarks.tracking.life import LIFE, Step, bags_of
from benchmarks.tracking.numbers import BAG, PARCEL, epc, sscc
from benchmarks.tracking.parcels import GROUP

CONTEXT = ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", {"rookery": "urn:rookery:epcis:"}]
ENDED_DAYS, OVER_DAYS = 4.0, 6.0
"""The latest lives begin so long ago, and the others up to so much earlier."""


class Scan(msgspec.Struct, frozen=True):
    """One thing scanned, or twenty put into a bag; bag: what it is, or lies in."""

    at: datetime
    step: Step
    node: str
    numbers: list[str]
    bag: str | None


def scans(life: Sequence[Step], nodes: Sequence[str], first: int, groups: int, now: datetime) -> list[Scan]:
    """What happens to parcels number `first` and the following, twenty a group, by time; all of it is over by `now`."""
    draw, life = random.Random(first), tuple(life)
    serials = np.arange(first, first + groups * GROUP)
    parcels = sscc(serials, PARCEL).to_list()
    bags = sscc(np.arange(first, first + groups * bags_of(life)), BAG).to_list()
    found: list[Scan] = []
    for group in range(groups):
        begins = now - timedelta(days=ENDED_DAYS + draw.random() * OVER_DAYS)
        mine = parcels[group * GROUP : (group + 1) * GROUP]
        for step in life:
            node, bag = nodes[(group * 7 + step.node) % len(nodes)], bags[group * bags_of(life) + step.bag]
            for numbers in [[number] for number in mine] if step.who == "each" else [mine]:
                at = begins + timedelta(hours=step.hours + draw.random())
                found.append(Scan(at, step, node, [bag] if step.who == "bag" else numbers, bag))
    return sorted(found, key=lambda scan: scan.at)


def event(scan: Scan, **more: Any) -> dict[str, Any]:
    """A scan as an EPCIS event (JSON form)."""
    at = scan.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    place = {"id": f"urn:rookery:node:{scan.node}"}
    told = {
        "eventTime": at, "eventTimeZoneOffset": "+00:00", "bizStep": scan.step.step,
        "disposition": scan.step.disposition, "readPoint": place, "bizLocation": place, **more,
    }  # fmt: skip
    things = [epc(number) for number in scan.numbers]
    if scan.step.who in ("in", "out"):
        action = "ADD" if scan.step.who == "in" else "DELETE"
        return {
            "type": "AggregationEvent", "action": action, "parentID": epc(scan.bag or ""), "childEPCs": things, **told,
        }  # fmt: skip
    return {"type": "ObjectEvent", "action": "OBSERVE", "epcList": things, **told}


def document(events: Sequence[dict[str, Any]], now: datetime) -> bytes:
    """Events as a body of POST /epcis/capture."""
    return msgspec.json.encode(
        {
            "@context": CONTEXT, "type": "EPCISDocument", "schemaVersion": "2.0",
            "creationDate": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "epcisBody": {"eventList": list(events)},
        }
    )  # fmt: skip


def documents(
    life: Sequence[Step], nodes: Sequence[str], first: int, groups: int, batch: int, now: datetime
) -> Iterator[bytes]:
    """All events of the lives of groups of parcels from number `first` on, `batch` to a document."""
    made = scans(life, nodes, first, groups, now)
    for at in range(0, len(made), batch):
        yield document([event(scan) for scan in made[at : at + batch]], now)


CODES = {
    "collecting": "accepted", "arriving": "arrived", "departing": "departed", "unloading": "unloaded",
    "loading": "loaded", "transporting": "out_for_delivery", "receiving": "to_recipient",
    "inspecting": "customs_cleared", "staging_outbound": "ready_to_depart", "packing": "bagged",
    "unpacking": "unbagged",
}  # fmt: skip
"""What couriers without codes of their own send."""


def scan_bodies(nodes: Sequence[str], first: int, groups: int, batch: int, now: datetime) -> Iterator[bytes]:
    """Bodies of POST /scans, as handheld devices send them: of a parcel, of a bag, or of a parcel with its bag."""
    made = [
        {"number": number, "code": CODES[scan.step.step], "node": scan.node,
         "at": (scan.at + timedelta(seconds=place)).isoformat(timespec="milliseconds"),
         **({"container": scan.bag} if scan.step.who in ("in", "out") else {})}
        for scan in scans(LIFE, nodes, first, groups, now) for place, number in enumerate(scan.numbers)
    ]  # fmt: skip
    for at in range(0, len(made), batch):
        yield msgspec.json.encode({"scans": made[at : at + batch]})


SCANS_PER_GROUP = sum(1 if step.who == "bag" else GROUP for step in LIFE)
