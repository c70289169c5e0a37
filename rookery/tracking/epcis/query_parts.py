"""What a named query may ask: every parameter of the simple event query of EPCIS 2.0, and what it takes.

The regular ones are written as patterns: GE_minValue_CEL, EQ_bizTransaction_po, EQ_INNER_ILMD_ex:lot. Source: the
schema of queries published with the standard, its patterns of extension fields read as escaped once, not twice.
"""

from __future__ import annotations

from rookery.tracking.epcis.parts import DEFINITIONS, Schema, ref
from rookery.tracking.epcis.sentences import SENTENCES, Words
from rookery.tracking.epcis.vocabulary import EVENT_TYPES

_MOMENT_OR_NUMBER: Schema = {
    "if": {"type": "string"},
    "then": {"format": "date-time"},
    "else": {"type": "number"},
}
_INTEGER: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_NUMBERS: Schema = {"type": "array", "items": _NUMBER}
_STRINGS: Schema = {"type": "array", "items": {"type": "string"}}
_TIME = ref("time")


def _any_of(item: str) -> Schema:
    return {"type": "array", "items": ref(item)}


def _names(text: str) -> list[str]:
    return text.split()


_FIELDS: Schema = {
    "@context": ref("context"),
    "eventType": _any_of("askedEventType"),
    "EQ_action": _any_of("action"),
    "EQ_bizStep": _any_of("bizStep"),
    **dict.fromkeys(
        _names("EQ_disposition EQ_persistentDisposition_set EQ_persistentDisposition_unset"), _any_of("disposition")
    ),
    "EQ_errorReason": _any_of("errorReason"),
    "EQ_type": _any_of("measurementType"),
    **{
        f"{test}_{field}": _TIME
        for field in _names("eventTime recordTime errorDeclaration_Time time startTime endTime")
        for test in ("GE", "LT")
    },
    **dict.fromkeys(
        _names(
            """EQ_readPoint WD_readPoint EQ_bizLocation WD_bizLocation EQ_transformationID MATCH_epc MATCH_parentID
            MATCH_inputEPC MATCH_outputEPC MATCH_anyEPC MATCH_epcClass MATCH_inputEPCClass MATCH_outputEPCClass
            MATCH_anyEPCClass EQ_eventID EQ_correctiveEventID EQ_deviceID EQ_dataProcessingMethod EQ_microorganism
            EQ_chemicalSubstance EQ_bizRules EQ_uriValue"""
        ),
        _any_of("uri"),
    ),
    "EQ_quantity": _NUMBERS,
    **{f"{test}_{field}": _NUMBER for field in ("quantity", "percRank") for test in ("GT", "GE", "LT", "LE")},
    **dict.fromkeys(_names("EXISTS_errorDeclaration EXISTS_sensorElementList eventCountLimit maxEventCount"), _INTEGER),
    "EQ_stringValue": _STRINGS,
    "EQ_hexBinaryValue": _STRINGS,
    "EQ_booleanValue": {"type": "boolean"},
    "orderBy": {"type": "string"},
    "orderDirection": ref("direction"),
}

_OWN = "[a-z][a-zA-Z0-9]*:[A-Za-z0-9_]+$"  # a sender's own field, with its prefix
_UNIT = "[A-Z0-9]{2,4}$"
_SENSOR = "SENSORELEMENT_|SENSORMETADATA_|SENSORREPORT_"
_INNER = "(?:INNER_)?"
_PATTERNS: Schema = {
    "^EQ_(?:bizTransaction|source|destination)_[a-z][a-zA-Z0-9_]+$": _any_of("uri"),
    f"^EQ_{_INNER}(?:ILMD_|ERROR_DECLARATION_|readPoint_|bizLocation_|{_SENSOR})?{_OWN}": {
        "if": {"type": "array"},
        "then": _STRINGS,
        "else": ref("momentOrNumber"),
    },
    f"^(?:GT|GE|LT|LE)_{_INNER}(?:ILMD_|ERROR_DECLARATION_|{_SENSOR})?{_OWN}": ref("momentOrNumber"),
    f"^EXISTS_(?:{_INNER}(?:ILMD_|ERROR_DECLARATION_)?|{_SENSOR}){_OWN}": _INTEGER,
    f"^HASATTR_{_OWN}": _STRINGS,
    "^EQ_ATTR_[A-Za-z0-9_]+_[A-Za-z0-9_]+$": {
        "if": {"type": "array"},
        "then": _STRINGS,
        "else": ref("momentOrNumber"),
    },
    f"^EQ_(?:value|quantity)_{_UNIT}": _NUMBERS,
    f"^(?:GT|GE|LT|LE)_(?:minValue|maxValue|meanValue|sDev|value|percValue|quantity)_{_UNIT}": _NUMBER,
}

QUERY_DEFINITIONS: dict[str, Schema] = {
    **DEFINITIONS,
    "askedEventType": {"anyOf": [{"enum": list(EVENT_TYPES)}, {"type": "string", "format": "uri"}]},
    "direction": {"enum": ["ASC", "DESC"]},
    "momentOrNumber": _MOMENT_OR_NUMBER,
    "query": {
        "type": "object",
        "properties": _FIELDS,
        "patternProperties": _PATTERNS,
        "additionalProperties": False,
    },
}
QUERY = ref("query")
QUERY_SENTENCES: dict[str, Words] = {
    **SENTENCES,
    "askedEventType": SENTENCES["eventType"],
    "direction": Words("bad_direction", "is not a direction", "write ASC or DESC"),
    "momentOrNumber": Words(
        "bad_value", "is neither a number nor a point in time", "write 12.5, or 2026-01-31T12:00:00+01:00"
    ),
}
