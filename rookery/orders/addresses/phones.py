"""Telephone numbers: any way of writing one in, E.164 out, by Google's numbering plans (phonenumbers)."""

from __future__ import annotations

from typing import Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

Found = Literal["good", "unlikely", "bad"]
_HYPHEN = "ー"
"""Unicode calls it a letter; Japanese telephone numbers are written with it as with a hyphen."""


def e164(phone: str, country: str) -> tuple[str, Found]:
    """A number as +49301234567 and whether it is good; a bad one comes back as it was.

    country: where a number without + is dialled from. "unlikely" has a length that exists and lies in no range
    that is handed out; numbering plans change, so it is kept. An extension is not part of E.164 and makes it bad. So do
    letters: read by a telephone's keys, or left out, they would make it somebody else's number.
    """
    if any(sign.isalpha() and sign != _HYPHEN for sign in phone):
        return phone, "bad"
    try:
        number = phonenumbers.parse(phone, country or None)
    except NumberParseException:
        return phone, "bad"
    if number.extension or phonenumbers.is_possible_number_with_reason(number) != 0:
        return phone, "bad"
    written = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return written, "good" if phonenumbers.is_valid_number(number) else "unlikely"
