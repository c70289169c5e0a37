"""A wave: what waits in the database, planned on the active network within what is booked already, and booked.

Three steps, so that nothing is locked while the planner thinks: look (a snapshot), plan, write (one transaction, in
which whatever changed meanwhile is left as it is).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl
import psycopg
from msgspec import structs

from rookery.base.operations import Context
from rookery.flows.planning import Plan, horizon_of, plan
from rookery.network import expand
from rookery.network.store import Feeds
from rookery.orders import booking, waiting
from rookery.planning import store
from rookery.planning.plans import Outcome, WaveSettings, finish_plan, tell_outcome
from rookery.terms.errors import Conflict
from rookery.terms.frames import FEED, Feed
from rookery.terms.goods import DEFAULT_CONFIDENCE
from rookery.terms.ids import new_ids
from rookery.terms.time import DAY, to_minute

_RUN = ["departure_id", "depart_at"]
_ROOM = ["capacity_parcels", "capacity_g"]
_REFUSED = "unknown_service"
"""Why an order is left out when it is placed in a network (network.placing knows no other reason)."""


class Overtaken(Conflict):
    """Another worker began this wave anew, or ended it; nothing was written here."""


@dataclass(frozen=True)
class Snapshot:
    """What a wave looks at. received: orders that wait; movable: shipments whose first cut-off is ahead, `legs` their
    routes; room: departures with a limit, and `others`: what parcels that stay as they are take of it.
    """

    at: datetime
    feed_id: str
    feed: Feed
    days: int
    received: pl.DataFrame
    movable: pl.DataFrame
    legs: pl.DataFrame
    room: pl.DataFrame
    others: pl.DataFrame


def look(ctx: Context, feed_id: str, settings: WaveSettings) -> Snapshot:
    """What there is to plan now, in live or test data as `ctx` says."""
    conn, now, test = ctx.conn, ctx.clock.now(), ctx.who.test
    feed = ctx.part(Feeds).get(conn, feed_id)
    days = horizon_of(feed, settings.horizon_days)
    received = waiting.received(conn, test)
    ahead = store.future_legs(conn, test, now)
    shipments = waiting.booked(conn, ahead["shipment_id"].unique())
    received = received.join(shipments, on="order_id", how="anti")  # booked between the two looks
    legs = ahead.join(shipments.select("shipment_id", "route"), on=["shipment_id", "route"])
    first = legs.filter(pl.col("seq") == 1, pl.col("cutoff_at") > now)
    movable = shipments.filter(pl.col("state") == "booked").join(first, on="shipment_id", how="semi")
    return Snapshot(
        now, feed_id, feed, days, received, movable, legs.join(movable, on="shipment_id", how="semi"),
        room_of(feed, now, days), taken_by_others(conn, test, now, movable.select("shipment_id")),
    )  # fmt: skip


def room_of(feed: Feed, now: datetime, days: int) -> pl.DataFrame:
    """The dated departures that have a limit.

    Columns: departure_id, depart_at, scheduled_at (minutes), capacity_parcels, capacity_g (null = none).
    """
    start = to_minute(now)
    runs = expand(feed, start, start + days * DAY).runs
    limited = runs.filter(pl.any_horizontal(pl.col(name).is_finite() for name in _ROOM))
    return limited.select(
        feed.departures["departure_id"].gather(limited["departure"]),
        (pl.col("depart_at").cast(pl.Int64) * 60_000_000).cast(pl.Datetime("us", "UTC")),
        "scheduled_at",
        *(pl.when(pl.col(name).is_finite()).then(name).alias(name) for name in _ROOM),
    )  # fmt: skip


def taken_by_others(conn: psycopg.Connection, test: bool, after: datetime, mine: pl.DataFrame) -> pl.DataFrame:
    """What departures that leave after an instant carry of shipments that are not `mine` (column shipment_id).

    Along their median routes: departure_id, depart_at, parcels, grams. A departure that another version of the network
    has too counts as the same.
    """
    legs = store.future_legs(conn, test, after).join(mine, on="shipment_id", how="anti")
    weights = waiting.weights(conn, legs["shipment_id"].unique())
    return _summed(legs.join(weights, on=["shipment_id", "route"]))


def _summed(legs: pl.DataFrame) -> pl.DataFrame:
    return legs.group_by(_RUN).agg(pl.col("parcels").sum(), pl.col("grams").sum())


def make(snapshot: Snapshot, settings: WaveSettings) -> Plan | None:
    """The plan of what there is; None when there is nothing. What is booked is due when it was promised."""
    movable = snapshot.movable.with_columns(due_at="promised_at")
    orders = pl.concat([waiting.as_ordered(rows) for rows in (snapshot.received, movable)])
    offered = snapshot.feed.services["service_id"].implode()
    if orders.filter(pl.col("service_id").is_null() | pl.col("service_id").is_in(offered)).is_empty():
        return None
    told = {name: value for name in ("outcomes", "seconds") if (value := getattr(settings, name)) is not None}
    return plan(_with_room_left(snapshot), orders, start=snapshot.at, horizon_days=snapshot.days, **told)


def _with_room_left(snapshot: Snapshot) -> Feed:
    """The network with what others take gone from its departures: as closures, which the planner plans around."""
    taken = snapshot.others.join(snapshot.room, on=_RUN)
    left = taken.with_columns(
        # a hair more than exact, so that as a product it is never a whole seat less
        factor=(
            pl.min_horizontal(
                1 - pl.col("parcels") / pl.col("capacity_parcels"), 1 - pl.col("grams") / pl.col("capacity_g")
            )
            * (1 + 1e-12)
        ).clip(0.0, 1.0)
    )
    closures = left.select(
        "departure_id",
        from_at=pl.col("scheduled_at").cast(pl.Int64),
        until_at=pl.col("scheduled_at").cast(pl.Int64) + 1,
        capacity_factor="factor",
        delay_minutes=pl.lit(0, pl.Int32),
        reason=pl.lit("booked before"),
    )
    both = pl.concat([snapshot.feed.closures, closures], how="diagonal").select(*FEED["closures"])
    return replace(snapshot.feed, closures=both.cast(pl.Schema(FEED["closures"])))


def write(ctx: Context, plan_id: str, version: int, snapshot: Snapshot, made: Plan | None) -> Outcome:
    """Book what was planned, re-route what was booked, tell what found no way: all of it or nothing.

    Orders and shipments that others changed since the snapshot are left as they are, and so are those whose first
    cut-off passed while it was planned. Raises Overtaken when this wave is somebody else's by now.
    """
    conn, now, test = ctx.conn, ctx.clock.now(), ctx.who.test
    if not finish_plan(conn, plan_id, version, now):
        raise Overtaken("waves.overtaken", f"Another worker has taken {plan_id} over.", "look at the wave's record")
    looked_at = pl.concat(
        [rows.select("order_id", "party_id", "order_version") for rows in (snapshot.received, snapshot.movable)]
    )
    outcome = Outcome(orders=looked_at.height)
    if made is not None:
        late = made.legs.filter(pl.col("seq") == 1, pl.col("cutoff_at") < now)
        every = made.parcels.filter(pl.col("status") == "planned")
        planned = every.join(late, on="order_id", how="anti")
        legs = made.legs.join(store.couriers(conn, made.legs["carrier_id"].unique()), on="carrier_id", how="left")
        legs = legs.with_columns(test=pl.lit(test), plan_id=pl.lit(plan_id))
        booked = _book_new(ctx, plan_id, snapshot, planned, legs)
        kept, moved = _reroute(ctx, plan_id, snapshot, planned, legs)
        _write_loads(conn, test, now, snapshot, made, pl.concat([booked, kept]))
        skipped = every.height - booked.height - kept.height
        outcome = Outcome(looked_at.height, booked.height, moved, skipped=skipped, summary=made.summary)
    unassigned, reasons = _write_unassigned(conn, test, plan_id, looked_at, made)
    outcome = structs.replace(outcome, unassigned=unassigned, reasons=reasons)
    tell_outcome(conn, plan_id, outcome)
    return outcome


def _book_new(
    ctx: Context, plan_id: str, snapshot: Snapshot, planned: pl.DataFrame, legs: pl.DataFrame
) -> pl.DataFrame:
    """Orders that wait become shipments; returns order_id, shipment_id of those that did."""
    conn, now, test = ctx.conn, ctx.clock.now(), ctx.who.test
    orders = planned.join(snapshot.received.drop("service_id", "due_at"), on="order_id")
    services = snapshot.feed.services.select("service_id", "confidence")
    shipments = orders.join(services, on="service_id", how="left", maintain_order="left").with_columns(
        pl.col("confidence").fill_null(DEFAULT_CONFIDENCE),
        shipment_id=pl.Series(new_ids("shp", now, orders.height), dtype=pl.String),
        test=pl.lit(test), currency=pl.lit(snapshot.feed.info.currency), feed_id=pl.lit(snapshot.feed_id),
        plan_id=pl.lit(plan_id), quote_sha256=pl.lit(None, pl.Binary), metadata=pl.lit("{}"),
    )  # fmt: skip
    whose = shipments.select("order_id", "shipment_id", "party_id", "test")
    parcels = waiting.as_parcels(orders).join(whose, on="order_id")
    parcels = parcels.with_columns(parcel_id=pl.Series(new_ids("pcl", now, parcels.height), dtype=pl.String))
    routes = legs.join(whose.drop("test"), on="order_id").with_columns(route=pl.lit(1, pl.Int32))
    done = booking.book(conn, shipments, parcels, store.grants_of(routes, parcels), now=now, by_party=ctx.who.party_id)
    booked = whose.join(pl.DataFrame({"order_id": done}, schema={"order_id": pl.String}), on="order_id", how="semi")
    store.add_legs(conn, routes.join(booked, on="order_id", how="semi"))
    return booked.select("order_id", "shipment_id")


def _reroute(
    ctx: Context, plan_id: str, snapshot: Snapshot, planned: pl.DataFrame, legs: pl.DataFrame
) -> tuple[pl.DataFrame, int]:
    """Shipments go on by the new plan: (order_id, shipment_id of those that do, how many on another route)."""
    conn, now = ctx.conn, ctx.clock.now()
    ours = snapshot.movable.select("order_id", "shipment_id", "party_id", "version", "route")
    shipments = planned.join(ours, on="order_id")
    before = _way(snapshot.legs, "shipment_id").rename({"way": "before"})
    after = _way(legs.join(ours, on="order_id").select("shipment_id", "seq", *_RUN), "shipment_id")
    shipments = (
        shipments.join(before, on="shipment_id")
        .join(after, on="shipment_id")
        .with_columns(
            moved=pl.col("way") != pl.col("before"), feed_id=pl.lit(snapshot.feed_id), plan_id=pl.lit(plan_id)
        )
        .with_columns(route=pl.col("route") + pl.col("moved").cast(pl.Int32))
    )
    done = booking.reroute(conn, shipments, now=now, by_party=ctx.who.party_id)
    kept = shipments.join(
        pl.DataFrame({"shipment_id": done}, schema={"shipment_id": pl.String}), on="shipment_id", how="semi"
    )
    moved = kept.filter("moved").select("order_id", "shipment_id", "party_id", "route")
    if not moved.is_empty():
        routes = legs.join(moved, on="order_id")
        store.add_legs(conn, routes)
        parcels = booking.parcels_of(conn, moved)
        booking.regrant(conn, parcels, store.grants_of(routes, parcels), now)
    return kept.select("order_id", "shipment_id"), moved.height


def _way(legs: pl.DataFrame, of: str) -> pl.DataFrame:
    """The dated departures of each route as one text."""
    run = pl.col("departure_id") + "@" + pl.col("depart_at").dt.epoch("s").cast(pl.String)
    return legs.sort("seq").group_by(of).agg(way=run.str.join("|"))


def _write_loads(
    conn: psycopg.Connection, test: bool, now: datetime, snapshot: Snapshot, made: Plan, wrote: pl.DataFrame
) -> None:
    """What departures carry from now on: the plan's loads without what was not written, and everybody else's."""
    conn.execute(store.LOADS_LOCK)  # last of all locks: who books meanwhile holds its rows before it asks for this one
    orders = pl.concat([waiting.as_ordered(rows) for rows in (snapshot.received, snapshot.movable)])
    left = made.legs.join(wrote, on="order_id", how="anti").join(orders, on="order_id")
    pieces = pl.col("pieces").cast(pl.Float64)
    minus = _summed(left.with_columns(parcels=-pieces, grams=-pieces * pl.col("weight_g")))
    others = taken_by_others(conn, test, now, wrote.select("shipment_id"))
    columns = [*_RUN, "parcels", "grams"]
    together = _summed(pl.concat([made.loads.select(columns), minus.select(columns), others.select(columns)]))
    prices = made.loads.select(*_RUN, "shadow_price", "shadow_price_per_kg")
    loads = (
        together.with_columns(pl.col("parcels", "grams").clip(lower_bound=0.0))
        .join(snapshot.room, on=_RUN)
        .join(prices, on=_RUN, how="left")
        .with_columns(pl.col("shadow_price", "shadow_price_per_kg").fill_null(0.0))
    )
    store.replace_loads(conn, snapshot.feed_id, test, now, loads)


def _write_unassigned(
    conn: psycopg.Connection, test: bool, plan_id: str, looked_at: pl.DataFrame, made: Plan | None
) -> tuple[int, dict[str, int]]:
    """Orders without a way, and why: how many, and by reason. Those that others changed meanwhile are told nothing."""
    schema = {"order_id": pl.String, "reasons": pl.List(pl.String)}
    told = (
        made.parcels.filter(pl.col("status") == "unassigned").select(*schema) if made else pl.DataFrame(schema=schema)
    )
    placed = made.parcels if made else told
    refused = looked_at.join(placed, on="order_id", how="anti").select("order_id", reasons=pl.lit([_REFUSED]))
    without = pl.concat([told, refused]).join(looked_at, on="order_id")
    still = pl.DataFrame({"order_id": waiting.unchanged(conn, without)}, schema={"order_id": pl.String})
    without = without.join(still, on="order_id", how="semi").with_columns(test=pl.lit(test), plan_id=pl.lit(plan_id))
    store.replace_unassigned(conn, looked_at, without)
    reasons = without.explode("reasons").drop_nulls("reasons").group_by("reasons").len().sort("reasons")
    return without.height, dict(reasons.iter_rows())
