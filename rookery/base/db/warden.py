"""Ends the embedded PostgreSQL once nobody uses it: for its last user, and for one that was killed.

    python -I -S warden.py RUN CLUSTER SETTINGS

Run as a script by `postmaster`, which starts it beside PostgreSQL: it goes on in a process of its own, that waits until
every user of the cluster has let go of `watch.lock`, and needs nothing but the standard library, so that it is small.
One that recovers is let come up first: ended before, it would begin its recovery anew with the next start. So is one
that recovers by itself, because one of its own processes crashed.
"""

import fcntl
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

FAST_S = 60.0  # a fast shutdown writes a checkpoint
AT_ONCE_S = 10.0
RECOVERY_S = 3600.0  # that nobody waits for; whoever starts it again meanwhile takes it up
_POLL_S = 0.02
_AGAIN_S = 1.0
_IN_PRODUCTION = 6  # DBState of PostgreSQL's pg_control.h


def end(alive: int, cluster: Path) -> bool:
    """Fast, then at once: the second leaves recovery to the next start, and loses nothing that was acknowledged.

    Whether no process of it lives then. Callers hold the start lock; alive: a descriptor of `alive.lock`. One that was
    launched a moment ago is told as soon as it has written its number.
    """
    for number, patience_s in ((signal.SIGINT, FAST_S), (signal.SIGQUIT, AT_ONCE_S)):
        until, told = time.monotonic() + patience_s, None
        while lives(alive):
            pid = first_number(cluster / "postmaster.pid")
            if pid is not None and pid != told:  # something of it lives, so the number is its own
                told = pid
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            if time.monotonic() > until:
                break
            time.sleep(_POLL_S)
        else:
            return True
    return False


def ended(run: Path) -> bool:
    """Whether no process of PostgreSQL lives."""
    alive = _open(run / "alive.lock")
    try:
        return not lives(alive)
    finally:
        os.close(alive)


def lives(alive: int) -> bool:
    """Whether a process of PostgreSQL does; alive: a descriptor of `alive.lock`."""
    if not _alone(alive):
        return True
    fcntl.flock(alive, fcntl.LOCK_UN)
    return False


def comes_up(alive: int, cluster: Path) -> bool:
    """Whether it lives and has not come up yet, or not again; recovery included."""
    said = state(cluster)
    return lives(alive) and said != "stopping" and not (said == "ready" and _in_production(cluster))


def state(cluster: Path) -> str:
    """How far PostgreSQL says it is: "starting", "ready" or "stopping"; empty when it says nothing yet."""
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()[7].strip()
    except (OSError, IndexError):
        return ""


def _in_production(cluster: Path) -> bool:
    """Whether the control file says that it works, and does not recover.

    After a crash of one of its own processes PostgreSQL recovers, and goes on saying "ready" in postmaster.pid.
    """
    try:
        with (cluster / "global" / "pg_control").open("rb") as file:
            return int.from_bytes(file.read(20)[16:], sys.byteorder) == _IN_PRODUCTION
    except OSError:
        return False


def first_number(file: Path) -> int | None:
    """The process number in the first line of a file of PostgreSQL's."""
    try:
        return int(file.read_text().splitlines()[0])
    except (OSError, IndexError, ValueError):
        return None


def sockets(run: Path, settings: Path) -> Path:
    """The folder of the socket, as the settings of the last start name it."""
    with suppress(OSError):
        for line in settings.read_text().splitlines():
            name, _, value = line.partition(" = ")
            if name == "unix_socket_directories":
                return Path(value[1:-1].replace("''", "'"))
    return run


def forget_sockets(run: Path, settings: Path) -> None:
    """Removes the short folder that a start made, with what a killed PostgreSQL left there."""
    folder = sockets(run, settings)
    if folder != run and folder.name.startswith("rookery-"):
        with suppress(OSError):
            for left in folder.iterdir():
                left.unlink()
            folder.rmdir()


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _alone(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main() -> None:
    run, cluster, settings = (Path(word) for word in sys.argv[1:])
    names = ("warden", "watch", "start", "use", "alive")  # opened now: the folder may be gone when they are needed
    only, watch, start, use, alive = (_open(run / f"{name}.lock") for name in names)
    if not _alone(only) or os.fork():
        return  # another watches already; or whoever started this need not wait
    until = time.monotonic() + RECOVERY_S
    while True:
        if not _alone(watch):
            fcntl.flock(watch, fcntl.LOCK_EX)
            until = time.monotonic() + RECOVERY_S
        fcntl.flock(watch, fcntl.LOCK_UN)
        if not _alone(start):  # who starts or stops it is let finish, and may have waited for it
            fcntl.flock(start, fcntl.LOCK_EX)
            until = time.monotonic() + RECOVERY_S
        if _alone(use):
            due = time.monotonic() > until or not comes_up(alive, cluster)
            if due and end(alive, cluster):
                break
            fcntl.flock(use, fcntl.LOCK_UN)
        fcntl.flock(start, fcntl.LOCK_UN)
        time.sleep(_AGAIN_S)
    forget_sockets(run, settings)
    os.close(only)  # before the start lock: the next that is started watches


if __name__ == "__main__":
    main()
