"""An address as the trade writes it, what may be wrong with one, and how long its parts may be."""

from __future__ import annotations

from msgspec import Struct

from rookery.terms.notice import Fault


class Address(Struct, frozen=True, kw_only=True):
    """Who is to be reached, and where: text as people write it, "" where nothing is said.

    lines: street, house, floor: one to three, the first the most telling. region: state or province, its code once
    checked. country: ISO 3166-1 alpha-2.
    """

    name: str = ""
    company: str = ""
    phone: str = ""
    email: str = ""
    lines: tuple[str, ...] = ()
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""

    def __repr__(self) -> str:
        """Says nothing of the person, so that no log does."""
        return "Address(...)"


class Checked(Struct, frozen=True):
    """An address as it will be used, everything wrong with it (then it cannot be), and what is probably not meant.

    Faults and warnings say where ($.postal_code, $.lines[0]) and never what stands there.
    """

    address: Address
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


MAX_LINES = 3
LENGTHS = {"name": 100, "company": 100, "phone": 40, "email": 254, "city": 100, "region": 100, "postal_code": 20}
LINE_LENGTH = 120
"""Characters after normalisation: two printed label lines at most."""

FAULTS: dict[str, tuple[str, str]] = {
    "missing_name": ("neither a name nor a company is given", "write who receives or sends the parcel"),
    "missing_field": ("this country's addresses need it", "fill it in"),
    "unknown_country": ("the country is not known", "write two letters, ISO 3166-1 alpha-2, such as DE"),
    "bad_postal_code": ("the postal code is not of the form this country uses", "correct it"),
    "postal_code_elsewhere": (
        "the postal code is not one of the region given",
        "correct the postal code or the region",
    ),
    "unknown_region": ("the region is not one of this country's", "write its code or its name"),
    "bad_phone": ("the telephone number cannot be dialled", "write it with + and the country's code: +49 30 901820"),
    "bad_email": ("the e-mail address is not of the form name@domain", "correct it, or leave it out"),
    "too_long": ("the text is longer than a label can hold", "shorten it"),
    "too_many_lines": ("an address has three lines at most", "put several into one"),
    "control_character": (
        "the text holds a control character, a line break or a mark that turns the writing direction",
        "type the text anew, without copying it",
    ),
}
"""Every code of a fault: what it means and what to do."""
WARNINGS: dict[str, tuple[str, str]] = {
    "unlikely_phone": ("the telephone number has the right length but is in no known range", "check it"),
    "unused_field": ("this country's addresses do not have it, so it is left out", "nothing, or check the country"),
    "postal_code_rewritten": ("the postal code was written the way this country does", "nothing"),
    "unknown_city": ("the city is not in the region's list", "check its spelling"),
}
"""Every code of a warning."""
