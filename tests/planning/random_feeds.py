"""Small random networks and orders: clock changes, holidays, closed weekends, limits, spreads, closures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from random import Random

import polars as pl
from hypothesis import strategies as st

from rookery.terms.frames import FEED, ORDERS, Feed, FeedInfo

# three days before a clock change somewhere, a leap day, a holiday
STARTS = [(2024, 3, 8), (2024, 3, 29), (2024, 10, 25), (2024, 11, 1), (2024, 12, 23), (2024, 2, 28), (2024, 10, 4)]
TIMEZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "America/Havana",
    "Asia/Kathmandu",
]
HOURS = [(None, None), (None, None), (480, 1080), (1320, 1800), (0, 1440), (150, 1410)]
CALENDARS = ["daily", "daily", "weekdays", "holidays", "odd"]
ACCEPTS = [["general", "battery"], ["general", "battery", "liquid"], ["general"]] * 4 + [["battery"]]
TRANSIT = {
    "narrow": [(0.1, 0.85), (0.5, 1.0), (0.9, 1.37)],
    "skewed": [(0.05, 0.331), (0.5, 1.0), (0.8, 1.91), (0.99, 4.7)],
    "ends": [(0.0, 0.9), (1.0, 1.1)],
    "late": [(0.5, 1.0), (0.50001, 1.0), (0.75, 3.3333)],
    "point": [(0.5, 1.07)],
}


@dataclass(frozen=True)
class Case:
    """A network, its orders and what to plan."""

    feed: Feed
    orders: pl.DataFrame
    start: datetime
    horizon_days: int
    outcomes: int


@st.composite
def cases(draw, outcomes: tuple[int, ...] = (1, 2, 3, 4, 8)) -> Case:
    """A random network of 3 to 6 nodes with a handful of orders, over three to five days of departures."""
    return build(draw(st.randoms(use_true_random=False)), outcomes)


@st.composite
def tight_cases(draw, outcomes: tuple[int, ...] = (1, 2, 4)) -> Case:
    """A random case whose departures and nodes hold less than what everyone's cheapest way would bring them."""
    random = draw(st.randoms(use_true_random=False))
    return tight(build(random, outcomes), random)


def build(random: Random, outcomes: tuple[int, ...]) -> Case:
    """The case that a source of chance gives."""
    start = datetime(*random.choice(STARTS), random.choice([0, 5, 12]), tzinfo=UTC)
    k = random.choice(outcomes)
    nodes = [_node(random, i) for i in range(random.randint(3, 6))]
    names = [node["node_id"] for node in nodes]
    ring = list(zip(names, [*names[1:], names[0]], strict=True))  # so that most places can be reached, by chains
    ends = [*ring[random.choice([0, 0, 0, 1]) :], *(random.sample(names, 2) for _ in range(random.randint(1, 5)))]
    lanes = [_lane(random, i, origin, to) for i, (origin, to) in enumerate(ends)]
    per_lane = 3 if k < 4 else 2
    departures = [
        _departure(random, f"{lane['lane_id']}.{i}", lane["lane_id"])
        for lane in lanes
        for i in range(random.choice([0] + [1, 2, 3, 3][: per_lane + 1] * 3))
    ]
    first = start.date()
    tables = {
        "nodes": nodes,
        "lanes": lanes,
        "departures": departures,
        "transit": [
            {"transit_id": name, "quantile": q, "factor": f} for name, points in TRANSIT.items() for q, f in points
        ],
        "calendars": _calendars(random, first),
        "calendar_dates": [
            {"calendar_id": random.choice(CALENDARS), "date": first + timedelta(i), "runs": random.random() < 0.5}
            for i in range(6)
            if random.random() < 0.3
        ],
        "zones": _zones(random, names),
        "services": _service_rows(random),
        "closures": [
            _closure(random, start, names, departures)
            for _ in range(random.choice([0, 0, 1, 2, 3]) if departures else 0)
        ],
    }
    frames = {name: frame(rows, FEED[name]) for name, rows in tables.items()}
    feed = Feed(FeedInfo("random", "1", "EUR"), **frames)
    orders = frame([_order(random, i, names, start) for i in range(random.randint(3, 6))], ORDERS)
    return Case(feed, orders, start, random.randint(3, 5), k)


def tight(case: Case, random: Random) -> Case:
    """The case with three more of every order, a little later each, and little room on departures and in nodes."""
    more = [
        case.orders.with_columns(pl.col("ready_at") + 20 * i, order_id=pl.format("{}x{}", "order_id", pl.lit(i)))
        for i in range(1, 4)
    ]
    departures, nodes = case.feed.departures, case.feed.nodes
    departures = departures.with_columns(
        capacity_parcels=_chosen(random, departures, [None, 1.0, 2.0, 3.0, 5.0]),
        capacity_g=_chosen(random, departures, [None, None, 900.0, 2600.0, 6000.0]),
    )
    nodes = nodes.with_columns(capacity_per_hour=_chosen(random, nodes, [None, None, 1.0, 2.5, 4.0]))
    feed = replace(case.feed, departures=departures, nodes=nodes)
    return replace(case, feed=feed, orders=pl.concat([case.orders, *more]))


def roomy(case: Case) -> Case:
    """The case without any capacity."""
    unlimited = pl.lit(None, pl.Float64)
    departures = case.feed.departures.with_columns(capacity_parcels=unlimited, capacity_g=unlimited)
    nodes = case.feed.nodes.with_columns(capacity_per_hour=unlimited)
    return replace(case, feed=replace(case.feed, departures=departures, nodes=nodes))


def _chosen(random: Random, frame: pl.DataFrame, choices: list[float | None]) -> pl.Series:
    return pl.Series([random.choice(choices) for _ in range(frame.height)], dtype=pl.Float64)


def timeless(case: Case) -> Case:
    """The case where time costs nothing: many policies cost the same until one is late."""
    return _services(case, time_cost_per_day=pl.lit(0.0))


def dear(case: Case) -> Case:
    """The case where being late costs a million and a ride on one of the departures twenty."""
    dearest = pl.when(pl.int_range(pl.len()) == 0).then(2e7).otherwise("cost_per_parcel")
    departures = case.feed.departures.with_columns(cost_per_parcel=dearest)
    case = replace(case, feed=replace(case.feed, departures=departures))
    return _services(case, late_cost=pl.lit(1e6), unassigned_cost=pl.lit(5e7))


def even(case: Case) -> Case:
    """The case where all rides cost the same and time nothing: costs tie on purpose."""
    departures = case.feed.departures.with_columns(cost_per_parcel=pl.lit(2.5), cost_per_kg=pl.lit(0.1))
    return timeless(replace(case, feed=replace(case.feed, departures=departures)))


def weighty(case: Case) -> Case:
    """The case where every order comes in eight further weights, so that classes hold more than fit their columns."""
    more = [
        case.orders.with_columns(pl.col("weight_g") + 37.5 * i, order_id=pl.format("{}+{}", "order_id", pl.lit(i)))
        for i in range(1, 9)
    ]
    return replace(case, orders=pl.concat([case.orders, *more]))


def _services(case: Case, **changed: pl.Expr) -> Case:
    return replace(case, feed=replace(case.feed, services=case.feed.services.with_columns(**changed)))


def frame(rows: list[dict], schema: dict) -> pl.DataFrame:
    """Rows as a frame of the feed, numbered as lines of a file."""
    return pl.DataFrame([{**row, "line": i + 2} for i, row in enumerate(rows)], schema=schema)


def _node(random: Random, i: int) -> dict:
    opens, closes = random.choice(HOURS)
    return {
        "node_id": f"n{i}", "name": f"node {i}", "kind": "hub", "lat": 0.0, "lon": float(i), "country": "DE",
        "timezone": random.choice(TIMEZONES), "handling_minutes": random.choice([0, 0, 15, 90, 240]),
        "calendar_id": random.choice([None] * 6 + ["weekdays", "holidays", "odd"]),
        "open_from": opens, "open_until": closes,
    }  # fmt: skip


def _lane(random: Random, i: int, origin: str, to: str) -> dict:
    return {
        "lane_id": f"l{i}", "from_node": origin, "to_node": to, "mode": random.choice(["truck", "truck", "air", "sea"]),
        "carrier_id": random.choice([None, "c1"]),
        "accepts": random.choice(ACCEPTS),
        "max_weight_g": random.choice([None] * 8 + [2000.0, 999.5]),
        "max_side_mm": random.choice([None] * 8 + [400.0]),
    }  # fmt: skip


def _departure(random: Random, departure_id: str, lane_id: str) -> dict:
    return {
        "departure_id": departure_id, "lane_id": lane_id, "calendar_id": random.choice(CALENDARS),
        "depart_minute": 30 * random.randint(0, 60), "cutoff_minutes": random.choice([0, 30, 60, 137]),
        "transit_minutes": random.choice([1, 61, 300, 450, 613, 1000]),
        "transit_id": random.choice([None, "narrow", "skewed", "skewed", "ends", "late", "late", "point"]),
        "capacity_g": random.choice([None, 1500.0]), "capacity_parcels": random.choice([None, None, 1.0, 3.0]),
        "cost_per_parcel": random.randint(0, 24) / 4, "cost_per_kg": random.choice([0.0, 0.5, 1.3]),
    }  # fmt: skip


def _calendars(random: Random, first: date) -> list[dict]:
    def calendar(name: str, flags: list[bool], begin: int, end: int, country: str | None = None) -> dict:
        week = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
        span = {"start_on": first + timedelta(begin), "end_on": first + timedelta(end)}
        return {"calendar_id": name, **dict(zip(week, flags, strict=True)), **span, "holidays": country}

    odd = [random.random() < 0.7 for _ in range(7)]
    return [
        calendar("daily", [True] * 7, -30, 30),
        calendar("weekdays", [True] * 5 + [False] * 2, -30, 40),
        calendar("holidays", [True] * 7, -30, 30, random.choice(["DE", "US", "JP"])),
        calendar("odd", odd, random.randint(-5, 1), random.randint(2, 12)),
    ]


def _zones(random: Random, names: list[str]) -> list[dict]:
    def zone(zone_id: str, country: str, prefix: str) -> dict:
        return {
            "zone_id": zone_id, "country": country, "postal_prefix": prefix, "node_id": random.choice(names),
            "delivery_minutes": random.choice([0, 61, 480, 1440]), "delivery_id": random.choice([None, *TRANSIT]),
            "delivery_cost": random.randint(0, 12) / 4, "pickup_minutes": random.choice([0, 45, 300]),
            "pickup_cost": random.randint(0, 8) / 4,
        }  # fmt: skip

    return [zone("z0", "DE", ""), zone("z1", "DE", "1"), zone("z2", "DE", "10"), zone("z3", "US", "9")]


def _service_rows(random: Random) -> list[dict]:
    def service(service_id: str, **given) -> dict:
        row = {
            "service_id": service_id, "name": service_id, "confidence": random.choice([0.5, 0.75, 0.9, 0.95]),
            "late_cost": random.choice([0.0, 5.0, 20.0]), "late_cost_per_day": random.choice([0.0, 1.25]),
            "time_cost_per_day": random.choice([0.0, 0.0, 22.5, 2.4]), "modes": [],
        }  # fmt: skip
        return {**row, "unassigned_cost": 50 * row["late_cost"], **given}

    return [
        service("days", due_days=random.randint(0, 3)),
        service("hours", due_hours=random.choice([6.0, 12.5, 18.25, 30.1])),
        service("ever", time_cost_per_day=random.choice([0.0, 11.25])),
        service("modes", due_days=1, modes=random.choice([["truck"], ["truck", "air"], ["sea", "truck"]])),
    ]


def _closure(random: Random, start: datetime, names: list[str], departures: list[dict]) -> dict:
    departure = random.choice(departures)
    what = random.choice(["node_id", "lane_id", "departure_id"])
    value = random.choice(names) if what == "node_id" else departure[what]
    begin = int(start.timestamp() // 60) + random.randint(-600, 3000)
    return {
        what: value, "from_at": begin, "until_at": begin + random.randint(1, 3000),
        "capacity_factor": random.choice([0.0, 0.5, 1.0]), "delay_minutes": random.choice([0, 45, 200]),
        "reason": "storm",
    }  # fmt: skip


def _order(random: Random, i: int, names: list[str], start: datetime) -> dict:
    row: dict = {"order_id": f"o{i}", "pieces": random.choice([1, 1, 2, 3])}
    chosen = dict(zip(("from", "to"), random.sample(names, 2), strict=True))
    for end in ("from", "to"):
        if random.randint(0, 2):
            row[f"{end}_node"] = random.choice([chosen[end]] * 15 + [names[0], "nowhere"])
        else:
            row[f"{end}_country"] = random.choice(["DE"] * 9 + ["US"])
            row[f"{end}_postal_code"] = random.choice(["10115", "1", "20095", "94103", "80331"])
    ready = int(start.timestamp() // 60) + random.randint(-900, 2500)
    sized = random.random() < 0.4
    return {
        **row, "ready_at": ready, "weight_g": random.choice([120.0, 999.5, 1000.0, 2500.0]),
        "length_mm": random.choice([200.0, 400.0, 650.0]) if sized else None,
        "width_mm": 200.0 if sized else None, "height_mm": random.choice([None, 300.0]) if sized else None,
        "goods": random.choice(["general"] * 8 + ["battery", "liquid"]),
        "service_id": random.choice([None, "days", "hours", "ever", "modes"]),
        "due_at": ready + random.randint(60, 3000) if random.random() < 0.5 else None,
        "late_cost": random.choice([None, None, None, 7.5]),
    }  # fmt: skip
