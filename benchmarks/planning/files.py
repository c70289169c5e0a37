"""The peak day as files: a Parquet feed folder and a Parquet file of orders, as a user would have them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl

from rookery.terms.frames import FEED, Feed

_OWN = {"departures": {"depart_minute": "depart_time"}}
"""Columns that have another name in files than when read."""


def write_feed(feed: Feed, folder: Path) -> Path:
    """Write a feed that was made in memory as Parquet files in the public format."""
    folder.mkdir(parents=True)
    (folder / "feed.json").write_bytes(msgspec.json.encode(msgspec.to_builtins(feed.info)))
    for name in FEED:
        frame: pl.DataFrame = getattr(feed, name).drop("line")
        if frame.height:
            as_text = [
                pl.col(column).list.join("|") for column, kind in frame.schema.items() if kind == pl.List(pl.String)
            ]
            frame = frame.with_columns(as_text)
            if name == "departures":
                hours, minutes = pl.col("depart_minute") // 60, pl.col("depart_minute") % 60
                frame = frame.with_columns(
                    pl.format("{}:{}", hours.cast(pl.String).str.zfill(2), minutes.cast(pl.String).str.zfill(2)).alias(
                        "depart_minute"
                    )
                )
            given = [column for column in frame.columns if frame[column].null_count() < frame.height]
            frame.select(given).rename(_OWN.get(name, {})).write_parquet(folder / f"{name}.parquet")
    return folder
