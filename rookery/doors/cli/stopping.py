"""Ctrl-C and termination: a command that is stopped leaves nothing half-made, or the plan it was improving."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
"""Exit code of a command that Ctrl-C stopped."""


class Stopped(BaseException):
    """A signal asked the program to end: unwinding removes what is half-written."""

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = signum


SIGNALS = (signal.SIGINT, signal.SIGTERM)


def watch_signals() -> None:
    """From here on the first Ctrl-C or termination raises Stopped, unless the shell has this process ignore them; what
    it begins is not interrupted by another.
    """
    for signum in SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:  # a shell's background job ignores Ctrl-C
            signal.signal(signum, _stop)


def _stop(signum: int, frame: FrameType | None) -> None:
    for other in SIGNALS:  # first: the next may come at once
        signal.signal(other, _already)
    if "psycopg" in sys.modules:  # a statement cut short cannot be rolled back, and need not be: its connection closes
        logging.getLogger("psycopg").setLevel(logging.ERROR)
    os.write(2, b"\nStopping ...\n")  # at once: work that has begun may take a few seconds to end
    raise Stopped(signum)


def _already(_signum: int, _frame: FrameType | None) -> None:
    """What is being cleaned up is let finish."""


def deaf() -> None:
    """All is cleaned up: nothing that comes now changes how this process ends."""
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within, a signal is kept, and stops what comes after."""
    kept: list[int] = []
    heard = [signum for signum in SIGNALS if signal.getsignal(signum) is _stop]
    for signum in heard:
        signal.signal(signum, lambda signum, _: kept.append(signum))
    try:
        yield
    finally:
        for signum in heard:
            signal.signal(signum, _stop)
        if kept:
            _stop(kept[0], None)


@contextmanager
def best_so_far() -> Iterator[None]:
    """Within, the first Ctrl-C is a KeyboardInterrupt, which a planner answers with the best it has while it seeks
    prices, seats or a better bound. The second, or one that nobody answers (while files are read, or the tables of a
    finished plan are made and written), raises Stopped.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not _stop:
        yield
        return

    def finish(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        os.write(2, b"\nStopping, with the best plan so far if one is being improved; Ctrl-C again stops at once ...\n")
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, finish)
    try:
        try:
            yield
        finally:
            if signal.getsignal(signal.SIGINT) is finish:  # else another was heard: what it began is let finish
                signal.signal(signal.SIGINT, before)
    except KeyboardInterrupt:
        _stop(signal.SIGINT, None)
