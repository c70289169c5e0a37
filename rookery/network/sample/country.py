"""The country sample: Germany with seven sort hubs, night line-hauls, a few domestic flights, depots and lockers."""

from __future__ import annotations

import math
from dataclasses import replace

from rookery.network.sample.draft import AIR, TRUCK, VAN, Draft
from rookery.network.sample.facts import Place, airport, city, distance_km, largest_cities, slug
from rookery.network.sample.tiny import draft_services

HUBS = {  # name: lat, lon
    "Hamburg": (53.55, 10.0),
    "Hannover": (52.4, 9.7),
    "Berlin": (52.5, 13.4),
    "Leipzig": (51.34, 12.4),
    "Koeln": (50.95, 6.95),
    "Frankfurt": (50.1, 8.7),
    "Munich": (48.14, 11.58),
}
AIRPORTS = {"HAM": "Hamburg", "LEJ": "Leipzig", "CGN": "Koeln", "MUC": "Munich"}
POSTAL_REGIONS = {  # first digit: lat, lon of its middle
    "0": (51.2, 13.0),
    "1": (52.7, 13.3),
    "2": (53.6, 9.7),
    "3": (51.9, 10.0),
    "4": (51.6, 7.2),
    "5": (50.5, 7.1),
    "6": (49.8, 8.3),
    "7": (48.6, 8.8),
    "8": (48.1, 11.2),
    "9": (49.8, 11.3),
}
SORTED_BY = 22 * 60  # line-hauls leave when the evening's collection is sorted


def draft_country(seed: int) -> Draft:
    """About 120 nodes; collection in the evening, sorting and line-hauls at night, delivery from the morning on."""
    draft = Draft("Sample: country (synthetic Germany)", seed)
    for calendar, days, holidays in (
        ("daily", "1111111", None),
        ("work-DE", "1111110", "DE"),
        ("nights", "1111101", None),
    ):
        draft.calendar(calendar, days, holidays)
    draft.spread_of_transit("road", 0.15)
    draft.spread_of_transit("air", 0.08, tail=0.25)
    draft.spread_of_transit("last-mile", 0.3)

    hubs = {
        name: draft.node(f"{slug(name)}-HUB", "hub", city("DE", *at), f"{name} hub", handling_minutes=75)
        for name, at in HUBS.items()
    }
    _link_hubs(draft, hubs)
    hours = {"calendar_id": "work-DE", "open_from": "05:00", "open_until": "22:00"}
    depots = [
        draft.node(f"DE-{slug(place.name)}", "depot", place, handling_minutes=45, **hours)
        for place in largest_cities("DE", 52, apart_km=25)
    ]
    for depot in depots:
        _link_depot(draft, depot, draft.nearest(depot, hubs.values())[:2])
    for place in largest_cities("DE", 14, apart_km=60):
        warehouse = draft.node(f"DE-{slug(place.name)}-W", "origin", place, f"{place.name} warehouse")
        for hub in draft.nearest(warehouse, hubs.values())[:2]:
            draft.connect(warehouse, hub, TRUCK, draft.spread(4, 16 * 60, 22 * 60), "work-DE")
            draft.connect(hub, warehouse, TRUCK, draft.spread(1, 300, 480), "work-DE")
    for depot in depots[:22]:
        link_pick_up_points(draft, depot, "work-DE")
    draft.size("hub", "airport")
    _zones(draft, depots)
    draft_services(draft, express=1, standard=3)
    return draft


def _link_hubs(draft: Draft, hubs: dict[str, str]) -> None:
    for a in hubs.values():
        for b in hubs.values():
            if a != b:
                draft.connect(a, b, TRUCK, draft.spread(3, SORTED_BY, SORTED_BY + 240), "nights")
                draft.connect(a, b, TRUCK, draft.spread(1, 600, 840), "work-DE")
    freighter = replace(AIR, fixed_minutes=30, cutoff_minutes=60, speed_kmh=650, capacity_g=15_000_000, per_kg=0.6)
    for iata, name in AIRPORTS.items():
        node = draft.node(iata, "airport", airport(iata), handling_minutes=45)
        draft.connect(hubs[name], node, TRUCK, draft.spread(3, 21 * 60, 25 * 60), "daily")
        draft.connect(node, hubs[name], TRUCK, draft.spread(3, 60, 6 * 60), "daily")
    for a in AIRPORTS:
        for b in AIRPORTS:
            if a != b and draft.km(a, b) > 300:
                accepts = "general|battery" if draft.rng.random() < 0.25 else "general|liquid"
                draft.connect(a, b, replace(freighter, accepts=accepts), draft.spread(1, 23 * 60, 26 * 60), "nights")


def _link_depot(draft: Draft, depot: str, hubs: list[str]) -> None:
    for rank, hub in enumerate(hubs):
        draft.connect(hub, depot, TRUCK, draft.spread(5 - 2 * rank, 120, 600), "work-DE")
        draft.connect(depot, hub, TRUCK, draft.spread(4 - rank, 17 * 60, 22 * 60), "work-DE")


def link_pick_up_points(draft: Draft, depot: str, calendar: str) -> None:
    """A parcel station and a locker beside a depot, served by van three times a day."""
    for letter, kind, handling in (("S", "station", 15), ("L", "locker", 5)):
        place = draft.places[depot]
        off = draft.rng.uniform(-0.06, 0.06, 2).round(4)
        place = place._replace(lat=round(place.lat + off[0], 4), lon=round(place.lon + off[1], 4))
        point = draft.node(f"{depot}-{letter}", kind, place, f"{place.name} {kind}", handling_minutes=handling)
        draft.connect(depot, point, VAN, draft.spread(3, 420, 1080), calendar)
        draft.connect(point, depot, VAN, draft.spread(2, 540, 1140), calendar)


def _zones(draft: Draft, depots: list[str]) -> None:
    """Two-digit prefixes laid in a circle round the middle of the first digit's region, served from the nearest."""
    for digit, (lat, lon) in POSTAL_REGIONS.items():
        for second in range(10):
            angle = math.radians(36 * second)
            middle = Place("", "DE", lat + 0.5 * math.sin(angle), lon + 0.8 * math.cos(angle), "")
            depot = min(depots, key=lambda node: (distance_km(draft.places[node], middle), node))
            km = distance_km(draft.places[depot], middle)
            draft.zone(depot, f"{digit}{second}", int(180 + 1.5 * km) // 10 * 10, 1.5 + 0.004 * km)
    draft.zone(depots[0], "", 600, 4.5)
