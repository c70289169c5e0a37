"""A receiver of webhooks for tests: a real HTTP server in a thread, that answers as it is told and remembers all it
heard."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

PATIENCE_S = 300.0
"""So long a busy machine may take."""


@dataclass(frozen=True)
class Heard:
    """One request: its headers by small names, and its body."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def signed_with(self, secret: str) -> bool:
        """Whether one of its signatures is of this secret, as Standard Webhooks 1.0 has receivers find out."""
        content = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        mac = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), content, "sha256")
        wanted = "v1," + base64.b64encode(mac).decode()
        return wanted in self.headers["webhook-signature"].split(" ")


@dataclass(frozen=True)
class Answer:
    """What is answered. hangs: nothing is; endless: a body that never ends."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    endless: bool = False


@dataclass
class Receiver:
    """url: where it listens. heard: all requests in the order they came; answer: may be exchanged at any time."""

    url: str = ""
    answer: Callable[[Heard], Answer] = lambda heard: Answer()
    heard: list[Heard] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    sent: int = 0
    came: threading.Condition = field(default_factory=threading.Condition)

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.heard]

    def wait_for(self, many: int, distinct: bool = False) -> None:
        """Until so many requests came, or requests with so many messages; fails when they do not."""
        with self.came:
            came = self.came.wait_for(lambda: len(set(self.ids) if distinct else self.heard) >= many, PATIENCE_S)
            assert came, f"{len(self.heard)} came, and not {many}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the other side has enough."""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode().split("\r\n")[1:-2]
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                heard = Heard(headers, await reader.readexactly(int(headers.get("content-length", 0))))
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                with self.came:
                    self.heard.append(heard)
                    self.came.notify_all()
                try:
                    await self._answer(self.answer(heard), writer)
                finally:
                    self.at_once -= 1
        writer.close()

    async def _answer(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        if answer.hangs:
            await asyncio.sleep(3600)
        await asyncio.sleep(0)
        length = 2 << 30 if answer.endless else 0
        lines = [f"HTTP/1.1 {answer.status} Told", *(f"{name}: {value}" for name, value in answer.headers.items())]
        if answer.status != 204:
            lines.append(f"Content-Length: {length}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        while length > 0:
            writer.write(bytes(1 << 16))
            await writer.drain()
            self.sent += 1 << 16
            length -= 1 << 16
        await writer.drain()


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on this machine, over TLS where a context is given."""
    receiver, started, loop = Receiver(), Future(), asyncio.new_event_loop()

    async def listen() -> None:
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
        started.set_result(server.sockets[0].getsockname()[1])

    def live() -> None:
        loop.create_task(listen())
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{started.result(PATIENCE_S)}/"
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
