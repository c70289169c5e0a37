"""What a query asks of an event, taken apart: events that fit all terms are meant. Pure nouns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct


class Column(Struct, frozen=True):
    """A column of an event is one of these values (test "in"), or not before (">=") or before ("<") a time."""

    column: str
    test: str
    value: tuple[str, ...] | datetime


class Place(Struct, frozen=True):
    """A place is one of these, or by its identifier a part of one (a GLN with an extension)."""

    column: str
    values: tuple[str, ...]


class Named(Struct, frozen=True):
    """One of these things, or one of a class, stands in one of these lists. Canonical identifiers."""

    roles: tuple[int, ...]
    values: tuple[str, ...]
    kinds: tuple[str, ...] = ()  # "https://id.gs1.org/01/04012345678901/": whatever begins so


class Inside(Struct, frozen=True):
    """One of these paths (SQL/JSON) finds something in the event's body. whole: only where the asker sees all of it."""

    paths: tuple[str, ...]
    variables: Mapping[str, Any]
    whole: bool = False


class Either(Struct, frozen=True):
    """One of these fits."""

    terms: tuple[Inside, ...]


class Own(Struct, frozen=True):
    """A sender's own field is there; with a path, such that the path finds something in its value.

    area: path to the objects that may hold it; inner: it stands somewhere within an own field of them. name: as asked;
    iri: in full where that is known, and then events that write it with another prefix fit too.
    """

    area: str
    inner: bool
    name: str
    iri: str | None
    path: str | None = None
    variables: Mapping[str, Any] = {}


class EventIds(Struct, frozen=True):
    """The event's id is one of these."""

    values: tuple[str, ...]


class Among(Struct, frozen=True):
    """It is one of these events, by number and instant."""

    numbers: tuple[int, ...]
    instants: tuple[datetime, ...]


class Declared(Struct, frozen=True):
    """It is an error declaration."""


class Nothing(Struct, frozen=True):
    """No event fits: what is asked for is not kept."""


Term = Column | Place | Named | Inside | Either | Own | EventIds | Among | Declared | Nothing


class Query(Struct, frozen=True):
    """A checked query. order: event_at, record_at or an own field; first: only so many; most: more are too many."""

    terms: tuple[Term, ...] = ()
    order: str | Own = "event_at"
    descending: bool = True
    first: int | None = None
    most: int | None = None
