"""The OpenAPI 3.1 document, made from the table of operations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

import rookery
from rookery.base.operations import PUBLIC, Operation
from rookery.doors.http import examples
from rookery.doors.http.families import VERSION, family_of
from rookery.doors.http.problems import MEDIA, TITLES, Problem

REFERENCE = "#/components/schemas/{name}"
_PAGING = {"limit", "after"}
_HEADERS = {
    "ETag": "The thing's version, for If-Match and If-None-Match.",
    "Idempotency-Replayed": "true: this is the reply that was given the first time.",
    "Request-Id": "What to name when you report something.",
    "Retry-After": "Seconds after which the same may be asked again.",
}


def schemas(operations: Iterable[Operation]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the schemas of each operation's question and reply by its name, the named schemas that these refer to)."""
    table = list(operations)
    types = [op.ask for op in table] + [op.reply for op in table if op.media is None] + [Problem]
    made, named = msgspec.json.schema_components(types, ref_template=REFERENCE)
    asked = {op.name: schema for op, schema in zip(table, made)}
    replies = iter(made[len(table) :])
    answered = {op.name: next(replies) for op in table if op.media is None}
    return {"ask": asked, "reply": answered}, named


def document(operations: Iterable[Operation], server: str = "/") -> dict[str, Any]:
    """The whole document as plain lists and dicts."""
    table = sorted(operations, key=lambda op: (op.path, op.method))
    made, named = schemas(table)
    paths: dict[str, Any] = {}
    for op in table:
        paths.setdefault(op.path, {})[op.method.lower()] = _described(op, made, named)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rookery",
            "version": rookery.__version__,
            "summary": "Promises, books, labels and follows parcels of a network whose legs belong to other people.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "security": [{"bearer": []}, {"key": []}],
        "tags": [{"name": name} for name in sorted({_tag(op) for op in table})],
        "paths": paths,
        "components": {
            "schemas": named,
            "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: rookery keys create"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def problems_of(op: Operation) -> list[int]:
    """Statuses of the problems an operation can answer with."""
    told = [400, 422, 429, 503]
    if PUBLIC not in op.scopes:
        told += [401, 403]
    fields = set(op.ask.__struct_fields__)
    if fields - _PAGING:  # something is named that may not exist
        told += [404]
    if op.asks_by_query or op.body != "json":
        told += [414]
    if family_of(op.path) is not None:
        told += [406]
    if not op.asks_by_query:
        told += [408, 413, 415]
    if op.kind == "command" or op.method == "POST" or op.media is not None:  # a file may still have to be written
        told += [409]
    if "if_match" in fields:
        told += [412]
    return sorted(told)


def versioned(op: Operation) -> bool:
    """Whether a reply has an ETag."""
    return "version" in getattr(op.reply, "__struct_fields__", ())


def _described(op: Operation, made: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    ask = made["ask"][op.name]
    ask = named[ask["$ref"].rpartition("/")[2]] if "$ref" in ask else ask
    fields, required = ask.get("properties", {}), set(ask.get("required", ()))
    example = examples.of_question(op, ask, named)
    told: dict[str, Any] = {"operationId": op.name, "summary": op.summary, "tags": [_tag(op)]}
    if op.text:
        told["description"] = op.text
    if PUBLIC in op.scopes:
        told["security"] = []
    else:
        told["x-scopes"] = sorted(op.scopes)
    if parameters := _parameters(op, fields, required, example):
        told["parameters"] = parameters
    if not op.asks_by_query and (body := _body(op, fields, required, made["ask"][op.name], example)):
        told["requestBody"] = body
    return told | {"responses": _responses(op, made, named)}


def _parameters(op: Operation, fields: dict[str, Any], required: set[str], example: Any) -> list[dict[str, Any]]:
    outside = op.in_path if op.body == "json" and not op.asks_by_query else fields
    told = [
        {
            "name": name,
            "in": "path" if name in op.in_path else "query",
            "required": name in op.in_path or name in required,
            "schema": fields[name],
        }
        | ({"example": example[name]} if name in example else {})
        for name in outside
        if name in op.in_path or name not in _not_in_query(op)
    ]
    told += [_taken_header(header, fields[name]) for header, name in op.headers.items()]
    if op.open_query is not None:
        told.append(_any_parameters(op.open_query, fields[op.open_query]))
    if (family := family_of(op.path)) is not None:
        for name in family.asked:
            schema = {"type": "string", "pattern": VERSION}
            told.append({"name": name, "in": "header", "required": False, "schema": schema})
    if op.idempotent:
        told.append(_header("Idempotency-Key", "The same key and question get the same reply, for 30 days.", 255))
    if "if_match" in fields:
        told.append(_header("If-Match", "The ETag you saw; refused with 412 when it has changed.", 20))
    if op.method == "GET" and versioned(op):
        told.append(_header("If-None-Match", "The ETag you have; 304 when it is still the present one.", 20))
    return told


def _body(
    op: Operation, fields: dict[str, Any], required: set[str], schema: dict[str, Any], example: dict[str, Any]
) -> dict[str, Any] | None:
    if op.body != "json":
        return {"required": True, "content": {media: {"schema": {}} for media in op.body.split(", ")}}
    outside = {*op.in_path, "if_match", *op.headers.values()}
    inside = {name: field for name, field in fields.items() if name not in outside}
    if not inside:
        return None
    needed = [name for name in inside if name in required]
    if len(inside) != len(fields):
        schema = {"type": "object", "properties": inside, "required": needed, "additionalProperties": False}
    shown = {name: value for name, value in example.items() if name in inside}
    return {"required": bool(needed), "content": {"application/json": {"schema": schema, "example": shown}}}


def _responses(op: Operation, made: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if op.media is None and op.reply is not type(None):
        schema = made["reply"][op.name]
        content = {"application/json": {"schema": schema, "example": examples.of_reply(schema, named)}}
    elif op.media is not None:
        content = {media: {"schema": {"type": "string", "format": "binary"}} for media in op.media.split(", ")}
    with_headers = ["Request-Id"] + ["ETag"] * versioned(op) + ["Idempotency-Replayed"] * op.idempotent
    own = {name: {"description": text, "schema": {"type": "string"}} for name, text in op.reply_headers.items()}
    told: dict[str, Any] = {}
    for status, text in {op.status: op.summary, **op.other_statuses}.items():
        told[str(status)] = {"description": text, "headers": _told_headers(*with_headers) | own}
        if content and status != 204:
            told[str(status)]["content"] = content
    if op.method == "GET" and versioned(op):
        told["304"] = {"description": "Not changed since the ETag in If-None-Match.", "headers": _told_headers("ETag")}
    problem = {MEDIA: {"schema": {"$ref": REFERENCE.format(name=Problem.__name__)}}}
    for status in problems_of(op):
        headers = ["Request-Id"] + ["Retry-After"] * (status in (429, 503))
        told[str(status)] = {
            "description": TITLES[status], "headers": _told_headers(*headers), "content": problem
        }  # fmt: skip
    if (family := family_of(op.path)) is not None:
        for answer in told.values():
            answer["headers"] |= {name: {"schema": {"type": "string"}} for name in family.every}
    return told


def _not_in_query(op: Operation) -> set[str]:
    """Fields of a question that stand in no query string."""
    return {"content", "if_match", *op.headers.values()} | {op.open_query or ""} | set(["media"] * op.takes_media)


def _taken_header(name: str, field: dict[str, Any]) -> dict[str, Any]:
    """A header that a field takes; left out where the field could be null."""
    schema = {key: value for key, value in field.items() if key not in ("default", "description")}
    if "anyOf" in schema:
        kinds = [kind for kind in schema["anyOf"] if kind != {"type": "null"}]
        schema = kinds[0] if len(kinds) == 1 else schema | {"anyOf": kinds}
    told = {"name": name, "in": "header", "required": False, "schema": schema}
    return told | ({"description": field["description"]} if "description" in field else {})


def _any_parameters(name: str, field: dict[str, Any]) -> dict[str, Any]:
    """Whatever else stands in the query string, each name once or several times."""
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    told = {"name": name, "in": "query", "required": False, "style": "form", "explode": True, "schema": schema}
    return told | {"description": field.get("description", "Any other parameters, also several times each.")}


def _told_headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(name: str, text: str, longest: int) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": longest, "pattern": "^[!-~]+$"}
    return {"name": name, "in": "header", "required": False, "description": text, "schema": schema}


def _tag(op: Operation) -> str:
    return op.name.split(".")[0]
