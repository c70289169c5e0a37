"""Where quotes are given: one network, one state of what is booked on it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.flows.quotes.asks import Leg, ParcelAsk, Spot, instant
from rookery.network.places import End, Places
from rookery.planning.capacity.resources import Prices
from rookery.planning.classes import LIMITS
from rookery.planning.desk import MOST_BYTES, Ask, Desk, Offer, legs_to_columns
from rookery.planning.engine.catch import first_row
from rookery.planning.ops import Model
from rookery.planning.reasons import Roads, why_unassigned
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import PARCELS, Feed
from rookery.terms.goods import DEFAULT_CONFIDENCE, GOODS, MODES
from rookery.terms.notice import Fault
from rookery.terms.time import DAY, from_minute, local_to_utc, utc_to_local

OUTCOMES = 8
CLOSED = 1e7
"""Price of a seat where there is no room, in the feed's currency: any way around is cheaper."""
MOST_DESKS = 8
"""Desks kept, one for each state of prices and of what is closed to a parcel."""


class Asked(NamedTuple):
    """A question placed in the network."""

    ask: Ask
    origin: End
    destination: End
    ready: int
    due: int | None
    confidence: float
    pickup_cost: float


@dataclass(frozen=True)
class Counter:
    """Where quotes are given: one feed, one state of what is booked."""

    feed_id: str
    model: Model
    places: Places
    roads: Roads
    services: dict[str, dict[str, Any]]
    timezones: list[str]
    pickups: tuple[list[int], list[float]]  # minutes and cost of each zone
    room: Room
    desks: Drawer

    @property
    def feed(self) -> Feed:
        return self.model.feed

    @cached_property
    def _lanes(self) -> dict[str, int]:
        return {lane_id: row for row, lane_id in enumerate(self.feed.lanes["lane_id"])}

    @property
    def currency(self) -> str:
        return self.feed.info.currency

    def place(self, ask: ParcelAsk, start: Spot, finish: Spot, now: int) -> Asked:
        """The question in rows and minutes, asked at minute `now`. Raises InvalidInput with every fault."""
        faults: list[Fault] = []
        ends = [
            found
            for at, spot in (("$.from", start), ("$.to", finish))
            if (found := self._end(at, spot, faults)) is not None
        ]
        service = self.services.get(ask.service_id) if ask.service_id is not None else None
        if ask.service_id is not None and service is None:
            known = ", ".join(sorted(self.services)[:10]) or "none"
            faults.append(
                Fault("$.service_id", "unknown_service", "the network has no such service", f"use one of {known}")
            )
        table = self.model.timetable
        ready = instant(ask.ready_at, faults)
        if ready is not None and not table.start - 30 * DAY <= ready < table.end:
            span = f"{from_minute(table.start):%Y-%m-%d} to {from_minute(table.end):%Y-%m-%d}"
            faults.append(Fault("$.ready_at", "out_of_range", f"quotes are given for {span}", "name a time in it"))
        if faults or ready is None:
            raise InvalidInput(
                "quotes.invalid", "The question cannot be placed.", "mend what `errors` lists", faults=faults
            )
        origin, destination = ends
        minutes, costs = self.pickups
        sides = (ask.length_mm, ask.width_mm, ask.height_mm)
        confidence = ask.confidence or (service["confidence"] if service else DEFAULT_CONFIDENCE)
        asked = Ask(
            origin=origin.node,
            destination=destination.node,
            zone=destination.zone,
            # what has left is not offered: a parcel ready in the past is ready now
            start_at=max(ready + (minutes[origin.zone] if origin.zone >= 0 else 0), now),
            weight_g=ask.weight_g,
            side_mm=max(side or 0.0 for side in sides),
            chargeable_g=self.chargeable_g(ask.weight_g, sides),
            goods=GOODS.index(ask.goods),
            modes=service["modes"] if service else (1 << len(MODES)) - 1,
        )
        pickup = costs[origin.zone] if origin.zone >= 0 else 0.0
        due = self._due(service, ready, origin, destination)
        return Asked(asked, origin, destination, ready, due, confidence, pickup)

    def offers(self, asked: Asked, pieces: int) -> tuple[list[Offer], list[str]]:
        """(offers a piece, earliest first, on departures with room for all; or none and every reason)."""
        if asked.origin.node == asked.destination.node:
            return [], ["same_place"]
        offers = self.desks.get(self.model, self.room.prices, frozenset()).offers(asked.ask, asked.confidence)
        closed = self.room.closed(pieces, pieces * asked.ask.weight_g)
        if any(closed.intersection(offer.legs.tolist()) for offer in offers):
            offers = self.desks.get(self.model, self.room.prices, closed).offers(asked.ask, asked.confidence)
            if not offers:
                return [], ["no_capacity"]
        return offers, [] if offers else self._reasons(asked)

    def legs(self, rows: list[int]) -> list[Leg]:
        """An itinerary in words users know."""
        told = legs_to_columns(self.model, rows, 0.0)
        for leg in told:
            del leg["cost"]
            for name in ("cutoff_at", "depart_at", "arrive_at"):
                leg[name] = from_minute(leg[name])
        return [Leg(**leg) for leg in told]

    def told(self, legs: Sequence[tuple[int, int]], chargeable_g: float) -> list[dict[str, Any]]:
        """Legs of an offer (row of the departure, minute it leaves) in words users know; instants as UTC minutes."""
        departures, lanes = self.feed.departures, self.feed.lanes
        told = []
        for row, depart in legs:  # by the feed alone: a desk that was opened another day, or elsewhere, told the same
            run = departures.row(row, named=True)
            lane = lanes.row(self._lanes[run["lane_id"]], named=True)
            told.append(
                {
                    "departure_id": run["departure_id"],
                    "lane_id": run["lane_id"],
                    "carrier_id": lane["carrier_id"],
                    "mode": lane["mode"],
                    "from_node": lane["from_node"],
                    "to_node": lane["to_node"],
                    "cutoff_at": depart - run["cutoff_minutes"],
                    "depart_at": depart,
                    "arrive_at": depart + run["transit_minutes"],
                    "cost": run["cost_per_parcel"] + run["cost_per_kg"] * chargeable_g / 1000.0,
                }
            )
        return told

    def capacities(self, legs: Sequence[tuple[int, int]]) -> list[tuple[float | None, float | None]]:
        """Parcels and grams that dated departures (row of the departure, minute it leaves) take, closures heeded.

        None = any number. A run that this desk does not look at has what the feed says.
        """
        keys, rows = self._runs
        wanted = np.array([row << 32 | depart for row, depart in legs], np.int64)
        first, beyond = (np.searchsorted(keys, wanted, side).tolist() for side in ("left", "right"))
        told = []
        for (departure, _), here, there in zip(legs, first, beyond):
            if here < there:  # by delays two runs of a departure may leave at one time: they count as one
                same, room = rows[here:there], self.model.resources
                both = (room.seats[same].sum(), room.kilograms[same].sum() * 1000.0)
                told.append(tuple(None if np.isinf(most) else float(most) for most in both))
            else:
                run = self.feed.departures.row(departure, named=True)
                told.append((run["capacity_parcels"], run["capacity_g"]))
        return told

    def still_runs(self, legs: Sequence[tuple[int, int]]) -> bool:
        """Whether dated departures (row of the departure, minute it leaves) run as told, closures heeded.

        Of a day that this desk does not look at that is believed.
        """
        keys, _ = self._runs
        table = self.model.timetable
        wanted = np.array([row << 32 | at for row, at in legs if table.start <= at < table.end], np.int64)
        return bool(np.isin(wanted, keys).all())

    @cached_property
    def _runs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row of the departure and minute it leaves as one sorted number, and the timetable's row of each."""
        table = self.model.timetable
        keys = table.departure.astype(np.int64) << 32 | table.depart.astype(np.int64)
        order = np.argsort(keys, kind="stable")
        return keys[order], order

    def chargeable_g(self, weight_g: float, sides: Sequence[float | None]) -> float:
        """The greater of actual and volumetric weight."""
        volume = (sides[0] or 0.0) * (sides[1] or 0.0) * (sides[2] or 0.0)
        return max(weight_g, volume / self.feed.info.volumetric_divisor_mm3_per_g)

    def _end(self, at: str, spot: Spot, faults: list[Fault]) -> End | None:
        if spot.node is None and spot.country is None:
            faults.append(Fault(at, "missing_place", "no place is named", "give node, or country and postal_code"))
            return None
        end = self.places.find(spot.node, spot.country, spot.postal_code)
        if end is None and spot.node is not None:
            faults.append(
                Fault(f"{at}.node", "unknown_node", "the network has no such node", "take a node_id of the feed")
            )
        elif end is None:
            faults.append(Fault(f"{at}.postal_code", "unknown_zone", "no zone of the network covers it", "name a node"))
        return end

    def _due(self, service: dict[str, Any] | None, ready: int, origin: End, destination: End) -> int | None:
        """As network.place has it: hours from being ready, else the end of a day at the destination."""
        if service is None:
            return None
        if service["due_hours"] is not None:
            return ready + int(Fraction(str(service["due_hours"])) * 60)
        if service["due_days"] is None:
            return None
        wall = utc_to_local(self.timezones[origin.node], np.array([ready]))[0] // DAY
        end = (int(wall) + service["due_days"]) * DAY + DAY - 1
        return int(local_to_utc(self.timezones[destination.node], np.array([end]))[0])

    def _reasons(self, asked: Asked) -> list[str]:
        """Why there is no way. Whether more days would help is told as far as the desk looks."""
        row = dict.fromkeys(PARCELS, 0) | asked.ask._asdict() | {
            "order_id": "", "unknown_node": False, "unknown_zone": False,
        }  # fmt: skip
        parcel = pl.DataFrame([row]).select(pl.col(name).cast(kind) for name, kind in PARCELS.items())
        if not bool(self.roads.joined(parcel, LIMITS)[0]):
            return why_unassigned(self.roads, parcel, np.array([False])).to_list()[0]
        net, table = self.model.timetable.net, self.model.timetable
        none = len(table.cutoff)
        row = first_row(asked.ask.origin, asked.ask.start_at, net.node_from, net.node_rows, table.cutoff, none)
        return ["after_last_departure"] if row == none else ["beyond_horizon"]


@dataclass(frozen=True)
class Room:
    """What is left on the departures of a model that have a limit, and what it is worth by the last wave."""

    rows: NDArray[np.int64]  # (L) the limited ones
    seats: NDArray[np.float64]  # (L) left
    grams: NDArray[np.float64]
    prices: Prices

    def closed(self, pieces: float, grams: float) -> frozenset[int]:
        """Rows without room for so much at once."""
        return frozenset(self.rows[(self.seats < pieces) | (self.grams < grams)].tolist())


@dataclass
class Drawer:
    """The desks of a model, by prices and by what is closed: policies outlive a change of loads that leaves these."""

    _of: OrderedDict[tuple[bytes, frozenset[int]], Desk] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, model: Model, prices: Prices, closed: frozenset[int]) -> Desk:
        """The desk that counts; most that are asked for are here."""
        key = (prices.seat.tobytes() + prices.kilogram.tobytes() if prices.seat.any() else b"", closed)
        with self._lock:
            desk = self._of.get(key)
            if desk is None:
                seat = prices.seat.copy()
                seat[sorted(closed)] = CLOSED
                desk = Desk(model, replace(prices, seat=seat), closed, MOST_BYTES // MOST_DESKS)
                self._of[key] = desk
                while len(self._of) > MOST_DESKS:
                    self._of.popitem(last=False)
            self._of.move_to_end(key)
        return desk


def counter_of(feed_id: str, model: Model, room: Room) -> Counter:
    """The counter of a compiled feed."""
    feed = model.feed
    services = {row["service_id"]: row for row in feed.services.iter_rows(named=True)}
    for row in services.values():
        row["modes"] = sum(1 << MODES.index(mode) for mode in set(row["modes"])) or (1 << len(MODES)) - 1
    return Counter(
        feed_id=feed_id,
        model=model,
        places=Places.of(feed),
        roads=Roads(feed.nodes, feed.lanes, feed.departures),
        services=services,
        timezones=feed.nodes["timezone"].to_list(),
        pickups=(feed.zones["pickup_minutes"].to_list(), feed.zones["pickup_cost"].to_list()),
        room=room,
        desks=Drawer(),
    )
