"""Acts about cases: who sees what of them, taken and closed by people, page by page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

import pytest
from looked_cases import CLOSED, LOOK, MISSED, judged, looked
from msgspec import ValidationError
from record_cases import RIVAL, SHOP, Record, make_record

from rookery.base.access.keys import create_party
from rookery.base.operations import Who
from rookery.doors.http.etags import etag_of, version_seen
from rookery.flows.cases import ACTIONS, OWN, Kind, get_case
from rookery.terms.errors import Changed, Conflict, InvalidInput, NotAllowed, NotFound

HOUSE = Who("pty_house", "key_house", frozenset({"operator"}))
BLUE = Who("pty_blue", "key_blue", frozenset({"courier"}))
TESTER = Who("pty_house", "key_test", frozenset({"operator"}), test=True)


@pytest.fixture
def record(make_urls, tmp_path):
    with make_record(make_urls, tmp_path) as record:
        record.now = LOOK
        yield record


def look(record: Record, **rows: dict[str, Any]) -> list[str]:
    """Look at parcels, by name, and judge; the cases that were opened."""
    with record.context() as ctx:
        return judged(ctx, looked(rows), record.now).opened


THEIRS = {"owner_id": "pty_rival"}


def test_an_operator_sees_all_and_a_shipper_its_own_share(record: Record):
    """A case of two shippers' parcels: figures and parcels of each its own, the operator's of all; costs too."""
    [case_id] = look(record, a=CLOSED, b=CLOSED | THEIRS | {"value": 99.0, "chance": 0.3}, c=CLOSED)
    record.do("cases.take", HOUSE, case_id=case_id, owner="night desk")
    said = {
        who.party_id: record.do("cases.get", who, case_id=case_id) for who in (HOUSE, SHOP, RIVAL)
    }  # fmt: skip
    figures = ("parcels", "value", "worst_chance", "moves", "move_cost", "move_chance", "owner")
    assert [tuple(said[party][name] for name in figures) for party in said] == [
        (3, 119.0, 0.3, 3, 7.5, 0.3, "night desk"),
        (2, 20.0, 0.5, 2, None, 0.5, None),
        (1, 99.0, 0.3, 1, None, 0.3, None),
    ]
    parcels = {
        who.party_id: record.do("cases.parcels", who, case_id=case_id)["data"] for who in (HOUSE, SHOP, RIVAL)
    }  # fmt: skip
    assert {party: [one["number"] for one in found] for party, found in parcels.items()} == {
        "pty_house": ["a", "b", "c"], "pty_shop": ["a", "c"], "pty_rival": ["b"],
    }  # fmt: skip
    assert parcels["pty_house"][0]["move"][0]["departure_id"] == "HB2"
    assert parcels["pty_house"][0]["move_cost"] == 2.5 and parcels["pty_shop"][0]["move_cost"] is None
    assert parcels["pty_shop"][0]["move"] == parcels["pty_house"][0]["move"]


def test_a_case_tells_what_to_do_next_to_whoever_runs_the_network(record: Record):
    """With the case's own id where an act of ours does it; nothing to shippers, and nothing when it is closed."""
    assert {*ACTIONS} == {*get_args(Kind)}
    [case_id] = look(record, a=CLOSED)
    told = record.do("cases.get", HOUSE, case_id=case_id)
    assert f"POST /cases/{case_id}/act" in told["action"] and "pieces_apart" in told["action"]
    assert record.do("cases.list", HOUSE)["data"] == [told]
    assert record.do("cases.get", SHOP, case_id=case_id)["action"] is None
    assert record.do("cases.close", HOUSE, case_id=case_id, why="settled")["action"] is None


def test_what_concerns_others_is_not_there(record: Record):
    """Another shipper's case is not found, listed or told from one that does not exist; couriers ask in vain."""
    [case_id] = look(record, b=MISSED | THEIRS)
    for act in ("cases.get", "cases.parcels"):
        with pytest.raises(NotFound) as others:
            record.do(act, SHOP, case_id=case_id)
        with pytest.raises(NotFound) as nobodys:
            record.do(act, SHOP, case_id="cas_none")
        assert str(others.value).replace(case_id, "cas_none") == str(nobodys.value)
    assert record.do("cases.list", SHOP)["data"] == []
    assert record.do("cases.list", TESTER)["data"] == []
    with pytest.raises(NotAllowed):
        record.do("cases.list", BLUE)
    for act, more in (("cases.take", {}), ("cases.close", {"why": "gone"})):
        with pytest.raises(NotAllowed):
            record.do(act, RIVAL, case_id=case_id, **more)
        with pytest.raises(NotFound):
            record.do(act, TESTER, case_id=case_id, **more)


def several(record: Record) -> dict[str, float | None]:
    """Five cases of a parcel each, with what they are worth."""
    values = {"a": 5.0, "b": None, "c": 50.0, "d": 5.0, "e": 0.5}
    worth: dict[str, float | None] = {}
    for name, value in values.items():
        record.now += timedelta(minutes=1)
        [case_id] = look(record, **{name: {"status": "on_hold", "detail": "customs_hold", "value": value}})
        worth[case_id] = value
    return worth


def pages(record: Record, who: Who = HOUSE, act: str = "cases.list", **ask: Any) -> list[dict[str, Any]]:
    """All of a list, by pages of two."""
    found, after = [], ""
    while after is not None:
        page = record.do(act, who, limit=2, after=after, **ask)
        assert len(page["data"]) <= 2
        found, after = found + page["data"], page["next"]
    return found


@pytest.mark.parametrize("who", [HOUSE, SHOP])
def test_lists_come_page_by_page_newest_or_dearest_first(record: Record, who: Who):
    """Every case once, in order; what is worth nothing known comes last, for the operator and for the shipper."""
    worth = several(record)
    assert [case["case_id"] for case in pages(record, who)] == sorted(worth, reverse=True)
    dearest = sorted(
        worth, key=lambda case_id: (-1 if worth[case_id] is None else worth[case_id], case_id), reverse=True
    )
    assert [case["case_id"] for case in pages(record, who, by="value")] == dearest


def test_lists_go_by_state_kind_and_owner(record: Record):
    """By default what is not closed; a state, a kind and an owner narrow it."""
    first, second, *_ = several(record)
    record.do("cases.take", HOUSE, case_id=first, owner="night desk")
    record.do("cases.close", HOUSE, case_id=second, why="settled")

    def ids(**ask: Any) -> set[str]:
        return {case["case_id"] for case in pages(record, **ask)}

    assert len(ids()) == 4 and second not in ids() and len(ids(state="all")) == 5
    assert ids(state="closed") == {second} and ids(state="acknowledged") == {first} == ids(owner="night desk")
    assert len(ids(kind="hold")) == 4 and ids(kind="damage") == set()


def test_parcels_come_page_by_page_with_those_that_left_on_demand(record: Record):
    """Every parcel once; those that left the case only when asked for."""
    [case_id] = look(record, **dict.fromkeys("abcde", MISSED))
    look(record, b={})
    listed = pages(record, act="cases.parcels", case_id=case_id)
    assert [one["number"] for one in listed] == ["a", "c", "d", "e"]
    whole = pages(record, act="cases.parcels", case_id=case_id, left=True)
    assert [(one["number"], one["closed_why"]) for one in whole][:2] == [("a", None), ("b", "mended")]


def test_taking_a_case_acknowledges_it_once(record: Record):
    """The owner is the asking party or who is named; the same again changes nothing, not even the version."""
    [case_id] = look(record, a=MISSED)
    taken = record.do("cases.take", HOUSE, case_id=case_id)
    assert (taken["state"], taken["owner"], taken["version"]) == ("acknowledged", "pty_house", 2)
    assert record.do("cases.take", HOUSE, case_id=case_id)["version"] == 2
    given = record.do("cases.take", HOUSE, case_id=case_id, owner="night desk", if_match=2)
    assert (given["owner"], given["version"]) == ("night desk", 3)
    look(record, b=MISSED)
    assert record.do("cases.get", HOUSE, case_id=case_id) == given | {"parcels": 2, "value": 20.0}


def test_a_case_is_given_to_parties_that_exist_or_to_desks(record: Record):
    """What looks like a party's id and is none is refused, and nothing changes; any other name is a desk's."""
    [case_id] = look(record, a=MISSED)
    with pytest.raises(InvalidInput, match="pty_nope"):
        record.do("cases.take", HOUSE, case_id=case_id, owner="pty_nope")
    assert record.do("cases.get", HOUSE, case_id=case_id)["owner"] is None
    with record.context() as ctx:
        there_is = create_party(ctx.conn, "Night Desk Ltd", LOOK).party_id
    for owner in (there_is, "party desk"):
        assert record.do("cases.take", HOUSE, case_id=case_id, owner=owner)["owner"] == owner


def test_the_etag_of_a_case_is_of_all_that_is_told(record: Record):
    """Figures that change make another ETag without a new version, for the shipper by its own; told again, the same."""
    [case_id] = look(record, a=MISSED)
    tags = []
    for rows in ({}, {"b": MISSED | THEIRS}, {"a": MISSED | {"chance": 0.4}}):
        look(record, **rows)
        with record.context(HOUSE) as ctx:
            tags.append(etag_of(get_case(ctx, case_id)))
    with record.context(HOUSE) as ctx:
        assert etag_of(get_case(ctx, case_id)) == tags[-1]
    assert len(set(tags)) == 3 and {version_seen(tag, True) for tag in tags} == {1}


def test_sums_are_told_in_whole_minor_units(record: Record):
    """Cents of euros, no decimals of yen, for the case and each parcel in it."""
    third = 10 / 3
    [euros] = look(record, a=CLOSED | {"value": third, "cost": third}, b=CLOSED | {"value": third})
    [yen] = look(record, c=MISSED | {"value": third, "currency": "JPY"})
    told = record.do("cases.get", HOUSE, case_id=euros)
    assert (told["value"], told["move_cost"]) == (6.67, 5.83)
    [first, _] = record.do("cases.parcels", HOUSE, case_id=euros)["data"]
    assert (first["value"], first["move_cost"]) == (3.33, 3.33)
    assert record.do("cases.get", HOUSE, case_id=yen)["value"] == 3.0


@pytest.mark.parametrize(
    ("act", "ask"),
    [
        ("cases.list", {"after": "garbage"}),
        ("cases.list", {"after": "shp_1"}),
        ("cases.parcels", {"after": "cas_1"}),
        ("replans.list", {"after": "garbage"}),
        ("replans.list", {"case_id": "shp_x"}),
        ("chances.list", {"after": "nan~pcl_x"}),
        ("chances.list", {"after": "-1~pcl_x"}),
        ("chances.list", {"after": "0.5~shp_x"}),
    ],
)
def test_cursors_that_cannot_be_are_refused(record: Record, act: str, ask: dict[str, str]):
    """What no page of the list can have told is refused, and not answered with an empty page."""
    [case_id] = look(record, a=MISSED)
    more = {"case_id": case_id} if act == "cases.parcels" else {}
    with pytest.raises((InvalidInput, ValidationError)):
        record.do(act, HOUSE, **ask, **more)
    assert record.do(act, HOUSE, **more)["next"] is None


def test_who_saw_another_version_changes_nothing(record: Record):
    """Taking or closing what somebody else has changed meanwhile is refused, and nothing is written."""
    [case_id] = look(record, a=MISSED)
    record.do("cases.take", HOUSE, case_id=case_id)
    for act, more in (("cases.take", {"owner": "x"}), ("cases.close", {"why": "gone"})):
        with pytest.raises(Changed):
            record.do(act, HOUSE, case_id=case_id, if_match=1, **more)
    assert record.do("cases.get", HOUSE, case_id=case_id)["version"] == 2


def test_closing_by_hand_says_why_to_operators_alone(record: Record):
    """The operator's words are the operator's; closing again keeps the first; a closed case cannot be taken."""
    [case_id] = look(record, a=MISSED)
    closed = record.do("cases.close", HOUSE, case_id=case_id, why="settled with RED")
    assert (closed["state"], closed["closed_by"], closed["closed_why"]) == ("closed", "pty_house", "settled with RED")
    assert (closed["parcels"], closed["value"]) == (0, None)
    assert record.do("cases.close", HOUSE, case_id=case_id, why="again") == closed
    told = record.do("cases.get", SHOP, case_id=case_id)
    assert (told["closed_by"], told["closed_why"]) == (None, "by_hand")
    with pytest.raises(Conflict):
        record.do("cases.take", HOUSE, case_id=case_id)
    assert look(record, a=MISSED) == []


def test_what_is_done_by_hand_is_noted(record: Record):
    """The trail has who took and who closed, without the words."""
    [case_id] = look(record, a=MISSED)
    record.do("cases.take", HOUSE, case_id=case_id, owner="night desk")
    record.do("cases.close", HOUSE, case_id=case_id, why="settled")
    with record.context() as ctx:
        noted = ctx.conn.execute(
            "select act, party_id, subject, detail from base.audit where act like 'cases.%' order by at, act desc"
        ).fetchall()
    assert noted == [("cases.take", "pty_house", case_id, {}), ("cases.close", "pty_house", case_id, {})]


def test_a_shipper_pages_through_its_own_cases_alone(record: Record):
    """Its cases are found by its parcels, newest first, page by page, however many others there are."""
    mine = [look(record, **{f"m{i}": {"chance": 0.1} | THEIRS})[0] for i in range(3)]
    look(record, **{f"s{i}": {"chance": 0.1} for i in range(2000)})
    with record.database.owner() as conn:
        conn.execute("analyze tracking.cases, tracking.case_parcels")
    listed, after = [], ""
    while after is not None:
        page = record.do("cases.list", RIVAL, limit=2, after=after)
        listed, after = [*listed, *(case["case_id"] for case in page["data"])], page["next"]
    assert listed == sorted(mine, reverse=True)
    with record.context(RIVAL, readonly=True) as ctx:
        query = f"explain select * from {OWN} where c.state <> 'closed' order by c.case_id desc limit 3"
        plan = "\n".join(line for (line,) in ctx.conn.execute(query.encode()).fetchall())
    assert "case_parcels_of_owner on case_parcels " in plan and "Seq Scan" not in plan, plan
