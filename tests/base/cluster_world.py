"""What tests of the embedded PostgreSQL do with it: begin, ask, kill, wait."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from rookery.base.db import Cluster, account, warden
from rookery.base.db.binaries import programs

QUICK = {"fsync": "off", "shared_buffers": "32MB"}
HOLD = """
import sys
from pathlib import Path
from rookery.base.db import Cluster
Cluster(Path(sys.argv[1])).start()
print("up", flush=True)
sys.stdin.read()
"""
STOPPED = """
import signal
def stop(signum, frame):
    signal.signal(signum, signal.SIG_IGN)
    raise SystemExit(7)
signal.signal(signal.SIGTERM, stop)
"""


class Interrupted(BaseException):
    """What a signal raises, wherever the program is."""


def one(cluster, statement):
    """The first value that a statement answers, or None."""
    with psycopg.connect(cluster.url()) as conn:
        row = conn.execute(statement).fetchone()
    return row[0] if row else None


def do(cluster, statement):
    """Runs a statement."""
    with psycopg.connect(cluster.url()) as conn:
        conn.execute(statement)


def number(cluster):
    """Of PostgreSQL's first process."""
    return int((cluster.folder / "postmaster.pid").read_text().split()[0])


def mode(path: Path) -> int:
    """What may be done with a file, and by whom."""
    return stat.S_IMODE(path.stat().st_mode)


def hold(data):
    """A user in a process of its own, that has begun."""
    user = subprocess.Popen([sys.executable, "-c", HOLD, data], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert user.stdout is not None and user.stdout.readline() == b"up\n"
    return user


def until(look: Callable[[], bool]) -> None:
    """Looks again until there is something to see."""
    over = time.monotonic() + 300
    while not look():
        assert time.monotonic() < over, "waited in vain"


def until_ended(data):
    """Returns when no process of PostgreSQL lives."""
    until(lambda: warden.ended(data / "run"))


def wardens(data) -> list[int]:
    """The processes that watch over it."""
    words = (b"warden", os.fsencode(data / "run"))
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may end meanwhile
            told = (process / "cmdline").read_bytes()
            if all(word in told for word in words):
                found.append(int(process.name))
    return found


def kill_warden(data) -> None:
    """Returns when nobody watches any more."""
    [one_that_watches] = wardens(data)
    os.kill(one_that_watches, signal.SIGKILL)
    until(lambda: not wardens(data))


def waits(pid: int) -> bool:
    """Whether a process waits for a lock on a file."""
    return re.search(rf"-> FLOCK .* {pid} ", Path("/proc/locks").read_text()) is not None


def state(data):
    """What PostgreSQL's own control file says of how it ended."""
    folder = data / "postgres"
    command = [programs(folder) / "pg_controldata", "-D", folder]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=account.environment()).stdout
    return next(line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("Database cluster st"))


def crash(data):
    """A cluster that has to recover when it starts next."""
    cluster = Cluster(data, changed=QUICK).start()
    do(cluster, "create table kept as select 7 as a")
    os.kill(number(cluster), signal.SIGKILL)
    until_ended(data)
    cluster.stop()
    assert state(data) == "in production"
