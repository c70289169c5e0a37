"""Public acts about cases: what someone must act on."""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from psycopg.rows import dict_row

from rookery.base import outbox
from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.base.paging import Limit, Page, page
from rookery.flows.casing import tell_of_cases, told_of
from rookery.flows.ordering import refuse_changed
from rookery.flows.quotes.asks import Leg
from rookery.terms.errors import Conflict, InvalidInput, NotFound
from rookery.terms.money import told_sum
from rookery.tracking import cases

WHO = ("merchant", "operator")
RUNS_ALL = frozenset({"operator", "admin", "system"})
CaseId = Annotated[str, Meta(max_length=40, examples=["cas_01m8hyvan558x4225mfmdh7nwt"])]
AfterCase = Annotated[str, Meta(max_length=64, pattern=r"^(cas_[0-9a-z]+)?$", description="`next` of the page before.")]
AfterParcel = Annotated[
    str, Meta(max_length=64, pattern=r"^(pcl_[0-9a-z]+)?$", description="`next` of the page before.")
]
Kind = Literal[
    "closure", "chance_low", "departure_missed", "scan_missing", "dwell", "wrong_place", "damage", "hold",
    "unknown_parcel", "unknown_code",
]  # fmt: skip
State = Literal["open", "acknowledged", "closed"]
_REFUSED = "; of those `refused` as pieces_apart (GET /cases/{case_id}/parcels) tell the nodes how each piece goes on"
ACTIONS: dict[Kind, str] = {
    "closure": "book its parcels on to their moves: POST /cases/{case_id}/act; those without one go around it and are"
    " late, or wait until it is open: tell their shippers" + _REFUSED,
    "chance_low": "book its parcels on to their moves: POST /cases/{case_id}/act; without one, have what nobody has yet"
    " planned anew (POST /waves), undo the replan that made it late (POST /replans/.../undo), or tell the"
    " shipper" + _REFUSED,
    "departure_missed": "book its parcels on to their moves: POST /cases/{case_id}/act; ask the node why" + _REFUSED,
    "scan_missing": "ask whoever the cause names, a carrier or a node, where the parcels are",
    "dwell": "ask the node to look for it",
    "wrong_place": "book it on to its move from there: POST /cases/{case_id}/act" + _REFUSED,
    "damage": "have it inspected, then repacked or sent back; tell the shipper",
    "hold": "settle what its reason names: papers, a payment, customs",
    "unknown_parcel": "see who scanned it: GET /scans/strays; have the parcel booked, or its number corrected",
    "unknown_code": "ask the courier what the code means, and tell it: PUT /scans/codes",
}
"""What whoever runs the network does next about an open case."""


class Case(Struct, frozen=True):
    """Something that someone must act on: its cause, how many parcels are in it now, and what is at stake with them.

    value: of what is in the parcels, null where it is not told or in several currencies. worst_chance: the least of
    their chances of being on time. moves: so many have a better way than the booked one; move_cost, in the network's
    currency, and move_chance, the least, are of these ways. owner: who sees to it; action: what to do next, until it is
    closed. To a shipper all of it is told of its own parcels, and neither the owner, nor an action, nor costs.
    """

    case_id: str
    kind: Kind
    cause: str
    state: State
    owner: str | None
    reason: str
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    closed_why: str | None
    parcels: int
    value: float | None
    currency: str | None
    worst_chance: float | None
    moves: int
    move_cost: float | None
    move_chance: float | None
    version: int
    test: bool
    action: str | None

    @property
    def etag(self) -> str:
        """The version, which acts alone raise, and a mark of all that is told: figures change without anybody's act."""
        return f"{self.version}.{zlib.crc32(msgspec.json.encode(self)):08x}"


class CaseParcel(Struct, frozen=True):
    """A parcel in a case, as it was looked at last. chance_before: at the look before it came into the case; move: the
    legs from where it is that are better than the booked ones, null where those stand; acted: the replan that did it.
    tried: the replan that last tried to since it came in, and could not; refused: why. Null for shippers.
    """

    parcel_id: str
    number: str
    opened_at: datetime
    since: datetime | None
    closed_at: datetime | None
    closed_why: str | None
    reason: str
    chance: float | None
    chance_before: float | None
    move: list[Leg] | None
    move_cost: float | None
    move_chance: float | None
    value: float | None
    currency: str | None
    acted: str | None
    tried: str | None
    refused: str | None


_STORED = CaseParcel.__struct_fields__[:-2]
_TRIED = (
    "left join lateral (select r.replan_id, r.reason, r.state from orders.parcels p"
    "   join planning.replan_shipments r on r.shipment_id = p.shipment_id join planning.replans a using (replan_id)"
    "   where p.parcel_id = c.parcel_id and a.at >= c.opened_at order by r.replan_id desc limit 1) t"
    "  on t.state = 'refused'"
)
"""The last time that somebody tried to book a parcel of a case on, where that was refused."""


OWN = (
    "(select mine.case_id, c.kind, c.cause, c.state, null as owner, c.reason, c.opened_at, c.updated_at, c.closed_at,"
    "   null as closed_by, case when c.closed_by is null then c.closed_why else 'by_hand' end as closed_why,"
    "   o.parcels, o.value, o.currency, o.worst_chance, o.moves, null::double precision as move_cost, o.move_chance,"
    "   c.version, c.test from (select distinct case_id from tracking.case_parcels"
    "     where owner_id = (select base.party()) and test = (select base.test_mode())"
    "     order by case_id desc) mine join tracking.cases c using (case_id),"
    f"   lateral (select {cases.FIGURES} from tracking.case_parcels p"
    "     where p.case_id = c.case_id and p.owner_id = (select base.party()) and p.closed_at is null) o) c"
)
"""Cases as a shipper sees them, found by its parcels: it is told what these come to."""


def _seen_by(ctx: Context) -> str:
    """The table of cases as the asker may see it."""
    return "tracking.cases c" if ctx.who.scopes & RUNS_ALL else OWN


def _list(ctx: Context, where: str, **values: Any) -> list[Case]:
    columns = ", ".join(f"c.{name}" for name in Case.__struct_fields__ if name != "action")
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(f"select {columns} from {_seen_by(ctx)} where {where}".encode(), values).fetchall()
    runs_all = bool(ctx.who.scopes & RUNS_ALL)
    return msgspec.convert([_rounded(row) | {"action": _action(row, runs_all)} for row in rows], list[Case])


def _action(row: dict[str, Any], runs_all: bool) -> str | None:
    """What whoever runs the network is to do about a case; None for others, and when it is closed."""
    if not runs_all or row["state"] == "closed":
        return None
    return ACTIONS[row["kind"]].format(case_id=row["case_id"])


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    """A case or a parcel in it with its sums as they are told."""
    value, cost = told_sum(row["value"], row["currency"]), told_sum(row["move_cost"], None)
    return row | {"value": value, "move_cost": cost}


class WhichCases(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of cases. state: by default those that are not closed; by: the newest first, or what is worth most."""

    limit: Limit = 100
    after: AfterCase = ""
    state: Literal["open", "acknowledged", "closed", "all"] | None = None
    kind: Kind | None = None
    owner: Annotated[str, Meta(max_length=100, description="Whose, for operators.")] | None = None
    by: Literal["newest", "value"] = "newest"


@operation("cases.list", kind="query", http="GET /cases", scope=WHO)
def list_cases(ctx: Context, ask: WhichCases) -> Page[Case]:
    """List cases, the newest first or by the value at risk: an operator all, a shipper those with its parcels in."""
    where = "c.test = %(test)s"
    if ask.state is None:
        where += " and c.state <> 'closed'"
    elif ask.state != "all":
        where += " and c.state = %(state)s"
    if ask.kind is not None:
        where += " and c.kind = %(kind)s"
    if ask.owner is not None:
        where += " and c.owner = %(owner)s"
    if ask.by == "value":
        worth = "coalesce(c.value, -1)"
        if ask.after:
            shown = f"(select {worth} from {_seen_by(ctx)} where c.case_id = %(after)s)"
            where += f" and ({worth}, c.case_id) < ({shown}, %(after)s)"
        where += f" order by {worth} desc, c.case_id desc limit %(limit)s"
    else:
        where += " and c.case_id < %(after)s" if ask.after else ""
        where += " order by c.case_id desc limit %(limit)s"
    named = {"state": ask.state, "kind": ask.kind, "owner": ask.owner, "after": ask.after}
    found = _list(ctx, where, **named, test=ctx.who.test, limit=ask.limit + 1)
    return page(found, ask.limit, lambda case: case.case_id)


class OneCase(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a case."""

    case_id: CaseId


@operation("cases.get", kind="query", http="GET /cases/{case_id}", scope=WHO)
def get(ctx: Context, ask: OneCase) -> Case:
    """Look a case up."""
    return get_case(ctx, ask.case_id)


def get_case(ctx: Context, case_id: str) -> Case:
    """One case. Raises NotFound, also for one with no parcel of the asker's in it."""
    found = _list(ctx, "c.case_id = %(case_id)s and c.test = %(test)s", case_id=case_id, test=ctx.who.test)
    if not found:
        raise NotFound("cases.none", f"There is no case {case_id}.", "list them: GET /cases")
    return found[0]


class WhichParcels(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of a case's parcels. left: those that left it again, too."""

    case_id: CaseId
    limit: Limit = 100
    after: AfterParcel = ""
    left: bool = False


@operation("cases.parcels", kind="query", http="GET /cases/{case_id}/parcels", scope=WHO)
def list_parcels(ctx: Context, ask: WhichParcels) -> Page[CaseParcel]:
    """List the parcels in a case, with the move that is suggested for each: an operator all, a shipper its own."""
    get_case(ctx, ask.case_id)
    columns = ", ".join(f"c.{name}" for name in _STORED)
    left = "" if ask.left else " and c.closed_at is null"
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        query = (
            f"select {columns}, t.replan_id as tried, t.reason as refused from tracking.case_parcels c {_TRIED}"
            f" where c.case_id = %s and c.parcel_id > %s{left} order by c.parcel_id limit %s"
        )
        rows = cursor.execute(query.encode(), (ask.case_id, ask.after, ask.limit + 1)).fetchall()
    if not ctx.who.scopes & RUNS_ALL:
        rows = [{**row, "move_cost": None} for row in rows]
    rows = [_rounded(row) for row in rows]
    return page(msgspec.convert(rows, list[CaseParcel]), ask.limit, lambda parcel: parcel.parcel_id)


class TakeCase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who sees to a case from now on; by default the asking party."""

    case_id: CaseId
    owner: (
        Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S", description="A party, or a desk.")] | None
    ) = None
    if_match: int | None = None


@operation("cases.take", kind="command", http="POST /cases/{case_id}/take", scope="operator")
def take(ctx: Context, ask: TakeCase) -> Case:
    """Take a case, or give it to somebody: it is acknowledged. Taking it from another is possible; it is noted."""
    case = _held(ctx, ask.case_id, ask.if_match)
    if case.state == "closed":
        raise Conflict("cases.closed", f"Case {case.case_id} is closed.", "look at those that are open: GET /cases")
    owner = ask.owner or ctx.who.party_id
    _refuse_unknown_party(ctx, owner)
    if (case.state, case.owner) != ("acknowledged", owner):
        ctx.conn.execute(
            "update tracking.cases set state = 'acknowledged', owner = %s, updated_at = %s, version = version + 1"
            " where case_id = %s",
            (owner, ctx.clock.now(), case.case_id),
        )
        note(ctx, "cases.take", case.case_id)
    return get_case(ctx, case.case_id)


def _refuse_unknown_party(ctx: Context, owner: str) -> None:
    """Raises InvalidInput for what looks like a party's id and is none; any other name is a desk's."""
    if owner == ctx.who.party_id or not owner.startswith("pty_"):
        return
    with ctx.as_system() as conn:
        known = conn.execute("select from base.parties where party_id = %s", (owner,)).fetchone()
    if known is None:
        what = f"There is no party {owner}."
        raise InvalidInput("cases.owner", what, "name a party there is, or a desk, which does not begin with pty_")


class CloseCase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why nothing more is to be done about a case."""

    case_id: CaseId
    why: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S", examples=["settled with the courier"])]
    if_match: int | None = None


@operation("cases.close", kind="command", http="POST /cases/{case_id}/close", scope="operator")
def close(ctx: Context, ask: CloseCase) -> Case:
    """Close a case by hand. It is not opened again for the same parcels and cause before all was well with them once.

    A case closes itself when its last parcel leaves it. Closing twice is no fault, and the first reason stays.
    """
    case = _held(ctx, ask.case_id, ask.if_match)
    if case.state != "closed":
        now = ctx.clock.now()
        cases.close_by_hand(ctx.conn, case.case_id, ask.why, ctx.who.party_id, now)
        with ctx.as_system() as conn:
            if outbox.wanted(conn, ctx.who.test, ("case.closed",)):
                whose = cases.shippers(conn, [case.case_id]).get(case.case_id, [])
                news = ("case.closed", case.case_id, whose, told_of(case) | {"closed_why": cases.BY_HAND})
                tell_of_cases(conn, [news], ctx.who.test, now)
        note(ctx, "cases.close", case.case_id)
    return get_case(ctx, case.case_id)


def _held(ctx: Context, case_id: str, if_match: int | None) -> Case:
    """A case that nobody else changes until the transaction ends. Raises NotFound, and Changed when it was changed."""
    cases.hold(ctx.conn, [case_id])
    case = get_case(ctx, case_id)
    refuse_changed(if_match, case.version)
    return case
