"""`rookery cases` on a data folder: what someone must act on, and what would help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rookery.app import open_house
from rookery.tracking.looked import LOOKED, looked_frame

SINCE = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
LEG = {
    "departure_id": "HB2", "lane_id": "HB", "carrier_id": "RED", "mode": "van", "from_node": "H", "to_node": "B",
    "cutoff_at": "2026-03-03T05:00:00Z", "depart_at": "2026-03-03T06:00:00Z", "arrive_at": "2026-03-03T07:00:00Z",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Iterator[Path]:
    """A data folder with two parcels that missed a departure and one that is held; PostgreSQL runs until the end."""
    from rookery.flows.casing import judge

    folder = tmp_path_factory.mktemp("cases") / "data"
    missed = {
        "booked_departure_id": "HB1", "booked_from": "H", "booked_cutoff_at": SINCE - timedelta(hours=2),
        "booked_depart_at": SINCE - timedelta(hours=1), "off_plan": True, "legs": json.dumps([LEG]), "cost": 1.25,
        "status": "in_transit", "detail": "arrived", "value": 1234.5, "currency": "EUR",
    }  # fmt: skip
    held = {"status": "on_hold", "detail": "customs_hold"}
    rows = [
        {"epc": f"urn:p:{n}", "parcel_id": f"pcl_{n}", "owner_id": "pty_shop", "number": f"N{n}", "node_id": "H",
         "at": SINCE, "chance": 0.9704, "chance_before": 1.0, "confidence": 0.95, **more}
        for n, more in enumerate((missed, missed, held))
    ]  # fmt: skip
    schema = {name: LOOKED[name] for name in {name: None for row in rows for name in row}}
    frame = pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)
    with open_house(folder) as house:
        with house.context() as ctx:
            judge(ctx, looked_frame(frame), SINCE)
        yield folder


def rookery(data: Path, *words: str, code: int = 0, as_json: bool = True) -> Any:
    command = [sys.executable, "-m", "rookery.doors.cli.main", "cases", *words, "--data", str(data)]
    done = subprocess.run(
        command + (["--json"] if as_json else []), capture_output=True, text=True,
        env={**os.environ, "COLUMNS": "120"}, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if as_json and done.stdout else done.stdout + done.stderr


def test_cases_are_listed_by_what_they_are_worth(data: Path):
    """The dearest first, with parcels, value and worst chance; a kind narrows it, and what is no kind is refused."""
    found = rookery(data, "list")["cases"]
    assert [(case["kind"], case["parcels"], case["value"]) for case in found] == [
        ("departure_missed", 2, 2469.0), ("hold", 1, None),
    ]  # fmt: skip
    assert [case["kind"] for case in rookery(data, "list", "--kind", "hold")["cases"]] == ["hold"]
    assert rookery(data, "list", "--kind", "damage", as_json=False).strip() == "Nobody need act on anything."
    assert "closure" in rookery(data, "list", "--kind", "fog", code=2)
    told = rookery(data, "list", "--most", "1", as_json=False)
    assert "2,469.00 EUR" in told and "97.0%" in told and "... and more: --most 2" in told


def test_a_case_is_shown_with_the_ways_that_are_better(data: Path):
    """Its reason, its figures, and for each parcel the departures to take instead; a case that is none is told so."""
    case = rookery(data, "list")["cases"][0]
    shown = rookery(data, "show", case["case_id"])
    assert [one["number"] for one in shown["parcels"]] == ["N0", "N1"] and not shown["more"]
    assert shown["case"] == case
    told = rookery(data, "show", case["case_id"], "--most", "1", as_json=False)
    assert "Still at H after the cut-off of HB1@2026-03-02T19:00Z." in told
    assert "HB2 to B" in told and "> 99.9%" not in told and "100.0%" in told and "... and more" in told
    assert "There is no case cas_none." in rookery(data, "show", "cas_none", code=1)
