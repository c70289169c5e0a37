"""A quote at the checkout: what each delivery date costs."""

from __future__ import annotations

from datetime import datetime

import polars as pl
from msgspec import Struct

from rookery.flows.checking import refuse_another_feed
from rookery.flows.planning import Plan, horizon_of, model_of, refuse_senseless
from rookery.network import place
from rookery.orders import check_orders
from rookery.planning.frontier import frontier
from rookery.planning.ops import Model
from rookery.planning.results import prices_of
from rookery.planning.tables import Journey
from rookery.terms.errors import InvalidInput, NotFound
from rookery.terms.frames import Feed
from rookery.terms.ids import DepartureId, LaneId, NodeId
from rookery.terms.time import from_minute


class Leg(Struct, frozen=True):
    """One ride of an itinerary along median times; instants in UTC, cost a piece in the feed's currency."""

    departure_id: DepartureId
    lane_id: LaneId
    carrier_id: str | None
    mode: str
    from_node: NodeId
    to_node: NodeId
    cutoff_at: datetime
    depart_at: datetime
    arrive_at: datetime
    cost: float


class Offer(Struct, frozen=True):
    """One choice: its expected cost, the day end it is promised for, the chance of keeping that, the itinerary.

    cost = transport (carrying, picking up and delivering) + congestion (what it takes from others where room is scarce:
    shadow prices; 0 without a plan's prices). The legs tell what each ride is charged, without shadow prices.
    """

    cost: float
    transport: float
    congestion: float
    promised_at: datetime
    expected_at: datetime
    probability: float
    legs: list[Leg]


def promise(
    feed: Feed,
    *,
    origin: str,
    to: str,
    ready_at: datetime,
    weight_g: float,
    goods: str = "general",
    confidence: float = 0.95,
    length_mm: float | None = None,
    width_mm: float | None = None,
    height_mm: float | None = None,
    outcomes: int = 8,
    horizon_days: int | None = None,
    prices: Plan | None = None,
) -> list[Offer]:
    """The frontier of (cost, promised date) for one parcel, earliest first: every later offer is cheaper.

    origin: a node; to: a node, or CC:POSTAL; prices: the last plan of this feed, whose shadow prices make what is full
    dear. Empty when nothing keeps every outcome deliverable within the horizon.
    Raises InvalidInput for wishes that make no sense or a plan of another feed, NotFound for an unknown node or zone.
    """
    refuse_senseless(outcomes)
    if prices is not None:
        refuse_another_feed(feed, prices)
    if not 0 < confidence <= 1:
        raise InvalidInput(
            "promise.confidence", f"A confidence of {confidence} is not above 0 and up to 1.", "try 0.95"
        )
    country, colon, postal = to.partition(":")
    known = to in feed.nodes["node_id"]
    by_zone = bool(colon) and not known
    wish = {
        "order_id": "quote",
        "from_node": origin,
        "to_node": None if by_zone else to,
        "to_country": country if by_zone else None,
        "to_postal_code": postal if by_zone else None,
        "ready_at": ready_at,
        "weight_g": weight_g,
        "length_mm": length_mm,
        "width_mm": width_mm,
        "height_mm": height_mm,
        "goods": goods,
    }
    orders = check_orders(pl.DataFrame([wish], infer_schema_length=None).select(pl.all().exclude(pl.Null)))
    parcel, _ = place(feed, orders.frame)
    if parcel["unknown_node"][0]:
        missing = [name for name in (origin, to) if not by_zone and name not in feed.nodes["node_id"]] or [origin]
        raise NotFound("promise.unknown_node", f"The feed has no node {missing[0]!r}.", "take a node_id of nodes.csv")
    if parcel["unknown_zone"][0]:
        raise NotFound("promise.unknown_zone", f"No zone of the feed covers {to!r}.", "add a row to zones.csv")
    start = int(parcel["start_at"][0])
    model = model_of(feed, start, horizon_of(feed, horizon_days), outcomes)
    if parcel["origin"][0] == parcel["destination"][0]:
        raise InvalidInput("promise.same_place", f"{origin!r} already serves {to!r}.", "name two different places")
    shadow = None if prices is None else prices_of(model, prices.loads, prices.hours)
    return [
        Offer(
            cost=offer.cost,
            transport=offer.cost - offer.congestion,
            congestion=offer.congestion,
            promised_at=from_minute(offer.promised_at),
            expected_at=from_minute(round(offer.journey.expected_at)),
            probability=offer.probability,
            legs=legs_of(model, offer.journey, float(parcel["chargeable_g"][0])),
        )
        for offer in frontier(model, parcel, confidence, shadow)
    ]


def legs_of(model: Model, journey: Journey, chargeable_g: float) -> list[Leg]:
    """The itinerary of a journey in words users know."""
    feed, table = model.feed, model.timetable
    return [
        Leg(
            departure_id=feed.departures["departure_id"][int(table.departure[row])],
            lane_id=feed.lanes["lane_id"][int(table.lane[row])],
            carrier_id=feed.lanes["carrier_id"][int(table.lane[row])],
            mode=feed.lanes["mode"][int(table.lane[row])],
            from_node=feed.nodes["node_id"][int(table.net.frm[row])],
            to_node=feed.nodes["node_id"][int(table.net.to[row])],
            cutoff_at=from_minute(int(table.cutoff[row])),
            depart_at=from_minute(int(table.depart[row])),
            arrive_at=from_minute(int(table.median_arrive[row])),
            cost=float(table.net.fixed[row] + table.net.per_kg[row] * chargeable_g / 1000.0),
        )
        for row in journey.legs.tolist()
    ]
