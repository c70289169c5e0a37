"""Scans over real HTTP: who may send them, what is refused as a whole, and the table of codes as a file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from serving_world import Served, Told

CSV = {"Content-Type": "text/csv"}


@pytest.fixture(scope="module")
def courier(served: Served) -> str:
    """A courier's key."""
    return served.new_key("courier")


def scan(number: str, code: str = "arrived", **more: Any) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(hours=1)
    return {"number": number, "at": at.isoformat(timespec="seconds"), "code": code, **more}


def send(served: Served, key: str | None, *scans: Any, **more: Any) -> Told:
    headers = more.pop("headers", {})
    return served.ask("POST", "/scans", {"scans": list(scans), **more}, key=key, headers=headers)


@pytest.mark.parametrize(
    ("scope", "status"), [("courier", 200), ("station", 200), ("operator", 200), ("merchant", 403)]
)
def test_who_may_send_scans(served: Served, scope, status):
    """Couriers, stations and operators; nobody without a key."""
    assert send(served, served.new_key(scope), scan("P-1000")).status == status
    assert send(served, None, scan("P-1000")).status == 401


def test_a_batch_is_answered_scan_by_scan(served: Served, courier):
    """Counts of all, and more only of those of which there is more to say."""
    good, bad = scan("BAG-77", "bagged", contents=["P-1001"], id="S-1"), scan("P-1002") | {"at": "2026-03-02T08:00:00"}
    told = send(served, courier, good, bad, scan("BAG-77", "departed"))
    assert told.status == 200
    assert {name: told.json[name] for name in ("taken", "repeated", "refused")} == {
        "taken": 2, "repeated": 0, "refused": 1,
    }  # fmt: skip
    assert [(one["scan"], one["state"]) for one in told.json["results"]] == [(0, "taken"), (1, "refused")]
    assert told.json["results"][1]["faults"][0]["at"] == "$.scans[1].at"
    again = send(served, courier, good, scan("BAG-77", "departed") | {"at": "x"})
    assert (again.json["repeated"], again.json["refused"]) == (1, 1)


def test_a_scan_of_the_wrong_type_is_refused_alone(served: Served, courier):
    """A number that is no text, no instant, a field that there is not: told with their places, and the others go on."""
    told = send(served, courier, scan("P-1003"), {"number": 5, "at": None, "code": "x", "colour": "red"})
    assert (told.status, told.json["taken"], told.json["refused"]) == (200, 1, 1)
    faults = {fault["at"] for fault in told.json["results"][-1]["faults"]}
    assert faults == {"$.scans[1].number", "$.scans[1].at", "$.scans[1].colour"}
    asked = served.ask("GET", "/openapi.json").json["components"]["schemas"]["ScansIn"]["properties"]["scans"]
    assert {"number", "at", "code"} <= asked["items"]["properties"].keys() and asked["maxItems"] == 5000


def test_the_whole_is_refused_for_what_is_no_batch(served: Served, courier):
    """None and too many scans, fields beside them, what no database keeps: all faults, and nothing is kept."""
    assert send(served, courier).status == 422
    assert send(served, courier, *[scan("P-1003")] * 5001).status == 422
    assert send(served, courier, scan("P-1003"), colour="red").json["errors"][0]["at"] == "$.colour"
    assert send(served, courier, scan("P-1003"), vocabulary="nobody").json["errors"][0]["at"] == "$.vocabulary"
    for odd in (scan("P-1003", "a\0"), scan("P-1003") | {"at": "0001-01-01T00:00:00Z"}):
        told = send(served, courier, scan("P-1003"), odd)
        assert told.status == 422 and all(fault["at"].startswith("$.scans[1].") for fault in told.json["errors"])
    assert served.ask("POST", "/scans", b"{", key=courier).status == 400


def test_five_thousand_at_once(served: Served, courier):
    """The largest batch is one transaction."""
    told = send(served, courier, *[scan(f"L-{n:05}") for n in range(5000)])
    assert (told.status, told.json["taken"]) == (200, 5000)


def test_an_idempotency_key_keeps_the_reply(served: Served, courier):
    """The same batch again is answered from what was kept; another one under the same key is refused."""
    headers, one = {"Idempotency-Key": "scans-1"}, scan("P-1004")
    first = send(served, courier, one, headers=headers)
    again = send(served, courier, one, headers=headers)
    assert first.json["taken"] == 1 and again.body == first.body
    assert send(served, courier, scan("P-1005"), headers=headers).status == 409


def test_a_table_of_codes_as_a_file(served: Served):
    """Tried, taken, read again as it was, refused with all of its faults, and seen by nobody else."""
    key, other = served.new_key("courier"), served.new_key("courier")
    send(served, key, scan("P-1006", "A1"), scan("P-1006", "Ä2"))
    listed = served.ask("GET", "/scans/codes", key=key).json["data"]
    assert {(one["code"], one["scans"], one["number"]) for one in listed} == {("A1", 1, "P-1006"), ("Ä2", 1, "P-1006")}
    table = b"code,status,detail\nA1,in_transit,arrived\n"
    tried = served.ask("PUT", "/scans/codes?dry_run=true", table, key=key, headers=CSV)
    assert (tried.status, tried.json["version"], tried.json["explains"], tried.json["leaves"]) == (200, None, 1, 1)
    assert served.ask("PUT", "/scans/codes", table, key=key, headers=CSV).json["version"] == 1
    got = served.ask("GET", "/scans/codes/table", key=key)
    assert (got.body, got.headers["content-type"].partition(";")[0]) == (table, "text/csv")
    assert len(served.ask("GET", "/scans/codes/versions", key=key).json["data"]) == 1
    bad = served.ask("PUT", "/scans/codes", b"code,status\n1,flying\n2,\xff\n", key=key, headers=CSV)
    assert (bad.status, bad.code) == (422, "codes.invalid")
    bad = served.ask("PUT", "/scans/codes", b"code,status\n1,flying\n2,walking\n", key=key, headers=CSV)
    assert [fault["at"] for fault in bad.json["errors"]] == ["codes.csv:2:status", "codes.csv:3:status"]
    assert served.ask("GET", "/scans/codes/table", key=other).status == 404
    assert served.ask("GET", "/scans/codes", key=other).json["data"] == []


def test_strays_are_the_party_s_own(served: Served, courier):
    """Who scanned a number that is nobody's finds it in its list, others do not."""
    key = served.new_key("courier")
    told = send(served, key, scan("340123450000000018"))
    assert [one["code"] for one in told.json["results"][0]["notices"]] == ["unknown_number", "bad_check_digit"]
    assert [one["number"] for one in served.ask("GET", "/scans/strays", key=key).json["data"]] == ["340123450000000018"]
    other = served.ask("GET", "/scans/strays?limit=1000", key=courier).json["data"]
    assert "340123450000000018" not in [one["number"] for one in other]
    assert served.ask("GET", "/scans/strays?after=x", key=key).status == 422
