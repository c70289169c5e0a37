"""What goes wrong, as RFC 9457 problem documents with a stable code, every fault and the next action."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.response import Response
from msgspec import UNSET, Struct, UnsetType

from rookery.doors.http.families import family_of
from rookery.terms.errors import Later, RookeryError
from rookery.terms.notice import Fault

MEDIA = "application/problem+json"
MOST_FAULTS = 1000
TITLES = {
    400: "Not readable",
    401: "Not known",
    403: "Not allowed",
    404: "Not found",
    405: "Not a method of this place",
    406: "Not what you read",
    408: "Too slow",
    409: "Conflict",
    412: "Changed meanwhile",
    413: "Too large",
    414: "Too long a query",
    415: "Not a kind that is taken",
    422: "Not usable",
    429: "Too many at once",
    500: "A fault of Rookery",
    503: "Not available at the moment",
}


class Problem(Struct, frozen=True):
    """RFC 9457: what went wrong (`code` is stable), what to do next, and all that is wrong with what was sent."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    action: str
    request_id: str
    errors: list[Fault] | UnsetType = UNSET
    more_errors: int | UnsetType = UNSET


def faults_of(error: RookeryError) -> list[Fault]:
    """Every fault of an error, those about files as well."""
    told = list(error.faults)
    for notice in error.notices:
        place = f"{notice.file}:{notice.line or ''}:{notice.column or ''}".rstrip(":")
        told.append(Fault(place, notice.code, notice.message, notice.remedy))
    return told


def problem_of(error: RookeryError, scope: Any) -> Response:
    """The reply that tells an error. scope: of the request, with its `request_id`."""
    faults, family = faults_of(error), family_of(scope["path"])
    document = Problem(
        type=(family and family.problem_type(error)) or f"/problems/{error.code}",
        title=TITLES.get(error.status, "Problem"),
        status=error.status,
        detail=error.what,
        code=error.code,
        action=error.action,
        request_id=scope["request_id"],
        errors=faults[:MOST_FAULTS] or UNSET,
        more_errors=len(faults) - MOST_FAULTS if len(faults) > MOST_FAULTS else UNSET,
    )
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, Later) else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(document), status_code=error.status, media_type=MEDIA, headers=headers)
