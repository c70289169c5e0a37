"""What the door does for acts with headers, open queries, several kinds of body and paths that hold URIs, and the
headers of a family of paths: over real HTTP, with acts that only these tests know (trial_acts).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ports import held_port
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from schemathesis.specs.openapi.definitions import OPENAPI_31
from serving_world import Served

from rookery.doors.http.families import family_of, headers_at, refuse_who_reads_none
from rookery.doors.http.paths import routed, value_of
from rookery.terms.errors import NotAcceptable

HERE = Path(__file__).parent
LINK = "https://id.gs1.org/00/095200000000000004"
TRIALS = ("trial.capture", "trial.define", "trial.epc_events", "trial.events", "trial.remove")
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
for media in ("application/xml", "text/xml", "application/ld+json"):
    schemathesis.openapi.media_type(media, st.binary(max_size=200))


@pytest.fixture(scope="module")
def trial(tmp_path_factory) -> Iterator[Served]:
    """A server whose table holds the acts of trial_acts; it has no database."""
    folder = tmp_path_factory.mktemp("trial")
    served: Any = Served(folder, None, None, folder / "server.log")  # type: ignore[arg-type]
    try:
        with held_port(served.host) as served.port:
            served.run([sys.executable, "trial_acts.py", str(served.port)], "/health", HERE)
        yield served
    finally:
        served.stop()


@pytest.fixture(scope="module")
def document(trial: Served) -> dict[str, Any]:
    """The OpenAPI document that is served."""
    return trial.ask("GET", "/openapi.json").json


def test_a_reply_has_headers_and_a_status_of_its_own(trial: Served):
    """Headers that an act gives stand on its answer, and another status where it gave one."""
    made, again = (trial.ask("POST", "/epcis/queries", {"name": name}) for name in ("late", "again"))
    assert (made.status, made.json["name"], made.headers["location"]) == (201, "late", "/epcis/queries/6c617465")
    assert (again.status, again.headers["location"]) == (200, "/epcis/queries/616761696e")
    assert 'rel="next"' in trial.ask("GET", "/epcis/events?more=1").headers["link"]
    assert "link" not in trial.ask("GET", "/epcis/events").headers


def test_a_reply_without_a_body(trial: Served):
    """Whatever its status, it has no media type either."""
    for name, status in (("now", 204), ("later", 202)):
        told = trial.ask("DELETE", f"/epcis/queries/{name}")
        assert (told.status, told.body, "content-type" in told.headers) == (status, b"", False)


def test_a_header_that_the_mark_does_not_name_is_a_fault_of_ours(trial: Served):
    """What the document does not tell is not answered either."""
    told = trial.ask("GET", "/epcis/break?name=x")
    assert (told.status, told.json["type"]) == (500, "epcisException:ImplementationException")
    assert "x-other" not in told.headers


def test_headers_are_parts_of_the_question(trial: Served):
    """They arrive in their field, are checked as it says, and faults are told with those of the body and the query."""
    sent = {"GS1-EPC-Format": "Never_Translates"}
    assert trial.ask("GET", "/epcis/events", headers=sent).json["form"] == "Never_Translates"
    assert trial.ask("POST", "/epcis/queries", {"name": "a"}, headers=sent).json["form"] == "Never_Translates"
    assert trial.ask("POST", "/epcis/queries", {"name": "a"}).json["form"] is None
    wrong = {"GS1-EPC-Format": "Ada"}
    told = trial.ask("GET", "/epcis/events?perPage=0", headers=wrong)
    assert (told.status, [fault["at"] for fault in told.json["errors"]]) == (
        422, ["header.GS1-EPC-Format", "query.perPage"],
    )  # fmt: skip
    told = trial.ask("POST", "/epcis/queries", {"name": ""}, headers=wrong)
    assert [fault["at"] for fault in told.json["errors"]] == ["header.GS1-EPC-Format", "$.name"]
    assert b"Ada" not in told.body
    twice = [("GS1-EPC-Format", "No_Preference"), ("GS1-EPC-Format", "Never_Translates")]
    assert trial.ask("GET", "/epcis/events", headers=twice).status == 422


def test_what_a_header_tells_stands_nowhere_else(trial: Served):
    """Neither in the body nor in the query, also where the header was not sent."""
    told = trial.ask("POST", "/epcis/queries", {"name": "a", "form": "No_Preference"})
    assert (told.status, told.json["errors"][0]["at"]) == (422, "$.form")
    told = trial.ask("POST", "/epcis/capture?behaviour=proceed", b"{}")
    assert (told.status, told.json["errors"][0]["code"]) == (422, "unknown_field")
    assert trial.ask("GET", "/epcis/events?form=x").json["parameters"] == {"form": ["x"]}


@pytest.mark.parametrize(
    ("sent", "media"),
    [
        ("application/json", "application/json"), ("application/ld+json", "application/ld+json"),
        ("Application/XML; charset=utf-8", "application/xml"), ("text/xml", "text/xml"), ("", "application/json"),
    ],
)  # fmt: skip
def test_a_body_of_several_kinds_comes_with_its_kind(trial: Served, sent, media):
    """As it is, with its media type, by default the first that is taken."""
    headers = {"Content-Type": sent, "GS1-Capture-Error-Behaviour": "proceed"}
    told = trial.ask("POST", "/epcis/capture", b"<a>\xff</a>", headers=headers)
    assert (told.status, told.headers["location"]) == (202, "/epcis/capture/1")
    assert told.json == {"size": 8, "media": media, "behaviour": "proceed"}


def test_other_kinds_and_sizes_are_refused_in_the_family_s_words(trial: Served):
    """415 and 413, the latter with the limits."""
    told = trial.ask("POST", "/epcis/capture", b"x", headers={"Content-Type": "text/csv"})
    assert (told.status, told.json["type"]) == (415, "epcisException:UnsupportedMediaTypeException")
    told = trial.ask("POST", "/epcis/capture", b"x" * 5000)
    assert (told.status, told.json["type"]) == (413, "epcisException:CaptureLimitExceededException")
    assert told.headers["gs1-epcis-capture-file-size-limit"] == "4096"
    assert int(told.headers["gs1-epcis-capture-limit"]) > 0


def test_an_open_query_takes_any_parameter(trial: Served):
    """Decoded, repeated ones together in their order, beside the fields that the act has itself."""
    query = "EQ_bizStep=shipping&EQ_bizStep=receiving&perPage=5&EQ_https%3A%2F%2Fns.example%2Fa%23b=%C3%A4+1&empty="
    told = trial.ask("GET", f"/epcis/events?{query}")
    assert told.json == {
        "epc": "", "form": "No_Preference", "per_page": 5,
        "parameters": {
            "EQ_bizStep": ["shipping", "receiving"], "EQ_https://ns.example/a#b": ["ä 1"], "empty": [""],
        },
    }  # fmt: skip
    assert trial.ask("GET", "/epcis/events?perPage=1&perPage=2").json["errors"][0]["code"] == "given_twice"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("x=" + "y" * 8200, 414), ("&".join(f"a{n}=1" for n in range(101)), 400), ("x" * 201 + "=1", 422), ("=1", 422),
        ("a=%00", 422), ("a%00=1", 422), ("a=%ff", 400), ("&".join(["a=1"] * 100), 200), ("x" * 200 + "=1", 200),
    ],
)  # fmt: skip
def test_an_open_query_has_bounds(trial: Served, query, status):
    """Of its length, of the count and the names of its parameters."""
    told = trial.ask("GET", f"/epcis/events?{query}")
    assert told.status == status
    if status == 414:
        assert (told.code, told.json["type"]) == ("query.too_long", "epcisException:URITooLongException")


@pytest.mark.parametrize(
    "epc",
    [LINK, "urn:epc:id:sscc:0952000.0000000004", "a%2Fb", "100%", "/", "//x/", "ä ö/%25", "https://a.example/x?y=1#z"],
)
def test_a_uri_in_a_path_arrives_decoded_and_whole(trial: Served, epc):
    """Slashes and percent signs of a value are its own, whichever it holds."""
    told = trial.ask("GET", f"/epcis/epcs/{quote(epc, safe=':')}/events?a=1")
    assert (told.status, told.json["epc"], told.json["parameters"]) == (200, epc, {"a": ["1"]})
    assert trial.ask("OPTIONS", f"/epcis/epcs/{quote(epc, safe='')}/events").headers["allow"] == "GET, HEAD, OPTIONS"


def test_slashes_that_were_sent_as_such_part_the_path(trial: Served):
    """What is not encoded is another place; letters that need no encoding are the same encoded."""
    assert trial.ask("GET", f"/epcis/epcs/{LINK}/events").status == 404
    assert trial.ask("GET", "/%65pcis/%65vents").status == 200
    assert trial.ask("GET", "/epcis%2Fevents").status == 404
    assert trial.ask("GET", "/epcis/epcs/a%0ab/events").status == 404


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_every_path_comes_apart_where_it_was_put_together(segments):
    """Whatever the segments hold, they are told apart again and each is what it was."""
    raw = "/".join(quote(segment, safe="") for segment in segments).encode()
    assert [value_of(segment) for segment in routed(raw).split("/")] == segments


def test_every_answer_of_a_family_has_its_headers(trial: Served):
    """Good ones, problems of every kind and OPTIONS; no answer elsewhere has them."""
    for method, path, body in (
        ("GET", "/epcis/events", None), ("GET", "/epcis/none", None), ("PUT", "/epcis/events", None),
        ("OPTIONS", "/epcis/events", None), ("POST", "/epcis/queries", b"{"), ("DELETE", "/epcis/queries/none", None),
        ("DELETE", "/epcis/queries/a", None),
    ):  # fmt: skip
        headers = trial.ask(method, path, body).headers
        assert (headers["gs1-epcis-version"], headers["gs1-cbv-version"]) == ("2.0.0", "2.0.0"), (method, path)
        assert headers["gs1-extensions"] and headers["gs1-vendor-version"]
    for path in ("/health", "/epcisx", "/openapi.json"):
        assert not [name for name in trial.ask("GET", path).headers if name.startswith("gs1-")]


def test_options_tell_what_is_spoken(trial: Served):
    """Versions and formats at every place, how much may be captured at those where it can be."""
    told = trial.ask("OPTIONS", "/epcis/capture")
    assert (told.status, told.body, told.headers["allow"]) == (204, b"", "OPTIONS, POST")
    assert {told.headers[f"gs1-{name}-{end}"] for name in ("epcis", "cbv") for end in ("min", "max")} == {"2.0.0"}
    assert told.headers["gs1-epc-format"] == "No_Preference, Always_GS1_Digital_Link, Never_Translates"
    assert told.headers["gs1-capture-error-behaviour"] == "all"
    assert told.headers["gs1-epcis-capture-file-size-limit"] == "4096"
    other = trial.ask("OPTIONS", "/epcis/queries").headers
    assert "gs1-epcis-min" in other and "gs1-epcis-capture-limit" not in other


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("GS1-EPCIS-Version", "2.0.0", 200), ("GS1-EPCIS-Version", "2.0", 200), ("GS1-EPCIS-Version", "1.2", 406),
        ("GS1-EPCIS-Min", "1.0", 200), ("GS1-EPCIS-Min", "2.1", 406), ("GS1-EPCIS-Max", "3", 200),
        ("GS1-EPCIS-Max", "1.9.9", 406), ("GS1-CBV-Version", "2", 200), ("GS1-CBV-Min", "2.0.1", 406),
        ("GS1-CBV-Max", "1.2.0", 406), ("GS1-CBV-Max", "x", 406), ("GS1-CBV-Min", "9" * 5000, 406),
        ("Accept", "*/*", 200), ("Accept", "application/xml", 406), ("Accept", "text/xml, application/*;q=0.1", 200),
        ("Accept", "application/ld+json", 200), ("Accept", "application/json;q=0, */*;q=0.0", 406),
        ("Accept", "text/html, APPLICATION/JSON; q=0.2", 200), ("Accept", ";;,q", 406),
    ],
)  # fmt: skip
def test_who_reads_nothing_that_is_answered_hears_so(trial: Served, name, value, status):
    """Versions that leave out the one that is spoken, and kinds that are no JSON, before anything is done."""
    told = trial.ask("GET", "/epcis/events", headers={name: value})
    assert told.status == status
    if status == 406:
        assert (told.code, told.json["type"]) == ("http.not_acceptable", "epcisException:NotAcceptableException")
        assert [fault["at"] for fault in told.json["errors"]] == [f"header.{name}"]


def test_all_that_is_not_read_is_told_at_once():
    """Every reason is a fault; outside of a family nothing is asked for."""
    unread = {"gs1-epcis-max": "1.2", "gs1-cbv-version": "1.2", "accept": "text/xml"}
    with pytest.raises(NotAcceptable) as told:
        refuse_who_reads_none("/epcis/events", unread)
    assert [fault.at for fault in told.value.faults] == [
        "header.GS1-EPCIS-Max",
        "header.GS1-CBV-Version",
        "header.Accept",
    ]
    refuse_who_reads_none("/orders", unread)
    assert family_of("/orders") is None and headers_at("/orders", "OPTIONS", 204) == {}


def test_problems_have_the_family_s_types(trial: Served):
    """By the error's code where it names one, else by the status, else our own; all have a title and a status."""
    for told, of in (
        (trial.ask("DELETE", "/epcis/queries/none"), "epcisException:NoSuchNameException"),
        (trial.ask("POST", "/epcis/queries", {"name": "taken"}), "epcisException:ResourceAlreadyExistsException"),
        (trial.ask("POST", "/epcis/queries", {"name": "bare"}), "epcisException:ValidationException"),
        (trial.ask("POST", "/epcis/queries", b"{"), "epcisException:ValidationException"),
        (trial.ask("GET", "/epcis/none"), "epcisException:NoSuchResourceException"),
        (trial.ask("PUT", "/epcis/events"), "/problems/http.method"),
        (trial.ask("GET", "/none"), "/problems/http.no_such_place"),
    ):
        assert (told.headers["content-type"], told.json["type"]) == ("application/problem+json", of)
        assert told.json["title"] and told.json["status"] == told.status


def test_the_document_tells_all_of_it(document):
    """It is OpenAPI 3.1, with headers, open queries, kinds of bodies and every status."""
    errors = jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(document)
    assert [f"{list(error.instance_path)}: {error.message[:300]}" for error in errors] == []
    capture, events = document["paths"]["/epcis/capture"]["post"], document["paths"]["/epcis/events"]["get"]
    assert list(capture["requestBody"]["content"]) == [
        "application/json", "application/ld+json", "application/xml", "text/xml",
    ]  # fmt: skip
    asked = {(one["in"], one["name"]): one["schema"] for one in capture["parameters"]}
    assert asked["header", "GS1-Capture-Error-Behaviour"]["pattern"] == "^(rollback|proceed)$"
    assert {place for place, _ in asked} == {"header"} and ("header", "GS1-EPCIS-Min") in asked
    assert {"Location", "GS1-EPCIS-Version"} <= set(capture["responses"]["202"]["headers"])
    asked = {(one["in"], one["name"]): one for one in events["parameters"]}
    assert asked["query", "parameters"] | {"description": ""} == {
        "name": "parameters", "in": "query", "required": False, "style": "form", "explode": True, "description": "",
        "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    }  # fmt: skip
    assert ("query", "perPage") in asked and ("header", "GS1-EPC-Format") in asked and ("query", "form") not in asked
    assert {"200", "406", "414"} <= set(events["responses"])
    define, remove = document["paths"]["/epcis/queries"]["post"], document["paths"]["/epcis/queries/{name}"]["delete"]
    assert set(define["requestBody"]["content"]["application/json"]["schema"]["properties"]) == {"name"}
    assert {"200", "201"} <= set(define["responses"]) and "content" not in remove["responses"]["204"]


@pytest.mark.parametrize("name", TRIALS)
def test_nothing_that_is_made_up_breaks_the_document(name, trial: Served, document):
    """No answer of 500 or above, no status, header and shape that the document does not tell."""
    path, method = next(
        (path, method)
        for path, of in document["paths"].items()
        for method, op in of.items()
        if op["operationId"] == name
    )
    told: set[int] = set()

    def ask(case) -> None:
        told.add(case.call_and_validate(base_url=trial.url, checks=CHECKS, timeout=300).status_code)

    plan = settings(
        max_examples=40, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),  # type: ignore[arg-type]
    )  # fmt: skip
    plan(given(case=schemathesis.openapi.from_dict(document)[path][method].as_strategy())(ask))()
    assert any(status < 300 for status in told), told
