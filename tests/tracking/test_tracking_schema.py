"""EPCIS documents held against the standard: what is taken, what is refused, and what is said about it."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft7Validator

from rookery.terms.notice import Fault
from rookery.tracking.epcis.schema import MOST_DEPTH, MOST_FAULTS, document_faults, event_faults, query_faults
from rookery.tracking.epcis.vocabulary import EVENT_TYPES, WORDS, Kind, kind_of, short, urn, web

PUBLISHED = Path(os.environ.get("ROOKERY_DATA", "../shared/data")) / "tracking"
GS1 = PUBLISHED / "gs1-epcis"
OPENEPCIS = PUBLISHED / "openepcis-test-resources/core/src/main/resources/2.0/EPCIS/JSON"
with_published = pytest.mark.skipif(
    not (GS1 / "EPCIS-JSON-Schema.json").exists(),
    reason="ROOKERY_DATA (default ../shared/data) holds no tracking/gs1-epcis folder with the standard's schema",
)
MUTANTS = 10_000
QUERY_MUTANTS = 3_000


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _documents() -> list[Path]:
    return [
        *sorted((GS1 / "JSON").rglob("*.jsonld")),
        *sorted((GS1 / "JSON-Schema/test").rglob("*.json")),
        *(path for path in sorted(OPENEPCIS.rglob("*.json")) if "Queries" not in path.parts),
    ]


def _queries() -> list[Path]:
    return sorted((OPENEPCIS / "Query/Queries").rglob("*.json"))


def _published_schema() -> Draft7Validator:
    return Draft7Validator(_read(GS1 / "EPCIS-JSON-Schema.json"), validate_formats=True)


def _published_query_schema(*, mended: bool) -> Draft7Validator:
    """The standard's schema of queries; `mended` where its patterns of extension fields are escaped once, not twice."""
    text = (GS1 / "REST Bindings/query-schema.json").read_text("utf-8")
    return Draft7Validator(json.loads(text.replace("\\\\\\\\", "\\\\") if mended else text), validate_formats=True)


def _simple(**fields: Any) -> dict[str, Any]:
    """A plain scan; a field given as `...` is left out."""
    event = {
        "type": "ObjectEvent",
        "eventTime": "2026-07-01T06:45:00.000+02:00",
        "eventTimeZoneOffset": "+02:00",
        "action": "OBSERVE",
        "epcList": ["https://id.gs1.org/00/095211410123456787"],
        "bizStep": "shipping",
        **fields,
    }
    return {name: value for name, value in event.items() if value is not ...}


def _document(*events: Any, **fields: Any) -> dict[str, Any]:
    document = {
        "@context": ["https://ref.gs1.org/standards/epcis/epcis-context.jsonld", {"ex": "https://example.com/ns/"}],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-07-01T10:30:00Z",
        "epcisBody": {"eventList": list(events)},
        **fields,
    }
    return {name: value for name, value in document.items() if value is not ...}


def _taken(faults: list[Fault]) -> bool:
    """Whether there is no fault; and where there is one, that it has been found and put into words."""
    assert not [fault for fault in faults if fault.code == "not_standard"]
    return not faults


def _places(faults: list[Fault]) -> set[tuple[str, str]]:
    return {(fault.at.removeprefix("$.epcisBody.eventList"), fault.code) for fault in faults}


# --- what is published ---------------------------------------------------------------------------------------------


@with_published
def test_every_published_example_of_the_standard_is_taken():
    """The 47 JSON examples of EPCIS 2.0 have no fault."""
    paths = sorted((GS1 / "JSON").rglob("*.jsonld"))
    assert len(paths) == 47
    assert {path.name: document_faults(_read(path)) for path in paths if document_faults(_read(path))} == {}


@with_published
def test_every_published_document_is_judged_as_the_standard_judges_it():
    """On every published document and query, taken or refused is the same as by the standard's own schema."""
    theirs, theirs_of_queries = _published_schema(), _published_query_schema(mended=False)
    for path in _documents():
        document = _read(path)
        assert (document_faults(document) == []) == theirs.is_valid(document), path
    for path in _queries():
        query = _read(path)
        assert _taken(query_faults(query)) == theirs_of_queries.is_valid(query), path


BODY = "$.epcisBody.eventList"
RESULTS = "$.epcisBody.queryResults.resultsBody.eventList"
REFUSED = {
    "Combination_of_events_with_missing_mandatory_fields.json": [
        f"{BODY}[0].action",
        f"{BODY}[1].eventTimeZoneOffset",
        f"{BODY}[1].action",
    ],
    "Combination_of_multiple_invalid_fields.json": [
        f"{BODY}[0].bizStep",
        f"{BODY}[1].disposition",
        f"{BODY}[2].sourceList[0].type",
        f"{BODY}[3].ilmd.materialType",
        f"{BODY}[4].eventTime",
        f"{BODY}[4].action",
    ],
    "Combination_of_non_standard_bizStep_and_disposition.json": [f"{BODY}[0].bizStep", f"{BODY}[1].disposition"],
    "EPCISDocument_without_context.json": ['$["@context"]'],
    "ObjectEvent_with_ilmd_field_without_namespace.json": [f"{BODY}[0].ilmd.materialType"],
    "ObjectEvent_with_invalid_action.json": [f"{BODY}[0].action"],
    "ObjectEvent_with_invalid_certificationInfo.json": [
        f"{BODY}[0].certificationInfo[0]",
        f"{BODY}[0].certificationInfo[1]",
    ],
    "ObjectEvent_with_invalid_eventTime_format.json": [f"{BODY}[0].eventTime"],
    "ObjectEvent_with_non_standard_bizStep.json": [f"{BODY}[0].bizStep"],
    "ObjectEvent_with_non_standard_bizStep_in_second_event.json": [f"{BODY}[1].bizStep"],
    "ObjectEvent_with_non_standard_disposition.json": [f"{BODY}[0].disposition"],
    "ObjectEvent_with_quantity_as_text.json": [f"{BODY}[0].quantityList[0].quantity"],
    "ObjectEvent_with_unknown_field_in_quantityList.json": [f"{BODY}[0].quantityList[0].weight"],
    "ObjectEvent_without_action_and_eventTime.json": [
        f"{BODY}[0].eventTime",
        f"{BODY}[0].eventTimeZoneOffset",
        f"{BODY}[0].action",
    ],
    "ObjectEvent_without_identifier_list.json": [f"{BODY}[0]"],
    "QueryDocument_with_invalid_action.json": [f"{RESULTS}[0].action"],
    "QueryDocument_with_invalid_eventType.json": [f"{RESULTS}[0].type"],
    "Query_with_invalid_values.json": ["$.GE_eventTime", "$.EQ_action[0]", "$.orderDirection"],
    "Query_with_unknown_parameter.json": ["$.GE_eventDate"],
}


@with_published
def test_every_published_invalid_document_is_refused_at_its_place():
    """Each published invalid document is refused with exactly the places that are wrong in it."""
    found = {}
    for path in sorted(OPENEPCIS.rglob("Invalid/*.json")):
        judge = query_faults if "Queries" in path.parts else document_faults
        found[path.name] = [fault.at for fault in judge(_read(path))]
    assert found == REFUSED


# --- mutants -------------------------------------------------------------------------------------------------------

_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 3.5, 1e300, 2**70, "", "a", " ", [], {}, [[]], [{}], [None], {"id": "urn:a:b"}),
    *("urn:a:b", "urn:", "https://", "https://id.gs1.org/01/09521141012345/21/2017", "http://a b", "ex:thing", ":"),
    *("urn:epcglobal:cbv:bizstep:shipping", "https://ns.gs1.org/cbv/BizStep-shipping", "http://ns.gs1.org/cbv/x"),
    *("https://ref.gs1.org/cbv/Disp-in_transit", "https://gs1.org/voc/Temperature", "https://www.gs1.org/voc/Mass"),
    *("https://gs1.org/vocabulary", "urn:epcglobal:cbvmda", "https://ns.gs1.org/cbv", "URN:EPCGLOBAL:CBV:x", "ü:ö"),
    *("https://example.com/ä", "https://example.com/%zz", "mailto:a@example.com", "//example.com/a", "/a", "a:b#c#d"),
    *("2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01t00:00:00z"),
    *("2026-01-01 00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T23:59:60Z", "2026-06-30T23:59:60Z", "0000-01-01"),
    *("2026-01-01T00:00:00.123456789123Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+24:00", "20260101T000000Z"),
    *("2026-01-01T00:00:00+0100", "2026-01-01T00:00Z", "-2026-01-01T00:00:00Z", "2026-01-01T00:00:00-00:00"),
    *("+14:00", "+14:01", "-14:00", "+13:59", "00:00", "+1:00", "Z", "+00:60", "+02:00\n", "\u0665"),
    *("2.0", "2", "2.", "v2", "2.0\n", "\u0662.0", "KGM", "kgm", "KGMX", "K", "AB1", "0aF", "0xF"),
    *(["stolen", "stolen"], ["urn:a:b", "urn:a:b"], ["urn:a:b"]),
    *EVENT_TYPES,
    *("EPCISDocument", "EPCISQueryDocument", "objectEvent", "OBSERVE", "ADD", "DELETE", "observe", "ADDED", "ADD\n"),
    *("shipping", "Shipping", "in_transit", "transforming", "po", "invoice", "owning_party", "place", "location"),
    *("Temperature", "temperature", "ALARM_CONDITION", "x", "w", "did_not_occur", "incorrect_data"),
]
_NAMES = [
    *("foo", "ex:foo", "https://example.com/foo", "urn:x:y", "ex:", ":", "", "ex foo", "1ex:foo", "ex:fo o", "@id"),
    *("action", "bizStep", "disposition", "persistentDisposition", "ilmd", "epcList", "quantityList", "parentID"),
    *("childEPCs", "childQuantityList", "transformationID", "inputEPCList", "outputEPCList", "inputQuantityList"),
    *("outputQuantityList", "bizTransactionList", "sourceList", "destinationList", "sensorElementList", "readPoint"),
    *("bizLocation", "certificationInfo", "errorDeclaration", "eventID", "recordTime", "@context", "type", "id"),
    *("sender", "receiver", "instanceIdentifier", "epcisHeader", "uom", "set", "unset", "reason", "time", "exception"),
]


def _spots(document: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) of a document."""
    spots, waiting = [], [document]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            spots.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
    return spots


Pool = dict[Any, list[Any]]


def _pool(seeds: list[Any]) -> Pool:
    """Every value that stands under a name anywhere: what is plausible there."""
    pool: Pool = {}
    for seed in seeds:
        for holder, key in _spots(seed):
            if isinstance(holder, dict):
                pool.setdefault(key, []).append(holder[key])
    return pool


def _mutate(dice: random.Random, document: dict[str, Any], values: list[Any], names: list[str], pool: Pool) -> None:
    """One change in place: something taken out, renamed, added, replaced, doubled, emptied or moved."""
    spots = _spots(document)
    if not spots:
        document[dice.choice(names)] = copy.deepcopy(dice.choice(values))
        return
    holder, key = dice.choice(spots)
    match dice.choice(["out", "rename", "add", "known", "value", "value", "again", "empty", "move", "wrap", "alike"]):
        case "out":
            del holder[key]
        case "rename" if isinstance(holder, dict):
            holder[dice.choice([*names, key.upper(), key + "x"])] = holder.pop(key)
        case "add" if isinstance(holder, dict):
            holder[dice.choice(names)] = copy.deepcopy(dice.choice(values))
        case "known" if isinstance(holder, dict):
            name = dice.choice([*pool])
            holder[name] = copy.deepcopy(dice.choice(pool[name]))
        case "again" if isinstance(holder, list):
            holder.insert(dice.randrange(len(holder) + 1), copy.deepcopy(holder[key]))
        case "empty" if isinstance(holder[key], dict | list):
            holder[key].clear()
        case "move":
            other, there = dice.choice(spots)
            if isinstance(other, dict) or there < len(other):
                other[there] = copy.deepcopy(holder[key])
        case "wrap":
            holder[key] = [holder[key]] if dice.random() < 0.5 else {"id": holder[key]}
        case "alike" if key in pool:
            holder[key] = copy.deepcopy(dice.choice(pool[key]))
        case _:
            holder[key] = copy.deepcopy(dice.choice(values))


def _mutants(seeds: list[Any], count: int, values: list[Any], names: list[str], seed: int = 2026) -> Iterator[Any]:
    """Documents with one to three changes; large ones are cut to two events first, so that each change counts."""
    dice, pool = random.Random(seed), _pool(seeds)
    for number in range(count):
        document = copy.deepcopy(seeds[number % len(seeds)])
        for holder, key in _spots(document):
            if key == "eventList" and isinstance(holder[key], list) and len(holder[key]) > 2:
                holder[key] = dice.sample(holder[key], 2)
        for _ in range(dice.choice([1, 1, 1, 2, 3])):
            _mutate(dice, document, values, names, pool)
        yield document


def _smallest() -> list[dict[str, Any]]:
    """Documents with one small event each, so that a single change decides: every rule from both of its sides."""
    quantity = [{"epcClass": "urn:a:b", "quantity": 1, "uom": "KGM"}]
    sensors = [{"sensorMetadata": {"time": "2026-01-01T00:00:00Z"}, "sensorReport": [{"type": "Mass", "value": 1}]}]
    report = {"type": "Speed", "component": "x", "exception": "ALARM_CONDITION", "percRank": 1, "uriValue": "urn:a:b"}
    report |= dict.fromkeys(
        ("bizRules", "deviceID", "deviceMetadata", "microorganism", "dataProcessingMethod", "rawData"), "urn:a:b"
    )
    given = [{"type": "location", "destination": "urn:a:b"}]
    every = {"recordTime": "2026-01-01T00:00:00Z", "eventID": "urn:a:b", "certificationInfo": ["urn:a:b"]}
    error = {"declarationTime": "2026-01-01T00:00:00Z", "reason": "incorrect_data", "correctiveEventIDs": ["urn:a:b"]}
    every = {**every, "errorDeclaration": error}
    gone = {**every, "action": "DELETE"}
    bought = [{"type": "po", "bizTransaction": "urn:a:b"}]
    bare: dict[str, Any] = {"epcList": ..., "bizStep": ...}
    events = [
        _simple(bizStep=..., action="ADD", ilmd={"ex:lot": "1"}),
        _simple(**bare, quantityList=quantity),
        _simple(**bare, sensorElementList=sensors, readPoint={"id": "urn:a:b"}),
        _simple(**bare, sensorElementList=[{"sensorReport": [report]}], readPoint={"id": "urn:a:b"}),
        _simple(**every, persistentDisposition={"set": ["damaged"], "unset": ["expired", "stolen"]}),
        _simple(sourceList=[{"type": "location", "source": "urn:a:b"}], disposition="in_transit"),
        _simple(destinationList=given, bizTransactionList=bought),
        *(
            _simple(**{**bare, "type": kind, "parentID": "urn:a:b", **more})
            for kind in ("AggregationEvent", "AssociationEvent")
            for more in ({"action": "DELETE"}, {"childEPCs": ["urn:a:b"]}, {"childQuantityList": quantity}, gone)
        ),
        *(
            _simple(**bare, type="TransactionEvent", bizTransactionList=bought, **more)
            for more in ({"action": "DELETE"}, {"quantityList": quantity, "parentID": "urn:a:b"}, gone)
        ),
        *(
            _simple(**bare, action=..., type="TransformationEvent", **more)
            for more in (
                {
                    "inputEPCList": ["urn:a:b"],
                    "outputEPCList": ["urn:a:b"],
                    "destinationList": given,
                    "disposition": "x:y",
                },
                {"inputQuantityList": quantity, "outputQuantityList": quantity},
                {"inputEPCList": ["urn:a:b"], "transformationID": "urn:a:b"},
                {"inputQuantityList": quantity, "transformationID": "urn:a:b", "ilmd": {"ex:lot": 1}},
                {"outputEPCList": ["urn:a:b"], "transformationID": "urn:a:b", **every},
                {"outputQuantityList": quantity, "transformationID": "urn:a:b"},
            )
        ),
        _simple(**bare, **every, type="ex:OwnEvent", whatever=1),
    ]
    elements = [{"id": "urn:a:b", "attributes": [{"id": "urn:a:c", "attribute": "x"}], "children": ["urn:a:d"]}]
    masters = [{"type": "urn:a:b", "vocabularyElementList": elements}]
    answer = {
        "queryName": "q",
        "subscriptionID": "s",
        "resultsBody": {"eventList": [], "vocabularyList": masters, "ex:a": 1},
    }
    return [
        *(_document(event) for event in events),
        _document(instanceIdentifier="a", sender="b", receiver="c", id="urn:a:b", epcisHeader={"ex:a": 1}),
        _document(epcisHeader={"epcisMasterData": {"vocabularyList": masters}}),
        _document(type="EPCISQueryDocument", epcisBody={"queryResults": answer}),
    ]


def _seeds() -> list[Any]:
    return [*(document for path in _documents() if "type" in (document := _read(path))), *_smallest() * 4]


def test_the_smallest_documents_have_no_fault():
    """The documents from which the sharpest changes start are right themselves."""
    assert [document for document in _smallest() if document_faults(document)] == []


@with_published
def test_ten_thousand_changed_documents_are_judged_as_the_standard_judges_them():
    """Whatever is changed in a published document, taken or refused is the same as by the standard's own schema."""
    theirs = _published_schema()
    taken = 0
    for document in _mutants(_seeds(), MUTANTS, _VALUES, _NAMES):
        faults = document_faults(document)
        assert _taken(faults) == theirs.is_valid(document), json.dumps(document)
        taken += not faults
    assert MUTANTS / 10 < taken < MUTANTS * 9 / 10, "the changes must be of both kinds to say anything"


@with_published
def test_every_awkward_value_at_every_place_is_judged_as_the_standard_judges_it():
    """In the smallest documents fields are taken out or given each awkward value, and objects are given more fields."""
    theirs, words = _published_schema(), sorted(set().union(*WORDS.values()))
    for document in _smallest():
        spots = _spots(document["epcisBody"])
        for holder, key in [*spots, *((document, key) for key in document if key not in ("epcisBody", "type"))]:
            kept = holder[key]
            for value in [*_VALUES, *words] if kind_of(str(key)) or key == "type" else _VALUES:
                holder[key] = value
                assert _taken(document_faults(document)) == theirs.is_valid(document), json.dumps(document)
            holder[key] = kept
            if isinstance(holder, dict):
                whole = dict(holder)
                del holder[key]
                assert _taken(document_faults(document)) == theirs.is_valid(document), json.dumps(document)
                holder.clear()
                holder.update(whole)
        for holder in {id(holder): holder for holder, _ in spots if isinstance(holder, dict)}.values():
            for name in {*_NAMES} - {*holder}:
                holder[name] = 1
                assert _taken(document_faults(document)) == theirs.is_valid(document), json.dumps(document)
                del holder[name]


_ASKED = [
    *(
        "EQ_bizTransaction_po",
        "EQ_source_owning_party",
        "EQ_destination_x",
        "EQ_source_X",
        "EQ_destination_",
        "EQ_value_CEL",
    ),
    *("GE_minValue_CEL", "LT_sDev_A93", "LE_percValue_P1", "GT_quantity_KGM", "EQ_quantity_KGM", "GE_value_KGMXX"),
    *("EQ_minValue_CEL", "EXISTS_errorDeclaration", "EXISTS_sensorElementList", "GE_percRank", "EQ_percRank"),
    *("GE_time", "LT_endTime", "GT_time", "MATCH_anyEPC", "MATCH_epc", "WD_readPoint", "EQ_readPoint", "orderBy"),
    *("eventCountLimit", "maxEventCount", "perPage", "EQ_type", "EQ_booleanValue", "EQ_stringValue", "EQ_uriValue"),
    *(
        "EQ_hexBinaryValue",
        "EQ_errorReason",
        "GE_errorDeclaration_Time",
        "EQ_persistentDisposition_set",
        "nextPageToken",
    ),
]
_ASKED_OF_OWN = [
    f"{test}_{inner}{part}ex:field"
    for test in ("EQ", "GT", "GE", "LT", "LE", "EXISTS", "HASATTR")
    for inner in ("", "INNER_")
    for part in (
        *("", "ILMD_", "ERROR_DECLARATION_", "readPoint_", "bizLocation_"),
        *("SENSORELEMENT_", "SENSORMETADATA_", "SENSORREPORT_"),
    )
] + ["EQ_ATTR_name_value", "EQ_ATTR_name", "EQ_Ex:field", "EQ_ex:fi-eld", "EQ_e:fÄ"]
_ASKED_VALUES = [*_VALUES, ["a"], [1], ["urn:a:b"], ["shipping"], ["ADD"], ["Temperature"], 7, 7.0, "ASC", "DESC"]


def _query_seeds() -> list[Any]:
    return [*(_read(path) for path in _queries() if "Invalid" not in path.parts), {"eventType": ["ObjectEvent"]}, {}]


@with_published
def test_changed_queries_are_judged_as_the_standard_judges_them():
    """Whatever is changed in a named query, taken or refused is the same as by the standard's own schema of queries."""
    theirs, names = _published_query_schema(mended=False), [*_ASKED, *_NAMES]
    taken = 0
    for query in _mutants(_query_seeds(), QUERY_MUTANTS, _ASKED_VALUES, names):
        faults = query_faults(query)
        assert _taken(faults) == theirs.is_valid(query), json.dumps(query)
        taken += not faults
    assert QUERY_MUTANTS / 10 < taken < QUERY_MUTANTS * 9 / 10


@with_published
def test_a_query_may_ask_for_extension_fields():
    """Parameters of extension fields (EQ_ex:field) are taken. The published schema escapes their patterns twice and so
    refuses them all; with that mended, ours is the same.
    """
    theirs, published = _published_query_schema(mended=True), _published_query_schema(mended=False)
    names = [*_ASKED, *_ASKED_OF_OWN]
    for query in _mutants(_query_seeds(), QUERY_MUTANTS, _ASKED_VALUES, names):
        assert _taken(query_faults(query)) == theirs.is_valid(query), json.dumps(query)
    assert query_faults({"EQ_ex:field": ["a"]}) == []
    assert not published.is_valid({"EQ_ex:field": ["a"]}), "mended by the publisher: hold ours against it as it is"


@with_published
def test_every_parameter_takes_what_the_standard_lets_it_take():
    """Each published parameter, and each made after its patterns, is given each awkward value, alone and in a list."""
    theirs = _published_query_schema(mended=True)
    published = _read(GS1 / "REST Bindings/query-schema.json")["definitions"]["EPCIS-Query"]["properties"]
    tests, kinds = ("EQ", "GT", "GE", "LT", "LE"), ("minValue", "maxValue", "meanValue", "sDev", "value", "percValue")
    of_units = [f"{test}_{kind}_KGM" for test in tests for kind in (*kinds, "quantity")]
    for name in [*published, *_ASKED, *_ASKED_OF_OWN, *of_units]:
        for value in _ASKED_VALUES:
            for given in (value, [value]):
                assert _taken(query_faults({name: given})) == theirs.is_valid({name: given}), (name, given)


# --- what is said --------------------------------------------------------------------------------------------------


def test_all_faults_of_all_events_are_told_at_once_each_in_its_place():
    """One answer names every fault of every event, by the concrete field and in the branch of the event's own type."""
    events = [
        _simple(),
        _simple(bizStep="shippping", eventTime="2026-07-01T06:45:00", eventTimeZoneOffset="2h"),
        _simple(type="AggregationEvent", epcList=..., action="ADD", parentID="no uri"),
        _simple(type="TransactionEvent", bizTransactionList=[]),
        _simple(type="TransformationEvent", epcList=..., action=...),
        _simple(type="AssociationEvent", epcList=..., childEPCs=["urn:a:b"]),
        _simple(action="OBSERVE", ilmd={"ex:lot": "1"}),
        _simple(epcList=["urn:a:b", "urn:a:c", "urn:a:b"]),
        _simple(persistentDisposition={}),
        "no event",
        {},
    ]
    assert _places(document_faults(_document(*events))) == {
        ("[1].bizStep", "unknown_biz_step"),
        ("[1].eventTime", "naive_timestamp"),
        ("[1].eventTimeZoneOffset", "bad_offset"),
        ("[2].parentID", "bad_uri"),
        ("[2]", "no_children"),
        ("[3].bizTransactionList", "empty_list"),
        ("[4]", "no_inputs_or_outputs"),
        ("[5].parentID", "missing_field"),
        ("[6]", "ilmd_not_allowed"),
        ("[7].epcList[2]", "repeated_item"),
        ("[8].persistentDisposition", "empty_disposition"),
        ("[9]", "wrong_type"),
        ("[10].type", "missing_field"),
    }


def test_the_nearest_standard_word_is_proposed():
    """A misspelt word, and a word in the old form, are answered with the word as it should have been."""
    for sent in ("shippping", "urn:epcglobal:cbv:bizstep:shipping", "https://ns.gs1.org/cbv/BizStep-shipping"):
        (fault,) = document_faults(_document(_simple(bizStep=sent)))
        assert fault.message == "not a CBV business step, and not a URI of your own"
        assert fault.remedy.startswith("Did you mean shipping?"), sent


def test_no_fault_is_longer_than_a_few_lines_nor_repeats_what_was_sent():
    """However large what was sent, a fault stays short, and tells values of nobody."""
    secret = "Ada Example " * 10_000
    document = _document(_simple(action=secret, eventTime=secret, readPoint=secret, **{secret: secret}), sender=1)
    faults = document_faults(document)
    assert len(faults) == 5
    assert all(len(str(fault)) < 500 for fault in faults)
    assert not [fault for fault in faults if "Ada" in fault.message + fault.remedy]


def test_a_field_of_ones_own_needs_a_namespace():
    """An unknown field without prefix is refused by name; with a prefix or as an address it is taken."""
    assert document_faults(_document(_simple(**{"ex:note": 1, "https://example.com/ns/note": 2}))) == []
    (fault,) = document_faults(_document(_simple(note=1)))
    assert (fault.at, fault.code) == ("$.epcisBody.eventList[0].note", "unknown_field")
    assert "prefix" in fault.remedy
    (fault,) = document_faults(_document(_simple(quantityList=[{"epcClass": "urn:a:b", "ex:note": 1}])))
    assert fault.at == '$.epcisBody.eventList[0].quantityList[0]["ex:note"]'
    assert "prefix" not in fault.remedy, "there no field of one's own is possible"


def test_a_bare_event_must_bring_its_context():
    """A bare event without @context is refused for that alone; a whole document is no bare event."""
    assert event_faults({"@context": "https://ref.gs1.org/x.jsonld", **_simple()}) == []
    assert _places(event_faults(_simple())) == {('$["@context"]', "missing_field")}
    assert _places(event_faults(_document(_simple()))) == {("$.type", "unknown_event_type")}
    assert _places(document_faults({"type": "EPCISDokument"})) == {("$.type", "unknown_event_type")}


@pytest.mark.parametrize("sent", [None, True, 1, "x", [], [{}], {}, {"type": 1}, {"type": None}, {1: 2}, "\ud800"])
def test_what_is_no_document_at_all_is_one_clear_fault(sent: Any):
    """Anything else than a document is answered with one fault, never with an exception."""
    assert len(document_faults(sent)) == len(event_faults(sent)) == 1


def test_too_deep_a_document_is_one_fault_and_exhausts_no_stack():
    """Deeper than the limit is one fault that names where; at the limit all is well; 200,000 levels do no harm."""

    def nested(levels: int, kind: type) -> Any:
        inside: Any = kind()
        for _ in range(levels - 1):
            inside = {"a": inside} if kind is dict else [inside]
        return inside

    outside = 4  # document, body, list, event
    for kind in (dict, list):
        document = _document(_simple(**{"ex:deep": nested(MOST_DEPTH - outside, kind)}))
        assert document_faults(document) == []
        for levels in (MOST_DEPTH - outside + 1, 200_000):
            document = _document(_simple(), _simple(**{"ex:deep": nested(levels, kind)}))
            (fault,) = document_faults(document)
            assert fault.code == "too_deep"
            assert fault.at.startswith('$.epcisBody.eventList[1]["ex:deep"]')
            assert query_faults({"EQ_action": nested(levels + outside, kind)})[0].code == "too_deep"


def test_a_document_full_of_faults_is_answered_with_the_first_thousand():
    """A hopeless document gets an answer of bounded length that says that there is more."""
    many = 50 * MOST_FAULTS
    for document in (
        _document(*[_simple(action="X", bizStep="Y" * 1000)] * many),
        _document(_simple(), **{f"field{number}": 1 for number in range(many)}),
        _document(_simple(**{f"field{number}": "x" * 1000 for number in range(many)})),
        _document(_simple(epcList=["urn:a:b"] * many)),
        _document(_simple(epcList=[{"a": number} for number in range(many)])),
    ):
        faults = document_faults(document)
        assert len(faults) == MOST_FAULTS + 1
        assert faults[-1].code == "more_faults"


# --- the standard's words ------------------------------------------------------------------------------------------


def test_a_standard_word_says_the_same_in_every_form():
    """Short, web address, URN and prefixed forms lead to one another; words of one's own stay as they are."""
    for kind, words in WORDS.items():
        for word in words:
            forms = {word, web(word, kind), urn(word, kind)}
            assert {short(form) for form in forms} == {word}
            assert {web(form, kind) for form in forms} == {web(word, kind)}
    assert web("shipping", "bizStep") == "https://ref.gs1.org/cbv/BizStep-shipping"
    assert urn("in_transit", "disposition") == "urn:epcglobal:cbv:disp:in_transit"
    assert short("https://ns.gs1.org/voc/Temperature") == short("gs1:Temperature") == "Temperature"
    assert short("cbv:SDT-location") == "location"
    assert web("https://example.com/steps/x", "bizStep") == short("https://example.com/steps/x")
    assert web("urn:epcglobal:cbv:disp:reserved", "bizStep") == "urn:epcglobal:cbv:disp:reserved"
    assert kind_of("type", "sourceList") == "sourceDestType"
    assert kind_of("bizStep") == "bizStep"
    assert kind_of("ex:bizStep") is None


@with_published
def test_the_word_lists_are_the_published_ones():
    """The words of our lists and their addresses are those of the published JSON-LD contexts, and no others."""
    files: dict[Kind, str] = {
        "bizStep": "cbv-context-bizstep",
        "disposition": "cbv-context-disposition",
        "errorReason": "cbv-context-error-reason",
        "bizTransactionType": "cbv-context-biztransaction-type",
        "sourceDestType": "cbv-context-sourcedest-type",
        "measurementType": "gs1-context-measurement-type",
        "alertType": "gs1-context-sensor-alert-type",
        "component": "cbv-context-component",
    }
    for kind, name in files.items():
        context = _read(GS1 / f"JSON-LD-Context/{name}.jsonld")["@context"]
        stems = {prefix: address for prefix, address in context.items() if prefix in ("cbv", "gs1")}
        published = {
            word: stems[address.partition(":")[0]] + address.partition(":")[2]
            for word, address in context.items()
            if not word.startswith("@") and word not in stems
        }
        assert published == {word: web(word, kind) for word in WORDS[kind]}, kind
