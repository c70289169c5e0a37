"""HTTP/1.1 over sockets, as little of it as the measuring needs: kept-alive connections, answers with a length."""

from __future__ import annotations

import socket
from typing import NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    headers: bytes = b""


class Gone(Exception):
    """The connection ended before the answer did."""


def where(url: str) -> tuple[str, int]:
    """Host and port of a server's URL."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def asked(method: str, path: str, key: str, body: bytes = b"", kind: str = "application/json", **headers: str) -> bytes:
    """A request as bytes. headers: Idempotency_Key="..." and the like."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {key}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body or method in ("POST", "PUT", "PATCH"):
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def taken_from(buffer: bytearray) -> Answer | None:
    """The first whole answer in a buffer, taken out of it; None while it is not whole."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(buffer[:end])
    status, small = int(head[9:12]), head.lower()
    at = small.find(b"\r\ncontent-length:")
    length = int(small[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    if at < 0 and status not in (204, 304):
        raise Gone("an answer without a length")
    whole = end + 4 + length
    if len(buffer) < whole:
        return None
    body = bytes(buffer[end + 4 : whole])
    del buffer[:whole]
    return Answer(status, body, head)


class Wire:
    """One connection that waits for each answer. Raises Gone or OSError when the server goes away; then ask anew."""

    def __init__(self, url: str, timeout_s: float = 60.0):
        self._where, self._timeout_s = where(url), timeout_s
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> Answer:
        """Send a request and wait for its answer."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._where, self._timeout_s)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(request)
            buffer = bytearray()
            while (answer := taken_from(buffer)) is None:
                part = self._socket.recv(1 << 18)
                if not part:
                    raise Gone("the server hung up")
                buffer += part
            if b"\r\nconnection: close" in answer.headers.lower():
                self.close()
            return answer
        except (OSError, Gone):
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
