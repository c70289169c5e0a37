"""From repeating departures to dated ones: calendars, time zones, clock changes and closures laid over each other."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.network import closures
from rookery.network.calendars import service_days
from rookery.network.openings import longest_under_way, openings
from rookery.terms.frames import RUNS, Expansion, Feed
from rookery.terms.time import DAY, local_to_utc


def expand(feed: Feed, start: int, end: int) -> Expansion:
    """Every dated departure that leaves in [start, end), in UTC minutes, and when and how fast nodes work.

    A departure leaves at its service day's naive local midnight plus depart_minute, resolved in the time zone of the
    node it leaves (fold = 0); closures then thin it out, move or cancel it, and the time as moved decides whether it
    lies in the span. Runs are in order of cutoff_at, equal ones in the order of the feed's departures. Hour factors
    are told for nodes with a capacity_per_hour, for as long as anything that leaves in the span can be handled there.
    """
    transit_ids = tuple(feed.transit["transit_id"].unique().sort())
    templates = _templates(feed, transit_ids)
    template, depart_at = _dated(feed, templates, closures.earliest_schedule(feed.closures, start), end)
    factor, delay = closures.effects(feed.closures, templates, template, depart_at)
    scheduled_at, depart_at = depart_at, depart_at + delay
    keep = (factor > 0) & (depart_at >= start) & (depart_at < end)
    runs = _runs(templates, template[keep], scheduled_at[keep], depart_at[keep], factor[keep])
    open_hours, always_open = openings(feed, start, end)
    limited = _limited(feed, open_hours, always_open, end)
    factors = closures.hour_factors(feed.closures, limited, start)
    capacity = feed.nodes["capacity_per_hour"].fill_null(np.inf)
    return Expansion(start, end, runs, open_hours, always_open, transit_ids, capacity, factors)


def _limited(feed: Feed, open_hours: pl.DataFrame, always_open: pl.Series, end: int) -> pl.DataFrame:
    """The nodes with a capacity_per_hour: node_id, node, and last_at, after which nothing is handled there."""
    closing = open_hours.group_by("node").agg(pl.col("close_at").max().cast(pl.Int64))
    slowest = longest_under_way(feed)
    arrived = pl.Series([end + slowest.get(node_id, 0) for node_id in feed.nodes["node_id"]], dtype=pl.Int64)
    last_at = pl.when("always_open").then(pl.col("arrived") + pl.col("handling_minutes")).otherwise("close_at")
    return (
        feed.nodes.with_columns(always_open, arrived.alias("arrived"), node=pl.int_range(pl.len(), dtype=pl.Int32))
        .drop_nulls("capacity_per_hour")
        .join(closing, on="node", how="left")
        .select("node_id", "node", last_at.alias("last_at"))
        .drop_nulls("last_at")  # a node that never works has no hours
    )


def _templates(feed: Feed, transit_ids: tuple[str, ...]) -> pl.DataFrame:
    """The departures as written, in feed order, with lane, nodes, time zone and distribution looked up.

    Has the columns of RUNS that no date changes. A departure whose lane or a node of it is unknown is left out.
    """
    node = pl.int_range(pl.len(), dtype=pl.Int32)
    leaving = feed.nodes.select("node_id", node.alias("from_node"), "timezone")
    reached = feed.nodes.select("node_id", node.alias("to_node"))
    lanes = (
        feed.lanes.select("lane_id", node.alias("lane"), "from_node", "to_node")
        .rename({"from_node": "node_id", "to_node": "to_id"})
        .join(leaving, on="node_id")
        .join(reached, left_on="to_id", right_on="node_id")
    )
    spreads = pl.Series("transit_id", transit_ids, pl.String).to_frame().with_columns(node.alias("transit"))
    return (
        feed.departures.with_columns(node.alias("departure"))
        .join(lanes, on="lane_id")
        .join(spreads, on="transit_id", how="left")
        .with_columns(
            pl.col("transit").fill_null(-1),
            pl.col("capacity_g", "capacity_parcels").fill_null(np.inf),
        )
        .sort("departure")
    )


def _dated(feed: Feed, templates: pl.DataFrame, first: int, end: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Template row and scheduled UTC minute of every departure that leaves in [first, end), in no particular order."""
    # The local day lies within a day of the UTC day. Templates are grouped by the day they leave on too, counted from
    # the service day, so that one departure at 240:00 does not make all others look ten days back.
    first_day, last_day = first // DAY - 1, end // DAY + 1
    lag = pl.col("depart_minute") // DAY
    days_of = service_days(
        feed.calendars, feed.calendar_dates, first_day - max(templates.select(lag).to_series(), default=0), last_day
    )
    rows, minutes = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    numbered = templates.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).alias("row"))
    for (calendar_id, timezone, late), group in numbered.group_by("calendar_id", "timezone", lag.alias("lag")):
        days = days_of.get(str(calendar_id), np.zeros(0, np.int64))
        days = days[(days + late >= first_day) & (days + late <= last_day)]
        depart_at = local_to_utc(str(timezone), (days[:, None] * DAY + group["depart_minute"].to_numpy()).ravel())
        inside = (depart_at >= first) & (depart_at < end)
        rows.append(np.tile(group["row"].to_numpy(), len(days))[inside])
        minutes.append(depart_at[inside])
    return np.concatenate(rows), np.concatenate(minutes)


def _runs(
    templates: pl.DataFrame,
    row: NDArray[np.int32],
    scheduled_at: NDArray[np.int64],
    depart_at: NDArray[np.int64],
    factor: NDArray[np.float64],
) -> pl.DataFrame:
    cutoff_at = depart_at - templates["cutoff_minutes"].to_numpy()[row]
    order = np.lexsort((row, cutoff_at))
    return (
        templates[row[order]]
        .select(
            "departure",
            "lane",
            "from_node",
            "to_node",
            pl.Series("scheduled_at", scheduled_at[order]),
            pl.Series("depart_at", depart_at[order]),
            pl.Series("cutoff_at", cutoff_at[order]),
            "transit_minutes",
            "transit",
            pl.col("capacity_g", "capacity_parcels") * pl.Series(factor[order]),
            "cost_per_parcel",
            "cost_per_kg",
        )
        .cast(pl.Schema(RUNS))
    )
