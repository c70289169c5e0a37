"""What each piece of an EPCIS 2.0 document must look like.

JSON Schema (draft 7), one definition for each piece under the trade's name for it. It takes and refuses what the schema
published with EPCIS 2.0 does, which tests hold beside it, but is cut so that `type` decides first and each fault lies
in one place. `schema.py` puts the pieces to use, `sentences.py` says what to whom sent it otherwise.

A field that the standard does not know is a sender's own when its name is a URI or has a prefix ("ex:temperature").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rookery.tracking.epcis.vocabulary import ACTIONS, EVENT_TYPES, WORDS, Kind

Schema = dict[str, Any]
_STRING: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}


def ref(name: str) -> Schema:
    """The schema that is the definition of this name."""
    return {"$ref": f"#/definitions/{name}"}


def _list(item: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": item, **more}


_URI = ref("uri")
_TIME = ref("time")


def _record(fields: Schema, needed: Sequence[str] = (), *, open_to_own: bool = True) -> Schema:
    """An object of these fields; others only under a sender's own name (`open_to_own`), or not at all."""
    schema: Schema = {"type": "object", "properties": fields}
    if needed:
        schema["required"] = list(needed)
    if open_to_own:
        schema["propertyNames"] = {"anyOf": [{"enum": list(fields)}, {"format": "uri"}]}
    else:
        schema["additionalProperties"] = False
    return schema


def _word(kind: Kind, foreign: str) -> Schema:
    """A standard word in its short form, or a URI of the sender's own (so none of the standard's own addresses)."""
    own = {"type": "string", "format": "uri", "not": {"pattern": foreign}}
    return {"anyOf": [{"enum": sorted(WORDS[kind])}, own]}


_CBV = r"^(?:urn:epcglobal:cbv|https?://ns\.gs1\.org/cbv/)"
_VOC = r"^https?://(?:www\.)?gs1\.org/voc/"

_EVENT_FIELDS: Schema = {
    "@context": ref("context"),
    "eventTime": _TIME,
    "recordTime": _TIME,
    "eventTimeZoneOffset": ref("offset"),
    "eventID": _URI,
    "certificationInfo": ref("certification"),
    "errorDeclaration": ref("errorDeclaration"),
}
_SHARED_FIELDS: Schema = {
    "bizStep": ref("bizStep"),
    "disposition": ref("disposition"),
    "readPoint": ref("place"),
    "bizLocation": ref("place"),
    "bizTransactionList": _list(ref("bizTransaction")),
    "sourceList": _list(ref("source")),
    "destinationList": _list(ref("destination")),
    "sensorElementList": _list(ref("sensorElement")),
}
_OWN_FIELDS: dict[str, Schema] = {
    "ObjectEvent": {
        "action": ref("action"),
        "epcList": ref("epcSet"),
        "quantityList": _list(ref("quantity")),
        **_SHARED_FIELDS,
        "persistentDisposition": ref("persistentDisposition"),
        "ilmd": ref("ilmd"),
    },
    "AggregationEvent": {
        "action": ref("action"),
        "parentID": _URI,
        "childEPCs": _list(_URI),
        "childQuantityList": _list(ref("quantity")),
        **_SHARED_FIELDS,
    },
    "TransactionEvent": {
        "action": ref("action"),
        "parentID": _URI,
        "epcList": _list(_URI),
        "quantityList": _list(ref("quantity")),
        **_SHARED_FIELDS,
        "bizTransactionList": _list(ref("bizTransaction"), minItems=1),
    },
    "TransformationEvent": {
        "inputEPCList": ref("epcSet"),
        "inputQuantityList": _list(ref("quantity")),
        "outputEPCList": ref("epcSet"),
        "outputQuantityList": _list(ref("quantity")),
        "transformationID": _URI,
        **_SHARED_FIELDS,
        "persistentDisposition": ref("persistentDisposition"),
        "ilmd": ref("ilmd"),
    },
    "AssociationEvent": {
        "action": ref("action"),
        "parentID": _URI,
        "childEPCs": _list(_URI),
        "childQuantityList": _list(ref("quantity")),
        **_SHARED_FIELDS,
    },
}
_NEEDED: dict[str, tuple[str, ...]] = {
    "ObjectEvent": ("action",),
    "AggregationEvent": ("action",),
    "TransactionEvent": ("bizTransactionList", "action"),
    "TransformationEvent": (),
    "AssociationEvent": ("action", "parentID"),
}
_RULES = {
    "ObjectEvent": ("saysOfWhat", "ilmdOnlyWhenAdded"),
    "AggregationEvent": ("namesChildren",),
    "TransactionEvent": ("namesObjects",),
    "TransformationEvent": ("namesInputsAndOutputs",),
    "AssociationEvent": ("namesChildren",),
}


def _event(kind: str) -> Schema:
    fields = {"type": {"const": kind}, **_EVENT_FIELDS, **_OWN_FIELDS[kind]}
    record = _record(fields, ("eventTime", "eventTimeZoneOffset", *_NEEDED[kind]))
    return {**record, "allOf": [ref(rule) for rule in _RULES[kind]]}


def _has(field: str) -> Schema:
    return {"required": [field]}


def _filled(field: str) -> Schema:
    return {"required": [field], "properties": {field: {"minItems": 1}}}


_DELETED: Schema = {"properties": {"action": {"const": "DELETE"}}}
_INPUTS = [_filled("inputEPCList"), _filled("inputQuantityList")]
_OUTPUTS = [_filled("outputEPCList"), _filled("outputQuantityList")]


def _is_type(name: str) -> Schema:
    return {"required": ["type"], "properties": {"type": {"const": name}}}


def by_type(branches: Sequence[tuple[str, Schema]], otherwise: Schema) -> Schema:
    """A schema that looks at `type` first, so that only the branch of that very type is checked and spoken of."""
    chain = otherwise
    for name, branch in reversed(branches):
        chain = {"if": _is_type(name), "then": branch, "else": chain}
    return {"type": "object", "required": ["type"], "properties": {"type": _STRING}, **chain}


_DEVICE_URIS = ("deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules")
_REPORT_URIS = (*_DEVICE_URIS, "microorganism", "chemicalSubstance", "coordinateReferenceSystem", "uriValue")
_REPORT_NUMBERS = ("value", "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue")

_IS_OWN_TYPE: Schema = {"required": ["type"], "properties": {"type": {"type": "string", "format": "uri"}}}
EVENT = ref("eventInList")
DEFINITIONS: dict[str, Schema] = {
    "uri": {"type": "string", "format": "uri"},
    "time": {"type": "string", "format": "date-time"},
    "offset": {"type": "string", "pattern": "^[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00)$"},
    "version": {"type": "string", "pattern": r"^[0-9]+(?:\.[0-9]+)*$"},
    "context": {
        "if": {"type": "array"},
        "then": {"uniqueItems": True, "items": ref("contextEntry")},
        "else": ref("contextEntry"),
    },
    "contextEntry": {"anyOf": [{"type": "object"}, {"type": "string", "format": "uri"}]},
    "certification": {"if": {"type": "array"}, "then": {"items": _URI}, "else": _URI},
    "action": {"enum": list(ACTIONS)},
    "eventType": {"type": "string", "format": "uri"},
    **{kind: _word(kind, _VOC if kind in ("measurementType", "alertType") else _CBV) for kind in WORDS},
    "errorDeclaration": _record(
        {"declarationTime": _TIME, "reason": ref("errorReason"), "correctiveEventIDs": _list(_URI)},
        ["declarationTime"],
    ),
    "epcSet": _list(_URI, uniqueItems=True),
    "quantity": _record({"epcClass": _URI, "quantity": _NUMBER, "uom": ref("unit")}, ["epcClass"], open_to_own=False),
    "unit": {"type": "string", "pattern": "^[A-Z0-9]{2,3}$"},
    "persistentDisposition": {
        **_record({"set": ref("dispositions"), "unset": ref("dispositions")}, open_to_own=False),
        "anyOf": [_has("set"), _has("unset")],
    },
    "dispositions": _list(ref("disposition"), minItems=1, uniqueItems=True),
    "place": {"type": "object", "properties": {"id": _URI}, "required": ["id"]},
    "bizTransaction": _record(
        {"type": ref("bizTransactionType"), "bizTransaction": _URI}, ["bizTransaction"], open_to_own=False
    ),
    "source": _record({"type": ref("sourceDestType"), "source": _URI}, ["type", "source"], open_to_own=False),
    "destination": _record(
        {"type": ref("sourceDestType"), "destination": _URI}, ["type", "destination"], open_to_own=False
    ),
    "sensorElement": _record(
        {"sensorMetadata": ref("sensorMetadata"), "sensorReport": _list(ref("sensorReport"), minItems=1)},
        ["sensorReport"],
    ),
    "sensorMetadata": _record(
        {
            **dict.fromkeys(("time", "startTime", "endTime"), _TIME),
            **dict.fromkeys(_DEVICE_URIS, _URI),
        }
    ),
    "sensorReport": _record(
        {
            "type": ref("measurementType"),
            "exception": ref("alertType"),
            "time": _TIME,
            "component": ref("component"),
            **dict.fromkeys(_REPORT_URIS, _URI),
            **dict.fromkeys(_REPORT_NUMBERS, _NUMBER),
            **dict.fromkeys(("stringValue", "uom"), _STRING),
            "booleanValue": {"type": "boolean"},
            "hexBinaryValue": ref("hex"),
        },
        ["type"],
    ),
    "hex": {"type": "string", "pattern": "^[A-Fa-f0-9]+$"},
    "ilmd": {"type": "object", "propertyNames": {"format": "uri"}},
    "saysOfWhat": {
        "anyOf": [
            _has("epcList"),
            _filled("quantityList"),
            {"required": ["sensorElementList", "readPoint"], "properties": {"sensorElementList": {"minItems": 1}}},
        ]
    },
    "ilmdOnlyWhenAdded": {"anyOf": [{"not": _has("ilmd")}, {"properties": {"action": {"const": "ADD"}}}]},
    "namesChildren": {"anyOf": [_filled("childEPCs"), _filled("childQuantityList"), _DELETED]},
    "namesObjects": {"anyOf": [_has("epcList"), _filled("quantityList"), _DELETED]},
    "namesInputsAndOutputs": {
        "anyOf": [
            {"allOf": [{"anyOf": _INPUTS}, {"anyOf": _OUTPUTS}]},
            {"required": ["transformationID"], "anyOf": [*_INPUTS, *_OUTPUTS]},
        ]
    },
    **{kind: _event(kind) for kind in EVENT_TYPES},
    "ownEvent": {  # an event type of the sender's own: the fields that every event has, and any others
        "type": "object",
        "if": _IS_OWN_TYPE,
        "then": {"properties": _EVENT_FIELDS, "required": ["eventTime", "eventTimeZoneOffset"]},
        "else": {"properties": {"type": ref("eventType")}},
    },
    "eventInList": by_type([(kind, ref(kind)) for kind in EVENT_TYPES], ref("ownEvent")),
    "withContext": {"required": ["@context"]},
    "header": _record({"epcisMasterData": {"type": "object", "properties": {"vocabularyList": ref("vocabularyList")}}}),
    "vocabularyList": _list(
        {
            "type": "object",
            "required": ["type"],
            "properties": {"type": _URI, "vocabularyElementList": _list(ref("vocabularyElement"))},
        }
    ),
    "vocabularyElement": {
        "type": "object",
        "required": ["id"],
        "properties": {"id": _URI, "attributes": _list(ref("attribute")), "children": _list(_URI)},
    },
    "attribute": {
        "type": "object",
        "required": ["id"],
        "properties": {"id": _URI, "attribute": {"type": ["number", "string", "object"]}},
    },
    "EPCISDocument": _record(
        {
            "@context": ref("context"),
            "id": _URI,
            "type": {"const": "EPCISDocument"},
            "schemaVersion": ref("version"),
            "creationDate": _TIME,
            **dict.fromkeys(("instanceIdentifier", "sender", "receiver"), _STRING),
            "epcisHeader": ref("header"),
            "epcisBody": {"type": "object", "required": ["eventList"], "properties": {"eventList": _list(EVENT)}},
        },
        ["@context", "schemaVersion", "creationDate", "epcisBody"],
    ),
    "EPCISQueryDocument": _record(
        {
            "@context": ref("context"),
            "id": _URI,
            "type": {"const": "EPCISQueryDocument"},
            "schemaVersion": ref("version"),
            "creationDate": _TIME,
            "epcisBody": _record({"queryResults": ref("queryResults")}, ["queryResults"]),
        },
        ["@context", "epcisBody"],
    ),
    "queryResults": _record(
        {"queryName": _STRING, "subscriptionID": _STRING, "resultsBody": ref("resultsBody")},
        ["queryName", "resultsBody"],
    ),
    "resultsBody": _record({"eventList": _list(EVENT), "vocabularyList": ref("vocabularyList")}, ["eventList"]),
}

BARE_EVENT = by_type(
    [(kind, {"allOf": [ref(kind), ref("withContext")]}) for kind in EVENT_TYPES],
    {
        "allOf": [
            ref("ownEvent"),
            {"if": _IS_OWN_TYPE, "then": ref("withContext")},
        ]
    },
)
ANY_DOCUMENT = by_type([(name, ref(name)) for name in ("EPCISDocument", "EPCISQueryDocument")], BARE_EVENT)
