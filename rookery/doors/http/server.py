"""What every request works with: the database, the clock, the parts, the callers, and threads to do things in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from litestar import Request

from rookery.base.access.keys import Known, find_who
from rookery.base.clock import Clock
from rookery.base.db.pool import Database
from rookery.base.operations import Context, Operation, Who
from rookery.doors.http import telemetry
from rookery.doors.http.callers import NOBODY, Callers
from rookery.doors.http.proxies import Network, caller_of
from rookery.terms.errors import Unavailable

THREADS = 16
Found = TypeVar("Found")


@dataclass
class Server:
    """What every request works with. slowest_body_s: how long a body may take to come; wait_s: how long a request waits
    for a thread before it hears 503. trusted: the proxies whose word on where a request came from is believed.
    """

    database: Database
    clock: Clock
    parts: Mapping[type, Any]
    slowest_body_s: float = 60.0
    wait_s: float = 5.0
    trusted: tuple[Network, ...] = ()
    callers: Callers = field(init=False)
    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(THREADS))
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "act"))

    def __post_init__(self) -> None:
        self.callers = Callers(self.clock)

    def context(self, who: Who, op: Operation | None = None) -> Context:
        """One transaction for one act."""
        return Context(self.database, self.clock, who, self.parts, readonly=op is None or op.kind == "query")

    async def in_thread(self, act: Callable[..., Found], *given: Any) -> Found:
        """What may wait or compute, in a thread. Raises Unavailable when none comes free, else as the act."""
        if self._free.locked():
            try:
                await asyncio.wait_for(self._free.acquire(), self.wait_s)
            except TimeoutError:
                again = "ask the same again; nothing of it was done"
                raise Unavailable("server.busy", "More is asked for than can be done.", again, 2) from None
        else:
            await self._free.acquire()
        try:
            loop = asyncio.get_running_loop()
            if telemetry.tracing():  # spans of what it does lie within the request's
                return await loop.run_in_executor(self._threads, partial(copy_context().run, act, *given))
            return await loop.run_in_executor(self._threads, act, *given)
        finally:
            self._free.release()

    async def who(self, request: Request, headers: Mapping[str, str]) -> Who:
        """Who asks, by their key. Raises NotKnown, TooMany, Unavailable."""

        def look_up(secret: str) -> Known:
            with self.context(NOBODY) as ctx:
                return find_who(ctx.conn, secret, self.clock.now())

        return await self.callers.who(headers, self.address_of(request), lambda secret: self.in_thread(look_up, secret))

    def address_of(self, request: Request) -> str:
        """Where a request came from; what a proxy says of it is believed of trusted ones alone."""
        named = request.scope["headers"] if self.trusted else ()
        forwarded = [value.decode("latin-1") for name, value in named if name.lower() == b"x-forwarded-for"]
        return caller_of(request.client.host if request.client else "", forwarded, self.trusted)

    def close(self) -> None:
        """Waits for what is under way."""
        self._threads.shutdown()
