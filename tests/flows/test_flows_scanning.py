"""Scans handed in: each once, whenever it comes; codes and numbers that nobody knew yet are understood later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tracking_cases import HOUSE, SHOP, STRANGER, World, at, make_world

from rookery.base import jobs
from rookery.base.clock import Clock
from rookery.base.operations import SYSTEM, Who
from rookery.flows import scan_codes, scanning
from rookery.flows.scan_codes import explain, explain_late
from rookery.flows.scanning import claim, claim_some
from rookery.terms.errors import InvalidInput, NotAllowed, NotFound, TooLarge
from rookery.tracking import tables_store
from rookery.tracking.scans import Good


@pytest.fixture(scope="module")
def world(make_urls, tmp_path_factory):
    """One world for all, each test with parcels, and where it sends tables with couriers, of its own."""
    with make_world(make_urls, tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def courier(world: World) -> Iterator[Who]:
    """BLUE without tables, unknown codes and strays of other tests."""

    def clear() -> None:
        with world.record.database.owner() as owner:
            owner.execute("truncate tracking.code_tables, tracking.unmapped, tracking.strays")

    clear()
    yield world.blue
    clear()


def one(number: str, hours: float, code: str, node: str | None = "A", **more: Any) -> dict[str, Any]:
    return {"number": number.rsplit("/", 1)[-1], "at": at(hours), "code": code, "node": node, **more}


def send(world: World, who: Who, *scans: Any, **more: Any) -> dict[str, Any]:
    return world.record.do("scans.create", who, scans=list(scans), **more)


def said(told: dict[str, Any]) -> list[tuple[int, str, list[str]]]:
    """What is told of each scan: its place, state, codes of notices or faults."""
    return [
        (it["scan"], it["state"], [notice["code"] for notice in it["notices"] + it["faults"]]) for it in told["results"]
    ]


def put(world: World, who: Who, text: str, **more: Any) -> Any:
    from rookery.base.operations import OPERATIONS
    from rookery.base.performing import perform

    op = OPERATIONS["scans.codes.put"]
    return perform(op, world.record.context(who), op.ask(content=text.encode(), **more)).reply


def desk(world: World) -> jobs.Desk:
    return jobs.Desk(world.record.database, Clock(lambda: world.record.now), world.record.parts)


def understand(world: World, who: Who) -> None:
    """The job that was asked for."""
    with world.record.database.owner() as owner:
        waiting = owner.execute(
            "delete from jobs.procrastinate_jobs where task_name = 'tracking.explain' and status = 'todo'"
            " returning args"
        ).fetchall()
    assert waiting
    for (args,) in waiting:
        explain(desk(world), **args)


def let(world: World, epc: str, courier: Who) -> None:
    """Let a parcel to a courier, as a wave does that gives it another route."""
    with world.record.context(SYSTEM) as ctx:
        ctx.conn.execute(
            "insert into orders.parcel_party select parcel_id, %s, 'courier', party_id, false, %s from orders.parcels"
            " where number = %s",
            (courier.party_id, world.record.now, epc[-18:]),
        )


TABLE = "code,status,detail\n10,picked_up,accepted\n20,in_transit,departed\n99,,\n"


def test_scans_move_parcels_and_twice_is_once(world: World):
    """In any order, in one batch or many, each scan counts once; all being well nothing more is told."""
    epc = world.parcel()
    scans = [one(epc, 4, "arrived", "H"), one(epc, 1, "accepted"), one(epc, 2, "departed", departure="AH1")]
    assert send(world, world.blue, *scans) == {"taken": 3, "repeated": 0, "refused": 0, "results": []}
    assert send(world, world.blue, *reversed(scans)) == {"taken": 0, "repeated": 3, "refused": 0, "results": []}
    assert send(world, world.blue, scans[0], one(epc, 0.5, "label_created"), scans[0])["taken"] == 1
    told = world.follow(epc)
    assert (told.status, told.detail, told.place) == ("in_transit", "arrived", "urn:rookery:node:H")
    assert [step.departure_id for step in told.steps] == [None, None, "AH1", None]


def test_the_malformed_ones_are_refused_alone(world: World):
    """Good ones go on; of bad ones every fault is told; what is odd is kept and told."""
    epc = world.parcel()
    told = send(
        world, world.blue, {"number": "", "at": "2026-03-02T08:00:00", "code": ""}, one(epc, 1, "accepted"),
        one(epc, 2, "departed", "NOWHERE"), one(epc, 3, "??"),
        {**one(epc, 0, "delivered"), "at": "1970-01-01T00:00:00Z"},
        {**one(epc, 0, "delivered"), "at": "2036-01-01T00:00:00Z"},
        one("340123450000000018", 1, "accepted"),
    )  # fmt: skip
    assert (told["taken"], told["repeated"], told["refused"]) == (6, 0, 1)
    assert said(told) == [
        (0, "refused", ["missing_value", "naive_timestamp", "missing_value"]), (2, "taken", ["unknown_node"]),
        (3, "taken", ["unknown_code"]), (4, "taken", ["time_ancient"]), (5, "taken", ["time_in_future"]),
        (6, "taken", ["unknown_number", "bad_check_digit"]),
    ]  # fmt: skip
    assert all(it["event_id"].startswith("ni:///sha-256;") for it in told["results"][1:])
    assert world.follow(epc).detail == "departed"
    assert said(send(world, world.blue, one(epc, 3, "??"))) == [(0, "repeated", ["unknown_code"])]


def test_a_scan_of_the_wrong_type_holds_up_no_other(world: World):
    """Each is read by itself: all its faults are told where they are, those of its good fields too."""
    epc = world.parcel()
    bad = {"number": 7, "at": None, "code": "", "node": "A", "colour": "red", "na me": 1, "contents": ["P-1", 2]}
    told = send(
        world, world.blue, bad, one(epc, 1, "accepted"), "scan", None, one(epc, 2, "departed") | {"at": 5},
        one(epc, 3, "departed") | {"withdraws": "Ada Example"},
        one(epc, 2, "departed") | {"at": "0001-01-01T00:00:00Z"},
    )  # fmt: skip
    assert (told["taken"], told["repeated"], told["refused"]) == (1, 0, 6)
    faults = {it["scan"]: [(fault["at"], fault["code"]) for fault in it["faults"]] for it in told["results"]}
    assert faults == {
        0: [
            ("$.scans[0].number", "type"), ("$.scans[0].at", "type"), ("$.scans[0].colour", "unknown_field"),
            ("$.scans[0].?", "unknown_field"), ("$.scans[0].contents[1]", "type"), ("$.scans[0].code", "missing_value"),
        ],
        2: [("$.scans[2]", "type")], 3: [("$.scans[3]", "type")], 4: [("$.scans[4].at", "type")],
        5: [("$.scans[5].withdraws", "enum")], 6: [("$.scans[6].at", "bad_timestamp")],
    }  # fmt: skip
    assert "Ada" not in str(told)  # what was sent is not said again
    assert world.follow(epc).detail == "accepted"


def test_our_words_hold_beside_a_couriers_own(world: World, courier: Who):
    """A table of its own takes none of the standard words away, unless it says so."""
    epc = world.parcel()
    told = put(world, courier, TABLE)
    assert (told.version, told.codes) == (1, 3)
    assert (
        send(world, courier, one(epc, 1, "10"), one(epc, 2, "departed"), one(epc, 3, "in_transit/arrived"))["results"]
        == []
    )
    assert world.follow(epc).detail == "arrived"
    put(world, courier, "# base: none\n" + TABLE)
    assert said(send(world, courier, one(epc, 4, "nobody_home"))) == [(0, "taken", ["unknown_code"])]


def test_a_withdrawal_of_nothing_is_told(world: World):
    """Where no such scan is kept or beside it the sender hears so, each time; once it has come it is told no more."""
    epc = world.parcel()
    scan, other = one(epc, 3, "delivered", "B"), one(epc, 2, "departed")
    back = {"withdraws": "did_not_occur"}
    assert said(send(world, world.red, scan | back)) == [(0, "taken", ["nothing_withdrawn"])]
    assert said(send(world, world.red, scan | back)) == [(0, "repeated", ["nothing_withdrawn"])]
    assert send(world, world.red, scan)["results"] == []
    assert send(world, world.red, scan | back)["results"] == []
    assert world.follow(epc).status is None
    assert send(world, world.red, other | back | {"withdrawn_at": at(4)}, other)["results"] == []
    told = send(world, world.red, other | back | {"note": "mistyped", "withdrawn_at": at(4)})
    assert said(told) == [(0, "taken", ["nothing_withdrawn"])]
    assert said(send(world, world.blue, other | back)) == [(0, "taken", ["nothing_withdrawn"])]  # another's scan


def test_a_time_long_before_booking_is_told_to_who_has_to_do_with_the_parcel(world: World):
    """It is kept, not believed, and said; to a stranger the parcel is as unknown as any."""
    epc = world.parcel()
    early = one(epc, -24 * 40, "delivered")
    assert said(send(world, world.blue, early)) == [(0, "taken", ["time_before_booking"])]
    assert said(send(world, STRANGER, early)) == [(0, "taken", ["unknown_number"])]
    assert said(send(world, world.blue, one(epc, -24 * 20, "accepted"))) == []
    assert world.follow(epc).detail == "accepted"


def test_faults_of_the_whole_are_told_before_anything_is_kept(world: World):
    """An unknown vocabulary, no scans, too many."""
    with pytest.raises(InvalidInput) as refused:
        send(world, world.blue, one("P-100", 1, "accepted"), vocabulary="nobody")
    assert [fault.at for fault in refused.value.faults] == ["$.vocabulary"]


def test_a_batch_names_so_many_numbers_and_no_more(world: World):
    """All numbers count, contents and containers too; the scan at which there are too many is told, nothing is kept."""
    before = world.count("events")
    contents = [f"P-{i}" for i in range(2000)]
    bags = [one(f"SX-{i}", 1, "arrived", contents=contents) for i in range(9)]
    small = one("SX-9", 1, "arrived", contents=contents[:1989])
    with pytest.raises(TooLarge) as refused:
        send(world, world.blue, *bags, small, one("P-1", 1, "bagged", container="SX-10"))
    assert [fault.at for fault in refused.value.faults] == ["$.scans[10]"]
    assert world.count("events") == before
    # what is no scan is refused later, and counts as one
    most = [*({"contents": contents} for _ in range(9)), {"contents": ["1"] * 1988}, 7, {"contents": 7}]
    assert scanning._refuse_too_many(most[:-1]) is None
    with pytest.raises(TooLarge):
        scanning._refuse_too_many([*most, {"container": "X"}])


def test_a_scan_whose_event_cannot_be_kept_is_refused_alone(world: World, monkeypatch: pytest.MonkeyPatch):
    """What keeping finds wrong is told of its scan like what looking at it found; here an instant is planted."""
    epc, real = world.parcel(), scanning.check

    def plant(place: int, scan: Any) -> Any:
        good = real(place, scan)
        assert isinstance(good, Good)
        return good._replace(written="0001-01-01T00:00:00+14:00") if place == 1 else good

    monkeypatch.setattr(scanning, "check", plant)
    told = send(world, world.blue, one(epc, 1, "accepted"), one(epc, 2, "??"), one(epc, 3, "departed"))
    assert (told["taken"], told["repeated"], told["refused"]) == (2, 0, 1)
    assert said(told) == [(1, "refused", ["out_of_range"])] and told["results"][0]["event_id"] is None
    assert [fault["at"] for fault in told["results"][0]["faults"]] == ["$.scans[1].eventTime"]
    assert world.follow(epc).detail == "departed"


def test_codes_are_told_apart_by_every_sign(world: World, courier: Who):
    """01, 1 and 1.0 are three codes, though one number; each sent again is the same scan."""
    epc = world.parcel()
    scans = [one(epc, 1, code) for code in ("01", "1", "1.0")] + [one(epc, 1, "1", id=name) for name in ("7", "07")]
    assert (send(world, courier, *scans)["taken"], send(world, courier, *scans)["repeated"]) == (5, 5)
    listed = world.record.do("scans.codes.list", courier)["data"]
    assert {row["code"]: row["scans"] for row in listed} == {"01": 1, "1": 3, "1.0": 1}


def test_vocabularies(world: World):
    """A batch may come in a vocabulary that comes with the program."""
    epc = world.parcel()
    assert send(world, world.blue, one(epc, 1, "departed"), one(epc, 3, "ready"), vocabulary="twin")["results"] == []
    assert world.follow(epc).detail == "ready_to_depart"


def test_a_code_is_understood_when_a_table_tells(world: World, courier: Who):
    """Kept scans count once their code is explained; their events stay what they are, and none is explained twice."""
    epc, other = world.parcel(), world.parcel()
    send(
        world, courier, one(epc, 1, "10"), one(epc, 2, "20"), one(other, 2, "20"), one(other, 3, "99"), one(epc, 5, "7")
    )
    assert world.follow(epc).status is None
    listed = world.record.do("scans.codes.list", courier, limit=2)
    rest = world.record.do("scans.codes.list", courier, after=listed["next"])
    found = {row["code"]: row for row in listed["data"] + rest["data"]}
    assert {code: row["scans"] for code, row in found.items()} == {"10": 1, "20": 2, "99": 1, "7": 1}
    assert len(listed["data"]) == len(rest["data"]) == 2 and rest["next"] is None
    assert found["10"]["number"] == epc.rsplit("/", 1)[1]
    assert world.record.do("scans.codes.list", STRANGER)["data"] == []
    assert len(world.record.do("scans.codes.list", HOUSE)["data"]) == 4

    tried = put(world, courier, TABLE, dry_run=True)
    assert (tried.version, tried.codes, tried.explains, tried.leaves) == (None, 3, 4, 1)
    assert world.record.do("scans.codes.versions", courier)["data"] == []
    assert put(world, courier, TABLE).version == 1
    understand(world, courier)
    told = world.follow(epc)
    assert (told.status, told.detail) == ("in_transit", "departed") and world.follow(other).detail == "departed"
    assert world.kept(epc)[:2] == ("in_transit", "departed")  # type: ignore[index]
    assert [row["code"] for row in world.record.do("scans.codes.list", courier)["data"]] == ["7"]
    explain(desk(world), courier.party_id, "False")
    assert world.follow(epc) == told
    # the same scans again are the same events; new ones are read by the table
    assert send(world, courier, one(epc, 1, "10"), one(epc, 2, "20"))["repeated"] == 2
    assert send(world, courier, one(epc, 6, "10"))["taken"] == 1


def test_a_scan_that_races_with_the_table_is_explained(world: World, courier: Who, monkeypatch: pytest.MonkeyPatch):
    """A scan that was read before a table came, and kept after its job looked, is found by the minute's look."""
    epc, real = world.parcel(), tables_store.add_unmapped

    def meanwhile(*args: Any) -> None:
        put(world, courier, TABLE)
        real(*args)

    monkeypatch.setattr(tables_store, "add_unmapped", meanwhile)
    assert said(send(world, courier, one(epc, 1, "10"))) == [(0, "taken", ["unknown_code"])]
    explain_late(desk(world))
    explain_late(desk(world))  # once is enough: a job waits
    understand(world, courier)
    assert world.follow(epc).detail == "accepted"
    with pytest.raises(AssertionError):  # nothing is left, so that no job is asked for
        explain_late(desk(world))
        understand(world, courier)


def test_what_is_kept_is_explained_and_claimed_some_at_a_time(
    world: World, courier: Who, monkeypatch: pytest.MonkeyPatch
):
    """However many things the scans name, each piece is a transaction of its own, and in the end all are understood."""
    epcs = [world.parcel() for _ in range(5)]
    send(world, courier, *(one(epc, 1, "10", contents=[f"P-{epc[-4:]}{i}" for i in range(3)]) for epc in epcs))
    send(world, STRANGER, *(one(epc, 2, "departed") for epc in epcs))
    monkeypatch.setattr(scan_codes, "THINGS_AT_ONCE", 9)
    put(world, courier, TABLE)
    pieces, explained = [], tables_store.explain

    def piece(conn: Any, *asked: Any) -> Any:
        number = conn.execute("select pg_current_xact_id()::text").fetchone()[0]
        pieces.append((number, explained(conn, *asked)))
        return pieces[-1][1]

    monkeypatch.setattr(tables_store, "explain", piece)
    understand(world, courier)
    assert [scans for _, (scans, _) in pieces] == [2, 2, 1] and len({number for number, _ in pieces}) == 3
    assert [world.follow(epc).detail for epc in epcs] == ["accepted"] * 5
    assert world.record.do("scans.codes.list", courier)["data"] == []
    for epc in epcs:
        let(world, epc, STRANGER)
    sizes, real = [], scanning.claim
    monkeypatch.setattr(scanning, "CLAIMED_AT_ONCE", 2)
    monkeypatch.setattr(scanning, "claim", lambda ctx, things: sizes.append(len(things)) or real(ctx, things))
    claim_some(desk(world))
    assert max(sizes) == 2 and len(sizes) > 2
    assert [world.follow(epc).detail for epc in epcs] == ["departed"] * 5


def test_a_scan_stays_what_it_was_when_its_code_means_another_thing(world: World, courier: Who):
    """Sent again, or withdrawn, under a newer table it is the same event, though new scans are read anew."""
    epc = world.parcel()
    world.record.now, before = datetime(2026, 3, 3, tzinfo=UTC), world.record.now
    try:
        put(world, courier, TABLE)
        send(world, courier, one(epc, 1, "10"), one(epc, 2, "20"))
        put(world, courier, TABLE.replace("20,in_transit,departed", "20,delivered,"))
        assert send(world, courier, one(epc, 2, "20"))["repeated"] == 1
        assert world.follow(epc).detail == "departed"
        assert send(world, courier, one(epc, 2, "20", withdraws="did_not_occur"))["taken"] == 1
        assert world.follow(epc).detail == "accepted"
        assert send(world, courier, one(epc, 3, "20"))["taken"] == 1
        assert world.follow(epc).status == "delivered"
    finally:
        world.record.now = before


def test_tables_have_versions(world: World, courier: Who):
    """The one in force sent again is no new one; an older one sent again goes back; each can be read as it was sent."""
    other = TABLE + "30,delivered,\n"
    assert [put(world, courier, text).version for text in (TABLE, TABLE, other, TABLE)] == [1, 1, 2, 3]
    listed = world.record.do("scans.codes.versions", courier, limit=2)
    assert [row["version"] for row in listed["data"]] == [3, 2]
    rest = world.record.do("scans.codes.versions", courier, limit=2, after=listed["next"])
    assert [row["version"] for row in rest["data"]] == [1] and rest["next"] is None
    assert world.record.do("scans.codes.table", courier) == TABLE.encode()
    assert world.record.do("scans.codes.table", courier, version=2) == other.encode()
    with pytest.raises(NotFound):
        world.record.do("scans.codes.table", world.red)
    # an operator may do it for a courier, nobody else
    assert put(world, HOUSE, other, party_id=courier.party_id).version == 4
    with pytest.raises(NotAllowed):
        put(world, world.red, other, party_id=courier.party_id)
    with pytest.raises(NotFound):
        put(world, HOUSE, other, party_id="pty_nobody")


def test_all_faults_of_a_table_are_told(world: World, courier: Who):
    """It is refused with every one of them, and nothing changes."""
    with pytest.raises(InvalidInput) as refused:
        put(
            world,
            courier,
            "# base: nobody\ncode,status,detail\n1,flying,\n2,delivered,departed\n2,delivered,\n,delivered,\n",
        )
    told = [(notice.line, notice.code) for notice in refused.value.notices if notice.severity == "error"]
    assert told == [
        (1, "unknown_base"), (3, "unknown_word"), (4, "detail_misplaced"), (5, "duplicate_id"), (6, "missing_value"),
    ]  # fmt: skip
    for text in ("", "code,status\n"):
        with pytest.raises(InvalidInput):
            put(world, courier, text)
    assert world.record.do("scans.codes.versions", courier)["data"] == []


def test_withdrawals(world: World):
    """A scan taken back moves nothing any more, whichever came first; twice is once; another party takes none back."""
    epc = world.parcel()
    wrong = one(epc, 9, "delivered", "B")
    send(world, world.red, one(epc, 8, "departed", "H"), wrong)
    assert send(world, world.blue, {**wrong, "withdraws": "incorrect_data"})["taken"] == 1
    assert world.follow(epc).status == "delivered"
    withdrawn = {**wrong, "withdraws": "did_not_occur"}
    assert send(world, world.red, withdrawn)["taken"] == 1
    world.record.now += timedelta(minutes=1)
    told = send(world, world.red, withdrawn, {**withdrawn, "withdrawn_at": at(30)})
    assert (told["taken"], told["repeated"]) == (1, 1)  # another declaration of the same is kept beside the first
    assert world.follow(epc).detail == "departed"
    early = {**one(epc, 12, "delivered", "B"), "withdraws": "did_not_occur", "withdrawn_at": at(13)}
    send(world, world.red, early)
    send(world, world.red, one(epc, 12, "delivered", "B"))
    assert world.follow(epc).detail == "departed"


def test_containers_and_contents(world: World):
    """What happens to the bag happens to what was told to be in it, also where that is told later."""
    one_, two = world.parcel(), world.parcel()
    send(world, world.blue, one("SC-1", 4, "departed"), one(one_, 1, "accepted"))
    told = send(
        world, world.blue, one(one_, 2, "bagged", container="SC-1"), one("SC-1", 3, "bagged", contents=[two[-18:]])
    )
    assert told["results"] == []
    assert world.follow(one_).detail == "departed" and world.follow(two).detail == "departed"
    send(
        world,
        world.red,
        one("SC-1", 6, "unbagged", "H", contents=[one_[-18:], two[-18:]]),
        one("SC-1", 7, "arrived", "B"),
    )
    assert world.follow(one_).detail == "unbagged" and world.follow(two).place == "urn:rookery:node:H"
    told = send(world, world.red, one(one_, 8, "departed", "H", container="SC-2"))
    assert said(told) == [(0, "taken", ["container_not_used"])]


def test_another_parcel_put_into_the_bag_moves_not_those_in_it(world: World):
    """A parcel that customs keep is kept, though others are put into the bag it lies in."""
    held, later = world.parcel(), world.parcel()
    send(world, world.blue, one(held, 1, "bagged", container="SC-3"), one(held, 2, "customs_hold"))
    send(world, world.blue, one(later, 3, "bagged", container="SC-3"))
    assert world.follow(held).status == "on_hold" and world.kept(held)[0] == "on_hold"  # type: ignore[index]


def test_strays_count_when_a_parcel_has_their_number(world: World, courier: Who):
    """A number scanned before it was anybody's, or by a courier that was not its own yet, counts once it is."""
    epc = world.parcel()
    told = send(world, STRANGER, one(epc, 2, "departed"), one(epc, 3, "arrived", "H"))
    assert said(told) == [(0, "taken", ["unknown_number"]), (1, "taken", ["unknown_number"])]
    assert send(world, STRANGER, one(epc, 2, "departed"))["repeated"] == 1
    listed = world.record.do("scans.strays", STRANGER, limit=1)
    rest = world.record.do("scans.strays", STRANGER, after=listed["next"])
    assert {(row["number"], row["code"]) for row in listed["data"] + rest["data"]} == {
        (epc[-18:], "departed"), (epc[-18:], "arrived"),
    }  # fmt: skip
    assert len(listed["data"]) == len(rest["data"]) == 1 and rest["next"] is None
    assert world.record.do("scans.strays", world.red)["data"] == []
    claim_some(desk(world))
    assert len(world.record.do("scans.strays", HOUSE)["data"]) == 2
    assert world.follow(epc).status is None
    let(world, epc, STRANGER)
    claim_some(desk(world))
    assert world.record.do("scans.strays", STRANGER)["data"] == []
    assert (world.follow(epc).detail, world.kept(epc)[1]) == ("arrived", "arrived")  # type: ignore[index]
    with world.record.context(SHOP, readonly=True) as ctx:
        seen = ctx.conn.execute("select count(*) from tracking.event_epcs where epc = %s", (epc,)).fetchone()
    assert seen == (2,)
    with world.record.context(SYSTEM) as ctx:
        assert claim(ctx, [epc]) == 0


def test_what_a_courier_put_into_its_bag_lies_there_once_it_is_its_own(world: World, courier: Who):
    """Nobody's word of what lies in what is believed of others' parcels; it is, once the parcel was let to it."""
    epc = world.parcel()
    send(world, STRANGER, one(epc, 1, "bagged", container="SC-7"), one("SC-7", 2, "departed"))
    assert world.follow(epc).status is None
    let(world, epc, STRANGER)
    with world.record.context(SYSTEM) as ctx:
        assert claim(ctx, [epc]) == 1
    assert (world.follow(epc).detail, world.kept(epc)[1]) == ("departed", "departed")  # type: ignore[index]


def test_what_is_taken_back_waits_for_nothing(world: World, courier: Who):
    """Neither for its code to be explained nor for its number to be a parcel's."""
    send(world, courier, one("P-700", 1, "??", withdraws="did_not_occur"))
    assert world.record.do("scans.codes.list", courier)["data"] == []
    assert world.record.do("scans.strays", courier)["data"] == []


def test_a_container_is_no_stray(world: World, courier: Who):
    """A bag's own scan is nothing to be told of, once it is known for one."""
    epc = world.parcel()
    assert said(send(world, courier, one("SC-9", 2, "departed"))) == [(0, "taken", ["unknown_number"])]
    send(world, courier, one(epc, 1, "bagged", container="SC-9"))
    assert world.record.do("scans.strays", courier)["data"] == []
    assert send(world, courier, one("SC-9", 5, "arrived", "H"))["results"] == []


def test_a_key_keeps_the_reply(world: World):
    """A batch sent again under its Idempotency-Key is answered as the first time."""
    epc = world.parcel()
    scans = [one(epc, 1, "accepted")]
    first = world.record.do("scans.create", world.blue, "key-1", scans=scans)
    assert world.record.do("scans.create", world.blue, "key-1", scans=scans) == first
    assert world.record.do("scans.create", world.blue, scans=scans)["repeated"] == 1
