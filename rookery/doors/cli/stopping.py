"""Ctrl-C and termination: a command that is stopped leaves nothing half-made, or the plan it was improving."""

from __future__ import annotations

import os
import signal
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


def watch_signals() -> None:
    """From here on Ctrl-C and termination raise Stopped, unless the shell has this process ignore them."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # a shell's background job ignores Ctrl-C
            signal.signal(signum, _stop)


def _stop(signum: int, frame: FrameType | None) -> None:
    os.write(2, b"\nStopping ...\n")  # at once: work that has begun may take a few seconds to end
    raise Stopped(signum)


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
        yield
    except KeyboardInterrupt:
        raise Stopped(signal.SIGINT) from None
    finally:
        signal.signal(signal.SIGINT, before)
