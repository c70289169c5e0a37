"""`rookery archive` on a data folder: what would go, what went, whether it is whole, and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rookery.app import open_house
from rookery.base.clock import WALL
from rookery.base.operations import Who


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Iterator[Path]:
    """A data folder with events of months ago; its PostgreSQL runs until the end."""
    from rookery.flows.capturing import take
    from rookery.tracking.epcis.documents import Sent

    folder = tmp_path_factory.mktemp("archive") / "data"
    with open_house(folder) as house:
        when = {"eventTime": (WALL.now() - timedelta(days=100)).isoformat(), "eventTimeZoneOffset": "+00:00"}
        events = [
            {"type": "ObjectEvent", "epcList": ["urn:rookery:number:1"], "action": "OBSERVE", "bizStep": "departing"},
            {"type": "AggregationEvent", "parentID": "urn:rookery:number:2", "childEPCs": ["urn:rookery:number:1"],
             "action": "ADD", "bizStep": "packing"},
        ]  # fmt: skip
        with house.context(Who("pty_house", "key_house", frozenset({"operator"}))) as ctx:
            take(ctx, [Sent({**event, **when}, (), "$") for event in events])
        yield folder


def rookery(data: Path, *words: str, code: int = 0, as_json: bool = True) -> Any:
    command = [sys.executable, "-m", "rookery.doors.cli.main", "archive", *words, "--data", str(data)]
    done = subprocess.run(
        command + (["--json"] if as_json else []), capture_output=True, text=True,
        env={**os.environ, "COLUMNS": "120"}, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if as_json and done.stdout else done.stdout + done.stderr


def test_a_month_goes_is_checked_and_comes_back(data: Path):
    """Dry run, run, list, verify and restore tell the same month."""
    would = rookery(data, "run", "--keep-months", "1", "--dry-run")
    assert would["dry_run"] is True
    (month,) = would["months"]
    assert (month["events"], month["epcs"], month["files"]) == (2, 3, 0) and not (data / "archive").exists()
    assert "1 month would be archived; nothing was changed." in rookery(
        data, "run", "--keep-months", "1", "--dry-run", as_json=False
    )
    (went,) = rookery(data, "run", "--keep-months", "1")["months"]
    assert (went["month"], went["events"], went["files"]) == (month["month"], 2, 2)
    assert rookery(data, "run", "--keep-months", "1")["months"] == []
    assert rookery(data, "list")["months"] == [went]
    assert f"{month['month']}             2 events" in rookery(data, "list", as_json=False)
    assert rookery(data, "verify") == {"holds": True, "findings": []}
    back = rookery(data, "restore", month["month"])
    assert (back["events"], back["epcs"]) == (2, 3)
    assert "No month is archived." in rookery(data, "list", as_json=False)
    assert rookery(data, "list")["months"] == [] and not list((data / "archive").rglob("*.parquet"))


def test_what_is_wrong_is_told_with_what_to_do(data: Path):
    """A changed file is exit code 1; a month that is none, or is not archived, is a sentence."""
    (went,) = rookery(data, "run", "--keep-months", "1")["months"]
    file = data / "archive" / "tracking" / went["month"] / "1-epcs.parquet"
    content = file.read_bytes()
    file.write_bytes(content + b"x")
    assert rookery(data, "verify", code=1) == {
        "holds": False, "findings": [{"file": f"{went['month']}/1-epcs.parquet", "what": "changed"}],
    }  # fmt: skip
    assert "archive.changed" in rookery(data, "restore", went["month"], code=1)
    file.write_bytes(content)
    assert "Every archived file is as it was written." in rookery(data, "verify", as_json=False)
    assert "is no month" in rookery(data, "restore", "January", code=2)
    assert "The month 2001-01 is not archived" in rookery(data, "restore", "2001-01", code=1)
    assert "keep-months" in rookery(data, "run", "--keep-months", "0", code=2)
