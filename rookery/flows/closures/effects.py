"""What a closure touches: departures of the network, and what is booked on them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
from msgspec import Struct, structs

from rookery.base.operations import Context
from rookery.flows.planning import horizon_of
from rookery.network.live import Closure, leaving, meet
from rookery.network.openings import longest_under_way
from rookery.terms.frames import FEED, Feed
from rookery.terms.time import DAY, to_minute

_MOST_MORE = 10
"""Minutes by which a delay is made longer at most."""


class Effect(Struct, frozen=True):
    """What a closure touches of the days ahead that quotes and waves look at.

    days: how many those are; departures: in its window, of which those named so are cancelled, thinned or delayed (one
    may be both of these); shipments: booked, with a leg it touches; parcels: theirs; under_way: of these, those that
    were handed over or scanned on their way.
    """

    days: int
    departures: int
    cancelled: int
    thinned: int
    delayed: int
    shipments: int
    parcels: int
    under_way: int


def effect_of(ctx: Context, feed: Feed, closure: Closure) -> Effect:
    """What a closure touches that is not laid over the network yet."""
    start, days = to_minute(ctx.clock.now()), horizon_of(feed, None)
    runs = leaving(feed, as_row(closure), start, start + days * DAY).height
    runs = 0 if closure.capacity_factor == 1 and not closure.delay_minutes else runs
    shut = closure.capacity_factor == 0
    return Effect(
        days,
        departures=runs,
        cancelled=runs if shut else 0,
        thinned=runs if 0 < closure.capacity_factor < 1 else 0,
        delayed=runs if closure.delay_minutes and not shut else 0,
        **_booked(ctx, feed, closure),
    )


def kept_apart(ctx: Context, feed: Feed, closure: Closure) -> Closure:
    """The closure, its delay some minutes longer where runs of one departure would otherwise leave at one time.

    A delay of a whole day would put Monday's run where Tuesday's was: nobody could tell for which of both a seat is
    booked. Where no few minutes help it stays as it is.
    """
    start, days = to_minute(ctx.clock.now()), horizon_of(feed, None)
    for more in range(_MOST_MORE if closure.delay_minutes and closure.capacity_factor else 0):
        later = structs.replace(closure, delay_minutes=closure.delay_minutes + more)
        if not meet(feed, as_row(later), start, start + days * DAY):
            return later
    return closure


def as_row(closure: Closure) -> pl.DataFrame:
    """A closure as a feed has it (schema FEED["closures"])."""
    row = {name: getattr(closure, name, 0) for name in FEED["closures"]}
    row |= {"from_at": to_minute(closure.from_at), "until_at": to_minute(closure.until_at)}
    return pl.DataFrame([row], schema=FEED["closures"])


TOUCHED = """
with touched as (
  select distinct l.shipment_id
    from planning.legs l join orders.shipments s on s.shipment_id = l.shipment_id and s.route = l.route
   where l.test = %(test)s and l.depart_at >= %(earliest)s and l.depart_at < %(until)s and s.state <> 'cancelled'
     and (l.depart_at >= %(since)s
         and (l.from_node = %(node)s or l.lane_id = %(lane)s or l.departure_id = %(departure)s)
       or %(shut)s and l.to_node = %(node)s and l.arrive_at >= %(since)s and l.arrive_at < %(until)s))
"""
"""Shipments (touched: shipment_id) with legs ahead that leave in the window and, where a node works nothing, with those
that arrive there in it. Its values: `touching`.
"""
_COUNTED = """
select count(distinct shipment_id), count(*), count(*) filter (where p.state = 'handed_over'
    or t.status <> 'pre_transit')
  from orders.parcels p join touched using (shipment_id) left join tracking.parcels t on t.test = p.test and t.epc =
    case when p.number ~ '^[0-9]{18}$' then 'https://id.gs1.org/00/' else 'urn:rookery:number:' end || p.number
 where p.state <> 'cancelled' and coalesce(t.status::text, '') not in ('delivered', 'cancelled', 'return_to_sender')
"""


def touching(ctx: Context, feed: Feed, closure: Closure) -> dict[str, Any]:
    """The values of TOUCHED for what a closure touches from now on."""
    shut = closure.capacity_factor == 0 and closure.node_id is not None
    slowest = longest_under_way(feed).get(closure.node_id or "", 0) if shut else 0  # what arrives left so long before
    since = max(closure.from_at, ctx.clock.now())
    return {
        "test": ctx.who.test,
        "since": since,
        "until": closure.until_at,
        "earliest": since - timedelta(minutes=slowest),
        "node": closure.node_id,
        "lane": closure.lane_id,
        "departure": closure.departure_id,
        "shut": shut,
    }


def _booked(ctx: Context, feed: Feed, closure: Closure) -> dict[str, int]:
    row = ctx.conn.execute((TOUCHED + _COUNTED).encode(), touching(ctx, feed, closure)).fetchone()
    assert row is not None
    return dict(zip(("shipments", "parcels", "under_way"), row))
