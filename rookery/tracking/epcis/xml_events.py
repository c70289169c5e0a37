"""Events in EPCIS XML, element by element, into their JSON form; what is wrong is collected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from rookery.terms.notice import Fault
from rookery.tracking.epcis import xml_shapes as shapes
from rookery.tracking.epcis import xml_values as values
from rookery.tracking.epcis.vocabulary import ACTIONS, Kind, kind_of
from rookery.tracking.epcis.xml_names import RDF, Prefixes
from rookery.tracking.epcis.xml_shapes import SPACES, Shape
from rookery.tracking.epcis.xml_text import Element

MOST_FAULTS = 1000  # faults told of one document

Read = Callable[[Element], Any]  # an element into its value; None where it has none
Simple = Callable[[str], Any]  # a text into its value; raises BadValue


def unfolded(element: Element) -> Iterator[Element]:
    """The children, those within the wrappers of version 1.2 in their place."""
    for child in element.children:
        if child.name in shapes.WRAPPERS and child.space in SPACES:
            yield from unfolded(child)
        else:
            yield child


class Enough(Exception):
    """There are MOST_FAULTS faults, and nobody reads on."""


class EventReader:
    """Events of one document on their way into the JSON form.

    names: the prefixes of the document. faults: everything wrong that was met.
    """

    def __init__(self, names: Prefixes):
        self.faults: list[Fault] = []
        self.names = self.document_names = names
        self._fields = self._readers()

    def event(self, element: Element, declared: Mapping[str, str], of_document: Mapping[str, Simple]) -> dict[str, Any]:
        """One event. declared: the prefixes it brings; of_document: attributes it has when it is a document itself."""
        self.names = Prefixes(declared, self.document_names)
        found: dict[str, Any] = {"type": element.name}
        attributes = self.attributes(element, of_document)
        found |= {name: value for name, value in attributes.items() if name not in of_document}
        found |= self.record(element, shapes.EVENTS[element.name], self._fields)
        if self.names.own:
            found["@context"] = [self.names.own]
        self.names = self.document_names
        return found

    def _readers(self) -> dict[str, Read]:
        items: dict[str, Read] = {
            "epc": self.text,
            "correctiveEventID": self.text,
            "quantityElement": self._inner(shapes.QUANTITY),
            "sensorElement": self._inner(shapes.SENSOR_ELEMENT),
            **dict.fromkeys(shapes.TYPED, self._typed),
        }
        lists = {name: self.listed(item, items[item]) for name, item in shapes.LISTS.items() if item in items}
        words: dict[str, Read] = {
            name: self._word(kind)
            for name in ("bizStep", "disposition", "set", "unset", "reason")
            if (kind := kind_of(name))
        }
        texts = ["eventID", "certificationInfo", "parentID", "transformationID", "id", "epcClass", "uom"]
        return {
            **lists,
            **words,
            **dict.fromkeys(texts, self.text),
            **dict.fromkeys(("eventTime", "recordTime", "declarationTime"), self.simple(values.instant)),
            "eventTimeZoneOffset": self.simple(values.offset),
            "action": self.simple(_action),
            "quantity": self._quantity,
            "errorDeclaration": self._inner(shapes.ERROR),
            "readPoint": self._inner(shapes.PLACE),
            "bizLocation": self._inner(shapes.PLACE),
            "persistentDisposition": self._inner(shapes.DISPOSITIONS),
            "ilmd": self._inner(shapes.ILMD),
            "sensorMetadata": self._sensor(shapes.SENSOR_METADATA),
            "sensorReport": self._sensor(shapes.SENSOR_REPORT),
        }

    # what every element is read with

    def fault(self, element: Element, code: str, message: str, remedy: str, below: str = "") -> None:
        """Notes what is wrong with an element, or with what should be below it ("action", "@type")."""
        at = f"{element.path()}/{below[:60]}" if below else element.path()
        self.faults.append(Fault(at, code, f"{message}, line {element.line}", remedy))
        if len(self.faults) == MOST_FAULTS:
            raise Enough

    def record(self, element: Element, shape: Shape, read: Mapping[str, Read]) -> dict[str, Any]:
        """An element's children as an object, by the element's shape; those of a sender's own come under a prefix."""
        found: dict[str, Any] = {}
        seen: set[str] = set()
        furthest, in_order = -1, True
        for child in unfolded(element):
            name = child.name
            if child.space not in SPACES:
                if shape.own:
                    self._own(found, child)
                    furthest = len(shape.rank)
                else:
                    self._unknown(child, shape)
                continue
            rank = shape.rank.get(name)
            if rank is None:
                self._unknown(child, shape)
                continue
            if name not in shape.free:
                if rank < furthest and in_order:  # told once: all that follows is out of order by the same move
                    in_order = False
                    remedy = "The order here is " + ", ".join(shape.rank) + (", then your own" if shape.own else "")
                    self.fault(child, "wrong_order", f"{name} stands too late", remedy)
                furthest = max(furthest, rank)
            if name in shape.many:
                if (value := read[name](child)) is not None:
                    found.setdefault(name, []).append(value)
            elif name in seen:
                self.fault(child, "repeated_field", f"{name} stands here twice", "Send it once")
            elif (value := read[name](child)) is not None:
                found[name] = value
            seen.add(name)
        if element.text:
            self.fault(element, "unexpected_text", f"{element.name} has text beside its elements", "Take the text out")
        for name in shape.needs:
            if name not in seen:
                message = f"{name} is missing, and {element.name} needs it"
                self.fault(element, "missing_field", message, f"Add {name}", name)
        return found

    def listed(self, item: str, read: Read) -> Read:
        """A reader of an element whose children are all of one name."""

        def items(element: Element) -> list[Any]:
            self._no_attributes(element)
            found = []
            for child in element.children:
                if child.name != item or child.space not in SPACES:
                    self._unknown(child, Shape({item: 0}))
                elif (value := read(child)) is not None:
                    found.append(value)
            if element.text:
                self.fault(element, "unexpected_text", f"{element.name} has text of its own", f"Put it into {item}")
            return found

        return items

    def text(self, element: Element) -> str | None:
        """An element's text, which must be there."""
        self._no_attributes(element)
        if element.children:
            self._unknown(element.children[0], Shape({}))
        elif not element.text:
            self.fault(element, "empty_field", f"{element.name} is empty", "Fill it, or leave it out")
        else:
            return element.text
        return None

    def simple(self, convert: Simple) -> Read:
        """A reader of an element whose text must be a value of a certain kind."""

        def value(element: Element) -> Any:
            text = self.text(element)
            return None if text is None else self._converted(convert, text, element)

        return value

    def attributes(self, element: Element, known: Mapping[str, Simple], needs: tuple[str, ...] = ()) -> dict[str, Any]:
        """An element's attributes: the standard's by their readers, a sender's own under a prefix."""
        if element.declared:
            self.names.declare(element.declared)
        found: dict[str, Any] = {}
        for each in element.attributes:
            if each.space:
                found[self.names.name(each.space, each.prefix, each.name)] = each.value
            elif each.name not in known:
                near = get_close_matches(each.name[:60], list(known), 1)
                remedy = f"Did you mean {near[0]}?" if near else "Take it out, or give it your own namespace"
                message = f"{each.name[:60]} is no attribute of the standard here"
                self.fault(element, "unknown_field", message, remedy, f"@{each.name}")
            elif (value := self._converted(known[each.name], each.value.strip(), element, f"@{each.name}")) is not None:
                found[each.name] = value
        for name in needs:
            if not any(each.name == name and not each.space for each in element.attributes):
                message = f"{name} is missing, and {element.name} needs it"
                self.fault(element, "missing_field", message, f"Add {name}", f"@{name}")
        return found

    def extension(self, element: Element) -> Any:
        """What a sender put into an element of their own: its text, or an object of all that stands there."""
        found: dict[str, Any] = {}
        for each in element.attributes:
            found[self.names.name(each.space, each.prefix, each.name)] = each.value
        return self.content(element, found)

    def content(self, element: Element, attributes: dict[str, Any] | None = None) -> Any:
        """An element's text where that is all there is, else an object of attributes, children and text."""
        if not element.children and not attributes:
            return element.text
        found = attributes or {}
        for child in element.children:
            self._own(found, child)
        if element.text:
            _add(found, self.names.name(RDF, "rdf", "value"), element.text)
        return found

    def _own(self, found: dict[str, Any], child: Element) -> None:
        if child.declared:  # before its own name is looked up: that may need them
            self.names.declare(child.declared)
        _add(found, self.names.name(child.space, child.prefix, child.name), self.extension(child))

    def _unknown(self, element: Element, shape: Shape) -> None:
        near = get_close_matches(element.name[:60], list(shape.rank), 1)
        remedy = f"Did you mean {near[0]}? Else take it out" if near else "Take it out"
        if shape.own and not near:
            remedy += ", or give it a namespace of your own"
        self.fault(element, "unknown_field", f"{element.name[:60]} is no element of the standard here", remedy)

    def _no_attributes(self, element: Element) -> None:
        if element.attributes:
            name = element.attributes[0].name
            message = f"{element.name} takes no attribute {name[:60]}"
            self.fault(element, "unknown_field", message, "Take it out", f"@{name}")

    def _converted(self, convert: Simple, text: str, element: Element, below: str = "") -> Any:
        try:
            return convert(text)
        except values.BadValue as bad:
            self.fault(element, bad.code, bad.message, bad.remedy, below)
            return None

    # the standard's elements

    def _inner(self, shape: Shape) -> Read:
        def inner(element: Element) -> dict[str, Any]:
            if element.declared or element.attributes:
                found = self.attributes(element, {})
                if found and not shape.own:
                    self._no_attributes(element)
                return found | self.record(element, shape, self._fields)
            return self.record(element, shape, self._fields)

        return inner

    def _word(self, kind: Kind) -> Read:
        return self.simple(self._word_of(kind))

    def _word_of(self, kind: Kind) -> Simple:
        return lambda text: self.names.word(text, kind)

    def _quantity(self, element: Element) -> int | float | None:
        return None if element.nil and not element.text else self.simple(values.decimal)(element)

    def _typed(self, element: Element) -> dict[str, Any] | None:
        """A business transaction, source or destination: its text by its name, with its type."""
        kind = kind_of("type", shapes.TYPED[element.name])
        needs = () if element.name == "bizTransaction" else ("type",)
        found = self.attributes(element, {"type": self._word_of(kind) if kind else str}, needs)
        if element.children:
            self._unknown(element.children[0], Shape({}))
        elif not element.text:
            self.fault(element, "empty_field", f"{element.name} is empty", "Fill it, or leave it out")
        else:
            return {**found, element.name: element.text}
        return None

    def _sensor(self, names: frozenset[str]) -> Read:
        """Sensor metadata or a sensor report: an object of attributes."""
        known: dict[str, Simple] = dict.fromkeys(names, str)
        known |= dict.fromkeys(names & shapes.TIMES, values.instant)
        known |= dict.fromkeys(names & shapes.NUMBERS, values.double)
        if names is shapes.SENSOR_REPORT:
            known |= {"booleanValue": values.boolean}
            for name in ("type", "component", "exception"):
                if kind := kind_of(name, "sensorReport"):
                    known[name] = self._word_of(kind)

        def sensor(element: Element) -> dict[str, Any]:
            if element.children:
                self._unknown(element.children[0], Shape({}))
            return self.attributes(element, known)

        return sensor


def _action(text: str) -> str:
    if text in ACTIONS:
        return text
    near = get_close_matches(text[:60].upper(), ACTIONS, 1)
    remedy = f"Did you mean {near[0]}? Write OBSERVE, ADD or DELETE" if near else "Write OBSERVE, ADD or DELETE"
    raise values.BadValue("unknown_action", f"{text[:60]!r} is not an action", remedy)


def _add(found: dict[str, Any], name: str, value: Any) -> None:
    """A repeated field becomes a list."""
    if name not in found:
        found[name] = value
    elif isinstance(found[name], list):
        found[name].append(value)
    else:
        found[name] = [found[name], value]
