"""What is said about each piece of a document that is not as `parts.py` has it, by the name of its definition."""

from __future__ import annotations

from msgspec import Struct

from rookery.tracking.epcis.vocabulary import EVENT_TYPES, Kind


class Words(Struct, frozen=True):
    """What is said when a piece is not as it must be; `kind` where the nearest standard word may be proposed."""

    code: str
    message: str
    remedy: str
    kind: Kind | None = None


OWN_FIELD = "take it out, or give it a prefix that @context explains, as in ex:name"
_IN_STANDARD_OR_OWN = "write one of its words in the short form, or a URI of your own"
_UNKNOWN_WORD: dict[Kind, tuple[str, str]] = {
    "bizStep": ("unknown_biz_step", "not a CBV business step, and not a URI of your own"),
    "disposition": ("unknown_disposition", "not a CBV disposition, and not a URI of your own"),
    "errorReason": ("unknown_error_reason", "not a CBV error reason, and not a URI of your own"),
    "bizTransactionType": (
        "unknown_transaction_type",
        "not a CBV business transaction type, and not a URI of your own",
    ),
    "sourceDestType": ("unknown_party_type", "not a CBV source or destination type, and not a URI of your own"),
    "measurementType": ("unknown_measurement", "not a GS1 measurement type, and not a URI of your own"),
    "alertType": ("unknown_alert", "not a GS1 sensor alert type, and not a URI of your own"),
    "component": ("unknown_component", "not a CBV component, and not a URI of your own"),
}

SENTENCES: dict[str, Words] = {
    "uri": Words("bad_uri", "is not a URI", "write it with its scheme: urn:..., https://..."),
    "time": Words("bad_timestamp", "is not a point in time", "write it as 2026-01-31T12:00:00+01:00"),
    "offset": Words("bad_offset", "is not an offset from UTC", "write it as +01:00, between -14:00 and +14:00"),
    "version": Words("bad_version", "is not a version number", "write 2.0"),
    "contextEntry": Words("bad_context", "is neither a web address nor an object of prefixes", "send one of the two"),
    "action": Words("unknown_action", "is not an action", "write OBSERVE, ADD or DELETE"),
    "eventType": Words(
        "unknown_event_type",
        "is none of the standard's types, and not a URI of your own",
        "write " + ", ".join(EVENT_TYPES[:-1]) + f" or {EVENT_TYPES[-1]}, or your type's URI",
    ),
    **{kind: Words(code, message, _IN_STANDARD_OR_OWN, kind) for kind, (code, message) in _UNKNOWN_WORD.items()},
    "unit": Words("bad_unit", "is not a unit of UN/ECE Recommendation 20", "write its 2 or 3 signs, as KGM"),
    "hex": Words("bad_hex", "is not hexadecimal", "write it with the digits 0-9 and A-F"),
    "persistentDisposition": Words("empty_disposition", "neither sets nor unsets anything", "fill set or unset"),
    "saysOfWhat": Words(
        "no_objects",
        "the event is about nothing: it has no epcList and no filled quantityList, nor sensors at a read point",
        "add epcList or quantityList, or sensorElementList with readPoint",
    ),
    "ilmdOnlyWhenAdded": Words(
        "ilmd_not_allowed", "ilmd is told only when objects come into being", "take ilmd out, or send action ADD"
    ),
    "namesChildren": Words(
        "no_children",
        "the event names no children, which only DELETE may leave out",
        "fill childEPCs or childQuantityList",
    ),
    "namesObjects": Words(
        "no_objects",
        "the event names no objects, which only DELETE may leave out",
        "add epcList or fill quantityList",
    ),
    "namesInputsAndOutputs": Words(
        "no_inputs_or_outputs",
        "the event must name inputs and outputs, or one of them with a transformationID",
        "fill an input list and an output list, or add transformationID",
    ),
}
