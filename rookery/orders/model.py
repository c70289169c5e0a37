"""The order file: every column, its kind, bounds and default, and every notice an order file can give."""

from __future__ import annotations

from rookery.base.archive import ARCHIVE_CODES
from rookery.base.kinds import Column
from rookery.base.notices import FILE_CODES, Code
from rookery.terms.goods import GOODS

HEAVIEST_G = 70_000_000.0
"""No parcel weighs more than 70 t; what does is a mistake of units."""
HEAVY_G = 1_000_000.0

COLUMNS: tuple[Column, ...] = (
    Column("order_id", "text", required=True),
    Column("from_node", "text"),
    Column("from_country", "country"),
    Column("from_postal_code", "postal"),
    Column("to_node", "text"),
    Column("to_country", "country"),
    Column("to_postal_code", "postal"),
    Column("ready_at", "instant", required=True, round_up=True),
    Column("weight_g", "number", required=True, above=0, high=HEAVIEST_G),
    Column("length_mm", "number", low=0, high=100_000),
    Column("width_mm", "number", low=0, high=100_000),
    Column("height_mm", "number", low=0, high=100_000),
    Column("goods", "word", default="general", words=GOODS),
    Column("value", "number", low=0, high=1e12),
    Column("currency", "currency"),
    Column("service_id", "text"),
    Column("due_at", "instant"),
    Column("late_cost", "number", low=0, high=1e9),
    Column("pieces", "whole", default=1, low=1, high=1_000_000),
)
"""The columns in the order of the format's description."""

ENDS = ("from", "to")
PERSON = ("name", "company", "phone", "email", "line1", "line2", "line3", "city", "region")
"""What the file may say of a person at either end, beside country and postal code."""
PERSONAL = frozenset(f"{end}_{what}" for end in ENDS for what in PERSON)
NESTED = ("items", "parcels", "metadata")
FAULT_COLUMNS = ("row_ref", "fault_codes", "fault_text")
UNPLANNED: tuple[str, ...] = (*(f"{end}_{what}" for end in ENDS for what in PERSON), *NESTED, *FAULT_COLUMNS)
"""Columns of the order file that say nothing to a plan: who is to be reached, what is inside, what was wrong."""

NOTICES: dict[str, Code] = (
    FILE_CODES
    | ARCHIVE_CODES
    | {
        "missing_place": Code(
            "error",
            "neither a node nor a country with a postal code says where the parcel starts or ends",
            "give the node, or country and postal code (write - where a country has none)",
        ),
        "heavy_parcel": Code("warning", "the parcel weighs more than 1,000 kg", "check that weight_g is in grams"),
        "due_before_ready": Code(
            "warning", "due_at is not after ready_at, so the parcel will be late", "correct one of the times"
        ),
        "one_order_file": Code("error", "a .zip must hold exactly one order file", "name the file, or zip it alone"),
    }
)
"""Every notice that reading orders can give, by code."""
