"""Questions to the server over HTTP, on connections that stay open; asked again while it is away for a moment."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from rookery.terms.errors import RookeryError, Unavailable

TIMEOUT_S = 60.0
TRIES = 8
PAUSE_S = 0.25
PAGE = 1000


class Refused(RookeryError):
    """The server answered, and would not."""


class Asker:
    """Asks one server, from any thread; each has a connection of its own."""

    def __init__(self, url: str):
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._mine = threading.local()
        self._all: list[http.client.HTTPConnection] = []

    def __call__(self, key: str, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The answer to one question, as JSON values. body: bytes as they are (a .zip), anything else as JSON.

        Raises Refused with what the server said, and Unavailable when it stays away. Meanwhile it is asked again: it
        must be a question that does no harm when it is asked twice.
        """
        if query:
            path += "?" + urlencode(query)
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key}"}
        if content is not None:
            headers["Content-Type"] = "application/zip" if isinstance(body, bytes) else "application/json"
        for attempt in range(TRIES):
            try:
                status, told = self._once(method, path, content, headers)
            except (OSError, http.client.HTTPException):
                self._mine.conn = None
            else:
                if status < 300:
                    return json.loads(told) if told else None
                if status not in (429, 503):
                    raise _refusal(method, path, status, told)
            time.sleep(PAUSE_S * (attempt + 1))
        raise Unavailable("demo.no_answer", f"The server does not answer {method} {path}.", "look at its log", 5)

    def _once(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        conn = getattr(self._mine, "conn", None)
        if conn is None:
            conn = self._mine.conn = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
            self._all.append(conn)
        conn.request(method, path, content, headers)
        answer = conn.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        """Ask no more: a server that is to end waits for connections that are open."""
        for conn in self._all:
            conn.close()

    def pages(self, key: str, path: str, most: int = 100, **query: Any) -> list[dict[str, Any]]:
        """All rows of a list, or those of the first so many pages."""
        rows: list[dict[str, Any]] = []
        after = ""
        for _ in range(most):
            told = self(key, "GET", path, limit=PAGE, **({"after": after} if after else {}), **query)
            rows += told["data"]
            after = told.get("next") or ""
            if not after:
                break
        return rows


def segment(name: str) -> str:
    """A name as it stands in a path."""
    return quote(name, safe="")


def _refusal(method: str, path: str, status: int, told: bytes) -> Refused:
    try:
        problem = json.loads(told)
    except ValueError:
        problem = {}
    code, detail = problem.get("code", "demo.refused"), problem.get("detail", f"It answered {status}.")
    return Refused(code, f"{method} {path.partition('?')[0]}: {detail}", problem.get("action") or "look at its log")
