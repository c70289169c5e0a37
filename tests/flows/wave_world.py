"""A small network for waves: A to B by a cheap truck with few seats at 10:00 and a dear van with many at 12:00."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import polars as pl
import psycopg
import pytest

from rookery.app import make_ready
from rookery.base.clock import Clock
from rookery.base.db import Database
from rookery.base.jobs import Desk
from rookery.base.operations import Context, Who
from rookery.flows import publishing, waving
from rookery.flows.waves import wave
from rookery.network.store import Feeds
from rookery.orders import booking
from rookery.planning.plans import PlanRecord
from rookery.planning.rooms import take_room
from rookery.planning.store import add_legs
from rookery.terms.ids import new_id

MONDAY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
TRUCK = "truck,AB,daily,10:00,30,120,1000000,{seats},1,0"
VAN = "van,AV,daily,12:00,30,240,,,9,0"


def feed_zip(version: str = "1", departures: Iterable[str] = (TRUCK.format(seats=2), VAN), **files: str) -> bytes:
    """A feed as a .zip; files: other contents of single files ("nodes_csv")."""
    said = {
        "feed.json": f'{{"name": "Waves", "version": "{version}", "currency": "EUR"}}',
        "nodes.csv": "node_id,name,kind,lat,lon,country,timezone,handling_minutes\n"
        "A,Place A,origin,50.0,4.0,BE,UTC,0\nB,Place B,depot,51.0,4.5,BE,UTC,0\n",
        "lanes.csv": "lane_id,from_node,to_node,mode,carrier_id\nAB,A,B,truck,TRUCKS\nAV,A,B,van,VANS\n",
        "departures.csv": "departure_id,lane_id,calendar_id,depart_time,cutoff_minutes,transit_minutes,capacity_g,"
        "capacity_parcels,cost_per_parcel,cost_per_kg\n" + "\n".join(departures) + "\n",
        "calendars.csv": "calendar_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_on,end_on\n"
        "daily,1,1,1,1,1,1,1,2026-01-01,2026-12-31\n",
        "services.csv": "service_id,name,due_days,confidence,late_cost\ntoday,Same day,0,0.9,500\n",
        **{name.replace("_", "."): text for name, text in files.items()},
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in said.items():
            archive.writestr(name, text)
    return packed.getvalue()


class World:
    """A fresh system of record with a clock that is moved by hand, an operator, a shipper and two couriers."""

    def __init__(self, database: Database):
        self.at = MONDAY
        clock = Clock(lambda: self.at)
        self.desk = Desk(database, clock, {Feeds: Feeds()})
        make_ready(database, clock)
        with database.owner() as conn:
            for party, code in (("pty_shop", None), ("pty_trucks", "TRUCKS"), ("pty_vans", "VANS")):
                conn.execute(
                    "insert into base.parties (party_id, name, code, created_at) values (%s, %s, %s, %s)",
                    (party, party, code, self.at),
                )

    @contextmanager
    def owner(self, test: bool = False) -> Iterator[psycopg.Connection]:
        with self.desk.database.owner() as conn:
            conn.execute("select set_config('rookery.test', %s, false)", ("on" if test else "",))
            yield conn

    def as_party(self, party_id: str, *scopes: str, test: bool = False) -> Context:
        """One transaction for a party."""
        who = Who(party_id, "key_x", frozenset(scopes), test)
        return Context(self.desk.database, self.desk.clock, who, self.desk.parts)

    def operator(self, test: bool = False) -> Context:
        return self.as_party("pty_ops", "operator", test=test)

    def publish(self, content: bytes | None = None, test: bool = False) -> publishing.Published:
        with self.operator(test) as ctx:
            return publishing.publish(ctx, publishing.NewFeed(content or feed_zip(), activate=True))

    def order(self, count: int = 1, **columns: object) -> list[str]:
        """Orders of the shop from A to B, ready now."""
        made = []
        with self.owner(bool(columns.get("test"))) as conn:
            for _ in range(count):
                order_id = new_id("ord", self.at)
                row = {
                    "order_id": order_id, "party_id": "pty_shop", "test": False, "reference": order_id,
                    "state": "received", "from_node": "A", "to_node": "B", "ready_at": self.at, "weight_g": 1000.0,
                    "goods": "general", "service_id": "today", "pieces": 1, "content_sha256": b"-",
                    "created_at": self.at, "updated_at": self.at, **columns,
                }  # fmt: skip
                names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
                conn.execute(f"insert into orders.orders ({names}) values ({marks})".encode(), list(row.values()))
                made.append(order_id)
        return made

    def book(self, departure: str, seats: float, courier: str = "TRUCKS") -> bool:
        """One more parcel of the shop booked on a departure of this day, as an offer is; False when it is full."""
        [order_id] = self.order(1)
        at = self.at.replace(hour=10 if departure == "truck" else 12)
        one = {"shipment_id": new_id("shp", self.at), "order_id": order_id, "party_id": "pty_shop", "test": False}
        leg = {"departure_id": departure, "depart_at": at}
        claim = {"claim": 0, **leg, "parcels": 1.0, "grams": 1000.0, "capacity_parcels": seats, "capacity_g": None}
        shipment = one | {
            "service_id": "today", "promised_at": at + timedelta(hours=5), "confidence": 0.9,
            "on_time_probability": 1.0, "expected_at": at + timedelta(hours=4), "cost": 1.0, "currency": "EUR",
            "feed_id": "fed_x", "plan_id": None, "quote_sha256": None, "metadata": "{}",
        }  # fmt: skip
        parcel = one | {
            "parcel_id": new_id("pcl", self.at), "piece": 1, "pieces": 1, "weight_g": 1000.0, "length_mm": None,
            "width_mm": None, "height_mm": None,
        }  # fmt: skip
        way = one | leg | {
            "route": 1, "seq": 1, "courier_id": None, "plan_id": None, "lane_id": "AB", "carrier_id": courier,
            "mode": "truck", "from_node": "A", "to_node": "B", "cutoff_at": at - timedelta(minutes=30),
            "arrive_at": at + timedelta(hours=2), "cost": 1.0,
        }  # fmt: skip
        with self.as_party("pty_shop", "merchant") as ctx:
            if take_room(ctx.conn, False, pl.DataFrame([claim], schema_overrides={"capacity_g": pl.Float64})):
                return False
            none = pl.DataFrame(schema=dict.fromkeys(booking.GRANTS, pl.String))
            rows = pl.DataFrame([shipment]), pl.DataFrame([parcel])
            booking.book(ctx.conn, *rows, none, now=self.at, by_party="pty_shop")
            add_legs(ctx.conn, pl.DataFrame([way]))
        return True

    def ask(self, test: bool = False) -> str:
        with self.operator(test) as ctx:
            return waving.ask_for_wave(ctx, waving.NewWave(outcomes=1)).plan_id

    def plan(self, test: bool = False) -> PlanRecord:
        """A wave asked for and done."""
        plan_id = self.ask(test)
        waving.plan_wave(self.desk, plan_id=plan_id)
        return self.record(plan_id, test)

    def record(self, plan_id: str, test: bool = False) -> PlanRecord:
        with self.operator(test) as ctx:
            return waving.get_wave(ctx, waving.OneWave(plan_id))

    def rows(self, query: str, *values: object, test: bool = False) -> list[tuple]:
        with self.owner(test) as conn:
            return conn.execute(query.encode(), values).fetchall()

    def routes(self) -> dict[str, list[str]]:
        """Of every order the departures that count now."""
        return dict(
            self.rows(
                "select s.order_id, array_agg(l.departure_id || ' ' || to_char(l.depart_at at time zone 'UTC', 'DD')"
                " order by l.seq) from orders.shipments s join planning.legs l using (shipment_id, route) group by 1"
            )
        )

    def later(self, **much: float) -> None:
        self.at += timedelta(**much)


def meanwhile(world: World, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Lets something happen after the next wave was planned and before it writes."""
    really = wave.make

    def make(*asked: Any) -> Any:
        made = really(*asked)
        happens()
        return made

    monkeypatch.setattr(wave, "make", make)


def on(world: World, departure: str) -> int:
    """How many orders ride this dated departure ("truck 02") and no other."""
    return sum(way == [departure] for way in world.routes().values())


def plain(thing: object) -> object:
    return msgspec.to_builtins(thing)
