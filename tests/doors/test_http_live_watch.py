"""Metrics while the live side cannot be asked, or only slowly: the process's own are told all the same."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rookery.base.clock import WALL
from rookery.doors.http.live import Watch
from rookery.doors.http.server import Server

sys.path.insert(0, str(Path(__file__).parents[1] / "flows"))
from record_cases import Record, make_record

OWN = b"rookery_requests_in_flight "
LIVE = b'rookery_outbox_waiting{mode="live"} '


@pytest.fixture
def record(make_urls: Any, tmp_path: Path) -> Iterator[Record]:
    with make_record(make_urls, tmp_path) as made:
        yield made


def watch_of(record: Record, kept_s: float) -> Watch:
    return Watch(Server(record.database, WALL, record.parts), kept_s)


def test_a_fault_takes_no_other_metrics_with_it(record: Record, capfd: pytest.CaptureFixture[str]):
    """Whatever fails while the live side is asked, the others are told; what failed is logged once, as a code."""
    watch = watch_of(record, 0.0)
    told = watch.measured()
    assert OWN in told and LIVE in told
    capfd.readouterr()
    with record.database.owner() as owner:
        owner.execute("alter table tracking.live_signs rename to planted")
    try:
        for _ in range(3):
            told = watch.measured()
            assert OWN in told and b"mode=" not in told
    finally:
        with record.database.owner() as owner:
            owner.execute("alter table tracking.planted rename to live_signs")
    assert LIVE in watch.measured()
    over, said = time.monotonic() + 300, ""
    while "metrics" not in said:  # a thread of its own writes the log
        assert time.monotonic() < over, "nothing was logged"
        said += capfd.readouterr().err
    [line] = [json.loads(line) for line in said.splitlines() if "metrics" in line]
    assert (line["event"], line["fault"]) == ("metrics.live_unknown", "UndefinedTable")


def test_figures_are_kept_for_a_moment(record: Record):
    """Scrape after scrape is told the same, without asking again; then they are asked for anew."""
    keeps, asks = watch_of(record, 600.0), watch_of(record, 0.0)
    assert LIVE + b"0.0" in keeps.measured() and LIVE + b"0.0" in asks.measured()
    with record.context() as ctx:
        ctx.conn.execute(
            "insert into base.outbox (event_id, test, kind, key, parties, at, data)"
            " values ('evt_1', false, 'parcel.chance', 'k', '{}', %s, '{}')", (record.now,),
        )  # fmt: skip
    assert LIVE + b"0.0" in keeps.measured() and LIVE + b"1.0" in asks.measured()


def test_nobody_waits_for_another_scrape(record: Record):
    """While one waits for a slow database the others are told what is kept, at once."""
    watch = watch_of(record, 0.0)
    watch.measured()
    said: list[bytes] = []
    with record.database.owner() as owner:
        with owner.transaction():
            owner.execute("lock table tracking.live_signs in access exclusive mode")
            slow = threading.Thread(target=lambda: said.append(watch.measured()))
            slow.start()
            over = time.monotonic() + 300
            while not _waits(owner):
                assert time.monotonic() < over, "nobody waits"
            for _ in range(20):
                assert LIVE in watch.measured()
            assert said == []
        slow.join()
    assert LIVE in said[0]


def _waits(conn: Any) -> bool:
    """Whether somebody waits for the table."""
    row = conn.execute(
        "select count(*) from pg_locks where relation = 'tracking.live_signs'::regclass and not granted"
    ).fetchone()
    return row[0] > 0
