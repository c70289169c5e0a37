"""As which account of the machine PostgreSQL runs: the caller's own, except that it refuses to run as root.

For root there are two ways, tried in this order:

1. In a user namespace (enter.py). Outside, the owner stays root, so the data may lie anywhere root may own a folder,
   also below a folder that is closed to everybody else (/root), and nothing is chowned or chmodded. Inside, PostgreSQL
   sees an unprivileged user and has lost every capability: it can touch what plain ownership by root lets it touch, but
   cannot mount, load, trace, change owners or pass by permissions.
2. Where the kernel or a container's filter forbids namespaces (Docker's does unless told otherwise): as an unprivileged
   account of the machine, `postgres` or else `nobody`. The cluster's own folders are given to that account, and every
   folder above them must let it pass; one that does not is named in an error. Parents are never opened.

A cluster whose files belong to an account other than root goes on under that account.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rookery.terms.errors import Conflict

_ENTER = Path(__file__).with_name("enter.py")
_OVERFLOW = 65534  # what the kernel shows for owners it cannot map: not to be taken for oneself


@dataclass(frozen=True)
class Account:
    """How PostgreSQL's programs are started: words before the command, or the user and group to change to."""

    before: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def command(self, program: Path, *arguments: str) -> list[str]:
        return [*self.before, str(program), *arguments]

    @property
    def extra_groups(self) -> list[int] | None:
        return None if self.user is None else []

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Runs a command made by command() to its end."""
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=environment(),
            user=self.user,
            group=self.group,
            extra_groups=self.extra_groups,
        )

    def trial(self, programs: Path) -> subprocess.CompletedProcess[str]:
        """The least thing PostgreSQL does."""
        return self.run(self.command(programs / "postgres", "--version"))

    def give(self, path: Path) -> Path:
        """Makes a file or folder of the cluster the account's."""
        if self.user is not None:
            os.chown(path, self.user, self.group if self.group is not None else -1)
        return path


def choose(data: Path, cluster: Path, programs: Path) -> Account:
    """The account for the cluster folder below `data`. Raises Conflict when root finds no way."""
    if os.geteuid() != 0:
        return Account()
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return _checked(Account(user=owner.st_uid, group=owner.st_gid), data, programs)
    why = "this system has none"
    if sys.platform == "linux" and (inside := _namespace()):
        trial = inside.trial(programs)
        if trial.returncode == 0:
            return inside
        why = (trial.stderr.strip() or "it ended without a word").splitlines()[-1]
    if cluster.exists():
        raise Conflict(
            "database.no_namespace",
            f"{cluster} belongs to root and was made in a user namespace, which is not to be had now ({why}).",
            "allow user namespaces again, or run Rookery as another user and give that folder to it",
        )
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return _checked(Account(user=entry.pw_uid, group=entry.pw_gid), data, programs)
    raise Conflict(
        "database.root",
        f"PostgreSQL does not run as root; a user namespace cannot be had ({why}), nor is there an account "
        "named postgres or nobody.",
        "run Rookery as another user, or name your own server in ROOKERY_DATABASE_URL",
    )


def _namespace() -> Account | None:
    """The first account of the machine that is neither root nor the one for owners unknown: initdb wants a name."""
    for entry in pwd.getpwall():
        if entry.pw_uid not in (0, _OVERFLOW):
            # -I -S: no site packages, no environment; it starts in some 15 ms and has one thread, as unshare wants
            words = (sys.executable, "-I", "-S", str(_ENTER), str(entry.pw_uid), str(entry.pw_gid))
            return Account(before=words)
    return None


def _checked(account: Account, data: Path, programs: Path) -> Account:
    """Raises Conflict when a folder above the data or the programs does not let the account pass."""
    for end in (data, programs):
        for folder in reversed((end, *end.parents)):
            if folder.exists() and not _passes(folder, account):
                raise Conflict(
                    "database.closed_folder",
                    f"PostgreSQL refuses root, so it runs as user {account.user}, whom {folder} does not let pass.",
                    f"chmod o+x {folder}, or use a data folder elsewhere, or run Rookery as another user",
                )
    trial = account.trial(programs)
    if trial.returncode:
        raise Conflict(
            "database.cannot_run",
            f"User {account.user} cannot run {programs / 'postgres'}: {trial.stderr.strip()}.",
            "run Rookery as another user, or name your own server in ROOKERY_DATABASE_URL",
        )
    return account


def _passes(folder: Path, account: Account) -> bool:
    found = folder.stat()
    if found.st_uid == account.user:
        return bool(found.st_mode & 0o100)
    return bool(found.st_mode & (0o010 if found.st_gid == account.group else 0o001))


def environment() -> dict[str, str]:
    """What PostgreSQL's programs see of the environment: no PG* setting of the caller's, and English words."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def closing(words: Sequence[str]) -> str:
    """What a program's last words say went wrong, or else just its last words, for an error."""
    told = [line.strip() for line in words if line.strip()]
    grave = [line for line in told if any(word in line for word in ("PANIC:", "FATAL:", "HINT:"))]
    return " | ".join((grave or told)[-4:])
