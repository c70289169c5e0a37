"""Examples for the OpenAPI document: a schema's own where it has some, else the plainest value that fits it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rookery.base.operations import Operation

_ID = "{}_01m8hyvan558x4225mfmdh7nwt"
_KINDS = {
    "party_id": "pty", "key_id": "key", "order_id": "ord", "shipment_id": "shp", "parcel_id": "pcl", "person_id": "per",
    "quote_id": "qte", "label_id": "lbl", "bag_id": "bag", "feed_id": "fed", "plan_id": "pln", "wave_id": "wav",
    "upload_id": "upl", "job_id": "job", "template_id": "tpl", "request_id": "req", "rotated_from": "key",
}  # fmt: skip
_FORMATS = {"date-time": "2026-03-02T10:00:00Z", "date": "2026-03-02", "time": "10:00:00", "byte": "", "uuid": "0" * 32}
_ENDINGS = {
    "_at": _FORMATS["date-time"], "_on": _FORMATS["date"], "country": "DE", "currency": "EUR", "_node": "DE-BERLIN"
}  # fmt: skip
DEEPEST = 12


def of_question(op: Operation, schema: Mapping[str, Any], named: Mapping[str, Any]) -> Any:
    """An example of what an operation asks: its own, else the required fields and those that have examples."""
    if op.example is not None:
        return dict(op.example)
    return _of(schema, named, all_fields=False)


def of_reply(schema: Mapping[str, Any], named: Mapping[str, Any]) -> Any:
    """An example of a reply, with all its fields."""
    return _of(schema, named, all_fields=True)


def _of(schema: Mapping[str, Any], named: Mapping[str, Any], all_fields: bool, name: str = "", depth: int = 0) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return _of(named[schema["$ref"].rpartition("/")[2]], named, all_fields, name, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            kinds = [kind for kind in schema[choice] if kind.get("type") != "null"] or schema[choice]
            return _of(kinds[0], named, all_fields, name, depth + 1)
    match schema.get("type"):
        case "object":
            return _of_object(schema, named, all_fields, depth)
        case "array":
            items = schema.get("items", {})
            few = max(schema.get("minItems", 0), 1 if depth < DEEPEST else 0)
            return [_of(items, named, all_fields, name.removesuffix("s"), depth + 1) for _ in range(few)]
        case "string":
            return _of_text(schema, name)
        case "integer" | "number":
            least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
            return min(max(least, 1), schema.get("maximum", 1)) if schema.get("maximum", 1) >= 1 else schema["maximum"]
        case "boolean":
            return schema.get("default", False)
    return None


def _of_object(schema: Mapping[str, Any], named: Mapping[str, Any], all_fields: bool, depth: int) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    told = {}
    for name, field in schema.get("properties", {}).items():
        shown = all_fields or _has_example(field, named)
        if name in required or (shown and depth < DEEPEST):
            told[name] = _of(field, named, all_fields, name, depth + 1)
    return told


def _has_example(field: Mapping[str, Any], named: Mapping[str, Any]) -> bool:
    return "examples" in field or any("examples" in kind for kind in field.get("anyOf", ()))


def _of_text(schema: Mapping[str, Any], name: str) -> str:
    if "format" in schema:
        return _FORMATS.get(schema["format"], "")
    if name in _KINDS:
        return _ID.format(_KINDS[name])
    if schema.get("default"):
        return schema["default"]
    for suffix, text in _ENDINGS.items():
        if name.endswith(suffix) and "pattern" not in schema:
            return text
    return "text"[: schema.get("maxLength", 4)].ljust(schema.get("minLength", 0), "x")
