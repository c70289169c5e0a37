"""Public tracking: what a recipient may read of a parcel without a key, who knows its number and where it goes.

Numbers are handed out in a row, so whoever has one can guess the next. The postal code that the parcel goes to is asked
for beside it, and nothing is told without: a wrong one, none at all, a number that nobody has, a parcel of test mode
and one that goes to no postal code (to a node, say) are all answered alike. Ten wrong codes are taken for a number,
then one an hour; until then the right one is answered no more than the others, or it would be found by trying on.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import unicodedata
from array import array
from collections.abc import Collection
from datetime import date, datetime
from math import ceil
from typing import Annotated, Literal
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import msgspec
import polars as pl
from msgspec import Meta, Struct

from rookery.base.operations import PUBLIC, Context, operation
from rookery.flows.following import Followed, Step, follow_openly
from rookery.flows.parcels import Number, as_issued
from rookery.flows.quotes.asks import Postal
from rookery.flows.shipments import Shipment, get_shipments
from rookery.flows.trackers import NODE, Milestone, milestone_by_books, milestone_of, place_of, ridden
from rookery.network.store import Feeds, find_active
from rookery.terms.errors import NotFound, TooMany
from rookery.tracking.model import STATUS_INFO, Severity, Status
from rookery.tracking.texts import Texts, texts_for

MOST_STEPS = 100
"""Of all that happened to a parcel the last ones are told."""
_SLOTS = 1 << 18
_ENDS = ("delivered", "return_to_sender", "cancelled")
"""What is told of a parcel as it was scanned, though its shipment was cancelled."""


class Guesses:
    """How often the wrong code was given for each number: a process-wide part.

    `most` at once, then one in `again_s` seconds, whether there is a parcel of that number or not. Numbers share a
    fixed table by a secret hash, so that no flood of numbers makes it forget one; that two fall together is rare, and
    does no more than make one of them wait.
    """

    def __init__(self, most: int = 10, again_s: float = 3600.0):
        self._most, self._again_s = most, again_s
        self._until = array("d", bytes(8 * _SLOTS))  # when each has all its guesses again
        self._key, self._lock = secrets.token_bytes(16), threading.Lock()

    def take(self, number: str, at: float) -> None:
        """One guess at second `at` of a clock. Raises TooMany with the time to wait when none is left."""
        slot = self._slot(number)
        with self._lock:
            until = max(self._until[slot], at) + self._again_s
            wait = until - at - self._most * self._again_s
            if wait <= 0:
                self._until[slot] = until
                return
        what = "Too many postal codes that do not belong to this number were tried."
        raise TooMany("track.guesses", what, "try again later, or ask whoever sent the parcel", ceil(wait))

    def give_back(self, number: str) -> None:
        """It was no wrong one."""
        slot = self._slot(number)
        with self._lock:
            self._until[slot] -= self._again_s

    def _slot(self, number: str) -> int:
        digest = hashlib.blake2b(number.encode(), key=self._key, digest_size=8).digest()
        return int.from_bytes(digest, "big") % _SLOTS


class PublicTrackerAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """A parcel's number and the postal code it goes to; the language of the texts, by default that of the browser."""

    number: Number
    postal_code: Postal | None = None
    language: (
        Annotated[str, Meta(max_length=35, examples=["de"], description="ISO 639-1; English if not here.")] | None
    ) = None
    accept_language: Annotated[str, Meta(description="As browsers send it.")] | None = None


class PublicPlace(Struct, frozen=True):
    """A place of the network by its public name; name: null = it has none."""

    name: str | None
    country: str
    timezone: str


class PublicLeg(Struct, frozen=True):
    """A ride of the parcel, as planned, and as far as known how it went."""

    mode: str
    from_place: PublicPlace | None
    to_place: PublicPlace | None
    depart_at: datetime
    arrive_at: datetime
    departed_at: datetime | None
    arrived_at: datetime | None


class PublicPromise(Struct, frozen=True):
    """What was promised when the parcel was booked: the last instant, and the day of it where the parcel goes."""

    at: datetime
    day: date | None
    timezone: str | None
    text: str | None


class PublicStep(Struct, frozen=True):
    """Something that happened to the parcel."""

    at: datetime
    status: Status
    text: str
    detail: str | None
    detail_text: str | None
    place: PublicPlace | None


class PublicTracker(Struct, frozen=True):
    """Where a parcel is, for its recipient. Texts are in `language`, written in `direction`; times are in UTC, and each
    place has its time zone. promise: null once the shipment was cancelled. steps: the last ones that count, in the
    order they happened.
    """

    number: str
    language: str
    direction: Literal["ltr", "rtl"]
    status: Status
    severity: Severity
    text: str
    detail: str | None
    detail_text: str | None
    status_at: datetime | None
    place: PublicPlace | None
    promise: PublicPromise | None
    legs: list[PublicLeg]
    steps: list[PublicStep]


@operation(
    "track.get",
    kind="query",
    http="GET /track/{number}",
    scope=PUBLIC,
    headers={"Accept-Language": "accept_language"},
)
def get(ctx: Context, ask: PublicTrackerAsk) -> PublicTracker:
    """Track a parcel as its recipient, without a key, by its number and the postal code it goes to.

    A wrong postal code is answered as a number that there is none of. After ten of them for a number all are answered
    429 for a while.
    """
    number = as_issued(ask.number)
    code = folded(ask.postal_code or "")
    if not code:
        raise _nothing()
    shipment_id = _guessed(ctx, number, code)
    if shipment_id is None:
        raise _nothing()
    texts = texts_for(ask.language, ask.accept_language)
    with ctx.as_system():
        followed = follow_openly(ctx, number)
        shipments = get_shipments(ctx, [shipment_id])
        if followed is None or not shipments:
            raise _nothing()
        return _told(ctx, followed, shipments[0], texts)


def folded(postal_code: str) -> str:
    """A postal code as it is compared: however its letters, blanks and hyphens were written."""
    plain = unicodedata.normalize("NFKC", postal_code).casefold()
    return "".join(sign for sign in plain if sign.isalnum())


def _nothing() -> NotFound:
    what = "There is no parcel of this number that goes to this postal code."
    return NotFound("track.none", what, "check both: the number on the label or in the message, and your postal code")


def _guessed(ctx: Context, number: str, code: str) -> str | None:
    """As _find; who is wrong has a guess less. Raises TooMany."""
    guesses, wrong = ctx.part(Guesses), False
    guesses.take(number, ctx.clock.now().timestamp())
    try:
        shipment_id = _find(ctx, number, code)
        wrong = shipment_id is None
        return shipment_id
    finally:
        if not wrong:  # also where nothing was learnt, because PostgreSQL is away
            guesses.give_back(number)


def _find(ctx: Context, number: str, code: str) -> str | None:
    """The shipment of a parcel that goes to this postal code; None for every other. As much is done for both."""
    with ctx.as_system() as conn:
        row = conn.execute(
            "select p.shipment_id, o.to_country, o.to_postal_code from orders.parcels p join orders.orders o"
            " using (order_id) where p.number = %s and not p.test", (number,),
        ).fetchone()  # fmt: skip
    shipment_id, country, postal_code = row or (None, None, None)
    right = folded(postal_code or "")
    if country == "US" and min(len(right), len(code)) == 5:  # the four digits behind a ZIP code are rarely written
        right, code = right[:5], code[:5]
    same = hmac.compare_digest(right.encode(), code.encode())
    return shipment_id if same else None


def _told(ctx: Context, followed: Followed, shipment: Shipment, texts: Texts) -> PublicTracker:
    milestone, rides = _milestone(ctx, followed, shipment), ridden(shipment.legs, followed.steps)
    steps = [step for step in followed.steps if step.counted][-MOST_STEPS:]
    nodes = {node for leg in shipment.legs for node in (leg.from_node, leg.to_node)}
    places = _places(ctx, nodes, {milestone.place, *(step.place for step in steps)}, shipment.feed_id)
    detail = _known(milestone.detail, texts)
    legs = [
        PublicLeg(
            leg.mode, places.get(place_of(leg.from_node)), places.get(place_of(leg.to_node)), leg.depart_at,
            leg.arrive_at, ride.departed_at, ride.arrived_at,
        )
        for leg, ride in zip(shipment.legs, rides)
    ]  # fmt: skip
    return PublicTracker(
        number=followed.number,
        language=texts.language,
        direction=texts.direction,
        status=milestone.status,
        severity=STATUS_INFO[milestone.status].severity,
        text=texts.statuses[milestone.status],
        detail=detail,
        detail_text=texts.details[detail] if detail else None,
        status_at=milestone.at,
        place=places.get(milestone.place or ""),
        promise=None if shipment.state == "cancelled" else _promise(shipment, places, texts),
        legs=legs,
        steps=[_step(step, places, texts) for step in steps],
    )


def _milestone(ctx: Context, followed: Followed, shipment: Shipment) -> Milestone:
    """Where a parcel is; of a cancelled shipment that it is, unless it was delivered all the same, or goes back: that
    it was scanned afterwards brings it to nobody. That its sender called it off is told where it was the sender.
    """
    milestone = milestone_of(ctx, followed)
    if shipment.state != "cancelled" or (milestone.status in _ENDS and milestone.by == "event"):
        return milestone
    by_sender = ctx.conn.execute(
        "select from orders.history where order_id = %s and what = 'cancelled' and by_party = party_id",
        (shipment.order_id,),
    ).rowcount
    return milestone_by_books(ctx, followed)._replace(detail="withdrawn" if by_sender else None)


def _step(step: Step, places: dict[str, PublicPlace], texts: Texts) -> PublicStep:
    status, detail = msgspec.convert(step.status, Status), _known(step.detail, texts)
    place, text = places.get(step.place or ""), texts.details[detail] if detail else None
    return PublicStep(step.at, status, texts.statuses[status], detail, text, place)


def _known(detail: str | None, texts: Texts) -> str | None:
    """A detail that is one of ours: a courier's own words may hold anything."""
    return detail if detail in texts.details else None


def _promise(shipment: Shipment, places: dict[str, PublicPlace], texts: Texts) -> PublicPromise:
    end = places.get(place_of(shipment.legs[-1].to_node)) if shipment.legs else None
    if end is None:
        return PublicPromise(shipment.promised_at, None, None, None)
    day = shipment.promised_at.astimezone(ZoneInfo(end.timezone)).date()
    return PublicPromise(shipment.promised_at, day, end.timezone, texts.promise.format(day=day.isoformat()))


def _places(ctx: Context, nodes: set[str], seen: set[str | None], feed_id: str) -> dict[str, PublicPlace]:
    """Nodes of a route and places of events, by what events call them, as far as the network knows them: the one that
    is active, else the one that the shipment was last planned on. Whatever else a place says of itself (a doorstep's
    coordinates, say) is not told.
    """
    wanted, active = {place_of(node) for node in nodes}, find_active(ctx.conn, test=False)
    found = _of_feed(ctx, active.feed_id, wanted | seen) if active else {}
    return found if wanted <= found.keys() else _of_feed(ctx, feed_id, wanted | seen) | found


def _of_feed(ctx: Context, feed_id: str, wanted: Collection[str | None]) -> dict[str, PublicPlace]:
    try:
        nodes = ctx.part(Feeds).get(ctx.conn, feed_id).nodes
    except NotFound:
        return {}
    ids = [unquote(name.removeprefix(NODE)) for name in wanted if name and name.startswith(NODE)]
    rows = nodes.filter(pl.col("node_id").is_in(ids)).select("node_id", "name", "country", "timezone").iter_rows()
    return {place_of(node): PublicPlace(name, country, timezone) for node, name, country, timezone in rows}
