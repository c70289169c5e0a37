"""Events asked for: by the standard's simple event query, and by their ids; each asker sees what it may see of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from rookery.base.operations import Context, Replied, operation
from rookery.flows.epcis.asking import WHO, bounded, refused, sight_of
from rookery.flows.epcis.paging import PAGED, PerPage, Place, Token, begin, is_good, onward
from rookery.terms.errors import NotAcceptable, NotFound, TooLarge
from rookery.terms.notice import Fault
from rookery.tracking import queries
from rookery.tracking.epcis.documents import document_of
from rookery.tracking.queries import Sight
from rookery.tracking.query_parameters import parse
from rookery.tracking.query_terms import EventIds, Query, Term
from rookery.tracking.reading import Format, event_of

Document = dict[str, Any]
EpcFormat = Annotated[
    Literal["No_Preference", "Always_GS1_Digital_Link", "Always_EPC_URN", "Never_Translates"],
    Meta(description="How identifiers are written: EPC URNs as GS1 Digital Links, or all as they were sent."),
]
EPC_FORMAT = {"GS1-EPC-Format": "epc_format"}
MOST_OF_ONE_ID = 1000


class WhichEvents(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of the events that fit all parameters of a simple event query: EQ_bizStep, MATCH_epc, GE_eventTime ..."""

    parameters: dict[str, list[str]] = {}
    perPage: PerPage = 30
    nextPageToken: Token = ""
    epc_format: EpcFormat = "Always_GS1_Digital_Link"


@operation(
    "epcis.events.list", kind="query", http="GET /epcis/events", scope=WHO, headers=EPC_FORMAT,
    open_query="parameters", reply_headers=PAGED, example={},
)  # fmt: skip
def list_events(ctx: Context, ask: WhichEvents) -> Replied[Document]:
    """List events that fit a simple event query, newest first unless `orderBy` says otherwise.

    Takes the parameters of EPCIS 2.0, section 8.2.7.1; lists are separated by `|`. A party finds the events it captured
    and those of parcels it ships; a courier, a station or customs find others' events of parcels granted to them when
    they ask by the thing (`MATCH_epc`, `MATCH_anyEPC` ...). Of an event each sees only the EPCs it may see; where some
    are hidden, quantities are left out and the event's hash is not told. Classes (`MATCH_epcClass` ...) are found in
    the events of whoever captured them. Units are compared, not converted; attributes of master data are not kept, so
    that HASATTR and EQATTR find nothing.
    """
    return answered(ctx, "/epcis/events", texts_of(ask.parameters), ask)


class OneEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names an event: by the id it was sent with, by its hash, or by the id that it was shown with."""

    event_id: Annotated[str, Meta(max_length=2000, examples=["urn:uuid:6f0a3a2e-5d2c-4c3e-9c39-2f4b8f0f8a11"])]
    epc_format: EpcFormat = "Always_GS1_Digital_Link"


@operation("epcis.events.get", kind="query", http="GET /epcis/events/{event_id}", scope=WHO, headers=EPC_FORMAT)
def get_event(ctx: Context, ask: OneEvent) -> Document:
    """Look an event up, with the declarations that it was an error.

    An event that the asker may not see is answered as one that does not exist.
    """
    form = format_of(ask.epc_format)
    with bounded(ctx):
        found = queries.page(ctx.conn, Query((EventIds((ask.event_id,)),)), sight_of(ctx), MOST_OF_ONE_ID)
    if not found.events:
        raise NotFound("epcis.NoSuchResourceException", "There is no such event.", "list yours: GET /epcis/events")
    return document_of([event_of(one, form) for one in found.events], created_at=ctx.clock.now())


class OneToken(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a page's token."""

    token: Token


@operation(
    "epcis.pages.end", kind="command", http="DELETE /epcis/nextPageToken/{token}", scope=WHO, status=204,
    idempotent=False,
)  # fmt: skip
def end_page(ctx: Context, ask: OneToken) -> Replied[None]:
    """Give a page's token back.

    Nothing is held for it here, so that nothing is freed: it goes out of use by itself within the hour.
    """
    if not is_good(ctx, ask.token):
        what = "There is no such token, or it has expired."
        raise NotFound("epcis.NoSuchResourceException", what, "nothing is left to do")
    return Replied(None)


def texts_of(parameters: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Parameters that stand once each. Raises Unreadable with every one that does not."""
    what, remedy = "it stands twice", "give it once; a list is a|b"
    faults = [
        Fault(f"query.{name}", "given_twice", what, remedy) for name, given in parameters.items() if len(given) > 1
    ]
    if faults:
        raise refused(faults)
    return {name: given[0] for name, given in parameters.items()}


def answered(
    ctx: Context,
    path: str,
    asked: Mapping[str, str],
    ask: Any,
    *,
    also: Sequence[Term] = (),
    known: tuple[Query, Mapping[str, Any]] | None = None,
    query_name: str | None = None,
) -> Replied[Document]:
    """A page of events. ask: with perPage, nextPageToken and epc_format; also: what the path says;
    known: a checked query and its parameters, instead of asked ones.

    Raises NotAcceptable, Unreadable with every fault, TooLarge.
    """
    form = format_of(ask.epc_format)
    query, faults = (known[0], []) if known else parse(asked)
    if faults:
        raise refused(faults)
    query = msgspec.structs.replace(query, terms=(*also, *query.terms))
    bound = {**asked, "query": known[1]} if known else asked
    place = begin(ctx, ask.nextPageToken, path, bound)
    left = query.first if place is None else place.left
    limit = ask.perPage if left is None else min(ask.perPage, left)
    with bounded(ctx):
        if place is None:
            _refuse_too_many(ctx, query, sight_of(ctx))
        page = queries.page(ctx.conn, query, sight_of(ctx), limit, place and place.last)
    left = None if left is None else left - len(page.events)
    following = None if page.last is None or left == 0 else Place(page.last, left)
    told = [event_of(one, form) for one in page.events]
    document = document_of(told, created_at=ctx.clock.now(), query_name=query_name)
    return Replied(document, onward(ctx, path, bound, ask.perPage, following))


def _refuse_too_many(ctx: Context, query: Query, sight: Sight) -> None:
    if query.most is not None and queries.exceeds(ctx.conn, query, sight, query.most):
        what = f"More than {query.most} events fit the query."
        raise TooLarge("epcis.QueryTooLargeException", what, "ask for a shorter time, or raise maxEventCount")


def format_of(asked: str) -> Format:
    """How identifiers are to be written. Raises NotAcceptable for what is not made here."""
    if asked == "Always_EPC_URN":
        what = "Identifiers are kept as they were sent; a GS1 Digital Link does not say how long its company prefix is,"
        what += " so that it cannot be made an EPC URN."
        fault = Fault("header.GS1-EPC-Format", "not_taken", "EPC URNs are not made here", "ask for Never_Translates")
        action = "ask for Always_GS1_Digital_Link, or Never_Translates to have what was sent"
        raise NotAcceptable("epcis.NotAcceptableException", what, action, faults=[fault])
    return asked  # type: ignore[return-value]
