"""What the live side keeps for a while only is forgotten by itself, and nothing else is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from living_cases import Live, make_live
from looked_cases import LOOK, MISSED, looked
from record_cases import NOW, SHOP

from rookery.flows.casing import judge
from rookery.flows.forgetting import forget
from rookery.planning import replans

OWN = ("tracking.cases", "tracking.case_parcels", "planning.replans", "planning.replan_shipments")


@pytest.fixture
def live(make_urls, tmp_path):
    with make_live(make_urls, tmp_path) as live:
        yield live


def left(live: Live, now: datetime, *tables: str) -> list[int]:
    """How many rows there are once it is `now` and what is old was forgotten."""
    live.record.now = now
    forget(live.desk())
    counts = ", ".join(f"(select count(*) from {table})" for table in tables)
    with live.record.context() as ctx:
        return list(ctx.conn.execute(f"select {counts}".encode()).fetchone() or ())


def test_the_chance_of_what_was_delivered_is_forgotten_after_90_days(live: Live):
    """What is under way stays whatever its age; of what was delivered the history stays, and its shipper sees it."""
    done, _ = live.book(), live.book()
    live.look_out()
    live.turn()
    live.scan(live.red, done, "transporting", 36, "B")
    live.scan(live.red, done, "receiving", 48)
    live.turn()
    assert live.row(done)["status"] == "delivered"

    def past() -> Any:
        return live.record.do("trackers.chances", SHOP, number=done)["data"]

    before = past()
    assert len(before) > 1
    over = NOW + timedelta(hours=48, days=90)
    assert left(live, over, "tracking.chances") == [2]
    assert left(live, over + timedelta(hours=1), "tracking.chances") == [1]
    assert past() == before
    assert left(live, over + timedelta(days=900), "tracking.chances") == [1]


def test_closed_cases_and_replans_are_forgotten_after_13_months(live: Live):
    """With all that was in them; a case that is open stays."""
    with live.record.context() as ctx:
        judge(ctx, looked({"a": MISSED, "b": MISSED | {"booked_departure_id": "HB2"}}), LOOK)
        judge(ctx, looked({"a": {}}), LOOK)
        schema = dict.fromkeys(("shipment_id", "state", "reason", "feed_before", "pieces"), pl.String)
        rest = {
            "route_before": pl.Int32,
            "route_after": pl.Int32,
            "chance_before": pl.Float64,
            "chance_after": pl.Float64,
        }
        at = pl.Datetime("us", "UTC")
        rows = pl.DataFrame(
            [
                {
                    "shipment_id": "shp_1",
                    "state": "refused",
                    "reason": "no_room",
                    "feed_before": "fed_1",
                    "route_before": 1,
                }
            ],
            schema={**schema, **rest, "expected_before": at, "expected_after": at},
        )
        replans.add(ctx.conn, "rpl_1", False, None, "pty_house", LOOK, rows)
        replans.add(ctx.conn, "rpl_2", False, None, "pty_house", LOOK + timedelta(days=9), rows)
    month = LOOK.replace(year=2027, month=4)
    assert left(live, month, *OWN) == [2, 2, 2, 2]
    assert left(live, month + timedelta(hours=1), *OWN) == [1, 1, 1, 1]
    with live.record.context() as ctx:
        assert [one.replan_id for one in replans.list_replans(ctx.conn, False)] == ["rpl_2"]
