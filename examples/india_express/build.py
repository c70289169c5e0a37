"""The network feed: centres as nodes, corridors as lanes, observed starts as departures, fitted spreads as transit.

What the extract says and what is assumed stands in README.md; every assumption has its constant here.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from examples.india_express.extract import ENDS, TIMEZONE, Extract
from examples.india_express.places import positions
from examples.india_express.spread import LEVELS, Fitted, described

SAME_DEPARTURE_MINUTES = 30
"""Starts of a corridor, on whatever day, no further apart than this from the next one are one daily departure."""
BORROWED_HOURS = 2
"""Departures a day of a corridor that was never seen to start, at the usual hours of its centre."""
LONGEST_DWELL = 0.95
"""Dwell above this quantile of all centres is cut to it: such medians rest on a trip or two."""

# No price is in the data. These figures are invented so that there is something to minimise; rupees.
PER_PARCEL, PER_PARCEL_KM, PER_KG_KM = 3.0, 0.01, 0.02
SERVICES = (  # service_id, up to so many road km through the network, due after so many hours, late cost
    ("local", 150.0, 24.0, 60.0),
    ("zonal", 600.0, 48.0, 60.0),
    ("national", 1e9, 96.0, 60.0),
)
TIME_COST_PER_DAY = 15.0


def tables(extract: Extract, spread: Fitted, timetable_days: list[date] | None = None) -> dict[str, pl.DataFrame]:
    """The feed's files by name (without .csv), in the columns of the feed format.

    spread: how driving times stray, fitted elsewhere; timetable_days: the days whose starts make the timetable
    (default: all).
    """
    dwell = dwell_minutes(extract.centres)
    lanes = extract.corridors.with_columns(
        lane_id=pl.concat_str(*ENDS, pl.col("major_route_type").str.to_uppercase(), separator="-")
    )
    legs = extract.legs if timetable_days is None else extract.legs.filter(pl.col("day").is_in(timetable_days))
    departures = _departures(lanes, starts(legs, extract.corridors), dwell, spread)
    return {
        "nodes": _nodes(extract, dwell),
        "lanes": lanes.select(
            "lane_id",
            from_node="source_center",
            to_node="destination_center",
            mode=pl.lit("truck"),
            carrier_id=pl.col("major_route_type").str.to_lowercase(),
        ),
        "departures": departures,
        "transit": transit_tables(spread).filter(
            pl.col("transit_id").is_in(departures["transit_id"].unique().to_list())
        ),
        "calendars": _every_day(extract),
        "services": pl.DataFrame(
            {
                "service_id": [name for name, *_ in SERVICES],
                "due_hours": [hours for _, _, hours, _ in SERVICES],
                "late_cost": [late for *_, late in SERVICES],
                "time_cost_per_day": TIME_COST_PER_DAY,
            }
        ),
    }


def write(feed: dict[str, pl.DataFrame], out: Path) -> Path:
    """The feed as a folder of CSV files."""
    out.mkdir(parents=True, exist_ok=True)
    info = {"name": "India express, from Delhivery corridors of 2018", "version": "1", "currency": "INR"}
    (out / "feed.json").write_text(json.dumps(info))
    for name, frame in feed.items():
        frame.write_csv(out / f"{name}.csv")
    return out


def dwell_minutes(centres: pl.DataFrame) -> pl.DataFrame:
    """center, dwell: minutes from the scan that opens a leg until its truck drives; the median where none is known."""
    known = pl.col("dwell_gap_median_min")
    return centres.select(
        "center", dwell=known.fill_null(known.median()).clip(1, known.quantile(LONGEST_DWELL)).round()
    )


def starts(legs: pl.DataFrame, corridors: pl.DataFrame) -> pl.DataFrame:
    """source_center, destination_center, start_minute: when each corridor starts a leg, every day.

    A corridor that was seen starts when it was seen: the latest of starts close together, so that none of their
    parcels is left behind. One that was not seen borrows the most usual hours of its centre, or of all centres.
    """
    seen = (
        legs.join(corridors.select(ENDS), on=ENDS, how="semi")
        .sort(*ENDS, "start_minute")
        .with_columns(group=(pl.col("start_minute").diff().fill_null(0) > SAME_DEPARTURE_MINUTES).cum_sum().over(ENDS))
        .group_by(*ENDS, "group")
        .agg(pl.col("start_minute").max())
        .drop("group")
    )
    unseen = corridors.select(ENDS).join(seen, on=ENDS, how="anti")
    of_centre = _usual(legs, ["source_center"])
    borrowed = unseen.join(of_centre, on="source_center")
    rest = unseen.join(of_centre, on="source_center", how="anti").join(_usual(legs, []), how="cross")
    columns = [*ENDS, "start_minute"]
    return pl.concat([frame.select(columns) for frame in (seen, borrowed, rest)]).sort(columns)


def _usual(legs: pl.DataFrame, of: list[str]) -> pl.DataFrame:
    """The hours in which most legs start (per value of `of`), as the median minute of those legs."""
    by_hour = legs.group_by(*of, hour=pl.col("start_minute") // 60).agg(
        pl.len(), pl.col("start_minute").median().cast(pl.Int32)
    )
    ordered = by_hour.sort(*of, "len", "hour", descending=[False] * len(of) + [True, False])
    return ordered.group_by(of, maintain_order=True).head(BORROWED_HOURS) if of else ordered.head(BORROWED_HOURS)


def _nodes(extract: Extract, dwell: pl.DataFrame) -> pl.DataFrame:
    codes = extract.centres["center"].to_list()
    return (
        extract.centres.join(dwell, on="center", maintain_order="left")
        .join(positions(codes, extract.corridors), left_on="center", right_on="code", maintain_order="left")
        .select(
            node_id="center",
            name="center",
            kind=pl.when(pl.col("out_degree") > 0).then(pl.lit("hub")).otherwise(pl.lit("depot")),
            lat="lat",
            lon="lon",
            country=pl.lit("IN"),
            timezone=pl.lit(TIMEZONE),
            handling_minutes=pl.col("dwell").cast(pl.Int32),
        )
    )


def _departures(lanes: pl.DataFrame, starting: pl.DataFrame, dwell: pl.DataFrame, spread: Fitted) -> pl.DataFrame:
    rows = described(starting, lanes).join(dwell, left_on="source_center", right_on="center", maintain_order="left")
    median = spread.minutes(rows, np.array([0.5]))[:, 0]
    leaves = (pl.col("start_minute") + pl.col("dwell")).cast(pl.Int32)
    return rows.select(
        departure_id=pl.format("{}@{}", "lane_id", _clock(pl.col("start_minute"), "")),
        lane_id="lane_id",
        calendar_id=pl.lit("daily"),
        depart_time=_clock(leaves, ":"),
        transit_minutes=pl.Series(np.maximum(1, np.round(median)).astype(np.int32)),
        transit_id=pl.Series([name or "all" for name in spread.classes(rows)]),
        cost_per_parcel=(PER_PARCEL + PER_PARCEL_KM * pl.col("median_osrm_km")).round(2),
        cost_per_kg=(PER_KG_KM * pl.col("median_osrm_km")).round(2),
    )


def transit_tables(spread: Fitted) -> pl.DataFrame:
    """transit_id, quantile, factor: the residual tables as factors of the median (which is in transit_minutes)."""
    middle = int(np.flatnonzero(LEVELS == 0.5)[0])
    return pl.concat(
        pl.DataFrame(
            {"transit_id": name or "all", "quantile": LEVELS, "factor": np.exp(table - table[middle]).round(5)}
        )
        for name, table in spread.tables.items()
    )


def _every_day(extract: Extract) -> pl.DataFrame:
    """One calendar: four days of September, Thursday to Sunday, tell no week apart."""
    week = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    year = extract.last_day.year
    return pl.DataFrame(
        {"calendar_id": ["daily"], **{day: [1] for day in week}}
        | {"start_on": [date(year, 1, 1)], "end_on": [date(year, 12, 31)]}
    )


def _clock(minute: pl.Expr, between: str) -> pl.Expr:
    """HH:MM of minutes after midnight; hours may exceed 24."""
    parts = (minute // 60, minute % 60)
    return pl.concat_str(*(part.cast(pl.String).str.zfill(2) for part in parts), separator=between)
