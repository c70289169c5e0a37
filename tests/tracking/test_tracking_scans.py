"""Scans made events: whatever a device may send becomes a valid event or is told all that is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.tracking.codes.tables import builtin
from rookery.tracking.epcis.contexts import STANDARD_CONTEXT, Names
from rookery.tracking.epcis.hashing import event_hash
from rookery.tracking.epcis.schema import document_faults
from rookery.tracking.scans import CONTEXT, Good, Scan, check, check_digit_fails, event_of, identifier

TABLE = builtin("rookery")
NUMBER = "340123450000000017"
GOOD = Scan(number=NUMBER, at="2026-03-02T08:15:00+01:00", code="arrived", node="A")
PLAIN = st.text(max_size=30)
INSTANTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2040, 1, 1)).flatmap(
    lambda at: st.sampled_from(["Z", "+00:00", "-00:00", "+05:45", "-11:30", "+14:00"]).map(
        lambda offset: at.isoformat(timespec="microseconds") + offset
    )
)
SCANS = st.builds(
    Scan,
    number=st.sampled_from([NUMBER, "BAG-17", "RR473124829GB", "https://x.example/00/340123450000000017"]) | PLAIN,
    at=INSTANTS | PLAIN,
    code=st.sampled_from(["arrived", "bagged", "unloaded", "delivered", "X9"]) | PLAIN,
    node=st.none() | PLAIN,
    place=st.none() | st.sampled_from(["urn:x-site:7", "https://id.gs1.org/414/9520000000004"]) | PLAIN,
    lat=st.none() | st.floats(-91, 91),
    lon=st.none() | st.floats(-181, 181),
    container=st.none() | st.sampled_from(["BAG-18"]) | PLAIN,
    contents=st.lists(st.sampled_from([NUMBER, "P-100", "P-101"]) | PLAIN, max_size=3),
    departure=st.none() | PLAIN,
    device=st.none() | PLAIN,
    note=st.none() | PLAIN,
    id=st.none() | PLAIN,
    withdraws=st.sampled_from([None, "did_not_occur", "incorrect_data"]),
    withdrawn_at=st.none() | INSTANTS,
)
DECLARED = "2026-03-03T08:00:00.000+00:00"


def event(scan: Scan, declared: str | None = None) -> dict:
    good = check(0, scan)
    assert isinstance(good, Good), good
    return event_of(good, TABLE.find(scan.code), declared)


def changed(**fields) -> Scan:
    return msgspec.structs.replace(GOOD, **fields)


def codes(scan: Scan) -> list[tuple[str, str]]:
    found = check(3, scan)
    assert not isinstance(found, Good)
    return [(fault.at.removeprefix("$.scans[3]."), fault.code) for fault in found]


@settings(max_examples=400, deadline=None)
@given(SCANS)
def test_every_event_that_is_made_is_valid(scan):
    """No scan is both kept and made something that EPCIS does not know; what is refused is told why."""
    good = check(0, scan)
    if isinstance(good, Good):
        made = event_of(good, TABLE.find(scan.code), good.withdrawn_at or (DECLARED if scan.withdraws else None))
        assert document_faults({"@context": [STANDARD_CONTEXT, *CONTEXT], **made}) == []
        assert made["rookery:code"] == scan.code
    else:
        assert good and all(fault.at.startswith("$.scans[0].") and fault.remedy for fault in good)


def test_a_plain_scan():
    """What was said stands in the event, with what the code means."""
    assert event(changed(departure="AH1", device="D7", note="wet", id="S-1")) == {
        "type": "ObjectEvent", "eventTime": "2026-03-02T08:15:00.000+01:00", "eventTimeZoneOffset": "+01:00",
        "epcList": [f"https://id.gs1.org/00/{NUMBER}"], "action": "OBSERVE", "readPoint": {"id": "urn:rookery:node:A"},
        "bizStep": "arriving", "disposition": "in_transit", "rookery:status": "in_transit",
        "rookery:detail": "arrived", "rookery:code": "arrived", "rookery:departure": "AH1", "rookery:device": "D7",
        "rookery:note": "wet", "rookery:scan": "S-1",
    }  # fmt: skip


def test_a_code_that_no_table_knows_says_nothing():
    """It is kept as it came; nothing is guessed, not of a container either."""
    made = event(changed(code="??", container="BAG-17"))
    assert made["rookery:code"] == "??" and made["rookery:container"] == "urn:rookery:number:BAG-17"
    assert not {"bizStep", "disposition", "rookery:status", "parentID"} & made.keys()
    made = event(changed(code="??", number="BAG-17", contents=["P-100"]))
    assert made["epcList"] == ["urn:rookery:number:BAG-17", "urn:rookery:number:P-100"]


@pytest.mark.parametrize(
    ("code", "action"), [("bagged", "ADD"), ("loaded", "ADD"), ("unbagged", "DELETE"), ("unloaded", "DELETE")]
)
def test_containers(code, action):
    """Into a container and out of it, told of the parcel or of the container, which itself moves nowhere by it."""
    one = event(changed(code=code, container="BAG-17"))
    other = event(changed(code=code, number="BAG-17", contents=[NUMBER]))
    assert one == other
    assert (one["type"], one["parentID"], one["childEPCs"], one["action"]) == (
        "AggregationEvent", "urn:rookery:number:BAG-17", [f"https://id.gs1.org/00/{NUMBER}"], action,
    )  # fmt: skip
    assert "rookery:status" not in one


def test_contents_seen_with_their_container():
    """Another code with contents tells that they are in it, and the code's meaning of both."""
    made = event(changed(code="departed", number="BAG-17", contents=["P-100", "P-101", "P-100"]))
    assert (made["action"], made["childEPCs"]) == ("OBSERVE", ["urn:rookery:number:P-100", "urn:rookery:number:P-101"])
    assert made["rookery:detail"] == "departed"
    assert event(changed(container="BAG-17"))["rookery:container"] == "urn:rookery:number:BAG-17"


def test_a_withdrawal_is_the_same_event():
    """Its hash is that of the scan it takes back, which every other change changes."""
    digest = event_hash(event(GOOD), Names.of(CONTEXT))
    assert event_hash(event(changed(withdraws="did_not_occur"), DECLARED), Names.of(CONTEXT)) == digest
    same = changed(at="2026-03-02T08:15:00.0004+01:00", number=" 3401 2345 0000 0000 17 ")
    assert event_hash(event(same), Names.of(CONTEXT)) == digest
    for fields in ({"at": "2026-03-02T08:15:00.001+01:00"}, {"node": "B"}, {"code": "departed"}, {"id": "S-2"}):
        assert event_hash(event(changed(**fields)), Names.of(CONTEXT)) != digest, fields


@pytest.mark.parametrize("field", ["code", "departure", "device", "note", "id"])
def test_what_differs_in_one_sign_is_another_scan(field):
    """Codes and ids are told apart also where the event's hash takes two for one number, or for one identifier."""
    told = ["1", "01", "1.0", "1e0", "+1", "-0", "0", "A", " A", "A ", "urn:epc:id:sscc:0123450.3000000001"]
    told += ["https://id.gs1.org/00/301234500000000015", "cbv:x", "https://ref.gs1.org/cbv/x"]
    made = [event(changed(**{field: text})) for text in told]
    assert len({event_hash(one, Names.of(CONTEXT)) for one in made}) == len(told)
    for text, one in zip(told, made):
        assert one[f"rookery:{'scan' if field == 'id' else field}"] == text
        assert one == event(changed(**{field: text}))
        taken_back = event(changed(**{field: text}, withdraws="did_not_occur"), DECLARED)
        assert event_hash(taken_back, Names.of(CONTEXT)) == event_hash(one, Names.of(CONTEXT))
    assert "rookery:scan_key" not in made[0] and made[1]["rookery:scan_key"].startswith("x")


@pytest.mark.parametrize(
    ("printed", "meant"),
    [
        (NUMBER, f"https://id.gs1.org/00/{NUMBER}"), (f"(00){NUMBER}", f"https://id.gs1.org/00/{NUMBER}"),
        (f"00{NUMBER}", f"https://id.gs1.org/00/{NUMBER}"), (f"]C100{NUMBER}", f"https://id.gs1.org/00/{NUMBER}"),
        ("(00) 3401 2345 0000 0000 17", f"https://id.gs1.org/00/{NUMBER}"),
        (f"https://shop.example/t/00/{NUMBER}?x=1", f"https://id.gs1.org/00/{NUMBER}"),
        ("urn:epc:id:sscc:0123450.3000000001", "https://id.gs1.org/00/301234500000000015"),
        ("rr 473 124 829 gb", "urn:rookery:number:RR473124829GB"), ("bag-17", "urn:rookery:number:BAG-17"),
        ("https://id.gs1.org/8003/04012345123456X1", "https://id.gs1.org/8003/04012345123456X1"),
        ("", None), ("ab", None), ("x" * 61, None), ("<script>", None), ("https://shop.example/parcel", None),
        ("\u0661" * 18, None), ("A,B", None), ("urn:rookery:number:%00%00%00", None),
    ],
)  # fmt: skip
def test_numbers_as_printed_or_scanned(printed, meant):
    """One thing however its number was read; what is no number is none."""
    assert identifier(printed) == meant


def test_check_digits():
    """Of an SSCC and of a postal number, every wrong one is seen; of other numbers nothing is known."""
    for right in (NUMBER, "RR473124829GB"):
        at = 17 if right == NUMBER else 10
        for digit in "0123456789":
            assert check_digit_fails(right[:at] + digit + right[at + 1 :]) == (digit != right[at])
    assert not check_digit_fails("BAG-17") and not check_digit_fails("12345678901")


def test_all_that_is_wrong_with_a_scan_is_told():
    """Every fault, with the place it stands in."""
    bad = Scan(
        number="<>", at="2026-03-02T08:15:00", code=" ", node="A", place="x", lat=91, contents=["P-1", "?"],
        container="B!", note="x" * 1001, withdrawn_at="yesterday",
    )  # fmt: skip
    assert codes(bad) == [
        ("number", "bad_number"), ("at", "naive_timestamp"), ("withdrawn_at", "not_withdrawn"),
        ("code", "missing_value"), ("note", "too_long"), ("container", "bad_number"), ("contents[1]", "bad_number"),
        ("place", "two_places"),
    ]  # fmt: skip
    assert codes(Scan()) == [("number", "missing_value"), ("at", "missing_value"), ("code", "missing_value")]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"at": "2026-03-02T08:15:00"}, ("at", "naive_timestamp")), ({"at": "2026-03-02"}, ("at", "naive_timestamp")),
        ({"at": "2026-02-30T08:15:00Z"}, ("at", "bad_timestamp")), ({"at": "1772439300"}, ("at", "bad_timestamp")),
        ({"at": "2026-03-02T08:15:00+25:00"}, ("at", "bad_timestamp")),
        ({"at": "0001-01-01T00:00:00+14:00"}, ("at", "bad_timestamp")),
        ({"at": "9999-12-31T23:59:59-14:00"}, ("at", "bad_timestamp")),
        ({"at": "2026-03-02T08:15:00+14:30"}, ("at", "bad_timestamp")),
        ({"node": None, "lat": 1.0}, ("lon", "missing_value")),
        ({"node": None, "lat": 1.0, "lon": 181.0}, ("lat", "out_of_range")),
        ({"node": None, "place": "no uri"}, ("place", "not_a_uri")), ({"node": ""}, ("node", "missing_value")),
        ({"container": NUMBER}, ("container", "in_itself")), ({"contents": [NUMBER]}, ("contents", "in_itself")),
        ({"container": "BAG-1", "contents": ["P-100"]}, ("container", "two_events")),
        ({"contents": ["P-100"] * 2001}, ("contents", "too_many")), ({"code": "x" * 201}, ("code", "too_long")),
        ({"withdraws": "incorrect_data", "withdrawn_at": "now"}, ("withdrawn_at", "bad_timestamp")),
    ],
)  # fmt: skip
def test_one_fault(fields, fault):
    """What cannot be kept is refused for what it is."""
    assert codes(changed(**fields)) == [fault]


def test_places():
    """A node, a URI, or a point on Earth."""
    assert event(changed(node="A/B ü"))["readPoint"] == {"id": "urn:rookery:node:A%2FB%20%C3%BC"}
    assert event(changed(node=None, place="urn:x-site:7"))["readPoint"] == {"id": "urn:x-site:7"}
    assert event(changed(node=None, lat=-50.5, lon=4.25))["readPoint"] == {"id": "geo:-50.500000,4.250000"}
    assert "readPoint" not in event(changed(node=None))


def test_instants_without_belief_are_kept():
    """1970 and 2036 are instants: whether they are believed is not for the event to say."""
    for at in ("1970-01-01T00:00:00Z", "2036-01-01T00:00:00Z"):
        good = check(0, changed(at=at))
        assert isinstance(good, Good) and good.at == datetime.fromisoformat(at).astimezone(UTC)
