"""A database of an earlier release with events in it, upgraded: what is kept, who goes on, and where parcels are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from psycopg import errors as pg
from psycopg.conninfo import make_conninfo
from tracking_cases import document, scan

from rookery.base.clock import Clock
from rookery.base.db import Database, Urls, partitions
from rookery.base.db.migrate import found, upgrade
from rookery.base.jobs import Desk
from rookery.flows import reordering
from rookery.flows.epcis.captures import capture_later
from rookery.tracking import states
from rookery.tracking.archive import Archive

BEFORE = 68
"""The last migration of the earlier release."""
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CARRIER = "pty_carrier"
# as the earlier release kept events: by their party, numbered in the order of their marks
OLD = (
    "insert into tracking.events (record_at, party_id, test, capture_id, event_at, mark, declared_at, hash, type, epcs,"
    " body) select %(now)s, %(party)s, false, null, event_at, mark, '-infinity', mark || mark, 'ObjectEvent', 1, '{}'"
    " from unnest(%(at)s::timestamptz[], %(marks)s::bytea[]) as given (event_at, mark) order by mark"
    " on conflict (mark, declared_at, event_at) do nothing returning event_no, mark"
)
THING = (
    "insert into tracking.event_epcs (event_no, role, place, event_at, epc, status, detail, party_id, standing,"
    " parcel_id, owner_id, test) values (%s, 0, 0, %s, %s, %s, %s, %s, 1, %s, 'pty_shop', false)"
)
ROW = (
    "insert into tracking.parcels (epc, test, parcel_id, owner_id, status, detail, status_at, event_no, latest_at,"
    " latest_no, updated_at) values (%s, false, %s, 'pty_shop', %s, %s, %s, %s, %s, %s, %s)"
)

SHIPMENT = (
    "with ordered as (insert into orders.orders (order_id, party_id, test, reference, state, ready_at, weight_g, goods,"
    "   pieces, content_sha256, created_at, updated_at) values (%(id)s, 'pty_shop', %(test)s, %(id)s, 'booked',"
    "   %(now)s, 1, 'general', 1, '', %(now)s, %(now)s) returning order_id)"
    ", shipped as (insert into orders.shipments (shipment_id, order_id, party_id, test, state, promised_at, confidence,"
    "   on_time_probability, expected_at, cost, currency, feed_id, booked_at, updated_at) select order_id, order_id,"
    "   'pty_shop', %(test)s, %(state)s, %(now)s, 0.9, %(chance)s, %(now)s, 1, 'EUR', 'feed', %(now)s, %(now)s"
    "   from ordered returning shipment_id)"
    " insert into orders.parcels (parcel_id, shipment_id, order_id, party_id, test, piece, pieces, weight_g, state,"
    "   created_at) select shipment_id || '-' || piece, shipment_id, shipment_id, 'pty_shop', %(test)s, piece, 2, 1,"
    "   %(state)s, %(now)s from shipped, generate_series(1, 2) piece"
)


ENDED = (
    "insert into tracking.parcels (epc, test, parcel_id, owner_id, status, updated_at)"
    " values (%(id)s, true, %(id)s, 'pty_shop', 'delivered', %(now)s)"
)


def mark(number: int) -> bytes:
    return number.to_bytes(16)


def keep(conn: psycopg.Connection, epc: str, first: int, *told: tuple[str, str | None]) -> None:
    """What one batch of an earlier release tells of a parcel at one instant, in the order of its marks."""
    marks = [mark(first + n) for n in range(len(told))]
    ask = {"now": NOW, "party": CARRIER, "at": [NOW] * len(told), "marks": marks}
    for (number, _), (status, detail) in zip(conn.execute(OLD, ask).fetchall(), told, strict=True):
        conn.execute(THING, (number, NOW, epc, status, detail, CARRIER, epc))
        last = (status, detail, NOW, number, NOW, number, NOW)
        conn.execute("delete from tracking.parcels where epc = %s", (epc,))
        conn.execute(ROW, (epc, epc, *last))


@pytest.fixture(scope="module")
def desk(cluster, tmp_path_factory) -> Iterator[Desk]:
    """A database of the earlier release with events, parcels, a capture that waits and a replan in it, upgraded."""
    urls, folder = cluster.urls(), tmp_path_factory.mktemp("upgraded")
    with psycopg.connect(urls.maintain, autocommit=True) as conn:
        conn.execute("create database upgraded owner rookery")
    url = make_conninfo(urls.main, dbname="upgraded")
    upgrade(url, migrations=[one for one in found() if one.number <= BEFORE])
    with psycopg.connect(url, options="-c rookery.scopes=system") as conn:
        keep(conn, "ended", 10, ("on_hold", "damaged"), ("in_transit", "arrived"))  # the hash had them so
        keep(conn, "two", 20, ("out_for_delivery", None))
        keep(conn, "two", 30, ("in_transit", "departed"))
        keep(conn, "plain", 40, ("in_transit", "arrived"))
        conn.execute(
            "insert into tracking.captures (capture_id, party_id, test, created_at, running, success, behaviour,"
            " standing, media, content) values ('cap_waits', %s, false, %s, true, true, 'rollback', 1,"
            " 'application/json', %s)",
            (CARRIER, NOW, document(scan("departing", 2, "urn:x:thing:1"), scan("arriving", 2, "urn:x:thing:1"))),
        )
        conn.execute("insert into planning.replans values ('rpl_1', false, null, %s, 'pty_house')", (NOW,))
        conn.execute(
            "insert into planning.replan_shipments (replan_id, shipment_id, test, state) values"
            " ('rpl_1', 'shp_1', false, 'refused')"
        )
        for chance, shipment_id in ((0.6, "shp_1"), (0.7, "shp_2"), (0.8, "shp_3")):
            ask = {"id": shipment_id, "test": False, "chance": chance, "now": NOW, "state": "booked"}
            conn.execute(SHIPMENT, ask)
        conn.execute("insert into planning.replans values ('rpl_2', false, null, %s, 'pty_house')", (NOW,))
        conn.execute(
            "insert into planning.replan_shipments (replan_id, shipment_id, test, state, chance_before) values"
            " ('rpl_2', 'shp_1', false, 'done', 0.95), ('rpl_1', 'shp_2', false, 'refused', 0.99),"
            " ('rpl_2', 'shp_2', false, 'done', 0.5)"
        )
        conn.execute("set local rookery.test = 'on'")
        for shipment_id, state in (("shp_test", "handed_over"), ("shp_came", "handed_over"), ("shp_off", "cancelled")):
            ask = {"id": shipment_id, "test": True, "chance": 0.5, "now": NOW, "state": state}
            conn.execute(SHIPMENT, ask)
        for parcel_id in ("shp_test-1", "shp_came-1", "shp_came-2"):
            conn.execute(ENDED, {"id": parcel_id, "now": NOW})
        conn.execute("insert into planning.replans values ('rpl_test', true, null, %s, 'pty_house')", (NOW,))
        conn.execute(
            "insert into planning.replan_shipments (replan_id, shipment_id, test, state, chance_before) values"
            " ('rpl_test', 'shp_test', true, 'done', 0.94)"
        )
        conn.execute("set local rookery.test = 'off'")
        before = _all(conn)
    upgrade(url)
    with psycopg.connect(url, options="-c rookery.scopes=system") as conn:
        assert _all(conn) == before
    with Database.open(Urls(url, urls.keys, urls.maintain), size=4, wait_s=60.0) as database:
        yield Desk(database, Clock(lambda: NOW + timedelta(hours=1)), {Archive: Archive(Path(folder))})


def _all(conn: psycopg.Connection) -> list[list[Any]]:
    """Every row of before, without what a later migration adds to it."""
    tables = ("tracking.events", "tracking.event_epcs", "tracking.parcels", "tracking.captures", "planning.replans",
              "planning.replan_shipments")  # fmt: skip
    return [
        conn.execute(
            f"select to_jsonb(t) - array['batch_no', 'pieces'] from {table} t order by t::text".encode()
        ).fetchall()
        for table in tables
    ]


def _rows(desk: Desk, statement: str) -> list[Any]:
    with desk.context(readonly=True) as ctx:
        return ctx.conn.execute(statement.encode()).fetchall()


def test_where_parcels_are_becomes_what_following_tells(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """Of one instant the order of the trade counts for what nobody knows how it was sent, also within a batch; rows
    that said otherwise are worked out anew, some at a time, and then no more is done.
    """
    monkeypatch.setattr(reordering, "AT_ONCE", 1)
    monkeypatch.setattr(reordering, "TIMES", 2)
    for left in (2, 0, 0):  # two parcels; the third, and the end; nothing
        reordering.reorder(desk)
        assert len(_rows(desk, "select from tracking.reordering where not test")) == (left > 0)
    rows = _rows(desk, "select epc, status::text, detail, event_no from tracking.parcels order by 1")
    assert [row[:3] for row in rows] == [
        ("ended", "on_hold", "damaged"), ("plain", "in_transit", "arrived"), ("two", "out_for_delivery", None),
    ]  # fmt: skip
    involved = pl.DataFrame({"epc": [row[0] for row in rows], "party_id": CARRIER})
    with desk.context() as ctx:
        told = states.history(ctx.conn, [row[0] for row in rows], involved, False, ctx.part(Archive))
    assert dict(told.group_by("epc").agg(pl.col("event_no").last()).iter_rows()) == {row[0]: row[3] for row in rows}
    moved = _rows(desk, "select epcs from tracking.moved where not test")
    assert sorted(epc for (epcs,) in moved for epc in epcs) == ["ended", "two"]


def test_what_was_promised_is_known_of_what_was_booked_on(desk: Desk):
    """The chance that a shipment had when it was first tried to be booked on was promised; of one that never was, what
    it has. Those of which no parcel is still to come are left as they are. Whoever upgrades need not be free of
    row-level security.
    """
    told = "select shipment_id, promised_chance, on_time_probability from orders.shipments order by 1"
    assert _rows(desk, told) == [("shp_1", 0.95, 0.6), ("shp_2", 0.99, 0.7), ("shp_3", 0.8, 0.8)]
    with desk.context(test=True) as ctx:
        assert ctx.conn.execute(told).fetchall() == [
            ("shp_came", None, 0.5), ("shp_off", None, 0.5), ("shp_test", 0.94, 0.5),
        ]  # fmt: skip


def test_a_capture_that_waited_is_done(desk: Desk):
    """A document handed in before the upgrade is captured after it, its events as one batch in the order of sending."""
    capture_later(desk, "cap_waits", "False")
    assert _rows(desk, "select success, added, content from tracking.captures") == [(True, 2, None)]
    kept = _rows(
        desk, "select biz_step, event_no - batch_no from tracking.events where batch_no is not null order by event_no"
    )
    assert [(step.rsplit("-", 1)[-1], nth) for step, nth in kept] == [("departing", 0), ("arriving", 1)]


def test_programs_of_before_go_on(desk: Desk):
    """A program of the earlier release that still runs keeps events as their party, in months that were there and that
    come: each with a number of its own, and no batch.
    """
    with desk.database.owner() as conn:
        partitions.tend(conn, NOW)
    at = [NOW, NOW + timedelta(days=31), NOW + timedelta(days=4000), NOW]
    ask = {"now": NOW, "party": CARRIER, "at": at, "marks": [mark(100 - n) for n in range(len(at))]}
    highest = _rows(desk, "select max(event_no) from tracking.events")[0][0]
    with desk.database.transaction(CARRIER, frozenset({"courier"})) as conn:
        numbers = [number for number, _ in conn.execute(OLD, ask).fetchall()]
        assert conn.execute(OLD, ask).fetchall() == []
    assert len(set(numbers)) == len(at) and min(numbers) > highest and numbers == sorted(numbers)
    where = _rows(desk, f"select tableoid::regclass::text from tracking.events where event_no = any(array{numbers})")
    assert {name for (name,) in where} == {
        "tracking.events_2026_03", "tracking.events_2026_04", "tracking.events_other",
    }  # fmt: skip
    assert not _rows(desk, f"select from tracking.events where event_no = any(array{numbers}) and batch_no is not null")


@pytest.mark.parametrize("column", ["event_no", "batch_no"])
def test_nobody_chooses_a_number_or_a_batch(desk: Desk, column: str):
    """Whoever runs the network or carries: in whatever partition, also on a connection that drew numbers before."""
    chosen = OLD.replace("(record_at,", f"({column}, record_at,")
    chosen = chosen.replace(") select %(now)s", ") overriding system value select 1, %(now)s")
    ask: dict[str, Any] = {"now": NOW, "party": CARRIER, "marks": [mark(7)]}
    for scope in ("operator", "courier", "merchant"):
        for drawn in (False, True):
            for at in (NOW, NOW + timedelta(days=4000)):
                with (
                    pytest.raises(pg.InsufficientPrivilege),
                    desk.database.transaction(CARRIER, frozenset({scope})) as conn,
                ):
                    if drawn:
                        conn.execute("select nextval('tracking.events_event_no_seq')")
                    conn.execute(chosen.encode(), {**ask, "at": [at]})
