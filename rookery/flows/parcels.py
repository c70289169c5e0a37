"""Parcels as those see them who carry them: a courier the parcels of its own legs, and nobody's name or address."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from psycopg.rows import dict_row

from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.base.paging import After, Limit, Page, page
from rookery.terms.errors import Conflict, NotAllowed, NotFound
from rookery.tracking import chances
from rookery.tracking.epcis.identifiers import sscc_uri
from rookery.waybill import store as waybills

ParcelId = Annotated[str, Meta(max_length=40, examples=["pcl_01m8hyvan558x4225mfmdh7nwt"])]
Number = Annotated[
    str,
    Meta(
        min_length=4,
        max_length=60,
        pattern=r"^[A-Za-z0-9() ]+$",
        examples=["095200000000000004"],
        description="As printed or as scanned: blanks and (00) are passed over.",
    ),
]


def as_issued(number: str) -> str:
    """A waybill number as it was issued: without the blanks, brackets and identifier it may be printed with."""
    plain = "".join(number.split()).upper()
    plain = plain.removeprefix("(00)")
    return plain[2:] if len(plain) == 20 and plain.startswith("00") and plain.isdecimal() else plain


State = Literal["booked", "handed_over", "cancelled"]
WHO = ("merchant", "courier", "station", "operator")


class Carried(Struct, frozen=True):
    """A parcel and the legs of it that the asker may see."""

    parcel_id: str
    number: str | None
    route_code: str | None
    piece: int
    pieces: int
    weight_g: float
    length_mm: float | None
    width_mm: float | None
    height_mm: float | None
    state: State
    legs: list[CarriedLeg]


class CarriedLeg(Struct, frozen=True):
    """A leg of a parcel's route."""

    seq: int
    departure_id: str
    lane_id: str
    carrier_id: str | None
    from_node: str
    to_node: str
    cutoff_at: datetime
    depart_at: datetime
    arrive_at: datetime


_SELECT = (
    "select p.parcel_id, p.number, p.route_code, p.piece, p.pieces, p.weight_g, p.length_mm, p.width_mm, p.height_mm,"
    " p.state, p.shipment_id from orders.parcels p"
)


class WhichParcels(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of parcels, oldest first."""

    limit: Limit = 100
    after: After = ""
    number: Number | None = None
    state: State | None = None


@operation("parcels.list", kind="query", http="GET /parcels", scope=WHO)
def list_parcels(ctx: Context, ask: WhichParcels) -> Page[Carried]:
    """List parcels: a shipper's own, a courier's those of its legs."""
    wanted: dict[str, Any] = {"after": ask.after, "limit": ask.limit + 1, "test": ctx.who.test}
    where = "p.parcel_id > %(after)s and p.test = %(test)s"
    for name in ("number", "state"):
        if (value := getattr(ask, name)) is not None:
            wanted[name] = as_issued(value) if name == "number" else value
            where += f" and p.{name} = %({name})s"
    query = f"{_SELECT} where {where} order by p.parcel_id limit %(limit)s"
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query.encode(), wanted).fetchall()
    return page(_with_legs(ctx, rows), ask.limit, lambda parcel: parcel.parcel_id)


class OneParcel(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a parcel."""

    parcel_id: ParcelId


@operation("parcels.get", kind="query", http="GET /parcels/{parcel_id}", scope=WHO)
def get(ctx: Context, ask: OneParcel) -> Carried:
    """Look a parcel up."""
    return _get(ctx, ask.parcel_id)


@operation(
    "parcels.hand_over", kind="command", http="POST /parcels/{parcel_id}/hand-over", scope=("courier", "operator")
)
def hand_over(ctx: Context, ask: OneParcel) -> Carried:
    """Note that a parcel was handed over to its first courier: from then on neither it nor its label changes."""
    _hold_shipment(ctx, ask.parcel_id)
    parcel = _get(ctx, ask.parcel_id)
    if parcel.state == "cancelled":
        raise Conflict("parcels.cancelled", "The parcel is cancelled.", "give it back to the shipper")
    if parcel.state == "booked":
        _refuse_who_does_not_carry(ctx, ask.parcel_id)
        ctx.conn.execute(
            "update orders.parcels set state = 'handed_over' where parcel_id = %s and state = 'booked'",
            (ask.parcel_id,),
        )
        ctx.conn.execute("select orders.hand_over_shipment(%s, %s)", (ask.parcel_id, ctx.clock.now()))
        if parcel.number is not None:
            waybills.hand_over(ctx.conn, [parcel.number], at=ctx.clock.now())
            with ctx.as_system() as conn:
                chances.enter(conn, ctx.who.test, [sscc_uri(parcel.number)])
        note(ctx, "parcels.hand_over", ask.parcel_id)
    return _get(ctx, ask.parcel_id)


def _hold_shipment(ctx: Context, parcel_id: str) -> None:
    """The shipment of a parcel that the asker may see, held before the parcel, as by whoever cancels or re-books it."""
    seen = ctx.conn.execute("select shipment_id from orders.parcels where parcel_id = %s", (parcel_id,)).fetchone()
    with ctx.as_system() as conn:
        conn.execute("select from orders.shipments where shipment_id = any(%s) for update", (list(seen or ()),))


def _refuse_who_does_not_carry(ctx: Context, parcel_id: str) -> None:
    """Raises NotAllowed for anybody but the courier of the first leg, and those who run the network."""
    first = ctx.conn.execute(
        "select from orders.parcels p join planning.legs l using (shipment_id) where p.parcel_id = %s and l.seq = 1"
        " and l.courier_id = %s and l.route = (select max(m.route) from planning.legs m"
        "   where m.shipment_id = l.shipment_id)",
        (parcel_id, ctx.who.party_id),
    )
    if first.rowcount == 0 and not ctx.who.scopes & {"operator", "admin", "system"}:
        what = "You are not the courier that takes this parcel over first."
        raise NotAllowed("parcels.not_carried", what, "the first leg's courier notes the hand-over")


def _get(ctx: Context, parcel_id: str) -> Carried:
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(f"{_SELECT} where p.parcel_id = %s".encode(), (parcel_id,)).fetchall()
    if not rows:
        raise NotFound("parcels.none", f"There is no parcel {parcel_id}.", "list yours: GET /parcels")
    return _with_legs(ctx, rows)[0]


def _with_legs(ctx: Context, rows: list[dict[str, Any]]) -> list[Carried]:
    legs: dict[str, list[dict[str, Any]]] = {}
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "select l.shipment_id, l.seq, l.departure_id, l.lane_id, l.carrier_id, l.from_node, l.to_node, l.cutoff_at,"
            " l.depart_at, l.arrive_at from planning.legs l where l.shipment_id = any(%s)"
            " and l.route = (select max(m.route) from planning.legs m where m.shipment_id = l.shipment_id)"
            " order by l.shipment_id, l.seq",
            ([row["shipment_id"] for row in rows],),
        )
        for row in cursor:
            legs.setdefault(row["shipment_id"], []).append(row)
    return msgspec.convert([{**row, "legs": legs.get(row["shipment_id"], [])} for row in rows], list[Carried])
