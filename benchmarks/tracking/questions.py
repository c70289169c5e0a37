"""What is asked of stored events: where a parcel is, and the standard's queries, by everyone who may ask."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

import numpy as np

from benchmarks.tracking.asking import NEXT
from benchmarks.tracking.life import LIFE
from benchmarks.tracking.numbers import PARCEL, epc, sscc
from benchmarks.tracking.parcels import World, carriers, owners
from benchmarks.tracking.seeding import DAYS, Seeded

TRACE = "trace of a parcel"
KINDS = (
    "any EPC", "business step, a day", "business location, a day", "read point", "event type, an hour", NEXT,
)  # fmt: skip
DELIVERED = '"status":"delivered"'
"""What is true of every parcel that is stored."""
STEPS = tuple(dict.fromkeys(step.step for step in LIFE))


def askers(world: World) -> dict[str, tuple[str, int | None]]:
    """Who asks: name to (key, which shipper or courier it is)."""
    return {
        "operator": (world.operator, None),
        "merchant of half": (world.shippers[0][1], 0),
        "merchant of 5%": (world.shippers[-1][1], len(world.shippers) - 1),
        "courier of 30%": (world.couriers[-1][1], len(world.couriers) - 1),
    }


def traces(world: World, stored: Seeded, many: int, draw: random.Random) -> list[dict[str, str]]:
    """Trackers of parcels, a quarter each of every asker's own."""
    made = []
    for who, theirs in _theirs(world, stored).items():
        for number in _numbers(theirs, -(-many // 4), draw):
            made.append({"kind": TRACE, "who": who, "path": f"/trackers/{number}", "tells": DELIVERED})
    draw.shuffle(made)
    return made


def queries(world: World, stored: Seeded, many: int, draw: random.Random) -> list[dict[str, str]]:
    """Simple event queries, each kind `many` times by each asker, in turn; a page is of the standard's default size."""
    made = []
    numbers = {who: iter(_numbers(theirs, many, draw)) for who, theirs in _theirs(world, stored).items()}
    for _ in range(many):
        for who in numbers:
            for kind in KINDS:
                asked = _query(kind, world, stored, draw, numbers[who])
                path = f"/epcis/events?{urlencode(asked, quote_via=quote)}"
                # of a parcel there are events for everyone who may ask for it; of a day not always
                tells = asked.get("MATCH_anyEPC", '"eventList":[')
                made.append({"kind": kind, "who": who, "path": path, "tells": tells})
    return made


def _query(kind: str, world: World, stored: Seeded, draw: random.Random, numbers: Iterator[str]) -> dict[str, str]:
    node = f"urn:rookery:node:{draw.choice(world.nodes)}"
    if kind == "any EPC":
        return {"MATCH_anyEPC": epc(next(numbers))}
    if kind == "business step, a day":
        return {"EQ_bizStep": draw.choice(STEPS), **_within(stored, draw, timedelta(days=1))}
    if kind == "business location, a day":
        return {"EQ_bizLocation": node, **_within(stored, draw, timedelta(days=1))}
    if kind == "read point":
        return {"EQ_readPoint": node}
    if kind == "event type, an hour":
        kinds = ("ObjectEvent", "AggregationEvent")
        return {"eventType": draw.choice(kinds), **_within(stored, draw, timedelta(hours=1))}
    return {"EQ_bizStep": draw.choice(STEPS)}


def _theirs(world: World, stored: Seeded) -> dict[str, np.ndarray]:
    """The parcels that each asker may ask for."""
    every = np.arange(stored.parcels)
    found = {}
    for who, (_, place) in askers(world).items():
        whose = owners if who.startswith("merchant") else carriers
        found[who] = every if place is None else every[whose(every) == place]
        if not found[who].size:
            raise ValueError(f"of {stored.parcels} parcels none is the {who}'s: store more events")
    return found


def _numbers(theirs: np.ndarray, many: int, draw: random.Random) -> list[str]:
    return sscc(theirs[[draw.randrange(theirs.size) for _ in range(many)]], PARCEL).to_list()


def _within(stored: Seeded, draw: random.Random, wide: timedelta) -> dict[str, str]:
    begins = stored.since + draw.random() * (timedelta(days=DAYS) - wide)
    return {"GE_eventTime": _instant(begins), "LT_eventTime": _instant(begins + wide)}


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
