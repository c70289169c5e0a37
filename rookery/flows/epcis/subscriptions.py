"""Public acts about EPCIS subscriptions: a named query told as events come, or at set times (epcis/telling.py)."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

from msgspec import Meta, Struct, structs

from rookery.base.audit import note
from rookery.base.operations import Context, Replied, operation
from rookery.base.signing import Signer
from rookery.base.webhooks import endpoints
from rookery.base.webhooks.signing import sealed_token
from rookery.base.webhooks.targets import Targets
from rookery.flows.epcis.asking import WHO, sight_of
from rookery.flows.epcis.events import EPC_FORMAT, EpcFormat, format_of
from rookery.flows.epcis.paging import PAGED, PerPage, Place, Token, begin, onward
from rookery.flows.epcis.queries import QueryName, kept_query, path_of
from rookery.terms.errors import Conflict, NotFound, Unreadable
from rookery.terms.ids import new_id
from rookery.terms.notice import Fault
from rookery.tracking import subscriptions
from rookery.tracking.schedule import Schedule, faults_of, next_due
from rookery.tracking.subscriptions import KIND, Subscription

BY_COUNT = ("eventCountLimit", "maxEventCount", "orderBy")
"""What a query that is subscribed to cannot ask for: all it finds is told, in the order in which it came."""

SubscriptionId = Annotated[str, Meta(max_length=40, examples=["sub_01m8hyvan558x4225mfmdh7nwt"])]


class NewSubscription(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a named query's events are to be told, and when: with `stream` as they come, else by `schedule`."""

    query_name: QueryName
    dest: Annotated[
        str,
        Meta(
            min_length=1, max_length=2000, description="https, of the public internet. Redirects are not followed.",
            examples=["https://shop.example.com/epcis"],
        ),
    ]  # fmt: skip
    signatureToken: Annotated[
        str | None,
        Meta(description="A secret of yours: `GS1-Signature` is HMAC-SHA256 of the body by it, in hexadecimal."),
    ] = None
    stream: bool = False
    schedule: Schedule | None = None
    reportIfEmpty: Annotated[bool, Meta(description="By schedule: tell also that there was nothing.")] = False
    initialRecordTime: Annotated[
        Annotated[datetime, Meta(tz=True)] | None,
        Meta(description="What was recorded since then is told first; by default nothing."),
    ] = None
    epc_format: EpcFormat = "Always_GS1_Digital_Link"


class TheSubscription(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A subscription. endpoint_id: under this id `/webhooks` tells what came of sending; lastNotifiedAt: when something
    was taken last; minRecordTime: what is told next was recorded since then, at first `initialRecordTime`.
    """

    subscriptionID: str
    queryName: str
    dest: str
    createdAt: datetime
    epcFormat: EpcFormat
    endpoint_id: str
    lastNotifiedAt: datetime | None = None
    initialRecordTime: datetime | None = None
    minRecordTime: datetime
    reportIfEmpty: bool = False
    stream: Literal[True] | None = None
    schedule: Schedule | None = None


@operation(
    "epcis.subscriptions.create", kind="command", http="POST /epcis/queries/{query_name}/subscriptions", scope=WHO,
    status=201, idempotent=False, headers=EPC_FORMAT, reply_headers={"Location": "Where the subscription is."},
    example={"query_name": "arrivals", "dest": "https://shop.example.com/epcis", "stream": True},
)  # fmt: skip
def create_subscription(ctx: Context, ask: NewSubscription) -> Replied[TheSubscription]:
    """Have a named query's events sent to a URL of yours: as they come, or by a schedule in UTC.

    Each event that you may see and the query finds when it comes is sent once, in `EPCISQueryDocument`s of up to 1,000,
    in the order in which events came. What you come to see only later is not sent. Messages are tried again, held back
    and replayed as those of `/webhooks` are, where the subscription's endpoint stands, too.
    """
    format_of(ask.epc_format)
    conn, who, now = ctx.conn, ctx.who, ctx.clock.now()
    subscriptions.hold_query(conn, who.party_id, who.test, ask.query_name)
    _refuse_faults(ask, [*kept_query(ctx, ask.query_name).query], now)
    if endpoints.count_endpoints(conn, who.party_id, who.test) >= endpoints.MOST:
        what = f"You have {endpoints.MOST} endpoints, subscriptions among them, and no more are kept."
        raise Conflict("epcis.SubscriptionControlsException", what, "delete one of them: GET /webhooks lists them")
    sees_all = sight_of(ctx).sees_all
    endpoint_id = endpoints.add_endpoint(
        conn, who.party_id, who.test, ask.dest, [KIND], f"EPCIS: {ask.query_name}"[:200], sees_all, now
    )
    if ask.signatureToken:
        endpoints.sign_also(conn, endpoint_id, sealed_token(ctx.part(Signer), endpoint_id, ask.signatureToken))
    with ctx.as_system() as system:
        place = subscriptions.begin_here(system, who.test)
    new = Subscription(
        subscription_id=new_id("sub", now), party_id=who.party_id, test=who.test, scopes=sorted(who.scopes),
        sees_all=sees_all, query_name=ask.query_name, endpoint_id=endpoint_id, epc_format=ask.epc_format,
        schedule=ask.schedule, report_if_empty=ask.reportIfEmpty, initial_record_time=ask.initialRecordTime,
        created_at=now, begins=place, place=place, recalled_at=ask.initialRecordTime,
        recalled_no=None if ask.initialRecordTime is None else 0,
        due_at=None if ask.schedule is None else next_due(ask.schedule, now), until_place=None, told=False,
    )  # fmt: skip
    subscriptions.add(conn, new)
    note(ctx, "epcis.subscriptions.create", new.subscription_id)
    made = _told(ctx, new)
    return Replied(made, {"Location": f"{_path(ask.query_name)}/{quote(new.subscription_id, safe='')}"})


def _refuse_faults(ask: NewSubscription, parameters: list[str], now: datetime) -> None:
    """Raises Unreadable with all that is wrong with a subscription; parameters: of the query that it is to."""
    faults = [structs.replace(fault, at="$.dest") for fault in Targets.read(os.environ).faults(ask.dest)]
    if ask.stream == (ask.schedule is not None):
        what = "it does not say when to tell" if ask.schedule is None else "there is a schedule, too"
        faults.append(Fault("$.stream", "contradiction", what, "give either `stream`: true or a `schedule`"))
    if ask.schedule is not None:
        faults += faults_of(ask.schedule, now, "$.schedule")
    elif ask.reportIfEmpty:
        what = "as events come, there is always one to tell"
        faults.append(Fault("$.reportIfEmpty", "contradiction", what, "leave it out, or give a schedule"))
    if ask.signatureToken is not None and not 1 <= len(ask.signatureToken) <= 500:
        faults.append(Fault("$.signatureToken", "out_of_range", "it has not 1 to 500 letters", "send a random one"))
    if ask.initialRecordTime is not None and ask.initialRecordTime > now:
        faults.append(Fault("$.initialRecordTime", "out_of_range", "it is still to come", "leave it out"))
    if by_count := [name for name in BY_COUNT if name in parameters]:
        what = f"the query has {', '.join(by_count)}, and all that it finds is told, in the order in which it came"
        faults.append(Fault("path.query_name", "not_taken", what, "name a query without"))
    if faults:
        what = f"This cannot be subscribed to: {'; '.join(fault.message for fault in faults)}."
        raise Unreadable("epcis.SubscriptionControlsException", what, "mend what `errors` lists", faults=faults)


class WhichSubscriptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of the subscriptions to a named query."""

    query_name: QueryName
    perPage: PerPage = 30
    nextPageToken: Token = ""


@operation(
    "epcis.subscriptions.list", kind="query", http="GET /epcis/queries/{query_name}/subscriptions", scope=WHO,
    reply_headers=PAGED, example={"query_name": "arrivals"},
)  # fmt: skip
def list_subscriptions(ctx: Context, ask: WhichSubscriptions) -> Replied[list[TheSubscription]]:
    """List the subscriptions to a named query of one's own, also those whose endpoint is disabled."""
    kept_query(ctx, ask.query_name)
    path, who = _path(ask.query_name), ctx.who
    place = begin(ctx, ask.nextPageToken, path, {})
    after = place.last[0] if place else ""
    rows = subscriptions.of_query(ctx.conn, who.party_id, who.test, ask.query_name, after, ask.perPage + 1)
    told = [_told(ctx, one) for one in rows[: ask.perPage]]
    more = Place([told[-1].subscriptionID]) if len(rows) > ask.perPage else None
    return Replied(told, onward(ctx, path, {}, ask.perPage, more))


class OneSubscription(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a subscription to a named query."""

    query_name: QueryName
    subscription_id: SubscriptionId


@operation(
    "epcis.subscriptions.get", kind="query", http="GET /epcis/queries/{query_name}/subscriptions/{subscription_id}",
    scope=WHO,
)  # fmt: skip
def get_subscription(ctx: Context, ask: OneSubscription) -> TheSubscription:
    """Look a subscription up."""
    return _told(ctx, _find(ctx, ask))


@operation(
    "epcis.subscriptions.delete", kind="command",
    http="DELETE /epcis/queries/{query_name}/subscriptions/{subscription_id}", scope=WHO, status=204, idempotent=False,
)  # fmt: skip
def delete_subscription(ctx: Context, ask: OneSubscription) -> Replied[None]:
    """End a subscription; what was still to be sent is not sent any more."""
    found = _find(ctx, ask)
    if not subscriptions.remove(ctx.conn, found.subscription_id):
        raise _none()
    endpoints.remove(ctx.conn, found.endpoint_id)
    note(ctx, "epcis.subscriptions.delete", found.subscription_id)
    return Replied(None)


def _find(ctx: Context, ask: OneSubscription) -> Subscription:
    found = subscriptions.find(ctx.conn, ctx.who.party_id, ask.query_name, ask.subscription_id)
    if found is None:
        raise _none()
    return found


def _none() -> NotFound:
    what = "You have no such subscription to a query of this name."
    action = "list yours: GET /epcis/queries/{query_name}/subscriptions"
    return NotFound("epcis.NoSuchResourceException", what, action)


def _told(ctx: Context, kept: Subscription) -> TheSubscription:
    endpoint = endpoints.get_endpoint(ctx.conn, kept.endpoint_id)
    return TheSubscription(
        subscriptionID=kept.subscription_id, queryName=kept.query_name, dest=endpoint.url, createdAt=kept.created_at,
        epcFormat=kept.epc_format, endpoint_id=kept.endpoint_id,  # type: ignore[arg-type]  # as it was checked
        lastNotifiedAt=endpoint.last_success_at, initialRecordTime=kept.initial_record_time,
        minRecordTime=kept.next_since, reportIfEmpty=kept.report_if_empty,
        stream=True if kept.schedule is None else None, schedule=kept.times,
    )  # fmt: skip


def _path(query_name: str) -> str:
    return f"{path_of(query_name)}/subscriptions"
