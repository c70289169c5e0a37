"""`rookery serve`: PostgreSQL, the HTTP door and the worker, started, watched and stopped together."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rookery.doors.cli.options import Json, examples
from rookery.doors.cli.stopping import uninterrupted
from rookery.doors.lifeline import LIFELINE, end_with_parent
from rookery.terms.errors import Conflict, RookeryError, Unavailable

if TYPE_CHECKING:
    from rookery.base.db import Server

Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where everything is kept; default: $ROOKERY_HOME, else ~/.local/share/rookery."),
]
READY_S = 180.0
LOOK_S = 0.5
HEALTHY_S = 10.0
"""Alive for so long a process counts as well: should it die, it is started again without a longer pause."""
LEFT_BEHIND_S = 3.0
EXAMPLES = examples(
    "rookery serve",
    "rookery serve --port 0 --data ./rookery-data --json",
    "ROOKERY_DATABASE_URL=postgresql://rookery@db/rookery rookery serve --host 0.0.0.0",
)


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; put a TLS proxy before any but loopback.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 = any free one.")] = 8080,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Serve the system of record over HTTP until it is stopped.

    Prints where it listens when it is ready; with --json one line {"url": ...}. PostgreSQL runs in the data folder
    unless ROOKERY_DATABASE_URL names another. What dies is started again; Ctrl-C lets requests under way finish. When
    this process itself is killed, the others end.
    """
    from rookery.app import data_folder, make_ready
    from rookery.base.clock import FILE as CLOCK
    from rookery.base.clock import WALL, clock_in
    from rookery.base.db import MAIN, Database, server, upgrade
    from rookery.doors.cli import console
    from rookery.doors.http.proxies import trusted_proxies

    end_with_parent()  # where another program started it
    trusted_proxies(os.environ)  # refused here, not by a door that is started again and again
    folder = data_folder(data, new=True)
    with ExitStack() as stack:
        if port:
            _refuse_taken(host, port)
        else:
            port = stack.enter_context(_free_port(host))
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        door = Child([sys.executable, "-m", "rookery.doors.http", host, str(port), str(folder)])
        worker = Child([sys.executable, "-m", "rookery.doors.worker", "--data", str(folder)])
        with console.progress_bars() as progress:
            postgres = server(folder, progress)
            stack.callback(_end, (door, worker), postgres)
            postgres.start()
            upgrade(postgres.url(MAIN), progress)
            with Database.open(postgres, size=2) as database:
                make_ready(database, clock_in(folder))
        door.start()
        worker.start()
        _wait_until_ready(door, host, port)
        if as_json:
            console.print_json({"url": url})
            sys.stdout.flush()
        else:
            console.out.print(f"Rookery listens at [bold]{url}[/]. Data: {folder}. Ctrl-C stops it.", soft_wrap=True)
            if clock_in(folder) is not WALL:
                console.out.print(f"Time is simulated: the file [bold]{CLOCK}[/] in that folder says what time it is.")
            console.out.print(
                "A first key: rookery parties create NAME; rookery keys create --party ID --scope merchant"
            )
        while True:
            time.sleep(LOOK_S)
            _mend(postgres)
            for child in (door, worker):
                child.mend()


def _end(children: Sequence[Child], postgres: Server) -> None:
    """All that serves, PostgreSQL last, whatever signal comes meanwhile."""
    with uninterrupted():
        for child in children:
            child.stop()
        postgres.stop()


def _mend(postgres: Server) -> None:
    """Start PostgreSQL again when it died; while it cannot (the disk is full), requests are answered with 503."""
    try:
        if postgres.mend():
            sys.stderr.write("PostgreSQL had ended; it was started again\n")
    except RookeryError as fault:
        sys.stderr.write(f"PostgreSQL cannot be started: {fault}\n")


class Child:
    """A process of ours: started, started again when it dies, stopped in peace."""

    def __init__(self, command: list[str]):
        self.command = command
        self.process: subprocess.Popen | None = None
        self.died_at = 0.0
        self.began_at = 0.0
        self.pause_s = 0.5
        self._lifeline, self._held = os.pipe()  # what is held closes with us, also when we are killed

    def start(self) -> None:
        """Its own group, so that Ctrl-C on the terminal reaches it through us, in order. Its stdout is our stderr:
        ours holds the answer alone.
        """
        self.began_at = time.monotonic()
        with uninterrupted():  # what lives is known
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                start_new_session=True,
                pass_fds=(self._lifeline,),
                env={**os.environ, LIFELINE: str(self._lifeline)},
            )

    def dead(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def mend(self) -> None:
        """Start it again when it died, after a pause that grows while it keeps dying."""
        now = time.monotonic()
        if not self.dead():
            if now - self.began_at > HEALTHY_S:
                self.pause_s = 0.5
            return
        if not self.died_at:
            assert self.process is not None
            sys.stderr.write(f"{self.command[2]} ended with {self.process.returncode}; starting it again\n")
            _end_group(self.process.pid)
            self.died_at = now
        elif now - self.died_at >= self.pause_s:
            self.pause_s = min(30.0, 2 * self.pause_s)
            self.died_at = 0.0
            self.start()

    def stop(self, patience_s: float = 20.0) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience_s)
        _end_group(self.process.pid)


def _end_group(group: int) -> None:
    """What a dead child left running."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


@contextmanager
def _free_port(host: str) -> Iterator[int]:
    """A port that nobody listens on; Linux gives it to nobody else until the block ends."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, 0))
        port = held.getsockname()[1]
        if sys.platform != "linux":
            held.close()  # elsewhere nobody may listen on what another has bound, not even the door
        yield port


def _refuse_taken(host: str, port: int) -> None:
    """Raises Conflict when somebody listens there, and goes on: what a server that was killed left behind ends soon."""
    until = time.monotonic() + LEFT_BEHIND_S
    while (fault := _taken(host, port)) is not None:
        if fault.errno != errno.EADDRINUSE or time.monotonic() > until:
            what = f"{host}:{port} cannot be listened on: {fault.strerror}."
            raise Conflict("serve.port", what, "stop what listens there, or use --port 0 for any free one")
        time.sleep(0.05)


def _taken(host: str, port: int) -> OSError | None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as fault:
            return fault
    return None


def _wait_until_ready(door: Child, host: str, port: int) -> None:
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    where = f"http://{f'[{name}]' if ':' in name else name}:{port}/ready"
    until = time.monotonic() + READY_S
    while time.monotonic() < until and not door.dead():
        try:
            with urllib.request.urlopen(where, timeout=5) as reply:
                json.load(reply)
                return
        except (urllib.error.URLError, OSError, ValueError):
            time.sleep(0.05)
    raise Unavailable("serve.not_ready", "The server did not come up; what it said stands above.", "see above", 5)
