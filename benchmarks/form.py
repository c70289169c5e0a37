"""What a benchmark hands back: tables for people, and figures held against their targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Say = Callable[[str], None]
"""Tells a person what is being measured now."""


@dataclass(frozen=True)
class Show:
    """One figure that the work was asked to show. target: "<= 20" or ">= 600"; None = told, with nothing to miss."""

    what: str
    value: float
    unit: str
    target: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its target."""
        if self.target is None:
            return True
        sign, bound = self.target.split()
        return self.value <= float(bound) if sign == "<=" else self.value >= float(bound)

    def entry(self) -> dict[str, Any]:
        """The figure as it stands in the line of JSON; four digits are all that a measurement is worth."""
        value = float(f"{self.value:.4g}")
        return {"what": self.what, "value": value, "unit": self.unit, "target": self.target, "holds": self.holds}


@dataclass(frozen=True)
class Table:
    """Rows under headings; numbers are set to three digits or so when printed."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


@dataclass(frozen=True)
class Result:
    """What one part of a benchmark found."""

    shows: list[Show] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


def figure(value: Any) -> str:
    """A cell as text."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1e}"
