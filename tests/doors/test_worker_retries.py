"""Jobs that are to wait are tried again when they say, and know how often they were."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from procrastinate.jobs import Job

from rookery.base import jobs
from rookery.base.clock import Clock
from rookery.base.db import Database
from rookery.base.jobs import Desk
from rookery.doors.worker.running import AGAIN_S, library, run_worker
from rookery.terms.errors import Later, Unavailable

CLOCK = Clock(lambda: datetime(2026, 3, 2, 8, tzinfo=UTC))


def test_a_job_is_told_how_often_it_was_tried(
    make_database: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience goes by tries: a job sees at each how many there were before."""
    tries: list[int] = []

    def waits(desk: Desk, **ids: str) -> None:
        tries.append(desk.tries)
        if len(tries) < 3:
            raise Later("test.waits", "It waits.", "wait", 0)

    monkeypatch.setitem(jobs.TASKS, "test.waits", waits)
    database = make_database()
    with database.owner() as conn:
        jobs.install(conn)
    with Desk(database, CLOCK).context() as ctx:
        jobs.defer(ctx.conn, "test.waits")
    for _ in range(3):
        run_worker(database, CLOCK, until_idle=True)
    assert tries == [0, 1, 2]


def test_a_job_says_itself_when_it_is_tried_again(
    make_database: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sooner than after something was unavailable, or later; what failed otherwise is not tried again."""
    monkeypatch.setitem(jobs.TASKS, "test.waits", lambda desk, **ids: None)
    again: Any = library(Desk(make_database(), CLOCK), {}).tasks["test.waits"].retry_strategy
    job = Job(id=1, queue="rookery", lock=None, queueing_lock=None, task_name="test.waits")

    def at(fault: Exception) -> Any:
        return again.get_retry_decision(exception=fault, job=job).retry_at

    told = ("test.waits", "It waits.", "wait")
    soon, away, late = at(Later(*told, 1)), at(Unavailable(*told, 1)), at(Later(*told, 10 * AGAIN_S))
    assert soon < away < late
    assert again.get_retry_decision(exception=ValueError(), job=job) is None
