"""Values of a query's parameters: texts of a query string, where lists are separated by "|", or JSON. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rookery.tracking.capture import instant

MOST_VALUES = 1000
"""Values of one parameter."""


class Wrong(Exception):
    """What is wrong with the value of a parameter, as a fault tells it."""

    def __init__(self, code: str, what: str, remedy: str):
        self.code, self.what, self.remedy = code, what, remedy


class Values:
    """The value of one parameter, to be read as what it should be; each reading raises Wrong where it is none."""

    def __init__(self, by_text: bool):
        self.by_text = by_text
        self.name = ""
        self.value: Any = None

    def texts(self) -> tuple[str, ...]:
        """Its list of texts."""
        values: Any = self.value.split("|") if self.by_text and isinstance(self.value, str) else self.value
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise Wrong("bad_value", "it is no list of texts", 'send a list such as ["a", "b"]')
        if not values or "" in values:
            raise Wrong("bad_value", "it has an empty value", "leave it out, or give values: in a URL a|b")
        if len(values) > MOST_VALUES:
            raise Wrong("too_many", f"it has more than {MOST_VALUES} values", "ask in several queries")
        return tuple(values)

    def one_of(self, known: Sequence[str]) -> tuple[str, ...]:
        values = self.texts()
        if not set(values) <= set(known):
            raise Wrong("bad_value", "it has a value that is none of the standard's", f"known: {', '.join(known)}")
        return values

    def time(self) -> datetime:
        remedy = "write it like 2026-01-31T12:00:00+01:00; in a URL a + is written %2B"
        if not isinstance(self.value, str):
            raise Wrong("bad_value", "it is no point in time", remedy)
        try:
            return instant(self.value)
        except (ValueError, OverflowError):
            raise Wrong("bad_value", "it is no point in time with an offset from UTC", remedy) from None

    def number(self, value: Any = None) -> float:
        told = self.value if value is None else value
        found = number_in(told) if self.by_text or not isinstance(told, str) else None
        if found is None:
            raise Wrong("bad_value", "it is no number", "send a number such as 12.5")
        return found

    def numbers(self) -> list[float]:
        if self.by_text:
            return [self.number(text) for text in self.texts()]
        values = self.value if isinstance(self.value, list) else [self.value]
        if not values or len(values) > MOST_VALUES:
            raise Wrong("bad_value", "it is an empty or too long list", f"give 1 to {MOST_VALUES} numbers")
        return [self.number(value) for value in values]

    def count(self) -> int:
        number = self.number()
        if number != int(number) or not 0 < number < 1 << 31:
            raise Wrong("bad_value", "it is no count", "send a whole number of at least 1")
        return int(number)

    def truth(self) -> bool:
        value = self.value.lower() if isinstance(self.value, str) and self.by_text else self.value
        if value in ("true", "1", True):
            return True
        if value in ("false", "0", False):
            return False
        raise Wrong("bad_value", "it is neither true nor false", "send true or false")

    def there(self) -> bool:
        """Whether an EXISTS parameter asks for something; its value says nothing, but that false asks for nothing."""
        return True if self.value in ("", None) else self.truth()


def number_in(told: Any) -> float | None:
    """A finite number from JSON or written as text; None for anything else."""
    if isinstance(told, bool) or not isinstance(told, str | int | float):
        return None
    if isinstance(told, str) and not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", told, re.ASCII):
        return None
    try:
        found = float(told)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
