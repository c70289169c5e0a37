"""Whom closures affect: those whose way is broken or late, and those for whom reduced capacity has no room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.capacity.resources import FITS
from rookery.planning.engine.keep import Fate, Ways, book, first_breaks, give_way, overbooked
from rookery.planning.engine.seat import Room
from rookery.planning.replan.disruption import Disruption
from rookery.planning.replan.standing import Standing
from rookery.terms.time import NEVER

UNTOUCHED, CANCELLED, MISSED, DELAYED, NO_ROOM = range(5)
REASONS = ("", "cancelled", "missed_connection", "delayed", "no_room")


@dataclass(frozen=True)
class Affected:
    """What closures do to n parcels, and the room that those untouched leave."""

    reason: NDArray[np.int8]  # (n)
    leg: NDArray[np.int64]  # (n) the first leg concerned; -1 where untouched
    ways: Ways  # of all parcels, in rows of `after`; those of the cancelled are incomplete
    room: Room
    limits: Room  # the room before anybody sits: what the gone take of the hours is off already
    hours_gone: pl.DataFrame  # node, hour_at, pieces: what has left, handled as nodes work now
    loads: NDArray[np.float64]  # (N after, 2) pieces, kilograms of those untouched


def affected_by(turn: Disruption, now: Standing, parcels: pl.DataFrame, booked: NDArray[np.float64]) -> Affected:
    """Whom the closures affect. booked (N before, 2): pieces and kilograms that the plan expects on each run."""
    reason, leg = _broken(turn, now)
    ways, fixed = _ways(turn, now, parcels, booked)
    resources = turn.after.resources
    hours_gone = turn.hours_of_the_gone(booked[:, 0])
    limits = resources.room()
    number = turn.hour_numbers(hours_gone)
    taken = hours_gone["pieces"].to_numpy()[number >= 0]
    limits.hourly[number[number >= 0]] -= taken

    fixed = np.minimum(fixed, np.column_stack([limits.seats, limits.kilograms]))
    hourly = np.append(np.minimum(resources.hour_loads(fixed[:, 0]), limits.hourly[:-1]), 0.0)
    room = Room(limits.seats - fixed[:, 0], limits.kilograms - fixed[:, 1], limits.hourly - hourly, limits.hour)
    slack = Room(FITS * limits.seats, FITS * limits.kilograms, FITS * np.append(resources.hourly, np.inf), limits.hour)
    holding = np.flatnonzero(now.travelling & ((reason == UNTOUCHED) | (reason == DELAYED)))
    book(ways, holding, room, 1.0)
    # where what has left fills an hour already, nobody else can be handled; that alone is no one's to give way to
    over = overbooked(room, slack)
    if over.any():
        place, ridden = now.left(holding)
        concerned = over[ways.rows[ridden]]
        asked = np.unique(place[concerned])
        first = ridden[concerned][np.searchsorted(place[concerned], asked)]
        order = holding[asked]
        ready, late = parcels["ready_at"].to_numpy()[order], parcels["late_cost"].to_numpy()[order]
        rank = np.lexsort((-ready, late))
        away = rank[give_way(ways, order[rank], room, slack)]
        reason[order[away]] = NO_ROOM
        leg[order[away]] = first[away]
    book(ways, np.flatnonzero(now.travelling & (reason == DELAYED)), room, -1.0)
    loads = fixed + _carried(ways, np.flatnonzero(now.travelling & (reason == UNTOUCHED)), limits)
    return Affected(reason, leg, ways, room, limits, hours_gone, loads)


def _broken(turn: Disruption, now: Standing) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Reason and first leg concerned, by the runs alone."""
    count = len(now.flown)
    reason, leg = np.zeros(count, np.int8), np.full(count, -1, np.int64)
    was, new = turn.before.timetable, turn.after.timetable
    runs = turn.after_row >= 0
    later, cutoff = np.zeros(len(runs), np.bool_), np.full(len(runs), -1, np.int64)
    later[runs] = new.depart[turn.after_row[runs]] != was.depart[runs]
    cutoff[runs] = new.cutoff[turn.after_row[runs]]
    handled_later = turn.median_ready != was.net.median_ready
    fate = Fate(turn.after_row, cutoff, turn.median_ready, later, handled_later)
    travelling, kinds = np.flatnonzero(now.travelling), (CANCELLED, MISSED, DELAYED)
    first_breaks(travelling, now.first, now.leg_from[1:], now.row, now.ready, fate, reason, leg, *kinds, int(NEVER))
    landing = np.flatnonzero(now.under_way)
    last = now.leg_from[landing + 1] - 1
    late = handled_later[now.row[last]]
    reason[landing[late]], leg[landing[late]] = DELAYED, last[late]
    return reason, leg


def _ways(turn: Disruption, now: Standing, parcels: pl.DataFrame, booked: NDArray) -> tuple[Ways, NDArray[np.float64]]:
    """What each parcel means to ride, and what rides beside (N after, 2): loads that no median way explains.

    With several outcomes a plan's files tell the median way of a parcel and the expected loads of all. A median way
    then counts with its share of what is expected on the run; a run on which nobody's median way lies keeps its load.
    """
    pieces = parcels["pieces"].to_numpy().astype(np.float64)
    kilograms = pieces * parcels["weight_g"].to_numpy() / 1000.0
    rows = np.where(now.row >= 0, turn.after_row[np.maximum(now.row, 0)], -1).astype(np.int32)
    count = len(turn.after.timetable.cutoff)
    share, fixed = np.ones((count, 2)), np.zeros((count, 2))
    if turn.before.timetable.outcomes > 1:
        place, left = now.left(np.flatnonzero(now.travelling))
        who = np.flatnonzero(now.travelling)[place]
        told = np.column_stack([np.bincount(now.row[left], weight[who], len(booked)) for weight in (pieces, kilograms)])
        share = turn.rows_after(np.divide(booked, told, out=np.ones_like(booked), where=told > 0), 1.0)
        fixed = turn.rows_after(np.where(told > 0, 0.0, booked))
    return Ways(now.first, now.leg_from[1:], rows, pieces, kilograms, share), fixed


def _carried(ways: Ways, which: NDArray, limits: Room) -> NDArray[np.float64]:
    """Pieces and kilograms of the parcels `which` on each run (N after, 2)."""
    count = len(limits.seats)
    nothing = Room(np.zeros(count), np.zeros(count), np.zeros(len(limits.hourly)), limits.hour)
    book(ways, which, nothing, -1.0)
    return np.column_stack([nothing.seats, nothing.kilograms])
