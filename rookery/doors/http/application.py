"""The application: one handler for each operation, and what an operator asks of any server."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CONTENT_TYPE_LATEST

from rookery.app import refuse_unready
from rookery.base.operations import OPERATIONS, Operation
from rookery.doors.http import live, telemetry
from rookery.doors.http.handling import answer_to
from rookery.doors.http.headers import Places, headers_of, with_headers
from rookery.doors.http.openapi import document
from rookery.doors.http.problems import problem_of
from rookery.doors.http.server import Server
from rookery.terms.errors import NotAllowed, NotFound, RookeryError, TooLarge, Unreadable

Found = TypeVar("Found")
METRICS = CONTENT_TYPE_LATEST.partition("; charset")[0]


def build(server: Server, on_shutdown: Callable[[], None] = lambda: None) -> Callable[..., Awaitable[None]]:
    """The ASGI application for a wired server."""
    telemetry.trace_as_told()
    described = msgspec.json.encode(document(OPERATIONS.values()))

    set_up = threading.Event()
    watch = live.Watch(server)

    async def openapi(request: Request) -> Response:
        return Response(described, media_type="application/json")

    async def health(request: Request) -> Response:
        return Response(b'{"status":"alive"}', media_type="application/json")

    async def ready(request: Request) -> Response:
        def ask() -> bytes:
            if not set_up.is_set():  # it stays so
                refuse_unready(server.database)
                set_up.set()
            return live.ready(server)

        return await _told(server, request, server.in_thread(ask), lambda body: body, "application/json")

    async def metrics(request: Request) -> Response:
        async def look() -> bytes:
            who = await server.who(request, headers_of(request.scope))
            if not who.scopes & {"operator", "admin"}:
                raise NotAllowed("keys.scope", "This key may not read metrics.", "use a key with scope operator")
            return await server.in_thread(watch.measured)

        return await _told(server, request, look(), lambda text: text, METRICS)

    own = {"/openapi.json": openapi, "/health": health, "/ready": ready, "/metrics": metrics}
    places = Places([("GET", path) for path in own] + [(op.method, op.path) for op in OPERATIONS.values()])
    handlers = [
        HTTPRouteHandler(path, http_method=["GET", "HEAD"], name=path, include_in_schema=False)(act)
        for path, act in own.items()
    ]
    handlers += [_handler(server, op) for op in OPERATIONS.values()]

    @asynccontextmanager
    async def lifespan(app: Litestar):
        try:
            yield
        finally:
            server.close()
            on_shutdown()

    def refuse(request: Request, fault: HTTPException) -> Response:
        response = problem_of(_as_ours(fault), request.scope)
        telemetry.REQUESTS.labels("none", response.status_code).inc()
        if isinstance(fault, MethodNotAllowedException):
            response.headers["Allow"] = places.methods(request.scope["path"])
        return response

    def confess(request: Request, fault: Exception) -> Response:
        return telemetry.confessed(server.clock.now(), fault, request.scope)

    app = Litestar(
        handlers,
        openapi_config=None,
        logging_config=None,
        exception_handlers={HTTPException: refuse, Exception: confess},
        lifespan=[lifespan],
        request_max_body_size=None,  # each operation has its own
    )
    return with_headers(app, server.clock, places)


def _handler(server: Server, op: Operation) -> HTTPRouteHandler:
    path = op.path
    for name in op.in_path:
        path = path.replace(f"{{{name}}}", f"{{{name}:str}}")

    async def handle(request: Request) -> Response:
        return await answer_to(server, op, request)

    methods: Any = ["GET", "HEAD"] if op.method == "GET" else op.method
    return HTTPRouteHandler(path, http_method=methods, name=op.name, status_code=200, include_in_schema=False)(handle)


async def _told(
    server: Server, request: Request, act: Awaitable[Found], body: Callable[[Found], bytes], media: str
) -> Response:
    try:
        return Response(body(await act), media_type=media)
    except RookeryError as fault:
        return problem_of(fault, request.scope)


def _as_ours(fault: HTTPException) -> RookeryError:
    """The framework's own refusals in our words."""
    if isinstance(fault, MethodNotAllowedException):
        return NotHere("http.method", "That is nothing one does here.", "see the Allow header, or /openapi.json")
    if isinstance(fault, NotFoundException):
        return NotFound("http.no_such_place", "There is nothing at this path.", "see /openapi.json")
    if fault.status_code == 413:
        return TooLarge("body.too_large", "The body is too large.", "send it in parts")
    return Unreadable("http.malformed", "The request is malformed.", "see /openapi.json")


class NotHere(RookeryError):
    """The place exists; this is not what one does there."""

    status = 405
