"""A quote: which day ends a parcel can be promised for, and what each costs. Nothing is written: an offer is a signed
text that holds all that was promised, and is handed back to be booked.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec import field as named

from rookery.base.operations import Context, operation
from rookery.base.signing import Signer
from rookery.flows.quotes.asks import Leg, ParcelAsk, Spot
from rookery.flows.quotes.counter import Asked, Counter
from rookery.flows.quotes.desks import Desks
from rookery.network.places import End
from rookery.planning.desk import Offer
from rookery.terms.errors import Conflict, InvalidInput, NotFound
from rookery.terms.notice import Fault
from rookery.terms.time import from_minute, to_minute

HOLDS = timedelta(minutes=30)
"""How long an offer may be booked."""
PURPOSE = "quote"
MOST_ADDRESSES = 10_000
MOST_QUOTES = 500


class QuoteAsk(ParcelAsk, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Can you bring this there, by when, for how much?"""

    from_: Spot = named(name="from")
    to: Spot


class OfferOut(Struct, frozen=True):
    """One choice. Book it by its quote_id until expires_at; what is promised then is never moved."""

    quote_id: str
    promised_at: datetime
    expected_at: datetime
    probability: float
    cost: float
    currency: str
    legs: list[Leg]
    expires_at: datetime


class Quote(Struct, frozen=True):
    """The offers, earliest first, each later one cheaper; or none, with every reason."""

    offers: list[OfferOut]
    reasons: list[str]
    due_at: datetime | None
    feed_id: str


class Offered(Struct, frozen=True, array_like=True):
    """What a quote_id holds: everything that was promised, and for what."""

    feed_id: str
    party_id: str
    test: bool
    expires: int  # UTC minutes, as all instants here
    origin: tuple[int, int]  # rows of node and zone
    destination: tuple[int, int]
    ready: int
    weight_g: float
    sides: tuple[float | None, float | None, float | None]
    goods: str
    pieces: int
    service_id: str | None
    confidence: float
    due: int | None
    promised: int
    expected: float
    probability: float
    cost: float  # all pieces
    legs: tuple[tuple[int, int], ...]  # row of the departure, minute it leaves


@operation("quotes.create", kind="query", http="POST /quotes", scope=("merchant", "operator"))
def quote(ctx: Context, ask: QuoteAsk) -> Quote:
    """Quote for a parcel: what each delivery day costs, and how surely it is kept.

    Offers are computed from policies of the active network under the shadow prices of the last wave; a departure that
    is full is not offered. Nothing is reserved until an offer is booked with POST /shipments.
    """
    counter = ctx.part(Desks).counter(ctx)
    return _quoted(ctx, counter, ask)


class QuotesAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """Many quotes at once."""

    quotes: Annotated[list[QuoteAsk], Meta(min_length=1, max_length=MOST_QUOTES)]


class QuoteResult(Struct, frozen=True, omit_defaults=True):
    """The quote of one of many, or what is wrong with it."""

    index: int
    quote: Quote | None = None
    errors: list[Fault] = []


class Quotes(Struct, frozen=True):
    """One result for each, in order."""

    results: list[QuoteResult]


@operation("quotes.batch", kind="query", http="POST /quotes/batch", scope=("merchant", "operator"))
def quote_many(ctx: Context, ask: QuotesAsk) -> Quotes:
    """Quote for many parcels; what is wrong with one does not keep the others from being answered."""
    counter = ctx.part(Desks).counter(ctx)
    results = []
    for index, one in enumerate(ask.quotes):
        try:
            results.append(QuoteResult(index, _quoted(ctx, counter, one)))
        except (InvalidInput, NotFound) as error:
            results.append(QuoteResult(index, None, [fault.below(f"$.quotes[{index}]") for fault in error.faults]))
    return Quotes(results)


def _quoted(ctx: Context, counter: Counter, ask: QuoteAsk) -> Quote:
    now = ctx.clock.now()
    asked = counter.place(ask, ask.from_, ask.to, to_minute(now))
    expires = to_minute(now + HOLDS)
    offers, reasons = counter.offers(asked, ask.pieces)
    signer = ctx.part(Signer)
    return Quote(
        [_offer_out(ctx, counter, signer, ask, asked, offer, expires) for offer in offers],
        reasons,
        None if asked.due is None else from_minute(asked.due),
        counter.feed_id,
    )


def _offer_out(
    ctx: Context, counter: Counter, signer: Signer, ask: QuoteAsk, asked: Asked, offer: Offer, expires: int
) -> OfferOut:
    cost = round((offer.cost + asked.pickup_cost) * ask.pieces, 4)
    table = counter.model.timetable
    offered = Offered(
        feed_id=counter.feed_id,
        party_id=ctx.who.party_id,
        test=ctx.who.test,
        expires=expires,
        origin=asked.origin,
        destination=asked.destination,
        ready=asked.ready,
        weight_g=ask.weight_g,
        sides=(ask.length_mm, ask.width_mm, ask.height_mm),
        goods=ask.goods,
        pieces=ask.pieces,
        service_id=ask.service_id,
        confidence=asked.confidence,
        due=asked.due,
        promised=offer.promised_at,
        expected=round(offer.expected_at, 1),
        probability=round(offer.probability, 6),
        cost=cost,
        legs=tuple((int(table.departure[row]), int(table.depart[row])) for row in offer.legs.tolist()),
    )
    return OfferOut(
        quote_id="qte_" + signer.sign(PURPOSE, msgspec.msgpack.encode(offered)),
        promised_at=from_minute(offer.promised_at),
        expected_at=from_minute(round(offer.expected_at)),
        probability=offered.probability,
        cost=cost,
        currency=counter.currency,
        legs=counter.legs(offer.legs.tolist()),
        expires_at=from_minute(expires),
    )


def open_quote(ctx: Context, quote_id: str, at: str = "$.quote_id") -> Offered:
    """What a quote_id holds. Raises NotFound for one that is not ours or another's, Conflict when it has expired."""
    content = ctx.part(Signer).open(PURPOSE, quote_id.removeprefix("qte_")) if quote_id.startswith("qte_") else None
    offered = None if content is None else msgspec.msgpack.decode(content, type=Offered)
    if offered is None or (offered.party_id, offered.test) != (ctx.who.party_id, ctx.who.test):
        fault = Fault(at, "quotes.none", "there is no such quote", "send the quote_id of an offer as it was given")
        raise NotFound("quotes.none", "There is no such quote.", "ask for a quote first: POST /quotes", faults=[fault])
    if offered.expires < to_minute(ctx.clock.now()):
        fault = Fault(
            at, "quotes.expired", "the offer held until " + from_minute(offered.expires).isoformat(), "ask again"
        )
        raise Conflict("quotes.expired", "The offer has expired.", "ask for a new quote: POST /quotes", faults=[fault])
    return offered


def quote_sha256(quote_id: str) -> bytes:
    """What is kept of a quote_id with the shipment that was booked from it."""
    return hashlib.sha256(quote_id.encode()).digest()


class ReachAsk(ParcelAsk, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One parcel, many places it might go to."""

    from_: Spot = named(name="from")
    to: Annotated[list[Spot], Meta(min_length=1, max_length=MOST_ADDRESSES)]


class Reach(Struct, frozen=True, omit_defaults=True):
    """Whether a place can be reached: the earliest day end that can be promised and its cost, and the least cost and
    its day end; else the reasons.
    """

    index: int
    reachable: bool
    earliest_at: datetime | None = None
    earliest_cost: float | None = None
    cheapest_at: datetime | None = None
    cheapest_cost: float | None = None
    reasons: list[str] = []


class Reaches(Struct, frozen=True):
    """One result for each place, in order."""

    currency: str
    feed_id: str
    results: list[Reach]


@operation(
    "reachability.ask", kind="query", http="POST /reachability", scope=("merchant", "operator"), most_bytes=4 << 20
)
def reachability(ctx: Context, ask: ReachAsk) -> Reaches:
    """Tell for up to 10,000 addresses whether a parcel can be brought there, by when and for how much."""
    counter = ctx.part(Desks).counter(ctx)
    known: dict[tuple[str | None, str | None, str | None] | End, Reach] = {}
    results = []
    for index, spot in enumerate(ask.to):
        key = (spot.node, spot.country, spot.postal_code)
        found = known.get(key)
        if found is None:
            end = counter.places.find(spot.node, spot.country, spot.postal_code)
            found = known.get(end) if end is not None else None
            if found is None:
                found = _reach(counter, ask, spot, to_minute(ctx.clock.now()))
                if end is not None:
                    known[end] = found
            known[key] = found
        results.append(msgspec.structs.replace(found, index=index))
    return Reaches(counter.currency, counter.feed_id, results)


def _reach(counter: Counter, ask: ReachAsk, spot: Spot, now: int) -> Reach:
    if spot.node is None and spot.country is None:
        return Reach(0, False, reasons=["missing_place"])
    if counter.places.find(spot.node, spot.country, spot.postal_code) is None:
        return Reach(0, False, reasons=["unknown_node" if spot.node is not None else "unknown_zone"])
    asked = counter.place(ask, ask.from_, spot, now)
    offers, reasons = counter.offers(asked, ask.pieces)
    if not offers:
        return Reach(0, False, reasons=reasons)
    first, last = offers[0], offers[-1]
    total = lambda offer: round((offer.cost + asked.pickup_cost) * ask.pieces, 4)  # noqa: E731
    return Reach(0, True, from_minute(first.promised_at), total(first), from_minute(last.promised_at), total(last))
