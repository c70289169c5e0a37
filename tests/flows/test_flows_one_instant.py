"""Events about one parcel at one and the same instant: in the order of their batch, else in that of the trade."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tracking_cases import HOUSE, World, document, make_world, pack, scan

from rookery.base.clock import Clock
from rookery.base.operations import SYSTEM, Who
from rookery.base.progress import silent
from rookery.flows.archive import archiving
from rookery.flows.epcis.captures import Document, capture
from rookery.tracking.archive import Archive


@pytest.fixture(scope="module")
def world(make_urls, tmp_path_factory):
    """One world for all, each test with parcels of its own."""
    with make_world(make_urls, tmp_path_factory.mktemp("world")) as made:
        yield made


def later(world: World) -> None:
    """Time passes: what is captured now is another batch than what was."""
    world.record.now += timedelta(seconds=1)


def end(world: World, epc: str) -> tuple[Any, ...]:
    """Where a parcel is, which following and its row tell alike."""
    told = world.follow(epc)
    assert world.kept(epc) == (told.status, told.detail, told.place)
    return told.status, told.detail


DAMAGED = {"disposition": "damaged"}
STEPS = ("accepting", "arriving", "departing", "transporting", "storing", "holding")


def test_a_document_is_folded_in_the_order_in_which_it_tells_of_one_instant(world: World):
    """Of parcels told to have arrived and to be damaged in one minute none is damaged and then arrives; of those that
    are told the other way round every one does. Events are numbered so, too.
    """
    one, other = ([world.parcel() for _ in range(10)] for _ in range(2))
    arrived = {epc: scan("arriving", 3, epc, place="H") for epc in [*one, *other]}
    damaged = {epc: scan("inspecting", 3, epc, place="H", **DAMAGED) for epc in [*one, *other]}
    world.capture(
        world.blue, *(arrived[epc] for epc in one), *(damaged[epc] for epc in [*one, *other]),
        *(arrived[epc] for epc in other),
    )  # fmt: skip
    for epcs, last in ((one, ("on_hold", "damaged")), (other, ("in_transit", "arrived"))):
        assert {end(world, epc) for epc in epcs} == {last}
    with world.record.context(SYSTEM, readonly=True) as ctx:
        told = ctx.conn.execute(
            "select n.epc, e.disposition is null from tracking.events e join tracking.event_epcs n using (event_no)"
            " where n.epc = any(%s) order by event_no",
            ([*one, *other],),
        ).fetchall()
    sent = [*((epc, True) for epc in one), *((epc, False) for epc in [*one, *other]), *((epc, True) for epc in other)]
    assert told == sent


def test_scans_of_one_minute_count_as_they_were_sent(world: World):
    """Devices that tell minutes: what stands later in `POST /scans` happened later, though the trade would have it
    otherwise. Sent again in another order they are no news.
    """
    epcs = [world.parcel() for _ in range(10)]
    scans = [
        {"number": epc.rsplit("/", 1)[1], "at": "2026-03-02T11:00:00Z", "code": code, "node": "H"}
        for epc in epcs for code in ("out_for_delivery", "customs_cleared", "damaged", "arrived", "customs_hold")
    ]  # fmt: skip
    for sent, taken in ((scans, len(scans)), (scans[::-1], 0)):
        later(world)
        told = world.record.do("scans.create", world.blue, scans=sent, vocabulary="rookery")
        assert (told["taken"], told["refused"]) == (taken, 0)
        assert {end(world, epc) for epc in epcs} == {("on_hold", "customs_hold")}


@pytest.mark.parametrize("arrival_first", [True, False])
def test_two_parties_that_tell_of_one_instant_are_put_in_the_order_of_the_trade(world: World, arrival_first: bool):
    """Whoever's batch came first: the parcel arrived, and then was found damaged; by either way it is."""
    epc = world.parcel()
    batches: list[tuple[Who, dict[str, Any]]] = [
        (world.blue, scan("arriving", 3, epc, place="H")),
        (world.red, scan("inspecting", 3, epc, place="H", **DAMAGED)),
    ]  # fmt: skip
    for who, event in batches if arrival_first else batches[::-1]:
        later(world)
        world.capture(who, event)
        end(world, epc)
    assert end(world, epc) == ("on_hold", "damaged")
    assert [one.detail for one in world.follow(epc).steps] == ["arrived", "damaged"]


def test_batches_that_come_while_the_clock_stands_still_are_two(world: World):
    """A party that hands in twice at one and the same time of a simulated clock handed in two batches: the order of the
    trade counts between them, not which came first.
    """
    epc = world.parcel()
    for event in (scan("inspecting", 3, epc, place="H", **DAMAGED), scan("arriving", 3, epc, place="H")):
        world.capture(world.blue, event)
    assert end(world, epc) == ("on_hold", "damaged")


def test_putting_in_and_taking_out_at_one_instant_follow_the_document(world: World):
    """A parcel put into a bag and taken out of it in one minute lies in no bag, the other way round it does."""
    for n, (first, lies) in enumerate((("ADD", False), ("DELETE", True))):
        epcs = [world.parcel() for _ in range(8)]
        for k, epc in enumerate(epcs):
            bag = f"urn:rookery:number:INOUT{n}{k}"
            world.capture(world.blue, pack(1, bag, epc))
            both = [pack(2, bag, epc), pack(2, bag, epc, action="DELETE")]
            later(world)
            world.capture(world.blue, *(both if first == "ADD" else both[::-1]), scan("departing", 3, bag, place="A"))
        assert {end(world, epc)[1] == "departed" for epc in epcs} == {lies}


told = st.tuples(st.sampled_from(STEPS), st.integers(3, 4), st.sampled_from(["first", "second", "bag"]))
batch = st.tuples(st.sampled_from(["blue", "red", "house"]), st.lists(told, min_size=1, max_size=4))


@settings(max_examples=8, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])  # no long shrinking
@given(batches=st.lists(batch, min_size=2, max_size=5), luck=st.randoms(use_true_random=False))
def test_batches_of_the_same_instants_leave_parcels_alike_in_any_order(world: World, batches: Any, luck: Any):
    """Parcels and their bag, told of by three parties at two instants: whatever batch comes first, also that which puts
    a parcel into the bag, status and detail come out alike, and the kept row always says what following tells.
    """
    parties = {"blue": world.blue, "red": world.red, "house": HOUSE}
    ends = []
    for turn in range(2):
        first, second = world.parcel(), world.parcel()
        bag = f"urn:rookery:number:TIE{first[-9:]}"
        things = {"first": first, "second": second, "bag": bag}
        sendings: list[tuple[Who, list[dict[str, Any]]]] = [(HOUSE, [pack(1, bag, first)])]
        for n, (who, events) in enumerate(batches):
            made = [scan(step, hour, things[of], place=f"P{n}-{k}") for k, (step, hour, of) in enumerate(events)]
            sendings.append((parties[who], made))
        if turn:
            luck.shuffle(sendings)
        for who, events in sendings:
            later(world)
            world.capture(who, *events)
            for epc in (first, second):
                if world.kept(epc) is not None:
                    end(world, epc)
        ends.append([(one.status, one.detail) for one in map(world.follow, (first, second))])
    assert ends[0] == ends[1]


class _Stopped(Exception):
    """A capture that comes to nothing."""


def test_the_same_events_sent_at_once_in_opposite_order_wait_in_one_direction(world: World):
    """Two batches name the same events in opposite orders while a third holds one of them: when that ends both are
    taken, neither is ended because each waits for the other, and every event is kept once.
    """
    epc = world.parcel()
    events = [scan("departing", 2 + n / 1000, epc, place=f"P{n}") for n in range(9)]
    done: list[dict[str, Any]] = []
    failed: list[BaseException] = []

    def send(some: list[dict[str, Any]]) -> None:
        try:
            done.append(world.capture(world.blue, *some))
        except BaseException as fault:
            failed.append(fault)

    threads = [threading.Thread(target=send, args=(some,)) for some in (events, events[::-1])]
    with pytest.raises(_Stopped), world.record.context(world.blue) as ctx:
        capture(ctx, Document(document(events[4]), "application/json"))
        for thread in threads:
            thread.start()
        while _waiting(world) < 2:
            threads[0].join(0.02)
        raise _Stopped
    for thread in threads:
        thread.join()
    assert failed == [] and sorted(job["added"] for job in done) == [0, 9]
    assert len(world.follow(epc).steps) == 9


def _waiting(world: World) -> int:
    with world.record.context(SYSTEM, readonly=True) as ctx:
        row = ctx.conn.execute("select count(*) from pg_locks where not granted").fetchone()
        return row[0] if row else 0


def test_what_is_archived_stands_in_the_same_order(world: World):
    """Once a month lies in files, what happened at one instant is folded as before, also when it is all read again."""
    epc = world.parcel()
    world.capture(world.red, scan("inspecting", 3, epc, place="H", **DAMAGED), scan("storing", 3, epc, place="H"))
    later(world)
    world.capture(world.blue, scan("arriving", 3, epc, place="H"), scan("departing", 3, epc, place="H"))
    before = world.follow(epc)
    assert [one.detail for one in before.steps] == ["arrived", "departed", "damaged", None]
    world.record.now += timedelta(days=60)
    clock, folder = Clock(lambda: world.record.now), world.record.parts[Archive].folder
    assert archiving.run(world.record.database, clock, folder, 1, silent, lambda seconds: None)
    assert world.follow(epc) == before
    world.capture(world.blue, scan("accepting", 2, epc, place="A"))
    assert end(world, epc) == (before.status, before.detail)
    assert world.follow(epc).steps[1:] == before.steps
