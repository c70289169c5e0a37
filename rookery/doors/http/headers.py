"""Headers: each request's, read strictly, and those that every answer has."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from rookery.base.clock import Clock
from rookery.doors.http.families import headers_at
from rookery.doors.http.paths import routed
from rookery.terms.errors import Unreadable
from rookery.terms.ids import new_id

App = Callable[..., Awaitable[None]]
ONCE = {
    "authorization", "x-api-key", "idempotency-key", "if-match", "if-none-match", "content-type", "content-encoding"
}  # fmt: skip
EVERY = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


def headers_of(scope: Any) -> dict[str, str]:
    """A request's headers by small names, those that stand several times as one list (RFC 9110, 5.3). Raises Unreadable
    when one stands twice that decides something.
    """
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in found and key in ONCE:
            raise Unreadable("http.header_twice", f"The header {key} stands twice.", "send it once")
        text = value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


class Places:
    """Which methods each path takes."""

    def __init__(self, taken: Iterable[tuple[str, str]]):
        self._plain: dict[str, set[str]] = {}
        self._open: dict[re.Pattern[str], set[str]] = {}
        for method, path in taken:
            pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))
            methods = self._open.setdefault(pattern, set()) if "{" in path else self._plain.setdefault(path, set())
            methods |= {method, "OPTIONS", *(["HEAD"] if method == "GET" else [])}

    def methods(self, path: str) -> str:
        """The Allow header of a path, empty when there is nothing."""
        path = path.rstrip("/") or "/"
        found = set(self._plain.get(path, ()))
        for pattern, methods in self._open.items():
            if pattern.fullmatch(path):
                found |= methods
        return ", ".join(sorted(found))


def with_headers(app: App, clock: Clock, places: Places) -> App:
    """The application, its requests with an id each (scope["request_id"]), its answers with EVERY header. OPTIONS is
    answered here: what a path takes, and nothing of what other origins may do.
    """

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        request_id = new_id("req", clock.now())
        scope["request_id"], scope["path"] = request_id, routed(scope["raw_path"])
        path, method = scope["path"], scope["method"]

        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                of_family = headers_at(path, method, message["status"]).items()
                message["headers"] = [
                    *message["headers"],
                    *EVERY,
                    (b"request-id", request_id.encode()),
                    *((name.lower().encode(), value.encode()) for name, value in of_family),
                ]
            await send(message)

        if method == "OPTIONS" and (methods := places.methods(path)):
            await told({"type": "http.response.start", "status": 204, "headers": [(b"allow", methods.encode())]})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, told)

    return outer
