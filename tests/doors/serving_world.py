"""A real server for tests of the HTTP door: `served`, a granian process over PostgreSQL in a throw-away folder."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ports import held_port

from rookery.app import House, open_house
from rookery.base.access import keys
from rookery.base.clock import WALL
from rookery.base.db import Cluster

# what a test loses when the machine fails is nobody's
THROW_AWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "64MB"}
COMES_UP_S = 300.0


@dataclass(frozen=True)
class Told:
    """An answer: its status, headers by small names, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["code"]


@dataclass
class Served:
    """A server process. `ask` sends one request; `new_key` makes a key of a new party; `restart` starts it again."""

    data: Path
    cluster: Cluster
    house: House
    log: Path
    host: str = "127.0.0.1"
    port: int = 0
    process: subprocess.Popen | None = None
    _names: Iterator[int] = field(default_factory=lambda: iter(range(1, 1 << 30)))

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self, ready: bool = True) -> None:
        """Starts the process and returns when it is ready; with `ready` False when it answers at all."""
        with held_port(self.host) as self.port:
            command = [sys.executable, "-m", "rookery.doors.http", self.host, str(self.port), str(self.data)]
            self.run(command, "/ready" if ready else "/health")

    def run(self, command: list[str], path: str, folder: Path | None = None) -> None:
        """Starts a process in a folder and returns when it answers at a path with 200."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
        until = time.monotonic() + COMES_UP_S
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if self.ask("GET", path).status == 200:
                    return
            except OSError:
                pass
        raise AssertionError(f"the server did not come up: {self.log.read_text()[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends the process and all it started."""
        assert self.process is not None
        if how == signal.SIGTERM:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stops the process (SIGKILL: at once) and starts it again."""
        self.stop(how)
        self.start()

    def new_party(self, name: str = "Party") -> str:
        """The id of a new party."""
        with self.house.context() as ctx:
            return keys.create_party(ctx.conn, f"{name} {next(self._names)}", WALL.now()).party_id

    def new_key(
        self, *scopes: str, party: str | None = None, test: bool = False, expires_at: datetime | None = None
    ) -> str:
        """The secret of a new key, of a new party unless one is named."""
        party = party or self.new_party()
        with self.house.context() as ctx:
            secret, _ = keys.create_key(
                ctx.conn, party, scopes or ("merchant",), WALL.now(), test=test, expires_at=expires_at
            )
        return secret

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        key: str | None = None,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        timeout: float = 300,
    ) -> Told:
        """Sends one request over a connection of its own; body: bytes as they are, anything else as JSON."""
        conn = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            conn.putrequest(method, path, skip_accept_encoding=True)
            given = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
            names = {name.lower() for name, _ in given}
            if key is not None:
                given.append(("Authorization", f"Bearer {key}"))
            if content is not None and "content-type" not in names:
                given.append(("Content-Type", "application/json"))
            if content is not None and not names & {"content-length", "transfer-encoding"}:
                given.append(("Content-Length", str(len(content))))
            for name, value in given:
                conn.putheader(name, value)
            conn.endheaders(content)
            answer = conn.getresponse()
            told = answer.read()
            return Told(answer.status, {name.lower(): value for name, value in answer.getheaders()}, told)
        finally:
            conn.close()


@contextmanager
def serving(settings: Mapping[str, str] = THROW_AWAY) -> Iterator[Served]:
    """A server over PostgreSQL in a folder of its own."""
    data = Path(tempfile.mkdtemp(prefix="rookery-served-"))
    try:
        with Cluster(data, changed=settings) as cluster, open_house(data) as house:
            server = Served(data, cluster, house, data / "server.log")
            server.start()
            try:
                yield server
            finally:
                server.stop()
    finally:
        shutil.rmtree(data, ignore_errors=True)
