"""The query side of EPCIS over real HTTP: captured, asked for, paged through, and refused in the standard's words."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from serving_world import Served, Told

from rookery.tracking.epcis.documents import events_of, normalised

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
DATA = Path(os.environ.get("ROOKERY_DATA", "../shared/data"))
EXAMPLES = DATA / "tracking" / "gs1-epcis" / "JSON"
LINK = "https://id.gs1.org/01/04012345987652/21/a%2Fb"


def scan(number: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "ObjectEvent", "eventTime": f"2026-03-02T10:{number:02d}:00Z", "eventTimeZoneOffset": "+00:00",
        "eventID": f"urn:x:http:{number}", "epcList": [f"urn:x:thing:{number}"], "action": "OBSERVE", **more,
    }  # fmt: skip


def capture(served: Served, key: str, *events: dict[str, Any]) -> None:
    document = {
        "@context": [CONTEXT], "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": "2026-03-02T12:00:00Z",
        "epcisBody": {"eventList": list(events)},
    }  # fmt: skip
    told = served.ask("POST", "/epcis/capture", document, key=key)
    assert told.status == 202
    job = served.ask("GET", told.headers["location"], key=key).json
    assert (job["success"], job["errors"]) == (True, [])


def found(told: Told) -> list[dict[str, Any]]:
    assert told.status == 200, told.body
    return told.json["epcisBody"]["queryResults"]["resultsBody"]["eventList"]


def all_pages(served: Served, path: str, key: str) -> list[Told]:
    """Pages by following each Link as it stands."""
    pages = [served.ask("GET", path, key=key)]
    while link := pages[-1].headers.get("link"):
        match = re.fullmatch(r'<(/[!-;=?-~]+)>; rel="next"', link)
        assert match and pages[-1].headers["gs1-next-page-token-expires"]
        pages.append(served.ask("GET", match[1], key=key))
    return pages


@pytest.fixture(scope="module")
def key(served: Served) -> str:
    """A courier's key; its events are those of the tests below."""
    made = served.new_key("courier")
    capture(
        served, made, *(scan(n, bizStep="storing" if n % 2 else "loading") for n in range(12)), scan(59, epcList=[LINK])
    )
    return made


def test_events_are_asked_for_and_paged_through(served: Served, key: str):
    """Parameters in the query string, pages by the Link header, newest first, each event once."""
    pages = all_pages(served, "/epcis/events?EQ_bizStep=storing%7Cloading&perPage=5", key)
    assert [len(found(page)) for page in pages] == [5, 5, 2]
    assert [e["eventID"] for page in pages for e in found(page)] == [f"urn:x:http:{n}" for n in range(11, -1, -1)]
    assert pages[0].headers["gs1-epcis-version"] == "2.0.0"
    assert pages[0].headers["content-type"].startswith("application/json")
    first = "/epcis/events?GE_eventTime=2026-03-02T11%3A10%3A00%2B01%3A00&LT_eventTime=2026-03-02T10:12:00Z"
    assert {e["eventID"] for e in found(served.ask("GET", first, key=key))} == {"urn:x:http:10", "urn:x:http:11"}


def test_ids_and_things_are_named_in_the_path(served: Served, key: str):
    """URIs stand in paths percent-encoded, with slashes and percent signs of their own."""
    assert [
        e["eventID"] for e in found(served.ask("GET", f"/epcis/events/{quote('urn:x:http:3', safe='')}", key=key))
    ] == ["urn:x:http:3"]
    place = f"/epcis/epcs/{quote(LINK, safe='')}"
    assert served.ask("GET", place, key=key).json["member"] == ["events"]
    (event,) = found(served.ask("GET", f"{place}/events?EQ_action=OBSERVE", key=key))
    assert event["epcList"] == [LINK]
    pages = all_pages(served, "/epcis/bizSteps/storing/events?perPage=4", key)
    assert [len(found(page)) for page in pages] == [4, 2]
    members = [one for page in all_pages(served, "/epcis/epcs?perPage=6", key) for one in page.json["member"]]
    assert members == sorted(members) and len(members) == 13 and LINK in members
    assert {"events", "queries"} <= {*served.ask("GET", "/epcis", key=key).json["member"]}


def test_refusals_are_the_standards_exceptions(served: Served, key: str):
    """Bad questions, unknown names and formats that are not made: the standard's type, every fault, the next action."""
    told = served.ask("GET", "/epcis/events?EQ_bizSteps=x&GE_eventTime=now&EQ_action=ADD&EQ_action=ADD", key=key)
    assert (told.status, told.json["type"]) == (400, "epcisException:QueryParameterException")
    told = served.ask("GET", "/epcis/events?EQ_bizSteps=x&GE_eventTime=now", key=key)
    assert (told.status, told.json["type"]) == (400, "epcisException:QueryParameterException")
    assert {fault["at"] for fault in told.json["errors"]} == {"query.EQ_bizSteps", "query.GE_eventTime"}
    told = served.ask("GET", "/epcis/events", key=key, headers={"GS1-EPC-Format": "Always_EPC_URN"})
    assert (told.status, told.json["type"]) == (406, "epcisException:NotAcceptableException")
    for path in ("/epcis/events/urn:x:none", "/epcis/epcs/urn:x:none", "/epcis/epcs/urn:x:none/events"):
        told = served.ask("GET", path, key=key)
        assert (told.status, told.json["type"]) == (404, "epcisException:NoSuchResourceException")
    told = served.ask("GET", "/epcis/queries/none/events", key=key)
    assert (told.status, told.json["type"]) == (404, "epcisException:NoSuchNameException")
    told = served.ask("GET", "/epcis/events?EQ_bizStep=storing&maxEventCount=1", key=key)
    assert (told.status, told.json["type"]) == (413, "epcisException:QueryTooLargeException")
    assert served.ask("GET", "/epcis/events").status == 401
    assert served.ask("DELETE", "/epcis/nextPageToken/abc", key=key).status == 404


def test_another_party_is_answered_as_if_there_were_nothing(served: Served, key: str):
    """What a party may not see is answered byte for byte as what is not there."""
    other = served.new_key("merchant")
    for there, nowhere in (
        ("/epcis/events/urn:x:http:3", "/epcis/events/urn:x:http:none"),
        ("/epcis/epcs/urn:x:thing:3/events", "/epcis/epcs/urn:x:thing:none/events"),
        ("/epcis/bizSteps/storing", "/epcis/bizSteps/none"),
    ):
        answers = []
        for path in (there, nowhere):
            told = served.ask("GET", path, key=other)
            kept = {k: v for k, v in told.json.items() if k not in ("instance", "request_id")}
            answers.append((told.status, kept))
        assert answers[0] == answers[1] and answers[0][0] == 404
    assert found(served.ask("GET", "/epcis/events?MATCH_anyEPC=urn:x:thing:3", key=other)) == []
    stolen = served.ask("GET", "/epcis/events?perPage=2", key=key).headers["link"].split(">")[0][1:]
    assert served.ask("GET", stolen, key=other).status == 400


def test_named_queries_live_under_their_names(served: Served, key: str):
    """Made with 201 and a Location, listed as the standard has it, asked, and deleted with 204."""
    query = {"EQ_bizStep": ["loading"]}
    told = served.ask("POST", "/epcis/queries", {"name": "loads", "query": query}, key=key)
    assert (told.status, told.headers["location"]) == (201, "/epcis/queries/loads")
    assert served.ask("POST", "/epcis/queries", {"name": "loads", "query": {}}, key=key).status == 409
    assert served.ask("GET", "/epcis/queries", key=key).json == [{"name": "loads", "query": query}]
    assert len(found(served.ask("GET", "/epcis/queries/loads/events", key=key))) == 6
    told = served.ask("GET", "/epcis/queries/loads/events?stream=true", key=key)
    assert told.status == 400 and "not offered" in told.json["detail"]
    told = served.ask("DELETE", "/epcis/queries/loads", key=key)
    assert (told.status, told.body) == (204, b"")
    assert served.ask("GET", "/epcis/queries/loads", key=key).status == 404


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason=f"GS1's examples are not at {EXAMPLES}; set ROOKERY_DATA")
def test_every_example_of_the_standard_comes_back_as_it_was_sent(served: Served):
    """What a party captured it gets back, whatever the form, equal when normalised."""
    examples = sorted(EXAMPLES.rglob("*.jsonld"))
    assert len(examples) >= 40
    for example in examples:
        document = json.loads(example.read_text("utf-8"))
        if document.get("type") not in ("EPCISDocument", "EPCISQueryDocument"):
            continue
        who = served.new_key("courier")
        told = served.ask("POST", "/epcis/capture", example.read_bytes(), key=who)
        assert told.status == 202, (example.name, told.body)
        sent = [normalised(one.event, one.context, ("eventID", "recordTime")) for one in events_of(document)]
        for form in ("Always_GS1_Digital_Link", "Never_Translates"):
            pages = [served.ask("GET", "/epcis/events?perPage=1000", key=who, headers={"GS1-EPC-Format": form})]
            back = [normalised(o.event, o.context, ("eventID", "recordTime")) for p in pages for o in events_of(p.json)]
            assert all(one in back for one in sent) and all(one in sent for one in back), (example.name, form)
