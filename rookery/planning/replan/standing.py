"""Where every parcel of a plan stands at a minute: what it has ridden, where it is, and what it meant to ride."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.engine.catch import first_rows
from rookery.planning.ops import Model
from rookery.planning.replan.disruption import Disruption
from rookery.terms.errors import InvalidInput

MINUTE_US = 60_000_000


@dataclass(frozen=True)
class Standing:
    """n parcels of a plan at a minute; legs of parcel i are leg_from[i]:leg_from[i + 1]."""

    leg_from: NDArray[np.int64]
    row: NDArray[np.int32]  # (legs) run of `before`; -1 for those that were ridden before the last one that has left
    flown: NDArray[np.int64]  # (n) legs that have left
    travelling: NDArray[np.bool_]  # (n) legs are left to ride
    under_way: NDArray[np.bool_]  # (n) the last leg has left, and its handling was not to be over yet
    where: NDArray[np.int32]  # (n) node: the origin, or the end of the last leg that has left; -1 = unknown
    ready: NDArray[np.int64]  # (n) minute at which it is, or was, ready there; NEVER = not in this calendar
    sunk: NDArray[np.float64]  # (n) cost of the legs that have left, of all pieces

    @property
    def first(self) -> NDArray[np.int64]:
        """(n) The first leg of each parcel that has not left."""
        return self.leg_from[:-1] + self.flown

    def left(self, which: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The legs that the parcels `which` have left to ride, one after the other: (place in which, leg)."""
        count = self.leg_from[which + 1] - self.first[which]
        parcel = np.repeat(np.arange(len(which)), count)
        return parcel, np.arange(len(parcel)) + np.repeat(self.first[which] - np.cumsum(count) + count, count)


def standing(turn: Disruption, parcels: pl.DataFrame, told: pl.DataFrame, legs: pl.DataFrame) -> Standing:
    """Where the parcels (schema PARCELS) of a plan (schemas PLAN_PARCELS, PLAN_LEGS) stand.

    Raises InvalidInput where the plan is not one of these parcels, or rides what the network does not run.
    """
    _refuse_gaps(told, legs)
    length = told["legs"].to_numpy().astype(np.int64)
    leg_from = np.concatenate([[0], np.cumsum(length)])
    _refuse_strange(parcels, told, legs, leg_from)
    owner = np.repeat(np.arange(len(length), dtype=np.int32), length)
    left_at = _minutes(legs["depart_at"])
    has_left = left_at <= turn.at
    flown = np.bincount(owner[has_left], minlength=len(length)).astype(np.int64)
    sunk = np.bincount(owner[has_left], legs["cost"].to_numpy()[has_left], len(length)).astype(np.float64)
    needed = np.flatnonzero(np.arange(len(owner)) >= (leg_from[:-1] + flown - 1)[owner])
    row = np.full(len(owner), -1, np.int32)
    row[needed] = _rows_of(turn.before, legs["departure_id"].gather(pl.Series(needed)), left_at[needed])

    moved = flown > 0
    last = np.full(len(length), -1, np.int32)  # which finds the -1 put at the end
    last[moved] = row[(leg_from[:-1] + flown - 1)[moved]]
    net = turn.before.timetable.net
    to, was_ready, ready = (np.append(each, -1) for each in (net.to, net.median_ready, turn.median_ready))
    start = parcels["start_at"].to_numpy()
    landed = moved & (flown == length) & (told["status"] == "planned").to_numpy()
    return Standing(
        leg_from=leg_from,
        row=row,
        flown=flown,
        travelling=flown < length,
        under_way=landed & (was_ready[last] > turn.at),
        where=np.where(moved, to[last], parcels["origin"].to_numpy()).astype(np.int32),
        ready=np.where(moved, ready[last], start),
        sunk=sunk,
    )


def _minutes(instants: pl.Series) -> NDArray[np.int64]:
    return instants.dt.epoch("us").to_numpy() // MINUTE_US


def _refuse_gaps(told: pl.DataFrame, legs: pl.DataFrame) -> None:
    needed = {
        "parcels": told.select("order_id", "status", "cost", "on_time_probability", "legs"),
        "legs": legs.select("order_id", "departure_id", "depart_at", "cost"),
    }
    faults = [
        f"{name}.parquet holds no value in {column.name} of {column.null_count()} rows"
        for name, frame in needed.items()
        for column in frame
        if column.null_count()
    ]
    faults += ["parcels.parquet tells of less than no legs"] * bool((told["legs"] < 0).any())
    if faults:
        raise _damaged(*faults)


def _refuse_strange(parcels: pl.DataFrame, told: pl.DataFrame, legs: pl.DataFrame, leg_from: NDArray) -> None:
    faults = []
    if not told["order_id"].equals(parcels["order_id"]):
        faults.append("parcels.parquet does not hold these orders, each in its place")
    elif leg_from[-1] != len(legs):
        faults.append(f"legs.parquet holds {len(legs)} legs where parcels.parquet tells of {leg_from[-1]}")
    else:
        owner = np.repeat(np.arange(len(told)), np.diff(leg_from))
        if not legs["order_id"].equals(told["order_id"].gather(pl.Series(owner))):
            faults.append("legs.parquet does not hold the legs in the order of parcels.parquet")
        elif not (np.diff(_minutes(legs["depart_at"]))[np.diff(owner) == 0] >= 0).all():
            faults.append("legs.parquet holds legs that leave before the one they follow")
    if faults:
        raise _damaged(*faults)


def _rows_of(before: Model, ids: pl.Series, left_at: NDArray[np.int64]) -> NDArray[np.int32]:
    """The run of each (departure_id, minute it leaves)."""
    table = before.timetable
    known = before.feed.departures["departure_id"]
    departure = ids.cast(pl.Enum(known), strict=False).to_physical()
    order = np.lexsort((table.depart, table.departure)).astype(np.int32)
    begin = np.searchsorted(table.departure[order], np.arange(len(known) + 1))
    named = departure.fill_null(0).to_numpy().astype(np.int64)
    none = len(order)
    row = first_rows(named, left_at, begin, order, table.depart, none)
    strange = departure.is_null().to_numpy() | (row == none)
    strange[~strange] = table.depart[row[~strange]] != left_at[~strange]
    if strange.any():
        first = int(np.flatnonzero(strange)[0])
        raise _damaged(
            f"legs.parquet rides {ids[first]} (and {int(strange.sum()) - 1} more), which does not run then in this feed"
        )
    return row


def _damaged(*faults: str) -> InvalidInput:
    return InvalidInput("replan.plan_differs", f"The plan cannot be gone on with: {'; '.join(faults)}.", "plan again")
