"""Acts that only tests know, under a family's path, served without a database: `python trial_acts.py PORT`.

Never imported by a test: here the table holds these acts alone, in a process of their own.
"""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from granian import Granian  # type: ignore[attr-defined]
from granian.constants import Interfaces
from msgspec import Meta, Struct, field

import rookery.app  # noqa: F401  # its acts come first, so that they can go
from rookery.base.clock import WALL
from rookery.base.operations import OPERATIONS, PUBLIC, Context, Replied, operation
from rookery.terms.errors import Conflict, InvalidInput, NotFound

OPERATIONS.clear()
Format = Literal["No_Preference", "Never_Translates"]


class Capture(Struct, frozen=True, forbid_unknown_fields=True):
    content: bytes
    media: str = ""
    behaviour: Annotated[str, Meta(pattern="^(rollback|proceed)$")] = "rollback"


class Captured(Struct, frozen=True):
    size: int
    media: str
    behaviour: str


class Find(Struct, frozen=True, forbid_unknown_fields=True):
    epc: Annotated[str, Meta(max_length=2000)] = ""
    form: Format = "No_Preference"
    per_page: Annotated[int, Meta(ge=1, le=100)] = field(default=30, name="perPage")
    parameters: dict[str, list[str]] = field(default_factory=dict)


class Found(Struct, frozen=True):
    epc: str
    form: str
    per_page: int
    parameters: dict[str, list[str]]


class Define(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=40)]
    form: Format | None = None


class Defined(Struct, frozen=True):
    name: str
    form: str | None


class Named(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=40)]


@operation(
    "trial.capture", kind="command", http="POST /epcis/capture", scope=PUBLIC, status=202, idempotent=False,
    body="application/json, application/ld+json, application/xml, text/xml", most_bytes=4096,
    headers={"GS1-Capture-Error-Behaviour": "behaviour"}, reply_headers={"Location": "Where it is told how it went."},
)  # fmt: skip
def capture(ctx: Context, ask: Capture) -> Replied[Captured]:
    """Take a document."""
    return Replied(Captured(len(ask.content), ask.media, ask.behaviour), {"Location": "/epcis/capture/1"})


def _found(ask: Find) -> Replied[Found]:
    more = {"Link": '</epcis/events?nextPageToken=2>; rel="next"'} if "more" in ask.parameters else {}
    return Replied(Found(ask.epc, ask.form, ask.per_page, ask.parameters), more)


@operation(
    "trial.events", kind="query", http="GET /epcis/events", scope=PUBLIC, headers={"GS1-EPC-Format": "form"},
    open_query="parameters", reply_headers={"Link": "The next page."},
)  # fmt: skip
def events(ctx: Context, ask: Find) -> Replied[Found]:
    """Find events."""
    return _found(ask)


@operation(
    "trial.epc_events", kind="query", http="GET /epcis/epcs/{epc}/events", scope=PUBLIC, open_query="parameters",
    headers={"GS1-EPC-Format": "form"}, reply_headers={"Link": "The next page."},
)  # fmt: skip
def epc_events(ctx: Context, ask: Find) -> Replied[Found]:
    """Find the events of a thing."""
    return _found(ask)


@operation(
    "trial.define", kind="command", http="POST /epcis/queries", scope=PUBLIC, status=201, idempotent=False,
    headers={"GS1-EPC-Format": "form"}, reply_headers={"Location": "The query."}, other_statuses={200: "It was there."},
)  # fmt: skip
def define(ctx: Context, ask: Define) -> Replied[Defined]:
    """Name a query."""
    if ask.name == "taken":
        raise Conflict("epcis.ResourceAlreadyExistsException", "The name is taken.", "choose another")
    if ask.name == "bare":
        raise InvalidInput("epcis.bare", "That is no name.", "choose another")
    status = 200 if ask.name == "again" else None
    return Replied(Defined(ask.name, ask.form), {"Location": f"/epcis/queries/{ask.name.encode().hex()}"}, status)


@operation(
    "trial.remove", kind="command", http="DELETE /epcis/queries/{name}", scope=PUBLIC, status=204, idempotent=False,
    other_statuses={202: "It will be removed."},
)  # fmt: skip
def remove(ctx: Context, ask: Named) -> Replied[None]:
    """Remove a named query."""
    if ask.name == "none":
        raise NotFound("epcis.NoSuchNameException", "There is no such query.", "see the list of queries")
    return Replied(None, status=202 if ask.name == "later" else None)


@operation("trial.break", kind="query", http="GET /epcis/break", scope=PUBLIC, reply_headers={"Link": "."})
def broken(ctx: Context, ask: Named) -> Replied[Captured]:
    """Answer a header that the mark does not name."""
    return Replied(Captured(0, "", ""), {"X-Other": "1"})


def application():
    """The table of this process behind the door; no act of it needs a database, a worker or parts."""
    from rookery.doors.http.application import build
    from rookery.doors.http.server import Server

    return build(Server(None, WALL, {}))  # type: ignore[arg-type]


if __name__ == "__main__":
    Granian(
        "trial_acts:application", address="127.0.0.1", port=int(sys.argv[1]), interface=Interfaces.ASGI, factory=True,
        websockets=False, log_access=False, log_level="warning",  # type: ignore[arg-type]
    ).serve()  # fmt: skip
