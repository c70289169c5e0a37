"""The event log: every scan of a run as a row, in the shape in which couriers would send them."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.terms.frames import SCANS
from rookery.terms.time import DAY, NEVER
from rookery.twin.engine.arrays import ARRIVED, DAMAGE, HOLD, LOSS, MISROUTING, NOT_SENT
from rookery.twin.outcome import DELIVERED, MOST_ATTEMPTS, Outcome
from rookery.twin.run import Run

KINDS = (
    "accepted", "departed", "arrived", "on_hold", "ready", "damaged", "lost", "misrouted", "delivery_failed",
    "delivered",
)  # fmt: skip
"""Kinds of scan, in the order in which those of one leg happen."""
(ACCEPTED, DEPARTED, ARRIVED_AT, ON_HOLD, READY, DAMAGED, WENT_LOST, MISROUTED, FAILED, BROUGHT) = range(len(KINDS))


def scans_of(run: Run, parcels: pl.DataFrame, outcome: Outcome, number: int) -> pl.DataFrame:
    """Every scan of a finished run that was logged (schema SCANS), order by order and in time. number: the run's."""
    size = int(run.log.size[0])
    order, row, ready, luck = (part[:size] for part in run.log[:-1])
    world, state, feed = run.world, run.state, run.net.feed
    depart, arrive = world.depart[row].astype(np.int64), world.arrive[row].astype(np.int64)
    there = (luck >> LOSS) & 1 == 0
    handled = there & (ready < NEVER)
    parts: list[tuple[NDArray, ...]] = []

    def add(which: NDArray, orders, kind: int, at, node, rows, place) -> None:
        """place: where a scan stands among those of its order, whatever the minute."""
        which = np.flatnonzero(which)
        if len(which):
            kinds = np.full(len(which), kind, np.int8)
            parts.append((orders[which], kinds, at[which], node[which], rows[which], place[which]))

    legs = np.arange(size)
    every = np.arange(len(parcels))
    no_row, first, last = np.full(len(parcels), -1, np.int32), np.full(len(parcels), -1), np.full(len(parcels), size)
    sent = state.status != NOT_SENT
    add(sent, every, ACCEPTED, parcels["start_at"].to_numpy(), run.cargo.origin, no_row, first)
    add(legs >= 0, order, DEPARTED, depart, world.frm[row], row, legs)
    add((luck >> MISROUTING) & 1 == 1, order, MISROUTED, depart, world.frm[row], row, legs)
    add((luck >> DAMAGE) & 1 == 1, order, DAMAGED, depart, world.frm[row], row, legs)
    add(~there, order, WENT_LOST, arrive, world.to[row], row, legs)
    add(there & (arrive < NEVER), order, ARRIVED_AT, arrive, world.to[row], row, legs)
    add((luck >> HOLD) & 1 == 1, order, ON_HOLD, arrive, world.to[row], row, legs)
    add(handled, order, READY, ready.astype(np.int64), world.to[row], row, legs)
    home = run.cargo.destination
    first_try = outcome.delivered_at - (outcome.attempts - 1).astype(np.int64) * DAY
    tried = state.status == ARRIVED
    door = np.where(outcome.fate == DELIVERED, first_try, state.ready.astype(np.int64))
    for attempt in range(int(outcome.attempts.max(initial=0))):
        failed = tried & (outcome.attempts > attempt + (outcome.fate == DELIVERED))
        add(failed, every, FAILED, door + attempt * DAY, home, no_row, last + attempt)
    add(outcome.fate == DELIVERED, every, BROUGHT, outcome.delivered_at, home, no_row, last + MOST_ATTEMPTS)

    joined = [np.concatenate(columns) for columns in zip(*parts)] if parts else [np.zeros(0, np.int64)] * 6
    orders, kind, at, _, _, place = joined
    sequence = np.lexsort((kind, at, place, orders))
    orders, kind, at, node, rows, _ = (column[sequence] for column in joined)

    def text(frame: pl.DataFrame, column: str, place: NDArray) -> pl.Series:
        numbers = pl.Series(place.astype(np.int64))
        return frame[column].gather(pl.select(pl.when(numbers >= 0).then(numbers)).to_series())

    departure, lane = (np.append(run.net.runs[name].to_numpy(), -1)[rows] for name in ("departure", "lane"))
    return pl.DataFrame(
        {
            "run": pl.Series(np.full(len(orders), number), dtype=pl.Int32),
            "order_id": parcels["order_id"].gather(orders),
            "scanned_at": pl.Series(at * 60_000_000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "kind": pl.Series(KINDS).gather(pl.Series(kind.astype(np.int64))),
            "node_id": text(feed.nodes, "node_id", node),
            "departure_id": text(feed.departures, "departure_id", departure),
            "lane_id": text(feed.lanes, "lane_id", lane),
            "carrier_id": text(feed.lanes, "carrier_id", lane),
        },
        schema=SCANS,
    )
