"""A quote for a parcel described by options: its offers, or why there is none, in words of those options."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import polars as pl
from msgspec import structs

from rookery.flows.explaining import explain
from rookery.flows.planning import Plan
from rookery.flows.promising import Offer, promise
from rookery.planning.explain import Reason
from rookery.terms.errors import InvalidInput, NotFound
from rookery.terms.frames import Feed

OPTIONS = {"from_node": "--from", "to_node": "--to", "to_country": "--to", "to_postal_code": "--to"}


class Wish(NamedTuple):
    """The parcel to be quoted, as it was typed."""

    origin: str
    to: str
    ready_at: datetime
    weight_g: float
    goods: str
    length_mm: float | None
    width_mm: float | None
    height_mm: float | None


def offers_of(
    feed: Feed, wish: Wish, *, confidence: float, outcomes: int, horizon_days: int | None, prices: Plan | None
) -> list[Offer]:
    """The offers for the parcel. InvalidInput and NotFound name the option that is wrong."""
    if ":" in wish.origin and wish.origin not in feed.nodes["node_id"]:
        raise NotFound(
            "promise.unknown_node",
            f"The feed has no node {wish.origin!r}; a pick-up address is not accepted here.",
            "give --from a node_id of nodes.csv; a parcel picked up at an address goes into an order file",
        )
    try:
        return promise(
            feed,
            **wish._asdict(),
            confidence=confidence,
            outcomes=outcomes,
            horizon_days=horizon_days,
            prices=prices,
        )
    except InvalidInput as fault:
        if not fault.notices:
            raise
        raise _in_options(fault) from None


def reasons_against(feed: Feed, wish: Wish, *, outcomes: int, horizon_days: int | None) -> list[Reason]:
    """Why the parcel cannot be brought, and what would mend it."""
    country, colon, postal = wish.to.partition(":")
    addressed = bool(colon) and wish.to not in feed.nodes["node_id"]
    order = {
        "order_id": "quote",
        "from_node": wish.origin,
        **({"to_country": country, "to_postal_code": postal} if addressed else {"to_node": wish.to}),
        "ready_at": wish.ready_at,
        "weight_g": wish.weight_g,
        "goods": wish.goods,
    }
    sides = {"length_mm": wish.length_mm, "width_mm": wish.width_mm, "height_mm": wish.height_mm}
    order |= {side: length for side, length in sides.items() if length is not None}
    return explain(feed, pl.DataFrame([order]), "quote", outcomes=outcomes, horizon_days=horizon_days).reasons


def _in_options(fault: InvalidInput) -> InvalidInput:
    """The same faults, each under the option that was typed instead of the column of an order."""

    def option(column: str | None) -> str:
        return OPTIONS.get(column or "", f"--{(column or '').replace('_', '-')}")

    notices = [
        structs.replace(notice, file="", line=None, column=option(notice.column), remedy="Correct this option")
        for notice in fault.notices
        if notice.severity == "error"
    ]
    return InvalidInput(
        "promise.unusable", "A parcel like this cannot be quoted.", "correct the options named", notices
    )
