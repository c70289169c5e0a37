"""Old events in files: followed as before, kept once, withdrawn, and lost at no moment."""

from __future__ import annotations

import errno
import os
import random
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tracking_cases import HOUSE, SHOP, World, make_world, pack, scan

from rookery.base.clock import Clock
from rookery.base.db.partitions import tend
from rookery.base.operations import SYSTEM
from rookery.base.progress import silent
from rookery.flows.archive import archiving, moves
from rookery.flows.archive.months import places_of
from rookery.terms.errors import Conflict, NotFound, Unavailable
from rookery.tracking.archive import Archive

MARCH = date(2026, 3, 1)
APRIL = 31 * 24.0
"""Hours from the Monday on which the tests begin into the next month."""


class Killed(BaseException):
    """The program ends here."""


@pytest.fixture
def world(make_urls, tmp_path_factory) -> Iterator[World]:
    """A world of its own, for what is archived is archived of everything."""
    with make_world(make_urls, tmp_path_factory.mktemp("world")) as made:
        yield made


def folder(world: World) -> Path:
    return world.record.parts[Archive].folder


def later(world: World, days: int) -> None:
    world.record.now += timedelta(days=days)


def archive(world: World, keep: int = 1, progress: Any = silent, wait: Any = None) -> list[archiving.Month]:
    """What others hold is tried again at once, or after what `wait` does."""
    clock = Clock(lambda: world.record.now)
    return archiving.run(world.record.database, clock, folder(world), keep, progress, wait or (lambda seconds: None))


def in_partitions(world: World, since_days: int, *, but: str = "") -> None:
    """Partitions for the months from so many days ago on, as a server that was there then would have made them."""
    with world.record.database.owner() as conn, conn.transaction():
        conn.execute("create temp table kept on commit drop as select * from base.partitioned")
        conn.execute("delete from base.partitioned where table_name = %s", (but,))
        tend(conn, world.record.now - timedelta(days=since_days))
        conn.execute("delete from base.partitioned")
        conn.execute("insert into base.partitioned select * from kept")


def rows(world: World, table: str) -> int:
    return world.count(table)


def live(world: World) -> tuple[int, int]:
    return rows(world, "events"), rows(world, "event_epcs")


def one_life(world: World, hours: float = 0) -> str:
    """A parcel that goes in a bag, whose events are half in March and half in April."""
    epc, bag = world.parcel(), f"urn:rookery:number:LIFE{random.random()}"
    world.record.now += timedelta(days=60)
    world.capture(
        HOUSE, scan("accepting", hours + 1, epc, place="A", **{"rookery:departure": "AH1"}), pack(hours + 2, bag, epc),
        scan("departing", hours + 3, bag, place="A"), scan("arriving", APRIL + hours, bag, place="H"),
        pack(APRIL + hours + 1, bag, epc, action="DELETE"), scan("transporting", APRIL + hours + 2, epc, place="B"),
    )  # fmt: skip
    world.record.now -= timedelta(days=60)
    return epc


def test_half_of_a_parcels_life_archived_is_followed_as_before(world: World):
    """What is told of a parcel does not change by archiving, also where it is the bag's scans that are archived."""
    epc = one_life(world)
    before, count = world.follow(epc), live(world)
    assert [bool(step.via) for step in before.steps] == [False, False, True, True, False, False]
    assert before.steps[0].departure_id == "AH1"
    later(world, 65)  # May
    (month,) = archive(world)
    assert (month.month, month.events, month.epcs, month.files) == ("2026-03", 3, 4, 2)
    assert live(world) == (count[0] - 3, count[1] - 4)
    assert world.follow(epc) == before
    later(world, 400)
    assert [month.month for month in archive(world)] == ["2026-04"]
    assert live(world) == (0, 0) and world.follow(epc) == before


def test_months_that_are_kept_are_kept(world: World):
    """Only what ended more than N months ago goes, and what would go is told without its going."""
    one_life(world)
    later(world, 65)
    clock = Clock(lambda: world.record.now)
    assert archive(world, keep=2) == [] == archiving.waiting(world.record.database, clock, 2)
    (told,) = archiving.waiting(world.record.database, clock, 1)
    assert (told.month, told.events, told.epcs, told.archived_at) == ("2026-03", 3, 4, None) and told.bytes > 0
    assert live(world) == (6, 8) and not folder(world).exists()


def test_whatever_was_captured_is_followed_alike_before_and_after(world: World):
    """Parcels, bags and containers over three months, captured in any order; archived month by month."""
    luck = random.Random(11)
    epcs: list[str] = []
    for turn in range(6):
        epcs += (mine := [world.parcel() for _ in range(3)])
        bag, uld = f"urn:rookery:number:AB{turn}", f"urn:rookery:number:AU{turn}"
        hours = sorted(luck.uniform(0, 90 * 24) for _ in range(9))
        events = [
            scan("accepting", hours[0], *mine, place="A"), pack(hours[1], bag, *mine[:2]), pack(hours[2], uld, bag),
            scan("departing", hours[3], uld, place="A"), scan("arriving", hours[4], uld, place="H"),
            pack(hours[5], uld, bag, action="DELETE"), pack(hours[6], bag, mine[0], action="DELETE"),
            scan("departing", hours[7], bag, place="H"), scan("receiving", hours[8], mine[0], place="B"),
        ]  # fmt: skip
        wrong = luck.choice([event for event in events if event["type"] == "ObjectEvent"])
        events.append({**wrong, "errorDeclaration": {"declarationTime": "2026-06-03T08:00:00Z"}})
        luck.shuffle(events)
        later(world, 100)
        while events:
            world.capture(HOUSE, *[events.pop() for _ in range(min(len(events), luck.randint(1, 4)))])
        later(world, -100)
    before = [(world.follow(epc), world.kept(epc)) for epc in epcs]
    later(world, 66)
    for _ in range(4):
        archive(world)
        assert [(world.follow(epc), world.kept(epc)) for epc in epcs] == before
        later(world, 31)
    assert live(world) == (0, 0) and len(archiving.listed(world.record.database)) >= 3
    assert archiving.verify(world.record.database, folder(world)) == []


def test_an_event_sent_again_is_known_though_its_month_is_archived(world: World):
    """It is kept once, in whatever place it lies; a new event of that month is kept, and archived beside it."""
    epc = world.parcel()
    event = scan("accepting", 1, epc, place="A")
    world.capture(world.blue, event)
    later(world, 90)
    archive(world)
    again = {
        **event,
        "eventTime": "2026-03-02T10:00:00.000+01:00",
        "bizStep": "https://ref.gs1.org/cbv/BizStep-accepting",
    }
    assert world.capture(world.blue, again)["added"] == 0 and live(world) == (0, 0)
    assert world.capture(world.red, event)["added"] == 1, "another party's is another event"
    late = scan("departing", 5, epc, place="A")
    assert world.capture(world.blue, late, event)["added"] == 1
    assert world.kept(epc)[:3] == ("in_transit", "departed", "urn:rookery:node:A")  # type: ignore[index]
    told = world.follow(epc)
    assert [step.status for step in told.steps] == ["picked_up", "picked_up", "in_transit"]
    (month,) = archive(world)
    assert (month.events, live(world)) == (2, (0, 0))
    assert sorted(file.name for file in (folder(world) / "2026-03").iterdir()) == [
        "1-epcs.parquet", "1-events.parquet", "2-epcs.parquet", "2-events.parquet",
    ]  # fmt: skip
    assert world.follow(epc) == told and world.capture(world.blue, late, event)["added"] == 0


def test_an_archived_event_is_withdrawn_by_a_declaration(world: World):
    """A declaration of an archived event takes it back, while it lies in PostgreSQL and when it is archived itself."""
    epc = world.parcel()
    wrong = scan("receiving", 9, epc, place="B")
    world.capture(world.red, scan("transporting", 8, epc, place="B"), wrong)
    later(world, 90)
    archive(world)
    assert world.follow(epc).status == "delivered"
    declared = {**wrong, "errorDeclaration": {"declarationTime": "2026-05-03T08:00:00Z"}}
    assert world.capture(world.red, declared)["added"] == 1
    told = world.follow(epc)
    assert (told.status, world.kept(epc)[0]) == ("out_for_delivery", "out_for_delivery")  # type: ignore[index]
    assert [step.reason for step in told.steps] == [None, "withdrawn", "withdrawn"]
    archive(world)
    assert live(world) == (0, 0) and world.follow(epc) == told
    assert world.capture(world.red, declared)["added"] == 0


def test_an_archived_declaration_withdraws_what_comes_later(world: World):
    """The declaration came first and was archived: what it takes back moves nothing when it comes."""
    epc = world.parcel()
    wrong = scan("receiving", 9, epc, place="B")
    world.capture(world.red, {**wrong, "errorDeclaration": {"declarationTime": "2026-03-03T08:00:00Z"}})
    later(world, 90)
    archive(world)
    assert world.capture(world.red, wrong)["added"] == 1
    assert world.follow(epc).status is None and world.kept(epc)[0] is None  # type: ignore[index]


def test_killed_at_any_moment_nothing_is_lost_and_nothing_twice(world: World):
    """After each step it may end: the parcel is followed as before, and the next run finishes what was begun."""
    epc = one_life(world)
    before, count = world.follow(epc), live(world)
    later(world, 400)
    steps: list[str] = []
    moment = 0
    for moment in range(100):
        left = moment

        def tell(stage: str, done: int, total: int) -> None:
            nonlocal left
            steps.append(stage)
            left -= 1
            if left < 0:
                raise Killed

        try:
            archive(world, progress=tell)
        except Killed:
            assert world.follow(epc) == before, steps[-1]
            archived = archiving.listed(world.record.database)
            assert live(world)[0] + sum(month.events for month in archived) == count[0]
            assert live(world)[1] + sum(month.epcs for month in archived) == count[1]
        else:
            break
    assert moment >= 6 and live(world) == (0, 0) and world.follow(epc) == before
    assert archiving.verify(world.record.database, folder(world)) == []
    assert len(list(folder(world).rglob("*.parquet"))) == 4


@pytest.mark.parametrize(("where", "name"), [(os, "fsync"), (Path, "rename"), (os, "open")])
def test_a_disk_that_refuses_loses_nothing(world: World, where: Any, name: str, monkeypatch):
    """Full at whichever call: the run fails, everything is in its place, and the next run sweeps and finishes."""
    epc = one_life(world)
    before, count = world.follow(epc), live(world)
    later(world, 400)
    real = getattr(where, name)
    moment = 0
    for moment in range(40):
        left = moment

        def refuse(*args: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, "no space is left")
            return real(*args, **more)

        monkeypatch.setattr(where, name, refuse)
        try:
            archive(world)
        except OSError:
            monkeypatch.setattr(where, name, real)
            assert world.follow(epc) == before
            assert live(world)[0] + sum(month.events for month in archiving.listed(world.record.database)) == count[0]
        else:
            break
    monkeypatch.undo()
    assert moment >= 3 and live(world) == (0, 0) and world.follow(epc) == before
    assert archiving.verify(world.record.database, folder(world)) == []


def test_what_a_run_left_half_written_is_swept(world: World):
    """Files without a note are no part of the archive: those that a run wrote go, and others' stay."""
    epc = one_life(world)
    before = world.follow(epc)
    later(world, 400)
    (folder(world) / "2026-03").mkdir(parents=True)
    for name in ("1-events.parquet", "7-epcs.parquet", ".1-epcs.parquet.part", "mine.txt"):
        (folder(world) / "2026-03" / name).write_text("half")
    assert len(archive(world)) == 2 and world.follow(epc) == before
    found = archiving.verify(world.record.database, folder(world))
    assert [(one.file, one.what) for one in found] == [("2026-03/mine.txt", "unknown")]


def test_what_changes_while_it_is_archived_is_archived_as_it_became(world: World):
    """An event captured after the files were written, before they count, is in the end in the files."""
    epc = one_life(world)
    later(world, 400)
    told = []

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "archive 2026-03: compare" and not told:
            told.append(stage)
            world.capture(HOUSE, scan("arriving", 30, epc, place="H"))

    archive(world, progress=tell)
    assert told and live(world) == (0, 0) and len(world.follow(epc).steps) == 7
    assert len(list((folder(world) / "2026-03").iterdir())) == 2


def test_what_never_holds_still_is_left_where_it_is(world: World):
    """After three tries it gives up, and nothing is gone."""
    epc = one_life(world)
    later(world, 400)
    hours = iter(range(30, 60))

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "archive 2026-03: compare" and not done:
            world.capture(HOUSE, scan("arriving", next(hours), epc, place="H"))

    with pytest.raises(Conflict) as fault:
        archive(world, progress=tell)
    assert fault.value.code == "archive.changing" and not list(folder(world).rglob("*.parquet"))
    assert live(world)[0] == 9 and len(world.follow(epc).steps) == 9


@pytest.mark.parametrize("own", [True, False])
def test_captures_go_on_while_a_month_is_archived(world: World, own: bool):
    """However long it is written, compared and looked at: what happens now is captured at once, and so is a new event
    of that month as long as it is compared; that one is archived with the others.
    """
    epc = one_life(world)
    later(world, 65)
    if own:
        in_partitions(world, 65)
    now = 64 * 24.0
    hours, told = iter(range(1, 90)), []

    def tell(stage: str, done: int, total: int) -> None:
        if (stage, done, total) == ("archive 2026-03: move", 1, 2):
            return  # the partition is being taken off: that is the moment for which others wait
        told.append(stage)
        assert world.capture(HOUSE, scan("arriving", now + next(hours), epc, place="H"))["added"] == 1
        if told.count("archive 2026-03: compare") == 1:
            assert world.capture(HOUSE, scan("inspecting", 40, epc, place="A"))["added"] == 1

    (month,) = archive(world, progress=tell)
    assert month.events == 4 and told.count("archive 2026-03: compare") == 4
    steps = world.follow(epc).steps
    assert len(steps) == 7 + len(told) and rows(world, "events") == 3 + len(told)
    assert archiving.verify(world.record.database, folder(world)) == []


def test_whoever_captures_all_the_time_is_never_refused(world: World):
    """Two that capture without a pause, present events and ones of the month that goes, while it goes: every event is
    kept, each is in one place, and nobody hears that the record is busy.
    """
    epc = one_life(world)
    later(world, 65)
    in_partitions(world, 65)
    over = threading.Event()

    def go_on(who: Any, begins: float) -> int:
        for count in range(100_000):
            if over.is_set():
                return count
            world.capture(who, scan("arriving", begins + count / 60, epc, place="H"))
        raise AssertionError

    with ThreadPoolExecutor(2) as pool:
        now = pool.submit(go_on, world.blue, 64 * 24.0)
        then = pool.submit(go_on, world.red, 40.0)
        try:
            went = sum(month.events for _ in range(4) for month in attempt(world))
        finally:
            over.set()
    later_on = sum(month.events for month in archive(world))
    assert went + later_on == 3 + then.result() and rows(world, "events") == 3 + now.result()
    assert then.result() and now.result()
    assert len(world.follow(epc).steps) == 6 + now.result() + then.result()


def attempt(world: World) -> list[archiving.Month]:
    try:
        return archive(world)
    except (Conflict, Unavailable) as fault:
        assert fault.code in ("archive.changing", "archive.busy")
        return []


@pytest.mark.parametrize("own", [True, False])
def test_an_event_whose_capture_ends_only_meanwhile_is_not_lost(world: World, own: bool):
    """It was under way when the files were written: it is waited for, and archived with the others."""
    from rookery.flows.capturing import take
    from rookery.tracking.epcis.documents import Sent

    epc = one_life(world)
    later(world, 65)
    if own:
        in_partitions(world, 65)
    waits: list[float] = []
    with ExitStack() as under_way:
        ctx = under_way.enter_context(world.record.context(HOUSE))
        assert take(ctx, [Sent(scan("inspecting", 40, epc, place="A"), (), "$")]).added == 1

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                under_way.close()

        (month,) = archive(world, wait=wait)
    assert (month.events, waits) == (4, [1, 2]) and rows(world, "events") == 3
    assert len(world.follow(epc).steps) == 7


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    "change", ["update {} set detail = 'other' where event_at < '2026-04-01' and role = 2",
               "delete from {} where event_at < '2026-04-01' and role = 2",
               "update {} set detail = detail where event_at < '2026-04-01' and role = 1"],
)  # fmt: skip
def test_whatever_changes_in_a_month_is_noticed(world: World, own: bool, change: str):
    """Also where no event comes and the number of rows stays: it is written anew, and what was written is what goes."""
    one_life(world)
    later(world, 65)
    if own:
        in_partitions(world, 65)
    told: list[str] = []

    def tell(stage: str, done: int, total: int) -> None:
        told.append(stage)
        if told.count("archive 2026-03: compare") == 1 and stage == "archive 2026-03: compare":
            with world.record.database.owner() as conn:
                (epcs,) = (place.table for place in places_of(conn, MARCH) if place.kind == "epcs")
                assert conn.execute(change.format(epcs).encode()).rowcount == 1
                told.append("\n".join(march(conn)))

    archive(world, progress=tell)
    assert told.count("archive 2026-03: compare") == 4
    archiving.restore(world.record.database, folder(world), MARCH)
    with world.record.database.owner() as conn:
        assert "\n".join(march(conn)) in told


def march(conn: psycopg.Connection) -> list[str]:
    texts = "select t::text from tracking.{} t where event_at < '2026-04-01' order by 1"
    return [row for table in ("events", "event_epcs") for (row,) in conn.execute(texts.format(table).encode())]


def test_a_month_that_others_hold_is_left_where_it_is(world: World, monkeypatch):
    """Whoever reads for long is waited for, longer each time; then it is told what and what to do, for a command line,
    and nothing is changed. Others capture in between.
    """
    epc = one_life(world)
    later(world, 65)
    in_partitions(world, 65)
    before, count = world.follow(epc), live(world)
    waits: list[float] = []
    monkeypatch.setattr(moves, "_MOMENT", "20ms")

    def wait(seconds: float) -> None:
        waits.append(seconds)
        assert world.capture(HOUSE, scan("arriving", 64 * 24 + len(waits), epc, place="H"))["added"] == 1

    with world.record.context(SYSTEM, readonly=True) as ctx:
        ctx.conn.execute("select count(*) from tracking.events")
        with pytest.raises(Unavailable) as fault:
            archive(world, wait=wait)
    assert waits == list(moves.PAUSES) and fault.value.code == "archive.busy"
    assert "2026-03" in fault.value.what and "same command" in fault.value.action
    assert live(world) == (count[0] + 6, count[1] + 6) and archiving.listed(world.record.database) == []
    assert not list(folder(world).rglob("*.parquet")) and world.follow(epc).steps[:6] == before.steps
    assert [month.events for month in archive(world)] == [3]


def test_what_the_database_refuses_is_told_to_a_command_line(world: World):
    """No word of a key that only a request has."""
    one_life(world)
    later(world, 65)
    with psycopg.connect(world.record.database.urls.main) as conn, pytest.raises(Unavailable) as fault:
        conn.execute("lock table tracking.archived in access exclusive mode")
        with archiving._owner(world.record.database) as own:
            own.execute("set lock_timeout = '20ms'")
            own.execute("select from tracking.archived")
    assert fault.value.code == "database.contended" and "Idempotency" not in fault.value.action


@pytest.mark.parametrize("other", ["tracking.events", "tracking.event_epcs"])
def test_a_month_half_in_partitions_goes_as_any(world: World, other: str):
    """One table's rows lie in a partition, the other's still in the default one; and those of another month beside."""
    epc = one_life(world)
    before = world.follow(epc)
    later(world, 65)
    in_partitions(world, 65, but=other)
    (month,) = archive(world)
    assert (month.events, month.epcs, live(world)) == (3, 4, (3, 4)) and world.follow(epc) == before
    archiving.restore(world.record.database, folder(world), MARCH)
    assert live(world) == (6, 8) and world.follow(epc) == before
    later(world, 400)
    assert [month.month for month in archive(world)] == ["2026-03", "2026-04"]
    assert live(world) == (0, 0) and world.follow(epc) == before


def test_a_month_that_gets_its_partition_meanwhile_is_archived_from_there(world: World):
    """Rows that are moved out of the default partition while they are compared are neither lost nor twice."""
    epc = one_life(world)
    before = world.follow(epc)
    later(world, 65)
    told: list[str] = []

    def tell(stage: str, done: int, total: int) -> None:
        told.append(stage)
        if told.count("archive 2026-03: compare") == 2 and stage == "archive 2026-03: compare":
            in_partitions(world, 65)

    (month,) = archive(world, progress=tell)
    assert (month.events, month.epcs, live(world)) == (3, 4, (3, 4)) and world.follow(epc) == before


def test_an_event_of_a_month_that_is_archived_meanwhile_waits_and_is_known(world: World):
    """Whoever keeps an old event holds the archive up until it is kept: it is not in both places."""
    epc = world.parcel()
    event = scan("accepting", 1, epc, place="A")
    world.capture(world.blue, event)
    later(world, 90)
    with world.record.context(HOUSE) as ctx, psycopg.connect(world.record.database.urls.main) as conn:
        from rookery.tracking.archive import LOCK
        from rookery.tracking.capture import batch_of
        from rookery.tracking.epcis.documents import Sent

        batch = batch_of([Sent(event, (), "$")], "pty_x", False, world.record.now)
        with ctx.as_system() as system:
            assert world.record.parts[Archive].known(system, batch.events, world.record.now) == []
        assert conn.execute("select pg_try_advisory_xact_lock(%s)", (LOCK,)).fetchone() == (False,)


def test_a_month_is_put_back_as_it_was(world: World):
    """Undone, every row is what it was, its files are gone, and it can be archived again."""
    epc = one_life(world)
    wrong = scan("receiving", 9, epc, place="B")
    declared = {**wrong, "errorDeclaration": {"declarationTime": "2026-04-29T08:00:00Z"}}
    later(world, 400)
    world.capture(HOUSE, wrong, declared)
    before, kept = world.follow(epc), dump(world)
    archive(world)
    assert dump(world) != kept
    for month in (MARCH, date(2026, 4, 1)):
        archiving.restore(world.record.database, folder(world), month)
    assert dump(world) == kept and world.follow(epc) == before and rows(world, "archived") == 0
    assert not list(folder(world).rglob("*.parquet")) and rows(world, "archived_declarations") == 0
    with pytest.raises(NotFound):
        archiving.restore(world.record.database, folder(world), MARCH)
    assert len(archive(world)) == 2 and world.follow(epc) == before


def dump(world: World) -> list[Any]:
    with psycopg.connect(world.record.database.urls.main) as conn:
        found = []
        for table in ("events_other", "event_epcs_other"):
            found += conn.execute(f"select t::text from tracking.{table} t order by 1".encode()).fetchall()
        return found


def test_a_changed_or_missing_file_is_found_and_never_passed_over(world: World):
    """Following says that a file is missing rather than answering without it; a changed one is not put back."""
    epc = one_life(world)
    later(world, 400)
    archive(world)
    file = folder(world) / "2026-03" / "1-events.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:-9] + b"x" + content[-8:])
    (folder(world) / "2026-03" / "notes.txt").write_text("somebody's")
    found = archiving.verify(world.record.database, folder(world))
    assert [(one.file, one.what) for one in found] == [
        ("2026-03/1-events.parquet", "changed"), ("2026-03/notes.txt", "unknown"),
    ]  # fmt: skip
    with pytest.raises(Conflict):
        archiving.restore(world.record.database, folder(world), MARCH)
    file.unlink()
    assert archiving.verify(world.record.database, folder(world))[0].what == "missing"
    with pytest.raises(Unavailable):
        world.follow(epc)
    file.write_bytes(content)
    assert len(world.follow(epc).steps) == 6


def test_only_the_owner_reads_the_files(world: World):
    """Files 0600 in folders 0700."""
    one_life(world)
    later(world, 400)
    archive(world)
    for file in folder(world).rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o600)
    assert stat.S_IMODE(folder(world).stat().st_mode) == 0o700


def test_partitions_go_with_their_months(world: World):
    """A month's partitions are dropped; later ones stay, and an empty old one goes without a file."""
    epc = one_life(world)
    before = world.follow(epc)
    with world.record.database.owner() as conn:
        tend(conn, world.record.now - timedelta(days=31))  # February to May; the rows move there
        later(world, 65)
        assert [month.month for month in archive(world)] == ["2026-03"]
        left = conn.execute(
            "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
            " where i.inhparent = 'tracking.events'::regclass order by 1"
        ).fetchall()
    assert "events_2026_02" not in str(left) and "events_2026_03" not in str(left) and "events_2026_04" in str(left)
    assert world.follow(epc) == before


def test_another_run_at_once_is_refused(world: World):
    """Two runs would write the same files."""
    with archiving._alone(world.record.database), pytest.raises(Conflict):
        archive(world)


def test_whoever_follows_while_a_month_is_archived_is_told_the_same(world: World):
    """At no instant is an event in neither place, nor told twice."""
    epc = one_life(world)
    before = world.follow(epc)
    later(world, 400)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            over = threading.Event()
            told = [pool.submit(follow_until, world, epc, over) for _ in range(2)]
            try:
                archive(world)
                for month in (MARCH, date(2026, 4, 1)):
                    archiving.restore(world.record.database, folder(world), month)
                archive(world)
            finally:
                over.set()
            assert all(one == before for each in told for one in each.result())
            for month in (MARCH, date(2026, 4, 1)):
                archiving.restore(world.record.database, folder(world), month)


def follow_until(world: World, epc: str, over: threading.Event) -> list[Any]:
    told = []
    while not over.is_set():
        told.append(world.follow(epc))
    return told


def test_what_is_archived_is_noted_for_nobody_else(world: World):
    """Files' bounds are waybill numbers: only the system reads them."""
    one_life(world)
    later(world, 400)
    archive(world)
    for who, seen in ((SYSTEM, True), (HOUSE, False), (SHOP, False)):
        with world.record.context(who, readonly=True) as ctx:
            for table in ("archived", "archive"):
                row = ctx.conn.execute(f"select count(*) > 0 from tracking.{table}".encode()).fetchone()
                assert row == (seen,)


def test_what_a_bag_went_through_reaches_a_parcel_that_is_told_of_late(world: World):
    """The bag's scans are archived when it is told that the parcel had been in it."""
    epc, bag, uld = world.parcel(), "urn:rookery:number:LATE1", "urn:rookery:number:LATE2"
    world.capture(HOUSE, pack(3, uld, bag), scan("departing", 4, uld, place="A"))
    later(world, 90)
    archive(world)
    world.capture(HOUSE, pack(2, bag, epc))
    told = world.follow(epc)
    assert (told.status, told.detail, told.steps[-1].via) == ("in_transit", "departed", [bag, uld])
    assert world.kept(epc)[:3] == ("in_transit", "departed", "urn:rookery:node:A")  # type: ignore[index]


def test_a_bag_that_is_emptied_now_held_what_was_put_in_then(world: World):
    """What was put in is archived; taken out, all at once, it is not in there any more, and what was before stays."""
    epc, bag = world.parcel(), "urn:rookery:number:REUSED"
    world.capture(HOUSE, pack(2, bag, epc), scan("departing", 3, bag, place="A"))
    later(world, 90)
    archive(world)
    hours = 60 * 24.0
    world.capture(HOUSE, pack(hours, bag, action="DELETE"), scan("departing", hours + 1, bag, place="H"))
    told = world.follow(epc)
    assert [step.at.month for step in told.steps] == [3, 3] and told.place == "urn:rookery:node:A"


def test_archiving_between_captures_changes_no_end(world: World):
    """Events of parcels, bags and containers in any order, with months archived in between, come to what the same
    events come to that were captured before anything was archived.
    """
    luck = random.Random(5)
    lives: list[list[tuple[list[str], list[dict[str, Any]]]]] = []
    for turn in range(8):
        hours = sorted(round(luck.uniform(0, 85 * 24), 3) for _ in range(11))
        wrong, both, order = luck.randrange(11), [], luck.sample(range(12), 12)
        for side in "xy":
            epcs = [world.parcel() for _ in range(3)]
            bag, uld = f"urn:rookery:number:M{side}{turn}", f"urn:rookery:number:N{side}{turn}"
            events = [
                scan("accepting", hours[0], *epcs, place="A"), pack(hours[1], bag, *epcs[:2]), pack(hours[2], uld, bag),
                scan("departing", hours[3], uld, place="A"), scan("arriving", hours[4], uld, place="H"),
                pack(hours[5], uld, action="DELETE"), pack(hours[6], bag, epcs[0], action="DELETE"),
                pack(hours[7], uld, bag, epcs[2]), scan("departing", hours[8], bag, place="H"),
                scan("arriving", hours[9], uld, place="B"), scan("receiving", hours[10], epcs[0], place="B"),
            ]  # fmt: skip
            events.append({**events[wrong], "errorDeclaration": {"declarationTime": "2026-06-03T08:00:00Z"}})
            both.append((epcs, [events[place] for place in order]))
        lives.append(both)
    later(world, 90)
    for (_, events), _ in lives:
        world.capture(HOUSE, *events)
    for part in range(4):
        for _, (_, events) in lives:
            world.capture(HOUSE, *events[part * 3 : part * 3 + 3])
        archive(world, keep=luck.choice([1, 2]))
    for (plain, _), (mixed, _) in lives:
        for one, other in zip(plain, mixed):
            assert alike(world.follow(one)) == alike(world.follow(other))
            told = world.follow(other)
            assert world.kept(other)[:3] == (told.status, told.detail, told.place)  # type: ignore[index]
            assert world.kept(one) == world.kept(other)


def alike(told: Any) -> Any:
    steps = [(s.at, s.status, s.detail, s.place, len(s.via), s.counted, s.reason) for s in told.steps]
    return told.status, told.detail, told.status_at, told.place, sorted(steps, key=str)
