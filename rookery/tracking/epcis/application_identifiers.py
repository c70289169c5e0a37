"""GS1 application identifiers (AIs) as far as identifiers and GS1 Digital Links need them.

Sources: GS1 General Specifications (formats, check digits), GS1 Digital Link URI Syntax 1.2, sections 4.3 to 4.9
(which AIs are keys, which may qualify them in the path and in what order, which may stand behind "?").
"""

from __future__ import annotations

import re
from functools import lru_cache

from biip import ParseError
from biip.gs1_application_identifiers import GS1ApplicationIdentifier

# each key and the qualifiers that may follow it in the path: alternatives, each in its order
QUALIFIERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "00": ((),),
    "01": (("22", "10", "21"), ("235",)),
    "253": ((),),
    "255": ((),),
    "401": ((),),
    "402": ((),),
    "414": (("254",), ("7040",)),
    "415": (("8020",),),
    "417": (("7040",),),
    "8003": ((),),
    "8004": (("7040",),),
    "8006": (("22", "10", "21"),),
    "8010": (("8011",),),
    "8013": ((),),
    "8017": (("8019",),),
    "8018": (("8019",),),
}

# the words that older links write in place of the numbers
WORDS = {
    "gtin": "01", "itip": "8006", "gmn": "8013", "cpid": "8010", "gln": "414", "payTo": "415", "party": "417",
    "gsrnp": "8017", "gsrn": "8018", "gcn": "255", "sscc": "00", "gdti": "253", "ginc": "401", "gsin": "402",
    "grai": "8003", "giai": "8004",
    "cpv": "22", "lot": "10", "ser": "21", "tpx": "235", "glnx": "254", "cpsn": "8011", "srin": "8019", "refno": "8020",
}  # fmt: skip

# may not stand behind "?"
_NO_ATTRIBUTE = frozenset((
    "03", "21", "22", "235", "254", "7040", "7041", "8011", "8014", "8019", "8020", "8040", "8041", "8042", "8043",
    "8200",
))  # fmt: skip

# how many leading digits of the value end in a check digit
CHECKED = {
    "00": 18, "01": 14, "02": 14, "03": 14, "253": 13, "255": 13, "402": 17, "410": 13, "411": 13, "412": 13, "413": 13,
    "414": 13, "415": 13, "416": 13, "417": 13, "8003": 14, "8006": 14, "8017": 18, "8018": 18, "8026": 14,
}  # fmt: skip

_ANY = r"[!-\"%-?A-Z_a-z]"  # the 82 characters of GS1 codes
_OWN = {  # tighter or wider than the parser's: keys begin with the four digits that every company prefix has at least
    "401": rf"\d{{4}}{_ANY}{{0,26}}",
    "8003": rf"0\d{{13}}{_ANY}{{0,16}}",
    "8004": rf"\d{{4}}{_ANY}{{0,26}}",
    "8006": r"\d{18}",
    "8010": r"\d{4}[A-Z0-9/#-]{0,26}",
    "8011": r"0|[1-9]\d{0,11}",
    "8013": rf"\d{{4}}{_ANY}{{0,21}}",
}


@lru_cache(maxsize=1024)
def known(code: str) -> GS1ApplicationIdentifier | None:
    """The application identifier with this number, if there is one."""
    try:
        found = GS1ApplicationIdentifier.extract(code)
    except ParseError:
        return None
    return found if found.ai == code else None


@lru_cache(maxsize=1024)
def value_pattern(code: str) -> re.Pattern[str]:
    """What a value of this application identifier looks like (unknown ones: up to 90 characters)."""
    ai = known(code)
    if code in _OWN:
        return re.compile(_OWN[code], re.ASCII)
    pattern = rf"{_ANY}{{1,90}}" if ai is None else ai.pattern.removeprefix(f"^{code}").removesuffix("$")
    return re.compile(pattern, re.ASCII)


def allowed_as_attribute(code: str) -> bool:
    """Whether it may stand behind "?" of a link."""
    return code not in _NO_ATTRIBUTE


def undefined_family(code: str) -> bool:
    """Whether GS1 has defined nothing that begins with these two digits (so that the length of its codes is open)."""
    return not any(known(code[:2] + rest) for rest in _ENDINGS)


def separator_required(code: str) -> bool:
    """Whether a value's end must be marked when another one follows it in a barcode."""
    ai = known(code)
    return ai is None or ai.separator_required


def check_digit(digits: str) -> str:
    """The check digit that belongs behind these digits (General Specifications 7.9.1)."""
    threes, ones = sum(map(int, digits[-1::-2])), sum(map(int, digits[-2::-2]))
    return str(-(3 * threes + ones) % 10)


def wrong_check_digit(code: str, value: str) -> str | None:
    """The check digit that should stand there, when another one does."""
    length = CHECKED.get(code)
    if length is None or len(value) < length or not value[:length].isdigit():
        return None
    right = check_digit(value[: length - 1])
    return None if value[length - 1] == right else right


_ENDINGS = ("", *(str(n) for n in range(10)), *(f"{n:02d}" for n in range(100)))
