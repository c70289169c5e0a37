"""Named queries: asked once, kept, and answered by their name; epcis/subscriptions.py has them told as events come."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta, Struct

from rookery.base.audit import note
from rookery.base.jsonb import jsonb
from rookery.base.operations import Context, Replied, operation
from rookery.base.webhooks import endpoints
from rookery.flows.epcis.asking import WHO, refused
from rookery.flows.epcis.events import EPC_FORMAT, Document, EpcFormat, answered, texts_of
from rookery.flows.epcis.paging import PAGED, PerPage, Place, Token, begin, onward
from rookery.terms.errors import Conflict, NotFound
from rookery.terms.notice import Fault
from rookery.tracking import subscriptions
from rookery.tracking.query_parameters import parse

SUBSCRIBING = (
    "stream", "second", "minute", "hour", "dayOfMonth", "month", "dayOfWeek", "reportIfEmpty", "initialRecordTime",
)  # fmt: skip
"""Parameters with which the standard subscribes to a named query."""
RESERVED = "SimpleEventQuery"

QueryName = Annotated[
    str,
    Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["arrivals"]),
]


class NewQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """A name, and the query that it stands for from now on."""

    name: QueryName
    query: Annotated[
        dict[str, Any],
        Meta(
            description="Parameters of a simple event query.",
            examples=[{"eventType": ["ObjectEvent"], "EQ_bizStep": ["shipping", "receiving"]}],
        ),
    ]


class KeptQuery(Struct, frozen=True):
    """A named query."""

    name: str
    query: dict[str, Any]


@operation(
    "epcis.queries.create", kind="command", http="POST /epcis/queries", scope=WHO, status=201, idempotent=False,
    reply_headers={"Location": "Where the query is."},
)  # fmt: skip
def create_query(ctx: Context, ask: NewQuery) -> Replied[KeptQuery]:
    """Name a query. Names are a party's own: another party's are never in the way."""
    _, faults = parse(ask.query, "$.query")
    if faults:
        raise refused(faults)
    made = ctx.conn.execute(
        "insert into tracking.queries (party_id, test, name, query, created_at) values (%s, %s, %s, %s, %s)"
        " on conflict do nothing",
        (ctx.who.party_id, ctx.who.test, ask.name, jsonb(ask.query), ctx.clock.now()),
    )
    if made.rowcount == 0 or ask.name == RESERVED:
        what = (
            "A query of yours has this name already." if ask.name != RESERVED else "The standard's query is named so."
        )
        raise Conflict("epcis.ResourceAlreadyExistsException", what, "choose another name, or delete that one first")
    note(ctx, "epcis.queries.create", ask.name)
    return Replied(KeptQuery(ask.name, ask.query), {"Location": path_of(ask.name)})


class WhichQueries(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of named queries, by name."""

    perPage: PerPage = 30
    nextPageToken: Token = ""


@operation("epcis.queries.list", kind="query", http="GET /epcis/queries", scope=WHO, reply_headers=PAGED)
def list_queries(ctx: Context, ask: WhichQueries) -> Replied[list[KeptQuery]]:
    """List one's named queries."""
    place = begin(ctx, ask.nextPageToken, "/epcis/queries", {})
    after = place.last[0] if place else ""
    rows = ctx.conn.execute(
        "select name, query from tracking.queries where party_id = %s and test = %s and name > %s"
        " order by name limit %s",
        (ctx.who.party_id, ctx.who.test, after, ask.perPage + 1),
    ).fetchall()
    kept = [KeptQuery(name, query) for name, query in rows[: ask.perPage]]
    more = Place([kept[-1].name]) if len(rows) > ask.perPage else None
    return Replied(kept, onward(ctx, "/epcis/queries", {}, ask.perPage, more))


class OneQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a query."""

    query_name: QueryName


@operation("epcis.queries.get", kind="query", http="GET /epcis/queries/{query_name}", scope=WHO)
def get_query(ctx: Context, ask: OneQuery) -> KeptQuery:
    """Look a named query up."""
    return kept_query(ctx, ask.query_name)


@operation(
    "epcis.queries.delete", kind="command", http="DELETE /epcis/queries/{query_name}", scope=WHO, status=204,
    idempotent=False,
)  # fmt: skip
def delete_query(ctx: Context, ask: OneQuery) -> Replied[None]:
    """Forget a named query, and end the subscriptions to it; its events stay."""
    conn, who = ctx.conn, ctx.who
    subscriptions.hold_query(conn, who.party_id, who.test, ask.query_name)
    with ctx.as_system() as system:  # those of a greater key of the same party, too
        for one in subscriptions.of_query(system, who.party_id, who.test, ask.query_name):
            subscriptions.remove(system, one.subscription_id)
            endpoints.remove(system, one.endpoint_id)
    gone = ctx.conn.execute(
        "delete from tracking.queries where party_id = %s and test = %s and name = %s",
        (ctx.who.party_id, ctx.who.test, ask.query_name),
    )
    if gone.rowcount == 0:
        raise _none(ask.query_name)
    note(ctx, "epcis.queries.delete", ask.query_name)
    return Replied(None)


class EventsOfQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of the events that a named query finds."""

    query_name: QueryName
    parameters: dict[str, list[str]] = {}
    perPage: PerPage = 30
    nextPageToken: Token = ""
    epc_format: EpcFormat = "Always_GS1_Digital_Link"


@operation(
    "epcis.queries.events", kind="query", http="GET /epcis/queries/{query_name}/events", scope=WHO,
    headers=EPC_FORMAT, open_query="parameters", reply_headers=PAGED, example={"query_name": "arrivals"},
)  # fmt: skip
def events_of_query(ctx: Context, ask: EventsOfQuery) -> Replied[Document]:
    """List the events that a named query finds now.

    The query stands as it was named: nothing is added to it here. To be told what comes, subscribe to it; WebSockets
    are not offered.
    """
    asked = texts_of(ask.parameters)
    if asked:
        raise refused([_taken_for(name) for name in asked])
    kept = kept_query(ctx, ask.query_name)
    query, faults = parse(kept.query, "$.query")
    if faults:
        raise refused(faults)
    return answered(
        ctx, f"{path_of(ask.query_name)}/events", {}, ask, known=(query, kept.query), query_name=ask.query_name
    )


def _taken_for(name: str) -> Fault:
    if name in SUBSCRIBING:
        what = "nothing is subscribed to here, and WebSockets are not offered"
        remedy = "subscribe with a URL of yours: POST /epcis/queries/{query_name}/subscriptions"
        return Fault(f"query.{name}", "not_offered", what, remedy)
    return Fault(f"query.{name}", "unknown_parameter", "a named query stands as it is", "name another query")


def path_of(name: str) -> str:
    """Where a named query is."""
    return f"/epcis/queries/{quote(name, safe='')}"


def kept_query(ctx: Context, name: str) -> KeptQuery:
    """A named query of the asker's. Raises NotFound (NoSuchNameException)."""
    row = ctx.conn.execute(
        "select name, query from tracking.queries where party_id = %s and test = %s and name = %s",
        (ctx.who.party_id, ctx.who.test, name),
    ).fetchone()
    if row is None:
        raise _none(name)
    return KeptQuery(*row)


def _none(name: str) -> NotFound:
    return NotFound("epcis.NoSuchNameException", "You have no query of this name.", "list yours: GET /epcis/queries")
