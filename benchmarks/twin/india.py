"""The India example rehearsed: predicted against realised, and what the twin draws against a day nobody fitted.

Without limits on capacity the twin must realise what the plan predicts. Whether the world it draws is the real one, the
legs and trips of the last day tell (last_day.py), by a feed that was learnt from the days before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.form import Result, Say, Show, Table
from benchmarks.twin.last_day import DRAWS, by_leg, by_trip, dwell_sigma, shows_of, tables_of
from benchmarks.twin.sizes import Size
from benchmarks.twin.worlds import set_up
from examples.india_express import build, trips
from examples.india_express.extract import Extract, read_extract
from examples.india_express.run import HORIZON_DAYS, OUTCOMES
from examples.india_express.spread import described, learn
from rookery.flows.rehearsals.rehearsing import rehearse
from rookery.network import expand, read_feed
from rookery.orders import read_orders
from rookery.terms.frames import Feed, Orders
from rookery.terms.time import DAY, NEVER, to_minute
from rookery.twin.reliability import TENTHS, reliability
from rookery.twin.world import Network, network

FINER = (16, 32)
"""Outcomes a departure, tried where those of the example miss a target."""
MOST_OFF, MOST_COST_OFF = 0.3, 0.2
"""Targets: percentage points of the on-time share, per cent of the cost."""


@dataclass(frozen=True)
class Example:
    """The example as it is planned, and the last day as the days before it foretell it."""

    feed: Feed  # its timetable knows the last day's starts, as a carrier's would
    orders: Orders
    net: Network  # of one day, of a feed that knows the days before the last and nothing else
    before: pl.DataFrame  # legs of the days before, described
    last: pl.DataFrame  # legs of the last day whose corridor is known, described


@dataclass(frozen=True)
class Held:
    """A plan's predictions held against its rehearsals. n planned trips, R runs."""

    outcomes: int  # K
    predicted: NDArray[np.float64]  # (n) chance of being on time
    on_time: NDArray[np.bool_]  # (R, n)
    predicted_cost: float
    cost: NDArray[np.float64]  # (R) of all planned trips

    @property
    def off(self) -> float:
        """On-time share realised less predicted, percentage points."""
        return 100 * float(self.on_time.mean() - self.predicted.mean())

    @property
    def cost_off(self) -> float:
        """Cost realised less predicted, per cent."""
        return 100 * float(self.cost.mean() / self.predicted_cost - 1)

    @property
    def errors(self) -> tuple[float, float]:
        """Standard errors of both, over the runs."""
        return error(100 * self.on_time.mean(axis=1)), error(100 * self.cost / self.predicted_cost)

    @property
    def holds(self) -> bool:
        return abs(self.off) <= MOST_OFF and abs(self.cost_off) <= MOST_COST_OFF

    def tenths(self) -> list[tuple[str, int, float, float, float, float]]:
        """Tenth of predicted chances, trips, predicted and realised %, their difference, its standard error."""
        table = reliability(self.predicted, self.on_time.mean(axis=0), np.ones(len(self.predicted)))
        rows = []
        for low, high, count, predicted, realised, off in table.select(
            "from", "until", "parcels", "predicted", "realised", "off"
        ).iter_rows():
            mine = np.minimum((self.predicted * TENTHS).astype(np.int64), TENTHS - 1) == round(low * TENTHS)
            wide = error(100 * self.on_time[:, mine].mean(axis=1))
            rows.append((f"{low:.1f} to {high:.1f}", int(count), 100 * predicted, 100 * realised, off, wide))
        return rows


def run(size: Size, say: Say) -> Result:
    """Rehearse the example's plan, hold the twin's draws against the last day. Raises NoExtract without the data."""
    extract = read_extract()
    with TemporaryDirectory() as folder:
        day = example(extract, Path(folder))
    held = []
    for outcomes in (OUTCOMES, *FINER):
        held.append(one := rehearsed(day, outcomes, size))
        say(
            f"K = {outcomes}, {len(one.cost)} runs: on time {one.off:+.3f} percentage points, cost {one.cost_off:+.3f}%"
        )
        if held[0].holds:
            break
    say(f"{day.last.height} legs of the last day, {DRAWS:,} draws each")
    sigma = dwell_sigma(day.net.feed, day.before)
    found = by_leg(day.net, day.last) | by_trip(day.net, day.last, sigma)
    return Result(
        shows=[*_shows_of_plans(held), *shows_of(found, sigma)],
        tables=[_plans(held), *map(_reliability, held), *tables_of(found, sigma)],
    )


def example(extract: Extract, folder: Path) -> Example:
    """Feeds and orders as the example writes them, read back."""
    legs = described(extract.legs, extract.corridors)
    before = legs.filter(pl.col("day") < extract.last_day)
    spread, _ = learn(extract)
    trips.orders(trips.trips(extract.legs, extract.last_day), extract).write_csv(folder / "orders.csv")
    feed = read_feed(build.write(build.tables(extract, spread), folder / "feed"))
    days = before["day"].unique().to_list()
    blind = read_feed(build.write(build.tables(extract, spread, days), folder / "feed_of_days_before"))
    begin = to_minute(datetime.combine(extract.last_day, time(), UTC))
    planned = expand(blind, begin, begin + DAY)
    return Example(
        feed=feed,
        orders=read_orders(folder / "orders.csv"),
        net=network(blind, planned, planned, int(NEVER)),
        before=before,
        last=legs.filter(pl.col("day") == extract.last_day),
    )


def rehearsed(day: Example, outcomes: int, size: Size) -> Held:
    """Plan the example's trips with K outcomes and move them through so many worlds."""
    made, setting = set_up(day.feed, day.orders, outcomes, size.threads, horizon_days=HORIZON_DAYS)
    # what has no way is priced the same on both sides, which would hide how far the others are off
    planned = (made.parcels["status"] == "planned").to_numpy()
    found = rehearse(setting, "follow", runs=size.india_runs).outcomes
    return Held(
        outcomes=outcomes,
        predicted=made.parcels["on_time_probability"].to_numpy()[planned],
        on_time=np.array([one.on_time[planned] for one in found]),
        predicted_cost=float(made.parcels["cost"].to_numpy()[planned].sum()),
        cost=np.array([one.cost[planned].sum() for one in found]),
    )


def error(values: NDArray[np.float64]) -> float:
    """Standard error of the mean of several runs."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _shows_of_plans(held: Sequence[Held]) -> list[Show]:
    shows = []
    for one in held:
        name = f"India, K = {one.outcomes}"
        errors = one.errors
        off = max((abs(row[4]) for row in one.tenths() if row[1] >= 0.01 * len(one.predicted)), default=0.0)
        shows += [
            Show(f"{name}: on-time share off by", abs(one.off), "percentage points", f"<= {MOST_OFF}"),
            Show(f"{name}: its standard error over the runs", errors[0], "percentage points"),
            Show(f"{name}: cost off by", abs(one.cost_off), "%", f"<= {MOST_COST_OFF}"),
            Show(f"{name}: its standard error over the runs, of the cost", errors[1], "%"),
            Show(f"{name}: a tenth with 1% of the trips off by at most", off, "percentage points"),
        ]
    return shows


def _plans(held: Sequence[Held]) -> Table:
    return Table(
        f"India: {len(held[0].predicted)} trips, {len(held[0].cost)} runs, predicted against realised",
        ("K", "on time, predicted %", "realised %", "off, points", "standard error", "cost, predicted", "realised",
         "off, %", "standard error, %"),
        [
            (str(one.outcomes), f"{100 * one.predicted.mean():.2f}", f"{100 * one.on_time.mean():.2f}",
             f"{one.off:+.3f}", one.errors[0], f"{one.predicted_cost:,.1f}", f"{one.cost.mean():,.1f}",
             f"{one.cost_off:+.3f}", one.errors[1])
            for one in held
        ],
        "the same worlds for every K",
    )  # fmt: skip


def _reliability(one: Held) -> Table:
    return Table(
        f"India, K = {one.outcomes}: on time by tenth of the predicted chance",
        ("predicted", "trips", "predicted %", "realised %", "off, points", "standard error"),
        [
            (name, count, f"{predicted:.2f}", f"{realised:.2f}", f"{off:+.2f}", wide)
            for name, count, predicted, realised, off, wide in one.tenths()
        ],
    )
