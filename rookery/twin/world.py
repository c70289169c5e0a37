"""The world of one run: what the feed says really happens, and what chance makes of it.

Departures are those of the network as it stood when the plan was made (rows, by cut-off); what closures nobody knew of
do to them is read off a second expansion, in which they are matched by departure and schedule.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.terms.frames import Expansion, Feed
from rookery.terms.time import DAY, NEVER
from rookery.twin.engine.arrays import Hours, Luck, World
from rookery.twin.engine.hours import ready_at
from rookery.twin.model import Trouble

HOUR = 60
TRAVEL, LATE, REGION, CANCEL, DWELL, DAYS, LAST_MILE, ATTEMPTS, PARCELS = range(9)
"""What is drawn, each from a stream of its own: a policy that asks more of one leaves the others as they are."""
WORN = ("hub", "airport", "port", "customs", "depot")
"""Kinds of node that have bad days."""
STEPS = 4096
"""Steps of the table of normal quantiles."""


@dataclass(frozen=True)
class Network:
    """A feed over a span of days as the twin reads it: everything that no chance touches. N rows, M nodes, L lanes."""

    feed: Feed
    start: int
    end: int
    runs: pl.DataFrame  # schema RUNS, as planned
    depart: NDArray[np.int64]  # (N) as it really is
    cutoff: NDArray[np.int64]  # (N)
    runs_at_all: NDArray[np.bool_]  # (N) no closure cancels it
    seats: NDArray[np.float64]
    kilograms: NDArray[np.float64]
    hours: Hours
    per_hour: NDArray[np.float64]  # (M)
    hour_factors: pl.DataFrame
    known_at: int  # minute at which everyone knows of the closures
    order: NDArray[np.int32]  # (N) rows by real cut-off
    lane_rows: tuple[NDArray[np.int64], NDArray[np.int32]]  # rows of each lane, by real cut-off: begin (L + 1), rows
    node_rows: tuple[NDArray[np.int64], NDArray[np.int32]]  # of each node that they leave
    spreads: dict[int, tuple[NDArray, NDArray]]  # number in runs["transit"] -> quantiles, factors


def network(feed: Feed, planned: Expansion, really: Expansion, known_at: int) -> Network:
    """Lay out a network: `planned` as the plan knew it, `really` with closures nobody knew of before `known_at`.

    known_at: UTC minute.
    """
    key = ["departure", "scheduled_at"]
    now = really.runs.select(*key, "depart_at", "cutoff_at", "capacity_g", "capacity_parcels").unique(key)
    both = planned.runs.join(now, on=key, how="left", maintain_order="left", suffix="_now")
    runs_at_all = both["depart_at_now"].is_not_null().to_numpy()

    def real(name: str) -> NDArray:
        return np.array(both[f"{name}_now"].fill_null(both[name]).to_numpy())

    cutoff = real("cutoff_at").astype(np.int64)
    order = np.argsort(cutoff, kind="stable").astype(np.int32)

    def beside(name: str, size: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Rows of each lane or node, by real cut-off: (begin (size + 1), rows)."""
        number = planned.runs[name].to_numpy()
        rows = order[np.argsort(number[order], kind="stable")]
        return np.searchsorted(number[rows], np.arange(size + 1)).astype(np.int64), rows

    points = feed.transit.sort("transit_id", "quantile").partition_by("transit_id", as_dict=True)
    node = really.openings["node"].to_numpy()
    return Network(
        feed=feed,
        start=planned.start,
        end=planned.end,
        runs=planned.runs,
        depart=real("depart_at").astype(np.int64),
        cutoff=cutoff,
        runs_at_all=runs_at_all,
        seats=real("capacity_parcels"),
        kilograms=real("capacity_g") / 1000.0,
        hours=Hours(
            always=np.array(really.always_open.to_numpy(), np.bool_),
            open_from=np.searchsorted(node, np.arange(len(feed.nodes) + 1)).astype(np.int64),
            opens=really.openings["open_at"].to_numpy().astype(np.int64),
            closes=really.openings["close_at"].to_numpy().astype(np.int64),
        ),
        per_hour=really.capacity_per_hour.to_numpy(),
        hour_factors=really.hour_factors,
        known_at=known_at,
        order=order,
        lane_rows=beside("lane", len(feed.lanes)),
        node_rows=beside("from_node", len(feed.nodes)),
        spreads={
            number: tuple(points[(name,)].select("quantile", "factor").to_numpy().T)  # type: ignore[misc]
            for number, name in enumerate(planned.transit_ids)
        },
    )


def stream(seed: int, what: int) -> np.random.Generator:
    """The random numbers of one kind of a run."""
    return np.random.default_rng([seed, what])


def travel_minutes(
    minutes: NDArray, number: NDArray, spreads: dict[int, tuple[NDArray, NDArray]], u: NDArray
) -> NDArray[np.int64]:
    """How long each ride takes at its quantile `u`: ceil(minutes x factor), linear between the points of its spread.

    number: of the spread, -1 = always `minutes`. All arrays (n).
    """
    taken = minutes.astype(np.float64)
    for which, (quantiles, factors) in spreads.items():
        mine = np.flatnonzero(number == which)
        taken[mine] *= np.interp(u[mine], quantiles, factors)
    return np.ceil(taken - 1e-9).astype(np.int64)


_CUMULATIVE = np.array([NormalDist().cdf(x) for x in np.linspace(-8, 8, STEPS + 1)])


def shares(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard normal numbers as shares: their distribution function, by table (error below 1e-6)."""
    return np.interp(normal, np.linspace(-8, 8, STEPS + 1), _CUMULATIVE)


def region_days(net: Network, degrees: float) -> NDArray[np.int64]:
    """The region and planned UTC day of each departure, numbered; a region is a square of latitude and longitude."""
    lat, lon = (net.feed.nodes[name].to_numpy() for name in ("lat", "lon"))
    square = np.floor((lat + 90) / degrees) * 10_000 + np.floor((lon + 180) / degrees)
    node = net.runs["from_node"].to_numpy()
    pair = square[node].astype(np.int64) * 1_000_000 + net.runs["depart_at"].to_numpy() // DAY
    return np.unique(pair, return_inverse=True)[1]


def world(net: Network, trouble: Trouble, seed: int) -> World:
    """One run's world: what departs when, arrives when, and is handled when. The same seed gives the same world."""
    count = len(net.runs)
    shared = stream(seed, REGION).standard_normal(count)  # one for each region and day, of which there are fewer
    common = shared[region_days(net, trouble.region_degrees)] if count else shared

    def alike(what: int) -> NDArray[np.float64]:
        """A share for each departure, alike within a region and day as far as the trouble is."""
        own = stream(seed, what).standard_normal(count)
        return shares(np.sqrt(trouble.correlation) * common + np.sqrt(1 - trouble.correlation) * own)

    column = {
        name: net.runs[name].to_numpy() for name in ("transit_minutes", "transit", "from_node", "to_node", "lane")
    }
    travel = travel_minutes(column["transit_minutes"], column["transit"], net.spreads, alike(TRAVEL))
    late = np.zeros(count)
    if trouble.delay_share > 0:
        worst = alike(LATE) - (1 - trouble.delay_share)
        late = np.where(
            worst > 0, -trouble.delay_minutes * np.log(np.clip(1 - worst / trouble.delay_share, 1e-12, 1)), 0
        )
    depart = net.depart + late.astype(np.int64)
    arrive = depart + travel
    cancelled = stream(seed, CANCEL).random(count) < trouble.cancel_share
    known_gone = np.full(count, int(NEVER), np.int64)
    known_gone[cancelled] = net.cutoff[cancelled]
    known_gone[~net.runs_at_all] = np.minimum(net.cutoff, net.known_at)[~net.runs_at_all]

    hour0 = net.start // HOUR * HOUR
    last = int(max(arrive.max(initial=net.end), net.end)) + 64 * DAY
    bad = _bad_days(net, trouble, seed, (last - hour0) // DAY + 2)
    to = column["to_node"]
    work = net.feed.nodes["handling_minutes"].to_numpy()[to].astype(np.float64)
    if trouble.dwell_sigma > 0:
        work *= np.exp(trouble.dwell_sigma * stream(seed, DWELL).standard_normal(count))
    if bad is not None:
        work *= np.where(bad[to, (arrive - hour0) // DAY], trouble.bad_day_factor, 1.0)
    ready = np.empty(count, np.int32)
    ready_at(net.hours, to, arrive, np.rint(work).astype(np.int64), int(NEVER), ready)

    limit, hourly = _hourly(net, hour0, last, bad, trouble.bad_day_factor)
    return World(
        frm=column["from_node"].astype(np.int32),
        to=to.astype(np.int32),
        lane=column["lane"].astype(np.int32),
        cutoff=net.cutoff.astype(np.int32),
        depart=depart.astype(np.int32),
        arrive=np.where(known_gone < NEVER, int(NEVER), arrive).astype(np.int32),
        ready=ready,
        seats=net.seats,
        kilograms=net.kilograms,
        told=net.runs["cutoff_at"].to_numpy().astype(np.int32),
        told_seats=np.array(net.runs["capacity_parcels"].to_numpy()),
        told_kilograms=net.runs["capacity_g"].to_numpy() / 1000.0,
        fixed=np.array(net.runs["cost_per_parcel"].to_numpy()),
        per_kg=np.array(net.runs["cost_per_kg"].to_numpy()),
        known_gone=known_gone.astype(np.int32),
        order=net.order,
        lane_from=net.lane_rows[0],
        lane_rows=net.lane_rows[1],
        node_from=net.node_rows[0],
        node_rows=net.node_rows[1],
        limit=limit,
        hourly=hourly,
        begin=hour0,
        known_at=net.known_at,
    )


def _bad_days(net: Network, trouble: Trouble, seed: int, days: int) -> NDArray[np.bool_] | None:
    """Which nodes have a bad day when: (M, days); None = nobody ever has."""
    if trouble.bad_day_share == 0:
        return None
    worn = net.feed.nodes["kind"].is_in(WORN).to_numpy()
    return (trouble.bad_day_share > stream(seed, DAYS).random((days, len(worn))).T) & worn[:, None]


def _hourly(net: Network, hour0: int, last: int, bad, factor: float) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The nodes with a limit an hour, numbered (M, -1 = none), and what each can finish in every hour."""
    limited = np.flatnonzero(np.isfinite(net.per_hour))
    number = np.full(len(net.per_hour), -1, np.int32)
    number[limited] = np.arange(len(limited), dtype=np.int32)
    hours = (last - hour0) // HOUR + 1
    hourly = np.repeat(net.per_hour[limited, None], hours, axis=1)
    for node, at, share in net.hour_factors.iter_rows():
        hour = (at - hour0) // HOUR
        if number[node] >= 0 and 0 <= hour < hours:
            hourly[number[node], hour] *= share
    if bad is not None and len(limited):
        hourly /= np.where(np.repeat(bad[limited], 24, axis=1)[:, :hours], factor, 1.0)
    return number, hourly


def luck(net: Network, trouble: Trouble, seed: int) -> Luck:
    """Chances of bad luck on a leg."""
    customs = (net.feed.nodes["kind"] == "customs").to_numpy()
    own = int(stream(seed, PARCELS).integers(2**62))
    return Luck(
        own, trouble.lost_share, trouble.damaged_share, trouble.misrouted_share, trouble.hold_share * customs,
        trouble.hold_minutes,
    )  # fmt: skip
