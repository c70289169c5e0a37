"""What our statuses and details are called elsewhere: for those who read us through a platform's eyes."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from msgspec import Struct

from rookery.tracking.codes.versions import full_name, text_of
from rookery.tracking.model import STATUSES, Status


class Answer(Struct, frozen=True):
    """A platform's words for a state: its status, and its detail code where it has one for this."""

    status: str
    detail: str | None = None


class AnswerTable(Struct, frozen=True):
    """One platform's words for every state of a parcel; `name` with the version: "karrio@2026-06-23"."""

    name: str
    answers: Mapping[tuple[Status, str | None], Answer]

    def answer(self, status: Status, detail: str | None = None) -> Answer:
        """Their words for a status and detail of rookery.tracking.model.

        A detail they have no word for is answered as the status alone is.
        """
        return self.answers.get((status, detail)) or self.answers[status, None]


def answers(name: str, version: str | None = None) -> AnswerTable:
    """A platform's table (karrio, easypost, aftership, shipengine, 17track, onerecord), its newest version by default.

    Raises NotFound (tracking.codes_unknown).
    """
    return _read(full_name("outward", name, version))


@cache
def _read(full: str) -> AnswerTable:
    lines = [line for line in text_of("outward", full).splitlines() if not line.startswith("#")]
    rows: dict[tuple[Status, str | None], Answer] = {
        (status, row["detail"] or None): Answer(row["their_status"], row["their_detail"] or None)
        for row in csv.DictReader(lines)
        for status in STATUSES
        if status == row["status"]
    }
    return AnswerTable(full, MappingProxyType(rows))
