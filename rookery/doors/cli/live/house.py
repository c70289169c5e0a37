"""The demo's folder, and in it the system of record that it runs: started, driven by its clock, and stopped with it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from rookery.base.clock import FILE, Driver
from rookery.base.webhooks.targets import VARIABLE as PRIVATE_TARGETS
from rookery.doors.cli.live.figures import Wanted
from rookery.doors.lifeline import LIFELINE
from rookery.network import read_feed, sample_network
from rookery.terms.errors import Conflict, Unavailable
from rookery.terms.frames import Feed

BEGINS = datetime(2026, 9, 15, 6, tzinfo=UTC)
"""Simulated time begins on a Tuesday morning, within the days of sample networks."""
MARKER = "live.json"
LEFT_BEHIND_S = 10.0
PATIENCE_S = 25.0
"""How long the server may take to finish what is under way."""


class Folder:
    """Where the demo lives: `data` (the data folder), `feed`, and what the twin and the couriers remember.

    held: the open file that is locked as long as a demo goes on in it.
    """

    held: int

    def __init__(self, root: Path):
        self.root = root.resolve()
        self.data, self.feed, self.log = self.root / "data", self.root / "feed", self.root / "serve.log"
        self.keys = self.data / "demo-keys.json"
        self.twin, self.unsent, self.booked = (
            self.root / name for name in ("twin.npz", "unsent.parquet", "booked.parquet")
        )

    @property
    def clock(self) -> Path:
        return self.data / FILE


@contextmanager
def opened(wanted: Wanted) -> Iterator[Folder]:
    """The demo's folder, held against a second demo; emptied first where that is wanted.

    Raises Conflict when another demo runs in it, it holds something else, or a demo of another size.
    """
    folder = Folder(wanted.root)
    folder.root.mkdir(parents=True, exist_ok=True)
    marker = folder.root / MARKER
    if not marker.exists() and any(folder.root.iterdir()):
        what = f"{folder.root} is there and holds no live demo, so it is left alone."
        raise Conflict("demo.not_ours", what, "name another folder with --out, or remove it yourself")
    with (folder.root / MARKER).open("a+") as held:
        _hold(held, folder.root)
        folder.held = held.fileno()
        held.seek(0)
        before = json.loads(held.read() or "{}")
        mine = {"live": "rookery demo", "size": wanted.size, "seed": wanted.seed}
        if wanted.reset:
            for name in ("data", "feed"):
                shutil.rmtree(folder.root / name, ignore_errors=True)
            for file in (folder.twin, folder.unsent, folder.booked):
                file.unlink(missing_ok=True)
        elif before and before != mine:
            what = f"{folder.root} holds a demo of size {before.get('size')}."
            raise Conflict("demo.another", what, "add --reset to begin anew, or name another folder with --out")
        held.truncate(0)
        held.write(json.dumps(mine))
        held.flush()
        folder.data.mkdir(mode=0o700, exist_ok=True)
        yield folder


def _hold(file: IO[str], root: Path) -> None:
    """Raises Conflict when another demo goes on in the folder; the server of one that was killed ends soon."""
    until = time.monotonic() + LEFT_BEHIND_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                what = f"A live demo runs in {root} already."
                raise Conflict("demo.runs", what, "stop it, or name another folder with --out") from None
        time.sleep(0.1)


def network_in(folder: Folder, wanted: Wanted) -> Feed:
    """The sample network of the demo, drawn on the first start."""
    if not folder.feed.exists():
        sample_network(wanted.size, wanted.seed, folder.feed)
    return read_feed(folder.feed)


def clock_driver(folder: Folder, wanted: Wanted) -> Driver:
    """The clock of the data folder, standing; it goes on where it stood."""
    driver = Driver(folder.clock) if folder.clock.exists() else Driver.make(folder.clock, BEGINS, wanted.speed)
    driver.pause()
    driver.set_speed(wanted.speed)
    return driver


class Serving:
    """`rookery serve` over the folder's data: a process that ends when we do, however that happens."""

    def __init__(self, folder: Folder):
        self._folder = folder
        self._lifeline, self._held = os.pipe()  # what is held closes with us, also when we are killed
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to start it; `url` waits until it is ready."""
        command = [sys.executable, "-m", "rookery.doors.cli.main", "serve", "--port", "0", "--json"]
        with self._folder.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--data", str(self._folder.data)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=log, start_new_session=True,
                pass_fds=(self._lifeline, self._folder.held),  # the folder is held as long as the server runs
                env={**os.environ, LIFELINE: str(self._lifeline), PRIVATE_TARGETS: "1"},
            )  # fmt: skip

    def url(self) -> str:
        """Where it listens. Raises Unavailable with the end of its log when it does not come up."""
        stdout: IO[bytes] | None = self._process.stdout if self._process else None
        line = stdout.readline() if stdout else b""
        if not line:
            said = self._folder.log.read_text(errors="replace").strip().splitlines()[-3:]
            what = f"The server did not come up: {' / '.join(said)}"
            raise Unavailable("demo.not_served", what, f"see {self._folder.log}", 5)
        told: dict[str, Any] = json.loads(line)
        return told["url"]

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Let it finish and end, PostgreSQL last; whatever is left of it after a while is ended."""
        if self._process is None:
            return
        if self.alive:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
