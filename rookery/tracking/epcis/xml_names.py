"""XML's namespaces as JSON-LD prefixes.

XML may declare a prefix anywhere, and the same one with another meaning further down; JSON-LD has one @context for the
document and one for an event. Prefixes are kept as they were sent where that says the same; where it does not (one
prefix, two meanings in an event; a prefix of the standard's context with another meaning; no prefix at all) another
one is made up and declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rookery.tracking.epcis.contexts import PREFIXES
from rookery.tracking.epcis.vocabulary import WORDS, Kind, short
from rookery.tracking.epcis.xml_shapes import EVENTS, SENSOR_METADATA, SENSOR_REPORT, SPACES
from rookery.tracking.epcis.xml_text import SCHEMA_INSTANCE

BUSINESS_HEADER = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_OF_XML = (  # namespaces that a document needs to be XML, and an event does not
    *SPACES,
    SCHEMA_INSTANCE,
    "http://www.w3.org/2001/XMLSchema",
    "http://www.w3.org/XML/1998/namespace",
    BUSINESS_HEADER,
    "urn:epcglobal:xsd:1",
)
# One vocabulary, written with and without the colon at its end; JSON-LD needs it, as it only joins prefix and name.
_STANDARD = {space: prefix for prefix, space in PREFIXES.items()} | {"urn:epcglobal:cbv:mda": "cbvmda"}
_SCHEMES = ("urn", "http", "https", "ni")
_RESERVED = frozenset(
    (*PREFIXES, *_SCHEMES, "id", "type", "value", "eventList", "epcisBody", "epcisHeader")
    + tuple(name for shape in EVENTS.values() for name in shape.rank)
    + tuple(SENSOR_METADATA | SENSOR_REPORT)
)  # names with a meaning of their own in the standard's context, and schemes of URIs
_NOT_IN_SCHEME = re.compile(r"[^A-Za-z0-9.+-]|^[^A-Za-z]+")  # a prefixed name must also pass as a URI (RFC 3986)


class Prefixes:
    """The prefixes of a document, or of one event in it (`outer`: the document's).

    declared: prefix -> namespace, as sent. `own` is what this level's @context has to say, prefix -> namespace.
    """

    def __init__(self, declared: Mapping[str, str], outer: Prefixes | None = None):
        self.own: dict[str, str] = {}
        self._outer: dict[str, str] = outer.own if outer else {}
        self._sent: dict[str, str] = dict(outer._sent) if outer else {}  # prefix as sent -> namespace
        self._written: dict[str, str] = dict(outer._written) if outer else dict.fromkeys(_OF_XML, "") | _STANDARD
        for prefix, space in declared.items():
            shadowed = self._outer.get(prefix)
            if shadowed not in (None, space):  # the event gives the document's prefix another meaning throughout
                del self._written[shadowed]
            self._sent[prefix] = space
            self._take(prefix, space, avoid=())

    def declare(self, declared: Mapping[str, str]) -> None:
        """Prefixes that an element further down declares."""
        for prefix, space in declared.items():
            self._sent.setdefault(prefix, space)
            self._take(prefix, space, avoid=self._outer)

    def name(self, space: str, prefix: str, local: str) -> str:
        """The JSON name of an element or attribute: "ext1:lot", or "lot" for one without a namespace."""
        written = self._written.get(space)
        if written is None:
            written = self._take(prefix, space, avoid=self._outer)
        return f"{written}:{local}" if written else local

    def value(self, text: str) -> str:
        """A value that may begin with a prefix, with the prefix under which it goes on."""
        prefix, colon, local = text.partition(":")
        if not colon or prefix in _SCHEMES:
            return text
        written = self._written.get(self._sent.get(prefix, ""), "")
        return f"{written}:{local}" if written else text

    def word(self, text: str, kind: Kind) -> str:
        """A standard word of this kind in its short form, from a URI or a prefixed name; any other word as it came."""
        found = short(text)
        if found in WORDS[kind]:
            return found
        prefix, colon, local = text.partition(":")
        if colon and prefix in self._sent and prefix not in _SCHEMES:
            found = short(self._sent[prefix] + local)
        return found if found in WORDS[kind] else self.value(text)

    def _take(self, prefix: str, space: str, avoid: Iterable[str]) -> str:
        """The prefix under which a namespace goes on: the one sent, or one made up where that is taken."""
        known = self._written.get(space)
        if known is None:
            known = _other_host(space)
        if known is not None:
            self._written[space] = known
            return known
        stem = written = _NOT_IN_SCHEME.sub("", prefix) or "ns"
        number = 1
        while written in _RESERVED or written in avoid or written in self.own:
            number += 1
            written = f"{stem}{number}"
        self.own[written] = space
        self._written[space] = written
        return written


def _other_host(space: str) -> str | None:
    """The standard prefix of a namespace under which the standard's words are published, or were, elsewhere."""
    if short(space + "BizStep-shipping") == "shipping":
        return "cbv"
    return "gs1" if short(space + "Temperature") == "Temperature" else None
