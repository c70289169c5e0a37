"""What is left by now on the departures of a compiled network, and what it is worth: by the loads in the database."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import psycopg

from rookery.base import sets
from rookery.flows.quotes.counter import Room
from rookery.planning.ops import Model, instants
from rookery.planning.results import prices_of
from rookery.terms.frames import PLAN_HOURS, PLAN_LOADS, empty

_LOADS = "from planning.loads where test = %(test)s and depart_at > %(now)s"
_SUMS = "count(*), sum(parcels), sum(grams), sum(shadow_price), sum(shadow_price_per_kg)"


def loads_stamp(conn: psycopg.Connection, test: bool, now: datetime) -> tuple:
    """What changes whenever the loads or the prices of departures to come do."""
    return conn.execute(f"select {_SUMS} {_LOADS}".encode(), {"test": test, "now": now}).fetchone() or ()


def room_left(conn: psycopg.Connection, model: Model, test: bool, now: datetime) -> Room:
    """What is left by now, of every departure with a limit."""
    columns = "departure_id, depart_at, parcels, grams, shadow_price, shadow_price_per_kg"
    schema = {name: PLAN_LOADS[name] for name in columns.split(", ")}
    booked = sets.read(conn, f"select {columns} {_LOADS}", schema, {"test": test, "now": now})
    seats, grams = model.resources.seats.copy(), model.resources.kilograms * 1000.0
    if booked.height:
        known = pl.DataFrame(
            {
                "departure_id": model.feed.departures["departure_id"].gather(model.timetable.departure),
                "depart_at": instants(model.timetable.depart),
                "row": np.arange(len(seats)),
            }
        )
        found = booked.join(known, on=["departure_id", "depart_at"])
        rows = found["row"].to_numpy()
        seats[rows] -= found["parcels"].to_numpy()
        grams[rows] -= found["grams"].to_numpy()
    limited = np.flatnonzero(np.isfinite(seats) | np.isfinite(grams))
    slack = 1e-9  # loads are sums of expectations
    worth = booked.with_columns(capacity_parcels=pl.lit(None, pl.Float64), capacity_g=pl.lit(None, pl.Float64))
    prices = prices_of(model, worth.select(*PLAN_LOADS), empty(PLAN_HOURS))
    return Room(limited, seats[limited] + slack, grams[limited] + slack, prices)
