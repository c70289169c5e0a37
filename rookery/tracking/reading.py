"""Events as they lie in the record, back in their JSON form, without what the reader may not see. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from rookery.tracking.epcis.contexts import ROOKERY, Names
from rookery.tracking.epcis.hashing import ni
from rookery.tracking.epcis.identifiers import canonical

Format = Literal["No_Preference", "Always_GS1_Digital_Link", "Never_Translates"]
HASHED = "ni:"
OF_NUMBER = "urn:rookery:event:"
"""The id under which an event is shown to those to whom its hash would tell what is hidden from them."""
_LISTS = {0: "epcList", 2: "childEPCs", 3: "inputEPCList", 4: "outputEPCList"}
_PARENT = 1
_CONTAINER = f"{{{ROOKERY}}}container"
_CLASSES = ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList")


class Found(Struct, frozen=True):
    """An event as kept, with the things it names that the reader sees: (role, canonical, as sent or None), in order.

    whole: the reader sees all of it. hash is there where event_id is not.
    """

    number: int
    record_at: datetime
    event_id: str | None
    hash: bytes | None
    body: str
    things: Sequence[tuple[int, str, str | None]]
    whole: bool


def event_of(found: Found, format: Format = "Always_GS1_Digital_Link") -> tuple[dict[str, Any], tuple[Any, ...]]:
    """The JSON form of an event for its reader, and its custom contexts.

    Where something is hidden from the reader, the lists of quantities are left out, which may count it, the number of a
    container that was noted alone, and every hash of an event, against which a guess could be checked. format: EPC
    URNs are written as GS1 Digital Links, or all identifiers stay as they were sent.
    """
    event: dict[str, Any] = msgspec.json.decode(found.body)
    context = tuple(event.pop("@context", ()))
    named: dict[int, list[str]] = {}
    for role, epc, as_sent in found.things:
        named.setdefault(role, []).append(epc if as_sent is None else as_sent)
    if "parentID" in event:
        del event["parentID"]
        if _PARENT in named:
            event["parentID"] = named[_PARENT][0]
    for role, name in _LISTS.items():
        if name in event:
            event[name] = named.get(role, [])
    if not found.whole:
        _hide(event, context)
    if format == "Always_GS1_Digital_Link":
        _translate(event)
    event["eventID"] = _id_of(found)
    event["recordTime"] = found.record_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return event, context


def _id_of(found: Found) -> str:
    hashed = found.event_id is None or found.event_id.startswith(HASHED)
    if hashed and not found.whole:
        return f"{OF_NUMBER}{found.number}"
    if found.event_id is not None:
        return found.event_id
    assert found.hash is not None
    return ni(found.hash)


def _hide(event: dict[str, Any], context: tuple[Any, ...]) -> None:
    names = Names.of(context)
    for name in [*event]:
        if name in _CLASSES or names.expand(name) == _CONTAINER:
            del event[name]
    declaration = event.get("errorDeclaration")
    if isinstance(declaration, dict) and "correctiveEventIDs" in declaration:
        told = [one for one in declaration["correctiveEventIDs"] if not str(one).startswith(HASHED)]
        declaration["correctiveEventIDs"] = told
        if not told:
            del declaration["correctiveEventIDs"]


def _translate(event: dict[str, Any]) -> None:
    """EPC URNs as GS1 Digital Links; links under other domains stay: they are links already."""
    if "parentID" in event:
        event["parentID"] = _link(event["parentID"])
    for name in _LISTS.values():
        if name in event:
            event[name] = [_link(epc) for epc in event[name]]
    for name in _CLASSES:
        for element in event.get(name, ()):
            element["epcClass"] = _link(element["epcClass"])
    for name in ("readPoint", "bizLocation"):
        if name in event:
            event[name]["id"] = _link(event[name]["id"])
    for name in ("source", "destination"):
        for element in event.get(f"{name}List", ()):
            element[name] = _link(element[name])


def _link(uri: str) -> str:
    return canonical(uri) if uri.startswith("urn:epc:") else uri
