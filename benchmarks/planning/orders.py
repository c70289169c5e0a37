"""A day of orders planned end to end, from Parquet files to Parquet files."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import peak_day
from benchmarks.form import Result, Say, Show, Table
from benchmarks.planning.files import write_feed
from benchmarks.planning.fresh import once
from benchmarks.planning.sizes import Size

TARGETS = {1: ">= 100000", 8: ">= 10000"}
"""Parcels a second, by the number of outcomes."""


def run(size: Size, say: Say) -> Result:
    """Plan the parcels of the peak day with one outcome a departure and with eight, each in a fresh process."""
    network = peak_day.network(size.nodes, size.hubs, size.days, size.per_day)
    shows: list[Show] = []
    rows, runs = [], {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        feed = write_feed(peak_day.feed(network), folder / "feed")
        orders = folder / "orders.parquet"
        peak_day.orders(size.parcels, size.nodes).write_parquet(orders)
        for outcomes in TARGETS:
            say(f"{size.parcels:,} parcels, K = {outcomes}")
            found = once(
                feed, orders, folder / f"plan{outcomes}", days=size.days, outcomes=outcomes, threads=size.threads
            )
            runs[outcomes] = found
            rate = size.parcels / found["seconds"]
            error, summary = found["summary"]["grouping_error"], found["summary"]
            shows += [
                Show(f"parcels a second end to end, K = {outcomes}", rate, "parcels/s", TARGETS[outcomes]),
                Show(f"grouping error, K = {outcomes}", 100 * error, "%", "<= 0.2"),
                Show(f"peak memory, K = {outcomes}", found["peak_gib"], "GiB", "<= 6"),
            ]
            rows.append(
                (f"K = {outcomes}", found["seconds"], rate, found["peak_gib"], f"{error:.3%}")
                + (f"{summary['planned'] / summary['parcels']:.2%}", f"{summary['on_time_expected']:.2%}")
            )
    stages = list(dict.fromkeys(stage for found in runs.values() for stage in found["stages"]))
    title = f"{size.parcels:,} parcels, {runs[1]['summary']['departures']:,} departures, {size.threads} threads"
    return Result(
        shows=shows,
        tables=[
            Table(title, ("", "s", "parcels/s", "peak GiB", "grouping error", "planned", "on time"), rows),
            Table(
                "seconds by stage",
                ("", *(f"K = {outcomes}" for outcomes in runs)),
                [(stage, *(found["stages"].get(stage, 0.0) for found in runs.values())) for stage in stages],
            ),
        ],
    )
