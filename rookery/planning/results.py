"""A plan as the frames that are written out."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.batch import Assignment
from rookery.planning.capacity.resources import Prices
from rookery.planning.ops import Model, day_end, instants
from rookery.terms.calibration import Calibration
from rookery.terms.frames import PLAN_HOURS, PLAN_LOADS, PLAN_PARCELS
from rookery.terms.time import DAY


def gather(frame: pl.DataFrame, column: str, rows: NDArray) -> pl.Series:
    """A text column of `frame` at row numbers; -1 gives null."""
    place = pl.Series(rows.astype(np.int64))
    return frame[column].gather(pl.select(pl.when(place >= 0).then(place))[:, 0])


def parcel_numbers(parcels: pl.DataFrame, assignment: Assignment, which: NDArray) -> dict[str, NDArray]:
    """Per parcel of `parcels` (n): planned, cost and bound of the order (all pieces; `least`: where refusing were a
    choice), times, number of legs."""
    count = len(parcels)
    cost = np.full(count, np.inf)
    cost[which] = assignment.cost
    planned = np.isfinite(cost)
    pieces = parcels["pieces"].to_numpy().astype(np.float64)
    refusal = parcels["unassigned_cost"].to_numpy()

    def spread(values: NDArray, fill: float) -> NDArray:
        full = np.full(count, fill, np.float64)
        full[which] = values
        return np.where(planned, full, fill)

    legs = np.zeros(count, np.int64)
    legs[which] = np.diff(assignment.leg_from)
    bound = np.minimum(spread(assignment.bound, np.inf), np.where(planned, cost, np.inf))
    return {
        "planned": planned,
        "pieces": pieces,
        "cost": np.where(planned, cost, refusal) * pieces,
        "bound": np.where(planned, bound, refusal) * pieces,
        "least": np.where(planned, np.minimum(bound, refusal), refusal) * pieces,
        "on_time": spread(assignment.on_time, 0.0),
        "expected_at": spread(assignment.expected_at, np.nan),
        "by_at": spread(assignment.by_at, np.nan),
        "legs": legs * planned,
    }


def legs_frame(model: Model, parcels: pl.DataFrame, assignment: Assignment, which: NDArray) -> pl.DataFrame:
    """The legs of every planned parcel along median times (schema PLAN_LEGS), in the order of `parcels`."""
    feed, table = model.feed, model.timetable
    length = np.zeros(len(parcels), np.int64)
    length[which] = np.diff(assignment.leg_from)
    begin = np.zeros(len(parcels), np.int64)
    begin[which] = assignment.leg_from[:-1]
    first = np.cumsum(length) - length
    parcel = np.repeat(np.arange(len(parcels)), length)
    seq = np.arange(len(parcel)) - first[parcel]
    rows = assignment.legs[begin[parcel] + seq]
    ridden = np.zeros(len(table.cutoff), np.bool_)
    ridden[rows] = True
    used, place = np.flatnonzero(ridden), (np.cumsum(ridden) - 1)[rows]
    kilograms = parcels["chargeable_g"].to_numpy()[parcel] / 1000.0
    pieces = parcels["pieces"].to_numpy()[parcel]
    lane = table.lane[used]
    # what is told of a departure is written once, then gathered for all that ride it
    told = pl.DataFrame(
        {
            "departure_id": gather(feed.departures, "departure_id", table.departure[used]),
            "lane_id": gather(feed.lanes, "lane_id", lane),
            "carrier_id": gather(feed.lanes, "carrier_id", lane),
            "mode": gather(feed.lanes, "mode", lane),
            "from_node": gather(feed.nodes, "node_id", table.net.frm[used]),
            "to_node": gather(feed.nodes, "node_id", table.net.to[used]),
            "cutoff_at": instants(table.cutoff[used]),
            "depart_at": instants(table.depart[used]),
            "arrive_at": instants(table.median_arrive[used]),
        }
    )
    return told[place].select(
        parcels["order_id"].gather(parcel),
        pl.Series("seq", seq + 1, dtype=pl.Int32),
        pl.all(),
        pl.Series("cost", (table.net.fixed[rows] + table.net.per_kg[rows] * kilograms) * pieces),
    )


def loads_frame(model: Model, assignment: Assignment, prices: Prices) -> pl.DataFrame:
    """Expected loads of the departures that carry anything or have a price (schema PLAN_LOADS), by cut-off."""
    table = model.timetable
    rows = np.flatnonzero((assignment.loads[:, 0] > 0) | (prices.seat > 0) | (prices.kilogram > 0))

    def limit(values: NDArray) -> pl.Series:
        return pl.Series(values[rows]).replace(np.inf, None)

    return pl.DataFrame(
        {
            "departure_id": gather(model.feed.departures, "departure_id", table.departure[rows]),
            "depart_at": instants(table.depart[rows]),
            "parcels": assignment.loads[rows, 0],
            "grams": assignment.loads[rows, 1],
            "capacity_parcels": limit(table.capacity_parcels),
            "capacity_g": limit(table.capacity_g),
            "shadow_price": prices.seat[rows],
            "shadow_price_per_kg": prices.kilogram[rows],
        },
        schema=PLAN_LOADS,
    )


def hours_frame(model: Model, assignment: Assignment, prices: Prices) -> pl.DataFrame:
    """The clock hours of nodes with a limit in which anything is handled or which have a price (schema PLAN_HOURS)."""
    resources = model.resources
    handled = resources.hour_loads(assignment.loads[:, 0])
    hours = np.flatnonzero((handled > 0) | (prices.hour > 0))
    return pl.DataFrame(
        {
            "node_id": gather(model.feed.nodes, "node_id", resources.hour_node[hours]),
            "hour_at": instants(resources.hour_at[hours]),
            "parcels": handled[hours],
            "capacity_parcels": resources.hourly[hours],
            "shadow_price": prices.hour[hours],
        },
        schema=PLAN_HOURS,
    )


def _usable(frame: pl.DataFrame, *prices: str) -> pl.DataFrame:
    """`frame` with 0 where a price is missing, negative or no number: any other prices prove a bound just as well."""
    return frame.with_columns(
        pl.when(pl.col(name).is_finite() & (pl.col(name) > 0)).then(pl.col(name)).otherwise(0.0) for name in prices
    )


def prices_of(model: Model, loads: pl.DataFrame, hours: pl.DataFrame) -> Prices:
    """The shadow prices of an earlier plan (schemas PLAN_LOADS, PLAN_HOURS) for the departures of this model."""
    table, resources = model.timetable, model.resources
    prices = Prices.none(resources)
    loads, hours = _usable(loads, "shadow_price", "shadow_price_per_kg"), _usable(hours, "shadow_price")
    priced = loads.filter((pl.col("shadow_price") > 0) | (pl.col("shadow_price_per_kg") > 0))
    rows = pl.DataFrame(
        {
            "departure_id": gather(model.feed.departures, "departure_id", table.departure),
            "depart_at": instants(table.depart),
            "row": np.arange(len(table.depart)),
        }
    )
    found = priced.join(rows, on=["departure_id", "depart_at"])
    row = found["row"].to_numpy()
    prices.seat[row] = np.where(np.isfinite(resources.seats[row]), found["shadow_price"].to_numpy(), 0.0)
    prices.kilogram[row] = np.where(np.isfinite(resources.kilograms[row]), found["shadow_price_per_kg"].to_numpy(), 0.0)
    own = pl.DataFrame(
        {
            "node_id": gather(model.feed.nodes, "node_id", resources.hour_node),
            "hour_at": instants(resources.hour_at),
            "hour": np.arange(len(resources.hour_at)),
        },
        schema_overrides={"node_id": pl.String},
    )
    found = hours.filter(pl.col("shadow_price") > 0).join(own, on=["node_id", "hour_at"])
    prices.hour[found["hour"].to_numpy()] = found["shadow_price"].to_numpy()
    return prices


def parcels_frame(
    model: Model, parcels: pl.DataFrame, numbers: dict[str, NDArray], legs: pl.DataFrame, reasons: pl.Series
) -> pl.DataFrame:
    """One row an order (schema PLAN_PARCELS); reasons: a list for every parcel, empty when planned."""
    planned = numbers["planned"]
    promised = np.full(len(parcels), np.nan)
    timezones, of_node = np.unique(model.feed.nodes["timezone"].to_numpy(), return_inverse=True)
    zone = np.where(planned, of_node[parcels["destination"].to_numpy()], -1)
    for number, timezone in enumerate(timezones):
        mine = np.flatnonzero(zone == number)
        promised[mine] = day_end(str(timezone), numbers["by_at"][mine].astype(np.int64))
    parcel = np.repeat(np.arange(len(parcels)), numbers["legs"])
    transport = np.bincount(parcel, legs["cost"].to_numpy(), len(parcels))
    return pl.DataFrame(
        {
            "order_id": parcels["order_id"],
            "status": pl.select(pl.when(pl.Series(planned)).then(pl.lit("planned")).otherwise(pl.lit("unassigned")))[
                :, 0
            ],
            "reasons": reasons,
            "service_id": gather(model.feed.services, "service_id", parcels["service"].to_numpy()),
            "due_at": instants(parcels["due_at"].to_numpy()),
            "promised_at": instants(promised),
            "expected_at": instants(numbers["expected_at"]),
            "on_time_probability": numbers["on_time"],
            "cost": numbers["cost"],
            "transport_cost": transport,
            "chargeable_g": parcels["chargeable_g"],
            "legs": pl.Series(numbers["legs"], dtype=pl.Int32),
        },
        schema=PLAN_PARCELS,
    )


def calibrated(model: Model, parcels: pl.DataFrame, told: pl.DataFrame, calibration: Calibration) -> pl.DataFrame:
    """A plan's parcels (schema PLAN_PARCELS) as a calibration tells them: chances as they turn out, promises later.

    parcels: schema PARCELS, the same orders.
    """
    service = told["service_id"].fill_null("")
    days = service.replace_strict(calibration.later_days, default=0, return_dtype=pl.Int64).to_numpy()
    known = told["promised_at"].is_not_null().to_numpy()
    was = told["promised_at"].dt.epoch("s").fill_null(0).to_numpy() // 60
    timezones, of_node = np.unique(model.feed.nodes["timezone"].to_numpy(), return_inverse=True)
    zone = np.where(known, of_node[parcels["destination"].to_numpy()], -1)
    promised = was.copy()
    for number, timezone in enumerate(timezones):
        mine = np.flatnonzero(zone == number)
        # some hours short of whole days, so that a clock change on the way does not add one
        promised[mine] = day_end(str(timezone), was[mine] + np.maximum(0, days[mine] * DAY - 120))
    planned = (told["status"] == "planned").to_numpy()
    chances = np.where(planned, calibration.chances(told["on_time_probability"].to_numpy()), 0.0)
    return told.with_columns(promised_at=instants(promised, known), on_time_probability=pl.Series(chances))


def violations(model: Model, loads: NDArray[np.float64]) -> int:
    """How many departures and node hours carry more than they can, with these loads (N, 2: pieces, grams)."""
    return int(sum(over.sum() for over in model.resources.over(loads)))
