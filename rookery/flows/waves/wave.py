"""A wave: what waits in the database, planned on the active network within what is booked already, and booked.

Three steps, so that nothing is locked while the planner thinks: look (a snapshot), plan, write (one transaction, in
which whatever changed meanwhile is left as it is).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import psycopg
from msgspec import structs

from rookery.base.operations import Context
from rookery.flows.planning import Plan, plan
from rookery.flows.waves.looking import Snapshot, under_closures
from rookery.flows.waves.room import (
    RUN,
    fitted,
    over,
    summed,
    taken_by_others,
    with_room_left,
    with_weights,
)
from rookery.network.live import as_they_leave
from rookery.orders import booking, waiting
from rookery.planning import store
from rookery.planning.plans import Outcome, WaveSettings, finish_plan, tell_outcome
from rookery.terms.errors import Conflict
from rookery.terms.frames import FEED, Feed
from rookery.terms.goods import DEFAULT_CONFIDENCE, DEFAULT_LATE_COST, UNASSIGNED_PER_LATE
from rookery.terms.ids import new_ids

_REFUSED = "unknown_service"
"""Why an order is left out when it is placed in a network (network.placing knows no other reason)."""


BOOKED = "booked before: "
"""What a wave calls the services of shipments, which come before orders that wait."""
FIRST = 10.0
"""By how much dearer a shipment's lateness, or leaving it without a way, is than an order's."""


class Overtaken(Conflict):
    """Another worker began this wave anew, or ended it; nothing was written here."""


def make(snapshot: Snapshot, settings: WaveSettings) -> Plan | None:
    """The plan of what there is; None when there is nothing.

    What is booked is due when it was promised, and comes before what waits: being late, or without a way, costs it ten
    times as much.
    """
    known = pl.col("service_id").is_null() | pl.col("service_id").is_in(snapshot.feed.services["service_id"].implode())
    booked = pl.when(known).then(BOOKED + pl.col("service_id").fill_null("")).otherwise("service_id")
    movable = snapshot.movable.with_columns(
        due_at="promised_at", service_id=booked, late_cost=pl.col("late_cost") * FIRST
    )
    orders = pl.concat([waiting.as_ordered(rows) for rows in (snapshot.received, movable)])
    feed = _with_booked_services(snapshot.feed)
    offered = feed.services["service_id"].implode()
    if orders.filter(pl.col("service_id").is_null() | pl.col("service_id").is_in(offered)).is_empty():
        return None
    told = {name: value for name in ("outcomes", "seconds") if (value := getattr(settings, name)) is not None}
    return plan(
        with_room_left(feed, snapshot.runs, snapshot.others),
        orders,
        start=snapshot.at,
        horizon_days=snapshot.days,
        **told,
    )


def _with_booked_services(feed: Feed) -> Feed:
    """The network with each service once more, for what is booked; the nameless one is for orders without a service."""
    late = DEFAULT_LATE_COST
    none = {
        "service_id": "", "confidence": DEFAULT_CONFIDENCE, "late_cost": late, "late_cost_per_day": 0.0,
        "time_cost_per_day": 0.0, "unassigned_cost": UNASSIGNED_PER_LATE * late, "modes": [],
    }  # fmt: skip
    nameless = pl.DataFrame([{column: none.get(column) for column in FEED["services"]}], schema=FEED["services"])
    again = pl.concat([feed.services, nameless]).with_columns(
        pl.col("late_cost", "late_cost_per_day", "unassigned_cost") * FIRST, service_id=BOOKED + pl.col("service_id")
    )
    return replace(feed, services=pl.concat([feed.services, again]))


def write(ctx: Context, plan_id: str, version: int, snapshot: Snapshot, made: Plan | None) -> Outcome:
    """Book what was planned, re-route what was booked, tell what found no way: all of it or nothing.

    Orders and shipments that others changed since the snapshot are left as they are, and so are those whose first
    cut-off passed, whose way was closed, or whose room others booked, while it was planned. Raises Overtaken when this
    wave is somebody else's by now.
    """
    conn, now, test = ctx.conn, ctx.clock.now(), ctx.who.test
    conn.execute("set local statement_timeout = 0")  # sets of any size; a wait for others' locks keeps its limit
    if not finish_plan(conn, plan_id, version, now):
        raise Overtaken("waves.overtaken", f"Another worker has taken {plan_id} over.", "look at the wave's record")
    looked_at = pl.concat(
        [rows.select("order_id", "party_id", "order_version") for rows in (snapshot.received, snapshot.movable)]
    )
    outcome = Outcome(orders=looked_at.height)
    if made is not None:
        every = made.parcels.filter(pl.col("status") == "planned")
        snapshot, shut = under_closures(ctx, snapshot, made)
        late = pl.concat([made.legs.filter(pl.col("seq") == 1, pl.col("cutoff_at") < now).select("order_id"), shut])
        legs = made.legs.join(store.couriers(conn, made.legs["carrier_id"].unique()), on="carrier_id", how="left")
        legs = legs.with_columns(test=pl.lit(test), plan_id=pl.lit(plan_id))
        held = _held(conn, snapshot, every.join(late, on="order_id", how="anti"))
        written = _write_plan(ctx, plan_id, snapshot, made, held, legs, alone=False)
        written = written or _write_plan(ctx, plan_id, snapshot, made, held, legs, alone=True)
        assert written is not None
        booked, kept, moved, stay = written
        skipped = every.height - booked - kept - stay
        outcome = Outcome(looked_at.height, booked, moved, skipped=skipped, summary=made.summary)
    unassigned, reasons = _write_unassigned(conn, test, plan_id, looked_at, made)
    outcome = structs.replace(outcome, unassigned=unassigned, reasons=reasons)
    tell_outcome(conn, plan_id, outcome)
    return outcome


def _held(conn: psycopg.Connection, snapshot: Snapshot, planned: pl.DataFrame) -> pl.DataFrame:
    """What was planned and is as it was, held until the transaction ends: orders first, then shipments, each by id."""
    wait = booking.hold_orders(conn, snapshot.received.join(planned, on="order_id", how="semi"))
    ride = booking.hold_shipments(conn, snapshot.movable.join(planned, on="order_id", how="semi"))
    mine = snapshot.movable.filter(pl.col("shipment_id").is_in(ride)).get_column("order_id").to_list()
    return planned.filter(pl.col("order_id").is_in(wait + mine))


def _write_plan(
    ctx: Context, plan_id: str, snapshot: Snapshot, made: Plan, held: pl.DataFrame, legs: pl.DataFrame, *, alone: bool
) -> tuple[int, int, int, int] | None:
    """Writes what finds room: how many were booked, go by the new plan, of these on another route, and stay on theirs.

    Others book on departures until all but the loads is written, so that nobody waits for long. None, and nothing is
    written, when what they booked in that time leaves too little room: then it is to be done with them kept out from
    the beginning (`alone`).
    """
    conn, now, test = ctx.conn, ctx.clock.now(), ctx.who.test
    with conn.transaction() as attempt:
        # after the locks of orders and shipments: who books holds its own before it asks for this one
        if alone:
            conn.execute(store.LOADS_LOCK)
        moves = _moves(snapshot, held, legs)
        ours = moves.select("shipment_id")
        others = taken_by_others(conn, test, now, ours, snapshot.moved)
        planned, stay, loads = _fitting(conn, snapshot, made, held, moves, others)
        booked = _book_new(ctx, plan_id, snapshot, planned, legs)
        kept, moved = _reroute(ctx, plan_id, snapshot, moves.join(planned, on="order_id", how="semi"), legs)
        conn.execute(store.LOADS_LOCK)
        if not alone:
            since = taken_by_others(conn, test, now, pl.concat([ours, booked]), snapshot.moved)
            more = summed(since, others.with_columns(-pl.col("parcels", "grams")))
            loads = summed(loads, more)
            if not over(loads, snapshot.room).join(more.filter(pl.col("parcels") > 0), on=RUN).is_empty():
                raise psycopg.Rollback(attempt)
        _write_loads(conn, test, now, snapshot, made, loads)
        return booked.height, kept, moved, stay
    return None


def _fitting(
    conn: psycopg.Connection, snapshot: Snapshot, made: Plan, held: pl.DataFrame, moves: pl.DataFrame,
    others: pl.DataFrame,
) -> tuple[pl.DataFrame, int, pl.DataFrame]:  # fmt: skip
    """Of what is held, that which finds room beside what others have; how many shipments had rather stay on their way;
    and what departures carry then.
    """
    orders = pl.concat([waiting.as_ordered(rows) for rows in (snapshot.received, snapshot.movable)])
    pieces = pl.col("pieces").cast(pl.Float64)
    new = made.legs.join(orders, on="order_id", maintain_order="left").select(
        "order_id", *RUN, parcels=pieces, grams=pieces * pl.col("weight_g")
    )
    ours = moves.select("order_id", "shipment_id", "moved", "better")
    old = with_weights(conn, as_they_leave(snapshot.legs, snapshot.moved)).join(
        ours, on="shipment_id", maintain_order="left"
    )
    gone = new.join(held, on="order_id", how="anti").with_columns(-pl.col("parcels", "grams"))
    loads = summed(made.loads, gone, others)

    # whoever would go another way that is no better stays where there still is room
    idle = ours.filter("moved", ~pl.col("better"))
    stay, go = old.join(idle, on="order_id", how="semi"), new.join(idle, on="order_id", how="semi")
    moved_on, loads = fitted(
        summed(loads, stay, go.with_columns(-pl.col("parcels", "grams"))), snapshot.room, stay.select(new.columns), go
    )
    idle = idle.join(moved_on, on="order_id", how="anti")
    held = held.join(idle, on="order_id", how="anti")

    # new ones before those that have a way already
    takes = pl.concat(
        [
            new.join(held, on="order_id", how="semi").join(ours, on="order_id", how="anti"),
            new.join(held, on="order_id", how="semi").join(ours.filter("moved"), on="order_id", how="semi"),
        ]
    )
    without, loads = fitted(loads, snapshot.room, takes, old.select(new.columns))
    return held.join(without, on="order_id", how="anti"), idle.height, loads


def _book_new(
    ctx: Context, plan_id: str, snapshot: Snapshot, planned: pl.DataFrame, legs: pl.DataFrame
) -> pl.DataFrame:
    """Orders that wait become shipments; returns their shipment_id."""
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
    return booked.select("shipment_id")


def _moves(snapshot: Snapshot, held: pl.DataFrame, legs: pl.DataFrame) -> pl.DataFrame:
    """Shipments that were planned again, with the plan's columns and their own, `moved` (they would go another way)
    and `better` (there is something for it: cheaper, likelier on time, sooner there, the network is another, or a leg
    of theirs does not run any more, or at another time).
    """
    own = snapshot.movable.select(
        "order_id", "shipment_id", "party_id", "version", "route", "on_time_probability", "expected_at", "feed_id"
    )
    shipments = held.join(own, on="order_id", suffix="_before")
    ours = shipments.select("order_id", "shipment_id")
    before = _way(snapshot.legs).rename({"way": "way_before", "fare": "fare_before"})
    after = _way(legs.join(ours, on="order_id"))
    looked_at = snapshot.legs.filter(pl.col("depart_at") < snapshot.at + timedelta(days=snapshot.days))
    broken = looked_at.join(snapshot.runs, on=RUN, how="anti")["shipment_id"]
    better = (
        (pl.col("fare") < pl.col("fare_before") * (1 - 1e-9))
        | (pl.col("on_time_probability") > pl.col("on_time_probability_before") + 1e-9)
        | (pl.col("expected_at") < pl.col("expected_at_before"))
        | (pl.col("feed_id") != snapshot.feed_id)
        | pl.col("shipment_id").is_in(broken.implode())
    )
    together = shipments.join(before, on="shipment_id").join(after, on="shipment_id")
    return together.with_columns(moved=pl.col("way") != pl.col("way_before"), better=better)


def _reroute(
    ctx: Context, plan_id: str, snapshot: Snapshot, shipments: pl.DataFrame, legs: pl.DataFrame
) -> tuple[int, int]:
    """Shipments go on by the new plan: how many, and how many of them on another route."""
    conn, now = ctx.conn, ctx.clock.now()
    shipments = shipments.with_columns(
        route=pl.col("route") + pl.col("moved").cast(pl.Int32), feed_id=pl.lit(snapshot.feed_id),
        plan_id=pl.lit(plan_id),
    )  # fmt: skip
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
    return kept.height, moved.height


def _way(legs: pl.DataFrame) -> pl.DataFrame:
    """The dated departures of each shipment's route as one text (`way`), and what they cost together (`fare`)."""
    run = pl.col("departure_id") + "@" + pl.col("depart_at").dt.epoch("s").cast(pl.String)
    return legs.sort("seq").group_by("shipment_id").agg(way=run.str.join("|"), fare=pl.col("cost").sum())


def _write_loads(
    conn: psycopg.Connection, test: bool, now: datetime, snapshot: Snapshot, made: Plan, loads: pl.DataFrame
) -> None:
    """What departures carry from now on, with the plan's prices of room; those that only others know go on as known."""
    known = store.capacities(conn, test, now).join(snapshot.room, on=RUN, how="anti")
    room = pl.concat([snapshot.room.select(known.columns), known])
    prices = made.loads.group_by(RUN).agg(pl.col("shadow_price", "shadow_price_per_kg").max())
    whole = (
        loads.with_columns(pl.col("parcels", "grams").clip(lower_bound=0.0))
        .join(room, on=RUN)
        .join(prices, on=RUN, how="left")
        .with_columns(pl.col("shadow_price", "shadow_price_per_kg").fill_null(0.0))
    )
    store.replace_loads(conn, test, now, whole)


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
