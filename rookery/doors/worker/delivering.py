"""The worker's thread "webhooks": one worker of all tells endpoints what happened; another takes over when it is
gone."""

from __future__ import annotations

import asyncio
import os
import threading

from psycopg import OperationalError

from rookery.base.jobs import Desk
from rookery.base.signing import Signer
from rookery.base.webhooks.delivering import alone, deliver
from rookery.base.webhooks.targets import Targets
from rookery.doors.http.telemetry import log
from rookery.doors.worker.faults import named
from rookery.doors.worker.signs import MODES, Board
from rookery.terms.errors import Unavailable

AGAIN_S = 5.0
"""After so long it is tried again: to be the one who delivers, to reach the database."""


def start(
    desk: Desk, stop: threading.Event, again_s: float = AGAIN_S, board: Board | None = None
) -> list[threading.Thread]:
    """The thread, begun; it ends soon after `stop`. None where the worker cannot sign. board: where it tells how it
    is.
    """
    if Signer not in desk.parts:
        return []
    words = (desk, stop, Targets.read(os.environ), again_s, board or Board())
    thread = threading.Thread(target=_keep_on, args=words, name="webhooks", daemon=True)
    thread.start()
    return [thread]


def _keep_on(desk: Desk, stop: threading.Event, targets: Targets, again_s: float, board: Board) -> None:
    told = ""
    while not stop.is_set():
        try:
            with alone(desk) as lock:
                board.mine(["webhooks"], lock is not None)
                if lock is not None:
                    told = ""
                    asyncio.run(deliver(desk, targets, stop, lock, lambda: board.turned("webhooks")))
        except Exception as fault:
            board.failed("webhooks", MODES, named(fault))
            away = isinstance(fault, Unavailable | OperationalError)
            if told != type(fault).__name__:  # an outage is told once
                log(desk.clock.now(), "webhooks.wait" if away else "webhooks.failed", fault=named(fault))
            told = type(fault).__name__
        stop.wait(again_s)
