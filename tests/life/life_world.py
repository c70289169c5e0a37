"""The world of this course: a network with a flight and a train, a server, and those who talk to it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from rookery.base.webhooks.targets import VARIABLE

ROOKERY = [sys.executable, "-c", "from rookery.doors.cli.main import main; main()"]
# what a test loses when the machine fails is nobody's
THROW_AWAY = "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\nshared_buffers = '64MB'\n"
PATIENCE_S = 300.0
Seen = TypeVar("Seen")

# A warehouse in Guangzhou, a hub on each side, a depot in Berlin. Between the hubs: a flight every night with four
# seats, and a train that takes ten days and costs a tenth. All runs every day, so that the course may be read on any.
NETWORK = {
    "feed.json": '{{"name": "Course", "version": "{flight}", "currency": "EUR"}}',
    "nodes.csv": """\
node_id,name,kind,lat,lon,country,timezone,handling_minutes
CAN-W1,Guangzhou warehouse,origin,23.1,113.3,CN,Asia/Shanghai,0
CAN-HUB,Guangzhou hub,hub,23.4,113.3,CN,Asia/Shanghai,60
LEJ-HUB,Leipzig hub,hub,51.4,12.2,DE,Europe/Berlin,120
DE-BERLIN,Berlin depot,depot,52.5,13.4,DE,Europe/Berlin,60
""",
    "lanes.csv": """\
lane_id,from_node,to_node,mode,carrier_id
pick-up,CAN-W1,CAN-HUB,truck,ROAD-A
flight,CAN-HUB,LEJ-HUB,air,AIR-B
train,CAN-HUB,LEJ-HUB,rail,RAIL-C
line-haul,LEJ-HUB,DE-BERLIN,truck,ROAD-A
""",
    "departures.csv": """\
departure_id,lane_id,calendar_id,depart_time,cutoff_minutes,transit_minutes,capacity_parcels,cost_per_parcel,cost_per_kg
pick-up-18,pick-up,daily,18:00,30,60,,0.10,0.05
flight-{flight},flight,daily,{flight},60,800,4,5.00,2.00
train-23,train,daily,23:00,60,14400,,0.50,0.20
line-haul-20,line-haul,daily,20:00,30,180,,0.20,0.10
""",
    "calendars.csv": """\
calendar_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_on,end_on
daily,1,1,1,1,1,1,1,{first},{last}
""",
    "zones.csv": """\
zone_id,country,postal_prefix,node_id,delivery_minutes,delivery_cost
DE-1,DE,1,DE-BERLIN,240,1.60
""",
    "services.csv": """\
service_id,name,due_days,confidence,late_cost
express,Express,4,0.95,50
standard,Standard,14,0.95,20
""",
}

# The same later on, with what helps when things go wrong: a van that leaves Leipzig later in the evening, and a dearer
# way over Frankfurt. The flight to Leipzig goes by the winds: 720 to 1040 minutes.
WIDER = NETWORK | {
    "feed.json": '{{"name": "Course", "version": "{flight} and more", "currency": "EUR"}}',
    "nodes.csv": NETWORK["nodes.csv"] + "FRA-HUB,Frankfurt hub,hub,50.0,8.6,DE,Europe/Berlin,120\n",
    "lanes.csv": NETWORK["lanes.csv"]
    + """\
van,LEJ-HUB,DE-BERLIN,van,VAN-D
flight-west,CAN-HUB,FRA-HUB,air,AIR-B
line-haul-west,FRA-HUB,DE-BERLIN,truck,ROAD-A
""",
    "departures.csv": """\
departure_id,lane_id,calendar_id,depart_time,cutoff_minutes,transit_minutes,transit_id,capacity_parcels,cost_per_parcel,cost_per_kg
pick-up-18,pick-up,daily,18:00,30,60,,,0.10,0.05
flight-{flight},flight,daily,{flight},60,800,winds,4,5.00,2.00
train-23,train,daily,23:00,60,14400,,,0.50,0.20
line-haul-20,line-haul,daily,20:00,30,180,,,0.20,0.10
van-23,van,daily,23:00,30,90,,20,4.00,1.00
flight-06,flight-west,daily,06:00,60,800,,,12.00,3.00
line-haul-west-20,line-haul-west,daily,20:00,30,240,,,0.60,0.10
""",
    "transit.csv": "transit_id,quantile,factor\nwinds,0,0.9\nwinds,0.5,1\nwinds,1,1.3\n",
}


def network(flight: str, tables: dict[str, str] = NETWORK) -> bytes:
    """The network as a .zip, its nightly flight leaving at this time."""
    year = date.today().year
    said = {"flight": flight, "first": date(year - 1, 1, 1), "last": date(year + 2, 12, 31)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in tables.items():
            archive.writestr(name, text.format(**said))
    return packed.getvalue()


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Caller:
    """Somebody with an API key, or, where it is "", without one."""

    url: str
    key: str

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def post(self, path: str, body: Any = b"", **headers: str) -> Answer:
        """A body that is no bytes goes as JSON; headers: `idempotency_key="..."` is Idempotency-Key."""
        return self.send("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), **headers)

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        told = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        told |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, body, told, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
                return Answer(reply.status, dict(reply.headers), reply.read())
        except urllib.error.HTTPError as refusal:  # not a fault: what it says is looked at
            return Answer(refusal.code, dict(refusal.headers), refusal.read())


@dataclass
class Life:
    """A server on a throw-away data folder, whom it knows, and what happened so far."""

    data: Path
    url: str = ""
    process: subprocess.Popen | None = None
    callers: dict[str, Caller] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)

    def serve(self) -> None:
        """`rookery serve`, until its one line tells where."""
        self.data.mkdir(exist_ok=True)
        (self.data / "postgres.conf").write_text(THROW_AWAY)
        with (self.data / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*ROOKERY, "serve", "--port", "0", "--data", str(self.data), "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, VARIABLE: "1"},  # messages may be sent to this machine
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the server did not come up:\n{(self.data / 'serve.log').read_text()[-3000:]}"
        self.url = json.loads(line)["url"]
        self.callers = {name: Caller(self.url, caller.key) for name, caller in self.callers.items()}

    def stop(self) -> None:
        """Stops it as an operator does: SIGTERM, and requests under way finish."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE_S)
            self.process = None

    def command(self, *words: str) -> Any:
        """`rookery WORDS --data DIR --json`: what it answers."""
        done = subprocess.run(
            [*ROOKERY, *words, "--data", str(self.data), "--json"], capture_output=True, text=True, env=dict(os.environ)
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def __getattr__(self, name: str) -> Any:
        """A caller, or what an earlier chapter left behind, by name."""
        __tracebackhide__ = True
        for shelf in (self.__dict__.get("callers", {}), self.__dict__.get("known", {})):
            if name in shelf:
                return shelf[name]
        if name.startswith("_"):
            raise AttributeError(name)
        pytest.fail(f"There is no {name} yet: the chapters build on each other, run tests/life as a whole.")


def soon(days: int = 2) -> str:
    """Eight in the morning, UTC, in some days: the same for as long as the course lasts, however late it begins."""
    return f"{datetime.now(UTC).date() + timedelta(days=days)}T08:00:00Z"


def until(what: str, look: Callable[[], Seen]) -> Seen:
    """Looks again and again until there is something to see; fails, naming what was waited for."""
    over = time.monotonic() + PATIENCE_S
    while not (seen := look()):
        if time.monotonic() > over:
            pytest.fail(f"waited {PATIENCE_S:.0f} s in vain until {what}")
        threading.Event().wait(0.1)
    return seen
