"""An endpoint that fails often and is down for a while, in a process of its own; it writes down every request.

`webhook_receiver.py LOG SHARE FROM UNTIL`: the port is printed; SHARE of requests fails, one
in three of these after it was taken; from FROM until UNTIL, in seconds since 1970 by the messages' own timestamps,
connections break off. A line of the log: position, outcome (DOWN ..), event id, key, number in its key.
"""

from __future__ import annotations

import asyncio
import random
import sys
from itertools import count
from typing import BinaryIO

import msgspec

DOWN, FAILED, LOST_ANSWER, TAKEN = range(4)
"""What became of a request; of the last two the receiver has the message."""
_OK, _FAILED = (f"HTTP/1.1 {told}\r\nContent-Length: 0\r\n\r\n".encode() for told in ("200 OK", "500 No"))


class Data(msgspec.Struct):
    number: str
    n: int


class Message(msgspec.Struct):
    data: Data


class Endpoint(asyncio.Protocol):
    """One connection; requests come one after the other, with Content-Length."""

    decode = msgspec.json.Decoder(Message).decode

    def __init__(self, log: BinaryIO, share: float, down: tuple[float, float], places: count):
        self._log, self._share, self._down, self._places = log, share, down, places
        self._draw, self._come = random.random, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._out: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._come += data
        while (end := self._come.find(b"\r\n\r\n")) >= 0:
            headers = dict(line.lower().split(b": ", 1) for line in self._come[:end].split(b"\r\n")[1:])
            upto = end + 4 + int(headers[b"content-length"])
            if len(self._come) < upto:
                return
            body, self._come = self._come[end + 4 : upto], self._come[upto:]
            self._answer(headers, self.decode(body).data)

    def _answer(self, headers: dict[bytes, bytes], told: Data) -> None:
        if self._down[0] <= float(headers[b"webhook-timestamp"]) < self._down[1]:
            outcome = DOWN
        elif self._draw() < self._share:
            outcome = FAILED if self._draw() < 2 / 3 else LOST_ANSWER
        else:
            outcome = TAKEN
        line = f"{next(self._places)},{outcome},{headers[b'webhook-id'].decode()},{told.number},{told.n}\n"
        self._log.write(line.encode())
        if outcome == DOWN:
            self._out.abort()
        else:
            self._out.write(_OK if outcome == TAKEN else _FAILED)


async def _serve(path: str, share: float, down: tuple[float, float]) -> None:
    with open(path, "wb", buffering=0) as raw:  # noqa: PTH123
        places = count()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Endpoint(raw, share, down, places), "127.0.0.1", 0)  # type: ignore[arg-type]
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], float(sys.argv[2]), (float(sys.argv[3]), float(sys.argv[4]))))
