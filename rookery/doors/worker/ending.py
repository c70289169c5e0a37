"""How a worker is told to end: by SIGTERM or SIGINT, at any moment from its first to its last."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Ending:
    """While entered, the first signal tells the worker to end: what it does is cancelled and may finish the job at
    hand. A second one does what it would have done without this. Off the main thread no signal is heard.
    """

    def __init__(self) -> None:
        self.told = False
        self._before: dict[signal.Signals, Any] = {}
        self._cancel: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                self._before[signum] = signal.getsignal(signum)  # first: the signal may come at once
                signal.signal(signum, self._tell)
            if self.told:  # meanwhile
                self.__exit__()
        return self

    def __exit__(self, *_: object) -> None:
        while self._before:
            signum, before = self._before.popitem()
            signal.signal(signum, before or signal.SIG_DFL)  # None: not set from Python, it cannot be put back

    async def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Does this until it is done, or cancels it when the worker is told to end."""
        doing = asyncio.create_task(work)
        loop = asyncio.get_running_loop()
        # a signal may come while the loop sleeps, and wakes it only so
        self._cancel = lambda: loop.call_soon_threadsafe(doing.cancel)
        if self.told:
            doing.cancel()
        try:
            await doing
        except asyncio.CancelledError:
            if not self.told:
                raise
        finally:
            self._cancel = None

    def _tell(self, _signum: int, _frame: FrameType | None) -> None:
        self.__exit__()
        self.told = True
        if self._cancel is not None:
            self._cancel()
