"""Which vocabularies come with the program, and which version of one is meant."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

from rookery.terms.errors import NotFound

Way = Literal["inward", "outward"]


@cache
def shipped(way: Way) -> tuple[str, ...]:
    """The full names ("karrio@2026-06-23") of the tables that come with the program, sorted."""
    folder = files("rookery.tracking.codes") / way
    return tuple(sorted(file.name.removesuffix(".csv") for file in folder.iterdir() if file.name.endswith(".csv")))


def full_name(way: Way, name: str, version: str | None = None) -> str:
    """The full name of a vocabulary's table: of that version (YYYY-MM-DD), or the newest there is.

    name: "karrio", or "karrio@2026-06-23" in one word. Raises NotFound (tracking.codes_unknown).
    """
    name, _, dated = name.partition("@")
    wanted = version or dated
    found = [full for full in shipped(way) if full.partition("@")[0] == name and wanted in ("", full.partition("@")[2])]
    if not found:
        raise NotFound(
            "tracking.codes_unknown",
            f"No {way} code table {name}{'@' + wanted if wanted else ''} comes with the program.",
            f"use one of {', '.join(shipped(way))}",
        )
    return found[-1]


def text_of(way: Way, full: str) -> str:
    """The text of a table by its full name, as full_name gives it."""
    return (files("rookery.tracking.codes") / way / f"{full}.csv").read_text(encoding="utf-8")
