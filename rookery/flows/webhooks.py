"""Public acts about webhooks: who is told what happened, where, and what came of telling it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from rookery.base.access.keys import SCOPES
from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.base.outbox import KINDS
from rookery.base.paging import After, Limit, Page, page
from rookery.base.signing import Signer
from rookery.base.webhooks import deliveries, endpoints
from rookery.base.webhooks.deliveries import Delivery
from rookery.base.webhooks.endpoints import Endpoint, get_endpoint
from rookery.base.webhooks.signing import secret_of
from rookery.base.webhooks.targets import Targets
from rookery.terms.errors import Conflict, InvalidInput, NotAllowed
from rookery.terms.notice import Fault

WHO = tuple(scope for scope in SCOPES if scope != "admin")  # admins may do everything
RUNS_ALL = frozenset({"operator", "admin", "system"})
NOTHING_SINCE = 1 << 62

Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        description="https, of the public internet. Redirects are not followed.",
        examples=["https://shop.example.com/rookery"],
    ),
]
Kinds = Annotated[
    list[Annotated[str, Meta(max_length=60)]],
    Meta(
        max_length=20, description=f"What it hears of; none = all: {', '.join(KINDS)}.", examples=[["parcel.milestone"]]
    ),
]
Description = Annotated[str, Meta(max_length=200)]
EndpointId = Annotated[str, Meta(max_length=40, examples=["whk_01m8hyvan558x4225mfmdh7nwt"])]


class NewEndpoint(Struct, frozen=True, forbid_unknown_fields=True):
    """An endpoint of yours."""

    url: Url
    kinds: Kinds = []
    description: Description = ""


class MadeEndpoint(Struct, frozen=True):
    """An endpoint with the secret that its messages are signed with: shown here and never again."""

    secret: str
    endpoint: Endpoint


@operation("webhooks.create", kind="command", http="POST /webhooks", scope=WHO, status=201, idempotent=False)
def create_endpoint(ctx: Context, ask: NewEndpoint) -> MadeEndpoint:
    """Have a URL of yours told what happens to your parcels; an operator's hears of everything.

    Each message is signed as Standard Webhooks 1.0 says, with the secret that is in this reply and nowhere else.
    """
    _check(ask.url, ask.kinds)
    if endpoints.count_endpoints(ctx.conn, ctx.who.party_id, ctx.who.test) >= endpoints.MOST:
        raise Conflict(
            "webhooks.many",
            f"You have {endpoints.MOST} endpoints, and no more are kept.",
            "delete one, or have one hear of more: GET /webhooks lists them",
        )
    hears_all = bool(ctx.who.scopes & RUNS_ALL)
    endpoint_id = endpoints.add_endpoint(
        ctx.conn, ctx.who.party_id, ctx.who.test, ask.url, ask.kinds, ask.description, hears_all, ctx.clock.now()
    )
    note(ctx, "webhooks.create", endpoint_id)
    return MadeEndpoint(secret_of(ctx.part(Signer), endpoint_id, 1), get_endpoint(ctx.conn, endpoint_id))


def _check(url: str | None, kinds: Sequence[str]) -> None:
    """Raises InvalidInput with all that is wrong with them."""
    faults = [] if url is None else Targets.read(os.environ).faults(url)
    faults += [
        Fault(f"$.kinds[{place}]", "unknown_word", "there is no such kind of news", f"use some of {', '.join(KINDS)}")
        for place, kind in enumerate(kinds)
        if kind not in KINDS
    ]
    if faults:
        what = "; ".join(fault.message for fault in faults)
        action = "mend what `errors` lists"
        raise InvalidInput("webhooks.invalid", f"The endpoint cannot be taken: {what}.", action, faults=faults)


def _refuse_subscriptions(endpoint: Endpoint) -> None:
    """Raises Conflict for the endpoint of a subscription, which hears of that alone and goes with it."""
    if set(endpoint.kinds) - {*KINDS}:
        what = "The endpoint is an EPCIS subscription's: it hears of that alone, and is deleted with it."
        action = "delete the subscription: DELETE /epcis/queries/{query_name}/subscriptions/{subscription_id}"
        raise Conflict("webhooks.of_subscription", what, action)


class WhichEndpoints(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of the list."""

    limit: Limit = 100
    after: After = ""


@operation("webhooks.list", kind="query", http="GET /webhooks", scope=WHO)
def list_endpoints(ctx: Context, ask: WhichEndpoints) -> Page[Endpoint]:
    """List endpoints with their health: your own; everybody's for operators."""
    found = endpoints.list_endpoints(ctx.conn, ask.after, ask.limit + 1)
    return page(found, ask.limit, lambda one: one.endpoint_id)


class OneEndpoint(Struct, frozen=True, forbid_unknown_fields=True):
    """Names an endpoint."""

    endpoint_id: EndpointId


@operation("webhooks.get", kind="query", http="GET /webhooks/{endpoint_id}", scope=WHO)
def get_one(ctx: Context, ask: OneEndpoint) -> Endpoint:
    """Get an endpoint: what it hears, since when it fails, what waits for it."""
    return get_endpoint(ctx.conn, ask.endpoint_id)


class Changes(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be another; what is left out stays."""

    endpoint_id: EndpointId
    url: Url | None = None
    kinds: Kinds | None = None
    description: Description | None = None
    enabled: bool | None = None


@operation("webhooks.update", kind="command", http="PATCH /webhooks/{endpoint_id}", scope=WHO)
def update_endpoint(ctx: Context, ask: Changes) -> Endpoint:
    """Change an endpoint, disable or enable it.

    While it is disabled nothing is sent, and what it misses is kept as dead letters for 30 days. Enabling sends none of
    these: replay them.
    """
    _check(ask.url, ask.kinds or [])
    now = ctx.clock.now()
    endpoints.hold(ctx.conn, ask.endpoint_id)
    had = get_endpoint(ctx.conn, ask.endpoint_id)
    if ask.kinds is not None:
        _refuse_subscriptions(had)
    endpoints.change_endpoint(
        ctx.conn,
        ask.endpoint_id,
        had.url if ask.url is None else ask.url,
        had.kinds if ask.kinds is None else ask.kinds,
        had.description if ask.description is None else ask.description,
        now,
    )
    if ask.enabled is True and not had.enabled:
        endpoints.enable(ctx.conn, ask.endpoint_id, now)
    if ask.enabled is False and had.enabled:
        endpoints.disable(ctx.conn, ask.endpoint_id, "by_owner", now)
    note(ctx, "webhooks.update", ask.endpoint_id)
    return get_endpoint(ctx.conn, ask.endpoint_id)


@operation("webhooks.delete", kind="command", http="DELETE /webhooks/{endpoint_id}", scope=WHO)
def delete_endpoint(ctx: Context, ask: OneEndpoint) -> Endpoint:
    """Delete an endpoint, and all that waits for it or was said to it; this is how it was."""
    endpoints.hold(ctx.conn, ask.endpoint_id)
    had = get_endpoint(ctx.conn, ask.endpoint_id)
    _refuse_subscriptions(had)
    endpoints.remove(ctx.conn, ask.endpoint_id)
    note(ctx, "webhooks.delete", ask.endpoint_id)
    return had


class SecretChange(Struct, frozen=True, forbid_unknown_fields=True):
    """A new secret in place of the one there is."""

    endpoint_id: EndpointId
    keep_old_hours: Annotated[float, Meta(ge=0, le=720, description="How long the old one counts, too.")] = 24


@operation(
    "webhooks.rotate",
    kind="command",
    http="POST /webhooks/{endpoint_id}/rotate",
    scope=WHO,
    status=201,
    idempotent=False,
)
def rotate_secret(ctx: Context, ask: SecretChange) -> MadeEndpoint:
    """Make a new secret for an endpoint of your own. While the old one counts, messages bear a signature of each."""
    endpoints.hold(ctx.conn, ask.endpoint_id)
    if get_endpoint(ctx.conn, ask.endpoint_id).party_id != ctx.who.party_id:
        what = "The endpoint is another party's, and so is its secret."
        raise NotAllowed("webhooks.anothers", what, "let the party that named it rotate it, with a key of its own")
    now = ctx.clock.now()
    rotation = endpoints.rotate(ctx.conn, ask.endpoint_id, now + timedelta(hours=ask.keep_old_hours), now)
    note(ctx, "webhooks.rotate", ask.endpoint_id)
    secret = secret_of(ctx.part(Signer), ask.endpoint_id, rotation)
    return MadeEndpoint(secret, get_endpoint(ctx.conn, ask.endpoint_id))


class Said(Struct, frozen=True):
    """A message that waits to be sent: its id is the header `webhook-id`."""

    event_id: str


@operation("webhooks.test", kind="command", http="POST /webhooks/{endpoint_id}/test", scope=WHO, status=202)
def try_endpoint(ctx: Context, ask: OneEndpoint) -> Said:
    """Send an endpoint a message of kind `webhook.test`, whatever kinds it hears of; look among its deliveries what
    came of it.
    """
    endpoints.hold(ctx.conn, ask.endpoint_id)
    if not get_endpoint(ctx.conn, ask.endpoint_id).enabled:
        raise Conflict(
            "webhooks.disabled",
            f"The endpoint {ask.endpoint_id} is disabled.",
            'enable it first: PATCH /webhooks/{endpoint_id} with {"enabled": true}',
        )
    now = ctx.clock.now()
    data = msgspec.json.encode({"endpoint_id": ask.endpoint_id}).decode()
    with ctx.as_system() as conn:
        event_id = deliveries.say_to(conn, ask.endpoint_id, "webhook.test", f"test {now.isoformat()}", data, now)
    note(ctx, "webhooks.test", ask.endpoint_id)
    return Said(event_id)


class WhichDeliveries(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of an endpoint's deliveries, the newest first."""

    endpoint_id: EndpointId
    state: Literal["pending", "delivered", "dead"] | None = None
    limit: Limit = 100
    after: Annotated[str, Meta(pattern=r"^[0-9]{0,18}$", description="`next` of the page before.")] = ""


@operation("webhooks.deliveries", kind="query", http="GET /webhooks/{endpoint_id}/deliveries", scope=WHO)
def list_deliveries(ctx: Context, ask: WhichDeliveries) -> Page[Delivery]:
    """List what was or is to be said to an endpoint: attempts, the last answer's status, when it is tried again."""
    get_endpoint(ctx.conn, ask.endpoint_id)
    before = int(ask.after) if ask.after else NOTHING_SINCE
    found = deliveries.list_deliveries(ctx.conn, ask.endpoint_id, ask.state, before, ask.limit + 1)
    shown = page(found, ask.limit, lambda one: str(one[0]))
    return Page([delivery for _, delivery in shown.data], shown.next)


class Replay(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be said once more: all since an instant, some by their events' ids, or the dead letters."""

    endpoint_id: EndpointId
    since: Annotated[datetime, Meta(tz=True)] | None = None
    events: (
        Annotated[
            list[Annotated[str, Meta(max_length=40)]],
            Meta(min_length=1, max_length=1000, examples=[["evt_01m8hyvan558x4225mfmdh7nwt"]]),
        ]
        | None
    ) = None


class Replayed(Struct, frozen=True):
    """How many messages wait again; more: whether there may be others, to be asked for in the same way."""

    replayed: int
    more: bool


@operation("webhooks.replay", kind="command", http="POST /webhooks/{endpoint_id}/replay", scope=WHO, status=202)
def replay(ctx: Context, ask: Replay) -> Replayed:
    """Say once more what was said, under the ids it had; without `since` and `events`, the dead letters.

    Of each key the old comes in its order, and before what waits; what is kept goes back 30 days.
    """
    if ask.since is not None and ask.events is not None:
        fault = Fault("$.events", "too_many", "both `since` and `events` are named", "send one of them")
        raise InvalidInput("webhooks.replay", "What is to be replayed is said twice.", fault.remedy, faults=[fault])
    endpoints.hold(ctx.conn, ask.endpoint_id)
    if not get_endpoint(ctx.conn, ask.endpoint_id).enabled:
        raise Conflict(
            "webhooks.disabled",
            f"The endpoint {ask.endpoint_id} is disabled.",
            'enable it first: PATCH /webhooks/{endpoint_id} with {"enabled": true}',
        )
    count = deliveries.replay(ctx.conn, ask.endpoint_id, ask.since, ask.events, ctx.clock.now())
    note(ctx, "webhooks.replay", ask.endpoint_id, messages=count)
    return Replayed(count, count == deliveries.MOST_REPLAYED)
