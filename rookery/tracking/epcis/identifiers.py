"""Identifiers of things, places and parties, and the one form under which each is kept and looked for.

A GS1 key has many spellings: an EPC URN (urn:epc:id:sscc:4012345.0000000333), a class or pattern URN, a Digital Link on
anyone's domain. CBV 2.0 section 8.9 (the event hash) reduces them all to the canonical Digital Link of the finest level
of identification; the same form is kept in the store. Sources: EPC Tag Data Standard 2.0 section 6 (URNs), GS1 Digital
Link URI Syntax 1.2 section 4.11.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote

from rookery.tracking.epcis import application_identifiers as ais
from rookery.tracking.epcis.links import DOMAIN, escaped, split_path, unescaped

_NUMBER_URN = "urn:rookery:number:"
_OURS = re.compile(r"[uU][rR][nN]:rookery:number:(.*)", re.DOTALL)
_NUMBER = re.compile(r"[A-Z0-9](?:[A-Z0-9./_-]{0,58}[A-Z0-9])?")
_SSCC = f"{DOMAIN}/00/"
_LONGEST = 2048  # characters; no web address is longer, and nothing longer is looked at
_SSCC_DIGITS = re.compile(r"[0-9]{18}")

# levels of identification that are kept, finest first (CBV 2.0 section 8.9); other qualifiers fall away
_FINEST = {"01": ("235", "21", "10"), "8006": ("21", "10"), "414": ("254",), "8010": ("8011",)}
_KEPT = ais.QUALIFIERS.keys() - {"415", "8013"}
_GTIN_LENGTHS = frozenset((8, 12, 13))

_CHARS = r"(?:%[2-7][0-9A-Fa-f]|[!'()*+,.0-9:;=A-Za-z_-])"  # of a serial in an EPC URN
_URN = re.compile(r"urn:epc:(id|class|idpat):([a-z]+):([0-9]{6,12})\.(.*)")


def _serial(most: int) -> str:
    return rf"\.(?P<serial>{_CHARS}{{1,{most}}})"


def _part(most: int) -> str:
    return rf"(?P<item>(?:%(?:23|2[Ff])|[0-9A-Z-]){{1,{most}}})"


# what follows the company prefix: how many digits both have together, what comes behind them, key, qualifier
_DIGITS = r"(?P<item>[0-9]*)"
_PIECES = r"\.(?P<pieces>[0-9]{2}\.[0-9]{2})"
_FORMS: dict[tuple[str, str], tuple[int, re.Pattern[str], str, str]] = {
    names: (length, re.compile(pattern), key, qualifier)
    for names, (length, pattern, key, qualifier) in {
        ("id", "sgtin"): (13, _DIGITS + _serial(20), "01", "21"),
        ("id", "sscc"): (17, _DIGITS, "00", ""),
        ("id", "sgln"): (12, _DIGITS + _serial(20), "414", "254"),
        ("id", "grai"): (12, _DIGITS + _serial(16), "8003", ""),
        ("id", "giai"): (0, rf"(?P<item>{_CHARS}{{1,24}})", "8004", ""),
        ("id", "gsrn"): (17, _DIGITS, "8018", ""),
        ("id", "gsrnp"): (17, _DIGITS, "8017", ""),
        ("id", "gdti"): (12, _DIGITS + _serial(17), "253", ""),
        ("id", "sgcn"): (12, _DIGITS + r"\.(?P<serial>[0-9]{1,12})", "255", ""),
        ("id", "cpi"): (0, _part(24) + r"\.(?P<serial>[0-9]{1,12})", "8010", "8011"),
        ("id", "ginc"): (0, rf"(?P<item>{_CHARS}{{1,24}})", "401", ""),
        ("id", "gsin"): (16, _DIGITS, "402", ""),
        ("id", "itip"): (13, _DIGITS + _PIECES + _serial(20), "8006", "21"),
        ("id", "upui"): (13, _DIGITS + _serial(28), "01", "235"),
        ("id", "pgln"): (12, _DIGITS, "417", ""),
        ("class", "lgtin"): (13, _DIGITS + _serial(20), "01", "10"),
        ("idpat", "sgtin"): (13, _DIGITS + r"\.\*", "01", ""),
        ("idpat", "grai"): (12, _DIGITS + r"\.\*", "8003", ""),
        ("idpat", "gdti"): (12, _DIGITS + r"\.\*", "253", ""),
        ("idpat", "sgcn"): (12, _DIGITS + r"\.\*", "255", ""),
        ("idpat", "cpi"): (0, _part(24) + r"\.\*", "8010", ""),
        ("idpat", "itip"): (13, _DIGITS + _PIECES + r"\.\*", "8006", ""),
        ("idpat", "upui"): (13, _DIGITS + r"\.\*", "01", ""),
    }.items()
}
_INDICATOR_FIRST = frozenset(("sgtin", "sscc", "itip", "upui", "lgtin"))  # the item's first digit goes to the front


def canonical(uri: str) -> str:
    """The one form of an identifier: a GS1 key as https://id.gs1.org/..., a number in our own URN as `sscc_uri` gives
    it, everything else as it came.

    Of a link only the finest level of identification stays: its domain, query, variant and (beside a serial number) lot
    fall away, a GTIN gets its 14 digits, words become numbers. Check digits are taken as they are. A URN or link that
    is faulty otherwise stays as it came, and so does a URN of ours with what is no number.
    """
    return _remembered(uri) if len(uri) <= _LONGEST else uri


@lru_cache(maxsize=1 << 15)
def _remembered(uri: str) -> str:
    if uri.startswith("urn:epc:"):
        return _from_urn(uri) or uri
    if uri.startswith(_SSCC) and _SSCC_DIGITS.fullmatch(uri, len(_SSCC)):
        return uri
    if uri.startswith(("https://", "http://")):
        return _from_link(uri) or uri
    ours = _OURS.fullmatch(uri)
    return (_from_ours(ours[1]) or uri) if ours else uri


def _from_ours(told: str) -> str | None:
    """The identifier of a number as it stands in our own URN, however it is escaped and in small letters too."""
    number = unquote(told, errors="replace")
    if not number.isascii():  # some signs have capitals that are ASCII
        return None
    number = number.upper()
    return sscc_uri(number) if _NUMBER.fullmatch(number) else None


def sscc_uri(number: str) -> str:
    """A waybill number as an identifier in events: an SSCC (18 digits) as Digital Link, every other in our own URN."""
    if _SSCC_DIGITS.fullmatch(number):
        return _SSCC + number
    return _NUMBER_URN + quote(number, safe="")


def number_of(uri: str) -> str | None:
    """The waybill number behind an identifier, in whichever spelling; None where it names something else.

    Numbers are 1 to 60 capitals, digits and . - / _ within: nothing else in a URN of ours is taken for one.
    """
    form = canonical(uri)
    if form.startswith(_NUMBER_URN):
        number = unquote(form[len(_NUMBER_URN) :], errors="replace")
        return number if _NUMBER.fullmatch(number) else None
    return form[len(_SSCC) :] if form.startswith(_SSCC) else None


def check_digit_faults(uri: str) -> list[str]:
    """Each wrong check digit in a Digital Link, told with the right one; [] for a right link and for all else.

    EPC URNs hold no check digit.
    """
    path = _path(uri)
    pairs = split_path(path) if path else None
    faults: list[str] = []
    for code, value in pairs or ():
        text = value.zfill(14) if code == "01" and len(value) in _GTIN_LENGTHS else value
        right = ais.wrong_check_digit(code, text)
        if right is not None:
            faults.append(f"The check digit of {code} {value} should be {right}.")
    return faults


def _path(uri: str) -> str | None:
    """The path of a web address."""
    if not uri.startswith(("https://", "http://")):
        return None
    address = uri.partition("#")[0].partition("?")[0]
    start = address.find("/", address.index("//") + 2)
    return None if start < 0 else address[start:]


def _from_link(uri: str) -> str | None:
    path = _path(uri)
    pairs = split_path(path) if path else None
    if not pairs or pairs[0][0] not in _KEPT:
        return None
    (key, value), qualifiers = pairs[0], dict(pairs[1:])
    ways = ais.QUALIFIERS[key]
    if qualifiers and not any(qualifiers.keys() <= set(way) for way in ways):
        return None
    if key == "01" and len(value) in _GTIN_LENGTHS:
        value = value.zfill(14)
    finest = next((code for code in _FINEST.get(key, ()) if code in qualifiers), None)
    link = DOMAIN
    for code, raw in [(key, value)] if finest is None else [(key, value), (finest, qualifiers[finest])]:
        plain = unescaped(raw)
        if plain is None or not ais.value_pattern(code).fullmatch(plain):
            return None
        link += f"/{code}/{escaped(plain)}"
    return link


def _from_urn(uri: str) -> str | None:
    parts = _URN.fullmatch(uri)
    form = _FORMS.get((parts[1], parts[2])) if parts else None
    if parts is None or form is None:
        return None
    length, pattern, key, qualifier = form
    rest = pattern.fullmatch(parts[4])
    if rest is None:
        return None
    found = rest.groupdict("")
    company, item, serial = parts[3], found["item"], found.get("serial", "")
    if not length:
        value = escaped(company + unquote(item))
    elif len(company) + len(item) != length:
        return None
    else:
        first = 1 if parts[2] in _INDICATOR_FIRST else 0
        digits = ("0" if key == "8003" else "") + item[:first] + company + item[first:]
        value = digits + ais.check_digit(digits) + found.get("pieces", "").replace(".", "")
    if not qualifier:
        return f"{DOMAIN}/{key}/{value}{escaped(unquote(serial))}"
    if qualifier == "254" and serial == "0":  # the place itself, not a part of it
        return f"{DOMAIN}/{key}/{value}"
    return f"{DOMAIN}/{key}/{value}/{qualifier}/{escaped(unquote(serial))}"
