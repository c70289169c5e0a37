"""The embedded PostgreSQL: in the data folder, started and stopped by Rookery, reached through a socket only its owner
can open, and by password.

    data/postgres   the cluster (0700)      data/run             its socket and the locks (0700)
    data/pgpass     the passwords (0600)    data/postgres.conf   an operator's own settings

`start.lock` in data/run is held while somebody starts or stops it; `use.lock` is shared by all who use it, and whoever
leaves last stops it. Locks end with their holders, also after kill -9: `watch.lock`, shared by all who use it too, is
what the warden waits for, which then stops it. It also stops what nobody who leaves could wait for: a recovery.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from rookery.base.db import account, locks, secrets, settings
from rookery.base.db.binaries import programs
from rookery.base.db.bootstrap import bootstrap
from rookery.base.db.postmaster import PORT, Postmaster
from rookery.base.db.urls import KEYS, MAIN, OWNER, Urls
from rookery.base.progress import Progress, silent
from rookery.terms.errors import Conflict, Unavailable

PATIENCE_S = 600.0
"""How long recovery after a crash is waited for."""
LEAVES_S = 5.0
"""How long whoever leaves waits for another who starts or stops it."""


class Cluster:
    """PostgreSQL in `data`, as a context manager or by start() and stop().

    patience_s: how long a start may take (recovery); changed: PostgreSQL settings that differ, as in its own files.
    """

    def __init__(
        self,
        data: Path,
        *,
        patience_s: float = PATIENCE_S,
        progress: Progress = silent,
        changed: Mapping[str, str] | None = None,
    ):
        self.data = Path(data).resolve()
        self.folder, self.run = self.data / "postgres", self.data / "run"
        self._patience_s, self._progress, self._changed = patience_s, progress, changed or {}
        self._postmaster = Postmaster(self.folder, self.run)
        self._using: tuple[int, ...] = ()

    def start(self) -> Cluster:
        """Starts PostgreSQL, or attaches to the one that runs; returns when it takes connections.

        The first start makes the cluster. Raises Conflict (root finds no way, passwords gone, a folder open to others),
        NotFound (no programs) and Unavailable (it did not come up; the last lines of its log are told). A recovery that
        was not waited for goes on, and the next start takes it up.
        """
        if not self._using:
            found = programs(self.folder)
            runs_as = account.choose(self.data, self.folder, found)
            # whoever it runs as must pass through; what lies inside is closed by itself
            self.data.mkdir(parents=True, exist_ok=True, mode=0o700 if runs_as.user is None else 0o711)
            self.run.mkdir(exist_ok=True, mode=0o700)
            runs_as.give(self.run)
            _refuse_open(self.run)
            try:
                with locks.exclusive(self.run / "start.lock"):
                    self._using = tuple(locks.open_lock(self.run / f"{name}.lock") for name in ("use", "watch"))
                    self._come_up(found, runs_as)
            except BaseException:  # stopped while it came up, too: what was begun is ended
                self.stop()
                raise
        return self

    def mend(self) -> bool:
        """Starts PostgreSQL again when it died while it was used here; whether it had died. Raises as start() does."""
        if not self._using or not self._postmaster.ended():
            return False
        found = programs(self.folder)
        with locks.exclusive(self.run / "start.lock"):
            self._come_up(found, account.choose(self.data, self.folder, found))
        return True

    def _come_up(self, found: Path, runs_as: account.Account) -> None:
        """Callers hold the start lock."""
        for lock in self._using:
            locks.share(lock)
        passwords = secrets.password_file(self.data, (secrets.SUPERUSER, OWNER), self.folder)
        if not self.folder.exists():
            self._make(found, runs_as, passwords)
        _refuse_open(self.folder)
        self._postmaster.come_up(found, runs_as, self._changed, self._patience_s, self._progress)
        bootstrap(self.url("postgres", secrets.SUPERUSER), passwords)

    def stop(self) -> None:
        """Leaves; when nobody else uses it, PostgreSQL is shut down (fast, then at once).

        While it recovers, also from a crash of one of its own processes, or another starts it, that is soon left to the
        warden. Raises OSError when the folder of the locks is gone: that, too, is left to the warden.
        """
        if not self._using:
            return
        using, self._using = self._using, ()
        with ExitStack() as held:
            for lock in using:
                held.callback(os.close, lock)
            start = locks.open_lock(self.run / "start.lock")
            held.callback(os.close, start)
            if locks.exclusive_within(start, LEAVES_S) and locks.try_exclusive(using[0]):
                self._postmaster.shut_down()

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, database: str = MAIN, role: str = OWNER) -> str:
        """A libpq URL over the socket. It holds no password but the name of the file with it."""
        sockets = quote(str(self._postmaster.sockets()), safe="")
        passwords = quote(str(self.data / secrets.FILE), safe="")
        return f"postgresql://{role}@/{quote(database)}?host={sockets}&port={PORT}&passfile={passwords}"

    def urls(self) -> Urls:
        """The addresses of both databases, and for maintenance."""
        return Urls(self.url(MAIN), self.url(KEYS), self.url("postgres", secrets.SUPERUSER))

    def _make(self, found: Path, runs_as: account.Account, passwords: Path) -> None:
        """initdb, aside and then renamed: a cluster is whole or absent."""
        self._progress("database: making", 0, 1)
        aside = runs_as.give(Path(tempfile.mkdtemp(prefix=".postgres.", dir=self.data)))
        word = self.run / "superuser"
        command = runs_as.command(
            found / "initdb",
            *("--pgdata", str(aside), "--username", secrets.SUPERUSER, "--pwfile", str(word)),
            *("--auth-local", "scram-sha-256", "--auth-host", "scram-sha-256", "--data-checksums"),
            *("--encoding", "UTF8", "--no-locale", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *(("--no-sync",) if self._changed.get("fsync") == "off" else ()),
        )
        try:
            word.touch(mode=0o600)
            runs_as.give(word).write_text(secrets.password(passwords, secrets.SUPERUSER))
            made = runs_as.run(command)
            if made.returncode:
                raise Unavailable(
                    "database.not_made",
                    f"PostgreSQL could not make its files in {self.data}: {account.closing(made.stderr.splitlines())}.",
                    "check that the disk has room and that the folder may be written; then start again",
                )
            runs_as.give(settings.include(aside, self.data))
            aside.rename(self.folder)
        finally:
            word.unlink(missing_ok=True)
            shutil.rmtree(aside, ignore_errors=True)
        self._progress("database: making", 1, 1)


def _refuse_open(folder: Path) -> None:
    """Raises Conflict when others may enter a folder that is to be closed to them."""
    if folder.stat().st_mode & 0o077:
        raise Conflict(
            "database.open_folder", f"{folder} is open to other users of this machine.", f"chmod 0700 {folder}"
        )
