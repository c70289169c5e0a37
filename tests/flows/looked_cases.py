"""Parcels as they would be looked at, for tests of what is judged by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from rookery.base.operations import Context
from rookery.flows.casing import judge
from rookery.tracking.looked import LOOKED, looked_frame

LOOK = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
MOVE = (
    '[{"departure_id": "HB2", "lane_id": "HB", "carrier_id": "RED", "mode": "van", "from_node": "H", "to_node": "B",'
    ' "cutoff_at": "2026-03-03T05:00:00Z", "depart_at": "2026-03-03T06:00:00Z", "arrive_at": "2026-03-03T07:00:00Z",'
    ' "cost": 1.25}]'
)
WELL: dict[str, Any] = {
    "shipment_id": "shp_1", "owner_id": "pty_shop", "status": "in_transit", "detail": "arrived",
    "at": LOOK - timedelta(hours=3), "event_no": 7, "node_id": "H", "chance": 0.97, "chance_before": 0.97,
    "confidence": 0.95, "promised_chance": 0.99, "promised_at": LOOK + timedelta(days=2), "off_plan": False,
    "overdue": False, "legs": "[]", "cost": 2.5, "value": 10.0, "currency": "EUR", "legs_nodes": ["A", "H", "B"],
    "booked_departure_id": "HB1", "booked_from": "H", "booked_cutoff_at": LOOK - timedelta(hours=2),
    "booked_depart_at": LOOK - timedelta(minutes=30),
}  # fmt: skip
MISSED = {"at": LOOK - timedelta(hours=1), "event_no": 8}
CLOSED = {"closures": ["clo_x"], "off_plan": True, "legs": MOVE, "chance": 0.5}


def looked(rows: dict[str, dict[str, Any]]) -> pl.DataFrame:
    """LOOKED of parcels by name, each well but for what is told of it."""
    full = [{**WELL, "epc": f"urn:p:{n}", "parcel_id": f"pcl_{n}", "number": n, **row} for n, row in rows.items()]
    schema = {name: LOOKED[name] for name in {name: None for row in full for name in row}}
    return looked_frame(pl.DataFrame([{name: row.get(name) for name in schema} for row in full], schema=schema))


class Judged(NamedTuple):
    """What judging came to, by the tables: cases that are new, that closed themselves, that others came into."""

    opened: list[str]
    closed: list[str]
    extended: list[str]


NOTHING = Judged([], [], [])


def judged(ctx: Context, frame: pl.DataFrame, now: datetime) -> Judged:
    """Parcels as they are looked at (LOOKED) are judged."""
    before = _cases(ctx)
    judge(ctx, frame, now)
    after = _cases(ctx)
    nobody: tuple[bool, set[str]] = (False, set())
    return Judged(
        sorted(after.keys() - before),
        sorted(one for one, (closed, _) in after.items() if closed and not before.get(one, nobody)[0]),
        sorted(one for one, (_, inside) in after.items() if one in before and inside - before[one][1]),
    )


def _cases(ctx: Context) -> dict[str, tuple[bool, set[str]]]:
    """Of each case whether it is closed, and which parcels are in it now."""
    rows = ctx.conn.execute(
        "select c.case_id, c.state = 'closed', array_remove(array_agg(p.epc), null) from tracking.cases c"
        " left join tracking.case_parcels p on p.case_id = c.case_id and p.closed_at is null group by c.case_id"
    )
    return {case_id: (closed, set(inside)) for case_id, closed, inside in rows}
