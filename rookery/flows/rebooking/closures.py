"""What a closure touches of what is booked: what is to be booked on, and what is to be looked at first."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from rookery.base.operations import Context
from rookery.flows.closures.effects import TOUCHED, touching
from rookery.flows.live_feed import live_feed
from rookery.flows.rebooking.ways import LOOKED, under
from rookery.network.live import Closure


class Concerned(NamedTuple):
    """The shipments that a closure touches: those to be booked on now, by id; whether parcels of some are to be looked
    at first; and whether some found no room when they were tried last.
    """

    due: list[str]
    unseen: bool
    without_room: bool


_CASE = (
    "select p.shipment_id, p.state from tracking.cases c join tracking.case_parcels m using (case_id)"
    " join orders.parcels p on p.parcel_id = m.parcel_id where c.test = %(test)s and c.kind = 'closure'"
    " and c.cause = %(cause)s and c.state <> 'closed' and m.closed_at is null"
)
"""The parcels in its case."""
# What was done since it was entered stays; what was refused is tried again once it was looked at anew. It matters to
# what is in its case, and to what has a better way, be it in the case of another that lies over the same way.
_CONCERNED = f"""{TOUCHED}, concerned as (
  select shipment_id from touched union select shipment_id from ({_CASE}) as in_case
), seen as (
  select s.shipment_id, bool_and({LOOKED}) as looked, max(c.looked_at) as looked_at,
         bool_or(c.off_plan is true or exists (select from tracking.case_parcels m where m.epc = e.epc
           and m.test = p.test and m.clear_at is null and m.closed_at is null and m.kind = 'closure'
           and (m.cause = %(cause)s or m.move is not null))) as matters
    from concerned s join orders.parcels p using (shipment_id)
    cross join lateral (select case when p.number ~ '^[0-9]{{18}}$' then 'https://id.gs1.org/00/'
      else 'urn:rookery:number:' end || p.number collate "C" as epc) as e
    left join tracking.parcels t on t.epc = e.epc and t.test = p.test
    left join tracking.chances c on c.epc = e.epc and c.test = p.test
   where p.number is not null and p.state <> 'cancelled'
     and coalesce(c.status, '') not in ('delivered', 'cancelled', 'return_to_sender')
   group by s.shipment_id
)
select s.shipment_id, s.looked, s.matters and (tried.at is null or tried.state = 'refused' and tried.at < s.looked_at),
       coalesce(tried.reason = 'no_room', false)
  from seen s left join lateral (
    select a.at, r.state, r.reason from planning.replan_shipments r join planning.replans a using (replan_id)
     where r.shipment_id = s.shipment_id and a.test = %(test)s and a.at > %(entered)s
     order by r.replan_id desc limit 1) as tried on true
 order by s.shipment_id
"""


def closed_for_good(closure: Closure, now: datetime) -> bool:
    """Whether a closure counts no more."""
    return closure.lifted_at is not None or closure.until_at <= now


def waiting_touched(ctx: Context, closure: Closure) -> bool:
    """Whether shipments that were not handed over are touched: by their routes, or as they are in its case."""
    query = (
        f"{TOUCHED} select exists (select from touched join orders.shipments using (shipment_id)"
        f"   where state = 'booked') or exists (select from ({_CASE}) as in_case where state = 'booked')"
    )
    row = ctx.conn.execute(query.encode(), _values(ctx, closure)).fetchone()
    return row is not None and row[0]


def concerned(ctx: Context, closure: Closure) -> Concerned:
    """What a closure touches now: by its routes, or as it is in its case."""
    with ctx.as_system() as conn:
        asked = _values(ctx, closure) | {"stamp": under(conn, ctx.who.test), "entered": closure.entered_at}
        rows = conn.execute(_CONCERNED.encode(), asked).fetchall()
    due = [shipment_id for shipment_id, looked, due, _ in rows if looked and due]
    return Concerned(due, not all(looked for _, looked, _, _ in rows), any(without for _, _, _, without in rows))


def _values(ctx: Context, closure: Closure) -> dict[str, Any]:
    return touching(ctx, live_feed(ctx).feed, closure) | {"cause": f"closure:{closure.closure_id}"}
