"""What an EPCIS repository holds, as lists to go down from: words, places and things, and the events of each."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from msgspec import Meta, Struct

from rookery.base.operations import Context, Replied, operation
from rookery.flows.epcis.asking import WHO, Collection, bounded, collection, refused, sight_of
from rookery.flows.epcis.events import EPC_FORMAT, Document, EpcFormat, answered, texts_of
from rookery.flows.epcis.paging import PAGED, PerPage, Place, Token, begin, onward
from rookery.terms.errors import NotFound
from rookery.tracking import known, queries
from rookery.tracking.query_parameters import parse
from rookery.tracking.query_terms import Query, Term

TOP = ("events", "eventTypes", "epcs", "bizSteps", "bizLocations", "readPoints", "dispositions", "capture", "queries")


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is asked."""


@operation("epcis.resources.list", kind="query", http="GET /epcis", scope=WHO)
def list_resources(ctx: Context, ask: Nothing) -> Collection:
    """List what there is under /epcis."""
    return collection([*TOP])


class WhichValues(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of values, in the order of their letters."""

    perPage: PerPage = 30
    nextPageToken: Token = ""


class OneValue(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a value, percent-encoded."""

    value: Annotated[str, Meta(min_length=1, max_length=2000)]


class EventsOfValue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of the events that have a value and fit all further parameters of a simple event query."""

    value: Annotated[str, Meta(min_length=1, max_length=2000)]
    parameters: dict[str, list[str]] = {}
    perPage: PerPage = 30
    nextPageToken: Token = ""
    epc_format: EpcFormat = "Always_GS1_Digital_Link"


class Resource(Struct, frozen=True):
    """A list under /epcis: its place, what its values are, their column, and the parameter that asks for one."""

    place: str
    values: str
    column: str
    parameter: str
    example: str


RESOURCES = (
    Resource("eventTypes", "types of event", "type", "eventType", "ObjectEvent"),
    Resource("epcs", "things", known.EPC, "MATCH_anyEPC", "https://id.gs1.org/00/095200000000000004"),
    Resource("bizSteps", "business steps", "biz_step", "EQ_bizStep", "arriving"),
    Resource("bizLocations", "business locations", "biz_location", "EQ_bizLocation", "urn:rookery:node:HUB"),
    Resource("readPoints", "read points", "read_point", "EQ_readPoint", "urn:rookery:node:HUB"),
    Resource("dispositions", "dispositions", "disposition", "EQ_disposition", "in_transit"),
)


def _enter(resource: Resource) -> None:
    """Enters the three acts of a resource into the table."""
    path, name = f"/epcis/{resource.place}", f"epcis.{resource.place}"

    def listed(ctx: Context, ask: WhichValues) -> Replied[Collection]:
        place = begin(ctx, ask.nextPageToken, path, {})
        after = place.last[0] if place else ""
        with bounded(ctx):
            found = known.known(ctx.conn, resource.column, sight_of(ctx), ask.perPage + 1, after)
        told = found[: ask.perPage]
        more = Place([told[-1]]) if len(found) > len(told) else None
        return Replied(collection(told), onward(ctx, path, {}, ask.perPage, more))

    def one(ctx: Context, ask: OneValue) -> Collection:
        _refuse_unknown(ctx, _term(resource, ask.value))
        return collection(["events"])

    def events(ctx: Context, ask: EventsOfValue) -> Replied[Document]:
        term = _term(resource, ask.value)
        where = f"{path}/{quote(ask.value, safe='')}/events"
        replied = answered(ctx, where, texts_of(ask.parameters), ask, also=[term])
        if not replied.reply["epcisBody"]["queryResults"]["resultsBody"]["eventList"]:
            _refuse_unknown(ctx, term)
        return replied

    listed.__doc__ = f"""List the {resource.values} in the events that one captured, and in those of parcels one ships.

    Those who run the network see all of them."""
    one.__doc__ = f"""List what is known of one of the {resource.values}: its events.

    One that stands in no event which the asker may see is answered as one that does not exist."""
    events.__doc__ = f"""List the events of one of the {resource.values}.

    Takes the parameters of a simple event query, as GET /epcis/events does, and shows of each event what the asker may
    see."""
    example = {"value": resource.example}
    operation(f"{name}.list", kind="query", http=f"GET {path}", scope=WHO, reply_headers=PAGED)(listed)
    operation(f"{name}.get", kind="query", http=f"GET {path}/{{value}}", scope=WHO, example=example)(one)
    operation(
        f"{name}.events", kind="query", http=f"GET {path}/{{value}}/events", scope=WHO, headers=EPC_FORMAT,
        open_query="parameters", reply_headers=PAGED, example=example,
    )(events)  # fmt: skip


def _term(resource: Resource, value: str) -> Term:
    """The value as a query asks for it. Raises Unreadable where it cannot be asked for."""
    query, faults = parse({resource.parameter: [value]}, "path")
    if faults:
        raise refused(faults)
    return query.terms[0]


def _refuse_unknown(ctx: Context, term: Term) -> None:
    """Raises NotFound where the asker sees no event with it."""
    with bounded(ctx):
        found = queries.page(ctx.conn, Query((term,)), sight_of(ctx), 1)
    if not found.events:
        what = "There is nothing of this name."
        raise NotFound("epcis.NoSuchResourceException", what, "see what there is: GET /epcis and the lists under it")


for _resource in RESOURCES:
    _enter(_resource)
