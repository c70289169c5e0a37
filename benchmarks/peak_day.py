"""A seeded synthetic peak day: 600 nodes, 40 hubs, 7 days, 351,673 dated departures, parcels in one of two forms.

*Plain*: one class of parcel, 1 kg, never late, all of a price per parcel. *Real*: three services with due days,
weights, half of each price per kilogram, batteries that most long lanes do not carry. `network` and `parcels` give both
as arrays, `feed` and `orders` in Rookery's own formats; sizes can be chosen to see how time and memory grow.
`capacity_parcels` and `capacity_g` are what departures hold: half as much again as their lane carries when nothing is
ever full.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.terms.frames import FEED, ORDERS, Feed, FeedInfo, empty

SERVICES = {  # share of parcels, due_days, late_cost
    "express": (0.2, 2, 8.0),
    "standard": (0.5, 4, 5.0),
    "saver": (0.3, 6, 2.0),
}
TIME_COST_PER_DAY = {"plain": 1.44, "real": 0.2}
UNASSIGNED_COST = 60.0
BATTERY_SHARE = 0.08
LONG_HAUL_KM = 800
BARRED_SHARE = 0.7
DWELL = 60
SIGMA = 0.3
START = 29_678_400  # minutes from 1970 to 2026-06-06T00:00Z
HEADROOM = 1.5  # capacity as a multiple of the mean load of a lane's departures over the first days
FIRST_DAYS = 2
LEAST_PARCELS, LEAST_G = 40.0, 20_000.0

Form = Literal["plain", "real"]


@dataclass(frozen=True)
class Network:
    """Repeating departures (D) of a synthetic network, all times in minutes of the day, distances in km."""

    positions: NDArray  # (nodes, 2) km
    frm: NDArray
    to: NDArray
    minute: NDArray
    ride: NDArray  # minutes, without dwell
    cost: NDArray  # float32
    long_haul: NDArray
    days: int


def network(nodes: int = 600, hubs: int = 40, days: int = 7, per_day: int = 57_000, seed: int = 0) -> Network:
    """The network: every node tied to its five nearest hubs, hubs to one another."""
    r = np.random.default_rng(seed)
    positions = r.random((nodes, 2)) * np.array([12_000, 6_000.0])
    hub = np.arange(hubs)
    pairs = []
    for i in range(nodes):
        away = np.hypot(*(positions[hub] - positions[i]).T)
        for h in hub[np.argsort(away)[:5]]:
            if h != i:
                pairs += [(i, int(h)), (int(h), i)]
        if i < hubs:
            pairs += [(i, int(j)) for j in hub if j != i]
    lanes = np.array(sorted(set(pairs)))
    distance = np.hypot(*(positions[lanes[:, 0]] - positions[lanes[:, 1]]).T)
    repeats = r.poisson(max(1, per_day // len(lanes)), len(lanes)).clip(1)
    lane = np.repeat(np.arange(len(lanes)), repeats)
    minute = r.integers(0, 1440, len(lane))
    far = distance[lane] > LONG_HAUL_KM
    hours = np.where(far, 2.5 + distance[lane] / 800, distance[lane] / 70)
    cost = (0.05 + distance[lane] * np.where(far, 4e-4, 1.2e-4)).astype(np.float32)
    return Network(positions, lanes[lane, 0], lanes[lane, 1], minute, (hours * 60).astype(int), cost, far, days)


def dated(net: Network) -> tuple[NDArray, ...]:
    """Dated departures in order of time: from, to, depart minute, arrive minute (dwell included), cost, long haul."""
    tile = _repeating(net)
    depart = net.minute[tile] + 1440 * np.repeat(np.arange(net.days), len(net.frm))
    arrive = depart + net.ride[tile] + DWELL
    return net.frm[tile], net.to[tile], depart, arrive, net.cost[tile], net.long_haul[tile]


def parcels(count: int = 4_000_000, nodes: int = 600, seed: int = 1) -> tuple[NDArray, NDArray, NDArray]:
    """Origin, destination, ready minute, population-weighted, half of them ready around 18:00."""
    r = np.random.default_rng(seed)
    weight = r.lognormal(0, 1.0, nodes)
    weight /= weight.sum()
    origin, destination = (r.choice(nodes, count, p=weight).astype(np.int32) for _ in range(2))
    same = origin == destination
    destination[same] = (destination[same] + 1) % nodes
    ready = np.where(r.random(count) < 0.5, r.normal(1080, 120, count), r.random(count) * 1440)
    return origin, destination, ready.clip(0, 1439).astype(np.int64)


def kinds(count: int = 4_000_000, seed: int = 2) -> tuple[NDArray, NDArray, NDArray]:
    """Service (place in SERVICES), grams and whether it holds a battery, of each parcel of the real form."""
    r = np.random.default_rng(seed)
    service = r.choice(len(SERVICES), count, p=[share for share, _, _ in SERVICES.values()])
    grams = np.minimum(30_000, np.ceil(400 * r.lognormal(0, 1.0, count)))
    return service, grams, r.random(count) < BATTERY_SHARE


def capacity_parcels(net: Network, loads: NDArray) -> NDArray[np.float64]:
    """Parcels that each repeating departure holds, from the free-flow parcels on each dated one (order of `dated`)."""
    return np.maximum(LEAST_PARCELS, np.ceil(HEADROOM * _mean_of_lane(net, loads)))


def capacity_g(net: Network, grams: NDArray) -> NDArray[np.float64]:
    """Grams that each repeating departure holds, from the free-flow grams on each dated one (order of `dated`)."""
    return np.maximum(LEAST_G, HEADROOM * _mean_of_lane(net, grams))


def every_day(net: Network, values: NDArray) -> NDArray:
    """What repeating departures have, for each dated one (order of `dated`)."""
    return values[_repeating(net)]


def _repeating(net: Network) -> NDArray[np.int64]:
    """Which repeating departure each dated one is a run of, in the order of `dated`."""
    depart = np.concatenate([net.minute + 1440 * day for day in range(net.days)])
    return np.argsort(depart, kind="stable") % len(net.frm)


def _mean_of_lane(net: Network, loads: NDArray) -> NDArray[np.float64]:
    """Mean load of all runs of a departure's lane within the first days."""
    _, lane = np.unique(net.frm.astype(np.int64) * len(net.positions) + net.to, return_inverse=True)
    repeating = _repeating(net)
    # dated departures are in order of time: whole days come first
    first = min(FIRST_DAYS, net.days) * len(net.frm)
    of = lane[repeating[:first]]
    return (np.bincount(of, loads[:first]) / np.bincount(of))[lane]


def _barred(net: Network, nodes: int, seed: int = 3) -> NDArray[np.bool_]:
    """Which departures run on long-haul lanes that carry no batteries: a seeded 70% of those lanes."""
    code = net.frm.astype(np.int64) * nodes + net.to
    lanes = np.unique(code[net.long_haul])
    return np.isin(code, lanes[np.random.default_rng(seed).random(len(lanes)) < BARRED_SHARE])


def feed(
    net: Network,
    form: Form = "real",
    *,
    capacity_parcels: NDArray | None = None,
    capacity_g: NDArray | None = None,
) -> Feed:
    """The network as a feed, with log-normal transit times.

    capacity_parcels, capacity_g: one number a repeating departure (see the functions of these names); None = unlimited.
    """
    nodes = len(net.positions)
    real = form == "real"
    per_kg = 0.5 if real else 0.0
    services = SERVICES if real else {"plain": (1.0, None, 0.0)}
    names = np.array([f"N{place:04d}" for place in range(nodes)])
    code = net.frm.astype(np.int64) * nodes + net.to
    lanes, first, lane = np.unique(code, return_index=True, return_inverse=True)
    lane_ids = np.array([f"L{place:05d}" for place in range(len(lanes))])
    barred, far = real & _barred(net, nodes)[first], net.long_haul[first]
    minute = [f"{place:06d}" for place in range(len(net.frm))]
    quantiles = np.round(np.linspace(0.01, 0.99, 99), 2)
    factors = [round(float(np.exp(SIGMA * NormalDist().inv_cdf(q))), 4) for q in quantiles]
    everyday = {day: [True] for day in list(FEED["calendars"])[1:8]}
    tables = {
        "nodes": {
            "node_id": names,
            "name": names,
            "kind": ["hub" if place < 40 else "depot" for place in range(nodes)],
            "lat": 45 + net.positions[:, 1] / 111.0 - 27,
            "lon": net.positions[:, 0] / 111.0 - 54,
            "country": ["XX"] * nodes,
            "timezone": ["UTC"] * nodes,
            "handling_minutes": [DWELL] * nodes,
        },
        "lanes": {
            "lane_id": lane_ids,
            "from_node": names[lanes // nodes],
            "to_node": names[lanes % nodes],
            "mode": np.where(far, "air", "truck"),
            "accepts": [["general"] if bar else ["general", "battery"] for bar in barred],
        },
        "departures": {
            "departure_id": minute,
            "lane_id": lane_ids[lane],
            "calendar_id": ["daily"] * len(net.frm),
            "depart_minute": net.minute,
            "cutoff_minutes": np.zeros(len(net.frm)),
            "transit_minutes": np.maximum(net.ride, 1),
            "transit_id": ["spread"] * len(net.frm),
            "capacity_g": [None] * len(net.frm) if capacity_g is None else capacity_g,
            "capacity_parcels": [None] * len(net.frm) if capacity_parcels is None else capacity_parcels,
            "cost_per_parcel": net.cost.astype(np.float64) * (1 - per_kg),
            "cost_per_kg": net.cost.astype(np.float64) * per_kg,
        },
        "transit": {"transit_id": ["spread"] * 99, "quantile": quantiles, "factor": factors},
        "calendars": {"calendar_id": ["daily"], **everyday, "start_on": ["2026-06-06"], "end_on": ["2030-01-01"]},
        "services": {
            "service_id": list(services),
            "name": list(services),
            "due_days": [days for _, days, _ in services.values()],
            "confidence": [0.95] * len(services),
            "late_cost": [late for _, _, late in services.values()],
            "late_cost_per_day": [0.0] * len(services),
            "time_cost_per_day": [TIME_COST_PER_DAY[form]] * len(services),
            "unassigned_cost": [UNASSIGNED_COST] * len(services),
            "modes": [[]] * len(services),
        },
    }
    frames: dict[str, Any] = {name: _frame(schema, tables.get(name, {})) for name, schema in FEED.items()}
    return Feed(FeedInfo(f"peak day of {nodes} nodes", "1", "EUR"), **frames)


def orders(count: int, nodes: int = 600, form: Form = "real") -> pl.DataFrame:
    """Orders as an order file has them (ready_at and weights included)."""
    origin, destination, ready = parcels(count, nodes)
    service, grams, battery = kinds(count)
    names = pl.Series([f"N{place:04d}" for place in range(nodes)])
    at = pl.Series((ready + START) * 60_000_000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    common = {
        "order_id": pl.select(pl.format("P{}", pl.int_range(count)))[:, 0],
        "from_node": names.gather(origin),
        "to_node": names.gather(destination),
        "ready_at": at,
    }
    if form == "plain":
        same = {"weight_g": 1000.0, "goods": "general", "service_id": "plain"}
        return pl.DataFrame(common).with_columns(**{name: pl.lit(value) for name, value in same.items()})
    return pl.DataFrame(
        {
            **common,
            "weight_g": grams,
            "goods": pl.Series(np.where(battery, "battery", "general")),
            "service_id": pl.Series(list(SERVICES)).gather(service),
        }
    )


def order_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """`orders` in the schema in which read orders are held."""
    held = frame.with_columns(
        ready_at=pl.col("ready_at").dt.epoch("s") // 60, pieces=pl.lit(1), line=pl.int_range(2, pl.len() + 2)
    )
    return _frame(ORDERS, {name: held[name] for name in held.columns})


def _frame(schema: dict, columns: dict) -> pl.DataFrame:
    """A frame in `schema`: the columns given, cast, and nulls for the others."""
    if not columns:
        return empty(schema)
    given = pl.DataFrame({name: pl.Series(values) for name, values in columns.items()})
    with_line = given if "line" in given.columns else given.with_row_index("line", offset=2)
    every = [
        (pl.col(name).str.to_date() if kind == pl.Date else pl.col(name).cast(kind))
        if name in with_line.columns
        else pl.lit(None, dtype=kind).alias(name)
        for name, kind in schema.items()
    ]
    return with_line.select(every)
