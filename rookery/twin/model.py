"""What the twin is told: how parcels choose their way, what trouble there is, and how an experiment is written."""

from __future__ import annotations

from datetime import datetime
from math import isfinite
from typing import Literal, get_args

from msgspec import Struct, field

from rookery.terms.errors import InvalidInput

Policy = Literal["follow", "itinerary", "greedy", "reoptimise"]
POLICIES: dict[Policy, str] = {
    "follow": "seats as planned; whoever misses one looks its next move up in the policy, among departures with room",
    "itinerary": "the planned legs and nothing else: whoever misses one waits for the next departure of the same lane",
    "greedy": "no plan: everyone takes the way that were cheapest if nothing were full; first come, first served",
    "reoptimise": "everything planned anew every so many hours, from where it is; in between as with `follow`",
}
SHARES = (
    "correlation", "delay_share", "cancel_share", "bad_day_share", "lost_share", "damaged_share", "misrouted_share",
    "hold_share", "failed_attempt_share",
)  # fmt: skip
"""Fields of Trouble that are shares, 0 to 1."""
BOUNDS = {
    "dwell_sigma": (0.0, 3.0),
    "delay_minutes": (0.0, 10_080.0),
    "hold_minutes": (0.0, 43_200.0),
    "bad_day_factor": (1.0, 100.0),
    "region_degrees": (0.1, 360.0),
}
"""Least and most of the others."""


class Trouble(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What goes wrong beside the transit times that the feed tells. Without any of it the world is what a plan assumes.

    Raises InvalidInput, with all of them, for shares outside 0 to 1 and for times that make no sense.
    """

    correlation: float = 0.0
    """Of transit times (and delays) of departures that leave one region on one day: 0 independent, 1 all alike."""
    region_degrees: float = 10.0
    """Side of the squares of latitude and longitude that share their weather."""
    dwell_sigma: float = 0.0
    """Handling takes a log-normal multiple of its minutes, median 1, one draw for what arrives together."""
    delay_share: float = 0.0
    """Of departures that leave late ..."""
    delay_minutes: float = 60.0
    """... by so many minutes in the mean (exponential)."""
    cancel_share: float = 0.0
    """Of departures that do not run, which is known at their cut-off."""
    bad_day_share: float = 0.0
    """Of the days of every node that is a hub, airport, port, customs post or depot ..."""
    bad_day_factor: float = 3.0
    """... on which handling takes so many times as long and an hour's capacity is so many times smaller."""
    lost_share: float = 0.0
    """Of legs."""
    damaged_share: float = 0.0
    """Of legs."""
    misrouted_share: float = 0.0
    """Of legs: loaded onto the node's next departure to somewhere else."""
    hold_share: float = 0.0
    """Of parcels handled at a customs post, which are held ..."""
    hold_minutes: float = 1440.0
    """... for so many minutes in the mean (exponential)."""
    failed_attempt_share: float = 0.0
    """Of attempts to deliver; the next one is a day later, and after the third the parcel counts as not delivered."""

    def __post_init__(self) -> None:
        faults = [
            f"{name} is {value:g} and should be a share from 0 to 1"
            for name in SHARES
            if not 0 <= (value := getattr(self, name)) <= 1
        ]
        faults += [
            f"{name} is {value:g} and should be from {least:g} to {most:,g}"
            for name, (least, most) in BOUNDS.items()
            if not (isfinite(value := getattr(self, name)) and least <= value <= most)
        ]
        if faults:
            raise InvalidInput("twin.trouble", f"The trouble makes no sense: {'; '.join(faults)}.", "mend the numbers")


CALM = Trouble()
"""The world as a plan assumes it."""
ROUGH = Trouble(
    correlation=0.5,
    dwell_sigma=0.3,
    delay_share=0.1,
    delay_minutes=60.0,
    cancel_share=0.01,
    bad_day_share=0.02,
    bad_day_factor=3.0,
    lost_share=0.0001,
    damaged_share=0.0005,
    misrouted_share=0.001,
    hold_share=0.02,
    hold_minutes=1440.0,
    failed_attempt_share=0.05,
)
"""A world in which everything goes wrong now and then. The figures are invented, for rehearsals."""
TROUBLES: dict[str, Trouble] = {"calm": CALM, "rough": ROUGH}


class Incident(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A closure that nobody knew of when the plan was made: a row of closures.csv, and when it becomes known."""

    from_at: datetime
    until_at: datetime
    node_id: str | None = None
    lane_id: str | None = None
    departure_id: str | None = None
    capacity_factor: float | None = None
    delay_minutes: int = 0
    reason: str | None = None

    def __post_init__(self) -> None:
        named = [name for name in ("node_id", "lane_id", "departure_id") if getattr(self, name) is not None]
        naive = [name for name in ("from_at", "until_at") if getattr(self, name).tzinfo is None]
        if len(named) != 1 or naive:
            what = f"{' and '.join(naive)} has no offset" if naive else f"it names {' and '.join(named) or 'nothing'}"
            raise InvalidInput(
                "twin.incident", f"An incident makes no sense: {what}.", "name one thing, and instants with an offset"
            )


class Experiment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file that says what is to be tried: who chooses how, under what trouble, how often.

    every_hours: of `reoptimise`; outcomes: K of the plan; scale_volume: so many times the orders; base, trouble: a
    world that has a name, and what is different in this one; known_at: when the incidents become known (default: when
    the first begins).
    """

    name: str
    policies: tuple[Policy, ...] = ("follow",)
    runs: int = 5
    seed: int = 0
    every_hours: float = 1.0
    outcomes: int = 8
    scale_volume: float = 1.0
    base: Literal["calm", "rough"] = "calm"
    trouble: dict[str, float] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()
    known_at: datetime | None = None


assert tuple(POLICIES) == get_args(Policy)
