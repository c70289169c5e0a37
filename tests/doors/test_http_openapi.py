"""The OpenAPI document: valid, with examples that fit, and with everything the table of operations holds."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

import rookery.app
from rookery.base.operations import OPERATIONS, PUBLIC
from rookery.doors.http.openapi import document, problems_of, schemas
from rookery.doors.http.problems import TITLES

assert rookery.app.ACTS
DOCUMENT: dict[str, Any] = json.loads(msgspec.json.encode(document(OPERATIONS.values())))
OF_JSON = [name for name, op in OPERATIONS.items() if op.body == "json"]
REPLIES = [name for name, op in OPERATIONS.items() if op.media is None and op.reply is not type(None)]


def told(name: str) -> dict[str, Any]:
    op = OPERATIONS[name]
    return DOCUMENT["paths"][op.path][op.method.lower()]


def fits(value: Any, schema: dict[str, Any]) -> list[str]:
    whole = {**schema, "components": DOCUMENT["components"]}
    validator = jsonschema_rs.validator_for(whole, validate_formats=True)
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]


def test_the_document_is_openapi_3_1():
    """It fits the standard's own schema."""
    errors = jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(DOCUMENT)
    assert [f"{list(error.instance_path)}: {error.message[:300]}" for error in errors] == []


def test_the_server_gives_this_document(served):
    """What is served is made of the same table."""
    assert served.ask("GET", "/openapi.json").json == DOCUMENT


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_is_told(name):
    """With a summary, the scopes that let in, its parameters and every status it can answer with."""
    op, here = OPERATIONS[name], told(name)
    assert here["operationId"] == name and here["summary"]
    assert here.get("x-scopes", [PUBLIC]) == sorted(op.scopes)
    assert {p["name"] for p in here.get("parameters", ()) if p["in"] == "path"} == set(op.in_path)
    statuses = {int(status) for status in here["responses"]} - {304}
    good = {op.status, *op.other_statuses}
    assert statuses == {*good, *problems_of(op)} and statuses - good <= set(TITLES)
    assert any(p["name"] == "Idempotency-Key" for p in here.get("parameters", ())) == op.idempotent


@pytest.mark.parametrize("name", OF_JSON)
def test_examples_of_questions_are_taken(name):
    """The example of a body, with those of the path, is a question that the operation understands."""
    op, here = OPERATIONS[name], told(name)
    asked = {p["name"]: p.get("example", "x") for p in here.get("parameters", ()) if p["in"] == "path"}
    body = here.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        assert fits(body["example"], body["schema"]) == []
        asked |= body["example"]
    elif op.asks_by_query:
        asked |= {p["name"]: p["example"] for p in here.get("parameters", ()) if p["in"] == "query" and "example" in p}
    msgspec.convert(asked, op.ask, strict=not op.asks_by_query)


@pytest.mark.parametrize("name", REPLIES)
def test_examples_of_replies_fit(name):
    """The example of a reply has the shape that the document tells."""
    content = told(name)["responses"][str(OPERATIONS[name].status)]["content"]["application/json"]
    assert fits(content["example"], content["schema"]) == []


def test_names_of_types_may_be_the_same_in_two_rooms():
    """Two types of one name are two schemas, and each operation's parameters are its own."""
    made, named = schemas(OPERATIONS.values())
    for op in OPERATIONS.values():
        schema = made["ask"][op.name]
        schema = named[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        assert set(schema.get("properties", {})) == {field.encode_name for field in msgspec.structs.fields(op.ask)}
