"""How far ships sail: the shortest way over a small chart of sea marks, since great circles cross land."""

from __future__ import annotations

import heapq

from rookery.network.sample.facts import Place, distance_km

MARKS = {  # lat, lon of open water
    "korea": (34.0, 127.5),
    "east-china": (30.5, 123.5),
    "honshu": (34.5, 141.0),
    "luzon": (21.5, 119.5),
    "pearl": (21.8, 114.3),
    "manila": (14.3, 119.8),
    "south-china": (9.5, 109.5),
    "siam": (8.0, 103.0),
    "singapore": (1.2, 103.9),
    "malacca": (3.0, 100.7),
    "aceh": (6.0, 95.0),
    "java": (-5.5, 106.5),
    "dondra": (5.6, 80.5),
    "bombay": (18.0, 71.5),
    "hormuz": (25.5, 57.0),
    "guardafui": (12.3, 51.8),
    "bab": (12.4, 43.6),
    "jeddah": (20.5, 38.3),
    "suez": (31.5, 32.3),
    "crete": (34.5, 23.0),
    "dardanelles": (39.8, 25.5),
    "sicily": (37.2, 11.2),
    "gibraltar": (36.0, -5.8),
    "finisterre": (43.4, -9.9),
    "ushant": (48.9, -5.8),
    "dover": (51.2, 1.8),
    "skagen": (58.0, 10.8),
    "sound": (55.0, 13.0),
    "mombasa": (-4.2, 40.5),
    "reunion": (-27.0, 52.0),
    "durban": (-30.2, 31.8),
    "cape": (-35.2, 18.5),
    "guinea": (4.0, 3.4),
    "solomon": (-4.5, 154.5),
    "brisbane": (-27.0, 155.0),
    "norfolk": (-33.5, 172.5),
    "panama-west": (7.2, -80.0),
    "panama-east": (9.6, -79.8),
    "windward": (20.0, -74.0),
}
WAYS = """
    korea:east-china honshu:korea honshu:east-china east-china:luzon luzon:pearl pearl:south-china
    luzon:south-china pearl:manila luzon:manila manila:singapore south-china:singapore
    south-china:siam siam:singapore singapore:java singapore:malacca malacca:aceh aceh:dondra
    dondra:bombay dondra:guardafui dondra:mombasa bombay:hormuz bombay:guardafui hormuz:guardafui
    guardafui:bab bab:jeddah jeddah:suez suez:crete crete:dardanelles crete:sicily sicily:gibraltar
    gibraltar:finisterre finisterre:ushant ushant:dover dover:skagen skagen:sound java:reunion
    dondra:reunion mombasa:reunion reunion:durban durban:cape reunion:cape cape:guinea
    manila:solomon east-china:solomon honshu:solomon solomon:brisbane brisbane:norfolk
    solomon:norfolk honshu:panama-west panama-west:panama-east panama-east:windward
"""


def sailing_km(ports: dict[str, tuple[Place, tuple[str, ...]]]) -> dict[tuple[str, str], float]:
    """Kilometres by sea between all ordered pairs of ports, given with position and the marks they sail from."""
    where = {name: Place(name, "", lat, lon, "") for name, (lat, lon) in MARKS.items()}
    ways = [tuple(way.split(":")) for way in WAYS.split()]
    for port, (place, marks) in ports.items():
        where[port] = place
        ways += [(port, mark) for mark in marks]
    beside: dict[str, list[tuple[str, float]]] = {name: [] for name in where}
    for a, b in ways:
        km = distance_km(where[a], where[b])
        beside[a].append((b, km))
        beside[b].append((a, km))
    return {
        (start, end): km
        for start in ports
        for end, km in _shortest(beside, start, through=frozenset(MARKS)).items()
        if end in ports and end != start
    }


def _shortest(beside: dict[str, list[tuple[str, float]]], start: str, through: frozenset[str]) -> dict[str, float]:
    """Dijkstra from one port; ways pass marks only, never another port."""
    best: dict[str, float] = {}
    heap = [(0.0, start)]
    while heap:
        km, here = heapq.heappop(heap)
        if here in best:
            continue
        best[here] = km
        if here == start or here in through:
            for there, more in beside[here]:
                if there not in best:
                    heapq.heappush(heap, (km + more, there))
    return best
