"""A feed being written: rows are gathered with readable calls, then saved as the CSV files of the feed format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np
import polars as pl

from rookery.network.sample.facts import Place, distance_km
from rookery.terms.frames import FeedInfo
from rookery.terms.time import DAY

FIRST_DAY, LAST_DAY = date(2026, 1, 1), date(2027, 12, 31)
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SHIFT_HOURS = 8
QUANTILES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

COLUMNS = {
    "nodes": "node_id name kind lat lon country timezone handling_minutes calendar_id open_from open_until "
    "capacity_per_hour",
    "lanes": "lane_id from_node to_node mode carrier_id accepts max_weight_g max_side_mm",
    "departures": "departure_id lane_id calendar_id depart_time cutoff_minutes transit_minutes transit_id "
    "capacity_g capacity_parcels cost_per_parcel cost_per_kg",
    "transit": "transit_id quantile factor",
    "calendars": f"calendar_id {' '.join(WEEK)} start_on end_on holidays",
    "zones": "zone_id country postal_prefix node_id delivery_minutes delivery_id delivery_cost "
    "pickup_minutes pickup_cost",
    "services": "service_id name due_days confidence late_cost late_cost_per_day time_cost_per_day modes",
}


@dataclass(frozen=True)
class Haul:
    """How runs of a lane are timed, filled and priced; `None` = no limit. Money in EUR, distances as the crow flies."""

    mode: str
    carrier: str
    speed_kmh: float
    fixed_minutes: int  # loading, taxiing, finding the gate
    cutoff_minutes: int
    transit_id: str
    per_parcel: float
    per_parcel_100km: float
    per_kg: float
    per_kg_100km: float
    capacity_g: int
    capacity_parcels: int
    accepts: str
    max_weight_g: int | None = None
    max_side_mm: int | None = None

    def minutes(self, km: float) -> int:
        """Median minutes from departure to arrival, to the next five."""
        return 5 * max(1, round((self.fixed_minutes + km / self.speed_kmh * 60) / 5))


# Speeds carry the detour: 70 km/h on the road is some 55 as the crow flies.
TRUCK = Haul(
    "truck",
    "ROAD-A",
    55,
    20,
    30,
    "road",
    0.05,
    0.02,
    0.02,
    0.06,
    8_000_000,
    3000,
    "general|battery|liquid|oversize",
)
COLD_TRUCK = Haul(
    "truck",
    "ROAD-B",
    55,
    20,
    30,
    "road",
    0.06,
    0.02,
    0.03,
    0.07,
    8_000_000,
    3000,
    "general|battery|liquid|oversize|cold",
)
VAN = Haul(
    "van",
    "VAN-A",
    35,
    10,
    15,
    "road",
    0.12,
    0.05,
    0.03,
    0.1,
    800_000,
    250,
    "general|battery|liquid",
    35_000,
    1500,
)
AIR = Haul("air", "AIR-A", 800, 45, 90, "air", 0.25, 0, 0.7, 0.036, 20_000_000, 8000, "general", 50_000, 1500)


class Draft:
    """The rows of a feed, and the one random generator that every free choice is drawn from."""

    def __init__(self, name: str, seed: int):
        self.info = FeedInfo(name=name, version=f"seed {seed}", currency="EUR")
        self.rng = np.random.default_rng(seed)
        self.rows: dict[str, list[dict[str, Any]]] = {table: [] for table in COLUMNS}
        self.places: dict[str, Place] = {}
        self.lanes: set[str] = set()

    def node(self, node_id: str, kind: str, place: Place, name: str | None = None, **columns: Any) -> str:
        """Adds a node at a place; a taken id gets the next free number. Returns the id."""
        stem, number = node_id, 1
        while node_id in self.places:
            number += 1
            node_id = f"{stem}-{number}"
        self.places[node_id] = place
        self.rows["nodes"].append(
            {"node_id": node_id, "name": name or place.name, "kind": kind}
            | {"lat": place.lat, "lon": place.lon, "country": place.country, "timezone": place.timezone}
            | columns
        )
        return node_id

    def km(self, a: str, b: str) -> float:
        """Great-circle kilometres between two nodes."""
        return distance_km(self.places[a], self.places[b])

    def nearest(self, node: str, among: Iterable[str]) -> list[str]:
        """The nodes of `among` from the nearest on (ties by id)."""
        return sorted(among, key=lambda other: (self.km(node, other), other))

    def connect(
        self,
        a: str,
        b: str,
        haul: Haul,
        times: Sequence[int],
        calendar: str,
        minutes: int | None = None,
        km: float | None = None,
    ) -> None:
        """Adds a lane from a to b and its departures at `times` (minutes after local midnight) on a calendar's days.

        A lane of the same carrier between the two only gains departures.
        """
        lane = f"{a}:{b}:{haul.carrier}"
        km = self.km(a, b) if km is None else km
        if lane not in self.lanes:
            self.lanes.add(lane)
            self.rows["lanes"].append(
                {"lane_id": lane, "from_node": a, "to_node": b, "mode": haul.mode, "carrier_id": haul.carrier}
                | {
                    "accepts": haul.accepts,
                    "max_weight_g": haul.max_weight_g,
                    "max_side_mm": haul.max_side_mm,
                }
            )
        for time in sorted({int(time) // 5 * 5 % DAY for time in times}):
            self.rows["departures"].append(
                {
                    "departure_id": f"{lane}:{calendar}:{time // 60:02d}{time % 60:02d}",
                    "lane_id": lane,
                    "calendar_id": calendar,
                    "depart_time": clock(time),
                    "cutoff_minutes": haul.cutoff_minutes,
                    "transit_minutes": haul.minutes(km) if minutes is None else minutes,
                    "transit_id": haul.transit_id,
                    "capacity_g": haul.capacity_g,
                    "capacity_parcels": haul.capacity_parcels,
                    "cost_per_parcel": round(haul.per_parcel + haul.per_parcel_100km * km / 100, 2),
                    "cost_per_kg": round(haul.per_kg + haul.per_kg_100km * km / 100, 3),
                }
            )

    def size(self, *kinds: str) -> None:
        """Gives the nodes of these kinds a capacity_per_hour, in hundreds.

        One shift works off what can leave the node in a day, and the largest vehicle that comes is no match for it.
        """
        ends = {row["lane_id"]: (row["from_node"], row["to_node"]) for row in self.rows["lanes"]}
        leaving, largest = dict.fromkeys(self.places, 0), dict.fromkeys(self.places, 0)
        for row in self.rows["departures"]:
            a, b = ends[row["lane_id"]]
            leaving[a] += row["capacity_parcels"]
            largest[b] = max(largest[b], row["capacity_parcels"])
        for row in self.rows["nodes"]:
            if row["kind"] in kinds:
                node = row["node_id"]
                row["capacity_per_hour"] = math.ceil(max(leaving[node] / SHIFT_HOURS, largest[node]) / 100) * 100

    def spread(self, count: int, first: int = 0, last: int = DAY) -> list[int]:
        """`count` times of day between two minutes, evenly spread from a random start and each a little off."""
        step = (last - first) / count
        start = self.rng.uniform(0, step)
        return [int(first + start + i * step + self.rng.uniform(-0.2, 0.2) * step) % DAY for i in range(count)]

    def calendar(self, calendar_id: str, days: str = "1111111", holidays: str | None = None) -> str:
        """Adds a calendar, days as seven 0/1 from Monday on; closed on the public holidays of a country when given."""
        self.rows["calendars"].append(
            {"calendar_id": calendar_id, "start_on": FIRST_DAY, "end_on": LAST_DAY, "holidays": holidays}
            | {day: int(runs) for day, runs in zip(WEEK, days, strict=True)}
        )
        return calendar_id

    def spread_of_transit(self, transit_id: str, sigma: float, tail: float = 0.0) -> None:
        """Adds log-normal factors around 1 at the median; `tail` lengthens what lies above the 0.8 quantile."""
        for quantile in QUANTILES:
            factor = np.exp(sigma * NormalDist().inv_cdf(quantile)) + tail * max(0.0, quantile - 0.8) / 0.2
            self.rows["transit"].append(
                {"transit_id": transit_id, "quantile": quantile, "factor": round(float(factor), 3)}
            )

    def zone(self, node: str, prefix: str, minutes: int, cost: float) -> None:
        """Adds the addresses of a postal prefix ("" = the whole country) to what a depot delivers and picks up."""
        country = self.places[node].country
        self.rows["zones"].append(
            {
                "zone_id": f"{country}-{prefix or 'ALL'}",
                "country": country,
                "postal_prefix": prefix,
                "node_id": node,
            }
            | {"delivery_minutes": minutes, "delivery_id": "last-mile", "delivery_cost": round(cost, 2)}
            | {"pickup_minutes": 150, "pickup_cost": round(cost * 0.6, 2)}
        )

    def service(self, service_id: str, name: str, **columns: Any) -> None:
        """Adds a service."""
        self.rows["services"].append({"service_id": service_id, "name": name, "confidence": 0.95} | columns)

    def write(self, folder: Path, sample: str) -> None:
        """Writes feed.json, which says what `sample` it is of, and the CSV files, rows in the order they were added."""
        info = msgspec.to_builtins(self.info) | {"sample": sample}
        (folder / "feed.json").write_bytes(msgspec.json.format(msgspec.json.encode(info)) + b"\n")
        for table, columns in COLUMNS.items():
            names = columns.split()
            rows = self.rows[table]
            pl.DataFrame({name: [row.get(name) for row in rows] for name in names}).write_csv(folder / f"{table}.csv")


def clock(minute: int) -> str:
    """Minutes after midnight as HH:MM."""
    return f"{minute // 60:02d}:{minute % 60:02d}"
