"""Shipments in cases: which are to be acted on, and that somebody did."""

from __future__ import annotations

from rookery.base.operations import Context
from rookery.planning.replans import Replan
from rookery.terms.errors import Conflict, NotFound
from rookery.tracking import cases

# Those first that nobody tried to book on about this case, then whoever was tried longest ago.
_IN = (
    "select p.shipment_id, max(tried.replan_id) is null from tracking.case_parcels c"
    " join orders.parcels p on p.parcel_id = c.parcel_id left join lateral (select r.replan_id"
    "   from planning.replan_shipments r join planning.replans a using (replan_id)"
    "   where r.shipment_id = p.shipment_id and a.case_id = c.case_id order by r.replan_id desc limit 1) tried on true"
    " where c.case_id = %s and c.closed_at is null"
    " group by p.shipment_id order by max(tried.replan_id) nulls first, p.shipment_id"
)


def shipments_in(ctx: Context, case_id: str) -> dict[str, bool]:
    """The shipments in an open case, and whether each was never tried, these first. Raises NotFound, Conflict when it
    is closed or holds none.
    """
    row = ctx.conn.execute(
        "select state from tracking.cases where case_id = %s and test = %s", (case_id, ctx.who.test)
    ).fetchone()
    if row is None:
        raise NotFound("cases.none", f"There is no case {case_id}.", "list them: GET /cases")
    if row[0] == "closed":
        raise Conflict("cases.closed", f"{case_id} is closed.", "book single shipments on: POST /shipments/rebook")
    found = ctx.conn.execute(_IN.encode(), (case_id,)).fetchall()
    if not found:
        raise Conflict(
            "cases.no_parcels", f"No parcel is in {case_id}.", "see what the case says: GET /cases/{case_id}"
        )
    return dict(found)


def case_of(ctx: Context, cause: str) -> str | None:
    """The open case of what a closure causes; None where there is none."""
    row = ctx.conn.execute(
        "select case_id from tracking.cases where test = %s and kind = 'closure' and cause = %s and state <> 'closed'",
        (ctx.who.test, cause),
    ).fetchone()
    return None if row is None else row[0]


def mark_acted(ctx: Context, replan: Replan) -> None:
    """The parcels in a replan's case that were booked on tell so."""
    if replan.case_id is None:
        return
    cases.hold(ctx.conn, [replan.case_id])  # before its parcels, as whoever judges does
    ctx.conn.execute(
        "update tracking.case_parcels c set acted = %(replan)s from planning.replan_shipments r"
        " join orders.parcels p on p.shipment_id = r.shipment_id"
        " where r.replan_id = %(replan)s and r.state = 'done'"
        " and c.case_id = %(case)s and c.parcel_id = p.parcel_id and c.closed_at is null",
        {"replan": replan.replan_id, "case": replan.case_id},
    )
