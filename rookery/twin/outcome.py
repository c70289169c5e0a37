"""What one run came to: when every order was delivered, what it cost, and what was short."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.terms.frames import Feed
from rookery.terms.time import DAY, NEVER
from rookery.twin.engine.arrays import ARRIVED, LOST, NOT_SENT
from rookery.twin.model import Trouble
from rookery.twin.run import Run
from rookery.twin.world import ATTEMPTS, LAST_MILE, Network, stream, travel_minutes

DELIVERED, UNDELIVERED, WAS_LOST, UNSENT = range(4)
FATES = ("delivered", "undelivered", "lost", "not_sent")
MOST_ATTEMPTS = 3


@dataclass(frozen=True)
class Outcome:
    """n orders after a run, 24 bytes each; M nodes."""

    fate: NDArray[np.int8]  # (n) place in FATES
    delivered_at: NDArray[np.int64]  # (n) UTC minute; NEVER = it was not
    attempts: NDArray[np.int8]  # (n) attempts to deliver
    on_time: NDArray[np.bool_]  # (n)
    cost: NDArray[np.float64]  # (n) of all pieces, as a plan counts it
    legs: NDArray[np.int16]
    missed: NDArray[np.int16]  # (n) rides it meant to take and did not
    damaged: NDArray[np.bool_]
    queued: NDArray[np.float64]  # (M, 3) pieces that waited for hands, minutes in all, longest


def outcome_of(run: Run, parcels: pl.DataFrame, trouble: Trouble, seed: int) -> Outcome:
    """What a finished run of parcels (schema PARCELS) came to. Costs follow the plan's: prices ridden, lateness, time.

    Whatever is not delivered costs what refusing it would, beside what was spent on it.
    """
    state, count = run.state, len(parcels)
    column = {name: parcels[name].to_numpy() for name in parcels.columns if parcels[name].dtype.is_numeric()}
    arrived = state.status == ARRIVED
    minutes, price = last_miles(run.net, column["zone"], seed)
    attempts = _attempts(count, trouble.failed_attempt_share, seed)
    delivered = arrived & (attempts <= MOST_ATTEMPTS)
    at = state.ready.astype(np.int64) + minutes + (attempts - 1) * DAY
    at = np.where(delivered, at, int(NEVER))
    late = delivered & (at > column["due_at"])
    days_late = np.where(late, -(-(at - column["due_at"]) // DAY), 0)
    each = (
        price
        + late * column["late_cost"]
        + days_late * column["late_cost_per_day"]
        + column["time_cost_per_day"] / DAY * (at - column["ready_at"])
        + column["pickup_cost"]
    )
    lost = column["unassigned_cost"] + np.where(state.legs > 0, column["pickup_cost"], 0.0)
    fate = np.full(count, UNDELIVERED, np.int8)
    fate[delivered], fate[state.status == LOST], fate[state.status == NOT_SENT] = DELIVERED, WAS_LOST, UNSENT
    return Outcome(
        fate=fate,
        delivered_at=at,
        attempts=np.where(arrived, np.minimum(attempts, MOST_ATTEMPTS), 0).astype(np.int8),
        on_time=delivered & ~late,
        cost=state.spent + column["pieces"] * np.where(delivered, each, lost),
        legs=state.legs,
        missed=state.missed,
        damaged=state.damaged,
        queued=state.queued,
    )


def last_miles(net: Network, zone: NDArray, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Minutes from the node to the door and its price, for each order's zone (-1 = it is fetched at the node)."""
    zones = net.feed.zones
    names = {name: number for number, name in enumerate(_names(net.feed))}
    spread = np.append([names.get(name, -1) for name in zones["delivery_id"]], -1).astype(np.int64)
    minutes = np.append(zones["delivery_minutes"].to_numpy(), 0)
    price = np.append(zones["delivery_cost"].to_numpy(), 0.0)
    u = stream(seed, LAST_MILE).random(len(zone))
    return travel_minutes(minutes[zone], spread[zone], net.spreads, u), price[zone]


def _names(feed: Feed) -> list[str]:
    return feed.transit["transit_id"].unique().sort().to_list()


def _attempts(count: int, share: float, seed: int) -> NDArray[np.int64]:
    """How many attempts each delivery takes."""
    if share == 0:
        return np.ones(count, np.int64)
    if share == 1:
        return np.full(count, MOST_ATTEMPTS + 1)
    return stream(seed, ATTEMPTS).geometric(1 - share, count).astype(np.int64)
