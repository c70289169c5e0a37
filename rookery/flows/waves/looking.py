"""What a wave looks at, and whether closures changed it while it was planned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from rookery.base import sets
from rookery.base.operations import Context
from rookery.flows.live_feed import LOOK_BACK
from rookery.flows.planning import Plan, horizon_of
from rookery.flows.waves.room import RUN, moved_of, room_of, runs_of, taken_by_others
from rookery.network.live import in_force, overlaid
from rookery.network.store import Feeds
from rookery.orders import waiting
from rookery.planning import store
from rookery.planning.plans import WaveSettings
from rookery.terms.frames import Feed


@dataclass(frozen=True)
class Snapshot:
    """What a wave looks at, on the active network under its closures (`closed`, IN_FORCE). received: orders that wait;
    movable: shipments that nobody has yet, whose first cut-off is ahead, `legs` their
    routes; runs: departures of the days ahead, moved:
    those that closures delay, room: those with a limit, and `others`: what parcels that stay as they are take of it.
    """

    at: datetime
    feed_id: str
    feed: Feed
    closed: pl.DataFrame
    days: int
    received: pl.DataFrame
    movable: pl.DataFrame
    legs: pl.DataFrame
    runs: pl.DataFrame
    moved: pl.DataFrame
    others: pl.DataFrame

    @property
    def room(self) -> pl.DataFrame:
        """The departures with a limit."""
        return room_of(self.runs)


def look(ctx: Context, feed_id: str, settings: WaveSettings) -> Snapshot:
    """What there is to plan now, in live or test data as `ctx` says."""
    conn, now, test = ctx.conn, ctx.clock.now(), ctx.who.test
    closed = in_force(conn, test, now - LOOK_BACK)
    feed = overlaid(ctx.part(Feeds).get(conn, feed_id), closed.drop("closure_id"))
    days = horizon_of(feed, settings.horizon_days)
    runs, moved = runs_of(feed, now, days), moved_of(conn, test, feed, now, days)
    received = waiting.received(conn, test)
    ahead = store.future_legs(conn, test, now)
    shipments = waiting.booked(conn, ahead["shipment_id"].unique())
    received = received.join(shipments, on="order_id", how="anti")  # booked between the two looks
    legs = ahead.join(shipments.select("shipment_id", "route"), on=["shipment_id", "route"])
    first = legs.filter(pl.col("seq") == 1, pl.col("cutoff_at") > now)
    movable = shipments.filter(pl.col("state") == "booked").join(first, on="shipment_id", how="semi")
    movable = movable.join(_in_hand(ctx, movable["shipment_id"]), on="shipment_id", how="anti")
    return Snapshot(
        now, feed_id, feed, closed, days, received, movable, legs.join(movable, on="shipment_id", how="semi"), runs,
        moved, taken_by_others(conn, test, now, movable.select("shipment_id"), moved),
    )  # fmt: skip


_IN_HAND = """
select distinct p.shipment_id from orders.parcels p join tracking.parcels t on t.test = p.test and t.epc =
    case when p.number ~ '^[0-9]{18}$' then 'https://id.gs1.org/00/' else 'urn:rookery:number:' end || p.number
 where p.shipment_id = any(%(shipments)s) and t.status not in ('pre_transit', 'cancelled')
"""


def _in_hand(ctx: Context, shipments: pl.Series) -> pl.DataFrame:
    """Those shipments (shipment_id) of which somebody scanned a parcel, though nobody noted that they were handed over:
    they are on their way, or delivered, and begin nowhere anew.
    """
    asked = {"shipments": shipments.to_list()}
    return sets.read(ctx.conn, _IN_HAND, {"shipment_id": pl.String}, asked)


def changed(ctx: Context, snapshot: Snapshot) -> tuple[bool, pl.DataFrame]:
    """Whether closures were entered or lifted since a snapshot, and those that were entered (network.live.IN_FORCE)."""
    closed = in_force(ctx.conn, ctx.who.test, snapshot.at - LOOK_BACK)
    entered = closed.join(snapshot.closed, on="closure_id", how="anti")
    return bool(entered.height) or closed.height != snapshot.closed.height, entered


def under_closures(ctx: Context, snapshot: Snapshot, made: Plan) -> tuple[Snapshot, pl.DataFrame]:
    """The snapshot under the closures that count by now, and the planned orders (order_id) whose way does not run so
    any more, or leads into a node that was shut for the time at which they arrive there.
    """
    differs, entered = changed(ctx, snapshot)
    if not differs:
        return snapshot, made.legs.select("order_id").clear()
    conn, test = ctx.conn, ctx.who.test
    closed = in_force(conn, test, snapshot.at - LOOK_BACK)
    feed = overlaid(ctx.part(Feeds).get(conn, snapshot.feed_id), closed.drop("closure_id"))
    runs = runs_of(feed, snapshot.at, snapshot.days)
    moved = moved_of(conn, test, feed, snapshot.at, snapshot.days)
    shut = entered.filter(pl.col("capacity_factor") == 0).drop_nulls("node_id")
    arrives = pl.col("arrive_at").dt.epoch("s") // 60
    into = made.legs.join(shut.select("from_at", "until_at", to_node="node_id"), on="to_node").filter(
        arrives >= pl.col("from_at"), arrives < pl.col("until_at")
    )
    gone = made.legs.join(runs, on=RUN, how="anti")
    snapshot = replace(snapshot, feed=feed, closed=closed, runs=runs, moved=moved)
    return snapshot, pl.concat([gone.select("order_id"), into.select("order_id")]).unique()
