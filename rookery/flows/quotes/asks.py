"""What is asked about a parcel before there is an order: where from, where to, what, when."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from rookery.terms.notice import Fault

HEAVIEST_G, LONGEST_MM = 70_000_000, 100_000

NodeName = Annotated[str, Meta(max_length=200, description="A node of the network; wins over an address.")]
Country = Annotated[str, Meta(pattern="^[A-Za-z]{2}$", description="ISO 3166-1 alpha-2", examples=["DE"])]
Postal = Annotated[str, Meta(max_length=20, examples=["10115"])]
Instant = Annotated[
    str,
    Meta(
        max_length=40,
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$",
        description="ISO 8601 with an offset.",
        examples=["2026-09-15T14:05+02:00"],
    ),
]
Millimetres = Annotated[float, Meta(ge=0, le=LONGEST_MM)]


class Spot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a parcel starts or ends: a node of the network, or a country with a postal code."""

    node: NodeName | None = None
    country: Country | None = None
    postal_code: Postal | None = None


class ParcelAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be carried: like pieces, each with this weight and these sides, ready at this time."""

    ready_at: Instant
    weight_g: Annotated[float, Meta(gt=0, le=HEAVIEST_G, description="Grams of one piece.", examples=[800])]
    length_mm: Millimetres | None = None
    width_mm: Millimetres | None = None
    height_mm: Millimetres | None = None
    goods: Literal["general", "battery", "liquid", "oversize", "cold"] = "general"
    pieces: Annotated[int, Meta(ge=1, le=1000)] = 1
    service_id: Annotated[str, Meta(max_length=200, description="Its modes and confidence count.")] | None = None
    confidence: Annotated[float, Meta(gt=0, le=0.9999)] | None = None


class Leg(Struct, frozen=True):
    """One ride of an itinerary, along median times."""

    departure_id: str
    lane_id: str
    carrier_id: str | None
    mode: str
    from_node: str
    to_node: str
    cutoff_at: datetime
    depart_at: datetime
    arrive_at: datetime


def instant(text: str, faults: list[Fault], at: str = "$.ready_at") -> int | None:
    """The UTC minute a time stands for, rounded up; None when it is none, which `faults` then tells."""
    example = "write it like 2026-09-15T14:05+02:00"
    try:
        told = datetime.fromisoformat(text)
        if told.tzinfo is None:
            faults.append(Fault(at, "naive_timestamp", "the time has no offset, so it could mean any zone", example))
            return None
        return -int(-told.timestamp() // 60)
    except (ValueError, OverflowError):
        faults.append(Fault(at, "bad_timestamp", "the value is not a point in time", example))
        return None
