"""Shipments that may be booked on: where their parcels are, the way suggested from there, what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets
from rookery.base.operations import Context
from rookery.flows.quotes.asks import Leg
from rookery.flows.rebooking.apart import APART, PLACE, standings
from rookery.flows.rebooking.behind import apart, ridden, with_ahead
from rookery.network.live import as_they_leave, stamp
from rookery.planning.store import LEGS
from rookery.tracking.epcis.identifiers import sscc_uri

AT = pl.Datetime("us", "UTC")
_KINDS: dict[str, Any] = {
    "text": pl.String, "integer": pl.Int32, "boolean": pl.Boolean, "timestamptz": AT, "double precision": pl.Float64,
}  # fmt: skip
ROUTE: dict[str, Any] = {name: _KINDS[kind] for name, kind in LEGS.items()}
"""Legs of routes as columns."""
RUN = ["departure_id", "depart_at"]
HELD: dict[str, Any] = {
    "shipment_id": pl.String,
    "party_id": pl.String,  # the shipper
    "state": pl.String,
    "route": pl.Int32,
    "version": pl.Int64,
    "feed_id": pl.String,
    "plan_id": pl.String,
    "promised_at": AT,
    "expected_at": AT,
    "on_time_probability": pl.Float64,
}
PARCELS: dict[str, Any] = {
    "shipment_id": pl.String,
    "parcel_id": pl.String,
    "number": pl.String,  # null = it has none yet
    "route_code": pl.String,
    "status": pl.String,  # by what was observed; null = nothing
    "seen": pl.Boolean,  # its chance goes by the last that was observed
    "looked": pl.Boolean,  # and by the closures there are
    "at": AT,  # when that was
    "node_id": pl.String,
    "riding_departure_id": pl.String,
    "riding_depart_at": AT,
    "chance": pl.Float64,
    "expected_at": AT,
    "why": pl.String,
    "legs": pl.String,  # JSON: the way that is suggested from where it is; null = none
}
REASONS = {
    "unknown": "there is no such shipment",
    "not_in_case": "no parcel of it is in the case now",
    "cancelled": "it was cancelled",
    "delivered": "all its parcels are delivered",
    "returned": "a parcel of it is on its way back to its shipper",
    "not_looked_at": "what was observed last, or a closure entered or lifted since, has not been looked at yet",
    APART: "its parcels are at different places, or are to go different ways",
    "no_way": "no way is known from where it is",
    "already_so": "it is booked that way",
    "cutoff_passed": "the cut-off of the first new leg has passed",
    "no_room": "a leg has no room left, or does not run",
    "route_changed": "it was booked on again, or a wave gave it another route, since",
    "ridden": "a new leg was ridden",
    "off_route": "a parcel of it is where its former route does not lead",
}
"""Why a shipment is not booked on, or not put back, by code."""
NO_WAY = ("no_way", "no_policy", "unknown_place", "ended", "given_up")
"""Why nothing is suggested: all that tracking.chances tells but not_planned, which goes by the policy alone."""
SEEN = "(c.looked_at is not null and c.event_no is not distinct from t.event_no)"
"""Of a parcel (t in tracking.parcels, c in tracking.chances): it was looked at since it was observed last."""
LOOKED = f"({SEEN} and (c.why in ('unknown_place', 'ended') or starts_with(c.policy, %(stamp)s)) is true)"
"""And under the closures there are: by an outlook whose version begins with their stamp (`under`), or at a place, or an
end, for which no closure matters.
"""


class _Told(Leg, frozen=True):
    """A leg as chances tell it."""

    cost: float = 0.0


_TOLD: dict[str, Any] = {name: ROUTE[name] for name in _Told.__struct_fields__}


@dataclass(frozen=True)
class Ways:
    """Shipments, and the routes they have and would have.

    shipments: HELD, `reason` (of REASONS; null = may be booked on), chance and expected_now (by what is suggested),
    begun (something was observed), pieces (where those are that are apart, as JSON). before: the routes that count
    (ROUTE), leaves_at (when the run leaves, closures heeded), on (it is being ridden), kept (it leads up to where they
    are, or is being ridden), ahead (it was not ridden). after: the routes they would have (ROUTE), new (to be booked),
    riding (not booked, but they ride it).
    """

    shipments: pl.DataFrame
    parcels: pl.DataFrame
    before: pl.DataFrame
    after: pl.DataFrame


def hold(conn: psycopg.Connection, shipment_ids: Sequence[str]) -> pl.DataFrame:
    """Shipments (columns HELD), kept as they are until the transaction ends."""
    ids = pl.DataFrame({"shipment_id": sorted(set(shipment_ids))}, schema={"shipment_id": pl.String})
    rows, values = sets.source(ids, {"shipment_id": "text"})
    query = sql.SQL(
        f"select {', '.join(f's.{name}' for name in HELD)} from {{}} join orders.shipments s using (shipment_id)"  # type: ignore[arg-type]
        " order by s.shipment_id for update of s"
    ).format(rows)
    return pl.DataFrame(conn.execute(query, values).fetchall(), schema=HELD, orient="row")


def under(conn: psycopg.Connection, test: bool) -> str:
    """How the versions of outlooks begin that are made under the closures there are: `stamp` of LOOKED."""
    return f"{stamp(conn, test)}."


def parcels_of(ctx: Context, shipments: pl.DataFrame) -> pl.DataFrame:
    """The parcels (columns PARCELS) of shipments (column shipment_id), by shipment and piece."""
    rows, values = sets.source(shipments, {"shipment_id": "text"})
    query = sql.SQL(
        "select p.shipment_id, p.parcel_id, p.number, p.route_code from {} join orders.parcels p using (shipment_id)"
        " order by p.shipment_id, p.piece"
    ).format(rows)
    schema = {name: PARCELS[name] for name in ("shipment_id", "parcel_id", "number", "route_code")}
    found = pl.DataFrame(ctx.conn.execute(query, values).fetchall(), schema=schema, orient="row")
    return found.join(_seen(ctx, found.drop_nulls("number")), on="number", how="left", maintain_order="left")


def _seen(ctx: Context, parcels: pl.DataFrame) -> pl.DataFrame:
    """What is known of parcels by their numbers (column number): those of PARCELS that are not the books'."""
    epcs = parcels.select("number", epc=pl.Series([sscc_uri(one) for one in parcels["number"]], dtype=pl.String))
    rows, values = sets.source(epcs, {"number": "text", "epc": "text"})
    query = sql.SQL(
        f"select given.number, t.status::text, {SEEN}, {LOOKED},"  # type: ignore[arg-type]
        " c.at, c.node_id, c.riding_departure_id, c.riding_depart_at, c.chance, c.expected_at, c.why, c.legs::text"
        " from {} left join tracking.parcels t on t.epc = given.epc and t.test = %(test)s"
        " left join tracking.chances c on c.epc = given.epc and c.test = %(test)s"
    ).format(rows)
    schema = {"number": pl.String} | {name: PARCELS[name] for name in list(PARCELS)[4:]}
    with ctx.as_system() as conn:
        asked = {**values, "test": ctx.who.test, "stamp": under(conn, ctx.who.test)}
        found = conn.execute(query, asked).fetchall()
    return pl.DataFrame(found, schema=schema, orient="row")


def routes(conn: psycopg.Connection, which: pl.DataFrame) -> pl.DataFrame:
    """Legs (columns ROUTE) of routes of shipments (columns shipment_id, route), by shipment and seq."""
    rows, values = sets.source(which, {"shipment_id": "text", "route": "integer"})
    query = sql.SQL(
        f"select {', '.join(f'l.{name}' for name in ROUTE)} from {{}} join planning.legs l using (shipment_id, route)"  # type: ignore[arg-type]
        " order by l.shipment_id, l.seq"
    ).format(rows)
    return pl.DataFrame(conn.execute(query, values).fetchall(), schema=ROUTE, orient="row")


def ways_of(ctx: Context, shipment_ids: Sequence[str], moved: pl.DataFrame) -> Ways:
    """The way that is suggested for each shipment, and what speaks against it but for room; shipments are held.

    moved: the dated departures that closures delay (network.live.MOVED).
    """
    now = ctx.clock.now()
    held = hold(ctx.conn, shipment_ids)
    parcels = parcels_of(ctx, held)
    waiting = _waiting(parcels)
    booked = routes(ctx.conn, held).with_columns(booked_at="depart_at")
    before = as_they_leave(booked, moved).rename({"depart_at": "leaves_at", "booked_at": "depart_at"})
    together = held.join(_together(waiting), on="shipment_id", how="left", maintain_order="left")
    suggested = _suggested(together)
    before = with_ahead(before, together, suggested, now)
    after = _after(before, suggested, together)
    shipments = _judged(together, before, after, now)
    scattered = waiting.join(shipments.filter(reason=APART), on="shipment_id", how="semi", maintain_order="left")
    shipments = shipments.join(standings(scattered), on="shipment_id", how="left", maintain_order="left")
    return Ways(shipments, parcels, before, after)


def _waiting(parcels: pl.DataFrame) -> pl.DataFrame:
    """The parcels that are not delivered, with `way`: the runs that are suggested to each."""
    runs = _by_text(parcels).group_by("legs", maintain_order=True).agg(way=_way())
    status = pl.col("status").fill_null("")
    return parcels.filter(status != "delivered").join(runs, on="legs", how="left", maintain_order="left")


def _together(waiting: pl.DataFrame) -> pl.DataFrame:
    """Where a shipment's parcels that are not delivered are, all in one row: the columns of the first of them, `apart`
    where others differ.
    """
    return waiting.group_by("shipment_id", maintain_order=True).agg(
        pl.col("legs", "why", "at", *PLACE).first(),
        pl.col("chance").min(),
        pl.col("expected_at").max().alias("expected_now"),
        looked=pl.col("looked").fill_null(False).all(),
        apart=pl.struct(*PLACE, "way").n_unique() > 1,
        begun=(pl.col("status").fill_null("pre_transit") != "pre_transit").any(),
        returned=(pl.col("status") == "return_to_sender").any(),
        called_off=(pl.col("status") == "cancelled").any(),
        waiting=pl.len(),
    )


def _by_text(parcels: pl.DataFrame) -> pl.DataFrame:
    """The legs of every different text of `legs`, with `place` from 0: each text is read once."""
    texts = parcels["legs"].drop_nulls().unique(maintain_order=True).to_list()
    read = msgspec.json.decode("[" + ",".join(texts) + "]", type=list[list[_Told]])
    rows = [
        (text, place, *msgspec.structs.astuple(leg))
        for text, legs in zip(texts, read)
        for place, leg in enumerate(legs)
    ]
    return pl.DataFrame(rows, schema={"legs": pl.String, "place": pl.Int32, **_TOLD}, orient="row")


def _way(at: str = "depart_at") -> pl.Expr:
    return (pl.col("departure_id") + "@" + pl.col(at).dt.epoch("s").cast(pl.String)).str.join("|")


def _suggested(together: pl.DataFrame) -> pl.DataFrame:
    """The legs suggested to each shipment, with `place` and `riding`: the ride its parcels are on."""
    legs = together.select("shipment_id", "legs", "riding_departure_id", "riding_depart_at").drop_nulls("legs")
    found = legs.join(_by_text(legs), on="legs", maintain_order="left_right")
    return found.with_columns(riding=(pl.col("place") == 0) & ridden("depart_at"))


def _after(before: pl.DataFrame, suggested: pl.DataFrame, together: pl.DataFrame) -> pl.DataFrame:
    """The routes that come of it: what was ridden, the ride at hand, and what is suggested; `seq` from 1 anew."""
    booked_ride = before.filter("on").select("shipment_id", riding=pl.lit(True))
    new = suggested.join(booked_ride, on=["shipment_id", "riding"], how="anti")
    new = new.join(together.select("shipment_id", "party_id", "route"), on="shipment_id", maintain_order="left")
    new = new.select(
        pl.col(name) if name in new.columns else pl.lit(None, kind).alias(name) for name, kind in ROUTE.items()
    ).with_columns(new=pl.lit(True), riding=new["riding"], order=new["place"] + 10_000)
    kept = before.filter("kept").select(*ROUTE, new=pl.lit(False), riding=pl.lit(False), order="seq")
    both = pl.concat([kept, new]).sort("shipment_id", "order", maintain_order=True).drop("order")
    seq = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("shipment_id")
    return both.with_columns(seq=seq, new=pl.col("new") & ~pl.col("riding"))


def _judged(together: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Shipments (HELD, chance, begun, expected_now) with `reason`: the first of REASONS that holds, null where none."""
    booked = before.filter("ahead").group_by("shipment_id").agg(booked=_way("leaves_at"))
    fresh = after.filter(pl.col("new") | pl.col("riding")).group_by("shipment_id").agg(fresh=_way())
    first = after.filter("new").group_by("shipment_id").agg(first_cutoff=pl.col("cutoff_at").first())
    whole = after.group_by("shipment_id").agg(legs_after=pl.len())
    joined = together
    for more in (booked, fresh, first, whole):
        joined = joined.join(more, on="shipment_id", how="left", maintain_order="left")
    reasons = {
        "cancelled": (pl.col("state") == "cancelled") | pl.col("called_off"),
        "delivered": pl.col("waiting").is_null(),
        "returned": pl.col("returned"),
        "not_looked_at": ~pl.col("looked"),
        APART: pl.col("apart"),
        "no_way": pl.col("why").is_in(NO_WAY)
        | pl.col("legs").is_null()
        | pl.col("legs_after").is_null()
        | pl.col("shipment_id").is_in(apart(after).implode()),
        "already_so": pl.col("booked").fill_null("") == pl.col("fresh").fill_null(""),
        "cutoff_passed": pl.col("first_cutoff") < now,
    }
    begun = pl.col("begun").fill_null(True)
    return joined.select(*HELD, "chance", "expected_now", begun=begun, reason=first_of(reasons))


def first_of(reasons: Mapping[str, pl.Expr]) -> pl.Expr:
    """The first code whose condition holds; null where none does."""
    told = (pl.when(holds.fill_null(False)).then(pl.lit(code)) for code, holds in reasons.items())
    return pl.coalesce(*told, pl.lit(None, pl.String))
