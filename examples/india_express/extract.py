"""The Delhivery extract as it lies on disk: corridors, centres and legs, read in place and never copied."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

TIMEZONE = "Asia/Kolkata"
AHEAD_OF_UTC = "5h30m"  # India has one time zone and no clock changes
FILES = ("delhivery_corridor_agg.csv", "delhivery_node_metrics.csv", "delhivery_legs.csv.gz")
ENDS = ("source_center", "destination_center")


class NoExtract(Exception):
    """The extract is not where it is looked for."""


@dataclass(frozen=True)
class Extract:
    """corridors: one row a corridor; centres: one row a centre; legs: one row a leg that was driven.

    legs carries, beside what was recorded (durations in minutes, `od_start_time` = the scan that opens the leg, UTC):
    `day` (UTC date of that scan: the extract holds whole UTC days) and `start_minute` (minute of the Indian day).
    """

    corridors: pl.DataFrame
    centres: pl.DataFrame
    legs: pl.DataFrame

    @property
    def last_day(self) -> date:
        """The day that no fit may look at."""
        return max(self.legs["day"].unique().to_list())


def folder() -> Path:
    """Where the extract lies: $ROOKERY_DATA/promise, by default ../shared/data/promise from the project's root."""
    root = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("ROOKERY_DATA") or root.parent / "shared" / "data") / "promise"


def read_extract(where: Path | None = None) -> Extract:
    """The extract in folder `where` (default: folder()). Raises NoExtract when a file is not there."""
    where = where or folder()
    absent = [name for name in FILES if not (where / name).is_file()]
    if absent:
        raise NoExtract(
            f"{where} holds no {', '.join(absent)}. "
            "Set ROOKERY_DATA to the folder whose promise/ holds the Delhivery extract."
        )
    corridors, centres, legs = (pl.read_csv(where / name) for name in FILES)
    return Extract(corridors, centres, timed(legs))


def timed(legs: pl.DataFrame) -> pl.DataFrame:
    """Legs with their stamp read as UTC, the day it falls on and the minute of the Indian day; in order of time."""
    # A trip's id is the Unix time of its creation, and for five trips in six its first stamp, read as UTC, is that very
    # instant to the millisecond: so the stamps are UTC, although nothing in the file says so.
    start = pl.col("od_start_time").str.to_datetime(time_unit="us", time_zone="UTC")
    local = pl.col("od_start_time").dt.offset_by(AHEAD_OF_UTC)
    return (
        legs.with_columns(start)
        .with_columns(
            day=pl.col("od_start_time").dt.date(),
            start_minute=local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute().cast(pl.Int32),
        )
        .sort("od_start_time", "trip_uuid")
    )
