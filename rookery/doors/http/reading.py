"""From a request to the question an operation asks; when it does not fit, every fault at once."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Set
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from rookery.base.operations import Operation
from rookery.doors.http.bodies import media_of
from rookery.doors.http.etags import version_seen
from rookery.doors.http.faults import faults_of, first_fault, invalid, told_of_text, unkeepable_value
from rookery.doors.http.paths import value_of
from rookery.terms.errors import InvalidInput, NotFound, Unreadable
from rookery.terms.notice import Fault

MOST_PARAMETERS = 100
MOST_QUERY = 8 << 10
"""Bytes of a query string."""
MOST_NAME = 200
"""Characters of the name of a parameter that may have any."""
_ODD = re.compile(rb'\\u0000|"(?:000[01]|9999)-')
"""What may be something that cannot be kept: looked at closely then."""


class TooLong(InvalidInput):
    """The query string is longer than what is taken."""

    status = 414


def question(op: Operation, content: bytes, path: Mapping[str, str], query: bytes, headers: Mapping[str, str]) -> Any:
    """What an operation asks, from a request's parts. query: the raw query string; headers: by small names.

    Raises NotFound for a malformed path, Unreadable, TooLong, Changed, and InvalidInput with every fault.
    """
    outside = _from_path(op, path)
    taken = "if_match" in op.ask.__struct_fields__
    version = version_seen(headers.get("if-match"), taken)
    if version is not None:
        outside["if_match"] = version
    faults = _take_headers(op, headers, outside)
    if op.takes_media:
        outside["media"] = media_of(headers) or op.body.partition(", ")[0]
    if op.asks_by_query:
        return _from_query(op, query, outside, faults)
    if op.body != "json":
        return _from_query(op, query, {**outside, "content": content}, faults)
    if query:
        fault = Fault("query", "unknown_field", "no query is taken here", "send it in the body")
        raise InvalidInput("query.not_here", "No query is taken here.", "send it in the body", faults=[fault])
    return _from_json(op, content or b"{}", outside, faults)


def _from_path(op: Operation, path: Mapping[str, str]) -> dict[str, Any]:
    """Malformed is as unknown: nobody learns from the answer which ids could be."""
    if not path:
        return {}
    types, values = _types(op.ask), {name: value_of(segment) for name, segment in path.items()}
    try:
        if any(not value.isprintable() for value in values.values()):
            raise ValueError
        return {name: msgspec.convert(value, types[name], strict=False) for name, value in values.items()}
    except ValueError:  # msgspec.ValidationError is one
        raise NotFound("http.no_such_place", "There is nothing at this path.", "see /openapi.json") from None


def _take_headers(op: Operation, headers: Mapping[str, str], outside: dict[str, Any]) -> list[Fault]:
    """Puts the headers that the operation takes to what stands outside of the body; their faults."""
    faults, types = [], _types(op.ask)
    for header, name in op.headers.items():
        if (text := headers.get(header.lower())) is not None:
            value, fault = _value(text, types[name], f"header.{header}")
            if fault is None:
                outside[name] = value
            else:
                faults.append(fault)
    return faults


def _from_query(op: Operation, query: bytes, outside: dict[str, Any], before: list[Fault]) -> Any:
    values, faults = dict(outside), list(before)
    hidden = {*op.in_path, "if_match", "content", *op.headers.values(), op.open_query, *["media"] * op.takes_media}
    fields = {field.encode_name: field for field in msgspec.structs.fields(op.ask) if field.encode_name not in hidden}
    seen, others = set(), {}
    for name, text in _parsed(query):
        at = f"query.{name}" if name in fields else "query"
        if name not in fields and op.open_query is not None:
            if not 0 < len(name) <= MOST_NAME:
                faults.append(Fault(at, "out_of_range", "a parameter's name is empty or too long", "mend it"))
            elif "\0" in name + text:
                faults.append(Fault(at, "nul_character", "a parameter holds the character U+0000", "remove it"))
            others.setdefault(name, []).append(text)
        elif name in seen:
            faults.append(Fault(at, "given_twice", "it stands twice", "give it once"))
        elif name not in fields:
            known = ", ".join(fields) or "none"
            faults.append(Fault(at, "unknown_field", "there is a parameter that is none here", f"known ones: {known}"))
        else:
            values[fields[name].name], fault = _value(text, fields[name].type, at)
            faults += [fault] if fault else []
        seen.add(name)
    faults += [
        Fault(f"query.{name}", "missing_value", "it is required", "give it")
        for name, field in fields.items()
        if field.required and name not in seen
    ]
    if faults:
        raise invalid(faults)
    if op.open_query is not None:
        values[op.open_query] = others
    try:
        return op.ask(**values)
    except (ValueError, TypeError):  # a rule of the type itself, about several fields
        raise invalid([Fault("query", "invalid", "these do not go together", "see what the operation says")]) from None


def _value(text: str, kind: Any, at: str) -> tuple[Any, Fault | None]:
    """A text as a value of a type, or what is wrong with it."""
    try:
        value = msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as fault:
        return None, told_of_text(first_fault(fault, at), kind)
    if isinstance(value, float) and not math.isfinite(value):
        return None, Fault(at, "out_of_range", "it is no finite number", "send a number")
    wrong = unkeepable_value(value)
    return value, Fault(at, *wrong) if wrong is not None else None


def _parsed(query: bytes) -> list[tuple[str, str]]:
    if len(query) > MOST_QUERY:
        raise TooLong("query.too_long", f"The query string is longer than {MOST_QUERY >> 10} KiB.", "ask for less")
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise Unreadable("query.malformed", "The query string is not UTF-8, or too long.", "encode it again") from None


def _from_json(op: Operation, content: bytes, outside: dict[str, Any], before: list[Fault]) -> Any:
    first = document = ask = None
    try:
        if not outside and not op.headers:
            ask = msgspec.json.decode(content, type=op.ask)
        else:
            document = msgspec.json.decode(content)
            _refuse_outside(document, {*outside, *op.headers.values()})
            outside = msgspec.to_builtins(outside)
            ask = msgspec.convert({**document, **outside}, op.ask)
    except msgspec.ValidationError as fault:
        first = fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise _unreadable(fault, content) from None
    faults, odd = _looked_over(content)
    if first is None and not odd and not before:
        return ask
    if document is None:
        document = _plain(content)
    if isinstance(document, dict):
        document = {**document, **outside}
    faults = [*before, *faults, *faults_of(op, document, first)]
    if faults:
        raise invalid(faults)
    return ask


def _refuse_outside(document: Any, outside: Set[str]) -> None:
    if not isinstance(document, dict):
        raise invalid([Fault("$", "type", "an object is expected", "send {...}")])
    if doubled := sorted(outside & document.keys()):
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
        raise _unreadable(fault, content) from None
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
        raise _unreadable(fault, content) from None


@cache
def _types(ask: type) -> dict[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(ask)}


def _unreadable(fault: Exception, content: bytes) -> Unreadable:
    if isinstance(fault, RecursionError):
        what = "it is nested too deeply"
    elif not _is_utf8(content):  # whatever msgspec calls it
        what = "it is not UTF-8"
    else:
        what = str(fault).removeprefix("JSON is malformed: ")
    return Unreadable("body.not_json", f"The body is not JSON: {what}.", "send one JSON document in UTF-8")


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
