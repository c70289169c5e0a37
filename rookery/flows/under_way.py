"""Refusals of what may be done until a courier has a shipment's parcels: where these are, and what is left to do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import NoReturn

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
_BOOK = "book a new shipment: POST /quotes, then POST /shipments"
_RETURN = f"to have it back from there, {_BOOK}"
_AGAIN = f"to send it once more, {_BOOK}"


def refuse_under_way(ctx: Context, numbers: Sequence[str], action: str, *, delivered_alone: bool = False) -> None:
    """Refuse what may be done before hand-over alone, once parcels (numbers) were seen beyond pre_transit, themselves
    or by way of what they lay in, by anybody but their shipper: what a shipper packs in its own house it still has,
    unless it told so as one who carries.

    delivered_alone: only what is delivered is refused, not what came back to its sender. That it goes back counts for
    that where anybody but its shipper says so. What was withdrawn, or does not count, was not seen. Where nobody knows
    more than that a parcel was announced, no event is read. action: what may be done instead with what is on its way.
    Raises Conflict (shipments.under_way) with a fault for each such parcel: its status, as its tracker tells it.
    """
    with ctx.as_system() as conn:
        parcels = subjects.known(conn, [sscc_uri(one) for one in numbers], ctx.who.test).select(*PARCELS)
        known = stands(conn, parcels, ctx.who.test)

        def told(which: pl.Expr, *said: str) -> set[str]:
            """Those that stand so of which others say one of these statuses."""
            seen = parcels.join(known.filter(which), on="epc", how="semi")
            involved = subjects.involved(conn, seen)
            return set(said_by_others(conn, seen, said, involved, ctx.who.test, ctx.part(Archive)))

        status, goes_back = pl.col("status"), pl.col("status") == "return_to_sender"
        kept = told(goes_back, "delivered") - told(goes_back, "return_to_sender")
        held = told(status == "delivered", "delivered") if delivered_alone else told(status != "pre_transit", *_IN_HAND)
    last = known.filter(pl.col("epc").is_in(sorted(held | kept)))
    if not last.is_empty():
        back = f"an operator may cancel it; {_AGAIN}"
        raise _refusal("shipments.under_way", len(numbers), last, "It was scanned on its way", action, back, kept)


def refuse_handed_over(ctx: Context, numbers: Sequence[str], code: str, action: str) -> NoReturn:
    """Refuse what may be done before hand-over alone, of a shipment whose hand-over was noted.

    action: what may be done instead while it is on its way.
    Raises Conflict (code) with a fault for each parcel (numbers) that was scanned since, as its tracker tells it.
    """
    with ctx.as_system() as conn:
        parcels = subjects.known(conn, [sscc_uri(one) for one in numbers], ctx.who.test).select(*PARCELS)
        last = stands(conn, parcels, ctx.who.test).filter(pl.col("status") != "pre_transit")
    raise _refusal(code, len(numbers), last, "The shipment was handed over", action, _AGAIN)


def _refusal(
    code: str, count: int, last: pl.DataFrame, otherwise: str, action: str, back: str, kept: Collection[str] = ()
) -> Conflict:
    """What its parcels say that were seen last so (columns STANDS): that some were delivered counts for more than that
    some go back, and that for more than `otherwise`, what else is to be said.

    kept: those that were delivered and go back by their shipper's word alone.
    """
    what, which = otherwise, last
    status, own = pl.col("status"), pl.col("epc").is_in(sorted(kept))
    for so, said, instead in (
        ((status == "return_to_sender") & ~own, "It is on its way back to its sender, or there", back),
        (own, "It was delivered, and nobody but its shipper says that it goes back", _RETURN),
        (status == "delivered", "It was delivered", _RETURN),
    ):
        ended = last.filter(so)
        if not ended.is_empty():
            what, which, action = said, ended, instead
            if len(ended) < count:
                action += "; for its other parcels ask their courier"
    told = {number_of(epc): (status, at) for epc, status, at in last.sort("epc").rows()}
    if not which.is_empty():
        first = number_of(min(which["epc"]))
        what += f": {first}, {told[first][0]} at {_instant(told[first][1])}"
        if count > 1:
            what += f" ({len(which)} of its {count} parcels)"
    return Conflict(
        code, f"{what}.", action,
        faults=[
            Fault("$.shipment_id", "under_way", f"{one}: it was {status} at {_instant(at)}", f"see GET /trackers/{one}")
            for one, (status, at) in told.items()
        ],
    )  # fmt: skip


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
