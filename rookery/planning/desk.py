"""The quote desk: what can be promised at once, from policies kept ready.

For a destination and a kind of parcel the desk keeps the ride bits of 32 policies (the cheapest, the fastest, and some
for each of ten day ends): 4 bytes a dated departure. A quote follows them from where its parcel stands, at its own
weight, so that what it tells of a policy is exact whatever weight the policy was made for. An offer is the best of
these policies, not of all.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log2
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.blocks import make_block
from rookery.planning.capacity.resources import Prices
from rookery.planning.classes import limit_classes
from rookery.planning.engine.arrays import Block
from rookery.planning.engine.catch import first_row
from rookery.planning.engine.offers import CHANCE, EXPECTED, FIXED, PER_KG, PROMISED, leading_on, promises
from rookery.planning.engine.vector import LANES
from rookery.planning.engine.walk import walk
from rookery.planning.ops import Model, day_end
from rookery.planning.tables import scan_tables
from rookery.terms.time import DAY, NEVER

BUCKETS_A_DOUBLING = 2
"""Weights that policies are made for, between a weight and its double."""
LATENESS = (0.3, 3.0, 100.0)
"""Prices of being late that policies are made for, as multiples of what carrying a parcel costs."""
DAY_ENDS = 10
MOST_BYTES = 512 << 20
"""Memory for ride bits; the least recently used go first."""
CHEAPER = 1e-9


class Ask(NamedTuple):
    """One parcel to quote for. Rows as in schema PARCELS; weights of one piece."""

    origin: int
    destination: int
    zone: int
    start_at: int  # ready at the origin node
    weight_g: float
    side_mm: float
    chargeable_g: float
    goods: int
    modes: int


class Offer(NamedTuple):
    """One choice a piece: its expected cost of carrying and delivering, and the day end it can be promised for."""

    cost: float
    promised_at: int
    expected_at: float
    probability: float  # of being delivered by promised_at
    legs: NDArray[np.int32]  # rows of the timetable, along median times


class _Policies(NamedTuple):
    blocks: list[tuple[Block, NDArray[np.uint16]]]
    size: int


@dataclass
class Desk:
    """Quotes over one compiled model under one set of shadow prices. Safe from any number of threads."""

    model: Model
    prices: Prices
    full: frozenset[int] = frozenset()  # rows on which there is no room: their offers are not made
    most_bytes: int = MOST_BYTES
    _kept: OrderedDict[tuple, _Policies] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _making: dict[tuple, threading.Lock] = field(default_factory=dict)
    _ends: dict[tuple[str, int], NDArray[np.int64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # as parcels see them whose actual weight is the chargeable one: policies are shared by parcels of any density
        self._priced = self.model.priced(self.prices).timetable
        sets = self.model.timetable.limit_sets
        self._heaviest, self._longest = (np.unique(sets[name].to_numpy()) for name in ("max_weight_g", "max_side_mm"))
        days = self.model.feed.services["due_days"].drop_nulls().to_list()
        furthest = max([DAY_ENDS - 1, *days])
        spread = np.unique(np.round(np.geomspace(1, furthest, DAY_ENDS - 1)).astype(np.int64))
        spare = np.setdiff1d(np.arange(1, furthest + 1), spread)
        self._days = np.sort(np.concatenate([[0], spread, spare[: DAY_ENDS - 1 - len(spread)]]))
        self._timezones = self.model.feed.nodes["timezone"].to_list()

    def offers(self, ask: Ask, confidence: float) -> list[Offer]:
        """Offers for one piece, earliest first, each later one cheaper; empty when there is no way."""
        table = self.model.timetable
        net = table.net
        none = len(table.cutoff)
        row = first_row(ask.origin, ask.start_at, net.node_from, net.node_rows, table.cutoff, none)
        if row == none or ask.origin == ask.destination:
            return []
        kilograms = ask.chargeable_g / 1000.0
        extra = float(self.model.miles.cost[ask.zone])
        ends = self._day_ends(self._timezones[ask.destination])
        policies = self._policies(ask)
        found: list[tuple[float, int, float, float, int, int]] = []
        for number, (block, ride) in enumerate(policies.blocks):
            out = np.empty((LANES, 5))
            promises(net, block._replace(due=block.due.copy()), ride, row, confidence, ends, out)
            for column in np.flatnonzero(np.isfinite(out[:, FIXED])).tolist():
                told = out[column]
                cost = float(told[FIXED] + told[PER_KG] * kilograms) + extra
                found.append((cost, int(told[PROMISED]), float(told[EXPECTED]), float(told[CHANCE]), number, column))
        best: list[Offer] = []
        for cost, promised_at, expected_at, chance, number, column in sorted(found, key=lambda o: (o[1], o[0], o[2])):
            if best and cost >= best[-1].cost - CHEAPER:
                continue
            block, ride = policies.blocks[number]
            legs, size = walk(net, block, ride, column, row, np.empty(16, np.int32), 0)
            if not self.full.intersection(legs[:size].tolist()):
                best.append(Offer(cost, promised_at, expected_at, chance, np.asarray(legs[:size], np.int32)))
        return best

    def _day_ends(self, timezone: str) -> NDArray[np.int64]:
        """Every day end of the model's span, and of 60 days after it."""
        table = self.model.timetable
        key = (timezone, table.end)
        if key not in self._ends:
            self._ends[key] = np.unique(day_end(timezone, np.arange(table.start, table.end + 60 * DAY, DAY // 2)))
        return self._ends[key]

    def _policies(self, ask: Ask) -> _Policies:
        """The policies kept for parcels like this one; made now when there are none."""
        bucket = round(log2(max(ask.chargeable_g, 1.0) / 1000.0) * BUCKETS_A_DOUBLING)
        heavy = int(np.searchsorted(self._heaviest, ask.weight_g))
        long = int(np.searchsorted(self._longest, ask.side_mm))
        day = ask.start_at // DAY
        key = (ask.destination, ask.zone, ask.goods, ask.modes, heavy, long, bucket, day)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            turn = self._making.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            made = self._make(ask, 2.0 ** (bucket / BUCKETS_A_DOUBLING), day * DAY)
            with self._lock:
                self._kept[key] = made
                self._making.pop(key, None)
                self._bytes += made.size
                while self._bytes > self.most_bytes and len(self._kept) > 1:
                    self._bytes -= self._kept.popitem(last=False)[1].size
        return made

    def _make(self, ask: Ask, kilograms: float, day_at: int) -> _Policies:
        table = self._priced
        net = table.net
        row = pl.DataFrame({"weight_g": [ask.weight_g], "side_mm": [ask.side_mm], "goods": [ask.goods],
                            "modes": [ask.modes]})  # fmt: skip
        allowed, kind = limit_classes(table.limit_sets, row)
        paid = net.fixed + net.per_kg * kilograms
        usual = max(1.0, 3 * float(np.median(paid[np.isfinite(paid)]))) if len(paid) else 1.0
        dear = 1e3 * max(1.0, float(paid.max(initial=0.0)))
        zone_end = day_end(self._timezones[ask.destination], day_at + self._days * DAY)
        wishes = [(int(NEVER), 0.0, 0.0), (int(NEVER), 0.0, dear)]
        wishes += [(int(end), late * usual, 0.0) for end in zone_end for late in LATENESS]
        blocks = []
        for first in range(0, len(wishes), LANES):
            due, late, rate = zip(*wishes[first : first + LANES])
            count = len(due)
            block = make_block(
                np.float64,
                len(net.node_from) - 1,
                np.arange(count),
                kilograms=np.full(count, kilograms),
                barred=np.repeat(np.where(allowed[kind], 0.0, np.inf), count, axis=0),
                destination=np.full(count, ask.destination),
                due=np.asarray(due, np.int64),
                late=np.asarray(late),
                late_day=np.zeros(count),
                rate=np.asarray(rate) / DAY,
                delivery=np.repeat(self.model.miles.minutes[[ask.zone]], count, axis=0),
            )
            tables = scan_tables(table, block)
            ride = np.empty(len(net.node_rows), np.uint16)
            leading_on(tables.value, tables.ride, net.node_rows, ride)
            blocks.append((block, ride))
        return _Policies(blocks, sum(ride.nbytes + block.barred.nbytes for block, ride in blocks))


def legs_to_columns(model: Model, legs: Sequence[int], chargeable_g: float) -> list[dict]:
    """The rows of an itinerary in words users know: one dict a leg, instants as UTC minutes, cost a piece."""
    feed, table = model.feed, model.timetable
    return [
        {
            "departure_id": feed.departures["departure_id"][int(table.departure[row])],
            "lane_id": feed.lanes["lane_id"][int(table.lane[row])],
            "carrier_id": feed.lanes["carrier_id"][int(table.lane[row])],
            "mode": feed.lanes["mode"][int(table.lane[row])],
            "from_node": feed.nodes["node_id"][int(table.net.frm[row])],
            "to_node": feed.nodes["node_id"][int(table.net.to[row])],
            "cutoff_at": int(table.cutoff[row]),
            "depart_at": int(table.depart[row]),
            "arrive_at": int(table.median_arrive[row]),
            "cost": float(table.net.fixed[row] + table.net.per_kg[row] * chargeable_g / 1000.0),
        }
        for row in legs
    ]
