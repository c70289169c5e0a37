"""The frontier of a quote: what an earlier promise costs.

Every offer is a policy. The fastest and the cheapest are its ends; between them, each day end in turn is made the due
time, with a few prices of lateness: the cheapest policy that still keeps a day with the confidence asked for is among
these up to the convex hull (with one outcome a departure, exactly). Every day end counts, however far the ends lie
apart; where there are many, each is asked with fewer prices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from rookery.planning.capacity.resources import Prices
from rookery.planning.engine.catch import first_row
from rookery.planning.ops import Model, day_end
from rookery.planning.tables import Journey, parcel_tables
from rookery.terms.time import DAY, NEVER

LATENESS = (1000.0, 1.0, 10.0, 0.3, 3.0)
"""Prices of being late, as multiples of the whole spread between the fastest and the cheapest offer; those that tell
most come first."""
CHEAPER, NOISE = 1e-9, 0.001
"""By how much money a later offer has to be cheaper than an earlier one; under shadow prices also by which share of its
cost: less is their noise."""
MOST_WISHES = 320
"""Beyond so many policies, a day end is asked with fewer prices of being late, and with one at least."""


@dataclass(frozen=True)
class Offer:
    """One point of the frontier, a piece: its cost, the day it is promised for and the way there."""

    cost: float  # expected: carrying, delivering, and what it takes from others where room is scarce
    congestion: float  # of that, the shadow prices
    promised_at: int
    probability: float  # of being delivered by promised_at
    journey: Journey


def frontier(model: Model, parcel: pl.DataFrame, confidence: float, prices: Prices | None = None) -> list[Offer]:
    """Offers for one parcel (one row of schema PARCELS), earliest first; each later one is cheaper. Empty = none.

    prices: shadow prices that choose the way and are part of the cost; none = nothing is full.
    """
    unpriced = model.timetable.net
    table = (model if prices is None else model.priced(prices, density_of(parcel))).timetable
    timezone = model.feed.nodes["timezone"][parcel["destination"][0]]
    extra = float(parcel["pickup_cost"][0]) + float(model.miles.cost[parcel["zone"][0]])
    start = int(parcel["start_at"][0])
    row = first_row(
        int(parcel["origin"][0]), start, table.net.node_from, table.net.node_rows, table.cutoff, len(table.cutoff)
    )
    offers: list[Offer] = []

    def ask(wishes: list[tuple[int, float, float]]) -> None:
        for part in _sixteens(wishes):
            due, late, time = zip(*part)
            tables = parcel_tables(table, model.miles, parcel, due, late, [0.0] * len(due), time)
            paid = tables if prices is None else replace(tables, net=unpriced)  # the same rides, without shadow prices
            for column in range(len(part)):
                journey = tables.follow(column, row, confidence)
                carried = paid.follow(column, row, confidence)
                if journey is not None and carried is not None:
                    promised = int(day_end(timezone, np.array([journey.by_at]))[0])
                    chance = tables.chance_by(column, row, promised)
                    congestion = max(0.0, journey.transport - carried.transport)
                    offers.append(Offer(journey.transport + extra, congestion, promised, chance, journey))

    dear = 1e3 * max(1.0, float(table.net.fixed.max(initial=0.0)) + float(table.net.per_kg.max(initial=0.0)))
    ask([(int(NEVER), 0.0, 0.0), (int(NEVER), 0.0, dear)])
    if not offers:
        return []
    first, last = min(o.promised_at for o in offers), max(o.promised_at for o in offers)
    spread = max(o.cost for o in offers) - min(o.cost for o in offers)
    # twice a day, so that a day that a clock change shortens is met too
    between = np.arange(first - DAY, last, DAY // 2)
    ends = np.unique(day_end(timezone, between)).tolist()
    scales = LATENESS[: max(1, MOST_WISHES // len(ends)) if table.outcomes > 1 else 1]
    ask([(end, scale * max(spread, 0.01), 0.0) for end in ends for scale in scales])
    return _best(offers, 0.0 if prices is None else NOISE)


def density_of(parcel: pl.DataFrame) -> float:
    """A parcel's actual weight as a share of the chargeable one (one row of schema PARCELS)."""
    return float(parcel["weight_g"][0]) / float(parcel["chargeable_g"][0])


def _sixteens(wishes: list) -> list[list]:
    return [wishes[place : place + 16] for place in range(0, len(wishes), 16)]


def _best(offers: list[Offer], share: float) -> list[Offer]:
    """Those that no other beats in both cost and day; each by more than this share of it below the one before."""
    kept: list[Offer] = []
    for offer in sorted(offers, key=lambda o: (o.promised_at, o.cost, o.journey.expected_at)):
        if not kept or offer.cost < (1 - share) * kept[-1].cost - CHEAPER:
            kept.append(offer)
    return kept
