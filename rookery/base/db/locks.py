"""Locks on files: they end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.02


def open_lock(path: Path) -> int:
    """A descriptor of a lock file, made when missing; children do not inherit it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_exclusive(descriptor: int) -> bool:
    """Whether nobody else holds the lock, which then is held here."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def exclusive_within(descriptor: int, seconds: float) -> bool:
    """Whether the lock is held here alone, after waiting so long for whoever has it."""
    until = time.monotonic() + seconds
    while not try_exclusive(descriptor):
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_S)
    return True


def share(descriptor: int) -> None:
    """Holds the lock beside others."""
    fcntl.flock(descriptor, fcntl.LOCK_SH)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds the lock alone, after waiting for whoever has it."""
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
