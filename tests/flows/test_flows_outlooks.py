"""Outlooks are made anew when something calls for it, know who is under way, and have parcels looked at again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from record_cases import NOW, SHOP, Record, make_record, write_feed

import rookery.flows.living.outlooks as outlooks_module
from rookery.base.db import Urls
from rookery.base.jobs import Desk
from rookery.base.operations import SYSTEM, Who
from rookery.flows.living import looking_again, turning
from rookery.flows.living.outlook_classes import classes_of, never_looked_at, placed, under_way
from rookery.flows.living.outlooks import Outlooks
from rookery.network.live import stamp
from rookery.network.store import Feeds
from rookery.planning.outlook import Outlook
from rookery.terms.time import DAY, to_minute
from rookery.tracking.epcis.identifiers import sscc_uri

OPERATOR = Who("pty_house", "key_house", frozenset({"operator"}))


@pytest.fixture
def record(make_urls: Callable[[], Urls], tmp_path: Path) -> Iterator[Record]:
    with make_record(make_urls, tmp_path) as made:
        yield made


def desk_of(record: Record) -> Desk:
    return Desk(record.database, record.context().clock, record.parts)


def outlooks_of(record: Record) -> Outlooks:
    return record.parts[Outlooks]


def build(record: Record, test: bool = False) -> str | None:
    return outlooks_of(record).build(desk_of(record), test, at_once=True)


def known(record: Record) -> Outlook:
    found = outlooks_of(record).current(False)
    assert found is not None
    return found


def test_a_booked_parcel_gets_an_outlook_that_knows_its_kind(record: Record) -> None:
    """The first outlook is made for whoever is booked, and only once; test data have none without a network."""
    record.book("one")
    assert outlooks_of(record).current(False) is None
    assert (build(record), build(record), build(record, test=True)) == ("first", None, None)
    with record.context(readonly=True) as ctx:
        parcels = never_looked_at(ctx.conn, False, record.now)
    classes = classes_of(known(record).model.feed, parcels)
    assert classes.height == 1 and known(record).knows(classes).all()


def look(record: Record) -> int:
    """Looks at all that moved, and enters who is to be looked at again; how many parcels were looked at."""
    looked = 0
    while outlooks_of(record).enter_next(desk_of(record), False) | bool(
        count := turning.turn(desk_of(record), False, lambda: outlooks_of(record).current(False))
    ):
        looked += count
    return looked


def chances(record: Record) -> list[tuple]:
    """Of every parcel: what its chance is, why it is not known, and the days on which its legs leave."""
    rows = rows_of(record, "select chance, why, legs from tracking.chances order by epc")
    return [(chance, why, [leg["depart_at"][:10] for leg in legs]) for chance, why, legs in rows]


def rows_of(record: Record, query: str) -> list[tuple]:
    with record.context(SYSTEM, readonly=True) as ctx:
        return ctx.conn.execute(query.encode()).fetchall()


def close(record: Record, days: int = 1) -> str:
    """Nothing leaves A in so many days from now; the closure's id."""
    until = record.now + timedelta(days=days)
    asked = {"node_id": "A", "until_at": until.isoformat(), "reason": "snow", "replan": False}
    return record.do("closures.add", OPERATOR, **asked)["closure"]["closure_id"]


def test_a_kind_that_is_not_known_calls_for_another_outlook(record: Record) -> None:
    """A parcel to a place where nobody went before, that misses its departure, has no chance told until an outlook is
    made for its kind, which is.
    """
    record.book("one")
    build(record)
    look(record)
    record.book("two", offer=record.quote(to={"node": "H"})["offers"][0])
    look(record)
    assert [why for _, why, _ in chances(record)] == [None, None]  # it rides what is booked, whatever a policy says
    record.now += timedelta(hours=12)
    look(record)
    assert sorted(why or "" for _, why, _ in chances(record)) == ["", "no_policy"]
    assert (build(record), build(record)) == ("kinds", None)
    assert look(record) == 1
    assert [why for _, why, _ in chances(record)] == [None, None]


def test_a_closure_makes_others_legs_likely_and_lifting_it_the_former_ones(record: Record) -> None:
    """What is booked on a run that a closure cancels is looked at again, and told the next day's legs."""
    record.book("one")
    build(record)
    look(record)
    assert chances(record) == [(1.0, None, ["2026-03-02", "2026-03-03"])]
    closure = close(record)
    assert (build(record), look(record)) == ("closures", 1)
    assert [legs for _, _, legs in chances(record)] == [["2026-03-03", "2026-03-04"]]
    record.do("closures.lift", OPERATOR, closure_id=closure)
    assert (build(record), look(record)) == ("closures", 1)
    assert [legs for _, _, legs in chances(record)] == [["2026-03-02", "2026-03-03"]]


def test_another_network_and_another_day_call_for_another_outlook(record: Record, tmp_path: Path) -> None:
    """The timetable begins two days before the day it is, and has the departures of the active network."""
    build(record)
    for day in range(2):
        assert known(record).model.timetable.start == (to_minute(NOW) // DAY - 2 + day) * DAY
        record.now += timedelta(days=1)
        assert build(record) == "day"
    record.publish(write_feed(tmp_path / "other", seats="5", version="2"))
    assert build(record) == "network"
    assert 5.0 in known(record).model.resources.seats


def test_what_is_full_by_now_calls_for_another_outlook(record: Record, tmp_path: Path) -> None:
    """When the last seat of a departure is booked, policies lead elsewhere from then on."""
    record.publish(write_feed(tmp_path / "narrow", seats="2", version="2"))
    build(record)
    record.book("one")
    look(record)
    version = known(record).version
    assert build(record) == "kinds"  # and nothing is full yet
    assert (build(record), known(record).version) == (None, version)
    record.book("two")
    assert build(record) == "prices"
    assert known(record).version != version


def test_a_kind_that_goes_by_a_neighbours_policy_gets_its_own(record: Record) -> None:
    """A parcel due on another day is known at once, and calls for its own policy in time."""
    record.book("one")
    build(record)
    look(record)
    record.now += timedelta(hours=16)
    other = record.quote()["offers"][0]
    record.book("two", offer=other)
    build(record)  # another day, at which it may be made for already
    look(record)
    parcels = under_way_of(record)
    keyed = known(record).kinds.keyed(classes_of(known(record).model.feed, parcels), enter=False)
    assert keyed["hour"].n_unique() == 2
    assert set(keyed["hour"]) == set(known(record).columns["hour"])


def test_who_goes_by_another_policy_now_is_looked_at_again(record: Record) -> None:
    """Whoever was looked up in a neighbour's policy is, once its kind has its own, though all else is as it was."""
    record.book("one")
    build(record)
    look(record)
    record.now += timedelta(hours=10)
    record.book("two")  # due a day later
    look(record)
    assert [why for _, why, _ in chances(record)] == [None, None]
    version = known(record).version
    assert (build(record), known(record).version, look(record)) == ("kinds", version, 1)
    assert build(record) is None


def test_an_outlook_names_the_closures_it_was_made_under(record: Record, tmp_path: Path) -> None:
    """Before the dot stands their stamp, so that it is told apart whether a parcel was looked at since one came; other
    prices alone change what follows it.
    """
    record.publish(write_feed(tmp_path / "narrow", seats="2", version="2"))
    record.book("one")
    build(record)
    versions = [known(record).version]
    record.book("two")
    assert build(record) == "prices"
    versions.append(known(record).version)
    close(record)
    assert build(record) == "closures"
    versions.append(known(record).version)
    with record.context(SYSTEM, readonly=True) as ctx:
        assert versions[2].rpartition(".")[0] == stamp(ctx.conn, False)
    stamps = [version.rpartition(".")[0] for version in versions]
    assert len(set(versions)) == 3 and stamps[0] == stamps[1] != stamps[2]


def test_who_was_not_looked_at_for_longest_is_next(record: Record) -> None:
    """Under outlooks that follow each other before all are looked at again nobody waits for ever."""
    for i in range(3):
        record.book(f"{i}")
    build(record)
    look(record)
    close(record)
    build(record)
    first = [epc for (epc,) in rows_of(record, "select epc from tracking.chances order by epc")]
    with record.context(SYSTEM) as ctx:
        for minutes, epc in zip((2, 0, 1), first):
            ctx.conn.execute(
                "update tracking.chances set looked_at = %s where epc = %s", (NOW + timedelta(minutes=minutes), epc)
            )
    with record.context(SYSTEM, readonly=True) as ctx:
        assert looking_again._elsewise(ctx.conn, False, "next") == [first[1], first[2], first[0]]


def test_who_is_being_looked_at_under_the_former_outlook_is_looked_at_again(record: Record) -> None:
    """Whoever was taken out of the queue before a new outlook came, and is looked at when it comes, is waited for."""
    [parcel] = record.book("one")["parcels"]
    build(record)
    look(record)
    close(record)
    build(record)
    entering = threading.Thread(target=outlooks_of(record).enter_next, args=(desk_of(record), False))
    with record.database.owner() as turn, turn.transaction():
        turn.execute("select pg_advisory_xact_lock(%s, 0)", (turning.TURN,))
        entering.start()
        waits = "select count(*) from pg_locks where classid = %s and not granted"
        while turn.execute(waits, (turning.TURN,)).fetchone() == (0,):
            assert entering.is_alive()
        turn.execute("update tracking.chances set policy = 'former'")
    entering.join()
    assert rows_of(record, "select epcs from tracking.moved") == [([sscc_uri(parcel["number"])],)]


def test_a_closure_has_no_parcels_read_whose_kind_is_known(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whoever is under way nobody is read anew but those booked since, and those without a policy."""
    record.book("one")
    build(record)
    look(record)
    asked: list[bool] = []

    def counted(conn: psycopg.Connection, test: bool, unknown: bool = False) -> pl.DataFrame:
        asked.append(unknown)
        return under_way(conn, test, unknown)

    monkeypatch.setattr(outlooks_module, "under_way", counted)
    record.book("two", offer=record.quote(to={"node": "H"})["offers"][0])
    close(record)
    assert build(record) == "closures"
    assert asked and all(asked)
    assert known(record).knows(classes_of(known(record).model.feed, under_way_of(record))).all()
    assert build(record) is None


def under_way_of(record: Record) -> pl.DataFrame:
    with record.context(SYSTEM, readonly=True) as ctx:
        return under_way(ctx.conn, False)


def test_a_closure_does_not_wait_for_a_lesser_outlook(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outlook that is being made for the sake of a kind is given up when a closure is entered; that of the closure
    is not given up for another one.
    """
    monkeypatch.setattr(outlooks_module, "LOOK_S", 0.0)
    record.book("one")
    build(record)
    record.book("two", offer=record.quote(to={"node": "H"})["offers"][0])
    look(record)
    closures: list[str] = []

    def entering() -> bool:
        closures.append(close(record, 1 + len(closures)))
        return False

    outlooks, before = outlooks_of(record), known(record)
    assert outlooks.build(desk_of(record), False, entering, at_once=True) is None
    assert len(closures) == 1 and known(record) is before
    assert outlooks.build(desk_of(record), False, entering) == "closures"
    assert outlooks.build(desk_of(record), False) == "closures"


def test_what_is_less_urgent_waits_for_its_time(record: Record) -> None:
    """A parcel of a new kind calls for no outlook right after one was made, a closure does."""
    build(record)
    record.book("one")
    look(record)
    assert outlooks_of(record).build(desk_of(record), False) is None
    close(record)
    assert outlooks_of(record).build(desk_of(record), False) == "closures"


def test_a_worker_that_is_to_stop_makes_no_outlook_to_its_end(record: Record) -> None:
    """Told to stop while an outlook is being made, it is given up and nothing takes the place of the one before."""
    record.book("one")
    assert outlooks_of(record).build(desk_of(record), False, lambda: True) is None
    assert outlooks_of(record).current(False) is None


def test_the_same_outlook_made_again_has_the_same_version(record: Record) -> None:
    """After a restart nobody is looked at again: the outlook is what it was; under other closures it is another."""
    record.book("one")
    build(record)
    look(record)
    version = known(record).version
    record.parts[Outlooks] = Outlooks()
    assert (build(record), known(record).version, look(record)) == ("first", version, 0)
    close(record)
    assert (build(record), look(record)) == ("closures", 1)
    assert known(record).version != version


def test_parcels_of_earlier_times_are_looked_at(record: Record) -> None:
    """Who was booked before anybody looked at chances is entered with the first outlook; who was called off is not."""
    record.book("one")
    gone = record.book("two")
    record.do("shipments.cancel", SHOP, shipment_id=gone["shipment_id"])
    with record.context(SYSTEM) as ctx:
        ctx.conn.execute("delete from tracking.moved")
    assert look(record) == 0
    build(record)
    assert look(record) == 1
    build(record)
    assert look(record) == 0


def test_who_is_booked_on_what_changed_is_entered_before_all_others(record: Record, monkeypatch: Any) -> None:
    """The parcels of a departure that a closure cancels wait for nobody; others are entered while few wait."""
    monkeypatch.setattr(looking_again, "BATCH", 1)
    monkeypatch.setattr(looking_again, "LITTLE", 1)
    today = [record.book(f"today {i}") for i in range(3)]
    record.now += timedelta(days=1)
    for i in range(4):
        record.book(f"tomorrow {i}")
    build(record)
    look(record)
    record.now -= timedelta(hours=20)
    closure = {"node_id": "A", "until_at": (NOW + timedelta(hours=12)).isoformat(), "reason": "snow", "replan": False}
    record.do("closures.add", OPERATOR, **closure)
    assert build(record) == "closures"
    waiting = []
    for _ in range(4):
        assert outlooks_of(record).enter_next(desk_of(record), False)
        waiting.append(
            [epc for (epcs,) in rows_of(record, "select epcs from tracking.moved order by seq") for epc in epcs]
        )
    urgent = {sscc_uri(parcel["number"]) for one in today for parcel in one["parcels"]}
    assert set(waiting[0][:3]) == urgent and [len(some) for some in waiting] == [4, 4, 4, 4]
    assert look(record) == 7


def test_what_could_not_be_entered_is_entered_later(record: Record) -> None:
    """A database that fails while parcels are entered loses none of them."""
    for i in range(3):
        record.book(f"{i}")
    build(record)
    look(record)
    close(record)
    build(record)
    with record.database.owner() as owner:
        owner.execute("alter table tracking.moved rename to away")
        with pytest.raises(psycopg.errors.UndefinedTable):
            outlooks_of(record).enter_next(desk_of(record), False)
        owner.execute("alter table tracking.away rename to moved")
    assert look(record) == 3


def test_a_booked_parcel_is_placed_as_waves_place_it(record: Record) -> None:
    """It is due when it was promised, late it costs ten times as much, and a service that is gone counts as none."""
    feed = record.parts[Feeds].get(record.context().conn, rows_of(record, "select feed_id from network.feeds")[0][0])
    row = {
        "from_node": "A", "from_country": None, "from_postal_code": None, "to_node": None, "to_country": "BE",
        "to_postal_code": "9000", "goods": "general", "late_cost": None, "service_id": "standard",
        "promised_at": NOW + timedelta(minutes=90, seconds=59), "ready_at": NOW + timedelta(seconds=1),
        "weight_g": 500.0, "length_mm": 100.0, "width_mm": 100.0, "height_mm": 1000.0,
    }  # fmt: skip
    rows = [row, row | {"service_id": "gone", "late_cost": 3.0}, row | {"to_node": "nowhere"}]
    told = placed(feed, pl.DataFrame(rows, infer_schema_length=None))
    late = feed.services["late_cost"][0]
    assert told["late_cost"].to_list() == [10 * late, 30.0, 10 * late]
    assert told["due_at"].unique().to_list() == [to_minute(NOW) + 90]
    assert told["start_at"].unique().to_list() == [to_minute(NOW) + 1]
    assert told["destination"].to_list() == [2, 2, -1] and told["zone"].to_list() == [0, 0, -1]
    assert told["service"].to_list() == [0, -1, 0] and told["chargeable_g"].unique().to_list() == [2000.0]
    known_kinds = pl.DataFrame(rows, infer_schema_length=None).drop("ready_at", "from_node")
    assert classes_of(feed, known_kinds).height == 2
