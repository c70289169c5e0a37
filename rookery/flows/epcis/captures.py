"""Events handed in under /epcis: documents of them, at once or by a job that tells what came of it, or single ones."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

import psycopg
from msgspec import Meta, Struct
from psycopg import errors as pg

from rookery.base import jobs
from rookery.base.jsonb import jsonb
from rookery.base.operations import MEBIBYTE, Context, Replied, Who, operation
from rookery.flows.capturing import standing_of, take
from rookery.flows.epcis.asking import WHO
from rookery.flows.epcis.paging import PAGED, PerPage, Place, Token, begin, onward
from rookery.terms.errors import InvalidInput, Later, NotFound, RookeryError, TooLarge, Unreadable
from rookery.terms.ids import new_id
from rookery.terms.notice import Fault
from rookery.tracking.capture import NONE, instant
from rookery.tracking.epcis.contexts import Names
from rookery.tracking.epcis.documents import Sent, events_of, read_json
from rookery.tracking.epcis.hashing import event_hash, ni
from rookery.tracking.epcis.schema import document_faults, xml_faults
from rookery.tracking.epcis.xml import read_xml

MOST_EVENTS = 10_000
MOST_BYTES = 16 * MEBIBYTE
AT_ONCE = 2 * MEBIBYTE
"""Documents up to this size are captured while their sender waits, unless it would rather not."""
MEDIA = "application/json, application/ld+json, application/xml, text/xml"
_SCOPES = (("operator", 2), ("courier", 1), ("merchant", 0))

Behaviour = Literal["rollback", "proceed"]


class NotValid(InvalidInput):
    """A document that is not as EPCIS 2.0 wants it: with status 400 there."""

    status = 400


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """An EPCIS document as its bytes."""

    content: bytes
    media: str = ""
    behaviour: Annotated[str, Meta(pattern="^(rollback|proceed)$")] = "rollback"
    prefer: Annotated[str, Meta(max_length=200)] = ""


@operation(
    "epcis.capture", kind="command", http="POST /epcis/capture", scope=WHO, status=202, body=MEDIA,
    most_bytes=MOST_BYTES, idempotent=False,
    headers={"GS1-Capture-Error-Behaviour": "behaviour", "Prefer": "prefer"},
    reply_headers={"Location": "The capture job, which tells what came of it."},
)  # fmt: skip
def capture(ctx: Context, ask: Document) -> Replied[None]:
    """Capture events.

    An EPCIS 2.0 document in JSON-LD or XML. Documents of up to 2 MiB are captured at once, unless
    `Prefer: respond-async` is sent; larger ones by a job. Either way the answer names the job to look at. `rollback`
    (the default): a document with one fault is captured not at all; `proceed`: its good events are. XML that is not as
    the XML binding has it (an element of another name, a time that is none) is captured not at all either way, and told
    with all faults; what else is wrong with an event in XML is left out as in JSON. The same event sent again is no
    second event.
    """
    now, who = ctx.clock.now(), ctx.who
    capture_id = new_id("cap", now)
    at_once = len(ask.content) <= AT_ONCE and "respond-async" not in ask.prefer.lower()
    behaviour: Behaviour = "proceed" if ask.behaviour == "proceed" else "rollback"
    ctx.conn.execute(
        "insert into tracking.captures (capture_id, party_id, test, created_at, running, success, behaviour, standing,"
        " media, content) values (%s, %s, %s, %s, true, true, %s, %s, %s, %s)",
        (
            capture_id, who.party_id, who.test, now, behaviour, standing_of(who), ask.media,
            None if at_once else ask.content,
        ),
    )  # fmt: skip
    if at_once:
        _finish(ctx, capture_id, behaviour, *read_document(ask.content, ask.media, proceed=behaviour == "proceed"))
    else:
        jobs.defer(ctx.conn, CAPTURE, capture_id=capture_id, test=str(who.test))
    return Replied(None, {"Location": f"/epcis/capture/{capture_id}"})


CAPTURE = "tracking.capture"


@jobs.task(CAPTURE)
def capture_later(desk: jobs.Desk, capture_id: str, test: str) -> None:
    """The job: read a document that was handed in, and capture its events. Done again after a crash, none is twice.

    Whatever keeps the document from being captured ends the job with success: false, but for what passes by itself
    (Later): then it is done again. After a fault of the program the document is kept: an operator can have it done
    again.
    """
    mode = test == "True"
    with desk.context(mode) as ctx:
        row = ctx.conn.execute(
            "select party_id, standing, behaviour, media, content from tracking.captures"
            " where capture_id = %s and content is not null",
            (capture_id,),
        ).fetchone()
    if row is None:
        return
    party_id, standing, behaviour, media, content = row
    party = Who(party_id, "key_system", frozenset(scope for scope, word in _SCOPES if word == standing), mode)
    try:
        with Context(desk.database, desk.clock, party, desk.parts) as ctx:
            _finish(ctx, capture_id, behaviour, *read_document(bytes(content), media, proceed=behaviour == "proceed"))
    except Later:
        raise
    except Exception as fault:
        its_own = isinstance(fault, (RookeryError, *_REFUSED))
        with desk.context(mode) as ctx:
            _give_up(ctx, capture_id, faults_of(fault), keep=not its_own)
        if not its_own:
            raise  # a fault of the program: told to its sender as one, and to who runs it


_REFUSED = (psycopg.DataError, pg.CheckViolation, pg.ProgramLimitExceeded, pg.StatementTooComplex)
"""What PostgreSQL says of values that it cannot keep."""


def faults_of(fault: Exception) -> list[Fault]:
    """What a sender is told of why nothing of its document was captured: never the text of an error that is not ours,
    which may hold values.
    """
    if isinstance(fault, RookeryError):
        return list(fault.faults) or [Fault("$", fault.code, fault.what.rstrip("."), fault.action)]
    if isinstance(fault, _REFUSED):
        what = "a value in it cannot be kept"
        return [Fault("$", "cannot_be_kept", what, "look for absurd numbers, times, lengths and characters")]
    return [Fault("$", "internal", "it could not be captured", "send it again, and tell who runs this if that fails")]


def read_document(content: bytes, media: str, proceed: bool = False) -> tuple[list[Sent], list[Fault]]:
    """The events of a document, and the faults of those that are left out, where it may go on without them.

    Raises NotValid with every fault, TooLarge, and Unreadable for what is no document at all.
    """
    as_xml = "xml" in media
    document = read_xml(content) if as_xml else _json(content)
    if not isinstance(document, dict):
        raise NotValid("epcis.ValidationException", "That is no EPCIS document.", "send an EPCISDocument")
    faults = xml_faults(document) if as_xml else document_faults(document)
    if document.get("type") not in ("EPCISDocument", "EPCISQueryDocument"):
        at = Fault(
            "$.type", "not_a_document", "neither EPCISDocument nor EPCISQueryDocument", "send bare events to /events"
        )
        raise NotValid("epcis.ValidationException", "That is no EPCIS document.", "send an EPCISDocument", faults=[at])
    bad = {match[0] for fault in faults if (match := _EVENT.match(fault.at))}
    if faults and not (proceed and all(_EVENT.match(fault.at) for fault in faults)):
        what = f"The document has {'one fault' if len(faults) == 1 else f'{len(faults)} faults'}."
        action = "mend what the faults name and send it again"
        raise NotValid("epcis.ValidationException", what, action, faults=faults)
    sent = events_of(document)
    if len(sent) > MOST_EVENTS:
        what = f"{len(sent)} events are more than the {MOST_EVENTS} that are taken at once."
        raise TooLarge("epcis.CaptureLimitExceededException", what, "send them in several documents")
    return [one for one in sent if one.at not in bad], faults


def _json(content: bytes) -> Any:
    """As read_json, in plain words where a document ends too early or holds half a character."""
    try:
        return read_json(content)
    except Unreadable as fault:
        early, half = "truncated" in fault.what, "surrogate" in fault.what
        if not early and not half:
            raise
        half = half or b"\\ud" in content.lower()
        what = "ends before it is complete" if early else ""
        if half:
            what += " or " * early + "holds half a character: an escape \\ud800 to \\udfff without its other half"
        raise Unreadable(fault.code, f"The document {what}.", "send one whole JSON document") from fault


_EVENT = re.compile(r"\$\.epcisBody\.(?:eventList|queryResults\.resultsBody\.eventList)\[\d+\]")


def _finish(ctx: Context, capture_id: str, behaviour: str, sent: list[Sent], faults: list[Fault]) -> None:
    """Capture what was read, and write into the job what came of it."""
    whole = behaviour == "rollback"
    taken = take(ctx, [] if whole and faults else sent, capture_id=capture_id, whole=whole)
    faults = [*faults, *taken.faults]
    ctx.conn.execute(
        "update tracking.captures set running = false, success = %s, events = %s, added = %s, errors = %s,"
        " finished_at = %s, content = null where capture_id = %s",
        (not faults, len(sent), taken.added, jsonb(faults), ctx.clock.now(), capture_id),
    )


def _give_up(ctx: Context, capture_id: str, faults: list[Fault], keep: bool) -> None:
    """Write into the job that nothing was captured, and why; the document itself is kept or goes."""
    ctx.conn.execute(
        "update tracking.captures set running = false, success = false, errors = %s, finished_at = %s,"
        " content = case when %s then content end where capture_id = %s and content is not null",
        (jsonb(faults), ctx.clock.now(), keep, capture_id),
    )


CaptureId = Annotated[str, Meta(max_length=40, examples=["cap_01m8hyvan558x4225mfmdh7nwt"])]


class OneCapture(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a capture job."""

    captureID: CaptureId


class CaptureError(Struct, frozen=True, omit_defaults=True):
    """One thing that was wrong, as a problem; `instance`: where."""

    type: str
    title: str
    detail: str
    instance: str
    status: int = 400


class CaptureJob(Struct, frozen=True):
    """What came of a capture. events: how many were in the document, added: how many of them were not known before."""

    captureID: str
    createdAt: datetime
    finishedAt: datetime | None
    running: bool
    success: bool
    captureErrorBehaviour: Behaviour
    events: int
    added: int
    errors: list[CaptureError]


_JOB = (
    "select capture_id, created_at, finished_at, running, success, behaviour, events, added, errors"
    " from tracking.captures"
)


@operation("epcis.captures.get", kind="query", http="GET /epcis/capture/{captureID}", scope=WHO)
def get(ctx: Context, ask: OneCapture) -> CaptureJob:
    """Look a capture job up."""
    row = ctx.conn.execute(f"{_JOB} where capture_id = %s".encode(), (ask.captureID,)).fetchone()
    if row is None:
        raise NotFound(
            "epcis.NoSuchResourceException", "There is no such capture job.", "list yours: GET /epcis/capture"
        )
    return _job(row)


class WhichCaptures(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of capture jobs, newest first."""

    perPage: PerPage = 30
    nextPageToken: Token = ""


@operation(
    "epcis.captures.list", kind="query", http="GET /epcis/capture", scope=WHO, reply_headers=PAGED
)  # fmt: skip
def list_captures(ctx: Context, ask: WhichCaptures) -> Replied[list[CaptureJob]]:
    """List your capture jobs, newest first."""
    place = begin(ctx, ask.nextPageToken, "/epcis/capture", {})
    rows = ctx.conn.execute(
        f"{_JOB} where capture_id < %s and test = %s order by capture_id desc limit %s".encode(),
        (place.last[0] if place else "~", ctx.who.test, ask.perPage + 1),
    ).fetchall()
    shown = [_job(row) for row in rows[: ask.perPage]]
    more = Place([shown[-1].captureID], None) if len(rows) > ask.perPage else None
    return Replied(shown, onward(ctx, "/epcis/capture", {}, ask.perPage, more))


def _job(row: tuple[Any, ...]) -> CaptureJob:
    capture_id, created, finished, running, success, behaviour, events, added, errors = row
    told = [
        CaptureError("epcisException:ValidationException", fault["code"], _sentence(fault), fault["at"])
        for fault in errors
    ]
    return CaptureJob(capture_id, created, finished, running, success, behaviour, events, added, told)


def _sentence(fault: dict[str, Any]) -> str:
    remedy = fault.get("remedy")
    return f"{fault['message']}; {remedy}" if remedy else fault["message"]


class OneEvent(Struct, frozen=True, forbid_unknown_fields=True):
    """A bare EPCIS event as its bytes."""

    content: bytes
    media: str = ""


@operation(
    "epcis.events.create", kind="command", http="POST /epcis/events", scope=WHO, status=201, body=MEDIA,
    idempotent=False, reply_headers={"Location": "The event."},
)  # fmt: skip
def create_event(ctx: Context, ask: OneEvent) -> Replied[None]:
    """Capture one event, at once.

    The event sent again is the same event, and answered alike: also under another eventID, by that which it came with
    first.
    """
    as_xml = "xml" in ask.media
    event = read_xml(ask.content) if as_xml else _json(ask.content)
    judge = xml_faults if as_xml else document_faults
    faults = judge(event) if isinstance(event, dict) else [Fault("$", "not_an_event", "no JSON object")]
    sent = [] if faults else events_of(event)
    if not faults and len(sent) != 1:
        faults = [Fault("$", "not_an_event", f"a document of {len(sent)} events", "send documents to /epcis/capture")]
    if not faults:
        faults = take(ctx, sent, whole=True).faults
    if faults:
        raise NotValid("epcis.ValidationException", "That is no event.", "mend it and send it again", faults=faults)
    return Replied(None, {"Location": f"/epcis/events/{quote(_kept_as(ctx, sent[0]), safe='')}"})


def _kept_as(ctx: Context, sent: Sent) -> str:
    """The id of an event that was captured, now or before; as sent where it lies in the archive."""
    digest, declaration = event_hash(sent.event, Names.of(sent.context)), sent.event.get("errorDeclaration")
    row = ctx.conn.execute(
        "select event_id from tracking.events where hash = %s and event_at = %s and declared_at = %s"
        " and party_id = %s and test = %s",
        (
            digest, instant(sent.event["eventTime"]), instant(declaration["declarationTime"]) if declaration else NONE,
            ctx.who.party_id, ctx.who.test,
        ),
    ).fetchone()  # fmt: skip
    return (row[0] if row else sent.event.get("eventID")) or ni(digest)
