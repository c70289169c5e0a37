"""From a request to the question an operation asks; when it does not fit, every fault at once."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from rookery.base.operations import Operation
from rookery.doors.http.etags import version_seen
from rookery.doors.http.faults import faults_of, first_fault, invalid, unkeepable_value
from rookery.terms.errors import InvalidInput, NotFound, Unreadable
from rookery.terms.notice import Fault

MOST_PARAMETERS = 100
_ODD = re.compile(rb'\\u0000|"(?:000[01]|9999)-')
"""What may be something that cannot be kept: looked at closely then."""


def question(op: Operation, content: bytes, path: Mapping[str, str], query: bytes, if_match: str | None = None) -> Any:
    """What an operation asks, from a request's parts. query: the raw query string.

    Raises NotFound for a malformed path, Unreadable, Changed, and InvalidInput with every fault.
    """
    outside = _from_path(op, path)
    taken = "if_match" in op.ask.__struct_fields__
    version = version_seen(if_match, taken)
    if version is not None:
        outside["if_match"] = version
    if op.asks_by_query:
        return _from_query(op, query, outside)
    if op.body != "json":
        return _from_query(op, query, {**outside, "content": content})
    if query:
        fault = Fault("query", "unknown_field", "no query is taken here", "send it in the body")
        raise InvalidInput("query.not_here", "No query is taken here.", "send it in the body", faults=[fault])
    return _from_json(op, content or b"{}", outside)


def _from_path(op: Operation, path: Mapping[str, str]) -> dict[str, Any]:
    """Malformed is as unknown: nobody learns from the answer which ids could be."""
    if not path:
        return {}
    types = _types(op.ask)
    try:
        if any(not value.isprintable() for value in path.values()):
            raise ValueError
        return {name: msgspec.convert(value, types[name], strict=False) for name, value in path.items()}
    except ValueError:  # msgspec.ValidationError is one
        raise NotFound("http.no_such_place", "There is nothing at this path.", "see /openapi.json") from None


def _from_query(op: Operation, query: bytes, outside: dict[str, Any]) -> Any:
    values, faults = dict(outside), []
    hidden = {*op.in_path, "if_match", "content"}
    fields = {field.encode_name: field for field in msgspec.structs.fields(op.ask) if field.encode_name not in hidden}
    seen = set()
    for name, text in _parsed(query):
        at = f"query.{name}" if name in fields else "query"
        if name in seen:
            faults.append(Fault(at, "given_twice", "it stands twice", "give it once"))
        elif name not in fields:
            known = ", ".join(fields) or "none"
            faults.append(Fault(at, "unknown_field", "there is a parameter that is none here", f"known ones: {known}"))
        else:
            try:
                value = msgspec.convert(text, fields[name].type, strict=False)
                if isinstance(value, float) and not math.isfinite(value):
                    faults.append(Fault(at, "out_of_range", "it is no finite number", "send a number"))
                elif (wrong := unkeepable_value(value)) is not None:
                    faults.append(Fault(at, *wrong))
                values[fields[name].name] = value
            except msgspec.ValidationError as fault:
                faults.append(first_fault(fault, at))
        seen.add(name)
    faults += [
        Fault(f"query.{name}", "missing_value", "it is required", "give it")
        for name, field in fields.items()
        if field.required and name not in seen
    ]
    if faults:
        raise invalid(faults)
    try:
        return op.ask(**values)
    except (ValueError, TypeError):  # a rule of the type itself, about several fields
        raise invalid([Fault("query", "invalid", "these do not go together", "see what the operation says")]) from None


def _parsed(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise Unreadable("query.malformed", "The query string is not UTF-8, or too long.", "encode it again") from None


def _from_json(op: Operation, content: bytes, outside: dict[str, Any]) -> Any:
    first = document = ask = None
    try:
        if not outside:
            ask = msgspec.json.decode(content, type=op.ask)
        else:
            document = msgspec.json.decode(content)
            _refuse_outside(document, outside)
            ask = msgspec.convert({**document, **outside}, op.ask)
    except msgspec.ValidationError as fault:
        first = fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise _unreadable(fault) from None
    faults, odd = _looked_over(content)
    if first is None and not odd:
        return ask
    if document is None:
        document = _plain(content)
    if isinstance(document, dict):
        document = {**document, **outside}
    faults += faults_of(op, document, first)
    if faults:
        raise invalid(faults)
    return ask


def _refuse_outside(document: Any, outside: Mapping[str, Any]) -> None:
    if not isinstance(document, dict):
        raise invalid([Fault("$", "type", "an object is expected", "send {...}")])
    if doubled := sorted(outside.keys() & document.keys()):
        what = "it stands in the path or a header"
        raise invalid([Fault(f"$.{name}", "unknown_field", what, "leave it out here") for name in doubled])


class _Twice(Exception):
    """An object holds a name twice."""


class _TooBig(Exception):
    """An integer has more than 64 bits."""


def _looked_over(content: bytes) -> tuple[list[Fault], bool]:
    """(a fault where a name stands twice in an object, since of its values other decoders would see the other one;
    whether something may be here that cannot be kept).
    """
    try:
        json.loads(content, object_pairs_hook=_single, parse_int=_small)
    except _Twice:
        return [Fault("$", "given_twice", "an object holds a name twice", "give it once")], True
    except _TooBig:
        return [], True
    except RecursionError as fault:
        raise _unreadable(fault) from None
    except ValueError:
        raise Unreadable("body.not_json", "The body is not JSON.", "send one JSON document in UTF-8") from None
    return [], _ODD.search(content) is not None


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise _Twice
    return named


def _small(digits: str) -> int:
    if len(digits) > 18 and (len(digits) > 20 or unkeepable_value(int(digits))):
        raise _TooBig
    return 0


def _plain(content: bytes) -> Any:
    """A document that has been decoded once, as plain values."""
    try:
        return msgspec.json.decode(content)
    except msgspec.ValidationError:
        raise invalid([Fault("$", "out_of_range", "a number is too large", "send a smaller one")]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise _unreadable(fault) from None


@cache
def _types(ask: type) -> dict[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(ask)}


def _unreadable(fault: Exception) -> Unreadable:
    if isinstance(fault, RecursionError):
        what = "it is nested too deeply"
    elif isinstance(fault, UnicodeDecodeError):
        what = "it is not UTF-8"
    else:
        what = str(fault).removeprefix("JSON is malformed: ")
    return Unreadable("body.not_json", f"The body is not JSON: {what}.", "send one JSON document in UTF-8")
