"""A network before and after closures: which run is which, what has left, and when it is handled now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.capacity.resources import HOUR, Prices
from rookery.planning.ops import Model, compile_model, instants
from rookery.planning.results import gather, prices_of
from rookery.terms.frames import PLAN_LOADS, Expansion, Feed, empty
from rookery.terms.time import NEVER

IDENTITY = ["departure", "scheduled_at"]
"""What names a run whatever delays it."""


@dataclass(frozen=True)
class Planned:
    """What a plan was made for: a feed, its N runs, and what is known of those that had left when it was last changed.

    left: rows of the runs that had; ready (L, K), median_ready (L): when these were, or will be, ready again.
    """

    feed: Feed
    expansion: Expansion
    left: NDArray[np.int64] = field(default_factory=partial(np.zeros, 0, np.int64))
    ready: NDArray[np.int64] | None = None
    median_ready: NDArray[np.int64] | None = None

    def compiled(self, outcomes: int) -> Model:
        """The network for K `outcomes`."""
        model = compile_model(self.feed, self.expansion, outcomes)
        if self.ready is None or self.median_ready is None:
            return model
        net = model.timetable.net
        ready, median_ready = net.ready.copy(), net.median_ready.copy()
        ready[self.left], median_ready[self.left] = self.ready, self.median_ready
        net = net._replace(ready=ready, median_ready=median_ready)
        return replace(model, timetable=replace(model.timetable, net=net))


@dataclass(frozen=True)
class Disruption:
    """What holds at minute `at`: N runs as they were planned, and those that can still be ridden."""

    at: int
    planned: Planned
    before: Model  # `planned`, compiled
    after: Model  # only what leaves after `at`
    now: Expansion  # what `after` was compiled from
    gone: NDArray[np.bool_]  # (N) left by `at`
    after_row: NDArray[np.int32]  # (N) row in `after`; -1 = has left, or will not
    ready: NDArray[np.int64]  # (N, K) when each outcome is ready again, as nodes work now; NEVER = does not run
    median_ready: NDArray[np.int64]  # (N)

    def onward(self) -> Planned:
        """What a plan that is changed at `at` is made for: what has left as it was, all else as it is now."""
        left = self.planned.expansion.runs.filter(self.gone).with_columns(has_left=True)
        runs = pl.concat([left, self.now.runs.with_columns(has_left=False)]).with_row_index("of")
        runs = runs.sort("cutoff_at", maintain_order=True)
        place = np.flatnonzero(runs["has_left"])
        row = np.flatnonzero(self.gone)[runs["of"].to_numpy()[place]]
        expansion = replace(self.now, runs=runs.drop("of", "has_left"))
        return Planned(self.after.feed, expansion, place, self.ready[row], self.median_ready[row])

    def rows_after(self, values: NDArray, rest: float = 0.0) -> NDArray:
        """Values of runs of `before` (N, ...) at the rows of `after`; `rest` for runs that `before` lacks."""
        found = np.flatnonzero(self.after_row >= 0)
        given = np.full((len(self.after.timetable.cutoff), *values.shape[1:]), rest)
        given[self.after_row[found]] = values[found]
        return given

    def prices(self, loads: pl.DataFrame, hours: pl.DataFrame) -> Prices:
        """A plan's shadow prices (schemas PLAN_LOADS, PLAN_HOURS) for what can still be ridden."""
        resources = self.after.resources
        was = prices_of(self.before, loads, hours.clear())
        seat, kilogram = self.rows_after(was.seat), self.rows_after(was.kilogram)
        return Prices(
            np.where(np.isfinite(resources.seats), seat, 0.0),
            np.where(np.isfinite(resources.kilograms), kilogram, 0.0),
            prices_of(self.after, empty(PLAN_LOADS), hours).hour,
        )

    def booked(self, loads: pl.DataFrame) -> NDArray[np.float64]:
        """What a plan (schema PLAN_LOADS) expects on each run of `before` (N, 2): pieces and kilograms."""
        table = self.before.timetable
        runs = pl.DataFrame(
            {
                "departure_id": gather(self.before.feed.departures, "departure_id", table.departure),
                "depart_at": instants(table.depart),
                "row": np.arange(len(table.depart)),
            }
        )
        found = loads.join(runs, on=["departure_id", "depart_at"])
        booked = np.zeros((len(table.depart), 2))
        booked[found["row"].to_numpy()] = found.select("parcels", pl.col("grams") / 1000.0).fill_null(0.0).to_numpy()
        return booked

    def hours_of_the_gone(self, pieces: NDArray[np.float64]) -> pl.DataFrame:
        """Where and in which clock hours what has left is handled, `pieces` (N) on each run: node, hour_at, pieces.

        Of nodes with a limit only.
        """
        outcomes = self.ready.shape[1]
        limited = np.isfinite(self.now.capacity_per_hour.to_numpy())[self.before.timetable.net.to]
        rows = np.flatnonzero(self.gone & limited & (pieces > 0))
        return (
            pl.DataFrame(
                {
                    "node": np.repeat(self.before.timetable.net.to[rows], outcomes),
                    "ready_at": self.ready[rows].reshape(-1),
                    "pieces": np.repeat(pieces[rows] / outcomes, outcomes),
                }
            )
            .filter(pl.col("ready_at") != int(NEVER))
            .group_by("node", hour_at=pl.col("ready_at") // HOUR * HOUR)
            .agg(pl.col("pieces").sum())
            .sort("node", "hour_at")
        )

    def hour_numbers(self, hours: pl.DataFrame) -> NDArray[np.int64]:
        """The number in `after.resources` of each (node, hour_at); -1 where nothing that still leaves is handled."""
        resources = self.after.resources
        known = pl.DataFrame(
            {"node": resources.hour_node, "hour_at": resources.hour_at}, schema={"node": pl.Int32, "hour_at": pl.Int64}
        ).with_row_index("hour")
        found = hours.select("node", "hour_at").join(known, on=["node", "hour_at"], how="left", maintain_order="left")
        return found["hour"].cast(pl.Int64).fill_null(-1).to_numpy()


def disruption(planned: Planned, closed: Feed, now: Expansion, at: int, outcomes: int) -> Disruption:
    """A network as `planned`, and as it is `now` (an expansion of `closed`, the same feed with closures)."""
    before = planned.compiled(outcomes)
    runs = planned.expansion.runs
    gone = runs["depart_at"].to_numpy() <= at
    still = now.runs.filter(pl.col("depart_at") > at).join(
        runs.filter(gone), on=IDENTITY, how="anti", maintain_order="left"
    )
    now = replace(now, runs=still)
    after = compile_model(closed, now, outcomes)
    under_way = compile_model(closed, replace(now, runs=runs.filter(gone)), outcomes).timetable.net
    rows = still.select(IDENTITY).with_row_index("row").unique(IDENTITY, keep="first", maintain_order=True)
    found = runs.select(IDENTITY).join(rows, on=IDENTITY, how="left", maintain_order="left")["row"]
    after_row = found.cast(pl.Int32).fill_null(-1).to_numpy()

    def ready(name: str) -> NDArray[np.int64]:
        was = getattr(before.timetable.net, name).astype(np.int64)
        given = np.full(was.shape, int(NEVER), np.int64)
        runs_on = np.flatnonzero(after_row >= 0)
        given[runs_on] = getattr(after.timetable.net, name)[after_row[runs_on]]
        left = np.flatnonzero(gone)
        given[left] = np.where(was[left] <= at, was[left], getattr(under_way, name))  # what is handled is handled
        return given

    return Disruption(
        at=at,
        planned=planned,
        before=before,
        after=after,
        now=now,
        gone=gone,
        after_row=after_row,
        ready=ready("ready"),
        median_ready=ready("median_ready"),
    )
