"""Parcels that the twin sends astray or has held at customs: each is a case once, which ends when it goes on.

The way leads A - H - K (customs) - B; whoever H loads the wrong way comes to C and is sent back to H the next morning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
import pytest
from living_cases import Live as LiveSide
from record_cases import FEED, NOW, make_record

from rookery.base.access.keys import create_party
from rookery.base.operations import Who
from rookery.network import expand, read_feed
from rookery.terms.time import DAY, from_minute, to_minute
from rookery.twin.live import BOOKINGS, Live
from rookery.twin.model import Trouble
from rookery.twin.rolling import Rolling

NODE = "BE,Europe/Brussels,30\n"
CROSSING = FEED | {
    "nodes.csv": FEED["nodes.csv"] + f"K,K,customs,50.8,4.8,{NODE}C,C,hub,50.2,4.2,{NODE}",
    "lanes.csv": "lane_id,from_node,to_node,mode,carrier_id,accepts\n"
    + "".join(f"{lane},{lane[0]},{lane[1]},truck,BLUE,general\n" for lane in ("AH", "HK", "KB", "HC", "CH")),
    "departures.csv": "departure_id,lane_id,calendar_id,depart_time,transit_minutes,cost_per_parcel\n"
    "AH1,AH,daily,18:00,120,2\nHK1,HK,daily,23:00,90,1\nKB1,KB,daily,06:00,90,1\n"
    "HC1,HC,daily,23:30,120,1\nCH1,CH,daily,08:00,120,1\n",
    "services.csv": "service_id,name,due_days,confidence\nstandard,Standard,9,0.6\n",
}
PARCELS, DAYS = 16, 7
STEP = 60
"""Minutes between looks: fewer than any ride takes, so that each parcel is looked at while it rides."""


@dataclass
class Passed:
    """What has happened (twin.live.SCANS), and the cases of parcels: kind, number, opened_at, closed_at, closed_why."""

    scans: pl.DataFrame
    cases: pl.DataFrame

    def of(self, kind: str) -> pl.DataFrame:
        return self.cases.filter(pl.col("kind") == kind)


@pytest.fixture(scope="module")
def passed(make_urls, tmp_path_factory) -> Iterator[Passed]:
    """Days in which the twin sends every third parcel astray at H and has every third held at K."""
    folder = tmp_path_factory.mktemp("crossing")
    with make_record(make_urls, folder / "data") as record:
        feed_folder = folder / "feed"
        feed_folder.mkdir()
        for name, text in CROSSING.items():
            (feed_folder / name).write_text(text.replace("{seats}", "").replace('"version": "1"', '"version": "2"'))
        record.publish(feed_folder)
        with record.context() as ctx:
            blue = Who(create_party(ctx.conn, "BLUE", NOW, code="BLUE").party_id, "key_blue", frozenset({"courier"}))
        side = LiveSide(record, blue, blue)
        trouble = Trouble(misrouted_share=0.35, hold_share=0.35, hold_minutes=600.0)
        feed = read_feed(feed_folder)
        twin = Live(Rolling(feed, to_minute(NOW), trouble, 5, expand), trouble, 5)
        bookings: list[tuple[str, int, str, int]] = []
        for number in (side.book() for _ in range(PARCELS)):
            legs = ((1, "AH1", 9), (2, "HK1", 14), (3, "KB1", 21))  # hours from NOW
            bookings += [(number, seq, departure, to_minute(NOW) + hours * 60) for seq, departure, hours in legs]
        start = pl.DataFrame({"number": side.numbers}).with_columns(
            node=pl.lit(0), start_at=to_minute(NOW) + 60, minutes=240
        )
        twin.add(start)
        twin.tell(pl.DataFrame(bookings, schema=BOOKINGS, orient="row"))
        side.look_out()
        scans = []
        for minute in range(to_minute(NOW) + STEP, to_minute(NOW) + DAYS * DAY, STEP):
            record.now = from_minute(minute)
            made = twin.advance(minute)
            if made.height:
                scans.append(made)
                record.do("scans.create", blue, scans=told(made), vocabulary="rookery")
            side.turn()
        with record.context(readonly=True) as ctx:
            found = ctx.conn.execute(
                "select kind, number, opened_at, closed_at, closed_why from tracking.case_parcels where not test"
            ).fetchall()
        at = pl.Datetime("us", "UTC")
        kinds: dict[str, Any] = {"kind": pl.String, "number": pl.String, "opened_at": at, "closed_at": at}
        yield Passed(pl.concat(scans), pl.DataFrame(found, schema=kinds | {"closed_why": pl.String}, orient="row"))


def told(scans: pl.DataFrame) -> list[dict[str, Any]]:
    """Scans as a courier sends them; what happens within a minute happens in order."""
    at = pl.from_epoch(pl.col("at") * 60 + pl.int_range(pl.len()).over("number", "at")).dt.strftime("%FT%TZ")
    rows = scans.select("number", at.alias("at"), "code", "node", "departure").to_dicts()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def spells(scans: pl.DataFrame, begins: pl.Expr) -> list[tuple[str, datetime, datetime]]:
    """Number, begin and end of what begins with a scan and ends with the parcel's next, as the looks then see it."""
    rows = scans.with_columns(until=pl.col("at").shift(-1).over("number")).filter(begins)

    def seen(minute: int) -> datetime:
        return from_minute(minute // STEP * STEP + STEP)

    assert rows["until"].null_count() == 0  # all went on
    return sorted((number, seen(at), seen(until)) for number, at, until in rows.select("number", "at", "until").rows())


def test_what_the_twin_has_held_is_a_case_until_it_goes_on(passed: Passed):
    """Each hold at customs opens one case, with its scan, and the scan of its clearing closes it."""
    holds = spells(passed.scans, pl.col("code") == "customs_hold")
    assert 0 < len(holds) < PARCELS
    found = passed.of("hold").sort("number", "opened_at")
    assert found.select("number", "opened_at", "closed_at").rows() == holds
    assert set(found["closed_why"]) == {"mended"}


def test_what_the_twin_sends_astray_is_a_case_until_it_goes_on(passed: Passed):
    """Each time that a parcel comes to where it has no business is a case of its own: opened with the scan there,
    though its ride had been scanned before, and closed with that of its leaving. Nothing else is in a wrong place.
    """
    astray = spells(passed.scans, (pl.col("code") == "arrived") & (pl.col("node") == "C"))
    assert 0 < len({number for number, *_ in astray}) < PARCELS
    found = passed.of("wrong_place").sort("number", "opened_at")
    assert found.select("number", "opened_at", "closed_at").rows() == astray
    assert set(found["closed_why"]) == {"mended"}
