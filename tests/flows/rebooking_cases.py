"""A network with two ways from its hub, parcels on it, and what is suggested to them, for tests of rebooking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from record_cases import NOW, SHOP, make_record, write_feed
from tracking_cases import HOUSE, World, scan

from rookery.base.access import keys
from rookery.base.db import Urls
from rookery.base.operations import Who
from rookery.flows.quotes import desks
from rookery.network import live
from rookery.tracking import chances
from rookery.tracking.epcis.identifiers import sscc_uri

MORE = {
    "nodes.csv": "K,K,hub,50.7,4.7,BE,Europe/Brussels,30\n",
    "lanes.csv": "HK,H,K,truck,GREEN,general\nKB,K,B,van,GREEN,general\n",
    "departures.csv": "HK1,HK,daily,09:00,60,2,1\nKB1,KB,daily,12:00,60,,1\n",
}
"""From H also over K, by a courier of its own, with two seats a day."""
DAY = timedelta(days=1)


def leg(departure: str, day: int, **more: Any) -> dict[str, Any]:
    """A leg as chances tell it, of a day of March."""
    lane = departure.rstrip("1")
    depart, minutes = {"AH1": (17, 120), "HB1": (5, 60), "HK1": (8, 60), "KB1": (11, 60)}[departure]
    at = datetime(2026, 3, day, depart, tzinfo=NOW.tzinfo)
    carrier = {"AH": "BLUE", "HB": "RED", "HK": "GREEN", "KB": "GREEN"}[lane]
    return {
        "departure_id": departure, "lane_id": lane, "carrier_id": carrier, "mode": "truck", "from_node": lane[0],
        "to_node": lane[1], "cutoff_at": at, "depart_at": at, "arrive_at": at + timedelta(minutes=minutes), "cost": 1.0,
        **more,
    }  # fmt: skip


OVER_K = [leg("HK1", 3), leg("KB1", 3)]
NEXT_DAY = [leg("HB1", 4)]


class Town(World):
    """The world on the network with two ways, at a time of its own."""

    green: Who

    def book(self, who: Who = SHOP, **quoted: Any) -> dict[str, Any]:
        """A shipment booked over AH1 and HB1, with EPCs of its parcels."""
        self._booked = getattr(self, "_booked", 0) + 1
        offer = self.record.quote(who, **quoted)["offers"][0]
        made = self.record.book(f"R-{self._booked}", who, offer)
        return made | {"epcs": [sscc_uri(one["number"]) for one in made["parcels"]]}

    def arrive(self, *epcs: str, hours: float = 22.5, place: str = "H") -> None:
        """BLUE scans parcels into a hub, so many hours after the Monday (8:00) the tests begin on."""
        self.capture(self.blue, scan("arriving", hours, *epcs, place=place))

    def missed(self, count: int = 1, **quoted: Any) -> list[dict[str, Any]]:
        """Shipments that came to H on Tuesday at 6:30, when HB1 had left; it is 7:00."""
        self.record.now = NOW
        made = [self.book(**quoted) for _ in range(count)]
        self.record.now = NOW + timedelta(hours=23)
        self.arrive(*(epc for one in made for epc in one["epcs"]))
        return made

    def deliver(self, number: str) -> None:
        """RED scans a parcel as delivered, a minute ago."""
        at = (self.record.now - timedelta(minutes=1)).isoformat()
        self.record.do("scans.create", self.red, scans=[{"number": number, "code": "delivered", "at": at}])

    def case(self, case_id: str, *shipments: dict[str, Any], cause: str = "departure:HB1@2026-03-03T05:00Z") -> None:
        """An open case with the parcels of shipments in it."""
        now, kind = self.record.now, "closure" if cause.startswith("closure") else "departure_missed"
        with self.record.context() as ctx:
            ctx.conn.execute(
                "insert into tracking.cases (case_id, test, kind, cause, reason, opened_at, updated_at)"
                " values (%s, false, %s, %s, 'a test', %s, %s)", (case_id, kind, cause, now, now),
            )  # fmt: skip
            for one in shipments:
                for parcel, epc in zip(one["parcels"], one["epcs"]):
                    ctx.conn.execute(
                        "insert into tracking.case_parcels (case_id, epc, test, parcel_id, owner_id, number, kind,"
                        " cause, opened_at, reason) values (%s, %s, false, %s, %s, %s, %s, %s, %s, 'a test')",
                        (case_id, epc, parcel["parcel_id"], SHOP.party_id, parcel["number"], kind, cause, now),
                    )

    def suggest(
        self, shipment: dict[str, Any], legs: list[dict[str, Any]], *, of: int | None = None, **more: Any
    ) -> None:
        """What is found for a shipment's parcels (all, or one), under the closures there are, as they stand at H, or as
        `more` says.
        """
        epcs = shipment["epcs"] if of is None else [shipment["epcs"][of]]
        with self.record.context() as ctx:
            policy = f"{live.stamp(ctx.conn, False)}.p1"
            for parcel, epc in zip(shipment["parcels"] if of is None else [shipment["parcels"][of]], epcs):
                seen = ctx.conn.execute(
                    "select event_no, status_at, status::text from tracking.parcels where epc = %s", (epc,)
                ).fetchone()
                number, at, status = seen or (None, None, None)
                row = dict.fromkeys(chances.CHANCES) | {
                    "epc": epc, "parcel_id": parcel["parcel_id"], "shipment_id": shipment["shipment_id"],
                    "owner_id": SHOP.party_id, "policy": policy, "below": False, "at": at, "event_no": number,
                    "status": status or "pre_transit", "node_id": "H", "chance": 0.75,
                    "expected_at": NOW + timedelta(days=2), "promised_at": NOW + timedelta(days=3), "confidence": 0.95,
                    "legs": msgspec.json.encode(legs).decode(), "off_plan": True, **more,
                }  # fmt: skip
                frame = pl.DataFrame([row], schema=_SCHEMA)
                with ctx.as_system() as conn:
                    chances.write(conn, False, frame, self.record.now)

    def rebook(self, *shipments: dict[str, Any], **more: Any) -> dict[str, Any]:
        ids = [one["shipment_id"] for one in shipments]
        return self.record.do("shipments.rebook", HOUSE, shipment_ids=ids, **more)

    def undo(self, done: dict[str, Any]) -> dict[str, Any]:
        return self.record.do("replans.undo", HOUSE, replan_id=done["replan"]["replan_id"])

    def reasons(self, done: dict[str, Any]) -> dict[str, str | None]:
        """By shipment, why it was refused; null = it was not."""
        return {one["shipment_id"]: one["reason"] for one in done["shipments"]["data"]}

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.record.context() as ctx:
            return ctx.conn.execute(query.encode(), values).fetchall()

    def way(self, shipment: dict[str, Any]) -> list[str]:
        """The departures of the route that counts: "HB1 03"."""
        found = self.rows(
            "select l.departure_id || ' ' || to_char(l.depart_at at time zone 'UTC', 'DD') from orders.shipments s"
            " join planning.legs l using (shipment_id, route) where shipment_id = %s order by l.seq",
            shipment["shipment_id"],
        )
        return [told for (told,) in found]

    def taken(self) -> dict[str, float]:
        """Seats booked on departures with a limit, as they are kept; the same as are counted from the routes."""
        kept = self.rows(
            "select departure_id || ' ' || to_char(depart_at at time zone 'UTC', 'DD'), parcels from planning.loads"
            " where parcels > 0 and capacity_parcels is not null"
        )
        counted = self.rows(
            "select l.departure_id || ' ' || to_char(l.depart_at at time zone 'UTC', 'DD'), count(*)::float"
            " from planning.legs l join orders.shipments s using (shipment_id, route)"
            " join orders.parcels p using (shipment_id) where s.state <> 'cancelled' and l.departure_id = 'HK1'"
            " group by 1"
        )
        assert dict(kept) == dict(counted)
        return dict(kept)


_KINDS = {
    "text": pl.String, "jsonb": pl.String, "boolean": pl.Boolean, "bigint": pl.Int64, "double precision": pl.Float64,
    "timestamptz": pl.Datetime("us", "UTC"),
}  # fmt: skip
_SCHEMA = {name: _KINDS[kind] for name, kind in chances.CHANCES.items()}


@contextmanager
def make_town(make_urls: Callable[[], Urls], folder: Path) -> Iterator[Town]:
    """A fresh system of record on that network, Monday 8:00."""
    desks.LOOK_S, before = 0.0, desks.LOOK_S  # what was closed or published a moment ago counts
    try:
        with make_record(make_urls, folder) as record:
            wide = write_feed(folder / "wide", version="2")
            for name, more in MORE.items():
                (wide / name).write_text((wide / name).read_text() + more)
            record.publish(wide)
            with record.context() as ctx:
                parties = {
                    one: keys.create_party(ctx.conn, one, NOW, code=one).party_id for one in ("BLUE", "RED", "GREEN")
                }
            blue, red, green = (Who(parties[one], f"key_{one}", frozenset({"courier"})) for one in parties)
            town = Town(record, blue, red)
            town.green = green
            yield town
    finally:
        desks.LOOK_S = before
