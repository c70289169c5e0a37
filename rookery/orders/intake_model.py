"""What a shipper hands in, as a document or as rows of an order file: fields, columns, bounds and fault codes.

The two say the same: a document becomes a row of the file's columns, and one set of rules judges both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import polars as pl
from msgspec import Meta, Struct
from msgspec import field as named
from msgspec.structs import replace

from rookery.base.kinds import Column
from rookery.base.notices import Code
from rookery.orders.addresses import Address
from rookery.orders.addresses.model import FAULTS, WARNINGS
from rookery.orders.model import COLUMNS, HEAVIEST_G, NOTICES, UNPLANNED
from rookery.terms.notice import Fault, Notice

MAX_ITEMS = 1000
MAX_PARCELS = 1000
"""Pieces of an order, alike or not: each is written down by itself. Plans made of files take more."""
MAX_ID = 200
KEPT = "kept"
"""What a fault file says where a personal cell is kept in the vault."""

Text = Annotated[str, Meta(max_length=500)]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2", examples=["DE"])]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217", examples=["EUR"])]
Grams = Annotated[float, Meta(gt=0, le=HEAVIEST_G, description="grams")]
Millimetres = Annotated[float, Meta(ge=0, le=100_000, description="millimetres")]
Money = Annotated[float, Meta(ge=0, le=1e12)]
Instant = Annotated[
    str, Meta(max_length=40, description="ISO 8601 with an offset", examples=["2026-09-15T14:05+02:00"])
]


class PlaceIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a parcel starts or ends, and who is there: a node of the network, or an address.

    Country and postal code alone are enough for a promise; a label needs a name.
    """

    node: Annotated[str, Meta(max_length=MAX_ID, description="of the network; wins over the address")] | None = None
    name: Annotated[str, Meta(max_length=500, examples=["Ada Example"])] | None = None
    company: Text | None = None
    phone: Annotated[str, Meta(max_length=500, examples=["+49 30 901820"])] | None = None
    email: Annotated[str, Meta(max_length=500, examples=["ada@example.org"])] | None = None
    lines: Annotated[tuple[Text, ...], Meta(max_length=3, examples=[["Straße 1"]])] = ()
    city: Annotated[str, Meta(max_length=500, examples=["Berlin"])] | None = None
    region: Annotated[str, Meta(max_length=500, description="state or province: its code or name")] | None = None
    postal_code: Annotated[str, Meta(max_length=500, examples=["10115"])] | None = None
    country: Annotated[str, Meta(max_length=500, description="ISO 3166-1 alpha-2", examples=["DE"])] | None = None

    def __repr__(self) -> str:
        """Says nothing of the person, so that no log does."""
        return "PlaceIn(...)"


class ItemIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line of what an order holds, for customs: `value` and `weight_g` are of one unit of `quantity`."""

    description: Annotated[str, Meta(min_length=1, max_length=500, examples=["T-shirts, cotton"])]
    quantity: Annotated[float, Meta(gt=0, le=1e9)] = 1
    value: Money | None = None
    currency: Currency | None = None
    origin: Country | None = None
    hs_code: Annotated[str, Meta(pattern=r"^[0-9]{4}[0-9.]{0,10}$", examples=["610910"])] | None = None
    weight_g: Grams | None = None


class ParcelIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One piece of an order whose pieces are not alike."""

    weight_g: Grams
    length_mm: Millimetres | None = None
    width_mm: Millimetres | None = None
    height_mm: Millimetres | None = None


Metadata = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=40)], Annotated[str, Meta(max_length=500)]], Meta(max_length=50)
]


class OrderIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be brought where: one order, of one or more pieces.

    `reference` is the shipper's own: sent again with the same content it is the same order, with another a conflict.
    """

    reference: Annotated[str, Meta(min_length=1, max_length=MAX_ID, examples=["A-1001"])]
    from_: PlaceIn = named(name="from")
    to: PlaceIn
    ready_at: Instant
    weight_g: Annotated[float, Meta(description="of one piece, grams")] | None = None
    length_mm: float | None = None
    width_mm: float | None = None
    height_mm: float | None = None
    goods: Annotated[str, Meta(max_length=MAX_ID)] | None = None
    value: float | None = None
    currency: Annotated[str, Meta(max_length=MAX_ID)] | None = None
    service_id: Annotated[str, Meta(max_length=MAX_ID)] | None = None
    due_at: Instant | None = None
    late_cost: float | None = None
    pieces: Annotated[int, Meta(ge=1, le=MAX_PARCELS, description="identical pieces")] | None = None
    parcels: Annotated[tuple[ParcelIn, ...], Meta(max_length=MAX_PARCELS, description="pieces that differ")] = ()
    items: Annotated[tuple[ItemIn, ...], Meta(max_length=MAX_ITEMS)] = ()
    metadata: Metadata = {}


IDS = ("order_id", "from_node", "to_node", "service_id", "from_postal_code", "to_postal_code")

INTAKE_COLUMNS: tuple[Column, ...] = (
    *(
        replace(
            column,
            required=column.required and column.name != "weight_g",
            high=MAX_PARCELS if column.name == "pieces" else column.high,
        )
        for column in COLUMNS
    ),
    *(Column(name, "text") for name in UNPLANNED),
)
"""The order file with everything it may hold: what is planned, then people, items, and what a fault file adds."""
KNOWN = frozenset(column.name for column in INTAKE_COLUMNS)

INTAKE_NOTICES: dict[str, Code] = (
    NOTICES
    | {code: Code("error", *said) for code, said in FAULTS.items()}
    | {code: Code("warning", *said) for code, said in WARNINGS.items()}
    | {
        "bad_items": Code(
            "error", "it is no JSON list of item lines", 'write [{"description": "Mugs", "quantity": 2}]'
        ),
        "bad_parcels": Code("error", "it is no JSON list of pieces", 'write [{"weight_g": 800}, {"weight_g": 1200}]'),
        "bad_metadata": Code("error", "it is no JSON object of short texts", 'write {"shop": "north"}'),
        "pieces_mismatch": Code("error", "`pieces` is not the number of parcels listed", "leave one of the two out"),
        "kept_expired": Code(
            "error", "the cell says kept, and what was kept is no longer there", "write the cell anew"
        ),
        "reference_taken": Code(
            "error", "the reference stands for another order of yours", "give this order a reference of its own"
        ),
    }
)
"""Every fault or warning that handing in an order can give, by code."""


@dataclass(frozen=True)
class Judged:
    """Orders held to the rules: the good ones as columns, and every fault of every other row.

    good: the columns of an order file as planned (terms.frames.ORDERS) with `row` (place in what was handed in),
    `sender` and `recipient` (place in `people`; null = nobody named). items, parcels, metadata: by row;
    the latter two as JSON. faults, warnings: by row. raw: the cells as handed in, one row each. of_file: whether
    faults name columns rather than fields of a document. notices: about a file's lines that are no rows.
    """

    good: pl.DataFrame
    people: list[Address] = field(repr=False)
    items: dict[int, list[ItemIn]]
    parcels: dict[int, str]
    metadata: dict[int, str]
    faults: dict[int, list[Fault]]
    warnings: dict[int, list[Fault]]
    raw: pl.DataFrame = field(repr=False)
    of_file: bool
    notices: tuple[Notice, ...] = ()
