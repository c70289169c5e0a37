"""A document held against the standard: every fault at once, each with its place and what to do.

The schemas of `parts.py` are compiled once. A document without fault costs the check alone (the fast answer is a
yes); only one with faults is gone through again for its sentences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from rookery.terms.notice import Fault
from rookery.tracking.epcis.explaining import Explainer, compiled, json_path
from rookery.tracking.epcis.parts import ANY_DOCUMENT, BARE_EVENT, DEFINITIONS, Schema
from rookery.tracking.epcis.query_parts import QUERY, QUERY_DEFINITIONS, QUERY_SENTENCES
from rookery.tracking.epcis.sentences import SENTENCES, Words

MOST_DEPTH = 64  # objects and lists inside one another, the document itself being the first
MOST_FAULTS = 1000  # faults told of one document

_SHOWN_STEPS = 8  # of the way to what lies too deep
_HOLDERS = frozenset((dict, list))


def document_faults(document: Any) -> list[Fault]:
    """What keeps a document from being an EPCIS document, query document or bare event; [] where it is one."""
    return _DOCUMENT.faults(document)


def xml_faults(document: Any) -> list[Fault]:
    """All faults of a document that came as XML: what the standard's XML schema allows is none, though its JSON schema
    does not. Lasting dispositions stand in events of every type there, and a sensor report needs no type.
    """
    return [
        fault
        for fault in document_faults(document)
        if not (
            (fault.code == "unknown_field" and fault.at.endswith(".persistentDisposition"))
            or (fault.code == "missing_field" and _REPORT_TYPE.search(fault.at))
        )
    ]


_REPORT_TYPE = re.compile(r"\.sensorReport\[\d+\]\.type$")


def event_faults(event: Any) -> list[Fault]:
    """What keeps a bare event, which brings its own @context, from being one; [] where it is one."""
    return _EVENT.faults(event)


def query_faults(query: Any) -> list[Fault]:
    """What keeps the body of a named query from being one; [] where it is one."""
    return _QUERY.faults(query)


class _Check:
    """One schema, compiled, and whoever explains its answer."""

    def __init__(self, start: Schema, definitions: Mapping[str, Schema], sentences: Mapping[str, Words]):
        self._validator = compiled(start, definitions)
        self._explainer = Explainer(start, definitions, sentences)

    def faults(self, document: Any) -> list[Fault]:
        deep = _too_deep(document)
        if deep is not None:
            message = f"there are more than {MOST_DEPTH} levels of objects and lists"
            return [Fault(deep, "too_deep", message, "Send it flatter")]
        try:
            if self._validator.is_valid(document):
                return []
            found = list(islice(self._explainer.faults(document), MOST_FAULTS + 1))
        except ValueError:  # half a character (a lone surrogate), or a value that JSON cannot hold
            return [Fault("$", "unreadable_text", "a text in it is not Unicode", "Send it as UTF-8")]
        if len(found) > MOST_FAULTS:
            message = f"only the first {MOST_FAULTS} faults are told"
            found[MOST_FAULTS:] = [Fault("$", "more_faults", message, "Mend these and send it again")]
        return found or [Fault("$", "not_standard", "is not as the standard has it", "See EPCIS 2.0")]


def _too_deep(document: Any) -> str | None:
    """The place that lies deeper than may be, one level at a time, so that no depth can exhaust the stack."""
    level = [document] if type(document) in _HOLDERS else []
    for _ in range(MOST_DEPTH):
        level = [
            value
            for holder in level
            for value in (holder.values() if type(holder) is dict else holder)
            if type(value) in _HOLDERS
        ]
        if not level:
            return None
    return json_path(_first_deep(document))


def _first_deep(document: Any) -> list[str | int]:
    """Where the first of what is too deep begins: the outermost steps on the way to it."""
    level: list[tuple[Any, Any]] = [(document, None)]  # each with its way: (step, way of its holder)
    for _ in range(MOST_DEPTH):
        level = [
            (value, (step, way))
            for holder, way in level
            for step, value in (holder.items() if type(holder) is dict else enumerate(holder))
            if type(value) in _HOLDERS
        ]
    steps, way = [], level[0][1]
    while way is not None:
        step, way = way
        steps.append(step)
    return steps[::-1][:_SHOWN_STEPS]


_DOCUMENT = _Check(ANY_DOCUMENT, DEFINITIONS, SENTENCES)
_EVENT = _Check(BARE_EVENT, DEFINITIONS, SENTENCES)
_QUERY = _Check(QUERY, QUERY_DEFINITIONS, QUERY_SENTENCES)
