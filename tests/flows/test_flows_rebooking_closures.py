"""What was booked on is put back while possible; what a closure touches is booked on by itself, with its end."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from living_cases import Live as LiveSide
from rebooking_cases import NEXT_DAY, OVER_K, Town, leg, make_town
from record_cases import NOW
from tracking_cases import HOUSE

from rookery.base.clock import Clock
from rookery.base.db import Urls
from rookery.base.jobs import Desk
from rookery.flows.rebooking import acts
from rookery.flows.rebooking.acts import TRIES, rebook_closure
from rookery.network.live import stamp
from rookery.terms.errors import Later
from rookery.tracking import chances


class Live(LiveSide):
    """The live side, under an outlook that tells what was closed when it was made."""

    def look_out(self) -> None:
        super().look_out()
        assert self.outlook is not None
        with self.record.context() as ctx:
            version = f"{stamp(ctx.conn, False)}.{self.outlook.version.rpartition('.')[2]}"
        self.outlook = replace(self.outlook, version=version)


@pytest.fixture
def town(make_urls: Callable[[], Urls], tmp_path: Path) -> Iterator[Town]:
    with make_town(make_urls, tmp_path) as made:
        yield made


def test_undone_is_as_before(town: Town) -> None:
    """Undone, the former route counts again with its seats and its expectation, as a route of its own; undone twice,
    nothing changes.
    """
    one, other = town.missed(2)
    for each in (one, other):
        town.suggest(each, OVER_K)
    before = town.record.do("shipments.get", shipment_id=one["shipment_id"])
    done = town.rebook(one, other)
    town.suggest(one, NEXT_DAY)
    town.rebook(one)
    told = town.undo(done)
    assert (told["replan"]["done"], told["replan"]["undone"]) == (1, 1)
    assert town.reasons(told) == {one["shipment_id"]: "route_changed", other["shipment_id"]: None}
    assert town.way(one) == ["AH1 02", "HB1 04"] and town.way(other) == ["AH1 02", "HB1 03"] and town.taken() == {}
    after = town.record.do("shipments.get", shipment_id=other["shipment_id"])
    same = ("expected_at", "on_time_probability", "feed_id", "plan_id", "promised_at")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert after["parcels"][0]["route_code"] == before["parcels"][0]["route_code"]
    assert town.rows("select max(route) from planning.legs where shipment_id = %s", other["shipment_id"]) == [(3,)]
    assert town.undo(done)["replan"]["undone"] == 1 and town.way(other) == ["AH1 02", "HB1 03"]
    town.suggest(other, OVER_K)
    assert town.rebook(other)["replan"]["done"] == 1  # and it may be booked on again


def test_undoing_ends_with_the_first_cut_off(town: Town) -> None:
    """Once a new leg's cut-off has passed, or it was ridden before that, the new way stays."""
    one, ridden = town.missed(2)
    for each in (one, ridden):
        town.suggest(each, OVER_K)
    done = town.rebook(one, ridden)
    on: dict[str, Any] = {"node_id": None, "riding_departure_id": "HK1", "riding_depart_at": leg("HK1", 3)["depart_at"]}
    town.suggest(ridden, OVER_K, **on)
    town.record.now = NOW + timedelta(days=1, minutes=1)
    told = town.undo(done)
    assert town.reasons(told) == {one["shipment_id"]: "cutoff_passed", ridden["shipment_id"]: "ridden"}
    assert town.way(one) == ["AH1 02", "HK1 03", "KB1 03"] and told["replan"]["undone"] == 0


def test_undoing_puts_nobody_on_legs_it_cannot_reach(town: Town) -> None:
    """Who was booked on from where its former route does not lead stays on the new way, as it stands there or rides
    from there; once it is on the former route it is put back.
    """
    standing, riding, back = town.missed(3)
    onward = [leg("HB1", 4, from_node="W", lane_id="WB")]
    left = NOW + timedelta(hours=22, minutes=45)
    on = {"node_id": None, "riding_departure_id": "XW1", "riding_depart_at": left}
    ride = leg("HK1", 3, departure_id="XW1", lane_id="XW", from_node="X", to_node="W", cutoff_at=left, depart_at=left)
    for one in (standing, riding, back):
        town.suggest(one, onward, node_id="W")
    town.suggest(riding, [ride, *onward], **on)
    done = town.rebook(standing, riding, back)
    assert done["replan"]["done"] == 3
    town.suggest(back, onward, node_id="H")
    told = town.undo(done)
    assert town.reasons(told) == {
        standing["shipment_id"]: "off_route", riding["shipment_id"]: "off_route", back["shipment_id"]: None,
    }  # fmt: skip
    assert town.way(standing) == ["HB1 04"] and town.way(back) == ["AH1 02", "HB1 03"]


def test_undoing_puts_nobody_back_who_rides_unbooked(town: Town) -> None:
    """A piece that was loaded onto a departure which neither the former route nor the new one has keeps its shipment on
    the new way; one that rides what the former route has, a day late, does not.
    """
    strayed, late = town.missed(2, pieces=1)
    onward = [leg("KB1", 3, from_node="H", lane_id="HB")]
    for one in (strayed, late):
        town.suggest(one, onward)
    done = town.rebook(strayed, late)
    assert done["replan"]["done"] == 2
    for one, departure in ((strayed, "HZ1"), (late, "HB1")):
        rides = {"node_id": None, "riding_departure_id": departure, "riding_depart_at": leg("HB1", 4)["depart_at"]}
        town.suggest(one, onward, **rides)
    told = town.undo(done)
    assert town.reasons(told) == {strayed["shipment_id"]: "off_route", late["shipment_id"]: None}
    assert town.way(strayed) == ["AH1 02", "KB1 03"] and town.way(late) == ["AH1 02", "HB1 03"]


def test_undoing_needs_the_former_seats(town: Town) -> None:
    """Whose former seat somebody else has by now, or whose former departure is cancelled, stays on the new way."""
    first, second, third = town.missed(3)
    for one in (first, second):
        town.suggest(one, OVER_K)
    town.rebook(first, second)
    town.suggest(first, NEXT_DAY)
    away = town.rebook(first)
    town.suggest(third, OVER_K)
    assert town.rebook(third)["replan"]["done"] == 1
    assert town.reasons(town.undo(away)) == {first["shipment_id"]: "no_room"}
    town.suggest(third, NEXT_DAY)
    town.rebook(third)
    closed = {"departure_id": "HK1", "until_at": (NOW + timedelta(days=2)).isoformat(), "replan": False}
    closure = town.record.do("closures.add", HOUSE, **closed)["closure"]["closure_id"]
    assert town.reasons(town.undo(away)) == {first["shipment_id"]: "no_room"}
    town.record.do("closures.lift", HOUSE, closure_id=closure)
    assert town.reasons(town.undo(away)) == {first["shipment_id"]: None}
    assert town.way(first) == ["AH1 02", "HK1 03", "KB1 03"] and town.taken() == {"HK1 03": 2.0}


def desk_of(town: Town) -> Desk:
    return Desk(town.record.database, Clock(lambda: town.record.now), town.record.parts)


def close_h(town: Town) -> str:
    """H is closed all Tuesday."""
    day = {"from_at": (NOW + timedelta(hours=16)).isoformat(), "until_at": (NOW + timedelta(hours=40)).isoformat()}
    return town.record.do("closures.add", HOUSE, node_id="H", **day)["closure"]["closure_id"]


def test_what_a_closure_touches_is_booked_on_once_it_was_looked_at(town: Town) -> None:
    """The job waits until all that is touched was looked at, books on what is in the closure's case as it gets there,
    once, and has a wave planned for what waits to be handed over.
    """
    under_way, waits = town.missed(2)
    with town.record.context() as ctx:
        ctx.conn.execute(
            "update orders.shipments set state = 'handed_over' where shipment_id = %s", (under_way["shipment_id"],)
        )
    town.record.now = NOW + timedelta(hours=18)
    closure_id = close_h(town)
    with pytest.raises(Later):
        rebook_closure(desk_of(town), closure_id=closure_id)
    town.record.now += timedelta(seconds=5)
    town.case("cas_1", under_way, cause=f"closure:{closure_id}")
    town.suggest(under_way, NEXT_DAY)
    with pytest.raises(Later):
        rebook_closure(desk_of(town), closure_id=closure_id)
    assert town.way(under_way) == ["AH1 02", "HB1 04"]
    assert town.rows("select count(*) from planning.plans") == [(0,)]
    town.suggest(waits, [leg("HB1", 3)], off_plan=False)
    rebook_closure(desk_of(town), closure_id=closure_id)
    assert town.rows("select count(*) from planning.replans") == [(1,)]
    assert town.rows("select metadata->>'closure_id' from planning.plans") == [(closure_id,)]


def test_a_closure_is_not_waited_for_for_ever_or_when_it_was_lifted(town: Town) -> None:
    """After so many tries the job ends, whatever was not looked at; of a closure that was lifted it does nothing."""
    [one] = town.missed()
    town.record.now = NOW + timedelta(hours=18)
    closure_id = close_h(town)
    town.record.now += timedelta(hours=2, minutes=1)
    with pytest.raises(Later):
        rebook_closure(desk_of(town), closure_id=closure_id)
    rebook_closure(replace(desk_of(town), tries=TRIES), closure_id=closure_id)
    town.case("cas_1", one, cause=f"closure:{closure_id}")
    town.suggest(one, NEXT_DAY)
    town.record.do("closures.lift", HOUSE, closure_id=closure_id)
    rebook_closure(desk_of(town), closure_id=closure_id)
    rebook_closure(desk_of(town), closure_id="clo_none")
    assert town.way(one) == ["AH1 02", "HB1 03"]


def test_entering_a_closure_asks_for_the_job(town: Town) -> None:
    """A closure has what it touches booked on, unless that is not wanted."""
    closure_id = close_h(town)
    town.record.do("closures.add", HOUSE, node_id="K", until_at=(NOW + timedelta(days=1)).isoformat(), replan=False)
    with town.record.database.owner() as conn:
        asked = conn.execute(
            "select args->>'closure_id' from jobs.procrastinate_jobs where task_name = 'rebooking.closure'"
        )
        assert asked.fetchall() == [(closure_id,)]


@pytest.mark.parametrize("seed", range(3))
def test_seats_are_right_after_any_acts(town: Town, seed: int) -> None:
    """However shipments are booked on and put back, what a departure is kept to carry is what routes put on it, and
    never more than it holds.
    """
    draw = random.Random(seed)
    shipments, done = town.missed(4), []
    for _ in range(12):
        some = draw.sample(shipments, draw.randint(1, 4))
        for one in some:
            town.suggest(one, draw.choice([OVER_K, NEXT_DAY, [leg("HB1", 3)]]))
        done.append(town.rebook(*some))
        if draw.random() < 0.5:
            town.undo(draw.choice(done))
        assert all(seats <= 2 for seats in town.taken().values())


def test_from_a_missed_departure_to_a_mended_case(town: Town) -> None:
    """A parcel misses its connection, a case opens with the move that is looked up, acting on it books that, and the
    case closes itself; when the hub is shut then, what is left is booked by itself.
    """
    live = Live(town.record, town.blue, town.red)
    one = town.book()
    live.numbers.append(one["parcels"][0]["number"])
    live.look_out()
    live.turn()
    town.record.now = NOW + timedelta(hours=23)
    town.arrive(*one["epcs"])
    live.turn()
    [(case_id,)] = town.rows("select case_id from tracking.cases where kind = 'departure_missed' and state = 'open'")
    assert town.record.do("cases.act", HOUSE, case_id=case_id)["replan"]["done"] == 1
    assert town.way(one) == ["AH1 02", "HK1 03", "KB1 03"] and town.taken() == {"HK1 03": 1.0}
    live.turn()
    assert town.rows("select off_plan from tracking.chances") == [(False,)]
    assert town.rows("select state, closed_why from tracking.cases") == [("closed", "mended")]

    until = (NOW + timedelta(hours=40)).isoformat()
    closure_id = town.record.do("closures.add", HOUSE, node_id="H", until_at=until)["closure"]["closure_id"]
    town.record.now += timedelta(seconds=5)
    live.look_out()
    with town.record.context() as ctx:
        chances.enter(ctx.conn, False, one["epcs"])
    live.turn()
    rebook_closure(live.desk(), closure_id=closure_id)
    assert town.way(one) == ["AH1 02", "HB1 04"] and town.taken() == {}


def test_what_was_scanned_meanwhile_is_acted_on_later(town: Town) -> None:
    """A parcel in the closure's case that was seen since it was looked at is left to the next try, not given up."""
    [one] = town.missed()
    closure_id = close_h(town)
    town.case("cas_1", one, cause=f"closure:{closure_id}")
    with pytest.raises(Later):
        rebook_closure(desk_of(town), closure_id=closure_id)
    assert town.rows("select acted from tracking.case_parcels") == [(None,)]
    town.record.now += timedelta(seconds=5)
    town.suggest(one, NEXT_DAY)
    rebook_closure(desk_of(town), closure_id=closure_id)
    assert town.way(one) == ["AH1 02", "HB1 04"]


def test_what_was_suggested_before_a_closure_is_not_acted_on(town: Town) -> None:
    """A suggestion from an outlook made before a closure was entered is none: nobody goes by it, and once it is looked
    up anew the parcel is booked on all the same.
    """
    [one] = town.missed()
    town.suggest(one, OVER_K)
    closure_id = close_h(town)
    town.case("cas_1", one, cause=f"closure:{closure_id}")
    town.record.now += timedelta(seconds=5)
    town.suggest(one, OVER_K, policy="0-0.p1")  # scanned just now, and looked up in the old outlook
    assert town.rebook(one)["replan"]["reasons"] == {"not_looked_at": 1}
    town.record.now += timedelta(seconds=5)
    with pytest.raises(Later):
        rebook_closure(desk_of(town), closure_id=closure_id)
    assert town.way(one) == ["AH1 02", "HB1 03"]
    town.suggest(one, NEXT_DAY)
    rebook_closure(desk_of(town), closure_id=closure_id)
    assert town.way(one) == ["AH1 02", "HB1 04"]


def close_hb(town: Town, **until: float) -> str:
    """The lane from H to B is closed from now on."""
    closed = {"lane_id": "HB", "until_at": (NOW + timedelta(**until)).isoformat()}
    return town.record.do("closures.add", HOUSE, **closed)["closure"]["closure_id"]


def test_what_found_no_room_is_tried_again_once_looked_at_anew(town: Town) -> None:
    """What a closure touches and finds no room is left to a job of its own, which tries it again when something else is
    suggested, and not before.
    """
    shipments = town.missed(3)
    closure_id = close_hb(town, hours=40)
    town.case("cas_1", *shipments, cause=f"closure:{closure_id}")
    town.record.now += timedelta(seconds=5)
    for one in shipments:
        town.suggest(one, OVER_K)
    rebook_closure(desk_of(town), closure_id=closure_id)
    assert town.taken() == {"HK1 03": 2.0}
    [without] = [one for one in shipments if town.way(one) == ["AH1 02", "HB1 03"]]
    with town.record.database.owner() as conn:
        asked = conn.execute("select args from jobs.procrastinate_jobs where args ? 'room'").fetchall()
    assert asked == [({"closure_id": closure_id, "room": "yes"},)]
    for _ in range(2):
        with pytest.raises(Later):
            rebook_closure(desk_of(town), closure_id=closure_id, room="yes")
    assert town.rows("select count(*) from planning.replans") == [(1,)]
    town.record.now += timedelta(seconds=5)
    town.suggest(without, NEXT_DAY)
    rebook_closure(desk_of(town), closure_id=closure_id, room="yes")
    assert town.way(without) == ["AH1 02", "HB1 04"]
    rebook_closure(desk_of(town), closure_id=closure_id, room="yes")
    assert town.rows("select count(*) from planning.replans") == [(2,)]


def test_a_second_closure_over_the_same_way_is_acted_on(town: Town) -> None:
    """What was booked on around one closure, and stands in its case, is booked on once more around another."""
    [one] = town.missed()
    town.record.now = NOW + timedelta(hours=18)
    first = close_h(town)
    town.case("cas_1", one, cause=f"closure:{first}")
    town.record.now += timedelta(seconds=5)
    town.suggest(one, NEXT_DAY)
    rebook_closure(desk_of(town), closure_id=first)
    assert town.way(one) == ["AH1 02", "HB1 04"]
    town.record.now += timedelta(seconds=5)
    second = close_hb(town, hours=50)
    town.record.now += timedelta(seconds=5)
    town.suggest(one, [leg("HB1", 5)], off_plan=False)
    town.case("cas_2", one, cause=f"closure:{second}")
    rebook_closure(desk_of(town), closure_id=second)
    assert town.way(one) == ["AH1 02", "HB1 05"]


def test_a_large_case_is_acted_on_in_parts(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once only so many are booked on; `left` tells how many nobody tried, and those come first the next time,
    whatever became of the others. The job goes on by itself, each part in a transaction of its own.
    """
    monkeypatch.setattr(acts, "MOST_AT_ONCE", 2)
    shipments = town.missed(3)
    last = max(shipments, key=lambda one: one["shipment_id"])
    town.suggest(last, OVER_K)
    town.case("cas_1", *shipments)
    tried = town.record.do("cases.act", HOUSE, case_id="cas_1")
    assert (tried["replan"]["reasons"], tried["left"]) == ({"not_looked_at": 2}, 1)
    town.record.now += timedelta(seconds=1)
    rest = town.record.do("cases.act", HOUSE, case_id="cas_1")
    assert (rest["replan"]["done"], rest["left"]) == (1, 0)
    assert town.way(last) == ["AH1 02", "HK1 03", "KB1 03"]
    closure_id = close_hb(town, hours=40)
    town.case("cas_2", *shipments, cause=f"closure:{closure_id}")
    town.record.now += timedelta(seconds=5)
    for one in shipments:
        town.suggest(one, NEXT_DAY)
    rebook_closure(desk_of(town), closure_id=closure_id)
    assert all(town.way(one) == ["AH1 02", "HB1 04"] for one in shipments)
    assert town.rows("select done from planning.replans where case_id = 'cas_2' order by done") == [(1,), (2,)]


def test_undoing_waits_for_what_was_observed_to_be_looked_at(town: Town) -> None:
    """What was scanned since it was looked at may be on its new way: it stays there until that is known."""
    [one] = town.missed()
    town.suggest(one, OVER_K)
    done = town.rebook(one)
    town.arrive(*one["epcs"], hours=22.8)
    assert town.reasons(town.undo(done)) == {one["shipment_id"]: "not_looked_at"}
    assert town.way(one) == ["AH1 02", "HK1 03", "KB1 03"]
    town.suggest(one, OVER_K)
    assert town.undo(done)["replan"]["undone"] == 1 and town.way(one) == ["AH1 02", "HB1 03"]


def test_what_was_booked_on_without_hope_is_no_less_in_trouble(town: Town) -> None:
    """What was promised at booking counts, whatever way a parcel is booked on since: on one by which it comes too late
    for certain it is in a case of its own once no closure gathers it.
    """
    live = Live(town.record, town.blue, town.red)
    one = town.book()
    live.numbers.append(one["parcels"][0]["number"])
    promised = one["on_time_probability"]
    town.record.now = NOW + timedelta(days=2, hours=23)
    town.arrive(*one["epcs"], hours=70.5)
    town.suggest(one, [leg("HB1", 6)], chance=0.0)
    assert town.rebook(one)["replan"]["done"] == 1
    assert town.record.do("shipments.get", shipment_id=one["shipment_id"])["on_time_probability"] == 0.0
    live.look_out()
    live.turn()
    assert town.rows("select kind, state, parcels, worst_chance from tracking.cases where kind = 'chance_low'") == [
        ("chance_low", "open", 1, 0.0)
    ]
    assert promised >= one["confidence"]
