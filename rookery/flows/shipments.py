"""Shipments: looked up, listed, cancelled, and sent to somebody else at the same place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
import polars as pl
from msgspec import Meta, Struct
from psycopg import sql
from psycopg.rows import dict_row

from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.base.paging import After, Limit, Page, page
from rookery.flows.living.facts import enter_parcels
from rookery.flows.ordering import refuse_changed, tell_history
from rookery.flows.quotes.asks import Leg
from rookery.flows.quotes.desks import Desks
from rookery.flows.under_way import refuse_handed_over, refuse_under_way
from rookery.orders.intake import judge
from rookery.orders.intake_model import OrderIn, PlaceIn
from rookery.orders.vault.keyring import Keyring
from rookery.orders.vault.store import seal_people
from rookery.planning.rooms import give_back
from rookery.terms.errors import Conflict, InvalidInput, NotFound
from rookery.waybill import store as waybills

ShipmentId = Annotated[str, Meta(max_length=40, examples=["shp_01m8hyvan558x4225mfmdh7nwt"])]
State = Literal["booked", "handed_over", "cancelled"]


class Parcel(Struct, frozen=True):
    """One piece of a shipment: its waybill number and where it is sorted to."""

    parcel_id: str
    piece: int
    pieces: int
    weight_g: float
    number: str | None
    route_code: str | None
    state: State


class Shipment(Struct, frozen=True):
    """An order that was booked: the date that was promised, what it is expected to cost, its parcels and its route."""

    shipment_id: str
    order_id: str
    reference: str
    state: State
    service_id: str | None
    promised_at: datetime
    expected_at: datetime
    on_time_probability: float
    confidence: float
    cost: float
    currency: str
    feed_id: str
    plan_id: str | None
    recipient_id: str | None
    metadata: dict[str, str]
    version: int
    booked_at: datetime
    test: bool
    parcels: list[Parcel]
    legs: list[Leg]


_SELECT = (
    "select s.shipment_id, s.order_id, o.reference, s.state, s.service_id, s.promised_at, s.expected_at,"
    " s.on_time_probability, s.confidence, s.cost, s.currency, s.feed_id, s.plan_id, o.recipient_id, s.metadata,"
    " s.version, s.booked_at, s.test, s.route from orders.shipments s join orders.orders o using (order_id)"
)


def get_shipments(ctx: Context, shipment_ids: Sequence[str]) -> list[Shipment]:
    """Shipments in the order of their ids given; those the asker may not see are left out."""
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        query = f"{_SELECT} where s.shipment_id = any(%s)"
        found = {row["shipment_id"]: row for row in cursor.execute(query.encode(), (list(shipment_ids),))}
    return _whole(ctx, [found[shipment_id] for shipment_id in shipment_ids if shipment_id in found])


def _whole(ctx: Context, rows: list[dict[str, Any]]) -> list[Shipment]:
    """Rows with their parcels and the legs of the route that counts."""
    by_id = {row["shipment_id"]: {**row, "parcels": [], "legs": []} for row in rows}
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "select shipment_id, parcel_id, piece, pieces, weight_g, number, route_code, state from orders.parcels"
            " where shipment_id = any(%s) order by shipment_id, piece", (list(by_id),),
        )  # fmt: skip
        for row in cursor:
            by_id[row["shipment_id"]]["parcels"].append(row)
        cursor.execute(
            "select shipment_id, route, departure_id, lane_id, carrier_id, mode, from_node, to_node, cutoff_at,"
            " depart_at, arrive_at from planning.legs where shipment_id = any(%s) order by shipment_id, route, seq",
            (list(by_id),),
        )  # fmt: skip
        for row in cursor:
            if row["route"] == by_id[row["shipment_id"]]["route"]:
                by_id[row["shipment_id"]]["legs"].append(row)
    return msgspec.convert(list(by_id.values()), list[Shipment])


class OneShipment(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a shipment."""

    shipment_id: ShipmentId


@operation("shipments.get", kind="query", http="GET /shipments/{shipment_id}", scope=("merchant", "operator"))
def get(ctx: Context, ask: OneShipment) -> Shipment:
    """Look a shipment up."""
    return get_shipment(ctx, ask.shipment_id)


def get_shipment(ctx: Context, shipment_id: str) -> Shipment:
    """One shipment. Raises NotFound, also for another party's."""
    found = get_shipments(ctx, [shipment_id])
    if not found:
        raise NotFound("shipments.none", f"There is no shipment {shipment_id}.", "list yours: GET /shipments")
    return found[0]


class WhichShipments(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of shipments, oldest first."""

    limit: Limit = 100
    after: After = ""
    state: State | None = None
    plan_id: Annotated[str, Meta(max_length=40)] | None = None


@operation("shipments.list", kind="query", http="GET /shipments", scope=("merchant", "operator"))
def list_shipments(ctx: Context, ask: WhichShipments) -> Page[Shipment]:
    """List shipments, oldest first."""
    wanted: dict[str, Any] = {"after": ask.after, "limit": ask.limit + 1, "test": ctx.who.test}
    where = "s.shipment_id > %(after)s and s.test = %(test)s"
    for name in ("state", "plan_id"):
        if (value := getattr(ask, name)) is not None:
            wanted[name] = value
            where += f" and s.{name} = %({name})s"
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        query = sql.SQL(f"{_SELECT} where {where} order by s.shipment_id limit %(limit)s")  # type: ignore[arg-type]
        rows = cursor.execute(query, wanted).fetchall()
    return page(_whole(ctx, rows), ask.limit, lambda shipment: shipment.shipment_id)


class ShipmentCancel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a shipment to cancel."""

    shipment_id: ShipmentId
    if_match: int | None = None


@operation(
    "shipments.cancel", kind="command", http="POST /shipments/{shipment_id}/cancel", scope=("merchant", "operator")
)
def cancel(ctx: Context, ask: ShipmentCancel) -> Shipment:
    """Cancel a shipment before it is handed over: its room is given back and its numbers retire for ever.

    Once a courier has scanned a parcel of it, only an operator may, and nobody when one was delivered. Cancelling
    twice is no fault. What was delivered comes back as a new shipment.
    """
    operator = "operator" in ctx.who.scopes
    shipment = _locked(ctx, ask.shipment_id, anybodys=operator)
    refuse_changed(ask.if_match, shipment.version)
    if shipment.state == "handed_over":
        action = "it is not cancelled any more: ask its courier to return it"
        refuse_handed_over(ctx, _numbers(shipment), "shipments.handed_over", action)
    if shipment.state == "booked":
        action = "have it returned" if operator else "ask its courier to return it, or an operator to cancel it"
        refuse_under_way(ctx, _numbers(shipment), action, delivered_alone=operator)
        now = ctx.clock.now()
        for table in ("shipments", "orders"):
            ctx.conn.execute(
                sql.SQL(
                    "update {} set state = 'cancelled', version = version + 1, updated_at = %s where order_id = %s"
                ).format(sql.Identifier("orders", table)),
                (now, shipment.order_id),
            )
        ctx.conn.execute(
            "update orders.parcels set state = 'cancelled' where shipment_id = %s", (shipment.shipment_id,)
        )
        give_back(ctx.conn, ctx.who.test, _claims(shipment))
        if numbers := _numbers(shipment):
            waybills.cancel(ctx.conn, numbers, at=now)
        with ctx.as_system() as conn:
            enter_parcels(conn, ctx.who.test, [shipment.shipment_id])
        tell_history(ctx, [shipment.order_id], "cancelled", shipment_id=shipment.shipment_id)
        note(ctx, "shipments.cancel", shipment.shipment_id)
    return get_shipment(ctx, ask.shipment_id)


def _locked(ctx: Context, shipment_id: str, *, anybodys: bool = False) -> Shipment:
    """One shipment of the asker's own, or anybody's, held until the transaction ends. Raises NotFound."""
    held = ctx.conn.execute(
        "select from orders.shipments where shipment_id = %s and test = %s and (%s or party_id = %s) for update",
        (shipment_id, ctx.who.test, anybodys, ctx.who.party_id),
    )
    if held.rowcount == 0:
        raise NotFound("shipments.none", f"There is no shipment {shipment_id}.", "list yours: GET /shipments")
    return get_shipment(ctx, shipment_id)


def _cancelled_at(ctx: Context, shipment: Shipment) -> str:
    row = ctx.conn.execute(
        "select max(at) from orders.history where order_id = %s and what = 'cancelled'", (shipment.order_id,)
    ).fetchone()
    at: datetime | None = row[0] if row else None  # the history is kept for a while only
    return "" if at is None else f" at {at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def _numbers(shipment: Shipment) -> list[str]:
    return [parcel.number for parcel in shipment.parcels if parcel.number is not None]


def _claims(shipment: Shipment) -> pl.DataFrame:
    grams = sum(parcel.weight_g for parcel in shipment.parcels)
    return pl.DataFrame(
        [(leg.departure_id, leg.depart_at, float(len(shipment.parcels)), grams) for leg in shipment.legs],
        schema={
            "departure_id": pl.String,
            "depart_at": pl.Datetime("us", "UTC"),
            "parcels": pl.Float64,
            "grams": pl.Float64,
        },
        orient="row",
    )


class NewRecipient(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody else at the same place."""

    shipment_id: ShipmentId
    to: PlaceIn
    if_match: int | None = None


@operation("shipments.readdress", kind="command", http="POST /shipments/{shipment_id}/recipient", scope="merchant")
def readdress(ctx: Context, ask: NewRecipient) -> Shipment:
    """Correct whom a shipment goes to before it is handed over, within the same zone.

    Its labels are to be printed again, so not once a courier has scanned a parcel of it. Another place is another
    shipment: cancel this one and book anew.
    """
    shipment = _locked(ctx, ask.shipment_id)
    refuse_changed(ask.if_match, shipment.version)
    elsewhere = "ask the courier that has it to deliver it to somebody else"
    if shipment.state == "cancelled":
        what = f"The shipment was cancelled{_cancelled_at(ctx, shipment)}: its numbers are retired."
        raise Conflict("shipments.not_booked", what, "book a new one: POST /quotes, then POST /shipments")
    if shipment.state == "handed_over":
        refuse_handed_over(ctx, _numbers(shipment), "shipments.not_booked", elsewhere)
    refuse_under_way(ctx, _numbers(shipment), elsewhere)
    row = ctx.conn.execute(
        "select to_node, to_country, to_postal_code, ready_at from orders.orders where order_id = %s",
        (shipment.order_id,),
    ).fetchone()
    assert row is not None
    places = ctx.part(Desks).counter(ctx).places
    given = msgspec.structs.replace(ask.to, node=row[0]) if row[0] is not None and ask.to.node is None else ask.to
    judged = judge([OrderIn(reference="-", from_=PlaceIn(node="-"), to=given, ready_at=row[3].isoformat(), weight_g=1)])
    if judged.faults:
        what = "The address cannot be used."
        raise InvalidInput("shipments.address", what, "mend what `errors` lists", faults=judged.faults[0])
    if places.find(given.node, given.country, given.postal_code) != places.find(row[0], row[1], row[2]):
        what = "The address lies in another zone than the shipment goes to."
        raise Conflict("shipments.another_zone", what, "cancel the shipment and book a new quote there")
    now = ctx.clock.now()
    with ctx.keys() as keys:
        [person_id] = seal_people(
            ctx.conn, keys, ctx.part(Keyring), ctx.who.party_id, ctx.who.test, judged.people[-1:], now
        )
    ctx.conn.execute(
        "update orders.orders set recipient_id = %s, to_postal_code = coalesce(%s, to_postal_code),"
        " version = version + 1, updated_at = %s where order_id = %s",
        (person_id, judged.good["to_postal_code"][0], now, shipment.order_id),
    )
    ctx.conn.execute(
        "update orders.shipments set version = version + 1, updated_at = %s where shipment_id = %s",
        (now, shipment.shipment_id),
    )
    if numbers := _numbers(shipment):
        waybills.revise(ctx.conn, numbers, at=now)
    former = {"former_recipient_id": shipment.recipient_id} if shipment.recipient_id is not None else {}
    tell_history(ctx, [shipment.order_id], "readdressed", shipment_id=shipment.shipment_id, **former)
    note(ctx, "shipments.readdress", shipment.shipment_id)
    return get_shipment(ctx, ask.shipment_id)
