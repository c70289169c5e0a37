"""`rookery closure` on a data folder: what it closes in words, what that touches, and open again."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rookery.app import open_house
from rookery.doors.cli.closures import moment


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Iterator[Path]:
    """A data folder whose active network runs daily this year and next; its PostgreSQL runs until the end."""
    from rookery.flows.publishing import NewFeed, publish
    from rookery.network.store import pack

    folder = tmp_path_factory.mktemp("closures")
    year = datetime.now(UTC).year
    feed = {
        "feed.json": '{"name": "two lanes", "version": "1", "currency": "EUR"}',
        "nodes.csv": "node_id,name,kind,lat,lon,country,timezone\nWEST,West,origin,50,4,BE,UTC\n"
        "HUB,Hub,hub,50.5,4.5,BE,UTC\nEAST,East,depot,51,5,BE,UTC\n",
        "lanes.csv": "lane_id,from_node,to_node,mode\nWEST-HUB,WEST,HUB,truck\nHUB-EAST,HUB,EAST,truck\n",
        "calendars.csv": "calendar_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_on,end_on\n"
        f"daily,1,1,1,1,1,1,1,{year}-01-01,{year + 1}-12-31\n",
        "departures.csv": "departure_id,lane_id,calendar_id,depart_time,transit_minutes,cost_per_parcel\n"
        "W1,WEST-HUB,daily,10:00,120,1\nH1,HUB-EAST,daily,18:00,120,1\nH2,HUB-EAST,daily,06:00,120,1\n",
    }
    (folder / "feed").mkdir()
    for name, text in feed.items():
        (folder / "feed" / name).write_text(text)
    with open_house(folder / "data") as house:
        with house.context() as ctx:
            publish(ctx, NewFeed(pack(folder / "feed"), activate=True))
        yield folder / "data"


def rookery(data: Path, *words: str, code: int = 0, as_json: bool = True) -> Any:
    command = [sys.executable, "-m", "rookery.doors.cli.main", "closure", *words, "--data", str(data)]
    done = subprocess.run(
        command + (["--json"] if as_json else []), capture_output=True, text=True,
        env={**os.environ, "COLUMNS": "120"}, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if as_json and done.stdout else done.stdout + done.stderr


def test_a_hub_is_closed_told_and_opened_again(data: Path):
    """A dry run tells the same and enters nothing; then it is closed, listed, lifted by its name and told so."""
    would = rookery(data, "add", "HUB", "--until", "2d", "--reason", "Storm", "--dry-run")
    # at the very minute of a departure its window holds one more
    assert would["dry_run"] and would["effect"]["cancelled"] in (4, 5) and would["effect"]["shipments"] == 0
    assert "Nothing is closed." in rookery(data, "list", as_json=False)
    told = rookery(data, "add", "HUB", "--until", "2d", "--reason", "Storm", as_json=False)
    assert "node HUB is closed" in told and re.search("departures of the next 21 days: [45] cancelled", told)
    assert "booked legs it touches: nothing" in told
    [closure] = rookery(data, "list")["closures"]
    assert (closure["node_id"], closure["reason"], closure["replan"]) == ("HUB", "Storm", True)
    assert closure["closure_id"] in told
    lasts = datetime.fromisoformat(closure["until_at"]) - datetime.fromisoformat(closure["from_at"])
    assert lasts - timedelta(days=2) <= timedelta(minutes=1)
    listed = rookery(data, "list", as_json=False)
    assert "node HUB" in listed and "in force" in listed and "Storm" in listed
    [lifted] = rookery(data, "lift", "HUB")["lifted"]
    assert lifted["closure_id"] == closure["closure_id"] and lifted["lifted_at"]
    assert rookery(data, "list")["closures"] == [] and "lifted" in rookery(data, "list", "--all", as_json=False)


def test_lanes_and_departures_are_thinned_and_delayed(data: Path):
    """What is named, how, from when until when: all of it in words and in JSON."""
    lane = rookery(data, "add", "HUB-EAST", "--lane", "--from", "1h", "--until", "25h", "--no-replan",
                   "--capacity-factor", "0.5")  # fmt: skip
    assert (lane["closure"]["lane_id"], lane["closure"]["replan"]) == ("HUB-EAST", False)
    assert lane["effect"]["thinned"] in (2, 3)
    begins = datetime.now(UTC).date() + timedelta(days=2)
    late = rookery(data, "add", "W1", "--departure", "--from", f"{begins}T00:00Z", "--until", f"{begins}T23:59+00:00",
                   "--delay-minutes", "90", as_json=False)  # fmt: skip
    assert "departure W1 is delayed by 90 min" in late and "1 delayed" in late
    idle = rookery(data, "add", "EAST", "--until", "1d", as_json=False)
    assert "none touched" in idle and "changes nothing there" in idle
    for name in ("HUB-EAST", "W1", "EAST"):
        assert "is open again" in rookery(data, "lift", name, as_json=False)


def test_what_is_wrong_is_told_with_what_to_do(data: Path):
    """Unknown names with near ones, a window in the past, times that are none, what is not closed."""
    told = rookery(data, "add", "HUBB", "--until", "2020-01-01T00:00Z", code=1)
    assert "node_id: the network has no such node: did you mean HUB?" in told
    assert "until_at: it has passed" in told and "until_at: it is not after from_at" in told
    assert "write it like 2026-03-02T10:00+08:00, or how long from now, like 6h or 2d" in " ".join(
        rookery(data, "add", "HUB", "--until", "soon", code=2).replace("│", " ").split()
    )
    assert "it is one of both" in rookery(data, "add", "HUB", "--until", "1h", "--lane", "--departure", code=2)
    assert "HUB is not closed" in rookery(data, "lift", "HUB", code=1)
    unknown = rookery(data, "lift", "clo_00000000000000000000000000", code=1)
    assert "There is no closure" in unknown


@pytest.mark.parametrize(
    ("text", "length"),
    [("6h", timedelta(hours=6)), ("2d", timedelta(days=2)), ("1d12h", timedelta(hours=36)),
     ("90m", timedelta(minutes=90))],
)  # fmt: skip
def test_a_duration_counts_from_now(text: str, length: timedelta):
    """Days, hours and minutes, together or alone; anything else is a time."""
    assert moment(text) == length
    assert moment("2026-03-02T10:00Z") == datetime(2026, 3, 2, 10, tzinfo=UTC)
