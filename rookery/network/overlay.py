"""Closures as news: read from a file of their own, laid over a feed, and told where they are odd."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from rookery.base.columns import tell
from rookery.base.kinds import minute_text
from rookery.base.notices import Findings
from rookery.base.tables import read_table
from rookery.network.closures import contradictions, touching
from rookery.network.model import COLUMNS, NOTICES
from rookery.network.reader import completed_closures
from rookery.network.references import pointing
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import FEED, Feed
from rookery.terms.notice import Notice

_FORMS = (".csv", ".parquet")


def read_closures(path: str | Path, feed: Feed) -> Feed:
    """The feed with the closures of a file (.csv or .parquet, the columns of closures.csv) laid over it as well.

    They come after the feed's own, which still hold. A row with a fault, or naming what the feed lacks, is left out
    with an error notice; rows that contradict another, the feed's included, are kept with a warning. `notices` gains
    what was found, `files` names this file as that of the closures; `sha256` stays that of the feed. Raises
    InvalidInput, holding every notice, when there is no such file, it cannot be read or no usable closure is left.
    Source: docs/reference/formats.md.
    """
    path = Path(path)
    file, findings = path.name, Findings(NOTICES)
    if not path.exists():
        raise InvalidInput("closures.not_found", f"There is no {path}.", "name a .csv or .parquet file of closures")
    if path.suffix.lower() not in _FORMS:
        findings.add("unreadable_file", file, message=f"its name does not end in {' or '.join(_FORMS)}")
        raise _unusable(path, findings)
    news = read_table(path, file, COLUMNS["closures"], FEED["closures"], findings)
    if news is not None:
        known = {"nodes": feed.nodes, "lanes": feed.lanes, "departures": feed.departures}
        news = pointing("closures", completed_closures(news, file, findings), known, file, findings)
    if news is None or news.is_empty():
        raise _unusable(path, findings)
    tell_doubts(news, file, findings, feed.closures, feed.files.get("closures", "closures.csv"))
    return replace(
        feed,
        closures=pl.concat([feed.closures, news]),
        notices=(*feed.notices, *findings.notices()),
        files={**feed.files, "closures": file},
    )


def _unusable(path: Path, findings: Findings) -> InvalidInput:
    notices = findings.notices()
    errors = sum(notice.count for notice in notices if notice.severity == "error")
    if not errors:
        return InvalidInput("closures.unusable", f"{path} holds no closure.", "add a row for each closure", notices)
    told = f"{path} holds no usable closure ({errors} {'error' if errors == 1 else 'errors'} found)."
    return InvalidInput("closures.unusable", told, "correct the errors listed, the first one first", notices)


def tell_doubts(
    closures: pl.DataFrame,
    file: str,
    findings: Findings,
    earlier: pl.DataFrame | None = None,
    earlier_file: str = "closures.csv",
) -> None:
    """Tells of closures in `file` that are probably not meant, alone or beside `earlier` ones of another file."""
    adding = (closures["capacity_factor"] > 1).fill_null(False)
    tell(closures, adding, findings, file, "capacity_factor_above_one", column="capacity_factor")
    before = 0 if earlier is None else earlier.height
    every = closures if earlier is None else pl.concat([earlier, closures])
    other = contradictions(every)[before:]
    rows, lines = np.flatnonzero(other >= 0), every["line"]

    def about(i: int) -> tuple[str | None, str | None]:
        place = f"line {lines[int(other[rows[i]])]}" + (f" of {earlier_file}" if other[rows[i]] < before else "")
        says = f"{place} says otherwise of the same thing at the same time; factors multiply and delays add"
        return f"{closures['capacity_factor'][int(rows[i])]:g}", says

    findings.add_rows("closures_contradict", file, closures["line"].to_numpy()[rows], about, column="capacity_factor")


def closures_outside(closures: pl.DataFrame, start: int, end: int, file: str = "closures.csv") -> Notice | None:
    """A warning that counts the closures which touch nothing of [start, end), in UTC minutes; None when all do.

    A closure touches the minutes of its window, and those into which it delays what leaves in it. The notice stands at
    the first of them.
    """
    findings = Findings(NOTICES)
    outside = ~touching(closures, start, end)
    message = (
        f"{outside.sum()} of {closures.height} closures touch nothing of the planned time, {minute_text(start)} to "
        f"{minute_text(end)}"
    )
    tell(
        closures,
        outside,
        findings,
        file,
        "closures_outside_horizon",
        column="from_at",
        words=minute_text,
        message=message,
    )
    return next(iter(findings.notices()), None)
