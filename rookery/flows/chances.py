"""Public acts about chances: how likely parcels are to be on time, now and before."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from rookery.base.operations import Context, operation
from rookery.base.paging import After, Limit, Page, page
from rookery.flows.parcels import Number, as_issued
from rookery.flows.quotes.asks import Leg
from rookery.planning.store import couriers
from rookery.terms.errors import InvalidInput, NotFound
from rookery.terms.notice import Fault
from rookery.tracking import chances
from rookery.tracking.chances import Chance
from rookery.tracking.chances_unknown import unknown_chances
from rookery.tracking.epcis.identifiers import number_of, sscc_uri

_CHANCE = re.compile(r"[01]|[01]\.\d+|\d(?:\.\d+)?e-\d\d?\d?")
SEES_ALL = frozenset({"operator", "admin", "system"})
Why = Annotated[
    str,
    Meta(
        description="Why a chance is not known, or is what it is: no_way, no_policy (not looked up yet; what was found"
        " before stands), unknown_place (the same), not_planned (it goes by the policy alone), ended, given_up (nothing"
        " was seen for 30 days after the promise)."
    ),
]


class Ride(Struct, frozen=True):
    """The dated departure that a parcel rides, by when it was to leave; the first of `legs` tells when it leaves, later
    where a closure puts it off.
    """

    departure_id: str
    depart_at: datetime


class Now(Struct, frozen=True):
    """What is ahead of a parcel, by the last that was seen of it, and as the network's policy has it.

    chance: of being delivered when promised; expected_at: the mean; by_at: by when it is delivered as surely as was
    promised. node: where it stands; riding: what it rides; next: its next move; legs: from here, along median times,
    the one it rides first, unless that is overdue: then from where it leads; off_plan: they leave the booked ones. at:
    of the event that it goes by; awaited: what is to be seen next, and by when. policy: of which outlook all this is. A
    courier sees its own legs and rides; chance, expected_at and by_at are the shipper's, and so is awaited_by while
    others carry it: null for couriers.
    """

    chance: float | None
    expected_at: datetime | None
    by_at: datetime | None
    at: datetime | None
    looked_at: datetime
    node: str | None
    riding: Ride | None
    next: Leg | None
    legs: list[Leg]
    off_plan: bool
    awaited: str | None
    awaited_by: datetime | None
    why: Why | None
    policy: str | None


def now_of(ctx: Context, number: str) -> Now | None:
    """What is ahead of a parcel that the asker may see, by its waybill number; None until it was looked at."""
    found = chances.find(ctx.conn, ctx.who.test, sscc_uri(number))
    if found is None:
        return None
    legs = msgspec.convert(found.legs, list[Leg])
    riding = None
    if found.riding_departure_id is not None and found.riding_depart_at is not None:
        riding = Ride(found.riding_departure_id, found.riding_depart_at)
    told = Now(
        found.chance, found.expected_at, found.by_at, found.at, found.looked_at, found.node_id, riding,
        next((leg for leg in legs if leg.departure_id == found.next_departure_id), None), legs, found.off_plan,
        found.due_scan, found.look_again_at if found.due_scan else None, found.why, found.policy,
    )  # fmt: skip
    whole = found.owner_id == ctx.who.party_id or ctx.who.scopes & SEES_ALL
    return told if whole else _for_courier(ctx, told)


def _for_courier(ctx: Context, told: Now) -> Now:
    """What a courier sees: its own legs, and of the others' neither rides nor times."""
    known = couriers(ctx.conn, [leg.carrier_id for leg in told.legs])
    mine = set(known.filter(courier_id=ctx.who.party_id)["carrier_id"])
    legs = [leg for leg in told.legs if leg.carrier_id in mine]
    own = [leg.departure_id for leg in legs]
    others_ride = told.riding is not None and told.riding.departure_id not in own
    return msgspec.structs.replace(
        told,
        chance=None,
        expected_at=None,
        by_at=None,
        riding=None if others_ride else told.riding,
        next=told.next if told.next is not None and told.next.departure_id in own else None,
        legs=legs,
        awaited_by=None if others_ride else told.awaited_by,
    )


class PastChance(Struct, frozen=True):
    """A chance as it was from then on. at: of the event that made it so; without a new one, of the look."""

    at: datetime
    looked_at: datetime
    chance: float | None
    expected_at: datetime | None
    why: Why | None
    policy: str | None


class WhichPast(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of how a parcel's chance came to be what it is, oldest first."""

    number: Number
    limit: Limit = 100
    after: After = ""


@operation("trackers.chances", kind="query", http="GET /trackers/{number}/chances", scope=("merchant", "operator"))
def past(ctx: Context, ask: WhichPast) -> Page[PastChance]:
    """Look up how a parcel's chance of being on time came to be what it is, oldest first.

    A line for each time that the chance, the expected delivery or the reason was another than before; kept for 13
    months. It is told to who ships it, and to operators.
    """
    number = as_issued(ask.number)
    seen = ctx.conn.execute(
        "select from orders.parcels where number = %s and test = %s", (number, ctx.who.test)
    ).fetchone()
    if seen is None:
        raise NotFound("trackers.none", f"No parcel has the number {number}.", "check the number on its label")
    found = chances.history(ctx.conn, ctx.who.test, sscc_uri(number), _cursor(ask.after), ask.limit + 1)
    shown = page(found, ask.limit, lambda one: str(one.seq))
    told = [PastChance(o.at, o.looked_at, o.chance, o.expected_at, o.why, o.policy) for o in shown.data]
    return Page(told, shown.next)


def _cursor(after: str) -> int:
    if after and not (after.isdecimal() and len(after) <= 18):
        raise InvalidInput("chances.after", "The cursor is none of this list.", "send `next` of the page before")
    return int(after or 0)


class ParcelChance(Struct, frozen=True):
    """A parcel under way and its chance of being on time."""

    number: str
    parcel_id: str
    shipment_id: str
    owner_id: str
    status: str
    detail: str | None
    node: str | None
    chance: float | None
    confidence: float
    promised_at: datetime
    expected_at: datetime | None
    next_departure_id: str | None
    next_cutoff_at: datetime | None
    off_plan: bool
    why: Why | None


class WhichChances(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of parcels under way, the least likely first; unknown: those whose chance is not known, in their place."""

    below: Annotated[float, Meta(gt=0, le=1, description="Only chances below this.", examples=[0.9])] | None = None
    unknown: Annotated[bool, Meta(description="Those alone whose chance is not known; `why` says why.")] = False
    limit: Limit = 100
    after: After = ""


@operation("chances.list", kind="query", http="GET /chances", scope="operator")
def list_chances(ctx: Context, ask: WhichChances) -> Page[ParcelChance]:
    """List parcels under way by their chance of being on time, the least likely first.

    Those whose chance is not known are not among them: ask for these with `unknown`.
    """
    if ask.unknown and ask.below is not None:
        fault = Fault("query.below", "contradiction", "a chance that is not known is below nothing", "leave one out")
        what = "Both `below` and `unknown` are asked for."
        raise InvalidInput("chances.contradiction", what, "send one of them", faults=[fault])
    chance, _, parcel_id = ask.after.partition("~")
    fits = (chance == "") if ask.unknown else (_CHANCE.fullmatch(chance) is not None)
    if ask.after and not (fits and parcel_id.startswith("pcl_")):
        raise InvalidInput("chances.after", "The cursor is none of this list.", "send `next` of the page before")
    if ask.unknown:
        found = unknown_chances(ctx.conn, ctx.who.test, parcel_id, ask.limit + 1)
    else:
        below, after = (math.inf if ask.below is None else ask.below), (float(chance), parcel_id) if ask.after else None
        found = chances.under_way(ctx.conn, ctx.who.test, below, after, ask.limit + 1)
    shown = page(found, ask.limit, lambda one: f"{'' if one.chance is None else repr(one.chance)}~{one.parcel_id}")
    return Page([_told(one) for one in shown.data], shown.next)


def _told(one: Chance) -> ParcelChance:
    return ParcelChance(
        number_of(one.epc) or "", one.parcel_id, one.shipment_id, one.owner_id, one.status, one.detail, one.node_id,
        one.chance, one.confidence, one.promised_at, one.expected_at, one.next_departure_id, one.next_cutoff_at,
        one.off_plan, one.why,
    )  # fmt: skip
