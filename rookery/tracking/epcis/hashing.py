"""The event hash: a name for an EPCIS event that comes from its content alone (CBV 2.0 section 8.9).

The event is written as one line, the *pre-hash*: "eventType=ObjectEventeventTime=2020-03-04T10:00:30.000Z...", every
field with its value in one form and in one order, lists sorted; its SHA-256 is the hash. So the same event has the same
hash in XML and in JSON-LD, with whichever prefixes, spellings of identifiers and offsets of time. eventID, recordTime,
errorDeclaration and comments do not count.

Where section 8.9 leaves room, the published vectors decide: the lists of business transactions, destinations and
sources and ILMD are sorted, by name, together with the extensions behind all other fields; within each entry of these
lists the type goes first. A sensor report's bizRules, which have no place in the standard's order, stand there too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from rookery.terms.errors import InvalidInput
from rookery.tracking.epcis.contexts import Names
from rookery.tracking.epcis.hash_values import instant, number, reading, text, word

MOST_DEPTH = 64

_COMMENTS = frozenset(("comment", "{http://www.w3.org/2000/01/rdf-schema#}comment"))
_NOT_COUNTED = frozenset(("@context", "type", "eventID", "recordTime", "errorDeclaration"))
_NOTHING: frozenset[str] = frozenset()


def event_hash(event: Mapping[str, Any], names: Names, ignoring: Collection[str] = _NOTHING) -> bytes:
    """The SHA-256 digest (32 bytes) of an event's pre-hash; see `prehash`."""
    return hashlib.sha256(prehash(event, names, ignoring).encode("utf-8", "surrogatepass")).digest()


def ni(digest: bytes) -> str:
    """The digest as an eventID: "ni:///sha-256;...?ver=CBV2.0" (RFC 6920)."""
    return f"ni:///sha-256;{digest.hex()}?ver=CBV2.0"


def prehash(event: Mapping[str, Any], names: Names, ignoring: Collection[str] = _NOTHING) -> str:
    """An event (JSON form) as the one line that is hashed.

    ignoring: names of fields, as they stand in the event or in full, that a repository added and that do not count.
    Takes whatever JSON can hold, valid or not; raises InvalidInput where values lie deeper than MOST_DEPTH.
    """
    line = [f"eventType={_scalar(event.get('type', ''), names)}"]
    for name, say in _FIELDS:
        value = event.get(name)
        if value is not None:
            line.append(say(name, value, names))
    rest: list[str] = []
    for name, value in event.items():
        if name in _FIRST or name in _NOT_COUNTED:
            continue
        say = _LATER.get(name)
        if say is not None:
            said = say(name, value, names)
            if said:
                rest.append(said)
            continue
        full = names.expand(name)
        if full not in _COMMENTS and name not in ignoring and full not in ignoring:
            rest += _extension(full, value, names, 1)
    if "sensorElementList" in event:
        rest += _report_rules(event["sensorElementList"], names)
    rest.sort()
    line += rest
    return "".join(line)


def _scalar(value: Any, names: Names) -> str:
    """A single value in its one form."""
    if isinstance(value, str):
        return text(value, names)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number(value)
    return ""


def _extension(name: str, value: Any, names: Names, depth: int) -> list[str]:
    """A field that the standard does not order, and all that lies in it: one entry for each value."""
    if depth > MOST_DEPTH:
        raise InvalidInput(
            "epcis.too_deep",
            f"A field of the event holds values more than {MOST_DEPTH} levels deep.",
            "send the event with flatter extension fields",
        )
    if value is None:
        return []
    if isinstance(value, str):
        return [f"{name}={said}" if (said := text(value, names)) else name]
    if isinstance(value, list | tuple):
        found: list[str] = []
        for one in value:
            if isinstance(one, list | tuple):
                found.append(name + "".join(sorted(_extension("", one, names, depth + 1))))
            else:
                found += _extension(name, one, names, depth + 1)
        return found
    if isinstance(value, dict):
        own = _scalar(value.get("#text"), names)
        inner: list[str] = []
        for key, child in value.items():
            if key != "#text" and (full := names.expand(key)) not in _COMMENTS:
                inner += _extension(full, child, names, depth + 1)
        inner.sort()
        return [(f"{name}={own}" if own else name) + "".join(inner)]
    said = _scalar(value, names)
    return [f"{name}={said}" if said else name]


# How a text is written: (text, names) -> its one form. How a field is said: (name, value, names) -> its part of the
# line, "" where nothing is in it.
_Say = Callable[[str, Names], str]
_Field = Callable[[str, Any, Names], str]


def _item(field: _Field, name: str, value: Any, names: Names) -> str:
    """One entry of a list; a list within a list, which the standard knows nowhere, is said as an extension would be."""
    if isinstance(value, list | tuple):
        return "".join(_extension(name, [value], names, 1))
    return field(name, value, names)


def _each(say: _Say) -> _Field:
    """A field with one value or several alike."""

    def field(name: str, value: Any, names: Names) -> str:
        if not isinstance(value, str):
            if isinstance(value, list | tuple):
                return "".join(sorted(_item(field, name, one, names) for one in value))
            if isinstance(value, dict):
                return "".join(_extension(name, value, names, 1))
            value = _scalar(value, names)
        said = say(value, names)
        return f"{name}={said}" if said else ""

    return field


def _list_of(element: str) -> _Field:
    """A list of plain values: epcList with its epc."""

    def field(name: str, value: Any, names: Names) -> str:
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            said = [f"{element}={own}" for one in value if (own := text(one, names))]
            said.sort()
            return name + "".join(said) if said else ""
        inner = _PLAIN(element, value, names)
        return name + inner if inner else ""

    return field


def _record(*fields: tuple[str, _Field]) -> _Field:
    """Something with fields of its own in their order, and behind them its extensions, sorted."""
    ordered = frozenset(name for name, _ in fields)

    def field(name: str, value: Any, names: Names) -> str:
        if not isinstance(value, dict):
            if isinstance(value, list | tuple):
                return "".join(sorted(_item(field, name, one, names) for one in value))
            return _PLAIN(name, value, names)
        line = "".join([say(key, own, names) for key, say in fields if (own := value.get(key)) is not None])
        if not value.keys() <= ordered:
            more: list[str] = []
            for key, own in value.items():
                if key not in ordered and (full := names.expand(key)) not in _COMMENTS:
                    more += _extension(full, own, names, 2)
            more.sort()
            line += "".join(more)
        return name + line if line else ""

    return field


def _records(element: str, record: _Field) -> _Field:
    """A list of records: quantityList with its quantityElement ("" where each is its fields alone)."""

    def field(name: str, value: Any, names: Names) -> str:
        each = value if isinstance(value, list | tuple) else (value,)
        inner = "".join(sorted(_item(record, element, one, names) for one in each))
        return name + inner if inner else ""

    return field


def _report_rules(elements: Any, names: Names) -> list[str]:
    """The bizRules of sensor reports, with all that they lie in: one entry, or none."""
    inner: list[str] = []
    for element in elements if isinstance(elements, list) else [elements]:
        reports = element.get("sensorReport") if isinstance(element, dict) else None
        rules = [
            "sensorReport" + said
            for report in (reports if isinstance(reports, list) else [reports])
            if isinstance(report, dict) and (said := _PLAIN("bizRules", report.get("bizRules"), names))
        ]
        if rules:
            inner.append("sensorElement" + "".join(sorted(rules)))
    return ["sensorElementList" + "".join(sorted(inner))] if inner else []


def _elsewhere(name: str, value: Any, names: Names) -> str:
    """A field that is said in another place."""
    return ""


def _ilmd(name: str, value: Any, names: Names) -> str:
    return "".join(sorted(_extension(name, value, names, 1)))


_PLAIN = _each(text)
_TIME = _each(instant)
_READING = _each(reading)


def _words(vocabulary: str) -> _Field:
    return _each(lambda value, names: word(vocabulary, value, names))


_CBV = "https://ref.gs1.org/cbv/"
_GS1 = "https://gs1.org/voc/"
_EPCS = _list_of("epc")
_QUANTITIES = _records("quantityElement", _record(*((name, _PLAIN) for name in ("epcClass", "quantity", "uom"))))
_PLACE = _record(("id", _PLAIN))
_DISPOSITION = _words(f"{_CBV}Disp-")

_METADATA = _record(
    *((name, _TIME) for name in ("time", "startTime", "endTime")),
    *((name, _PLAIN) for name in ("deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules")),
)
_REPORT = _record(
    ("type", _words(_GS1)),
    ("exception", _words(_GS1)),
    *((name, _PLAIN) for name in ("deviceID", "deviceMetadata", "rawData", "dataProcessingMethod")),
    ("time", _TIME),
    *((name, _PLAIN) for name in ("microorganism", "chemicalSubstance")),
    ("value", _READING),
    ("component", _words(f"{_CBV}Comp-")),
    ("stringValue", _READING),
    *((name, _PLAIN) for name in ("booleanValue", "hexBinaryValue", "uriValue")),
    *((name, _READING) for name in ("minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue")),
    *((name, _PLAIN) for name in ("uom", "coordinateReferenceSystem")),
    ("bizRules", _elsewhere),
)

_FIELDS: tuple[tuple[str, _Field], ...] = (
    ("eventTime", _TIME),
    ("eventTimeZoneOffset", _PLAIN),
    ("certificationInfo", _PLAIN),
    ("parentID", _PLAIN),
    ("epcList", _EPCS),
    ("inputEPCList", _EPCS),
    ("childEPCs", _EPCS),
    ("quantityList", _QUANTITIES),
    ("childQuantityList", _QUANTITIES),
    ("inputQuantityList", _QUANTITIES),
    ("outputEPCList", _EPCS),
    ("outputQuantityList", _QUANTITIES),
    ("action", _PLAIN),
    ("transformationID", _PLAIN),
    ("bizStep", _words(f"{_CBV}BizStep-")),
    ("disposition", _DISPOSITION),
    ("persistentDisposition", _record(("set", _DISPOSITION), ("unset", _DISPOSITION))),
    ("readPoint", _PLACE),
    ("bizLocation", _PLACE),
    (
        "sensorElementList",
        _records("sensorElement", _record(("sensorMetadata", _METADATA), ("sensorReport", _REPORT))),
    ),
)
_FIRST = frozenset(name for name, _ in _FIELDS)

# sorted together with the extensions, as the published vectors have it
_LATER: dict[str, _Field] = {
    "bizTransactionList": _records("", _record(("type", _words(f"{_CBV}BTT-")), ("bizTransaction", _PLAIN))),
    "destinationList": _records("", _record(("type", _words(f"{_CBV}SDT-")), ("destination", _PLAIN))),
    "sourceList": _records("", _record(("type", _words(f"{_CBV}SDT-")), ("source", _PLAIN))),
    "ilmd": _ilmd,
}
