"""Waybill numbers: the ranges they come from, and the ones that parcels get when they are booked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import polars as pl
from msgspec import Meta, Struct

from rookery.base import sets
from rookery.base.audit import note
from rookery.base.operations import SYSTEM, Context, operation
from rookery.flows.living.facts import enter_parcels
from rookery.orders.booking import label_parcels
from rookery.terms.errors import Conflict
from rookery.terms.ids import new_id
from rookery.waybill import store
from rookery.waybill.rules.numbers import carrier_scheme, s10_scheme, sscc_scheme
from rookery.waybill.rules.route_code import route_code
from rookery.waybill.store import Issued, Range

DEMONSTRATION = "9520000"
"""A company prefix under GS1 prefix 952, which GS1 reserves for demonstrations and examples."""
PartyId = Annotated[str, Meta(max_length=40)]
Serial = Annotated[int, Meta(ge=0, le=10**18 - 1)]


class NewRange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers that were assigned to a party: of SSCCs by company prefix, of S10 numbers by service indicator and
    country, of a carrier's by prefix and digits.
    """

    kind: Literal["sscc", "s10", "carrier"] = "sscc"
    party_id: PartyId | None = None
    company_prefix: Annotated[str, Meta(pattern="^[0-9]{7,10}$", examples=["9521234"])] | None = None
    extension: Annotated[int, Meta(ge=0, le=9)] = 0
    service: Annotated[str, Meta(pattern="^[A-Z]{2}$", examples=["CX"])] | None = None
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", examples=["BE"])] | None = None
    prefix: Annotated[str, Meta(pattern="^[A-Z0-9]{0,10}$")] = ""
    digits: Annotated[int, Meta(ge=1, le=18)] | None = None
    check: Literal["mod10", "none"] = "none"
    suffix: Annotated[str, Meta(pattern="^[A-Z0-9]{0,10}$")] = ""
    first: Serial = 0
    last: Serial | None = None
    shared: Annotated[bool, Meta(description="All parties get numbers of it.")] = False


class RangeOut(Struct, frozen=True):
    """A range, and how much of it is left."""

    range_id: str
    party_id: str
    kind: str
    prefix: str
    digits: int
    suffix: str
    first: int
    last: int
    left: int
    shared: bool
    test: bool


@operation("ranges.create", kind="command", http="POST /number-ranges", scope="operator", status=201)
def add_range(ctx: Context, ask: NewRange) -> RangeOut:
    """Enter a range of waybill numbers; it can never overlap another, and no number of it is ever issued twice."""
    scheme = {
        "sscc": lambda: sscc_scheme(ask.company_prefix or "", ask.extension),
        "s10": lambda: s10_scheme(ask.service or "", ask.country or ""),
        "carrier": lambda: carrier_scheme(ask.prefix, ask.digits or 0, ask.check, ask.suffix),
    }[ask.kind]()
    made = store.add_range(
        ctx.conn, new_id("rng", ctx.clock.now()), ask.party_id or ctx.who.party_id, scheme,
        ask.first, scheme.last_serial if ask.last is None else ask.last,
        test=ctx.who.test, at=ctx.clock.now(), shared=ask.shared,
    )  # fmt: skip
    note(ctx, "ranges.create", made.range_id, kind=ask.kind)
    return _out(made)


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is asked for but the whole."""


class Ranges(Struct, frozen=True):
    """All ranges the asker gets numbers of."""

    data: list[RangeOut]


@operation("ranges.list", kind="query", http="GET /number-ranges", scope=("merchant", "operator"))
def list_ranges(ctx: Context, ask: Nothing) -> Ranges:
    """List the ranges of waybill numbers: your own and those shared by all."""
    return Ranges([_out(row) for row in store.list_ranges(ctx.conn)])


def issue_for(ctx: Context, party_id: str, parcel_ids: Sequence[str]) -> Issued:
    """SSCCs for parcels of a party: from its own range, else from one shared by all.

    Raises Conflict when all are used up. Call it late in the transaction: the range is held until its end.
    """
    ranges = [row for row in store.list_ranges(ctx.conn) if row.kind == "sscc" and row.left >= len(parcel_ids)]
    ranges = [row for row in ranges if row.party_id == party_id or row.shared]
    if not ranges:
        raise Conflict(
            "waybill.no_range",
            f"No range has {len(parcel_ids)} numbers left for {party_id}.",
            "enter one: rookery numbers add --company-prefix PREFIX",
        )
    chosen = min(ranges, key=lambda row: (row.party_id != party_id, row.range_id))
    return store.issue(ctx.conn, chosen.range_id, party_id, len(parcel_ids), at=ctx.clock.now(), parcel_ids=parcel_ids)


def number_parcels(ctx: Context, parcels: pl.DataFrame, legs: pl.DataFrame) -> None:
    """Give parcels of one party a number and their route code. Call it late in the transaction.

    parcels: parcel_id, shipment_id, party_id; legs: shipment_id, seq, to_node. Raises Conflict when no range has so
    many numbers left.
    """
    [party_id] = parcels["party_id"].unique().to_list()
    label_parcels(ctx.conn, route_codes(legs), _numbers(ctx, party_id, parcels))


def number_wave(ctx: Context, plan_id: str) -> dict[str, int]:
    """Numbers and route codes of all that a wave has booked or re-routed, in the transaction that writes it; numbers
    also for those that an earlier wave found none for. All of these are entered for their chances to be looked up.

    Returns how many parcels of which party stay without a number because its ranges are used up: the others go on.
    """
    parcels = sets.read(
        ctx.conn,
        "select p.parcel_id, p.shipment_id, p.party_id from orders.parcels p"
        " join orders.shipments s using (shipment_id)"
        " where p.number is null and p.state = 'booked' and p.test = %(test)s",
        {"parcel_id": pl.String, "shipment_id": pl.String, "party_id": pl.String},
        {"test": ctx.who.test},
    )
    legs = sets.read(
        ctx.conn,
        "select l.shipment_id, l.seq, l.to_node from planning.legs l join orders.shipments s"
        " on s.shipment_id = l.shipment_id and s.route = l.route where s.test = %(test)s and s.state = 'booked'"
        " and (s.plan_id = %(plan)s and s.route > 1 or exists (select from orders.parcels p"
        "   where p.shipment_id = s.shipment_id and (p.route_code is null or p.number is null)))",
        {"shipment_id": pl.String, "seq": pl.Int32, "to_node": pl.String},
        {"plan": plan_id, "test": ctx.who.test},
    )
    numbers, without = [], {}
    for (party_id,), mine in parcels.sort("party_id", "parcel_id").group_by("party_id", maintain_order=True):
        try:
            numbers.append(_numbers(ctx, str(party_id), mine))
        except Conflict:
            without[str(party_id)] = mine.height
    none = pl.DataFrame(schema={"parcel_id": pl.String, "number": pl.String})
    label_parcels(ctx.conn, route_codes(legs), pl.concat([none, *numbers]))
    booked = pl.concat([legs["shipment_id"], parcels["shipment_id"]])  # those that are where they are going: no legs
    enter_parcels(ctx.conn, ctx.who.test, booked.unique())
    return without


def _numbers(ctx: Context, party_id: str, parcels: pl.DataFrame) -> pl.DataFrame:
    ids = parcels["parcel_id"].to_list()
    issued = issue_for(ctx, party_id, ids)
    return pl.DataFrame(
        {"parcel_id": ids, "number": issued.numbers}, schema={"parcel_id": pl.String, "number": pl.String}
    )


def route_codes(legs: pl.DataFrame) -> pl.DataFrame:
    """The route code of each shipment (legs: shipment_id, seq, to_node)."""
    stops = legs.sort("shipment_id", "seq").group_by("shipment_id", maintain_order=True).agg("to_node")
    codes = [route_code(nodes[:-1], nodes[-1]).text for nodes in stops["to_node"].to_list()]
    return stops.select("shipment_id", route_code=pl.Series(codes, dtype=pl.String))


def add_demonstration_ranges(ctx: Context) -> bool:
    """A shared range to begin with, where there is none: True when it was made. Its numbers are for trying out only."""
    if any(row.shared for row in store.list_ranges(ctx.conn)):
        return False
    # live and test numbers differ in their first digit
    scheme = sscc_scheme(DEMONSTRATION, 9 if ctx.who.test else 0)
    store.add_range(
        ctx.conn, new_id("rng", ctx.clock.now()), SYSTEM.party_id, scheme, 0, scheme.last_serial,
        test=ctx.who.test, at=ctx.clock.now(), shared=True,
    )  # fmt: skip
    return True


def _out(row: Range) -> RangeOut:
    return RangeOut(
        row.range_id, row.party_id, row.kind, row.prefix, row.digits, row.suffix, row.first_serial, row.last_serial,
        row.left, row.shared, row.test,
    )  # fmt: skip
