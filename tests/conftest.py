"""What many tests start from.

Small feeds made by hand: `make_feed(nodes=[...], lanes=[...], ...)`, every column left out at its default.
Real PostgreSQL: `database` for the whole session, `fresh_database` for one test, `make_database()` for a module's own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rookery.base.db import Cluster, Database, Urls, upgrade
from rookery.terms.frames import FEED, ORDERS, Feed, FeedInfo

# no test asserts a time: neither of what is tried nor of making it up
settings.register_profile("rookery", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rookery")

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


# what a test loses when the machine fails is nobody's
THROW_AWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "64MB"}
PATIENCE_S = 60.0
"""So long a busy machine may take to give a connection."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A throw-away PostgreSQL of this worker with all migrations applied; `rookery` in it is never connected to."""
    data = Path(tempfile.mkdtemp(prefix="rookery-tests-"))
    try:
        with Cluster(data, changed=THROW_AWAY) as started:
            upgrade(started.url())
            yield started
    finally:
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
def make_urls(cluster: Cluster) -> Callable[[], Urls]:
    """Makes the addresses of a fresh, migrated, empty pair of databases: `make_urls()`."""
    urls, numbers = cluster.urls(), count(1)

    def make() -> Urls:
        name = f"test_{next(numbers)}"
        with psycopg.connect(urls.maintain, autocommit=True) as conn:
            for database, template in ((name, "rookery"), (f"{name}_keys", "rookery_keys")):
                # by files: half the time of a copy through WAL, and nothing is left for the last checkpoint
                conn.execute(f"create database {database} template {template} owner rookery strategy file_copy")
        return Urls(
            make_conninfo(urls.main, dbname=name), make_conninfo(urls.keys, dbname=f"{name}_keys"), urls.maintain
        )

    return make


@pytest.fixture(scope="session")
def make_database(make_urls: Callable[[], Urls]) -> Iterator[Callable[..., Database]]:
    """Opens a fresh, migrated, empty database: `make_database(size=4)`; closed when the session ends."""
    with ExitStack() as opened:
        yield lambda size=4: opened.enter_context(Database.open(make_urls(), size=size, wait_s=PATIENCE_S))


@pytest.fixture(scope="session")
def database(make_database: Callable[..., Database]) -> Database:
    """One database for the whole session: tests that use it must not mind what others left there."""
    return make_database()


@pytest.fixture
def fresh_database(make_urls: Callable[[], Urls]) -> Iterator[Database]:
    """A fresh, migrated, empty database for one test."""
    urls = make_urls()
    with Database.open(urls, size=4, wait_s=PATIENCE_S) as opened:
        yield opened
    with psycopg.connect(urls.maintain, autocommit=True) as conn:
        for url in (urls.main, urls.keys):
            conn.execute(f"drop database if exists {conninfo_to_dict(url)['dbname']} with (force)")
