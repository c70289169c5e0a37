"""The privacy waybill: what of a person stays readable on the outside of a parcel."""

from __future__ import annotations

import unicodedata

import msgspec

from rookery.waybill.model import Block

STARS = "***"


def mask(block: Block) -> Block:
    """A block that brings the parcel to its depot and tells a stranger nothing: initial, city, postal code, country.

    Name and company keep their first letter, the phone its last two digits; the street is left out. The number of stars
    is always three, so that not even a length is told.
    """
    digits = [letter for letter in block.phone if letter.isdecimal()]
    return msgspec.structs.replace(
        block,
        name=_initial(block.name),
        company=_initial(block.company),
        street=(),
        phone=f"{STARS} {''.join(digits[-2:])}" if len(digits) > 4 else "",
    )


def _initial(name: str) -> str:
    """The first letter or sign of a name with the marks that belong to it, and stars; "" stays ""."""
    name = name.strip()
    if not name:
        return ""
    end = 1
    while end < len(name) and unicodedata.combining(name[end]):
        end += 1
    return name[:end] + STARS
