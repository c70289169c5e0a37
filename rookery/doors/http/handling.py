"""One request to one operation: who asks, what, the act itself, and its answer or what went wrong."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import psycopg
from litestar import Request, Response
from litestar.response.base import ASGIResponse

from rookery.base.operations import PUBLIC, Operation, Who
from rookery.base.performing import Answer, perform, refuse_who_may_not
from rookery.doors.http import telemetry
from rookery.doors.http.bodies import Body
from rookery.doors.http.callers import NOBODY
from rookery.doors.http.etags import etag_of, seen_already
from rookery.doors.http.families import refuse_who_reads_none
from rookery.doors.http.headers import headers_of
from rookery.doors.http.problems import problem_of
from rookery.doors.http.reading import question
from rookery.doors.http.server import Server
from rookery.terms.errors import Later, NotFound, RookeryError


class Bare(Response[bytes]):
    """An answer without a body, and so without a media type."""

    def to_asgi_response(self, *given: Any, **named: Any) -> ASGIResponse:
        """As the framework asks for it."""
        told = super().to_asgi_response(*given, **named)
        told.headers.pop("content-type", None)
        return told


async def answer_to(server: Server, op: Operation, request: Request) -> Response:
    """The answer to a request, whatever happens; counted, measured and logged."""
    began, request_id = time.perf_counter(), request.scope["request_id"]  # type: ignore[typeddict-item]
    who = NOBODY
    body = None
    telemetry.IN_FLIGHT.inc()
    with telemetry.span(op.name) as span:
        try:
            headers = headers_of(request.scope)
            body = None if op.asks_by_query else Body(request.receive, headers)
            refuse_who_reads_none(op.path, headers)
            who = await _who(server, op, request, headers)
            refuse_who_may_not(server.context(who), op)
            content = b"" if body is None else await body.read(op, server.slowest_body_s)
            response = await server.in_thread(_answered, server, op, who, request, headers, content)
        except RookeryError as fault:
            if isinstance(fault.__cause__, psycopg.Error) and not isinstance(fault, Later):
                telemetry.log_fault(server.clock.now(), fault.__cause__, request_id)  # a rule is missing somewhere
            if PUBLIC in op.scopes and isinstance(fault, NotFound):
                server.callers.missed(server.address_of(request))
            response = problem_of(fault, request.scope)
        except Exception as fault:
            response = telemetry.confessed(server.clock.now(), fault, request.scope)
        finally:
            telemetry.IN_FLIGHT.dec()
        status = response.status_code or 200
        span.set_attribute("http.response.status_code", status)
    if body is not None and status >= 400:
        await body.discard()
    took = time.perf_counter() - began
    telemetry.counted(op.name, status, took)
    if status != 200 or op.kind == "command":
        telemetry.log(
            server.clock.now(), "request", request_id=request_id, operation=op.name, status=status,
            ms=round(took * 1000, 1), party_id=who.party_id or None, key_id=who.key_id or None,
        )  # fmt: skip
    return response


async def _who(server: Server, op: Operation, request: Request, headers: Mapping[str, str]) -> Who:
    if PUBLIC in op.scopes:
        return server.callers.anybody(server.address_of(request))
    return await server.who(request, headers)


def _answered(
    server: Server, op: Operation, who: Who, request: Request, headers: Mapping[str, str], content: bytes
) -> Response:
    """Read the question, do it, write the answer; in a thread."""
    query = request.scope["query_string"]
    ask = question(op, content, request.path_params, query, headers)
    place = request.scope["path"].encode("utf-8", "surrogatepass")
    told = [headers.get(name.lower(), "").encode("utf-8") for name in ("If-Match", *op.headers)]
    asked = b"\n".join((place, query, *told, content))
    answer = perform(op, server.context(who, op), ask, asked, headers.get("idempotency-key"))
    return _response(op, answer, headers)


def _response(op: Operation, answer: Answer, asked: Mapping[str, str]) -> Response:
    headers = dict(answer.headers)
    if answer.again:
        telemetry.REPEATED.inc()
        headers["Idempotency-Replayed"] = "true"
    etag = etag_of(answer.reply)
    if etag is not None:
        headers["ETag"] = etag
        if op.method == "GET" and seen_already(asked.get("if-none-match"), etag):
            return Response(None, status_code=304, headers=headers)
    if answer.reply is None and op.media is None:
        return Bare(b"", status_code=answer.status, headers=headers)
    media = _media_of(op.media, answer) if op.media is not None else "application/json"
    return Response(answer.body, status_code=answer.status, media_type=media, headers=headers)


def _media_of(media: str, answer: Answer) -> str:
    if ", " not in media:
        return media
    head = answer.body[:8]
    if head.startswith(b"%PDF"):
        return "application/pdf"
    if head.startswith(b"\x89PNG"):
        return "image/png"
    if head.startswith(b"PK"):
        return "application/zip"
    return "text/plain"  # its charset is added
