"""The event hash: exact on everything published, one for every spelling of an event, another for every other event."""

from __future__ import annotations

import copy
import io
import json
import os
import random
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.terms.errors import InvalidInput
from rookery.tracking.epcis.contexts import Names
from rookery.tracking.epcis.documents import events_of
from rookery.tracking.epcis.hash_values import instant, number, text
from rookery.tracking.epcis.hashing import MOST_DEPTH, event_hash, ni, prehash
from rookery.tracking.epcis.xml import read_xml

PUBLISHED = Path(os.environ.get("ROOKERY_DATA", "../shared/data")) / "tracking"
VECTORS = PUBLISHED / "epcis-event-hash" / "tests"
needs_vectors = pytest.mark.skipif(
    not (VECTORS / "examples").is_dir(),
    reason="ROOKERY_DATA (default ../shared/data) holds no tracking/epcis-event-hash folder with the published hashes",
)
needs_gs1 = pytest.mark.skipif(
    not (PUBLISHED / "gs1-epcis" / "XML").is_dir(),
    reason="ROOKERY_DATA (default ../shared/data) holds no tracking/gs1-epcis folder",
)
IGNORED = "{https://repository-x.example.com/}ignoreFields"
NAMES = Names.of([{"ex": "https://ns.example.com/epcis/"}])

# Some published documents hold the elements of an event in an order that the standard's schema forbids.
ELEMENTS = (
    "eventTime", "recordTime", "eventTimeZoneOffset", "eventID", "baseExtension", "bizTransactionList", "parentID",
    "epcList", "childEPCs", "inputEPCList", "outputEPCList", "action", "transformationID", "bizStep", "disposition",
    "readPoint", "bizLocation", "bizTransactionList", "quantityList", "childQuantityList", "inputQuantityList",
    "outputQuantityList", "sourceList", "destinationList", "sensorElementList", "persistentDisposition", "ilmd",
    "extension",
)  # fmt: skip
OUT_OF_ORDER = {"epcisXmlQueryDocHavingEventWithIgnoreFields"}


def with_hashes(ending: str) -> list[Path]:
    """The published documents of one kind that come with their hashes."""
    return [
        path for path in sorted((VECTORS / "examples").glob(f"*.{ending}")) if path.with_suffix(".hashes").is_file()
    ]


def in_json(content: bytes) -> Iterator[tuple[dict, Names, set[str]]]:
    """The events of a JSON-LD document, with their names and the fields that its repository asks to leave out."""
    document = json.loads(content)
    results = document["epcisBody"].get("queryResults", {})
    for sent in events_of(document):
        names = Names.of(sent.context)
        asked = [own for holder in (document, results) for key, own in holder.items() if names.expand(key) == IGNORED]
        yield sent.event, names, {names.expand(field) for fields in asked for field in fields}


def in_xml(content: bytes) -> Iterator[tuple[dict, Names, set[str]]]:
    """The same of an XML document, under the namespaces as its own text declares them."""
    root = ET.fromstring(content)
    spaces = [
        {prefix: space} for _, (prefix, space) in ET.iterparse(io.BytesIO(content), events=("start-ns",)) if prefix
    ]
    ignored = {field.tag for holder in root.iter(IGNORED) for field in holder}
    for sent in events_of(read_xml(content)):
        yield sent.event, Names.of([*sent.context, *spaces], prefixed_values=False), ignored


def mended(content: bytes) -> bytes:
    """An XML document with its events' elements in the standard's order, a bare query's answer in its place."""
    root = ET.fromstring(content)
    for event in root.iter():
        if event.tag.endswith("Event"):
            order = ELEMENTS if event.tag == "TransactionEvent" else ELEMENTS[:5] + ELEMENTS[6:]
            event[:] = sorted(event, key=lambda element: order.index(element.tag) if element.tag in order else 99)
    if root.find("queryName") is not None:
        body = ET.SubElement(root, "EPCISBody")
        results = ET.SubElement(body, "QueryResults")
        for name in ("queryName", "resultsBody"):
            element = root.find(name)
            assert element is not None
            root.remove(element)
            results.append(element)
    return ET.tostring(root)


@needs_vectors
@pytest.mark.parametrize("path", with_hashes("jsonld"), ids=lambda path: path.stem)
def test_published_hashes_of_json_documents(path: Path):
    """Every event of every published JSON-LD document has its published hash."""
    published = path.with_suffix(".hashes").read_text().split()
    assert [ni(event_hash(*event)) for event in in_json(path.read_bytes())] == published


@needs_vectors
@pytest.mark.parametrize("path", with_hashes("xml"), ids=lambda path: path.stem)
def test_published_hashes_of_xml_documents(path: Path):
    """Every event of every published XML document has its published hash."""
    content = path.read_bytes()
    content = mended(content) if path.stem in OUT_OF_ORDER else content
    assert [ni(event_hash(*event)) for event in in_xml(content)] == path.with_suffix(".hashes").read_text().split()


@needs_vectors
def test_no_published_vector_is_left_out():
    """The documents above hold all 63 published hashes: 43 events in JSON-LD, 46 in XML, some in both."""
    published = list((VECTORS / "examples").glob("*.hashes"))
    assert {path.stem for path in published} == {path.stem for path in with_hashes("jsonld") + with_hashes("xml")}

    def hashes(paths: list[Path]) -> int:
        return sum(len(path.with_suffix(".hashes").read_text().split()) for path in paths)

    assert (hashes(published), hashes(with_hashes("jsonld")), hashes(with_hashes("xml"))) == (63, 43, 46)


@needs_vectors
@pytest.mark.parametrize("path", sorted((VECTORS / "expected_equal").glob("*")), ids=lambda path: path.stem)
def test_events_that_are_published_as_equal(path: Path):
    """All events of one such document have one hash."""
    content = path.read_bytes()
    events = list(in_json(content) if path.suffix == ".json" else in_xml(mended(content)))
    assert len(events) > 1
    assert len({event_hash(*event) for event in events}) == 1


@needs_gs1
def test_the_standards_own_set_of_equal_events():
    """Of GS1's seven spellings of one event six have one hash, in XML and JSON; the second has another offset."""
    folder = PUBLISHED / "gs1-epcis" / "XML" / "WithEventHashID"
    lines = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        sents = events_of(json.loads(content) if path.suffix == ".json" else read_xml(content))
        lines[path.stem[-1]] = [prehash(sent.event, Names.of(sent.context)) for sent in sents]
    assert len(lines) == 7
    other = lines.pop("2")
    assert [line.replace("Offset=-05:00", "Offset=-06:00") for line in other] == lines["1"]
    assert all(own == lines["1"] for own in lines.values())


@pytest.mark.skipif(
    not (PUBLISHED / "openepcis-event-hash").is_dir(),
    reason="ROOKERY_DATA (default ../shared/data) holds no tracking/openepcis-event-hash folder",
)
def test_the_other_implementations_document_is_read_through():
    """OpenEPCIS's document of sensor events comes without hashes: each of its events has one of its own."""
    path = next((PUBLISHED / "openepcis-event-hash").rglob("SensorDataExample.json"))
    hashes = [event_hash(*event) for event in in_json(path.read_bytes())]
    assert len(set(hashes)) == len(hashes) > 1


# One event in many spellings -----------------------------------------------------------------------------------------

EVENT: dict[str, Any] = {
    "type": "ObjectEvent",
    "eventTime": "2026-03-04T11:00:30.000+01:00",
    "eventTimeZoneOffset": "+01:00",
    "epcList": ["https://id.gs1.org/00/340123451111111111", "urn:rookery:number:RR123456785BE"],
    "action": "OBSERVE",
    "bizStep": "departing",
    "disposition": "in_transit",
    "persistentDisposition": {"set": ["completeness_inferred", "damaged"]},
    "readPoint": {"id": "https://id.gs1.org/414/4012345000115/254/987", "ex:gate": "G-12"},
    "bizLocation": {"id": "urn:rookery:node:BRU"},
    "quantityList": [
        {"epcClass": "https://id.gs1.org/01/04012345123456/10/L1", "quantity": 3.5, "uom": "KGM"},
        {"epcClass": "https://id.gs1.org/01/04012345123456/10/L2", "quantity": 20},
    ],
    "bizTransactionList": [
        {"type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:4012345000009:A1"},
        {"type": "desadv", "bizTransaction": "urn:epcglobal:cbv:bt:4012345000009:A2"},
    ],
    "sourceList": [{"type": "possessing_party", "source": "https://id.gs1.org/417/4012345000009"}],
    "destinationList": [{"type": "possessing_party", "destination": "https://id.gs1.org/417/4023333000000"}],
    "sensorElementList": [
        {
            "sensorMetadata": {
                "time": "2026-03-04T10:00:00.000Z",
                "bizRules": "https://id.gs1.org/253/4012345000054987",
            },
            "sensorReport": [
                {"type": "Temperature", "value": 4.5, "uom": "CEL", "component": "x"},
                {"type": "RelativeHumidity", "value": 61, "uom": "P1", "bizRules": "https://rules.example/7"},
            ],
        }
    ],
    "ilmd": {"ex:batch": "B7"},
    "ex:code": "OUT",
    "ex:scan": {"ex:belt": ["3", "1", "2"], "ex:operator": {"ex:shift": 2, "ex:trained": True}},
}
HASH = event_hash(EVENT, NAMES)

SPELLINGS = [
    ("2026-03-04T11:00:30.000+01:00", "2026-03-04T10:00:30Z"),
    ("2026-03-04T11:00:30.000+01:00", "2026-03-03T22:00:30.0004-12:00"),
    ("2026-03-04T10:00:00.000Z", "2026-03-04T11:00:00+01:00"),
    ("https://id.gs1.org/00/340123451111111111", "urn:epc:id:sscc:4012345.3111111111"),
    ("https://id.gs1.org/00/340123451111111111", "https://shop.example/x/sscc/340123451111111111?a=b"),
    ("https://id.gs1.org/414/4012345000115/254/987", "urn:epc:id:sgln:4012345.00011.987"),
    ("https://id.gs1.org/01/04012345123456/10/L1", "urn:epc:class:lgtin:4012345.012345.L1"),
    ("https://id.gs1.org/417/4012345000009", "urn:epc:id:pgln:4012345.00000"),
    ("departing", "https://ref.gs1.org/cbv/BizStep-departing"),
    ("departing", "urn:epcglobal:cbv:bizstep:departing"),
    ("departing", "cbv:BizStep-departing"),
    ("in_transit", "urn:epcglobal:cbv:disp:in_transit"),
    ("damaged", "https://ref.gs1.org/cbv/Disp-damaged"),
    ("po", "urn:epcglobal:cbv:btt:po"),
    ("possessing_party", "https://ref.gs1.org/cbv/SDT-possessing_party"),
    ("Temperature", "gs1:Temperature"),
    ("x", "cbv:Comp-x"),
    (20, 20.0),
    (3.5, "3.50"),
    (61, "061.0"),
    ("OUT", " OUT\n"),
    (True, "true"),
]


def replaced(value: Any, old: Any, new: Any) -> Any:
    """The same with one value written otherwise, wherever it stands."""
    if isinstance(value, dict):
        return {key: replaced(own, old, new) for key, own in value.items()}
    if isinstance(value, list):
        return [replaced(own, old, new) for own in value]
    return new if value == old and type(value) is type(old) else value


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same with its keys and its lists in another order: in an event every list is a set."""
    if isinstance(value, dict):
        return {key: shuffled(value[key], chance) for key in chance.sample(list(value), len(value))}
    if isinstance(value, list):
        return [shuffled(own, chance) for own in chance.sample(value, len(value))]
    return value


def leaves(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The way to every single value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not pairs:
        yield path
    for key, own in pairs:
        yield from leaves(own, (*path, key))


def changed(event: dict, path: tuple, change: Callable[[Any], Any]) -> dict:
    """The event with one value changed."""
    other = copy.deepcopy(event)
    holder: Any = other
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = change(holder[path[-1]])
    return other


@pytest.mark.parametrize(("usual", "other"), SPELLINGS)
def test_a_spelling_does_not_count(usual: Any, other: Any):
    """An instant, a word, an identifier or a number written in another of its ways changes nothing."""
    written = replaced(EVENT, usual, other)
    assert written != EVENT or usual == other
    assert event_hash(written, NAMES) == HASH


@given(st.randoms(use_true_random=False), st.sampled_from(["ex", "a", "zz", "rookery"]), st.data())
@settings(max_examples=60)
def test_order_and_prefixes_do_not_count(chance: random.Random, prefix: str, data: st.DataObject):
    """Keys and lists in any order, any name for the prefix, several spellings at once: the same hash."""
    event = EVENT
    for usual, other in data.draw(st.lists(st.sampled_from(SPELLINGS), max_size=6)):
        event = replaced(event, usual, other)
    renamed = json.loads(json.dumps(shuffled(event, chance)).replace('"ex:', f'"{prefix}:'))
    assert event_hash(renamed, Names.of([{prefix: "https://ns.example.com/epcis/"}])) == HASH
    in_full = json.loads(json.dumps(renamed).replace(f'"{prefix}:', '"https://ns.example.com/epcis/'))
    assert event_hash(in_full, Names.of([])) == HASH


@pytest.mark.parametrize("path", list(leaves(EVENT)), ids=lambda path: ".".join(map(str, path)))
def test_every_value_counts(path: tuple):
    """Any single value changed, or left out, makes it another event."""
    different = {
        str: lambda value: value[:-1] + ("7" if value[-1:] != "7" else "8"),
        bool: lambda value: not value,
        int: lambda value: value + 1,
        float: lambda value: value + 0.001,
    }
    assert event_hash(changed(EVENT, path, lambda value: different[type(value)](value)), NAMES) != HASH
    assert event_hash(changed(EVENT, path, lambda value: None), NAMES) != HASH


@given(st.sampled_from(list(EVENT)), st.text(st.characters(codec="utf-8"), min_size=1, max_size=8))
def test_an_extension_more_counts(near: str, value: str):
    """A further field of one's own makes it another event, wherever it stands."""
    event = {**EVENT, "ex:more": value}
    assert event_hash(event, NAMES) != HASH
    holder = changed(EVENT, ("readPoint",), lambda place: {**place, "ex:more": value})
    assert event_hash(holder, NAMES) not in (HASH, event_hash(event, NAMES))


@given(
    st.dictionaries(
        st.sampled_from(["eventID", "recordTime", "errorDeclaration", "@context", "comment", "rdfs:comment"]),
        st.text(max_size=8) | st.lists(st.text(max_size=8), max_size=2),
    )
)
def test_what_the_standard_leaves_out_does_not_count(more: dict):
    """eventID, recordTime, errorDeclaration and comments may say anything; nor do fields that a repository added."""
    assert event_hash({**EVENT, **more}, NAMES) == HASH
    assert event_hash({**EVENT, "ex:added": 1}, NAMES, {"{https://ns.example.com/epcis/}added"}) == HASH
    assert event_hash(changed(EVENT, ("ex:scan",), lambda scan: {**scan, "rdfs:comment": "by hand"}), NAMES) == HASH
    assert event_hash({**EVENT, "childEPCs": [], "certificationInfo": [], "parentID": None}, NAMES) == HASH


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**310)
    | st.floats()
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=16,
)


@given(st.dictionaries(st.sampled_from([*EVENT, "eventTime", "parentID", "ex:free", "free", "#text"]), JSON))
@settings(max_examples=300)
def test_no_json_breaks_the_hash(event: dict):
    """Whatever stands in an event's fields, of the standard or one's own, it has a hash, and the same one again."""
    assert len(event_hash(event, NAMES)) == 32
    assert event_hash(shuffled(event, random.Random(1)), NAMES) == event_hash(event, NAMES)


@pytest.mark.parametrize("field", ["ex:deep", "epcList", "bizStep", "sensorElementList", "ilmd", "readPoint"])
@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"ex:in": inner}, lambda inner: [{"id": inner}]])
def test_values_too_deep_are_refused_with_the_reason(field: str, wrap: Callable[[Any], Any]):
    """Nesting beyond any sense ends in an error that tells what to do; less deep values pass."""
    value: Any = "x"
    for _ in range(20):
        value = wrap(value)
    assert event_hash({**EVENT, field: value}, NAMES) != HASH
    for _ in range(800):
        value = wrap(value)
    with pytest.raises(InvalidInput, match=f"more than {MOST_DEPTH} levels") as told:
        event_hash({**EVENT, field: value}, NAMES)
    assert told.value.code == "epcis.too_deep"


@pytest.mark.parametrize("number_of_digits", [20, 400, 5000])
def test_numbers_beyond_all_measure_count_with_every_digit(number_of_digits: int):
    """Two long numbers that differ in the last digit alone are two, as number and as text, and none is refused."""
    long = 10 ** (number_of_digits - 1) + 7
    hashes = {event_hash({**EVENT, "ex:long": value}, NAMES) for value in (long, long + 1)}
    assert len(hashes) == 2
    digits = "1" + "0" * (number_of_digits - 2)
    assert len({event_hash({**EVENT, "ex:long": digits + end}, NAMES) for end in "12"}) == 2


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("2023-02-02T11:04:03.1415Z", "2023-02-02T11:04:03.142Z"),
        ("2023-02-02T11:04:03.14149999999Z", "2023-02-02T11:04:03.141Z"),
        ("2023-02-02T11:04:03.1425Z", "2023-02-02T11:04:03.143Z"),
        ("2023-12-31T23:59:59.9995Z", "2024-01-01T00:00:00.000Z"),
        ("2023-02-02T11:04:03-05:30", "2023-02-02T16:34:03.000Z"),
        ("2023-02-02T11:04:03", "2023-02-02T11:04:03"),
        ("9999-12-31T23:59:59.9999Z", "9999-12-31T23:59:59.9999Z"),
        ("0001-01-01T00:00:00+10:00", "0001-01-01T00:00:00+10:00"),
        ("yesterday", "yesterday"),
    ],
)
def test_instants_are_in_utc_with_milliseconds(sent: str, said: str):
    """Halves are rounded up, offsets worked out, and what is no instant stays as it came."""
    assert instant(sent, NAMES) == said


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("1.0", "1"), ("0.34340", "0.3434"), ("+007", "7"), ("-0.0", "0"), (".5", "0.5"), ("5.", "5"), ("1e3", "1000"),
        ("12E-1", "1.2"), ("0.00001", "1e-05"), ("1e999", "1e999"), ("1E999999999", "1E999999999"), ("1_000", "1_000"),
        ("١٢", "١٢"), ("nan", "nan"), ("1.2.3", "1.2.3"), ("-", "-"), (" 12 ", "12"), ("12 kg", "12 kg"),
        ("12345678901234567890.10", "12345678901234567890.1"),
    ],
)  # fmt: skip
def test_numbers_have_no_needless_zeros(sent: str, said: str):
    """Texts that are numbers are written in one way, whatever their length; every other text stays."""
    assert text(sent, NAMES) == said


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_the_same_as_its_text(value: float):
    """A number in JSON and its text in XML count as the same, and keep their value."""
    assert number(value) == text(repr(value), NAMES)
    assert float(number(value)) == float(value)
