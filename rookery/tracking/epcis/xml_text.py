"""XML read safely: bytes into a small tree that knows its lines, its prefixes and its place.

Expat (the standard library's) does the reading; what this adds is what it refuses: entities and document types that
could define any, and everything that grows beyond what an honest document needs. A document type that only names the
root (`<!DOCTYPE name>`) defines nothing and is passed over; GS1's own examples carry one.
"""

from __future__ import annotations

from typing import NoReturn
from xml.parsers import expat

from rookery.terms.errors import InvalidInput, TooLarge, Unreadable

MOST_BYTES = 64 << 20
MOST_ELEMENTS = 1_000_000
MOST_DEPTH = 64  # deeper than any event; far less than what a walk of the tree could not take
MOST_ATTRIBUTES = 64
MOST_TEXT = 1 << 20  # characters in one element, or in one attribute
# Expat writes a namespace out before every name in it: without these limits a small document would fill the memory.
MOST_SPACE = 500  # characters of a namespace
MOST_SPACES = 256  # different declarations of prefixes
_BETWEEN = "\x1f"  # between the parts of a name as expat tells it: a sign that no XML can hold
_SHOWN = 60  # signs of a name that a path shows
_MOST_REMEMBERED = 4096  # names taken apart and remembered

SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_XML = "http://www.w3.org/XML/1998/namespace"
_TO_READER = (SCHEMA_INSTANCE, _XML)  # attributes of these tell a reader of XML something and say nothing of the event


Name = tuple[str, str, str]  # namespace ("" = none), name, prefix ("" = none)
_NO_CHILDREN: list[Element] = []  # shared by all that have none, and never added to


class Attribute:
    """One attribute: namespace ("" = none), prefix, local name and value."""

    __slots__ = ("name", "prefix", "space", "value")

    def __init__(self, name: Name, value: str):
        self.space, self.name, self.prefix = name
        self.value = value


class Element:
    """One element: namespace ("" = none), prefix ("" = default), local name, content, line, and where it stands.

    `declared` holds the prefixes that this very element declares, `nil` whether it says that it has no value (xsi:nil).
    """

    __slots__ = (
        "_places",
        "attributes",
        "children",
        "declared",
        "line",
        "name",
        "nil",
        "prefix",
        "space",
        "text",
        "up",
    )

    def __init__(self, name: Name, line: int, up: Element | None):
        self.space, self.name, self.prefix = name
        self.line, self.up, self.text, self.nil = line, up, "", False
        self.children = _NO_CHILDREN
        self.attributes: tuple[Attribute, ...] = ()
        self.declared: dict[str, str] | None = None
        self._places: dict[int, str] | None = None

    def path(self) -> str:
        """Where it stands, as XPath writes it: /epcis:EPCISDocument/EPCISBody/EventList/ObjectEvent[2]/action."""
        steps: list[str] = []
        element: Element | None = self
        while element is not None:
            shown = f"{element.prefix[:_SHOWN]}:{element.name[:_SHOWN]}" if element.prefix else element.name[:_SHOWN]
            steps.append(shown + (element.up.place_of(element) if element.up else ""))
            element = element.up
        return "/" + "/".join(reversed(steps))

    def place_of(self, child: Element) -> str:
        """The child's number among those of its name ("[2]"), "" when it is the only one."""
        if self._places is None:  # worked out once: a document may have thousands of faults below one element
            alike: dict[tuple[str, str], list[Element]] = {}
            for each in self.children:
                alike.setdefault((each.space, each.name), []).append(each)
            self._places = {
                id(each): f"[{number}]"
                for group in alike.values()
                if len(group) > 1
                for number, each in enumerate(group, start=1)
            }
        return self._places.get(id(child), "")


def read_tree(content: bytes) -> Element:
    """The document's root, with all below it.

    Raises Unreadable for what is no well-formed XML (with line and column), InvalidInput for definitions and for a
    document beyond the limits above, TooLarge beyond MOST_BYTES.
    """
    if len(content) > MOST_BYTES:
        raise TooLarge(
            "epcis.xml_too_large",
            f"The document has {len(content):,} bytes; {MOST_BYTES:,} are taken at once.",
            "send its events in several documents",
        )
    return _Builder().build(content)


class _Builder:
    """Expat's calls, gathered into a tree."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self.open: list[Element] = []
        self.declared: dict[str, str] | None = None  # by the element that is about to start
        self.declarations: set[tuple[str, str]] = set()
        self.spaces: dict[str, str] = {}  # each namespace once, however often it is written
        self.names: dict[str, Name] = {}
        self.text: list[str] = []
        self.length = 0
        self.elements = 0
        parser = self.parser = expat.ParserCreate(namespace_separator=_BETWEEN)
        parser.namespace_prefixes = True
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartNamespaceDeclHandler = self._declare
        parser.StartDoctypeDeclHandler = self._doctype

    def build(self, content: bytes) -> Element:
        try:
            self.parser.Parse(content, True)
        except expat.ExpatError as error:
            what = expat.ErrorString(error.code) or "not well-formed"
            raise Unreadable(
                "epcis.xml_unreadable",
                f"This is no well-formed XML: {what}, line {error.lineno}, column {error.offset + 1}.",
                "mend the document there and send it again",
            ) from None
        except (LookupError, ValueError):  # the encoding that the document names is none that can be read here
            raise Unreadable(
                "epcis.xml_encoding",
                "The document names an encoding that cannot be read.",
                "send it as UTF-8 or UTF-16",
            ) from None
        if self.root is None:  # pragma: no cover - expat has refused a document without an element
            self._refuse("has no element", "send an EPCISDocument")
        return self.root

    def _refuse(self, what: str, action: str) -> NoReturn:
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
        raise InvalidInput("epcis.xml_refused", f"The document {what} (line {line}, column {column}).", action)

    def _doctype(self, name: str, system: str | None, public: str | None, inner: int) -> None:
        if system or public or inner:
            self._refuse("brings a document type with definitions of its own", "leave the DOCTYPE out")

    def _declare(self, prefix: str | None, space: str | None) -> None:
        if len(space or "") > MOST_SPACE:
            self._refuse(f"has a namespace of more than {MOST_SPACE} characters", "name it in fewer")
        self.declarations.add((prefix or "", space or ""))
        if len(self.declarations) > MOST_SPACES:
            self._refuse(f"declares more than {MOST_SPACES} namespaces", "use fewer, or send several documents")
        if self.declared is None:
            self.declared = {}
        self.declared[prefix or ""] = space or ""

    def _name(self, qualified: str) -> Name:
        """What expat tells of a name as (namespace, name, prefix)."""
        known = self.names.get(qualified)
        if known is None:
            parts = qualified.split(_BETWEEN)
            space, name, prefix = ("", *parts, "") if len(parts) == 1 else (*parts, "")[:3]
            known = self.spaces.setdefault(space, space), name, prefix
            if len(self.names) < _MOST_REMEMBERED:
                self.names[qualified] = known
        return known

    def _start(self, qualified: str, pairs: list[str]) -> None:
        self.elements += 1
        up = self.open[-1] if self.open else None
        if self.elements > MOST_ELEMENTS:
            self._refuse(f"has more than {MOST_ELEMENTS:,} elements", "send its events in several documents")
        if len(self.open) >= MOST_DEPTH:
            self._refuse(f"is nested deeper than {MOST_DEPTH} elements", "flatten what stands there")
        element = Element(self._name(qualified), self.parser.CurrentLineNumber, up)
        if up is None:
            self.root = element
        else:
            if self.text:
                self._settle(up)
            if up.children is _NO_CHILDREN:
                up.children = [element]
            else:
                up.children.append(element)
        self.open.append(element)
        self.length = 0
        if self.declared is not None:
            element.declared, self.declared = self.declared, None
        if pairs:
            self._attributes(element, pairs)

    def _attributes(self, element: Element, pairs: list[str]) -> None:
        if len(pairs) > 2 * MOST_ATTRIBUTES:
            self._refuse(f"has an element with more than {MOST_ATTRIBUTES} attributes", "send fewer there")
        kept = []
        for qualified, value in zip(pairs[::2], pairs[1::2], strict=True):
            if len(value) > MOST_TEXT:
                self._refuse(f"has an attribute of more than {MOST_TEXT:,} characters", "send less text there")
            attribute = Attribute(self._name(qualified), value)
            if attribute.space not in _TO_READER:
                kept.append(attribute)
            elif attribute.space == SCHEMA_INSTANCE and attribute.name == "nil":
                element.nil = value.strip() in ("true", "1")
        element.attributes = tuple(kept)

    def _end(self, qualified: str) -> None:
        element = self.open.pop()
        if self.text:
            self._settle(element)
        self.length = len(self.open[-1].text) if self.open else 0

    def _characters(self, text: str) -> None:
        self.length += len(text)
        if self.length > MOST_TEXT:
            self._refuse(f"has an element with more than {MOST_TEXT:,} characters of text", "send less text there")
        self.text.append(text)

    def _settle(self, element: Element) -> None:
        """Text up to here belongs to this element; pieces between children are joined by a space."""
        piece = "".join(self.text).strip()
        self.text.clear()
        if piece:
            element.text = f"{element.text} {piece}" if element.text else piece
