"""A changed plan as the frames that are written out, and what has changed in it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.capacity.resources import FITS, HOUR, Prices
from rookery.planning.ops import instants
from rookery.planning.replan.affected import CANCELLED, DELAYED, MISSED, NO_ROOM, REASONS, Affected
from rookery.planning.replan.disruption import Disruption
from rookery.planning.replan.moves import Moves
from rookery.planning.replan.standing import Standing
from rookery.planning.results import calibrated, gather, legs_frame, loads_frame, parcel_numbers, parcels_frame
from rookery.terms.calibration import Calibration
from rookery.terms.frames import PLAN_CHANGES, PLAN_HOURS
from rookery.terms.time import from_minute

LATE = 0.5
"""Chance of being in time below which a parcel counts as late."""


def parcel_tables(
    now: Standing, which: NDArray[np.int64], moves: Moves, turn: Disruption, told: pl.DataFrame, legs: pl.DataFrame,
    reasons: pl.Series, calibration: Calibration | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:  # fmt: skip
    """The plan's parcels and legs (schemas PLAN_PARCELS, PLAN_LEGS), those of `which` as moved, all others as told.

    reasons: a list for each of `which`, empty where planned; calibration: by which the plan tells chances and promises.
    """
    numbers = parcel_numbers(moves.frame, moves.assignment, moves.which)
    new_legs = legs_frame(turn.after, moves.frame, moves.assignment, moves.which)
    new = parcels_frame(turn.after, moves.frame, numbers, new_legs, reasons).with_columns(
        pl.col("transport_cost") + pl.Series(now.sunk[which]),
        legs=pl.col("legs") + pl.Series(now.flown[which], dtype=pl.Int32),
    )
    if calibration is not None:
        new = calibrated(turn.after, moves.frame, new, calibration)
    row = np.arange(len(told))
    row[which] = len(told) + np.arange(len(which))
    parcels = pl.concat([told, new])[row]

    moved = np.zeros(len(told), np.bool_)
    moved[which] = True
    owner = np.repeat(np.arange(len(told)), np.diff(now.leg_from))
    stays = ~moved[owner] | (np.arange(len(owner)) < now.first[owner])
    mine = np.repeat(which, numbers["legs"])
    new_legs = new_legs.with_columns(pl.col("seq") + pl.Series(now.flown[mine], dtype=pl.Int32))
    order = np.argsort(np.concatenate([owner[stays], mine]), kind="stable")
    return parcels, pl.concat([legs.filter(stays), new_legs])[order]


def loads_after(
    turn: Disruption, affected: Affected, moves: Moves, prices: Prices, loads: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, int, int]:
    """Loads and hours (schemas PLAN_LOADS, PLAN_HOURS) and how many of them are beyond what they can hold.

    What has left keeps the row it had. The third is how many departures and hours the plan overfills, the fourth in
    how many hours what is under way alone is too much.
    """
    carried = affected.loads * [1.0, 1000.0] + moves.assignment.loads
    still = loads_frame(turn.after, replace(moves.assignment, loads=carried), prices)
    left = loads.filter(pl.col("depart_at") <= from_minute(turn.at))
    resources = turn.after.resources
    over = (carried[:, 0] > resources.seats * (1 + FITS)) | (carried[:, 1] > resources.kilograms * 1000.0 * (1 + FITS))
    hours, overfull, beyond = _hours(turn, affected, resources.hour_loads(carried[:, 0]), prices)
    return pl.concat([left, still]), hours, int(over.sum()) + overfull, beyond


def _hours(turn: Disruption, affected: Affected, handled: NDArray, prices: Prices) -> tuple[pl.DataFrame, int, int]:
    resources = turn.after.resources
    still = pl.DataFrame(
        {"node": resources.hour_node, "hour_at": resources.hour_at, "more": handled, "price": prices.hour},
        schema={"node": pl.Int32, "hour_at": pl.Int64, "more": pl.Float64, "price": pl.Float64},
    )
    per_hour = pl.DataFrame({"per_hour": turn.now.capacity_per_hour}).with_row_index("node")
    each = (
        affected.hours_gone.join(still, on=["node", "hour_at"], how="full", coalesce=True)
        .join(per_hour.cast({"node": pl.Int32}), on="node")
        .join(turn.now.hour_factors.cast({"hour_at": pl.Int64}), on=["node", "hour_at"], how="left")
        .with_columns(pl.col("pieces", "more", "price").fill_null(0.0), pl.col("factor").fill_null(1.0))
        .with_columns(limit=pl.col("per_hour") * pl.col("factor"), parcels=pl.col("pieces") + pl.col("more"))
        .filter((pl.col("parcels") > 0) | (pl.col("price") > 0))
        .sort("node", "hour_at")
    )  # fmt: skip
    most = pl.max_horizontal("limit", "pieces") * (1 + FITS)
    overfull = each.filter(pl.col("parcels") > most).height
    ahead = pl.col("hour_at") + 60 > turn.at
    beyond = each.filter(ahead, pl.col("pieces") > pl.col("limit") * (1 + FITS)).height
    told = pl.DataFrame(
        {
            "node_id": gather(turn.after.feed.nodes, "node_id", each["node"].to_numpy()),
            "hour_at": instants(each["hour_at"].to_numpy()),
            "parcels": each["parcels"],
            "capacity_parcels": each["limit"],
            "shadow_price": each["price"],
        },
        schema=PLAN_HOURS,
    )
    return told, overfull, beyond


def changes_table(
    turn: Disruption, now: Standing, affected: Affected, which: NDArray[np.int64], moves: Moves,
    told: pl.DataFrame, new: pl.DataFrame, news: pl.DataFrame,
) -> pl.DataFrame:  # fmt: skip
    """One row for each of the affected parcels `which` (schema PLAN_CHANGES).

    told, new: the plan's parcels as they were and are (schema PLAN_PARCELS); news: the closures (schema
    FEED["closures"]) that are new.
    """
    before, after = turn.before.timetable, turn.after.timetable
    place, left = now.left(which)
    ridden = now.row[left]
    numbers = np.zeros(len(which), np.int64)
    numbers[moves.which] = np.diff(moves.assignment.leg_from)
    numbers *= moves.planned
    begin = np.zeros(len(which), np.int64)
    begin[moves.which] = moves.assignment.leg_from[:-1]
    mine = np.repeat(np.arange(len(which)), numbers)
    rides = moves.assignment.legs[begin[mine] + np.arange(len(mine)) - (np.cumsum(numbers) - numbers)[mine]]

    same = np.bincount(place, minlength=len(which)) == numbers
    both = same[place]
    differs = turn.after_row[ridden[both]] != rides[same[mine]]
    same[place[both][differs]] = False
    was, is_now = told[which], new[which]
    reason = np.array(REASONS)[affected.reason[which]]
    reason[~same & (affected.reason[which] == DELAYED) & (now.flown[which] < np.diff(now.leg_from)[which])] = "better"
    reason[moves.crowded] = REASONS[NO_ROOM]
    concerned = now.row[affected.leg[which]]
    late = is_now["on_time_probability"] < LATE
    gone = (is_now["status"] != "planned") & (was["status"] == "planned")
    of = partial(gather, turn.before.feed.departures, "departure_id")
    return pl.DataFrame(
        {
            "order_id": was["order_id"],
            "reason": reason,
            "closure": _closures(turn, now, affected, which, news),
            "departure_id": of(before.departure[concerned]),
            "depart_at": instants(before.depart[concerned]),
            "changed": ~same,
            "old_departures": _lists(of(before.departure[ridden]), place, len(which)),
            "old_departs_at": _lists(instants(before.depart[ridden]), place, len(which)),
            "new_departures": _lists(of(after.departure[rides]), mine, len(which)),
            "new_departs_at": _lists(instants(after.depart[rides]), mine, len(which)),
            "old_expected_at": was["expected_at"],
            "new_expected_at": is_now["expected_at"],
            "newly_late": late & ~gone & (was["on_time_probability"] >= LATE),
            "newly_unassigned": gone,
            "old_cost": was["cost"],
            "new_cost": is_now["cost"],
        },
        schema=PLAN_CHANGES,
    )


def _lists(values: pl.Series, owner: NDArray, count: int) -> pl.Series:
    """The values of each of `count` parcels as a list; `owner` rises."""
    grouped = pl.DataFrame({"owner": owner, "value": values}).group_by("owner", maintain_order=True).agg("value")
    every = pl.DataFrame({"owner": np.arange(count)}).join(grouped, on="owner", how="left", maintain_order="left")
    return every["value"].fill_null([])


def _closures(
    turn: Disruption, now: Standing, affected: Affected, which: NDArray[np.int64], news: pl.DataFrame
) -> pl.Series:
    """What the closure says of itself that is behind each parcel's reason; null where none is known.

    Of a missed connection the departure before, and the handling between, are looked at first.
    """
    leg, reason = affected.leg[which], affected.reason[which]
    row = now.row[leg]
    prior = np.where(leg > now.leg_from[which], now.row[leg - 1], -1)
    of_run, of_handling = _of_runs(turn, news), _of_handling(turn, news)
    none = np.full(len(which), -1, np.int64)
    own, before = of_run[row], np.where(prior >= 0, of_run[prior], none)
    here, there = np.where(prior >= 0, of_handling[prior], none), of_handling[row]
    missed = reason == MISSED
    first = np.where(missed, np.where(before >= 0, before, here), own)
    second = np.where(missed, own, np.where(reason == CANCELLED, none, there))
    found = np.where(first >= 0, first, np.where(second >= 0, second, none))
    return gather(news, "reason", found)


def _of_runs(turn: Disruption, news: pl.DataFrame) -> NDArray[np.int64]:
    """The first of the closures that touches each run of `before`; -1 where none does."""
    feed, table = turn.before.feed, turn.before.timetable
    runs = pl.DataFrame(
        {
            "run": np.arange(len(table.cutoff)),
            "departure_id": gather(feed.departures, "departure_id", table.departure),
            "lane_id": gather(feed.lanes, "lane_id", table.lane),
            "node_id": gather(feed.nodes, "node_id", table.net.frm),
            "scheduled_at": turn.planned.expansion.runs["scheduled_at"].cast(pl.Int64),
        }
    )
    numbered = news.with_row_index("closure")
    touching = pl.concat(
        runs.select("run", target, "scheduled_at")
        .join(numbered.drop_nulls(target).select(target, "closure", "from_at", "until_at"), on=target)
        .filter(pl.col("scheduled_at") >= pl.col("from_at"), pl.col("scheduled_at") < pl.col("until_at"))
        .select("run", "closure")
        for target in ("departure_id", "lane_id", "node_id")
    )
    return _first(touching, "run", len(runs))


def _of_handling(turn: Disruption, news: pl.DataFrame) -> NDArray[np.int64]:
    """The first of the closures that touches an hour of each run's handling, where it leads to; -1 where none does.

    From its arrival until the latest outcome is ready again, as runs and nodes work now.
    """
    table, still = turn.before.timetable, turn.after_row >= 0
    arrive = table.median_arrive.astype(np.int64)
    arrive[still] = turn.after.timetable.median_arrive[turn.after_row[still]]
    runs = pl.DataFrame(
        {
            "run": np.arange(len(arrive)),
            "node_id": gather(turn.before.feed.nodes, "node_id", table.net.to),
            "first": np.minimum(arrive, turn.ready.min(axis=1)) // HOUR * HOUR,
            "beyond": (np.maximum(turn.median_ready, turn.ready.max(axis=1)) // HOUR + 1) * HOUR,
        }
    )
    naming = news.with_row_index("closure").drop_nulls("node_id").select("node_id", "closure", "from_at", "until_at")
    touching = runs.join(naming, on="node_id").filter(
        pl.col("from_at") < pl.col("beyond"), pl.col("until_at") > pl.col("first")
    )
    return _first(touching, "run", len(runs))


def _first(pairs: pl.DataFrame, key: str, count: int) -> NDArray[np.int64]:
    least = pairs.group_by(key).agg(pl.col("closure").min())
    found = np.full(count, -1, np.int64)
    found[least[key].to_numpy()] = least["closure"].to_numpy()
    return found
