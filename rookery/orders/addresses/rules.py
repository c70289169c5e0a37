"""Whether an address can be delivered to, and how it is written: pure, and remembered for addresses seen before."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from unicodedata import category, is_normalized, normalize

from rookery.orders.addresses.countries import Country, find_country
from rookery.orders.addresses.model import FAULTS, LENGTHS, LINE_LENGTH, MAX_LINES, WARNINGS, Address, Checked
from rookery.orders.addresses.phones import e164
from rookery.terms.notice import Fault

REMEMBERED = 1 << 16
"""Addresses whose result is kept, the least recently asked for going first; about 2 KB each."""

_EMAIL = re.compile(r"[^\s@<>()\[\],;:\"]+@[^\s@<>()\[\],;:\"]+\.[^\s@<>()\[\],;:\"]{2,}")
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # the writing direction of what follows
_REFUSED = ("Cc", "Cs", "Cn", "Co", "Zl", "Zp")
_SEPARATORS = re.compile(r"[\s\-]")


class _Findings:
    """What is found about one address on the way."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []

    def fault(self, at: str, code: str, remedy: str = "") -> None:
        self.faults.append(_told(at, code, remedy))

    def warn(self, at: str, code: str) -> None:
        self.warnings.append(_told(at, code, ""))


def check_address(address: Address) -> Checked:
    """An address held to its country's rules, with every fault and warning.

    Text is put into Unicode's NFC with single blanks, the postal code and region into the country's spelling, the
    telephone number into E.164. Sources: Google's address data and numbering plans. Never raises for what it holds.
    """
    return _checked(address, False)


def check_contact(address: Address) -> Checked:
    """Who is to be reached at a place that is known otherwise: a name, and whatever else is given; no street needed."""
    return _checked(address, True)


def check_addresses(addresses: Iterable[Address]) -> list[Checked]:
    """Each address held to its country's rules, in the order given."""
    return [_checked(address, False) for address in addresses]


def forget() -> None:
    """Drops the results kept for addresses seen before, so that this process holds nobody's who was erased."""
    _checked.cache_clear()


@lru_cache(REMEMBERED)
def _checked(address: Address, contact: bool) -> Checked:
    found = _Findings()
    name, company, phone, email, city, region, postal = (
        _text(getattr(address, field), f"$.{field}", limit, found) for field, limit in LENGTHS.items()
    )
    lines = tuple(
        line
        for place, written in enumerate(address.lines)
        if (line := _text(written, f"$.lines[{place}]", LINE_LENGTH, found))
    )
    if len(lines) > MAX_LINES:
        found.fault("$.lines", "too_many_lines")
    if not name and not company:
        found.fault("$.name", "missing_name")
    if email and not _EMAIL.fullmatch(email):
        found.fault("$.email", "bad_email")
    code = address.country.strip().upper()
    if postal == "-":  # how files say that a country has none
        postal = ""
    country = find_country(code)
    if country:
        lines, city, region, postal = _placed(country, lines, city, region, postal, contact, found)
    elif code or not contact:
        found.fault("$.country", "unknown_country" if code else "missing_field")
    # a national number of a country that is not known cannot be judged, and the country is a fault already
    if phone and (country or contact or phone.startswith("+")):
        phone, how = e164(phone, code if country else "")
        if how == "bad":
            found.fault("$.phone", "bad_phone")
        elif how == "unlikely":
            found.warn("$.phone", "unlikely_phone")
    written = Address(
        name=name,
        company=company,
        phone=phone,
        email=email,
        lines=lines,
        city=city,
        region=region,
        postal_code=postal,
        country=code,
    )
    return Checked(written, tuple(found.faults), tuple(found.warnings))


def _placed(
    country: Country,
    lines: tuple[str, ...],
    city: str,
    region: str,
    postal: str,
    contact: bool,
    found: _Findings,
) -> tuple[tuple[str, ...], str, str, str]:
    """Street, city, region and postal code as the country writes them."""
    given = {"lines": lines, "city": city, "region": region, "postal_code": postal}
    for field, value in given.items():
        if not value and field in country.required and not contact:
            found.fault("$.lines[0]" if field == "lines" else f"$.{field}", "missing_field")
        elif value and field not in country.allowed and field not in ("lines", "city"):
            found.warn(f"$.{field}", "unused_field")
    postal = postal if "postal_code" in country.allowed else ""
    postal = _postal(country, postal.upper(), found)
    if region and country.regions:
        area = country.area(region.lower())
        if area is None and "region" in country.allowed:
            found.fault("$.region", "unknown_region", _nearest(region, country))
        elif area:
            region = area.key
            name = city.lower()
            if city and area.cities and name not in area.cities:
                found.warn("$.city", "unknown_city")
            begins = area.postal + area.inner.get(name, ())
            if postal and not all(pattern.match(postal) for pattern in begins):
                found.fault("$.postal_code", "postal_code_elsewhere")
    elif "region" in country.upper:
        region = region.upper()
    return lines, city, region if "region" in country.allowed else "", postal


def _postal(country: Country, postal: str, found: _Findings) -> str:
    """A postal code in its country's spelling; blanks and hyphens may stand anywhere or be left out."""
    if not postal or not country.postal or country.postal.match(postal):
        return postal
    bare = _SEPARATORS.sub("", postal)
    spellings = [bare] + [bare[:cut] + mark + bare[cut:] for mark in (" ", "-") for cut in range(1, len(bare))]
    for spelling in spellings:
        if country.postal.fullmatch(spelling):
            found.warn("$.postal_code", "postal_code_rewritten")
            return spelling
    example = f"write it as in {country.examples}" if country.examples else ""
    found.fault("$.postal_code", "bad_postal_code", example)
    return postal


def _nearest(region: str, country: Country) -> str:
    near = get_close_matches(region.lower(), country.regions, 3)
    keys = dict.fromkeys(country.regions[name] for name in near) or dict.fromkeys(country.regions.values())
    shown = list(keys)[:5]
    return f"write its code or name, such as {', '.join(shown)}"


def _text(written: str, at: str, limit: int, found: _Findings) -> str:
    """Text in NFC with single blanks; a fault when it is too long or holds what no label can print."""
    if not written:
        return ""
    if not (written.isascii() or is_normalized("NFC", written)):
        written = normalize("NFC", written)
    written = written.strip()
    if not written.isprintable():
        if any(sign in _TURNS or category(sign) in _REFUSED for sign in written):
            found.fault(at, "control_character")
            # what cannot be stored or printed is not handed on either
            written = "".join(sign for sign in written if sign not in _TURNS and category(sign) not in _REFUSED)
        written = " ".join(written.split())
    elif "  " in written:
        written = " ".join(written.split())
    if len(written) > limit:
        found.fault(at, "too_long", f"shorten it to {limit} characters")
    return written


@lru_cache(4096)
def _told(at: str, code: str, remedy: str) -> Fault:
    message, action = FAULTS.get(code) or WARNINGS[code]
    action = remedy or action
    return Fault(at, code, message, action[0].upper() + action[1:])
