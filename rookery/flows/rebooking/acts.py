"""Public acts about acting on trouble: parcels booked on, told to those concerned, and put back while possible; and the
job that does so for what a closure touches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, structs
from psycopg.rows import dict_row

from rookery.base import jobs
from rookery.base.audit import note
from rookery.base.jobs import Desk
from rookery.base.operations import SYSTEM, Context, operation
from rookery.base.paging import After, Limit, Page, page
from rookery.flows.quotes.asks import Leg
from rookery.flows.rebooking import cases
from rookery.flows.rebooking.acting import act_on, undo
from rookery.flows.rebooking.apart import Standing, list_standings
from rookery.flows.rebooking.closures import closed_for_good, concerned, waiting_touched
from rookery.flows.shipments import ShipmentId
from rookery.flows.waving import ask_wave
from rookery.network import live
from rookery.planning import replans
from rookery.planning.plans import WaveSettings
from rookery.planning.replans import Replan, Replanned
from rookery.terms.errors import InvalidInput, Later, NotFound
from rookery.terms.notice import Fault

MOST_AT_ONCE = 2_000
"""Shipments that are booked on in one transaction: so long it holds their seats."""
SHOWN = 500
"""Shipments that are told with a replan that was just made; all of them: GET /replans/{replan_id}/shipments."""
CaseId = Annotated[str, Meta(max_length=40, examples=["cas_01m8hyvan558x4225mfmdh7nwt"])]
SomeCase = Annotated[str, Meta(max_length=40, pattern=r"^cas_", examples=["cas_01m8hyvan558x4225mfmdh7nwt"])]
AfterReplan = Annotated[
    str, Meta(max_length=64, pattern=r"^(rpl_[0-9a-z]+)?$", description="`next` of the page before.")
]
ReplanId = Annotated[str, Meta(max_length=40, examples=["rpl_01m8hyvan558x4225mfmdh7nwt"])]
CaseShipments = Annotated[list[ShipmentId], Meta(min_length=1, max_length=10_000)]
DryRun = Annotated[bool, Meta(description="Tell what would be done, and do nothing.")]


class Rebooked(Replanned, frozen=True):
    """What became of one shipment; legs: of the route it has by this replan. pieces: refused because they are apart,
    where they stood then, and the way suggested to each; a route is a shipment's.
    """

    legs: list[Leg]
    pieces: list[Standing]


class Acted(Struct, frozen=True):
    """A replan and the first of its shipments. left: how many of the case's nobody has tried yet: ask again."""

    replan: Replan
    shipments: Page[Rebooked]
    left: int = 0


class CaseAct(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A case to act on; shipment_ids: those of it that are meant, null = all."""

    case_id: CaseId
    shipment_ids: CaseShipments | None = None
    shipments: Annotated[CaseShipments | None, Meta(description="The older spelling of `shipment_ids`.")] = None
    dry_run: DryRun = False


@operation("cases.act", kind="command", http="POST /cases/{case_id}/act", scope="operator")
def act(ctx: Context, ask: CaseAct) -> Acted:
    """Book on what is in a case, as it is suggested.

    Seats are exchanged, routes and the codes on labels follow, and shippers and couriers hear of it; the promised date
    stays. Shipments that cannot be booked on are told with the reason, and the others go on. Up to 2,000 shipments at
    once: `left` tells how many wait for another call.
    """
    named = _named(ask)
    inside, asked = cases.shipments_in(ctx, ask.case_id), set(named or ())
    wanted = [one for one in inside if named is None or one in asked]
    outside = sorted(asked - inside.keys())

    def done() -> Acted:
        replan = act_on(ctx, wanted[:MOST_AT_ONCE], case_id=ask.case_id, by=ctx.who.party_id, outside=outside)
        cases.mark_acted(ctx, replan)
        note(ctx, "cases.act", ask.case_id, replan=replan.replan_id, done=replan.done, refused=replan.refused)
        return Acted(replan, _shipments(ctx, replan.replan_id), sum(inside[one] for one in wanted[MOST_AT_ONCE:]))

    return _perform(ctx, done, ask.dry_run)


def _named(ask: CaseAct) -> list[ShipmentId] | None:
    """Which shipments are meant, by either spelling. Raises InvalidInput when both are there."""
    if ask.shipment_ids is not None and ask.shipments is not None:
        fault = Fault("$.shipments", "contradiction", "it is the older spelling of `shipment_ids`", "leave it out")
        raise InvalidInput(
            "cases.spelt_twice", "Shipments are named twice.", "send `shipment_ids` alone", faults=[fault]
        )
    return ask.shipments if ask.shipment_ids is None else ask.shipment_ids


class Rebook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shipments to book on."""

    shipment_ids: Annotated[list[ShipmentId], Meta(min_length=1, max_length=MOST_AT_ONCE)]
    dry_run: DryRun = False


@operation("shipments.rebook", kind="command", http="POST /shipments/rebook", scope="operator")
def rebook(ctx: Context, ask: Rebook) -> Acted:
    """Book shipments on by what is suggested from where their parcels are, whether or not they are in a case.

    As with `cases.act`: what cannot be booked on is told with the reason, and the others go on.
    """

    def done() -> Acted:
        replan = act_on(ctx, ask.shipment_ids, by=ctx.who.party_id)
        note(ctx, "shipments.rebook", replan.replan_id or "", done=replan.done, refused=replan.refused)
        return Acted(replan, _shipments(ctx, replan.replan_id))

    return _perform(ctx, done, ask.dry_run)


def _perform(ctx: Context, act: Callable[[], Acted], dry_run: bool) -> Acted:
    """Acted, and where it was only tried, taken back: then the replan has no id."""
    with ctx.conn.transaction(force_rollback=dry_run):
        done = act()
    return structs.replace(done, replan=structs.replace(done.replan, replan_id=None)) if dry_run else done


class OneReplan(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a replan."""

    replan_id: ReplanId


@operation("replans.get", kind="query", http="GET /replans/{replan_id}", scope="operator")
def get(ctx: Context, ask: OneReplan) -> Replan:
    """Look up what was booked on at once, by whom, and what became of it."""
    return replans.get(ctx.conn, ask.replan_id)


class SomeReplans(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of the list; case_id: only those about this case."""

    case_id: SomeCase | None = None
    limit: Limit = 100
    after: AfterReplan = ""


@operation("replans.list", kind="query", http="GET /replans", scope="operator")
def list_replans(ctx: Context, ask: SomeReplans) -> Page[Replan]:
    """List replans, the newest first."""
    found = replans.list_replans(ctx.conn, ctx.who.test, ask.after, ask.limit + 1, ask.case_id)
    return page(found, ask.limit, lambda replan: replan.replan_id or "")


class SomeShipments(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of the shipments of a replan."""

    replan_id: ReplanId
    limit: Limit = 100
    after: After = ""


@operation("replans.shipments", kind="query", http="GET /replans/{replan_id}/shipments", scope="operator")
def list_shipments(ctx: Context, ask: SomeShipments) -> Page[Rebooked]:
    """List the shipments of a replan: which were booked on and how they go now, which were not and why."""
    replans.get(ctx.conn, ask.replan_id)
    return _shipments(ctx, ask.replan_id, ask.after, ask.limit)


def _shipments(ctx: Context, replan_id: str | None, after: str = "", limit: int = SHOWN) -> Page[Rebooked]:
    found = replans.list_shipments(ctx.conn, replan_id or "", after, limit + 1)
    legs: dict[str, list[dict]] = {one.shipment_id: [] for one in found}
    pairs = {one.shipment_id: one.route_undone or one.route_after or 0 for one in found}
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "select l.shipment_id, departure_id, lane_id, carrier_id, mode, from_node, to_node, cutoff_at, depart_at,"
            " arrive_at from unnest(%s::text[], %s::integer[]) as g (shipment_id, route)"
            ' join planning.legs l on l.shipment_id = g.shipment_id collate "C" and l.route = g.route'
            " order by l.shipment_id, l.seq",
            (list(pairs), list(pairs.values())),
        ).fetchall()
    for row in rows:
        legs[row.pop("shipment_id")].append(row)
    pieces = list_standings(ctx.conn, replan_id or "", list(legs))
    told = [
        Rebooked(**structs.asdict(one), legs=msgspec.convert(legs[one.shipment_id], list[Leg]), pieces=more)
        for one in found
        for more in [pieces.get(one.shipment_id, [])]
    ]
    return page(told, limit, lambda one: one.shipment_id)


@operation("replans.undo", kind="command", http="POST /replans/{replan_id}/undo", scope="operator")
def take_back(ctx: Context, ask: OneReplan) -> Acted:
    """Put what was booked on back on its former route, as far as that is possible.

    A shipment stays as it is once the cut-off of a new leg has passed or one was ridden, when it has another route by
    now, while what was observed of it is still to be looked at, and when a former leg has no room left; each tells why.
    Undone twice nothing changes.
    """
    replan = undo(ctx, ask.replan_id, by=ctx.who.party_id)
    note(ctx, "replans.undo", ask.replan_id, undone=replan.undone, stayed=replan.done)
    return Acted(replan, _shipments(ctx, ask.replan_id))


REBOOK_CLOSURE = "rebooking.closure"
TRIES, SWIFT = 300, 60
"""So often is a closure's job tried again, the first times after a second, then every SLOW_S: some parcels are never
looked at. It goes by tries, as looking goes by the machine, whatever clock the network runs by."""
SLOW_S = 15


@jobs.task(REBOOK_CLOSURE)
def rebook_closure(desk: Desk, *, closure_id: str, room: str = "") -> None:
    """Book on what a closure touches, as it is looked at under it; then a wave for what waits to be handed over.

    Tried again (Later) until all of it was looked at since the closure was entered, or that takes too long. What finds
    no room is left to another such job (`room`), which tries what is suggested to it after that. Acted twice it does no
    harm: what goes another way already is left as it is.
    """
    for test in (False, True):
        with desk.context(test) as ctx:
            try:
                closure = live.get(ctx.conn, test, closure_id)
            except NotFound:
                continue
            if closed_for_good(closure, ctx.clock.now()):
                return
            waiting = not room and waiting_touched(ctx, closure)
            due = concerned(ctx, closure).due
        for begin in range(0, len(due), MOST_AT_ONCE):
            _act_by_itself(desk, test, closure_id, due[begin : begin + MOST_AT_ONCE])
        with desk.context(test) as ctx:
            now = concerned(ctx, closure)
            if (now.without_room if room else now.unseen) and desk.tries < TRIES:
                why = "does not all find room" if room else "has not all been looked at"
                what = f"What {closure_id} touches {why} yet."
                pause = 1 if desk.tries < SWIFT and not room else SLOW_S
                raise Later("rebooking.waits", what, "wait until a worker has looked at it again", pause)
            if waiting:
                ask_wave(ctx, WaveSettings(), {"closure_id": closure_id})
            if now.without_room and not room:
                jobs.defer(ctx.conn, REBOOK_CLOSURE, closure_id=closure_id, room="yes")
        return


def _act_by_itself(desk: Desk, test: bool, closure_id: str, shipments: list[str]) -> None:
    """Book on what a closure touches, in a transaction of its own."""
    with desk.context(test) as ctx:
        case_id = cases.case_of(ctx, f"closure:{closure_id}")
        replan = act_on(ctx, shipments, case_id=case_id, by=SYSTEM.party_id)
        cases.mark_acted(ctx, replan)
        told = {"replan": replan.replan_id, "done": replan.done, "refused": replan.refused}
        note(ctx, "cases.act" if case_id else "shipments.rebook", case_id or closure_id, **told)
