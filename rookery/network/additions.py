"""Departures of a file of their own, read to join a network that has been read already."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from msgspec import structs

from rookery.base.notices import Findings
from rookery.base.tables import read_table
from rookery.network.model import COLUMNS, NOTICES
from rookery.network.references import resolve
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import FEED, Feed
from rookery.terms.notice import Notice

_FORMS = (".csv", ".parquet")


def read_more_departures(path: str | Path, feed: Feed) -> tuple[pl.DataFrame, tuple[Notice, ...]]:
    """The departures of a file in the columns of departures.csv that a feed does not have yet (FEED["departures"]).

    Lanes, calendars and distributions are the feed's, and no departure_id may be one of its own. Nothing is left out:
    raises InvalidInput, holding every notice, when a row has a fault, there is no row, or no such file. The notices
    given back are no faults. Source: docs/reference/formats.md.
    """
    path = Path(path)
    if not path.exists():
        raise InvalidInput("departures.not_found", f"There is no {path}.", "name a .csv or .parquet file of departures")
    if path.suffix.lower() not in _FORMS:
        raise InvalidInput(
            "departures.suffix",
            f"The name of {path} ends neither in .csv nor in .parquet.",
            "save it as one of them",
        )
    file = path.name
    reading = Findings(NOTICES)
    read = read_table(path, file, COLUMNS["departures"], FEED["departures"], reading)
    notices = reading.notices()
    more = pl.DataFrame(schema=FEED["departures"]) if read is None else read
    joining = Findings(NOTICES)
    frames = {name: getattr(feed, name) for name in FEED} | {"departures": pl.concat([feed.departures, more])}
    resolve(frames, dict.fromkeys(FEED, "") | {"departures": file}, joining)
    notices += tuple(_as_met(notice) for notice in joining.notices() if notice.file == file)
    errors = sum(notice.count for notice in notices if notice.severity == "error")
    if errors:
        raise InvalidInput(
            "departures.unusable",
            f"The departures of {path} cannot join the network: {errors} {'error' if errors == 1 else 'errors'} found.",
            "correct the errors listed, the first one first",
            notices,
        )
    if more.is_empty():
        raise InvalidInput("departures.none", f"{path} holds no departure.", "add a row for each departure", notices)
    return more, notices


def _as_met(notice: Notice) -> Notice:
    """The notice in the words of a file that joins others: what stood before may be the feed's."""
    if notice.code != "duplicate_id":
        return notice
    return structs.replace(notice, message="the feed, or a line above, has a departure of this id already")
