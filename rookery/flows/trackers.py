"""Trackers: how far a parcel is, by its waybill number, as far as booking and hand-over tell."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from rookery.base.operations import Context, operation
from rookery.flows.asks import Leg
from rookery.flows.parcels import Number, as_issued
from rookery.flows.shipments import get_shipments
from rookery.terms.errors import NotFound
from rookery.waybill.rules.numbers import read_sscc

MILESTONES: dict[str, Literal["pre_transit", "picked_up", "cancelled"]] = {
    "booked": "pre_transit",
    "handed_over": "picked_up",
    "cancelled": "cancelled",
}


class OneTracker(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a parcel by its number."""

    number: Number


class Tracker(Struct, frozen=True):
    """A parcel's milestone, its promise, and the route it is to take."""

    number: str
    parcel_id: str
    shipment_id: str
    status: Literal["pre_transit", "picked_up", "cancelled"]
    promised_at: datetime
    expected_at: datetime
    on_time_probability: float
    legs: list[Leg]


@operation("trackers.get", kind="query", http="GET /trackers/{number}", scope=("merchant", "operator"))
def get(ctx: Context, ask: OneTracker) -> Tracker:
    """Track a parcel by its waybill number."""
    number = as_issued(ask.number)
    if len(number) == 18 and number.isdecimal():
        read_sscc(number)  # a mistyped digit is told as one
    row = ctx.conn.execute(
        "select parcel_id, shipment_id, state from orders.parcels where number = %s", (number,)
    ).fetchone()
    found = get_shipments(ctx, [row[1]]) if row is not None else []
    if row is None or not found:
        raise NotFound("trackers.none", f"No parcel has the number {number}.", "check the number on its label")
    [shipment] = found
    return Tracker(
        number, row[0], row[1], MILESTONES[row[2]], shipment.promised_at, shipment.expected_at,
        shipment.on_time_probability, shipment.legs,
    )  # fmt: skip
