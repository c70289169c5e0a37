"""Single values in the one form that the event hash counts (CBV 2.0 section 8.9): words, instants, numbers, texts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from rookery.tracking.epcis.contexts import Names
from rookery.tracking.epcis.identifiers import canonical

_URN = "urn:epcglobal:cbv:"
_FOLDED = ("urn:epc:", "https://", "http://")
_VOCABULARIES = {"bizstep": "BizStep-", "disp": "Disp-", "btt": "BTT-", "sdt": "SDT-", "er": "ER-", "comp": "Comp-"}

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NUMBER_STARTS = frozenset("0123456789+-.")
_MOST_EXPONENT = 400
_WHOLE = re.compile(r"-?[0-9]+")
_EXACT = 15  # digits that a double always holds
_MOST_DIGITS = 300
_HALF_MILLISECOND = timedelta(microseconds=500)


def text(value: str, names: Names) -> str:
    """Any text: trimmed, prefixes and CBV URNs in full, numbers without needless zeros, GS1 keys as canonical links."""
    if ":" in value:
        return _spelt(names.value(value.strip()))
    value = value.strip()
    return _numeric(value) if value[:1] in _NUMBER_STARTS else value


def word(vocabulary: str, value: str, names: Names) -> str:
    """A word of a standard vocabulary as its web address: bare ("shipping"), prefixed ("cbv:BizStep-shipping"), URN."""
    if ":" in value:
        return text(value, names)
    value = value.strip()
    return vocabulary + value if value else ""


def instant(value: str, names: Names) -> str:
    """An instant in UTC with milliseconds, halves rounded up; a text that is no instant with its offset as it came."""
    value = value.strip()
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is None or "T" not in value:
            return value
        at = at.astimezone(UTC) + _HALF_MILLISECOND
    except (ValueError, OverflowError):
        return value
    return f"{at.isoformat(timespec='milliseconds')[:-6]}Z"


def reading(value: str, names: Names) -> str:
    """What a sensor reports: as any text, but whole numbers as doubles hold them, as the published vectors have it."""
    said = text(value, names)
    if len(said) > _EXACT and _WHOLE.fullmatch(said) and len(said) < _MOST_DIGITS:
        return str(int(float(said)))
    return said


def number(value: int | float) -> str:
    """A JSON number without needless zeros or signs."""
    try:
        return _numeric(repr(value))
    except ValueError:  # more digits than Python writes in tens
        return hex(int(value))


def _spelt(value: str) -> str:
    if value.startswith(_URN):
        kind, _, local = value[len(_URN) :].partition(":")
        return f"https://ref.gs1.org/cbv/{_VOCABULARIES[kind]}{local}" if kind in _VOCABULARIES else value
    # of URNs the standard folds only the EPC ones: others who hash the event know nothing of ours
    return canonical(value) if value.startswith(_FOLDED) else value


def _numeric(value: str) -> str:
    """A number written in one way; every other text as it came.

    All digits count: a long number is never rounded to what a float holds, or two parcels' numbers would be one. Below
    0.0001 a short number is written with its exponent, as the published implementations do.
    """
    if value.isdigit():
        return value.lstrip("0") or "0"
    if not _NUMBER.fullmatch(value):
        return value
    mantissa, _, exponent = value.lower().partition("e")
    if exponent:
        if len(exponent) > 5 or abs(int(exponent)) > _MOST_EXPONENT:
            return value
        mantissa = format(Decimal(value), "f")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("+-").partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    if not fraction:
        return whole if whole == "0" else sign + whole
    plain = f"{sign}{whole}.{fraction}"
    if whole == "0" and fraction.startswith("0000") and len(fraction.lstrip("0")) <= 17 and len(fraction) < 300:
        short = repr(float(plain))
        return short if Decimal(short) == Decimal(plain) else plain
    return plain
