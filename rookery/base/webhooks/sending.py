"""One request to an endpoint: to an address that was looked at, followed nowhere, and read no further than it needs."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from rookery.base.webhooks.targets import Targets

TOTAL_S, CONNECT_S = 15.0, 5.0
MOST_READ = 64 * 1024
"""Bytes of an answer that are read; its text is never kept or told, for it may be anything."""
MOST_AT_ONCE = 64
NAME_KEPT_S = 30
_HEADERS = {"Content-Type": "application/json", "User-Agent": "Rookery"}


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt. status: the answer's, None = there was none; error: why it does not count, None = it
    does; retry_after: that header as it came.
    """

    status: int | None
    error: str | None = None
    retry_after: str | None = None

    @property
    def delivered(self) -> bool:
        return self.error is None


class Refused(OSError):
    """An address that may not be sent to."""


class Sender:
    """Sends; use it with `async with`. Connections are kept open for the next message."""

    def __init__(self, targets: Targets, total_s: float = TOTAL_S, connect_s: float = CONNECT_S):
        self._targets = targets
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, "webhooks-names")  # one name that hangs holds up no other
        self._timeout = aiohttp.ClientTimeout(total=total_s, connect=total_s, sock_connect=connect_s)
        self._secure, self._plain = self._session(plain=False), self._session(plain=True)

    def _session(self, plain: bool) -> aiohttp.ClientSession:
        targets = self._targets

        def open_socket(info: tuple) -> socket.socket:
            """The gate that every connection passes, whatever its address came from."""
            if not targets.allows(info[4][0], plain):
                raise Refused("the address may not be sent to")
            return socket.socket(info[0], info[1], info[2])

        connector = aiohttp.TCPConnector(
            limit=MOST_AT_ONCE,
            resolver=_Resolver(targets, plain, self._threads),
            ttl_dns_cache=NAME_KEPT_S,
            socket_factory=open_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # a small answer could become a large one
            trust_env=False,  # neither proxies nor .netrc
            timeout=self._timeout,
        )

    async def __aenter__(self) -> Sender:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ):
        await self._secure.close()
        await self._plain.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """POST a body. It is delivered when the answer's status is 2xx; never raises for what the other side does."""
        session = self._plain if url.startswith("http:") else self._secure
        try:
            async with session.post(url, data=body, headers={**_HEADERS, **headers}, allow_redirects=False) as answer:
                told = Outcome(answer.status, _error_of(answer.status), answer.headers.get("Retry-After"))
                await _read_some(answer)
                return told
        except aiohttp.ClientConnectorError as fault:
            return Outcome(None, _why(fault.os_error))
        except TimeoutError:
            return Outcome(None, "no answer within the time")
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            return Outcome(None, _why(fault))


async def _read_some(answer: aiohttp.ClientResponse) -> None:
    """Reads on, so that the connection can be used again; of an endless answer no more than MOST_READ.

    What the status said stands, even where the rest does not come.
    """
    left = MOST_READ
    try:
        async for chunk in answer.content.iter_any():
            left -= len(chunk)
            if left < 0:
                answer.close()
                return
    except (aiohttp.ClientError, OSError, TimeoutError):
        answer.close()


def _error_of(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"answered {status}: redirects are not followed"
    return f"answered {status}"


def _why(fault: BaseException) -> str:
    """In words of our own: what libraries say may hold addresses."""
    if isinstance(fault, Refused):
        return "refused: the host is no address of the public internet"
    if isinstance(fault, ssl.SSLError | aiohttp.ClientSSLError):
        return "the certificate could not be verified, or TLS failed"
    if isinstance(fault, socket.gaierror):
        return "the host's name is not known"
    if isinstance(fault, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(fault, aiohttp.InvalidURL):
        return "the URL cannot be used"
    if isinstance(fault, TimeoutError):
        return "no connection within the time"
    return "the connection failed or broke off"


class _Resolver(AbstractResolver):
    """Names become addresses here, once, and one that may not be sent to spoils them all."""

    def __init__(self, targets: Targets, plain: bool, threads: ThreadPoolExecutor):
        self._targets, self._plain, self._threads = targets, plain, threads

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_UNSPEC) -> list[ResolveResult]:
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        infos = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        found = [(info[0], info[2], str(info[4][0])) for info in infos]
        if not all(self._targets.allows(address, self._plain) for _, _, address in found):
            raise Refused("the address may not be sent to")
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=kind, proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, proto, address in found
        ]  # fmt: skip

    async def close(self) -> None:
        """Nothing is held."""
