"""What a cell of JSON says: item lines, pieces that differ, metadata. Every fault told, never only the first. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from rookery.orders.intake_model import MAX_ITEMS, MAX_PARCELS, ItemIn, Metadata, ParcelIn

Said = tuple[str, str | None]
"""Where in the cell ("[2].hs_code"; "" = the cell itself) and what is wrong there (None = all of it)."""
T = TypeVar("T")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PLACE = re.compile(r" - at `\$.*`$")
_items = msgspec.json.Decoder(list[ItemIn])
_parcels = msgspec.json.Decoder(list[ParcelIn])
_metadata = msgspec.json.Decoder(Metadata)


def read_items(cell: str) -> tuple[list[ItemIn], list[Said]]:
    """The item lines of a cell, and what is wrong with them."""
    found, said = _listed(cell, _items.decode, ItemIn, MAX_ITEMS)
    for place, item in enumerate(found):
        for field in ("description", "hs_code", "origin", "currency"):
            if _CONTROL.search(getattr(item, field) or ""):
                said.append((f"[{place}].{field}", "holds a control character"))
    return found, said


def read_parcels(cell: str) -> tuple[list[ParcelIn], list[Said]]:
    """The pieces of a cell, one by one, and what is wrong with them."""
    return _listed(cell, _parcels.decode, ParcelIn, MAX_PARCELS)


def read_metadata(cell: str) -> tuple[dict[str, str], list[Said]]:
    """The pairs of a cell, and what is wrong with them."""
    try:
        found = _metadata.decode(cell)
    except (msgspec.DecodeError, RecursionError) as fault:
        return {}, [_said(fault)]
    if any(_CONTROL.search(key) or "\0" in value for key, value in found.items()):
        return {}, [("", "holds a control character")]
    return found, []


def _listed(cell: str, decode: Callable[[str], list[T]], kind: type[T], most: int) -> tuple[list[T], list[Said]]:
    try:
        found = decode(cell)
    except msgspec.ValidationError:
        return [], _each(cell, kind)
    except (msgspec.DecodeError, RecursionError):
        return [], [("", None)]
    if len(found) > most:
        return [], [("", f"has more than {most:,} entries")]
    return found, []


def _each(cell: str, kind: type) -> list[Said]:
    """Every fault of a list that could not be read as it should."""
    try:
        listed = msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError):
        listed = None
    if not isinstance(listed, list):
        return [("", None)]
    said: list[Said] = []
    for place, entry in enumerate(listed):
        try:
            msgspec.convert(entry, kind)
        except msgspec.ValidationError as fault:
            said += [(f"[{place}]{at}", what) for at, what in (_by_field(entry, kind) or [_said(fault)])]
    return said


def _by_field(entry: Any, kind: type) -> list[Said]:
    if not isinstance(entry, dict):
        return []
    said: list[Said] = []
    fields = msgspec.structs.fields(kind)
    for field in fields:
        if field.name in entry:
            try:
                msgspec.convert(entry[field.name], field.type)
            except msgspec.ValidationError as fault:
                said.append((f".{field.name}", _said(fault)[1]))
        elif field.required:
            said.append((f".{field.name}", "is missing"))
    unknown = entry.keys() - {field.name for field in fields}
    return said + [("", f"has the unknown field `{name[:40]}`") for name in sorted(unknown)]


def _said(fault: Exception) -> Said:
    """What msgspec found; it names types and bounds, never the value."""
    if not isinstance(fault, msgspec.ValidationError):
        return "", None
    told = _PLACE.sub("", str(fault))
    return "", told[0].lower() + told[1:]
