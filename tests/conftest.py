"""Small feeds made by hand: `make_feed(nodes=[...], lanes=[...], ...)`, every column left out at its default."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import polars as pl
import pytest

from rookery.terms.frames import FEED, ORDERS, Feed, FeedInfo

_DEFAULTS: dict[str, dict[str, Any]] = {
    "nodes": {"kind": "hub", "lat": 0.0, "lon": 0.0, "country": "BE", "timezone": "UTC", "handling_minutes": 0},
    "lanes": {"mode": "truck", "accepts": ["general"]},
    "departures": {
        "calendar_id": "daily",
        "depart_minute": 600,
        "cutoff_minutes": 0,
        "transit_minutes": 60,
        "cost_per_parcel": 0.0,
        "cost_per_kg": 0.0,
    },
    "calendars": {
        **dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), True),
        "start_on": date(2026, 1, 1),
        "end_on": date(2026, 12, 31),
    },
    "calendar_dates": {"runs": True},
    "zones": {
        "country": "BE",
        "postal_prefix": "",
        "delivery_minutes": 0,
        "delivery_cost": 0.0,
        "pickup_minutes": 0,
        "pickup_cost": 0.0,
    },
    "services": {
        "confidence": 0.95,
        "late_cost": 20.0,
        "late_cost_per_day": 0.0,
        "time_cost_per_day": 0.0,
        "unassigned_cost": 1000.0,
        "modes": [],
    },
    "closures": {"capacity_factor": 0.0, "delay_minutes": 0},
    "orders": {"weight_g": 1000.0, "goods": "general", "pieces": 1, "ready_at": 29_600_000},
}


def _frame(name: str, schema: dict[str, Any], rows: list[dict[str, Any]]) -> pl.DataFrame:
    full = [{**_DEFAULTS.get(name, {}), "line": line, **row} for line, row in enumerate(rows, 2)]
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in full], schema=schema)


@pytest.fixture(scope="session")
def make_feed() -> Callable[..., Feed]:
    """A feed from rows per file; a calendar `daily` of 2026 is there unless calendars are given."""

    def make(divisor: float = 5000.0, **tables: list[dict[str, Any]]) -> Feed:
        rows = {"calendars": [{"calendar_id": "daily"}], **tables}
        frames: dict[str, Any] = {name: _frame(name, schema, rows.get(name, [])) for name, schema in FEED.items()}
        return Feed(FeedInfo("test", "1", "EUR", divisor), **frames)

    return make


@pytest.fixture(scope="session")
def make_orders() -> Callable[..., pl.DataFrame]:
    """An ORDERS frame from rows."""

    def make(*rows: dict[str, Any]) -> pl.DataFrame:
        return _frame("orders", ORDERS, [{"order_id": f"o{i}", **row} for i, row in enumerate(rows)])

    return make
