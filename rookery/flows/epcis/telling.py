"""Subscribers told what came: each event that a subscription's named query finds is said to it once, in order.

A step of a subscription is one transaction: it looks at what came next with the sight of the party that subscribed,
hands documents over to be sent (base/webhooks), and moves on. Whoever is killed in between has done none of it, so that
nothing is skipped and nothing said again under another id. What a party comes to see only afterwards, as when a parcel
is let to it later, it is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec
import psycopg
from msgspec import Struct
from msgspec.structs import replace
from psycopg import OperationalError

from rookery.base.jobs import Desk
from rookery.base.operations import SYSTEM, Context, Who
from rookery.base.webhooks import deliveries, endpoints
from rookery.flows.epcis.asking import bounded, refused, sight_of
from rookery.flows.epcis.problems import problem_of
from rookery.terms.errors import Unavailable
from rookery.tracking import queries, subscriptions
from rookery.tracking.epcis.documents import document_of
from rookery.tracking.query_parameters import parse
from rookery.tracking.query_terms import Among
from rookery.tracking.reading import Found, event_of
from rookery.tracking.schedule import next_due
from rookery.tracking.subscriptions import KIND, Keys, Subscription, Waiting

LOOKED_AT = 5_000
"""Events that one step looks at, or somewhat more: a batch is not divided."""
OF_ONE_DOCUMENT, WEIGHT = 1_000, 4 << 20
"""Events, and bytes of them, in one document; one event alone may weigh more."""
RESTS = timedelta(minutes=1)
"""So long a subscription is left alone that could not be served."""


class Turned(Struct, frozen=True):
    """What came of a turn. steps: how much there was to do, 0 = nothing; failed: faults by subscription."""

    steps: int
    failed: dict[str, Exception]


def turn(desk: Desk, test: bool) -> Turned:
    """One step of each subscription that has something to look at.

    Several may take turns: a subscription that one is at work on is passed over by the others. One that fails is left
    alone for a while, and keeps no other from being served. Raises when the database is away.
    """
    with desk.context(test) as ctx:
        steps = int(subscriptions.settle(ctx.conn, test))
        waiting = subscriptions.waiting(ctx.conn, test, desk.clock.now())
    failed: dict[str, Exception] = {}
    for one in waiting:
        try:
            steps += _step(desk, test, one)
        except Exception as fault:
            if _is_away(fault):
                raise
            failed[one.subscription_id] = fault
            with desk.context(test) as ctx:
                _say_what_is_wrong(ctx, one.subscription_id, fault)
    return Turned(steps, failed)


def _say_what_is_wrong(ctx: Context, subscription_id: str, fault: Exception) -> None:
    """Leave a subscription alone for a while, and tell the subscriber why, once until all is well with it again."""
    now = ctx.clock.now()
    rests = subscriptions.rest(ctx.conn, subscription_id, now + RESTS)
    if rests is None or rests.again:
        return
    endpoints.hold_as_it_is(ctx.conn, rests.endpoint_id)
    body = msgspec.json.encode(problem_of(fault, rests.query_name, subscription_id)).decode()
    deliveries.say_as_it_is(ctx.conn, rests.endpoint_id, KIND, subscription_id, body, now)


def _is_away(fault: Exception) -> bool:
    if isinstance(fault, Unavailable):
        return fault.code != "database.too_slow"
    return isinstance(fault, OperationalError)


def _step(desk: Desk, test: bool, one: Waiting) -> bool:
    """Whether there was something to do, and nobody else at it."""
    who = Who(one.party_id, SYSTEM.key_id, frozenset(one.scopes), test)
    with Context(desk.database, desk.clock, who, desk.parts) as ctx:
        now = ctx.clock.now()
        with ctx.as_system() as conn:
            held = subscriptions.hold(conn, one.subscription_id)
            if held is None:
                return False
            keys, held = _onward(conn, held)
        found = _found(ctx, held, keys) if keys else []
        with ctx.as_system() as conn:
            _say(conn, held, found, now)
            subscriptions.move(conn, _ended(_told(held, found), now))
        return True


def _onward(conn: psycopg.Connection, held: Subscription) -> tuple[Keys, Subscription]:
    """Events to look at next, and how far the subscription is when they were: first what was recorded before it, then
    what came. A report goes as far as what had come when it fell due.
    """
    if held.schedule is not None and held.until_place is None:
        until = subscriptions.last_place(conn, held.test, held.place)
        held = replace(held, until_place=until, told=False)
    if held.recalled_at is not None and held.recalled_no is not None:
        since = (held.recalled_at, held.recalled_no)
        rows = subscriptions.recorded(conn, held.test, since, held.begins, LOOKED_AT)
        more = len(rows) == LOOKED_AT
        at, number = (rows[-1][2], rows[-1][0]) if more else (None, None)
        return [row[:2] for row in rows], replace(held, recalled_at=at, recalled_no=number)
    keys, last = subscriptions.came(conn, held.test, held.place, held.until_place, LOOKED_AT)
    return keys, replace(held, place=last or held.until_place or held.place)


def _is_done(held: Subscription) -> bool:
    """Whether the report at hand is complete."""
    return held.until_place is not None and held.recalled_at is None and held.place >= held.until_place


def _told(held: Subscription, found: list[Found]) -> Subscription:
    """A subscription that is told this has come as far as the last of it was recorded."""
    if not found:
        return held
    last = max(one.record_at for one in found)
    return replace(held, told=True, come_to=max(held.come_to or last, last))


def _ended(held: Subscription, now: datetime) -> Subscription:
    """A subscription whose report is complete has come at least as far as it was due, and waits for the next."""
    if not _is_done(held) or held.times is None or held.due_at is None:
        return held
    come_to = max(held.come_to or held.due_at, held.due_at)
    return replace(held, come_to=come_to, due_at=next_due(held.times, now), until_place=None)


def _found(ctx: Context, held: Subscription, keys: Keys) -> list[Found]:
    """Those of some events that the query finds, in their order, and as much of each as the subscriber sees."""
    row = ctx.conn.execute(
        "select query from tracking.queries where party_id = %s and test = %s and name = %s",
        (held.party_id, held.test, held.query_name),
    ).fetchone()
    query, faults = parse(row[0] if row else {}, "$.query")
    if faults:
        raise refused(faults)
    found: list[Found] = []
    with bounded(ctx):
        for begin in range(0, len(keys), OF_ONE_DOCUMENT):
            numbers, instants = zip(*keys[begin : begin + OF_ONE_DOCUMENT])
            terms = (Among(numbers, instants), *query.terms)
            asked, after = replace(query, terms=terms, order="record_at", descending=False), None
            while True:
                page = queries.page(ctx.conn, asked, sight_of(ctx), OF_ONE_DOCUMENT, after)
                found += page.events
                after = page.last
                if after is None:
                    break
    places = {number: place for place, (number, _) in enumerate(keys)}
    return sorted(found, key=lambda one: places[one.number])


def _say(conn: psycopg.Connection, held: Subscription, found: list[Found], now: datetime) -> None:
    """Hand documents over to be sent, one after the other; an empty one where a report is to be made even so."""
    parts = [*parted(found)]
    if not parts and held.report_if_empty and _is_done(held) and not held.told:
        parts = [[]]
    if not parts:
        return
    endpoints.hold_as_it_is(conn, held.endpoint_id)
    for part in parts:
        told = [event_of(one, held.epc_format) for one in part]  # type: ignore[arg-type]  # as it was checked
        document = document_of(told, created_at=now, query_name=held.query_name, subscription_id=held.subscription_id)
        body = msgspec.json.encode(document).decode()
        deliveries.say_as_it_is(conn, held.endpoint_id, KIND, held.subscription_id, body, now)


def parted(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Events in parts of one document each."""
    part: list[Found] = []
    weight = 0
    for one in found:
        its = len(one.body) + sum(len(epc) + len(as_sent or "") for _, epc, as_sent in one.things)
        if part and (len(part) == OF_ONE_DOCUMENT or weight + its > WEIGHT):
            yield part
            part, weight = [], 0
        part.append(one)
        weight += its
    if part:
        yield part
