"""What an event means for a parcel, and where all of them together leave it. Pure.

A milestone is a small status and a detail code. Events are folded in event time, whenever they came, those of one
instant as `in_order` has them. Words: CBV 2.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import polars as pl
from msgspec import Struct

from rookery.tracking.epcis.vocabulary import short
from rookery.tracking.model import STATUSES

CHILD, PARENT = 2, 1
RETURNED = "returned_to_sender"
"""The detail of a parcel that its sender has back: an end, as being delivered is."""
_ON_ITS_WAY = frozenset({"picked_up", "in_transit", "out_for_delivery", "available_for_pickup"})


class Meaning(NamedTuple):
    """A status and its detail; both None when an event says nothing of a parcel."""

    status: str | None
    detail: str | None


NOTHING = Meaning(None, None)
STEPS: Mapping[str, Meaning] = MappingProxyType(
    {
        "commissioning": Meaning("pre_transit", "label_created"),
        "accepting": Meaning("picked_up", "accepted"),
        "collecting": Meaning("picked_up", "accepted"),
        "packing": Meaning("in_transit", "bagged"),
        "unpacking": Meaning("in_transit", "unbagged"),
        "staging_outbound": Meaning("in_transit", "ready_to_depart"),
        "loading": Meaning("in_transit", "loaded"),
        "departing": Meaning("in_transit", "departed"),
        "shipping": Meaning("in_transit", "departed"),
        "arriving": Meaning("in_transit", "arrived"),
        "unloading": Meaning("in_transit", "unloaded"),
        "transporting": Meaning("out_for_delivery", None),
        "storing": Meaning("available_for_pickup", None),
        "holding": Meaning("on_hold", None),
        "receiving": Meaning("delivered", None),
        "void_shipping": Meaning("cancelled", None),
    }
)
"""What business steps mean for the thing they were done with. `other` and all that stand not here say nothing alone."""
_CONTENTS_ONLY = frozenset({"packing", "unpacking", "loading", "unloading"})  # the container itself moves by it nowhere


def meaning(event: Mapping[str, Any], role: int) -> Meaning:
    """What an event (JSON form) means for a thing that stands in it in a role (tracking.event_epcs.role).

    Rookery's own fields win, for they come from a courier's code table; else the business step and disposition tell.
    """
    status = event.get("rookery:status")
    if isinstance(status, str) and status in STATUSES:
        detail = event.get("rookery:detail")
        return Meaning(status, detail if isinstance(detail, str) else None)
    step = event.get("bizStep")
    if not isinstance(step, str):
        return NOTHING
    step = short(step)
    if step in _CONTENTS_ONLY and role == PARENT:
        return NOTHING
    disposition = event.get("disposition")
    if isinstance(disposition, str):
        disposition = short(disposition)
        if disposition == "returned" and step == "shipping":
            return Meaning("return_to_sender", None)
        if disposition == "damaged":
            return Meaning("on_hold", "damaged")
    return STEPS.get(step, NOTHING)


LIFE = (
    "pre_transit", "picked_up",
    "arrived", "at_destination_country", "at_delivery_depot", "unloaded", "unbagged", "in_transit", "bagged",
    "ready_to_depart", "loaded", "departed", "delayed", "weather", "disruption", "misrouted", "left_behind", "damaged",
    "out_for_delivery", "delivery_failed", "available_for_pickup", "on_hold", "customs_cleared", "found",
    "delivered", "return_to_sender", "cancelled",
)  # fmt: skip
"""What happens to a parcel in the order of the trade, as far as there is one: statuses, and details of `in_transit`.

What goes wrong comes behind the movement it befell, lest it be lost, and before what ends it.
"""


def in_order(seen: pl.DataFrame) -> pl.DataFrame:
    """Events about parcels in the order in which they are folded: by parcel and event time; of one instant, those of a
    batch as they were sent, and otherwise as the trade has it (LIFE), at last as they were recorded.

    seen: epc, at, event_no, status, detail, against, batch_no (null: an event by itself, or nobody knows with what it
    was sent). An event stands no earlier in LIFE than what its batch tells before it, so that there is one order.
    """
    batch = ["epc", "at", "batch_no"]
    place = dict(zip(LIFE, range(len(LIFE))))
    of_detail = pl.when(status="in_transit").then("detail").replace_strict(place, default=None, return_dtype=pl.Int64)
    of_status = pl.col("status").replace_strict(place, default=None, return_dtype=pl.Int64)
    own = pl.when(pl.col("against").is_null()).then(pl.coalesce(of_detail, of_status)).fill_null(-1)
    return (
        seen.sort("epc", "at", "event_no")
        .with_columns(own=own, batch_no=pl.col("batch_no").fill_null(-pl.col("event_no")))  # numbers are above 0
        .with_columns(reached=pl.col("own").cum_max().over(batch), nth=pl.int_range(pl.len()).over(batch))
        .sort("epc", "at", "reached", "nth", "own", "event_no")
        .drop("own", "reached", "nth")
    )


class State(Struct, frozen=True):
    """Where a parcel is: its milestone, since when, by which event and where; nothing known = all None."""

    status: str | None = None
    detail: str | None = None
    at: datetime | None = None
    event_no: int | None = None
    place: str | None = None


class Seen(NamedTuple):
    """One event about a parcel, itself or by way of what it lay in. against: why it does not count, None = it does."""

    at: datetime
    event_no: int
    status: str | None
    detail: str | None
    place: str | None
    against: str | None = None


def step(state: State, seen: Seen) -> tuple[State, str | None]:
    """The state after one more event, and why that event changed nothing (None = it did).

    Delivered stands until it is withdrawn or the parcel goes back; what was scanned once has left pre_transit for good;
    a parcel that goes back is going back wherever it is seen, until it is delivered, to its sender.
    """
    if seen.against is not None:
        return state, seen.against
    status, detail, now = seen.status, seen.detail, state.status
    if status is None:
        return state, "says_nothing"
    if (now == "delivered" and status != "return_to_sender") or state.detail == RETURNED:
        return state, "after_its_end"
    if status == "pre_transit" and now not in (None, "pre_transit"):
        return state, "before_what_is_known"
    if now == "return_to_sender":
        if status in _ON_ITS_WAY:
            status, detail = now, "return_in_transit"
        elif status == "delivered":
            status, detail = now, RETURNED
    return State(status, detail, seen.at, seen.event_no, seen.place), None


def fold(state: State, events: Iterable[Seen]) -> State:
    """The state after events, in their order (`in_order`)."""
    for seen in events:
        state, _ = step(state, seen)
    return state
