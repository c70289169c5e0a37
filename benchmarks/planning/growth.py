"""How time and memory grow with departures, destinations and parcels: three sizes of each, the others kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from benchmarks import peak_day
from benchmarks.form import Result, Say, Table
from benchmarks.planning.files import write_feed
from benchmarks.planning.fresh import once
from benchmarks.planning.sizes import Size


@dataclass(frozen=True)
class Case:
    """One size: departures a day, nodes that parcels go to, parcels."""

    per_day: int
    destinations: int
    parcels: int


def cases(size: Size) -> dict[str, list[Case]]:
    """Three sizes each; the others stand at the full network and the middle number of parcels."""
    per_day, nodes, parcels = size.per_day, size.nodes, size.growth_parcels
    return {
        "departures": [Case(per_day // part, nodes, parcels) for part in (4, 2, 1)],
        "destinations": [Case(per_day, nodes // part, parcels) for part in (4, 2, 1)],
        "parcels": [Case(per_day, nodes, count) for count in (parcels // 4, parcels, 4 * parcels)],
    }


def run(size: Size, say: Say) -> Result:
    """Plan every case from Parquet to Parquet in a fresh process."""
    return Result(tables=[_table(size, outcomes, say) for outcomes in size.growth_outcomes])


def _table(size: Size, outcomes: int, say: Say) -> Table:
    rows, known = [], {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        for what, each in cases(size).items():
            for case in each:
                if case not in known:
                    say(f"K = {outcomes}, {what}: {case.parcels:,} parcels to {case.destinations} destinations")
                    known[case] = _plan(size, case, outcomes, folder / str(len(known)))
                found = known[case]
                summary = found["summary"]
                rows.append(
                    (what, summary["departures"], case.destinations, case.parcels, summary["columns"])
                    + (found["seconds"], summary["seconds"]["plan"], found["peak_gib"])
                )
    return Table(
        f"growth, K = {outcomes}, {size.threads} threads",
        ("varied", "departures", "destinations", "parcels", "columns", "s", "of it plan", "peak GiB"),
        rows,
        "from Parquet to Parquet, each in a fresh process with its kernels loaded",
    )


def _plan(size: Size, case: Case, outcomes: int, folder: Path) -> dict:
    network = peak_day.network(size.nodes, size.hubs, size.days, case.per_day)
    feed = write_feed(peak_day.feed(network), folder / "feed")
    number = pl.col("to_node").str.slice(1).cast(pl.Int32) % case.destinations
    orders = peak_day.orders(case.parcels, size.nodes).with_columns(
        to_node=pl.format("N{}", number.cast(pl.String).str.zfill(4))
    )
    orders.write_parquet(folder / "orders.parquet")
    return once(
        feed, folder / "orders.parquet", folder / "plan", days=size.days, outcomes=outcomes, threads=size.threads
    )
