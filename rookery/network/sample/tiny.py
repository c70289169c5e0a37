"""The tiny sample: twelve nodes that a person can read in a spreadsheet."""

from __future__ import annotations

from dataclasses import replace

from rookery.network.sample.draft import AIR, TRUCK, VAN, Draft
from rookery.network.sample.facts import airport, city


def draft_tiny(seed: int) -> Draft:
    """Two origins, a hub and an airport on each side of a border, customs, three depots, a station and a locker.

    Goods cross the border one way only, from China to Germany.
    """
    draft = Draft("Sample: tiny (synthetic)", seed)
    daily = draft.calendar("daily")
    china = draft.calendar("work-CN", "1111110", "CN")
    germany = draft.calendar("work-DE", "1111110", "DE")
    draft.spread_of_transit("road", 0.15)
    draft.spread_of_transit("air", 0.08, tail=0.25)
    draft.spread_of_transit("last-mile", 0.3)

    shenzhen = draft.node("CN-SHENZHEN-W1", "origin", city("CN", 22.5, 114.1), "Shenzhen warehouse")
    leipzig = draft.node("DE-LEIPZIG-W1", "origin", city("DE", 51.3, 12.4), "Leipzig warehouse")
    can_hub = draft.node("CAN-HUB", "hub", airport("CAN"), "Guangzhou hub", handling_minutes=150)
    can = draft.node("CAN", "airport", airport("CAN"), handling_minutes=120)
    lej = draft.node("LEJ", "airport", airport("LEJ"), handling_minutes=120)
    hours = {"open_from": "06:00", "open_until": "22:00"}
    customs = draft.node(
        "LEJ-CUS",
        "customs",
        airport("LEJ"),
        "Leipzig customs",
        handling_minutes=180,
        calendar_id=germany,
        **hours,
    )
    lej_hub = draft.node("LEJ-HUB", "hub", airport("LEJ"), "Leipzig hub", handling_minutes=120)
    depots = [
        draft.node(
            f"DE-{name.upper()}",
            "depot",
            city("DE", lat, lon),
            handling_minutes=60,
            calendar_id=germany,
            **hours,
        )
        for name, lat, lon in (("Berlin", 52.5, 13.4), ("Hamburg", 53.6, 10.0), ("Munich", 48.1, 11.6))
    ]
    berlin, hamburg, munich = depots
    locker = draft.node("DE-BERLIN-L1", "locker", draft.places[berlin], "Berlin locker", handling_minutes=10)
    station = draft.node("DE-HAMBURG-S1", "station", draft.places[hamburg], "Hamburg station", handling_minutes=15)

    draft.connect(shenzhen, can_hub, TRUCK, draft.spread(3, 720, 1320), china)
    draft.connect(can_hub, can, TRUCK, draft.spread(4), daily)
    freighter = replace(AIR, carrier="AIR-B", accepts="general|battery|liquid", per_kg=0.9, capacity_g=40_000_000)
    draft.connect(can, lej, AIR, [int(draft.rng.integers(60, 300)), int(draft.rng.integers(1200, 1400))], daily)
    draft.connect(can, lej, freighter, [int(draft.rng.integers(600, 900))], daily)
    draft.connect(lej, customs, TRUCK, draft.spread(6), daily, minutes=15)
    draft.connect(customs, lej_hub, replace(TRUCK, per_parcel=0.3), draft.spread(6), daily, minutes=15)
    draft.connect(leipzig, lej_hub, TRUCK, draft.spread(3, 720, 1320), germany)
    for depot in depots:
        draft.connect(lej_hub, depot, TRUCK, [*draft.spread(1, 60, 180), *draft.spread(1, 1200, 1380)], germany)
        draft.connect(depot, lej_hub, TRUCK, draft.spread(2, 1020, 1320), germany)
    draft.connect(berlin, locker, VAN, [450, 960], germany, minutes=40)
    draft.connect(locker, berlin, VAN, [540, 1080], germany, minutes=40)
    draft.connect(hamburg, station, VAN, [450, 960], germany, minutes=35)
    draft.connect(station, hamburg, VAN, [540, 1080], germany, minutes=35)

    for depot, prefix, cost in (
        (berlin, "1", 1.6),
        (hamburg, "2", 1.7),
        (munich, "8", 1.8),
        (berlin, "", 2.4),
    ):
        draft.zone(depot, prefix, 240, cost)
    draft_services(draft)
    return draft


def draft_services(draft: Draft, express: int = 3, standard: int = 9, saver: int | None = None) -> None:
    """Express and standard, due after so many days, and saver where there is a slow and cheap way."""
    costs = {"late_cost": 12.0, "late_cost_per_day": 3.0, "time_cost_per_day": 0.5}
    draft.service("express", "Express", due_days=express, modes="air|truck|van", **costs)
    costs = {"late_cost": 6.0, "late_cost_per_day": 1.0, "time_cost_per_day": 0.2}
    draft.service("standard", "Standard", due_days=standard, **costs)
    if saver is not None:
        costs = {"late_cost": 3.0, "late_cost_per_day": 0.3, "time_cost_per_day": 0.02}
        draft.service("saver", "Saver", due_days=saver, **costs)
