"""Ride tables: the policy of every parcel of a batch as bits, for whoever moves parcels by it."""

from __future__ import annotations

import numpy as np
import polars as pl

from rookery.base.progress import Progress, silent
from rookery.planning.capacity.demand import columns_of, parcels_of
from rookery.planning.capacity.passes import Sweeper
from rookery.planning.capacity.resources import Prices
from rookery.planning.engine.offers import leading_on
from rookery.planning.ops import Model, movers
from rookery.terms.frames import Expansion
from rookery.terms.rides import RideTables

EXACT_CELLS = 2e9
"""Columns x departures x outcomes up to which tables are made in 8-byte numbers, with ties broken."""
WEIGHTS = 8
"""Weights a class; a parcel between two follows the nearer one's policy."""


def ride_tables(
    model: Model,
    expansion: Expansion,
    parcels: pl.DataFrame,
    prices: Prices | None = None,
    *,
    threads: int = 1,
    progress: Progress = silent,
) -> RideTables:
    """The cheapest policy of every parcel (schema PARCELS) under shadow `prices`, as bits.

    expansion: what `model` was compiled from. B x P x 2 bytes, B being a sixteenth of the destinations x classes.
    Of ways of equal cost the earlier delivery is chosen, as in an exact plan; in 4-byte numbers (above EXACT_CELLS)
    whichever rounding makes cheaper.
    """
    table = model.timetable
    net, order = table.net, table.net.node_rows
    moving, _ = movers(parcels)
    mine = parcels_of(table, parcels[moving], model.miles, weighed=bool(np.isfinite(table.capacity_g).any()))
    columns = columns_of(mine, table, model.miles, np.float64, WEIGHTS)
    if columns.count * float(len(order)) * table.outcomes > EXACT_CELLS:
        columns = columns_of(mine, table, model.miles, np.float32, WEIGHTS)
    dtype = columns.blocks[0].kilograms.dtype.type if columns.blocks else np.float64
    rides = np.zeros((len(columns.blocks), len(order)), np.uint16)

    def keep(number, block, value, ride, _) -> None:
        leading_on(value, ride, order, rides[number])
        progress("rides", number + 1, len(columns.blocks))

    if columns.blocks:
        sweeper = Sweeper(table, model.resources, dtype, threads, earlier=dtype is np.float64)
        sweeper.sweep(columns, prices or Prices.none(model.resources), loads=False, then=keep)
    column = np.full(len(parcels), -1, np.int32)
    column[moving[mine.number]] = columns.near
    return RideTables(
        first=net.node_from,
        cutoff=table.cutoff[order],
        departure=table.departure[order],
        scheduled_at=expansion.runs["scheduled_at"].to_numpy()[order],
        rides=rides,
        column=column,
    )
