"""Documents taken apart into events, events put together into documents, and what an event says whatever its spelling.

An event stands under contexts: those of the document, then its own. They travel with it, since without them the names
of its own fields mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from rookery.terms.errors import Unreadable
from rookery.tracking.epcis.contexts import STANDARD_CONTEXT, Names
from rookery.tracking.epcis.hash_values import instant
from rookery.tracking.epcis.identifiers import canonical
from rookery.tracking.epcis.vocabulary import kind_of, short

Event = dict[str, Any]

# the standard's context, under the addresses of all its versions and of its drafts
_STANDARD_CONTEXT = re.compile(
    r"https?://(?:ref\.gs1\.org/standards/epcis|gs1\.github\.io/EPCIS)/(?:.*/)?epcis-context\.jsonld"
)
SIMPLE_QUERY = "SimpleEventQuery"

_INSTANTS = frozenset(("eventTime", "recordTime", "declarationTime", "time", "startTime", "endTime"))
_IDENTIFIERS = frozenset(
    (
        *("eventID", "certificationInfo", "correctiveEventIDs", "epcList", "parentID", "childEPCs", "inputEPCList"),
        *("outputEPCList", "transformationID", "epcClass", "id", "bizTransaction", "source", "destination"),
        *("deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules", "microorganism"),
        *("chemicalSubstance", "coordinateReferenceSystem", "uriValue"),
    )
)
_COMMENT = "{http://www.w3.org/2000/01/rdf-schema#}comment"
_ORDER = msgspec.json.Encoder(order="deterministic")


class Sent(Struct, frozen=True):
    """One event as sent: the event without its @context, the contexts it stands under, its place in the document.

    `context`: the document's custom contexts, then the event's own, without the standard's address.
    """

    event: Event
    context: tuple[Any, ...]
    at: str


def read_json(content: bytes) -> Any:
    """The JSON of a request; raises Unreadable where it is none, or nested deeper than can be read."""
    try:
        return msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except RecursionError:
        what, action = "the document is nested too deep to be read", "send it flatter"
    except msgspec.DecodeError as error:
        what, action = f"this is no JSON document: {error}", "send one JSON document"
    except UnicodeError:
        what, action = "the document is not UTF-8", "send it as UTF-8"
    raise Unreadable("unreadable_json", what, action)


def events_of(document: dict[str, Any]) -> list[Sent]:
    """The events of a document that has no faults, of a query's answer, or the one bare event."""
    kind = document["type"]
    if kind == "EPCISDocument":
        events, at = document["epcisBody"]["eventList"], "$.epcisBody.eventList"
    elif kind == "EPCISQueryDocument":
        events = document["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        at = "$.epcisBody.queryResults.resultsBody.eventList"
    else:
        return [_sent(document, (), "$")]
    shared = _custom(document["@context"])
    return [_sent(event, shared, f"{at}[{place}]") for place, event in enumerate(events)]


def document_of(
    events: Iterable[tuple[Event, Sequence[Any]]],
    *,
    created_at: datetime,
    query_name: str | None = None,
    subscription_id: str | None = None,
) -> dict[str, Any]:
    """Events with their contexts as the answer to a query; each event carries the custom contexts it stands under.

    created_at: an aware instant. A query without a name of its own is the standard's SimpleEventQuery.
    """
    results: dict[str, Any] = {"queryName": query_name or SIMPLE_QUERY}
    if subscription_id is not None:
        results["subscriptionID"] = subscription_id
    results["resultsBody"] = {
        "eventList": [{"@context": list(context), **event} if context else event for event, context in events]
    }
    return {
        "@context": [STANDARD_CONTEXT],
        "type": "EPCISQueryDocument",
        "schemaVersion": "2.0",
        "creationDate": created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "epcisBody": {"queryResults": results},
    }


def event_document(event: Event, context: Sequence[Any]) -> dict[str, Any]:
    """One event alone, as a document: with its @context, the standard's first."""
    return {"@context": [STANDARD_CONTEXT, *context], **event}


def normalised(event: Event, context: Sequence[Any], without: Collection[str] = ()) -> dict[str, Any]:
    """What an event says, in one spelling; two events say the same when this is equal.

    Names in full, instants in UTC with milliseconds, standard words short, GS1 keys as canonical links, whole numbers
    without a point, lists (which are all sets in JSON-LD) sorted, empty ones and comments left out. `without`: standard
    fields that do not matter, as eventID and recordTime for whoever compares what was sent with what is given back.
    """
    told = {field: value for field, value in event.items() if field not in without}
    if isinstance(told.get("certificationInfo"), str):  # the one field that is sent as a list or as its only item
        told["certificationInfo"] = [told["certificationInfo"]]
    return _record("", told, Names.of(context))


def _custom(context: Any) -> tuple[Any, ...]:
    """The contexts that are not the standard's."""
    contexts = context if isinstance(context, list) else [context]
    return tuple(one for one in contexts if not (isinstance(one, str) and _STANDARD_CONTEXT.fullmatch(one)))


def _sent(event: Event, shared: tuple[Any, ...], at: str) -> Sent:
    if "@context" not in event:
        return Sent(event, shared, at)
    contexts = shared + _custom(event["@context"])
    # of two alike the later one counts: what stands between them may declare the same prefix
    contexts = tuple(one for place, one in enumerate(contexts, 1) if one not in contexts[place:])
    return Sent({field: value for field, value in event.items() if field != "@context"}, contexts, at)


def _record(holder: str, record: dict[str, Any], names: Names) -> dict[str, Any]:
    """An object of the standard (in the list or field `holder`), with its own fields among the others."""
    told = {}
    for field, value in record.items():
        name = names.expand(field)
        said = _value(holder, field, value, names) if name == field else _own(value, names)
        if name != _COMMENT and said not in (None, [], {}):
            told[name] = said
    return told


def _value(holder: str, field: str, value: Any, names: Names) -> Any:
    if isinstance(value, list):
        return _set(_value(holder, field, item, names) for item in value)
    if isinstance(value, dict):
        return _record(field, value, names)
    if not isinstance(value, str):
        return _number(value)
    if field in _INSTANTS:
        return instant(value, names)
    if field in _IDENTIFIERS:
        return canonical(names.value(value))
    if field == "type" or kind_of(field):
        return short(names.value(value))
    return value


def _own(value: Any, names: Names) -> Any:
    """A field of the sender's own and what lies in it: a list of one and its only item say the same."""
    if isinstance(value, list):
        items = _set(_own(item, names) for item in value)
        return items[0] if len(items) == 1 else items
    if isinstance(value, dict):
        inside = {names.expand(field): _own(item, names) for field, item in value.items()}
        return {name: item for name, item in inside.items() if name != _COMMENT and item not in (None, [], {})}
    return _number(value)


def _set(items: Iterable[Any]) -> list[Any]:
    return sorted((item for item in items if item not in (None, [], {})), key=_ORDER.encode)


def _number(value: Any) -> Any:
    """A number in one form; yes and no as words, since in Python they equal 1 and 0."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return int(value) if isinstance(value, float) and value.is_integer() else value
