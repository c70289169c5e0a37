"""Couriers' and platforms' codes: every code of theirs is known, nothing else is, and nothing is guessed from any."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from rookery.terms.errors import NotFound
from rookery.tracking.codes.answers import answers
from rookery.tracking.codes.tables import MOST_ROWS, USUAL, CodeTable, Meaning, builtin, builtins, read_table
from rookery.tracking.codes.versions import shipped
from rookery.tracking.epcis.vocabulary import WORDS
from rookery.tracking.model import DETAILS, STATUS_INFO, STATUSES, Status, fits, is_end
from rookery.twin.scans import KINDS

PUBLISHED = Path(os.environ.get("ROOKERY_DATA", "../shared/data")) / "tracking"
PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/milestones.md").read_text("utf-8")
HEADER = "code,status,detail,biz_step,disposition,note\n"

# the published lists, written down here apart from the tables
KARRIO = """pending picked_up on_hold cancelled delivered in_transit delivery_failed delivery_delayed out_for_delivery
ready_for_pickup return_to_sender unknown"""
KARRIO_REASONS = """carrier_damaged_parcel carrier_sorting_error carrier_address_not_found carrier_parcel_lost
carrier_not_enough_time carrier_vehicle_issue carrier_capacity_exceeded carrier_mechanical_delay retailer_cancelled
retailer_incorrect_data retailer_not_ready retailer_incorrect_parcel retailer_incorrect_dimensions
retailer_packaging_issue consignee_refused consignee_business_closed consignee_not_available consignee_not_home
consignee_cancelled consignee_verification_failed consignee_incorrect_address consignee_access_restricted
consignee_safe_place_unavailable customs_delay customs_documentation customs_duties_unpaid customs_prohibited
customs_inspection weather_delay natural_disaster force_majeure parcel_being_researched security_issue regulatory_hold
unknown"""
EASYPOST = """unknown pre_transit in_transit out_for_delivery delivered available_for_pickup return_to_sender failure
cancelled error"""
EASYPOST_DETAILS = """address_correction arrived_at_destination arrived_at_facility arrived_at_pickup_location
awaiting_information cancelled damaged delayed delivery_exception departed_facility departed_origin_facility expired
failure held in_transit label_created lost missorted out_for_delivery received_at_destination_facility
received_at_origin_facility refused return status_update transferred_to_destination_carrier transit_exception unknown
weather_delay"""
AFTERSHIP = """InfoReceived InTransit OutForDelivery AttemptFail Delivered AvailableForPickup Exception Expired
Pending"""
AFTERSHIP_SUBTAGS = {
    "Delivered": (1, 2, 3, 4, 5),
    "AvailableForPickup": (1,),
    "Exception": (*range(1, 14), *range(16, 22)),
    "AttemptFail": (1, 2, 3),
    "InTransit": range(1, 10),
    "InfoReceived": (1,),
    "OutForDelivery": (1, 3, 4),
    "Pending": range(1, 7),
    "Expired": (1,),
}
TRACK17 = """NotFound InfoReceived InTransit Expired AvailableForPickup OutForDelivery DeliveryFailure Delivered
Exception"""
TRACK17_SUBS = """NotFound_Other NotFound_InvalidCode InTransit_PickedUp InTransit_Other InTransit_Departure
InTransit_Arrival InTransit_CustomsProcessing InTransit_CustomsReleased InTransit_CustomsRequiringInformation
Expired_Other AvailableForPickup_Other OutForDelivery_Other DeliveryFailure_Other DeliveryFailure_NoBody
DeliveryFailure_Security DeliveryFailure_Rejected DeliveryFailure_InvalidAddress Delivered_Other Exception_Other
Exception_Returning Exception_Returned Exception_NoBody Exception_Security Exception_Damage Exception_Rejected
Exception_Delayed Exception_Lost Exception_Destroyed Exception_Cancel"""
DCSA = """LOAD DISC GTIN GTOT STUF STRP AVPU PICK AVDO DROP INSP RSEA RMVD CUSS CUSI CUSR CROS ARRI DEPA RECE DRFT PENA
PENU PENC CONF REJE APPR ISSU SURR SUBM VOID REQS CMPL HOLD RELS CANC"""
UPU = """EMA EMB EXA EXB EXC EXD EXX EMC EMJ EMK EMD EDA EDB EME EDC EMF EDD EDE EMG EDF EDG EDH EMH EMI EDX"""
LISTS = {
    "karrio": ({*KARRIO.split(), *("/" + reason for reason in KARRIO_REASONS.split())}, 12 + 35),
    "easypost": ({*EASYPOST.split(), *("/" + detail for detail in EASYPOST_DETAILS.split())}, 10 + 28),
    "aftership": (
        {*AFTERSHIP.split(), *(f"{tag}_{n:03}" for tag, numbers in AFTERSHIP_SUBTAGS.items() for n in numbers)},
        9 + 48,
    ),
    "17track": ({*TRACK17.split(), *TRACK17_SUBS.split()}, 9 + 29),
    "dcsa": (set(DCSA.split()), 17 + 2 + 17),
    "upu": (set(UPU.split()), 25),
    "twin": (set(KINDS), 10),
}
COARSER = {"onerecord": {"out_for_delivery", "delivery_failed", "on_hold", "return_to_sender", "cancelled"}}
"""The statuses a platform has no word for: it is told something that says nothing of the parcel."""


def plain(table: CodeTable) -> set[str]:
    """The codes of a table, without the rows for pairs of two parts."""
    return {row.code for row in table.rows if "/" not in row.code.removeprefix("/")}


def sent_back(platform: str, status: Status, detail: str | None) -> Meaning | None:
    """What our state means after it was told in a platform's words and read again from them."""
    answer = answers(platform).answer(status, detail)
    table = builtin(platform)
    in_two_parts = any(row.code.startswith("/") for row in table.rows)
    code = f"{answer.status}/{answer.detail}" if in_two_parts and answer.detail else answer.detail or answer.status
    return table.find(code)


STATES: list[tuple[Status, str | None]] = [
    (status, detail) for status in STATUSES for detail in (None, *DETAILS) if fits(status, detail)
]


def test_a_status_and_a_detail_are_told_apart_and_explained():
    """Every status has its meaning; no detail is called like a status; every detail stands beside a status at least."""
    assert STATUS_INFO.keys() == set(STATUSES) and len(STATUSES) == 10
    assert not DETAILS.keys() & set(STATUSES)
    assert all(detail.statuses and set(detail.statuses) <= set(STATUSES) for detail in DETAILS.values())
    assert all(info.means.endswith(".") for info in (*STATUS_INFO.values(), *DETAILS.values()))


def test_a_journey_ends_delivered_cancelled_or_back_with_the_sender():
    """On its way back a parcel is still on its way; nothing else ends a journey."""
    ends = {(status, detail) for status, detail in STATES if is_end(status, detail)}
    assert {status for status, _ in ends} == {"delivered", "cancelled", "return_to_sender"}
    assert [detail for status, detail in ends if status == "return_to_sender"] == ["returned_to_sender"]


@pytest.mark.parametrize("full", builtins())
def test_a_table_of_the_program_has_no_fault(full):
    """Every status, detail and CBV word of every row is one there is; codes stand once, sorted, under a dated name."""
    table = builtin(full)
    assert table.notices == ()
    assert re.fullmatch(r"\w+@20\d\d-\d\d-\d\d", full)
    codes = [row.code for row in table.rows]
    assert codes == sorted(set(codes))
    for row in table.meanings:
        assert (row.status is None) == (row.biz_step is None), row
        assert row.status is None or (row.status in STATUSES and fits(row.status, row.detail)), row
        assert row.biz_step is None or row.biz_step in WORDS["bizStep"]
        assert row.disposition is None or row.disposition in WORDS["disposition"]
    assert len({code.strip().casefold() for code in codes}) == len(codes), "a courier may fold what it builds on"


@pytest.mark.parametrize("way", ["inward", "outward"])
def test_every_file_names_its_source_and_the_day_it_was_looked_at(way):
    """The first line tells both, so that anyone can look again."""
    for full in shipped(way):
        first = (files("rookery.tracking.codes") / way / f"{full}.csv").read_text("utf-8").splitlines()[0]
        assert re.fullmatch(r"# source: .+; looked at 20\d\d-\d\d-\d\d", first), full


@pytest.mark.parametrize("name", LISTS)
def test_a_table_holds_the_published_list(name):
    """Every code of the list is in the table and every code of the table in the list; their number is pinned."""
    codes, count = LISTS[name]
    assert len(codes) == count
    assert plain(builtin(name)) == codes


@pytest.mark.parametrize("name", ["karrio", "easypost"])
def test_every_pair_of_a_status_and_a_reason_is_known(name):
    """Whatever reason comes beside whatever status, it is read; a part that is not known makes the whole unknown."""
    table = builtin(name)
    reasons = [code for code in plain(table) if code.startswith("/")]
    for status in plain(table) - set(reasons):
        assert all(table.find(status + reason) for reason in reasons)
        assert table.find(f"{status}/no_such_reason") is None
    assert table.find("no_such_status" + reasons[0]) is None


@pytest.mark.skipif(
    not (PUBLISHED / "shipengine-vocab/enums.json").exists(),
    reason="ROOKERY_DATA (default ../shared/data) holds no tracking/shipengine-vocab folder with ShipEngine's lists",
)
def test_shipengines_table_is_the_published_list():
    """Every status code and status detail code of the published interface, and no other."""
    published = json.loads((PUBLISHED / "shipengine-vocab/enums.json").read_text("utf-8"))
    assert plain(builtin("shipengine")) == {*published["status_code"], *published["status_detail_code"]}


@pytest.mark.skipif(
    not (PUBLISHED / "iata-one-record/IATA-1R-CL-Ontology.ttl").exists(),
    reason="ROOKERY_DATA (default ../shared/data) holds no tracking/iata-one-record folder with the ontology",
)
def test_one_records_table_is_the_published_list():
    """Every status code of the ontology's code lists, discrepancies too, and no other."""
    ontology = (PUBLISHED / "iata-one-record/IATA-1R-CL-Ontology.ttl").read_text("utf-8")
    published = set(re.findall(r"code-lists/StatusCode#(\w+)>", ontology))
    assert len(published) == 37
    assert plain(builtin("onerecord")) == published


def test_our_own_codes_are_the_statuses_and_details():
    """A courier sends a status, a detail beside its usual status, or any two with a slash that may stand together."""
    table = builtin("rookery")
    for status, detail in STATES:
        found = table.find(status if detail is None else f"{status}/{detail}")
        assert found is not None and (found.status, found.detail) == (status, detail)
    for name, detail in DETAILS.items():
        alone, pair = table.find(name), table.find(f"{detail.statuses[0]}/{name}")
        assert alone is not None and pair is not None
        assert structs.replace(alone, code=pair.code) == pair
    assert len(table.rows) == len(STATES) + len(DETAILS)


def test_a_couriers_own_table_builds_on_ours_unless_it_names_another_or_none():
    """What it does not list means what it means here; its own rows go before; `none` leaves nothing but its own."""
    rows = HEADER + "X1,delivered,,,,\ndeparted,on_hold,,,,\n"
    for remark, words in [("", "rookery"), ("# base: rookery\n", "rookery"), ("# base: upu\n", "upu")]:
        table = read_table(remark + rows, "mine", USUAL)
        assert (table.notices, table.own) == ((), 2)
        assert table.find("X1").status == "delivered"  # pyright: ignore[reportOptionalMemberAccess]
        assert table.find("departed").status == "on_hold"  # pyright: ignore[reportOptionalMemberAccess]
        assert [table.find("nobody_home") is None, table.find("EMI") is None] == [words == "upu", words != "upu"]
    alone = read_table("# base: none\n" + rows, "mine", USUAL)
    assert alone.notices == () and [row.code for row in alone.rows] == ["X1", "departed"]
    wrong = read_table("# base: nobody\n" + rows, "mine", USUAL)
    assert [notice.code for notice in wrong.notices] == ["unknown_base"] and len(wrong.rows) == 2


@pytest.mark.parametrize("full", shipped("outward"))
def test_every_state_is_answered_in_words_the_platform_has(full):
    """Whatever a parcel's status and detail, the answer is a published status and, where there is one, its detail."""
    table, known = answers(full), builtin(full).index
    assert {status for status, detail in table.answers if detail is None} == set(STATUSES)
    for status, detail in STATES:
        answer = table.answer(status, detail)
        assert answer.status in known, answer
        assert answer.detail is None or {answer.detail, "/" + answer.detail} & known.keys(), answer
    assert all(fits(status, detail) for status, detail in table.answers)


@pytest.mark.parametrize("platform", [full.partition("@")[0] for full in shipped("outward")])
def test_what_is_told_to_a_platform_is_read_back_as_the_same_status(platform):
    """Out and in again keeps the status, but for the pinned ones that the platform has no word for."""
    for status, detail in STATES:
        back = sent_back(platform, status, detail)
        assert back is not None, (status, detail)
        silent = back.status is None and status in COARSER.get(platform, set())
        assert back.status == status or silent, (status, detail, back)


@pytest.mark.parametrize("platform", [full.partition("@")[0] for full in shipped("outward")])
def test_what_a_platform_says_is_told_back_as_the_same_status(platform):
    """In and out again keeps the status of every code of theirs that says anything, pairs too."""
    for meaning in builtin(platform).meanings:
        if meaning.status is not None:
            back = sent_back(platform, meaning.status, meaning.detail)
            assert back is not None
            assert back.status == meaning.status or meaning.status in COARSER.get(platform, set()), meaning


def test_the_newest_version_is_meant_unless_one_is_named():
    """A version can be named apart or in one word; one that is not there is refused with those that are."""
    assert builtin("karrio") is builtin("karrio", "2026-06-23") is builtin("karrio@2026-06-23")
    for name, version in [("nobody", None), ("karrio", "1999-01-01"), ("", None), ("../karrio", None)]:
        with pytest.raises(NotFound, match=r"use one of .*karrio@2026-06-23") as refused:
            builtin(name, version)
        assert refused.value.code == "tracking.codes_unknown"


def test_a_table_cannot_be_changed():
    """Tables are shared by everyone in the process."""
    table = builtin("karrio")
    with pytest.raises(AttributeError):
        table.folds = True  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        table.index["new"] = 0  # pyright: ignore[reportIndexIssue]


def test_many_codes_are_found_at_once_and_exactly():
    """The place of each code's meaning, -1 for what is not known: other case, spaces, or nothing at all."""
    table = builtin("upu")
    places = table.find_many(["EMI", "emi", " EMI", "", "EMA", "NEW"])
    assert [table.meanings[place].status if place >= 0 else None for place in places] == [
        "delivered", None, None, None, "picked_up", None
    ]  # fmt: skip
    assert places.tolist()[1:4] == [-1, -1, -1]
    assert table.find_many([]).tolist() == []


def test_a_couriers_table_builds_on_another_and_overrides_it():
    """The base's rows hold, its pairs too, except where the courier says otherwise; the base itself stays as it is."""
    table = read_table(f"# base: karrio\n{HEADER}on_hold,delivery_failed,,,,\nX1,delivered,safe_place,,,\n", "mine")
    assert table.notices == ()
    assert table.find("on_hold").status == "delivery_failed"  # pyright: ignore[reportOptionalMemberAccess]
    assert table.find("on_hold/weather_delay").status == "delivery_failed"  # pyright: ignore[reportOptionalMemberAccess]
    assert table.find("picked_up") == builtin("karrio").find("picked_up")
    assert builtin("karrio").find("on_hold").status == "on_hold"  # pyright: ignore[reportOptionalMemberAccess]
    assert builtin("karrio").find("X1") is None


def test_a_faulty_row_makes_its_code_unknown_even_where_the_base_knows_it():
    """The courier meant something else than the base; what, is not guessed: not from the parts of a pair either."""
    table = read_table(f"# base: karrio\n{HEADER}on_hold,held,,,,\ndelivered/weather_delay,x,,,,\n", "mine")
    assert [notice.line for notice in table.notices] == [3, 4]
    assert table.find("on_hold") is None and table.find("on_hold/weather_delay") is None
    assert table.find("delivered/weather_delay") is None and table.find("delivered/unknown") is not None


def test_case_and_spaces_matter_unless_the_table_says_otherwise():
    """Folding is asked for in the table, and holds for the base's codes and for reading twice the same code."""
    exact = read_table(HEADER + "Dlv,delivered,,,,\nDLV,on_hold,,,,\n", "mine")
    assert exact.notices == () and exact.find("dlv") is None
    folded = read_table(f"# base: upu\n# fold: case\n{HEADER}Dlv,delivered,,,,\nDLV,on_hold,,,,\n", "mine")
    assert [(notice.code, notice.line) for notice in folded.notices] == [("duplicate_id", 5)]
    assert folded.find(" dLV ").status == "delivered"  # pyright: ignore[reportOptionalMemberAccess]
    assert folded.find_many(["emi", "x"]).tolist() == [folded.index["emi"], -1]


def test_words_of_the_event_are_filled_in_as_ours_are():
    """A courier gives status and detail; business step and disposition are then those of our own codes."""
    found = read_table(HEADER + "B,in_transit,bagged,,,\nC,in_transit,bagged,loading,,\nS,,,,,\n", "mine")
    steps = [(row.biz_step, row.disposition) for row in found.rows]
    assert steps == [("packing", "in_transit"), ("loading", None), (None, None)]


def test_every_fault_is_told_where_it_is_and_the_good_rows_hold():
    """Line, column, value and what to do, for each; a row with several faults is told for each of them."""
    text = (
        f"# base: nobody\n# fold: all\n{HEADER}"
        "OK,delivered,,,,\n"
        "A,gone,nix,flying,lovely,\n"
        "B,delivered,lost,,,\n"
        "C,,lost,,,\n"
        ",delivered,,,,\n"
        "OK,on_hold,,,,\n"
        "D,delivered\n"
        "E,delivered,,,,,\n"
        "A,delivered,,,,\n"
        'F,delivered,,,,"one\ntwo"\n'
        f"{'G' * 201},delivered,,,,\n"
        "H\0,delivered,,,,\n"
        "LAST,on_hold,,,,\n"
        'Z,"delivered,,,,\n'
    )
    table = read_table(text, "mine.csv")
    assert [(n.code, n.line, n.column, n.value) for n in table.notices if n.line != 15] == [
        ("unknown_base", 1, "base", "nobody"), ("unknown_folding", 2, "fold", "all"),
        ("unknown_word", 5, "status", "gone"), ("unknown_word", 5, "detail", "nix"),
        ("unknown_word", 5, "biz_step", "flying"), ("unknown_word", 5, "disposition", "lovely"),
        ("detail_misplaced", 6, "detail", "lost"), ("detail_misplaced", 7, "detail", "lost"),
        ("missing_value", 8, "code", ""), ("duplicate_id", 9, "code", "OK"), ("too_few_fields", 10, None, None),
        ("too_many_fields", 11, None, None), ("duplicate_id", 12, "code", "A"), ("nul_byte", 16, "code", "H\0"),
        ("bad_quoting", 18, None, None),
    ]  # fmt: skip
    assert [n.code for n in table.notices if n.line == 15] == ["code_too_long"]
    assert all(n.file == "mine.csv" and n.remedy and n.severity == "error" for n in table.notices)
    assert [row.code for row in table.rows] == ["OK", "F", "LAST"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("", ["empty_file"]),
        ("# only a remark\n", ["empty_file"]),
        (HEADER, ["no_rows"]),
        ("kode,state\nA,delivered\n", ["unknown_column", "unknown_column", "missing_column", "missing_column"]),
        ("code,status,code,mine\nA,delivered,B,x\n", ["duplicate_column", "unknown_column"]),
        ("\ufeffcode,status\r\nA,delivered\r\n", []),
        ("code,status\n\nA,delivered\n\n", []),
        ("code,status\n" + "".join(f"{i},delivered\n" for i in range(MOST_ROWS + 2)), ["too_many_codes"]),
        (
            "code,status\n" + "".join(f"{i},delivered\n/{i},delivered\n" for i in range(400)),
            ["too_many_codes"],
        ),
    ],
)
def test_a_table_of_the_wrong_shape_is_told(text, codes):
    """No table, no rows, no column that is needed, too much of it: each has its word."""
    table = read_table(text, "mine.csv")
    assert [notice.code for notice in table.notices] == codes
    assert len(table.rows) <= MOST_ROWS


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                ["A", "/b", "a/b", "", "delivered", "lost", "on_hold", "holding", "#", '"', "é\u2028", "\r"]
            )
            | st.text(max_size=5),
            max_size=7,
        ).map(",".join)
    )
)
@settings(max_examples=200, deadline=None)
def test_no_text_breaks_the_reading(lines):
    """Whatever a courier hands in, reading ends, each kept row is sound, and each row left out is told."""
    table = read_table(HEADER + "\n".join(lines), "mine.csv")
    for meaning in table.meanings:
        assert meaning.status is None or fits(meaning.status, meaning.detail)
        assert table.find(meaning.code) == meaning
    assert len(table.rows) == len({row.code for row in table.rows})


def words(codes) -> str:
    return " ".join(f"`{code}`" for code in codes)


def cell(word: str | None) -> str:
    return f"`{word}`" if word else ""


def test_the_page_tells_statuses_and_details_as_the_program_has_them():
    """docs/reference/milestones.md has every status and every detail in the program's words, and no other."""
    expected = [
        f"| `{status}` | {info.means} | {info.severity} | {'yes' if info.end else 'no'} |"
        for status, info in STATUS_INFO.items()
    ] + [f"| `{name}` | {detail.means} | {words(detail.statuses)} |" for name, detail in DETAILS.items()]
    head = PAGE.partition("## Code tables")[0]
    assert [line for line in head.splitlines() if line.startswith("| `")] == expected


@pytest.mark.parametrize("full", [full for full in builtins() if not full.startswith("rookery@")])
def test_the_page_tells_every_vocabulary_both_ways(full):
    """The rows of each vocabulary's tables on the page are those of its files, grouped by what they mean."""
    groups = defaultdict(list)
    for row in builtin(full).rows:
        groups[row.status, row.detail].append(row.code)
    expected = {
        f"| {words(codes)} | {cell(status) or 'says nothing'} | {cell(detail)} |"
        for (status, detail), codes in groups.items()
    }
    if full in shipped("outward"):
        expected |= {
            f"| `{status}` | {cell(detail)} | `{answer.status}`{f' {cell(answer.detail)}' if answer.detail else ''} |"
            for (status, detail), answer in answers(full).answers.items()
        }
    section = PAGE.partition(f"`{full}`.")[2].partition("\n## ")[0]
    assert {line for line in section.splitlines() if line.startswith("| `")} == expected
