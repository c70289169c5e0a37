"""Findings about input files, gathered as they are met and told as notices: all of them, alike ones counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from rookery.terms.notice import Notice, Severity

SHOWN = 80
"""Characters of a value that a notice shows."""


class Code(Struct, frozen=True):
    """What a notice code means and what to do; `listed` alike findings are told one by one, the rest counted."""

    severity: Severity
    meaning: str
    remedy: str
    listed: int = 100


FILE_CODES: dict[str, Code] = {
    # whole files
    "missing_file": Code("error", "a required file is not there", "add the file"),
    "unreadable_file": Code("error", "the file cannot be opened or decoded", "export it again"),
    "file_too_large": Code("error", "the file is larger than what is read", "split it"),
    "empty_file": Code("error", "the file is empty", "write a header line and rows, or remove it"),
    "no_rows": Code("warning", "the file has a header and no rows", "add rows, or remove it if it is not required"),
    "wrong_encoding": Code("error", "the text is UTF-16 or UTF-32, not UTF-8", "save it as 'CSV UTF-8'"),
    "wrong_separator": Code("error", "fields are not separated by commas", "save it with commas between fields"),
    # columns
    "missing_column": Code("error", "a required column is not there", "add the column to the header and fill it"),
    "duplicate_column": Code("error", "a column name stands twice; the first is used", "remove the second"),
    "unknown_column": Code("info", "the column is not part of the format; ignored", "nothing, or correct its name"),
    "column_type": Code("error", "the column's type cannot hold this", "write the column as text or as plain numbers"),
    # lines
    "invalid_utf8": Code("error", "the line is not valid UTF-8", "save the file as UTF-8 (it may be Latin-1)"),
    "nul_byte": Code("error", "the line holds a NUL byte", "remove it; the file may be damaged: export it again"),
    "bad_quoting": Code(
        "error",
        "a quotation mark is never closed, or stands inside a field without quotes around it",
        'put the whole field in quotes and double every quote inside it: "3"" pipe"',
    ),
    "line_too_long": Code("error", "the line is longer than 1 MiB", "look for a missing line end"),
    "too_few_fields": Code("error", "the line has fewer fields than the header", "add commas, also for empty fields"),
    "too_many_fields": Code("error", "the line has more fields than the header", "put fields with commas in quotes"),
    "bad_json": Code("error", "the line is not one JSON object", "write one object a line: {...}"),
    "nested_value": Code("error", "the value is a list or an object", "write plain text or a plain number"),
    # values
    "missing_value": Code("error", "a required value is empty", "fill it in"),
    "not_a_number": Code(
        "error",
        "the value is not a finite number",
        "write digits with a dot for decimals, without thousands marks or units",
    ),
    "not_whole": Code("error", "the number must be whole", "round it"),
    "out_of_range": Code("error", "the number is outside what is allowed", "write a number within the bounds"),
    "unknown_word": Code("error", "the word is not in the vocabulary", "use one of the words listed"),
    "bad_clock": Code("error", "the value is not a time of day", "write HH:MM with minutes 00 to 59"),
    "bad_date": Code("error", "the value is not a date", "write YYYY-MM-DD"),
    "bad_flag": Code("error", "the value is neither 0 nor 1", "write 1 for yes, 0 for no"),
    "bad_country": Code("error", "the value is not a country code", "write two letters, ISO 3166-1 alpha-2"),
    "bad_currency": Code("error", "the value is not a currency code", "write three letters, ISO 4217"),
    "unknown_timezone": Code("error", "the time zone is not known", "write an IANA name such as Europe/Brussels"),
    "bad_timestamp": Code(
        "error", "the value is not a point in time", "write ISO 8601 with an offset: 2025-03-30T14:05+02:00"
    ),
    "naive_timestamp": Code(
        "error", "the time has no offset, so it could mean any zone", "add Z or an offset: 2025-03-30T14:05+02:00"
    ),
    "seconds_rounded": Code(
        "info", "times are kept to the minute; seconds were rounded", "nothing, or write whole minutes", listed=0
    ),
    "numeric_postal_code": Code(
        "warning", "postal codes are stored as numbers, which lose leading zeros", "store the column as text", listed=0
    ),
    # rows
    "duplicate_id": Code("error", "the id stands twice; the first row is used", "give each row its own id"),
}
"""Codes that any file of rows can give."""

Describe = Callable[[int], tuple[str | None, str | None]]
"""The value and the message (None = the code's meaning) of the i-th finding of many."""


class Findings:
    """The findings of one reading, in the words of `codes`; an unknown code is a KeyError."""

    def __init__(self, codes: Mapping[str, Code]):
        self._codes = codes
        self._alike: dict[tuple[str, str, str | None], list[Notice]] = {}
        self._uncounted: dict[tuple[str, str, str | None], int] = {}
        self._left_out: dict[str, int] = {}

    def add(
        self,
        code: str,
        file: str,
        *,
        line: int | None = None,
        column: str | None = None,
        value: str | None = None,
        message: str | None = None,
        remedy: str | None = None,
    ) -> None:
        """One finding."""
        self.add_rows(code, file, [line], lambda _: (value, message), column=column, remedy=remedy)

    def add_rows(
        self,
        code: str,
        file: str,
        lines: Sequence[int | None] | NDArray[np.integer],
        describe: Describe,
        *,
        column: str | None = None,
        remedy: str | None = None,
    ) -> None:
        """As many alike findings as there are `lines`; only those that will be listed are described."""
        about = self._codes[code]
        action = remedy or about.remedy
        if not len(lines):
            return
        key = (code, file, column)
        told = self._alike.setdefault(key, [])
        # one more than is listed: it stands for all that are left out
        room = max(0, about.listed + 1 - len(told))
        for i in range(min(room, len(lines))):
            value, message = describe(i)
            line = lines[i]
            told.append(
                Notice(
                    severity=about.severity,
                    code=code,
                    message=message or about.meaning,
                    remedy=action[0].upper() + action[1:],
                    file=file,
                    line=None if line is None else int(line),
                    column=column,
                    value=shown(value),
                )
            )
        self._uncounted[key] = self._uncounted.get(key, 0) + max(0, len(lines) - room)

    def leave_out(self, file: str, rows: int) -> None:
        """Count rows of a file that do not go on; why is told by the findings about them."""
        self._left_out[file] = self._left_out.get(file, 0) + rows

    def left_out(self, file: str) -> int:
        """How many rows of a file did not go on, listed or not."""
        return self._left_out.get(file, 0)

    def is_error(self, code: str) -> bool:
        """Whether what this code is said of is left out."""
        return self._codes[code].severity == "error"

    def notices(self) -> tuple[Notice, ...]:
        """All findings, file by file as first met, then by line."""
        files: dict[str, int] = {}
        found: list[Notice] = []
        for key, told in self._alike.items():
            files.setdefault(key[1], len(files))
            more = self._uncounted[key]
            found += told[:-1] + [structs.replace(told[-1], count=1 + more)] if more else told
        return tuple(sorted(found, key=lambda notice: (files[notice.file], notice.line or 0)))


def shown(value: str | None) -> str | None:
    """A value as a notice shows it: cut when it is long."""
    return value if value is None or len(value) <= SHOWN else value[: SHOWN - 1] + "…"
