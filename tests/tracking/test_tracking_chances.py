"""The queue of what is to be looked at, and chances as they are kept, on real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from rookery.base.db import Database
from rookery.base.operations import SYSTEM, Who
from rookery.tracking import chances, set_aside
from rookery.tracking.chances_unknown import UNKNOWN, unknown_chances

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
TEST = Who(SYSTEM.party_id, SYSTEM.key_id, SYSTEM.scopes, test=True)
_KINDS: dict[str, Any] = {
    "text": pl.String, "bigint": pl.Int64, "double precision": pl.Float64, "boolean": pl.Boolean, "jsonb": pl.String,
    "timestamptz": pl.Datetime("us", "UTC"),
}  # fmt: skip


def acting(database: Database, who: Who = SYSTEM):
    """A transaction for somebody."""
    return database.transaction(who.party_id, who.scopes, who.test)


def rows(*given: dict[str, Any]) -> pl.DataFrame:
    """What was found of parcels; what is not given is as usual."""
    usual = {
        **dict.fromkeys(chances.CHANCES), "shipment_id": "shp_1", "owner_id": "pty_shop", "status": "in_transit",
        "promised_at": NOW, "confidence": 0.9, "legs": "[]", "off_plan": False, "below": False,
    }  # fmt: skip
    full = [{**usual, "epc": one["parcel_id"], **one} for one in given]
    return pl.DataFrame(full, schema={name: _KINDS[kind] for name, kind in chances.CHANCES.items()})


def test_what_moved_is_taken_once_oldest_first(fresh_database: Database):
    """In pieces of any size; what does not fit waits; a parcel that moved twice is looked at once."""
    with acting(fresh_database) as conn:
        chances.enter(conn, False, ["b", "a", "b"])
        chances.enter(conn, False, [])
        chances.enter(conn, False, ["c", "a"])
    with acting(fresh_database, TEST) as conn:
        chances.enter(conn, True, ["t"])
    with acting(fresh_database) as conn:
        assert chances.take(conn, False, NOW, 3) == ["a", "b", "c"]
        assert chances.take(conn, False, NOW, 3) == []
    many = [f"{i:05}" for i in range(1203)]
    with acting(fresh_database) as conn:
        chances.enter(conn, False, many)
        assert conn.execute("select count(*) from tracking.moved where not test").fetchone() == (3,)
        taken: list[str] = []
        while some := chances.take(conn, False, NOW, 500 if taken else 7):
            taken += some
        assert sorted(taken) == many
        assert taken[:7] == many[:7]


def test_what_is_taken_is_there_again_when_it_was_for_nothing(fresh_database: Database):
    """A transaction that fails gives it back."""
    with acting(fresh_database) as conn:
        chances.enter(conn, False, ["a"])
    with pytest.raises(ZeroDivisionError), acting(fresh_database) as conn:
        assert chances.take(conn, False, NOW, 9) == ["a"]
        raise ZeroDivisionError
    with acting(fresh_database) as conn:
        assert chances.take(conn, False, NOW, 9) == ["a"]


def test_what_is_overdue_is_taken_when_its_time_has_come(fresh_database: Database):
    """After what moved; it stays due until something else is written of it."""
    due = rows(
        {"parcel_id": "p1", "look_again_at": NOW, "due_scan": "arrived"},
        {"parcel_id": "p2", "look_again_at": NOW - timedelta(hours=1)},
        {"parcel_id": "p3", "look_again_at": NOW + timedelta(seconds=1)},
    )
    with acting(fresh_database) as conn:
        chances.write(conn, False, due, NOW)
        chances.enter(conn, False, ["x", "p1"])
        assert chances.take(conn, False, NOW, 3) == ["p1", "x", "p2"]
        assert chances.take(conn, False, NOW, 9) == ["p2", "p1"]
        assert chances.take(conn, True, NOW, 9) == []
        chances.leave_alone(conn, False, "p2", NOW)
        assert chances.take(conn, False, NOW, 9) == ["p1"]
        assert chances.take(conn, False, NOW + timedelta(days=1), 9) == ["p1", "p3", "p2"]


def test_what_is_found_takes_the_place_of_what_was(fresh_database: Database):
    """One row a parcel, in live and in test data; legs as they were told, with any sign in them."""
    legs = '[{"departure_id": "Ä\\"1,\\\\", "cost": 1.5}]'
    with acting(fresh_database, TEST) as conn:
        chances.write(conn, True, rows({"parcel_id": "p1", "chance": 0.1}), NOW)
    with acting(fresh_database) as conn:
        chances.write(conn, False, rows({"parcel_id": "p1", "chance": 0.5, "legs": legs}), NOW)
        chances.write(conn, False, rows({"parcel_id": "p1", "chance": 0.25, "legs": legs}, {"parcel_id": "p2"}), NOW)
        found = chances.find(conn, False, "p1")
        assert found is not None
        assert (found.chance, found.legs) == (0.25, [{"departure_id": 'Ä"1,\\', "cost": 1.5}])
        assert chances.legs_before(conn, False, ["p1", "p9"])["epc"].to_list() == ["p1"]
        assert chances.find(conn, False, "p9") is None
        assert conn.execute("select count(*) from tracking.chances where not test").fetchone() == (2,)


def test_parcels_under_way_come_by_their_chance(fresh_database: Database):
    """The least likely first, page by page; not what has come to its end, nor what is not known."""
    given = [
        {"parcel_id": f"p{i}", "chance": chance, "status": status}
        for i, (chance, status) in enumerate(
            [(0.5, "in_transit"), (0.1, "on_hold"), (0.1, "in_transit"), (0.0, "delivered"), (0.95, "picked_up"),
             (None, "in_transit"), (0.2, "cancelled"), (1.0, "in_transit")]
        )
    ]  # fmt: skip
    with acting(fresh_database) as conn:
        chances.write(conn, False, rows(*given), NOW)
        first = chances.under_way(conn, False, 0.9, None, 2)
        assert [one.parcel_id for one in first] == ["p1", "p2"]
        more = chances.under_way(conn, False, 0.9, (first[1].chance or 0.0, "p2"), 9)
        assert [one.parcel_id for one in more] == ["p0"]


def test_chances_and_their_history_are_seen_as_the_parcels_are(fresh_database: Database):
    """By the shipper and whom the parcel was granted, the history by the shipper alone; by nobody else, nor in another
    mode; written by none of them.
    """
    with fresh_database.owner() as owner:
        owner.execute(
            "insert into orders.parcel_party (parcel_id, party_id, role, owner_id, test, granted_at)"
            " values ('p1', 'pty_blue', 'courier', 'pty_shop', false, %s)", (NOW,),
        )  # fmt: skip
    past = rows({"parcel_id": "p1", "chance": 0.5, "at": NOW, "event_no": 7})
    with acting(fresh_database) as conn:
        chances.write(conn, False, past, NOW)
        chances.add_history(conn, False, past, NOW)
        chances.add_history(conn, False, past.with_columns(chance=0.75), NOW)
    sees = {"pty_shop": "merchant", "pty_blue": "courier", "pty_ops": "operator"}
    blind = {"pty_rival": "merchant", "pty_red": "courier"}
    for party, scope in {**sees, **blind}.items():
        with acting(fresh_database, Who(party, "key", frozenset({scope}))) as conn:
            found = chances.history(conn, False, "p1", 0, 9)
            assert [one.chance for one in found] == ([0.5, 0.75] if party in ("pty_shop", "pty_ops") else [])
            assert (chances.find(conn, False, "p1") is not None) == (party in sees)
            assert chances.history(conn, False, "p1", found[0].seq if found else 0, 9) == found[1:]
            assert conn.execute("update tracking.chances set chance = 1").rowcount == 0
            assert conn.execute("select count(*) from tracking.moved").fetchone() == (0,)
    with acting(fresh_database, Who("pty_shop", "key", frozenset({"merchant"}), test=True)) as conn:
        assert chances.find(conn, False, "p1") is None


def test_a_parcel_that_was_never_looked_at_is_set_aside_for_a_day(fresh_database: Database):
    """It alone leaves the queue, wherever it stands there, and nobody forgets it; when it moves it is looked at."""
    with acting(fresh_database) as conn:
        chances.enter(conn, False, ["a", "b", "c"])
        chances.leave_alone(conn, False, "b", NOW)
        assert chances.take(conn, False, NOW, 9) == ["a", "c"]
        assert chances.take(conn, False, NOW + timedelta(hours=23), 9) == []
        chances.enter(conn, False, ["b"])
        assert chances.take(conn, False, NOW, 9) == ["b"]
        assert chances.take(conn, False, NOW + chances.ASIDE, 9) == ["b"]
        assert chances.take(conn, False, NOW + chances.ASIDE, 9) == []


def test_what_lacks_a_policy_is_found_by_an_index(fresh_database: Database):
    """Every few seconds it is asked for: not all chances are read for that."""
    with acting(fresh_database) as conn:
        conn.execute("set local enable_seqscan = off")
        query = f"explain select from tracking.chances where test = false and {chances.UNDER_WAY} and why = 'no_policy'"
        plan = "".join(line for (line,) in conn.execute(query.encode()))
    assert "chances_without_policy" in plan


def test_a_page_of_unknown_chances_reads_its_own_rows_alone(fresh_database: Database):
    """However many there are: the index has them in the list's order, for whoever runs the network too."""
    known = [{"parcel_id": f"k{n:04}", "chance": 0.5} for n in range(2000)]
    with acting(fresh_database) as conn:
        chances.write(conn, False, rows(*known, *({"parcel_id": f"u{n:04}"} for n in range(2000))), NOW)
    with fresh_database.owner() as owner:
        owner.execute("analyze tracking.chances")
    asked = {"test": False, "after": "u0999", "limit": 11}
    with acting(fresh_database, Who("pty_ops", "key", frozenset({"operator"}))) as conn:
        row = conn.execute(f"explain (analyze, format json) {UNKNOWN}".encode(), asked).fetchone()
        page = unknown_chances(conn, False, "u0999", 11)
    assert row is not None
    [limit] = [node for node in nodes(row[0][0]["Plan"]) if node["Node Type"] == "Limit"]
    [scan] = [node for node in nodes(limit) if node.get("Relation Name") == "chances"]
    assert scan["Index Name"] == "chances_under_way"
    assert scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) == 11
    assert not [node for node in nodes(limit) if "Sort" in node["Node Type"]]
    assert [one.parcel_id for one in page] == [f"u{n:04}" for n in range(1000, 1011)]


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A plan's nodes, this one first."""
    return [plan, *(node for part in plan.get("Plans", []) for node in nodes(part))]


def test_that_a_parcel_was_set_aside_is_forgotten_with_its_chance(fresh_database: Database):
    """In its mode alone; of one that is under way both stay, whatever their age."""
    parcels = [{"parcel_id": "ended", "status": "delivered"}, {"parcel_id": "goes_on"}]
    for who in (SYSTEM, TEST):
        with acting(fresh_database, who) as conn:
            chances.write(conn, who.test, rows(*parcels), NOW)
            for epc in ("ended", "goes_on"):
                set_aside.put(conn, who.test, epc, "DataError", NOW)
    later = NOW + chances.KEPT + timedelta(seconds=1)
    with acting(fresh_database) as conn:
        assert chances.forget(conn, False, later, 9) == 1
        assert [one.epc for one in set_aside.page(conn, False, "", 9)] == ["goes_on"]
        assert chances.forget(conn, False, later, 9) == 0
    with acting(fresh_database, TEST) as conn:
        assert set_aside.count(conn, True) == 2


def test_all_that_are_set_aside_are_entered_some_at_a_time(fresh_database: Database):
    """Each call goes on where the one before ended, tells how many are left, and enters none a second time."""
    with acting(fresh_database) as conn:
        conn.execute(
            "insert into tracking.set_aside (epc, test, at, until_at, fault)"
            " select 'p' || n, false, %s, %s, 'DataError' from generate_series(1, 2 * %s + 5) n",
            (NOW, NOW + chances.ASIDE, set_aside.AGAIN),
        )
        calls = []
        for _ in range(4):
            entered = set_aside.enter_again(conn, False, None, NOW)
            calls.append((len(entered), set_aside.left(conn, False, NOW)))
        assert calls == [(10_000, 10_005), (10_000, 5), (5, 0), (0, 0)]
        row = conn.execute("select count(distinct epc), count(*) from tracking.moved, unnest(epcs) epc").fetchone()
        assert row == (20_005, 20_005)
        assert set_aside.enter_again(conn, False, ["p7", "none"], NOW) == ["p7"]  # who is named is entered in any case
        set_aside.put(conn, False, "p7", "DataError", NOW)
        assert set_aside.enter_again(conn, False, None, NOW) == ["p7"]  # it failed once more
