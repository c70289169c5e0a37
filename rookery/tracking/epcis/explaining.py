"""What is wrong with a document that a schema refuses, said place by place.

The compiled schema only says yes or no here: asked for its errors, it would copy what was sent for each one of them,
and a hostile document of some megabytes would fill the memory. So the schema is walked beside the document, down only
those branches that are refused, and faults are told one by one, as many as are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from jsonschema_rs import Draft7Validator, RegexOptions
from msgspec.json import encode

from rookery.terms.notice import Fault
from rookery.tracking.epcis.parts import Schema
from rookery.tracking.epcis.sentences import OWN_FIELD, Words
from rookery.tracking.epcis.vocabulary import WORDS, Kind, short

Path = tuple[str | int, ...]

_LONGEST_STEP = 100  # signs shown of a field's name
_LONGEST_WORD = 60  # signs looked at to find the nearest word
_REF = len("#/definitions/")
_JUDGED_WHOLE = ("enum", "const", "format", "pattern", "not", "anyOf")  # told in the words of their definition
_NAIVE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?")
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ANY_WORDS = Words("not_standard", "is not as the standard has it", "see EPCIS 2.0")
_TYPE_NAMES = {
    "array": "a list",
    "object": "an object",
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
}


def compiled(start: Schema, definitions: Mapping[str, Schema]) -> Draft7Validator:
    """A schema made ready, its formats checked."""
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **start, "definitions": dict(definitions)}
    return Draft7Validator(schema, validate_formats=True, ignore_unknown_formats=False, pattern_options=RegexOptions())


def json_path(path: Sequence[str | int]) -> str:
    """A place in a document as people write it: $.epcisBody.eventList[3]["ex:lot"]."""
    return "$" + "".join(_step(step) for step in path)


class Explainer:
    """Tells the faults of documents that are refused by `start`; `sentences`: what to say by definition."""

    def __init__(self, start: Schema, definitions: Mapping[str, Schema], sentences: Mapping[str, Words]):
        self._start, self._definitions, self._sentences = start, definitions, sentences
        self._ready: dict[tuple[int, bool], tuple[Schema, Draft7Validator]] = {}

    def faults(self, document: Any) -> Iterator[Fault]:
        """Every fault, each once, in the order of the schema."""
        seen: set[Fault] = set()
        for fault in self._look(self._start, document, (), ""):
            if fault not in seen:
                seen.add(fault)
                yield fault

    def _fits(self, schema: Schema, value: Any, keywords: Sequence[str] = ()) -> bool:
        """Whether a value passes a piece of the schema, or just some of its keywords."""
        key = id(schema), bool(keywords)
        ready = self._ready.get(key)
        if ready is None:  # the piece is kept beside its check, so that its id stays its own
            asked = {word: schema[word] for word in keywords if word in schema} if keywords else schema
            ready = self._ready[key] = (schema, compiled(asked, self._definitions))
        return ready[1].is_valid(value)

    def _look(self, schema: Schema, value: Any, at: Path, definition: str) -> Iterator[Fault]:
        if "$ref" in schema:
            name = schema["$ref"][_REF:]
            if not self._fits(schema, value):
                yield from self._look(self._definitions[name], value, at, name)
            return
        wanted = schema.get("type")
        if wanted and not _is_a(wanted, value):
            yield _wrong_type(at, wanted, value)
            return
        if any(word in schema for word in _JUDGED_WHOLE) and not self._fits(schema, value, _JUDGED_WHOLE):
            yield _in_words(at, self._sentences.get(definition, _ANY_WORDS), value)
        if isinstance(value, dict):
            yield from self._look_at_fields(schema, value, at, definition)
        elif isinstance(value, list):
            yield from self._look_at_items(schema, value, at, definition)
        for part in schema.get("allOf", ()):
            yield from self._look(part, value, at, definition)
        if "if" in schema:
            branch = schema.get("then" if self._fits(schema["if"], value) else "else")
            if branch:
                yield from self._look(branch, value, at, definition)

    def _look_at_fields(self, schema: Schema, value: dict[str, Any], at: Path, definition: str) -> Iterator[Fault]:
        for name in schema.get("required", ()):
            if name not in value:
                needs = definition if definition[:1].isupper() else "the object"
                yield Fault(json_path((*at, name)), "missing_field", f"is missing, and {needs} needs it", f"Add {name}")
        fields, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        names, closed = schema.get("propertyNames"), schema.get("additionalProperties") is False
        for name, inside in value.items():
            if name in fields:
                yield from self._look(fields[name], inside, (*at, name), definition)
                continue
            pattern = next((one for one in patterns if _matches(one, name)), None)
            if pattern:
                yield from self._look(patterns[pattern], inside, (*at, name), definition)
            elif closed:
                yield _unknown_field((*at, name), "take it out", tuple(fields) if patterns else ())
            elif names and not self._fits(names, name):
                yield _unknown_field((*at, name), OWN_FIELD)

    def _look_at_items(self, schema: Schema, value: list[Any], at: Path, definition: str) -> Iterator[Fault]:
        if len(value) < schema.get("minItems", 0):
            yield Fault(json_path(at), "empty_list", "has no items, and needs one", "Fill it, or leave it out")
        if "items" in schema:
            for place, item in enumerate(value):
                yield from self._look(schema["items"], item, (*at, place), definition)
        if schema.get("uniqueItems"):
            yield from _repeated(at, value)


def _is_a(wanted: str | list[str], value: Any) -> bool:
    if isinstance(wanted, list):
        return any(_is_a(one, value) for one in wanted)
    match wanted:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return whole and not isinstance(value, bool)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


@lru_cache(maxsize=1024)
def _matches(pattern: str, name: str) -> bool:
    return re.search(pattern.removesuffix("$") + r"\Z", name) is not None


def _wrong_type(at: Path, wanted: str | list[str], value: Any) -> Fault:
    names = " or ".join(_TYPE_NAMES[one] for one in ([wanted] if isinstance(wanted, str) else wanted))
    return Fault(json_path(at), "wrong_type", f"is {_type_name(value)}, not {names}", f"Send {names}")


def _in_words(at: Path, words: Words, value: Any) -> Fault:
    code, message, remedy = words.code, words.message, words.remedy
    if isinstance(value, str):
        if code == "bad_timestamp" and _NAIVE.fullmatch(value):
            code, message = "naive_timestamp", "the time has no offset, so it could mean any zone"
        elif words.kind:
            near = _nearest_word(value[:_LONGEST_WORD], words.kind)
            remedy = f"did you mean {near}? Else {remedy}" if near else remedy
    return Fault(json_path(at), code, message, remedy[:1].upper() + remedy[1:])


@lru_cache(maxsize=1024)
def _nearest_word(sent: str, kind: Kind) -> str | None:
    known = WORDS[kind]
    return short(sent) if short(sent) in known else next(iter(get_close_matches(sent, sorted(known), 1)), None)


def _unknown_field(path: Path, remedy: str, known: Sequence[str] = ()) -> Fault:
    near = get_close_matches(str(path[-1])[:_LONGEST_WORD], known, 1)
    remedy = f"did you mean {near[0]}? Else {remedy}" if near else remedy
    return Fault(json_path(path), "unknown_field", "is no field of the standard here", remedy[:1].upper() + remedy[1:])


def _repeated(at: Path, items: list[Any]) -> Iterator[Fault]:
    """The items that stand in a set a second time."""
    first: dict[bytes, int] = {}
    for place, item in enumerate(items):
        before = first.setdefault(encode(item, order="deterministic"), place)
        if before != place:
            message = f"is the same as item [{before}]"
            yield Fault(json_path((*at, place)), "repeated_item", message, "Name it only once")


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if len(step) > _LONGEST_STEP:
        step = step[:_LONGEST_STEP] + "..."
    return f".{step}" if _PLAIN_NAME.fullmatch(step) else f"[{encode(step).decode()}]"


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, int | float):
        return "a number"
    return "an object" if isinstance(value, dict) else "a list"
