"""What is ahead of parcels, by what is known of them: looked up in an outlook, once more for those that are overdue."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from rookery.flows.living.ground import Ground, ground_of
from rookery.flows.living.news import in_doubt
from rookery.flows.living.outlook_classes import CLASS, placed
from rookery.flows.living.spots import ENDS, as_if_now, awaited_ride, spots_of
from rookery.planning.outlook import LOOK, Outlook
from rookery.terms.time import from_minute
from rookery.tracking.looked import dated
from rookery.tracking.positions import GIVE_UP, awaited, look_again, positions
from rookery.tracking.rules.dwell import too_long

_KEPT = ("no_policy", "unknown_place")
"""Why nothing new is known of a parcel: what was found before stands."""
_ANSWER: dict[str, Any] = {
    "chance": pl.Float64,
    "expected_at": pl.Int64,
    "by_at": pl.Int64,
    "rides": pl.List(pl.Int64),  # timetable rows from here on, the one it rides first
    "off_plan": pl.Boolean,
    "cost": pl.Float64,
    "why": pl.String,
}
_NEXT: dict[str, Any] = {"next_departure_id": pl.String, "next_cutoff": pl.Int64, "next_depart": pl.Int64}


def answers(
    facts: pl.DataFrame, legs: pl.DataFrame, said: pl.DataFrame, outlook: Outlook | None, now: datetime
) -> pl.DataFrame:
    """What is ahead of parcels: facts (living.facts.FACTS) with what tracking.chances and LOOKED tell beside them.

    legs: of their routes (living.facts.LEGS); said: which departures their events name (event_no, departure_id). kept:
    nothing new is known, so that what was found before is told.
    """
    ground, minute = (None if outlook is None else ground_of(outlook)), -int(-now.timestamp() // 60)
    booked = _as_run(legs, ground)
    rows = _placed(facts, legs, said, ground)
    known = positions(rows, booked, None if ground is None else ground.nodes, minute)
    # even where it was delivered all the same: no promise was kept or broken
    known = known.with_columns(where=pl.when(rows["called_off"]).then(pl.lit("ended")).otherwise("where"))
    rows = rows.hstack(known.drop("epc")).join(_ahead(known, booked), on="epc", how="left", maintain_order="left")
    spots = spots_of(rows, ground)
    told = _looked_up(rows, spots, ground)
    waits = awaited(_waiting(rows, spots, told))
    overdue = waits["awaited_at"].le(minute).fill_null(False)
    since = waits["awaited_at"]
    if overdue.any():  # time has passed since it was seen
        late = as_if_now(spots.filter(overdue), awaited_ride(rows, told, ground).filter(overdue), minute, ground)
        again = _looked_up(rows.filter(overdue), late, ground)
        told = _put(told, overdue, again)
        waits = _put(waits, overdue, awaited(_waiting(rows.filter(overdue), late, again)))
    rows = (
        rows.hstack(told)
        .hstack(waits)
        .with_columns(
            overdue=overdue,
            overdue_at=pl.when(pl.col("where") == "held").then("at").when(overdue).then(since),
        )
    )
    return _finished(rows, ground, minute)


def _placed(facts: pl.DataFrame, legs: pl.DataFrame, said: pl.DataFrame, ground: Ground | None) -> pl.DataFrame:
    """Facts as positions are worked out from them, with their class and ends in the network and their route's nodes."""
    routes = legs.group_by("epc", maintain_order=True).agg(
        legs_nodes=pl.col("from_node").append(pl.col("to_node")).unique(maintain_order=True),
        booked_origin=pl.col("from_node").first(),
    )
    left, ready = pl.col("at").dt.epoch("us"), pl.col("ready_at").dt.epoch("s")
    rows = (
        facts.join(said, on="event_no", how="left", maintain_order="left")
        .join(routes, on="epc", how="left", maintain_order="left")
        .with_columns(
            event_at="at",
            at=-(-left // 60_000_000),
            left_at=left // 60_000_000,
            given_up_at=pl.max_horizontal(-(-left // 60_000_000), pl.col("promised_at").dt.epoch("s") // 60) + GIVE_UP,
        )
        .with_columns(legs_nodes=pl.col("legs_nodes").fill_null([]))
    )
    if ground is None:
        return rows.with_columns(
            origin=pl.coalesce("booked_origin", "from_node"), destination="to_node", start_at=-(-ready // 60),
            ran_at=pl.lit(None, pl.Int64), mile_minutes=pl.lit(0, pl.Int64), not_planned=pl.lit(False),
        ).drop("ready_at")  # fmt: skip
    kinds = placed(ground.outlook.model.feed, facts)
    rows = rows.drop("goods", "late_cost")  # as the network numbers them, and as dear as lateness of what is booked is
    ends = {name: _of(ground.node_ids, kinds[name]) for name in ("origin", "destination")}
    kinds = kinds.select(*(name for name in CLASS if name != "weight_g"), "start_at")
    ran = ground.noted(rows["departure_id"], rows["left_at"])
    return (
        rows.drop("ready_at")
        .hstack(kinds.rename({"destination": "destination_row"}))
        .with_columns(pl.Series(ends["destination"]).alias("destination"), pl.Series(ends["origin"]).alias("origin"))
        .with_columns(
            origin=pl.coalesce("origin", "booked_origin"),
            ran_at=ground.at(ground.depart, ran),
            mile_minutes=ground.mile_minutes(kinds["zone"]),
            not_planned=pl.col("booked_origin").is_null() & pl.col("origin").ne_missing(pl.col("destination")),
        )
    )


def _of(values: pl.Series, rows: pl.Series) -> pl.Series:
    """Values at row numbers; null where one is negative."""
    return values.gather(pl.select(pl.when(rows >= 0).then(rows)).to_series())


def _as_run(legs: pl.DataFrame, ground: Ground | None) -> pl.DataFrame:
    """Legs as the timetable runs them now: `run`, their row (-1 = it does not), put off where closures put that off.

    scheduled_at: when they were to leave as booked, which names the dated departure; cancelled: the timetable reaches
    that far, and it does not run.
    """
    legs = legs.with_columns(scheduled_at="depart_at")
    if ground is None:
        return legs.with_columns(run=pl.lit(-1, pl.Int64), cancelled=pl.lit(False))
    run = ground.scheduled(legs["departure_id"], legs["depart_at"])
    off = (ground.at(ground.depart, run) - legs["depart_at"]).fill_null(0)
    table = ground.outlook.model.timetable
    within = (pl.col("scheduled_at") >= table.start) & (pl.col("scheduled_at") < table.end)
    return legs.with_columns(
        pl.col("cutoff_at", "depart_at", "arrive_at") + off,
        run=pl.Series(run, dtype=pl.Int64),
        cancelled=pl.Series(run < 0) & within,
    )


def _ahead(known: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """The booked legs still ahead of parcels: their runs (`booked`), the first of them, and all in words, with the one
    that is being ridden.

    A way of which a leg is cancelled is none: who goes on upon it waits where it ends, so that nothing of it is taken.
    Who stands off its way rides no first leg of it: it is to leave as the policy says, until it comes upon it again.
    """
    every = booked.join(known.select("epc", "done_seq", "where", "node_id"), on="epc").sort("epc", "seq")
    every = every.with_columns(scheduled=_instant("scheduled_at")).with_columns(
        dated=dated("departure_id", "scheduled")
    )
    ahead = pl.col("seq") > pl.col("done_seq")
    rides = (pl.col("seq") == pl.col("done_seq")) & (pl.col("where") == "riding")
    first = {
        "booked_departure_id": "departure_id", "booked_from": "from_node", "booked_cutoff": "cutoff_at",
        "booked_depart": "depart_at", "booked_depart_at": "scheduled",
    }  # fmt: skip
    off = pl.col("where").is_in(["node", "held"]) & (pl.col("booked_from") != pl.col("node_id"))
    return (
        every.filter(ahead | rides)
        .group_by("epc", maintain_order=True)
        .agg(
            pl.col("run").filter(ahead & ~(pl.col("cancelled") & ahead).any()).alias("booked"),
            *(pl.col(column).filter(ahead).first().alias(name) for name, column in first.items()),
            pl.col("scheduled").filter(rides).first().alias("ride_scheduled"),
            pl.col("where", "node_id").first(),
            legs_departures="dated",
        )
        .with_columns(pl.when(~off.fill_null(False)).then(name).alias(name) for name in first)
        .drop("where", "node_id")
    )


def _looked_up(rows: pl.DataFrame, spots: pl.DataFrame, ground: Ground | None) -> pl.DataFrame:
    """What is ahead of parcels at their spots (columns _ANSWER, _NEXT); nothing where that is not known."""
    where = pl.col("where")
    reasons = (
        pl.when(where == "ended").then(pl.lit("ended"))
        .when(where == "given_up").then(pl.lit("given_up"))
        .when(where == "delivered").then(pl.lit(None, pl.String))
        .when(pl.lit(ground is None)).then(pl.lit("no_policy"))
        .when(~spots["placed"]).then(pl.lit("unknown_place"))
        .when(pl.col("why").is_null() & pl.col("not_planned")).then(pl.lit("not_planned"))
        .otherwise("why")
    )  # fmt: skip
    found = pl.DataFrame(schema={"parcel": pl.Int64, **_ANSWER, **_NEXT})
    if ground is not None and spots["placed"].any():
        asked = rows.select(
            *(name for name in CLASS if name != "destination"), "confidence",
            pl.col("booked").fill_null([]),
            destination="destination_row",
            parcel=pl.int_range(pl.len(), dtype=pl.Int64),
        ).hstack(spots)  # fmt: skip
        asked = asked.filter("placed").select(pl.col(name).cast(kind) for name, kind in LOOK.items())
        found = ground.outlook.look(asked).rename({"legs": "rides", "policy": "off_plan"})
        rides = asked.select((pl.col("riding") >= 0) & (pl.col("node") < 0)).to_series().to_numpy()
        found = found.with_columns(_next(found["rides"], rides, ground))
    index = pl.DataFrame({"parcel": pl.int_range(rows.height, dtype=pl.Int64, eager=True)})
    told = index.join(found, on="parcel", how="left", maintain_order="left")
    whole = rows.select("where", "not_planned").hstack(told).with_columns(why=reasons)
    return whole.select(pl.col(name).cast(kind) for name, kind in {**_ANSWER, **_NEXT}.items())


def _next(rides: pl.Series, riding: Any, ground: Ground) -> list[pl.Series]:
    """The next move of parcels: the first of what they ride from here on, but for what they ride already."""
    place = pl.Series(np.where(riding, 1, 0))
    run = rides.list.get(place, null_on_oob=True).fill_null(-1).to_numpy().astype(np.int64)
    return [
        _of(ground.departure_ids, ground.at(ground.departure, run).fill_null(-1)).alias("next_departure_id"),
        ground.at(ground.cutoff, run).alias("next_cutoff"),
        ground.at(ground.depart, run).alias("next_depart"),
    ]


def _waiting(rows: pl.DataFrame, spots: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Parcels as `awaited` asks for them; without an outlook it goes by what is booked."""
    known = told["rides"].is_not_null()
    return rows.select(
        "where",
        ready_at=spots["ready_at"],
        last_mile_at=spots["last_mile_at"],
        first_cutoff_at=pl.coalesce("booked_cutoff", told["next_cutoff"]),
        next_depart_at=pl.when(known).then(told["next_depart"]).otherwise("booked_depart"),
        ride_ready_at=spots["ride_ready_at"],
        at_end=(pl.col("node_id") == pl.col("destination")).fill_null(False),
        mile_minutes="mile_minutes",
    )


def _put(into: pl.DataFrame, where: pl.Series, rows: pl.DataFrame) -> pl.DataFrame:
    """A frame with other rows where `where` holds, in order."""
    number = pl.int_range(into.height, eager=True)
    both = pl.concat([into.hstack([number.alias("_")]).filter(~where), rows.hstack([number.filter(where).alias("_")])])
    return both.sort("_").drop("_")


def _finished(rows: pl.DataFrame, ground: Ground | None, now: int) -> pl.DataFrame:
    """Rows as they are told: what was found before where nothing new is known, legs in words, minutes as instants."""
    kept = pl.col("why").is_in(_KEPT).fill_null(False)
    delivered = pl.col("where") == "delivered"
    times = {"expected_at": "expected_before", "by_at": "by_before", "next_cutoff_at": "next_cutoff_before"}
    rows = rows.rename({"next_cutoff": "next_cutoff_at"}).with_columns(
        kept=kept,
        policy=pl.when(kept).then("policy_before").when(~pl.col("where").is_in(ENDS)).then(
            pl.lit(ground.outlook.version if ground else None, pl.String)
        ),
        look_again_at=look_again(rows, now),
        booked_cutoff_at=_instant("booked_cutoff"),
        # as booked where it rides a booked leg, else its own run's: never the day of a leg that left without it
        riding_depart_at=pl.coalesce(
            pl.when(pl.col("ride_to").is_not_null()).then("ride_scheduled"), _instant("riding_depart_at")
        ),
    )  # fmt: skip
    rows = rows.with_columns(
        *(pl.when("kept").then(before).otherwise(_instant(name)).alias(name) for name, before in times.items()),
        chance=pl.when("kept").then("chance_before").when(delivered).then(
            (pl.col("event_at") <= pl.col("promised_at")).cast(pl.Float64)
        ).otherwise("chance"),
        off_plan=pl.when("kept").then("off_plan_before").otherwise("off_plan").fill_null(False),
        cost=pl.when("kept").then("cost_before").otherwise("cost"),
        next_departure_id=pl.when("kept").then("next_before").otherwise("next_departure_id"),
        look_again_at=_instant("look_again_at"),
        at="event_at",
    ).with_columns(
        *(pl.when(delivered).then("at").otherwise(name).alias(name) for name in ("expected_at", "by_at")),
        below=in_doubt(),
        look_again_at=pl.min_horizontal("look_again_at", _stands_too_long(now)),
    )  # fmt: skip
    legs = _in_words(rows, ground)
    # a ride that is not booked makes no node likely: it may be the wrong one
    unbooked = (pl.col("where") == "riding") & pl.col("ride_to").is_null()
    return (
        rows.join(legs, on="epc", how="left", maintain_order="left")
        .with_columns(
            legs=pl.col("legs").fill_null("[]"),
            nodes=pl.when(pl.col("kept") | unbooked).then("nodes_before").otherwise("nodes"),
            nodes_before=pl.col("nodes_before").str.split("\t").fill_null([]),
        )
        .with_columns(pl.col("legs_departures").fill_null([]))
    )


def _stands_too_long(now: int) -> pl.Expr:
    """When it would be found to stand for too long, if that is still to come: what is next awaited may be later."""
    since = too_long()
    return pl.when(since >= from_minute(now)).then(since.dt.offset_by("1m"))


def _in_words(rows: pl.DataFrame, ground: Ground | None) -> pl.DataFrame:
    """The legs from here of parcels in words: epc, legs (JSON), nodes (between tabs)."""
    if ground is None:
        return pl.DataFrame(schema={"epc": pl.String, "legs": pl.String, "nodes": pl.String})
    each = rows.filter(pl.col("rides").list.len() > 0).select("epc", "chargeable_g", row="rides").explode("row")
    told = ground.told(each)
    nodes = pl.concat_str(pl.col("from_node").first(), pl.lit("\t"), pl.col("to_node").str.join("\t"))
    return told.group_by("epc", maintain_order=True).agg(
        legs=pl.lit("[") + pl.col("leg").str.join(",") + pl.lit("]"), nodes=nodes
    )


def _instant(name: str) -> pl.Expr:
    return pl.from_epoch(pl.col(name) * 60, time_unit="s").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
