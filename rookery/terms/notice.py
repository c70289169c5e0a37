"""A finding about one place of what was handed in: a notice about a file, a fault about a document."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Severity = Literal["error", "warning", "info"]


class Notice(Struct, frozen=True, omit_defaults=True):
    """One finding: how bad, what, where (file, line, column, value) and what to do.

    `error`: the row or file was left out of what follows; `warning`: kept, but probably not what was meant;
    `info`: kept, worth knowing. `line` counts from 1 with the header as line 1 (for Parquet: row number + 1, so that
    the first data row is line 2 everywhere). `count` > 1 stands for that many alike findings, the first being shown.
    """

    severity: Severity
    code: str
    message: str
    remedy: str
    file: str = ""
    line: int | None = None
    column: str | None = None
    value: str | None = None
    count: int = 1

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part not in ("", None))
        shown = "" if self.value is None else f" ({self.value!r})"
        more = "" if self.count == 1 else f" [and {self.count - 1} more alike]"
        return f"{self.severity} {self.code} {place}: {self.message}{shown}. {self.remedy}.{more}"


class Fault(Struct, frozen=True, omit_defaults=True):
    """One thing wrong in a document: where (a JSON path such as $.orders[3].weight_g), what, what to do."""

    at: str
    code: str
    message: str
    remedy: str = ""

    def below(self, place: str) -> Fault:
        """The same fault seen from the document that holds this one at `place` ("$.orders[3]")."""
        return Fault(place + self.at.removeprefix("$"), self.code, self.message, self.remedy)
