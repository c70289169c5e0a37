"""GS1 Digital Links taken apart and put together (GS1 Digital Link URI Syntax 1.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote_to_bytes

from rookery.terms.errors import InvalidInput
from rookery.terms.notice import Fault
from rookery.tracking.epcis import application_identifiers as ais

DOMAIN = "https://id.gs1.org"
Elements = list[tuple[str, str]]

_UNFIT = re.compile(r"[^A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_START = re.compile(r"(?:https?|HTTPS?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?")
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_NUMBER = re.compile(r"[0-9]{2,4}")
_GTINS = frozenset(("01", "02"))
_GTIN_LENGTHS = frozenset((8, 12, 13))
_STAYS = "-._~';="  # of the characters that GS1 values may hold, those that need no percent sign in a path


def link_elements(uri: str, *, lenient: bool = False) -> Elements:
    """What a GS1 Digital Link identifies: [("01", "09520123456788"), ("21", "12345")], in the link's order.

    lenient: words for numbers ("gtin"), GTINs without their leading zeros and AIs that GS1 has not defined are taken
    too. Raises InvalidInput with every fault; a wrong check digit is one.
    """
    elements, faults = _read(uri, lenient)
    if faults:
        raise InvalidInput(
            "epcis.bad_link",
            f"This is no GS1 Digital Link: {' '.join(faults)}",
            "correct the link",
            faults=[Fault("$", "epcis.bad_link", fault, "correct the link") for fault in faults],
        )
    return elements


def element_string(elements: Elements) -> str:
    """The same as one string of a barcode, "^" standing for the separator (FNC1)."""
    text, separate = "", True
    for code, value in elements:
        text += ("^" if separate else "") + code + value
        separate = ais.separator_required(code)
    return text


def link_of(elements: Sequence[tuple[str, str]], stem: str = DOMAIN, *, lenient: bool = False) -> str:
    """The link that says these elements: the first key among them and its qualifiers as path, the others behind "?".

    A pair given more than once counts once; attributes of fixed length come first. Raises InvalidInput where there is
    no key, where qualifiers do not go together, or where a value is faulty.
    """
    pairs = dict(elements)
    key = next((code for code, _ in elements if code in ais.QUALIFIERS), None)
    faults = [fault for code, value in pairs.items() for fault in _value_faults(code, value, lenient)]
    faults += [f"{code} is given with two values." for code, value in elements if pairs[code] != value]
    path: list[str] = []
    if key is None:
        faults.append("None of these is a key that a link can begin with.")
    else:
        present = {code for way in ais.QUALIFIERS[key] for code in way if code in pairs}
        way = next((way for way in ais.QUALIFIERS[key] if present <= set(way)), None)
        if way is None:
            faults.append(f"{', '.join(sorted(present))} do not go together behind {key}.")
        path = [key, *(code for code in way or () if code in pairs)]
    others = sorted((code for code in pairs if code not in path), key=ais.separator_required)
    faults += [f"{code} cannot be an attribute of a link." for code in others if not ais.allowed_as_attribute(code)]
    if faults:
        raise InvalidInput("epcis.bad_link", f"No link can say this: {' '.join(faults)}", "correct the elements")
    link = stem.rstrip("/") + "".join(f"/{code}/{escaped(pairs[code])}" for code in path)
    return link + ("?" if others else "") + "&".join(f"{code}={escaped(pairs[code])}" for code in others)


def escaped(value: str) -> str:
    """A value as it stands in a link's path (Table 7-1: what must be percent-encoded)."""
    return quote(value, safe=_STAYS)


def unescaped(text: str) -> str | None:
    """A value of a link as it is meant; None where the percent signs are no UTF-8."""
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return None


def split_path(path: str, *, words: bool = True) -> Elements | None:
    """A link's path from its key on, in pairs, values still escaped; None where there is no key.

    words: "gtin" and its like are read as their numbers.
    """
    parts, numbers = path.split("/"), ais.WORDS if words else {}
    for at in range(len(parts) - 2, 0, -2):
        if numbers.get(parts[at], parts[at]) in ais.QUALIFIERS:
            rest = zip(parts[at::2], parts[at + 1 :: 2], strict=True)
            return [(numbers.get(name, name), value) for name, value in rest]
    return None


def _read(uri: str, lenient: bool) -> tuple[Elements, list[str]]:
    unfit = "".join(sorted(set(_UNFIT.findall(uri))))
    faults = [f"It holds characters that cannot stand in a link: {unfit!r}."] if unfit else []
    if _BAD_ESCAPE.search(uri):
        faults.append("Behind a percent sign two hexadecimal digits must follow.")
    start = _START.match(uri)
    if start is None:
        return [], [*faults, "It must begin with http:// or https://."]
    authority, path, query = start[1], start[2], start[3] or ""
    if not _AUTHORITY.fullmatch(authority):
        faults.append(f"{authority!r} is no host.")
    pairs = split_path(path, words=lenient)
    if pairs is None:
        return [], [*faults, "Its path holds no GS1 key, written as a number, with a value."]
    key, present = pairs[0][0], [code for code, _ in pairs[1:]]
    if not any(_in_order(present, way) for way in ais.QUALIFIERS[key]):
        faults.append(f"{'/'.join(present)} cannot qualify {key} in this order.")
    for name, value in (part.split("=", 1) for part in query.split("&") if "=" in part):
        if not _NUMBER.fullmatch(name):
            continue
        path_ways = [way for way in ais.QUALIFIERS[key] if name in way and set(present) <= set(way)]
        if path_ways or not ais.allowed_as_attribute(name):
            faults.append(f"{name} cannot be an attribute of this link.")
        pairs.append((name, value))
    elements: Elements = []
    for code, escaped_value in pairs:
        value = unescaped(escaped_value)
        if value is None:
            faults.append(f"The value of {code} is no UTF-8.")
            continue
        if lenient and code in _GTINS and len(value) in _GTIN_LENGTHS:
            value = value.zfill(14)
        faults += [f"{code} stands in it twice."] if any(code == other for other, _ in elements) else []
        faults += _value_faults(code, value, lenient)
        elements.append((code, value))
    return elements, faults


def _value_faults(code: str, value: str, lenient: bool) -> list[str]:
    if ais.known(code) is None and not (lenient and ais.undefined_family(code)):
        return [f"GS1 defines no application identifier {code}."]
    if not ais.value_pattern(code).fullmatch(value):
        return [f"{value!r} is no value of {code}."]
    right = ais.wrong_check_digit(code, value)
    return [] if right is None else [f"The check digit of {code} {value} should be {right}."]


def _in_order(codes: Sequence[str], way: Sequence[str]) -> bool:
    left = iter(way)
    return all(code in left for code in codes)
