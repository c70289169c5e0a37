"""What is looked at, when, and by whom; what looking leaves behind, and who hears of it: on real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import psycopg
import pytest
from living_cases import AH1, Live, make_live
from record_cases import NOW
from tracking_cases import HOUSE
from wave_world import TRUCK, VAN, World, feed_zip

from rookery.base.db import Database
from rookery.flows.living import turning
from rookery.flows.living.news import in_doubt
from rookery.flows.trackers import place_of
from rookery.tracking import chances
from rookery.tracking.epcis.identifiers import sscc_uri


@pytest.fixture
def live(make_urls, tmp_path):
    with make_live(make_urls, tmp_path) as made:
        yield made


@pytest.fixture
def booked(live: Live) -> tuple[Live, str]:
    """One parcel, looked at once."""
    number = live.book()
    live.look_out()
    assert live.turn() == 1
    return live, number


def test_a_turn_that_is_broken_off_loses_nothing(booked: tuple[Live, str]):
    """Nothing of it is written, and what it had taken out of the queue is there for the next."""
    live, number = booked
    live.at(10)
    live.scan(live.blue, number, "departing", 9.1, "A", **AH1)
    with live.record.database.owner() as owner:
        owner.execute("alter table tracking.chance_history add constraint planted check (chance is null) not valid")
    live.scan(live.blue, number, "arriving", 9.9, "H")
    before = live.row(number)
    with pytest.raises(psycopg.errors.CheckViolation):
        live.turn()
    assert live.row(number) == before
    assert len(live.rows("moved")) == 2
    with live.record.database.owner() as owner:
        owner.execute("alter table tracking.chance_history drop constraint planted")
    assert live.turn() == 1
    assert live.row(number)["chance"] == 1.0
    assert live.rows("moved") == []


def test_a_parcel_that_cannot_be_looked_at_is_set_aside(booked: tuple[Live, str]):
    """It is left alone for a day, and the others go on."""
    live, number = booked
    other = live.book()
    live.turn()
    live.scan(live.blue, number, "accepting", 1, "A")
    live.scan(live.blue, other, "accepting", 1, "A")
    turning.set_aside(live.desk(), False, sscc_uri(number), "DataError")
    assert live.row(number)["look_again_at"] == NOW + timedelta(hours=25)
    assert live.turn(1) == 1
    assert (live.row(number)["status"], live.row(other)["status"]) == ("pre_transit", "picked_up")


def test_who_is_looked_at_is_looked_up_in_the_outlook_of_then(booked: tuple[Live, str], monkeypatch):
    """One that comes, and enters parcels for its sake, just before they are taken is the one they are looked up in."""
    live, number = booked
    live.scan(live.blue, number, "accepting", 1, "A")
    take = chances.take

    def overtaken(*asked: Any) -> list[str]:
        assert live.outlook is not None
        live.outlook = replace(live.outlook, version="newer")
        return take(*asked)

    monkeypatch.setattr(chances, "take", overtaken)
    assert turning.turn(live.desk(), False, lambda: live.outlook) == 1
    assert live.row(number)["policy"] == "newer"


def test_nobody_takes_a_turn_while_another_does(booked: tuple[Live, str]):
    """Not even a worker that does not know yet that it is the live one no more; test data have turns of their own."""
    live, number = booked
    live.scan(live.blue, number, "accepting", 1, "A")
    with live.record.database.owner() as other, other.transaction():
        other.execute("select pg_advisory_xact_lock(%s, 0)", (turning.TURN,))
        assert live.turn() == 0
    assert live.turn() == 1


def test_a_parcel_that_is_never_seen_again_is_given_up(booked: tuple[Live, str]):
    """It is looked at a few times, less and less often, leaves hardly a trace, and comes back when it is seen."""
    live, number = booked
    live.at(9)
    live.scan(live.blue, number, "departing", 9, "A", **AH1)
    live.turn()
    looks = 0
    while (again := live.row(number)["look_again_at"]) is not None:
        live.record.now = again
        assert live.turn() == 1
        looks += 1
    assert looks < 25
    row = live.row(number)
    assert (row["why"], row["chance"], row["due_scan"], row["policy"]) == ("given_up", None, None, None)
    assert live.record.now == row["promised_at"] + timedelta(days=30)
    assert len(live.past(number)) <= looks
    cases = live.rows("cases", "state <> 'closed'")
    assert cases == []
    live.look_out()
    live.scan(live.red, number, "arriving", (live.record.now - NOW) / timedelta(hours=1) + 1, "H")
    live.turn()
    assert live.row(number)["why"] != "given_up" and live.row(number)["look_again_at"] is not None


def test_a_look_at_which_only_time_has_passed_leaves_no_line(booked: tuple[Live, str]):
    """Held at its destination it is expected an hour later at each look, which is not told each time."""
    live, number = booked
    live.scan(live.red, number, "holding", 20, "B")
    live.turn()
    known, expected = live.past(number), live.row(number)["expected_at"]
    for hours in range(1, 4):
        live.record.now = live.row(number)["look_again_at"]
        assert live.turn() == 1
        assert live.row(number)["expected_at"] == expected + timedelta(hours=hours)
    assert live.past(number) == known


def test_live_and_test_data_are_looked_at_apart(booked: tuple[Live, str]):
    """A turn of test data leaves live parcels in the queue."""
    live, number = booked
    live.scan(live.blue, number, "accepting", 1, "A")
    assert turning.turn(live.desk(), True, lambda: live.outlook) == 0
    assert live.turn() == 1


def test_what_a_wave_books_is_looked_at(fresh_database: Database):
    """As soon as it has its number; not again when a later wave leaves it on its way."""
    world = World(fresh_database)
    world.publish(feed_zip(departures=(TRUCK.format(seats=""), VAN)))
    world.order(3)
    world.plan()
    entered = "select count(distinct epc) from tracking.moved, unnest(epcs) as u (epc)"
    assert world.rows(entered) == [(3,)]
    with world.as_party("pty_system", "system") as ctx:
        assert len(chances.take(ctx.conn, False, world.at, 100)) == 3
    world.plan()
    assert world.rows(entered) == [(0,)]


def test_shippers_hear_of_milestones_and_of_promises_in_doubt(booked: tuple[Live, str]):
    """News are in the outbox with what made them, where somebody wants to hear of them: each change once."""
    live, number = booked
    live.at(9.9)
    live.scan(live.blue, number, "accepting", 1, "A")
    live.turn()
    assert _news(live) == []
    _hear(live, "pty_shop")
    live.scan(live.blue, number, "departing", 9.9, "A", **AH1)
    live.scan(live.blue, live.book(), "accepting", 1.0, "A")
    live.turn()
    live.scan(live.blue, number, "departing", 9.95, "A", **AH1)
    live.turn()
    live.scan(live.blue, number, "arriving", 9.99, "H")
    live.turn()
    told = [
        (kind, data.get("status") or data["state"], data["chance"]) for kind, key, data in _news(live) if key == number
    ]
    assert told == [
        ("parcel.milestone", "in_transit", 0.5),
        ("parcel.chance", "below_promise", 0.5),
        ("parcel.milestone", "in_transit", 1.0),
        ("parcel.chance", "as_promised", 1.0),
    ]
    [first] = [data for kind, key, data in _news(live) if key == number and data.get("detail") == "departed"]
    assert first["at"] == "2026-03-02T17:54:00Z"
    assert (first["promised_at"], first["place"]) == ("2026-03-03T22:59:00Z", place_of("A"))


def test_of_a_cancelled_shipment_only_its_end_is_news(live: Live):
    """That it is cancelled, once, whatever is scanned; then that it was delivered all the same, and no chance of it."""
    number = live.book()
    live.look_out()
    live.turn()
    _hear(live, "pty_shop")
    live.scan(live.blue, number, "arriving", 1, "A")
    live.turn()
    live.record.do("shipments.cancel", HOUSE, shipment_id=live.row(number)["shipment_id"])
    live.turn()
    for step, hours in (("departing", 9), ("arriving", 20), ("receiving", 30)):
        live.scan(live.blue, number, step, hours, None if step == "receiving" else "A")
        live.turn()
    told = [(kind, data["status"], data["detail"], data["chance"]) for kind, _, data in _news(live)]
    assert [one[:2] + one[3:] for one in told] == [
        ("parcel.milestone", "in_transit", 0.625),
        ("parcel.milestone", "cancelled", None),
        ("parcel.milestone", "delivered", None),
    ]
    assert told[1][2] is None


def test_news_of_a_chance_do_not_flutter():
    """Below by a margin it is told, and again only when it is as promised; not known, it is as it was last told."""
    promised, below = 0.9, False
    told = []
    for chance in (0.91, 0.89, 0.881, 0.87, 0.89, None, 0.89, 0.9, 0.885, None, 0.95, 0.87, None, 0.91):
        row = {"chance": chance, "confidence": promised, "below_before": below}
        schema = {"chance": pl.Float64, "confidence": pl.Float64, "below_before": pl.Boolean}
        before, below = below, pl.DataFrame([row], schema=schema).select(in_doubt())[0, 0]
        if below != before:
            told.append((chance, below))
    assert told == [(0.87, True), (0.9, False), (0.87, True), (0.91, False)]


def test_a_stranger_hears_nothing(booked: tuple[Live, str]):
    """News concern the parcel's shipper alone."""
    live, number = booked
    _hear(live, "pty_rival")
    live.scan(live.blue, number, "accepting", 1, "A")
    live.turn()
    assert _news(live) == []


def _hear(live: Live, party_id: str) -> None:
    with live.record.database.owner() as owner:
        owner.execute(
            "insert into base.endpoints (endpoint_id, party_id, test, url, kinds, hears_all, created_at, changed_at)"
            " values (%s, %s, false, 'https://hooks.example/', '{}', false, %s, %s)",
            (f"end_{party_id}", party_id, NOW, NOW),
        )


def _news(live: Live) -> list[tuple[str, str, dict[str, Any]]]:
    with live.record.context(readonly=True) as ctx:
        found = ctx.conn.execute("select kind, key, data from base.outbox where kind like 'parcel.%' order by seq")
        return found.fetchall()
