"""Where parcels are by what was last seen of them, and by when they should be seen next."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.terms.time import DAY
from rookery.tracking.model import DETAILS, STATUSES
from rookery.tracking.positions import BOOKED, FACTS, awaited, look_again, node_of, positions

NODES = pl.DataFrame({"node_id": ["A", "H", "B", "W"], "handling_minutes": [0, 30, 45, 20]})
LEGS = [
    {"seq": 1, "departure_id": "AH1", "from_node": "A", "to_node": "H", "cutoff_at": 990, "depart_at": 1000,
     "arrive_at": 1100},
    {"seq": 2, "departure_id": "HB1", "from_node": "H", "to_node": "B", "cutoff_at": 1490, "depart_at": 1500,
     "arrive_at": 1600},
]  # fmt: skip
NOW = 1200


def where(now: int = NOW, nodes: pl.DataFrame | None = NODES, legs: list[dict[str, Any]] = LEGS, **fact: Any) -> Any:
    """The position of one parcel from A by H to B; what is not given of it is as booked."""
    usual = {"epc": "e", "status": "in_transit", "origin": "A", "start_at": 900, "destination": "B", "place": None}
    given = {**dict.fromkeys(FACTS), **usual, **fact}
    given["left_at"] = given["at"] if given["left_at"] is None else given["left_at"]
    facts = pl.DataFrame([given], schema=FACTS)
    booked = pl.DataFrame([{"epc": "e", **leg} for leg in legs], schema=BOOKED)
    return positions(facts, booked, nodes, now).row(0, named=True)


def place(node: str) -> str:
    return f"urn:rookery:node:{node}"


@pytest.mark.parametrize(
    ("fact", "told"),
    [
        ({"status": "pre_transit"}, ("before", "A", 1200)),
        ({"status": "pre_transit", "start_at": 1300}, ("before", "A", 1300)),
        ({"status": "picked_up"}, ("before", "A", 1200)),  # by the books alone
        ({"status": "picked_up", "detail": "accepted", "at": 950}, ("node", "A", 950)),
        ({"detail": "arrived", "at": 1110, "place": place("H")}, ("node", "H", 1140)),
        ({"detail": "at_delivery_depot", "at": 1110, "place": place("B")}, ("node", "B", 1155)),
        ({"detail": "ready_to_depart", "at": 1150, "place": place("H")}, ("node", "H", 1150)),
        ({"status": "on_hold", "detail": "customs_hold", "at": 1110, "place": place("H")}, ("held", "H", 1200)),
        ({"status": "on_hold", "at": 1110, "node_before": "H"}, ("held", "H", 1200)),
        ({"status": "on_hold", "at": 1250, "place": place("nowhere")}, ("held", "A", 1250)),
        ({"status": "delivery_failed", "at": 1110, "place": place("W")}, ("node", "W", 1110)),
        ({"status": "delivery_failed", "at": 1110}, ("node", "B", 1110)),
        ({"detail": "arrived", "at": 1110, "place": place("nowhere")}, ("unknown", None, None)),
        ({"detail": "arrived", "at": 1110, "place": "https://id.gs1.org/414/4012345000009"}, ("unknown", None, None)),
        ({"detail": "arrived", "at": 1110}, ("unknown", None, None)),
        ({"status": "delivered", "at": 1700}, ("delivered", None, None)),
        ({"status": "cancelled"}, ("ended", None, None)),
        ({"status": "return_to_sender", "detail": "return_in_transit", "at": 1110, "place": place("H")},
         ("ended", None, None)),
    ],
)  # fmt: skip
def test_a_scan_tells_where_a_parcel_stands(fact: dict[str, Any], told: tuple[Any, ...]):
    """Each scan puts it at its node, ready when it was handled; what the network does not have is unknown."""
    found = where(**fact)
    assert (found["where"], found["node_id"], found["ready_at"]) == told


def test_a_departure_that_the_event_names_is_ridden():
    """The run that is by the timetable; how late it left is measured against that, be it booked or not."""
    left = {"detail": "departed", "at": 1013, "place": place("A"), "departure_id": "AH1"}
    found = where(**left, ran_at=1000)
    assert (found["riding_departure_id"], found["riding_depart_at"], found["late"]) == ("AH1", 1000, 13)
    assert (found["ride_to"], found["ride_arrive_at"], found["done_seq"], found["node_id"]) == ("H", 1100, 1, None)
    later = where(**{**left, "at": 2450, "left_at": 2450}, ran_at=2440)
    assert (later["riding_depart_at"], later["late"], later["ride_to"]) == (2440, 10, None)
    other = where(**{**left, "departure_id": "AX9"}, ran_at=1005)
    assert (other["riding_departure_id"], other["late"], other["ride_to"]) == ("AX9", 8, None)
    assert other["done_seq"] == 1  # it left A, though not as booked: that leg is none of what is ahead


def test_a_departure_without_a_name_is_the_booked_one_nearest():
    """Of booked legs from that node the one whose departure is nearest; from a node without any it is not known."""
    twice = [*LEGS, {**LEGS[0], "seq": 3, "departure_id": "AH2", "depart_at": 1400}]
    assert where(detail="departed", at=1030, place=place("A"), legs=twice)["riding_departure_id"] == "AH1"
    assert where(detail="departed", at=1390, place=place("A"), legs=twice)["riding_departure_id"] == "AH2"
    assert where(detail="departed", at=995, place=place("A"))["late"] == 0  # noted before it left
    assert where(detail="departed", at=1390, place=place("W"))["where"] == "unknown"
    assert where(detail="departed", at=1390, place=place("A"), departure_id="AX9")["where"] == "unknown"


def test_a_run_that_the_timetable_has_no_more_is_known_by_the_route():
    """It left long ago: the booked leg of that departure tells when it was to leave and where it leads."""
    found = where(detail="departed", at=1005, place=place("A"), departure_id="AH1", now=90_000)
    assert (found["riding_depart_at"], found["late"], found["ride_to"]) == (1000, 5, "H")


def test_out_for_delivery_and_ready_to_be_collected_are_the_last_mile():
    """All booked legs lie behind it then."""
    for status in ("out_for_delivery", "available_for_pickup"):
        found = where(status=status, at=1700)
        assert (found["where"], found["last_mile_at"], found["done_seq"]) == ("last_mile", 1700, 2)


def test_legs_lie_behind_a_parcel_that_has_come_to_where_they_lead():
    """At H the first is over; at a node that is on no leg none is."""
    assert where(detail="arrived", at=1110, place=place("H"))["done_seq"] == 1
    assert where(detail="arrived", at=1110, place=place("B"))["done_seq"] == 2
    assert where(detail="arrived", at=1110, place=place("W"))["done_seq"] == 0
    back = [LEGS[0], {**LEGS[0], "seq": 2, "from_node": "H", "to_node": "A"}, {**LEGS[0], "seq": 3}]
    assert where(status="pre_transit", legs=back)["done_seq"] == 0  # nothing was ridden, though it comes by A again
    assert where(detail="arrived", at=1110, place=place("A"), legs=back)["done_seq"] == 2


def test_where_no_leg_leads_what_lies_before_the_leg_from_there_is_behind():
    """Of legs that do not join up, those before the one that leaves from where a parcel stands."""
    broken = [LEGS[0], {**LEGS[1], "from_node": "W"}]
    assert where(detail="arrived", at=1110, place=place("W"), legs=broken)["done_seq"] == 1


def test_names_of_nodes_are_read_as_they_were_written():
    """Percent-encoded as `place_of` writes them; a place that is no node of a network is none."""
    assert node_of("urn:rookery:node:Berlin%2FS%C3%BCd") == "Berlin/Süd"
    assert node_of("urn:epc:id:sgln:4012345.00000.0") is None
    sued = pl.DataFrame({"node_id": ["Berlin/Süd"], "handling_minutes": [7]})
    assert where(detail="arrived", at=1, place="urn:rookery:node:Berlin%2FS%C3%BCd", nodes=sued)["ready_at"] == 8


facts = st.fixed_dictionaries(
    {
        "status": st.sampled_from(STATUSES),
        "detail": st.sampled_from([None, *DETAILS]),
        "at": st.one_of(st.none(), st.integers(0, 3000)),
        "place": st.sampled_from([None, *map(place, "AHBWX")]),
        "departure_id": st.sampled_from([None, "AH1", "HB1", "X"]),
        "ran_at": st.sampled_from([None, 1000, 1500, 2440]),
        "origin": st.sampled_from([None, "A"]),
    }
)


@given(st.lists(facts, max_size=5), st.integers(0, 4000))
def test_each_parcel_has_one_position_and_it_is_whole(some: list[dict[str, Any]], now: int):
    """Whatever was seen: a row each in their order; what stands has node and minute, what rides a departure."""
    usual = {**dict.fromkeys(FACTS), "start_at": 900, "destination": "B"}
    rows = [{**usual, **one, "epc": str(i), "left_at": one["at"]} for i, one in enumerate(some)]
    booked = pl.DataFrame([{"epc": str(i), **leg} for i in range(len(some)) for leg in LEGS], schema=BOOKED)
    found = positions(pl.DataFrame(rows, schema=FACTS), booked, NODES, now)
    assert found["epc"].to_list() == [row["epc"] for row in rows]
    for one in found.iter_rows(named=True):
        stands, rides = one["where"] in ("before", "node", "held"), one["where"] == "riding"
        assert (one["node_id"] is not None) == stands == (one["ready_at"] is not None)
        assert (one["riding_depart_at"] is not None) == rides == (one["riding_departure_id"] is not None)
        assert (one["last_mile_at"] is not None) == (
            one["where"] == "last_mile" and rows[int(one["epc"])]["at"] is not None
        )


WAITS = {
    "where": "node", "ready_at": 1140, "last_mile_at": None, "first_cutoff_at": 990, "next_depart_at": 1500,
    "ride_ready_at": None, "at_end": False, "mile_minutes": 240,
}  # fmt: skip
_KINDS = {name: pl.Boolean if name == "at_end" else pl.String if name == "where" else pl.Int64 for name in WAITS}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"where": "before"}, ("accepted", 991)),
        ({}, ("departed", 1560)),
        ({"next_depart_at": None}, (None, None)),
        ({"at_end": True}, ("out_for_delivery", 1140 + 240 + 1440)),
        ({"where": "riding", "ride_ready_at": 1400}, ("arrived", 1460)),
        ({"where": "last_mile", "last_mile_at": 1700}, ("delivered", 3140)),
        ({"where": "held"}, (None, None)),
        ({"where": "delivered"}, (None, None)),
        ({"where": "unknown"}, (None, None)),
    ],
)
def test_what_is_awaited_and_by_when(given: dict[str, Any], told: tuple[Any, ...]):
    """The scan that comes next where all goes well, and an hour or a day after it should have."""
    found = awaited(pl.DataFrame([{**WAITS, **given}], schema=_KINDS)).row(0, named=True)
    assert (found["due_scan"], found["awaited_at"]) == told


@given(st.sampled_from(["before", "node", "held", "riding", "last_mile", "delivered", "unknown"]),
       st.one_of(st.none(), st.integers(0, 9999)), st.integers(0, 9999))  # fmt: skip
def test_nobody_is_looked_at_again_at_once(kind: str, due: int | None, now: int):
    """A parcel whose scan does not come is looked at again after a while, never in the past: nothing spins."""
    since = now if kind == "held" else due if due is not None and due <= now else None
    again = _again(now, where=kind, awaited_at=due, overdue_at=since)
    assert again is None or again > now
    assert (again is None) == ((due is None and kind != "held") or kind == "delivered")


def _again(now: int, **row: Any) -> int | None:
    names = ("awaited_at", "overdue_at", "given_up_at")
    schema = {"where": pl.String, **dict.fromkeys(names, pl.Int64)}
    return look_again(pl.DataFrame([{"where": "node", **dict.fromkeys(names), **row}], schema=schema), now)[0]


def test_the_longer_a_parcel_is_silent_the_seldomer_it_is_looked_at():
    """Every hour for six hours, then every six hours, every day, every week; by its next chance to be seen at the
    earliest, and once when it is given up.
    """
    for silent, wait in ((0, 60), (359, 60), (360, 360), (DAY, DAY), (7 * DAY, 7 * DAY), (99 * DAY, 7 * DAY)):
        now = 1000 + silent
        assert _again(now, awaited_at=1000, overdue_at=1000) == now + wait
        assert _again(now, where="held", overdue_at=1000) == now + wait
        assert _again(now, awaited_at=now + 20_000, overdue_at=1000) == now + 20_000
        assert _again(now, awaited_at=1000, overdue_at=1000, given_up_at=now + 30) == now + 30
    assert _again(900, awaited_at=1000, given_up_at=2000) == 1000
    assert _again(900, where="unknown", given_up_at=2000) == 2000


@pytest.mark.parametrize("status", ["pre_transit", "in_transit", "on_hold", "out_for_delivery", "delivery_failed"])
def test_nobody_waits_for_ever_for_what_is_not_seen(status: str):
    """Given up when its time has come, where it was last known to be; what ended has ended."""
    given = {"status": status, "at": 1000, "place": place("H"), "node_before": "W", "given_up_at": NOW}
    assert where(**given, now=NOW - 1)["where"] != "given_up"
    found = where(**given)
    assert (found["where"], found["node_id"], found["riding_departure_id"]) == ("given_up", "W", None)
    assert where(**{**given, "status": "delivered"})["where"] == "delivered"
    assert where(**{**given, "status": "return_to_sender"})["where"] == "ended"
