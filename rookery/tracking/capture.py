"""Events as sent, made ready to be kept: a row for each event and one for each thing it names. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import polars as pl

from rookery.terms.notice import Fault
from rookery.tracking.epcis.contexts import Names
from rookery.tracking.epcis.documents import Sent
from rookery.tracking.epcis.hashing import event_hash
from rookery.tracking.epcis.identifiers import canonical
from rookery.tracking.epcis.vocabulary import short
from rookery.tracking.milestones import CHILD, PARENT, meaning

THINGS = {"epcList": 0, "parentID": PARENT, "childEPCs": CHILD, "inputEPCList": 3, "outputEPCList": 4}
CLASSES = {"quantityList": 5, "childQuantityList": 6, "inputQuantityList": 7, "outputQuantityList": 8}
SKEW = timedelta(minutes=15)
"""So far ahead of ours may a device's clock be and its word still be taken."""
ANCIENT = datetime(2000, 1, 1, tzinfo=UTC)
"""Before this nobody scanned parcels: a device has lost its clock."""
NONE = "-infinity"
MOST_THINGS = 20_000
"""Things that one event may name."""
MOST_TEXT = 2000
"""Bytes of an identifier or word that is looked for by an index."""
_HALF_MILLISECOND = timedelta(microseconds=500)

EVENTS: dict[str, str] = {
    "i": "integer",
    "event_at": "timestamptz", "mark": "bytea", "declared_at": "timestamptz", "hash": "bytea", "event_id": "text",
    "type": "text", "action": "text", "biz_step": "text", "disposition": "text", "read_point": "text",
    "biz_location": "text", "epcs": "integer", "doubt": "text", "body": "jsonb",
}  # fmt: skip
EPCS: dict[str, str] = {
    "i": "integer",
    "role": "smallint", "place": "integer", "event_at": "timestamptz", "epc": "text", "as_sent": "text",
    "parent": "text", "action": "text", "status": "tracking.status", "detail": "text", "doubt": "boolean",
}  # fmt: skip
_PL: dict[str, Any] = {
    "integer": pl.Int64, "smallint": pl.Int64, "boolean": pl.Boolean, "bytea": pl.Binary,
}  # fmt: skip
_OTHERS_OF_EVENT = frozenset({"recordTime", "eventID", "@context"})


@dataclass
class Batch:
    """Events to be kept (columns EVENTS) and what they name (columns EPCS); `i` is the event's place among those sent.

    faults: events that cannot be kept, with their place; they are in neither.
    """

    events: pl.DataFrame
    epcs: pl.DataFrame
    faults: list[Fault] = field(default_factory=list)


def batch_of(sent: Sequence[Sent], party_id: str, test: bool, now: datetime) -> Batch:
    """Events that fit the schema, as columns; the same event of a party twice stands in it once."""
    events: list[tuple[Any, ...]] = []
    epcs: list[tuple[Any, ...]] = []
    faults: list[Fault] = []
    seen: set[tuple[bytes, str]] = set()
    salt = f"{party_id}\n{test}\n".encode()
    for i, one in enumerate(sent):
        try:
            row, named = _rows(i, one, salt, now)
        except _Unkept as unkept:
            faults.append(unkept.fault)
            continue
        if (row[2], row[3]) not in seen:
            seen.add((row[2], row[3]))
            events.append(row)
            epcs.extend(named)
    return Batch(_frame(events, EVENTS), _frame(epcs, EPCS), faults)


_LOOKED_FOR = ("event_id", "type", "biz_step", "disposition", "read_point", "biz_location")


class _Unkept(Exception):
    """An event cannot be kept, and why."""

    def __init__(self, at: str, code: str, message: str, remedy: str):
        super().__init__(message)
        self.fault = Fault(at, code, message, remedy)


def _rows(i: int, sent: Sent, salt: bytes, now: datetime) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
    event = sent.event
    digest = event_hash(event, Names.of(sent.context))
    at = _at(sent, event, "eventTime")
    written = at.isoformat()
    doubt = "future" if at > now + SKEW else "ancient" if at < ANCIENT else None
    declaration = event.get("errorDeclaration")
    declared = _at(sent, declaration, "declarationTime", ".errorDeclaration").isoformat() if declaration else NONE
    action, parent = event.get("action"), event.get("parentID")
    holder = canonical(parent) if parent and event["type"] == "AggregationEvent" else None
    # a container that is said to be emptied, of whatever is in it
    empties = (
        holder if action == "DELETE" and not event.get("childEPCs") and not event.get("childQuantityList") else None
    )
    body = {name: value for name, value in event.items() if name not in _OTHERS_OF_EVENT}
    if sent.context:
        body["@context"] = sent.context
    named: list[tuple[Any, ...]] = []
    for key, role in THINGS.items():
        value = event.get(key)
        if value is None:
            continue
        body[key] = None if role == PARENT else []
        means = meaning(event, role)
        within = holder if role == CHILD else empties if role == PARENT else None
        if role != PARENT and len(value) > MOST_THINGS:
            what = f"names {len(value):,} things, {MOST_THINGS:,} at most"
            raise _Unkept(f"{sent.at}.{key}", "too_many_things", what, "send several events")
        for place, epc in enumerate((value,) if role == PARENT else value):
            known = canonical(epc)
            named.append((
                i, role, place, written, known, None if known == epc else epc, within, action, means.status,
                means.detail, doubt is not None,
            ))  # fmt: skip
    things = len(named)
    for key, role in CLASSES.items():
        for place, element in enumerate(event.get(key) or ()):
            known = canonical(element["epcClass"])
            named.append((i, role, place, written, known, None, None, action, None, None, doubt is not None))
    row = (
        i, written, hashlib.sha256(salt + digest).digest()[:16], declared, digest, event.get("eventID"), event["type"],
        action, _word(event.get("bizStep")), _word(event.get("disposition")), _place(event.get("readPoint")),
        _place(event.get("bizLocation")), things, doubt, msgspec.json.encode(body).decode(),
    )  # fmt: skip
    _refuse_unkeepable(sent, row, named)
    return row, named


def _refuse_unkeepable(sent: Sent, row: tuple[Any, ...], named: Sequence[tuple[Any, ...]]) -> None:
    """Raises _Unkept for what PostgreSQL cannot hold or look for: long words and identifiers, and U+0000."""
    words = "".join(filter(None, (*row[5:12], *[one[4] for one in named], *[one[9] for one in named[:1]])))
    if len(words) <= MOST_TEXT // 4 and "\0" not in words and "\\u0000" not in row[-1]:
        return  # as nearly all are
    event = dict(zip(EVENTS, row))
    looked_for = [
        *((name, event[name]) for name in _LOOKED_FOR),
        *(("epc", one[4]) for one in named), *(("rookery:detail", one[9]) for one in named[:1]),
    ]  # fmt: skip
    for name, text in looked_for:
        if text is not None and len(text) > MOST_TEXT // 4 and len(text.encode()) > MOST_TEXT:
            what = f"a text of {name} has more than {MOST_TEXT} bytes"
            raise _Unkept(sent.at, "too_long", what, "shorten it")
    zero = "\\u0000" in event["body"] and _holds_zero(msgspec.json.decode(event["body"]))
    if zero or any("\0" in text for _, text in looked_for if text is not None):
        raise _Unkept(sent.at, "unkeepable", "a text holds U+0000, which cannot be kept", "leave the character out")


def _holds_zero(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_zero(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(map(_holds_zero, value))
    return isinstance(value, str) and "\0" in value


def _at(sent: Sent, holder: dict[str, Any], name: str, within: str = "") -> datetime:
    try:
        return instant(holder[name])
    except (ValueError, OverflowError) as fault:
        at = f"{sent.at}{within}.{name}"
        raise _Unkept(at, "out_of_range", f"no instant: {fault}", "send an RFC 3339 instant") from None


def instant(text: str) -> datetime:
    """An RFC 3339 instant in UTC, to the millisecond as the event hash has it. Raises ValueError, OverflowError."""
    text = text.replace("t", "T").replace("z", "Z").replace(":60", ":59")  # a leap second is the one before it
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("it has no offset from UTC")
    at = at.astimezone(UTC) + _HALF_MILLISECOND
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _word(word: str | None) -> str | None:
    return None if word is None else short(word)


def _place(place: dict[str, Any] | None) -> str | None:
    return None if place is None else canonical(place["id"])


def _frame(rows: list[tuple[Any, ...]], types: dict[str, str]) -> pl.DataFrame:
    schema = {name: _PL.get(kind, pl.String) for name, kind in types.items()}
    return pl.DataFrame(dict(zip(types, zip(*rows))), schema)
