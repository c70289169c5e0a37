"""The embedded PostgreSQL: closed to others, shared by its users, mended after every kind of death."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from cluster_world import (
    HOLD,
    QUICK,
    STOPPED,
    Interrupted,
    do,
    hold,
    kill_warden,
    mode,
    number,
    one,
    state,
    until,
    until_ended,
    waits,
)

from rookery.base.db import Cluster, account, locks, postmaster, warden
from rookery.base.db import cluster as clusters
from rookery.base.db.binaries import programs
from rookery.terms.errors import Conflict, Unavailable


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def started(data):
    with Cluster(data, changed=QUICK) as cluster:
        yield cluster


def test_it_is_closed_to_others(started, tmp_path):
    """The cluster, its sockets and the passwords are open to their owner only; the folder above keeps its mode."""
    assert mode(started.folder) == 0o700
    assert mode(started.run) == 0o700
    assert mode(started.data / "pgpass") == 0o600
    assert mode(tmp_path) == mode(tmp_path.parent)


def test_nobody_enters_without_a_password(started):
    """Neither a wrong nor an absent password opens it, not even for the superuser over the socket."""
    for role in ("postgres", "rookery"):
        bare = started.url("postgres", role).partition("&passfile")[0] + "&passfile=/nowhere"
        for url in (bare, bare + "&password=wrong"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(url)
    assert "trust" not in {
        line.split()[-1] for line in (started.folder / "pg_hba.conf").read_text().splitlines() if line[:1] not in "#"
    }


def test_it_listens_on_no_network(started):
    """By default there is no TCP port, checksums are on, text is UTF-8, and acknowledged is durable."""
    shown = {
        name: one(started, f"show {name}")
        for name in ("listen_addresses", "data_checksums", "server_encoding", "synchronous_commit", "log_statement")
    }
    assert shown == {
        "listen_addresses": "",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "synchronous_commit": "on",
        "log_statement": "none",
    }


def test_its_roles_are_small(started):
    """`rookery` is no superuser and owns both databases; `rookery_app` cannot log in nor pass row-level security."""
    with psycopg.connect(started.url()) as conn:
        asked = (
            "select rolname, rolsuper, rolbypassrls, rolcanlogin from pg_roles where rolname like 'rookery%' order by 1"
        )
        assert conn.execute(asked).fetchall() == [
            ("rookery", False, False, True),
            ("rookery_app", False, False, False),
        ]
        owned = "select datname from pg_database where datdba = 'rookery'::regrole order by 1"
        assert conn.execute(owned).fetchall() == [("rookery",), ("rookery_keys",)]


def test_whoever_leaves_last_stops_it(data):
    """A second user finds it running; the first may leave; it ends with the last, and starts again with its data."""
    first, second = Cluster(data, changed=QUICK).start(), Cluster(data, changed=QUICK).start()
    assert number(first) == number(second)
    first.stop()
    do(second, "create table kept as select 7 as a")
    second.stop()
    assert not (data / "postgres" / "postmaster.pid").exists()
    with Cluster(data, changed=QUICK) as again:
        assert one(again, "select a from kept") == 7


def test_it_ends_with_its_last_user_though_killed(data):
    """After kill -9 of whoever started it, it goes on for another user; after kill -9 of that it is shut down."""
    first, second = hold(data), hold(data)
    before = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
    first.kill()
    first.communicate()
    with Cluster(data) as third:
        assert number(third) == before
        do(third, "create table kept as select 7 as a")
    assert not warden.ended(data / "run")
    second.kill()
    second.communicate()
    until_ended(data)
    with Cluster(data) as after:
        assert one(after, "select a from kept") == 7
        assert not warden.ended(data / "run")
    assert warden.ended(data / "run")


@pytest.mark.parametrize("again", [False, True])
def test_whoever_comes_while_it_ends_finds_it_whole(data, again):
    """A start right after kill -9 of the last user takes it up or starts it again, and it ends with this one too."""
    if again:
        Cluster(data, changed=QUICK).start().stop()
    last = hold(data)
    last.kill()
    last.communicate()
    with Cluster(data, changed=QUICK) as after:
        assert one(after, "select 7") == 7
    until_ended(data)


def test_a_start_that_is_interrupted_leaves_nothing(data):
    """After the launch, before the first connection: what was begun is ended."""

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "database: starting":
            raise Interrupted

    for _ in range(2):
        with pytest.raises(Interrupted):
            Cluster(data, changed=QUICK, progress=interrupt).start()
        until_ended(data)
    with Cluster(data, changed=QUICK) as cluster:
        assert one(cluster, "select 7") == 7


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="looks in /proc whether it waits")
def test_a_start_that_waits_for_anothers_ends_when_it_is_told(data):
    """Another starts it, for as long as that takes: two signals end a start that waits behind it."""
    (data / "run").mkdir(parents=True, mode=0o700)
    with locks.exclusive(data / "run" / "start.lock"):
        behind = subprocess.Popen([sys.executable, "-c", STOPPED + HOLD, data], stdin=subprocess.PIPE)
        try:
            until(lambda: waits(behind.pid) or behind.poll() is not None)
            for _ in range(2):
                behind.terminate()
            assert behind.wait(300) == 7
        finally:
            behind.kill()
            behind.communicate()


def test_whoever_leaves_does_not_wait_for_anothers_start(data, monkeypatch):
    """While another starts or stops it, the last user's leaving is left to the warden."""
    monkeypatch.setattr(clusters, "LEAVES_S", 0.0)
    cluster = Cluster(data, changed=QUICK).start()
    with locks.exclusive(data / "run" / "start.lock"):
        cluster.stop()
        assert not warden.ended(data / "run")
    until_ended(data)
    assert state(data) == "shut down"


def test_whoever_cannot_leave_in_order_holds_nothing(data):
    """The folder of the locks is elsewhere: leaving tells it, and the warden stops what nobody uses any more."""
    cluster = Cluster(data, changed=QUICK).start()
    (data / "run").rename(data / "elsewhere")
    with pytest.raises(FileNotFoundError):
        cluster.stop()
    until(lambda: warden.ended(data / "elsewhere"))
    assert state(data) == "shut down"


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks processes up in /proc")
def test_whoever_comes_sees_to_a_warden(data):
    """The warden was killed: it ends with its last user all the same, when one came after that."""
    first = hold(data)
    try:
        kill_warden(data)
        second = hold(data)
    finally:
        first.kill()
        first.communicate()
    second.kill()
    second.communicate()
    until_ended(data)


def test_it_is_mended_after_its_own_death(started):
    """After kill -9 of PostgreSQL its user revives it, and what was acknowledged is there."""
    do(started, "create table kept as select 7 as a")
    assert not started.mend()
    dead = number(started)
    os.kill(dead, signal.SIGKILL)
    until(started.mend)  # the last of its processes has ended by then
    assert number(started) != dead
    assert one(started, "select a from kept") == 7


def test_a_pid_file_with_a_strangers_number_does_not_stop_it(data):
    """A pid file left by a crash, whose number is some other program's by now, is not taken for a PostgreSQL."""
    Cluster(data, changed=QUICK).start().stop()
    left = [str(os.getpid()), str(data / "postgres"), "1772000000", "5432", str(data / "run"), "", "1 2", "ready"]
    (data / "postgres" / "postmaster.pid").write_text("\n".join(left) + "\n")
    (data / "run" / ".s.PGSQL.5432.lock").write_text("\n".join(left) + "\n")
    with Cluster(data, changed=QUICK) as cluster:
        assert one(cluster, "select 1") == 1


def test_a_start_that_fails_tells_the_log(data):
    """When PostgreSQL ends while it starts, the last lines of its log are in the error, and nothing is left running."""
    Cluster(data, changed=QUICK).start().stop()
    (data / "postgres.conf").write_text("shared_buffers = nonsense\n")
    with pytest.raises(Unavailable, match=r'invalid value for parameter "shared_buffers"|contains errors') as told:
        Cluster(data).start()
    assert told.value.code == "database.not_started"
    (data / "postgres.conf").write_text("")
    with Cluster(data, changed=QUICK) as cluster:
        assert one(cluster, "select 1") == 1


def test_an_operators_own_settings_win(data):
    """What postgres.conf in the data folder says stands over Rookery's settings, and is left alone."""
    Cluster(data, changed=QUICK).start().stop()
    (data / "postgres.conf").write_text("work_mem = 9MB\n")
    with Cluster(data, changed=QUICK) as cluster:
        assert one(cluster, "show work_mem") == "9MB"
    assert (data / "postgres.conf").read_text() == "work_mem = 9MB\n"


def test_a_half_made_cluster_is_no_cluster(data):
    """What a killed initdb left beside is not taken for a cluster."""
    (data / ".postgres.killed").mkdir(parents=True)
    (data / ".postgres.killed" / "PG_VERSION").write_text("18\n")
    with Cluster(data, changed=QUICK) as cluster:
        assert one(cluster, "select 1") == 1


def test_a_long_path_gets_a_short_socket(tmp_path):
    """Where the path is too long for a socket, it lies in a closed folder of its own, which goes with the server."""
    with Cluster(tmp_path / ("long" * 30), changed=QUICK) as cluster:
        sockets = cluster._postmaster.sockets()
        assert sockets != cluster.run and mode(sockets) == 0o700
        assert one(cluster, "select 1") == 1
    assert not sockets.exists()


def test_a_short_socket_goes_with_its_last_user_though_killed(tmp_path):
    """The folder of a short socket is gone once the warden ended it, also one made when PostgreSQL was mended."""
    data = tmp_path / ("long" * 30)
    with Cluster(data, changed=QUICK) as first:
        os.kill(number(first), signal.SIGKILL)
        until_ended(data)
        assert first.mend()
        sockets = first._postmaster.sockets()
        last = hold(data)
    assert sockets.exists()
    last.kill()
    last.communicate()
    until_ended(data)
    with locks.exclusive(data / "run" / "start.lock"):  # which the warden holds until all is gone
        assert not sockets.exists()


def test_a_short_socket_stays_with_what_does_not_end(tmp_path, monkeypatch):
    """PostgreSQL that does not answer any signal keeps its socket's folder; the warden ends both when it can."""
    for name in ("FAST_S", "AT_ONCE_S"):
        monkeypatch.setattr(warden, name, 0.0)
    monkeypatch.setattr(postmaster, "REAPED_S", 0.0)
    cluster = Cluster(tmp_path / ("long" * 30), changed=QUICK).start()
    sockets, stopped = cluster._postmaster.sockets(), number(cluster)
    os.kill(stopped, signal.SIGSTOP)
    try:
        cluster.stop()
        assert not warden.ended(cluster.run)
        assert sockets.exists()
    finally:
        os.kill(stopped, signal.SIGCONT)
    until(lambda: not sockets.exists())
    assert warden.ended(cluster.run)


def test_lost_passwords_are_told(data):
    """Without its passwords nobody enters a cluster: that is told before anything starts."""
    Cluster(data, changed=QUICK).start().stop()
    (data / "pgpass").unlink()
    with pytest.raises(Conflict, match="pgpass"):
        Cluster(data).start()


def test_an_open_folder_is_refused(data):
    """A cluster folder that others may enter is refused, with the command that closes it."""
    Cluster(data, changed=QUICK).start().stop()
    (data / "postgres").chmod(0o755)
    with pytest.raises(Conflict, match="chmod 0700"):
        Cluster(data).start()


def test_the_log_names_nobody(started):
    """What a client did wrong is told to the client alone: the log holds neither its statement nor its values."""
    do(started, "create table people (name text primary key, age int)")
    for wrong in (
        "insert into people values ('Ada Example', 1), ('Ada Example', 2)",
        "select 'Ada Example'::int",
        "insert into people (name, age) values ('Ada Example', 'Straße 1')",
    ):
        with pytest.raises(psycopg.Error):
            do(started, wrong)
    started.stop()
    logs = "".join(path.read_text() for path in (started.folder / "log").iterdir())
    assert "shut down" in logs
    assert "Ada" not in logs and "Straße" not in logs


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_runs_it_without_power(started):
    """Started by root, PostgreSQL has no capability, and the folders above its own keep their owner and mode."""
    told = Path(f"/proc/{number(started)}/status").read_text()
    assert "CapEff:\t0000000000000000" in told
    assert started.data.stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_is_told_which_folder_is_closed(tmp_path):
    """A cluster of another account below a folder closed to it: the error names the folder; nothing is opened."""
    closed = tmp_path / "closed"
    (closed / "data" / "postgres").mkdir(parents=True)
    closed.chmod(0o700)
    os.chown(closed / "data" / "postgres", 65534, 65534)
    with pytest.raises(Conflict, match=r"chmod o\+x"):
        account.choose(closed / "data", closed / "data" / "postgres", programs())
    assert mode(closed) == 0o700
