"""What the check found: violations by code, how many capacities are exceeded, and how much was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

CODES: Mapping[str, str] = MappingProxyType(
    {
        "missing_order": "an order of the file is not in the plan",
        "duplicate_order": "an order is in the plan more than once",
        "unknown_order": "the plan names an order that is not in the file, or one for a service the feed lacks",
        "wrong_status": "the status is neither planned nor unassigned",
        "wrong_service": "the service is not the order's",
        "wrong_chargeable": "the chargeable weight is not max(weight, volume / divisor)",
        "wrong_due": "the due time is not the order's",
        "wrong_leg_count": "the number of legs is not that of the rows in legs.parquet, or seq is not 1, 2, ...",
        "stray_leg": "a leg belongs to no planned parcel",
        "no_such_departure": "the departure does not leave then within the horizon (day, closure or clock change)",
        "wrong_leg_fact": "lane, carrier, mode or node of a leg is not the departure's",
        "wrong_cutoff": "the cut-off of a leg is not the departure's",
        "wrong_arrival": "the arrival is not departure + median transit",
        "teleport": "the legs do not lead from the origin to the destination without a gap",
        "missed_cutoff": "the parcel is not ready when the leg's cut-off comes",
        "barred_goods": "the lane does not accept the goods class",
        "over_weight": "the parcel is heavier than the lane allows",
        "over_size": "the parcel is longer than the lane allows",
        "barred_mode": "the service does not allow the mode",
        "wrong_leg_cost": "the leg's cost is not pieces x (cost_per_parcel + cost_per_kg x chargeable kg)",
        "wrong_transport_cost": "transport_cost is not the sum of the legs' costs",
        "wrong_cost": "the cost is not what the itinerary, or refusing the parcel, costs",
        "not_cheapest": "a cheaper plan exists for the parcel",
        "impossible_cost": "the cost is below what the best plan for the parcel costs",
        "wrong_expected": "expected_at is not when the parcel is delivered, on average",
        "wrong_chance": "on_time_probability is not a probability, or not the chance of being on time",
        "wrong_promise": "promised_at is not the earliest local day end that reaches the confidence",
        "wrong_itinerary": "the legs are not what the cheapest policy does when every transit takes its median",
        "undeliverable_planned": "the parcel is planned although it cannot be brought",
        "deliverable_unassigned": "the parcel is refused although it can be brought",
        "unknown_reason": "a reason is not one of the known words, or there is none, or a planned parcel has one",
        "wrong_reasons": "the reasons are not those that apply",
        "refused_with_room": "the parcel is refused for lack of capacity although a way with room is left",
        "over_capacity": "a departure carries more parcels or grams than it can",
        "over_throughput": "a node finishes handling more parcels in a clock hour than it can",
        "wrong_load": "a departure's load, or what a node handles in an hour, is not what the parcels add up to",
        "lost_flow": "what a node takes in, sends on, ships and delivers does not balance in loads.parquet",
        "wrong_capacity": "a capacity in loads.parquet or hours.parquet is not the feed's",
        "wrong_hour": "a row of hours.parquet is not the only one of a clock hour at a node with a limit",
        "wrong_price": "a shadow price is no number of 0 or more, or not 0 where capacity is unlimited or never binds",
        "bound_too_high": "lower_bound is above the cost, the sum of the optima or what the plan's prices prove",
        "bound_too_low": "lower_bound is more than 1% below what the plan's prices prove",
        "wrong_total": "a figure of summary.json is missing, or not what the parcels and loads add up to",
    }
)


_VAST = 1e300


class Violation(Struct, frozen=True, omit_defaults=True):
    """One thing of a plan that is not so: its code, whose it is, what was said and what is true."""

    code: str
    what: str
    expected: str = ""
    found: str = ""
    order_id: str = ""
    departure: str = ""  # departure_id @ instant
    node: str = ""

    def __str__(self) -> str:
        whose = f" order {self.order_id}" if self.order_id else ""
        whose += f" departure {self.departure}" if self.departure else ""
        return f"{self.code}{whose}: {self.what} (expected {self.expected or '-'}, found {self.found or '-'})"


class CheckReport(Struct, frozen=True):
    """The outcome of a check: every violation, how many departures and node hours are above a capacity (each among the
    violations), and how much was looked at."""

    violations: list[Violation]
    overloads: int
    checked: dict[str, int]


class Findings:
    """Collects violations as the checks come upon them."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def add(
        self, code: str, expected: object, found: object, *, order: str = "", departure: str = "", node: str = ""
    ) -> None:
        self.violations.append(Violation(code, CODES[code], str(expected), str(found), order, departure, node))


def figure(told: object) -> float | None:
    """A figure of summary.json as a number; None when it is none."""
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    return float(told) if abs(told) < _VAST else None  # NaN is not less either
