"""Everything that is wrong with a document, from the JSON Schema of the type that it should have been.

A fault tells where and what, never a value that was sent, since that may be somebody's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec
from msgspec import inspect, structs

from rookery.base.operations import OPERATIONS, Operation
from rookery.doors.http.openapi import schemas
from rookery.terms.errors import InvalidInput
from rookery.terms.notice import Fault

MOST_TOLD = 1000
_KIND = jsonschema_rs.ValidationErrorKind
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:.*")


def invalid(faults: Sequence[Fault]) -> InvalidInput:
    """The error that carries these faults."""
    count = "One thing is" if len(faults) == 1 else f"{len(faults)} things are"
    return InvalidInput("body.invalid", f"{count} wrong with what was sent.", "mend what `errors` lists", faults=faults)


def faults_of(op: Operation, document: Any, first: msgspec.ValidationError | None) -> list[Fault]:
    """Every fault of a document that does not fit. first: the one that decoding stopped at, told where the schema finds
    none at its place.
    """
    told = [
        fault
        for error in islice(_validators()[op.name].iter_errors(document), MOST_TOLD)
        for fault in _told(error, list(error.instance_path))
    ]
    told += islice(unkeepable(document), MOST_TOLD)
    if first is not None and not told:
        told = [first_fault(first, "$")]
    return told[:MOST_TOLD]


def first_fault(fault: msgspec.ValidationError, root: str) -> Fault:
    """The fault that decoding stopped at; of its words those before any value."""
    message, _, at = str(fault).partition(" - at `")
    place = at.rstrip("`") or "$"
    message = re.sub(r"([Vv]alue) .*", r"\1", message.partition(" `")[0] if "unknown" in message else message)
    return Fault(place.replace("$", root, 1), "invalid", message, "mend it as the schema says")


def told_of_text(fault: Fault, kind: Any) -> Fault:
    """The fault of a text that should have been a value of a type, with what would be one."""
    if fault.message == "Invalid enum value" and (allowed := _allowed(inspect.type_info(kind))):
        return structs.replace(fault, message="it is none of the values taken here", remedy=f"one of: {allowed}")
    if "datetime" in fault.message:
        in_url = "; in a URL a + is written %2B" if fault.at.startswith("query") else ""
        return structs.replace(fault, remedy=f"write it like 2026-01-31T12:00:00+01:00{in_url}")
    return fault


def _allowed(kind: inspect.Type) -> str:
    """The values that a type takes, when they are listed."""
    if isinstance(kind, inspect.UnionType):
        return ", ".join(filter(None, map(_allowed, kind.types)))
    if isinstance(kind, inspect.Metadata):
        return _allowed(kind.type)
    return ", ".join(str(value) for value in kind.values) if isinstance(kind, inspect.LiteralType) else ""


def unkeepable(document: Any) -> Iterator[Fault]:
    """What no database keeps, wherever it stands: U+0000, integers of more than 64 bits, times beyond the calendar."""
    waiting: list[tuple[list[Any], Any]] = [([], document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [([*path, name], inner) for name, inner in reversed(value.items())]
            if any("\0" in name for name in value):
                yield Fault(place(path), "nul_character", "a name in it holds the character U+0000", "remove it")
        elif isinstance(value, list):
            waiting += [([*path, step], inner) for step, inner in reversed(list(enumerate(value)))]
        elif (wrong := unkeepable_value(value)) is not None:
            yield Fault(place(path), *wrong)


def unkeepable_value(value: Any) -> tuple[str, str, str] | None:
    """(code, message, remedy) for a single value that cannot be kept."""
    if isinstance(value, str):
        if "\0" in value:
            return "nul_character", "it holds the character U+0000", "remove it"
        if _INSTANT.fullmatch(value):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return None
    if isinstance(value, datetime) and not 1 < value.year < 9999:
        return "out_of_range", "a time in year 1 or 9999 is none that anything happens at", "send a real time"
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return "out_of_range", "the number has more than 64 bits", "send a smaller one"
    return None


def place(path: Iterable[Any]) -> str:
    """A JSON path; names that are not like those of fields are left out, since they may be anything."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{_name(step)}" for step in path)


def _name(name: str) -> str:
    return name if _FIELD.fullmatch(name) else "?"


@cache
def _validators() -> dict[str, Any]:
    made, named = schemas(OPERATIONS.values())
    return {
        name: jsonschema_rs.validator_for(
            {**schema, "components": {"schemas": named}}, mask="the value", validate_formats=True
        )
        for name, schema in made["ask"].items()
    }


def _told(error: jsonschema_rs.ValidationError, path: list[Any]) -> list[Fault]:
    kind, at = error.kind, place(path)
    match kind:
        case _KIND.AdditionalProperties():
            return [
                Fault(f"{at}.{_name(name)}", "unknown_field", "there is no such field", "leave it out or mend its name")
                for name in kind.unexpected
            ]
        case _KIND.Required():
            return [Fault(f"{at}.{kind.property}", "missing_value", "it is required", "fill it in")]
        case _KIND.PropertyNames():
            return [Fault(at, "property_names", "a name in it is too long or malformed", "mend it as the schema says")]
        case _KIND.AnyOf() | _KIND.OneOfNotValid():
            meant = [branch for branch in kind.context if not _another_type(branch, error)]
            if len(meant) == 1:
                return [fault for inner in meant[0] for fault in _told(inner, _below(path, error, inner))]
            return [Fault(at, "any_of", "it is none of the kinds that are taken here", "mend it as the schema says")]
    code = re.sub(r"(?<!^)(?=[A-Z])", "_", type(kind).__name__).lower()
    return [Fault(at, code, error.message[:300], "mend it as the schema says")]


def _another_type(branch: Sequence[jsonschema_rs.ValidationError], error: jsonschema_rs.ValidationError) -> bool:
    """Whether a branch of a choice is for another type than what was sent."""
    wrong = (_KIND.Type, _KIND.Constant)
    depth = len(error.instance_path)
    return any(isinstance(inner.kind, wrong) and len(inner.instance_path) <= depth for inner in branch)


def _below(path: list[Any], outer: jsonschema_rs.ValidationError, inner: jsonschema_rs.ValidationError) -> list[Any]:
    """The path of an error inside a branch: told from the document's root."""
    steps = list(inner.instance_path)
    return steps if steps[: len(path)] == path else path + steps
