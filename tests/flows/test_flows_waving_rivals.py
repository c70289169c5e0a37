"""Waves beside what others book, beside other waves and workers, and on time: nothing is booked twice or overbooked."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import polars as pl
import psycopg
import pytest
from wave_world import TRUCK, VAN, World, feed_zip, meanwhile, on

from rookery.base.db import Database
from rookery.base.operations import Context
from rookery.doors.worker.running import give_back, library, run_worker
from rookery.flows import waving
from rookery.flows.waves import looking, wave
from rookery.planning.plans import WaveSettings, tell_outcome
from rookery.terms.errors import Unavailable


@pytest.fixture
def world(fresh_database: Database) -> World:
    return World(fresh_database)


def test_what_others_changed_meanwhile_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cancelled or changed while the wave is planned is neither booked nor re-routed, nor counted as load."""
    world.publish(feed_zip("1", (TRUCK.format(seats=9), VAN)))
    booked = world.order(1)[0]
    world.plan()
    kept, cancelled, changed = world.order(3)

    def meanwhile(*asked: Any) -> Any:
        made = really(*asked)
        with world.owner() as conn:
            conn.execute("update orders.orders set state = 'cancelled', version = 2 where order_id = %s", (cancelled,))
            conn.execute("update orders.orders set weight_g = 2000, version = 2 where order_id = %s", (changed,))
            conn.execute("update orders.shipments set state = 'cancelled', version = 2 where order_id = %s", (booked,))
        return made

    really = wave.make
    monkeypatch.setattr(wave, "make", meanwhile)
    done = world.plan()
    assert (done.booked, done.skipped) == (1, 3)
    states = dict(world.rows("select order_id, state from orders.orders"))
    assert states == {booked: "booked", kept: "booked", cancelled: "cancelled", changed: "received"}
    assert world.rows("select sum(parcels) from planning.loads where departure_id = 'truck'") == [(1.0,)]


def test_a_wave_that_dies_before_its_end_has_done_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken off in the middle of writing, nothing is booked; done again, everything is booked once."""
    world.publish()
    world.order(4)
    plan_id = world.ask()

    def break_off(*asked: object) -> None:
        raise SystemExit("planted: the power goes")

    with monkeypatch.context() as planted, pytest.raises(SystemExit):
        planted.setattr(wave, "tell_outcome", break_off)
        waving.plan_wave(world.desk, plan_id=plan_id)
    assert world.record(plan_id).state == "planning"
    for table in ("orders.shipments", "orders.parcels", "planning.legs", "planning.loads", "orders.history"):
        assert world.rows(f"select count(*) from {table}") == [(0,)]
    waving.plan_wave(world.desk, plan_id=plan_id)
    assert (world.record(plan_id).state, world.record(plan_id).booked) == ("done", 4)
    waving.plan_wave(world.desk, plan_id=plan_id)
    assert world.rows("select count(*) from orders.shipments") == [(4,)]


def test_of_two_that_plan_the_same_wave_one_writes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker taken for dead that finishes late finds the wave begun anew, and writes nothing."""
    world.publish()
    world.order(2)
    plan_id = world.ask()
    really, runs = wave.make, []

    def overtaken(*asked: Any) -> Any:
        made = really(*asked)
        if not runs:
            runs.append("slow")
            waving.plan_wave(world.desk, plan_id=plan_id)
        return made

    monkeypatch.setattr(wave, "make", overtaken)
    waving.plan_wave(world.desk, plan_id=plan_id)
    assert world.record(plan_id).state == "done"
    assert world.rows("select count(*), count(distinct order_id) from orders.shipments") == [(2, 2)]
    assert world.rows("select count(*) from base.audit where act = 'waves.done'") == [(1,)]


def test_a_wave_leaves_out_what_others_booked_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three planned on three seats one is booked when two of them were booked meanwhile: nothing is overbooked."""
    world.publish(feed_zip("1", (TRUCK.format(seats=3),)))
    first = min(world.order(3))
    meanwhile(world, monkeypatch, lambda: [world.book("truck", 3) for _ in range(2)])
    done = world.plan()
    assert (done.state, done.booked, done.skipped) == ("done", 1, 2)
    assert on(world, "truck 02") == 3 and first in world.routes()
    assert world.rows("select parcels, capacity_parcels from planning.loads where parcels > 0") == [(3.0, 3.0)]
    assert not world.book("truck", 3)


def test_what_others_book_while_a_wave_writes_counts_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seats go while the wave books, after it looked what fits: it does not overbook them, and is done all the same."""
    world.publish(feed_zip("1", (TRUCK.format(seats=3),)))
    world.order(3)
    really, times = wave._book_new, []

    def book_new(*asked: Any) -> Any:
        if not times:
            times.append("first")
            assert world.book("truck", 3) and world.book("truck", 3)
        return really(*asked)

    monkeypatch.setattr(wave, "_book_new", book_new)
    done = world.plan()
    assert (done.state, done.booked, done.skipped, on(world, "truck 02")) == ("done", 1, 2, 3)
    assert world.rows("select parcels, capacity_parcels from planning.loads where parcels > 0") == [(3.0, 3.0)]
    assert world.rows("select count(*) from orders.history where what = 'booked'") == [(3,)]


def test_a_shipment_stays_on_its_way_when_others_booked_the_better_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its seat on the cheaper truck went to somebody else while it was planned there: it rides as it did before."""
    world.publish(feed_zip("1", (VAN,)))
    [order] = world.order(1)
    world.plan()
    world.publish(feed_zip("2", (TRUCK.format(seats=1), VAN)))
    meanwhile(world, monkeypatch, lambda: world.book("truck", 1))
    done = world.plan()
    assert (done.rerouted, done.skipped) == (0, 1)
    assert world.routes()[order] == ["van 02"] and on(world, "truck 02") == 1
    assert world.rows("select count(*) from planning.legs") == [(2,)]


def test_a_shipment_keeps_its_way_where_another_is_no_better(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planned on the dearer and later van, as if the truck were full, it stays on the truck that has its seat."""
    world.publish(feed_zip("1", (TRUCK.format(seats=1), VAN)))
    [order] = world.order(1)
    world.plan()
    really = wave.make

    def make(snapshot: wave.Snapshot, settings: WaveSettings) -> Any:
        full = snapshot.room.select("departure_id", "depart_at", parcels="capacity_parcels", grams=pl.lit(0.0))
        return really(dataclasses.replace(snapshot, others=full), settings)

    monkeypatch.setattr(wave, "make", make)
    done = world.plan()
    assert (done.rerouted, done.skipped, world.routes()[order]) == (0, 0, ["truck 02"])
    assert world.rows("select departure_id, parcels from planning.loads where parcels > 0") == [("truck", 1.0)]


def test_a_wave_takes_the_time_its_rows_need(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it writes no statement is broken off for its length, and a wait for others' locks is."""
    world.publish()
    world.order(1)
    limits: list[object] = []

    def look(conn: psycopg.Connection, *rest: Any) -> None:
        limits.extend(conn.execute("select current_setting('statement_timeout'), current_setting('lock_timeout')"))
        tell_outcome(conn, *rest)

    monkeypatch.setattr(wave, "tell_outcome", look)
    assert world.plan().state == "done"
    assert limits == [("0", "10s")]


def test_a_wave_that_is_too_slow_has_failed_and_is_not_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL breaks a statement off: the wave tells so and ends, and the next one gets its turn."""
    world.publish()
    world.order(1)
    really = looking.look

    def look(ctx: Context, *rest: Any) -> Any:
        ctx.conn.execute("set local statement_timeout = '1ms'")
        ctx.conn.execute("select count(*) from generate_series(1, 100000000)")
        return really(ctx, *rest)

    with monkeypatch.context() as planted:
        planted.setattr(looking, "look", look)
        done = world.plan()
    assert done.state == "failed" and done.fault is not None and done.fault.startswith("database.too_slow: ")
    assert world.plan().booked == 1


def test_a_wave_that_was_begun_five_times_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five workers died over it, or the database went away each time: the sixth fails it instead of trying for ever."""
    world.publish()
    plan_id = world.ask()

    def gone(*asked: object) -> None:
        raise Unavailable("database.gone", "planted", "wait")

    with monkeypatch.context() as planted:
        planted.setattr(looking, "look", gone)
        for _ in range(5):
            with pytest.raises(Unavailable):
                waving.plan_wave(world.desk, plan_id=plan_id)
            assert world.record(plan_id).state == "planning"
        waving.plan_wave(world.desk, plan_id=plan_id)
    done = world.record(plan_id)
    assert (done.state, done.fault) == ("failed", "waves.given_up: It was begun 5 times and never ended.")
    assert world.plan().state == "done"


def schedule(world: World, every: int, **more: object) -> None:
    with world.operator() as ctx:
        waving.schedule_waves(ctx, waving.NewSchedule(every_minutes=every, outcomes=1, **more))  # type: ignore[arg-type]


def waves(world: World) -> int:
    return world.rows("select count(*) from planning.plans")[0][0]


def test_one_slot_gets_one_wave_however_many_workers_look(world: World) -> None:
    """Eight that look at the clock at once ask for one wave and one job; the next slot gets its own."""
    world.publish()
    schedule(world, 30)
    waving.begin_due_waves(world.desk)
    assert waves(world) == 0
    for slot in (1, 2):
        world.later(minutes=30)
        with ThreadPoolExecutor(8) as many:
            list(many.map(lambda _: waving.begin_due_waves(world.desk), range(16)))
        assert waves(world) == slot
    assert world.rows("select count(*) from jobs.procrastinate_jobs") == [(2,)]


def test_slots_missed_while_nobody_worked_get_one_wave(world: World) -> None:
    """After three hours without a worker one wave makes up for all, and the rhythm goes on as before."""
    world.publish()
    schedule(world, 30, first_at=world.at + timedelta(minutes=30))
    world.later(hours=3, minutes=10)
    waving.begin_due_waves(world.desk)
    waving.begin_due_waves(world.desk)
    assert waves(world) == 1
    assert world.rows("select slot_at - %s from planning.slots", world.at) == [(timedelta(minutes=-10),)]
    assert world.rows("select next_at - %s from planning.schedules", world.at) == [(timedelta(minutes=20),)]


def test_a_slot_that_had_its_wave_gets_no_second_when_the_schedule_is_set_anew(world: World) -> None:
    """Set back to a time that is past, the schedule does not repeat it."""
    world.publish()
    first = world.at + timedelta(minutes=30)
    schedule(world, 30, first_at=first)
    world.later(minutes=30)
    waving.begin_due_waves(world.desk)
    schedule(world, 30, first_at=first)
    waving.begin_due_waves(world.desk)
    assert waves(world) == 1


def test_a_slot_without_a_network_is_told_and_the_next_one_comes(world: World) -> None:
    """With no active network the slot passes with a line in the trail; once there is one, waves go on."""
    schedule(world, 30)
    world.later(minutes=30)
    waving.begin_due_waves(world.desk)
    assert waves(world) == 0
    assert world.rows("select count(*) from base.audit where act = 'waves.slot_missed'") == [(1,)]
    world.publish()
    world.later(minutes=30)
    waving.begin_due_waves(world.desk)
    assert waves(world) == 1


def test_a_worker_does_what_waits(world: World) -> None:
    """Two waves asked for are done by a worker, one after the other, and what is booked is booked once."""
    world.publish()
    world.order(3)
    plans = [world.ask(), world.ask()]
    run_worker(world.desk.database, world.desk.clock, world.desk.parts, until_idle=True)
    assert [world.record(plan_id).state for plan_id in plans] == ["done", "done"]
    assert world.rows("select count(*) from orders.shipments") == [(3,)]
    assert world.rows("select count(*) from jobs.procrastinate_jobs") == [(0,)]


def test_the_job_of_a_worker_that_is_gone_is_done_by_another(world: World) -> None:
    """A job whose worker was killed, and gives no sign of life any more, waits again and is done."""
    world.publish()
    world.order(2)
    plan_id = world.ask()
    with world.owner() as conn:  # as kill -9 leaves it, some time later
        conn.execute("set search_path = jobs")
        gone = conn.execute("select worker_id from procrastinate_register_worker_v1()").fetchone()
        assert gone is not None
        conn.execute("select procrastinate_fetch_job_v2(null, %s)", gone)
        conn.execute("update procrastinate_workers set last_heartbeat = last_heartbeat - interval '1 hour'")
        conn.execute("update planning.plans set state = 'planning'")
    run_worker(world.desk.database, world.desk.clock, world.desk.parts, until_idle=True)
    assert (world.record(plan_id).state, world.record(plan_id).booked) == ("done", 2)


def test_a_job_whose_end_could_not_be_written_is_done_again(world: World) -> None:
    """The database was away when a job ended, and its worker lives: it waits again; one that is at hand does not."""
    world.publish()
    plans = [world.ask(), world.ask(), world.ask()]
    with world.owner() as conn:
        conn.execute("set search_path = jobs")
        conn.execute("update procrastinate_jobs set lock = null")
        worker = conn.execute("select worker_id from procrastinate_register_worker_v1()").fetchone()
        assert worker is not None
        numbers = [conn.execute("select id from procrastinate_fetch_job_v2(null, %s)", worker).fetchone() for _ in "12"]
    long_ago = time.monotonic() - 60
    ended = {number[0]: (long_ago, worker[0]) for number in numbers[:1] if number}

    async def look() -> None:
        app = library(world.desk, ended)
        async with app.open_async():
            await give_back(app, world.desk, ended)

    asyncio.run(look())
    states = world.rows("select args->>'plan_id', status::text from jobs.procrastinate_jobs order by id")
    assert states == [(plans[0], "todo"), (plans[1], "doing"), (plans[2], "todo")]
    assert ended == {}
