"""What those who carry parcels have scanned, though nobody noted that these were handed over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

import polars as pl

from rookery.base.operations import Context
from rookery.flows import subjects
from rookery.terms.errors import Conflict
from rookery.terms.notice import Fault
from rookery.tracking.archive import Archive
from rookery.tracking.epcis.identifiers import number_of, sscc_uri
from rookery.tracking.lying import PARCELS
from rookery.tracking.states import history

_NOT_IN_HAND = ("pre_transit", "cancelled")
"""Announced, or refused by a courier."""


def refuse_under_way(ctx: Context, numbers: Sequence[str], action: str, *, delivered_alone: bool = False) -> None:
    """Refuse what may be done before hand-over alone, once parcels (numbers) were seen beyond pre_transit, themselves
    or by way of what they lay in, by anybody but their shipper: what a shipper packs in its own house it still has.

    delivered_alone: only what was delivered is refused. What was withdrawn, or does not count, was not seen.
    Raises Conflict (shipments.under_way) with a fault for each such parcel.
    """
    epcs = [sscc_uri(one) for one in numbers]
    with ctx.as_system() as conn:
        parcels = subjects.known(conn, epcs, ctx.who.test).select(*PARCELS)
        involved = subjects.involved(conn, parcels)
        seen = history(conn, epcs, involved, ctx.who.test, ctx.part(Archive)).join(parcels, on="epc")
    beyond = pl.col("status") == "delivered" if delivered_alone else ~pl.col("status").is_in(_NOT_IN_HAND)
    seen = seen.filter(pl.col("against").is_null(), pl.col("party_id") != pl.col("owner_id"), beyond)
    last = seen.sort("at", "event_no").unique("epc", keep="last").sort("epc").select("epc", "status", "at").rows()
    told = [(number_of(epc), f"it was {status} at {at.astimezone(UTC):%Y-%m-%dT%H:%MZ}") for epc, status, at in last]
    if told:
        what = f"Of its {len(numbers)} parcels {len(told)} were scanned on their way; {told[0][0]}: {told[0][1]}."
        faults = [Fault("$.shipment_id", "under_way", f"{one}: {why}", f"see GET /trackers/{one}") for one, why in told]
        raise Conflict("shipments.under_way", what, action, faults=faults)
