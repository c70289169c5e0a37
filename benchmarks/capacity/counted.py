"""A plan counted again from its legs, plainly: what departures carry, whether legs connect, what they cost."""

from __future__ import annotations

import numpy as np
import polars as pl

from benchmarks.capacity.case import Counted
from rookery.planning.ops import Batch, Model
from rookery.terms.time import DAY


def counted(model: Model, parcels: pl.DataFrame, batch: Batch) -> Counted:
    """Count a plan with one outcome a departure against the feed's own columns."""
    feed, table, net = model.feed, model.timetable, model.timetable.net
    departures = feed.departures[table.departure.astype(np.int64)]
    limits = (departures[name].fill_null(np.inf).to_numpy() for name in ("capacity_parcels", "capacity_g"))
    legs, leg_from, which = batch.assignment.legs, batch.assignment.leg_from, batch.which
    length = np.diff(leg_from)
    mine = {name: parcels[name].to_numpy()[which] for name in parcels.columns if parcels[name].dtype.is_numeric()}
    parcel = np.repeat(np.arange(len(which)), length)
    carried = (mine["pieces"], mine["pieces"] * mine["weight_g"])
    over = [
        np.bincount(legs, each[parcel], len(table.cutoff)) > limit * (1 + 1e-9) for each, limit in zip(carried, limits)
    ]

    held = length > 0
    first, last = legs[leg_from[:-1][held]], legs[leg_from[1:][held] - 1]
    wrong = np.zeros(len(which), np.bool_)
    wrong[held] = (
        (net.frm[first] != mine["origin"][held])
        | (table.cutoff[first] < mine["start_at"][held])
        | (net.to[last] != mine["destination"][held])
    )
    before, after = legs[:-1], legs[1:]
    apart = (net.to[before] != net.frm[after]) | (net.ready[before, 0] > table.cutoff[after])
    wrong[parcel[1:][apart & (parcel[1:] == parcel[:-1])]] = True

    kilograms = mine["chargeable_g"] / 1000.0
    price = departures["cost_per_parcel"].to_numpy()[legs]
    price = price + departures["cost_per_kg"].to_numpy()[legs] * kilograms[parcel]
    cost = np.bincount(parcel, price, len(which))[held]
    arrived, one = net.ready[last, 0], {name: values[held] for name, values in mine.items()}
    days_late = np.ceil(np.maximum(0, arrived - one["due_at"]) / DAY)
    cost += one["time_cost_per_day"] / DAY * (arrived - one["ready_at"])
    cost += (days_late > 0) * one["late_cost"] + days_late * one["late_cost_per_day"]
    off = np.abs(cost - batch.assignment.cost[held])
    return Counted(
        violations=int((over[0] | over[1]).sum()), broken=int(wrong.sum()), cost_off=float(off.max(initial=0.0))
    )
