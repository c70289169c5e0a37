"""What the commands' arguments and options are called, how they are read, and what is refused on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer


def instant(text: str) -> datetime:
    """An ISO 8601 time with offset; one without could mean any zone and is refused."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time; write it like 2026-03-02T10:00+08:00") from None
    if at.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no offset, so it could mean any zone; add Z or one like +08:00")
    return at


def within(most: float, *, zero: bool) -> Callable[[float | None], float | None]:
    """Refuses a number that is not above 0 (or, with `zero`, 0) or is more than `most`; NaN is neither."""
    least = "0 or more" if zero else "above 0"

    def refuse(value: float | None) -> float | None:
        if value is not None and (math.isnan(value) or value < 0 or value > most or (value == 0 and not zero)):
            raise typer.BadParameter(f"{value:,.12g} must be {least}, and at most {most:,.12g}")
        return value

    return refuse


def examples(*lines: str) -> str:
    """The text under a command's help."""
    return "Examples:\n" + "\n".join(f"  {line}" for line in lines)


# readable=False: what may not be read is told by the reader, as any other input that cannot be used
Feed = Annotated[Path, typer.Argument(metavar="FEED", help="Folder or .zip of a network feed.", readable=False)]
OrderFile = Annotated[Path, typer.Argument(metavar="ORDERS", help="Orders: .csv, .parquet or .jsonl.", readable=False)]
Side = Annotated[float | None, typer.Option(callback=within(100_000, zero=True), help="Millimetres.")]
Json = Annotated[bool, typer.Option("--json", help="One line of JSON on stdout instead of tables.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")]
Start = Annotated[
    datetime | None,
    typer.Option(parser=instant, metavar="TIME", help="Departures count from here on; default: the earliest ready_at."),
]
Horizon = Annotated[
    int | None,
    typer.Option(min=1, max=3650, help="Days of departures; default: 21, or 14 more than the longest due_days."),
]
Outcomes = Annotated[int, typer.Option(min=1, max=64, help="Equally likely transit times a departure; 1 = medians.")]
Gap = Annotated[
    float,
    typer.Option(
        callback=within(1, zero=True), help="Where capacity binds: good enough when proved to be within this share."
    ),
]
Seconds = Annotated[
    float, typer.Option(callback=within(86_400, zero=False), help="Where capacity binds: stop improving after these.")
]
Prices = Annotated[
    Path | None,
    typer.Option(metavar="PLAN_DIR", readable=False, help="An earlier plan whose shadow prices are to be used."),
]
