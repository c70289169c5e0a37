"""Accepting an offer: the order is taken, room is booked, the promise is frozen, numbers are issued."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import polars as pl
from msgspec import Meta, Struct
from msgspec import field as named

from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.flows.living.facts import enter_parcels
from rookery.flows.numbering import number_parcels
from rookery.flows.ordering import Metadata, OrderId, take_judged
from rookery.flows.quotes.counter import Counter
from rookery.flows.quotes.desks import Desks
from rookery.flows.quotes.quoting import Offered, open_quote, quote_sha256
from rookery.flows.shipments import Shipment, get_shipments
from rookery.orders.booking import PARCELS, SHIPMENTS, book
from rookery.orders.intake import judge
from rookery.orders.intake_model import ItemIn, Money, OrderIn, PlaceIn
from rookery.planning.rooms import give_back, take_room
from rookery.planning.store import LEGS, add_legs, couriers, grants_of
from rookery.terms.errors import Conflict, InvalidInput, NotFound, RookeryError
from rookery.terms.ids import new_ids
from rookery.terms.notice import Fault
from rookery.terms.time import from_minute, to_minute

MOST_SHIPMENTS = 500
_INSTANT = pl.Datetime("us", "UTC")


class ShipmentIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An offer to book, and whom and what it is for: an order handed in before, or all that makes one.

    What the quote said of weight, sides, pieces, goods and time counts; places may be left out where it named nodes.
    """

    quote_id: Annotated[str, Meta(max_length=4000, pattern="^[A-Za-z0-9_-]+$")]
    order_id: OrderId | None = None
    reference: Annotated[str, Meta(min_length=1, max_length=200, examples=["A-1001"])] | None = None
    from_: PlaceIn | None = named(name="from", default=None)
    to: PlaceIn | None = None
    items: Annotated[tuple[ItemIn, ...], Meta(max_length=1000)] = ()
    value: Money | None = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    metadata: Metadata = {}


@operation("shipments.create", kind="command", http="POST /shipments", scope="merchant", status=201)
def accept(ctx: Context, ask: ShipmentIn) -> Shipment:
    """Book an offer: room is taken on its departures, its date is promised for good, and each piece gets its number.

    Later waves may change the route, never the date. When the room went to others meanwhile nothing is written, and a
    new quote tells what is left.
    """
    booking = _book(ctx, [ask])
    if 0 in booking.errors:
        raise booking.errors[0]
    return get_shipments(ctx, [booking.shipment_ids[0]])[0]


class ShipmentsAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """Many offers to book at once."""

    shipments: Annotated[list[ShipmentIn], Meta(min_length=1, max_length=MOST_SHIPMENTS)]


class ShipmentResult(Struct, frozen=True, omit_defaults=True):
    """What became of one of many: booked, or why not; an order that was taken all the same waits for the next wave."""

    index: int
    shipment: Shipment | None = None
    order_id: str | None = None
    code: str | None = None
    errors: list[Fault] = []


class ShipmentsBooked(Struct, frozen=True):
    """One result for each, in order."""

    booked: int
    refused: int
    results: list[ShipmentResult]


@operation("shipments.batch", kind="command", http="POST /shipments/batch", scope="merchant", most_bytes=16 << 20)
def accept_many(ctx: Context, ask: ShipmentsAsk) -> ShipmentsBooked:
    """Book up to 500 offers: what is wrong with one does not keep the others from being booked."""
    booking = _book(ctx, ask.shipments)
    whole = {one.shipment_id: one for one in get_shipments(ctx, list(booking.shipment_ids.values()))}
    made = {index: whole[shipment_id] for index, shipment_id in booking.shipment_ids.items()}
    results = []
    for index in range(len(ask.shipments)):
        error = booking.errors.get(index)
        order_id = booking.order_ids.get(index)
        if error is None:
            results.append(ShipmentResult(index, made[index], order_id))
        else:
            told = error.faults or (Fault("$", error.code, error.what, error.action),)
            faults = [fault.below(f"$.shipments[{index}]") for fault in told]
            results.append(ShipmentResult(index, None, order_id, error.code, faults))
    return ShipmentsBooked(len(made), len(ask.shipments) - len(made), results)


@dataclass
class _Booking:
    """What becomes of each of many, by its place."""

    offers: dict[int, Offered] = field(default_factory=dict)
    order_ids: dict[int, str] = field(default_factory=dict)
    shipment_ids: dict[int, str] = field(default_factory=dict)
    errors: dict[int, RookeryError] = field(default_factory=dict)

    def left(self) -> list[int]:
        return [index for index in sorted(self.offers) if index not in self.errors]


def _book(ctx: Context, asks: list[ShipmentIn]) -> _Booking:
    booking, counter = _Booking(), ctx.part(Desks).fresh(ctx)
    for index, ask in enumerate(asks):
        try:
            offered = open_quote(ctx, ask.quote_id)
            if offered.feed_id != counter.feed_id:
                what = "The network has changed since the offer was made."
                raise Conflict("quotes.network_changed", what, "ask for a new quote: POST /quotes")
            if counter.told(offered.legs[:1], 0.0)[0]["cutoff_at"] < to_minute(ctx.clock.now()):
                what = "The offer's first departure has passed its cut-off."
                raise Conflict("quotes.missed_cutoff", what, "ask for a new quote: POST /quotes")
            if not counter.still_runs(offered.legs):
                what = "A departure of the offer was closed, or moved, since it was made."
                raise Conflict("quotes.closed", what, "ask for a new quote: POST /quotes")
            booking.offers[index] = offered
        except RookeryError as error:
            booking.errors[index] = error
    _take_orders(ctx, counter, asks, booking)
    _find_orders(ctx, counter, asks, booking)
    _refuse_twice(booking)
    _take_room(ctx, counter, booking)
    _write(ctx, counter, asks, booking)
    return booking


def _take_orders(ctx: Context, counter: Counter, asks: list[ShipmentIn], booking: _Booking) -> None:
    """Orders of those who send all that makes one."""
    mine: list[int] = []
    orders: list[OrderIn] = []
    for index in booking.left():
        ask, offered = asks[index], booking.offers[index]
        if ask.order_id is None:
            faults = _places_differ(counter, ask, offered)
            if ask.reference is None:
                faults.append(Fault("$.reference", "missing_value", "it is required", "send your own order number"))
            if faults:
                what = "The shipment cannot be booked."
                booking.errors[index] = InvalidInput(
                    "shipments.invalid", what, "mend what `errors` lists", faults=faults
                )
                continue
            mine.append(index)
            orders.append(_order_of(counter, ask, offered))
    if not mine:
        return
    judged = judge(orders)
    taken = take_judged(ctx, judged)
    for row, index in enumerate(mine):
        if row in judged.faults:
            what = "The order cannot be taken."
            booking.errors[index] = InvalidInput(
                "orders.invalid", what, "mend what `errors` lists", faults=judged.faults[row]
            )
        elif row in taken.faults:
            what = "The reference stands for another order of yours."
            booking.errors[index] = Conflict(
                "orders.reference_taken", what, "give this order a reference of its own", faults=taken.faults[row]
            )
        else:
            booking.order_ids[index] = taken.order_ids[row]


def _places_differ(counter: Counter, ask: ShipmentIn, offered: Offered) -> list[Fault]:
    """Faults for an end that is not the one quoted for."""
    faults = []
    for at, place, quoted in (("$.from", ask.from_, offered.origin), ("$.to", ask.to, offered.destination)):
        if place is None or (place.node is None and place.country is None):
            if quoted[1] >= 0:
                faults.append(Fault(at, "missing_place", "the quote was for an address", "send the address"))
        else:
            found = counter.places.find(place.node, place.country, place.postal_code)
            # a node that was quoted for by name may have any address
            if found != quoted and not (quoted[1] < 0 and place.node is None):
                faults.append(Fault(at, "another_place", "it is not where the quote was for", "ask for a quote there"))
    return faults


def _order_of(counter: Counter, ask: ShipmentIn, offered: Offered) -> OrderIn:
    def place(given: PlaceIn | None, quoted: tuple[int, int]) -> PlaceIn:
        given = given or PlaceIn()
        node = counter.feed.nodes["node_id"][quoted[0]] if quoted[1] < 0 else given.node
        return msgspec.structs.replace(given, node=node)

    return OrderIn(
        reference=ask.reference or "",
        from_=place(ask.from_, offered.origin),
        to=place(ask.to, offered.destination),
        ready_at=f"{from_minute(offered.ready):%Y-%m-%dT%H:%M}Z",
        weight_g=offered.weight_g,
        length_mm=offered.sides[0],
        width_mm=offered.sides[1],
        height_mm=offered.sides[2],
        goods=offered.goods,
        value=ask.value,
        currency=ask.currency,
        service_id=offered.service_id,
        pieces=offered.pieces,
        items=ask.items,
        metadata=ask.metadata,
    )


def _find_orders(ctx: Context, counter: Counter, asks: list[ShipmentIn], booking: _Booking) -> None:
    """Orders that were handed in before, held against what was quoted for."""
    wanted = {index: asks[index].order_id for index in booking.left() if asks[index].order_id is not None}
    for index in list(wanted):
        beside = [
            name for name in ("reference", "from_", "to", "items", "value", "currency") if getattr(asks[index], name)
        ]
        if beside:
            faults = [
                Fault(
                    f"$.{name.rstrip('_')}",
                    "not_beside_order",
                    "the order has it already",
                    "leave it out, or the order_id",
                )
                for name in beside
            ]
            what = "The shipment is of an order that was handed in."
            booking.errors[index] = InvalidInput("shipments.invalid", what, "mend what `errors` lists", faults=faults)
            del wanted[index]
    if not wanted:
        return
    rows = ctx.conn.execute(
        "select order_id, from_node, from_country, from_postal_code, to_node, to_country, to_postal_code, weight_g,"
        " pieces, goods, service_id, ready_at, parcels is null, length_mm, width_mm, height_mm from orders.orders"
        " where order_id = any(%s) and test = %s and party_id = %s"
        " order by order_id for update",  # before room is taken, as a wave does
        (list(set(wanted.values())), ctx.who.test, ctx.who.party_id),
    ).fetchall()
    known = {row[0]: row for row in rows}
    for index, order_id in wanted.items():
        offered, row = booking.offers[index], known.get(order_id)
        if row is None:
            what = f"There is no order {order_id}."
            booking.errors[index] = NotFound("orders.none", what, "list yours: GET /orders")
            continue
        same = (
            counter.places.find(*row[1:4]) == offered.origin
            and counter.places.find(*row[4:7]) == offered.destination
            and tuple(row[7:11]) == (offered.weight_g, offered.pieces, offered.goods, offered.service_id)
            and row[11] <= from_minute(offered.ready)
            and row[12]  # pieces that differ are quoted for by waves alone
            and tuple(row[13:16]) == tuple(offered.sides)
        )
        if same:
            booking.order_ids[index] = order_id  # type: ignore[assignment]
        else:
            what = "The quote was for another parcel than the order's."
            booking.errors[index] = Conflict(
                "quotes.another_parcel", what, "ask for a quote with the order's own figures"
            )


def _refuse_twice(booking: _Booking) -> None:
    """Of several offers for one order the first is booked."""
    seen: set[str] = set()
    for index in booking.left():
        order_id = booking.order_ids[index]
        if order_id in seen:
            what = "Another offer of this request is for the same order."
            booking.errors[index] = Conflict("orders.twice", what, "book one of them")
        seen.add(order_id)


def _take_room(ctx: Context, counter: Counter, booking: _Booking) -> None:
    """Seats and grams on every departure of the offers; those that find none get an error."""
    rows = [
        (index, row, depart, float(offered.pieces), offered.pieces * offered.weight_g, *most)
        for index in booking.left()
        for offered in [booking.offers[index]]
        for (row, depart), most in zip(offered.legs, counter.capacities(offered.legs))
    ]
    numbers = dict.fromkeys(("parcels", "grams", "capacity_parcels", "capacity_g"), pl.Float64)
    schema = {"claim": pl.Int64, "row": pl.Int64, "minute": pl.Int64, **numbers}
    claims = pl.DataFrame(rows, schema=schema, orient="row").select(
        "claim",
        counter.feed.departures["departure_id"].gather([row[1] for row in rows]).alias("departure_id"),
        (pl.col("minute") * 60_000_000).cast(_INSTANT).alias("depart_at"),
        *numbers,
    )
    for index in take_room(ctx.conn, ctx.who.test, claims):
        what = "The room was taken by others meanwhile."
        fault = Fault("$.quote_id", "no_room", what[0].lower() + what[1:-1], "ask for a new quote")
        booking.errors[index] = Conflict("quotes.no_room", what, "ask for a new quote: POST /quotes", faults=[fault])


def _write(ctx: Context, counter: Counter, asks: list[ShipmentIn], booking: _Booking) -> None:
    """Shipments, parcels, legs, grants and numbers, set by set."""
    left = booking.left()
    if not left:
        return
    now, who = ctx.clock.now(), ctx.who
    ids = dict(zip(left, new_ids("shp", now, len(left))))
    shipments = pl.DataFrame([_shipment_row(ctx, counter, asks[i], booking, i, ids[i]) for i in left], orient="row",
                             schema=_polars(SHIPMENTS))  # fmt: skip
    parcels = _parcels(ctx, booking, left, ids)
    legs = _legs(ctx, counter, booking, left, ids)
    grants = grants_of(legs, parcels)
    booked = set(book(ctx.conn, shipments, parcels, grants, now=now, by_party=who.party_id))
    for index in left:
        if booking.order_ids[index] not in booked:
            what = "The order is booked or cancelled already."
            booking.errors[index] = Conflict("orders.not_waiting", what, "look it up: GET /orders/{order_id}")
    written = [index for index in left if index not in booking.errors]
    if len(written) < len(left):
        _give_room_back(ctx, counter, booking, [index for index in left if index in booking.errors])
        kept = pl.Series([ids[index] for index in written], dtype=pl.String)
        parcels = parcels.filter(pl.col("shipment_id").is_in(kept.implode()))
        legs = legs.filter(pl.col("shipment_id").is_in(kept.implode()))
    if not written:
        return
    add_legs(ctx.conn, legs)
    number_parcels(ctx, parcels.select("parcel_id", "shipment_id", "party_id"), legs)
    with ctx.as_system() as conn:
        enter_parcels(conn, who.test, [ids[index] for index in written])
    booking.shipment_ids.update({index: ids[index] for index in written})
    note(ctx, "shipments.create", ids[written[0]], shipments=len(written))


def _polars(types: dict[str, str]) -> dict[str, Any]:
    kinds: dict[str, Any] = {
        "text": pl.String, "jsonb": pl.String, "boolean": pl.Boolean, "integer": pl.Int64, "bytea": pl.Binary,
        "double precision": pl.Float64, "timestamptz": _INSTANT,
    }  # fmt: skip
    return {name: kinds[kind] for name, kind in types.items()}


def _shipment_row(ctx: Context, counter: Counter, ask: ShipmentIn, booking: _Booking, index: int, shipment_id: str):
    offered = booking.offers[index]
    return (
        shipment_id, booking.order_ids[index], ctx.who.party_id, ctx.who.test, offered.service_id,
        from_minute(offered.promised), offered.confidence, offered.probability, from_minute(round(offered.expected)),
        offered.cost, counter.currency, counter.feed_id, None, quote_sha256(ask.quote_id),
        msgspec.json.encode(ask.metadata).decode(),
    )  # fmt: skip


def _parcels(ctx: Context, booking: _Booking, left: list[int], ids: dict[int, str]) -> pl.DataFrame:
    rows = []
    for index in left:
        offered = booking.offers[index]
        for piece, parcel_id in enumerate(new_ids("pcl", ctx.clock.now(), offered.pieces), 1):
            rows.append((
                parcel_id, ids[index], booking.order_ids[index], ctx.who.party_id, ctx.who.test, piece, offered.pieces,
                offered.weight_g, *offered.sides,
            ))  # fmt: skip
    return pl.DataFrame(rows, schema=_polars(PARCELS), orient="row")


def _legs(ctx: Context, counter: Counter, booking: _Booking, left: list[int], ids: dict[int, str]) -> pl.DataFrame:
    rows = []
    for index in left:
        offered = booking.offers[index]
        chargeable = counter.chargeable_g(offered.weight_g, offered.sides)
        for seq, leg in enumerate(counter.told(offered.legs, chargeable), 1):
            rows.append((
                ids[index], 1, seq, ctx.who.party_id, None, ctx.who.test, None, leg["departure_id"], leg["lane_id"],
                leg["carrier_id"], leg["mode"], leg["from_node"], leg["to_node"], from_minute(leg["cutoff_at"]),
                from_minute(leg["depart_at"]), from_minute(leg["arrive_at"]), leg["cost"],
            ))  # fmt: skip
    legs = pl.DataFrame(rows, schema=_polars(LEGS), orient="row")
    known = couriers(ctx.conn, legs["carrier_id"].unique().to_list())
    return legs.drop("courier_id").join(known, on="carrier_id", how="left", maintain_order="left")


def _give_room_back(ctx: Context, counter: Counter, booking: _Booking, which: list[int]) -> None:
    rows = [
        (counter.feed.departures["departure_id"][row], from_minute(depart), float(o.pieces), o.pieces * o.weight_g)
        for o in (booking.offers[index] for index in which)
        for row, depart in o.legs
    ]
    schema = {"departure_id": pl.String, "depart_at": _INSTANT, "parcels": pl.Float64, "grams": pl.Float64}
    give_back(ctx.conn, ctx.who.test, pl.DataFrame(rows, schema=schema, orient="row"))
