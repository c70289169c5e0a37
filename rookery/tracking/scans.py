"""Couriers' scans made EPCIS events: what is wrong with each, what its code means, and the event that it becomes. Pure.

A scan becomes one event. Most are ObjectEvents. Two kinds are AggregationEvents: a scan of a thing with the `container`
that it was put into (details bagged, loaded) or taken out of (unbagged, unloaded); and a scan of a container with its
`contents`: put in or taken out by the same details, otherwise seen in it (OBSERVE). A code that no table knows says
nothing of containment either: what was scanned with it is the plain list of an ObjectEvent.

An event's hash takes texts that spell one number ("1", "01", "1.0") or one identifier for the same. Codes and ids are
told apart by every sign: where the hash would pass over how one is written, rookery:scan_key makes the events differ.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, get_args
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from rookery.terms.notice import Fault
from rookery.tracking.codes.tables import Meaning
from rookery.tracking.epcis.application_identifiers import check_digit
from rookery.tracking.epcis.contexts import ROOKERY, STANDARD_CONTEXT, Names
from rookery.tracking.epcis.hash_values import text as folded
from rookery.tracking.epcis.identifiers import canonical, number_of, sscc_uri
from rookery.tracking.epcis.schema import document_faults
from rookery.tracking.milestones import CHILD
from rookery.tracking.milestones import meaning as meaning_of

PUT_IN = frozenset({"bagged", "loaded"})
TAKEN_OUT = frozenset({"unbagged", "unloaded"})
MOVES = PUT_IN | TAKEN_OUT
"""Details that say of containment."""
MOST_CONTENTS = 2000
MOST_TEXT = {"code": 200, "node": 200, "departure": 200, "device": 200, "id": 200, "note": 1000}
CONTEXT: tuple[Any, ...] = ({"rookery": ROOKERY},)
"""The context that the events stand under."""
NODE = "urn:rookery:node:"

Withdraws = Literal["did_not_occur", "incorrect_data"]


def _text(description: str, example: str) -> Any:
    return Meta(description=description, examples=[example])


class Scan(Struct, frozen=True, forbid_unknown_fields=True):
    """One scan as a device sends it. Where it was: a node, a place, or lat with lon; or nothing."""

    number: Annotated[str, _text("As printed or scanned: of a parcel, or a container's.", "095200000000000004")] = ""
    at: Annotated[str, _text("When, RFC 3339 with the offset from UTC.", "2026-03-02T08:15:00+01:00")] = ""
    code: Annotated[str, _text("In your own words, by default those of `rookery`.", "arrived")] = ""
    node: Annotated[str | None, _text("A node of the network.", "W1")] = None
    place: Annotated[str | None, _text("A URI, for example a GLN as Digital Link.", "urn:x-site:7")] = None
    lat: Annotated[float | None, Meta(description="Degrees north, WGS 84.")] = None
    lon: Annotated[float | None, Meta(description="Degrees east, WGS 84.")] = None
    container: Annotated[str | None, _text("The number it was put into, or taken out of.", "BAG-17")] = None
    contents: Annotated[list[str], Meta(description=f"Numbers scanned with it, {MOST_CONTENTS} at most.")] = []
    departure: Annotated[str | None, _text("The departure it is about.", "road-20")] = None
    device: str | None = None
    note: Annotated[str | None, _text("Never names or addresses.", "Wet on one side")] = None
    id: Annotated[str | None, _text("Your own id of the scan.", "S-1")] = None
    withdraws: Annotated[Withdraws | None, Meta(description="The very same scan, now declared wrong.")] = None
    withdrawn_at: Annotated[str | None, _text("When it was; by default now.", "2026-03-02T09:00:00Z")] = None


_TYPES = {field.name: field.type for field in msgspec.structs.fields(Scan)}
_ORDINARY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}")


def read(place: int, sent: Any) -> Scan | list[Fault]:
    """A scan from JSON values, or everything that is wrong with it. place: where it stands in its batch."""
    try:
        return msgspec.convert(sent, Scan)
    except msgspec.ValidationError:
        at = f"$.scans[{place}]"
        if not isinstance(sent, dict):
            return [Fault(at, "type", "it is no object", "send {...} with number, at and code")]
    faults: list[Fault] = []
    good: dict[str, Any] = {}
    for name, value in sent.items():
        if name not in _TYPES:
            shown = name if _ORDINARY.fullmatch(name) else "?"
            what = ("unknown_field", "there is no such field", "leave it out or mend its name")
            faults.append(Fault(f"{at}.{shown}", *what))
            continue
        try:
            good[name] = msgspec.convert(value, _TYPES[name])
        except msgspec.ValidationError as error:
            told, _, inside = str(error).partition(" - at `$")
            if told.startswith("Invalid enum"):
                what = ("enum", "it is none of the reasons", f"use {' or '.join(get_args(Withdraws))}, or leave it out")
            else:
                what = ("type", told, "mend it as the schema says")
            faults.append(Fault(f"{at}.{name}{inside.rstrip('`')}", *what))
    checked = check(place, Scan(**good))
    if not isinstance(checked, Good):  # what is missing only because it was left out just now is told already
        wrong = {f"{at}.{name}" for name in sent.keys() - good.keys()}
        faults += [fault for fault in checked if fault.at not in wrong]
    return faults


class Good(NamedTuple):
    """A scan that can be kept. epcs: canonical identifiers of what was scanned, `contents` behind the first."""

    place: int
    scan: Scan
    at: datetime
    written: str
    offset: str
    epcs: tuple[str, ...]
    container: str | None
    point: str | None
    withdrawn_at: str | None


def check(place: int, scan: Scan) -> Good | list[Fault]:
    """A scan as it can be kept, or everything that is wrong with it. place: where it stands in its batch."""
    faults: list[Fault] = []

    def fault(field: str, code: str, message: str, remedy: str) -> None:
        faults.append(Fault(f"$.scans[{place}].{field}", code, message, remedy))

    first = identifier(scan.number)
    if first is None:
        missing = not scan.number.strip()
        fault("number", *(_NO_NUMBER if missing else _BAD_NUMBER))
    when = _instant(scan.at)
    if when is None:
        fault("at", *(_no_instant(scan.at)))
    withdrawn = None
    if scan.withdrawn_at is not None:
        declared = _instant(scan.withdrawn_at)
        if scan.withdraws is None:
            fault(
                "withdrawn_at", "not_withdrawn", "the scan is not withdrawn", "say why by `withdraws`, or leave it out"
            )
        elif declared is None:
            fault("withdrawn_at", *(_no_instant(scan.withdrawn_at)))
        else:
            withdrawn = declared[1]
    if not scan.code.strip():
        fault("code", "missing_value", "there is no code", "say what happened")
    for field, text in zip(MOST_TEXT, (scan.code, scan.node, scan.departure, scan.device, scan.id, scan.note)):
        if text is not None and len(text) > MOST_TEXT[field]:
            fault(field, "too_long", f"longer than {MOST_TEXT[field]} characters", "shorten it")
    container = None if scan.container is None else identifier(scan.container)
    if scan.container is not None:
        if container is None:
            fault("container", *_BAD_NUMBER)
        elif scan.contents:
            fault("container", "two_events", "it has contents and a container", "send two scans: one for each")
        elif container == first:
            fault("container", "in_itself", "nothing lies in itself", "send the container's own number")
    epcs: tuple[str, ...] = (first or "",)
    if scan.contents:
        if len(scan.contents) > MOST_CONTENTS:
            fault("contents", "too_many", f"more than {MOST_CONTENTS}", "send them in several scans")
        else:
            inside = dict.fromkeys(map(identifier, scan.contents))
            for at, number in enumerate(scan.contents):
                if identifier(number) is None:
                    fault(f"contents[{at}]", *_BAD_NUMBER)
            if first in inside and first is not None:
                fault("contents", "in_itself", "nothing lies in itself", "leave its own number out")
            epcs = (*epcs, *(epc for epc in inside if epc is not None))
    point = _point(scan, fault)
    if faults or when is None:
        return faults
    return Good(place, scan, *when, epcs, container, point, withdrawn)


_NO_NUMBER = ("missing_value", "there is no number", "send the number that was scanned")
_BAD_NUMBER = (
    "bad_number", "it is no number", "send 3 to 60 letters, digits and . - / _ as printed, or a GS1 Digital Link",
)  # fmt: skip


def _no_instant(text: str) -> tuple[str, str, str]:
    if not text:
        return "missing_value", "there is no instant", "send when it was scanned, with the offset from UTC"
    if _NAIVE.fullmatch(text):
        return "naive_timestamp", "the instant has no offset from UTC", "send it with its offset, like +01:00 or Z"
    return "bad_timestamp", "it is no instant", "write it like 2026-03-02T08:15:00+01:00"


@lru_cache(maxsize=1 << 14)
def identifier(number: str) -> str | None:
    """The canonical identifier behind a number as printed or scanned; None where it is none.

    Blanks, "(00)" and a scanner's mark of the kind of barcode ("]C1") are passed over; of a link the key counts.
    """
    if len(number) == 18 and number.isdecimal() and number.isascii():
        return sscc_uri(number)
    plain = "".join(number.split())
    if ":" in plain:
        epc = canonical(plain)
        known = number_of(epc)
        if known is not None:
            return epc if _NUMBER.fullmatch(known) else None
        return (
            epc if len(epc) <= 300 and epc.startswith(("https://id.gs1.org/", "urn:epc:id:")) and is_uri(epc) else None
        )
    plain = _BARCODE.sub("", plain.upper()).removeprefix("(00)")
    if len(plain) == 20 and plain.startswith("00") and plain.isdecimal():
        plain = plain[2:]
    return sscc_uri(plain) if _NUMBER.fullmatch(plain) else None


_NUMBER = re.compile(r"[A-Z0-9](?:[A-Z0-9./_-]{1,58})[A-Z0-9]")
_BARCODE = re.compile(r"^\][A-Z][0-9]")


def check_digit_fails(number: str) -> bool:
    """Whether a number has the form of an SSCC or of a postal S10 number, and not its check digit."""
    if len(number) == 18 and number.isdecimal() and number.isascii():
        return check_digit(number[:17]) != number[17]
    if _S10.fullmatch(number):
        rest = 11 - sum(weight * int(digit) for weight, digit in zip((8, 6, 4, 2, 3, 5, 9, 7), number[2:10])) % 11
        return number[10] != str({10: 0, 11: 5}.get(rest, rest))
    return False


_S10 = re.compile(r"[A-Z]{2}[0-9]{9}[A-Z]{2}")


@lru_cache(maxsize=1 << 12)
def is_uri(text: str) -> bool:
    """Whether an EPCIS event may hold this as a URI."""
    event = {
        "@context": [STANDARD_CONTEXT], "type": "ObjectEvent", "eventTime": "2026-01-01T00:00:00Z",
        "eventTimeZoneOffset": "+00:00", "action": "OBSERVE", "epcList": ["urn:x:y"], "readPoint": {"id": text},
    }  # fmt: skip
    return not document_faults(event)


_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)", re.ASCII)
_NAIVE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?", re.ASCII)
_MOST_OFFSET = timedelta(hours=14)


def _instant(text: str) -> tuple[datetime, str, str] | None:
    """An instant to the millisecond, in UTC and as an event writes it, and its offset; None where it is none."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        at = datetime.fromisoformat(text)
        there = at.astimezone(UTC)
        written = at.isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        return None
    if not 2 <= at.year <= 9998 or abs(at.utcoffset() or timedelta()) > _MOST_OFFSET:
        return None
    offset = written[-6:]
    return (
        there.replace(microsecond=there.microsecond // 1000 * 1000),
        written,
        "+00:00" if offset == "-00:00" else offset,
    )


def _point(scan: Scan, fault: Any) -> str | None:
    """The place of a scan as a URI."""
    told = (scan.node is not None) + (scan.place is not None) + (scan.lat is not None or scan.lon is not None)
    if told > 1:
        fault("place", "two_places", "it tells where in more than one way", "send node, or place, or lat and lon")
    if scan.node is not None:
        if scan.node.strip():
            return node_uri(scan.node)
        fault("node", "missing_value", "it is empty", "leave it out")
    elif scan.place is not None:
        if len(scan.place) <= 500 and is_uri(scan.place):
            return scan.place
        fault("place", "not_a_uri", "it is no URI of 500 characters at most", "send a URI, or a node")
    elif scan.lat is not None or scan.lon is not None:
        lat, lon = scan.lat, scan.lon
        if lat is None or lon is None:
            fault("lon" if lon is None else "lat", "missing_value", "one of lat and lon is missing", "send both")
        elif not (math.isfinite(lat) and math.isfinite(lon) and abs(lat) <= 90 and abs(lon) <= 180):
            fault("lat", "out_of_range", "that is not on Earth", "send degrees: lat -90 to 90, lon -180 to 180")
        else:
            return f"geo:{lat:.6f},{lon:.6f}"
    return None


@lru_cache(maxsize=1 << 14)
def node_uri(node: str) -> str:
    """A node of a feed as the id of a place in events."""
    return NODE + quote(node, safe="")


def event_of(good: Good, meaning: Meaning | None, declared: str | None = None) -> dict[str, Any]:
    """The event of a scan (JSON form, under CONTEXT). meaning: what its code means, None where no table knows it.

    declared: when it was withdrawn, for a scan that is. That counts not in the event's hash, all else does.
    """
    scan, detail = good.scan, meaning.detail if meaning else None
    event: dict[str, Any] = {
        "type": "ObjectEvent", "eventTime": good.written, "eventTimeZoneOffset": good.offset,
    }  # fmt: skip
    moves = "ADD" if detail in PUT_IN else "DELETE" if detail in TAKEN_OUT else None
    holder, inside = good.container, good.epcs
    if len(good.epcs) > 1 and meaning is not None:
        holder, inside, moves = good.epcs[0], good.epcs[1:], moves or "OBSERVE"
    if holder is not None and moves is not None:
        event["type"], event["parentID"], event["childEPCs"], event["action"] = (
            "AggregationEvent", holder, list(inside), moves,
        )  # fmt: skip
    else:
        event["epcList"], event["action"] = list(good.epcs), "OBSERVE"
        if good.container is not None:
            event["rookery:container"] = good.container
    if good.point is not None:
        event["readPoint"] = {"id": good.point}
    if meaning is not None:
        if meaning.biz_step is not None:
            event["bizStep"] = meaning.biz_step
        if meaning.disposition is not None:
            event["disposition"] = meaning.disposition
        if meaning.status is not None and not _step_says_so(event, meaning):
            event["rookery:status"] = meaning.status
            if detail is not None:
                event["rookery:detail"] = detail
    event["rookery:code"] = scan.code
    if scan.departure:
        event["rookery:departure"] = scan.departure
    if scan.device:
        event["rookery:device"] = scan.device
    if scan.note:
        event["rookery:note"] = scan.note
    if scan.id:
        event["rookery:scan"] = scan.id
    key = _scan_key(scan.code, scan.departure, scan.device, scan.note, scan.id)
    if key is not None:
        event["rookery:scan_key"] = key
    if declared is not None:
        event["errorDeclaration"] = {"declarationTime": declared, "reason": scan.withdraws}
    return event


_NAMES = Names.of(CONTEXT)


@lru_cache(maxsize=1 << 12)
def _scan_key(*texts: str | None) -> str | None:
    """What tells these texts from others that an event's hash takes for the same; None where it takes each as it is.

    It begins with a letter, lest it be taken for a number itself.
    """
    if all(text is None or folded(text, _NAMES) == text for text in texts):
        return None
    return "x" + hashlib.sha256(msgspec.json.encode(texts)).hexdigest()[:16]


def _step_says_so(event: dict[str, Any], told: Meaning) -> bool:
    """Whether business step and disposition tell the same of what is put in or taken out: then they alone shall, for
    they tell it not of the container, and what else lies in it.
    """
    return event["action"] in ("ADD", "DELETE") and meaning_of(event, CHILD) == (told.status, told.detail)


def says(meaning: Meaning | None) -> tuple[str | None, ...] | None:
    """All of a meaning that goes into an event: two with the same make the same event."""
    if meaning is None:
        return None
    return meaning.status, meaning.detail, meaning.biz_step, meaning.disposition


def others(meanings: Iterable[Meaning | None], now: Meaning | None) -> list[Meaning | None]:
    """The meanings that differ from the present one, each once, in order."""
    found: dict[Any, Meaning | None] = {}
    for meaning in meanings:
        if says(meaning) != says(now):
            found.setdefault(says(meaning), meaning)
    return list(found.values())
