"""The world sample: air hubs, ports, customs, depots and the lanes between them over all continents."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rookery.network.sample.atlas import (
    DEPOTS,
    EXPORT_PORTS,
    EXPORTERS,
    GATES,
    LAND_BORDERS,
    LOW_WAGE,
    ORIGINS,
    PORTS,
    RETURN_PORTS,
)
from rookery.network.sample.country import link_pick_up_points
from rookery.network.sample.draft import AIR, COLD_TRUCK, TRUCK, WEEK, Draft, Haul
from rookery.network.sample.facts import airport, city, customs_area, distance_km, largest_cities, slug
from rookery.network.sample.seas import sailing_km
from rookery.network.sample.tiny import draft_services

SHUTTLE = replace(TRUCK, per_parcel=0.03, per_kg=0.02)
CLEARANCE = replace(TRUCK, per_parcel=0.35, per_kg=0.05)  # the customs agent's fee rides on the way out of customs
CROSSING = replace(TRUCK, per_kg_100km=0.08, accepts="general|battery|liquid")
SHIP = Haul(
    "sea",
    "SEA-A",
    36,
    1440,
    1440,
    "sea",
    0.08,
    0,
    0.28,
    0,
    20_000_000,
    10_000,
    "general|battery|liquid|oversize",
)
RAIL = replace(
    TRUCK,
    mode="rail",
    carrier="RAIL-A",
    speed_kmh=45,
    fixed_minutes=240,
    per_kg_100km=0.015,
    max_side_mm=None,
)
FEEDER = replace(AIR, carrier="AIR-C", speed_kmh=600, accepts="general|battery|liquid")
FREIGHTER = replace(AIR, carrier="AIR-B", accepts="general|battery|liquid", per_kg=0.9, max_weight_g=70_000)
ROAD_KM = 1500  # beyond this a depot is fed by air and a port by rail


@dataclass(frozen=True)
class Gate:
    """One air hub: three nodes on one airfield, and how much of the world's trade passes it (1 to 3)."""

    iata: str
    size: int
    area: str
    airport: str
    customs: str
    hub: str


def draft_world(seed: int) -> Draft:
    """About 950 nodes. A border is crossed only into an airport, a port or a customs node; flights inside one customs
    area go from hub to hub, so that no parcel slips past customs."""
    draft = Draft("Sample: world (synthetic)", seed)
    draft.calendar("daily")
    draft.calendar("mon-sat", "1111110")
    draft.calendar("tue-sun", "0111111")
    for index, day in enumerate(WEEK):
        draft.calendar(f"weekly-{day[:3]}", "".join("1" if index == other else "0" for other in range(7)))
    draft.spread_of_transit("road", 0.15)
    draft.spread_of_transit("air", 0.08, tail=0.3)
    draft.spread_of_transit("sea", 0.12, tail=0.1)
    draft.spread_of_transit("last-mile", 0.3)
    for country in sorted({*DEPOTS, *ORIGINS}):
        draft.calendar(f"work-{country}", "1111110", country)

    gates = [_gate(draft, iata, size) for iata, size in GATES.items()]
    _flights(draft, gates)
    _hub_trucks(draft, gates)
    _ports(draft, gates)
    for country, count in ORIGINS.items():
        _origins(draft, country, count, gates)
    for country, count in DEPOTS.items():
        _depots(draft, country, count, gates)
    draft.size("hub", "airport")
    draft_services(draft, saver=35)
    return draft


def _gate(draft: Draft, iata: str, size: int) -> Gate:
    place = airport(iata)
    beside = [place._replace(lat=round(place.lat + off, 4), lon=round(place.lon + off, 4)) for off in (0.01, 0.03)]
    hours = {} if size == 3 else {"open_from": "06:00", "open_until": "23:00"}
    node = draft.node(iata, "airport", place, handling_minutes=int(draft.rng.integers(6, 10)) * 15)
    customs = draft.node(
        f"{iata}-CUS",
        "customs",
        beside[0],
        f"{iata} customs",
        handling_minutes=int(draft.rng.integers(8, 17)) * 15,
        **hours,
    )
    hub = draft.node(
        f"{iata}-HUB", "hub", beside[1], f"{iata} hub", handling_minutes=int(draft.rng.integers(6, 11)) * 15
    )
    draft.connect(hub, node, SHUTTLE, draft.spread(20), "daily", minutes=20)
    draft.connect(node, customs, SHUTTLE, draft.spread(20), "daily", minutes=15)
    draft.connect(customs, hub, CLEARANCE, draft.spread(20), "daily", minutes=20)
    return Gate(iata, size, customs_area(place.country), node, customs, hub)


def _flights(draft: Draft, gates: list[Gate]) -> None:
    """Flights between airports across borders and between hubs inside an area, more often between larger gates."""
    large = [gate.airport for gate in gates if gate.size == 3]
    main = {
        gate.airport: draft.nearest(gate.airport, [node for node in large if node != gate.airport])[0] for gate in gates
    }
    for a in gates:
        for b in gates:
            km = draft.km(a.airport, b.airport)
            runs = 0 if a == b else _runs_a_day(a, b, km)
            if not runs:
                continue
            ways = (a.hub, b.hub) if a.area == b.area else (a.airport, b.airport)
            # Freighters take batteries: between the largest gates, from each gate to its main one and on few others.
            spine = a.size + b.size == 6 or main[a.airport] == b.airport or main[b.airport] == a.airport
            freight = max(1, runs // 2) if spine or draft.rng.random() < 0.1 else 0
            back_haul = 0.75 if b.area in EXPORTERS and a.area not in EXPORTERS else 1.0
            for haul, count in ((FREIGHTER, freight), (_belly(draft), runs - freight)):
                if count:
                    haul = replace(
                        haul,
                        fixed_minutes=haul.fixed_minutes + (120 if km > 9000 else 0),  # a stop for fuel
                        per_kg_100km=haul.per_kg_100km * back_haul * draft.rng.uniform(0.9, 1.1),
                    )
                    calendar = "daily" if count > 1 else ("daily", "mon-sat", "tue-sun")[draft.rng.integers(3)]
                    draft.connect(*ways, haul, draft.spread(count), calendar)


def _runs_a_day(a: Gate, b: Gate, km: float) -> int:
    if km > 13_000 or km < (600 if a.area == b.area else 300):
        return 0
    runs = int(a.size * b.size / (1 + km / 8000))
    return min(5, max(runs, 1 if 3 in (a.size, b.size) else 0))


def _belly(draft: Draft) -> Haul:
    """Room under the passengers: no batteries, liquids mostly, chilled goods on some lanes."""
    accepts = "general" + "|liquid" * (draft.rng.random() < 0.8) + "|cold" * (draft.rng.random() < 0.3)
    return replace(
        AIR,
        carrier=("AIR-A", "AIR-C")[draft.rng.integers(2)],
        accepts=accepts,
        max_weight_g=int(draft.rng.integers(3, 8)) * 10_000,
        max_side_mm=int(draft.rng.integers(12, 17)) * 100,
        capacity_g=int(draft.rng.integers(2, 5)) * 5_000_000,
    )


def _truck(draft: Draft) -> Haul:
    """A truck of one of two carriers, prices a little apart; one in three is chilled."""
    haul = COLD_TRUCK if draft.rng.random() < 0.35 else TRUCK
    return replace(haul, per_kg_100km=haul.per_kg_100km * draft.rng.uniform(0.8, 1.3))


def _hub_trucks(draft: Draft, gates: list[Gate]) -> None:
    """Line-hauls inside a customs area, and over land borders into the customs of the other side."""
    for a in gates:
        for b in gates:
            km = draft.km(a.hub, b.hub)
            if a == b:
                continue
            if a.area == b.area and km < 3200:
                draft.connect(a.hub, b.hub, _truck(draft), draft.spread(4), "daily")
            elif frozenset((a.area, b.area)) in LAND_BORDERS and km < 1800:
                draft.connect(a.hub, b.customs, CROSSING, draft.spread(3), "daily")


def _ports(draft: Draft, gates: list[Gate]) -> None:
    """Ports with their own customs, ships between them, trucks or trains to the nearest hubs of the area."""
    places = {port: city(country, lat, lon) for port, (country, lat, lon, _) in PORTS.items()}
    for port, place in places.items():
        calendar = f"work-{place.country}"
        node = draft.node(port, "port", place, f"Port of {place.name}", handling_minutes=1440)
        customs = draft.node(
            f"{port}-CUS",
            "customs",
            place,
            f"{place.name} port customs",
            handling_minutes=360,
            calendar_id=calendar,
            open_from="07:00",
            open_until="19:00",
        )
        draft.connect(node, customs, SHUTTLE, draft.spread(3, 360, 1080), calendar, minutes=30)
        for hub in _hubs(draft, port, gates)[:3]:
            inland = RAIL if draft.km(port, hub) > ROAD_KM else TRUCK
            draft.connect(hub, node, inland, draft.spread(2), calendar)
            clearance = replace(inland, per_parcel=CLEARANCE.per_parcel)
            draft.connect(customs, hub, clearance, draft.spread(3, 480, 1320), calendar)
    sailing = sailing_km({port: (places[port], marks) for port, (*_, marks) in PORTS.items()})
    for (a, b), km in sailing.items():
        outward = a in EXPORT_PORTS and 700 < km < 27_000
        if customs_area(places[a].country) != customs_area(places[b].country) and (outward or b in RETURN_PORTS):
            ship = replace(SHIP, carrier=("SEA-A", "SEA-B")[draft.rng.integers(2)])
            weekly = f"weekly-{WEEK[draft.rng.integers(7)][:3]}"
            draft.connect(a, b, ship, [int(draft.rng.integers(0, 1440))], weekly, km=km)


def _hubs(draft: Draft, node: str, gates: list[Gate]) -> list[str]:
    """The hubs of a node's customs area, the nearest first."""
    area = customs_area(draft.places[node].country)
    return draft.nearest(node, [gate.hub for gate in gates if gate.area == area])


def _near_hubs(draft: Draft, node: str, gates: list[Gate]) -> list[str]:
    """The nearest hub, and the second nearest where it is not much farther."""
    hubs = _hubs(draft, node, gates)
    return hubs[:1] + [hub for hub in hubs[1:2] if draft.km(node, hub) < 300 + 1.6 * draft.km(node, hubs[0])]


def _origins(draft: Draft, country: str, count: int, gates: list[Gate]) -> None:
    """Warehouses that ship to the world, in the cities within a day's drive of a hub, two or so to a city."""
    hubs = [draft.places[gate.hub] for gate in gates if gate.area == customs_area(country)]
    within = [
        place
        for place in largest_cities(country, 2 * count, apart_km=20)
        if min(distance_km(place, hub) for hub in hubs) < 700
    ]
    cities = within[: max(1, round(0.6 * count))]
    for index in range(count):
        place = cities[index % len(cities)]
        node = draft.node(
            f"{country}-{slug(place.name)}-W{1 + index // len(cities)}",
            "origin",
            place,
            f"{place.name} warehouse",
        )
        for rank, hub in enumerate(_near_hubs(draft, node, gates)):
            draft.connect(node, hub, _truck(draft), draft.spread(7 - 3 * rank, 600, 1380), f"work-{country}")
            draft.connect(hub, node, _truck(draft), draft.spread(1, 300, 600), f"work-{country}")


def _depots(draft: Draft, country: str, count: int, gates: list[Gate]) -> None:
    """Depots in the largest cities with their zones; pick-up points beside the first of them."""
    calendar = f"work-{country}"
    hours = {"calendar_id": calendar, "open_from": "05:00", "open_until": "22:00"}
    base = 0.7 if country in LOW_WAGE else 1.4
    prefix = 10
    for rank, place in enumerate(largest_cities(country, count)):
        depot = draft.node(f"{country}-{slug(place.name)}", "depot", place, handling_minutes=45, **hours)
        for second, hub in enumerate(_near_hubs(draft, depot, gates)):
            far = draft.km(depot, hub) > ROAD_KM
            haul = FEEDER if far else _truck(draft)
            draft.connect(hub, depot, haul, draft.spread(2 if far else 7 - 3 * second), calendar)
            draft.connect(depot, hub, haul, draft.spread(2 if far else 6 - 3 * second, 600, 1380), calendar)
        cost = base + float(draft.rng.uniform(0, 0.5))
        for _ in range(1 + (rank < count / 3) + (rank < count / 10)):
            draft.zone(depot, str(prefix), int(draft.rng.integers(18, 42)) * 10, cost)
            prefix += 1
        if rank == 0:
            draft.zone(depot, "", 720, base + 1.5)
        if rank < count // 6:
            link_pick_up_points(draft, depot, calendar)
