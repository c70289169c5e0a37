"""Jobs are asked for with the act, and done once whatever happens to workers."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.base import jobs, sets
from rookery.base.clock import WALL
from rookery.base.db import Database
from rookery.base.jobs import Desk
from rookery.doors.worker.upkeep import Upkeep


@pytest.fixture
def desk(fresh_database: Database) -> Desk:
    with fresh_database.owner() as conn:
        jobs.install(conn)
    return Desk(fresh_database, WALL)


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(jobs.TASKS, "test.note", lambda desk, **ids: None)


def waiting(desk: Desk) -> list[tuple]:
    with desk.database.owner() as conn:
        return conn.execute("select task_name, args, status::text from jobs.procrastinate_jobs order by id").fetchall()


@pytest.mark.usefixtures("noted")
def test_a_job_is_there_exactly_when_its_act_was_committed(desk: Desk) -> None:
    """A job asked for in a transaction that fails is no job; one of a transaction that is committed is."""
    with pytest.raises(RuntimeError), desk.context() as ctx:
        jobs.defer(ctx.conn, "test.note", plan_id="lost")
        raise RuntimeError("planted")
    with desk.context() as ctx:
        jobs.defer(ctx.conn, "test.note", plan_id="kept")
    assert waiting(desk) == [("test.note", {"plan_id": "kept"}, "todo")]


@pytest.mark.usefixtures("noted")
def test_the_server_s_role_can_ask_for_jobs_and_nothing_else(desk: Desk) -> None:
    """rookery_app may neither read nor change the queue."""
    for statement in ("select * from jobs.procrastinate_jobs", "delete from jobs.procrastinate_jobs"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), desk.context() as ctx:
            ctx.conn.execute(statement)


@pytest.mark.usefixtures("noted")
def test_no_second_job_waits_under_the_same_name(desk: Desk) -> None:
    """`once` lets one job wait."""
    with desk.context() as ctx:
        jobs.defer(ctx.conn, "test.note", once="a", plan_id="1")
    with pytest.raises(psycopg.errors.UniqueViolation), desk.context() as ctx:
        jobs.defer(ctx.conn, "test.note", once="a", plan_id="2")
    assert len(waiting(desk)) == 1


def test_installing_again_changes_nothing(desk: Desk) -> None:
    """Every start installs; what is there stays, jobs included."""
    with desk.database.owner() as conn:
        jobs.install(conn)
        row = conn.execute("select obj_description('jobs'::regnamespace, 'pg_namespace')").fetchone()
    assert row is not None and row[0].startswith("procrastinate 3.")


def test_an_upgrade_takes_the_library_s_later_files_only() -> None:
    """Of the library's migrations those after the version that the schema's comment names are applied."""
    assert jobs._pending("procrastinate 99.0.0") == []
    assert len(jobs._pending("procrastinate 3.3.0")) == 2
    assert len(jobs._pending(None)) == 1


def test_once_a_day_old_replies_go_and_partitions_come(desk: Desk) -> None:
    """Kept replies end after 30 days; history has a partition for this month; doing it again changes nothing."""
    now = WALL.now()
    with desk.context() as ctx:
        for key, days in (("old", 31), ("new", 29)):
            ctx.conn.execute(
                "insert into base.replies (party_id, test, idempotency_key, act, asked_sha256, created_at)"
                " values ('pty_system', false, %s, 'x', '', %s)", (key, now - timedelta(days=days)),
            )  # fmt: skip
    for _ in range(2):
        Upkeep(timedelta(days=1))(desk)
    with desk.context() as ctx:
        assert ctx.conn.execute("select idempotency_key from base.replies").fetchall() == [("new",)]
    with desk.database.owner() as conn:
        assert conn.execute("select to_regclass(%s)", (f"base.audit_{now:%Y_%m}",)).fetchone() != (None,)


TEXT = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(TEXT, st.none() | st.floats(allow_nan=False), st.none() | st.binary(max_size=6)), max_size=9
    )
)
def test_what_is_written_as_a_set_is_read_as_it_was(database: Database, rows: list[tuple]) -> None:
    """Quotes, braces, backslashes, NULL as a word, empty text, numbers and bytes go through unchanged."""
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.Float64, "c": pl.Binary}, orient="row")
    with database.owner() as conn:
        conn.execute("create temporary table kept (a text, b double precision, c bytea)")
        assert sets.insert(conn, "kept", frame, {"a": "text", "b": "double precision", "c": "bytea"}) == len(rows)
        assert sets.read(conn, "select * from kept", dict(frame.schema)).equals(frame)
