"""A worker's life: fetch a job, do it, look after the clock in between; on SIGTERM finish the job at hand and go."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import procrastinate
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from psycopg import OperationalError

from rookery.base import jobs
from rookery.base.clock import Clock
from rookery.base.db import Database
from rookery.base.jobs import Desk
from rookery.doors.http.telemetry import log
from rookery.doors.worker import delivering, living, signs
from rookery.doors.worker.ending import Ending
from rookery.doors.worker.faults import named
from rookery.doors.worker.upkeep import Upkeep
from rookery.terms.errors import Later, Unavailable

TICK_S = 60.0
STALLED_S = 30.0
"""Without a sign of life for so long a worker counts as gone, and its job is done by another."""
AGAIN_S = 5
"""Seconds after which a job that met something unavailable is tried again; there is no last time."""
POLL_S = 1.0
"""How often jobs are looked for whose time to be tried again has come; new ones are heard of at once."""

Ended = dict[int, tuple[float, int | None]]
"""When jobs ended here, in seconds of the machine's own clock, and under which worker's id; by the jobs' numbers."""


def run_worker(
    database: Database,
    clock: Clock,
    parts: Mapping[type, Any] | None = None,
    *,
    until_idle: bool = False,
    tick_s: float = TICK_S,
) -> None:
    """Work until SIGTERM or SIGINT, one job at a time, and look at whatever moves; with `until_idle` until no job waits
    and nothing is left to be looked at.

    Workers side by side share the work. One that is killed leaves its job to the others, or to itself when it is back.
    """
    desk = Desk(database, clock, parts or {})
    stop = threading.Event()
    upkeep = Upkeep(timedelta(days=1))
    looking = threading.Thread(target=_look_after, args=(desk, upkeep, stop, tick_s), name="ticks", daemon=True)
    with Ending() as ending:
        log(clock.now(), "worker.started", tasks=sorted(jobs.TASKS), ticks=sorted(jobs.TICKS))
        _look(desk, upkeep)  # first of all, so that what is written from now on finds its partitions
        beside = [looking]
        looking.start()
        if not until_idle:
            board = signs.Board()
            beside += living.start(desk, stop, board=board)
            beside += delivering.start(desk, stop, board=board)
            beside += signs.start(desk, stop, board)
        try:
            asyncio.run(_work(desk, until_idle, ending))
            # settling may ask for jobs, and these may move parcels
            while until_idle and not ending.told and living.settle(desk):
                asyncio.run(_work(desk, until_idle, ending))
        finally:
            stop.set()
            for thread in beside:
                thread.join()
            log(clock.now(), "worker.stopped")


async def _work(desk: Desk, until_idle: bool, ending: Ending) -> None:
    """Until told to stop; a database that is away for a while is waited for."""
    for library in ("procrastinate", "psycopg.pool"):  # what is to be told of jobs and outages is told here, as JSON
        logging.getLogger(library).setLevel(logging.CRITICAL)
    while not ending.told:
        try:
            await _serve(desk, until_idle, ending)
            return
        except (ConnectorException, OperationalError, Unavailable) as fault:
            log(desk.clock.now(), "worker.waits", fault=type(fault).__name__)
            await ending.keep(asyncio.sleep(AGAIN_S))


async def _serve(desk: Desk, until_idle: bool, ending: Ending) -> None:
    with desk.database.owner() as conn:
        jobs.install(conn)
    ended: Ended = {}
    app = library(desk, ended)
    async with app.open_async():  # never cancelled: a pool that is half open would keep the loop from closing
        await give_back(app, desk, ended)
        giving_back = asyncio.create_task(_keep_giving_back(app, desk, ended))
        working = app.run_worker_async(
            queues=[jobs.QUEUE], concurrency=1, wait=not until_idle, delete_jobs="successful",
            stalled_worker_timeout=STALLED_S, fetch_job_polling_interval=POLL_S, install_signal_handlers=False,
        )  # fmt: skip
        try:
            await ending.keep(working)
        finally:
            giving_back.cancel()


def library(desk: Desk, ended: Ended) -> procrastinate.App:
    """The library's view of the table of tasks. Its connections are the owner's, with its tables in the search path."""
    connector = procrastinate.PsycopgConnector(
        conninfo=desk.database.urls.main,
        kwargs={"options": "-c search_path=jobs,pg_temp -c timezone=UTC", "connect_timeout": 5},
        min_size=1, max_size=4, timeout=10,
    )  # fmt: skip
    app = procrastinate.App(connector=connector)
    for name, function in jobs.TASKS.items():
        enter = app.task(name=name, queue=jobs.QUEUE, retry=_Again(), pass_context=True)
        enter(partial(_do, desk, ended, name, function))
    return app


class _Again(procrastinate.BaseRetryStrategy):
    """A job that is to wait is tried again when it says; one that met something unavailable, after AGAIN_S."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision | None:
        if not isinstance(exception, Later):
            return None
        wait = AGAIN_S if isinstance(exception, Unavailable) else exception.retry_after_s
        return procrastinate.RetryDecision(retry_in={"seconds": wait})


def _do(
    desk: Desk, ended: Ended, name: str, function: Callable[..., None], context: procrastinate.JobContext, **ids: str
) -> None:
    """One job, told at its begin and its end."""
    number = context.job.id or 0
    ended.pop(number, None)
    log(desk.clock.now(), "job.begun", task=name, **ids)
    try:
        _do_and_tell(replace(desk, tries=context.job.attempts), name, function, ids)
    finally:
        ended[number] = (time.monotonic(), context.job.worker_id)


def _do_and_tell(desk: Desk, name: str, function: Callable[..., None], ids: dict[str, str]) -> None:
    try:
        function(desk, **ids)
    except Later as fault:
        log(desk.clock.now(), "job.later", task=name, code=fault.code, **ids)
        raise
    except Exception as fault:
        log(desk.clock.now(), "job.failed", task=name, fault=named(fault), **ids)
        raise
    log(desk.clock.now(), "job.done", task=name, **ids)


async def _keep_giving_back(app: procrastinate.App, desk: Desk, ended: Ended) -> None:
    while True:
        await asyncio.sleep(STALLED_S / 3)
        try:
            await give_back(app, desk, ended)
        except ConnectorException as fault:
            log(desk.clock.now(), "worker.waits", fault=type(fault).__name__)


async def give_back(app: procrastinate.App, desk: Desk, ended: Ended) -> None:
    """Jobs whose worker gives no sign of life wait again, and so do those whose end could not be written here because
    the database was away.
    """
    stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_S))
    for number, (at, worker_id) in list(ended.items()):
        if time.monotonic() - at > STALLED_S:
            stalled += await app.job_manager.list_jobs_async(id=number, status="doing", worker_id=worker_id)
            ended.pop(number, None)
    for job in stalled:
        await app.job_manager.retry_job(job)
        log(desk.clock.now(), "job.given_back", task=job.task_name, **job.task_kwargs)


def _look_after(desk: Desk, upkeep: Upkeep, stop: threading.Event, tick_s: float) -> None:
    while not stop.wait(tick_s):
        _look(desk, upkeep)


def _look(desk: Desk, upkeep: Upkeep) -> None:
    """What is due; a fault of one thing does not keep the others from being looked after."""
    for name, look in {**jobs.TICKS, "upkeep": upkeep}.items():
        try:
            look(desk)
        except Exception as fault:
            log(desk.clock.now(), "tick.failed", tick=name, fault=named(fault))
