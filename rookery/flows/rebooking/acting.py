"""Shipments booked on from where they are, by what is suggested from there, and put back while that is possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import polars as pl

from rookery.base.operations import Context
from rookery.flows.quotes.counter import Counter
from rookery.flows.quotes.desks import Desks
from rookery.flows.rebooking.behind import apart, off_route, ridden
from rookery.flows.rebooking.seats import exchange
from rookery.flows.rebooking.ways import RUN, Ways, first_of, hold, parcels_of, routes, ways_of
from rookery.flows.rebooking.writing import put_on
from rookery.network.live import as_they_leave, moved_runs
from rookery.planning import replans
from rookery.planning.replans import Replan
from rookery.terms.ids import new_id
from rookery.terms.time import DAY

_RIDE = ["shipment_id", *RUN]


def act_on(
    ctx: Context, shipment_ids: Sequence[str], *, case_id: str | None = None, by: str, outside: Sequence[str] = ()
) -> Replan:
    """Book shipments on by what is suggested from where their parcels are: all that can be, in one go.

    Seats on legs that are not ridden any more are given back and those on the new ones taken; the route, couriers, the
    code on labels and the expected date follow, never the promise. What cannot be is told with its reason
    (rebooking.ways.REASONS). outside: shipments that were asked for and are not in the case.
    """
    now, test = ctx.clock.now(), ctx.who.test
    replan_id, counter = new_id("rpl", now), ctx.part(Desks).fresh(ctx)
    ways = ways_of(ctx, shipment_ids, _moved(counter))
    ways = _with_seats(ctx, counter, ways)
    shipments = ways.shipments.with_columns(
        route_before="route",
        route_after=pl.when(pl.col("reason").is_null()).then(pl.col("route") + 1),
        feed_before="feed_id",
        expected_before="expected_at",
        expected_after=pl.coalesce("expected_now", "expected_at"),
        chance_before="on_time_probability",
        chance_after=pl.coalesce("chance", "on_time_probability"),
        state=pl.when(pl.col("reason").is_null()).then(pl.lit("done")).otherwise(pl.lit("refused")),
    )
    done = shipments.filter(state="done").with_columns(
        route="route_after", feed_id=pl.lit(counter.feed_id), expected_at="expected_after",
        on_time_probability="chance_after", replan_id=pl.lit(replan_id), case_id=pl.lit(case_id, pl.String),
        undone=pl.lit(False),
    )  # fmt: skip
    fresh = pl.col("new") | pl.col("riding")
    after = ways.after.with_columns(ahead=fresh, plan_id=pl.when(fresh).then(pl.lit(replan_id)).otherwise("plan_id"))
    _put_on(ctx, done, ways.parcels, after, ways.before.filter("ahead"))
    replans.add(
        ctx.conn, replan_id, test, case_id, by, now,
        pl.concat([shipments, _others(shipment_ids, shipments, outside)], how="diagonal_relaxed"),
    )  # fmt: skip
    return replans.get(ctx.conn, replan_id)


def _moved(counter: Counter) -> pl.DataFrame:
    """Dated departures that closures delay, of the days that are looked at and those before that are still ridden."""
    table = counter.model.timetable
    return moved_runs(counter.feed, table.start - 2 * DAY, table.end)


def _with_seats(ctx: Context, counter: Counter, ways: Ways) -> Ways:
    """Seats are exchanged for those that may be booked on; whoever finds none is told so."""
    may = ways.shipments.filter(pl.col("reason").is_null()).select("shipment_id")
    give = ways.before.filter("ahead").join(may, on="shipment_id", how="semi")
    take = ways.after.filter("new").join(may, on="shipment_id", how="semi", maintain_order="left")
    full = exchange(
        ctx, counter, give.select("shipment_id", "departure_id", depart_at="leaves_at"), take.select(_RIDE)
    )  # fmt: skip
    return replace(ways, shipments=_refused(ways.shipments, full))


def _others(asked: Sequence[str], known: pl.DataFrame, outside: Sequence[str]) -> pl.DataFrame:
    """What was asked for and is no shipment, or none of the case."""
    rows = [(one, "refused", "unknown") for one in sorted(set(asked) - set(known["shipment_id"]))]
    rows += [(one, "refused", "not_in_case") for one in sorted(set(outside))]
    return pl.DataFrame(rows, schema=dict.fromkeys(("shipment_id", "state", "reason"), pl.String), orient="row")


def undo(ctx: Context, replan_id: str, *, by: str) -> Replan:
    """Put the shipments of a replan back on their former routes, all that can be. Raises NotFound.

    One stays as it is when it has another route by now, when the cut-off of a new leg has passed or one was ridden,
    when it was observed since it was looked at, so that one may be, when a parcel of it is where the former route does
    not lead, and when a former leg that is still ahead has no room left or runs no more. Done twice it does no harm.
    """
    now, conn, counter = ctx.clock.now(), ctx.conn, ctx.part(Desks).fresh(ctx)
    told = replans.get(conn, replan_id, hold=True)
    rows = replans.still_done(conn, replan_id)
    held = hold(conn, rows["shipment_id"].to_list()).join(rows, on="shipment_id", maintain_order="left")
    parcels = parcels_of(ctx, held)
    before = routes(conn, held.select("shipment_id", route="route_before"))
    after = routes(conn, held.select("shipment_id", route="route_after"))
    booked = after.join(before, on=_RIDE, how="anti").filter(pl.col("cutoff_at") >= told.at)
    ahead = pl.col("depart_at") > now
    former = before.join(after, on=_RIDE, how="anti").filter(ahead)
    held = _held_back(held, parcels, booked, apart(before), off_route(parcels, before, after), now)
    may, moved = held.filter(pl.col("reason").is_null()).select("shipment_id"), _moved(counter)
    give, take = (
        as_they_leave(legs.join(may, on="shipment_id", how="semi", maintain_order="left").select(_RIDE), moved)
        for legs in (booked, former)
    )
    held = _refused(held, exchange(ctx, counter, give, take))
    done = held.filter(pl.col("reason").is_null()).with_columns(
        route=pl.col("route") + 1, feed_id="feed_before", expected_at="expected_before",
        on_time_probability="chance_before", replan_id=pl.lit(replan_id), case_id=pl.lit(told.case_id, pl.String),
        undone=pl.lit(True),
    )  # fmt: skip
    again = former.select(_RIDE).with_columns(ahead=True)
    back = before.join(again, on=_RIDE, how="left", maintain_order="left").with_columns(
        pl.col("ahead").fill_null(False)
    )
    _put_on(ctx, done, parcels, back, booked)
    undone = done.select("shipment_id", route_undone="route")
    replans.tell_undone(conn, replan_id, by, now, held.join(undone, on="shipment_id", how="left"))
    return replans.get(conn, replan_id)


def _held_back(
    held: pl.DataFrame, parcels: pl.DataFrame, booked: pl.DataFrame, broken: pl.Series, off: pl.Series, now: datetime
) -> pl.DataFrame:  # fmt: skip
    """Shipments with what speaks against putting them back (`reason`, null = nothing but room), and `begun`.

    booked: the legs that were new to them; broken: those whose former route does not join up; off: those with a parcel
    where that does not lead.
    """
    status = pl.col("status").fill_null("pre_transit")
    rides = parcels.join(booked.select("shipment_id", "departure_id", "depart_at"), on="shipment_id", how="left")
    seen = rides.group_by("shipment_id").agg(
        ridden=ridden("depart_at").any(), begun=(status != "pre_transit").any(), there=(status == "delivered").all(),
        seen=(pl.col("seen").fill_null(False) | (status == "delivered")).all(),
    )  # fmt: skip
    cutoffs = booked.group_by("shipment_id").agg(first_cutoff=pl.col("cutoff_at").min())
    joined = held.join(seen, on="shipment_id", how="left", maintain_order="left")
    joined = joined.join(cutoffs, on="shipment_id", how="left", maintain_order="left")
    return joined.with_columns(
        reason=first_of(
            {
                "cancelled": pl.col("state") == "cancelled",
                "route_changed": pl.col("route") != pl.col("route_after"),
                "delivered": pl.col("there"),
                "ridden": pl.col("ridden"),
                "not_looked_at": ~pl.col("seen"),
                "no_way": pl.col("shipment_id").is_in(broken.implode()),
                "off_route": pl.col("shipment_id").is_in(off.implode()),
                "cutoff_passed": pl.col("first_cutoff") < now,
            }
        )
    )


def _refused(shipments: pl.DataFrame, full: set[str]) -> pl.DataFrame:
    without = pl.col("shipment_id").is_in(pl.Series(sorted(full), dtype=pl.String).implode())
    return shipments.with_columns(reason=pl.when(without).then(pl.lit("no_room")).otherwise("reason"))


def _put_on(
    ctx: Context, done: pl.DataFrame, parcels: pl.DataFrame, legs: pl.DataFrame, former: pl.DataFrame
) -> None:  # fmt: skip
    """The shipments of `done` alone are put on their new legs."""
    mine = (rows.join(done, on="shipment_id", how="semi", maintain_order="left") for rows in (parcels, legs, former))
    put_on(ctx, done, *mine)
