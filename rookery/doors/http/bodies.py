"""A request's body: of a kind that is taken, not too large, and in good time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rookery.base.operations import Operation
from rookery.terms.errors import InvalidInput, RookeryError, TooLarge, Unreadable

Receive = Callable[[], Awaitable[Any]]
DISCARDED = 64 << 20
"""Of a body that is refused so much is taken and thrown away, so that a client that sends it all hears why."""
DISCARD_S = 10.0


class NotTaken(InvalidInput):
    """The body is of a kind that is not taken here."""

    status = 415


class TooSlow(RookeryError):
    """The body did not come in time."""

    status = 408


class Body:
    """The body of one request, read once."""

    def __init__(self, receive: Receive, headers: Mapping[str, str]):
        self._receive, self._headers = receive, headers
        self._whole = False

    async def read(self, op: Operation, slowest_s: float) -> bytes:
        """All of it. Raises NotTaken, TooLarge, TooSlow, and Unreadable when the sender went away."""
        refuse_kind(op, self._headers)
        told = self._headers.get("content-length", "0")
        if told.isdecimal() and int(told[:20]) > op.most_bytes:
            raise _too_large(op)
        parts, size = [], 0
        try:
            async with asyncio.timeout(slowest_s):
                while not self._whole:
                    part = await self._part()
                    size += len(part)
                    if size > op.most_bytes:
                        raise _too_large(op)
                    parts.append(part)
        except TimeoutError:
            self._whole = True  # nor is the rest waited for
            raise TooSlow("body.slow", f"The body took more than {slowest_s:g} s to come.", "send it faster") from None
        return b"".join(parts)

    async def discard(self) -> None:
        """Takes what is still coming of a refused body, within bounds; not when the sender waits to be told to send."""
        size = 0
        if self._whole or "expect" in self._headers:
            return
        try:
            async with asyncio.timeout(DISCARD_S):
                while not self._whole and size < DISCARDED:
                    size += len(await self._part())
        except (TimeoutError, Unreadable):
            pass

    async def _part(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            self._whole = True
            raise Unreadable("body.cut_off", "The sender went away before the body's end.", "send it again")
        self._whole = not message.get("more_body", False)
        return message.get("body", b"")


def refuse_kind(op: Operation, headers: Mapping[str, str]) -> None:
    """Raises NotTaken for a body that is compressed, or of another media type than the operation takes."""
    if headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise NotTaken("body.encoded", "The body is compressed.", "send it as it is, without Content-Encoding")
    media = media_of(headers)
    if op.body == "json":
        if media and media != "application/json" and not media.endswith("+json"):
            raise NotTaken("body.media", "The body is not JSON.", "send Content-Type: application/json")
    elif media and media not in (taken := op.body.split(", ")) and "*/*" not in taken:
        raise NotTaken("body.media", f"The body is none of {op.body}.", f"send Content-Type: {taken[0]}")


def media_of(headers: Mapping[str, str]) -> str:
    """The media type of a body without its parameters, in small letters; empty when none is told."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _too_large(op: Operation) -> TooLarge:
    most = op.most_bytes / (1 << 20)
    return TooLarge("body.too_large", f"The body is larger than {most:g} MiB.", "send it in parts, or as an upload")
