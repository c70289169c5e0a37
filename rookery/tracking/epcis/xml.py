"""EPCIS XML, versions 2.0 and 1.2, read into the JSON form.

A document says the same in both but for these: lists lose their items' element names; standard words become short;
numbers and truth values are told as such where the JSON binding has them so; elements and attributes of a sender's own
namespaces become prefixed fields, repeated ones lists, nested ones objects, all values text, and an element's text
beside attributes or children its "rdf:value". `xsi:` attributes and comments say nothing of the event and are left
out. Of a Standard Business Document Header the sender, receiver and instance identifier have a place in the JSON form;
of a query document's header nothing has.

Sources: EPCIS 2.0 (XML and JSON bindings), EPCIS 1.2 (XML binding).
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from rookery.terms.errors import InvalidInput
from rookery.terms.notice import Fault
from rookery.tracking.epcis import xml_shapes as shapes
from rookery.tracking.epcis import xml_values as values
from rookery.tracking.epcis.contexts import STANDARD_CONTEXT
from rookery.tracking.epcis.vocabulary import EVENT_TYPES
from rookery.tracking.epcis.xml_events import MOST_FAULTS, Enough, EventReader, Simple, unfolded
from rookery.tracking.epcis.xml_names import BUSINESS_HEADER, Prefixes
from rookery.tracking.epcis.xml_shapes import SPACES
from rookery.tracking.epcis.xml_text import Element, read_tree

_ATTRIBUTES: dict[str, Simple] = {"schemaVersion": str, "creationDate": values.instant}


def read_xml(content: bytes) -> dict[str, Any]:
    """The JSON form of an EPCIS document, a query document with results, a master data document or one bare event.

    Raises Unreadable for what is no XML, TooLarge, and InvalidInput with every fault found for XML that is no such
    document; a fault tells its place as XPath does, and its line. What both bindings ask alike (that an event names
    objects, that words are standard ones) is left to `schema.document_faults`.
    """
    root = read_tree(content)
    if root.space not in SPACES or root.name not in (*EVENT_TYPES, *_BODIES):
        raise _no_events(f"This is XML, but <{root.name[:60]}> is no EPCIS document, so there are no events in it.")
    reader, document = _DocumentReader(root), {}
    try:
        document = reader.bare_event() if root.name in EVENT_TYPES else reader.document()
    except Enough:
        more = f"only the first {MOST_FAULTS} faults are told"
        reader.faults.append(Fault(root.path(), "more_faults", more, "Mend these and send it again"))
    if reader.faults:
        count, first = len(reader.faults), reader.faults[0]
        raise InvalidInput(
            "epcis.xml_invalid",
            f"The document has {'one fault' if count == 1 else f'{count} faults'}; at {first.at}: {first.message}.",
            "mend what the faults name and send it again",
            faults=reader.faults,
        )
    return document


def _no_events(what: str) -> InvalidInput:
    action = "send an EPCISDocument, an EPCISQueryDocument with QueryResults, or one event; ask by GET /epcis/events"
    return InvalidInput("epcis.xml_no_events", what, action)


class _DocumentReader(EventReader):
    """A whole document around its events."""

    def __init__(self, root: Element):
        self.root = root
        bare = root.name in EVENT_TYPES
        super().__init__(Prefixes({} if bare else root.declared or {}))

    def bare_event(self) -> dict[str, Any]:
        event = self.event(self.root, self.root.declared or {}, _ATTRIBUTES)
        return {"@context": [STANDARD_CONTEXT, *event.pop("@context", ())], **event}

    def document(self) -> dict[str, Any]:
        root = self.root
        read = {"EPCISHeader": self.header, "EPCISBody": getattr(self, _BODIES[root.name])}
        query = root.name == "EPCISQueryDocument"
        # XML allows any other attribute here; without a namespace JSON has no place for it
        unnamed = {each.name: str for each in root.attributes if not each.space and each.name not in _ATTRIBUTES}
        needs = () if query else ("schemaVersion", "creationDate")
        attributes = self.attributes(root, {**_ATTRIBUTES, **unnamed}, needs)
        for name in unnamed:
            del attributes[name]
        found = self.record(root, shapes.DOCUMENT, read)
        header, body = found.pop("EPCISHeader", {}), found.pop("EPCISBody", {})
        if "VocabularyList" in body:  # a master data document: JSON has a place for these in the header alone
            header["epcisHeader"] = {"epcisMasterData": {"vocabularyList": body.pop("VocabularyList")}}
        return {
            "@context": [STANDARD_CONTEXT, *([self.names.own] if self.names.own else ())],
            "type": "EPCISQueryDocument" if query else "EPCISDocument",
            **attributes,
            "schemaVersion": "2.0",  # of the JSON form
            **({} if query else header),
            "epcisBody": body,
            **found,
        }

    def header(self, element: Element) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for child in element.children:
            if child.space == BUSINESS_HEADER and child.name == "StandardBusinessDocumentHeader":
                found |= _business_header(child)
        rest = self.record(element, shapes.HEADER, {"EPCISMasterData": self.master_data})
        rest.pop("StandardBusinessDocumentHeader", None)
        if "EPCISMasterData" in rest:
            rest = {"epcisMasterData": rest.pop("EPCISMasterData"), **rest}
        return found | ({"epcisHeader": rest} if rest else {})

    def master_data(self, element: Element) -> dict[str, Any]:
        found = self.record(element, shapes.MASTER_DATA, {"VocabularyList": self.vocabularies})
        return {"vocabularyList": found.get("VocabularyList", [])}

    def body(self, element: Element) -> dict[str, Any]:
        found = self.record(element, shapes.BODY, {"EventList": self.event_list})
        return {"eventList": found.pop("EventList", []), **found}

    def master_data_body(self, element: Element) -> dict[str, Any]:
        return {"eventList": []} | self.record(element, shapes.MASTER_DATA_BODY, {"VocabularyList": self.vocabularies})

    def query_body(self, element: Element) -> dict[str, Any]:
        found = self.record(element, shapes.QUERY_BODY, {"QueryResults": self.query_results, "Poll": self.poll})
        if "QueryResults" not in found and not self.faults:
            raise _no_events("This query document asks something and holds no results, so there are no events in it.")
        return {"queryResults": found.get("QueryResults")}

    def query_results(self, element: Element) -> dict[str, Any]:
        read = {"queryName": self.text, "subscriptionID": self.text, "resultsBody": self.results_body}
        # A name is asked for, often left out, and can hardly be another one where events are the result.
        return {"queryName": "SimpleEventQuery"} | self.record(element, shapes.QUERY_RESULTS, read)

    def results_body(self, element: Element) -> dict[str, Any]:
        read = {"EventList": self.event_list, "VocabularyList": self.vocabularies}
        found = self.record(element, shapes.RESULTS_BODY, read)
        results = {"eventList": found.pop("EventList", [])}
        return results | ({"vocabularyList": found["VocabularyList"]} if found else {})

    def poll(self, element: Element) -> dict[str, Any]:
        """A query in the old manner; looked at only so that what is wrong with it can be told."""
        parameter = {"name": self.text, "value": self.extension}
        parameters = self.listed("param", lambda each: self.record(each, shapes.PARAMETER, parameter))
        return self.record(element, shapes.POLL, {"queryName": self.text, "params": parameters})

    def event_list(self, element: Element) -> list[dict[str, Any]]:
        events = []
        for child in unfolded(element):
            if child.space in SPACES and child.name in EVENT_TYPES:
                events.append(self.event(child, self._declared_above(child), {}))
                continue
            near = get_close_matches(child.name[:60], EVENT_TYPES, 1)
            remedy = f"Did you mean {near[0]}?" if near else "Send one of " + ", ".join(EVENT_TYPES)
            if child.name == "QuantityEvent":
                remedy = "Send an ObjectEvent with a quantityList"
            message = f"{child.name[:60]} is none of the standard's events"
            self.fault(child, "unknown_event_type", message, remedy)
        return events

    def vocabularies(self, element: Element) -> list[dict[str, Any]]:
        return self.listed("Vocabulary", self._vocabulary)(element)

    def _vocabulary(self, element: Element) -> dict[str, Any]:
        members = self.listed("VocabularyElement", self._vocabulary_element)
        found = self.record(element, shapes.VOCABULARY, {"VocabularyElementList": members})
        kind = self.attributes(element, {"type": str}, needs=("type",))
        return {**kind, "vocabularyElementList": found.pop("VocabularyElementList", []), **found}

    def _vocabulary_element(self, element: Element) -> dict[str, Any]:
        read = {"attribute": self._vocabulary_attribute, "children": self.listed("id", self.text)}
        found = self.record(element, shapes.VOCABULARY_ELEMENT, read)
        if "attribute" in found:
            found = {"attributes": found.pop("attribute"), **found}
        return self.attributes(element, {"id": str}, needs=("id",)) | found

    def _vocabulary_attribute(self, element: Element) -> dict[str, Any]:
        identity = self.attributes(element, {"id": str}, needs=("id",))
        return {**identity, "attribute": self.content(element)}

    def _declared_above(self, event: Element) -> dict[str, str]:
        """The prefixes declared from below the document element down to this event."""
        declared: dict[str, str] = {}
        each: Element | None = event
        while each is not None and each is not self.root:
            if each.declared:
                declared = each.declared | declared
            each = each.up
        return declared


_BODIES = {  # documents, and how their bodies are read
    "EPCISDocument": "body",
    "EPCISQueryDocument": "query_body",
    "EPCISMasterDataDocument": "master_data_body",
}


def _business_header(element: Element) -> dict[str, str]:
    """The parts of a Standard Business Document Header that the JSON form has a place for."""
    found: dict[str, str] = {}
    for part in element.children:
        for child in part.children:
            name = _HEADER_FIELDS.get((part.name, child.name))
            if name and child.text:
                found.setdefault(name, child.text)
    return found


_HEADER_FIELDS = {
    ("Sender", "Identifier"): "sender",
    ("Receiver", "Identifier"): "receiver",
    ("DocumentIdentification", "InstanceIdentifier"): "instanceIdentifier",
}
