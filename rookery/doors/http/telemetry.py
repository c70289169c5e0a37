"""What operators watch: Prometheus metrics, OpenTelemetry spans, one JSON line of log for each request.

None of it holds what was sent or answered: names of operations, statuses, durations and ids only.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from litestar import Response
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rookery.doors.http.problems import problem_of
from rookery.terms.errors import RookeryError

REGISTRY = CollectorRegistry()
REQUESTS = Counter("rookery_requests", "Requests answered.", ["operation", "status"], registry=REGISTRY)
SECONDS = Histogram(
    "rookery_request_seconds",
    "Time from a request's headers to its answer.",
    ["operation"],
    registry=REGISTRY,
    buckets=(0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
IN_FLIGHT = Gauge("rookery_requests_in_flight", "Requests being answered.", registry=REGISTRY)
REPEATED = Counter("rookery_replies_repeated", "Replies given again for an Idempotency-Key.", registry=REGISTRY)
LOST_LINES = Counter("rookery_log_lines_lost", "Lines of log that nobody took in time.", registry=REGISTRY)


def counted(operation: str, status: int, seconds: float) -> None:
    """One request was answered."""
    REQUESTS.labels(operation, status).inc()
    SECONDS.labels(operation).observe(seconds)


class _NoSpan:
    def set_attribute(self, name: str, value: Any) -> None:
        """Nobody listens."""


_NO_SPAN = nullcontext(_NoSpan())
_tracer: trace.Tracer | None = None


def tracing() -> bool:
    """Whether spans go anywhere."""
    return _tracer is not None


def span(name: str) -> AbstractContextManager[Any]:
    """A span around what is done; nothing where spans go nowhere."""
    return _NO_SPAN if _tracer is None else _tracer.start_as_current_span(name)


def trace_as_told() -> None:
    """Spans go where the environment says: ROOKERY_TRACE_FILE gets JSON; otherwise OpenTelemetry's own settings count
    where an OTLP exporter is installed, and without either no span is made.
    """
    global _tracer
    path = os.environ.get("ROOKERY_TRACE_FILE")
    if path:
        exporter = ConsoleSpanExporter(out=Path(path).open("a", encoding="utf-8"))  # noqa: SIM115
    elif os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # type: ignore[import-not-found]
                OTLPSpanExporter,
            )
        except ImportError:
            sys.stderr.write("No spans are sent: install opentelemetry-exporter-otlp-proto-http.\n")
            return
        exporter = OTLPSpanExporter()
    else:
        return
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    _tracer = provider.get_tracer("rookery")


_lines: queue.Queue[bytes] = queue.Queue(10_000)


def log(at: datetime, event: str, **fields: object) -> None:
    """One line of JSON on stderr, written by a thread of its own: who reads it slowly holds up no answer."""
    try:
        _lines.put_nowait(msgspec.json.encode({"at": at, "event": event, **fields}) + b"\n")
    except queue.Full:
        LOST_LINES.inc()


def _write_lines() -> None:
    while True:
        lines = [_lines.get()]
        while not _lines.empty() and len(lines) < 1000:
            lines.append(_lines.get())
        sys.stderr.buffer.write(b"".join(lines))
        sys.stderr.buffer.flush()


threading.Thread(target=_write_lines, name="log", daemon=True).start()


def confessed(at: datetime, fault: Exception, scope: Any) -> Response:
    """The answer to a fault of our own: nothing of it but an id that finds it in the log."""
    log_fault(at, fault, scope["request_id"])
    ours = RookeryError("rookery.fault", "Rookery itself failed.", f"report it with the id {scope['request_id']}")
    return problem_of(ours, scope)


def log_fault(at: datetime, fault: BaseException, request_id: str) -> None:
    """The kind of a fault and the places of our own code that it went through; no value, since that may be anything."""
    trace, places = fault.__traceback__, []
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_filename.rpartition('rookery/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    where = " < ".join(reversed(places[-8:]))
    log(at, "fault", request_id=request_id, kind=type(fault).__name__, where=where)
