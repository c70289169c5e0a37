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
from rookery.tracking.handed import said_by_others, stands
from rookery.tracking.lying import PARCELS
from rookery.tracking.model import STATUSES

_IN_HAND = [one for one in STATUSES if one not in ("pre_transit", "cancelled")]
"""What is said of a parcel by who has it: not what announces it, or calls it off."""


def refuse_under_way(ctx: Context, numbers: Sequence[str], action: str, *, delivered_alone: bool = False) -> None:
    """Refuse what may be done before hand-over alone, once parcels (numbers) were seen beyond pre_transit, themselves
    or by way of what they lay in, by anybody but their shipper: what a shipper packs in its own house it still has,
    unless it told so as one who carries.

    delivered_alone: only what is delivered is refused, not what came back to its sender. What was withdrawn, or does
    not count, was not seen. Where nobody knows more than that a parcel was announced, no event is read.
    Raises Conflict (shipments.under_way) with a fault for each such parcel: its status, as its tracker tells it.
    """
    with ctx.as_system() as conn:
        parcels = subjects.known(conn, [sscc_uri(one) for one in numbers], ctx.who.test).select(*PARCELS)
        known = stands(conn, parcels, ctx.who.test)
        beyond = pl.col("status") == "delivered" if delivered_alone else pl.col("status") != "pre_transit"
        seen = parcels.join(known.filter(beyond), on="epc", how="semi")
        said = ["delivered"] if delivered_alone else _IN_HAND
        held = said_by_others(conn, seen, said, subjects.involved(conn, seen), ctx.who.test, ctx.part(Archive))
    last = known.filter(pl.col("epc").is_in(held)).sort("epc").rows()
    told = [(number_of(epc), f"it was {status} at {at.astimezone(UTC):%Y-%m-%dT%H:%MZ}") for epc, status, at in last]
    if told:
        what = f"Of its {len(numbers)} parcels {len(told)} were scanned on their way; {told[0][0]}: {told[0][1]}."
        faults = [Fault("$.shipment_id", "under_way", f"{one}: {why}", f"see GET /trackers/{one}") for one, why in told]
        raise Conflict("shipments.under_way", what, action, faults=faults)
