"""The simple values of EPCIS XML: numbers, truth values, instants, offsets. Source: XML Schema part 2, EPCIS 2.0."""

from __future__ import annotations

import re
from datetime import date

_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_DOUBLE = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,15}", re.ASCII)  # as many digits as every reader of JSON keeps exactly
_INSTANT = re.compile(
    r"((\d{4})-(\d\d)-(\d\d)T(?:[01]\d|2[0-3]):[0-5]\d)(:[0-5]\d(?:\.\d+)?)?(Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))",
    re.ASCII,
)
_OFFSET = re.compile(r"[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00)", re.ASCII)
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_INFINITE = float("inf")


class BadValue(ValueError):
    """A value that is not what must stand there: `code`, message and remedy for a fault."""

    def __init__(self, code: str, message: str, remedy: str):
        super().__init__(message)
        self.code, self.message, self.remedy = code, message, remedy


def decimal(text: str) -> int | float:
    """A number without exponent (xsd:decimal); whole ones as int. Raises BadValue."""
    return _number(text, _DECIMAL)


def double(text: str) -> int | float:
    """A finite number (xsd:double); whole ones as int. Raises BadValue, also for INF and NaN, which JSON has not."""
    return _number(text, _DOUBLE)


def _number(text: str, pattern: re.Pattern[str]) -> int | float:
    if _WHOLE.fullmatch(text):
        return int(text)
    number = float(text) if pattern.fullmatch(text) else _INFINITE
    if number in (_INFINITE, -_INFINITE):
        raise BadValue("bad_number", f"{_shown(text)} is no number", "Write it in digits, as 12.5")
    return number


def boolean(text: str) -> bool:
    """true, false, 1 or 0 (xsd:boolean). Raises BadValue."""
    if text not in _TRUTH:
        raise BadValue("bad_boolean", f"{_shown(text)} is neither true nor false", "Write true or false")
    return _TRUTH[text]


def instant(text: str) -> str:
    """A point in time with its offset, as it came; seconds that were left out are written. Raises BadValue."""
    found = _INSTANT.fullmatch(text)
    if found is None or not _is_day(*map(int, found.group(2, 3, 4))):
        raise BadValue(
            "bad_timestamp", f"{_shown(text)} is not a point in time", "Write it as 2026-01-31T12:00:00+01:00"
        )
    return text if found[5] else f"{found[1]}:00{found[6]}"


def offset(text: str) -> str:
    """An offset from UTC such as +01:00, as it came. Raises BadValue."""
    if not _OFFSET.fullmatch(text):
        raise BadValue(
            "bad_offset", f"{_shown(text)} is not an offset from UTC", "Write it as +01:00, between -14:00 and +14:00"
        )
    return text


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "...")
