"""A process ends with whoever started it, also when that one was killed: by a pipe that nobody writes to.

The end to read is the child's. The end to write is its parent's alone, and closes with the parent, however it ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import wait

LIFELINE = "ROOKERY_LIFELINE"
PATIENCE_S = 20.0
"""How long what is under way may take to finish."""


def end_with_parent() -> None:
    """In a child: SIGTERM for itself when its parent is gone, if it was told a lifeline or multiprocessing made it."""
    told, parent = os.environ.pop(LIFELINE, None), multiprocessing.parent_process()
    ends = [int(told)] if told is not None else [parent.sentinel] if parent is not None else []
    if ends:
        threading.Thread(target=_hold, args=(ends,), name="lifeline", daemon=True).start()


def _hold(ends: list[int]) -> None:
    wait(ends)
    os.kill(os.getpid(), signal.SIGTERM)
    # one that was still starting may have missed it, and nobody is left to ask again
    time.sleep(PATIENCE_S)
    os.kill(os.getpid(), signal.SIGKILL)
