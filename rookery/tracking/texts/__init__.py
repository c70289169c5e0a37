"""What recipients read of a status and its detail, in the languages that lie here as LANGUAGE.json.

A language is one file: `statuses` and `details` with a sentence for each code of model.py, and `promise` with {day}. A
file laid beside these is a language more.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec
from msgspec import Struct

USUAL = "en"
"""What is read by those who asked for no language that is here."""
MOST_WISHES = 20
_BY_ITSELF = 1.0


class Texts(Struct, frozen=True, forbid_unknown_fields=True):
    """The sentences of one language. direction: how it is written. promise: with {day} where the day goes."""

    language: str
    direction: Literal["ltr", "rtl"]
    promise: str
    statuses: dict[str, str]
    details: dict[str, str]


@cache
def languages() -> dict[str, Texts]:
    """Every language that is here, by its code (ISO 639-1)."""
    found = (file for file in files(__name__).iterdir() if file.name.endswith(".json"))
    read = [msgspec.json.decode(file.read_bytes(), type=Texts) for file in found]
    return {texts.language: texts for texts in sorted(read, key=lambda texts: texts.language)}


def texts_for(wished: str | None, accepted: str | None = None) -> Texts:
    """The texts of the language wished for ("de", "de-AT"), else of the one best accepted, else the usual ones.

    accepted: as an Accept-Language header (RFC 9110, 12.5.4); what is malformed in it is passed over.
    """
    for tag in [wished or "", *_in_order(accepted or "")]:
        if (texts := languages().get(_primary(tag))) is not None:
            return texts
        if tag == "*":
            break
    return languages()[USUAL]


def _in_order(accepted: str) -> list[str]:
    """The tags of an Accept-Language header, the most welcome first; those of weight 0 are not welcome at all."""
    wishes: list[tuple[float, str]] = []
    for wish in accepted.split(",")[:MOST_WISHES]:
        tag, _, weight = wish.partition(";")
        name, _, value = weight.partition("=")
        try:
            much = float(value) if name.strip().lower() == "q" else _BY_ITSELF
        except ValueError:
            continue
        if tag.strip() and 0 < much <= 1:
            wishes.append((-much, tag.strip()))
    return [tag for _, tag in sorted(wishes, key=lambda wish: wish[0])]


def _primary(tag: str) -> str:
    return tag.strip().replace("_", "-").partition("-")[0].lower()
