"""What a courier's codes mean: tables that come with the program, and a courier's own, read with every fault told.

A table is CSV text. Lines before the header that begin with # are remarks, two of them are obeyed:

    # base: karrio@2026-06-23    the rows of that table hold too, where this one has no row of the same code; `none`: of
                                 no table, not even the one that is the base of a courier's own when none is named
    # fold: case                 letters' case and spaces around a code do not matter

Columns: code, status, and optionally detail, biz_step, disposition, note. An empty status says that the code is known
and tells nothing of the parcel. With biz_step and disposition both empty they are those of the vocabulary `rookery` for
the same status and detail. A code is looked up exactly as it stands (but for `fold: case`).

Vocabularies of two parts (a status and a reason) are sent as "status/reason". A row whose code begins with a slash says
what a reason means. "status/reason" is then known when both parts are, even without a row of its own: the status is
the first part's; the reason's whole row is taken where it has the same status or the first part has none; otherwise its
detail is taken where that may stand beside the status. A row for the pair itself goes before all this.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from rookery.base.notices import FILE_CODES, Code, Findings
from rookery.terms.errors import NotFound
from rookery.terms.notice import Notice
from rookery.tracking.codes.versions import full_name, shipped, text_of
from rookery.tracking.epcis.vocabulary import WORDS
from rookery.tracking.model import DETAILS, STATUSES, Status, fits

MOST_ROWS = 10_000
MOST_PAIRS = 100_000
LONGEST_CODE = 200
NO_BASE = "none"
USUAL = "rookery"
"""What a courier's own table builds on where it names no base."""
_REQUIRED = ("code", "status")
_COLUMNS = (*_REQUIRED, "detail", "biz_step", "disposition", "note")
_VOCABULARY = {
    "status": frozenset(STATUSES),
    "detail": frozenset(DETAILS),
    "biz_step": WORDS["bizStep"],
    "disposition": WORDS["disposition"],
}

NOTICES: dict[str, Code] = {
    **FILE_CODES,
    "detail_misplaced": Code(
        "error", "the detail cannot stand beside this status", "use a status that the detail belongs to"
    ),
    "unknown_base": Code("error", "the base table does not come with the program", "name one that does, or none"),
    "unknown_folding": Code("error", "codes can be folded by case only", "write # fold: case, or remove the line"),
    "too_many_codes": Code(
        "error", "the table is larger than what is read; the rows above this line hold", "split it by courier"
    ),
    "code_too_long": Code("error", f"the code is longer than {LONGEST_CODE} characters", "shorten it"),
}
"""The notices that reading a table can give."""


class Meaning(Struct, frozen=True):
    """What one code says of a parcel; no status: it is known and says nothing."""

    code: str
    status: Status | None = None
    detail: str | None = None
    biz_step: str | None = None
    disposition: str | None = None
    note: str = ""


class CodeTable(Struct, frozen=True):
    """One vocabulary at one date; `notices`: everything that was wrong with its text (the good rows hold).

    rows: the rows as written, base and all; own: how many of them are not the base's; meanings: all that can be found,
    pairs of two parts too; index: where in `meanings` a code stands, by the code as it is looked up.
    """

    name: str
    rows: tuple[Meaning, ...]
    own: int
    meanings: tuple[Meaning, ...]
    index: Mapping[str, int]
    folds: bool
    notices: tuple[Notice, ...]

    def find(self, code: str) -> Meaning | None:
        """What a code means; None when the table does not know it."""
        place = self.index.get(_folded(code) if self.folds else code)
        return None if place is None else self.meanings[place]

    def find_many(self, codes: Iterable[str]) -> NDArray[np.int32]:
        """For each code where in `meanings` it stands; -1 when the table does not know it."""
        look = self.index.get
        sought = map(_folded, codes) if self.folds else codes
        return np.fromiter((look(code, -1) for code in sought), np.int32)


def builtins() -> tuple[str, ...]:
    """The full names ("karrio@2026-06-23") of the tables that come with the program, sorted."""
    return shipped("inward")


def builtin(name: str, version: str | None = None) -> CodeTable:
    """A table that comes with the program, its newest version by default. Raises NotFound (tracking.codes_unknown)."""
    return _builtin(full_name("inward", name, version))


@cache
def _builtin(full: str) -> CodeTable:
    return read_table(text_of("inward", full), full)


def read_table(text: str, name: str, base: str = NO_BASE) -> CodeTable:
    """A table from CSV text (see the top of this file), with a notice for everything wrong in it.

    name: what the table is called in notices, as a file; base: what it builds on where it names none. A row with a
    fault is left out with an error notice, and its code is unknown, whatever the base says; of two rows with the same
    code the first holds. All others hold. Never raises for what is in the text.
    """
    findings = Findings(NOTICES)
    lines = list(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    header = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    folds, below = _directives(lines[:header], name, base, findings)
    found: dict[str, Meaning] = {} if below is None else {_key(row.code, folds): row for row in below.rows}
    seen: set[str] = set()
    refused: set[str] = set()
    own = 0
    for line, row in _rows(lines[header:], header, name, findings):
        meaning = _meaning(row, line, name, findings)
        key = _key(row["code"], folds)
        if key in seen:
            findings.add("duplicate_id", name, line=line, column="code", value=row["code"])
        elif meaning is not None:
            found[key] = meaning
            own += 1
        else:  # neither does the base's row hold: something else was meant
            found.pop(key, None)
            refused.add(key)
        seen.add(key)
    rows = tuple(found.values())
    for key, meaning in _pairs(found, name, findings):
        if key not in refused:
            found.setdefault(key, meaning)
    index = MappingProxyType({key: place for place, key in enumerate(found)})
    return CodeTable(name, rows, own, tuple(found.values()), index, folds, findings.notices())


def _folded(code: str) -> str:
    return code.strip().casefold()


def _key(code: str, folds: bool) -> str:
    return _folded(code) if folds else code


def _directives(remarks: list[str], name: str, base: str, findings: Findings) -> tuple[bool, CodeTable | None]:
    """Whether codes are folded, and the table they build on: `base` where they name none."""
    folds = False
    for line, remark in enumerate(remarks, 1):
        word, _, value = remark[1:].strip().partition(":")
        value = value.strip()
        if word == "fold" and value == "case":
            folds = True
        elif word == "fold":
            findings.add("unknown_folding", name, line=line, column="fold", value=value)
        elif word == "base":
            base = value
            if value != NO_BASE:
                try:
                    builtin(value)
                except NotFound as error:
                    findings.add("unknown_base", name, line=line, column="base", value=value, remedy=error.action)
                    base = NO_BASE
    return folds, None if base == NO_BASE else builtin(base)


def _rows(lines: list[str], above: int, name: str, findings: Findings) -> Iterator[tuple[int, dict[str, str]]]:
    """Every whole row with the line it begins on; the header is checked first."""
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    told = 0
    while True:
        line = above + reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error:
            findings.add("bad_quoting", name, line=line)
            continue
        if fields is None:
            break
        if not fields:
            continue
        if header is None:
            header = [field.strip() for field in fields]
            if not _header_holds(header, line, name, findings):
                return
        elif len(fields) != len(header):
            findings.add("too_few_fields" if len(fields) < len(header) else "too_many_fields", name, line=line)
        elif told == MOST_ROWS:
            findings.add("too_many_codes", name, line=line)
            return
        else:
            told += 1
            yield line, {**dict.fromkeys(_COLUMNS, ""), **dict(zip(reversed(header), reversed(fields)))}
    if header is None:
        findings.add("empty_file", name)
    elif not told:
        findings.add("no_rows", name)


def _header_holds(header: list[str], line: int, name: str, findings: Findings) -> bool:
    for column in dict.fromkeys(header):
        if header.count(column) > 1:
            findings.add("duplicate_column", name, line=line, column=column)
        if column not in _COLUMNS:
            findings.add("unknown_column", name, line=line, column=column)
    missing = [column for column in _REQUIRED if column not in header]
    for column in missing:
        findings.add("missing_column", name, line=line, column=column)
    return not missing


def _meaning(row: dict[str, str], line: int, name: str, findings: Findings) -> Meaning | None:
    """A row's meaning; None when anything is wrong with it, all of it told."""
    good = True

    def fault(code: str, column: str, remedy: str | None = None) -> None:
        nonlocal good
        good = False
        findings.add(code, name, line=line, column=column, value=row[column], remedy=remedy)

    if not row["code"].strip():
        fault("missing_value", "code")
    elif len(row["code"]) > LONGEST_CODE:
        fault("code_too_long", "code")
    for column in _COLUMNS:
        if "\0" in row[column]:
            fault("nul_byte", column)
    for column, words in _VOCABULARY.items():
        if row[column] and row[column] not in words:
            fault("unknown_word", column, f"use one of: {', '.join(sorted(words))}")
    status, detail = row["status"], row["detail"]
    if detail in DETAILS and (not status or status in STATUSES) and not (status and fits(status, detail)):
        fault("detail_misplaced", "detail", f"use one of the statuses {', '.join(DETAILS[detail].statuses)}")
    if not good:
        return None
    step, disposition = row["biz_step"], row["disposition"]
    if status and not step and not disposition:
        usual = builtin("rookery").find(f"{status}/{detail}") or builtin("rookery").find(detail or status)
        assert usual is not None  # the vocabulary `rookery` holds every status and detail
        step, disposition = usual.biz_step or "", usual.disposition or ""
    said = status if status in STATUSES else None
    return Meaning(row["code"], said, detail or None, step or None, disposition or None, row["note"])


def _pairs(found: Mapping[str, Meaning], name: str, findings: Findings) -> list[tuple[str, Meaning]]:
    """The meaning of every "status/reason" that follows from the rows for its two parts."""
    reasons = {key: row for key, row in found.items() if key.startswith("/")}
    first = {key: row for key, row in found.items() if "/" not in key}
    if len(reasons) * len(first) > MOST_PAIRS:
        findings.add("too_many_codes", name, message="statuses and reasons make too many pairs; none is known")
        return []
    return [(a + b, _joined(status, reason)) for a, status in first.items() for b, reason in reasons.items()]


def _joined(status: Meaning, reason: Meaning) -> Meaning:
    code = status.code + reason.code
    if status.status is None or reason.status == status.status:
        return structs.replace(reason, code=code)
    if reason.detail is not None and fits(status.status, reason.detail):
        return structs.replace(status, code=code, detail=reason.detail)
    return structs.replace(status, code=code)
