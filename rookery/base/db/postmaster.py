"""The process of the embedded PostgreSQL: launched, waited for, asked, ended.

`alive.lock` is handed to PostgreSQL itself, so that it is free exactly when no process of it lives, whatever
postmaster.pid says: also when the number there belongs to some other program by now, and also when the first process
was killed and its children are still ending. Whoever starts it or attaches to it sees to a warden, that ends it should
all its users be killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from psycopg import pq

from rookery.base.db import locks, settings, warden
from rookery.base.db.account import Account, closing, environment
from rookery.base.progress import Progress
from rookery.terms.errors import Unavailable

PORT = 5432  # only in the socket's name
REAPED_S = 10.0
COMES_UP_S = 5.0
"""So long whoever ends it waits for one that comes up; a recovery that takes longer is left to the warden."""
_POLL_S = 0.02
_LONGEST_SOCKET = 103  # bytes a socket's path may have, on the systems with the least room
_SOCKET = f".s.PGSQL.{PORT}"


class Postmaster:
    """PostgreSQL on the cluster in `folder`, its sockets and locks in `run`. Callers hold the start lock."""

    def __init__(self, folder: Path, run: Path):
        self.folder, self.run = folder, run
        self._settings = folder / settings.FILE
        self._child: subprocess.Popen[bytes] | None = None

    def come_up(
        self, programs: Path, account: Account, changed: Mapping[str, str], patience_s: float, progress: Progress
    ) -> None:
        """Launches PostgreSQL unless it lives, and returns when it takes connections, recovery included.

        Raises Unavailable with the last lines of its log when it ends before, or when `patience_s` is over.
        """
        began = time.monotonic()
        launched = False
        self._watch()
        while True:
            alive = locks.open_lock(self.run / "alive.lock")
            try:
                if locks.try_exclusive(alive):
                    if launched:
                        raise self._failed("PostgreSQL ended while it was starting")
                    self._launch(alive, programs, account, changed)
                    launched = True
            finally:
                os.close(alive)  # the child's copy of the descriptor goes on holding the lock
            if self.takes_connections():
                return
            waited = time.monotonic() - began
            if waited > patience_s:
                raise self._failed(
                    f"PostgreSQL does not take connections after {waited:.0f} s",
                    ": a recovery goes on meanwhile, and is taken up where it is",
                )
            progress("database: starting", int(waited), int(patience_s))
            time.sleep(_POLL_S)

    def shut_down(self) -> None:
        """Ends it, fast or else at once, and returns when no process of it lives.

        One that goes on recovering is left to the warden, which ends it afterwards: nothing recovered is lost.
        """
        alive = locks.open_lock(self.run / "alive.lock")
        try:
            until = time.monotonic() + COMES_UP_S
            while warden.comes_up(alive, self.folder):
                if time.monotonic() > until:
                    return
                time.sleep(_POLL_S)
            ended = warden.end(alive, self.folder)
        finally:
            os.close(alive)
        if ended:
            warden.forget_sockets(self.run, self._settings)
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(REAPED_S)

    def sockets(self) -> Path:
        """The folder of the socket, as the settings of the last start name it."""
        return warden.sockets(self.run, self._settings)

    def _launch(self, alive: int, programs: Path, account: Account, changed: Mapping[str, str]) -> None:
        self._clear_strangers()
        account.give(settings.write(self.folder, self._choose_sockets(account), **changed))
        log = self.folder / "log"
        log.mkdir(exist_ok=True, mode=0o700)
        account.give(log)
        with (log / "start.log").open("wb") as first_words:
            account.give(log / "start.log")
            self._child = subprocess.Popen(
                account.command(programs / "postgres", "-D", str(self.folder), "-p", str(PORT)),
                stdin=subprocess.DEVNULL,
                stdout=first_words,
                stderr=subprocess.STDOUT,
                pass_fds=(alive,),
                start_new_session=True,  # Ctrl-C at the terminal is Rookery's to answer
                cwd="/",
                env=environment(),
                user=account.user,
                group=account.group,
                extra_groups=account.extra_groups,
            )

    def _watch(self) -> None:
        """A warden, unless one watches; before PostgreSQL lives: it ends with its last user, however that one ends."""
        command = [sys.executable, "-I", "-S", warden.__file__, str(self.run), str(self.folder), str(self._settings)]
        subprocess.run(
            command, check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def takes_connections(self) -> bool:
        if warden.state(self.folder) != "ready":
            return False
        sockets = str(self.sockets()).replace("\\", "\\\\").replace("'", "\\'")
        return pq.PGconn.ping(f"host='{sockets}' port={PORT} dbname=postgres".encode()) == pq.Ping.OK

    def _clear_strangers(self) -> None:
        """Removes the pid file and the socket's that a crash left, when their number is a zombie's or some other
        program's by now.

        PostgreSQL would take either for a PostgreSQL and refuse to start. Where the process is gone it does so itself;
        one that somebody started by hand is left to PostgreSQL to find.
        """
        for left in (self.folder / "postmaster.pid", self.sockets() / f"{_SOCKET}.lock"):
            pid = warden.first_number(left)
            if pid is not None and not _is_postgres(pid):
                left.unlink(missing_ok=True)

    def _choose_sockets(self, account: Account) -> Path:
        """data/run, or a fresh closed folder with a short name when a socket's path would be too long."""
        warden.forget_sockets(self.run, self._settings)
        if len(os.fsencode(self.run)) + len(f"/{_SOCKET}") <= _LONGEST_SOCKET:
            return self.run
        return account.give(Path(tempfile.mkdtemp(prefix="rookery-", dir="/tmp")))

    def ended(self) -> bool:
        """Whether no process of PostgreSQL lives."""
        if self._child is not None:
            self._child.poll()
        return warden.ended(self.run)

    def _failed(self, what: str, meanwhile: str = "") -> Unavailable:
        log = self.folder / "log"  # its first words are in start.log, until the collector takes over
        newest = max(log.glob("*.log"), key=lambda path: path.stat().st_mtime, default=log / "none")
        told = closing(_last_lines(newest)) or "its log says nothing"
        return Unavailable(
            "database.not_started",
            f"{what}: {told}.",
            f"read {log}, mend what it tells (is the disk full?), and start again{meanwhile}",
        )


def _is_postgres(pid: int) -> bool:
    """Whether a process of that number is a PostgreSQL that lives."""
    if Path("/proc/self/stat").exists():  # asked first: small systems have no ps
        try:
            told = Path(f"/proc/{pid}/stat").read_text()  # "7 (postgres) S ..."
        except OSError:
            return False
        name, _, rest = told.rpartition(")")
        return "postgres" in name and not rest.lstrip().startswith("Z")
    told = subprocess.run(["ps", "-o", "stat=,comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "postgres" in told.stdout and not told.stdout.lstrip().startswith("Z")


def _last_lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()[-12:]
    except OSError:
        return []
