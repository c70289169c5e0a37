"""A real server for one part: `rookery serve` on a folder of its own, with a network that counts, parties and keys."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.record.wire import Wire, asked
from rookery.network import sample_network
from rookery.network.sample import Size as Sample
from rookery.network.store import pack

TESTED = [sys.executable, "-c", "from rookery.doors.cli.main import main; main()"]
READY_S = 240.0
SEED = 7


@dataclass(frozen=True)
class Served:
    """A server: where it listens, its data folder, its process, its own sample network, an admin's key."""

    url: str
    data: Path
    feed: Path
    process: subprocess.Popen
    log: Path
    admin: str

    def party(self, name: str, *scopes: str, test: bool = False, of: str | None = None) -> tuple[str, str]:
        """A party's key: (party_id, key). The party is new and called by its name, also in feeds; or it is `of`."""
        party = of or self.ask(self.admin, "POST", "/parties", {"name": name, "code": name})["party_id"]
        asks = {"party_id": party, "scopes": scopes or ("merchant",), "test": test}
        return party, self.ask(self.admin, "POST", "/keys", asks)["key"]

    def ask(self, key: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One question and its answer as plain values. Raises RuntimeError when it is refused."""
        content = b"" if body is None else json.dumps(body).encode()
        with Wire(self.url, 300.0) as wire:
            answer = wire.ask(asked(method, path, key, content, **headers))
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path} was answered {answer.status}: {answer.body[:500]!r}")
        return json.loads(answer.body)

    def zones(self) -> list[tuple[str, str]]:
        """(country, a postal code in full length) for each zone of the network."""
        rows = pl.read_csv(self.feed / "zones.csv", schema_overrides={"postal_prefix": pl.String})
        return [(row["country"], ((row["postal_prefix"] or "") + "10000")[:5]) for row in rows.iter_rows(named=True)]

    def origins(self) -> list[str]:
        """Nodes that parcels start at."""
        nodes = pl.read_csv(self.feed / "nodes.csv")
        return nodes.filter(pl.col("kind") == "origin")["node_id"].to_list() or nodes["node_id"].to_list()[:1]

    def carriers(self) -> list[str]:
        """Who runs lanes of the network."""
        lanes = pl.read_csv(self.feed / "lanes.csv")
        return lanes["carrier_id"].drop_nulls().unique().sort().to_list() if "carrier_id" in lanes.columns else []

    def postgres(self) -> int:
        """The number of PostgreSQL's first process."""
        return int((self.data / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])

    def door(self) -> int:
        """The number of the HTTP server's first process, of its own group."""
        for child in children(self.process.pid):
            if b"rookery.doors.http" in words(child):
                return child
        raise ProcessLookupError("there is no HTTP server just now")

    def said(self) -> str:
        """The last of what it wrote to stderr."""
        return self.log.read_text(errors="replace")[-3000:]


@contextmanager
def serving(sample: Sample, roomy: bool = False, countries: Sequence[str] = ()) -> Iterator[Served]:
    """A server with an active sample network, ended and deleted when the block ends.

    roomy: departures have no capacities, so that nothing is refused for want of room. countries: delivered to as well,
    from the first zone's node.
    """
    with ExitStack() as ended:
        folder = Path(tempfile.mkdtemp(prefix="rookery-bench-"))
        ended.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)  # PostgreSQL may run as another user and must pass through
        feed, data, log = folder / "feed", folder / "data", folder / "serve.log"
        sample_network(sample, SEED, feed)
        if roomy:
            _rewritten(feed / "departures.csv", lambda rows: [row | dict.fromkeys(_CAPACITIES, "") for row in rows])
        _rewritten(feed / "zones.csv", lambda rows: rows + [
            rows[0] | {"zone_id": country, "country": country, "postal_prefix": ""} for country in countries
        ])  # fmt: skip
        with log.open("wb") as words:
            process = subprocess.Popen(
                [*TESTED, "serve", "--port", "0", "--json", "--data", str(data)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words, start_new_session=True,
            )  # fmt: skip
        ended.callback(_end, process)
        call_off = _after(READY_S, process)
        assert process.stdout is not None
        line = process.stdout.readline()
        call_off()
        if not line:
            raise RuntimeError(f"the server did not come up: {log.read_text(errors='replace')[-2000:]}")
        admin = command(
            "keys",
            "create",
            "--party",
            "Admin Example",
            "--new-party",
            "--scope",
            "admin",
            "--data",
            str(data),
            "--json",
        )["key"]
        served = Served(json.loads(line)["url"], data, feed, process, log, admin)
        with Wire(served.url, 300.0) as wire:
            made = wire.ask(asked("POST", "/networks?activate=true", admin, pack(feed), "application/zip"))
        if made.status != 201:
            raise RuntimeError(f"the network was answered {made.status}: {made.body[:2000]!r}")
        yield served


def command(*words: str) -> Any:
    """A command of rookery to its end, and what it printed as JSON. Raises RuntimeError when it fails."""
    done = subprocess.run([*TESTED, *words], capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"rookery {' '.join(words[:2])}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def ready_at(hours: float = 2.0) -> str:
    """A time soon, as questions say it."""
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="minutes")


def children(pid: int) -> list[int]:
    """The processes that a process started; none when it is gone."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += [int(word) for word in (task / "children").read_text().split()]
    return found


def words(pid: int) -> list[bytes]:
    """The command line of a process; [] when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []


def cpu_seconds(pid: int) -> float:
    """What a process and its children, to the last, have used of processors so far."""
    total = 0.0
    with suppress(OSError):
        after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total = (int(after[11]) + int(after[12])) / os.sysconf("SC_CLK_TCK")
    return total + sum(cpu_seconds(child) for child in children(pid))


_CAPACITIES = ("capacity_g", "capacity_parcels")
Rows = list[dict[str, str]]


def _rewritten(table: Path, change: Callable[[Rows], Rows]) -> None:
    with table.open(newline="") as stream:
        rows = change(list(csv.DictReader(stream)))
    with table.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def _after(seconds: float, process: subprocess.Popen) -> Callable[[], None]:
    """Kills a process that is not heard of in time; calling what is returned calls that off."""
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    return timer.cancel


def _end(process: subprocess.Popen) -> None:
    """In peace, and with force after that, it and all that it started."""
    grown = _family(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(90)
    for pid in grown if process.poll() is None else ():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
        process.wait(10)


def _family(pid: int) -> list[int]:
    return [one for child in children(pid) for one in (child, *_family(child))]
