"""The JSON-LD @context of EPCIS documents: which short name stands for which full one.

Only what a document itself declares is read: a context that is merely named by an address is never fetched, and of
the standard's own context the prefixes below are known. Source: EPCIS 2.0 (JSON-LD binding), JSON-LD 1.1 section 4.1.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

STANDARD_CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
PREFIXES = {
    "epcis": "https://ref.gs1.org/epcis/",
    "cbv": "https://ref.gs1.org/cbv/",
    "cbvmda": "urn:epcglobal:cbv:mda:",
    "gs1": "https://gs1.org/voc/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dcterms": "http://purl.org/dc/terms/",
}
ROOKERY = "urn:rookery:epcis:"

_MOST_REMEMBERED = 1024  # names under one context
_LONGEST_NAME = 1024  # longer ones are neither remembered nor held against the declared namespaces
_LONGEST_CONTEXT = 1 << 15  # as text; longer ones are not remembered
_MOST_LINKS = 8


class Names:
    """The full names behind the short ones of one document; equal contexts share one object, so it is cheap to ask for.

    A prefix that the document declares goes before one of the standard, a later declaration before an earlier one.
    """

    __slots__ = ("_expanded", "_lengths", "_spaces", "_terms", "_values", "prefixes")

    def __init__(self, contexts: Sequence[Any], prefixed_values: bool = True):
        declared: dict[str, str] = {}
        for context in _flat(contexts):
            for name, meaning in context.items():
                iri = meaning.get("@id") if isinstance(meaning, dict) else meaning
                if isinstance(iri, str) and iri and not name.startswith("@"):
                    declared[name] = iri
        self.prefixes = {**PREFIXES, **declared}
        self._terms = {name: self._resolved(iri) for name, iri in declared.items()}
        self.prefixes.update(self._terms)
        self._values = self.prefixes if prefixed_values else PREFIXES
        self._spaces = frozenset(self.prefixes.values())
        self._lengths = sorted({len(space) for space in self._spaces}, reverse=True)
        self._expanded: dict[str, str] = {}

    @staticmethod
    def of(contexts: Sequence[Any], *, prefixed_values: bool = True) -> Names:
        """The names under these contexts, in order (objects as sent; addresses are passed over).

        prefixed_values: the document's own prefixes are understood in values too, as JSON-LD has it. In XML they belong
        to names alone; the event hashes published for XML documents leave such values as they stand.
        """
        if not contexts:
            return _STANDARD
        try:
            key = json.dumps(list(contexts))
        except (TypeError, ValueError, RecursionError):  # a number of 5,000 digits: readable, yet not as text again
            return Names(contexts, prefixed_values)
        return _names(key, prefixed_values) if len(key) <= _LONGEST_CONTEXT else Names(contexts, prefixed_values)

    def expand(self, name: str) -> str:
        """A field's name as "{https://ns.example.com/epcis/}myField"; the standard's own short names stay as they are.

        Full names are taken apart too: after a declared namespace, else after their last "/", "#" or ":". A name with
        a prefix that nobody declared stays as it came.
        """
        known = self._expanded.get(name)
        if known is None:
            known = self._expand(name)
            if len(self._expanded) >= _MOST_REMEMBERED:
                self._expanded.clear()
            if len(name) <= _LONGEST_NAME:
                self._expanded[name] = known
        return known

    def iri(self, name: str) -> str:
        """A field's full name without braces: "https://ns.example.com/epcis/myField"."""
        expanded = self.expand(name)
        return expanded[1:].replace("}", "", 1) if expanded.startswith("{") else expanded

    def value(self, text: str) -> str:
        """A value written with a known prefix ("gs1:Temperature") in full; every other value as it came."""
        prefix, colon, rest = text.partition(":")
        if colon and prefix in self._values and not rest.startswith("//"):
            return self._values[prefix] + rest
        return text

    def _expand(self, name: str) -> str:
        prefix, colon, local = name.partition(":")
        if not colon:
            return self._apart(self._terms[name]) if name in self._terms else name
        if local.startswith("//") or (prefix == "urn" and prefix not in self.prefixes):
            return self._apart(name)
        namespace = self.prefixes.get(prefix)
        return name if namespace is None else f"{{{namespace}}}{local}"

    def _apart(self, iri: str) -> str:
        lengths = self._lengths if len(iri) <= _LONGEST_NAME else ()
        declared = (length for length in lengths if length < len(iri) and iri[:length] in self._spaces)
        cut = next(declared, None) or max(iri.rfind(mark) for mark in "/#:") + 1
        return f"{{{iri[:cut]}}}{iri[cut:]}"

    def _resolved(self, iri: str) -> str:
        for _ in range(_MOST_LINKS):  # a prefix may be declared by another one; a ring of them ends here
            prefix, colon, rest = iri.partition(":")
            if not colon or rest.startswith("//") or prefix not in self.prefixes or self.prefixes[prefix] == iri:
                break
            iri = self.prefixes[prefix] + rest
        return iri


def _flat(contexts: Any) -> list[dict[str, Any]]:
    """The declaring objects of a context, however deep they lie in lists."""
    found, waiting = [], [contexts]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            found.append(one)
        elif isinstance(one, list | tuple):
            waiting.extend(reversed(one))
    return found


@lru_cache(maxsize=128)
def _names(contexts: str, prefixed_values: bool) -> Names:
    return Names(json.loads(contexts), prefixed_values)


_STANDARD = Names(())
