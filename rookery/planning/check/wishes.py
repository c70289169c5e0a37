"""What each order asks for, re-derived from the order file: places, times, weights, limits and prices."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import polars as pl

from rookery.planning.check.days import local_day, utc_minute
from rookery.planning.check.runs import Distributions
from rookery.terms.frames import Feed
from rookery.terms.goods import DEFAULT_CONFIDENCE, DEFAULT_LATE_COST, UNASSIGNED_PER_LATE

_NOTHING: frozenset[str] = frozenset()  # one for all: an empty set of its own is a third of a wish


class Wish(NamedTuple):
    """One order as the network must serve it; minutes UTC, prices per piece, places as rows of the feed."""

    order_id: str
    origin: int  # -1 = unknown
    destination: int
    missing: frozenset[str]  # unknown_node, unknown_zone
    timezone: str  # of the destination
    ready: int
    start: int  # ready at the origin node
    due: int | None
    weight: float
    side: float
    chargeable: float
    goods: str
    modes: frozenset[str]  # empty = all
    service_id: str | None
    confidence: float
    late_cost: float
    late_cost_per_day: float
    time_cost_per_day: float
    unassigned_cost: float
    fixed_cost: float  # pick-up and delivery
    delivery: tuple[int, ...]  # minutes after the last node, one per outcome
    pieces: int

    def alike(self) -> tuple[Any, ...]:
        """What two parcels share when one backward pass serves both, wherever and whenever they start."""
        return (
            self.destination, self.delivery, self.due, self.late_cost, self.late_cost_per_day,
            self.time_cost_per_day, self.chargeable, self.weight, self.side, self.goods, self.modes,
        )  # fmt: skip

    def lateness(self, delivered: int) -> float:
        """What being delivered then costs for lateness, a piece."""
        if self.due is None or delivered <= self.due:
            return 0.0
        return self.late_cost + self.late_cost_per_day * -((self.due - delivered) // 1440)


def wishes(feed: Feed, orders: pl.DataFrame, outcomes: int) -> list[Wish]:
    """Every order that can be planned, in file order: one for a service the feed lacks is left out of plans."""
    places = _Places(feed)
    services = {row["service_id"]: row for row in feed.services.iter_rows(named=True)}
    law = Distributions(feed.transit)
    return [
        _wish(order, places, services, law, feed, outcomes)
        for order in orders.iter_rows(named=True)
        if order["service_id"] is None or order["service_id"] in services
    ]


def _wish(
    order: dict[str, Any],
    places: _Places,
    services: dict[str, dict[str, Any]],
    law: Distributions,
    feed: Feed,
    outcomes: int,
) -> Wish:
    origin, pickup, from_missing = places.find(order["from_node"], order["from_country"], order["from_postal_code"])
    destination, zone, to_missing = places.find(order["to_node"], order["to_country"], order["to_postal_code"])
    service = services.get(order["service_id"], {})
    late_cost = _first(order["late_cost"], service.get("late_cost"), DEFAULT_LATE_COST)
    length, width, height = order["length_mm"], order["width_mm"], order["height_mm"]
    volumetric = (length or 0) * (width or 0) * (height or 0) / feed.info.volumetric_divisor_mm3_per_g
    fixed, delivery = 0.0, (0,) * outcomes
    start = order["ready_at"]
    if pickup:
        start += pickup["pickup_minutes"] or 0
        fixed += pickup["pickup_cost"] or 0.0
    if zone:
        delivery = tuple(law.minutes(zone["delivery_minutes"] or 0, zone["delivery_id"], outcomes))
        fixed += zone["delivery_cost"] or 0.0
    return Wish(
        order_id=order["order_id"],
        origin=origin,
        destination=destination,
        missing=frozenset(from_missing | to_missing) or _NOTHING,
        timezone="UTC" if destination < 0 else places.timezone[destination],
        ready=order["ready_at"],
        start=start,
        due=_due(order, service, places.timezone, origin, destination),
        weight=order["weight_g"],
        side=max(length or 0.0, width or 0.0, height or 0.0),
        chargeable=max(order["weight_g"], volumetric),
        goods=order["goods"] or "general",
        modes=frozenset(service.get("modes") or ()) or _NOTHING,
        service_id=order["service_id"],
        confidence=_first(service.get("confidence"), DEFAULT_CONFIDENCE),
        late_cost=late_cost,
        late_cost_per_day=_first(service.get("late_cost_per_day"), 0.0),
        time_cost_per_day=_first(service.get("time_cost_per_day"), 0.0),
        unassigned_cost=_first(service.get("unassigned_cost"), UNASSIGNED_PER_LATE * late_cost),
        fixed_cost=fixed,
        delivery=delivery,
        pieces=_first(order["pieces"], 1),
    )


def _due(
    order: dict[str, Any], service: dict[str, Any], timezone: list[str], origin: int, destination: int
) -> int | None:
    """The order's due time, else the service's hours from ready, else its days: 23:59 at the destination."""
    if order["due_at"] is not None:
        return order["due_at"]
    if service.get("due_hours") is not None:
        return order["ready_at"] + int(Fraction(str(service["due_hours"])) * 60)
    if service.get("due_days") is not None and origin >= 0 and destination >= 0:
        day = local_day(timezone[origin], order["ready_at"]) + service["due_days"]
        return utc_minute(timezone[destination], day, 1439)
    return None


class _Places:
    """Where an order starts or ends: a node, or the zone of an address."""

    def __init__(self, feed: Feed):
        self.timezone = feed.nodes["timezone"].to_list()
        self._node = {node_id: i for i, node_id in enumerate(feed.nodes["node_id"].to_list())}
        self._zone: dict[tuple[str, str], dict[str, Any]] = {}
        for zone in feed.zones.iter_rows(named=True):
            self._zone.setdefault((zone["country"], zone["postal_prefix"] or ""), zone)

    def find(
        self, node_id: str | None, country: str | None, postal: str | None
    ) -> tuple[int, dict[str, Any] | None, set[str]]:
        """Row of the node, the zone when it is an address, and what is not known about it."""
        if node_id is not None:
            node = self._node.get(node_id, -1)
            return node, None, {"unknown_node"} if node < 0 else set()
        postal = postal or ""
        for length in range(len(postal), -1, -1):  # the longest prefix wins
            zone = self._zone.get((country or "", postal[:length]))
            if zone is not None:
                return self._node[zone["node_id"]], zone, set()
        return -1, None, {"unknown_zone"}


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)
