"""What may stand where in EPCIS XML, and in which order.

XML keeps an order that JSON does not know; it is part of the standard (EPCIS 2.0 section 9.5.1 ff., EPCIS 1.2 section
9.5). Version 1.2 kept what it had added since 1.0 in nested `extension` and `baseExtension` elements; they are unfolded
before a shape is looked at, and then one shape does for both.
"""

from __future__ import annotations

from msgspec import Struct

from rookery.tracking.epcis.vocabulary import EVENT_TYPES

SPACES = frozenset(
    [""]
    + [
        f"urn:epcglobal:{part}:xsd:{version}"
        for part in ("epcis", "epcis-query", "epcis-masterdata")
        for version in "12"
    ]
)  # elements of the standard; below the document element they should have no namespace, but many senders give them one
WRAPPERS = ("extension", "baseExtension")


class Shape(Struct, frozen=True):
    """An element's content: its elements in order, which of them must be there and which may come more than once.

    `own`: elements of a sender's own namespace may follow; `free`: elements whose place does not matter.
    """

    rank: dict[str, int]
    needs: tuple[str, ...] = ()
    many: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    own: bool = False


def _shape(order: str, needs: str = "", many: str = "", free: str = "", *, own: bool = False) -> Shape:
    rank = {name: place for place, name in enumerate(order.split())}
    return Shape(rank, tuple(needs.split()), tuple(many.split()), tuple(free.split()), own)


_HEAD = "eventTime recordTime eventTimeZoneOffset eventID errorDeclaration certificationInfo"
_WHERE = "bizStep disposition readPoint bizLocation"
_PARTIES = "sourceList destinationList"
_STATE = "sensorElementList persistentDisposition"
_ORDER = {
    "ObjectEvent": f"epcList action {_WHERE} bizTransactionList quantityList {_PARTIES} {_STATE} ilmd",
    "AggregationEvent": f"parentID childEPCs action {_WHERE} bizTransactionList childQuantityList {_PARTIES} {_STATE}",
    "TransactionEvent": f"bizTransactionList parentID epcList action {_WHERE} quantityList {_PARTIES} {_STATE}",
    "TransformationEvent": "inputEPCList inputQuantityList outputEPCList outputQuantityList transformationID "
    f"{_WHERE} bizTransactionList {_PARTIES} {_STATE} ilmd",
    "AssociationEvent": f"parentID childEPCs childQuantityList action {_WHERE} bizTransactionList {_PARTIES} {_STATE}",
}
_NEEDS = {
    "ObjectEvent": "action",
    "AggregationEvent": "action",
    "TransactionEvent": "bizTransactionList action",
    "TransformationEvent": "",
    "AssociationEvent": "parentID action",
}


# certificationInfo has no place in 1.2, and ilmd stood before the sensors there: both may stand anywhere.
EVENTS = {
    kind: _shape(
        f"{_HEAD} {_ORDER[kind]}",
        f"eventTime eventTimeZoneOffset {_NEEDS[kind]}",
        free="certificationInfo ilmd",
        own=True,
    )
    for kind in EVENT_TYPES
}

# Around the events no order is asked: nothing depends on it, and headers of a sender's own stand before and behind.
DOCUMENT = _shape("EPCISHeader EPCISBody", "EPCISBody", free="EPCISHeader EPCISBody", own=True)
HEADER = _shape("EPCISMasterData", free="EPCISMasterData", own=True)
MASTER_DATA = _shape("VocabularyList", "VocabularyList")
BODY = _shape("EventList", free="EventList", own=True)
MASTER_DATA_BODY = _shape("VocabularyList", free="VocabularyList", own=True)
QUERY_BODY = _shape("QueryResults Poll")
_RESULTS = "queryName subscriptionID resultsBody"
QUERY_RESULTS = _shape(_RESULTS, "resultsBody", free=_RESULTS, own=True)
RESULTS_BODY = _shape("EventList VocabularyList")
POLL = _shape("queryName params", "queryName params")
PARAMETER = _shape("name value", "name value")

VOCABULARY = _shape("VocabularyElementList", own=True)
VOCABULARY_ELEMENT = _shape("attribute children", many="attribute", own=True)

QUANTITY = _shape("epcClass quantity uom", "epcClass")
PLACE = _shape("id", "id", own=True)
DISPOSITIONS = _shape("unset set", many="unset set")
_ERROR = "declarationTime reason correctiveEventIDs"
ERROR = _shape(_ERROR, "declarationTime", free=_ERROR, own=True)
SENSOR_ELEMENT = _shape("sensorMetadata sensorReport", "sensorReport", "sensorReport", own=True)
ILMD = _shape("", own=True)

LISTS = {  # lists, and what each of their items is called
    "epcList": "epc",
    "childEPCs": "epc",
    "inputEPCList": "epc",
    "outputEPCList": "epc",
    "correctiveEventIDs": "correctiveEventID",
    "quantityList": "quantityElement",
    "childQuantityList": "quantityElement",
    "inputQuantityList": "quantityElement",
    "outputQuantityList": "quantityElement",
    "bizTransactionList": "bizTransaction",
    "sourceList": "source",
    "destinationList": "destination",
    "sensorElementList": "sensorElement",
    "VocabularyList": "Vocabulary",
    "VocabularyElementList": "VocabularyElement",
    "children": "id",
    "params": "param",
}
TYPED = {"bizTransaction": "bizTransactionList", "source": "sourceList", "destination": "destinationList"}

TIMES = frozenset(["time", "startTime", "endTime"])
NUMBERS = frozenset(["value", "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue"])
SENSOR_METADATA = frozenset(["deviceID", "deviceMetadata", "rawData", "bizRules", "dataProcessingMethod"]) | TIMES
SENSOR_REPORT = (
    SENSOR_METADATA - {"startTime", "endTime"}
    | NUMBERS
    | {"type", "exception", "component", "uom", "chemicalSubstance", "microorganism", "coordinateReferenceSystem"}
    | {"stringValue", "booleanValue", "hexBinaryValue", "uriValue"}
)
