"""Documents taken apart into events and put together again, and what an event says whatever its spelling."""

from __future__ import annotations

import copy
import json
import os
import random
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.terms.errors import Unreadable
from rookery.tracking.epcis.contexts import STANDARD_CONTEXT
from rookery.tracking.epcis.documents import document_of, event_document, events_of, normalised, read_json
from rookery.tracking.epcis.schema import document_faults, event_faults
from rookery.tracking.epcis.vocabulary import WORDS, urn, web

PUBLISHED = Path(os.environ.get("ROOKERY_DATA", "../shared/data")) / "tracking"
EXAMPLES = PUBLISHED / "gs1-epcis/JSON"
OPENEPCIS = PUBLISHED / "openepcis-test-resources/core/src/main/resources/2.0/EPCIS/JSON"
with_published = pytest.mark.skipif(
    not EXAMPLES.exists(),
    reason="ROOKERY_DATA (default ../shared/data) holds no tracking/gs1-epcis/JSON folder with the standard's examples",
)
AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
EX = {"ex": "https://example.com/ns/"}


def _scan(**fields: Any) -> dict[str, Any]:
    return {
        "type": "ObjectEvent",
        "eventTime": "2026-07-01T06:45:00.000+02:00",
        "eventTimeZoneOffset": "+02:00",
        "action": "OBSERVE",
        "epcList": ["https://id.gs1.org/00/095211410123456787"],
        "bizStep": "shipping",
        **fields,
    }


def _documents() -> list[Path]:
    valid = [path for path in sorted(OPENEPCIS.rglob("*.json")) if not {"Invalid", "Queries"} & set(path.parts)]
    return [*sorted(EXAMPLES.rglob("*.jsonld")), *valid]


@with_published
def test_every_published_document_comes_back_saying_the_same():
    """Taken apart and put together, every event of every published document says what it said, in a right document."""
    count = 0
    for path in _documents():
        sent = events_of(json.loads(path.read_text("utf-8")))
        count += len(sent)
        answer = document_of(((one.event, one.context) for one in sent), created_at=AT)
        back = events_of(json.loads(json.dumps(answer)))
        assert [normalised(one.event, one.context) for one in back] == [
            normalised(one.event, one.context) for one in sent
        ], path
        if path.is_relative_to(EXAMPLES):
            assert document_faults(answer) == [], path
            assert not [one for one in sent if event_faults(event_document(one.event, one.context))], path
    assert count > 100


NAMES = st.sampled_from(["ex:a", "ex:b", "https://example.com/ns/c", "own:d"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6) | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(NAMES, inside, max_size=3),
    max_leaves=8,
)
CONTEXTS = st.lists(
    st.sampled_from([EX, {"own": "urn:example:own:"}, "https://example.com/other.jsonld", {"own": "urn:example:two:"}]),
    max_size=3,
    unique_by=json.dumps,
)


@given(st.lists(st.tuples(st.dictionaries(NAMES, VALUES, max_size=3), CONTEXTS), max_size=4), CONTEXTS)
def test_events_and_their_contexts_survive_being_put_together_and_taken_apart(
    events: list[tuple[dict[str, Any], list[Any]]], shared: list[Any]
):
    """Whatever fields and contexts events have, they come back under the same contexts with the same fields."""
    document = {
        "@context": [STANDARD_CONTEXT, *shared],
        "type": "EPCISDocument",
        "epcisBody": {"eventList": [_scan(**own, **{"@context": context}) for own, context in events]},
    }
    sent = events_of(document)
    assert [one.event for one in sent] == [_scan(**own) for own, _ in events]
    for one, (_, context) in zip(sent, events, strict=True):
        assert normalised(one.event, one.context) == normalised(one.event, [*shared, *context])
    answer = document_of([(one.event, one.context) for one in sent], created_at=AT, query_name="q", subscription_id="s")
    back = events_of(json.loads(json.dumps(answer)))
    assert [(one.event, one.context) for one in back] == [(one.event, one.context) for one in sent]
    for one in sent:
        assert events_of(event_document(one.event, one.context))[0].event == one.event
        assert normalised(one.event, one.context) == normalised(copy.deepcopy(one.event), list(one.context))


def test_each_event_tells_its_place_and_its_contexts():
    """The document's contexts come first, then the event's own; the standard's address is not among them."""
    document = {
        "@context": ["https://gs1.github.io/EPCIS/epcis-context.jsonld", EX],
        "type": "EPCISDocument",
        "epcisBody": {"eventList": [_scan(), _scan(**{"@context": {"own": "urn:x:"}})]},
    }
    first, second = events_of(document)
    assert (first.context, first.at) == ((EX,), "$.epcisBody.eventList[0]")
    assert (second.context, second.at) == ((EX, {"own": "urn:x:"}), "$.epcisBody.eventList[1]")
    assert second.event == _scan()
    (bare,) = events_of({"@context": STANDARD_CONTEXT, **_scan()})
    assert (bare.event, bare.context, bare.at) == (_scan(), (), "$")
    answer = document_of([(first.event, first.context), (_scan(), ())], created_at=AT)
    assert answer["creationDate"] == "2026-07-01T12:00:00.000Z"
    assert answer["epcisBody"]["queryResults"]["queryName"] == "SimpleEventQuery"
    listed = answer["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert listed == [{"@context": [EX], **_scan()}, _scan()]
    assert events_of(answer)[1].at == "$.epcisBody.queryResults.resultsBody.eventList[1]"


MOMENT = datetime(2026, 7, 1, 4, 45, tzinfo=UTC)


@given(
    st.randoms(use_true_random=False),
    st.integers(-13 * 60, 13 * 60),
    st.sampled_from(sorted(WORDS["bizStep"])),
    st.sampled_from(["own", "ex", "zz"]),
)
def test_the_same_event_in_other_spellings_says_the_same(dice: random.Random, offset: int, step: str, prefix: str):
    """Other prefixes, offsets, forms of words and identifiers, orders, empty lists and comments change nothing."""
    plain = _scan(
        eventTime="2026-07-01T04:45:00.000Z",
        bizStep=step,
        epcList=["https://id.gs1.org/01/70614141123451/21/2017", "https://id.gs1.org/01/70614141123451/21/2018"],
        sourceList=[{"type": "location", "source": "https://id.gs1.org/414/0614141000012"}],
        certificationInfo=["urn:a:b"],
        **{"ex:note": ["b", "a"], "ex:lot": {"ex:no": 7}},
    )
    elsewhere = MOMENT.astimezone(timezone(timedelta(minutes=offset))).isoformat()
    other = [
        ("eventTime", elsewhere),
        ("bizStep", dice.choice([step, web(step, "bizStep"), urn(step, "bizStep"), f"cbv:BizStep-{step}"])),
        ("epcList", ["urn:epc:id:sgtin:0614141.712345.2018", "https://example.com/01/70614141123451/21/2017?a=b"]),
        ("sourceList", [{"source": "urn:epc:id:sgln:0614141.00001.0", "type": "https://ref.gs1.org/cbv/SDT-location"}]),
        ("certificationInfo", "urn:a:b"),
        (f"{prefix}:note", ["a", "b"]),
        ("https://example.com/ns/lot", [{f"{prefix}:no": 7.0}]),
        ("quantityList", []),
        ("rdfs:comment", "only for people"),
        *((name, plain[name]) for name in ("type", "eventTimeZoneOffset", "action")),
    ]
    dice.shuffle(other)
    assert normalised(dict(other), [{prefix: EX["ex"]}]) == normalised(plain, [EX])


@pytest.mark.parametrize(
    "change",
    [
        {"eventTime": "2026-07-01T06:45:00.001+02:00"},
        {"eventTimeZoneOffset": "+03:00"},
        {"bizStep": "receiving"},
        {"bizStep": "https://example.com/BizStep-shipping"},
        {"epcList": ["https://id.gs1.org/00/095211410123456794"]},
        {"ex:note": "c"},
        {"ex:note": False},
        {"ex:other": "b"},
        {"errorDeclaration": {"declarationTime": "2026-07-02T00:00:00Z"}},
    ],
)
def test_an_event_that_says_something_else_is_told_apart(change: dict[str, Any]):
    """One other instant, word, identifier or field of one's own makes another event."""
    plain = _scan(**{"ex:note": 0})
    assert normalised({**plain, **change}, [EX]) != normalised(plain, [EX])
    assert normalised(plain, [{"ex": "https://example.com/elsewhere/"}]) != normalised(plain, [EX])


def test_fields_that_do_not_matter_are_left_out_on_demand():
    """What the store gives an event beside what was sent can be left out of the comparison."""
    kept = _scan(eventID="ni:///sha-256;00?ver=CBV2.0", recordTime="2026-07-01T12:00:00Z")
    assert normalised(kept, [], without=("eventID", "recordTime")) == normalised(_scan(), [])
    assert normalised(kept, []) != normalised(_scan(), [])


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1,]", b"<xml/>", b'{"a": NaN}', b'"\xff"', b'"\\ud800"', b"[" * 1_000_000, b'{"a":' * 10**6],
)
def test_what_is_no_json_is_refused_with_one_clear_error(content: bytes):
    """Broken, half and endlessly nested JSON is refused as unreadable, with the next action."""
    with pytest.raises(Unreadable) as told:
        read_json(content)
    assert told.value.code == "unreadable_json"
    assert told.value.action


def test_a_byte_order_mark_is_passed_over():
    """JSON with a byte order mark is read like any other."""
    assert read_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
