"""A plan rehearsed in the twin: the story that joins network, planning and twin."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.base.progress import Progress, silent
from rookery.flows.planning import Plan, as_orders, cores
from rookery.network import expand, place
from rookery.planning.capacity.resources import Prices
from rookery.planning.capacity.solve import Effort
from rookery.planning.ops import Model, compile_model, plan_batch
from rookery.planning.results import prices_of
from rookery.planning.rides import ride_tables
from rookery.terms.errors import Conflict, InvalidInput
from rookery.terms.frames import SCANS, Expansion, Feed, Orders, empty
from rookery.terms.notice import Notice
from rookery.terms.rides import RideTables
from rookery.terms.time import NEVER, to_minute
from rookery.twin.engine.arrays import Booked, Tables
from rookery.twin.model import CALM, POLICIES, Policy, Trouble
from rookery.twin.outcome import Outcome, outcome_of
from rookery.twin.run import Run, cargo_of, nothing_booked, rows_of, tables_of
from rookery.twin.scans import scans_of
from rookery.twin.world import Network, network

EFFORT = Effort(gap=0.01, seconds=0.3)
"""Of one of many plans made on the way."""
MOST_RUNS = 1_000
MOST_OUTCOMES = 200_000_000
"""Orders x runs that are kept, at 24 bytes each."""


class Policies(NamedTuple):
    """Policy tables as the planner made them, joined to the twin's rows, and the seconds that took."""

    rides: RideTables
    tables: Tables
    seconds: float


@dataclass(frozen=True)
class Setting:
    """A plan, the network it was made for, and that network as it will really be: what all rehearsals of it share."""

    feed: Feed
    closed: Feed  # with closures that nobody knew of
    orders: Orders
    plan: Plan
    parcels: pl.DataFrame  # schema PARCELS
    expansion: Expansion
    really: Expansion
    known_at: int
    threads: int
    progress: Progress
    notices: tuple[Notice, ...] = ()

    @cached_property
    def outcomes(self) -> int:
        """K of the plan."""
        return int(self.plan.manifest["outcomes"])

    @cached_property
    def net(self) -> Network:
        return network(self.closed, self.expansion, self.really, self.known_at)

    @cached_property
    def model(self) -> Model:
        """What the plan was made with."""
        return compile_model(self.feed, self.expansion, self.outcomes)

    @cached_property
    def new_model(self) -> Model:
        """The same with the closures known."""
        return compile_model(self.closed, self.really, self.outcomes)

    @cached_property
    def cargo(self):
        return cargo_of(self.parcels)

    @property
    def news(self) -> bool:
        """Whether there are closures that nobody knew of."""
        return self.closed.closures.height > self.feed.closures.height

    @cached_property
    def seated(self) -> bool:
        """Whether the plan holds seats, because something is full."""
        return self.plan.manifest.get("prices") == "capacity"

    @cached_property
    def booked(self) -> Booked:
        """The seats of the plan: the legs of everyone's median itinerary."""
        length = self.plan.parcels["legs"].to_numpy().astype(np.int64)
        end = np.cumsum(length)
        legs = self.plan.legs
        left_at = (legs["depart_at"].dt.epoch("us") // 60_000_000).to_numpy()
        number = self.feed.departures.select("departure_id").with_row_index("departure")
        departure = legs.select("departure_id").join(number, on="departure_id", how="left", maintain_order="left")
        runs = self.expansion.runs
        known = pl.DataFrame({"departure": runs["departure"], "depart_at": runs["depart_at"].cast(pl.Int64)})
        known = known.with_row_index("row").unique(["departure", "depart_at"], keep="first")
        asked = pl.DataFrame(
            {"departure": departure["departure"].cast(pl.Int32), "depart_at": left_at.astype(np.int64)}
        )
        row = asked.join(known, on=["departure", "depart_at"], how="left", maintain_order="left")["row"]
        if row.null_count():
            raise Conflict(
                "twin.other_plan", "The plan rides departures that this feed does not have then.",
                "give the feed it was made of, or plan again",
            )  # fmt: skip
        rows = np.array(row.cast(pl.Int32).to_numpy())
        return Booked(end - length, end, rows, expected_ready(self.model, rows, end - length))

    def policy(self, model: Model, expansion: Expansion, priced: bool) -> Policies:
        """The policy tables of all parcels, under the plan's prices or none."""
        begin = time.perf_counter()
        prices = prices_of(model, self.plan.loads, self.plan.hours) if priced and self.seated else None
        rides = ride_tables(model, expansion, self.parcels, prices, threads=self.threads, progress=self.progress)
        return Policies(rides, tables_of(self.net, rides), time.perf_counter() - begin)

    @cached_property
    def priced(self) -> Policies:
        return self.policy(self.model, self.expansion, True)

    @cached_property
    def unpriced(self) -> Policies:
        return self.priced if not self.seated else self.policy(self.model, self.expansion, False)

    @cached_property
    def new_priced(self) -> Policies:
        return self.policy(self.new_model, self.really, True)

    @cached_property
    def new_unpriced(self) -> Policies:
        return self.new_priced if not self.seated else self.policy(self.new_model, self.really, False)


def expected_ready(model: Model, rows: NDArray, begin: NDArray) -> NDArray[np.int64]:
    """When itineraries (rows of `model`, each order's from `begin` on) have their order ready for each leg.

    For a first leg, at which nobody is early or late: the beginning of time.
    """
    ready = np.zeros(len(rows), np.int64)
    ready[1:] = model.timetable.net.median_ready[rows[:-1]]
    ready[begin[begin < len(rows)]] = 0
    return ready


def setting_of(
    feed: Feed,
    orders: Orders | pl.DataFrame,
    plan: Plan,
    *,
    closed: Feed | None = None,
    known_at: datetime | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> Setting:
    """What rehearsals of a plan need: the network, the orders, and closures that nobody knew of when it was made.

    closed: the same feed with more closures laid over it; known_at: when these become known (default: when the first
    begins). Raises Conflict where feed or orders are not those of the plan, InvalidInput for a plan that was changed.
    """
    orders = as_orders(orders)
    others = [
        what for what, given in (("feed", feed), ("orders", orders))
        if plan.manifest.get(what, {}).get("sha256") != given.sha256
    ]  # fmt: skip
    if others:
        raise Conflict(
            "twin.changed_since", f"The plan was made of another version of the {' and the '.join(others)}.",
            "give those it was made of, or leave the plan out: one is made then",
        )  # fmt: skip
    if plan.manifest.get("replanned_at"):
        raise InvalidInput(
            "twin.changed_plan", "The plan was changed around closures on the way; a rehearsal begins before that.",
            "give the plan as it was first made, and the closures as incidents of an experiment",
        )  # fmt: skip
    parcels, notices = place(feed, orders.frame, orders.file)
    _refuse_damaged(plan, parcels)
    begin, end = (to_minute(datetime.fromisoformat(plan.manifest[name])) for name in ("start", "horizon_end"))
    closed = closed or feed
    expansion = expand(feed, begin, end)
    own = feed.closures.height
    news = closed.closures[own:]
    first = int(news["from_at"].min()) if news.height else int(NEVER)  # type: ignore[arg-type]
    return Setting(
        feed=feed,
        closed=closed,
        orders=orders,
        plan=plan,
        parcels=parcels,
        expansion=expansion,
        really=expand(closed, begin, end) if news.height else expansion,
        known_at=first if known_at is None else to_minute(known_at),
        threads=threads or cores(),
        progress=progress,
        notices=notices,
    )


def _refuse_damaged(plan: Plan, parcels: pl.DataFrame) -> None:
    """Raises InvalidInput for a plan that does not hold these orders, each with its legs."""
    faults = []
    if not plan.parcels["order_id"].equals(parcels["order_id"]):
        faults.append("parcels.parquet does not hold these orders, each in its place")
    elif plan.parcels["legs"].null_count() or int(plan.parcels["legs"].sum()) != plan.legs.height:
        faults.append(f"legs.parquet holds {plan.legs.height:,} legs, and parcels.parquet tells of another number")
    elif plan.parcels["on_time_probability"].null_count() or plan.parcels["cost"].null_count():
        faults.append("parcels.parquet lacks chances or costs")
    if faults:
        raise InvalidInput("twin.damaged_plan", f"The plan cannot be rehearsed: {faults[0]}.", "plan again")


@dataclass(frozen=True)
class Rehearsal:
    """Runs of one policy: what each came to, and how long was spent on deciding on the way."""

    policy: Policy
    trouble: Trouble
    seeds: tuple[int, ...]
    outcomes: tuple[Outcome, ...]
    deciding: float  # seconds of planning after the plan, of all runs
    moving: float  # seconds of moving parcels
    scans: pl.DataFrame  # of the first run, when it was logged (schema SCANS)
    carried: NDArray[np.float64]  # (N, 2) pieces and kilograms on each departure, in the mean of the runs
    ran: NDArray[np.float64]  # (N) share of the runs in which it ran


def rehearse(
    setting: Setting,
    policy: Policy,
    *,
    trouble: Trouble = CALM,
    seed: int = 0,
    runs: int = 1,
    every_hours: float = 1.0,
    log: bool = False,
    progress: Progress = silent,
) -> Rehearsal:
    """Move the parcels of a plan through so many worlds by a policy; worlds of the same seed are the same for all.

    every_hours: for `reoptimise`; log: keep the scans of the first run. Raises InvalidInput for
    settings that make no sense.
    """
    if not 1 <= runs <= MOST_RUNS:
        raise InvalidInput("twin.runs", f"{runs} runs are not between 1 and {MOST_RUNS:,}.", "give 1 or more")
    if policy not in POLICIES:
        raise InvalidInput("twin.policy", f"There is no policy {policy!r}.", f"take one of {', '.join(POLICIES)}")
    if seed < 0:
        raise InvalidInput("twin.seed", f"The seed {seed} is below 0.", "give 0 or more")
    if not 0 < every_hours <= 24 * 365:
        raise InvalidInput("twin.every", f"Every {every_hours:g} hours makes no sense.", "give a number above 0")
    if len(setting.parcels) * runs > MOST_OUTCOMES:
        raise InvalidInput(
            "twin.too_much", f"{runs} runs of {len(setting.parcels):,} orders keep more than can be held.",
            "ask for fewer runs, or fewer orders",
        )  # fmt: skip
    greedy = policy == "greedy"
    first = setting.unpriced if greedy else setting.priced
    planned = (setting.plan.parcels["status"] == "planned").to_numpy()
    booked = setting.booked if policy == "itinerary" or (setting.seated and not greedy) else None
    sent = planned if not greedy else (first.rides.column >= 0) | planned
    seeds = tuple(range(seed, seed + runs))
    found, deciding, moving = [], 0.0, 0.0
    scans, rows = empty(SCANS), len(setting.net.runs)
    carried, ran = np.zeros((rows, 2)), np.zeros(rows)
    for number, each in enumerate(seeds):
        begin = time.perf_counter()
        run = Run(
            setting.net, setting.parcels, policy, first.rides, first.tables, booked, sent, trouble, each,
            cargo=setting.cargo, log=log and number == 0,
        )  # fmt: skip
        spent = 0.0
        if policy == "reoptimise":
            spent = _reoptimised(setting, run, every_hours)
        elif setting.news and setting.known_at < run.end:
            run.advance(max(setting.known_at, run.minute))
            if policy == "itinerary":
                run.tell(first.rides, first.tables)  # what is known to be cancelled is not waited for
            else:
                news = setting.new_unpriced if greedy else setting.new_priced
                run.tell(news.rides, news.tables)
                spent = news.seconds  # every run has to make them; here they are made once for all
        run.finish()
        found.append(outcome_of(run, setting.parcels, trouble, each))
        deciding += spent
        moving += time.perf_counter() - begin - (spent if policy == "reoptimise" else 0.0)
        carried += run.state.carried / runs
        ran += (run.world.arrive < NEVER) / runs
        if log and number == 0:
            scans = scans_of(run, setting.parcels, found[0], number)
        progress("rehearsal", number + 1, runs)
    return Rehearsal(policy, trouble, seeds, tuple(found), deciding, moving, scans, carried, ran)


def _reoptimised(setting: Setting, run: Run, every_hours: float) -> float:
    """Plan everything anew every so many hours, as long as anything is on the way; seconds that took."""
    every, spent = max(1, round(60 * every_hours)), 0.0
    at = setting.net.start + every
    warm: tuple[bool, Prices] | None = None  # whether the closures were known, and the prices then
    while at < run.end:
        run.advance(at)
        known = setting.news and at >= setting.known_at
        begin = time.perf_counter()
        # departures have other numbers once some are known not to run
        prices = _plan_again(setting, run, at, known, warm[1] if warm is not None and warm[0] == known else None)
        spent += time.perf_counter() - begin
        if not run.under_way:
            break
        warm = None if prices is None else (known, prices)
        at += every
    return spent


def _plan_again(setting: Setting, run: Run, at: int, known: bool, warm: Prices | None) -> Prices | None:
    """Plan all that is on the way from where it is at minute `at`; the prices then, None when nothing is."""
    model, expansion = (setting.new_model, setting.really) if known else (setting.model, setting.expansion)
    travelling, node, row = run.standing()
    which = np.flatnonzero(travelling & (node != setting.cargo.destination))
    if len(which) == 0:
        return None
    ready = np.maximum(run.state.ready[which], at)
    riding = row[which] >= 0
    ready[riding] = np.maximum(_expected(setting, model, expansion, row[which][riding]), at)
    frame = setting.parcels[which].with_columns(
        origin=pl.Series(node[which], dtype=pl.Int32), start_at=pl.Series(ready, dtype=pl.Int64)
    )
    batch = plan_batch(model, frame, effort=EFFORT, threads=setting.threads, warm=warm)
    prices = batch.certificate.prices if batch.certificate else Prices.none(model.resources)
    rides = ride_tables(model, expansion, frame, prices, threads=setting.threads)
    column = np.full(len(setting.parcels), -1, np.int32)
    column[which] = rides.column
    rides = replace(rides, column=column)
    seats = _booked_again(setting, model, expansion, batch, which) if batch.certificate else None
    run.tell(rides, tables_of(setting.net, rides), seats or nothing_booked(len(column)))
    return prices


def _expected(setting: Setting, model: Model, expansion: Expansion, rows: NDArray) -> NDArray[np.int64]:
    """When the riders of these rows of the network can be expected to be ready again: the median, as known now."""
    runs = setting.net.runs
    asked = runs[rows].select("departure", "scheduled_at")
    known = expansion.runs.select("departure", "scheduled_at").with_columns(
        ready=pl.Series(model.timetable.net.median_ready)
    ).unique(["departure", "scheduled_at"], keep="first")  # fmt: skip
    ready = asked.join(known, on=["departure", "scheduled_at"], how="left", maintain_order="left")["ready"]
    return ready.fill_null(setting.net.start).to_numpy().astype(np.int64)


def _booked_again(setting: Setting, model: Model, expansion: Expansion, batch, which: NDArray) -> Booked:
    """The seats of a plan made on the way, for all orders."""
    assignment = batch.assignment
    mine = which[batch.which]
    length = np.diff(assignment.leg_from) * np.isfinite(assignment.cost)
    begin, end = np.zeros((2, len(setting.parcels)), np.int64)
    begin[mine], end[mine] = assignment.leg_from[:-1], assignment.leg_from[:-1] + length
    runs = expansion.runs
    row = rows_of(setting.net, runs["departure"].to_numpy(), runs["scheduled_at"].to_numpy())
    ready = expected_ready(model, assignment.legs, assignment.leg_from[:-1])
    return Booked(begin, end, row[assignment.legs], ready)
