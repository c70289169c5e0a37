"""Trackers: how far a parcel is, by its waybill number, and why that is so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct
from psycopg.rows import dict_row

from rookery.base.operations import Context, operation
from rookery.base.paging import After, Limit, Page, page
from rookery.flows.chances import Now, now_of
from rookery.flows.following import Followed, Step, follow
from rookery.flows.parcels import Number
from rookery.flows.quotes.asks import Leg
from rookery.flows.shipments import get_shipments
from rookery.tracking.model import Status

NODE = "urn:rookery:node:"
WHO = ("merchant", "courier", "operator")
By = Literal["booking", "hand_over", "cancellation", "event"]
_BY_STATE: dict[str, tuple[Status, By]] = {
    "booked": ("pre_transit", "booking"),
    "handed_over": ("picked_up", "hand_over"),
    "cancelled": ("cancelled", "cancellation"),
}


class Milestone(NamedTuple):
    """A parcel's status and what made it so."""

    status: Status
    detail: str | None
    at: datetime | None
    place: str | None
    event_id: str | None
    by: By


class Ridden(Struct, frozen=True):
    """What is known of how a leg went; null = nothing yet."""

    departed_at: datetime | None = None
    arrived_at: datetime | None = None


class TrackedStep(Struct, frozen=True):
    """One event about a parcel. via: the containers it was scanned with, the innermost first; [] = it was itself.

    event_id: to look it up, GET /epcis/events/{event_id}; null = it names the container alone, not the parcel, and is
    read by whoever sent it and who runs the network.
    reason: why it did not count, where `counted` is false.
    """

    event_id: str | None
    at: datetime
    recorded_at: datetime
    status: str | None
    detail: str | None
    place: str | None
    departure_id: str | None
    via: list[str]
    party_id: str
    counted: bool
    reason: str | None


class Why(Struct, frozen=True):
    """What made the status: an event, else booking, hand-over or cancellation; and the steps, in event time. event_id:
    of that event, null as in its step.
    """

    by: By
    event_id: str | None
    steps: list[TrackedStep]


class Tracker(Struct, frozen=True):
    """A parcel's milestone with its reasons, its promise, the route it is to take and how that went, and what is ahead.

    expected_at and on_time_probability are those of the booking; `now` has what is likely by what was seen since.
    ridden: of each of `legs`, in their order. Promise and shipment are its shipper's: null for couriers, who see their
    own legs.
    """

    number: str
    parcel_id: str
    shipment_id: str | None
    status: Status
    detail: str | None
    status_at: datetime | None
    place: str | None
    why: Why
    promised_at: datetime | None
    expected_at: datetime | None
    on_time_probability: float | None
    legs: list[Leg]
    ridden: list[Ridden]
    now: Now | None
    notices: list[str]


class OneTracker(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a parcel by its number."""

    number: Number


@operation("trackers.get", kind="query", http="GET /trackers/{number}", scope=WHO)
def get(ctx: Context, ask: OneTracker) -> Tracker:
    """Track a parcel by its waybill number: its status, and the events that made it so."""
    followed = follow(ctx, ask.number)
    milestone = milestone_of(ctx, followed)
    found = get_shipments(ctx, [followed.shipment_id])
    shipment = found[0] if found else None
    legs = shipment.legs if shipment else _own_legs(ctx, followed.shipment_id)
    return Tracker(
        number=followed.number,
        parcel_id=followed.parcel_id,
        shipment_id=shipment.shipment_id if shipment else None,
        status=milestone.status,
        detail=milestone.detail,
        status_at=milestone.at,
        place=milestone.place,
        why=Why(milestone.by, milestone.event_id, [_told(one) for one in followed.steps]),
        promised_at=shipment.promised_at if shipment else None,
        expected_at=shipment.expected_at if shipment else None,
        on_time_probability=shipment.on_time_probability if shipment else None,
        legs=legs,
        ridden=ridden(legs, followed.steps),
        now=now_of(ctx, followed.number),
        notices=followed.notices,
    )


def milestone_of(ctx: Context, followed: Followed) -> Milestone:
    """Where a parcel is: what events say, and until one says more than that it was announced, what the books say."""
    known = followed.status
    if known is not None and (known != "pre_transit" or followed.parcel_state == "booked"):
        status = msgspec.convert(known, Status)
        return Milestone(status, followed.detail, followed.status_at, followed.place, followed.event_id, "event")
    return milestone_by_books(ctx, followed)


def milestone_by_books(ctx: Context, followed: Followed) -> Milestone:
    """Where a parcel is by what the books alone say: booked, handed over or cancelled, and when."""
    status, by = _BY_STATE[followed.parcel_state]
    row = ctx.conn.execute(
        "select case state when 'handed_over' then changed_at when 'cancelled' then changed_at else issued_at end"
        " from waybill.numbers where number = %s", (followed.number,),
    ).fetchone()  # fmt: skip
    return Milestone(status, None, row[0] if row else None, None, None, by)


def ridden(legs: Sequence[Leg], steps: Sequence[Step]) -> list[Ridden]:
    """Of each leg, in order of its route, when the parcel left and when it came, by the events that count.

    It left when a departure from the leg's node was noted (of this departure, where one was named), and came with the
    first event at the node the leg leads to. What happened before the leg before it ended is none of a leg's.
    """
    counted = [step for step in steps if step.counted]
    told: list[Ridden] = []
    here = 0
    for leg in legs:
        left = next((i for i in range(here, len(counted)) if _leaves(counted[i], leg)), None)
        after = here if left is None else left + 1
        came = next((i for i in range(after, len(counted)) if counted[i].place == place_of(leg.to_node)), None)
        told.append(Ridden(*(None if i is None else counted[i].at for i in (left, came))))
        here = after if came is None else came
    return told


def _leaves(step: Step, leg: Leg) -> bool:
    if step.detail != "departed" or step.departure_id not in (None, leg.departure_id):
        return False
    return step.place == place_of(leg.from_node) or (step.place is None and step.departure_id is not None)


def place_of(node_id: str) -> str:
    """A node of the network as events name it."""
    return NODE + quote(node_id, safe="")


def _told(step: Step) -> TrackedStep:
    return TrackedStep(
        step.event_id, step.at, step.recorded_at, step.status, step.detail, step.place,
        step.departure_id, step.via, step.party_id, step.counted, step.reason,
    )  # fmt: skip


def _own_legs(ctx: Context, shipment_id: str) -> list[Leg]:
    """The legs of a shipment's latest route that a courier sees: its own."""
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "select departure_id, lane_id, carrier_id, mode, from_node, to_node, cutoff_at, depart_at, arrive_at"
            " from planning.legs l where shipment_id = %s and route = (select max(m.route) from planning.legs m"
            "   where m.shipment_id = l.shipment_id) order by seq", (shipment_id,),
        ).fetchall()  # fmt: skip
    return msgspec.convert(rows, list[Leg])


class TrackedParcel(Struct, frozen=True):
    """A parcel and where it is."""

    parcel_id: str
    number: str | None
    status: Status
    detail: str | None
    status_at: datetime | None
    place: str | None


class WhichTrackers(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of parcels, oldest first."""

    limit: Limit = 100
    after: After = ""
    status: Status | None = None
    detail: Annotated[str, Meta(max_length=60, examples=["customs_hold"])] | None = None
    since: Annotated[datetime, Meta(tz=True, description="With this status since then or later.")] | None = None


# As milestone_of: what the books say counts until an event says more.
_BOOKS = "(t.status is null or t.status = 'pre_transit' and p.state <> 'booked')"
_STATUS = (
    f"case when not {_BOOKS} then t.status::text when p.state = 'handed_over' then 'picked_up'"
    " when p.state = 'cancelled' then 'cancelled' else 'pre_transit' end"
)
_AT = f"case when not {_BOOKS} then t.status_at when p.state = 'booked' then w.issued_at else w.changed_at end"
_SELECT = (
    f"select p.parcel_id, p.number, {_STATUS} as status, case when not {_BOOKS} then t.detail end as detail,"
    f" {_AT} as status_at, case when not {_BOOKS} then t.place end as place from"
)
# `limit 1` keeps both looks, one row each, from being made into joins of whole tables
_ALL = (
    "orders.parcels p left join lateral (select * from tracking.parcels t where t.test = p.test and t.epc ="
    "   case when p.number ~ '^[0-9]{18}$' then 'https://id.gs1.org/00/' else 'urn:rookery:number:' end || p.number"
    " limit 1) t on true"
)
_SCANNED = "tracking.parcels t join orders.parcels p on p.parcel_id = t.parcel_id and p.test = t.test"
_WRITTEN = "left join lateral (select * from waybill.numbers w where w.number = p.number limit 1) w on true"
_BY_BOOKS = {status for status, _ in _BY_STATE.values()}


@operation("trackers.list", kind="query", http="GET /trackers", scope=WHO)
def list_trackers(ctx: Context, ask: WhichTrackers) -> Page[TrackedParcel]:
    """List parcels with where they are, oldest first: a shipper's own, a courier's those of its legs."""
    wanted: dict[str, Any] = {"after": ask.after, "limit": ask.limit + 1, "test": ctx.who.test}
    scanned = ask.detail is not None or ask.status not in (None, *_BY_BOOKS)
    at = "t.parcel_id" if scanned else "p.parcel_id"
    where = f"{at} > %(after)s and p.test = %(test)s"
    if ask.status is not None:
        wanted["status"] = ask.status
        where += f" and {_STATUS} = %(status)s" if ask.status in _BY_BOOKS else " and t.status = %(status)s"
    if ask.detail is not None:
        wanted["detail"] = ask.detail
        where += f" and t.detail = %(detail)s and not {_BOOKS}"
    if ask.since is not None:
        wanted["since"] = ask.since
        where += f" and {_AT} >= %(since)s"
    query = f"{_SELECT} {_SCANNED if scanned else _ALL} {_WRITTEN} where {where} order by {at} limit %(limit)s"
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query.encode(), wanted).fetchall()
    return page(msgspec.convert(rows, list[TrackedParcel]), ask.limit, lambda parcel: parcel.parcel_id)
