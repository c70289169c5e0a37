"""One parcel followed: what was seen of it, itself or by way of what it lay in, and where that leaves it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import polars as pl
import psycopg
from msgspec import Struct, structs

from rookery.base.operations import Context
from rookery.flows import subjects
from rookery.flows.parcels import as_issued
from rookery.terms.errors import NotFound
from rookery.tracking.archive import Archive, Holding
from rookery.tracking.epcis.hashing import ni
from rookery.tracking.epcis.identifiers import sscc_uri
from rookery.tracking.lying import PARCELS
from rookery.tracking.milestones import Seen, State, step
from rookery.tracking.reading import HASHED, OF_NUMBER
from rookery.tracking.states import history
from rookery.waybill.rules.numbers import read_sscc

MOST_STEPS = 1000
"""So many steps are shown at most; all of them count."""
CUT = "older steps are not shown: only the newest are, those first that count"
STRANGERS = "not_of_its_couriers"
HIDDEN = "urn:rookery:hidden"
"""Instead of the number of a parcel that is another's."""


class Step(Struct, frozen=True):
    """One event about a parcel. via: what it lay in when that was scanned, innermost first; none = it itself was.

    event_id: None = it was scanned with what it lay in, by another than whom it is told to, who may not read that.
    reason: why it does not count: it was withdrawn, its time is not believed, whoever captured it has nothing to do
    with the parcel, it says nothing of the parcel, or comes after its end or before what is known already.
    """

    at: datetime
    recorded_at: datetime
    status: str | None
    detail: str | None
    place: str | None
    departure_id: str | None
    via: list[str]
    event_id: str | None
    party_id: str
    counted: bool
    reason: str | None


class Followed(Struct, frozen=True):
    """A parcel's milestone with the event that made it so, and all steps in event time."""

    number: str
    epc: str
    parcel_id: str
    shipment_id: str
    owner_id: str
    parcel_state: str
    status: str | None
    detail: str | None
    status_at: datetime | None
    place: str | None
    event_id: str | None
    steps: list[Step]
    notices: list[str]


_PARCEL = "select number, parcel_id, shipment_id, party_id, state from orders.parcels where number = %s and test = %s"


def follow(ctx: Context, number: str) -> Followed:
    """Follow a parcel that the asker may see, by its waybill number.

    Raises NotFound, and InvalidInput for a mistyped number.
    """
    number = as_issued(number)
    if len(number) == 18 and number.isdecimal():
        read_sscc(number)  # a mistyped digit is told as one
    row = ctx.conn.execute(_PARCEL, (number, ctx.who.test)).fetchone()
    if row is None:
        raise NotFound("trackers.none", f"No parcel has the number {number}.", "check the number on its label")
    sees = None if ctx.who.scopes & {"operator", "admin", "system"} else ctx.who.party_id
    with ctx.as_system() as conn:
        return _followed(conn, row, ctx.who.test, ctx.part(Archive), sees)


def follow_openly(ctx: Context, number: str) -> Followed | None:
    """Follow a parcel for whom nobody vouches: what of it is told, and whether at all, is for the caller to decide."""
    with ctx.as_system() as conn:
        row = conn.execute(_PARCEL, (as_issued(number), False)).fetchone()
        return None if row is None else _followed(conn, row, False, ctx.part(Archive), "")


def _followed(
    conn: psycopg.Connection, row: tuple[Any, ...], test: bool, archive: Archive, sees: str | None
) -> Followed:
    """sees: the party for which it is told, None = one that runs the network. What those say who have nothing to do
    with the parcel reaches nobody but themselves and who runs the network.
    """
    number, parcel_id, shipment_id, owner_id, parcel_state = row
    epc = sscc_uri(number)
    parcel = pl.DataFrame([(epc, parcel_id, owner_id)], schema=PARCELS, orient="row")
    involved = subjects.involved(conn, parcel)

    def told(held: Holding) -> tuple[State, list[tuple[dict[str, Any], str | None]], dict[int, dict[str, Any]]]:
        state, judged = State(), []
        for one in history(conn, [epc], involved, test, archive).iter_rows(named=True):
            seen = Seen(one["at"], one["event_no"], one["status"], one["detail"], None, one["against"])
            state, reason = step(state, seen)
            if reason != STRANGERS or sees in (None, one["party_id"]):
                judged.append((one, reason))
        shown = _shown(judged)
        return state, shown, _facts(conn, [one for one, _ in shown], archive, held)

    state, shown, facts = archive.steady(conn, told)
    steps = {
        one["event_no"]: _step(one, reason, facts[one["event_no"]]) for one, reason in shown if one["event_no"] in facts
    }
    if sees is not None:
        _hide_parcels(conn, steps, sees, test)
        _hide_events(steps, sees)
    by = steps.get(state.event_no) if state.event_no is not None else None
    notices = [CUT] if len(shown) == MOST_STEPS else []
    if parcel_state == "cancelled" and state.status not in (None, "cancelled", "pre_transit"):
        notices.append("the parcel is cancelled, and was scanned all the same")
    return Followed(
        number, epc, parcel_id, shipment_id, owner_id, parcel_state, state.status, state.detail, state.at,
        by.place if by else None, by.event_id if by else None, list(steps.values()), notices,
    )  # fmt: skip


def _hide_parcels(conn: psycopg.Connection, steps: dict[int, Step], sees: str, test: bool) -> None:
    """Leaves out the numbers of other shippers' parcels that a parcel is said to have lain in."""
    every = {thing for one in steps.values() for thing in one.via}
    others = subjects.known(conn, every, test).filter(pl.col("owner_id") != sees)["epc"]
    for event_no, one in steps.items():
        if hidden := set(one.via) & set(others):
            steps[event_no] = structs.replace(one, via=[HIDDEN if thing in hidden else thing for thing in one.via])


def _hide_events(steps: dict[int, Step], sees: str) -> None:
    """Leaves out the ids of events that name what a parcel lay in, and not it: nobody looks these up but who captured
    them, unless they name other parcels of its own too.
    """
    for event_no, one in steps.items():
        if one.via and one.party_id != sees:
            steps[event_no] = structs.replace(one, event_id=None)


def _shown(judged: list[tuple[dict[str, Any], str | None]]) -> list[tuple[dict[str, Any], str | None]]:
    """Of very many steps the newest: first those that count."""
    if len(judged) < MOST_STEPS:
        return judged
    places = sorted(range(len(judged)), key=lambda place: (judged[place][1] is None, place))[-MOST_STEPS:]
    return [judged[place] for place in sorted(places)]


def _step(one: dict[str, Any], reason: str | None, fact: dict[str, Any]) -> Step:
    return Step(
        one["at"], fact["record_at"], one["status"], one["detail"], fact["place"], fact["departure_id"],
        one["via"].split("\n") if one["via"] else [], _event_id(one["event_no"], fact, bool(one["via"])),
        one["party_id"], reason is None, reason,
    )  # fmt: skip


def _facts(
    conn: psycopg.Connection, seen: list[dict[str, Any]], archive: Archive, held: Holding
) -> dict[int, dict[str, Any]]:
    rows = conn.execute(
        "select v.event_no, v.record_at, coalesce(v.biz_location, v.read_point), v.body->>'rookery:departure',"
        " v.event_id, v.hash, v.epcs from unnest(%s::bigint[], %s::timestamptz[]) as g (event_no, event_at)"
        " join tracking.events v on v.event_no = g.event_no and v.event_at = g.event_at",  # of a month, not of all
        ([one["event_no"] for one in seen], [one["at"] for one in seen]),
    )
    names: tuple[str, ...] = ("record_at", "place", "departure_id", "event_id", "hash", "epcs")
    facts: dict[int, dict[str, Any]] = {event_no: dict(zip(names, fact)) for event_no, *fact in rows}
    old = [(one["mark"], one["at"]) for one in seen if one["mark"] is not None]
    if old:
        marks = pl.DataFrame(old, schema={"mark": pl.Binary, "event_at": pl.Datetime("us", "UTC")}, orient="row")
        events = archive.events(held, marks)
        departure = pl.col("body").map_elements(_departure, pl.String)
        place = pl.coalesce("biz_location", "read_point")
        told = events.select("event_no", "record_at", place, departure, "event_id", "hash", "epcs")
        facts |= {event_no: dict(zip(names, fact)) for event_no, *fact in told.iter_rows()}
    return facts


def _departure(body: str) -> str | None:
    told = msgspec.json.decode(body).get("rookery:departure")
    return told if told is None or isinstance(told, str) else msgspec.json.encode(told).decode()


def _event_id(event_no: int, fact: dict[str, Any], via: bool) -> str:
    """An event's id as its sender gave it, or made of its hash: not where it names other things too, since a guess of
    these could be held against it.
    """
    sent = fact["event_id"]
    if sent is not None and not sent.startswith(HASHED):
        return sent
    return f"{OF_NUMBER}{event_no}" if via or fact["epcs"] > 1 else sent or ni(bytes(fact["hash"]))
